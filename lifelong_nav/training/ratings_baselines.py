"""What a learned rating must beat: a constant, and classical proxemic costs calibrated on the same ratings.

The classical rating is base * exp(-cost), the cost a weighted sum of what `trajectory.proxemics` charges for:
an asymmetric Gaussian around each person (Kirby 2010), and the fading space around the line between people
who interact (an o-space of two; Kendon 1990), or between a person and the thing looked at.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import least_squares

from lifelong_nav.core.types import FloatArray
from lifelong_nav.training.ratings_data import Ratings, rows_of
from lifelong_nav.trajectory.rating.features import Surroundings

NAMES = (
    "base", "weight", "front", "side", "rear", "group_weight", "group_spread", "object_weight",
    "object_spread",
)  # fmt: skip
"""Parameters of the classical rating; spreads in metres between centres."""
START = (0.93, 1.5, 0.8, 0.6, 0.6, 0.8, 0.4, 0.8, 0.4)
_LOW = (0.1, 0.0, 0.1, 0.1, 0.1, 0.0, 0.05, 0.0, 0.05)
_HIGH = (1.0, 20.0, 4.0, 4.0, 4.0, 20.0, 3.0, 20.0, 3.0)


@dataclass(frozen=True)
class Calibration:
    """Parameters by `NAMES` with 95 % bootstrap intervals over scenes."""

    values: FloatArray
    low: FloatArray
    high: FloatArray

    def rows(self) -> list[tuple[str, float, str]]:
        """Printable: name, value, interval."""
        return [
            (n, float(v), f"{a:.2f} - {b:.2f}")
            for n, v, a, b in zip(NAMES, self.values, self.low, self.high, strict=True)
        ]


@dataclass(frozen=True)
class _Offsets:
    """What the classical cost depends on: (R, N) ahead and aside of people, (R, L) distance to lines."""

    ahead: FloatArray
    aside: FloatArray
    there: FloatArray
    line: FloatArray
    people_line: FloatArray
    object_line: FloatArray


def classical(parameters: FloatArray, around: Surroundings) -> FloatArray:
    """(R,) ratings of scenes seen from the origin by the classical costs."""
    return _rating(np.asarray(parameters), _offsets(around))


def fit_classical(ratings: Ratings, groups: bool = True) -> FloatArray:
    """Parameters that fit the ratings best; without `groups` one round Gaussian per person and nothing else.

    Returns:
        (9,) by `NAMES`.
    """
    offsets = _offsets(ratings.around)
    if groups:
        return _fit(offsets, ratings.scores, np.array(START))

    def spread_out(q: FloatArray) -> FloatArray:
        return np.array([q[0], q[1], q[2], q[2], q[2], 0.0, 1.0, 0.0, 1.0])

    found = least_squares(
        lambda q: _rating(spread_out(q), offsets) - ratings.scores, (0.93, 2.0, 0.7),
        bounds=((0.1, 0.0, 0.1), (1.0, 20.0, 4.0)),
    )  # fmt: skip
    return spread_out(found.x)


def calibrate(ratings: Ratings, draws: int = 100, seed: int = 0) -> Calibration:
    """Classical parameters with intervals by the bootstrap.

    Whole scenes are drawn, so that the raters of one scene stay together.
    """
    best = fit_classical(ratings)
    _, scene = np.unique(ratings.scenes, return_inverse=True)
    order = np.argsort(scene, kind="stable")
    starts = np.searchsorted(scene[order], np.arange(scene.max() + 2))
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(draws):
        drawn = rng.integers(scene.max() + 1, size=scene.max() + 1)
        rows = np.concatenate([order[starts[s] : starts[s + 1]] for s in drawn])
        found.append(_fit(_offsets(rows_of(ratings.around, rows)), ratings.scores[rows], best))
    low, high = np.quantile(found, (0.025, 0.975), axis=0)
    return Calibration(best, low, high)


def _fit(offsets: _Offsets, scores: FloatArray, start: FloatArray) -> FloatArray:
    found = least_squares(
        lambda q: _rating(q, offsets) - scores,
        start,
        bounds=(_LOW, _HIGH),
        x_scale=np.array(START),
        ftol=1e-5,
    )
    return np.asarray(found.x)


def _offsets(around: Surroundings) -> _Offsets:
    to_robot = -around.people
    cos, sin = np.cos(around.facing), np.sin(around.facing)
    ahead = to_robot[..., 0] * cos + to_robot[..., 1] * sin
    aside = to_robot[..., 1] * cos - to_robot[..., 0] * sin
    a, b = around.ties[..., :2], around.ties[..., 2:]
    along = b - a
    share = np.clip(-(a * along).sum(-1) / np.maximum(np.square(along).sum(-1), 1e-9), 0.0, 1.0)
    line = np.linalg.norm(a + share[..., None] * along, axis=-1)
    return _Offsets(
        ahead, aside, around.there.astype(float), line, (around.tied & ~around.to_object).astype(float),
        (around.tied & around.to_object).astype(float),
    )  # fmt: skip


def _rating(q: FloatArray, o: _Offsets) -> FloatArray:
    base, weight, front, side, rear, group_weight, group_spread, object_weight, object_spread = q
    reach = np.where(o.ahead > 0.0, front, rear)
    personal = (np.exp(-0.5 * ((o.ahead / reach) ** 2 + (o.aside / side) ** 2)) * o.there).sum(axis=1)
    group = (np.exp(-0.5 * (o.line / group_spread) ** 2) * o.people_line).sum(axis=1)
    thing = (np.exp(-0.5 * (o.line / object_spread) ** 2) * o.object_line).sum(axis=1)
    return np.asarray(base * np.exp(-weight * personal - group_weight * group - object_weight * thing))
