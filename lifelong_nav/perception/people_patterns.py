"""Patterns that several people make together: a line, a stream, a crowd around the robot, a circle.

Rules on positions and velocities at one instant; each pattern is a word of `PATTERNS`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lifelong_nav.core.types import FloatArray
from lifelong_nav.perception.groups import GroupConfig, pair_affinity
from lifelong_nav.perception.people_relations import Relations
from lifelong_nav.perception.relative_motion import TRACK_STANDING

PATTERNS: dict[str, str] = {
    "gathering": "people gather around the robot and crowd it",
    "around": "people are close on all sides of the robot",
    "queue": "people stand in a line",
    "gap": "people who stand face each other on both sides of the robot's way",
    "standing_group": "people stand together and talk",
    "walking_group": "people walk together as a group",
    "circle": "people cross from all around through one middle",
    "cross_stream": "a stream of people walks across the robot's way",
    "with_stream": "a stream of people walks along with the robot",
    "against_stream": "a stream of people comes towards the robot",
    "two_streams": "two streams of people walk against each other along the robot's way",
    "mixed_crowd": "many people walk in all directions",
    "individuals": "everybody is on their own",
    "nobody": "there are no groups",
}
"""Most telling first."""
_GROUPS = GroupConfig()
STAND_AFFINITY, WALK_AFFINITY = 0.62, 0.62
"""How alike companions must look at one instant to be joined without the tracker's word."""
LINE_STEP, LINE_WIDTH = (0.45, 1.9), 0.2
"""How far apart people in a line stand, and how far off it the track of one may be [m]."""


def join_groups(at: FloatArray, velocity: FloatArray, group: NDArray[np.int64]) -> NDArray[np.int64]:
    """Groups from the tracker's labels and from who looks like companions right now; -1 for none.

    Args:
        at: (N, 2) [m].
        velocity: (N, 2) [m/s].
        group: (N,) labels of the tracker, < 0 for none.
    """
    n = len(at)
    if n < 2:
        return np.full(n, -1, dtype=np.int64)
    told = (group[:, None] == group[None]) & (group >= 0)[:, None]
    stands = np.hypot(velocity[:, 0], velocity[:, 1]) < TRACK_STANDING
    enough = np.where(stands[:, None] & stands[None], STAND_AFFINITY, WALK_AFFINITY)
    link = told | (pair_affinity(at, velocity, _GROUPS) > enough)
    label = _components(link)
    return np.where(np.bincount(label)[label] > 1, label, -1).astype(np.int64)


def patterns(r: Relations, way: float = 0.0, robot_speed: float = 0.0) -> list[str]:
    """Words of `PATTERNS` that hold, most telling first; never empty.

    Args:
        r: everybody in reach.
        way: bearing of the robot's way [rad].
        robot_speed: forward [m/s].
    """
    if len(r) == 0:
        return ["nobody"]
    moves = r.speed >= TRACK_STANDING
    found = {
        "gathering": _gathering(r, robot_speed),
        "around": _around(r),
        "queue": _queue(r.at[~moves]),
        "gap": _gap(r, ~moves, way),
        "standing_group": _grouped(r, ~moves),
        "walking_group": _grouped(r, moves),
    }
    found[_flow(r.at[moves], r.velocity[moves])] = True
    words = [w for w in PATTERNS if found.get(w)]
    return words or ["individuals"]


def _components(link: NDArray[np.bool_]) -> NDArray[np.int64]:
    """(N,) number of the connected component of each; for a few dozen faster than a sparse search."""
    reach = link | np.eye(len(link), dtype=bool)
    for _ in range(max(1, len(link).bit_length())):
        reach = reach @ reach
    return reach.argmax(axis=1)


def _grouped(r: Relations, who: NDArray[np.bool_]) -> bool:
    """Two of one group among `who`."""
    labels = r.group[who & (r.group >= 0)]
    return bool(len(labels) and np.bincount(labels).max() >= 2)


def _gathering(r: Relations, robot_speed: float) -> bool:
    """Three and more within 2.6 m from several sides who stand there, come up or keep up with the robot."""
    near = r.distance < 2.6
    if near.sum() < 3:
        return False
    pull = np.hypot(r.velocity[:, 0] - robot_speed, r.velocity[:, 1]) < 0.45
    comes = -np.einsum("nk,nk->n", r.at, r.velocity) > 0.8 * r.distance * r.speed
    drawn = near & ((r.motion == "standing") | comes | pull)
    if drawn.sum() < 3 or drawn.sum() < 0.7 * near.sum():
        return False
    bearing = np.sort(np.arctan2(r.at[drawn, 1], r.at[drawn, 0]))
    hole = np.diff(np.append(bearing, bearing[0] + 2.0 * np.pi)).max()
    return bool(hole < np.radians(240.0))


def _around(r: Relations) -> bool:
    """Three and more within 2.6 m in three sectors, whatever they do."""
    return len(np.unique(r.sector[r.distance < 2.6])) >= 3


def _queue(at: FloatArray) -> bool:
    """Three and more who stand on a straight line, a step or two apart; others may stand about."""
    if len(at) < 3:
        return False
    first, second = np.nonzero(_steps_apart(at))
    along = at[second] - at[first]
    along = along / np.hypot(along[:, 0], along[:, 1])[:, None]
    rel = at[None] - at[first][:, None]
    side = np.abs(along[:, :1] * rel[..., 1] - along[:, 1:] * rel[..., 0])
    place = np.einsum("pk,pnk->pn", along, rel)
    for on, where in zip(side < LINE_WIDTH, place, strict=True):
        steps = np.diff(np.sort(where[on]))  # runs of steps of a line, two in a row make three people
        good = (steps > LINE_STEP[0]) & (steps < LINE_STEP[1])
        if (good[1:] & good[:-1]).any():
            return True
    return False


def _steps_apart(at: FloatArray) -> NDArray[np.bool_]:
    """(N, N) True for pairs who may be neighbours in a line, each pair once."""
    apart = np.hypot(*(at[:, None] - at[None]).transpose(2, 0, 1))
    return np.triu((apart > LINE_STEP[0]) & (apart < LINE_STEP[1]))


def _gap(r: Relations, stands: NDArray[np.bool_], way: float) -> bool:
    """Two who stand 1.8 to 5 m apart, and the robot's way leads between them with nobody in it."""
    at = r.at[stands & (r.distance < 7.0)]
    if len(at) < 2:
        return False
    c, s = np.cos(way), np.sin(way)
    q = at @ np.array([[c, -s], [s, c]])
    left, right = q[(q[:, 1] > 0.6) & (q[:, 0] > -0.5)], q[(q[:, 1] < -0.6) & (q[:, 0] > -0.5)]
    if not len(left) or not len(right) or (np.abs(q[:, 1]) < 0.6).any():
        return False
    d = left[:, None] - right[None]
    apart, skew = np.hypot(d[..., 0], d[..., 1]), np.abs(d[..., 0])
    return bool(((apart > 1.8) & (apart < 5.0) & (skew < 1.3)).any())


def _flow(at: FloatArray, velocity: FloatArray) -> str:
    """The pattern of those who walk; "" for fewer than three."""
    if len(at) < 3:
        return ""
    unit = velocity / np.hypot(velocity[:, 0], velocity[:, 1])[:, None]
    mean = unit.mean(axis=0)
    axial = complex((np.exp(2j * np.arctan2(unit[:, 1], unit[:, 0]))).mean())
    if np.hypot(*mean) > 0.8:
        if abs(mean[1]) > abs(mean[0]):
            return "cross_stream"
        return "with_stream" if mean[0] > 0.0 else "against_stream"
    if abs(axial) > 0.7:
        return "two_streams" if np.cos(np.angle(axial)) > 0.0 else "cross_stream"
    if len(at) >= 4:
        return "circle" if _converge(at, unit) else "mixed_crowd"
    return ""


def _converge(at: FloatArray, unit: FloatArray) -> bool:
    """Most are heading for one spot, from all around: least squares of the lines they walk on."""
    normal = np.stack([-unit[:, 1], unit[:, 0]], axis=-1)
    offset = np.einsum("nk,nk->n", normal, at)
    spot, *_ = np.linalg.lstsq(normal, offset, rcond=None)
    away = np.abs(normal @ spot - offset)
    bearing = np.sort(np.arctan2(*(at - spot).T[::-1]))
    hole = np.diff(np.append(bearing, bearing[0] + 2.0 * np.pi)).max()
    near = np.hypot(*(at - spot).T) < 7.0
    return bool((near & (away < 0.9)).mean() > 0.7 and hole < np.radians(200.0))
