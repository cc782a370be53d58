"""Can the robot still stop? Geometry of a disc driving an arc among points, for the gate.

Frame: base_link, the disc's centre at the origin, x forward.
"""

from __future__ import annotations

import numpy as np

from lifelong_nav.core.geometry import transform_points2
from lifelong_nav.core.types import FloatArray, LaserScan, Pose2

_STRAIGHT = 1e-4  # rad/m; gentler arcs are taken as straight
_STANDING = 1e-6  # m/s; slower counts as turning on the spot, which sweeps nothing for a disc
_INSIDE = 1.0 - 1e-6  # keeps a point that is touched exactly from blocking a tangent


def scan_points(scan: LaserScan, sensor: Pose2, body: float) -> tuple[FloatArray, float]:
    """Obstacle points (M, 2) of a scan in the base frame, and the share of beams that say nothing.

    +inf and ranges above range_max mean "nothing there"; -inf means "too near to measure" (REP-117)
    and counts as an obstacle at range_min; NaN, negative ranges and ranges below range_min are invalid.

    Args:
        scan: the scan; any values.
        sensor: pose of the scanner on the base.
        body: points nearer to the base's centre than this are the robot's own [m].
    """
    ranges = np.asarray(scan.ranges, dtype=float).ravel()
    limits = (scan.angle_min, scan.angle_increment, scan.range_min, scan.range_max)
    if len(ranges) == 0 or not np.isfinite(limits).all():
        return np.zeros((0, 2)), 1.0
    near = np.isneginf(ranges)
    with np.errstate(invalid="ignore"):
        hit = (ranges >= scan.range_min) & (ranges <= scan.range_max)
        empty = ranges > scan.range_max
    ranges = np.where(near, scan.range_min, ranges)
    hit |= near
    angles = scan.angle_min + scan.angle_increment * np.flatnonzero(hit)
    reach = ranges[hit]
    points = transform_points2(sensor, np.stack([reach * np.cos(angles), reach * np.sin(angles)], axis=-1))
    points = points[np.hypot(points[:, 0], points[:, 1]) >= body]
    return points, 1.0 - float(np.mean(hit | empty))


def free_distance(points: FloatArray, v: float, w: float, radius: FloatArray | float) -> FloatArray:
    """(M,) how far the centre can drive the arc (v, w) before a disc of `radius` touches each point.

    A point already inside its radius may come no nearer than it is: moving away, or past it at the same
    distance, stays free. inf where the arc never touches; the arc counts for one full turn.

    Args:
        points: (M, 2) [m].
        v: forward speed [m/s], negative backwards; below 1e-6 nothing is swept.
        w: yaw rate [rad/s].
        radius: one for all points or (M,) [m].
    """
    if abs(v) < _STANDING or len(points) == 0:
        return np.full(len(points), np.inf)
    x, y = points[:, 0], points[:, 1]
    if v < 0.0:  # driving backwards is driving forwards in the mirror
        x, v, w = -x, -v, -w
    reach = np.minimum(radius, np.hypot(x, y) * _INSIDE)
    if abs(w) < _STRAIGHT * v:
        return _free_straight(x, y, reach)
    turn = v / w
    if turn < 0.0:  # a right turn is a left turn in the other mirror
        y, turn = -y, -turn
    return _free_arc(x, y, turn, reach)


def _free_straight(x: FloatArray, y: FloatArray, reach: FloatArray) -> FloatArray:
    square = reach**2 - y**2
    meets = (square > 0.0) & (x > 0.0)
    gap = x - np.sqrt(np.maximum(square, 0.0))
    return np.where(meets, np.maximum(gap, 0.0), np.inf)


def _free_arc(x: FloatArray, y: FloatArray, turn: float, reach: FloatArray) -> FloatArray:
    """Left turn of radius `turn` about (0, turn): angles are seen from that centre."""
    away = np.hypot(x, y - turn)
    bearing = np.arctan2(x, turn - y) % (2.0 * np.pi)
    # Law of cosines: the angle between robot and point at which they are `reach` apart.
    cosine = (turn**2 + away**2 - reach**2) / np.maximum(2.0 * turn * away, 1e-12)
    meets = np.abs(cosine) < 1.0
    half = np.arccos(np.clip(cosine, -1.0, 1.0))
    return np.where(meets, turn * np.maximum(bearing - half, 0.0), np.inf)


def stopping_speed(
    free: FloatArray, decel: float, reaction: float, closing: FloatArray | float
) -> FloatArray:
    """(M,) greatest speed from which the robot stops within `free` [m].

    Solves v * reaction + v^2 / 2a + c * (reaction + v / a) = free: what is at the end of the way comes
    on at c while the robot reacts and brakes at a.

    Args:
        free: distances [m]; inf gives inf.
        decel: braking a [m/s^2], > 0.
        reaction: time until braking starts [s].
        closing: speed c >= 0 at which the other comes towards the robot [m/s].
    """
    linear = reaction + np.asarray(closing) / decel
    rest = np.maximum(np.asarray(free) - np.asarray(closing) * reaction, 0.0)
    return np.asarray(decel * (np.sqrt(linear**2 + 2.0 * rest / decel) - linear))
