"""The weights of the selector's terms from the privileged expert: which candidate would it have taken?

Along runs of the expert, on the training half of the suite only, every second is a lesson: what the
robot sensed, what the rules and the search propose there, each term of each candidate, and how far each
candidate is from where the expert went. The weights are found by ranking: candidates are chosen with a
probability that falls with their weighted cost, and the expected distance to the expert is made small
(listwise inverse optimal control; Ziebart et al. 2008 for the softmax over whole trajectories). They
stay positive and near what they were, so that terms of which the expert says nothing keep their sense;
margins against what the robot cannot know may only grow (`MARGINS`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from lifelong_nav.core.config import override
from lifelong_nav.core.distance import DistanceField
from lifelong_nav.core.types import FloatArray, Pose2
from lifelong_nav.sim import suite
from lifelong_nav.sim.crowd.forces import segment_distance
from lifelong_nav.sim.flat import FlatSensed
from lifelong_nav.training.trajectory_expert import ExpertRun, Task, expert, replay, task
from lifelong_nav.trajectory.candidates import propose
from lifelong_nav.trajectory.cost_grid import CostGrid, InflationConfig, inflate
from lifelong_nav.trajectory.fallback import STOP, stop_candidate
from lifelong_nav.trajectory.local_planner import Predicts
from lifelong_nav.trajectory.prediction.history import PeopleHistory
from lifelong_nav.trajectory.prediction.predictor import Predictor
from lifelong_nav.trajectory.route import RouteError, RoutePlanner
from lifelong_nav.trajectory.selector import Rating, Selector
from lifelong_nav.trajectory.situation import TIMES, Candidate, Situation
from lifelong_nav.trajectory.terms import TERMS, TermsConfig, make_batch

FITTED = tuple(n for n in (*TERMS, "rating") if n != "progress")
"""The weights that are fitted; progress is the measure, 1, and consistency needs a past."""

MARGINS = ("personal_space", "contact", "people_effect", "dynamics_risk")
"""Weights that may only grow: an expert who knows the future needs no margin against what it does not know,
so ranking alone would talk the robot out of the margins it needs. Driven on the training half, weights
fitted without this floor had more seconds near people and no fewer seconds on the way."""

_CELL = 0.1
_STEP = 0.1  # s, sampling of expert runs


@dataclass(frozen=True)
class Lesson:
    """A situation: raw `costs` (C, F) of `FITTED`, `progress` (C,), `away` (C,) mean metres to the expert.

    `broken` (C,) candidates the hard rules leave out; `case` says where it is from.
    """

    costs: FloatArray
    progress: FloatArray
    away: FloatArray
    broken: NDArray[np.bool_]
    case: str


@dataclass(frozen=True)
class Fit:
    """Weights found, and the mean distance to the expert [m] before and after, in and out of the sample."""

    weights: dict[str, float]
    before: float
    after: float
    before_unseen: float
    after_unseen: float
    best: float
    lessons: int


def train(
    seeds: int = 4,
    humans: Sequence[str] = ("social_force", "mixed"),
    every: float = 1.0,
    start: TermsConfig | None = None,
    keep: float = 0.02,
    rating: Rating | None = None,
    progress: Callable[[str], None] = lambda line: None,
) -> tuple[TermsConfig, Fit]:
    """Fit the weights on the training half of the suite.

    Args:
        seeds: runs per family and human model.
        humans: human models.
        every: seconds between lessons of a run.
        start: weights to start from and to stay near.
        keep: how much staying near counts, per squared log ratio.
        rating: judgement whose weight is fitted as well; None leaves it as it is.
        progress: told about every run.
    """
    config = start or TermsConfig()
    lessons: list[Lesson] = []
    s = suite.suite()
    layouts = s.layouts_of(suite.TRAIN)
    for family in s.families(suite.TRAIN):
        for human in humans:
            for seed in range(seeds):
                what = task(family, human, layouts[seed % len(layouts)], seed)
                found = list(lessons_of(what, f"{family}/{seed}", every, config, rating))
                lessons += found
                progress(f"{family} {human} {seed}: {len(found)} lessons, {len(lessons)} in all")
    fit = fitted(lessons, config, keep)
    return override(config, **fit.weights), fit


def lessons_of(
    what: Task,
    case: str,
    every: float,
    config: TermsConfig,
    rating: Rating | None = None,
    predictor: Predicts | None = None,
) -> Iterator[Lesson]:
    """Lessons along the expert's run of a task; none where the expert fails or touches somebody."""
    run = expert(what)
    if not run.reached or run.figures["touches"] > 0:
        return
    field = field_of(run.walls, run.path)
    grid, planner = known_map(field, what.radius), RoutePlanner()
    selector, history = Selector(), PeopleHistory()
    predictor = predictor or Predictor.load()
    stride = round(every / _STEP)
    for k, sensed in enumerate(replay(what, run)):
        history.add(sensed.people)
        if k % stride or k + 15 > len(run.path):
            continue
        situation = situation_of(sensed, what, field, grid, planner)
        if situation is None:
            continue
        forecast = predictor.predict(
            history, sensed.stamp, TIMES, situation.pose, situation.twist, situation.field
        )
        situation = replace(situation, forecast=forecast)
        candidates = propose(situation)
        if not any(c.name == STOP for c in candidates):
            candidates.append(stop_candidate(situation))
        lesson = judged(situation, candidates, selector, after(run, k), case, config, rating)
        if lesson is not None:
            yield lesson


def judged(
    situation: Situation,
    candidates: Sequence[Candidate],
    selector: Selector,
    expert_way: FloatArray,
    case: str,
    config: TermsConfig,
    rating: Rating | None = None,
) -> Lesson | None:
    """Raw costs of candidates beside their distance to the expert's way (T, 2); None where all are alike."""
    batch = make_batch(situation, candidates, selector.proxemics)
    away = np.minimum(np.linalg.norm(batch.xy - expert_way[None], axis=-1), 3.0).mean(axis=1)
    if np.ptp(away) < 0.05:
        return None
    raw = {name: TERMS[name](batch, config) for name in FITTED if name in TERMS}
    raw["rating"] = rating.costs(batch) if rating is not None else np.zeros(len(batch))
    return Lesson(
        np.stack([raw[n] for n in FITTED], axis=-1),
        TERMS["progress"](batch, config),
        away.astype(float),
        selector.broken(batch),
        case,
    )


def fitted(lessons: Sequence[Lesson], start: TermsConfig, keep: float = 0.02, unseen: float = 0.25) -> Fit:
    """Weights that bring the chosen candidate near the expert's.

    Args:
        lessons: situations.
        start: where to start and what to stay near.
        keep: see `train`.
        unseen: share of the cases (whole runs) that is only looked at.
    """
    from scipy.optimize import minimize

    cases = sorted({lesson.case for lesson in lessons})
    rng = np.random.default_rng(0)
    aside = set(rng.permutation(cases)[: round(unseen * len(cases))].tolist())
    seen = [lesson for lesson in lessons if lesson.case not in aside]
    rest = [lesson for lesson in lessons if lesson.case in aside]
    first = np.log(np.maximum([getattr(start, n) for n in FITTED], 1e-2))
    varied = np.array([any(np.ptp(x.costs[:, f]) > 1e-9 for x in seen) for f in range(len(FITTED))])
    packed = [_packed(x) for x in seen]

    def loss(theta: FloatArray) -> tuple[float, FloatArray]:
        weights, sharp = np.exp(theta[:-1]), np.exp(theta[-1])
        total, slope = 0.0, np.zeros_like(theta)
        for costs, lost, away in packed:
            cost = lost + costs @ weights
            p = np.exp(-sharp * (cost - cost.min()))
            p /= p.sum()
            mean = p @ away
            total += mean
            lean = -p * (away - mean)  # derivative by the logits, with the sign of a cost
            slope[:-1] += sharp * (lean @ costs) * weights
            slope[-1] += sharp * (lean @ cost)
        shift = theta[:-1] - first
        value = total / len(packed) + keep * (shift @ shift) / len(FITTED) + 0.01 * (theta[-1] - 0.7) ** 2
        slope /= len(packed)
        slope[:-1] += 2.0 * keep * shift / len(FITTED)
        slope[-1] += 0.02 * (theta[-1] - 0.7)
        return float(value), slope

    low = np.where([n in MARGINS for n in FITTED], first, first - 2.3)
    bounds = [(a, f + 2.3) if v else (f, f) for a, f, v in zip(low, first, varied, strict=True)] + [
        (-1.0, 2.0)
    ]
    answer = minimize(loss, np.append(first, 0.7), jac=True, method="L-BFGS-B", bounds=bounds)
    weights = dict(zip(FITTED, np.exp(answer.x[:-1]).round(3).tolist(), strict=True))
    after_fit = override(start, **weights)
    return Fit(
        weights, distance(seen, start), distance(seen, after_fit), distance(rest, start),
        distance(rest, after_fit),
        float(np.mean([x.away[~x.broken].min() if (~x.broken).any() else x.away.min() for x in lessons])),
        len(lessons),
    )  # fmt: skip


def distance(lessons: Sequence[Lesson], config: TermsConfig) -> float:
    """Mean distance [m] to the expert of what these weights choose; NaN for no lessons."""
    if not lessons:
        return float("nan")
    weights = np.array([getattr(config, n) for n in FITTED])
    chosen = []
    for x in lessons:
        cost = config.progress * x.progress + x.costs @ weights
        chosen.append(x.away[int(np.lexsort((cost, x.broken))[0])])
    return float(np.mean(chosen))


def after(run: ExpertRun, k: int) -> FloatArray:
    """(T, 2) where the expert is at `TIMES` after its sample k; it waits at the goal."""
    index = np.minimum(k + np.rint(TIMES / _STEP).astype(int), len(run.path) - 1)
    return run.path[index]


def known_map(field: DistanceField, radius: float) -> CostGrid:
    """Costs of the known map for routes of a robot of this radius [m]."""
    cost = inflate(field.distance, None, InflationConfig(robot_radius=radius))
    return CostGrid(cost, field.distance, field.resolution, field.origin, "map")


def situation_of(
    sensed: FlatSensed, what: Task, field: DistanceField, grid: CostGrid, planner: RoutePlanner
) -> Situation | None:
    """What the planner would be given, over the known map; None where there is no route."""
    goal = Pose2(float(what.goal[0]), float(what.goal[1]), float("nan"))
    try:
        route = planner.plan(grid, sensed.pose, Pose2(goal.x, goal.y, 0.0), tolerance=1.0).points[:, :2]
    except RouteError:
        return None
    return Situation(
        sensed.stamp, sensed.pose, sensed.twist, route, goal, what.speed, sensed.people, field=field,
        scan=sensed.scan, sensor=sensed.pose, robot_radius=what.radius, frame_id="map",
    )  # fmt: skip


def field_of(walls: FloatArray, path: FloatArray) -> DistanceField:
    """Distance to walls (M, 4) on a grid that holds them and the path (T, 2)."""
    points = np.concatenate([np.asarray(walls).reshape(-1, 2), path])
    low, high = points.min(axis=0) - 1.0, points.max(axis=0) + 1.0
    width, height = np.ceil((high - low) / _CELL).astype(int)
    x, y = np.meshgrid(low[0] + (np.arange(width) + 0.5) * _CELL, low[1] + (np.arange(height) + 0.5) * _CELL)
    cells = np.stack([x.ravel(), y.ravel()], axis=-1)
    distance_m = segment_distance(cells, walls, 3.0).reshape(height, width).astype(np.float32)
    return DistanceField(distance_m, _CELL, (float(low[0]), float(low[1])), 3.0)


def _packed(x: Lesson) -> tuple[FloatArray, FloatArray, FloatArray]:
    keep = ~x.broken if (~x.broken).any() else np.ones(len(x.away), dtype=bool)
    return x.costs[keep], x.progress[keep], x.away[keep]
