"""Pure pursuit: the plain way along a path, as a fallback and as informed samples for MPPI."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lifelong_nav.control.path import PathWindow, window
from lifelong_nav.core.geometry import wrap
from lifelong_nav.core.types import FloatArray, Pose2, Twist2

_ARRIVED = 0.03  # m; nearer to the end than this there is nothing to steer at
_TURN_FIRST = 0.9  # rad; a path farther off the nose than this is turned to on the spot


@dataclass(frozen=True, slots=True)
class Limits:
    """Speed limits of a differential drive: v [m/s], w [rad/s], accel [m/s^2]."""

    speed: float
    yaw_rate: float
    accel: float


def steer(
    x: FloatArray, y: FloatArray, yaw: FloatArray, target: FloatArray, speed: FloatArray, limits: Limits
) -> FloatArray:
    """(N, 2) commands v, w that drive N robots towards their targets (N, 2) on circular arcs."""
    dx, dy = target[:, 0] - x, target[:, 1] - y
    distance = np.maximum(np.hypot(dx, dy), 1e-3)
    off = wrap(np.arctan2(dy, dx) - yaw)
    v = speed * np.clip(1.0 - np.abs(off) / _TURN_FIRST, 0.0, 1.0)
    w = np.where(np.abs(off) > _TURN_FIRST, 2.0 * off, 2.0 * v * np.sin(off) / distance + 0.8 * off)
    return np.stack([v, np.clip(w, -limits.yaw_rate, limits.yaw_rate)], axis=-1)


def follow(
    way: PathWindow,
    yaw: float,
    speed: float,
    offsets: FloatArray,
    scales: FloatArray,
    waits: FloatArray,
    limits: Limits,
    times: FloatArray,
    first_speed: float = 0.0,
) -> FloatArray:
    """Open-loop commands (N, T, 2) of N pursuits that differ in side offset, speed and waiting time.

    Args:
        way: path relative to the robot.
        yaw: robot yaw in the frame of `way` [rad].
        speed: desired speed [m/s].
        offsets: (N,) lateral shift of the path to the left [m].
        scales: (N,) share of the desired speed.
        waits: (N,) time to stand before going [s].
        limits: of the base.
        times: (T,) start of each step [s], evenly spaced.
        first_speed: forward speed now [m/s].
    """
    n, dt = len(offsets), float(times[1] - times[0])
    x, y, heading = np.zeros(n), np.zeros(n), np.full(n, float(yaw))
    v_now = np.full(n, float(first_speed))
    points, normals = way.points.astype(float), way.normals.astype(float)
    arc = np.full(n, way.start)
    look = max(0.45, 0.7 * speed)
    out = np.empty((n, len(times), 2), np.float32)
    last = len(points) - 1
    for t, time in enumerate(times):
        k = np.minimum(((arc + look) / way.spacing).astype(np.intp) + 1, last)
        fade = np.where((k == last) & way.final, 0.0, 1.0)
        target = points[k] + normals[k] * (offsets * fade)[:, None]
        left = np.maximum(way.end - arc, 0.0) if way.final else np.full(n, np.inf)
        wanted = np.minimum(speed * scales, np.sqrt(1.2 * limits.accel * left))
        command = steer(x, y, heading, target, np.where(waits > time, 0.0, wanted), limits)
        command[(waits > time) | (left < _ARRIVED)] = 0.0
        out[:, t] = command
        v_now += np.clip(command[:, 0] - v_now, -limits.accel * dt, limits.accel * dt)
        middle = heading + 0.5 * dt * command[:, 1]
        x += dt * v_now * np.cos(middle)
        y += dt * v_now * np.sin(middle)
        heading += dt * command[:, 1]
        arc = np.maximum(arc, way.project(np.stack([x, y], axis=-1))[0])
    return out


def pursue(pose: Pose2, path: FloatArray, speed: float, limits: Limits) -> Twist2:
    """One pursuit command along a path (M, 2), slowing to a stop at its end."""
    way = window(path, pose.xy, ahead=2.0)
    zero = np.zeros(1)
    rest = np.hypot(*way.points[-1]) if way.final else np.inf
    if rest < 0.05:
        return Twist2()
    command = follow(way, pose.yaw, speed, zero, zero + 1.0, zero, limits, np.array([0.0, 0.1]))[0, 0]
    return Twist2(float(command[0]), 0.0, float(command[1]))
