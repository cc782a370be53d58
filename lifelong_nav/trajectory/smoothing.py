"""From a staircase of cells to a route: straight stretches where they are no worse, rounded corners."""

from __future__ import annotations

import numpy as np

from lifelong_nav.core.types import FloatArray
from lifelong_nav.trajectory.cost_grid import CostGrid

_LONGEST = 12.0  # [m] of one straight stretch


def line_costs(grid: CostGrid, start: FloatArray, ends: FloatArray) -> FloatArray:
    """(K,) cost-metres of the straight lines from `start` (2,) to `ends` (K, 2); +inf through obstacles."""
    lengths = np.linalg.norm(ends - start, axis=1)
    count = max(2, int(np.ceil(lengths.max() / (0.5 * grid.resolution))) + 1)
    share = (np.arange(count) + 0.5) / count
    samples = start + share[None, :, None] * (ends - start)[:, None, :]
    return np.asarray(lengths * grid.cost_at(samples).mean(axis=1))


def shortcut(grid: CostGrid, points: FloatArray) -> FloatArray:
    """The cheapest chain of straight stretches over a subset of `points` (M, 2), ends kept.

    Exact over the subset by dynamic programming, so that the outcome does not depend on the order
    in which shortcuts are tried. Stretches are at most 12 m, which bounds the work.
    """
    points = _thinned(grid, points)
    count = len(points)
    best = np.full(count, np.inf)
    best[0] = 0.0
    before = np.zeros(count, dtype=np.int64)
    for i in range(count - 1):
        far = np.linalg.norm(points[i + 1 :] - points[i], axis=1)
        reach = int(np.argmax(far > _LONGEST)) if (far > _LONGEST).any() else len(far)
        costs = line_costs(grid, points[i], points[i + 1 : i + 1 + max(1, reach)])
        if not np.isfinite(costs[0]):  # cannot be: neighbours on the chain see each other
            costs[0] = far[0] * 1e3
        # Each stretch costs a little, so that of two equal chains the one with fewer corners wins.
        total = best[i] + costs + 0.02
        index = np.arange(i + 1, i + 1 + len(costs))
        better = total < best[index]
        best[index[better]] = total[better]
        before[index[better]] = i
    chain = [count - 1]
    while chain[-1] > 0:
        chain.append(int(before[chain[-1]]))
    return points[chain[::-1]]


def _thinned(grid: CostGrid, points: FloatArray, spacing: float = 0.4) -> FloatArray:
    """Every few cells of a chain (M, 2), `spacing` [m] apart, and all cells where that would cut a corner."""
    step = max(1, round(spacing / grid.resolution))
    if len(points) <= step + 1:
        return points
    keep = np.unique([*range(0, len(points), step), len(points) - 1])
    a, b = points[keep[:-1]], points[keep[1:]]
    share = (np.arange(4 * step) + 0.5) / (4 * step)
    samples = a[:, None, :] + share[None, :, None] * (b - a)[:, None, :]
    blocked = ~np.isfinite(grid.cost_at(samples)).all(axis=1)
    between = [np.arange(keep[i], keep[i + 1]) for i in np.flatnonzero(blocked)]
    return points[np.unique(np.concatenate([keep, *between]))]


def resample(points: FloatArray, spacing: float) -> FloatArray:
    """(K, 2) points at even arc lengths of at most `spacing` [m], ends kept; needs M >= 1 points."""
    lengths = np.linalg.norm(np.diff(points, axis=0), axis=1)
    arcs = np.concatenate([[0.0], np.cumsum(lengths)])
    if arcs[-1] < 1e-9:
        return points[:1]
    wanted = np.linspace(0.0, arcs[-1], max(2, int(np.ceil(arcs[-1] / spacing)) + 1))
    return np.stack([np.interp(wanted, arcs, points[:, i]) for i in (0, 1)], axis=-1)


def round_corners(grid: CostGrid, points: FloatArray, passes: int = 12) -> FloatArray:
    """Relax even samples (K, 2) towards their neighbours' middle, wherever that stays off obstacles.

    A point moves only when its own place and the lines to both neighbours cost no more than 1.3 times
    what they did, so that corners are rounded but walls are not shaved.
    """
    if len(points) < 3:
        return points
    points = points.copy()
    limit = grid.cost_at(points) * 1.3
    for _ in range(passes):
        wished = points.copy()
        wished[1:-1] += 0.5 * (0.5 * (points[:-2] + points[2:]) - points[1:-1])
        fine = grid.cost_at(wished) <= limit
        points[fine] = wished[fine]
    return points


def headings(points: FloatArray, last: float) -> FloatArray:
    """(K, 3) x, y, yaw: each point looks to the next; the last has the yaw asked for [rad]."""
    yaw = np.full(len(points), last)
    if len(points) > 1:
        step = np.diff(points, axis=0)
        yaw[:-1] = np.arctan2(step[:, 1], step[:, 0])
    return np.concatenate([points, yaw[:, None]], axis=1)
