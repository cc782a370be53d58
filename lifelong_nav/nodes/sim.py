"""The simulated robot and building as a node: commands in, sensors, TF and /clock out.

Three ways to pace it. realtime: by the wall clock. fast: as fast as the stack keeps up: at most `max_lead`
ahead of the newest command. lockstep: every tick waits for its command, so that the machine's speed does
not change what happens. In both, nobody whose heartbeat lags far behind is left behind (see Pace).
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from geometry_msgs.msg import Twist, TwistStamped
from lifelong_nav_interfaces.msg import Heartbeat
from lifelong_nav_interfaces.srv import SetSim, StepSim
from std_srvs.srv import SetBool
from trajectory_msgs.msg import JointTrajectory

from lifelong_nav.core.config import param
from lifelong_nav.core.errors import ConfigError, InputError, LifelongNavError
from lifelong_nav.nodes import convert
from lifelong_nav.nodes.base import StackNode
from lifelong_nav.nodes.ros_clock import to_seconds, to_stamp
from lifelong_nav.nodes.sim_messages import SimPublishers
from lifelong_nav.nodes.sim_scene import scene_json
from lifelong_nav.sim import scenario as scenarios
from lifelong_nav.sim.camera import Intrinsics
from lifelong_nav.sim.engine import SimConfig, Simulation
from lifelong_nav.sim.events import Timetable, apply
from lifelong_nav.sim.robot_urdf import ros_urdf
from lifelong_nav.sim.scenario_build import build

_EPSILON = 1e-6
_BEAT_LAG = 0.45  # beats come every 0.2 s
_BEAT_MEMORY = 3.0
_POLL = 0.004
_SCENE_RATE = 2.0
_NOT_WAITED_FOR = ("context_learner", "trajectory_learner")
"""Nodes outside the loop of driving: learning takes the time it takes."""
_SETTABLE = {"floor": ("friction", 1), "payload": ("payload", 1), "wheel_wear": ("wheel_wear", 2)}


@dataclass(frozen=True)
class SimNodeConfig(SimConfig):
    """The simulation's parameters plus those of its pacing."""

    scenario: str = param("office_day", doc="Name of a file in sim/scenarios, or a path to one.")
    seed: int = param(0, "", 0, 2**31 - 1, "Seed of building, people and sensor noise.")
    mode: str = param("realtime", doc="How time passes.", choices=("realtime", "fast", "lockstep"))
    speed: float = param(1.0, "", 0.01, 100.0, "Times real time, in mode realtime.")
    max_lead: float = param(0.1, "s", 0.0, 5.0, "How far mode fast may run ahead of the newest command.")
    ack_timeout: float = param(0.5, "s", 0.01, 60.0, "Wall time to wait for a command before going on.")
    stamped_cmd_vel: bool = param(True, doc="cmd_vel is TwistStamped; false: Twist (then only realtime).")
    camera_width: int = param(160, "px", 1, 4096, "Columns.")
    camera_height: int = param(120, "px", 1, 4096, "Rows.")
    lidar_mode: str = param(
        "fast", doc="Rays through the physics world, or plane geometry.", choices=("exact", "fast")
    )


@dataclass
class Pace:
    """How far the stack has come, by the stamps of what it sends [s of simulated time].

    `command`: newest on cmd_vel, -1 before the first. `controller`: newest on cmd_vel_raw, None without a
    controller of ours; the gate answers in its place when it is late. `beats`: stamp and wall arrival of
    each node's newest heartbeat; the stamp shows how far that node's queue has come.
    """

    command: float = -1.0
    controller: float | None = None
    beats: dict[str, tuple[float, float]] = field(default_factory=dict)

    @property
    def driven(self) -> bool:
        """True once a command has come."""
        return self.command >= 0.0

    def served(self, now: float, lead: float, wall: float) -> bool:
        """True when the next tick may come at simulated time `now`, running `lead` [s] ahead at most."""
        newest = self.command if self.controller is None else min(self.command, self.controller)
        if now - newest > lead + _EPSILON:
            return False
        living = [stamp for stamp, heard in self.beats.values() if wall - heard < _BEAT_MEMORY]
        return not living or now - min(living) <= _BEAT_LAG


class SimNode(StackNode):
    """See the module's docstring."""

    NAME, CONFIG = "sim", SimNodeConfig
    LIVE = frozenset({"mode", "speed", "max_lead", "ack_timeout"})

    def setup(self) -> None:
        """Build the world and connect it."""
        c: SimNodeConfig = self.config
        if not c.stamped_cmd_vel and c.mode != "realtime":
            raise ConfigError(f"Mode {c.mode} needs stamps on cmd_vel.", "Set stamped_cmd_vel: true.")
        scenario = scenarios.load(c.scenario)
        run = build(scenario, c.seed)
        self._scenario, self._told = scenario.name, -1.0
        self._sim = Simulation(run.scene, run.crowd, c, c.seed, run.start)
        self.on_cleanup_do(self._sim.close)
        self._timetable = Timetable(run.events)
        intrinsics = Intrinsics(c.camera_width, c.camera_height, c.camera_fov)
        self._out = SimPublishers(self, intrinsics, 1.0 / max(c.scan_rate, 1e-3))
        if c.stamped_cmd_vel:
            self.listen("cmd_vel", self._on_stamped)
        else:
            self.listen("cmd_vel", self._on_twist, "geometry_msgs/msg/Twist")
        self.listen("joint_trajectory", self._on_joints)
        for kind, name, callback in (
            (StepSim, "~/step", self._on_step), (SetSim, "~/set", self._on_set),
            (SetBool, "~/pause", self._on_pause),
        ):  # fmt: skip
            service = self.create_service(kind, name, callback)
            self.on_cleanup_do(partial(self.destroy_service, service))
        self.every(_POLL, self._advance, wall=True)
        self.listen("cmd_vel_raw", self._on_raw)
        self.listen("heartbeat", self._on_beat)
        self._paused, self._unserved, self._pace = False, 0, Pace()

    def start(self) -> None:
        """Say what never changes, and start the clock."""
        self._out.static(self._sim.time, ros_urdf())
        self._out.clock(self._sim.time)
        self._wall = self._wall_start = time.monotonic()
        self._sim_start = self._sim.time

    def time_jumped(self) -> None:
        """Our own clock; nothing to forget."""

    # ---- pacing ------------------------------------------------------------------------------------

    def _advance(self) -> None:
        if not self._paused and self._may_step(time.monotonic()):
            self._step()

    def _may_step(self, now: float) -> bool:
        c: SimNodeConfig = self.config
        if c.mode == "realtime" or not self._pace.driven:  # nobody drives yet: no reason to hurry
            due = self._wall_start + (self._sim.time + c.tick - self._sim_start) / c.speed
            if now - due > 1.0:  # this machine cannot keep up: do not try to catch up later
                self._wall_start += now - due
            return now >= due
        if self._pace.served(self._sim.time, c.max_lead if c.mode == "fast" else 0.0, now):
            return True
        if now - self._wall < c.ack_timeout:
            return False
        self._unserved += 1
        return True

    def _step(self) -> None:
        self._wall = time.monotonic()
        for event in self._timetable.advance(self._sim):
            self.get_logger().info(f"{self._sim.time:.0f} s: {event.kind} {event.target} {event.value}")
        sensed = self._sim.step(picture=False)
        self._out.clock(sensed.stamp)
        self._out.readings(sensed)
        self._out.truth(self._sim.truth(), people=sensed.scan is not None)
        self._out.contacts(sensed.contacts)
        if sensed.stamp - self._told >= 1.0 / _SCENE_RATE - _EPSILON:
            self._told = sensed.stamp
            self._out.scene(scene_json(self._sim, self._scenario))
        reading = self._sim.picture()  # drawn while the stack works on the rest
        if reading is not None:
            self._out.picture(reading, self._sim.robot.state().transform)
        elapsed = self._wall - self._wall_start
        self.stats["sim time [s]"] = self._sim.time
        self.stats["real time factor"] = (self._sim.time - self._sim_start) / max(elapsed, 1e-6)
        self.stats["ticks without command"] = self._unserved

    # ---- what comes in -----------------------------------------------------------------------------

    def _on_stamped(self, message: TwistStamped) -> None:
        stamp = to_seconds(message.header.stamp)
        self._sim.command(convert.twist_from(message.twist))
        self._pace.command = max(self._pace.command, min(stamp, self._sim.time))
        self._advance()

    def _on_raw(self, message: TwistStamped) -> None:
        stamp = min(to_seconds(message.header.stamp), self._sim.time)
        self._pace.controller = stamp if self._pace.controller is None else max(self._pace.controller, stamp)
        self._advance()

    def _on_beat(self, beat: Heartbeat) -> None:
        if beat.node.rsplit("/", 1)[-1] in _NOT_WAITED_FOR:
            return
        if beat.active and beat.node != self.get_fully_qualified_name():
            self._pace.beats[beat.node] = (to_seconds(beat.header.stamp), time.monotonic())

    def _on_twist(self, message: Twist) -> None:
        self._sim.command(convert.twist_from(message))

    def _on_joints(self, message: JointTrajectory) -> None:
        if not message.points or len(message.points[-1].positions) != len(message.joint_names):
            raise InputError("Joint trajectory without matching positions.", "One position per joint name.")
        self._sim.arm(dict(zip(message.joint_names, message.points[-1].positions, strict=True)))

    def _on_pause(self, request: Any, response: Any) -> Any:
        self._paused, response.success = bool(request.data), True
        self._wall_start, self._sim_start = time.monotonic(), self._sim.time
        return response

    def _on_step(self, request: Any, response: Any) -> Any:
        c: SimNodeConfig = self.config
        if not self._paused or not self.active or not 0.0 < request.duration <= 60.0:
            response.message = "Pause first (service ~/pause), and step by more than 0 and at most 60 s."
            return response
        for _ in range(max(1, round(request.duration / c.tick))):
            self._step()
        response.success, response.time = True, to_stamp(self._sim.time)
        return response

    def _on_set(self, request: Any, response: Any) -> Any:
        try:
            if request.name not in _SETTABLE:
                raise InputError(f"'{request.name}' cannot be set.", f"Use one of {', '.join(_SETTABLE)}.")
            kind, count = _SETTABLE[request.name]
            values = tuple(float(v) for v in request.values)
            if len(values) != count:
                raise InputError(f"'{request.name}' takes {count} value(s).", f"{len(values)} came.")
            if kind == "wheel_wear":
                self._sim.set_wheel_wear(*values)
            else:
                apply(self._sim, scenarios.Event(self._sim.time, kind, request.target, values))
        except LifelongNavError as error:
            response.message = str(error)
            return response
        response.success = True
        return response
