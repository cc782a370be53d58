"""The common lifecycle node: parameters from a config, topics from the table, diagnostics, heartbeat.

A node of the stack is a subclass that fills in four hooks and nothing else:

    class Gate(StackNode):
        NAME, CONFIG = "gate", GateConfig

        def setup(self) -> None: ...      # configure: build, offer, listen, every
        def start(self) -> None: ...      # activate: begin to act (timers run only while active)
        def stop(self) -> None: ...       # deactivate, shutdown: come to rest (zero velocity)
        def retune(self) -> None: ...     # self.config has changed while running

Callbacks given to `listen` and `every` run only while the node is active (latched topics: from configure
on). An error in one never ends
the process: bad input is counted and reported, a bug marks the node FAILED for the supervisor.
"""

from __future__ import annotations

import os
import socket
import time
import traceback
from collections.abc import Callable
from typing import Any, ClassVar

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from lifelong_nav_interfaces.msg import Heartbeat
from rclpy.clock import Clock, ClockType, JumpThreshold, TimeJump
from rclpy.duration import Duration
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.parameter import Parameter

from lifelong_nav.core.clock import Received
from lifelong_nav.core.config import override
from lifelong_nav.core.errors import LifelongNavError
from lifelong_nav.nodes import parameters
from lifelong_nav.nodes.qos import PROFILES
from lifelong_nav.nodes.ros_clock import RosClock, to_seconds
from lifelong_nav.nodes.topics import TOPICS, message_class

HEARTBEAT_RATE = 5.0
_REPORT_INTERVAL = 5.0


class StackNode(LifecycleNode):
    """Base of every node of the stack. Takes rclpy's Node keyword arguments."""

    NAME: ClassVar[str]
    CONFIG: ClassVar[type]
    SELF_START: ClassVar[bool] = False
    """True for nodes that nobody supervises: they configure and activate themselves."""
    LIVE: ClassVar[frozenset[str] | None] = None
    """Parameters that may change once configured; None for all that are not read-only."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(kwargs.pop("node_name", self.NAME), **kwargs)
        self.clock = RosClock(self)
        self.active = False
        self.stats: dict[str, float | str] = {}
        """Shown in diagnostics; subclasses write what a user wants to watch."""
        self._received: dict[str, Received] = {}
        self._counts: dict[str, int] = {}
        self._faults: dict[str, tuple[int, str]] = {}
        self._last_report: dict[str, float] = {}
        self._degraded: dict[str, str] = {}
        self._failure = ""
        self._resources: list[Callable[[], Any]] = []
        self._beats = 0
        parameters.declare(self, self.CONFIG)
        self.config: Any = None
        self.add_on_set_parameters_callback(self._on_parameters)
        self._beat_publisher = self.create_publisher(
            message_class(TOPICS["heartbeat"].type), "heartbeat", PROFILES["heartbeat"]
        )
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", PROFILES["reliable"])
        self.create_timer(1.0 / HEARTBEAT_RATE, self._beat)
        self.create_timer(1.0, self._diagnose)
        threshold = JumpThreshold(
            min_forward=None, min_backward=Duration(seconds=-0.5), on_clock_change=False
        )
        self._jumps = self.get_clock().create_jump_callback(threshold, post_callback=self._on_jump)

    # ---- hooks -------------------------------------------------------------------------------------

    def setup(self) -> None:
        """Build the component from `self.config`; create publishers, subscriptions, timers."""

    def start(self) -> None:
        """Begin to act."""

    def stop(self) -> None:
        """Come to rest. Publishers still work here."""

    def retune(self) -> None:
        """Take over a changed `self.config` without losing state."""

    def time_jumped(self) -> None:
        """ROS time ran back (a bag loops, a simulation restarts): forget what depends on time."""

    # ---- what subclasses use -----------------------------------------------------------------------

    def offer(self, topic: str, type_name: str | None = None) -> Any:
        """A publisher for a topic of the table; it drops messages while the node is inactive."""
        entry = TOPICS[topic]
        publisher = self.create_lifecycle_publisher(
            message_class(type_name or entry.type), topic, PROFILES[entry.qos]
        )
        self._resources.append(lambda: self.destroy_lifecycle_publisher(publisher))
        return publisher

    def listen(self, topic: str, callback: Callable[[Any], None], type_name: str | None = None) -> None:
        """Subscribe to a topic of the table. Stamps of arrival are kept for `received`.

        What is latched (maps, the emergency stop) comes once, so it is taken in while inactive too.
        """
        entry = TOPICS[topic]
        latched = entry.qos == "latched"

        def guarded(message: Any) -> None:
            if not (self.active or latched):
                return
            header = getattr(message, "header", None)
            now = self.clock.now()
            stamp = to_seconds(header.stamp) if header is not None else now
            self._received[topic] = Received(stamp, self.clock.steady())
            self._counts[topic] = self._counts.get(topic, 0) + 1
            self._guard(topic, callback, message)

        subscription = self.create_subscription(
            message_class(type_name or entry.type), topic, guarded, PROFILES[entry.qos]
        )
        self._resources.append(lambda: self.destroy_subscription(subscription))

    def every(self, period: float, callback: Callable[[], None], wall: bool = False) -> None:
        """Call back each `period` [s] of ROS time (`wall`: of the monotonic clock) while active."""
        timer = self.create_timer(
            period,
            lambda: self._guard("timer", callback) if self.active else None,
            clock=Clock(clock_type=ClockType.STEADY_TIME) if wall else None,
        )
        self._resources.append(lambda: self.destroy_timer(timer))

    def on_cleanup_do(self, release: Callable[[], Any]) -> None:
        """Run `release` when the node is cleaned up (services, action servers, files)."""
        self._resources.append(release)

    def received(self, topic: str) -> Received | None:
        """When the newest message of a topic was made and came in."""
        return self._received.get(topic)

    def degraded(self, source: str, reason: str | None) -> None:
        """Report that the node works with less because of `source`; None takes it back."""
        if reason is None:
            self._degraded.pop(source, None)
        else:
            self._degraded[source] = reason

    def fault(self, source: str, error: Exception) -> None:
        """Count bad input and log it now and then."""
        count = self._faults.get(source, (0, ""))[0] + 1
        self._faults[source] = (count, str(error))
        now = time.monotonic()
        if now - self._last_report.get(source, -1e9) > _REPORT_INTERVAL:
            self._last_report[source] = now
            self.get_logger().warning(f"{source}: {error} (so far {count})")

    # ---- lifecycle ---------------------------------------------------------------------------------

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Read parameters, build the component."""
        try:
            self.config = parameters.read(self, self.CONFIG)
            self.setup()
        except LifelongNavError as error:
            self.get_logger().error(f"cannot configure: {error}")
            self._release()
            return TransitionCallbackReturn.FAILURE
        except Exception:
            self.get_logger().error(f"cannot configure:\n{traceback.format_exc()}")
            self._release()
            return TransitionCallbackReturn.FAILURE
        return super().on_configure(state)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Begin to act."""
        result = super().on_activate(state)
        self._failure = ""
        self.active = True
        try:
            self.start()
        except Exception as error:
            self.active = False
            self.get_logger().error(f"cannot activate: {error}\n{traceback.format_exc()}")
            super().on_deactivate(state)
            return TransitionCallbackReturn.FAILURE
        return result

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Come to rest, then fall silent."""
        self._come_to_rest()
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Release everything made in `setup`."""
        self._release()
        return super().on_cleanup(state)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Come to rest and release."""
        self._come_to_rest()
        self._release()
        return super().on_shutdown(state)

    def finish(self) -> None:
        """Orderly end of the process: come to rest while publishers still work, then destroy."""
        self._come_to_rest()
        self._release()
        self.destroy_node()

    # ---- inside ------------------------------------------------------------------------------------

    def _come_to_rest(self) -> None:
        if not self.active:
            return
        try:
            self.stop()
        except Exception:
            self.get_logger().error(f"while stopping:\n{traceback.format_exc()}")
        self.active = False

    def _release(self) -> None:
        while self._resources:
            release = self._resources.pop()
            try:
                release()
            except Exception:
                self.get_logger().error(f"while releasing:\n{traceback.format_exc()}")
        self._received.clear()
        self._degraded.clear()
        self.config = None  # safety limits may be changed again

    def _guard(self, source: str, callback: Callable[..., None], *args: Any) -> None:
        try:
            callback(*args)
        except LifelongNavError as error:
            self.fault(source, error)
        except Exception as error:
            self._failure = f"{source}: {type(error).__name__}: {error}"
            self.get_logger().error(f"{source}:\n{traceback.format_exc()}", throttle_duration_sec=5.0)

    def _on_parameters(self, changes: list[Parameter]) -> Any:
        configured = self.config is not None
        verdict, values = parameters.check_change(self.CONFIG, changes, configured, self.LIVE)
        if verdict.successful and values and configured:
            self.config = override(self.config, **values)
            self._guard("parameters", self.retune)
        return verdict

    def _on_jump(self, jump: TimeJump) -> None:
        if self.config is None:
            return  # nothing is built yet that could remember anything
        self.get_logger().info(f"time jumped by {jump.delta.nanoseconds * 1e-9:.2f} s: state is reset")
        self._received.clear()
        self._guard("time jump", self.time_jumped)

    def health(self) -> tuple[int, str]:
        """Heartbeat state and what is wrong in words."""
        if self._failure:
            return Heartbeat.FAILED, self._failure
        if self._degraded:
            return Heartbeat.DEGRADED, "; ".join(f"{k}: {v}" for k, v in self._degraded.items())
        return Heartbeat.OK, ""

    def _beat(self) -> None:
        level, text = self.health()
        self._beats += 1
        beat = Heartbeat(
            node=self.get_fully_qualified_name(), sequence=self._beats, state=level,
            active=self.active, text=text[:256], pid=os.getpid(), host=socket.gethostname(),
        )  # fmt: skip
        beat.header.stamp = self.get_clock().now().to_msg()
        self._beat_publisher.publish(beat)

    def _diagnose(self) -> None:
        level, text = self.health()
        values = {f"{topic} [Hz]": str(count) for topic, count in self._counts.items()}
        values |= {f"{source} refused": f"{n}: {why}" for source, (n, why) in self._faults.items()}
        values |= {k: f"{v:.3g}" if isinstance(v, float) else str(v) for k, v in self.stats.items()}
        self._counts = dict.fromkeys(self._counts, 0)
        status = DiagnosticStatus(
            level=[DiagnosticStatus.OK, DiagnosticStatus.WARN, DiagnosticStatus.ERROR][level],
            name=self.get_fully_qualified_name().lstrip("/"),
            message=text or ("active" if self.active else "inactive"),
            hardware_id="lifelong_nav",
            values=[KeyValue(key=k, value=v[:200]) for k, v in values.items()],
        )
        array = DiagnosticArray(status=[status])
        array.header.stamp = self.get_clock().now().to_msg()
        self._diagnostics.publish(array)
