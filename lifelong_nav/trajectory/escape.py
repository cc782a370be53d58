"""Where to back off to when the robot is wedged in: the most open place near by that it can get to."""

from __future__ import annotations

import numpy as np

from lifelong_nav.core.types import Pose2
from lifelong_nav.trajectory.cost_grid import CostGrid


def open_place(grid: CostGrid, pose: Pose2, reach: float = 2.0, least: float = 0.5) -> Pose2 | None:
    """The place with the most room between `least` and `reach` [m] from the robot, None when boxed in.

    Room is the distance to obstacles up to 1.5 m; places straight ahead are liked less, because
    ahead is where the robot got stuck.

    Args:
        grid: costs.
        pose: the robot, in the grid's frame.
        reach: farthest place [m].
        least: nearest place [m].
    """
    low = np.floor((pose.xy - reach - grid.origin) / grid.resolution).astype(int)
    high = np.ceil((pose.xy + reach - grid.origin) / grid.resolution).astype(int)
    low = np.clip(low, 0, grid.shape[::-1])
    high = np.clip(high, low, grid.shape[::-1])
    rows, columns = np.nonzero(np.isfinite(grid.cost[low[1] : high[1], low[0] : high[0]]))
    if len(rows) == 0:
        return None
    cells = np.stack([rows + low[1], columns + low[0]], axis=-1)
    points = grid.points(cells)
    gap = points - pose.xy
    away = np.linalg.norm(gap, axis=1)
    ahead = (gap @ np.array([np.cos(pose.yaw), np.sin(pose.yaw)])) / np.maximum(away, 1e-9)
    room = np.minimum(grid.distance[cells[:, 0], cells[:, 1]], 1.5)
    merit = room - 0.2 * away - 0.4 * np.maximum(ahead, 0.0)
    merit[(away < least) | (away > reach)] = -np.inf
    best = int(np.argmax(merit))
    if not np.isfinite(merit[best]):
        return None
    x, y = points[best]
    return Pose2(float(x), float(y), float(np.arctan2(gap[best, 1], gap[best, 0])))
