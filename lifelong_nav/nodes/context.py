"""What is going on socially: picture, people, scan, odometry and plan in; `social_context` out.

A process of its own beside the tracking of people, so that neither waits for the other. New heads that the
learner promotes are taken over between ticks. Pictures are never kept.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from lifelong_nav_interfaces.msg import ContextSample
from sensor_msgs.msg import Image as ImageMsg

from lifelong_nav.core import geometry
from lifelong_nav.core.config import param
from lifelong_nav.core.errors import DependencyError, StorageError
from lifelong_nav.core.social_context import UNKNOWN, SocialContext
from lifelong_nav.core.transforms import TransformError
from lifelong_nav.core.types import LaserScan, Odometry, People, Pose2
from lifelong_nav.nodes import convert, convert_context
from lifelong_nav.nodes.base import StackNode
from lifelong_nav.nodes.tf import make_tf
from lifelong_nav.perception.context import ContextConfig, ContextEstimator
from lifelong_nav.perception.context_files import ModelFiles, load_parts
from lifelong_nav.perception.scene_facts import FactsConfig, scene_facts

_MAX_AGE = 1.0
"""Tracks and scans older than this [s] are no facts any more."""


@dataclass(frozen=True)
class ContextNodeConfig(ModelFiles, FactsConfig, ContextConfig):
    """Context estimation plus what the node needs."""

    rate: float = param(10.0, "Hz", 0.2, 30.0, "Most pictures a second that are looked at.")
    facts_rate: float = param(5.0, "Hz", 0.2, 20.0, "Contexts a second while the camera is silent.")
    sample_rate: float = param(2.0, "Hz", 0.0, 10.0, "Samples a second for the learner; 0 for none.")
    camera: bool = param(True, doc="Look at pictures; false: scene facts only.", read_only=True)
    base_frame: str = param("base_link", doc="Frame of the base.")
    start_delay: float = param(5.0, "s", 0.0, 60.0, "Silence of the camera at the start that is no fault.")


class ContextNode(StackNode):
    """See the module's docstring."""

    NAME, CONFIG = "context", ContextNodeConfig
    LIVE: ClassVar[frozenset[str] | None] = frozenset(
        {"rate", "facts_rate", "sample_rate", "image_timeout", "facts_timeout", "captions"}
    )

    def setup(self) -> None:
        """Load the model and connect."""
        c: ContextNodeConfig = self.config
        self._estimator: ContextEstimator | None = None
        self._people: People | None = None
        self._scan: LaserScan | None = None
        self._odometry: Odometry | None = None
        self._goal: tuple[str, Pose2] | None = None
        self._seen = self._said = self._sampled = -math.inf
        self._out, self._samples = self.offer("social_context"), self.offer("context_sample")
        self._tf = make_tf(self)
        self.on_cleanup_do(self._tf.close)
        try:
            self._estimator = ContextEstimator(self._load(), c)
        except DependencyError as error:  # a robot without onnxruntime still drives
            self.degraded("model", str(error))
            self.get_logger().warning(f"no social context: {error}")
        if c.camera:
            self.listen("camera/color/image_raw", self._on_image)
        for topic, callback in (
            ("people", self._on_people), ("scan", self._on_scan), ("odom", self._on_odometry),
            ("plan", self._on_plan), ("context_learner", self._on_learner),
        ):  # fmt: skip
            self.listen(topic, callback)
        self.every(0.05, self._speak)
        self.every(0.5, self._watch)

    def start(self) -> None:
        """Begin to listen."""
        self._started = self.clock.steady()

    def retune(self) -> None:
        """New time-outs hold from now on."""
        if self._estimator is not None:
            self._estimator.config = self.config

    def time_jumped(self) -> None:
        """What was seen is of another time."""
        self._people = self._scan = self._odometry = self._goal = None
        self._seen = self._said = self._sampled = -math.inf
        self._tf.clear()
        if self._estimator is not None:
            self._estimator.forget()

    # ---- what comes in -----------------------------------------------------------------------------

    def _on_image(self, message: ImageMsg) -> None:
        image = convert.image_from(message)
        if self._estimator is None or image.stamp - self._seen < 0.9 / self.config.rate:
            return
        if image.data.ndim != 3:
            data = np.repeat(np.asarray(image.data, dtype=np.uint8)[..., None], 3, axis=2)  # mono cameras
        else:
            data = np.asarray(image.data, dtype=np.uint8)
        started = time.perf_counter()
        self._seen = image.stamp
        self._estimator.see(image.stamp, data)
        self._take_facts()
        self._publish(started)

    def _on_people(self, message: Any) -> None:
        self._people = convert.people_from(message)

    def _on_scan(self, message: Any) -> None:
        self._scan = convert.scan_from(message)

    def _on_odometry(self, message: Any) -> None:
        self._odometry = convert.odometry_from(message)

    def _on_plan(self, message: Any) -> None:
        if not message.poses:
            self._goal = None
            return
        end = geometry.flatten(convert.pose_from(message.poses[-1].pose))
        self._goal = (message.header.frame_id, end)

    def _on_learner(self, message: Any) -> None:
        if self._estimator is None or int(message.generation) == self._estimator.parts.generation:
            return
        try:
            self._estimator.parts = self._load()
        except StorageError as error:
            self.degraded("model", str(error))  # the one in use stays
            return
        self.degraded("model", None)
        self.get_logger().info(f"social context: generation {self._estimator.parts.generation} is in use")

    # ---- what goes out -----------------------------------------------------------------------------

    def _speak(self) -> None:
        """Without pictures the facts still speak, and silence is said as well."""
        if self.clock.now() - max(self._seen, self._said) < 0.9 / self.config.facts_rate:
            return
        started = time.perf_counter()
        if self._estimator is not None:
            self._take_facts()
        self._publish(started)

    def _take_facts(self) -> None:
        assert self._estimator is not None
        now, c = self.clock.now(), self.config
        people = self._fresh(self._people, now)
        scan = self._fresh(self._scan, now)
        if people is None and scan is None:
            return
        stamp = max(x.stamp for x in (people, scan) if x is not None)
        twist = self._odometry.twist if self._fresh(self._odometry, now) is not None else None  # type: ignore[union-attr]
        facts = scene_facts(
            people,
            scan,
            pose=None if people is None else self._base_in(people.frame_id, people.stamp),
            speed=0.0 if twist is None else twist.vx,
            turn_rate=0.0 if twist is None else twist.wz,
            goal_bearing=self._goal_bearing(),
            sensor=None if scan is None else self._mount(scan.frame_id),
            config=c,
        )
        self._estimator.sense(stamp, facts.clauses())

    def _publish(self, started: float) -> None:
        now = self.clock.now()
        context = SocialContext(now) if self._estimator is None else self._estimator.estimate(now)
        self._said = now
        elapsed = time.perf_counter() - started
        self._out.publish(convert_context.context_to(context, max(0.0, now - context.stamp), elapsed))
        self.stats["scenario"] = context.scenario or UNKNOWN
        self.stats["tick [ms]"] = 1000.0 * elapsed
        if context.state != UNKNOWN:
            self._sample(context, now)

    def _sample(self, context: SocialContext, now: float) -> None:
        if self.config.sample_rate <= 0.0 or now - self._sampled < 0.95 / self.config.sample_rate:
            return
        assert self._estimator is not None
        self._sampled = now
        image, facts = self._estimator.fresh(now)
        none = np.zeros(0, dtype=np.float32)
        self._samples.publish(
            ContextSample(
                header=convert.header(context.stamp, self.config.base_frame),
                features=convert_context.floats(none if image is None else image.vector),
                trunk=self._estimator.parts.trunk.version,
                clauses=[] if facts is None else list(facts.clauses),
                novelty=float(context.novelty),
                novel=context.novel,
                generation=context.generation,
            )
        )

    # ---- inside ------------------------------------------------------------------------------------

    def _load(self) -> Any:
        parts = load_parts(self.config)
        for sentence in parts.notes:
            self.get_logger().warning(f"social context: {sentence}")
        return parts

    def _fresh(self, value: Any, now: float) -> Any:
        return value if value is not None and now - value.stamp <= _MAX_AGE else None

    def _base_in(self, frame: str, stamp: float) -> Pose2:
        base = self.config.base_frame
        if frame == base:
            return Pose2()
        try:
            return geometry.flatten(self._tf.lookup(frame, base, stamp))
        except TransformError:
            return geometry.flatten(self._tf.lookup(frame, base))

    def _mount(self, frame: str) -> Pose2 | None:
        try:
            return geometry.flatten(self._tf.lookup(self.config.base_frame, frame))
        except TransformError:
            return None  # a lidar at the centre is a fair guess for words

    def _goal_bearing(self) -> float | None:
        if self._goal is None:
            return None
        frame, goal = self._goal
        try:
            base = self._base_in(frame, self.clock.now())
        except TransformError:
            return None
        bearing = math.atan2(goal.y - base.y, goal.x - base.x) - base.yaw
        return math.remainder(bearing, 2.0 * math.pi)

    def _watch(self) -> None:
        if not self.config.camera or self.clock.steady() - self._started < self.config.start_delay:
            return
        last = self.received("camera/color/image_raw")
        silent = last is None or self.clock.steady() - last.arrival > self.config.image_timeout
        self.degraded("camera", "no picture arrives: what can be seen is unknown" if silent else None)
