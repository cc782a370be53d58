"""Hand-made situations for choosing among trajectories: walls, people, a way, and timed polylines on it."""

from __future__ import annotations

import cv2
import numpy as np

from lifelong_nav.core.distance import DistanceField
from lifelong_nav.core.types import LaserScan, People, Pose2, TrackedPerson, Trajectory, Twist2
from lifelong_nav.sim.lidar import fast_ranges
from lifelong_nav.trajectory.selector import with_forecast
from lifelong_nav.trajectory.situation import CLASSICAL, TIMES, Candidate, Situation

BEAMS = 360


def person(x, y, vx=0.0, vy=0.0, group=-1, number=0):
    """One tracked person."""
    return TrackedPerson(number, x, y, vx, vy, np.eye(4) * 0.003, group)


def situation(people=(), walls=(), way=((0, 0), (8, 0)), speed=0.8, v=None, yaw=None, at=None, scan=False):
    """The robot at the start of its way (or `at`), facing along it at `v` (its speed unless told)."""
    way = np.asarray(way, float)
    place = way[0] if at is None else np.asarray(at, float)
    yaw = float(np.arctan2(*(way[1] - way[0])[::-1])) if yaw is None else yaw
    tracked = tuple(
        TrackedPerson(i, p.x, p.y, p.vx, p.vy, p.covariance, p.group_id) for i, p in enumerate(people)
    )
    segments = np.asarray(walls, float).reshape(-1, 4)
    field = laser = None
    if len(segments):
        field = field_of(segments)
    if scan:
        step = 2 * np.pi / BEAMS
        ranges = fast_ranges(place, -np.pi + yaw, step, BEAMS, segments, np.zeros((0, 3)), 12.0)
        laser = LaserScan(0.0, "laser", -np.pi, step, 0.1, 12.0, ranges)
    pose = Pose2(*place, yaw)
    s = Situation(
        0.0, pose, Twist2(speed if v is None else v), densely(way), Pose2(*way[-1], np.nan), speed,
        People(0.0, "odom", tracked), field=field, scan=laser, sensor=pose if scan else None,
    )  # fmt: skip
    return with_forecast(s)


def field_of(segments, low=-10.0, size=400, resolution=0.05):
    """Distance to walls on a square of 20 m around the origin."""
    free = np.full((size, size), 255, np.uint8)
    ends = np.rint((segments - low) / resolution - 0.5).astype(int)
    for x1, y1, x2, y2 in ends.tolist():
        cv2.line(free, (x1, y1), (x2, y2), 0)
    distance = cv2.distanceTransform(free, cv2.DIST_L2, 5) * resolution
    return DistanceField(distance.astype(np.float32), resolution, (low, low), 3.0)


def densely(points, spacing=0.1):
    """A polyline with points at most `spacing` apart."""
    points = np.asarray(points, float)
    arcs = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))])
    at = np.linspace(0, arcs[-1], max(2, int(arcs[-1] / spacing) + 1))
    return np.stack([np.interp(at, arcs, points[:, i]) for i in (0, 1)], axis=-1)


def drive(name, points, speed=0.8, wait=0.0, source=CLASSICAL):
    """Along a polyline at a speed, a number or (T,), after waiting; at its end it stands."""
    points = np.asarray(points, float)
    if len(points) == 1:
        points = np.vstack([points, points + 1e-6])
    arcs = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))])
    v = np.broadcast_to(np.asarray(speed, float), TIMES.shape) * (wait + 1e-9 < TIMES)
    s = np.minimum(np.cumsum(v) * 0.2, arcs[-1])
    xy = np.stack([np.interp(s, arcs, points[:, i]) for i in (0, 1)], axis=-1)
    way = np.diff(points, axis=0)
    leg = np.clip(np.searchsorted(arcs, s, side="left") - 1, 0, len(way) - 1)
    yaw = np.arctan2(way[leg, 1], way[leg, 0])
    poses = np.column_stack([xy, yaw])
    twists = np.stack([np.diff(s, prepend=0.0) / 0.2, np.zeros(len(s))], axis=-1)
    return Candidate(name, source, Trajectory(0.0, "odom", TIMES, poses, twists))


def detour(side, at=2.5, length=2.0, end=8.0):
    """A polyline along x that swings to y = side around x = at."""
    x = np.linspace(0, end, 81)
    return np.stack([x, side * np.exp(-0.5 * ((x - at) / (0.45 * length)) ** 2)], axis=-1)
