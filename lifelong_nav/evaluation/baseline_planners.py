"""Planners that drive a unicycle disc to a goal among people: ours, the usual baselines, and yours.

A planner is any class with the two methods of `Planner`, made without arguments. Name your own as
`package.module:ClassName` wherever a benchmark takes planners.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from lifelong_nav.core.config import override
from lifelong_nav.core.errors import ConfigError, require_package
from lifelong_nav.core.geometry import angle_difference
from lifelong_nav.core.types import FloatArray, People, Pose2, Twist2
from lifelong_nav.sim.crowd import forces

PERIOD = 0.1
"""Time between commands [s]."""


@dataclass(frozen=True)
class Body:
    """The disc all planners drive: radius [m] and the limits of its unicycle [m/s, rad/s, per second]."""

    radius: float = 0.25
    max_reverse: float = 0.15
    max_yaw_rate: float = 1.5
    accel: float = 1.0
    yaw_accel: float = 3.0

    def follow(
        self, pose: Pose2, twist: Twist2, command: Twist2, speed: float, dt: float
    ) -> tuple[Pose2, Twist2]:
        """Pose and twist after dt [s] of a command, within the limits; `speed` [m/s] is the fastest."""
        v = float(np.clip(command.vx, -self.max_reverse, speed))
        w = float(np.clip(command.wz, -self.max_yaw_rate, self.max_yaw_rate))
        v = float(np.clip(v, twist.vx - self.accel * dt, twist.vx + self.accel * dt))
        w = float(np.clip(w, twist.wz - self.yaw_accel * dt, twist.wz + self.yaw_accel * dt))
        middle = pose.yaw + 0.5 * w * dt
        x, y = pose.x + v * dt * np.cos(middle), pose.y + v * dt * np.sin(middle)
        return Pose2(float(x), float(y), pose.yaw + w * dt), Twist2(v, 0.0, w)


BODY = Body()


@dataclass(frozen=True)
class Observation:
    """What a planner sees every `PERIOD`: all in one frame, without noise."""

    stamp: float
    pose: Pose2
    twist: Twist2
    people: People


class Planner(Protocol):
    """Drives to a goal. One instance per run; no clocks, no global chance."""

    def reset(self, goal: FloatArray, speed: float, seed: int) -> None:
        """Begin a run: goal (2,) [m], preferred speed [m/s] (also the fastest), seed."""
        ...

    def command(self, observation: Observation) -> Twist2:
        """The command to send now."""
        ...


def track_velocity(wish: FloatArray, pose: Pose2, speed: float) -> Twist2:
    """Unicycle command that takes up a wished velocity (2,): turn towards it, slow while turned away."""
    size = float(np.hypot(*wish))
    if size < 1e-3:
        return Twist2()
    error = float(angle_difference(np.arctan2(wish[1], wish[0]), pose.yaw))
    return Twist2(min(size, speed) * max(0.0, float(np.cos(error))), 0.0, 2.5 * error)


class GoalOnly:
    """Drives straight to the goal as if nobody was there."""

    def reset(self, goal: FloatArray, speed: float, seed: int) -> None:
        """See `Planner.reset`."""
        self.goal, self.speed = goal, speed

    def wish(self, pose: Pose2) -> FloatArray:
        """(2,) velocity towards the goal, slower in the last stretch [m/s]."""
        to = self.goal - pose.xy
        distance = float(np.hypot(*to))
        return np.asarray(to / max(distance, 1e-6) * min(self.speed, 1.5 * distance))

    def command(self, observation: Observation) -> Twist2:
        """See `Planner.command`."""
        return track_velocity(self.wish(observation.pose), observation.pose, self.speed)


class SocialForcePlanner(GoalOnly):
    """The robot as one more walker of the social force model (Moussaid 2009), tracked by the unicycle.

    Twice the usual strength and eyes in the back, the best of six settings tried on a third of the crowd
    benchmark's cases: people who do not evade leave all of it to the robot.
    """

    relaxation = 0.5
    strength = 9.0
    behind = 1.0

    def command(self, observation: Observation) -> Twist2:
        """See `Planner.command`."""
        pose, people = observation.pose, observation.people
        heading = np.array([pose.yaw])
        velocity = observation.twist.vx * np.array([[np.cos(pose.yaw), np.sin(pose.yaw)]])
        force = forces.drive(velocity, self.wish(pose)[None], self.relaxation)
        if len(people):
            others, radii = people.positions(), people.radii()
            ones = np.ones((1, len(people)))
            force += forces.social(
                pose.xy[None], velocity, heading, others, people.velocities(), ones,
                strength=self.strength, behind=self.behind,
            )  # fmt: skip
            force += forces.contact(pose.xy[None], np.array([BODY.radius]), others, radii, ones)
        wish = velocity[0] + self.relaxation * force[0]
        return track_velocity(wish, pose, self.speed)


class OrcaPlanner(GoalOnly):
    """Optimal reciprocal collision avoidance by pyrvo, tracked by the unicycle.

    The margin [m] makes up for what the unicycle cannot follow. It and the horizon [s] gave the fewest
    contacts of nine settings tried on a third of the crowd benchmark's cases.
    """

    horizon = 1.5
    margin = 0.2

    def __init__(self) -> None:
        self.pyrvo = require_package("pyrvo", "orca")

    def command(self, observation: Observation) -> Twist2:
        """See `Planner.command`."""
        pose, people = observation.pose, observation.people
        solver = self.pyrvo.RVOSimulator()
        solver.set_time_step(PERIOD)
        wish = self.wish(pose)
        velocity = observation.twist.vx * np.array([np.cos(pose.yaw), np.sin(pose.yaw)])
        rest = (10.0, 12, self.horizon, self.horizon)
        me = solver.add_agent(
            tuple(pose.xy.tolist()), *rest, BODY.radius + self.margin, self.speed, tuple(velocity.tolist())
        )
        solver.set_agent_pref_velocity(me, tuple(wish.tolist()))
        for p in people.people:
            agent = solver.add_agent((p.x, p.y), *rest, p.radius + self.margin, 2.0, (p.vx, p.vy))
            solver.set_agent_pref_velocity(agent, (p.vx, p.vy))
        solver.do_step()
        best = np.array(solver.get_agent_velocity(me).to_tuple())
        return track_velocity(best, pose, self.speed)


class LifelongNav:
    """Our controller (`control.mppi`) as the controller node runs it, on a straight path to the goal."""

    def reset(self, goal: FloatArray, speed: float, seed: int) -> None:
        """See `Planner.reset`."""
        from lifelong_nav.control.mppi import Mppi, MppiConfig
        from lifelong_nav.control.unicycle import Unicycle, UnicycleConfig

        limits = {"max_speed": speed, "accel": BODY.accel, "max_yaw_rate": BODY.max_yaw_rate}
        config = override(MppiConfig(), radius=BODY.radius, max_reverse=BODY.max_reverse, **limits)
        model = Unicycle(UnicycleConfig(accel=BODY.accel, yaw_accel=BODY.yaw_accel, delay=0.0))
        self.mppi = Mppi(config, model=model, seed=seed)
        self.goal, self.speed = goal, speed
        self.path: FloatArray | None = None

    def command(self, observation: Observation) -> Twist2:
        """See `Planner.command`."""
        from lifelong_nav.control.mppi import Problem

        if self.path is None:
            self.path = np.stack([observation.pose.xy, self.goal])
        goal = Pose2(float(self.goal[0]), float(self.goal[1]), float("nan"))
        problem = Problem(
            observation.stamp, observation.pose, observation.twist, self.path, goal, observation.people,
            speed=self.speed, frame_id="map",
        )  # fmt: skip
        return self.mppi.plan(problem).command


PLANNERS: dict[str, Callable[[], Planner]] = {
    "lifelong_nav": LifelongNav,
    "goal_only": GoalOnly,
    "orca": OrcaPlanner,
    "social_force": SocialForcePlanner,
}
"""Planners by name."""


def make_planner(name: str) -> Planner:
    """A planner by name, or from `package.module:ClassName`.

    Raises:
        ConfigError: unknown, or the module has no such class.
        DependencyError: the planner's package is not installed.
    """
    if name in PLANNERS:
        return PLANNERS[name]()
    module, _, attribute = name.partition(":")
    try:
        factory: Callable[[], Planner] = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigError(
            f"There is no planner '{name}' ({error}).",
            f"Choose from {', '.join(PLANNERS)}, or give package.module:ClassName.",
        ) from error
    return factory()
