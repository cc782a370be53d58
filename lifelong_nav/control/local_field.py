"""How far the nearest obstacle is, around the robot: a distance field from scans with a short memory."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lifelong_nav.core.config import param
from lifelong_nav.core.distance import DistanceField
from lifelong_nav.core.geometry import transform_points2
from lifelong_nav.core.types import FloatArray, LaserScan, People, Pose2

_NEVER = -np.inf


@dataclass(frozen=True)
class LocalFieldConfig:
    """Parameters of `LocalField`."""

    size: float = param(8.0, "m", 2.0, 40.0, "Side of the square grid around the robot.")
    resolution: float = param(0.05, "m", 0.02, 0.5, "Side of one cell.")
    memory: float = param(4.0, "s", 0.0, 60.0, "How long obstacles out of view are remembered.")
    body: float = param(0.15, "m", 0.0, 1.0, "Points this near to the middle are the robot's own.")
    person_margin: float = param(0.2, "m", 0.0, 1.0, "Scan points this near a tracked person's body are his.")


def field_from_mask(
    occupied: NDArray[np.bool_], resolution: float, origin: tuple[float, float]
) -> DistanceField:
    """Distance field of an occupancy mask (H, W); an empty mask gives `beyond` everywhere."""
    import cv2

    beyond = resolution * max(occupied.shape)
    if not occupied.any():
        return DistanceField(np.full(occupied.shape, beyond, np.float32), resolution, origin, beyond)
    free = np.where(occupied, 0, 255).astype(np.uint8)
    cells = cv2.distanceTransform(free, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    distance = np.minimum(cells * np.float32(resolution), np.float32(beyond)).astype(np.float32)
    return DistanceField(distance, resolution, origin, beyond)


def field_from_points(
    points: FloatArray, centre: FloatArray, config: LocalFieldConfig | None = None
) -> DistanceField:
    """Distance field of obstacle points (M, 2) on a square around `centre` (2,), all in one frame."""
    c = config or LocalFieldConfig()
    cells = _cells(c)
    corner = _corner(np.asarray(centre, float), c, cells)
    mask = np.zeros((cells, cells), dtype=bool)
    index, inside = _index(np.asarray(points, float).reshape(-1, 2), corner, c.resolution, cells)
    mask[index[inside, 1], index[inside, 0]] = True
    return field_from_mask(mask, c.resolution, _origin(corner, c.resolution))


class LocalField:
    """Rolling grid, aligned to the odom frame, of when each cell was last seen occupied."""

    def __init__(self, config: LocalFieldConfig | None = None) -> None:
        self.config = config or LocalFieldConfig()
        self._count = _cells(self.config)
        self._seen = np.full((self._count, self._count), _NEVER)
        self._corner: NDArray[np.int64] | None = None
        self._stamp = _NEVER

    def reset(self) -> None:
        """Forget everything (odometry jumped, time ran back)."""
        self._seen.fill(_NEVER)
        self._corner = None
        self._stamp = _NEVER

    def update(
        self, scan: LaserScan, sensor: Pose2, people: People | None = None, centre: FloatArray | None = None
    ) -> DistanceField:
        """Take in a scan and return the field around the robot.

        Args:
            scan: the newest scan; its stamp is the field's time. A stamp before the last one resets.
            sensor: pose of the scanner in the odom frame when the scan was taken.
            people: tracked people in the odom frame; their points are left out, they are not obstacles.
            centre: (2,) middle of the field in odom; the sensor's position when None.
        """
        if scan.stamp < self._stamp:
            self.reset()
        self._stamp = scan.stamp
        middle = sensor.xy if centre is None else np.asarray(centre, float)
        self._shift(_corner(middle, self.config, self._count))
        self._clear(scan, sensor)
        points = transform_points2(sensor, scan.points())
        points = points[np.linalg.norm(points - middle, axis=1) >= self.config.body]
        self._mark(points[~_near_people(points, people, self.config.person_margin)], scan.stamp)
        self._lift_people(people)
        return self.field()

    def field(self) -> DistanceField:
        """Distance field of everything remembered now."""
        c = self.config
        corner = np.zeros(2, dtype=np.int64) if self._corner is None else self._corner
        # The newest scan always counts, also with no memory.
        occupied = self._seen >= min(self._stamp, self._stamp - c.memory)
        occupied &= self._seen > _NEVER
        return field_from_mask(occupied, c.resolution, _origin(corner, c.resolution))

    def _shift(self, corner: NDArray[np.int64]) -> None:
        """Move the grid so that its lower left cell is `corner` (x, y in whole cells of odom)."""
        if self._corner is None:
            self._corner = corner
            return
        dx, dy = (int(v) for v in corner - self._corner)
        if (dx, dy) == (0, 0):
            return
        moved = np.full_like(self._seen, _NEVER)
        n = self._count
        if abs(dx) < n and abs(dy) < n:
            to_y, from_y = slice(max(0, -dy), n - max(0, dy)), slice(max(0, dy), n - max(0, -dy))
            to_x, from_x = slice(max(0, -dx), n - max(0, dx)), slice(max(0, dx), n - max(0, -dx))
            moved[to_y, to_x] = self._seen[from_y, from_x]
        self._seen, self._corner = moved, corner

    def _clear(self, scan: LaserScan, sensor: Pose2) -> None:
        """Forget cells through which the scan now sees, by more than a cell's diagonal."""
        rows, columns = np.nonzero(self._seen > _NEVER)
        if len(rows) == 0 or len(scan.ranges) == 0:
            return
        x, y = self._centres(columns, rows)
        dx, dy = x - sensor.x, y - sensor.y
        away = np.hypot(dx, dy)
        bearing = np.arctan2(dy, dx) - sensor.yaw - scan.angle_min
        beam = np.rint((bearing % (2.0 * np.pi)) / scan.angle_increment).astype(np.int64)
        wraps = len(scan.ranges) * abs(scan.angle_increment) > 2.0 * np.pi - 1.5 * abs(scan.angle_increment)
        beam = beam % len(scan.ranges) if wraps else beam
        looked = (beam >= 0) & (beam < len(scan.ranges))
        ranges = np.asarray(scan.ranges, dtype=float)
        reach = np.where(scan.valid(), ranges, np.where(np.isposinf(ranges), scan.range_max, 0.0))
        # Neighbouring beams must agree: at grazing incidence one beam overshoots what its neighbour hits.
        padded = np.pad(reach, 1, mode="wrap" if wraps else "edge")
        reach = np.minimum(np.minimum(padded[:-2], padded[1:-1]), padded[2:])
        through = np.zeros(len(rows), dtype=bool)
        through[looked] = away[looked] + 1.5 * self.config.resolution < reach[beam[looked]]
        self._seen[rows[through], columns[through]] = _NEVER

    def _mark(self, points: FloatArray, stamp: float) -> None:
        assert self._corner is not None
        index, inside = _index(points, self._corner, self.config.resolution, self._count)
        self._seen[index[inside, 1], index[inside, 0]] = stamp

    def _lift_people(self, people: People | None) -> None:
        """Forget remembered cells under tracked people: what stood there was them."""
        if people is None or len(people) == 0:
            return
        rows, columns = np.nonzero(self._seen > _NEVER)
        points = np.stack(self._centres(columns, rows), axis=-1)
        theirs = _near_people(points, people, self.config.person_margin)
        self._seen[rows[theirs], columns[theirs]] = _NEVER

    def _centres(self, columns: NDArray[np.intp], rows: NDArray[np.intp]) -> tuple[FloatArray, FloatArray]:
        assert self._corner is not None
        size = self.config.resolution
        return (columns + self._corner[0] + 0.5) * size, (rows + self._corner[1] + 0.5) * size


def _cells(config: LocalFieldConfig) -> int:
    return round(config.size / config.resolution)


def _corner(centre: FloatArray, config: LocalFieldConfig, cells: int) -> NDArray[np.int64]:
    return np.floor(centre / config.resolution).astype(np.int64) - cells // 2


def _origin(corner: NDArray[np.int64], resolution: float) -> tuple[float, float]:
    return float(corner[0] * resolution), float(corner[1] * resolution)


def _index(
    points: FloatArray, corner: NDArray[np.int64], resolution: float, cells: int
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    index = np.floor(points / resolution).astype(np.int64) - corner
    return index, np.asarray(((index >= 0) & (index < cells)).all(axis=-1))


def _near_people(points: FloatArray, people: People | None, margin: float) -> NDArray[np.bool_]:
    if people is None or len(people) == 0 or len(points) == 0:
        return np.zeros(len(points), dtype=bool)
    gaps = points[:, None, :] - people.positions()[None]
    reach = people.radii() + margin
    return np.asarray((np.einsum("ijk,ijk->ij", gaps, gaps) < reach**2).any(axis=1))
