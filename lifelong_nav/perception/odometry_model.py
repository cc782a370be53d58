"""What wheel odometry is worth: how it errs, and how its steady errors are learned while driving.

Beside the pose three error states are estimated: the scale of distance (slip, wheel wear), the scale
of turning (track width), and drift in heading per metre (unequal wheels). They follow the odometry's
error on this floor, within metres, and carry the robot through stretches where the walls say nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lifelong_nav.core.config import param
from lifelong_nav.core.geometry import compose2
from lifelong_nav.core.types import FloatArray, Pose2

STATES = 6
"""x, y, yaw, distance scale - 1, turning scale - 1, drift [rad/m]."""


@dataclass(frozen=True)
class OdometryConfig:
    """Random and steady errors of wheel odometry."""

    distance_noise: float = param(0.03, "m/sqrt(m)", 0.0, 1.0, "Random error of distance driven.")
    sideways_noise: float = param(0.015, "m/sqrt(m)", 0.0, 1.0, "Random sideways error per distance.")
    turning_noise: float = param(0.03, "rad/sqrt(rad)", 0.0, 1.0, "Random error of turning.")
    heading_noise: float = param(0.015, "rad/sqrt(m)", 0.0, 1.0, "Random error of heading per distance.")
    scale_spread: float = param(0.08, "", 0.0, 1.0, "Spread of steady errors of distance and turning.")
    drift_spread: float = param(0.03, "rad/m", 0.0, 1.0, "Spread of steady drift in heading.")
    adapt_length: float = param(8.0, "m", 0.5, 1000.0, "Distance over which steady errors may change.")


def initial_covariance(pose_covariance: FloatArray, c: OdometryConfig) -> FloatArray:
    """(6, 6) from the (3, 3) of the pose."""
    out = np.diag([0.0, 0.0, 0.0, c.scale_spread**2, c.scale_spread**2, c.drift_spread**2])
    out[:3, :3] = pose_covariance
    return out


def predict(
    state: FloatArray, covariance: FloatArray, moved: Pose2, c: OdometryConfig
) -> tuple[FloatArray, FloatArray]:
    """Carry the state (6,) and covariance (6, 6) over a motion `moved` reported in the base frame."""
    distance = float(np.hypot(moved.x, moved.y))
    pose = Pose2(*state[:3])
    scale, turn, drift = state[3:]
    step = Pose2(
        moved.x * (1.0 + scale),
        moved.y * (1.0 + scale),
        moved.yaw * (1.0 + turn) + drift * distance,
    )
    # Displacement happens about half-way through the turn: correct its direction by half the change.
    half = 0.5 * (step.yaw - moved.yaw)
    middle = compose2(pose, Pose2(yaw=half))
    placed = compose2(middle, Pose2(step.x, step.y, 0.0))
    cos, sin = np.cos(middle.yaw), np.sin(middle.yaw)
    shift = np.array([cos * step.x - sin * step.y, sin * step.x + cos * step.y])
    raw = np.array([cos * moved.x - sin * moved.y, sin * moved.x + cos * moved.y])
    side = np.array([-shift[1], shift[0]])
    jacobian = np.eye(STATES)
    jacobian[:2, 2] = side
    jacobian[:2, 3] = raw
    jacobian[:2, 4] = side * 0.5 * moved.yaw
    jacobian[:2, 5] = side * 0.5 * distance
    jacobian[2, 4] = moved.yaw
    jacobian[2, 5] = distance
    # Steady errors relax to nothing and are refreshed so that their spread stays as configured.
    keep = np.exp(-(distance + 0.5 * abs(moved.yaw)) / c.adapt_length)
    jacobian[3:, 3:] *= keep
    noise = np.zeros((STATES, STATES))
    along = c.distance_noise**2 * distance + 1e-7
    across = c.sideways_noise**2 * distance + 1e-7
    axes = np.array([[cos, -sin], [sin, cos]])
    noise[:2, :2] = (axes * [along, across]) @ axes.T
    noise[2, 2] = c.turning_noise**2 * abs(moved.yaw) + c.heading_noise**2 * distance + 1e-8
    refresh = 1.0 - keep**2
    noise[[3, 4, 5], [3, 4, 5]] = refresh * np.array([c.scale_spread, c.scale_spread, c.drift_spread]) ** 2
    out = np.empty(STATES)
    out[:3] = placed.x, placed.y, pose.yaw + step.yaw
    out[3:] = keep * state[3:]
    return out, jacobian @ covariance @ jacobian.T + noise
