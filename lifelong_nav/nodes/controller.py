"""The controller node: MPPI along the planner's route, with the deadline ladder below it."""

from __future__ import annotations

import time
from typing import Any, ClassVar

import numpy as np
from geometry_msgs.msg import TwistStamped

from lifelong_nav.control.approach import ApproachConfig
from lifelong_nav.control.costs import CostConfig
from lifelong_nav.control.deadline import DeadlineConfig, Rung, command_now
from lifelong_nav.control.local_field import LocalField, LocalFieldConfig
from lifelong_nav.control.mppi import Mppi, MppiConfig, Plan, Problem
from lifelong_nav.control.pursuit import Limits
from lifelong_nav.control.reference import ReferenceConfig
from lifelong_nav.control.social import SocialConfig
from lifelong_nav.control.unicycle import Unicycle, UnicycleConfig, step_exact
from lifelong_nav.core.clock import is_fresh
from lifelong_nav.core.config import param
from lifelong_nav.core.distance import DistanceField
from lifelong_nav.core.errors import InputError
from lifelong_nav.core.geometry import flatten, transform_points2
from lifelong_nav.core.transforms import TransformError
from lifelong_nav.core.types import (
    FloatArray,
    Odometry,
    People,
    PeopleForecast,
    Pose2,
    Trajectory,
    Twist2,
)
from lifelong_nav.nodes import convert, convert_trajectory
from lifelong_nav.nodes.base import StackNode
from lifelong_nav.nodes.parts import flat_config, part
from lifelong_nav.nodes.tf import make_tf

PARTS: dict[str, type] = {
    "mppi": MppiConfig,
    "cost": CostConfig,
    "social": SocialConfig,
    "approach": ApproachConfig,
    "motion": UnicycleConfig,
    "field": LocalFieldConfig,
    "deadline": DeadlineConfig,
    "reference": ReferenceConfig,
}
_LATE = 0.25
"""Share of late plans, over the last twenty or so, from which on others should make room."""

_OWN = (
    ("speed", float, param(0.8, "m/s", 0.05, 3.0, "Speed to travel at.")),
    ("rate", float, param(20.0, "Hz", 1.0, 100.0, "Commands per second.", read_only=True)),
    ("plan_every", int, param(2, "", 1, 20, "Plan anew on every so many commands.", read_only=True)),
    ("seed", int, param(0, "", 0, 2**31 - 1, "Seed of the controller's noise.", read_only=True)),
    ("odom_frame", str, param("odom", doc="Frame to plan in.", read_only=True)),
    ("input_timeout", float, param(0.5, "s", 0.1, 5.0, "Age at which odometry or scan is stale.")),
    ("people_timeout", float, param(1.0, "s", 0.1, 5.0, "Age at which people are forgotten.")),
    ("plan_timeout", float, param(4.0, "s", 0.5, 60.0, "Age at which the planner's route is stale.")),
)


ControllerConfig = flat_config(
    "ControllerConfig", _OWN, PARTS,
    "Parameters of the node `controller`; those of its parts carry a prefix.",
)  # fmt: skip


class ControllerNode(StackNode):
    """Follows `plan` among people and publishes `cmd_vel_raw`."""

    NAME: ClassVar[str] = "controller"
    CONFIG: ClassVar[type] = ControllerConfig

    def setup(self) -> None:
        """Build the controller and connect it."""
        self._field = LocalField(part(self.config, PARTS, "field"))
        self._distance: DistanceField | None = None
        self._odometry: Odometry | None = None
        self._people: People | None = None
        self._reference: Trajectory | None = None
        self._forecast: PeopleForecast | None = None
        self._route: tuple[str, FloatArray] | None = None
        self._last: Trajectory | None = None
        self._path: FloatArray | None = None
        self._ticks = 0
        self._missed, self._late = 0, 0.0
        self.retune()
        self._tf = make_tf(self)
        self.on_cleanup_do(self._tf.close)
        self._out = self.offer("cmd_vel_raw")
        self._predicted = self.offer("predicted_path")
        self.listen("plan", self._on_plan)
        self.listen("trajectory", self._on_trajectory)
        self.listen("people_forecast", self._on_forecast)
        self.listen("odom", self._on_odometry)
        self.listen("scan", self._on_scan)
        self.listen("people", self._on_people)
        self.every(1.0 / self.config.rate, self._tick)

    def retune(self) -> None:
        """Take over new weights; the warm start is given up."""
        c = self.config
        own = {name: part(c, PARTS, name) for name in PARTS}
        self.controller = Mppi(
            own["mppi"], own["cost"], own["social"], own["approach"], Unicycle(own["motion"]), c.seed,
            own["reference"],
        )  # fmt: skip
        m = self.controller.config
        self._limits = Limits(min(c.speed, m.max_speed), m.max_yaw_rate, m.accel)
        self._deadline = part(c, PARTS, "deadline")

    def stop(self) -> None:
        """Ask for zero."""
        self._send(Twist2())

    def time_jumped(self) -> None:
        """Forget everything seen and planned."""
        self._field.reset()
        self.controller.reset()
        self._distance = self._odometry = self._people = self._route = self._last = self._path = None
        self._reference = self._forecast = None

    def _on_plan(self, message: Any) -> None:
        self._route = None
        self._route = (message.header.frame_id, convert.path_from(message))

    def _on_trajectory(self, message: Any) -> None:
        self._reference = None
        self._reference = self._in_odom(convert_trajectory.trajectory_from(message), "Trajectory")

    def _on_forecast(self, message: Any) -> None:
        self._forecast = None
        self._forecast = self._in_odom(convert_trajectory.forecast_from(message), "Forecast of people")

    def _in_odom(self, value: Any, what: str) -> Any:
        """The value, which must be in the frame that is driven in."""
        if value is not None and value.frame_id != self.config.odom_frame:
            raise InputError(
                f"{what} is in frame '{value.frame_id}', not '{self.config.odom_frame}'.",
                "Let perception and planning use the controller's odom_frame.",
            )
        return value

    def _on_odometry(self, message: Any) -> None:
        self._odometry = None
        odometry = convert.odometry_from(message)
        if odometry.frame_id != self.config.odom_frame:
            raise InputError(
                f"Odometry is in frame '{odometry.frame_id}', not '{self.config.odom_frame}'.",
                "Set the parameter odom_frame or remap odom.",
            )
        self._odometry = odometry

    def _on_people(self, message: Any) -> None:
        self._people = None
        self._people = self._in_odom(convert.people_from(message), "People")

    def _on_scan(self, message: Any) -> None:
        self._distance = None
        scan = convert.scan_from(message)
        sensor = flatten(self._tf.lookup(self.config.odom_frame, scan.frame_id, scan.stamp))
        self._distance = self._field.update(scan, sensor, self._current_people())

    def _current_people(self) -> People | None:
        fresh = is_fresh(self.received("people"), self.clock, self.config.people_timeout)
        return self._people if fresh else None

    def _tick(self) -> None:
        self._ticks += 1
        now = self.clock.now()
        if self._ticks % self.config.plan_every == 0:
            self._path = self._local_path()
            problem = self._problem(now)
            if problem is not None:
                self._plan(problem)
        pose = self._pose(now)
        command, rung = command_now(
            now, self._last, pose, self._path, self._limits, self._deadline, self._reference
        )
        if rung is Rung.PURSUIT and self._distance is None:
            command, rung = Twist2(), Rung.STOP  # pursuit looks at nothing: not without a scan
        self.stats["rung"] = rung.value
        self._send(command)

    def _plan(self, problem: Problem) -> None:
        started = time.perf_counter()
        plan = self.controller.plan(problem)
        spent = time.perf_counter() - started
        missed = spent > self.config.plan_every / self.config.rate
        self._missed += missed
        self._late += 0.05 * (missed - self._late)
        self.degraded("deadline", "plans take longer than their time" if self._late > _LATE else None)
        self.stats |= {
            "plan [ms]": 1e3 * spent, "deadlines missed": float(self._missed),
            "effective samples": plan.effective, "feasible": str(plan.feasible),
            **{f"cost {name}": value for name, value in plan.costs.items()},
        }  # fmt: skip
        self._last = _as_sent(plan)
        if self._predicted.get_subscription_count() > 0:
            t = plan.trajectory
            self._predicted.publish(convert.path_to(t.poses, t.stamp, t.frame_id, t.times))

    def _local_path(self) -> FloatArray | None:
        """The route in the odom frame, or None when there is none to follow."""
        if self._route is None or len(self._route[1]) == 0:
            self.degraded("plan", None)
            return None
        if not is_fresh(self.received("plan"), self.clock, self.config.plan_timeout):
            self.degraded("plan", "the planner's route is stale")
            return None
        frame, route = self._route
        try:
            shift = flatten(self._tf.lookup(self.config.odom_frame, frame))
        except TransformError as error:
            self.degraded("plan", str(error))
            return None
        self.degraded("plan", None)
        return np.column_stack([transform_points2(shift, route[:, :2]), route[:, 2] + shift.yaw])

    def _problem(self, now: float) -> Problem | None:
        """What to plan from; None, with the reason in the diagnostics, when something is missing."""
        pose, timeout = self._pose(now), self.config.input_timeout
        scan_fresh = self._distance is not None and is_fresh(self.received("scan"), self.clock, timeout)
        self.degraded("odom", None if pose is not None else "no current odometry")
        self.degraded("scan", None if scan_fresh else "no current scan with a known pose")
        if not scan_fresh:
            self._distance = None
        if self._path is None or pose is None or not scan_fresh or self._odometry is None:
            return None
        goal = Pose2(*(float(v) for v in self._path[-1]))
        return Problem(
            now, pose, self._odometry.twist, self._path, goal, self._current_people(), self._distance,
            self.config.speed, self.config.odom_frame, self._reference, self._forecast,
        )  # fmt: skip

    def _pose(self, now: float) -> Pose2 | None:
        """The odometry's pose, carried forward to `now`."""
        fresh = is_fresh(self.received("odom"), self.clock, self.config.input_timeout)
        if self._odometry is None or not fresh:
            return None
        ahead = min(max(now - self._odometry.stamp, 0.0), 0.2)
        twist = self._odometry.twist
        return step_exact(self._odometry.pose, twist.vx, twist.wz, ahead)

    def _send(self, command: Twist2) -> None:
        header = convert.header(self.clock.now(), "base_link")
        self._out.publish(TwistStamped(header=header, twist=convert.twist_to(command)))


def _as_sent(plan: Plan) -> Trajectory:
    """The plan's trajectory, led by the command itself instead of what the base makes of it."""
    twists = plan.trajectory.twists.copy()
    twists[0] = plan.command.vx, plan.command.wz
    if not plan.feasible and plan.command == Twist2():
        twists[:] = 0.0
    t = plan.trajectory
    return Trajectory(t.stamp, t.frame_id, t.times, t.poses, twists)
