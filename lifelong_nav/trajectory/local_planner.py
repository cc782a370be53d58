"""One cycle of local planning: predict people, propose ways to go on, choose one; no part may fail it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from lifelong_nav.core.config import param
from lifelong_nav.core.distance import DistanceField
from lifelong_nav.core.types import FloatArray, PeopleForecast, Pose2, Twist2
from lifelong_nav.trajectory.fallback import follow_candidates
from lifelong_nav.trajectory.prediction.history import PeopleHistory
from lifelong_nav.trajectory.selector import Selector, with_forecast
from lifelong_nav.trajectory.situation import TIMES, Candidate, Choice, Situation

Generator = Callable[[Situation], Sequence[Candidate]]
"""Proposes candidates for a situation with a forecast."""


class Predicts(Protocol):
    """What is asked of a predictor (`prediction.predictor.Predictor`)."""

    def predict(
        self, history: PeopleHistory, now: float | None = None, times: FloatArray = TIMES,
        robot_pose: Pose2 | None = None, robot_twist: Twist2 | None = None,
        field: DistanceField | None = None,
    ) -> PeopleForecast:  # fmt: skip
        """Where people may be at `times` from `now`."""
        ...


@dataclass(frozen=True)
class LocalPlannerConfig:
    """Parameters of `LocalPlanner`."""

    most: int = param(40, "", 2, 200, "Most candidates that are compared.")
    stuck_speed: float = param(
        0.15, "", 0.0, 1.0, "Getting ahead slower than this share of the speed is waiting."
    )
    stuck_memory: float = param(1.0, "s", 0.2, 20.0, "Time over which getting ahead is judged.")


@dataclass(frozen=True)
class Report:
    """How a cycle went: `seconds` by part (empty without a clock), `counts` of candidates, `problems`."""

    seconds: Mapping[str, float]
    counts: Mapping[str, int]
    problems: tuple[str, ...]
    waited: float


class LocalPlanner:
    """Predict, propose, choose; keeps what was chosen and how long the robot has been waiting.

    Args:
        config: parameters.
        predictor: of people; None: everyone goes on as they walk.
        generators: by name; each proposes candidates. Where none proposes any, the route is followed.
        selector: chooses.
        clock: gives seconds, for timing the parts; None for no timing.
    """

    def __init__(
        self,
        config: LocalPlannerConfig | None = None,
        predictor: Predicts | None = None,
        generators: Mapping[str, Generator] | None = None,
        selector: Selector | None = None,
        clock: Callable[[], float] | None = None,
    ) -> None:
        self.config = config or LocalPlannerConfig()
        self.predictor, self.generators = predictor, dict(generators or {})
        self.selector = selector or Selector()
        self.previous: Choice | None = None
        self.report = Report({}, {}, (), 0.0)
        self._clock = clock
        self._pace: float | None = None  # share of the speed at which it got ahead lately
        self._last: Situation | None = None
        self._waited = 0.0

    def reset(self) -> None:
        """Forget the last choice and the waiting: a new errand begins."""
        self.previous, self._last, self._pace, self._waited = None, None, None, 0.0

    def step(self, situation: Situation, history: PeopleHistory | None = None) -> Choice:
        """Choose how to go on; never raises on what a part of it does.

        Args:
            situation: now; its forecast is made here where it has none.
            history: tracks of people up to now, None for those of the situation alone.
        """
        seconds: dict[str, float] = {}
        counts: dict[str, int] = {}
        problems: list[str] = []
        begin = self._now()
        situation = self._predicted(situation, history, problems)
        begin = self._lap(seconds, "predict", begin)
        found: list[Candidate] = []
        for name, generate in self.generators.items():
            try:
                proposed = list(generate(situation))
            except Exception as error:  # the others go on
                problems.append(f"generator {name} failed ({type(error).__name__}: {error})")
                proposed = []
            counts[name] = len(proposed)
            found += proposed
            begin = self._lap(seconds, name, begin)
        if not found:
            found = follow_candidates(situation)
            counts["fallback"] = len(found)
            begin = self._lap(seconds, "fallback", begin)
        self._wait(situation)
        choice = self.selector.choose(situation, found[: self.config.most], self.previous, self._waited)
        self._lap(seconds, "select", begin)
        self.previous = choice
        self.report = Report(seconds, counts, (*problems, *self.selector.notes), self._waited)
        return choice

    def _predicted(
        self, situation: Situation, history: PeopleHistory | None, problems: list[str]
    ) -> Situation:
        if situation.forecast is not None:
            return situation
        if self.predictor is not None:
            if history is None:
                history = PeopleHistory()
                history.add(situation.people)
            try:
                forecast = self.predictor.predict(
                    history, situation.stamp, TIMES, situation.pose, situation.twist, situation.field
                )
                return replace(situation, forecast=forecast)
            except Exception as error:  # people still go on as they walk
                problems.append(f"prediction failed ({type(error).__name__}: {error})")
        return with_forecast(situation)

    def _wait(self, situation: Situation) -> None:
        """Seconds for which the robot has hardly got ahead on its way, unless it is there."""
        last, self._last = self._last, situation
        if last is None or not 0.0 < situation.stamp - last.stamp < 2.0:
            self._pace, self._waited = None, 0.0
            return
        dt = situation.stamp - last.stamp
        moved = float(np.hypot(situation.pose.x - last.pose.x, situation.pose.y - last.pose.y)) / dt
        share = moved / max(situation.speed, 0.1)
        keep = float(np.exp(-dt / self.config.stuck_memory))
        self._pace = share if self._pace is None else keep * self._pace + (1.0 - keep) * share
        left = float(np.linalg.norm(situation.route[-1, :2] - situation.pose.xy))
        if self._pace < self.config.stuck_speed and left > 0.5:
            self._waited += dt
        else:
            self._waited = max(self._waited - 3.0 * dt, 0.0)

    def _now(self) -> float:
        return self._clock() if self._clock is not None else 0.0

    def _lap(self, seconds: dict[str, float], part: str, begin: float) -> float:
        now = self._now()
        if self._clock is not None:
            seconds[part] = now - begin
        return now
