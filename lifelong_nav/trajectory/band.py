"""Timed points made smooth without climbing into cost: covariant gradient descent (CHOMP, Ratliff 2009)."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np

from lifelong_nav.core.types import FloatArray

Gradient = Callable[[FloatArray], FloatArray]
"""Cost gradient (K, T, 2) at points (K, T, 2)."""


@lru_cache(maxsize=32)
def _smoother(count: int, stiff: float, lead: int, free_end: bool) -> tuple[FloatArray, FloatArray]:
    """Inverse of I + stiff D'D over the free points, and the fixed points' part of it."""
    second = np.zeros((count - 2, count))
    rows = np.arange(count - 2)
    second[rows, rows], second[rows, rows + 1], second[rows, rows + 2] = 1.0, -2.0, 1.0
    bend = stiff * second.T @ second
    last = count if free_end else count - 1
    inverse = np.linalg.inv(np.eye(last - lead) + bend[lead:last, lead:last])
    fixed = list(range(lead)) + ([] if free_end else [count - 1])
    return inverse, -inverse @ bend[lead:last][:, fixed]


def smooth(
    points: FloatArray, gradient: Gradient | None, stiff: float, rounds: int, most: float,
    free_end: bool = True, ghost: FloatArray | None = None,
) -> FloatArray:  # fmt: skip
    """Points (K, T, 2) at even times, bent as little as their costs allow; the first stays.

    Args:
        points: start of the descent.
        gradient: of what each free point (all but the first, and the last unless `free_end`) costs,
            scaled to metres of step; None only smooths.
        stiff: weight of squared second differences against staying where a step led.
        rounds: steps.
        most: longest step of a point along the gradient [m].
        free_end: False when the last point stays as well.
        ghost: (2,) where the robot was one step ago, which ties the first steps to its velocity.
    """
    lead = 1 if ghost is None else 2
    if ghost is not None:
        points = np.concatenate([np.broadcast_to(ghost, (len(points), 1, 2)), points], axis=1)
    inverse, anchor = _smoother(points.shape[1], float(stiff), lead, free_end)
    last = points.shape[1] if free_end else points.shape[1] - 1
    pull = anchor @ np.concatenate([points[:, :lead], points[:, last:]], axis=1)
    free = points[:, lead:last]
    for _ in range(rounds):
        if gradient is not None:
            push = gradient(free)
            size = np.sqrt((push * push).sum(axis=-1, keepdims=True))
            free = free - push * np.minimum(1.0, most / np.maximum(size, 1e-9))
        free = inverse @ free + pull
    return np.concatenate([points[:, lead - 1 : lead], free, points[:, last:]], axis=1)
