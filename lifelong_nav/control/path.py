"""The stretch of the path ahead, resampled evenly, and where points lie along it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lifelong_nav.core.errors import InputError
from lifelong_nav.core.types import FloatArray


@dataclass(frozen=True, slots=True)
class PathWindow:
    """Even samples of a path around the robot, relative to the `origin` given to `window`.

    `points` (M, 2) and unit `tangents` (M, 2), float32, `spacing` [m] apart; `start` [m] is the robot's
    own arc length in the window, `end` [m] the window's; `final` when the window holds the path's end.
    """

    points: FloatArray
    tangents: FloatArray
    spacing: float
    start: float
    end: float
    final: bool

    @property
    def normals(self) -> FloatArray:
        """(M, 2) unit vectors to the left of the tangents."""
        return np.stack([-self.tangents[:, 1], self.tangents[:, 0]], axis=-1)

    def project(self, points: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Arc length [m], squared distance to the path [m^2] and tangents (N, 2) for points (N, 2)."""
        points = np.asarray(points, dtype=np.float32)
        squares = np.einsum("ij,ij->i", self.points, self.points) * np.float32(0.5)
        nearest = np.argmin(squares - points @ self.points.T, axis=1)
        tangents = self.tangents[nearest]
        offset = points - self.points[nearest]
        along = np.einsum("ij,ij->i", offset, tangents)
        half = np.float32(0.5 * self.spacing)
        low = np.where(nearest == 0, np.float32(0.0), -half)
        high = np.where(nearest == len(self.points) - 1, np.float32(0.0), half)
        along = np.clip(along, low, high)
        rest = offset - along[:, None] * tangents
        return nearest * np.float32(self.spacing) + along, np.einsum("ij,ij->i", rest, rest), tangents


def window(
    path: FloatArray, origin: FloatArray, ahead: float, behind: float = 0.5, spacing: float = 0.1
) -> PathWindow:
    """Cut the path from `behind` [m] before its point nearest to `origin` to `ahead` [m] after it.

    Args:
        path: (M, 2 or more) x, y [m]; M >= 1, finite. One point stands for the straight way to it.
        origin: (2,) the robot; the window is expressed relative to it.
        ahead: length wanted ahead of the robot [m].
        behind: length kept behind [m].
        spacing: distance between samples [m], at most (the last stretch is divided evenly).

    Raises:
        InputError: the path is empty, misshapen or not finite.
    """
    path = np.asarray(path, dtype=float)
    if path.ndim != 2 or len(path) == 0 or path.shape[1] < 2 or not np.isfinite(path[:, :2]).all():
        raise InputError(f"A path of shape {path.shape} cannot be followed.", "Send (M, 2) finite points.")
    points = path[:, :2] - origin
    keep = np.ones(len(points), dtype=bool)
    keep[1:] = np.linalg.norm(np.diff(points, axis=0), axis=1) > 1e-6
    points = points[keep]
    if len(points) == 1:
        points = np.stack([np.zeros(2), points[0]])
        if np.linalg.norm(points[1]) < 1e-6:
            points[0, 0] -= 1e-3
    steps = np.diff(points, axis=0)
    lengths = np.linalg.norm(steps, axis=1)
    arcs = np.concatenate([[0.0], np.cumsum(lengths)])
    share = np.clip(-np.einsum("ij,ij->i", points[:-1], steps) / lengths**2, 0.0, 1.0)
    gaps = np.linalg.norm(points[:-1] + share[:, None] * steps, axis=1)
    nearest = int(np.argmin(gaps))
    here = arcs[nearest] + share[nearest] * lengths[nearest]
    first, last = max(0.0, here - behind), min(arcs[-1], here + ahead)
    if last - first < 1e-3:
        first = max(0.0, last - 1e-2)
    count = max(2, int(np.ceil((last - first) / spacing)) + 1)
    samples = np.linspace(first, last, count)
    xy = np.stack([np.interp(samples, arcs, points[:, 0]), np.interp(samples, arcs, points[:, 1])], axis=-1)
    tangents = np.gradient(xy, axis=0)
    tangents /= np.maximum(np.linalg.norm(tangents, axis=1, keepdims=True), 1e-9)
    return PathWindow(
        xy.astype(np.float32),
        tangents.astype(np.float32),
        float(samples[1] - samples[0]),
        float(here - first),
        float(last - first),
        bool(last >= arcs[-1] - 1e-9),
    )
