"""What every person is to the robot, in one word of a closed list: comes straight, follows, crosses, ...

Goes beyond the plain motion words: who walks behind at the robot's own speed follows, who is faster
overtakes; who approaches on a course that meets the robot's comes straight towards it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lifelong_nav.core.types import FloatArray
from lifelong_nav.perception.relative_motion import STANDING_SPEED, TRACK_STANDING, motion_words
from lifelong_nav.perception.social_scene import SIDES

RELATIONS: dict[str, tuple[str, str]] = {
    "meets": ("walks straight towards the robot", "walk straight towards the robot"),
    "blocks": ("stands in the robot's way", "stand in the robot's way"),
    "beside": ("walks beside the robot", "walk beside the robot"),
    "follows": ("follows behind the robot", "follow behind the robot"),
    "overtakes": ("comes up fast from behind", "come up fast from behind"),
    "cuts": ("crosses the robot's way", "cross the robot's way"),
    "caught": ("walks ahead slower than the robot", "walk ahead slower than the robot"),
    "leads": ("walks ahead at the robot's speed", "walk ahead at the robot's speed"),
    "passes": ("comes towards the robot and passes it", "come towards the robot and pass it"),
    "joins": ("comes to the robot from the side", "come to the robot from the side"),
    "departs": ("walks away ahead", "walk away ahead"),
    "leaves": ("walks away", "walk away"),
    "strolls": ("walks past", "walk past"),
    "stands": ("stands", "stand"),
}
"""Words by how much they matter, most important first, each for one and for several people."""
_WORDS = np.array([*RELATIONS, "unknown"])
DISTANCES = ("touching", "close", "near", "far")
_LIMITS = np.array([0.8, 1.6, 3.5])  # [m] from centre to centre, Hall's zones widened by a robot's radius
MEETING = 0.75
"""Courses that come nearer than this [m] meet."""


@dataclass(frozen=True, slots=True)
class Relations:
    """Everybody in reach, nearest first: arrays of N.

    `at` (N, 2) [m] and `velocity` (N, 2) [m/s] along the robot's axes; `motion`, `relation` words;
    `sector` index into `SIDES`; `zone` index into `DISTANCES`; `contact` time until the courses meet [s],
    inf where they do not; `group` label, -1 for none.
    """

    at: FloatArray
    velocity: FloatArray
    distance: FloatArray
    speed: FloatArray
    motion: NDArray[np.str_]
    relation: NDArray[np.str_]
    sector: NDArray[np.int64]
    zone: NDArray[np.int64]
    contact: FloatArray
    group: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.at)


def relate(
    at: FloatArray,
    velocity: FloatArray,
    group: NDArray[np.int64],
    robot_speed: float = 0.0,
    way: float = 0.0,
    reach: float = 8.0,
) -> Relations:
    """Relations of all people within `reach` [m]; people with broken numbers are left out.

    Args:
        at: (N, 2) [m] in the robot's frame.
        velocity: (N, 2) [m/s] over ground along the robot's axes.
        group: (N,) labels, < 0 for none.
        robot_speed: forward [m/s].
        way: bearing of the robot's way [rad].
        reach: [m].
    """
    distance = np.hypot(at[:, 0], at[:, 1])
    with np.errstate(invalid="ignore"):
        keep = np.flatnonzero((distance <= reach) & np.isfinite(velocity).all(axis=1))
    keep = keep[np.argsort(distance[keep], kind="stable")]
    at, velocity, distance, group = at[keep], velocity[keep], distance[keep], group[keep]
    speed = np.hypot(velocity[:, 0], velocity[:, 1])
    motion = motion_words(at, velocity, robot_speed, TRACK_STANDING)
    contact, miss = _meeting(at, velocity - (robot_speed, 0.0))
    word = _relation(at, velocity, distance, speed, motion, miss, robot_speed, way)
    return Relations(
        at, velocity, distance, speed, motion, word, sectors(at), np.searchsorted(_LIMITS, distance),
        contact, group,
    )  # fmt: skip


def sectors(at: FloatArray) -> NDArray[np.int64]:
    """(N,) index into `SIDES`, by the same limits as `side_of`."""
    bearing = np.arctan2(at[:, 1], at[:, 0])
    degrees, left = np.abs(bearing) * 57.29577951308232, bearing > 0.0
    ring = np.select([degrees <= 15.0, degrees <= 60.0, degrees <= 120.0], [0, 1, 2], 3)
    table = np.array([[0, 2, 4, 5], [0, 1, 3, 5]])
    return table[left.astype(np.int64), ring]


def _meeting(at: FloatArray, relative: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Time until the gap is `MEETING` [s] (inf for never) and the smallest distance to come [m]."""
    square = np.einsum("nk,nk->n", relative, relative)
    closing = -np.einsum("nk,nk->n", at, relative)
    best = np.clip(closing / np.maximum(square, 1e-9), 0.0, 20.0)
    miss = np.hypot(*(at + best[:, None] * relative).T)
    inside = np.einsum("nk,nk->n", at, at) - MEETING**2
    root = closing**2 - square * inside
    meets = (root >= 0.0) & (closing > 0.0) & (square > 1e-6)
    early = (closing - np.sqrt(np.maximum(root, 0.0))) / np.maximum(square, 1e-9)
    time = np.where(inside <= 0.0, 0.0, np.where(meets, early, np.inf))
    return time, miss


def _relation(
    at: FloatArray, velocity: FloatArray, distance: FloatArray, speed: FloatArray, motion: NDArray[np.str_],
    miss: FloatArray, robot_speed: float, way: float,
) -> NDArray[np.str_]:  # fmt: skip
    x, y, vx = at[:, 0], at[:, 1], velocity[:, 0]
    along, aside = x * np.cos(way) + y * np.sin(way), y * np.cos(way) - x * np.sin(way)
    moves, drives = speed >= TRACK_STANDING, robot_speed > STANDING_SPEED
    forward = vx > 0.7 * speed
    behind = (x < 0.0) & (np.abs(x) > 0.8 * np.abs(y))
    same = np.abs(vx - robot_speed) < 0.35
    lane = (x > 0.0) & (np.abs(y) < np.maximum(1.0, 0.35 * x))
    crossing = np.char.startswith(motion, "crossing")
    approaching = motion == "approaching"
    conditions = [
        motion == "unknown",
        ~moves & (along > 0.0) & (along < 5.0) & (np.abs(aside) < 0.7),
        ~moves,
        motion == "alongside",
        behind & forward & drives & same & (distance < 4.5),
        behind & forward & (vx > robot_speed),
        behind & forward & drives,
        lane & forward & drives & same,
        lane & forward & (vx < robot_speed),
        lane & forward & (motion == "moving_away"),
        (x > 0.0) & (vx < 0.0) & approaching & (miss < MEETING),
        (x > 0.0) & crossing & (distance < 6.0),
        (x > 0.0) & (vx < 0.0) & (np.abs(vx) > np.abs(velocity[:, 1])),
        approaching & (miss < 1.0),
        motion == "moving_away",
    ]
    words = ["unknown", "blocks", "stands", "beside", "follows", "overtakes", "strolls", "leads", "caught"]
    words += ["departs", "meets", "cuts", "passes", "joins", "leaves"]
    return np.select(conditions, words, "strolls")


def side_name(sector: int) -> str:
    """Word of `SIDES`."""
    return SIDES[sector]
