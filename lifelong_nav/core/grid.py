"""Occupancy grids: the value type, cell arithmetic, and map_server's YAML + PGM files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lifelong_nav.core.config import load_yaml
from lifelong_nav.core.errors import InputError
from lifelong_nav.core.storage import atomic_write
from lifelong_nav.core.types import FloatArray

FREE, OCCUPIED, UNKNOWN = 0, 100, -1


@dataclass(frozen=True, slots=True)
class OccupancyGrid:
    """Cells (H, W) int8: 0 free .. 100 occupied, -1 unknown (nav_msgs/OccupancyGrid).

    Row r, column c covers the square whose lower left corner is origin + resolution * (c, r);
    `origin` (x, y) [m] in `frame_id`, never rotated.
    """

    data: NDArray[np.int8]
    resolution: float
    origin: tuple[float, float] = (0.0, 0.0)
    frame_id: str = "map"

    @property
    def shape(self) -> tuple[int, int]:
        """Rows, columns."""
        return self.data.shape[0], self.data.shape[1]

    def to_cells(self, points: FloatArray) -> NDArray[np.int64]:
        """(..., 2) metres to (..., 2) row, column; may lie outside the grid."""
        xy = (np.asarray(points, dtype=float) - self.origin) / self.resolution
        return np.floor(xy[..., ::-1]).astype(np.int64)

    def to_points(self, cells: NDArray[np.integer]) -> FloatArray:
        """(..., 2) row, column to the (..., 2) metres of the cell centres."""
        return (np.asarray(cells)[..., ::-1] + 0.5) * self.resolution + self.origin

    def inside(self, cells: NDArray[np.integer]) -> NDArray[np.bool_]:
        """(...,) True where row and column lie on the grid."""
        return np.asarray(((cells >= 0) & (cells < self.shape)).all(axis=-1))


def load_map(path: Path | str) -> OccupancyGrid:
    """Read a map_server map (YAML beside a PGM or PNG image, trinary mode).

    Raises:
        InputError: the image is missing or a field is out of range; the message names it.
    """
    import cv2

    path = Path(path)
    facts = load_yaml(path)
    fix = "Save the map again with nav2_map_server's map_saver_cli."
    try:
        resolution = float(facts["resolution"])
        x, y, yaw = (float(v) for v in facts["origin"])
        image_path = path.parent / str(facts["image"])
        negate = bool(facts.get("negate", 0))
        occupied = float(facts.get("occupied_thresh", 0.65))
        free = float(facts.get("free_thresh", 0.196))
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path} is not a map_server file ({error!r}).", fix) from error
    if not 0.001 <= resolution <= 10.0 or abs(yaw) > 1e-6:
        raise InputError(f"{path}: resolution {resolution} m or origin yaw {yaw} unusable.", fix)
    pixels = cv2.imread(str(image_path), cv2.IMREAD_GRAYSCALE)
    if pixels is None:
        raise InputError(f"{path}: image {image_path} cannot be read.", fix)
    shade = pixels[::-1].astype(float) / 255.0  # image rows run down, map rows run up
    probability = shade if negate else 1.0 - shade
    data = np.full(shade.shape, UNKNOWN, dtype=np.int8)
    data[probability > occupied] = OCCUPIED
    data[probability < free] = FREE
    return OccupancyGrid(data, resolution, (x, y))


def save_map(path: Path, grid: OccupancyGrid) -> None:
    """Write `path` (.yaml) and a PGM of the same stem, readable by map_server and `load_map`."""
    image = path.with_suffix(".pgm")
    shade = np.full(grid.shape, 205, dtype=np.uint8)
    shade[grid.data == FREE] = 254
    shade[grid.data >= 65] = 0
    height, width = grid.shape
    atomic_write(image, b"P5\n%d %d\n255\n" % (width, height) + shade[::-1].tobytes())
    text = (
        f"image: {image.name}\nmode: trinary\nresolution: {grid.resolution}\n"
        f"origin: [{grid.origin[0]}, {grid.origin[1]}, 0.0]\nnegate: 0\n"
        "occupied_thresh: 0.65\nfree_thresh: 0.196\n"
    )
    atomic_write(path, text.encode())
