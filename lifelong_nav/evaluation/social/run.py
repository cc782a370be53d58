"""One case, one planner: drive, and keep what the figures need."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from lifelong_nav.core.types import FloatArray, Pose2
from lifelong_nav.evaluation.social.case import SPEED, Case, free_seconds, global_route
from lifelong_nav.evaluation.social.lost_time import LostTime
from lifelong_nav.evaluation.social.planner import PERIOD, Observation, Planner, make_planner
from lifelong_nav.sim.flat import FlatConfig, FlatSensed, FlatWorld, Touch


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
    `terms` what the planner tells of its choices: name -> (T,) of the chosen one, empty when it tells none.
    """

    case: Case
    planner: str
    reached: bool
    path: FloatArray
    twists: FloatArray
    people: FloatArray
    radii: FloatArray
    groups: np.ndarray
    route: FloatArray
    walls: FloatArray
    radius: float
    speed: float
    tolerance: float
    free_seconds: float
    touches: tuple[Touch, ...]
    lost: float
    terms: dict[str, FloatArray] = field(default_factory=dict)


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


def observation(sensed: FlatSensed, setting: Setting) -> Observation:
    """What the planner is shown of what is sensed."""
    return Observation(
        sensed.stamp, sensed.pose, sensed.twist, sensed.people, sensed.scan, sensed.pose, setting.route,
        setting.goal, setting.walls, setting.speed, setting.radius,
    )  # fmt: skip


def drive(
    case: Case,
    planner: str | Planner,
    name: str = "",
    watch: Callable[[FlatWorld, Observation], None] | None = None,
) -> RunRecord:
    """Drive a case to its end: the goal, or the timeout.

    Args:
        case: which.
        planner: a planner's name, or a planner.
        name: under which it is recorded; the planner's name when empty.
        watch: called before every command, for experts and studies that look at the truth.
    """
    world, setting = open_world(case)
    mind = make_planner(planner) if isinstance(planner, str) else planner
    mind.reset(setting.goal.xy, setting.speed, case.seed)
    lost = LostTime(world)
    poses, twists, people, told = (
        [world.pose.array()],
        [_twist(world)],
        [_seen(world)],
        list[dict[str, float]](),
    )
    reached = False
    for _ in range(round(case.timeout / PERIOD)):
        shown = observation(world.sense(), setting)
        if watch is not None:
            watch(world, shown)
        world.command(mind.command(shown))
        told.append(dict(getattr(mind, "terms", {})))
        world.step()
        lost.update()
        poses.append(world.pose.array())
        twists.append(_twist(world))
        people.append(_seen(world))
        if float(np.hypot(*(world.pose.xy - setting.goal.xy))) <= case.tolerance:
            reached = True
            break
    label = name or (planner if isinstance(planner, str) else type(planner).__name__)
    return RunRecord(
        case, label, reached, np.array(poses), np.array(twists), np.array(people), world.state.radii,
        world.state.groups, setting.route, setting.walls, setting.radius, setting.speed, case.tolerance,
        setting.free_seconds, tuple(world.touches), lost.seconds, _columns(told),
    )  # fmt: skip


def _twist(world: FlatWorld) -> FloatArray:
    return np.array([world.twist.vx, world.twist.wz])


def _seen(world: FlatWorld) -> FloatArray:
    return np.where(world.state.present[:, None], world.state.positions, np.nan)


def _columns(rows: list[dict[str, float]]) -> dict[str, FloatArray]:
    """Rows of named numbers as columns; NaN where a name is not told."""
    names = sorted({name for row in rows for name in row})
    return {name: np.array([row.get(name, np.nan) for row in rows], dtype=float) for name in names}
