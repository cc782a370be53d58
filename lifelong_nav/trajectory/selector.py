"""The choice among candidates: hard rules first, then the sum of named costs; never without an answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from lifelong_nav.core.config import param
from lifelong_nav.core.types import FloatArray
from lifelong_nav.trajectory.caption_selection import CaptionScore, ContextConfig, caption_cost, factors
from lifelong_nav.trajectory.explain import reason
from lifelong_nav.trajectory.fallback import STOP, stop_candidate
from lifelong_nav.trajectory.prediction.constant_velocity import constant_velocity
from lifelong_nav.trajectory.prediction.history import PeopleHistory
from lifelong_nav.trajectory.proxemics import ProxemicsConfig
from lifelong_nav.trajectory.situation import TIMES, Candidate, Choice, Situation
from lifelong_nav.trajectory.terms import Batch, TermsConfig, consistency, evaluate, make_batch, sampled

_FAR = 1000.0
"""Farther from the robot [m], or wound up more [rad], no candidate is meant in earnest."""


@dataclass(frozen=True)
class SelectorConfig:
    """Parameters of the hard rules."""

    soon: float = param(1.0, "s", 0.2, 3.0, "Predicted contact within this time loses to anything without.")
    chance: float = param(0.35, "", 0.01, 1.0, "Probability from which a contact counts as predicted.")
    crash_time: float = param(2.5, "s", 0.2, 6.0, "Likewise for obstacles.")
    crash_depth: float = param(0.04, "m", 0.0, 0.3, "Overlap with an obstacle that counts as collision.")


class Rating(Protocol):
    """A learned judgement of how disturbing people find what a robot does."""

    def costs(self, batch: Batch) -> FloatArray:
        """(C,) the higher the more disturbing."""
        ...


class Selector:
    """Chooses one candidate and says why.

    Args:
        config: hard rules.
        terms: weights and shapes of the costs.
        context: what the social context changes.
        proxemics: shapes of people's spaces.
        rating: learned judgement, None for none.
        caption: learned selection by caption, None for none.
    """

    def __init__(
        self,
        config: SelectorConfig | None = None,
        terms: TermsConfig | None = None,
        context: ContextConfig | None = None,
        proxemics: ProxemicsConfig | None = None,
        rating: Rating | None = None,
        caption: CaptionScore | None = None,
    ) -> None:
        self.config = config or SelectorConfig()
        self.terms = terms or TermsConfig()
        self.context = context or ContextConfig()
        self.proxemics = proxemics or ProxemicsConfig()
        self.rating, self.caption = rating, caption
        self.notes: tuple[str, ...] = ()
        """What went wrong in the last choice: candidates discarded, terms left out."""
        self.beliefs: dict[str, float] = {}
        """Scenarios and actions the last choice believed in."""

    def choose(
        self,
        situation: Situation,
        candidates: Sequence[Candidate],
        previous: Choice | None = None,
        waited: float = 0.0,
    ) -> Choice:
        """The best candidate; stopping is always one of them.

        Args:
            situation: with the forecast of people.
            candidates: any number, in any order; those that are not finite are discarded with a note.
            previous: the choice before, None for none.
            waited: seconds without getting ahead, which weigh progress up.
        """
        notes: list[str] = []
        kept = [c for c in candidates if _sound(c, situation, notes)]
        if not any(c.name == STOP for c in kept):
            kept.append(stop_candidate(situation))
        situation = with_forecast(situation)
        batch = make_batch(situation, kept, self.proxemics)
        factor, self.beliefs = factors(situation.context, situation.stamp, self.context)
        patience = 1.0 + max(float(np.nan_to_num(waited)), 0.0) / self.terms.patience
        factor["progress"] = factor.get("progress", 1.0) * min(patience, 4.0)
        costs, failed = evaluate(batch, self.terms, self._extra(batch, previous, notes), factor)
        totals = np.sum(list(costs.values()), axis=0) if costs else np.zeros(len(kept))
        broken = self.broken(batch)
        index = int(np.lexsort((_ranks(kept), totals, broken))[0])
        self.notes = (*notes, *failed)
        why = reason(batch, kept, index, costs, bool(broken.all()))
        return Choice(situation.stamp, tuple(kept), index, totals, costs, why, situation.forecast)

    def broken(self, batch: Batch) -> NDArray[np.bool_]:
        """(C,) True for candidates with contact predicted soon, or in collision with an obstacle.

        A robot that overlaps with an obstacle already (pushed there) may leave it: getting deeper counts.
        """
        c = self.config
        use = c.crash_time + 1e-9 >= TIMES
        depth = np.float32(batch.radius) - batch.clearance[:, use]
        at = batch.situation.pose
        now = 0.0
        if batch.situation.field is not None:
            now = batch.radius - float(batch.situation.field.at(np.array([at.x]), np.array([at.y]))[0])
        crash = (depth > max(c.crash_depth, now + 0.02)).any(axis=1)
        if len(batch.people) == 0:
            return np.asarray(crash, dtype=bool)
        soon = c.soon + 1e-9 >= TIMES
        chance = batch.touch[..., soon] * np.clip(np.abs(batch.v[:, soon]) / 0.25, 0.3, 1.0)
        return np.asarray(crash | (batch.over_people(chance.max(axis=2)) > c.chance).any(axis=0), dtype=bool)

    def _extra(self, batch: Batch, previous: Choice | None, notes: list[str]) -> dict[str, FloatArray]:
        """Raw costs of the terms that need more than the batch."""
        s = batch.situation
        extra: dict[str, FloatArray] = {"consistency": consistency(batch, _before(previous, s))}
        try:
            if self.rating is not None and self.terms.rating > 0.0:
                extra["rating"] = self.rating.costs(batch)
            if self.caption is not None and self.terms.context > 0.0:
                poses = np.concatenate([batch.xy, batch.yaw[..., None]], axis=-1)
                extra["context"] = caption_cost(self.caption, s.context, s.stamp, poses, s.pose, self.context)
        except Exception as error:  # a learned judgement must not end the choice
            notes.append(f"a learned judgement failed ({type(error).__name__}: {error})")
        return extra


def with_forecast(situation: Situation) -> Situation:
    """The situation, its people going on as they walk where nobody has predicted them."""
    if situation.forecast is not None or len(situation.people) == 0:
        return situation
    history = PeopleHistory()
    history.add(situation.people)
    forecast = constant_velocity(history.window(situation.stamp), TIMES)
    return replace(situation, forecast=forecast)


def _ranks(candidates: Sequence[Candidate]) -> NDArray[np.intp]:
    """(C,) order in which equal candidates are taken, whatever order they came in."""
    keys = [(c.name, c.source, c.trajectory.poses[-1].tolist()) for c in candidates]
    order = sorted(range(len(keys)), key=keys.__getitem__)
    ranks = np.empty(len(keys), dtype=np.intp)
    ranks[order] = np.arange(len(keys))
    return ranks


def _sound(candidate: Candidate, situation: Situation, notes: list[str]) -> bool:
    t = candidate.trajectory
    poses, times = np.asarray(t.poses), np.asarray(t.times)
    if poses.ndim != 2 or poses.shape[1] != 3 or len(poses) != len(times) or len(times) == 0:
        notes.append(f"candidate '{candidate.name}' has poses {poses.shape} at {times.shape} times")
        return False
    if not (np.isfinite(poses).all() and np.isfinite(times).all() and np.isfinite(t.stamp)):
        notes.append(f"candidate '{candidate.name}' is not finite")
        return False
    if np.abs(poses[:, :2] - situation.pose.xy).max() > _FAR or np.abs(poses[:, 2]).max() > _FAR:
        notes.append(f"candidate '{candidate.name}' leads out of the world")
        return False
    if t.frame_id != situation.frame_id:
        notes.append(f"candidate '{candidate.name}' is in frame '{t.frame_id}'")
        return False
    return True


def _before(previous: Choice | None, situation: Situation) -> FloatArray | None:
    """(T, 2) where the choice before leads from now on; None when it is no longer of use."""
    if previous is None or not 0.0 <= situation.stamp - previous.stamp <= 1.5:
        return None
    trajectory = previous.chosen.trajectory
    if trajectory.frame_id != situation.frame_id:
        return None
    return sampled(trajectory, situation)[:, :2]
