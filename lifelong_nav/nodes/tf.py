"""Where frames are: tf2 where it is installed, our own buffer over the same topics where not.

Both answer `lookup(target, source, stamp)` with a core Pose3 and raise `TransformError`.
"""

from __future__ import annotations

from typing import Any, Protocol

from geometry_msgs.msg import TransformStamped
from rclpy.node import Node
from rclpy.time import Time

from lifelong_nav.core.errors import DependencyError, InputError
from lifelong_nav.core.transforms import TransformBuffer, TransformError
from lifelong_nav.core.types import Pose2, Pose3
from lifelong_nav.nodes import convert
from lifelong_nav.nodes.qos import PROFILES
from lifelong_nav.nodes.ros_clock import to_seconds, to_stamp


class TfSource(Protocol):
    """A source of transforms."""

    def lookup(self, target: str, source: str, stamp: float | None = None) -> Pose3:
        """Pose of `source` in `target` at `stamp` [s], newest when None."""
        ...

    def ready(self, target: str, source: str, stamp: float) -> bool:
        """True when `lookup` at `stamp` needs no guess beyond the newest sample."""
        ...

    def clear(self) -> None:
        """Forget moving transforms, after time ran back."""
        ...

    def close(self) -> None:
        """Stop listening."""
        ...


def make_tf(node: Node) -> TfSource:
    """The best transform source this machine offers."""
    try:
        import tf2_ros  # a ROS installation; no wheel on PyPI
    except ImportError:
        return _OwnTf(node)
    return _Tf2(node, tf2_ros)


def stamped(pose: Pose3 | Pose2, parent: str, child: str, stamp: float) -> TransformStamped:
    """geometry_msgs/TransformStamped of where `child` is in `parent`."""
    out = TransformStamped(header=convert.header(stamp, parent), child_frame_id=child)
    p = convert.pose_to(pose)
    t = out.transform.translation
    t.x, t.y, t.z = p.position.x, p.position.y, p.position.z
    out.transform.rotation = p.orientation
    return out


class _OwnTf:
    """core's TransformBuffer, fed by /tf and /tf_static."""

    def __init__(self, node: Node) -> None:
        try:
            from tf2_msgs.msg import TFMessage
        except ImportError as error:
            raise DependencyError(
                "Neither tf2_ros nor tf2_msgs is installed, so transforms cannot be read.",
                "Run 'make setup' (builds tf2_msgs for the virtual environment) or source ROS 2.",
            ) from error
        self._node = node
        self._buffer = TransformBuffer()
        self._subscriptions = [
            node.create_subscription(TFMessage, "/tf", lambda m: self._take(m, False), PROFILES["tf"]),
            node.create_subscription(
                TFMessage, "/tf_static", lambda m: self._take(m, True), PROFILES["tf_static"]
            ),
        ]

    def _take(self, message: Any, static: bool) -> None:
        for t in message.transforms:
            v, q = t.transform.translation, t.transform.rotation
            pose = convert.raw_pose(v.x, v.y, v.z, q.x, q.y, q.z, q.w)
            try:
                stamp = to_seconds(t.header.stamp)
                self._buffer.insert(t.header.frame_id, t.child_frame_id, pose, stamp, static)
            except InputError as error:
                self._node.get_logger().warning(f"TF: {error}", throttle_duration_sec=5.0)

    def lookup(self, target: str, source: str, stamp: float | None = None) -> Pose3:
        return self._buffer.lookup(target, source, stamp)

    def ready(self, target: str, source: str, stamp: float) -> bool:
        try:
            self._buffer.lookup(target, source, stamp, slack=1e-6)
        except TransformError:
            return False
        return True

    def clear(self) -> None:
        self._buffer.clear()

    def close(self) -> None:
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)


class _Tf2:
    """tf2_ros of a ROS installation."""

    def __init__(self, node: Node, tf2_ros: Any) -> None:
        self._error = tf2_ros.TransformException
        self._buffer = tf2_ros.Buffer()
        self._listener = tf2_ros.TransformListener(self._buffer, node, spin_thread=False)

    def lookup(self, target: str, source: str, stamp: float | None = None) -> Pose3:
        time = Time() if stamp is None else Time.from_msg(to_stamp(stamp))
        try:
            t = self._buffer.lookup_transform(target, source, time).transform
        except self._error as error:
            # newer than the newest sample by a little: the newest is what we want then
            try:
                found = self._buffer.lookup_transform(target, source, Time())
            except self._error:
                raise TransformError(str(error), "Check that its publisher runs (TF).") from error
            if stamp is not None and abs(to_seconds(found.header.stamp) - stamp) > 0.2:
                raise TransformError(str(error), "Check clocks and rates of its publisher.") from error
            t = found.transform
        v, q = t.translation, t.rotation
        return convert.raw_pose(v.x, v.y, v.z, q.x, q.y, q.z, q.w)

    def ready(self, target: str, source: str, stamp: float) -> bool:
        return bool(self._buffer.can_transform(target, source, Time.from_msg(to_stamp(stamp))))

    def clear(self) -> None:
        self._buffer.clear()

    def close(self) -> None:
        self._listener.unregister()
