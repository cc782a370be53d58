"""The node's clock as core's Clock protocol."""

from __future__ import annotations

import time

from builtin_interfaces.msg import Time
from rclpy.node import Node


class RosClock:
    """Stamps by ROS time; intervals by the monotonic clock, or by simulated time that only moves forward.

    Under `use_sim_time` wall intervals would be wrong by the simulation's speed, so elapsed simulated
    time is summed up and jumps back (a looping bag) are left out.
    """

    def __init__(self, node: Node) -> None:
        self._node = node
        self._elapsed = 0.0
        self._last: float | None = None

    def now(self) -> float:
        """Seconds of ROS time."""
        return self._node.get_clock().now().nanoseconds * 1e-9

    def steady(self) -> float:
        """Seconds that never run back."""
        if not self._node.get_clock().ros_time_is_active:
            return time.monotonic()
        now = self.now()
        if self._last is not None:
            self._elapsed += max(0.0, now - self._last)
        self._last = now
        return self._elapsed


def to_seconds(stamp: Time) -> float:
    """builtin_interfaces/Time as float seconds."""
    return stamp.sec + stamp.nanosec * 1e-9


def to_stamp(seconds: float) -> Time:
    """Float seconds as builtin_interfaces/Time."""
    nanoseconds = round(seconds * 1e9)
    return Time(sec=nanoseconds // 1_000_000_000, nanosec=nanoseconds % 1_000_000_000)
