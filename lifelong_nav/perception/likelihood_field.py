"""A building map as a field of signed distances: how far from a wall, and which way it lies."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lifelong_nav.core.errors import InputError
from lifelong_nav.core.grid import OccupancyGrid
from lifelong_nav.core.types import FloatArray, Pose2

_DEEPEST = 0.3
"""Distances inside walls are cut off at this [m]."""


@dataclass(frozen=True, slots=True, eq=False)
class LikelihoodField:
    """Signed distance to the nearest wall surface at cell centres, negative inside walls.

    `signed` (H, W) float32 [m], cut off at `reach`; `free` (H, W) bool: known free cells. Cell
    (0, 0) is centred at origin + resolution / 2.
    """

    signed: NDArray[np.float32]
    free: NDArray[np.bool_]
    resolution: float
    origin: tuple[float, float]
    reach: float

    def at(self, points: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Bilinear distance (N,) [m] and its gradient (N, 2) at points (N, 2).

        Off the grid the distance is `reach` and the gradient zero.
        """
        height, width = self.signed.shape
        u = (points[:, 0] - self.origin[0]) / self.resolution - 0.5
        v = (points[:, 1] - self.origin[1]) / self.resolution - 0.5
        outside = (u < 0.0) | (v < 0.0) | (u >= width - 1) | (v >= height - 1)
        u = np.where(outside, 0.0, u)
        v = np.where(outside, 0.0, v)
        c, r = u.astype(np.intp), v.astype(np.intp)
        fu, fv = u - c, v - r
        flat = r * width + c
        cells = self.signed.ravel()
        a, b = cells[flat], cells[flat + 1]
        d, e = cells[flat + width], cells[flat + width + 1]
        low, high = a + (b - a) * fu, d + (e - d) * fu
        distance = low + (high - low) * fv
        gradient = np.empty((len(points), 2))
        gradient[:, 0] = ((b - a) * (1.0 - fv) + (e - d) * fv) / self.resolution
        gradient[:, 1] = (high - low) / self.resolution
        distance[outside] = self.reach
        gradient[outside] = 0.0
        return distance, gradient

    def nearest(self, points: FloatArray) -> NDArray[np.float32]:
        """Distance (...,) [m] of the cell under points (..., 2); `reach` off the grid."""
        height, width = self.signed.shape
        c = np.floor((points[..., 0] - self.origin[0]) / self.resolution).astype(np.int64)
        r = np.floor((points[..., 1] - self.origin[1]) / self.resolution).astype(np.int64)
        outside = (c < 0) | (r < 0) | (c >= width) | (r >= height)
        found = self.signed.ravel()[np.where(outside, 0, r * width + c)]
        return np.where(outside, np.float32(self.reach), found)

    def expected_ranges(self, sensor: Pose2, angles: FloatArray, limit: float) -> FloatArray:
        """(N,) range [m] each beam would measure in the mapped building, `limit` where nothing is hit.

        Sphere tracing (Hart 1996): each step is as long as the field says is free.

        Args:
            sensor: pose of the scanner in the map.
            angles: (N,) beam directions in the sensor frame [rad].
            limit: greatest range [m].
        """
        heading = sensor.yaw + angles
        way = np.stack([np.cos(heading), np.sin(heading)], axis=-1)
        ranges = np.zeros(len(angles))
        active = np.arange(len(angles))
        for _ in range(200):
            distance = self.nearest(sensor.xy + ranges[active, None] * way[active])
            going = distance > 0.0
            # A cell's distance is its centre's: step a little less, yet always on.
            step = np.maximum(distance - 0.7 * self.resolution, 0.7 * self.resolution)
            ranges[active[going]] += step[going]
            active = active[going & (ranges[active] < limit)]
            if len(active) == 0:
                break
        return np.minimum(ranges, limit)


def likelihood_field(grid: OccupancyGrid, reach: float = 2.0) -> LikelihoodField:
    """Signed distance field of a map, exact to the surfaces of its occupied cells.

    Args:
        grid: the map; it needs occupied and free cells.
        reach: cut-off [m].

    Raises:
        InputError: the map has no occupied or no free cell.
    """
    import cv2

    occupied = grid.data >= 50
    free = (grid.data >= 0) & ~occupied
    if not occupied.any() or not free.any():
        raise InputError(
            "The map has no walls or no free space, so a scan cannot be matched against it.",
            "Load the building's map (occupied, free and unknown cells).",
        )
    res = grid.resolution

    def distance(clear: NDArray[np.bool_]) -> FloatArray:
        return cv2.distanceTransform(clear.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE) * res

    # Transforms measure between cell centres; surfaces lie half a cell before them.
    signed = np.where(occupied, 0.5 * res - distance(occupied), distance(~occupied) - 0.5 * res)
    signed = np.clip(signed, -_DEEPEST, reach).astype(np.float32)
    return LikelihoodField(signed, free, res, (float(grid.origin[0]), float(grid.origin[1])), reach)
