"""Small errors of odometry taken out by matching each scan with an earlier one.

Whether something moves shows only when the robot's own motion is known better than people move.
Wheel odometry alone is not enough: stamps of lidar and base differ by up to 0.1 s on real robots, which
at 1 rad/s shifts a wall 5 m away by half a metre. Point-to-line matching with look-up by bearing
(Censi, "An ICP variant using a point-to-line metric", ICRA 2008), held back by the odometry, so that
along a bare corridor nothing is made up.
"""

from __future__ import annotations

import numpy as np

from lifelong_nav.core.geometry import compose2, inverse2, transform_points2, wrap
from lifelong_nav.core.types import FloatArray, Pose2
from lifelong_nav.perception.free_space import VisibilityTable, bin_angles

_ROUNDS = 5
_LEAST_POINTS = 40
_MOST_POINTS = 300
_SIGMA_RANGE = 0.03
_SIGMA_MOVE = 0.03
_SIGMA_TURN = 0.04
_REACH = 0.3
_MAX_MOVE = 0.25
_MAX_TURN = 0.2
_RENEW_MOVE, _RENEW_TURN, _RENEW_TIME = 0.25, 0.15, 1.0


class MotionCompensation:
    """Keeps a fixed frame of its own, `steady`, in which walls stand still, near the odometry's.

    Call `align` with every scan, then `to_odom` to take results back into the odometry's frame.
    """

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Forget the past; `steady` is the odometry's frame again."""
        self._correction = Pose2()
        self._reference: _Surface | None = None

    def align(self, odom_pose: Pose2, points: FloatArray) -> Pose2:
        """Pose of the sensor in the steady frame.

        Args:
            odom_pose: pose of the sensor by odometry.
            points: (M, 2) returns of the scan in the sensor frame.
        """
        guess = compose2(self._correction, odom_pose)
        if self._reference is not None and len(points) >= _LEAST_POINTS:
            guess = self._reference.match(guess, points[:: 1 + len(points) // _MOST_POINTS])
            self._correction = compose2(guess, inverse2(odom_pose))
        return guess

    def remember(self, table: VisibilityTable, range_max: float, stamp: float) -> None:
        """Take the aligned scan as reference once the robot has moved on or the old one is a second old."""
        if self._reference is None or self._reference.is_stale(table.pose, stamp):
            self._reference = _Surface(table, range_max, stamp)

    def to_odom(self) -> Pose2:
        """Pose of the steady frame in the odometry's frame, as of the last `align`."""
        return inverse2(self._correction)


class _Surface:
    """Points and normals of one scan by bearing, in the steady frame."""

    def __init__(self, table: VisibilityTable, range_max: float, stamp: float) -> None:
        self._table = table
        self._stamp = stamp
        ranges = np.where(np.isfinite(table.mid) & (table.mid < range_max), table.mid, np.nan)
        angles = bin_angles()
        local = np.stack([ranges * np.cos(angles), ranges * np.sin(angles)], axis=1)
        points = transform_points2(table.pose, local)
        side = max(3, 2 * table.reach)
        chord = np.roll(points, -side, axis=0) - np.roll(points, side, axis=0)
        length = np.hypot(chord[:, 0], chord[:, 1])
        middle = 0.5 * (np.roll(points, -side, axis=0) + np.roll(points, side, axis=0))
        with np.errstate(invalid="ignore"):
            normal = np.stack([-chord[:, 1], chord[:, 0]], axis=1) / np.maximum(length, 1e-9)[:, None]
            flat = np.abs(((points - middle) * normal).sum(axis=1)) < 0.03
            self._usable = np.isfinite(length) & (length > 1e-3) & (length < 0.4 + 0.1 * ranges) & flat
        self._points = np.where(self._usable[:, None], points, 0.0)
        self._normals = np.where(self._usable[:, None], normal, 0.0)

    def is_stale(self, pose: Pose2, stamp: float) -> bool:
        here = self._table.pose
        moved = np.hypot(pose.x - here.x, pose.y - here.y) > _RENEW_MOVE
        turned = abs(float(wrap(pose.yaw - here.yaw))) > _RENEW_TURN
        return bool(moved or turned or stamp - self._stamp > _RENEW_TIME)

    def match(self, guess: Pose2, points: FloatArray) -> Pose2:
        """The pose near `guess` at which `points` lie on this surface; `guess` where that is unclear."""
        prior = np.diag([_SIGMA_MOVE**-2, _SIGMA_MOVE**-2, _SIGMA_TURN**-2])
        x = np.zeros(3)  # dx, dy, dyaw about the guessed place
        spokes = transform_points2(Pose2(0.0, 0.0, guess.yaw), points)
        reach = _REACH
        for _ in range(_ROUNDS):
            c, s = np.cos(x[2]), np.sin(x[2])
            arm = np.stack([c * spokes[:, 0] - s * spokes[:, 1], s * spokes[:, 0] + c * spokes[:, 1]], axis=1)
            place = arm + np.array([guess.x + x[0], guess.y + x[1]])
            _, index = self._table.polar(place)
            normal = self._normals[index]
            off = ((place - self._points[index]) * normal).sum(axis=1)
            far = np.hypot(*(place - self._points[index]).T) > reach + 0.3
            use = self._usable[index] & (np.abs(off) < reach) & ~far
            if use.sum() < _LEAST_POINTS:
                return guess
            normal, off, arm = normal[use], off[use], arm[use]
            lever = normal[:, 1] * arm[:, 0] - normal[:, 0] * arm[:, 1]
            rows = np.column_stack([normal, lever])
            weight = _SIGMA_RANGE**-2 / (1.0 + (off / (2.0 * _SIGMA_RANGE)) ** 2)  # Cauchy: people move
            weight *= min(1.0, 100.0 / len(off))  # neighbouring beams do not err independently
            information = prior + rows.T @ (weight[:, None] * rows)
            step = np.linalg.solve(information, -rows.T @ (weight * off) - prior @ x)
            x += step
            reach = max(0.12, 0.7 * reach)
            if np.abs(step).max() < 1e-4:
                break
        if np.hypot(x[0], x[1]) > _MAX_MOVE or abs(x[2]) > _MAX_TURN:
            return guess
        return Pose2(guess.x + float(x[0]), guess.y + float(x[1]), float(wrap(guess.yaw + x[2])))
