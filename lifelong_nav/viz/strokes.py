"""Shapes of the drawings, as plain arrays."""

from __future__ import annotations

import numpy as np

from lifelong_nav.core.grid import UNKNOWN, OccupancyGrid
from lifelong_nav.core.types import FloatArray

_ANGLES = np.linspace(0.0, 2.0 * np.pi, 17)
CIRCLE = np.stack([np.cos(_ANGLES), np.sin(_ANGLES)], axis=-1)
"""(17, 2) closed unit circle."""


def raised(xy: FloatArray, z: float) -> FloatArray:
    """(..., 2) to (..., 3) at height z, float32."""
    return np.concatenate([xy, np.full((*xy.shape[:-1], 1), z)], axis=-1).astype(np.float32)


def ring(points: FloatArray) -> FloatArray:
    """Closed line through points, in order around their middle."""
    offset = points - points.mean(axis=0)
    order = np.argsort(np.arctan2(offset[:, 1], offset[:, 0]))
    return points[[*order, order[0]]]


def arrows(origins: FloatArray, vectors: FloatArray) -> FloatArray:
    """(N, 5, 2) one line each that runs to the tip and back over the two barbs."""
    tips = origins + vectors
    back, side = -0.28 * vectors, 0.2 * np.stack([-vectors[:, 1], vectors[:, 0]], axis=-1)
    return np.stack([origins, tips, tips + back + side, tips, tips + back - side], axis=1)


def path(poses: FloatArray, z: float) -> list[FloatArray]:
    """One line at height z through (T, 2 or 3) x, y, (yaw); none for fewer than two points."""
    points = np.asarray(poses, dtype=float)
    return [raised(points[:, :2], z)] if len(points) > 1 else []


def known_bounds(grid: OccupancyGrid) -> tuple[float, float, float, float] | None:
    """x_min, y_min, x_max, y_max [m] of the cells that are not unknown; None when all are."""
    rows, columns = np.nonzero(grid.data != UNKNOWN)
    if not len(rows):
        return None
    x, y = grid.origin
    r = grid.resolution
    return (
        x + r * float(columns.min()), y + r * float(rows.min()),
        x + r * float(columns.max() + 1), y + r * float(rows.max() + 1),
    )  # fmt: skip
