"""The privileged expert: how a considerate person who knew the future would drive a case of the suite.

People react to the robot, so that their futures depend on the plan: plan and people are worked out in
turns. The crowd walks around a robot that follows plan k (`FlatWorld`, from the same seed), what it did is
the future for which a search over the whole scene (`expert_scene.plan`, the same costs as the stack's own)
finds plan k + 1. The best of what the robot's body really drove counts: contact first, then cost.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from lifelong_nav.core.types import FloatArray, Twist2
from lifelong_nav.sim import suite
from lifelong_nav.sim.flat import FlatConfig, FlatSensed, FlatWorld
from lifelong_nav.sim.scenario import Company
from lifelong_nav.sim.scenario_build import Run
from lifelong_nav.training.expert_scene import Floor, floor, plan
from lifelong_nav.trajectory import proxemics
from lifelong_nav.trajectory.drive import DriveConfig, steer
from lifelong_nav.trajectory.proxemics import ProxemicsConfig
from lifelong_nav.trajectory.search_costs import SearchConfig, prices

STEP = 0.1
"""Sampling of what experts drive [s]."""
SEARCH = SearchConfig(period=0.4)
"""Weights of the expert's search."""
_SPREAD = 0.1  # m; futures are known, but people react to what the body does differently
_PSV = 0.25


@dataclass(frozen=True)
class Task:
    """A case to drive: `make` draws its run anew each time; `goal` is reached within `tolerance` [m]."""

    make: Callable[[], Run]
    seed: int
    goal: FloatArray
    tolerance: float = 0.4
    timeout: float = 60.0
    speed: float = 0.8
    radius: float = 0.27
    company: Company | None = None


@dataclass(frozen=True)
class ExpertRun:
    """What the expert drove, sampled every `STEP` from the start to the goal.

    `path` (T, 2), `poses` (T, 3), `twists` (T, 2) the robot; `commands` (T - 1, 2) sent (they repeat the run
    exactly in a world of the same seed, see `replay`); `people` (T, N, 2), NaN for absent, `velocities`
    (T, N, 2), `radii`, `groups` (N,); `plans` the planned ways of all rounds, `chosen` the round that counts;
    `figures` of the run by name, `rounds` those of every round.
    """

    path: FloatArray
    poses: FloatArray
    twists: FloatArray
    commands: FloatArray
    people: FloatArray
    velocities: FloatArray
    radii: FloatArray
    groups: NDArray[np.int64]
    walls: FloatArray
    reached: bool
    plans: tuple[FloatArray, ...]
    chosen: int
    figures: dict[str, float] = field(default_factory=dict)
    rounds: tuple[dict[str, float], ...] = ()


def task(family: str, human: str, layout: int, seed: int, speed: float = 0.8) -> Task:
    """A case of the social suite as a task.

    Raises:
        ConfigError: it is not in the suite.
    """
    scenario = suite.scenario(family, human, layout)

    def make() -> Run:
        return suite.draw(family, human, layout, seed)

    return Task(
        make, seed, make().goals[-1].xy, scenario.success.tolerance, scenario.timeout, speed,
        company=scenario.success.company,
    )  # fmt: skip


def expert(
    what: Task, rounds: int = 3, search: SearchConfig = SEARCH, social: ProxemicsConfig | None = None
) -> ExpertRun:
    """Drive a task as well as somebody who knows the futures can.

    Args:
        what: the task.
        rounds: plans made; the best counts.
        search: weights.
        social: shapes of the social costs.
    """
    p = social or ProxemicsConfig()
    first = FlatWorld(what.make(), what.seed, FlatConfig(scan=False, speed=what.speed, radius=what.radius))
    start = first.pose.xy
    ground = floor(first.walls, start, what.goal, what.speed, what.radius, search)
    row, column = np.rint(ground.cells(start)).astype(int)
    alone = float(ground.togo[row, column]) / what.speed
    seconds = min(what.timeout, 1.4 * alone + 12.0)
    steps = int(seconds / search.period)
    times = np.arange(1, steps + 1) * search.period
    nobody = proxemics.presence(None, times, p)
    plans = [plan(ground, start, nobody, None, steps, what.speed, what.radius, search, p)]
    runs: list[ExpertRun] = []
    for k in range(rounds + 1):
        run, futures, speeds = _drive(what, plans[k], search.period, seconds, ground, alone)
        runs.append(run)
        if k == rounds or (k > 0 and _good(run)):
            break
        everyone = _known(futures, speeds, run, times, p)
        mate = None
        if what.company is not None:
            who = what.company.person
            mate = _known(futures[:, [who]], speeds[:, [who]], run, times, p, [who])
        plans.append(
            plan(ground, start, everyone, mate, steps, what.speed, what.radius, search, p, _band(what))
        )
    costs = [_rank(run, what, search, p) for run in runs]
    best = min(range(len(runs)), key=lambda i: costs[i])
    chosen = runs[best]
    return ExpertRun(
        **{
            **chosen.__dict__,
            "plans": tuple(plans),
            "chosen": best,
            "rounds": tuple(r.figures for r in runs),
        }
    )


def replay(what: Task, run: ExpertRun, config: FlatConfig | None = None) -> Iterator[FlatSensed]:
    """The expert's run once more, with what the robot senses at each of its T samples."""
    world = FlatWorld(what.make(), what.seed, config or FlatConfig(speed=what.speed, radius=what.radius))
    yield world.sense()
    for v, w in run.commands:
        world.command(Twist2(float(v), 0.0, float(w)))
        world.step()
        yield world.sense()


def _drive(
    what: Task, way: FloatArray, period: float, seconds: float, ground: Floor, alone: float
) -> tuple[ExpertRun, FloatArray, FloatArray]:
    """Follow a plan in time; people's positions and velocities (S, N, 2) go on after the arrival."""
    world = FlatWorld(what.make(), what.seed, FlatConfig(scan=False, speed=what.speed, radius=what.radius))
    limits, one = DriveConfig(), np.ones(1)
    known = np.arange(len(way)) * period
    poses, twists, commands = [world.pose.array()], [_twist(world)], []
    people, speeds = [_seen(world, world.state.positions)], [_seen(world, world.state.velocities)]
    end = -1
    for k in range(round(seconds / STEP)):
        ahead = k * STEP + limits.look
        to = np.array([np.interp(ahead, known, way[:, i]) for i in (0, 1)]) - world.pose.xy
        v, w = steer(to[:1], to[1:], one * world.pose.yaw, one * what.speed, one, limits)
        command = Twist2(float(v[0]), 0.0, float(w[0]))
        world.command(command)
        world.step()
        people.append(_seen(world, world.state.positions))
        speeds.append(_seen(world, world.state.velocities))
        poses.append(world.pose.array())
        twists.append(_twist(world))
        commands.append([command.vx, command.wz])
        if end < 0 and float(np.hypot(*(world.pose.xy - what.goal))) <= what.tolerance:
            end = k + 1
            touches = len(world.touches)
    if end < 0:
        end, touches = len(commands), len(world.touches)
    all_people, all_speeds = np.array(people), np.array(speeds)
    reached = bool(np.hypot(*(np.array(poses[end])[:2] - what.goal)) <= what.tolerance)
    robot = np.array(poses[: end + 1])
    run = ExpertRun(
        robot[:, :2], robot, np.array(twists[: end + 1]), np.array(commands[:end]).reshape(-1, 2),
        all_people[: end + 1], all_speeds[: end + 1], world.state.radii, world.state.groups, world.walls,
        reached, (), 0, _figures(what, robot, all_people[: end + 1], world, touches, reached, alone),
    )  # fmt: skip
    return run, all_people, all_speeds


def _figures(
    what: Task, robot: FloatArray, people: FloatArray, world: FlatWorld, touches: int, reached: bool,
    alone: float,
) -> dict[str, float]:  # fmt: skip
    count = [i for i in range(people.shape[1]) if what.company is None or i != what.company.person]
    gap = np.linalg.norm(people[:, count] - robot[:, None, :2], axis=-1) - what.radius
    gap = np.where(np.isfinite(gap), gap - world.state.radii[count], np.inf).min(axis=1, initial=np.inf)
    seconds = (len(robot) - 1) * STEP
    free = max(alone - what.tolerance / what.speed, 0.0) + 0.5 * what.speed
    return {
        "reached": float(reached),
        "touches": float(touches),
        "psv": STEP * float(np.count_nonzero(gap < _PSV)),
        "gap": float(gap.min()),
        "seconds": seconds,
        "time_ratio": seconds / max(free, 1e-6),
        "length": float(np.linalg.norm(np.diff(robot[:, :2], axis=0), axis=1).sum()),
    }


def _good(run: ExpertRun) -> bool:
    """Nothing left to gain by another round."""
    f = run.figures
    return bool(f["reached"] and not f["touches"] and f["psv"] == 0.0 and f["time_ratio"] < 1.1)


def _rank(run: ExpertRun, what: Task, c: SearchConfig, p: ProxemicsConfig) -> tuple[float, float]:
    """Contacts and failure first, then the cost of the motion as driven among the people as they were."""
    times = np.arange(len(run.path)) * STEP
    people = _known(run.people, run.velocities, run, times, p)
    at = run.path[None]
    share = np.clip(np.abs(run.twists[:, 0]) / what.speed, 0.0, 1.0)
    social = c.space * (1.0 - c.moving * (1.0 - share)) * proxemics.personal_space(at, people)[0]
    social += c.near * proxemics.contact(at, people, what.radius + c.near_gap)[0]
    social += c.group * proxemics.group_space(at, people, p)[0]
    cost = STEP * float(social.sum()) + c.time * run.figures["seconds"]
    cost += float(prices(what.speed, c).moves[-1]) * 0.0 + c.way * run.figures["length"]
    if what.company is not None:
        gap = np.linalg.norm(run.people[:, what.company.person] - run.path, axis=-1)
        kept = np.mean((gap >= what.company.near) & (gap <= what.company.far))
        cost += 200.0 * max(0.0, what.company.share + 0.05 - float(kept))
    return run.figures["touches"] + 2.0 * (not run.reached), cost


def _known(
    positions: FloatArray, velocities: FloatArray, run: ExpertRun, times: FloatArray, p: ProxemicsConfig,
    rows: list[int] | None = None,
) -> proxemics.Presence:  # fmt: skip
    """People's true futures (S, N, 2) at `times` as costs need them."""
    index = np.minimum(np.rint(times / STEP).astype(int), len(positions) - 1)
    xy = positions[index].transpose(1, 0, 2)
    rows = list(range(len(xy))) if rows is None else rows
    return proxemics.known(
        xy, velocities[index].transpose(1, 0, 2), run.radii[rows], run.groups[rows], p, _SPREAD
    )


def _band(what: Task) -> tuple[float, float]:
    return (what.company.near, what.company.far) if what.company is not None else (0.7, 3.0)


def _twist(world: FlatWorld) -> FloatArray:
    return np.array([world.twist.vx, world.twist.wz])


def _seen(world: FlatWorld, values: FloatArray) -> FloatArray:
    return np.where(world.state.present[:, None], values, np.nan)
