"""People from the lidar: scan and TF in, `people` out. The work is done by perception.people."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass

from sensor_msgs.msg import LaserScan as ScanMsg

from lifelong_nav.core import geometry
from lifelong_nav.core.config import param
from lifelong_nav.core.transforms import TransformError
from lifelong_nav.core.types import LaserScan
from lifelong_nav.nodes import convert
from lifelong_nav.nodes.base import StackNode
from lifelong_nav.nodes.tf import make_tf
from lifelong_nav.perception.people import PeopleConfig, PeoplePerception

_PENDING = 16


@dataclass(frozen=True)
class PerceptionConfig(PeopleConfig):
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
        self._publisher = self.offer("people")
        self.listen("scan", self._on_scan)
        self.every(0.02, self._process)
        self.every(0.5, self._watch)

    def retune(self) -> None:
        """New parameters need a new tracker; people are found again within a second."""
        self._people = PeoplePerception(self.config)

    def time_jumped(self) -> None:
        """Tracks of another time are nobody's."""
        self._people.reset()
        self._waiting.clear()
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
            people = self._people.update(scan, pose)
            self.stats["people"] = len(people)
            self._publisher.publish(convert.people_to(people))

    def _watch(self) -> None:
        received = self.received("scan")
        silent = received is None or self.clock.steady() - received.arrival > self.config.scan_timeout
        self.degraded("scan", "no scan arrives" if silent else None)
