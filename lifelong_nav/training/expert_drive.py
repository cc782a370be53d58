"""Driving a task along a plan in time, in a world where people react, and what happened while doing so."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lifelong_nav.core.types import FloatArray, Twist2
from lifelong_nav.sim import suite
from lifelong_nav.sim.flat import FlatConfig, FlatWorld
from lifelong_nav.sim.scenario import Company
from lifelong_nav.sim.scenario_build import Run
from lifelong_nav.trajectory.drive import DriveConfig, steer

STEP = 0.1
"""Sampling of what experts drive [s]."""


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


@dataclass(frozen=True)
class Log:
    """What happened from `since` [s] on: as in `ExpertRun`; `touched` (T - 1,) how many contacts began."""

    since: float
    poses: FloatArray
    twists: FloatArray
    commands: FloatArray
    people: FloatArray
    velocities: FloatArray
    touched: FloatArray
    radii: FloatArray
    groups: NDArray[np.int64]

    def until_arrival(self, what: Task) -> Log:
        """The part up to where the goal is reached."""
        there = np.linalg.norm(self.poses[:, :2] - what.goal, axis=1) <= what.tolerance
        return self.first(int(np.argmax(there)) if there.any() else len(there) - 1)

    def first(self, steps: int) -> Log:
        """The first so many steps."""
        n, m = steps + 1, steps
        return Log(
            self.since, self.poses[:n], self.twists[:n], self.commands[:m], self.people[:n],
            self.velocities[:n], self.touched[:m], self.radii, self.groups,
        )  # fmt: skip

    def after(self, steps: int) -> Log:
        """What came after so many steps."""
        series = [values[steps:] for values in self.series()]
        poses, twists, people, velocities, commands, touched = series
        since = self.since + steps * STEP
        return Log(since, poses, twists, commands, people, velocities, touched, self.radii, self.groups)

    def then(self, other: Log) -> Log:
        """This and what came after it."""
        pairs = zip(self.series(), other.series(), strict=True)
        joined = [np.concatenate([a, b if len(a) == len(self.commands) else b[1:]]) for a, b in pairs]
        poses, twists, people, velocities, commands, touched = joined
        return Log(self.since, poses, twists, commands, people, velocities, touched, self.radii, self.groups)

    def series(self) -> tuple[FloatArray, ...]:
        """Arrays over time."""
        return self.poses, self.twists, self.people, self.velocities, self.commands, self.touched


def there(world: FlatWorld, what: Task) -> bool:
    """True when the robot stands at the goal."""
    return float(np.hypot(*(world.pose.xy - what.goal))) <= what.tolerance


def world_of(what: Task) -> FlatWorld:
    """The world of a task at its beginning, without a lidar."""
    return FlatWorld(what.make(), what.seed, FlatConfig(scan=False, speed=what.speed, radius=what.radius))


def follow(world: FlatWorld, what: Task, way: FloatArray, since: float, period: float, seconds: float) -> Log:
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
    return Log(
        begin, poses, twists, np.array(commands), people, velocities, np.array(touched, dtype=float),
        world.state.radii, world.state.groups,
    )  # fmt: skip


def _now(world: FlatWorld) -> tuple[FloatArray, ...]:
    here = world.state.present[:, None]
    return (
        world.pose.array(), np.array([world.twist.vx, world.twist.wz]),
        np.where(here, world.state.positions, np.nan), np.where(here, world.state.velocities, np.nan),
    )  # fmt: skip
