"""Rotations and frames on transforms3d, plus the planar forms the stack uses all day.

ROS stores quaternions as x, y, z, w; transforms3d as w, x, y, z. The swap happens here and nowhere
else: `to_wxyz` and `to_xyzw`.
"""

from __future__ import annotations

import numpy as np
from transforms3d import affines, euler, quaternions

from lifelong_nav.core.errors import InputError
from lifelong_nav.core.types import FloatArray, Pose2, Pose3

_UNIT_TOLERANCE = 1e-2


def to_wxyz(xyzw: FloatArray) -> FloatArray:
    """ROS order (4,) to transforms3d order."""
    return np.asarray(xyzw, dtype=float)[[3, 0, 1, 2]]


def to_xyzw(wxyz: FloatArray) -> FloatArray:
    """Transforms3d order (4,) to ROS order."""
    return np.asarray(wxyz, dtype=float)[[1, 2, 3, 0]]


def checked_quaternion(xyzw: FloatArray) -> FloatArray:
    """Return the quaternion (x, y, z, w) normalised; raise `InputError` when it is not a rotation."""
    q = np.asarray(xyzw, dtype=float)
    if q.shape != (4,) or not np.isfinite(q).all():
        raise InputError(f"Quaternion {q} is not four finite numbers.", "Publish x, y, z, w.")
    norm = float(np.linalg.norm(q))
    if abs(norm - 1.0) > _UNIT_TOLERANCE:
        raise InputError(
            f"Quaternion {q.tolist()} has norm {norm:.3f}.",
            "Publish a unit quaternion (w = 1 for no rotation).",
        )
    return q / norm


def yaw_to_xyzw(yaw: float) -> FloatArray:
    """Quaternion (x, y, z, w) of a rotation by `yaw` [rad] about z."""
    return np.array([0.0, 0.0, np.sin(yaw / 2.0), np.cos(yaw / 2.0)])


def xyzw_to_yaw(xyzw: FloatArray) -> float:
    """Yaw [rad] of a quaternion (x, y, z, w), in (-pi, pi]."""
    x, y, z, w = checked_quaternion(xyzw)
    return float(np.arctan2(2.0 * (w * z + x * y), 1.0 - 2.0 * (y * y + z * z)))


def rpy_to_xyzw(roll: float, pitch: float, yaw: float) -> FloatArray:
    """Quaternion (x, y, z, w) of fixed-axis roll, pitch, yaw [rad] (URDF's convention)."""
    return to_xyzw(euler.euler2quat(roll, pitch, yaw, "sxyz"))


def matrix(pose: Pose3) -> FloatArray:
    """(4, 4) homogeneous transform of a pose."""
    rotation = quaternions.quat2mat(to_wxyz(pose.quaternion))
    return affines.compose(pose.position, rotation, np.ones(3))


def pose3(transform: FloatArray) -> Pose3:
    """Pose of a (4, 4) homogeneous transform."""
    quaternion = to_xyzw(quaternions.mat2quat(transform[:3, :3]))
    return Pose3(np.asarray(transform[:3, 3], dtype=float), quaternion)


def wrap(angle: FloatArray | float) -> FloatArray:
    """Angle(s) [rad] wrapped to [-pi, pi)."""
    return (np.asarray(angle) + np.pi) % (2.0 * np.pi) - np.pi


def angle_difference(a: FloatArray | float, b: FloatArray | float) -> FloatArray:
    """Smallest signed rotation [rad] from `b` to `a`."""
    return wrap(np.asarray(a) - np.asarray(b))


def rotation2(yaw: float) -> FloatArray:
    """(2, 2) rotation by `yaw` [rad]."""
    c, s = np.cos(yaw), np.sin(yaw)
    return np.array([[c, -s], [s, c]])


def compose2(a: Pose2, b: Pose2) -> Pose2:
    """Pose of frame b given in frame a, where a is itself given in its parent: parent <- a <- b."""
    x, y = rotation2(a.yaw) @ (b.x, b.y) + (a.x, a.y)
    return Pose2(float(x), float(y), float(wrap(a.yaw + b.yaw)))


def inverse2(a: Pose2) -> Pose2:
    """The pose that undoes `a`: compose2(inverse2(a), a) is the identity."""
    x, y = -(rotation2(a.yaw).T @ (a.x, a.y))
    return Pose2(float(x), float(y), float(wrap(-a.yaw)))


def transform_points2(pose: Pose2, points: FloatArray) -> FloatArray:
    """Points (..., 2) of the frame at `pose`, expressed in the parent frame."""
    return np.asarray(points) @ rotation2(pose.yaw).T + (pose.x, pose.y)


def flatten(pose: Pose3) -> Pose2:
    """Projection of a pose on the floor plane."""
    return Pose2(float(pose.position[0]), float(pose.position[1]), xyzw_to_yaw(pose.quaternion))


def lift(pose: Pose2, z: float = 0.0) -> Pose3:
    """Planar pose at height z [m] as a pose in space."""
    return Pose3(np.array([pose.x, pose.y, z]), yaw_to_xyzw(pose.yaw))
