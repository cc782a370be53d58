"""The last stretch: stop at the goal, turn to its yaw, and stay there."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lifelong_nav.core.config import param
from lifelong_nav.core.geometry import angle_difference
from lifelong_nav.core.types import Pose2, Twist2

_REST = 0.05  # m/s; wheel odometry reports less for a robot at rest


@dataclass(frozen=True)
class ApproachConfig:
    """Parameters of `Approach`."""

    position: float = param(0.15, "m", 0.02, 2.0, "Distance to the goal that counts as there.")
    yaw: float = param(0.15, "rad", 0.02, 3.2, "Deviation from the goal's yaw that counts as there.")
    inner: float = param(0.6, "", 0.1, 1.0, "Share of the tolerances at which driving or turning ends.")
    yaw_rate: float = param(1.0, "rad/s", 0.1, 3.0, "Fastest turn on the spot.")
    yaw_accel: float = param(1.5, "rad/s^2", 0.1, 30.0, "Braking of that turn.")


class Approach:
    """Remembers that the goal's position was reached, so that drift at the rim starts no new dance.

    Inside `inner * position`, or inside `position` and at rest, driving ends and turning on the spot
    begins; driving starts again only when the robot is pushed out of `position`.
    """

    def __init__(self, config: ApproachConfig | None = None) -> None:
        self.config = config or ApproachConfig()
        self._goal: Pose2 | None = None
        self._arrived = False
        self._turned = False

    def step(self, pose: Pose2, twist: Twist2, goal: Pose2) -> tuple[Twist2 | None, bool]:
        """The command that ends the approach, or None while driving is still needed; and `reached`.

        Args:
            pose: robot pose; same frame as `goal`.
            twist: robot twist in its own frame.
            goal: where to end; a NaN yaw means "any".
        """
        if self._goal is None or _moved(self._goal, goal):
            self._arrived = self._turned = False
        self._goal = goal
        c = self.config
        distance = float(np.hypot(goal.x - pose.x, goal.y - pose.y))
        if distance > c.position:
            self._arrived = False
        elif distance <= c.inner * c.position or abs(twist.vx) < _REST:
            self._arrived = True
        if not self._arrived:
            return None, False
        off = 0.0 if np.isnan(goal.yaw) else float(angle_difference(goal.yaw, pose.yaw))
        if abs(off) > c.yaw:
            self._turned = False
        elif abs(off) <= c.inner * c.yaw:
            self._turned = True
        moving = abs(twist.vx) > _REST or abs(twist.wz) > 2.0 * _REST
        if self._turned:
            return Twist2(), not moving
        rate = min(c.yaw_rate, float(np.sqrt(2.0 * c.yaw_accel * abs(off))), 2.5 * abs(off))
        return Twist2(0.0, 0.0, float(np.copysign(rate, off))), False


def _moved(a: Pose2, b: Pose2) -> bool:
    """True when two goals differ by more than odometry corrections do."""
    if np.hypot(a.x - b.x, a.y - b.y) > 0.3:
        return True
    return np.isnan(a.yaw) != np.isnan(b.yaw) or abs(float(angle_difference(a.yaw, b.yaw))) > 0.3
