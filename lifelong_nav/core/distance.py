"""How far the nearest obstacle is, everywhere on a grid: the value that planning and control share."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lifelong_nav.core.types import FloatArray


@dataclass(frozen=True, slots=True)
class DistanceField:
    """Distance to the nearest obstacle [m], sampled at cell centres.

    `distance` (H, W) float32, row r and column c centred at origin + resolution * (c + .5, r + .5);
    outside the grid nothing is known and the field answers with `beyond`.
    """

    distance: NDArray[np.float32]
    resolution: float
    origin: tuple[float, float]
    beyond: float

    def at(self, x: FloatArray, y: FloatArray) -> NDArray[np.float32]:
        """Nearest-cell distance [m] at positions of any shape, in the field's frame."""
        return lookup(self.distance, self.resolution, self.origin, x, y, np.float32(self.beyond))

    def at_smooth(self, x: FloatArray, y: FloatArray) -> FloatArray:
        """Bilinear distance [m]; positions off the grid take its nearest edge."""
        height, width = self.distance.shape
        u = np.clip((np.asarray(x, float) - self.origin[0]) / self.resolution - 0.5, 0.0, width - 1.001)
        v = np.clip((np.asarray(y, float) - self.origin[1]) / self.resolution - 0.5, 0.0, height - 1.001)
        c, r = u.astype(np.intp), v.astype(np.intp)
        fc, fr = u - c, v - r
        d = self.distance
        low = d[r, c] * (1.0 - fc) + d[r, c + 1] * fc
        high = d[r + 1, c] * (1.0 - fc) + d[r + 1, c + 1] * fc
        return np.asarray(low * (1.0 - fr) + high * fr)


def lookup(
    values: NDArray[np.float32],
    resolution: float,
    origin: tuple[float, float],
    x: FloatArray,
    y: FloatArray,
    outside: np.float32,
) -> NDArray[np.float32]:
    """Value of the cell under each position; `outside` where there is none. Keeps the shape of x."""
    height, width = values.shape
    column = ((np.asarray(x) - origin[0]) / resolution).astype(np.int32)
    row = ((np.asarray(y) - origin[1]) / resolution).astype(np.int32)
    # Truncation maps (-1, 0) to cell 0: half a cell of overhang at the rim, which is harmless.
    lost = (column < 0) | (column >= width) | (row < 0) | (row >= height)
    row *= width
    row += column
    found = values.ravel().take(row, mode="clip")
    found[lost] = outside
    return found
