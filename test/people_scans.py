"""An office, people with two swinging legs, and a lidar: analytic scans for the people tests."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lifelong_nav.core.geometry import transform_points2
from lifelong_nav.core.types import LaserScan, Pose2

LEG = 0.07


def rectangle(x, y, length, width, yaw=0.0):
    """(4, 4) segments of a box outline."""
    half = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)]) * (length / 2, width / 2)
    corners = transform_points2(Pose2(x, y, yaw), half)
    return np.concatenate([corners, np.roll(corners, -1, axis=0)], axis=1)


def office():
    """Segments (M, 4) and circles (K, 3) of a 16 x 10 m room: desks on legs, shelves, bins, a pillar."""
    segments = [rectangle(0, 0, 16, 10), rectangle(-5, 4.5, 3, 0.8), rectangle(6, -4, 0.6, 1.6)]
    segments += [
        rectangle(2, 4.6, 1.2, 0.5),
        rectangle(-7.5, -2, 0.7, 2.0),
        rectangle(0.5, -3.2, 0.5, 0.5, 0.4),
    ]
    circles = []
    for x, y in ((-4.0, -3.0), (4.0, 2.8)):  # four-legged tables
        circles += [(x + dx, y + dy, 0.03) for dx in (-0.7, 0.7) for dy in (-0.4, 0.4)]
    circles += [(5.5, 0.5, 0.2), (-1.5, 3.5, 0.15), (-6.0, 1.0, 0.25)]
    return np.concatenate(segments), np.array(circles)


@dataclass
class Walker:
    """Walks back and forth between two points; `waits` (from, to) [s] are stretches of standing."""

    a: tuple[float, float]
    b: tuple[float, float]
    speed: float = 1.2
    phase: float = 0.0
    waits: tuple[float, float] = (1e9, 1e9)

    def at(self, t):
        """Position (2,), velocity (2,), legs (2, 2) at time t [s]."""
        walked = min(t, self.waits[0]) + max(t - self.waits[1], 0.0)
        waiting = self.waits[0] <= t < self.waits[1]
        a, b = np.array(self.a, dtype=float), np.array(self.b, dtype=float)
        length = np.linalg.norm(b - a)
        s = (self.phase * length + walked * self.speed) % (2 * length)
        way = (b - a) / length
        sign = 1.0 if s < length else -1.0
        place = a + way * (s if s < length else 2 * length - s)
        swing = (
            0.0 if waiting else 0.25 * np.sin(2 * np.pi * 0.9 * walked + self.phase * 7) * self.speed / 1.2
        )
        side = np.array([-way[1], way[0]]) * 0.11
        legs = np.stack([place + side + way * swing, place - side - way * swing])
        return place, (0.0 if waiting else sign * self.speed) * way, legs


def cast(pose, circles, segments, beams=360, noise=0.01, rng=None, range_max=12.0, stamp=0.0):
    """A full-circle scan of circles (K, 3) and segments (M, 4); also which circle each beam hit (-1)."""
    step = 2 * np.pi / beams
    angles = -np.pi + step * np.arange(beams)
    d = np.stack([np.cos(angles + pose.yaw), np.sin(angles + pose.yaw)], axis=1)
    ranges = np.full(beams, np.inf)
    hit = np.full(beams, -1)
    if len(segments):
        p, e = segments[:, :2] - (pose.x, pose.y), segments[:, 2:] - segments[:, :2]
        cross = d[:, :1] * e[None, :, 1] - d[:, 1:] * e[None, :, 0]
        with np.errstate(divide="ignore", invalid="ignore"):
            t = (p[:, 0] * e[:, 1] - p[:, 1] * e[:, 0])[None] / cross
            u = (p[None, :, 0] * d[:, 1:] - p[None, :, 1] * d[:, :1]) / cross
        t = np.where((u >= 0) & (u <= 1) & (t > 0), t, np.inf)
        ranges = t.min(axis=1)
    if len(circles):
        c = circles[:, :2] - (pose.x, pose.y)
        along = d @ c.T
        across = d[:, :1] * c[None, :, 1] - d[:, 1:] * c[None, :, 0]
        inside = circles[None, :, 2] ** 2 - across**2
        t = np.where((inside > 0) & (along > 0), along - np.sqrt(np.maximum(inside, 0)), np.inf)
        near = t.min(axis=1)
        hit = np.where(near < ranges, t.argmin(axis=1), -1)
        ranges = np.minimum(ranges, near)
    if rng is not None:
        ranges = ranges + rng.normal(0, noise, beams)
    ranges = np.where(ranges > range_max, np.inf, np.maximum(ranges, 0.06))
    return LaserScan(stamp, "laser", -np.pi, step, 0.05, range_max, ranges), hit


def film(walkers, robot, seconds, rate=10.0, beams=360, seed=0, segments=None, furniture=None):
    """Scans of a scene over time: yields (scan, laser pose, positions (N, 2), seen (N,) beams on each)."""
    rng = np.random.default_rng(seed)
    default_segments, default_furniture = office()
    segments = default_segments if segments is None else segments
    furniture = default_furniture if furniture is None else furniture
    for k in range(int(seconds * rate)):
        t = k / rate
        pose = robot(t)
        placed = [w.at(t) for w in walkers]
        legs = np.array([(*leg, LEG) for p in placed for leg in p[2]]).reshape(-1, 3)
        scan, hit = cast(
            pose, np.concatenate([legs, furniture.reshape(-1, 3)]), segments, beams, rng=rng, stamp=t
        )
        seen = np.array([np.isin(hit, (2 * i, 2 * i + 1)).sum() for i in range(len(walkers))])
        yield scan, pose, np.array([p[0] for p in placed]).reshape(-1, 2), seen
