"""Plays any bag through live nodes: /clock, remapping, rate, loops, and in step with who consumes.

Run by `lifelong-nav replay` and `replay.launch.py`. `rate` and `paused` can be changed while it plays:
`ros2 param set /bag_player paused true`.
"""

from __future__ import annotations

import struct
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy
from rosgraph_msgs.msg import Clock

from lifelong_nav.core.config import build
from lifelong_nav.core.errors import BagError, ConfigError
from lifelong_nav.nodes.base import StackNode
from lifelong_nav.nodes.qos import PROFILES
from lifelong_nav.nodes.scripted import context, interrupts, overrides, run_alone
from lifelong_nav.nodes.topics import TOPICS, message_class
from lifelong_nav.replay.playing import PlayerConfig, PlaySummary
from lifelong_nav.replay.playlist import choose, passes
from lifelong_nav.replay.reader import BagMessage, BagReader, open_bag
from lifelong_nav.replay.timeline import Item, Tick, Timeline

_STEP = 0.005
_BUSY = 0.02
_HISTORY = 16 << 20
_SAME_STAMP = 1_000_000
_SHARED = ("/tf", "/tf_static", "/diagnostics", "/heartbeat")


class BagPlayer(StackNode):
    """See the module's docstring."""

    NAME, CONFIG, SELF_START = "bag_player", PlayerConfig, True

    def setup(self) -> None:
        """Open the bag, create a publisher per playable topic."""
        c: PlayerConfig = self.config
        self.summary = PlaySummary(c.bag)
        self.finished = False
        self._bag: BagReader = open_bag(c.bag)
        self.on_cleanup_do(self._bag.close)
        for note in self._bag.notes:
            self.get_logger().warning(note)
        playlist = choose(self._bag, c.topics, c.exclude, c.remap, c.start, c.duration)
        self.summary.skipped.update(playlist.skipped)
        self._publishers_of: dict[str, Any] = {}
        for stored, name in playlist.names.items():
            self._offer_recorded(stored, name)
        self._playlist = playlist
        self._clock_publisher = self.create_publisher(Clock, "/clock", PROFILES["clock"])
        self.on_cleanup_do(lambda: self.destroy_publisher(self._clock_publisher))
        self._lockstep = f"/{c.lockstep.strip('/')}" if c.lockstep else ""
        self._waiting = {name.strip("/") for name in c.wait_for}
        if self._lockstep in self._publishers_of and c.ack in TOPICS:
            self.listen(c.ack, self._on_ack)
        if self._waiting:
            self.listen("heartbeat", self._on_heartbeat)
        self.every(_STEP, self._pump, wall=True)

    def start(self) -> None:
        """Begin to wait for the listeners, then play."""
        gate = self._lockstep if self._lockstep in self._publishers_of else ""
        self._line = Timeline(passes(self._bag, self._playlist), self._playlist.start, self.config, gate)
        self._flight: deque[tuple[int, int]] = deque()  # (header stamp, bag stamp) [ns]
        self._since = time.monotonic()
        self._begun: float | None = None
        self._blocked_since: float | None = None

    def stop(self) -> None:
        """Take stock."""
        self._close_summary()

    def retune(self) -> None:
        """Rate and pause while playing."""
        if not self.active:
            return
        now = time.monotonic()
        if self.config.rate != self._line.rate:
            self._line.set_rate(now, self.config.rate)
        if self.config.paused and self._begun is not None:
            self._line.pause(now)
        elif not self.config.paused:
            self._line.resume(now)

    # ---- inside ------------------------------------------------------------------------------------

    def _offer_recorded(self, stored: str, name: str) -> None:
        topic = self._bag.topics[stored]
        try:
            kind = message_class(topic.type)
            if topic.encoding not in ("cdr", "ros1"):
                raise ImportError(f"encoded as {topic.encoding}")
        except (ImportError, AttributeError, ValueError) as error:
            self.summary.skipped[name] = f"its type {topic.type} is not installed ({error})"
            self.get_logger().warning(f"{name} is not played: {self.summary.skipped[name]}")
            return
        static = name.endswith("tf_static")
        qos = QoSProfile(
            history=HistoryPolicy.KEEP_LAST,
            depth=self._depth(stored),
            reliability=ReliabilityPolicy.RELIABLE,  # serves best-effort subscribers as well
            durability=DurabilityPolicy.TRANSIENT_LOCAL
            if topic.qos.transient_local or static
            else DurabilityPolicy.VOLATILE,
        )
        # Relative, so that a namespace applies; the names ROS fixes stay absolute.
        own = name if name in ("/tf", "/tf_static", "/diagnostics") else name.lstrip("/")
        publisher = self.create_publisher(kind, own, qos)
        self.on_cleanup_do(lambda: self.destroy_publisher(publisher))
        self._publishers_of[name] = publisher

    def _depth(self, stored: str) -> int:
        """History that outlasts a burst of messages without outgrowing memory."""
        first = next(self._bag.messages([stored]), None)
        return max(10, _HISTORY // max(len(first.data), _HISTORY // 1000)) if first else 10

    def _pump(self) -> None:
        now = time.monotonic()
        if self.finished or (self._begun is None and not self._ready(now)):
            return
        self._watch_answers(now)
        end = now + _BUSY
        while events := self._line.due(time.monotonic()):
            for event in events:
                self._publish(event)
            # Let answers and parameters in; at rate 0 also let the subscribers empty their queues.
            if self._line.rate == 0.0 or time.monotonic() > end:
                break
        self.stats["position [s]"] = (self._line.position(time.monotonic()) - self._bag.start) * 1e-9
        if self._line.done:
            self.summary.complete = True
            self._close_summary()
            self.finished = True
            self.get_logger().info(str(self.summary))

    def _ready(self, now: float) -> bool:
        """Whether to begin; until then /clock runs towards the start, because nodes need time to start."""
        waited = now - self._since
        early = waited < self.config.wait_timeout
        gate = self._publishers_of.get(self._lockstep)
        alone = gate is not None and gate.get_subscription_count() == 0
        if (self._waiting and early) or waited < (self.config.discovery if alone or gate is None else 0.5):
            left = max(0.0, self.config.wait_timeout - waited) if self._waiting else 0.0
            if self._waiting:
                self._tick(self._playlist.start - round(left * 1e9))
            return False
        if self._waiting:
            self.degraded("wait_for", f"{', '.join(sorted(self._waiting))} did not become active")
        self._drop_conflicts()
        self._begun = time.monotonic()
        if self.config.paused:
            self._line.due(self._begun)
            self._line.pause(self._begun)
        return True

    def _drop_conflicts(self) -> None:
        """Do not play what live nodes offer themselves (their own output in an older recording)."""
        me = (self.get_name(), self.get_namespace())
        for name, publisher in list(self._publishers_of.items()):
            others = [
                f"{i.node_namespace.rstrip('/')}/{i.node_name}"
                for i in self.get_publishers_info_by_topic(publisher.topic_name)
                if (i.node_name, i.node_namespace) != me
            ]
            if others and name not in _SHARED:
                self.summary.skipped[name] = (
                    f"{', '.join(sorted(set(others)))} publishes it; remap one of them"
                )
                self.get_logger().warning(f"{name} is not played: {self.summary.skipped[name]}")
                del self._publishers_of[name]

    def _publish(self, event: Item | Tick) -> None:
        if isinstance(event, Tick):
            self._tick(event.stamp)
            return
        publisher = self._publishers_of.get(event.topic)
        gated = event.topic == self._line.lockstep
        data = None if publisher is None else self._encoded(event.payload)
        if publisher is None or data is None:
            if gated:
                self._line.ack(event.stamp)
            return
        publisher.publish(data)
        self.summary.played[event.topic] = self.summary.played.get(event.topic, 0) + 1
        if gated:
            if self._answers():
                self._flight.append((_header_stamp(data), event.stamp))
            else:
                self._line.ack(event.stamp)

    def _encoded(self, message: BagMessage) -> bytes | None:
        try:
            if self.config.check and message.channel.encoding == "cdr":  # the conversion checks ROS 1
                self._bag.decode(message)
            return self._bag.cdr(message)
        except BagError as error:
            self.summary.broken += 1
            self.fault(message.topic, error)
            return None

    def _tick(self, stamp: int) -> None:
        message = Clock()
        message.clock.sec, message.clock.nanosec = divmod(max(stamp, 0), 1_000_000_000)
        self._clock_publisher.publish(message)

    def _answers(self) -> bool:
        """Whether somebody offers the topic that answers the lock-step topic."""
        return self.config.ack in TOPICS and self.count_publishers(self.config.ack) > 0

    def _on_ack(self, message: Any) -> None:
        stamp = message.header.stamp.sec * 1_000_000_000 + message.header.stamp.nanosec
        while self._flight and self._flight[0][0] <= stamp + _SAME_STAMP:
            header, at = self._flight.popleft()
            exact = abs(header - stamp) <= _SAME_STAMP
            self.summary.answered += exact
            self.summary.unanswered += not exact
            self._line.ack(at)
        self._blocked_since = None
        self._pump()

    def _watch_answers(self, now: float) -> None:
        if not self._line.blocked:
            self._blocked_since = None
        elif self._blocked_since is None:
            self._blocked_since = now
        elif now - self._blocked_since > self.config.ack_timeout:
            self._blocked_since = None
            self._give_up()

    def _give_up(self) -> None:
        lost = self._line.give_up()
        self.summary.unanswered += len(self._flight)
        self._flight.clear()
        self.degraded(
            "ack", f"{lost} messages on {self.config.lockstep} were not answered by {self.config.ack}"
        )

    def _on_heartbeat(self, beat: Any) -> None:
        if beat.active:
            self._waiting.discard(beat.node.rsplit("/", 1)[-1])
            self._waiting.discard(beat.node.strip("/"))

    def _close_summary(self) -> None:
        if self._begun is None or self.finished:
            return
        now = time.monotonic()
        span = self._playlist.stop - 1 - self._playlist.start
        done = 0 if self._line.done else self._line.position(now) - self._playlist.start
        self.summary.loops = self._line.loops
        self.summary.bag_seconds = (self._line.loops * span + done) * 1e-9
        self.summary.wall_seconds = now - self._begun
        self.summary.lossy, self.summary.notes = self._bag.lossy, self._bag.notes


def _header_stamp(data: bytes) -> int:
    """Stamp [ns] of the header a CDR message begins with."""
    if len(data) < 12:
        return 0
    sec, nanosec = struct.unpack_from("<iI" if data[1] else ">iI", data, 4)
    return int(sec) * 1_000_000_000 + int(nanosec)


def play(
    path: Path | str,
    options: dict[str, Any] | None = None,
    until: Callable[[], bool] | None = None,
    ros_args: list[str] | None = None,
) -> PlaySummary:
    """Play a bag to its end, until `until()` is true, or until SIGINT or SIGTERM.

    Args:
        path: the bag.
        options: values of `PlayerConfig` by name.
        until: asked about a hundred times per second.
        ros_args: more ROS arguments (`--ros-args -r ...`) for the player's node.

    Raises:
        BagError: the bag cannot be played.
        ConfigError: an option is unknown or out of range, or names topics the bag does not have.
    """
    config = build(PlayerConfig, {**(options or {}), "bag": str(path)})
    with open_bag(path) as bag:  # errors with their sentence before any node exists
        choose(bag, config.topics, config.exclude, config.remap, config.start, config.duration)
    with interrupts() as asked, context():
        node = BagPlayer(cli_args=ros_args or [], parameter_overrides=overrides(config))
        refusal = ConfigError(f"{path} cannot be played.", "The reason stands in the log above.")
        run_alone(node, lambda: not (node.finished or asked or (until is not None and until())), refusal)
        return node.summary
