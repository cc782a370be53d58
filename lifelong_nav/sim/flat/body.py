"""The disc that drives in the plane: a unicycle with limits, stopped by walls."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from lifelong_nav.core.types import FloatArray, Pose2, Twist2
from lifelong_nav.sim.crowd.forces import segment_distance


@dataclass(frozen=True)
class Body:
    """The disc all planners drive: radius [m] and the limits of its unicycle [m/s, rad/s, per second]."""

    radius: float = 0.27
    max_reverse: float = 0.15
    max_yaw_rate: float = 1.5
    accel: float = 1.0
    yaw_accel: float = 3.0

    def follow(
        self, pose: Pose2, twist: Twist2, command: Twist2, speed: float, dt: float
    ) -> tuple[Pose2, Twist2]:
        """Pose and twist after dt [s] of a command, within the limits; `speed` [m/s] is the fastest."""
        v = min(max(command.vx, -self.max_reverse), speed)
        w = min(max(command.wz, -self.max_yaw_rate), self.max_yaw_rate)
        v = min(max(v, twist.vx - self.accel * dt), twist.vx + self.accel * dt)
        w = min(max(w, twist.wz - self.yaw_accel * dt), twist.wz + self.yaw_accel * dt)
        middle = pose.yaw + 0.5 * w * dt
        x, y = pose.x + v * dt * np.cos(middle), pose.y + v * dt * np.sin(middle)
        return Pose2(float(x), float(y), pose.yaw + w * dt), Twist2(float(v), 0.0, float(w))


def wall_gap(xy: FloatArray, walls: FloatArray, radius: float) -> float:
    """Free distance [m] of a disc at xy (2,) from segments (M, 4); inf without any."""
    return float(segment_distance(xy[None], walls)[0]) - radius


def kept_off(before: Pose2, after: Pose2, walls: FloatArray, radius: float) -> tuple[Pose2, bool]:
    """The pose after a step, held where the disc comes against a wall, and whether it did.

    Away from the wall every motion is let through, so that nobody is caught there.
    """

    def gap(pose: Pose2) -> float:
        return wall_gap(pose.xy, walls, radius)

    end = gap(after)
    if end >= 0.0 or end > gap(before):
        return after, end < 0.0
    return as_far(before, after, lambda pose: gap(pose) >= 0.0), True


def as_far(before: Pose2, after: Pose2, free: Callable[[Pose2], bool]) -> Pose2:
    """The last free pose on the way of a step that ends where it is not free (to 1/32 of the step)."""
    low, high = 0.0, 1.0
    for _ in range(5):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if free(_between(before, after, middle)) else (low, middle)
    return _between(before, after, low)


def _between(a: Pose2, b: Pose2, share: float) -> Pose2:
    """On the way from a to b, with the yaw of b."""
    return Pose2(a.x + share * (b.x - a.x), a.y + share * (b.y - a.y), b.yaw)
