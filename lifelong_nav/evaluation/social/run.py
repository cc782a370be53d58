"""One case, one planner: drive, and keep what the figures need."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lifelong_nav.core.social_context import SocialContext
from lifelong_nav.core.types import FloatArray, Pose2
from lifelong_nav.evaluation.social.case import SPEED, AnyCase, Case, free_seconds, global_route
from lifelong_nav.evaluation.social.lost_time import LostTime
from lifelong_nav.evaluation.social.planner import OURS, PERIOD, Observation, Planner, make_planner
from lifelong_nav.sim.flat import FlatConfig, FlatSensed, FlatWorld, Touch

if TYPE_CHECKING:  # loads renderers and models
    from lifelong_nav.training.flat_eyes import FlatEyes


@dataclass(frozen=True)
class Setting:
    """What stays the same throughout a case: the way, the known walls, and what counts.

    `route` (M, 2) [m] over the static map; `goal` with NaN yaw; `free_seconds` the route takes alone.
    """

    route: FloatArray
    goal: Pose2
    walls: FloatArray
    speed: float
    radius: float
    free_seconds: float


@dataclass(frozen=True)
class RunRecord:
    """A run as it went, sampled every `PERIOD` from its beginning on.

    `path` (T, 3) x, y, yaw; `twists` (T, 2); `people` (T, N, 2), NaN for absent; `radii`, `groups` (N,);
    `reached` the goal in time; `touches` with people and walls; `lost` seconds people lost, together;
    `person` the row of the one whose company the robot keeps, -1 for none; `terms` what the planner tells of
    its choices: name -> (T - 1,), empty when it tells none (attribute `terms`, a mapping of numbers).
    `error` is what the planner raised, which ended the run. `scene` names the recording of a real case.
    """

    case: AnyCase
    planner: str
    reached: bool
    path: FloatArray
    twists: FloatArray
    people: FloatArray
    radii: FloatArray
    groups: NDArray[np.int64]
    route: FloatArray
    walls: FloatArray
    radius: float
    speed: float
    tolerance: float
    free_seconds: float
    touches: tuple[Touch, ...]
    lost: float
    person: int = -1
    terms: dict[str, FloatArray] = field(default_factory=dict)
    error: str = ""
    scene: str = ""


def open_world(case: Case, config: FlatConfig | None = None) -> tuple[FlatWorld, Setting]:
    """The world of a case at its beginning, and its setting.

    Raises:
        ConfigError: the case is not in the suite.
        RouteError: no way leads to its goal.
    """
    world = FlatWorld(case.run(), case.seed, config or FlatConfig(speed=SPEED))
    end = world.run.goals[-1]
    goal = Pose2(end.x, end.y, float("nan"))
    route = global_route(world.walls, world.pose, end, world.config.radius)
    seconds = free_seconds(route, case.tolerance, world.config.speed, world.body)
    return world, Setting(route, goal, world.walls, world.config.speed, world.config.radius, seconds)


def observation(sensed: FlatSensed, setting: Setting, context: SocialContext | None = None) -> Observation:
    """What the planner is shown of what is sensed."""
    return Observation(
        sensed.stamp, sensed.pose, sensed.twist, sensed.people, sensed.scan, sensed.pose, setting.route,
        setting.goal, setting.walls, setting.speed, setting.radius, context,
    )  # fmt: skip


def drive(
    case: Case,
    planner: str | Planner,
    name: str = "",
    watch: Callable[[FlatWorld, Observation], None] | None = None,
    scan: bool = True,
) -> RunRecord:
    """Drive a case to its end: the goal, or the timeout.

    Args:
        case: which.
        planner: a planner's name, or a planner.
        name: under which it is recorded; the planner's name when empty.
        watch: called before every command, for experts and studies that look at the truth.
        scan: whether the lidar scans; people and their tracks are the same without.
    """
    mind = make_planner(planner) if isinstance(planner, str) else planner
    scan = scan and bool(getattr(mind, "wants_scan", True))
    world, setting = open_world(case, FlatConfig(speed=SPEED, scan=scan))
    eyes = _eyes(world, case.seed) if wants_context(mind) else None
    lost = LostTime(world)
    poses, twists, people, told = (
        [world.pose.array()],
        [_twist(world)],
        [_seen(world)],
        list[dict[str, float]](),
    )
    reached, error = False, ""
    for k in range(round(case.timeout / PERIOD)):
        sensed = world.sense()
        seen = eyes.context(sensed, setting.goal.xy) if eyes is not None else None
        shown = observation(sensed, setting, seen)
        if watch is not None:
            watch(world, shown)
        try:
            if k == 0:
                mind.reset(setting.goal.xy, setting.speed, case.seed)
            world.command(mind.command(shown))
        except Exception as problem:  # a planner's fault fails its run, not the benchmark
            error = f"{type(problem).__name__}: {problem}"
            break
        told.append(dict(getattr(mind, "terms", {})))
        world.step()
        lost.update()
        poses.append(world.pose.array())
        twists.append(_twist(world))
        people.append(_seen(world))
        if float(np.hypot(*(world.pose.xy - setting.goal.xy))) <= case.tolerance:
            reached = True
            break
    if eyes is not None:
        eyes.close()
    label = name or (planner if isinstance(planner, str) else type(planner).__name__)
    return RunRecord(
        case, label, reached, np.array(poses), np.array(twists), np.array(people), world.state.radii,
        world.state.groups, setting.route, setting.walls, setting.radius, setting.speed, case.tolerance,
        setting.free_seconds, tuple(world.touches), lost.seconds,
        case.company.person if case.company is not None else -1, _columns(told), error,
    )  # fmt: skip


def wants_context(planner: Planner) -> bool:
    """True for planners that hear what is socially going on: those of ours, and who says `wants_context`."""
    ours = type(planner).__module__ == OURS
    return bool(getattr(planner, "wants_context", ours))


def _eyes(world: FlatWorld, seed: int) -> FlatEyes:
    from lifelong_nav.training.flat_eyes import FlatEyes

    return FlatEyes(world, seed)


def _twist(world: FlatWorld) -> FloatArray:
    return np.array([world.twist.vx, world.twist.wz])


def _seen(world: FlatWorld) -> FloatArray:
    return np.where(world.state.present[:, None], world.state.positions, np.nan)


def _columns(rows: list[dict[str, float]]) -> dict[str, FloatArray]:
    """Rows of named numbers as columns; NaN where a name is not told."""
    names = sorted({name for row in rows for name in row})
    return {name: np.array([row.get(name, np.nan) for row in rows], dtype=float) for name in names}
