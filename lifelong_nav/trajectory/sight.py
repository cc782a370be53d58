"""Which cells of a grid a scan looks through."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lifelong_nav.core.types import FloatArray, LaserScan, Pose2

Window = tuple[slice, slice]
_SUBPIXEL = 4  # binary digits of sub-cell precision for the polygon


def seen_area(
    scan: LaserScan,
    sensor: Pose2,
    reach: float,
    resolution: float,
    origin: FloatArray,
    shape: tuple[int, int],
) -> tuple[Window | None, NDArray[np.bool_]]:
    """The cells that lie wholly in front of what the beams hit, by filling the scan's polygon.

    Each beam counts only as far as the shortest of itself and its two neighbours, less a cell's
    diagonal: at grazing incidence a beam overshoots the wall its neighbour hits. Beams without a
    reading (NaN, below range_min) see nothing; +inf sees `reach`.

    Args:
        scan: the scan.
        sensor: its pose in the grid's frame.
        reach: greatest distance looked at [m].
        resolution: cell side [m].
        origin: (2,) x, y of the grid's lower left corner [m].
        shape: rows, columns of the grid.

    Returns:
        A window (row and column slices) of the grid, None when nothing of it is seen, and the mask of
        seen cells inside that window.
    """
    import cv2

    nothing = np.zeros((0, 0), dtype=bool)
    low = np.floor((sensor.xy - reach - origin) / resolution).astype(int)
    high = np.ceil((sensor.xy + reach - origin) / resolution).astype(int) + 1
    low, high = np.maximum(low, 0), np.minimum(high, shape[::-1])
    if (high <= low).any() or len(scan.ranges) < 3:
        return None, nothing
    ranges = np.asarray(scan.ranges, dtype=float)
    depth = np.where(scan.valid(), ranges, np.where(np.isposinf(ranges), min(scan.range_max, reach), 0.0))
    full = len(ranges) * abs(scan.angle_increment) > 2.0 * np.pi - 1.5 * abs(scan.angle_increment)
    padded = np.pad(depth, 1, mode="wrap" if full else "edge")
    depth = np.minimum(np.minimum(padded[:-2], padded[1:-1]), padded[2:])
    # Filling draws the outline too, half a cell beyond it: keep clear of the obstacle's own cell.
    depth = np.clip(depth - 1.5 * resolution, 0.0, reach)
    angles = sensor.yaw + scan.angles()
    points = np.stack([depth * np.cos(angles), depth * np.sin(angles)], axis=-1) + sensor.xy
    if not full:
        points = np.concatenate([points, sensor.xy[None]])
    corner = origin + low * resolution
    pixels = np.rint(((points - corner) / resolution - 0.5) * (1 << _SUBPIXEL)).astype(np.int32)
    mask = np.zeros(tuple((high - low)[::-1]), dtype=np.uint8)
    cv2.fillPoly(mask, [pixels], 1, shift=_SUBPIXEL)
    window = (slice(int(low[1]), int(high[1])), slice(int(low[0]), int(high[0])))
    return window, mask.astype(bool)
