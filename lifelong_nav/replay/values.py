"""Recorded messages as core values, for benchmarks, learners and reports that run without ROS.

    with open_bag(path) as bag:
        frames = transforms(bag)
        for scan in scans(bag):
            ...

Stamps are those of the headers (when the sensor measured), not those of the recording.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import groupby
from typing import Any

import numpy as np

from lifelong_nav.core import geometry
from lifelong_nav.core.errors import BagError, InputError
from lifelong_nav.core.grid import OccupancyGrid
from lifelong_nav.core.transforms import TransformBuffer
from lifelong_nav.core.types import LaserScan, Odometry, People, Pose2, Pose3, TrackedPerson, Twist2
from lifelong_nav.replay.reader import BagMessage, BagReader

_FOREVER = 1e12
MAX_BEAMS = 20_000


def seconds(stamp: Any) -> float:
    """builtin_interfaces/Time as float seconds."""
    return float(stamp.sec) + float(stamp.nanosec) * 1e-9


def frame(name: str) -> str:
    """A frame id without the leading slash that ROS 1 allowed."""
    return name.lstrip("/")


def scan_from(msg: Any) -> LaserScan:
    """sensor_msgs/LaserScan."""
    numbers = (msg.angle_min, msg.angle_increment, msg.range_min, msg.range_max)
    if not np.isfinite(numbers).all() or msg.angle_increment == 0.0 or msg.range_max <= msg.range_min:
        raise InputError(f"Scan geometry {numbers} is unusable.", "Leave this topic out.")
    if not 0 < len(msg.ranges) <= MAX_BEAMS:
        raise InputError(f"Scan has {len(msg.ranges)} beams.", f"1 to {MAX_BEAMS} are accepted.")
    a, step, low, high = (float(n) for n in numbers)
    return LaserScan(
        seconds(msg.header.stamp), frame(msg.header.frame_id), a, step, low, high, np.asarray(msg.ranges)
    )


def pose_from(msg: Any) -> Pose3:
    """geometry_msgs/Pose with a unit quaternion."""
    o, p = msg.orientation, msg.position
    return Pose3(np.array([p.x, p.y, p.z]), geometry.checked_quaternion(np.array([o.x, o.y, o.z, o.w])))


def twist_from(msg: Any) -> Twist2:
    """Planar part of geometry_msgs/Twist."""
    return Twist2(float(msg.linear.x), float(msg.linear.y), float(msg.angular.z))


def odometry_from(msg: Any) -> Odometry:
    """nav_msgs/Odometry on the floor plane."""
    pose = geometry.flatten(pose_from(msg.pose.pose))
    twist = twist_from(msg.twist.twist)
    if not (np.isfinite(pose.array()).all() and np.isfinite(twist.array()).all()):
        raise InputError("Odometry is not finite.", "Leave this message out.")
    covariance = np.asarray(msg.pose.covariance, dtype=float).reshape(6, 6)[np.ix_((0, 1, 5), (0, 1, 5))]
    return Odometry(
        seconds(msg.header.stamp), pose, twist,
        frame(msg.header.frame_id), frame(msg.child_frame_id), covariance,
    )  # fmt: skip


def people_from(msg: Any) -> People:
    """lifelong_nav_interfaces/TrackedPeople."""
    people = tuple(
        TrackedPerson(
            int(p.id), p.position.x, p.position.y, p.velocity.x, p.velocity.y,
            np.asarray(p.covariance, dtype=float).reshape(4, 4),
            int(p.group_id), float(p.confidence), float(p.age), float(p.radius),
        )
        for p in msg.people
    )  # fmt: skip
    return People(seconds(msg.header.stamp), frame(msg.header.frame_id), people)


def grid_from(msg: Any) -> OccupancyGrid:
    """nav_msgs/OccupancyGrid; its origin must not be rotated."""
    width, height = int(msg.info.width), int(msg.info.height)
    if width * height != len(msg.data) or width * height == 0:
        raise InputError(f"Map of {width} x {height} holds {len(msg.data)} cells.", "Leave it out.")
    origin = geometry.flatten(pose_from(msg.info.origin))
    data = np.asarray(msg.data, dtype=np.int8).reshape(height, width)
    return OccupancyGrid(data, float(msg.info.resolution), (origin.x, origin.y), frame(msg.header.frame_id))


def transforms_from(msg: Any) -> list[tuple[float, str, str, Pose3]]:
    """tf2_msgs/TFMessage as (stamp, parent, child, pose of child in parent)."""
    out = []
    for t in msg.transforms:
        v, q = t.transform.translation, t.transform.rotation
        pose = Pose3(np.array([v.x, v.y, v.z]), np.array([q.x, q.y, q.z, q.w]))
        out.append((seconds(t.header.stamp), frame(t.header.frame_id), frame(t.child_frame_id), pose))
    return out


CONVERTERS: dict[str, Callable[[Any], Any]] = {
    "sensor_msgs/msg/LaserScan": scan_from,
    "nav_msgs/msg/Odometry": odometry_from,
    "nav_msgs/msg/OccupancyGrid": grid_from,
    "tf2_msgs/msg/TFMessage": transforms_from,
    "geometry_msgs/msg/Twist": twist_from,
    "geometry_msgs/msg/TwistStamped": lambda msg: twist_from(msg.twist),
    "geometry_msgs/msg/Pose": pose_from,
    "geometry_msgs/msg/PoseStamped": lambda msg: pose_from(msg.pose),
    "lifelong_nav_interfaces/msg/TrackedPeople": people_from,
}
"""Message type -> what makes a core value of it."""


def value(bag: BagReader, message: BagMessage) -> Any:
    """The core value of a message.

    Raises:
        BagError: no converter for its type, or it cannot be decoded.
        InputError: its content breaks the contract (non-finite, wrong sizes).
    """
    convert = CONVERTERS.get(message.type)
    if convert is None:
        raise BagError(
            f"There is no converter for {message.type}.", f"Known: {', '.join(sorted(CONVERTERS))}."
        )
    return convert(bag.decode(message))


def values(
    bag: BagReader, topic: str, type_name: str, start: int | None = None, stop: int | None = None
) -> Iterator[Any]:
    """Core values of one topic in the order of recording; broken messages are left out.

    Raises:
        BagError: the topic is missing or has another type.
    """
    if topic not in bag.topics or bag.topics[topic].type != type_name:
        found = [t.name for t in bag.topics.values() if t.type == type_name]
        raise BagError(
            f"{bag.path} has no {type_name} on {topic}.",
            f"It has that type on: {', '.join(found)}." if found else "It has no topic of that type.",
        )
    for message in bag.messages([topic], start, stop):
        try:
            yield value(bag, message)
        except InputError:  # a BagError too: one broken message does not end the others
            continue


def scans(
    bag: BagReader, topic: str = "/scan", start: int | None = None, stop: int | None = None
) -> Iterator[LaserScan]:
    """The lidar scans of a topic; `start` and `stop` [ns] by recording stamp."""
    return values(bag, topic, "sensor_msgs/msg/LaserScan", start, stop)


def odometry(
    bag: BagReader, topic: str = "/odom", start: int | None = None, stop: int | None = None
) -> Iterator[Odometry]:
    """The odometry of a topic; `start` and `stop` [ns] by recording stamp."""
    return values(bag, topic, "nav_msgs/msg/Odometry", start, stop)


def odometry_table(bag: BagReader, topic: str = "/odom") -> tuple[np.ndarray, np.ndarray]:
    """A topic's odometry as arrays.

    Returns:
        stamps (N,) [s] and states (N, 6): x, y [m], yaw [rad], vx, vy [m/s], wz [rad/s].
    """
    rows = [(o.stamp, *o.pose.array(), *o.twist.array()) for o in odometry(bag, topic)]
    table = np.array(rows, dtype=float).reshape(-1, 7)
    return table[:, 0], table[:, 1:]


def pose_at(stamps: np.ndarray, states: np.ndarray, stamp: float) -> Pose2:
    """Pose between two rows of an `odometry_table`, the nearest one outside its range.

    Args:
        stamps: (N,) increasing [s].
        states: (N, >=3) x, y, yaw first.
        stamp: when [s].
    """
    i = int(np.clip(np.searchsorted(stamps, stamp), 1, max(len(stamps) - 1, 1)))
    if len(stamps) == 1:
        return Pose2(*(float(v) for v in states[0, :3]))
    f = float(np.clip((stamp - stamps[i - 1]) / max(stamps[i] - stamps[i - 1], 1e-9), 0.0, 1.0))
    x, y = states[i - 1, :2] * (1 - f) + states[i, :2] * f
    turn = float(geometry.angle_difference(states[i, 2], states[i - 1, 2]))
    return Pose2(float(x), float(y), float(geometry.wrap(states[i - 1, 2] + f * turn)))


def transforms(bag: BagReader, moving: bool = True) -> TransformBuffer:
    """All transforms of a bag in one buffer that forgets nothing.

    Args:
        bag: an open bag.
        moving: also those of /tf; False for the static mounts only.

    Returns:
        Buffer over frame ids without leading slashes; transforms that are not rigid are left out.
    """
    buffer = TransformBuffer(keep=_FOREVER)
    for topic in bag.topics.values():
        static = topic.name.endswith("tf_static")
        if topic.type != "tf2_msgs/msg/TFMessage" or not (static or moving):
            continue
        for batch in values(bag, topic.name, topic.type):
            for stamp, parent, child, pose in batch:
                try:
                    buffer.insert(parent, child, pose, stamp, static)
                except InputError:
                    continue
    return buffer


def annotated_people(
    bag: BagReader, topic: str = "/ground_truth_people_tracks", frame_id: str = "left_laser"
) -> Iterator[People]:
    """Hand-annotated people of the leg_tracker bags, grouped by the scan they were marked on.

    The messages have no header: the stamp is that of recording (within 10 ms of the header of the scan in the
    published bags) and the frame is the lidar's. Not everyone is marked on every scan.
    """
    if topic not in bag.topics or not bag.topics[topic].type.endswith("/Person"):
        raise BagError(f"{bag.path} has no annotated people on {topic}.", f"It has: {', '.join(bag.topics)}.")
    for stamp, group in groupby(bag.messages([topic]), key=lambda message: message.stamp):
        people = [bag.decode(message) for message in group]
        tracked = tuple(TrackedPerson(int(p.id), p.pose.position.x, p.pose.position.y) for p in people)
        yield People(stamp * 1e-9, frame_id, tracked)
