"""When to be where along a fixed line: yielding, waiting, slowing, by dynamic programming.

Kant and Zucker's path-velocity decomposition (IJRR 1986).
"""

from __future__ import annotations

import numpy as np

from lifelong_nav.core.types import FloatArray
from lifelong_nav.trajectory.situation import STEP

_FASTEST = 4
"""Cells per step at full speed."""


def grid(speed: float, steps: int) -> FloatArray:
    """(A,) arc lengths [m] the programme works on."""
    return np.arange(_FASTEST * (steps - 1) + 1) * (speed * STEP / _FASTEST)


def schedule(blocked: FloatArray, length: float, speed: float, effort: float) -> FloatArray:
    """(S,) arc lengths [m] at each step of the way that is slowed only by what blocks it.

    Args:
        blocked: (A, S) 0 to 1 on `grid(speed, S)` and steps of `STEP`.
        length: of the way [m]; it ends there.
        speed: full speed [m/s].
        effort: price of speed's square: 0 stops and goes, more slows down early.
    """
    cells, steps = blocked.shape
    arcs = grid(speed, steps)
    own = np.where(blocked > 0.0, 4.0 + 40.0 * blocked, 0.0)
    behind = np.maximum(min(length, arcs[-1]) - arcs, 0.0) / speed
    own = own + 0.1 * STEP * behind[:, None] + 1e3 * (arcs > length + 1e-6)[:, None]
    moves = np.arange(_FASTEST + 1)
    price = effort * STEP * (moves / _FASTEST) ** 2
    value = 3.0 * behind
    choice = np.zeros((steps, cells), dtype=np.intp)
    for k in range(steps - 1, 0, -1):
        whole = np.pad(value + own[:, k], (0, _FASTEST), constant_values=1e6)
        options = np.stack([whole[m : m + cells] + price[m] for m in moves])
        choice[k] = options.argmin(axis=0)
        value = options.min(axis=0)
    at = np.zeros(steps, dtype=np.intp)
    for k in range(1, steps):
        at[k] = at[k - 1] + choice[k, at[k - 1]]
    return arcs[np.minimum(at, cells - 1)]
