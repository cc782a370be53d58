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

from lifelong_nav.core.types import FloatArray, Pose2, Twist2
from lifelong_nav.sim import suite
from lifelong_nav.sim.flat import FlatConfig, FlatSensed, FlatWorld
from lifelong_nav.sim.scenario import Company
from lifelong_nav.sim.scenario_build import Run
from lifelong_nav.training.expert_scene import Floor, floor, plan
from lifelong_nav.trajectory import proxemics
from lifelong_nav.trajectory.drive import DriveConfig, steer
from lifelong_nav.trajectory.proxemics import ProxemicsConfig
from lifelong_nav.trajectory.search_costs import SearchConfig

STEP = 0.1
"""Sampling of what experts drive [s]."""
SEARCH = SearchConfig(period=0.4, near=30.0, near_gap=0.45)
"""Weights of the expert's search."""
_SPREAD = 0.1  # m; futures are known, but people react to what the body does differently
_PSV = 0.25
_LOOK, _MEND = 10.0, 2.0  # s; how far ahead plans are mended, and how often


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
    what: Task, rounds: int = 2, search: SearchConfig = SEARCH, social: ProxemicsConfig | None = None
) -> ExpertRun:
    """Drive a task as well as somebody who knows the futures can.

    Args:
        what: the task.
        rounds: whole plans made in turns with the crowd; where the best of them is not yet good, it is
            mended while it is driven (see `_mended`).
        search: weights.
        social: shapes of the social costs.
    """
    p = social or ProxemicsConfig()
    world = _world(what)
    ground = floor(world.walls, world.pose.xy, what.goal, what.speed, what.radius, search)
    seconds = min(what.timeout, 1.4 * _togo(ground, world.pose.xy) / what.speed + 12.0)
    scene = _Scene(what, ground, search, p)
    steps = int(seconds / search.period)
    nobody = proxemics.presence(None, np.arange(1, steps + 1) * search.period, p)
    plans = [plan(ground, world.pose, 0.0, nobody, None, what.speed, what.radius, search, p)]
    logs: list[_Log] = []
    for k in range(rounds + 1):
        logs.append(_follow(_world(what), what, plans[k], 0.0, search.period, seconds))
        if k == rounds or _good(logs[k], what, scene):
            break
        plans.append(scene.plan(world.pose, 0.0, logs[k], steps))
    best = min(range(len(logs)), key=lambda i: scene.cost(logs[i].until_arrival(what)))
    if not _good(logs[best], what, scene):
        logs.append(_mended(what, scene, plans[best], seconds))
        plans.append(logs[-1].poses[:, :2])
        best = min(best, len(logs) - 1, key=lambda i: scene.cost(logs[i].until_arrival(what)))
    rows = tuple(_figures(what, log.until_arrival(what), scene) for log in logs)
    end = logs[best].until_arrival(what)
    return ExpertRun(
        end.poses[:, :2], end.poses, end.twists, end.commands, end.people, end.velocities, world.state.radii,
        world.state.groups, world.walls, bool(rows[best]["reached"]), tuple(plans), best, rows[best], rows,
    )  # fmt: skip


def replay(what: Task, run: ExpertRun, config: FlatConfig | None = None) -> Iterator[FlatSensed]:
    """The expert's run once more, with what the robot senses at each of its T samples."""
    world = FlatWorld(what.make(), what.seed, config or FlatConfig(speed=what.speed, radius=what.radius))
    yield world.sense()
    for v, w in run.commands:
        world.command(Twist2(float(v), 0.0, float(w)))
        world.step()
        yield world.sense()


@dataclass(frozen=True)
class _Log:
    """What happened from `since` [s] on: as in `ExpertRun`; `touched` (T - 1,) how many contacts began."""

    since: float
    poses: FloatArray
    twists: FloatArray
    commands: FloatArray
    people: FloatArray
    velocities: FloatArray
    touched: NDArray[np.int64]
    radii: FloatArray
    groups: NDArray[np.int64]

    def until_arrival(self, what: Task) -> _Log:
        """The part up to where the goal is reached."""
        there = np.linalg.norm(self.poses[:, :2] - what.goal, axis=1) <= what.tolerance
        return self.first(int(np.argmax(there)) if there.any() else len(there) - 1)

    def first(self, steps: int) -> _Log:
        """The first so many steps."""
        n, m = steps + 1, steps
        return _Log(
            self.since, self.poses[:n], self.twists[:n], self.commands[:m], self.people[:n],
            self.velocities[:n], self.touched[:m], self.radii, self.groups,
        )  # fmt: skip

    def then(self, other: _Log) -> _Log:
        """This and what came after it."""
        pairs = zip(self.series(), other.series(), strict=True)
        joined = [np.concatenate([a, b if len(a) == len(self.commands) else b[1:]]) for a, b in pairs]
        poses, twists, people, velocities, commands, touched = joined
        return _Log(self.since, poses, twists, commands, people, velocities, touched, self.radii, self.groups)

    def series(self) -> tuple[FloatArray, ...]:
        """Arrays over time."""
        return self.poses, self.twists, self.people, self.velocities, self.commands, self.touched


@dataclass(frozen=True)
class _Scene:
    """What plans are made with and runs judged by."""

    what: Task
    ground: Floor
    search: SearchConfig
    social: ProxemicsConfig

    def plan(self, pose: Pose2, v: float, future: _Log, steps: int) -> FloatArray:
        """The best plan when people do as in `future`, which begins now."""
        what, times = self.what, np.arange(1, steps + 1) * self.search.period
        everyone, mate, band = self.known(future, times), None, (0.7, 3.0)
        if what.company is not None:
            mate = self.known(future, times, [what.company.person])
            band = (what.company.near, what.company.far)
        return plan(
            self.ground, pose, v, everyone, mate, what.speed, what.radius, self.search, self.social, band
        )

    def known(self, log: _Log, times: FloatArray, rows: list[int] | None = None) -> proxemics.Presence:
        """People of a log at times from its beginning."""
        at = np.minimum(np.rint(times / STEP).astype(int), len(log.people) - 1)
        who = list(range(log.people.shape[1])) if rows is None else rows
        xy, speed = (values[at][:, who].transpose(1, 0, 2) for values in (log.people, log.velocities))
        return proxemics.known(xy, speed, log.radii[who], log.groups[who], self.social, _SPREAD)

    def cost(self, log: _Log) -> float:
        """What the motion cost among people as they were, and what is left to do."""
        what, c = self.what, self.search
        at, steps = log.poses[None, 1:, :2], len(log.commands)
        people = self.known(log, np.arange(1, steps + 1) * STEP)
        share = np.clip(np.abs(log.twists[1:, 0]) / what.speed, 0.0, 1.0)
        social = c.space * (1.0 - c.moving * (1.0 - share)) * proxemics.personal_space(at, people)[0]
        social += c.near * proxemics.contact(at, people, what.radius + c.near_gap)[0]
        social += c.contact * proxemics.contact(at, people, what.radius + self.social.clearance)[0]
        social += c.group * proxemics.group_space(at, people, self.social)[0]
        total = STEP * float(social.sum()) + c.time * STEP * steps + 1e3 * float(log.touched.sum())
        left = _togo(self.ground, log.poses[-1, :2])
        total += c.time * left / what.speed if left > what.tolerance + 0.2 else 0.0
        total += c.way * float(np.abs(log.twists[:, 0]).sum()) * STEP
        if what.company is not None:
            gap = np.linalg.norm(log.people[:, what.company.person] - log.poses[:, :2], axis=-1)
            lost = np.maximum(gap - what.company.far, 0.0) + np.maximum(what.company.near - gap, 0.0)
            total += 2.0 * c.time * STEP * float(np.minimum(lost + 0.5 * (lost > 0.0), 3.0).sum())
        return total


def _mended(what: Task, scene: _Scene, way: FloatArray, seconds: float) -> _Log:
    """Drive a plan and mend it on the way: every `_MEND` seconds another one is tried in a copy of the world.

    It is made for what people will do under the present one, and taken when, with people as they then
    really do, it costs less.
    """
    period, since = scene.search.period, 0.0
    world, done = _world(what), None
    while world.time < seconds and not _there(world, what):
        old = _follow(world.fork(), what, way, since, period, _LOOK)
        new = scene.plan(world.pose, world.twist.vx, old, int(_LOOK / period))
        tried = _follow(world.fork(), what, new, world.time, period, _LOOK)
        steps = round((_LOOK - _MEND) / STEP)
        a, b = (scene.cost(log.first(steps).until_arrival(what)) for log in (old, tried))
        if b < a:
            way, since = new, world.time
        part = _follow(world, what, way, since, period, _MEND)
        done = part if done is None else done.then(part)
    return done or _follow(world, what, way, since, period, STEP)


def _follow(
    world: FlatWorld, what: Task, way: FloatArray, since: float, period: float, seconds: float
) -> _Log:
    """Drive the world along a plan that began at `since` [s], and write down what happens."""
    limits, one = DriveConfig(), np.ones(1)
    known = since + np.arange(len(way)) * period
    begin = world.time
    rows: list[tuple[FloatArray, ...]] = [_now(world)]
    commands, touched = [], []
    for _ in range(round(seconds / STEP)):
        ahead = world.time + limits.look
        to = np.array([np.interp(ahead, known, way[:, i]) for i in (0, 1)]) - world.pose.xy
        v, w = steer(to[:1], to[1:], one * world.pose.yaw, one * what.speed, one, limits)
        before = len(world.touches)
        world.command(Twist2(float(v[0]), 0.0, float(w[0])))
        world.step()
        rows.append(_now(world))
        commands.append([float(v[0]), float(w[0])])
        touched.append(len(world.touches) - before)
    poses, twists, people, velocities = (np.array(column) for column in zip(*rows, strict=True))
    return _Log(
        begin, poses, twists, np.array(commands), people, velocities, np.array(touched), world.state.radii,
        world.state.groups,
    )  # fmt: skip


def _figures(what: Task, log: _Log, scene: _Scene) -> dict[str, float]:
    count = [i for i in range(log.people.shape[1]) if what.company is None or i != what.company.person]
    gap = np.linalg.norm(log.people[:, count] - log.poses[:, None, :2], axis=-1) - what.radius
    gap = np.where(np.isfinite(gap), gap - log.radii[count], np.inf).min(axis=1, initial=np.inf)
    seconds = len(log.commands) * STEP
    alone = max(_togo(scene.ground, log.poses[0, :2]) - what.tolerance, 0.0) / what.speed + 0.5 * what.speed
    return {
        "reached": float(np.hypot(*(log.poses[-1, :2] - what.goal)) <= what.tolerance),
        "touches": float(log.touched.sum()),
        "psv": STEP * float(np.count_nonzero(gap < _PSV)),
        "gap": float(gap.min()),
        "seconds": seconds,
        "time_ratio": seconds / alone,
        "length": float(np.linalg.norm(np.diff(log.poses[:, :2], axis=0), axis=1).sum()),
        "cost": scene.cost(log),
    }


def _good(log: _Log, what: Task, scene: _Scene) -> bool:
    """Nothing worth mention left to gain: nobody noticed, no time lost."""
    f = _figures(what, log.until_arrival(what), scene)
    usual = f["touches"] == 0 and f["psv"] == 0.0 and f["gap"] > 0.45 and f["time_ratio"] < 1.06
    return bool(f["reached"] and usual and what.company is None)


def _togo(ground: Floor, xy: FloatArray) -> float:
    """Metres to the goal from a point (2,) on the floor."""
    row, column = np.clip(np.rint(ground.cells(xy)).astype(int), 0, np.array(ground.togo.shape) - 1)
    return float(ground.togo[row, column])


def _there(world: FlatWorld, what: Task) -> bool:
    return float(np.hypot(*(world.pose.xy - what.goal))) <= what.tolerance


def _world(what: Task) -> FlatWorld:
    return FlatWorld(what.make(), what.seed, FlatConfig(scan=False, speed=what.speed, radius=what.radius))


def _now(world: FlatWorld) -> tuple[FloatArray, ...]:
    here = world.state.present[:, None]
    return (
        world.pose.array(), np.array([world.twist.vx, world.twist.wz]),
        np.where(here, world.state.positions, np.nan), np.where(here, world.state.velocities, np.nan),
    )  # fmt: skip
