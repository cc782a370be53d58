"""Our whole stack as a planner of the social benchmark, and the same with parts of it left out.

As on the robot: scans make a distance field with a short memory, people's tracks a history; five times a
second a trajectory is chosen, ten times a second MPPI tracks it, and the safety gate has the last word.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from lifelong_nav.control.costs import CostConfig
from lifelong_nav.control.forecast import SocialConfig
from lifelong_nav.control.gate import Gate, GateInputs
from lifelong_nav.control.gate_config import GateConfig
from lifelong_nav.control.local_field import LocalField, LocalFieldConfig
from lifelong_nav.control.mppi import Mppi, MppiConfig, Problem
from lifelong_nav.control.reference import ReferenceConfig
from lifelong_nav.control.unicycle import Unicycle, UnicycleConfig
from lifelong_nav.core.clock import ManualClock, Received
from lifelong_nav.core.config import override
from lifelong_nav.core.distance import DistanceField
from lifelong_nav.core.social_context import SocialContext
from lifelong_nav.core.types import FloatArray, Odometry, Pose2, Twist2
from lifelong_nav.evaluation.social.planner import BODY, PERIOD, Observation
from lifelong_nav.trajectory.assembly import NO_TUNING, Parts, Tuning, assemble, tuned
from lifelong_nav.trajectory.local_planner import LocalPlanner
from lifelong_nav.trajectory.prediction.history import PeopleHistory
from lifelong_nav.trajectory.situation import Choice, Situation

CHOOSE_EVERY = 2
"""A trajectory is chosen every so many commands."""
FIELD_SIZE = 12.0
"""Side of the square around the robot in which obstacles are known [m]."""


class LifelongNav:
    """Everything in.

    Args:
        clock: seconds of CPU time, for `spent`; None for no timing.
    """

    parts = Parts()
    choose_every = CHOOSE_EVERY
    tuning: Tuning = NO_TUNING
    """Parameters that differ from their defaults, by section (see `trajectory.assembly`; here also mppi,
    cost, social, reference, gate)."""

    def __init__(self, clock: Callable[[], float] | None = None) -> None:
        self.clock = clock
        self.terms: dict[str, float] = {}
        """Named costs of the trajectory being followed, for the record of the run."""
        self.spent: list[tuple[float, float, float]] = []
        """Seconds for sensing, choice and control of every command, where there is a clock."""
        self.choice: Choice | None = None
        self.planner: LocalPlanner | None = None
        self._context: SocialContext | None = None

    def reset(self, goal: FloatArray, speed: float, seed: int) -> None:
        """See `Planner.reset`."""
        self.goal, self.speed, self.seed = goal, speed, seed
        self.history = PeopleHistory()
        self.field = LocalField(override(LocalFieldConfig(), size=FIELD_SIZE))
        self.choice, self.terms, self._tick, self._arc = None, {}, 0, 0.0
        self._scene: str | None = None
        self._mppi: Mppi | None = None
        self._gate_clock = ManualClock()

    def command(self, observation: Observation) -> Twist2:
        """See `Planner.command`."""
        o = observation
        if self._mppi is None or self._scene != o.scene:
            self._begin(o)
        begun = self._now()
        self.history.add(o.people)
        field = self._look(o)
        sensed = self._now()
        route = self._route_ahead(o)
        if self.parts.choice and self._tick % self.choose_every == 0:
            self._choose(o, route, field)
        self._tick += 1
        chosen = self._now()
        twist = self._control(o, route, field)
        # Without a scan the gate would stop the robot for good: blind is blind.
        if self.parts.gate and o.scan is not None:
            twist = self._gated(o, twist)
        if self.clock is not None:
            self.spent.append((sensed - begun, chosen - sensed, self._now() - chosen))
        return twist

    def _begin(self, o: Observation) -> None:
        """Set up for the body and the scene of the first observation."""
        self._scene = o.scene
        limits = {"max_speed": self.speed, "accel": BODY.accel, "max_yaw_rate": BODY.max_yaw_rate}
        config = override(
            tuned(MppiConfig(), "mppi", self.tuning),
            radius=o.robot_radius,
            max_reverse=BODY.max_reverse,
            **limits,
        )
        body = UnicycleConfig(accel=BODY.accel, yaw_accel=BODY.yaw_accel, delay=0.0)
        self._mppi = Mppi(
            config, tuned(CostConfig(), "cost", self.tuning), tuned(SocialConfig(), "social", self.tuning),
            None, Unicycle(body), self.seed, tuned(ReferenceConfig(), "reference", self.tuning),
        )  # fmt: skip
        # Braking distances as the simulated body brakes; on the robot they are the base's.
        gate = override(
            tuned(GateConfig(), "gate", self.tuning), max_speed=max(0.05, min(self.speed, 1.5)),
            radius=o.robot_radius, heartbeats=[], max_reverse=BODY.max_reverse, decel=BODY.accel,
            hard_decel=BODY.accel, yaw_accel=BODY.yaw_accel,
        )  # fmt: skip
        self._gate = Gate(gate)
        if self.parts.choice:
            self.planner = assemble(self.parts, o.scene, lambda: self._context, self.clock, self.tuning)

    def _look(self, o: Observation) -> DistanceField | None:
        """What the scan shows that is no person."""
        if o.scan is None or o.sensor is None:
            return None
        return self.field.update(o.scan, o.sensor, o.people, o.pose.xy)

    def _route_ahead(self, o: Observation) -> FloatArray:
        """(M, 2) the route from the point nearest to the robot on; it never goes back along it."""
        route = np.asarray(o.route, dtype=float)[:, :2]
        if len(route) < 2:
            return np.stack([o.pose.xy, self.goal])
        steps = np.diff(route, axis=0)
        lengths = np.maximum(np.linalg.norm(steps, axis=1), 1e-9)
        arcs = np.concatenate([[0.0], np.cumsum(lengths)])
        share = np.clip(np.einsum("ij,ij->i", o.pose.xy - route[:-1], steps) / lengths**2, 0.0, 1.0)
        feet = route[:-1] + share[:, None] * steps
        gaps = np.linalg.norm(feet - o.pose.xy, axis=1)
        along = arcs[:-1] + share * lengths
        # A route that comes back near itself must not be cut short.
        gaps[(along < self._arc - 0.5) | (along > self._arc + 3.0)] += 100.0
        k = int(np.argmin(gaps))
        self._arc = max(self._arc, float(along[k]))
        rest = route[k + 1 :]
        if len(rest) == 0 or np.linalg.norm(rest[-1] - feet[k]) < 1e-6:
            return np.stack([o.pose.xy, route[-1]])
        return np.concatenate([feet[k : k + 1], rest])

    def _choose(self, o: Observation, route: FloatArray, field: DistanceField | None) -> None:
        assert self.planner is not None
        parts, lidar = self.parts, self.parts.lidar
        self._context = o.context
        situation = Situation(
            o.stamp, o.pose, o.twist, route, self._goal(o), o.speed, o.people,
            field=field if lidar else None, scan=o.scan if lidar else None, sensor=o.sensor,
            context=o.context if parts.captions else None, robot_radius=o.robot_radius,
            frame_id=o.people.frame_id,
        )  # fmt: skip
        self.choice = self.planner.step(situation, self.history)
        self.terms = {name: float(cost[self.choice.index]) for name, cost in self.choice.terms.items()}

    def _control(self, o: Observation, route: FloatArray, field: DistanceField | None) -> Twist2:
        assert self._mppi is not None
        choice = self.choice
        problem = Problem(
            o.stamp, o.pose, o.twist, route, self._goal(o), o.people, field, o.speed, o.people.frame_id,
            choice.chosen.trajectory if choice is not None else None,
            choice.forecast if choice is not None else None,
        )  # fmt: skip
        return self._mppi.plan(problem).command

    def _goal(self, o: Observation) -> Pose2:
        return Pose2(float(self.goal[0]), float(self.goal[1]), o.goal.yaw if len(o.route) else float("nan"))

    def _gated(self, o: Observation, twist: Twist2) -> Twist2:
        """What the safety gate lets through, with the scan, the tracks and the odometry as they are now."""
        self._gate_clock.time = o.stamp
        now = Received(o.stamp, o.stamp)
        sensor = o.sensor if o.sensor is not None else o.pose
        frame = o.people.frame_id
        inputs = GateInputs(
            twist, now, o.scan, now, _on_base(sensor, o.pose), Odometry(o.stamp, o.pose, o.twist, frame), now,
            o.people, now,
        )  # fmt: skip
        return self._gate.step(inputs, self._gate_clock).twist

    def _now(self) -> float:
        return self.clock() if self.clock is not None else 0.0


def _on_base(sensor: Pose2, base: Pose2) -> Pose2:
    """The sensor's pose in the base's frame."""
    cos, sin = np.cos(base.yaw), np.sin(base.yaw)
    dx, dy = sensor.x - base.x, sensor.y - base.y
    return Pose2(float(cos * dx + sin * dy), float(cos * dy - sin * dx), sensor.yaw - base.yaw)


class NoImage(LifelongNav):
    """The network does not hear the social context."""

    parts = Parts(image=False)


class NoCaptions(LifelongNav):
    """The selection does not hear the social context."""

    parts = Parts(captions=False)


class NoLidar(LifelongNav):
    """Planning does not see the scan; control and gate do."""

    parts = Parts(lidar=False)


class NoLifelong(LifelongNav):
    """Nothing learned after shipping."""

    parts = Parts(lifelong=False)


class ControlOnly(LifelongNav):
    """MPPI along the route, as before trajectories were chosen."""

    parts = Parts(choice=False)


class NoLearned(LifelongNav):
    """Rules and search only."""

    parts = Parts(learned=False, rating=False)


class NoSearch(LifelongNav):
    """Rules and the network only."""

    parts = Parts(search=False)


class NoPrediction(LifelongNav):
    """People are taken to go on as they walk."""

    parts = Parts(prediction=False)


__all__ = [
    "PERIOD", "ControlOnly", "LifelongNav", "NoCaptions", "NoImage", "NoLearned", "NoLidar", "NoLifelong",
    "NoPrediction", "NoSearch",
]  # fmt: skip
