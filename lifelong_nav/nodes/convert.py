"""ROS messages to core values and back. What comes from the wire is checked here, once."""

from __future__ import annotations

import array
from typing import Any

import numpy as np
from geometry_msgs.msg import Point, Pose, PoseStamped, Quaternion, Twist, Vector3
from lifelong_nav_interfaces.msg import TrackedPeople
from lifelong_nav_interfaces.msg import TrackedPerson as PersonMsg
from nav_msgs.msg import OccupancyGrid as GridMsg
from nav_msgs.msg import Odometry as OdometryMsg
from nav_msgs.msg import Path as PathMsg
from sensor_msgs.msg import Image as ImageMsg
from sensor_msgs.msg import LaserScan as ScanMsg
from std_msgs.msg import Header

from lifelong_nav.core import geometry
from lifelong_nav.core.errors import InputError
from lifelong_nav.core.grid import OccupancyGrid
from lifelong_nav.core.types import (
    FloatArray,
    Image,
    LaserScan,
    Odometry,
    People,
    Pose2,
    Pose3,
    TrackedPerson,
    Twist2,
)  # fmt: skip
from lifelong_nav.nodes.ros_clock import to_seconds, to_stamp

MAX_BEAMS = 20_000
MAX_PIXELS = 4096 * 4096
MAX_CELLS = 10_000 * 10_000
ENCODINGS: dict[str, tuple[str, int]] = {
    "rgb8": ("u1", 3), "bgr8": ("u1", 3), "rgba8": ("u1", 4), "bgra8": ("u1", 4), "mono8": ("u1", 1),
    "8UC1": ("u1", 1), "8UC3": ("u1", 3), "16UC1": ("u2", 1), "mono16": ("u2", 1), "32FC1": ("f4", 1),
}  # fmt: skip
"""Encoding -> (numpy type, channels)."""


def header(stamp: float, frame_id: str) -> Header:
    """std_msgs/Header."""
    return Header(stamp=to_stamp(stamp), frame_id=frame_id)


def scan_from(msg: ScanMsg) -> LaserScan:
    """sensor_msgs/LaserScan, checked; bad ranges stay in and are masked by `LaserScan.valid`."""
    ranges = np.asarray(msg.ranges, dtype=np.float32)
    numbers = (msg.angle_min, msg.angle_increment, msg.range_min, msg.range_max)
    if not np.isfinite(numbers).all() or msg.angle_increment == 0.0 or msg.range_max <= msg.range_min:
        raise InputError(f"Scan geometry {numbers} is unusable.", "Mend the lidar driver's settings.")
    if not 0 < len(ranges) <= MAX_BEAMS:
        raise InputError(f"Scan has {len(ranges)} beams.", f"1 to {MAX_BEAMS} are accepted.")
    return LaserScan(
        to_seconds(msg.header.stamp), msg.header.frame_id, float(msg.angle_min),
        float(msg.angle_increment), float(msg.range_min), float(msg.range_max), ranges,
    )  # fmt: skip


def scan_to(scan: LaserScan, period: float) -> ScanMsg:
    """sensor_msgs/LaserScan; `period` [s] between scans."""
    return ScanMsg(
        header=header(scan.stamp, scan.frame_id),
        angle_min=float(scan.angle_min),
        angle_max=float(scan.angle_min + scan.angle_increment * (len(scan.ranges) - 1)),
        angle_increment=float(scan.angle_increment),
        scan_time=float(period),
        range_min=float(scan.range_min),
        range_max=float(scan.range_max),
        ranges=array.array("f", np.asarray(scan.ranges, dtype=np.float32).tobytes()),
    )


def raw_pose(x: float, y: float, z: float, qx: float, qy: float, qz: float, qw: float) -> Pose3:
    """Pose3 from plain numbers, unchecked."""
    return Pose3(np.array([x, y, z]), np.array([qx, qy, qz, qw]))


def pose_from(msg: Pose) -> Pose3:
    """geometry_msgs/Pose with finite position and unit quaternion."""
    position = np.array([msg.position.x, msg.position.y, msg.position.z])
    if not np.isfinite(position).all():
        raise InputError(f"Position {position} is not finite.", "Mend its publisher.")
    o = msg.orientation
    return Pose3(position, geometry.checked_quaternion(np.array([o.x, o.y, o.z, o.w])))


def pose_to(pose: Pose3 | Pose2) -> Pose:
    """geometry_msgs/Pose."""
    if isinstance(pose, Pose2):
        half = pose.yaw / 2.0
        return Pose(
            position=Point(x=float(pose.x), y=float(pose.y)),
            orientation=Quaternion(z=float(np.sin(half)), w=float(np.cos(half))),
        )
    x, y, z = (float(v) for v in pose.position)
    qx, qy, qz, qw = (float(v) for v in pose.quaternion)
    return Pose(position=Point(x=x, y=y, z=z), orientation=Quaternion(x=qx, y=qy, z=qz, w=qw))


def pose_stamped(pose: Pose2, stamp: float, frame_id: str) -> PoseStamped:
    """geometry_msgs/PoseStamped."""
    return PoseStamped(header=header(stamp, frame_id), pose=pose_to(pose))


def twist_from(msg: Twist) -> Twist2:
    """Planar part of geometry_msgs/Twist; may be non-finite, the gate judges that."""
    return Twist2(float(msg.linear.x), float(msg.linear.y), float(msg.angular.z))


def twist_to(twist: Twist2) -> Twist:
    """geometry_msgs/Twist."""
    return Twist(linear=Vector3(x=float(twist.vx), y=float(twist.vy)), angular=Vector3(z=float(twist.wz)))


def odometry_from(msg: OdometryMsg) -> Odometry:
    """nav_msgs/Odometry on the floor plane, finite."""
    pose = geometry.flatten(pose_from(msg.pose.pose))
    twist = twist_from(msg.twist.twist)
    if not np.isfinite(twist.array()).all():
        raise InputError("Odometry twist is not finite.", "Mend the base driver.")
    covariance = np.asarray(msg.pose.covariance, dtype=float).reshape(6, 6)[np.ix_((0, 1, 5), (0, 1, 5))]
    return Odometry(
        to_seconds(msg.header.stamp), pose, twist, msg.header.frame_id, msg.child_frame_id, covariance
    )


def odometry_to(odometry: Odometry) -> OdometryMsg:
    """nav_msgs/Odometry."""
    out = OdometryMsg(
        header=header(odometry.stamp, odometry.frame_id), child_frame_id=odometry.child_frame_id
    )
    out.pose.pose = pose_to(odometry.pose)
    out.twist.twist = twist_to(odometry.twist)
    if odometry.covariance is not None:
        out.pose.covariance = planar_covariance(odometry.covariance)
    return out


def planar_covariance(covariance: FloatArray) -> FloatArray:
    """(3, 3) over x, y, yaw as ROS's row-major (36,) over x, y, z, roll, pitch, yaw."""
    full = np.zeros((6, 6))
    full[np.ix_((0, 1, 5), (0, 1, 5))] = covariance
    return full.ravel()


def people_from(msg: TrackedPeople) -> People:
    """lifelong_nav_interfaces/TrackedPeople; people with non-finite numbers are refused."""
    people = []
    for p in msg.people:
        values = (p.position.x, p.position.y, p.velocity.x, p.velocity.y)
        if not np.isfinite(values).all():
            raise InputError(f"Person {p.id} has non-finite numbers.", "Mend the people detector.")
        people.append(
            TrackedPerson(
                int(p.id), *values, np.asarray(p.covariance, dtype=float).reshape(4, 4),
                int(p.group_id), float(p.confidence), float(p.age), float(p.radius),
            )
        )  # fmt: skip
    return People(to_seconds(msg.header.stamp), msg.header.frame_id, tuple(people))


def people_to(people: People) -> TrackedPeople:
    """lifelong_nav_interfaces/TrackedPeople."""
    return TrackedPeople(
        header=header(people.stamp, people.frame_id),
        people=[
            PersonMsg(
                id=int(p.id),
                position=Point(x=float(p.x), y=float(p.y)),
                velocity=Vector3(x=float(p.vx), y=float(p.vy)),
                covariance=np.asarray(p.covariance, dtype=float).ravel(),
                radius=float(p.radius),
                confidence=float(p.confidence),
                age=float(p.age),
                group_id=int(p.group_id),
            )
            for p in people.people
        ],
    )


def path_to(poses: FloatArray, stamp: float, frame_id: str, times: FloatArray | None = None) -> PathMsg:
    """nav_msgs/Path of (T, 3) x, y, yaw; `times` (T,) seconds after `stamp` go into the pose stamps."""
    out = PathMsg(header=header(stamp, frame_id))
    offsets = np.zeros(len(poses)) if times is None else times
    out.poses = [
        pose_stamped(Pose2(*row), stamp + float(t), frame_id)
        for row, t in zip(np.asarray(poses, dtype=float), offsets, strict=True)
    ]
    return out


def path_from(msg: PathMsg) -> FloatArray:
    """(T, 3) x, y, yaw of a nav_msgs/Path in its own frame; (0, 3) when empty."""
    rows = [geometry.flatten(pose_from(p.pose)).array() for p in msg.poses]
    return np.array(rows, dtype=float).reshape(-1, 3)


def grid_from(msg: GridMsg) -> OccupancyGrid:
    """nav_msgs/OccupancyGrid, unrotated."""
    width, height = int(msg.info.width), int(msg.info.height)
    if width * height != len(msg.data) or not 0 < width * height <= MAX_CELLS:
        raise InputError(f"Map of {width} x {height} holds {len(msg.data)} cells.", "Mend its publisher.")
    origin = geometry.flatten(pose_from(msg.info.origin))
    if abs(origin.yaw) > 1e-3 or not 1e-3 <= msg.info.resolution <= 10.0:
        raise InputError("Map is rotated or has no sane resolution.", "Save it unrotated.")
    data = np.frombuffer(msg.data, dtype=np.int8).reshape(height, width)
    return OccupancyGrid(data, float(msg.info.resolution), (origin.x, origin.y), msg.header.frame_id)


def grid_to(grid: OccupancyGrid, stamp: float) -> GridMsg:
    """nav_msgs/OccupancyGrid."""
    out = GridMsg(header=header(stamp, grid.frame_id))
    out.info.map_load_time = out.header.stamp
    out.info.resolution = float(grid.resolution)
    out.info.height, out.info.width = (int(n) for n in grid.shape)
    out.info.origin = pose_to(Pose2(*grid.origin, 0.0))
    out.data = array.array("b", np.ascontiguousarray(grid.data).tobytes())
    return out


def image_from(msg: ImageMsg) -> Image:
    """sensor_msgs/Image by an allow-list of encodings; sizes are checked before anything is copied."""
    if msg.encoding not in ENCODINGS:
        raise InputError(f"Image encoding '{msg.encoding}' is unknown.", f"Use one of {list(ENCODINGS)}.")
    kind, channels = ENCODINGS[msg.encoding]
    dtype = np.dtype(kind).newbyteorder(">" if msg.is_bigendian else "<")
    width, height, step = int(msg.width), int(msg.height), int(msg.step)
    row = width * channels * dtype.itemsize
    if not 0 < width * height <= MAX_PIXELS or step < row or step * height != len(msg.data):
        raise InputError(
            f"Image {width} x {height} ({msg.encoding}, step {step}) holds {len(msg.data)} bytes.",
            "Mend the camera driver.",
        )
    rows = np.frombuffer(msg.data, dtype=np.uint8).reshape(height, step)[:, :row]
    data: Any = rows.copy().view(dtype).reshape(height, width, channels)
    if msg.encoding.startswith("bgr"):
        data = data[..., [2, 1, 0]]
    data = data[..., :3] if channels >= 3 else data[..., 0]
    if kind == "u2":
        data = data.astype(np.float32) * 1e-3  # 16UC1 depth is in millimetres (REP-118)
    return Image(to_seconds(msg.header.stamp), msg.header.frame_id, msg.encoding, data)


def image_to(image: Image) -> ImageMsg:
    """sensor_msgs/Image as rgb8 (3 channels), mono8 (uint8) or 32FC1 (float)."""
    data = np.ascontiguousarray(image.data)
    if data.dtype.kind == "f":
        data, encoding = data.astype("<f4", copy=False), "32FC1"
    else:
        encoding = "rgb8" if data.ndim == 3 else "mono8"
    out = ImageMsg(header=header(image.stamp, image.frame_id), encoding=encoding)
    out.height, out.width = data.shape[:2]
    out.step = data.strides[0]
    out.data = array.array("B", data.tobytes())
    return out
