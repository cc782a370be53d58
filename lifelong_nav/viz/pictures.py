"""Making pictures and maps small enough to show."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lifelong_nav.core.grid import OccupancyGrid

DEPTH_RANGE = 8.0
"""Distance [m] drawn darkest in depth pictures."""


def _shades(unknown: int) -> NDArray[np.uint8]:
    table = np.full(256, unknown, dtype=np.uint8)
    table[:101] = np.linspace(255, 45, 101)
    return table


def _cost_shades() -> NDArray[np.uint8]:
    table = np.zeros((256, 4), dtype=np.uint8)
    cost = np.linspace(0.0, 1.0, 101)
    table[:101] = np.column_stack([255 + 0 * cost, 200 - 160 * cost, 60 + 0 * cost, 255 * np.sqrt(cost)])
    return table


MAP_SHADES = _shades(unknown=226)
"""(256,) grey by the byte of an occupancy cell: free is white, walls dark, the unknown pale."""
COST_SHADES = _cost_shades()
"""(256, 4) RGBA by the byte of a cost cell: free is clear, lethal is red."""


def jpeg(data: NDArray[Any], width: int, quality: int) -> bytes:
    """JPEG of a picture no wider than `width`.

    Args:
        data: (H, W, 3) uint8 RGB, (H, W) uint8, or (H, W) float depth [m], near is bright.
        width: greatest width [px].
        quality: 10 to 100.
    """
    import cv2

    if data.dtype.kind == "f":
        near = 1.0 - np.clip(np.nan_to_num(data, nan=DEPTH_RANGE), 0.0, DEPTH_RANGE) / DEPTH_RANGE
        data = (255.0 * near).astype(np.uint8)
    if data.shape[1] > width:
        height = max(1, round(data.shape[0] * width / data.shape[1]))
        data = cv2.resize(data, (width, height), interpolation=cv2.INTER_AREA)
    if data.ndim == 3:
        data = data[..., ::-1]
    _, coded = cv2.imencode(".jpg", np.ascontiguousarray(data), [cv2.IMWRITE_JPEG_QUALITY, quality])
    return bytes(coded)


def shrink(grid: OccupancyGrid, cells: int) -> OccupancyGrid:
    """A coarser map of at most `cells` a side; a block keeps its worst cell, so thin walls stay."""
    factor = -(-max(grid.shape) // cells)
    if factor <= 1:
        return grid
    height, width = (-(-n // factor) for n in grid.shape)
    padded = np.full((height * factor, width * factor), -1, dtype=np.int8)
    padded[: grid.shape[0], : grid.shape[1]] = grid.data
    blocks = padded.reshape(height, factor, width, factor).max(axis=(1, 3))
    return OccupancyGrid(blocks, grid.resolution * factor, grid.origin, grid.frame_id)
