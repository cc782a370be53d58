"""People from lidar and camera: scan, picture, depth and TF in, `people` out. See perception.people.

Each source is optional: without detector weights or pictures the lidar works alone, without scans the camera.
"""

from __future__ import annotations

import math
import time
from collections import deque
from dataclasses import dataclass

from sensor_msgs.msg import LaserScan as ScanMsg

from lifelong_nav.core import geometry
from lifelong_nav.core.config import param
from lifelong_nav.core.transforms import TransformError
from lifelong_nav.core.types import FloatArray, LaserScan, People
from lifelong_nav.nodes import convert
from lifelong_nav.nodes.base import StackNode
from lifelong_nav.nodes.camera_input import CameraInput, CameraInputConfig
from lifelong_nav.nodes.tf import make_tf
from lifelong_nav.perception.people import PeopleConfig, PeoplePerception

_PENDING = 16
_SCANLESS = 0.35
"""Silence of the lidar [s] after which pictures alone carry the tracks."""


@dataclass(frozen=True)
class PerceptionConfig(CameraInputConfig, PeopleConfig):
    """People tracking plus what the node needs."""

    fixed_frame: str = param("odom", doc="Continuous frame in which people are tracked (REP-105).")
    tf_patience: float = param(
        0.5, "s", 0.0, 5.0, "How long a scan waits for the transform of its time before a near one serves."
    )
    scan_timeout: float = param(1.0, "s", 0.1, 10.0, "Silence of the lidar that counts as a fault.")


class PerceptionNode(StackNode):
    """See the module's docstring."""

    NAME, CONFIG = "perception", PerceptionConfig

    def setup(self) -> None:
        """Build the tracker and connect it."""
        self._people = PeoplePerception(self.config)
        self._waiting: deque[tuple[float, float, LaserScan]] = deque(maxlen=_PENDING)
        self._tf = make_tf(self)
        self.on_cleanup_do(self._tf.close)
        self._camera = CameraInput(self, self.config, self._tf, self.config.fixed_frame)
        self._returns: FloatArray | None = None
        self._scanned = -math.inf
        self._publisher = self.offer("people")
        self.listen("scan", self._on_scan)
        self.every(0.02, self._process)
        self.every(0.02, self._look)
        self.every(0.5, self._watch)

    def retune(self) -> None:
        """New parameters need a new tracker; people are found again within a second."""
        self._people = PeoplePerception(self.config)

    def time_jumped(self) -> None:
        """Tracks of another time are nobody's."""
        self._people.reset()
        self._waiting.clear()
        self._camera.forget()
        self._returns, self._scanned = None, -math.inf
        self._tf.clear()

    def _on_scan(self, message: ScanMsg) -> None:
        self._waiting.append((self.clock.steady(), time.monotonic(), convert.scan_from(message)))
        self._process()

    def _process(self) -> None:
        while self._waiting:
            arrived, wall, scan = self._waiting[0]
            fixed, patience = self.config.fixed_frame, self.config.tf_patience
            # wall time too: a fast replay's clock runs ahead of transforms that are still in the queue
            late = min(self.clock.steady() - arrived, time.monotonic() - wall) > patience
            crowded = len(self._waiting) == _PENDING
            if not (late or crowded or self._tf.ready(fixed, scan.frame_id, scan.stamp)):
                return
            self._waiting.popleft()
            try:
                pose = geometry.flatten(self._tf.lookup(fixed, scan.frame_id, scan.stamp))
            except TransformError as error:
                self.degraded("tf", error.what)
                raise
            self.degraded("tf", None)
            self._returns, self._scanned = geometry.transform_points2(pose, scan.points()), scan.stamp
            self._say(self._people.update(scan, pose))

    def _look(self) -> None:
        """A picture refines the tracks; they are published with the next scan, at once where none comes."""
        now = self.clock.now()
        alone = now - self._scanned > _SCANLESS
        view = self._camera.view(None if alone else self._returns)
        if view is None:
            return
        people = self._people.update_camera(view)
        if alone:
            self._say(people)

    def _say(self, people: People) -> None:
        self.stats["people"] = len(people)
        self._publisher.publish(convert.people_to(people))

    def _watch(self) -> None:
        received = self.received("scan")
        silent = received is None or self.clock.steady() - received.arrival > self.config.scan_timeout
        self.degraded("scan", "no scan arrives" if silent else None)
