"""From the network's even steps to any times: linear between, straight on beyond, spreads growing on."""

from __future__ import annotations

import numpy as np

from lifelong_nav.core.types import FloatArray
from lifelong_nav.trajectory.prediction.network import HORIZON_TIMES, STEPS

_BACK = 4
"""Beyond the horizon people go on as in the last steps, so many."""

_WIDEST = 3.0  # nothing is learned from a spread beyond this [m]


def resample_tracks(tracks: FloatArray, times: FloatArray) -> FloatArray:
    """(..., 12, 2) tracks relative to now, at the network's steps -> (..., T, 2) at times (T,) [s]."""
    return np.einsum("ts,...sc->...tc", _matrix(times), tracks)


def resample_spread(spread: FloatArray, sigma: FloatArray, times: FloatArray) -> FloatArray:
    """(N, K, 12) spreads -> (N, K, T), the uncertainty of the present place `sigma` (N,) [m] included."""
    grown = np.einsum("ts,nks->nkt", _matrix(times), spread)
    # beyond the horizon never narrower than at it
    late = times > HORIZON_TIMES[-1]
    grown[..., late] = np.maximum(grown[..., late], spread[..., -1:])
    return np.sqrt(np.clip(grown, 0.0, _WIDEST) ** 2 + sigma[:, None, None] ** 2)


def _matrix(times: FloatArray) -> FloatArray:
    """(T, 12) weights of the network's steps; now is zero and needs no column."""
    knots = np.concatenate([[0.0], HORIZON_TIMES])
    k = np.clip(np.searchsorted(knots, times, side="right") - 1, 0, STEPS - 1)
    share = np.clip((times - knots[k]) / (knots[k + 1] - knots[k]), 0.0, 1.0)
    out = np.zeros((len(times), STEPS + 1))
    rows = np.arange(len(times))
    out[rows, k] += 1.0 - share
    out[rows, k + 1] += share
    beyond = np.maximum(times - knots[-1], 0.0) / (knots[-1] - knots[-1 - _BACK])
    out[:, -1] += beyond
    out[:, -1 - _BACK] -= beyond
    return out[:, 1:]
