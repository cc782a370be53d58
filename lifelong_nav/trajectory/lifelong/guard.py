"""What candidate heads must show before they replace those in use, on moments neither was trained on.

Demonstrations come nearer, everything older stays as near as it was, contacts do not grow, weights stay
finite and within a trust region. Before that, demonstrations that are like no mode known are set aside:
much of them means noise or poison, and nothing is learned.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lifelong_nav.core.types import FloatArray
from lifelong_nav.trajectory.generator.features import BEAMS, REACH
from lifelong_nav.trajectory.generator.heads import KNOT, KNOTS, motions
from lifelong_nav.trajectory.generator.moments import Moments
from lifelong_nav.trajectory.lifelong.config import GuardConfig

_LOOK = 5  # knots over which contacts are looked for: people's motion is known for three seconds
_ANGLES = (np.arange(BEAMS) + 0.5) / BEAMS * 2.0 * np.pi - np.pi


@dataclass(frozen=True)
class Known:
    """Moments with the trunk's queries (N, MODES, QUERY) of them."""

    moments: Moments
    queries: FloatArray

    def __len__(self) -> int:
        return len(self.moments)

    def __getitem__(self, rows: Any) -> Known:
        return Known(self.moments[rows], self.queries[rows])


@dataclass(frozen=True)
class Judged:
    """Figures of heads on moments: mean distance [m] of best and likeliest mode, share in contact.

    `best` (N,) is the mean distance of the best mode for each moment [m].
    """

    best_ade: float
    top_ade: float
    contact: float
    best: FloatArray

    @property
    def score(self) -> float:
        """One number [m], the lower the better."""
        return 0.5 * (self.best_ade + self.top_ade)


@dataclass(frozen=True)
class Verdict:
    """`accepted` or not with all reasons against; the figures behind it."""

    accepted: bool
    reasons: tuple[str, ...]
    gain: float
    loss: float
    figures: Mapping[str, float]


def figures(params: Mapping[str, FloatArray], known: Known) -> Judged:
    """Drive the heads over moments and compare with the experts."""
    count = len(known)
    best, top, touched = np.zeros(count), np.zeros(count), np.zeros(count, dtype=bool)
    for i in range(count):
        poses, chances = driven(params, known, i)
        valid = known.moments.valid[i].astype(bool)
        gap = np.linalg.norm(poses[:, valid, :2] - known.moments.expert[i, valid, :2], axis=-1).mean(axis=1)
        first = int(chances.argmax())
        best[i], top[i] = gap.min(), gap[first]
        touched[i] = in_contact(poses[first], known.moments, i)
    return Judged(float(best.mean()), float(top.mean()), float(touched.mean()), best)


def driven(params: Mapping[str, FloatArray], known: Known, i: int) -> tuple[FloatArray, FloatArray]:
    """(MODES, KNOTS, 3) poses at the knots and (MODES,) chances for one moment."""
    v, w, speed = known.moments.motion[i]
    poses, _, chances = motions(params, known.queries[i], float(v), float(w), float(speed))
    return poses[:, 2::3], chances


def in_contact(poses: FloatArray, moments: Moments, i: int) -> bool:
    """Does a motion (KNOTS, 3) touch what the scan saw, or people who walk on as they do?"""
    xy = poses[:_LOOK, :2]
    radius = float(moments.way[i, -1])
    ranges = moments.lidar[i, 0].astype(float) * REACH
    solid = (moments.lidar[i, 1] > 0.5) & (ranges < 0.98 * REACH)
    points = ranges[solid, None] * np.stack([np.cos(_ANGLES[solid]), np.sin(_ANGLES[solid])], axis=-1)
    points = points[np.hypot(points[:, 0], points[:, 1]) > radius]
    if len(points) and (np.linalg.norm(xy[:, None] - points[None], axis=-1) < radius).any():
        return True
    rows = moments.people[i][moments.mask[i] > 0].astype(float)
    if not len(rows):
        return False
    times = KNOT * np.arange(1, KNOTS + 1)[:_LOOK]
    people = rows[:, None, 0:2] * 4.0 + times[:, None] * rows[:, None, 2:4]
    return bool((np.linalg.norm(people - xy[None], axis=-1) < radius + rows[:, 4:5]).any())


def strangers(
    params: Mapping[str, FloatArray], shown: Known, usual: Judged, quantile: float
) -> NDArray[np.bool_]:
    """(N,) demonstrated moments farther from every mode than all but a few of the usual ones."""
    limit = max(float(np.quantile(usual.best, quantile)), 0.3)
    return np.asarray(figures(params, shown).best > limit)


def judge(
    current: Mapping[str, FloatArray], candidate: Mapping[str, FloatArray], shown: Known, base: Known | None,
    config: GuardConfig | None = None,
) -> Verdict:  # fmt: skip
    """Compare candidate heads with those in use.

    Args:
        current: weights in use.
        candidate: weights that want to replace them.
        shown: demonstrated moments, held out.
        base: older moments, held out; None where there are none (never on a robot).
        config: limits.
    """
    config = config or GuardConfig()
    if any(not np.isfinite(v).all() for v in candidate.values()):
        return Verdict(False, ("weights are not finite",), 0.0, 1.0, {})
    before, after = figures(current, shown), figures(candidate, shown)
    gain = 1.0 - after.score / max(before.score, 1e-6)
    reasons = []
    if gain < config.min_gain:
        reasons.append(f"demonstrations come nearer by {gain:+.1%}, less than {config.min_gain:.1%}")
    if after.contact > before.contact + max(config.contact, 1.5 / max(len(shown), 1)):
        reasons.append(f"contacts grow from {before.contact:.1%} to {after.contact:.1%} where it was shown")
    told = {"shown_before": before.score, "shown_after": after.score, "shown_contact": after.contact}
    loss = 0.0
    if base is not None and len(base):
        old, new = figures(current, base), figures(candidate, base)
        losses = {
            "the best mode": new.best_ade / max(old.best_ade, 1e-6) - 1.0,
            "the likeliest mode": new.top_ade / max(old.top_ade, 1e-6) - 1.0,
        }
        loss = max(losses.values())
        reasons += [
            f"{name} gets {value:.1%} farther from what was known"
            for name, value in losses.items()
            if value > config.tolerance
        ]
        if new.contact > old.contact + max(config.contact, 1.5 / len(base)):
            reasons.append(f"contacts grow from {old.contact:.1%} to {new.contact:.1%} elsewhere")
        told |= {"base_before": old.score, "base_after": new.score, "base_contact": new.contact}
    change = relative_change(current, candidate)
    if change > config.max_change:
        reasons.append(f"weights change by {change:.0%}, more than {config.max_change:.0%}")
    return Verdict(not reasons, tuple(reasons), gain, loss, {**told, "change": change})


def relative_change(current: Mapping[str, FloatArray], candidate: Mapping[str, FloatArray]) -> float:
    """Largest relative Frobenius change of a weight matrix (biases, which may begin at zero, left out)."""
    changes = [
        float(np.linalg.norm(candidate[n] - current[n]) / max(float(np.linalg.norm(current[n])), 1e-9))
        for n in current
        if n.endswith((".w", ".wi", ".wh"))
    ]
    return max(changes)
