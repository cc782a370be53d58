"""Records live topics as they come: raw bytes of every type that is installed, into rosbag2 MCAP.

Run by `lifelong-nav record`, and beside the simulator. Topics are discovered while it runs; each is
subscribed with the QoS its publishers offer. A full disk ends the recording, never the robot.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy

from lifelong_nav.core.config import build, param
from lifelong_nav.core.errors import BagError, ConfigError
from lifelong_nav.nodes.base import StackNode
from lifelong_nav.nodes.scripted import context, interrupts, overrides, run_alone
from lifelong_nav.nodes.topics import message_class
from lifelong_nav.replay.playlist import absolute
from lifelong_nav.replay.qos import TopicQos
from lifelong_nav.replay.writer import BagWriter, WriterConfig

_MIB = 1 << 20
_NOISE = ("/rosout", "/parameter_events")


@dataclass(frozen=True)
class RecorderConfig:
    """What is recorded and where."""

    out: str = param("", doc="Folder of the new bag; it must not exist.", read_only=True)
    topics: list[str] = param([], doc="Record only these topics; empty: all but hidden ones.", read_only=True)
    exclude: list[str] = param([], doc="Never record these topics.", read_only=True)
    poll: float = param(0.25, "s", 0.02, 60.0, "How often new topics are looked for.", read_only=True)
    depth: int = param(200, "", 1, 10_000, "Messages that may wait while the disk is slow.", read_only=True)
    split_mib: int = param(0, "MiB", 0, 1 << 20, "Begin a new file at this size; 0 never.", read_only=True)
    min_free_mib: int = param(512, "MiB", 0, 1 << 20, "Stop before less is free on the disk.", read_only=True)
    sync: bool = param(False, doc="Survive a power cut as well: fsync every second.", read_only=True)


@dataclass
class RecordSummary:
    """What was recorded."""

    out: str = ""
    counts: dict[str, int] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    error: str = ""

    def __str__(self) -> str:
        lines = [f"recorded {sum(self.counts.values())} messages in {self.seconds:.1f} s to {self.out}"]
        lines += [f"  {topic}: {count}" for topic, count in sorted(self.counts.items())]
        lines += [f"  skipped {topic}: {why}" for topic, why in sorted(self.skipped.items())]
        lines += [f"  {self.error}"] if self.error else []
        return "\n".join(lines)


@dataclass
class _Ear:
    """One subscription and what it was made for."""

    subscription: Any
    qos: TopicQos


class BagRecorder(StackNode):
    """See the module's docstring."""

    NAME, CONFIG, SELF_START = "bag_recorder", RecorderConfig, True

    def setup(self) -> None:
        """Begin the bag and look for topics."""
        c: RecorderConfig = self.config
        self.summary = RecordSummary(c.out)
        self._wanted = {absolute(t) for t in c.topics}
        self._unwanted = {absolute(t) for t in c.exclude}
        self._ears: dict[str, _Ear] = {}
        settings = WriterConfig(
            split_bytes=c.split_mib * _MIB, min_free_bytes=c.min_free_mib * _MIB, sync=c.sync
        )
        self._writer = BagWriter(c.out, settings)
        self._since = time.monotonic()
        self.on_cleanup_do(self._close)
        self.every(c.poll, self._discover, wall=True)
        self.every(1.0, self._flush, wall=True)

    def start(self) -> None:
        """Subscribe to what is there already."""
        self._discover()

    # ---- inside ------------------------------------------------------------------------------------

    def _discover(self) -> None:
        for topic, types in self.get_topic_names_and_types():
            hidden = any(part.startswith("_") for part in topic.split("/"))
            chosen = topic in self._wanted if self._wanted else not hidden and topic not in _NOISE
            if not chosen or topic in self._unwanted or topic in self.summary.skipped:
                continue
            qos = self._offered(topic)
            if qos is None or (topic in self._ears and self._ears[topic].qos == qos):
                continue
            self._subscribe(topic, types, qos)

    def _offered(self, topic: str) -> TopicQos | None:
        """What a subscriber may ask of all publishers of a topic; None while there are none."""
        profiles = [info.qos_profile for info in self.get_publishers_info_by_topic(topic)]
        if not profiles:
            return None
        return TopicQos(
            reliable=all(p.reliability == ReliabilityPolicy.RELIABLE for p in profiles),
            transient_local=all(p.durability == DurabilityPolicy.TRANSIENT_LOCAL for p in profiles),
            depth=self.config.depth,
        )

    def _subscribe(self, topic: str, types: Collection[str], qos: TopicQos) -> None:
        try:
            if len(types) != 1:
                raise BagError(f"It has several types: {', '.join(types)}.", "Rename one.")
            (kind,) = types
            self._writer.add_topic(topic, kind, qos=qos)
            profile = QoSProfile(
                history=HistoryPolicy.KEEP_LAST,
                depth=qos.depth,
                reliability=ReliabilityPolicy.RELIABLE if qos.reliable else ReliabilityPolicy.BEST_EFFORT,
                durability=DurabilityPolicy.TRANSIENT_LOCAL
                if qos.transient_local
                else DurabilityPolicy.VOLATILE,
            )
            made = self.create_subscription(
                message_class(kind), topic, lambda data: self._write(topic, data), profile, raw=True
            )
        except (BagError, ImportError, AttributeError, ValueError) as error:
            self.summary.skipped[topic] = str(error)
            self.get_logger().warning(f"{topic} is not recorded: {error}")
            return
        old = self._ears.pop(topic, None)
        if old is not None:
            self.destroy_subscription(old.subscription)
        self._ears[topic] = _Ear(made, qos)
        self.on_cleanup_do(lambda: self._forget(topic))

    def _forget(self, topic: str) -> None:
        ear = self._ears.pop(topic, None)
        if ear is not None:
            self.destroy_subscription(ear.subscription)

    def _write(self, topic: str, data: bytes) -> None:
        if not self.active or self.summary.error:
            return
        try:
            self._writer.write(topic, self.get_clock().now().nanoseconds, data)
            self.summary.counts[topic] = self.summary.counts.get(topic, 0) + 1
        except BagError as error:
            self._fail(error)

    def _flush(self) -> None:
        if self.summary.error:
            return
        self.stats["messages"] = float(self._writer.message_count)
        try:
            self._writer.flush()
        except BagError as error:
            self._fail(error)

    def _fail(self, error: BagError) -> None:
        self.summary.error = str(error)
        self.degraded("disk", str(error))
        self.get_logger().error(str(error))

    def _close(self) -> None:
        self.summary.seconds = time.monotonic() - self._since
        try:
            self._writer.close()
        except BagError as error:
            self._fail(error)


def record(
    out: Path | str,
    topics: Collection[str] = (),
    duration: float | None = None,
    until: Callable[[], bool] | None = None,
    options: dict[str, Any] | None = None,
    use_sim_time: bool = False,
    ros_args: list[str] | None = None,
) -> RecordSummary:
    """Record until SIGINT or SIGTERM, for `duration` [s], until `until()` is true, or until the disk is full.

    Args:
        out: folder of the new bag.
        topics: only these; all but hidden ones when empty.
        duration: wall seconds; None without end.
        until: asked about a hundred times per second.
        options: more values of `RecorderConfig` by name.
        use_sim_time: stamp with /clock instead of the system clock.
        ros_args: more ROS arguments for the recorder's node.

    Raises:
        BagError: the folder exists or cannot be made.
        ConfigError: an option is unknown or out of range.
    """
    config = build(RecorderConfig, {**(options or {}), "out": str(out), "topics": [*topics]})
    if Path(out).exists():
        raise BagError(f"{out} exists.", "Bags are never overwritten: name a new folder.")
    with interrupts() as asked, context():
        values = [*overrides(config), Parameter("use_sim_time", value=use_sim_time)]
        node = BagRecorder(cli_args=ros_args or [], parameter_overrides=values)
        end = float("inf") if duration is None else time.monotonic() + duration

        def going() -> bool:
            stopped = asked or node.summary.error or (until is not None and until())
            return not stopped and time.monotonic() < end

        refusal = ConfigError(f"Cannot record to {out}.", "The reason stands in the log above.")
        run_alone(node, going, refusal)
        return node.summary
