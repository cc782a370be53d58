"""Human-like navigation (Guzzi et al., ICRA 2013) by the package navground (extra `baselines`)."""

from __future__ import annotations

from typing import Any

from lifelong_nav.core.errors import require_package
from lifelong_nav.core.types import FloatArray, Twist2
from lifelong_nav.evaluation.social.baselines.route import (
    RouteFollower,
    walls_within,
)
from lifelong_nav.evaluation.social.planner import BODY, PERIOD, Observation

AXIS = 0.5
"""Distance between the wheels [m]."""


class HlPlanner(RouteFollower):
    """navground's HL: heads where the way to the target is shortest among free ways, brakes in time.

    Walls are line obstacles. `margin` [m] is added to people's radii, not to the robot's, so that it still
    fits through doors; `tau` [s] smooths the command, `eta` [s] is the least time kept to a collision.

    Tuned on 90 runs of the training half: margins of 0.1, 0.25, 0.4 m, eta of 0.5 and 0.8 s, tau of 0.125
    and 0.3 s, horizons of 5 and 8 m; this gave the most successes (.91) and took the least time.
    """

    horizon = 5.0
    margin = 0.1
    eta = 0.5
    tau = 0.125
    wall_margin = 0.03

    def __init__(self) -> None:
        self.core: Any = require_package("navground.core", "baselines")
        self.behaviors: Any = require_package("navground.core.behaviors", "baselines")
        self.kinematics: Any = require_package("navground.core.kinematics", "baselines")

    def reset(self, goal: FloatArray, speed: float, seed: int) -> None:
        """See `Planner.reset`."""
        super().reset(goal, speed, seed)
        self.behavior: Any = None

    def command(self, observation: Observation) -> Twist2:
        """See `Planner.command`."""
        core, pose, twist = self.core, observation.pose, observation.twist
        if self.behavior is None:
            self.behavior = self._behavior(observation.robot_radius + self.wall_margin)
        h = self.behavior
        h.position, h.orientation = (pose.x, pose.y), pose.yaw
        h.twist = core.Twist2((twist.vx, 0.0), twist.wz, core.Frame.relative)
        state = h.environment_state
        walls = walls_within(observation.walls, pose.xy, self.horizon + 1.0)
        state.line_obstacles = [core.LineSegment((a, b), (c, d)) for a, b, c, d in walls.tolist()]
        state.neighbors = [
            core.Neighbor((p.x, p.y), p.radius + self.margin - self.wall_margin, (p.vx, p.vy), p.id)
            for p in observation.people.people
        ]
        h.optimal_speed = float(min(self.speed, max(1.5 * self._left(pose.xy), 0.1)))
        h.target = core.Target.Point(tuple(self.aim(observation).tolist()))
        wanted = h.compute_cmd(PERIOD)
        return Twist2(float(wanted.velocity[0]), 0.0, float(wanted.angular_speed))

    def _left(self, xy: FloatArray) -> float:
        return float(((self.goal - xy) ** 2).sum() ** 0.5)

    def _behavior(self, radius: float) -> Any:
        kinematics = self.kinematics.TwoWheelsDifferentialDriveKinematics(self.speed, AXIS, BODY.max_yaw_rate)
        h = self.behaviors.HLBehavior(kinematics, radius)
        h.horizon, h.eta, h.tau = self.horizon, self.eta, self.tau
        return h
