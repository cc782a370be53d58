"""How a person's past and neighbours enter the network: in the person's own frame, x along the walk."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lifelong_nav.core.types import FloatArray

PERIOD = 0.4
NEIGHBOUR_FEATURES = 9


def heading(past: FloatArray, near: FloatArray, there: NDArray[np.bool_]) -> FloatArray:
    """(B,) direction of the own frame [rad].

    That of the walk over the last samples, recent ones more; for those who do not move that of the nearest
    neighbour, else 0.

    Args:
        past: (B, 8, 2) places relative to now [m].
        near: (B, J, 4) neighbours, nearest first.
        there: (B, J) which exist.
    """
    steps = np.diff(past, axis=1)
    weights = 0.5 ** np.arange(steps.shape[1] - 1, -1, -1.0)
    way = np.einsum("t,btc->bc", weights, steps)
    still = np.hypot(way[:, 0], way[:, 1]) < 0.02
    to = np.where(there[:, :1], near[:, 0, :2], (1.0, 0.0)) if near.shape[1] else np.array([[1.0, 0.0]])
    way = np.where(still[:, None], to, way)
    return np.arctan2(way[:, 1], way[:, 0])


def turned(points: FloatArray, angle: FloatArray) -> FloatArray:
    """(B, ..., 2) points turned by angle (B,) [rad]."""
    shape = (-1,) + (1,) * (points.ndim - 2)
    c, s = np.cos(angle).reshape(shape), np.sin(angle).reshape(shape)
    x, y = points[..., 0], points[..., 1]
    return np.stack([c * x - s * y, s * x + c * y], axis=-1)


def own_features(past: FloatArray, seen: NDArray[np.bool_]) -> FloatArray:
    """(B, 22): seven steps as velocities [m/s], which of them are known, and the speed."""
    v = np.diff(past, axis=1) / PERIOD
    known = (seen[:, 1:] & seen[:, :-1]).astype(past.dtype)
    speed = np.sqrt((v[:, -2:].mean(axis=1) ** 2).sum(axis=-1, keepdims=True))
    return np.concatenate([v.reshape(len(v), -1), known, speed], axis=1)


def neighbour_features(past: FloatArray, near: FloatArray) -> FloatArray:
    """(B, J, 9): place, velocity, relative velocity, distance, time to and gap at the closest approach."""
    own = (past[:, -1] - past[:, -3]) / (2.0 * PERIOD)
    place, velocity = near[..., :2], near[..., 2:]
    rel = velocity - own[:, None]
    far = np.sqrt((place**2).sum(-1, keepdims=True) + 1e-6)
    closing = (rel**2).sum(-1, keepdims=True)
    soonest = np.clip(-(place * rel).sum(-1, keepdims=True) / (closing + 0.01), 0.0, 6.0)
    gap = np.sqrt(((place + soonest * rel) ** 2).sum(-1, keepdims=True) + 1e-6)
    return np.concatenate(
        [0.3 * place, velocity, rel, np.exp(-0.5 * far), 0.3 * soonest, np.exp(-gap)], axis=-1
    )
