"""A chosen trajectory as what the controller tracks: where to be when, and the commands towards it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lifelong_nav.core.config import param
from lifelong_nav.core.geometry import wrap
from lifelong_nav.core.types import FloatArray, Pose2, Trajectory


@dataclass(frozen=True)
class ReferenceConfig:
    """Parameters of tracking a trajectory in time."""

    fresh: float = param(0.5, "s", 0.0, 5.0, "A reference is tracked up to this age.")
    look: float = param(0.5, "s", 0.1, 2.0, "Commands towards it aim this far ahead in time.")
    yaw_accel: float = param(3.0, "rad/s^2", 0.1, 30.0, "Change of yaw rate that those commands count on.")
    farthest: float = param(1.5, "m", 0.1, 10.0, "A reference this far off is given up.")


@dataclass(frozen=True, slots=True)
class Reference:
    """Where the robot should be at the steps of the horizon, relative to its position now.

    `x`, `y` [m], `yaw` [rad] and `v`, `w` [m/s, rad/s] (T,) float32; `share` of the horizon that the
    trajectory covers, 0 to 1: the mean of `inside` (T,), 1 where it says something.
    """

    x: FloatArray
    y: FloatArray
    yaw: FloatArray
    v: FloatArray
    w: FloatArray
    inside: FloatArray

    @property
    def share(self) -> float:
        """Share of the horizon covered."""
        return float(self.inside.mean())


def reference_at(
    trajectory: Trajectory | None, stamp: float, pose: Pose2, times: FloatArray, config: ReferenceConfig
) -> Reference | None:
    """What `trajectory` asks for at `times` (T,) seconds after `stamp`; None when it is of no use.

    It is of none when older than `config.fresh`, from the future, empty, not finite, over, or too far off.
    """
    t = trajectory
    if t is None or len(t.times) < 2 or not 0.0 <= stamp - t.stamp <= config.fresh:  # also refuses NaN
        return None
    if not (np.isfinite(t.poses).all() and np.isfinite(t.twists).all() and np.isfinite(t.times).all()):
        return None
    known, poses = _with_start(t)
    age = stamp - t.stamp
    when = age + np.asarray(times, dtype=float)
    here = np.array([np.interp(age, known, poses[:, i]) for i in range(2)])
    if when[0] > known[-1] or np.hypot(*(here - pose.xy)) > config.farthest:
        return None
    x, y, yaw = (np.interp(when, known, poses[:, i]) for i in range(3))
    step = np.minimum(np.searchsorted(t.times, when - 1e-6, side="left"), len(t.times) - 1)
    inside = when <= known[-1] + 1e-6
    v, w = np.where(inside[:, None], t.twists[step, :2], 0.0).T
    # Angles are compared by cosine and sine, so windings do not matter; commands want them near.
    yaw = yaw + 2.0 * np.pi * np.round((pose.yaw - yaw[0]) / (2.0 * np.pi))
    rows = (x - pose.x, y - pose.y, yaw, v, w, inside)
    return Reference(*(np.asarray(r, np.float32) for r in rows))


def _with_start(t: Trajectory) -> tuple[FloatArray, FloatArray]:
    """Times and poses with time 0 in front, found by undoing the first twist; yaw unwrapped."""
    times, poses = np.asarray(t.times, float), np.asarray(t.poses, float).copy()
    poses[:, 2] = np.unwrap(poses[:, 2])
    if times[0] <= 0.0:
        return times, poses
    v, w = t.twists[0, :2]
    yaw = poses[0, 2] - w * times[0]
    middle = yaw + 0.5 * w * times[0]
    back = v * times[0] * np.array([np.cos(middle), np.sin(middle)])
    first = np.array([[poses[0, 0] - back[0], poses[0, 1] - back[1], yaw]])
    return np.concatenate([[0.0], times]), np.concatenate([first, poses])


def track_commands(
    ref: Reference, yaw: float, twist: tuple[float, float],
    limits: tuple[float, float, float, float, float], dt: float, look: float,
) -> FloatArray:  # fmt: skip
    """Commands (T, 2) that bring the robot onto the reference and keep it there.

    A pursuit of the point where the robot should be `look` [s] later, at the speed that gets it there;
    at rest it takes over the reference's turning.

    Args:
        ref: relative to the robot.
        yaw: robot yaw now [rad].
        twist: speed and yaw rate now.
        limits: fastest forward, fastest backward [m/s], fastest turn [rad/s], accelerations
            [m/s^2, rad/s^2].
        dt: step [s].
        look: time looked ahead [s].
    """
    fast, back, turn, accel, yaw_accel = limits
    count, ahead = len(ref.x), max(1, round(look / dt))
    x = y = 0.0
    v, heading, rate = twist[0], yaw, twist[1]
    out = np.empty((count, 2), np.float32)
    rx, ry, ryaw = (a.astype(float) for a in (ref.x, ref.y, ref.yaw))
    rv, rw = ref.v.astype(float), ref.w.astype(float)
    for k in range(count):
        aim = min(k + ahead, count - 1)
        left = (aim - k + 1) * dt
        # Beyond the horizon's end the last step goes on.
        more = (k + ahead - aim) * dt
        dx = rx[aim] + more * rv[aim] * np.cos(ryaw[aim]) - x
        dy = ry[aim] + more * rv[aim] * np.sin(ryaw[aim]) - y
        away = float(np.hypot(dx, dy))
        if away < 0.08 or (abs(rv[k : aim + 1]).max() < 0.02 and away < 0.15):
            wanted = 0.0
            w = rw[k] + 1.5 * float(wrap(ryaw[k] - heading)) if abs(rw[k]) > 0.05 else 0.0
        else:
            off = float(wrap(np.arctan2(dy, dx) - heading))
            reverse = rv[k : aim + 1].mean() < -0.02 and abs(off) > 0.5 * np.pi
            if reverse:
                off = float(wrap(off + np.pi))
            pace = away / (left + more) * max(0.0, 1.0 - abs(off) / 1.2)
            wanted = -pace if reverse else pace
            w = 2.0 * wanted * np.sin(off) / away if abs(off) < 0.9 else 0.0
            w += (0.8 if abs(off) < 0.9 else 2.0) * off
        wanted = min(max(wanted, v - accel * dt, -back), v + accel * dt, fast)
        v = wanted
        rate = min(max(min(max(w, -turn), turn), rate - yaw_accel * dt), rate + yaw_accel * dt)
        out[k] = v, rate
        middle = heading + 0.5 * dt * rate
        x, y, heading = x + dt * v * np.cos(middle), y + dt * v * np.sin(middle), heading + dt * rate
    return out
