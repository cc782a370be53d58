"""A flat world for localisation tests: walls as segments, people as circles, an analytic lidar, a map."""

import numpy as np

from lifelong_nav.core.geometry import compose2, inverse2
from lifelong_nav.core.grid import OccupancyGrid
from lifelong_nav.core.types import LaserScan, Pose2

FURNITURE = (
    (1, 1, 2, 2.5), (8, 0.5, 11, 1.3), (15, 3, 16, 4), (20, 1, 20.6, 4), (27, 2, 28.5, 3), (2, 13, 4, 14),
    (9, 14, 11, 15), (14, 11, 16, 12.2), (18, 14.4, 20, 15), (23, 12, 24, 15), (27.5, 11, 29, 12),
)  # fmt: skip
"""x0, y0, x1, y1 of each piece; they are the last rows of `office`."""


def box(x0, y0, x1, y1):
    return [(x0, y0, x1, y0), (x1, y0, x1, y1), (x1, y1, x0, y1), (x0, y1, x0, y0)]


def office():
    """30 m x 16 m: a corridor with rooms of different size and furniture on both sides."""
    s = box(0, 0, 30, 16)
    for x in (6.0, 13.0, 18.0, 25.0):
        s.append((x, 0, x, 6.5))
    for x in (8.0, 12.0, 21.0):
        s.append((x, 9.0, x, 16))
    edges = {6.5: (3.0, 9.5, 15.5, 21.0, 27.5), 9.0: (4.0, 10.0, 16.5, 26.0)}
    for y, doors in edges.items():
        at = 0.0
        for d in doors:
            s.append((at, y, d - 0.5, y))
            at = d + 0.5
        s.append((at, y, 30.0, y))
    for furniture in FURNITURE:
        s += box(*furniture)
    return np.array(s, dtype=float)


def corridor(length=40.0, width=2.4):
    return np.array([(-1, 0, length, 0), (-1, width, length, width)], dtype=float)


def rasterise(segments, resolution=0.05, margin=1.0):
    low = segments.reshape(-1, 2).min(axis=0) - margin
    high = segments.reshape(-1, 2).max(axis=0) + margin
    w, h = np.ceil((high - low) / resolution).astype(int)
    data = np.zeros((h, w), np.int8)
    for x0, y0, x1, y1 in segments:
        n = max(2, int(np.hypot(x1 - x0, y1 - y0) / (0.2 * resolution)))
        t = np.linspace(0, 1, n)
        c = ((x0 + t * (x1 - x0) - low[0]) / resolution).astype(int)
        r = ((y0 + t * (y1 - y0) - low[1]) / resolution).astype(int)
        data[r, c] = 100
    return OccupancyGrid(data, resolution, (float(low[0]), float(low[1])))


def cast(segments, circles, pose, angles, limit):
    """Exact ranges [m]; +inf beyond the limit."""
    d = np.stack([np.cos(pose[2] + angles), np.sin(pose[2] + angles)], axis=-1)
    a, b = segments[:, :2] - pose[:2], segments[:, 2:] - segments[:, :2]
    cross = d[:, None, 0] * b[None, :, 1] - d[:, None, 1] * b[None, :, 0]
    with np.errstate(divide="ignore", invalid="ignore"):
        t = (a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0])[None] / cross
        u = (a[None, :, 0] * d[:, None, 1] - a[None, :, 1] * d[:, None, 0]) / cross
    t[~((t > 0) & (u >= 0) & (u <= 1))] = np.inf
    out = t.min(axis=1)
    for x, y, r in circles:
        m = np.array([x, y]) - pose[:2]
        along = d @ m
        square = r * r - (m @ m - along**2)
        hit = along - np.sqrt(np.maximum(square, 0.0))
        out = np.where((square > 0) & (hit > 0), np.minimum(out, hit), out)
    return np.where(out < limit, out, np.inf)


def scan(segments, pose, stamp, rng, circles=(), beams=360, limit=12.0, sigma=0.01):
    angles = -np.pi + 2 * np.pi / beams * np.arange(beams)
    ranges = cast(segments, circles, pose, angles, limit) + rng.normal(0, sigma, beams)
    ranges[rng.random(beams) < 0.005] = np.inf
    return LaserScan(stamp, "laser", -np.pi, 2 * np.pi / beams, 0.1, limit, ranges.astype(np.float32))


def drive(waypoints, speed=0.8, rate=10.0, turn=1.2):
    """(T, 3) true poses of a robot that turns on the spot towards each waypoint and drives there."""
    poses = []
    x, y = waypoints[0]
    yaw = np.arctan2(waypoints[1][1] - y, waypoints[1][0] - x)
    for wx, wy in waypoints[1:]:
        wish = np.arctan2(wy - y, wx - x)
        left = (wish - yaw + np.pi) % (2 * np.pi) - np.pi
        for k in range(1, max(1, int(np.ceil(abs(left) / (turn / rate)))) + 1):
            poses.append((x, y, yaw + left * k / max(1, int(np.ceil(abs(left) / (turn / rate))))))
        yaw = wish
        n = max(1, int(np.ceil(np.hypot(wx - x, wy - y) / (speed / rate))))
        for k in range(1, n + 1):
            poses.append((x + (wx - x) * k / n, y + (wy - y) * k / n, yaw))
        x, y = wx, wy
    return np.array(poses)


def odometry(true, rng, scale=1.05, turn=1.05, drift=0.01, noise=0.03, slip=None):
    """Wheel odometry (list of Pose2, from the origin) along true poses (T, 3), with errors."""
    out = [Pose2()]
    for k in range(1, len(true)):
        d = compose2(inverse2(Pose2(*true[k - 1])), Pose2(*true[k]))
        along = scale * (slip(k) if slip else 1.0)
        way = float(np.hypot(d.x, d.y))
        yaw = d.yaw * turn * (1 + rng.normal(0, noise)) + drift * way + rng.normal(0, 1e-4)
        out.append(compose2(out[-1], Pose2(d.x * along * (1 + rng.normal(0, noise)), d.y * along, yaw)))
    return out
