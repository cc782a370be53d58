"""Candidates that need nothing but a route: following it at several paces, and stopping.

They stand by for when every other proposal fails, and stopping is always among what is chosen from.
"""

from __future__ import annotations

import numpy as np

from lifelong_nav.core.types import FloatArray, Trajectory
from lifelong_nav.trajectory.situation import CLASSICAL, STEP, TIMES, Candidate, Situation
from lifelong_nav.trajectory.terms.way import way_ahead

STOP = "stop"
_ACCEL, _YAW_RATE, _YAW_ACCEL = 1.0, 1.5, 3.0
_LOOK = 0.5  # m ahead on the way that is steered for, and more at speed
_FINE = 4  # substeps per step


def stop_candidate(situation: Situation) -> Candidate:
    """Brake at 1 m/s^2 on the present arc and stand."""
    v0, w0 = situation.twist.vx, situation.twist.wz
    if not np.isfinite((v0, w0)).all():
        v0 = w0 = 0.0
    size = np.maximum(1.0 - _ACCEL * (TIMES - 0.5 * STEP) / max(abs(v0), 1e-6), 0.0) if v0 else 0.0 * TIMES
    v = v0 * size
    w = w0 * np.maximum(1.0 - _YAW_ACCEL * (TIMES - 0.5 * STEP) / max(abs(w0), 1e-6), 0.0)
    return Candidate(STOP, CLASSICAL, _rolled(situation, v, w))


def follow_candidates(situation: Situation, shares: tuple[float, ...] = (1.0, 0.5)) -> list[Candidate]:
    """Follow the route at these shares of the travelling speed, by pure pursuit within the base's limits."""
    way = way_ahead(situation)
    found = []
    for share in shares:
        speed = share * situation.speed
        x, y, yaw = situation.pose.array()
        v, w = situation.twist.vx, situation.twist.wz
        dt = STEP / _FINE
        twists = np.empty((len(TIMES), 2))
        poses = np.empty((len(TIMES), 3))
        for k in range(len(TIMES)):
            v_mean = w_mean = 0.0
            for _ in range(_FINE):
                here = float(way.project(np.array([[x, y]]))[0][0])
                aim = min(here + _LOOK + 0.4 * abs(v), way.length)
                ax, ay = (
                    np.interp(aim, way.arcs, way.points[:, 0]),
                    np.interp(aim, way.arcs, way.points[:, 1]),
                )
                away = float(np.hypot(ax - x, ay - y))
                off = (np.arctan2(ay - y, ax - x) - yaw + np.pi) % (2.0 * np.pi) - np.pi
                left = max(way.length - here, 0.0) if way.ends else np.inf
                wish = min(speed, float(np.sqrt(2.0 * 0.8 * _ACCEL * left))) * max(1.0 - abs(off) / 1.2, 0.0)
                turn = 0.0 if away < 0.06 else 2.0 * wish * np.sin(off) / max(away, 0.2) + 1.0 * off
                v = float(np.clip(0.0 if away < 0.06 else wish, v - _ACCEL * dt, v + _ACCEL * dt))
                turn = float(np.clip(turn, -_YAW_RATE, _YAW_RATE))
                w = float(np.clip(turn, w - _YAW_ACCEL * dt, w + _YAW_ACCEL * dt))
                middle = yaw + 0.5 * dt * w
                x, y, yaw = x + dt * v * np.cos(middle), y + dt * v * np.sin(middle), yaw + dt * w
                v_mean, w_mean = v_mean + v / _FINE, w_mean + w / _FINE
            poses[k], twists[k] = (x, y, yaw), (v_mean, w_mean)
        name = "follow route" if share == 1.0 else f"follow route at {share:.0%}"
        trajectory = Trajectory(situation.stamp, situation.frame_id, TIMES, poses, twists)
        found.append(Candidate(name, CLASSICAL, trajectory))
    return found


def _rolled(situation: Situation, v: FloatArray, w: FloatArray) -> Trajectory:
    """The trajectory of speeds (T,) and yaw rates (T,), each held for a step."""
    yaw = situation.pose.yaw + np.cumsum(w) * STEP
    middle = yaw - 0.5 * w * STEP
    x = situation.pose.x + np.cumsum(v * np.cos(middle)) * STEP
    y = situation.pose.y + np.cumsum(v * np.sin(middle)) * STEP
    poses = np.stack([x, y, yaw], axis=-1)
    return Trajectory(situation.stamp, situation.frame_id, TIMES, poses, np.stack([v, w], axis=-1))
