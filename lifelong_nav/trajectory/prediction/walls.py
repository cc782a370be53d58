"""People do not walk through walls: modes slide along obstacles, and count for less the more they must."""

from __future__ import annotations

import numpy as np

from lifelong_nav.core.distance import DistanceField
from lifelong_nav.core.types import FloatArray

CLEARANCE = 0.22
"""Middle of a body to a wall [m]; who stands nearer already keeps what there is."""
_SCALE = 0.7  # a mode that ends this far from where it wanted to counts e times less [m]
_PUSHES = 2


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
    here = field.at_smooth(start[:, 0], start[:, 1])
    clear = np.clip(0.8 * here, 0.0, CLEARANCE)[:, None]
    free = field.at_smooth(tracks[..., 0], tracks[..., 1])
    # between two samples lies up to half a metre: a thin wall shows at the middle of the step
    before = np.concatenate(
        [np.broadcast_to(start[:, None, None], (*tracks.shape[:2], 1, 2)), tracks[:, :, :-1]], 2
    )
    middle = 0.5 * (before + tracks)
    free = np.minimum(free, field.at_smooth(middle[..., 0], middle[..., 1]))
    inside = _within(field, tracks)
    n, m = np.nonzero(((free < clear[..., None]) & inside).any(axis=2))
    if len(n) == 0:
        return tracks, weights
    bent = _slide(start[n], tracks[n, m], clear[n, 0], field)
    out, share = tracks.copy(), weights.copy()
    out[n, m] = bent
    lost = np.linalg.norm(bent[:, -1] - tracks[n, m, -1], axis=-1)
    share[n, m] *= np.exp(-np.minimum(lost / _SCALE, 6.0))
    return out, share / share.sum(axis=1, keepdims=True)


def _slide(start: FloatArray, tracks: FloatArray, clear: FloatArray, field: DistanceField) -> FloatArray:
    """(B, T, 2): step by step, pushed out of obstacles along the slope of the distance, or stopped."""
    at, wanted, out = start.copy(), start.copy(), np.empty_like(tracks)
    eps = field.resolution
    for k in range(tracks.shape[1]):
        step = tracks[:, k] - wanted
        wanted = tracks[:, k]
        new = at + step
        for _ in range(_PUSHES):
            d = field.at_smooth(new[:, 0], new[:, 1])
            short = np.maximum(clear - d, 0.0)
            if not (short > 0.0).any():
                break
            slope = np.stack(
                [
                    field.at_smooth(new[:, 0] + eps, new[:, 1]) - field.at_smooth(new[:, 0] - eps, new[:, 1]),
                    field.at_smooth(new[:, 0], new[:, 1] + eps) - field.at_smooth(new[:, 0], new[:, 1] - eps),
                ],
                axis=-1,
            )
            size = np.linalg.norm(slope, axis=-1, keepdims=True)
            new = new + slope / np.maximum(size, 1e-6) * short[:, None]
        middle = 0.5 * (at + new)
        blocked = (field.at_smooth(new[:, 0], new[:, 1]) < 0.5 * clear) | (
            field.at_smooth(middle[:, 0], middle[:, 1]) < 0.3 * clear
        )
        at = np.where(blocked[:, None], at, new)
        out[:, k] = at
    return out


def _within(field: DistanceField, points: FloatArray) -> FloatArray:
    """True where the grid knows something: beyond its rim nothing bends."""
    height, width = field.distance.shape
    x = (points[..., 0] - field.origin[0]) / field.resolution
    y = (points[..., 1] - field.origin[1]) / field.resolution
    return (x > 0.5) & (y > 0.5) & (x < width - 0.5) & (y < height - 0.5)
