"""Inertial unit and wheel odometry: what the robot feels of its own motion, with their errors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lifelong_nav.core.config import param
from lifelong_nav.core.types import FloatArray, Odometry, Pose2, Twist2
from lifelong_nav.sim.robot import BaseState
from lifelong_nav.sim.robot_urdf import WHEEL_RADIUS, WHEEL_SEPARATION
from lifelong_nav.sim.seeds import stream

GRAVITY = 9.81


@dataclass(frozen=True)
class MotionSensorConfig:
    """Errors of the inertial unit (a consumer MEMS part) and the wheel encoders."""

    gyro_noise: float = param(0.003, "rad/s", 0.0, 1.0, "Standard deviation of a rate sample.")
    gyro_bias: float = param(0.002, "rad/s", 0.0, 1.0, "Standard deviation of the rate's bias at the start.")
    gyro_walk: float = param(1e-4, "rad/s/sqrt(s)", 0.0, 1.0, "Random walk of the rate's bias.")
    accel_noise: float = param(0.03, "m/s^2", 0.0, 10.0, "Standard deviation of an acceleration sample.")
    accel_bias: float = param(0.05, "m/s^2", 0.0, 10.0, "Standard deviation of its bias at the start.")
    accel_walk: float = param(5e-4, "m/s^2/sqrt(s)", 0.0, 1.0, "Random walk of its bias.")
    encoder_ticks: int = param(4096, "", 16, 1_000_000, "Encoder steps per turn of a wheel.")


@dataclass(frozen=True, slots=True)
class ImuSample:
    """Angular rate (3,) [rad/s] and specific force (3,) [m/s^2] in the frame `imu` (as base_link)."""

    stamp: float
    angular_velocity: FloatArray
    linear_acceleration: FloatArray


class Imu:
    """Inertial unit: true motion plus white noise and wandering biases.

    Args:
        config: sizes of the errors.
        scale: factor on all errors; 0 for none.
        seed: of the run.
    """

    def __init__(self, config: MotionSensorConfig, scale: float, seed: int) -> None:
        self._noise = scale * np.repeat([config.gyro_noise, config.accel_noise], 3)
        self._walk = scale * np.repeat([config.gyro_walk, config.accel_walk], 3)
        self._rng = stream(seed, "imu")
        start = scale * np.repeat([config.gyro_bias, config.accel_bias], 3)
        self._bias = start * self._rng.standard_normal(6)
        self._velocity: FloatArray | None = None

    def sample(self, stamp: float, state: BaseState, dt: float) -> ImuSample:
        """The reading `dt` [s] after the one before."""
        before = state.velocity if self._velocity is None else self._velocity
        self._velocity = state.velocity
        force = (state.velocity - before) / dt + (0.0, 0.0, GRAVITY)
        self._bias = self._bias + self._walk * np.sqrt(dt) * self._rng.standard_normal(6)
        true = np.concatenate([state.rotation.T @ state.spin, state.rotation.T @ force])
        read = true + self._bias + self._noise * self._rng.standard_normal(6)
        return ImuSample(stamp, read[:3], read[3:])


class WheelOdometry:
    """Pose and twist from encoder steps alone; it believes in full wheels and perfect grip.

    Args:
        config: encoder resolution.
        angles: (2,) wheel angles now [rad].
    """

    def __init__(self, config: MotionSensorConfig, angles: FloatArray) -> None:
        self._step = 2.0 * np.pi / config.encoder_ticks
        self._worn = np.zeros(2)  # angle turned, as the encoders count it
        self._model = angles
        self._ticks = np.zeros(2)
        self._pose = Pose2()
        self._twist = Twist2()
        self._spread = np.zeros((3, 3))

    def update(self, angles: FloatArray, wear: FloatArray, dt: float) -> None:
        """Take in the wheels' angles (2,) [rad] after `dt` [s]; a worn wheel turns more for the same path."""
        self._worn = self._worn + (angles - self._model) / wear
        self._model = angles
        ticks = np.floor(self._worn / self._step)
        left, right = (ticks - self._ticks) * self._step * WHEEL_RADIUS
        self._ticks = ticks
        path, turn = float(left + right) / 2.0, float(right - left) / WHEEL_SEPARATION
        middle = self._pose.yaw + turn / 2.0
        self._pose = Pose2(
            self._pose.x + path * float(np.cos(middle)), self._pose.y + path * float(np.sin(middle)),
            self._pose.yaw + turn,
        )  # fmt: skip
        # one encoder step per sample is 6 % of the speed at 0.2 m/s: smooth the twist over 0.1 s
        share = min(dt / 0.1, 1.0)
        vx = self._twist.vx + share * (float(path) / dt - self._twist.vx)
        self._twist = Twist2(vx, 0.0, self._twist.wz + share * (float(turn) / dt - self._twist.wz))
        self._spread = self._spread + _growth(middle, path, turn)

    def reading(self, stamp: float) -> Odometry:
        """The estimate now."""
        yaw = float((self._pose.yaw + np.pi) % (2.0 * np.pi) - np.pi)
        pose = Pose2(self._pose.x, self._pose.y, yaw)
        return Odometry(stamp, pose, self._twist, covariance=self._spread.copy())


def _growth(yaw: float, path: float, turn: float) -> FloatArray:
    """(3, 3) covariance added by one step: 10 cm^2 per metre along, 2 across, 0.01 rad^2 per rad."""
    c, s, d = float(np.cos(yaw)), float(np.sin(yaw)), abs(path)
    along, across = 1e-3 * d, 2e-4 * d
    xy = (along - across) * c * s
    xx, yy = along * c * c + across * s * s, along * s * s + across * c * c
    return np.array([[xx, xy, 0.0], [xy, yy, 0.0], [0.0, 0.0, 1e-3 * d + 1e-2 * abs(turn)]])
