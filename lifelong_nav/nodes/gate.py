"""The gate node: wire in, `control.gate` decides, wire out. Nothing else commands the base."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from geometry_msgs.msg import Twist, TwistStamped
from lifelong_nav_interfaces.msg import GateState, Heartbeat

from lifelong_nav.control.gate import Gate, GateDecision, GateInputs, Level
from lifelong_nav.control.gate_config import GateConfig
from lifelong_nav.core.clock import Received
from lifelong_nav.core.config import param
from lifelong_nav.core.errors import InputError
from lifelong_nav.core.geometry import flatten
from lifelong_nav.core.types import LaserScan, Odometry, People, Pose2, Twist2
from lifelong_nav.nodes import convert
from lifelong_nav.nodes.base import StackNode
from lifelong_nav.nodes.tf import make_tf


@dataclass(frozen=True)
class GateNodeConfig(GateConfig):
    """Parameters of the node `gate`."""

    rate: float = param(20.0, "Hz", 5.0, 200.0, "Decisions per second.", read_only=True)
    base_frame: str = param("base_link", doc="Frame at the centre of the base.", read_only=True)
    stamped: bool = param(True, doc="Send TwistStamped on cmd_vel; false sends Twist.", read_only=True)


class GateNode(StackNode):
    """Lets commands through to the base as far as they are safe."""

    NAME: ClassVar[str] = "gate"
    CONFIG: ClassVar[type] = GateNodeConfig

    def setup(self) -> None:
        """Build the gate and connect it."""
        self.gate = Gate(self.config)
        self._command: Twist2 | None = None
        self._scan: LaserScan | None = None
        self._sensor: tuple[str, Pose2] | None = None
        self._odometry: Odometry | None = None
        self._people: People | None = None
        self._alive: dict[str, Received] = {}
        self._emergency = False
        self._stops: dict[str, int] = {}
        self._tf = make_tf(self)
        self.on_cleanup_do(self._tf.close)
        self._out = self.offer("cmd_vel", None if self.config.stamped else "geometry_msgs/msg/Twist")
        self._state = self.offer("gate_state")
        self.listen("cmd_vel_raw", self._on_command)
        self.listen("scan", self._on_scan)
        self.listen("odom", self._on_odometry)
        self.listen("people", self._on_people)
        self.listen("emergency_stop", self._on_emergency)
        self.listen("heartbeat", self._on_heartbeat)
        # A command is decided on when it comes, without waiting for a tick; the timer is for silence.
        self._decided = -1.0
        # On a robot the tick must not follow the wall clock's steps; in simulation it follows /clock.
        simulated = bool(self.get_parameter("use_sim_time").value)
        self.every(1.0 / self.config.rate, self._tick, wall=not simulated)

    def stop(self) -> None:
        """Zero is the last thing sent."""
        self._publish(self.gate.stop())

    def time_jumped(self) -> None:
        """Whatever came before the jump is void."""
        self._command = self._scan = self._odometry = self._people = None
        self._alive.clear()

    # A message that cannot be read takes the place of the good one before it: old data must not pass
    # for new because something keeps arriving.

    def _on_command(self, message: TwistStamped) -> None:
        self._command = convert.twist_from(message.twist)
        if self.clock.steady() - self._decided > 0.5 / self.config.rate:  # a flood waits for the timer
            self._decide()

    def _on_scan(self, message: Any) -> None:
        self._scan = None
        scan = convert.scan_from(message)
        if self._sensor is None or self._sensor[0] != scan.frame_id:
            pose = flatten(self._tf.lookup(self.config.base_frame, scan.frame_id))
            self._sensor = (scan.frame_id, pose)
        self._scan = scan

    def _on_odometry(self, message: Any) -> None:
        self._odometry = None
        self._odometry = convert.odometry_from(message)

    def _on_people(self, message: Any) -> None:
        self._people = None
        self._people = convert.people_from(message)

    def _on_emergency(self, message: Any) -> None:
        self._emergency = bool(message.data)

    def _on_heartbeat(self, message: Heartbeat) -> None:
        name = message.node.rsplit("/", 1)[-1]
        if name not in self.config.heartbeats:
            return
        if message.state == Heartbeat.FAILED:
            self._alive.pop(name, None)
            return
        received = self.received("heartbeat")
        if received is None:
            raise InputError(f"Heartbeat of '{name}' has no arrival.", "Report this as a bug.")
        self._alive[name] = received

    def _tick(self) -> None:
        """Decide without a command when none came lately."""
        if self.clock.steady() - self._decided > 1.4 / self.config.rate:
            self._decide()

    def _decide(self) -> None:
        self._decided = self.clock.steady()
        received = self.received
        decision = self.gate.step(
            GateInputs(
                self._command, received("cmd_vel_raw"),
                self._scan, received("scan"), self._sensor[1] if self._sensor else Pose2(),
                self._odometry, received("odom"),
                self._people, received("people"),
                self._alive, self._emergency,
            ),
            self.clock,
        )  # fmt: skip
        self._publish(decision)

    def _publish(self, decision: GateDecision) -> None:
        now = self.clock.now()
        twist = convert.twist_to(decision.twist)
        header = convert.header(now, self.config.base_frame)
        self._out.publish(TwistStamped(header=header, twist=twist) if self.config.stamped else twist)
        stopped = decision.level >= Level.SOFT
        asked = convert.twist_to(self._command) if self._command is not None else Twist()
        self._state.publish(
            GateState(
                header=header,
                state=GateState.STOPPED if stopped else int(decision.level is Level.LIMIT),
                reason=decision.reason.value,
                text=decision.text,
                requested=asked,
                sent=twist,
            )
        )
        self.stats["reason"] = decision.reason.value
        self.degraded("stopped", decision.text if stopped else None)
        if stopped:
            name = f"ticks stopped by {decision.reason.value}"
            self._stops[name] = self._stops.get(name, 0) + 1
            self.stats[name] = float(self._stops[name])
