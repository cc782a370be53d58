"""`lifelong-nav bench context`: does social context name the family of the suite that the robot is in?

Only the training half of the suite is looked at. A run of a family does not show it all the time (before
anybody is met, the way is free), so agreement over all looks cannot reach 1; looks with somebody near ahead
are counted for themselves. The model was trained on scenes of its own recipes, not on the suite's.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import numpy as np

from lifelong_nav.core.geometry import rotation2
from lifelong_nav.core.social_context import SocialContext
from lifelong_nav.evaluation.bench import BenchResult
from lifelong_nav.evaluation.social.case import Case
from lifelong_nav.evaluation.social.planner import Observation
from lifelong_nav.evaluation.social.run import drive
from lifelong_nav.sim import suite
from lifelong_nav.sim.flat import FlatSensed, FlatWorld
from lifelong_nav.training.flat_eyes import FlatEyes

DRIVER, HUMAN = "social_force", "social_force"
NEAR = 4.0
"""Somebody nearer than this [m] in the half plane ahead makes a look one of the family's own."""
_CALLED = {
    "intersection_no_gesture": "intersection", "intersection_gesture_wait": "intersection",
    "intersection_gesture_proceed": "intersection",
}  # fmt: skip


@dataclass
class Tally:
    """Looks of one family: `near` somebody or not, whether the first or one of three names was right."""

    near: list[bool] = field(default_factory=list)
    first: list[bool] = field(default_factory=list)
    third: list[bool] = field(default_factory=list)

    def add(self, context: SocialContext, family: str, near: bool) -> None:
        """Count one look."""
        name = _CALLED.get(family, family)
        self.near.append(near)
        self.first.append(context.scenario == name)
        self.third.append(name in list(context.probabilities)[:3])

    def shares(self) -> tuple[float, float, float]:
        """First name right of all looks and of those near somebody, and one of three right of the latter."""
        near = np.array(self.near, dtype=bool)
        return (
            _mean(np.array(self.first)),
            _mean(np.array(self.first)[near]),
            _mean(np.array(self.third)[near]),
        )


def run(quick: bool = False, seeds: int = 3, seconds: float = 30.0) -> BenchResult:
    """Drive the training half with a simple planner and look once a second, with and without the picture.

    Args:
        quick: one seed and layout.
        seeds: of every family and layout.
        seconds: looks end after so much of a run.
    """
    training = suite.suite()
    layouts = training.layouts_of(suite.TRAIN)[: 1 if quick else 2]
    tallies = {f: (Tally(), Tally()) for f in training.families(suite.TRAIN)}
    spent: list[float] = []
    for family, tally in tallies.items():
        for layout in layouts:
            for seed in range(1 if quick else seeds):
                spent += _look_around(Case(family, HUMAN, layout, seed), tally, seconds)
    rows: list[tuple[object, ...]] = []
    shares = np.array([(*both.shares(), *facts.shares()) for both, facts in tallies.values()])
    counts = np.array([(len(both.near), sum(both.near)) for both, _ in tallies.values()])
    for family, count, share in zip(tallies, counts.tolist(), shares.tolist(), strict=True):
        rows.append((family, *count, *share))
    rows.append(("mean of families", *counts.sum(axis=0).tolist(), *np.nanmean(shares, axis=0).tolist()))
    header = (
        "family", "looks", "near", "first, all", "first, near", "of three, near", "facts: first, all",
        "facts: first, near", "facts: of three, near",
    )  # fmt: skip
    cost = [("median CPU ms per look with picture", 1e3 * float(np.median(spent)))]
    return BenchResult(
        "context",
        [("Does the context name the family?", header, rows), ("Cost", ("figure", "value"), cost)],
        (),
        (f"Driver: {DRIVER}. Chance is 1 in 28. 'near': somebody within {NEAR:g} m ahead.",),
    )


def _look_around(case: Case, tally: tuple[Tally, Tally], seconds: float) -> list[float]:
    """Count the looks of one run; CPU seconds of each look with a picture."""
    spent: list[float] = []
    eyes: list[FlatEyes] = []

    def watch(world: FlatWorld, observation: Observation) -> None:
        now = observation.stamp
        if now > seconds or now - np.floor(now + 1e-6) > 1e-6:
            return
        if not eyes:
            eyes.extend((FlatEyes(world, case.seed), FlatEyes(world, case.seed, image=False)))
        sensed = world.sense()
        start = time.process_time()
        both = eyes[0].context(sensed, observation.goal.xy)
        if now > 0.0:  # the first look sets the renderer up
            spent.append(time.process_time() - start)
        near = _somebody_near(sensed)
        tally[0].add(both, case.family, near)
        tally[1].add(eyes[1].context(sensed, observation.goal.xy), case.family, near)

    try:
        drive(case, DRIVER, watch=watch)
    finally:
        for eye in eyes:
            eye.close()
    return spent


def _somebody_near(sensed: FlatSensed) -> bool:
    at = (sensed.people.positions() - sensed.pose.xy) @ rotation2(sensed.pose.yaw)
    return bool(((at[:, 0] > 0.0) & (np.hypot(at[:, 0], at[:, 1]) < NEAR)).any())


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else float("nan")
