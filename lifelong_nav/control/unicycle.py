"""How a differential-drive base follows commands: the motion model that MPPI rolls out.

A model is anything with `rollout` (see `MotionModel`), so that a learned one can take this one's place.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from lifelong_nav.core.config import param
from lifelong_nav.core.types import FloatArray, Pose2, Twist2

Float32Array = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class MotionState:
    """Where a rollout starts: pose in the plan's frame, body twist, and the command sent last."""

    pose: Pose2
    twist: Twist2 = field(default_factory=Twist2)
    command: Twist2 = field(default_factory=Twist2)


class MotionModel(Protocol):
    """Contract of every motion model, analytic or learned."""

    def rollout(
        self, state: MotionState, commands: Float32Array, dt: float
    ) -> tuple[Float32Array, Float32Array]:
        """Follow K command sequences.

        Args:
            state: start, shared by all sequences.
            commands: (K, T, 2) v [m/s] and w [rad/s], each held for dt.
            dt: step [s].

        Returns:
            poses (K, T, 3) x, y, yaw at the end of each step, yaw unwrapped; twists (K, T, 2) v, w
            during each step.
        """
        ...


@dataclass(frozen=True)
class UnicycleConfig:
    """Parameters of `Unicycle`."""

    accel: float = param(1.0, "m/s^2", 0.05, 10.0, "Greatest change of forward speed.")
    yaw_accel: float = param(3.0, "rad/s^2", 0.1, 30.0, "Greatest change of yaw rate.")
    delay: float = param(0.05, "s", 0.0, 1.0, "Time from sending a command to the base acting on it.")


class Unicycle:
    """Unicycle with acceleration limits and a pure command delay."""

    def __init__(self, config: UnicycleConfig | None = None) -> None:
        self.config = config or UnicycleConfig()

    def rollout(
        self, state: MotionState, commands: Float32Array, dt: float
    ) -> tuple[Float32Array, Float32Array]:
        """See `MotionModel.rollout`; the arrays returned are laid out time-major (fast per time step)."""
        c = self.config
        wanted = delayed(commands.transpose(2, 1, 0), (state.command.vx, state.command.wz), c.delay / dt)
        twists = np.empty(wanted.shape, np.float32)
        start = (state.twist.vx, state.twist.wz)
        for axis, limit in ((0, c.accel * dt), (1, c.yaw_accel * dt)):
            rate_limit(wanted[axis], start[axis], limit, twists[axis])
        poses = integrate(twists, state.pose, dt)
        return poses.transpose(2, 1, 0), twists.transpose(2, 1, 0)


def delayed(commands: Float32Array, previous: tuple[float, float], steps: float) -> Float32Array:
    """Shift (2, T, K) commands later by `steps` (may be a fraction), filling with `previous`."""
    if steps <= 0.0:
        return commands
    _, horizon, count = commands.shape
    whole, part = int(steps), np.float32(steps - int(steps))
    lead = min(whole + 1, horizon)
    padded = np.empty((2, lead + horizon, count), np.float32)
    padded[:, :lead] = np.asarray(previous, np.float32)[:, None, None]
    padded[:, lead:] = commands
    late = padded[:, lead - whole : lead - whole + horizon] if whole < lead else padded[:, :horizon]
    if part == 0.0:
        return late
    later = padded[:, max(lead - whole - 1, 0) : max(lead - whole - 1, 0) + horizon]
    return np.asarray(late * (1 - part) + later * part, np.float32)


def rate_limit(wanted: Float32Array, start: float, limit: float, out: Float32Array) -> None:
    """Follow `wanted` (T, K) from `start` with steps of at most `limit`; writes `out` (T, K)."""
    now = np.full(wanted.shape[1], start, np.float32)
    step = np.empty_like(now)
    for t in range(wanted.shape[0]):
        np.subtract(wanted[t], now, out=step)
        np.minimum(step, limit, out=step)
        np.maximum(step, -limit, out=step)
        np.add(now, step, out=out[t])
        now = out[t]


def integrate(twists: Float32Array, start: Pose2, dt: float) -> Float32Array:
    """Poses (3, T, K) after each step of body twists (2, T, K), by the midpoint rule."""
    v, w = twists
    poses = np.empty((3, *v.shape), np.float32)
    step = w * np.float32(dt)
    yaw = np.cumsum(step, axis=0, out=poses[2])
    yaw += np.float32(start.yaw)
    middle = yaw - np.float32(0.5) * step
    distance = v * np.float32(dt)
    np.cumsum(distance * np.cos(middle), axis=0, out=poses[0])
    np.cumsum(distance * np.sin(middle), axis=0, out=poses[1])
    poses[0] += np.float32(start.x)
    poses[1] += np.float32(start.y)
    return poses


def step_exact(pose: Pose2, v: float, w: float, dt: float) -> Pose2:
    """One pose after driving the arc (v, w) for dt [s], exactly."""
    if abs(w) < 1e-9:
        return Pose2(pose.x + v * dt * np.cos(pose.yaw), pose.y + v * dt * np.sin(pose.yaw), pose.yaw)
    yaw = pose.yaw + w * dt
    radius = v / w
    x = pose.x + radius * (np.sin(yaw) - np.sin(pose.yaw))
    return Pose2(float(x), float(pose.y - radius * (np.cos(yaw) - np.cos(pose.yaw))), yaw)


__all__ = [
    "FloatArray", "MotionModel", "MotionState", "Unicycle", "UnicycleConfig", "integrate", "step_exact",
]  # fmt: skip
