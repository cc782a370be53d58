"""When a scenario is on: tests of what can be sensed at one instant, one per family.

Each test looks at people in sight (lidar or camera), the robot's own goal and speed and the kind of
place, never at what happens later or behind walls: a label must be a function of what the robot has.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lifelong_nav.core.geometry import rotation2, wrap
from lifelong_nav.core.types import FloatArray
from lifelong_nav.training.scene_stage import SIGHT, View

NARROW = 2.2
"""A corridor narrower than this [m] is a narrow hallway."""
WIDE = 2.6
"""In a corridor wider than this [m] people pass each other at ease."""
_WALKS = 0.3  # m/s


@dataclass(frozen=True)
class Site:
    """Where a view was taken.

    `width` is free across the heading [m]; `mark` a point of the place [m], `kind` what it is ("door",
    "corner", "crossing", "lift", "middle" or ""); `waits` are ids in a line, `poses` ids of a photo
    session (the lowest holds the camera); `inside` names the region the robot is in.
    """

    environment: str
    width: float
    mark: tuple[float, float] = (0.0, 0.0)
    kind: str = ""
    waits: Collection[int] = ()
    poses: Collection[int] = ()
    inside: str = ""


@dataclass(frozen=True)
class _Seen:
    """People in sight within reach, nearest first, and the robot's numbers."""

    ids: NDArray[np.int64]
    groups: NDArray[np.int64]
    x: FloatArray
    y: FloatArray
    vx: FloatArray
    vy: FloatArray
    d: FloatArray
    bearing: FloatArray
    pace: FloatArray
    closing: FloatArray
    facing: FloatArray
    v: float
    goal: FloatArray
    mark: FloatArray

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def oncoming(self) -> NDArray[np.bool_]:
        """Comes at the robot: near its line, ahead."""
        miss = np.abs(self.x * self.vy - self.y * self.vx) / np.maximum(self.pace, 1e-3)
        return (self.closing > 0.4) & (np.abs(self.bearing) < 0.6) & (miss < 1.3) & (self.d < 7.5)


def on(family: str, view: View, site: Site) -> bool:
    """True where `family` is what goes on."""
    return _TESTS[family](_seen(view, site), site)


def matching(view: View, site: Site) -> tuple[str, ...]:
    """All families whose test holds; more than one means the instant is ambiguous."""
    seen = _seen(view, site)
    return tuple(name for name, test in _TESTS.items() if test(seen, site))


def nearest(view: View, site: Site) -> str:
    """The family that comes nearest where no test or several hold: by grouping, place and motion."""
    s = _seen(view, site)
    if len(s) == 0:
        return "blind_corner" if site.kind == "corner" else "free_passage"
    if np.isin(s.ids, list(site.waits)).sum() >= 2:
        return "queue"
    if _groups(s, True):
        return "static_groups"
    if _groups(s, False):
        return "moving_groups"
    if site.kind == "lift":
        return "exiting_elevator" if site.inside == "cab" else "entering_elevator"
    if len(s) >= 6:
        return "crowd"
    if site.kind == "crossing":
        return "intersection"
    if site.kind == "door":
        return "narrow_doorway"
    if s.oncoming.any():
        return "narrow_hallway" if site.width < NARROW else "frontal_approach"
    first = int(np.argmax(s.x > 0.0))
    if s.pace[first] < _WALKS:
        return "pedestrian_obstruction"
    if _along(s, first):
        return "down_path" if s.vx[first] > s.v - 0.2 else "robot_overtaking"
    return "perpendicular_traffic" if abs(s.vy[first]) > abs(s.vx[first]) else "frontal_approach"


def _seen(view: View, site: Site) -> _Seen:
    keep = np.flatnonzero(view.seen & (view.distance < SIGHT))
    keep = keep[np.argsort(view.distance[keep])]
    mark = rotation2(-view.pose.yaw) @ (np.array(site.mark) - view.pose.xy)
    return _Seen(
        view.ids[keep], view.groups[keep], view.xy[keep, 0], view.xy[keep, 1], view.velocity[keep, 0],
        view.velocity[keep, 1], view.distance[keep], view.bearing[keep], view.pace[keep], view.closing[keep],
        view.facing[keep], view.speed, view.goal, mark,
    )  # fmt: skip


def _free_passage(s: _Seen, site: Site) -> bool:
    return len(s) == 0 and site.kind not in ("corner", "lift")


def _frontal_approach(s: _Seen, site: Site) -> bool:
    alone = len(s) > 0 and bool(s.oncoming[0]) and s.oncoming.sum() == 1 and len(s) <= 2
    return alone and site.environment in ("corridor", "hall") and site.width > WIDE and s.d[0] > 1.0


def _narrow_hallway(s: _Seen, site: Site) -> bool:
    few = 0 < s.oncoming.sum() <= 3 and len(s) <= 3
    return bool(few and site.environment == "corridor" and site.width < NARROW and s.oncoming[0])


def _obstruction(s: _Seen, site: Site) -> bool:
    if len(s) != 1 or s.pace[0] > 0.25 or site.environment in ("doorway", "elevator", "corner"):
        return False
    return bool(abs(s.y[0]) < 0.9 and 0.7 < s.x[0] < 7.0 and abs(s.bearing[0]) < 0.9)


def _along(s: _Seen, i: int) -> bool:
    """Person i walks the way the robot faces."""
    return bool(s.vx[i] > 0.15 and abs(np.arctan2(s.vy[i], s.vx[i])) < 0.5)


def _pedestrian_overtaking(s: _Seen, site: Site) -> bool:
    if not 1 <= len(s) <= 2 or s.v < 0.25:
        return False
    return bool(_along(s, 0) and s.vx[0] - s.v > 0.3 and -5.0 < s.x[0] < 4.5 and abs(s.y[0]) < 2.2)


def _robot_overtaking(s: _Seen, site: Site) -> bool:
    if not 1 <= len(s) <= 2 or not _along(s, 0):
        return False
    return bool(0.5 < s.x[0] < 5.0 and abs(s.y[0]) < 1.8 and s.v - s.vx[0] > 0.25 and s.vx[0] < 0.6)


def _down_path(s: _Seen, site: Site) -> bool:
    if not 1 <= len(s) <= 2 or not _along(s, 0):
        return False
    return bool(2.2 < s.x[0] < 7.0 and abs(s.y[0]) < 1.9 and s.vx[0] > 0.4 and abs(s.vx[0] - s.v) < 0.22)


def _together(s: _Seen) -> bool:
    """The nearest person keeps the robot's speed and course, and nobody else is as near."""
    if len(s) == 0 or s.v < 0.3 or not _along(s, 0):
        return False
    return bool(abs(s.vx[0] - s.v) < 0.25 and (len(s) == 1 or s.d[1] > s.d[0] + 0.5))


def _following(s: _Seen, site: Site) -> bool:
    return _together(s) and bool(0.6 < s.x[0] < 1.75 and abs(s.y[0]) < 0.7)


def _leading(s: _Seen, site: Site) -> bool:
    return _together(s) and bool(-2.4 < s.x[0] < -0.6 and abs(s.y[0]) < 0.9)


def _accompanying(s: _Seen, site: Site) -> bool:
    return _together(s) and bool(abs(s.x[0]) < 0.8 and 0.5 < abs(s.y[0]) < 1.7)


def _intersection(s: _Seen, site: Site) -> bool:
    if site.kind != "crossing" or not 0.2 < s.mark[0] < 6.5 or len(s) == 0:
        return False
    across = (s.pace > _WALKS) & (np.abs(s.vy) > 0.7 * s.pace)
    to_mark = np.hypot(s.x - s.mark[0], s.y - s.mark[1])
    waits = (s.pace <= _WALKS) & (to_mark < 3.0)
    return bool(((across | waits) & (np.abs(s.bearing) < 1.0)).any())


def _blind_corner(s: _Seen, site: Site) -> bool:
    if site.kind != "corner" or not 0.6 < s.mark[0] < 5.0:
        return False
    return len(s) == 0 or bool((np.hypot(s.x - s.mark[0], s.y - s.mark[1]) < 1.8).all() and len(s) == 1)


def _faces(s: _Seen, nearest: float) -> bool:
    """The robot comes up to the marked opening and looks at it."""
    return bool(nearest < s.mark[0] < 5.5 and abs(s.mark[1]) < 1.2 * s.mark[0])


def _at_door(s: _Seen) -> FloatArray:
    return np.hypot(s.x - s.mark[0], s.y - s.mark[1])


def _narrow_doorway(s: _Seen, site: Site) -> bool:
    if (
        site.kind != "door"
        or site.inside not in ("left", "right")
        or not 0.3 < s.mark[0] < 4.0
        or len(s) == 0
    ):
        return False
    return bool((_at_door(s)[0] < 1.6) and s.closing[0] > -0.2)


def _entering_room(s: _Seen, site: Site) -> bool:
    if site.kind != "door" or site.inside != "corridor" or not _faces(s, 0.4) or len(s) == 0:
        return False
    return bool((s.x > s.mark[0] - 0.3).any() and s.x[0] > s.mark[0] - 1.0)


def _exiting_room(s: _Seen, site: Site) -> bool:
    if site.kind != "door" or site.inside != "room" or not _faces(s, 0.4) or len(s) == 0:
        return False
    return bool((s.x > s.mark[0] - 0.3).any() and s.x[0] > s.mark[0] - 1.0)


def _entering_elevator(s: _Seen, site: Site) -> bool:
    if site.kind != "lift" or site.inside == "cab" or not _faces(s, 0.3) or len(s) == 0:
        return False
    return bool((_at_door(s) < 2.8).any())


def _exiting_elevator(s: _Seen, site: Site) -> bool:
    if site.kind != "lift" or site.inside != "cab" or len(s) == 0 or s.mark[0] < 0.0:
        return False
    return bool((s.x > s.mark[0]).any())


def _groups(s: _Seen, standing: bool) -> list[NDArray[np.int64]]:
    """Rows of each group of which two or more are in sight and stand (or walk)."""
    out = []
    for g in np.unique(s.groups[s.groups >= 0]):
        rows = np.flatnonzero(s.groups == g)
        still = (s.pace[rows] < _WALKS).mean() > 0.6
        if len(rows) >= 2 and still == standing:
            out.append(rows)
    return out


def _centre(s: _Seen, rows: NDArray[np.int64]) -> FloatArray:
    return np.array([s.x[rows].mean(), s.y[rows].mean()])


def _join_group(s: _Seen, site: Site) -> bool:
    groups = _groups(s, True)
    if len(groups) != 1 or _is_posing(s, site) or site.waits:
        return False
    at = _centre(s, groups[0])
    bearing = abs(np.arctan2(at[1], at[0]))
    return bool(bearing < 0.75 and 1.2 < np.hypot(*at) < 7.0 and np.hypot(*(s.goal - at)) < 2.6)


def _leave_group(s: _Seen, site: Site) -> bool:
    groups = _groups(s, True)
    if len(groups) != 1 or _is_posing(s, site) or site.waits:
        return False
    at = _centre(s, groups[0])
    apart = abs(float(wrap(np.arctan2(*at[::-1]) - np.arctan2(*s.goal[::-1]))))
    return bool(np.hypot(*at) < 2.9 and apart > 1.2 and np.hypot(*s.goal) > 2.0)


def _static_groups(s: _Seen, site: Site) -> bool:
    ahead = [g for g in _groups(s, True) if abs(np.arctan2(*_centre(s, g)[::-1])) < 1.2]
    return len(ahead) >= 2


def _moving_groups(s: _Seen, site: Site) -> bool:
    for rows in _groups(s, False):
        at = _centre(s, rows)
        if s.closing[rows].mean() > 0.3 and abs(np.arctan2(at[1], at[0])) < 0.8 and np.hypot(*at) > 1.0:
            return len(s) <= len(s.groups[s.groups >= 0]) + 2
    return False


def _courses(s: _Seen) -> tuple[FloatArray, int]:
    """Courses [rad] of those who walk, and how many are in sight."""
    walks = s.pace > _WALKS
    return np.arctan2(s.vy[walks], s.vx[walks]), len(s)


def _converging(s: _Seen, site: Site) -> float:
    """Share of those in sight who walk towards the middle of the place."""
    to = np.stack([s.mark[0] - s.x, s.mark[1] - s.y], axis=-1)
    far = np.hypot(*to.T)
    share = (to[:, 0] * s.vx + to[:, 1] * s.vy) / np.maximum(far * s.pace, 1e-6)
    return float(((share > 0.7) & (s.pace > _WALKS) & (far > 0.8)).mean()) if len(s) else 0.0


def _crowd(s: _Seen, site: Site) -> bool:
    courses, n = _courses(s)
    if n < 6 or len(courses) < 0.6 * n or site.environment != "hall" or _robot_crowding(s, site):
        return False
    axis = abs(np.exp(2j * courses).mean())
    return bool(abs(np.exp(1j * courses).mean()) < 0.75 and axis < 0.65) and _converging(s, site) < 0.6


def _parallel_traffic(s: _Seen, site: Site) -> bool:
    courses, n = _courses(s)
    return bool(n >= 4 and len(courses) >= 0.75 * n and (np.abs(np.cos(courses)) > 0.85).mean() >= 0.8
                and not (s.groups >= 0).any())  # fmt: skip


def _perpendicular_traffic(s: _Seen, site: Site) -> bool:
    courses, n = _courses(s)
    if n < 4 or len(courses) < 0.7 * n or site.environment != "hall":
        return False
    return bool((np.abs(np.sin(courses)) > 0.85).mean() >= 0.75 and (s.x > 0.5).sum() >= 3)


def _circular_crossing(s: _Seen, site: Site) -> bool:
    return site.kind == "middle" and len(s) >= 4 and _converging(s, site) >= 0.7 and s.mark[0] > 0.5


def _robot_crowding(s: _Seen, site: Site) -> bool:
    close = (s.d < 2.4) & (np.abs(wrap(s.facing - s.bearing - np.pi)) < 0.9) & (s.closing > -0.3)
    return bool(close.sum() >= 3 and close[:3].all() and not site.waits)


def _queue(s: _Seen, site: Site) -> bool:
    line = np.isin(s.ids, list(site.waits)) & (s.pace < 0.5)
    return bool(line.sum() >= 3 and (np.abs(s.bearing[line]) < 1.05).sum() >= 3)


def _is_posing(s: _Seen, site: Site) -> bool:
    return bool(np.isin(s.ids, list(site.poses)).any())


def _photo_session(s: _Seen, site: Site) -> bool:
    posing = np.flatnonzero(np.isin(s.ids, list(site.poses)))
    if len(posing) < 2 or not site.poses or min(site.poses) not in s.ids[posing]:
        return False
    at = _centre(s, posing)
    return bool(at[0] > 0.6 and abs(np.arctan2(at[1], at[0])) < 0.8)


_TESTS: dict[str, Callable[[_Seen, Site], bool]] = {
    "free_passage": _free_passage, "frontal_approach": _frontal_approach,
    "pedestrian_obstruction": _obstruction, "pedestrian_overtaking": _pedestrian_overtaking,
    "robot_overtaking": _robot_overtaking, "down_path": _down_path, "intersection": _intersection,
    "blind_corner": _blind_corner, "narrow_hallway": _narrow_hallway, "narrow_doorway": _narrow_doorway,
    "entering_room": _entering_room, "exiting_room": _exiting_room, "entering_elevator": _entering_elevator,
    "exiting_elevator": _exiting_elevator, "following": _following, "leading": _leading,
    "accompanying": _accompanying, "join_group": _join_group, "leave_group": _leave_group, "crowd": _crowd,
    "parallel_traffic": _parallel_traffic, "perpendicular_traffic": _perpendicular_traffic,
    "circular_crossing": _circular_crossing, "robot_crowding": _robot_crowding, "queue": _queue,
    "photo_session": _photo_session, "static_groups": _static_groups, "moving_groups": _moving_groups,
}  # fmt: skip
