"""Is what a teacher said of new moments believable? Neighbours should be called alike.

A moment whose label most of its nearest neighbours (new and remembered ones of other episodes) contradict
is left out; a batch that contradicts itself too often is refused whole. Edited nearest neighbours (Wilson
1972) with a limit on how much may be edited away.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lifelong_nav.core.types import FloatArray
from lifelong_nav.perception.lifelong.samples import Samples, join, present

NEIGHBOURS = 9
MAX_DOUBT = 0.6
"""Share of doubtful moments from which a batch is refused."""


@dataclass(frozen=True)
class Screening:
    """`kept` (N,) moments whose label neighbours bear out; `doubt` share of the others; `accepted` or not."""

    kept: NDArray[np.bool_]
    doubt: float
    accepted: bool
    reason: str


def screen(new: Samples, remembered: Samples | None, vectors_of: Screener) -> Screening:
    """Judge the labels of new moments by those of their neighbours.

    Args:
        new: labelled moments to judge.
        remembered: trusted moments of older scenarios, or None.
        vectors_of: maps samples to points among which the Euclidean distance means likeness.
    """
    both = new if remembered is None or not len(remembered) else join([new, remembered])
    n = len(new)
    if not n:
        return Screening(np.ones(0, dtype=bool), 0.0, False, "there is nothing to judge")
    points = vectors_of(both)
    distance = _squared(points[:n], points)
    own = new.episode[:, None] == both.episode[None]  # frames of one episode are near-copies: no witnesses
    distance[own] = np.inf
    k = min(NEIGHBOURS, int((~own).sum(axis=1).min()))
    if k < 3:
        return Screening(np.ones(n, dtype=bool), 0.0, True, "too few moments to compare")
    near = np.argpartition(distance, k - 1, axis=1)[:, :k]
    same = (both.scenario[near] == new.scenario[:, None]).mean(axis=1)
    kept = same >= _plurality(both.scenario[near])
    doubt = float(1.0 - kept.mean())
    accepted = doubt <= MAX_DOUBT and bool(kept.any())
    said = f"{doubt:.0%} of the labels are contradicted by their neighbours"
    return Screening(kept, doubt, accepted, said if accepted else f"{said}; the batch is refused")


class Screener:
    """Points for `screen`: both voices standardised by the head's own statistics, equally heavy.

    Args:
        params: weights of a head; its `mean` and `scale` buffers are used.
    """

    def __init__(self, params: dict[str, FloatArray]) -> None:
        self._params = params

    def __call__(self, samples: Samples) -> FloatArray:
        """(N, F + 3 D) float32; a silent voice is at its mean."""
        parts = []
        for name, rows in (("image", samples.image), ("facts", samples.facts)):
            mean, scale = self._params[f"{name}.mean"], self._params[f"{name}.scale"]
            z = np.nan_to_num((rows.astype(np.float32) - mean) * scale, nan=0.0)
            parts.append(np.where(present(rows)[:, None], z, 0.0) / np.sqrt(max(rows.shape[1], 1)))
        return np.concatenate(parts, axis=1)


def _plurality(labels: NDArray[np.str_]) -> FloatArray:
    """(N,) share of the commonest label in each row."""
    return np.array([np.unique(row, return_counts=True)[1].max() / len(row) for row in labels])


def _squared(a: FloatArray, b: FloatArray) -> FloatArray:
    out: FloatArray = (a * a).sum(axis=1)[:, None] + (b * b).sum(axis=1)[None] - 2.0 * (a @ b.T)
    return out
