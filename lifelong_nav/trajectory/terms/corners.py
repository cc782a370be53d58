"""Where a scan's view ends at an edge: corners behind which somebody may be."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lifelong_nav.core.types import FloatArray
from lifelong_nav.trajectory.situation import Situation

_DEEP = 0.8  # m; a step in range smaller than this hides nobody
_WIDE = 0.5  # m; narrower things (legs, posts) hide nobody
_OCCLUDER = 0.5  # m around a person: people come and go, they are no corners
_LOOK = 3.0  # m of the way behind a corner that is looked at


def hidden_corners(
    situation: Situation, people: FloatArray, reach: float
) -> tuple[FloatArray, NDArray[np.bool_]]:
    """Edges of what the scan sees, with floor behind them that it does not see.

    Args:
        situation: with scan and sensor; without them there is nothing.
        people: (P, 2) where people are [m].
        reach: farthest corner [m].

    Returns:
        (E, 2) corners in the situation's frame; (E,) True where the way itself leads out of sight near it.
    """
    scan, sensor = situation.scan, situation.sensor
    none = np.zeros((0, 2)), np.zeros(0, dtype=bool)
    if scan is None or sensor is None or len(scan.ranges) < 16:
        return none
    ranges = np.asarray(scan.ranges, dtype=float)
    depth = np.where(scan.valid(), ranges, np.where(np.isposinf(ranges), scan.range_max, np.nan))
    known = np.isfinite(depth)
    if known.sum() < 16:
        return none
    depth = np.interp(np.arange(len(depth)), np.flatnonzero(known), depth[known])
    angles = sensor.yaw + scan.angles()
    points = sensor.xy + depth[:, None] * np.stack([np.cos(angles), np.sin(angles)], axis=-1)
    near = np.minimum(depth[:-1], depth[1:])
    # A wall at grazing incidence has steps too, in proportion to the square of its range.
    step = np.abs(np.diff(depth)) > _DEEP + 1.5 * near**2 * abs(scan.angle_increment)
    cuts = np.flatnonzero(step)
    if len(cuts) == 0:
        return none
    first, last = np.append(0, cuts + 1), np.append(cuts, len(depth) - 1)
    wide = np.linalg.norm(points[last] - points[first], axis=1) > _WIDE
    if len(depth) * abs(scan.angle_increment) > 2.0 * np.pi - 0.05:  # the first piece goes on in the last
        wide[[0, -1]] |= wide[0] | wide[-1]
    left_near = depth[cuts] < depth[cuts + 1]
    edge = np.where(left_near, cuts, cuts + 1)
    piece = np.arange(len(cuts)) + ~left_near
    keep = wide[piece] & (depth[edge] < min(reach, scan.range_max - 0.1))
    corners = points[edge[keep]]
    if len(people) and len(corners):
        away = np.linalg.norm(corners[:, None] - people[None], axis=-1).min(axis=1)
        corners = corners[away > _OCCLUDER]
    if len(corners) == 0:
        return none
    return corners, _way_hides(situation, corners, angles, depth)


def _way_hides(
    situation: Situation, corners: FloatArray, angles: FloatArray, depth: FloatArray
) -> NDArray[np.bool_]:
    """(E,) True where the route leads out of sight within reach of a corner."""
    sensor = situation.sensor
    assert sensor is not None
    route = np.asarray(situation.route, dtype=float)[:, :2]
    offset = route - sensor.xy
    far = np.linalg.norm(offset, axis=1)
    bearing = np.arctan2(offset[:, 1], offset[:, 0])
    turn = (bearing[:, None] - angles[None, :: max(1, len(angles) // 360)] + np.pi) % (2.0 * np.pi) - np.pi
    beam = np.abs(turn).argmin(axis=1) * max(1, len(angles) // 360)
    hidden = (far > depth[beam] + 0.2) & (far < 12.0)
    if not hidden.any():
        return np.zeros(len(corners), dtype=bool)
    first = route[hidden][0]  # where it is lost from sight
    return np.asarray(np.linalg.norm(corners - first, axis=1) < _LOOK, dtype=bool)
