"""Fills a run's files from the live topics (see evaluation.run_files). A listener: it commands nothing."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lifelong_nav_interfaces.msg import Contact
from rclpy.node import Node

from lifelong_nav.core.errors import LifelongNavError
from lifelong_nav.evaluation.run_files import RunWriter
from lifelong_nav.nodes import convert
from lifelong_nav.nodes.qos import PROFILES
from lifelong_nav.nodes.ros_clock import to_seconds
from lifelong_nav.nodes.topics import TOPICS, message_class

_KINDS = {Contact.WALL: "wall", Contact.PERSON: "person", Contact.OBJECT: "object", Contact.DOOR: "door"}
_TRUTH_PATIENCE = 2.0
"""Seconds after which a run without the simulator's truth is taken from odometry and tracked people."""


class RunMonitor(Node):
    """Records a run for its report.

    The simulator's truth is preferred; without it (a real robot) odometry and tracked people serve.

    Args:
        folder: where the files go.
        camera: keep camera pictures.
        kwargs: of rclpy's Node.
    """

    def __init__(self, folder: Path, camera: bool = True, **kwargs: Any) -> None:
        super().__init__("run_monitor", **kwargs)
        self._writer = RunWriter(folder)
        self._writer.describe(started=time.time())
        self._truth = False
        self._first: float | None = None
        self._saved = False
        self.refused = 0
        self.view_url = ""
        """Where the live view is, once its node has said so."""
        self._hear("sim/pose", self._on_true_pose)
        self._hear("sim/people", self._on_true_people)
        self._hear("odom", self._on_odometry)
        self._hear("people", self._on_people)
        self._hear("sim/contacts", self._on_contact)
        self._hear("gate_state", self._on_gate)
        self._hear("/diagnostics", self._on_diagnostics)
        if camera:
            self._hear("camera/color/image_raw", self._on_image)

    def describe(self, **facts: Any) -> None:
        """Add facts about the run, see `RunWriter.describe`."""
        self._writer.describe(**facts)

    def finish(self) -> None:
        """Write the files and go."""
        if not self._saved:
            self._saved = True
            self._writer.save()
            self.destroy_node()

    def _hear(self, topic: str, callback: Callable[[Any], None]) -> None:
        entry = TOPICS[topic]

        def guarded(message: Any) -> None:
            try:
                callback(message)
            except LifelongNavError as error:
                self.refused += 1
                self.get_logger().warning(f"{topic}: {error}", throttle_duration_sec=5.0)

        self.create_subscription(message_class(entry.type), topic, guarded, PROFILES[entry.qos])

    def _on_true_pose(self, message: Any) -> None:
        self._truth = True
        self._pose(message)

    def _on_odometry(self, message: Any) -> None:
        stamp = to_seconds(message.header.stamp)
        self._first = stamp if self._first is None else min(self._first, stamp)
        if not self._truth and stamp - self._first > _TRUTH_PATIENCE:
            self._pose(message)

    def _pose(self, message: Any) -> None:
        odometry = convert.odometry_from(message)
        self._writer.pose(odometry.stamp, odometry.pose, odometry.twist, odometry.frame_id)

    def _on_true_people(self, message: Any) -> None:
        self._truth = True
        self._writer.people(convert.people_from(message))

    def _on_people(self, message: Any) -> None:
        if not self._truth:
            self._writer.people(convert.people_from(message))

    def _on_contact(self, message: Any) -> None:
        p = message.position
        kind = _KINDS.get(message.kind, "object")
        stamp = to_seconds(message.header.stamp)
        self._writer.contact(stamp, kind, message.name, p.x, p.y, float(message.speed))

    def _on_gate(self, message: Any) -> None:
        asked, sent = convert.twist_from(message.requested), convert.twist_from(message.sent)
        stamp = to_seconds(message.header.stamp)
        self._writer.gate(stamp, int(message.state), message.reason or "pass", asked, sent)

    def _on_image(self, message: Any) -> None:
        if self._writer.wants_picture(to_seconds(message.header.stamp)):
            self._writer.picture(convert.image_from(message))

    def _on_diagnostics(self, message: Any) -> None:
        if not self.view_url:
            for status in message.status:
                found = {pair.key: pair.value for pair in status.values}
                self.view_url = found.get("live view", self.view_url)
