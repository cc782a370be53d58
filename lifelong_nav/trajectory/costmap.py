"""What stands where: a building map, if there is one, plus what the lidar sees, with a fading memory.

With a map the grid covers the map and scans add what the map lacks (a closed door, a chair). Without
one the grid grows around the robot in the odom frame up to a greatest size, then rolls along. Seen
obstacles fade unless they are seen again and again; a beam that passes through one removes it at
once; points at tracked people are left out, because people move.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lifelong_nav.core.config import param
from lifelong_nav.core.geometry import transform_points2
from lifelong_nav.core.grid import OccupancyGrid
from lifelong_nav.core.types import FloatArray, LaserScan, People, Pose2
from lifelong_nav.trajectory.cost_grid import (
    BoolArray,
    CostGrid,
    InflationConfig,
    distance_to,
    downsample,
    inflate,
)
from lifelong_nav.trajectory.sight import seen_area

_CHUNK = 8.0  # [m] by which a grid without a map grows


@dataclass(frozen=True)
class CostmapConfig(InflationConfig):
    """Parameters of `Costmap`."""

    resolution: float = param(0.1, "m", 0.02, 1.0, "Side of one cell; rounded to a multiple of the map's.")
    obstacle_range: float = param(8.0, "m", 0.5, 50.0, "Lidar points farther away are not entered.")
    memory: float = param(3.0, "s", 0.1, 600.0, "An obstacle seen once is remembered this long ...")
    memory_max: float = param(60.0, "s", 0.1, 86400.0, "... each sighting adds as much, up to this.")
    memory_mapless: float = param(1800.0, "s", 1.0, 86400.0, "The same limit where there is no map.")
    person_margin: float = param(0.25, "m", 0.0, 1.0, "Points this near a tracked person's body are his.")
    map_margin: float = param(0.2, "m", 0.0, 1.0, "Points this near a mapped wall belong to the wall.")
    max_side: float = param(80.0, "m", 10.0, 400.0, "Greatest side of a grid without a map.")


class Costmap:
    """Layers over one grid; `update` with scans, `grid` for planning.

    Args:
        config: parameters.
        static: the building's map, or None for a grid that grows around the robot.
        frame_id: frame of the grid when there is no map.
    """

    def __init__(
        self,
        config: CostmapConfig | None = None,
        static: OccupancyGrid | None = None,
        frame_id: str = "odom",
    ) -> None:
        self.config = config or CostmapConfig()
        self.frame_id = static.frame_id if static is not None else frame_id
        self.has_map = static is not None
        self._version = 0
        self._cached: CostGrid | None = None
        self._stamp = -np.inf
        self._news = True  # unknown cells became known since the last `grid`
        c = self.config
        if static is not None:
            self._base, self._unknown, self.resolution = downsample(static, c.resolution)
            self._origin = np.array(static.origin, dtype=float)
        else:
            n = round(2 * _CHUNK / c.resolution)
            self.resolution = c.resolution
            self._base = np.full((n, n), 50.0, dtype=np.float32)
            self._unknown = np.ones((n, n), dtype=bool)
            self._origin = np.array([np.nan, np.nan])
        self._expiry = np.full(self._base.shape, -np.inf)
        self._life = np.zeros(self._base.shape, dtype=np.float32)
        self._occupied = np.zeros(self._base.shape, dtype=bool)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows, columns."""
        return self._base.shape[0], self._base.shape[1]

    def clear(self) -> None:
        """Forget every obstacle seen by the lidar; the map stays, known space stays known."""
        self._expiry.fill(-np.inf)
        self._life.fill(0.0)

    def reset(self) -> None:
        """Forget everything but the map (odometry jumped, time ran back)."""
        self.clear()
        self._stamp = -np.inf
        if not self.has_map:
            self._unknown[:] = True
            self._origin[:] = np.nan

    def update(self, scan: LaserScan, sensor: Pose2, people: People | None = None) -> None:
        """Take in one scan.

        Args:
            scan: the scan; a stamp more than a second before the last one resets the grid.
            sensor: pose of the scanner in the grid's frame at the scan's time.
            people: tracked people in the grid's frame; their points are left out.
        """
        if scan.stamp < self._stamp - 1.0:
            self.reset()
        self._stamp = max(self._stamp, scan.stamp)
        c = self.config
        if not self.has_map:
            self._cover(sensor)
        self._see_through(scan, sensor)
        points = scan.points()
        points = points[np.einsum("ij,ij->i", points, points) < c.obstacle_range**2]
        points = transform_points2(sensor, points)
        points = points[~near_people(points, people, c.person_margin)]
        index = np.floor((points - self._origin) / self.resolution).astype(np.int64)
        inside = ((index >= 0) & (index < self.shape[::-1])).all(axis=-1)
        flat = np.unique(index[inside, 1] * self.shape[1] + index[inside, 0])
        flat = flat[self._base.ravel()[flat] > c.map_margin]
        limit = c.memory_max if self.has_map else c.memory_mapless
        life = np.minimum(self._life.ravel()[flat] + c.memory, limit)
        self._life.ravel()[flat] = life
        self._expiry.ravel()[flat] = scan.stamp + life
        if people is not None and len(people):
            self._lift(people)

    def grid(self) -> CostGrid:
        """Costs now. The same object as before when no obstacle came, went or faded."""
        occupied = self._expiry > self._stamp
        if self._cached is not None and self._cached.shape == self.shape:
            same = np.array_equal(occupied, self._occupied) and self._cached.origin == self._corner()
            if same and (self.has_map or not self._news):
                return self._cached
        self._occupied = occupied
        self._news = False
        seen = distance_to(occupied, self.resolution) if occupied.any() else self._base
        distance = np.minimum(self._base, seen)
        unknown = self._unknown if self.config.unknown != "free" else None
        cost = inflate(distance, unknown, self.config)
        self._version += 1
        self._cached = CostGrid(cost, distance, self.resolution, self._corner(), self.frame_id, self._version)
        return self._cached

    def _corner(self) -> tuple[float, float]:
        x, y = np.nan_to_num(self._origin)
        return float(x), float(y)

    def _see_through(self, scan: LaserScan, sensor: Pose2) -> None:
        window, seen = seen_area(
            scan, sensor, self.config.obstacle_range, self.resolution, self._origin, self.shape
        )
        if window is None:
            return
        self._expiry[window][seen] = -np.inf
        self._life[window][seen] = 0.0
        fresh = self._unknown[window] & seen
        if fresh.any():
            self._unknown[window][seen] = False
            # A handful of new cells at the rim of view is no reason to plan again.
            self._news |= int(fresh.sum()) > 20

    def _lift(self, people: People) -> None:
        """Forget obstacles under tracked people: what stood there was them."""
        rows, columns = np.nonzero(self._expiry > self._stamp)
        centres = (np.stack([columns, rows], axis=-1) + 0.5) * self.resolution + self._origin
        theirs = near_people(centres, people, self.config.person_margin)
        self._expiry[rows[theirs], columns[theirs]] = -np.inf
        self._life[rows[theirs], columns[theirs]] = 0.0

    def _cover(self, sensor: Pose2) -> None:
        """Grow, or past the greatest side roll, so that the scanner's range fits on the grid."""
        res, reach = self.resolution, self.config.obstacle_range + 1.0
        if np.isnan(self._origin[0]):
            half = np.array(self.shape[::-1]) // 2
            self._origin = (np.floor(sensor.xy / res) - half) * res
        size = np.array(self.shape[::-1]) * res
        low = np.maximum(np.ceil((self._origin - (sensor.xy - reach)) / _CHUNK), 0.0) * _CHUNK
        high = np.maximum(np.ceil((sensor.xy + reach - self._origin - size) / _CHUNK), 0.0) * _CHUNK
        if not (low.any() or high.any()):
            return
        excess = np.maximum(size + low + high - self.config.max_side, 0.0)
        # What is dropped lies on the side opposite to the one that grows.
        excess = np.ceil(excess / _CHUNK) * _CHUNK
        drop_low, drop_high = np.where(high > 0, excess, 0.0), np.where(high > 0, 0.0, excess)
        grow_low, grow_high = (np.rint(v / res).astype(int) for v in (low - drop_low, high - drop_high))
        self._base = _moved(self._base, grow_low, grow_high, np.float32(50.0))
        self._unknown = _moved(self._unknown, grow_low, grow_high, True)
        self._expiry = _moved(self._expiry, grow_low, grow_high, -np.inf)
        self._life = _moved(self._life, grow_low, grow_high, np.float32(0.0))
        self._occupied = np.zeros(self._base.shape, dtype=bool)
        self._origin = self._origin - grow_low * res


def near_people(points: FloatArray, people: People | None, margin: float) -> BoolArray:
    """(M,) True for points (M, 2) within `margin` [m] of a tracked person's body."""
    if people is None or len(people) == 0 or len(points) == 0:
        return np.zeros(len(points), dtype=bool)
    gaps = points[:, None, :] - people.positions()[None]
    reach = people.radii() + margin
    return np.asarray((np.einsum("ijk,ijk->ij", gaps, gaps) < reach**2).any(axis=1))


def _moved(array: NDArray, low: NDArray, high: NDArray, fill: float | np.floating) -> NDArray:
    """Grow (positive) or cut (negative) an (H, W) array by (x, y) cells at its low and high sides."""
    pad = [(max(0, int(low[a])), max(0, int(high[a]))) for a in (1, 0)]
    cut = tuple(
        slice(max(0, -int(low[a])), array.shape[i] - max(0, -int(high[a]))) for i, a in enumerate((1, 0))
    )
    return np.pad(array[cut], pad, constant_values=fill)
