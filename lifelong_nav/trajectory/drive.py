"""From timed points to motion a differential drive can do: pursuit in time, many references at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lifelong_nav.core.config import param
from lifelong_nav.core.types import FloatArray, Pose2, Trajectory, Twist2
from lifelong_nav.trajectory.situation import STEP, TIMES


@dataclass(frozen=True)
class DriveConfig:
    """Limits of the base, and how closely it follows."""

    accel: float = param(1.0, "m/s^2", 0.05, 10.0, "Greatest change of forward speed.")
    yaw_accel: float = param(3.0, "rad/s^2", 0.1, 30.0, "Greatest change of yaw rate.")
    max_yaw_rate: float = param(1.5, "rad/s", 0.1, 5.0, "Fastest turn.")
    max_reverse: float = param(0.15, "m/s", 0.0, 1.0, "Fastest backward speed.")
    look: float = param(0.6, "s", 0.2, 3.0, "The robot steers for where the reference is this much later.")


LOOK_STEPS = 5
"""References reach this many steps beyond the last of `TIMES`."""
REFERENCE_TIMES = np.arange(len(TIMES) + LOOK_STEPS + 1) * STEP
"""(36,) seconds from now at which a reference says where the robot should be; 0 is now."""

_NEAR = 0.04  # m; nearer to its reference than this the robot stands
_HEAD_ON = 1.0  # rad; farther off the nose than this it turns on the spot


@dataclass(frozen=True, slots=True)
class Drives:
    """Motions of C robots at `TIMES`: `poses` (C, T, 3) x, y, yaw (unwrapped); `twists` (C, T, 2) v, w."""

    poses: FloatArray
    twists: FloatArray

    def trajectory(self, index: int, stamp: float, frame_id: str) -> Trajectory:
        """One of them as a value."""
        return Trajectory(stamp, frame_id, TIMES, self.poses[index], self.twists[index])


def steer(
    dx: FloatArray, dy: FloatArray, yaw: FloatArray, fastest: FloatArray, sign: FloatArray, c: DriveConfig
) -> tuple[FloatArray, FloatArray]:
    """Commands v, w (C,) towards where references are `c.look` seconds later.

    Args:
        dx: (C,) to there [m].
        dy: likewise.
        yaw: (C,) of the robots.
        fastest: (C,) speed [m/s].
        sign: (C,) -1 for those who back.
        c: parameters.
    """
    distance = np.sqrt(dx * dx + dy * dy)
    off = np.arctan2(sign * dy, sign * dx) - yaw
    off = (off + np.pi) % (2.0 * np.pi) - np.pi
    moving = distance > _NEAR
    size = np.minimum(distance / c.look, fastest) * moving
    wish = size * np.maximum(1.0 - np.abs(off) / _HEAD_ON, 0.0)
    # on an arc to the point aimed at; a point beside or behind asks for a turn on the spot
    turn = 2.0 * wish * np.sin(off) / np.maximum(distance, 0.15) + 1.2 * off
    return sign * wish, np.where(moving, turn, 0.0)


def drive(
    pose: Pose2,
    twist: Twist2,
    references: FloatArray,
    speed: float,
    config: DriveConfig,
    reverse: NDArray[np.bool_] | None = None,
) -> Drives:
    """Follow references in time with a unicycle whose speeds and accelerations are limited.

    Args:
        pose: of the robot now.
        twist: its velocity now.
        references: (C, 36, 2) where to be at `REFERENCE_TIMES`.
        speed: fastest forward speed [m/s].
        config: limits.
        reverse: (C,) True for references to be followed backwards.
    """
    c = config
    count = len(references)
    sign = np.where(reverse, -1.0, 1.0) if reverse is not None else np.ones(count)
    x, y, yaw = np.full(count, pose.x), np.full(count, pose.y), np.full(count, pose.yaw)
    v, w = np.full(count, twist.vx), np.full(count, twist.wz)
    poses, twists = np.empty((count, len(TIMES), 3)), np.empty((count, len(TIMES), 2))
    ahead = round(c.look / STEP)
    fastest = np.where(sign > 0, max(speed, abs(twist.vx)), c.max_reverse)
    for k in range(len(TIMES)):
        wish, turn = steer(
            references[:, k + ahead, 0] - x, references[:, k + ahead, 1] - y, yaw, fastest, sign, c
        )
        v = np.minimum(np.maximum(wish, v - c.accel * STEP), v + c.accel * STEP)
        turn = np.minimum(np.maximum(turn, -c.max_yaw_rate), c.max_yaw_rate)
        w = np.minimum(np.maximum(turn, w - c.yaw_accel * STEP), w + c.yaw_accel * STEP)
        middle = yaw + (0.5 * STEP) * w
        x, y, yaw = x + STEP * v * np.cos(middle), y + STEP * v * np.sin(middle), yaw + STEP * w
        poses[:, k, 0], poses[:, k, 1], poses[:, k, 2] = x, y, yaw
        twists[:, k, 0], twists[:, k, 1] = v, w
    return Drives(poses, twists)
