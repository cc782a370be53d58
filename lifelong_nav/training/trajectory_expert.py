"""The privileged expert: how a considerate person who knew the future would drive a case of the suite.

People react to the robot, so that their futures depend on the plan: plan and people are worked out in
turns. The crowd walks around a robot that follows plan k (`FlatWorld`, from the same seed), what it did is
the future for which a search over the whole scene (`expert_scene.plan`, the same costs as the stack's own)
finds plan k + 1. Where that does not settle, the best plan is mended while it is driven, in copies of the
world. The best of what the robot's body really drove counts: contact first, then cost.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from lifelong_nav.core.types import FloatArray, Pose2, Twist2
from lifelong_nav.sim.flat import FlatConfig, FlatSensed, FlatWorld
from lifelong_nav.training.expert_drive import STEP, Log, Task, follow, task, there, world_of
from lifelong_nav.training.expert_scene import Floor, floor, plan
from lifelong_nav.trajectory import proxemics
from lifelong_nav.trajectory.proxemics import ProxemicsConfig
from lifelong_nav.trajectory.search_costs import SearchConfig

__all__ = ["SEARCH", "STEP", "ExpertRun", "Task", "expert", "replay", "task"]

SEARCH = SearchConfig(period=0.4, late=0.06, lateral=0.25, space=8.0, near=24.0, near_gap=0.40, group=8.0)
"""Weights of the expert's search."""
_SPREAD = 0.1  # m; futures are known, but people react to what the body does differently
_PSV = 0.25
_LOOK, _MEND = 10.0, 2.0  # s; how far ahead plans are mended, and how often


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
    world = world_of(what)
    ground = floor(world.walls, world.pose.xy, what.goal, what.speed, what.radius, search)
    seconds = min(what.timeout, 1.4 * _togo(ground, world.pose.xy) / what.speed + 12.0)
    scene = _Scene(what, ground, search, p)
    steps = int(seconds / search.period)
    nobody = proxemics.presence(None, np.arange(1, steps + 1) * search.period, p)
    plans = [plan(ground, world.pose, 0.0, nobody, None, what.speed, what.radius, search, p)]
    logs: list[Log] = []
    for k in range(rounds + 1):
        logs.append(follow(world_of(what), what, plans[k], 0.0, search.period, seconds))
        if k == rounds or _good(logs[k].until_arrival(what), what, scene):
            break
        plans.append(scene.plan(world.pose, 0.0, logs[k], steps))
    found = [log.until_arrival(what) for log in logs]
    for k in sorted(range(len(plans)), key=lambda i: scene.rank(found[i])):
        if _fine(min(found, key=scene.rank), what, scene, tries=len(found) - len(logs)):
            break
        found.append(_mended(what, scene, plans[k], seconds).until_arrival(what))
        plans.append(found[-1].poses[:, :2])
    best = min(range(len(found)), key=lambda i: scene.rank(found[i]))
    rows = tuple(_figures(what, log, scene) for log in found)
    end = found[best]
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
class _Scene:
    """What plans are made with and runs judged by."""

    what: Task
    ground: Floor
    search: SearchConfig
    social: ProxemicsConfig

    def plan(self, pose: Pose2, v: float, future: Log, steps: int) -> FloatArray:
        """The best plan when people do as in `future`, which begins now."""
        what, times = self.what, np.arange(1, steps + 1) * self.search.period
        everyone, mate, band = self.known(future, times), None, (0.7, 3.0)
        if what.company is not None:
            mate = self.known(future, times, [what.company.person])
            band = (what.company.near, what.company.far)
        return plan(
            self.ground, pose, v, everyone, mate, what.speed, what.radius, self.search, self.social, band
        )

    def known(self, log: Log, times: FloatArray, rows: list[int] | None = None) -> proxemics.Presence:
        """People of a log at times from its beginning."""
        at = np.minimum(np.rint(times / STEP).astype(int), len(log.people) - 1)
        who = list(range(log.people.shape[1])) if rows is None else rows
        xy, speed = (values[at][:, who].transpose(1, 0, 2) for values in (log.people, log.velocities))
        return proxemics.known(xy, speed, log.radii[who], log.groups[who], self.social, _SPREAD)

    def rank(self, log: Log) -> float:
        """The cost of a whole run; one that never arrives is as bad as a contact."""
        gap = float(np.hypot(*(log.poses[-1, :2] - self.what.goal)))
        return self.cost(log) + 1e3 * (gap > self.what.tolerance)

    def cost(self, log: Log) -> float:
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


@dataclass(frozen=True)
class _Trial:
    """A plan driven in a copy of the world: the first `_MEND` seconds, the world then, and all there was."""

    part: Log
    world: FlatWorld
    log: Log


def _try(world: FlatWorld, what: Task, way: FloatArray, since: float, period: float) -> _Trial:
    copy = world.fork()
    part = follow(copy, what, way, since, period, _MEND)
    then = copy.fork()
    return _Trial(part, then, part.then(follow(copy, what, way, since, period, _LOOK)))


def _mended(what: Task, scene: _Scene, way: FloatArray, seconds: float) -> Log:
    """Drive a plan and mend it on the way: every `_MEND` seconds another one is tried in a copy of the world.

    It is made for what people will do under the present one, and taken when, with people as they then
    really do, it costs less.
    """
    period, since, world = scene.search.period, 0.0, world_of(what)
    steps, mend = round((_LOOK - _MEND) / STEP), round(_MEND / STEP)
    first = _try(world, what, way, since, period)
    old: _Trial | None = first
    future, done = first.log, None
    while world.time < seconds and not there(world, what):
        new = scene.plan(world.pose, world.twist.vx, future, int(_LOOK / period))
        chosen = _try(world, what, new, world.time, period)
        a, b = (scene.cost(log.first(steps).until_arrival(what)) for log in (future, chosen.log))
        if b < a:
            way, since = new, world.time
        else:
            chosen = old or _try(world, what, way, since, period)
        done = chosen.part if done is None else done.then(chosen.part)
        world, future, old = chosen.world, chosen.log.after(mend), None
    return done or follow(world, what, way, since, period, STEP)


def _figures(what: Task, log: Log, scene: _Scene) -> dict[str, float]:
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


def _good(log: Log, what: Task, scene: _Scene) -> bool:
    """Nothing worth mention left to gain: nobody noticed, no time lost."""
    f = _figures(what, log, scene)
    usual = f["touches"] == 0 and f["psv"] == 0.0 and f["gap"] > 0.45 and f["time_ratio"] < 1.06
    return bool(f["reached"] and usual and what.company is None)


def _fine(log: Log, what: Task, scene: _Scene, tries: int) -> bool:
    """Good enough to stop looking; once mended, only what is plainly bad is tried again."""
    f = _figures(what, log, scene)
    psv, ratio = ((0.2, 1.1), (0.8, 1.5))[min(tries, 1)]
    return bool(f["reached"] and f["touches"] == 0 and f["psv"] <= psv and f["time_ratio"] < ratio)


def _togo(ground: Floor, xy: FloatArray) -> float:
    """Metres to the goal from a point (2,) on the floor."""
    row, column = np.clip(np.rint(ground.cells(xy)).astype(int), 0, np.array(ground.togo.shape) - 1)
    return float(ground.togo[row, column])
