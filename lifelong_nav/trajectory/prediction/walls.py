"""People do not walk through walls: modes slide along obstacles, and count for less the more they must."""

from __future__ import annotations

import numpy as np

from lifelong_nav.core.distance import DistanceField
from lifelong_nav.core.types import FloatArray

CLEARANCE = 0.22
"""Middle of a body to a wall [m]; who stands nearer already keeps what there is."""
_SCALE = 0.7  # a mode that ends this far from where it wanted to counts e times less [m]
_PUSHES = 2
_STRIDE = 2  # of the samples every second one is checked; people are not that quick


def around_walls(
    start: FloatArray, tracks: FloatArray, weights: FloatArray, field: DistanceField
) -> tuple[FloatArray, FloatArray]:
    """Bend modes that run into obstacles along them and lower their weights.

    Args:
        start: (N, 2) where people are [m].
        tracks: (N, M, T, 2) where they may go.
        weights: (N, M) summing to 1.
        field: distance to obstacles that are no people, in the same frame.

    Returns:
        Tracks and weights of the same shapes.
    """
    here, _ = _probe(field, start)
    clear = np.clip(0.8 * here, 0.0, CLEARANCE)
    count = tracks.shape[2]
    picked = np.unique(np.append(np.arange(_STRIDE - 1, count, _STRIDE), count - 1))
    coarse = tracks[:, :, picked]
    before = np.concatenate(
        [np.broadcast_to(start[:, None, None], (*coarse.shape[:2], 1, 2)), coarse[:, :, :-1]], axis=2
    )
    # between two samples lies up to half a metre: a thin wall shows at the middle of the step
    free = np.minimum(_probe(field, coarse)[0], _probe(field, 0.5 * (before + coarse))[0])
    n, m = np.nonzero((free < clear[:, None, None]).any(axis=2))
    if len(n) == 0:
        return tracks, weights
    bent = _slide(start[n], coarse[n, m], clear[n], field)
    # the samples in between move as their neighbours do
    moved = np.concatenate([np.zeros((len(n), 1, 2)), bent - coarse[n, m]], axis=1)
    knots = np.append(-1, picked)
    k = np.clip(np.searchsorted(knots, np.arange(count), side="right") - 1, 0, len(knots) - 2)
    share = ((np.arange(count) - knots[k]) / (knots[k + 1] - knots[k]))[:, None]
    out, left = tracks.copy(), weights.copy()
    out[n, m] += moved[:, k] + (moved[:, k + 1] - moved[:, k]) * share
    lost = np.linalg.norm(moved[:, -1], axis=-1)
    left[n, m] *= np.exp(-np.minimum(lost / _SCALE, 6.0))
    return out, left / left.sum(axis=1, keepdims=True)


def _slide(start: FloatArray, tracks: FloatArray, clear: FloatArray, field: DistanceField) -> FloatArray:
    """(B, T, 2): step by step, pushed out of obstacles along the slope of the distance, or stopped."""
    at, wanted, out = start.copy(), start.copy(), np.empty_like(tracks)
    for k in range(tracks.shape[1]):
        new = at + tracks[:, k] - wanted
        wanted = tracks[:, k]
        for _ in range(_PUSHES):
            d, slope = _probe(field, new)
            short = np.maximum(clear - d, 0.0)
            if not short.any():
                break
            size = np.sqrt((slope**2).sum(axis=-1))
            new = new + slope * (short / np.maximum(size, 1e-6))[:, None]
        both, _ = _probe(field, np.stack([new, 0.5 * (at + new)]))
        blocked = (both[0] < 0.5 * clear) | (both[1] < 0.3 * clear)
        at = np.where(blocked[:, None], at, new)
        out[:, k] = at
    return out


def _probe(field: DistanceField, points: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Bilinear distance (...) [m] and its slope (..., 2) at points (..., 2); free off the grid."""
    grid = field.distance
    height, width = grid.shape
    x = (points[..., 0] - field.origin[0]) / field.resolution - 0.5
    y = (points[..., 1] - field.origin[1]) / field.resolution - 0.5
    off = (x < 0.0) | (y < 0.0) | (x > width - 1.0) | (y > height - 1.0)
    x, y = np.clip(x, 0.0, width - 1.001), np.clip(y, 0.0, height - 1.001)
    c, r = x.astype(np.intp), y.astype(np.intp)
    u, v = x - c, y - r
    flat, first = grid.ravel(), r * width + c
    a, b, d, e = flat[first], flat[first + 1], flat[first + width], flat[first + width + 1]
    low, high = a + (b - a) * u, d + (e - d) * u
    slope = np.stack([(b - a) * (1.0 - v) + (e - d) * v, high - low], axis=-1)
    return np.where(off, np.inf, low + (high - low) * v), np.where(off[..., None], 0.0, slope)
