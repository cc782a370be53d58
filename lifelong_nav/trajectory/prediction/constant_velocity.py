"""Everyone goes on as they walk, those who stand stand; the spread grows as it does on real scenes."""

from __future__ import annotations

import numpy as np

from lifelong_nav.core.types import FloatArray, PeopleForecast
from lifelong_nav.trajectory.prediction.history import STEP, Window

STANDING = 0.2
"""Slower than this is standing [m/s]."""
MAX_SPEED = 3.0
"""Faster tracks are errors of the tracker [m/s]."""
_WALK = (0.105, 1.47)  # sigma = a * t ** b covers 68 % of the errors per axis on eth, zara01, students03
_STAND = 0.45  # of which those who stand need this share: most stay, some set off


def constant_velocity(window: Window, times: FloatArray) -> PeopleForecast:
    """One mode for everybody.

    Args:
        window: who there is and how they came.
        times: (T,) seconds from the window's stamp, increasing, > 0.
    """
    velocity = walking_velocity(window)
    start = window.positions[:, -1] if len(window) else np.zeros((0, 2))
    positions = start[:, None] + velocity[:, None] * times[None, :, None]
    return PeopleForecast(
        window.stamp, window.frame_id, window.ids, np.asarray(times, dtype=float), start, velocity,
        positions[:, None], np.ones((len(window), 1)),
        growing_spread(velocity, times, window.sigma)[:, None], window.radii, window.groups,
    )  # fmt: skip


def walking_velocity(window: Window) -> FloatArray:
    """(N, 2) [m/s]: as tracked and as walked over the last 0.8 s, half each; zero for those who stand."""
    count = window.valid[:, -3:].sum(axis=1) if len(window) else np.zeros(0)
    velocity = window.velocity.copy()
    known = count >= 3
    if known.any():
        walked = (window.positions[known, -1] - window.positions[known, -3]) / (2.0 * STEP)
        velocity[known] = 0.5 * (velocity[known] + walked)
    pace = np.hypot(velocity[:, 0], velocity[:, 1])
    velocity *= np.where(pace < STANDING, 0.0, np.minimum(1.0, MAX_SPEED / np.maximum(pace, 1e-6)))[:, None]
    return velocity


def growing_spread(velocity: FloatArray, times: FloatArray, sigma: FloatArray) -> FloatArray:
    """(N, T) standard deviation per axis [m] of constant velocity, `sigma` (N,) of the start included."""
    pace = np.hypot(velocity[:, 0], velocity[:, 1])
    share = np.where(pace < STANDING, _STAND, np.clip(pace, 1.0, 2.0))
    grown = _WALK[0] * np.asarray(times, dtype=float) ** _WALK[1]
    return np.sqrt(sigma[:, None] ** 2 + (share[:, None] * grown[None]) ** 2)
