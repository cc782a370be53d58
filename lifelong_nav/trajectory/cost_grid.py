"""A grid of traversal costs: what routes are planned over, and the distances behind it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lifelong_nav.core.config import param
from lifelong_nav.core.grid import OCCUPIED, UNKNOWN, OccupancyGrid
from lifelong_nav.core.types import FloatArray

BoolArray = NDArray[np.bool_]


@dataclass(frozen=True)
class InflationConfig:
    """How nearness to obstacles becomes cost."""

    robot_radius: float = param(0.28, "m", 0.05, 2.0, "Radius of the circle around the base.")
    clearance: float = param(0.03, "m", 0.0, 0.5, "Gap kept between that circle and obstacles.")
    soft_range: float = param(0.8, "m", 0.0, 5.0, "Beyond this free gap obstacles cost nothing.")
    soft_cost: float = param(4.0, "", 0.0, 100.0, "Extra cost per metre when almost touching.")
    unknown_cost: float = param(1.0, "", 0.0, 100.0, "Extra cost per metre through unknown space.")
    unknown: str = param(
        "costly", doc="What unknown cells are.", choices=("free", "costly", "lethal"),
    )  # fmt: skip

    @property
    def lethal_distance(self) -> float:
        """Centre-to-obstacle distance [m] below which the robot would touch."""
        return self.robot_radius + self.clearance


@dataclass(frozen=True, slots=True, eq=False)
class CostGrid:
    """Costs to cross each cell, immutable; `version` differs whenever the content does.

    `cost` (H, W) float32: 1 for a free metre, more near obstacles, +inf where the robot would touch;
    `distance` (H, W) float32 [m] from the cell centre to the nearest obstacle. Cells as in
    `core.grid.OccupancyGrid`: row r, column c spans origin + resolution * (c..c+1, r..r+1).
    """

    cost: NDArray[np.float32]
    distance: NDArray[np.float32]
    resolution: float
    origin: tuple[float, float]
    frame_id: str
    version: int = 0

    @property
    def shape(self) -> tuple[int, int]:
        """Rows, columns."""
        return self.cost.shape[0], self.cost.shape[1]

    def cell(self, x: float, y: float) -> tuple[int, int] | None:
        """Row, column under a point [m], None off the grid."""
        row = int(np.floor((y - self.origin[1]) / self.resolution))
        column = int(np.floor((x - self.origin[0]) / self.resolution))
        inside = 0 <= row < self.shape[0] and 0 <= column < self.shape[1]
        return (row, column) if inside else None

    def points(self, cells: NDArray[np.integer]) -> FloatArray:
        """(..., 2) row, column to (..., 2) x, y of the cell centres [m]."""
        return (np.asarray(cells)[..., ::-1] + 0.5) * self.resolution + self.origin

    def cost_at(self, points: FloatArray) -> FloatArray:
        """(...,) cost under points (..., 2) [m]; +inf off the grid."""
        index = np.floor((np.asarray(points, dtype=float) - self.origin) / self.resolution).astype(np.int64)
        column, row = index[..., 0], index[..., 1]
        inside = (row >= 0) & (row < self.shape[0]) & (column >= 0) & (column < self.shape[1])
        flat = np.where(inside, row * self.shape[1] + column, 0)
        return np.where(inside, self.cost.ravel()[flat], np.inf)

    def with_extra(self, extra: NDArray[np.float32], version: int) -> CostGrid:
        """A copy with `extra` (H, W) >= 0 added to the cost of every cell."""
        return CostGrid(
            self.cost + extra, self.distance, self.resolution, self.origin, self.frame_id, version
        )

    def occupancy(self) -> OccupancyGrid:
        """The costs as a nav_msgs-like grid: 0 free, 1..99 rising cost, 100 lethal."""
        soft = np.clip((self.cost - 1.0) * 20.0, 0.0, 99.0)
        data = np.where(np.isfinite(self.cost), soft, OCCUPIED).astype(np.int8)
        return OccupancyGrid(data, self.resolution, self.origin, self.frame_id)


def distance_to(mask: BoolArray, resolution: float, beyond: float = 50.0) -> NDArray[np.float32]:
    """(H, W) exact distance [m] from each cell centre to the nearest True cell; `beyond` when none."""
    import cv2

    if not mask.any():
        return np.full(mask.shape, beyond, dtype=np.float32)
    clear = np.where(mask, 0, 1).astype(np.uint8)
    cells = cv2.distanceTransform(clear, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return np.minimum(cells * np.float32(resolution), np.float32(beyond))


def inflate(
    distance: NDArray[np.float32], unknown: BoolArray | None, c: InflationConfig
) -> NDArray[np.float32]:
    """(H, W) cost of each cell from its distance to obstacles [m].

    The soft part falls as a parabola from `soft_cost` at the lethal distance to nothing at
    `soft_range` beyond it, so that routes keep to the middle of doorways and off walls where they can.
    """
    gap = distance - np.float32(c.lethal_distance)
    share = np.clip(1.0 - gap / max(c.soft_range, 1e-6), 0.0, 1.0)
    cost = (1.0 + c.soft_cost * share * share).astype(np.float32)
    if unknown is not None and c.unknown == "costly":
        cost[unknown] += np.float32(c.unknown_cost)
    if unknown is not None and c.unknown == "lethal":
        cost[unknown] = np.inf
    cost[gap < 0.0] = np.inf
    return cost


def downsample(grid: OccupancyGrid, resolution: float) -> tuple[NDArray[np.float32], BoolArray, float]:
    """A map's distances and unknown cells on cells of about `resolution` [m].

    The distance transform runs on the fine map, so that coarse cells keep the width of doorways.

    Returns:
        distance (H, W) float32 [m] to the nearest occupied cell's edge, unknown (H, W) bool (more than
        half of the cell), and the resolution [m], a whole multiple of the map's.
    """
    factor = max(1, round(resolution / grid.resolution))
    # Occupied cells are squares: their near side is half a cell closer than their centre.
    fine = distance_to(grid.data >= 50, grid.resolution) - np.float32(0.5 * grid.resolution)
    rows, columns = (-(-n // factor) for n in grid.shape)
    pad = ((0, rows * factor - grid.shape[0]), (0, columns * factor - grid.shape[1]))
    blocks = np.pad(fine, pad, mode="edge").reshape(rows, factor, columns, factor)
    unknown = np.pad(grid.data == UNKNOWN, pad, constant_values=True)
    share = unknown.reshape(rows, factor, columns, factor).mean(axis=(1, 3))
    distance = np.maximum(blocks.mean(axis=(1, 3)), 0.0).astype(np.float32)
    return distance, share > 0.5, factor * grid.resolution
