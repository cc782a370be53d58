"""The safety gate: what may reach the wheels. Pure code; knows nothing of who made the command.

Every tick the newest command is checked for finiteness, limits and freshness, the sensors for life,
and the result for whether the robot could still stop before what the scan and the tracker show. The
strictest finding wins and is reported. A robot whose base is a disc may always turn on the spot, and
may always move away from what is too near: the gate never locks it in.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, IntEnum

import numpy as np

from lifelong_nav.control.gate_config import GateConfig
from lifelong_nav.control.stopping import free_distance, scan_points, stopping_speed
from lifelong_nav.core.clock import Clock, Received, staleness
from lifelong_nav.core.geometry import rotation2
from lifelong_nav.core.types import FloatArray, LaserScan, Odometry, People, Pose2, Twist2


class Level(IntEnum):
    """How strict a finding is; the strictest wins."""

    PASS = 0
    LIMIT = 1  # slower than asked for
    SOFT = 2  # brake smoothly to zero
    HARD = 3  # brake hard to zero: the robot is blind
    EMERGENCY = 4  # zero at once


class Reason(Enum):
    """Why the gate did what it did, as the word in `GateState.reason`."""

    PASS = "pass"  # noqa: S105 - not a password
    ACCELERATION = "acceleration"
    SPEED_LIMIT = "speed_limit"
    PEOPLE_STALE = "people_stale"
    PERSON_NEAR = "person_near"
    OBSTACLE = "obstacle"
    PERSON = "person"
    COMMAND_STALE = "command_stale"
    COMMAND_NOT_FINITE = "command_not_finite"
    HEARTBEAT = "heartbeat"
    OVERSPEED = "overspeed"
    ODOM_STALE = "odom_stale"
    ODOM_INVALID = "odom_invalid"
    SCAN_STALE = "scan_stale"
    SCAN_INVALID = "scan_invalid"
    EMERGENCY_STOP = "emergency_stop"
    SHUTDOWN = "shutdown"


@dataclass(frozen=True, slots=True)
class GateInputs:
    """The newest of everything, with when it was made and when it came in.

    `sensor` is the scanner's pose on the base. `people` are in the odometry's frame or the base's.
    `heartbeats` by node name.
    """

    command: Twist2 | None = None
    command_received: Received | None = None
    scan: LaserScan | None = None
    scan_received: Received | None = None
    sensor: Pose2 = field(default_factory=Pose2)
    odometry: Odometry | None = None
    odometry_received: Received | None = None
    people: People | None = None
    people_received: Received | None = None
    heartbeats: Mapping[str, Received] = field(default_factory=dict)
    emergency_stop: bool = False


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing the gate noticed."""

    level: Level
    reason: Reason
    text: str


@dataclass(frozen=True, slots=True)
class GateDecision:
    """What goes to the base. `limited` when it differs from the command asked for."""

    twist: Twist2
    level: Level
    reason: Reason
    text: str
    limited: bool


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the robot must be able to stop for, in the base frame.

    `obstacles` (M, 2); `people` (N, 2) with `reach` (N,) [m], the distance of centres to keep, and
    `closing` (N,) [m/s], their speed towards the robot.
    """

    obstacles: FloatArray
    people: FloatArray
    reach: FloatArray
    closing: FloatArray


NOTHING = Surroundings(np.zeros((0, 2)), np.zeros((0, 2)), np.zeros(0), np.zeros(0))
_PASS = Finding(Level.PASS, Reason.PASS, "The command goes through unchanged.")


class Gate:
    """Holds what was sent last; everything else comes in with each step."""

    def __init__(self, config: GateConfig | None = None) -> None:
        self.config = config or GateConfig()
        self._last = Twist2()
        self._braking = 0.0  # deceleration reached so far in a soft stop [m/s^2]
        self._steady: float | None = None

    def step(self, inputs: GateInputs, clock: Clock) -> GateDecision:
        """Decide what goes to the base now; call at a steady rate of 20 Hz or more."""
        c, dt = self.config, self._elapsed(clock)
        fault = worst(faults(inputs, clock, c))
        around, blind = surroundings(inputs, clock, c)
        asked = inputs.command if inputs.command is not None else Twist2()
        if fault.level is Level.EMERGENCY:
            return self._send(Twist2(), asked, [fault])
        found = [fault]
        target = Twist2()
        if fault.level < Level.SOFT:
            target, more = limited(asked, around, blind, c)
            found += more
        out = self._ramp(target, fault.level, dt)
        if fault.level < Level.SOFT and _differs(out, target):
            found.append(
                Finding(Level.LIMIT, Reason.ACCELERATION, "The command changes faster than allowed.")
            )
        clear, reason = self._keep_clear(out, around, dt)
        if reason is not None:
            found.insert(0, reason)  # of the limits it binds most
        return self._send(clear, asked, found)

    def stop(self) -> GateDecision:
        """Zero, for shutting down: the last thing to send."""
        text = "The gate is shutting down."
        return self._send(Twist2(), Twist2(), [Finding(Level.EMERGENCY, Reason.SHUTDOWN, text)])

    def _elapsed(self, clock: Clock) -> float:
        """Time since the last step, within [0, longest_step]; 0 at first and when time ran back."""
        now = clock.steady()
        gone = 0.0 if self._steady is None else now - self._steady
        self._steady = now
        return min(max(gone, 0.0), self.config.longest_step)

    def _ramp(self, target: Twist2, level: Level, dt: float) -> Twist2:
        """The step from the last output towards the target that accelerations allow."""
        c, last = self.config, self._last
        decel, yaw_decel = c.decel, c.yaw_accel
        if level is Level.HARD:
            decel, yaw_decel = c.hard_decel, c.hard_yaw_decel
        if level is Level.SOFT:
            # Braking builds up and eases out at `jerk`; the floor ends the tail.
            ease = max(math.sqrt(2.0 * c.jerk * abs(last.vx)), 0.2 * c.decel)
            self._braking = min(c.decel, self._braking + c.jerk * dt, ease)
            decel = self._braking
        else:
            self._braking = 0.0
        v = approach(last.vx, target.vx, c.accel * dt, decel * dt)
        return Twist2(v, 0.0, approach(last.wz, target.wz, c.yaw_accel * dt, yaw_decel * dt))

    def _keep_clear(self, out: Twist2, around: Surroundings, dt: float) -> tuple[Twist2, Finding | None]:
        """Slow `out` until the robot could stop in time; turning goes on as asked."""
        c, last = self.config, self._last
        cap, finding = stopping_cap(out, around, c)
        if abs(out.vx) <= cap:
            return out, None
        slow = next(
            v
            for v in (cap, 0.75 * cap, 0.5 * cap, 0.25 * cap, 0.0)
            if v <= stopping_cap(Twist2(math.copysign(v, out.vx), 0.0, out.wz), around, c)[0]
        )
        least = abs(last.vx) - c.hard_decel * dt
        if slow >= least:
            return Twist2(math.copysign(slow, out.vx) if slow > 0.0 else 0.0, 0.0, out.wz), finding
        # Too sudden for that: brake on the arc driven now, which was found clear when it was chosen.
        share = least / abs(last.vx)
        return Twist2(last.vx * share, 0.0, last.wz * share), finding

    def _send(self, twist: Twist2, asked: Twist2, found: list[Finding]) -> GateDecision:
        if not (math.isfinite(twist.vx) and math.isfinite(twist.wz)):
            twist = Twist2()  # cannot happen; if it does, stand
        self._last = twist
        finding = worst(found)
        changed = _differs(twist, asked) or asked.vy != 0.0
        return GateDecision(twist, finding.level, finding.reason, finding.text, changed)


def faults(inputs: GateInputs, clock: Clock, c: GateConfig) -> list[Finding]:
    """Everything that must stop the robot, whatever the command says."""
    found = []
    if inputs.emergency_stop:
        found.append(Finding(Level.EMERGENCY, Reason.EMERGENCY_STOP, "The emergency stop is pressed."))
    found += _scan_faults(inputs, clock, c) + _odometry_faults(inputs, clock, c)
    for name in c.heartbeats:
        if why := staleness(inputs.heartbeats.get(name), clock, c.heartbeat_timeout):
            found.append(Finding(Level.SOFT, Reason.HEARTBEAT, f"No sign of life from '{name}': {why}."))
    if inputs.command is not None and not _finite(inputs.command):
        found.append(Finding(Level.SOFT, Reason.COMMAND_NOT_FINITE, "The command holds NaN or infinity."))
    why = staleness(inputs.command_received, clock, c.command_timeout)
    if why or inputs.command is None:
        found.append(Finding(Level.SOFT, Reason.COMMAND_STALE, f"No current command: {why or 'empty'}."))
    return found


def _scan_faults(inputs: GateInputs, clock: Clock, c: GateConfig) -> list[Finding]:
    why = staleness(inputs.scan_received, clock, c.scan_timeout)
    if why or inputs.scan is None:
        return [Finding(Level.HARD, Reason.SCAN_STALE, f"No current scan: {why or 'empty'}.")]
    _, invalid = scan_points(inputs.scan, inputs.sensor, c.body)
    if invalid > c.most_invalid:
        text = f"{100.0 * invalid:.0f} % of the scan's beams are invalid."
        return [Finding(Level.HARD, Reason.SCAN_INVALID, text)]
    return []


def _odometry_faults(inputs: GateInputs, clock: Clock, c: GateConfig) -> list[Finding]:
    why = staleness(inputs.odometry_received, clock, c.odometry_timeout)
    if why or inputs.odometry is None:
        return [Finding(Level.SOFT, Reason.ODOM_STALE, f"No current odometry: {why or 'empty'}.")]
    if not (np.isfinite(inputs.odometry.pose.array()).all() and _finite(inputs.odometry.twist)):
        return [Finding(Level.SOFT, Reason.ODOM_INVALID, "The odometry holds NaN or infinity.")]
    speed = abs(inputs.odometry.twist.vx)
    if speed > c.max_speed + c.overspeed:
        return [Finding(Level.SOFT, Reason.OVERSPEED, f"The base moves at {speed:.2f} m/s.")]
    return []


def surroundings(inputs: GateInputs, clock: Clock, c: GateConfig) -> tuple[Surroundings, str | None]:
    """What is around the robot, and why people cannot be told (None when they can)."""
    obstacles = NOTHING.obstacles
    if inputs.scan is not None and staleness(inputs.scan_received, clock, c.scan_timeout) is None:
        obstacles, _ = scan_points(inputs.scan, inputs.sensor, c.body)
    why = staleness(inputs.people_received, clock, c.people_timeout)
    if why or inputs.people is None:
        return Surroundings(obstacles, NOTHING.people, NOTHING.reach, NOTHING.closing), why or "empty"
    placed = people_on_base(inputs.people, inputs.odometry)
    if placed is None:
        why = f"they are in frame '{inputs.people.frame_id}'"
        return Surroundings(obstacles, NOTHING.people, NOTHING.reach, NOTHING.closing), why
    at, velocity = placed
    radii = inputs.people.radii()
    sane = np.isfinite(at).all(axis=1) & np.isfinite(velocity).all(axis=1) & np.isfinite(radii)
    at, velocity, radii = at[sane], velocity[sane], radii[sane]
    away = np.maximum(np.hypot(at[:, 0], at[:, 1]), 1e-6)
    closing = np.clip(-np.einsum("ij,ij->i", at, velocity) / away, 0.0, c.fastest_person) + 0.0
    around = Surroundings(obstacles, at, c.radius + c.person_margin + np.clip(radii, 0.1, 1.0), closing)
    return around, None if sane.all() else "some positions are not finite"


def people_on_base(people: People, odometry: Odometry | None) -> tuple[FloatArray, FloatArray] | None:
    """Positions and velocities (N, 2) on the base's axes; None when the frame cannot be resolved."""
    if odometry is None:
        return None
    if people.frame_id == odometry.child_frame_id:
        return people.positions(), people.velocities()
    if people.frame_id != odometry.frame_id or not np.isfinite(odometry.pose.array()).all():
        return None
    turn = rotation2(odometry.pose.yaw)
    with np.errstate(invalid="ignore"):  # infinities are sorted out by the caller
        return (people.positions() - odometry.pose.xy) @ turn, people.velocities() @ turn


def limited(
    asked: Twist2, around: Surroundings, blind: str | None, c: GateConfig
) -> tuple[Twist2, list[Finding]]:
    """The command within the limits for speed and for being near people, and what was found."""
    found = []
    forward = c.max_speed
    if blind is not None and c.people_expected:
        text = f"People are not known ({blind}): slow."
        forward = min(forward, c.blind_speed)
        found.append(Finding(Level.LIMIT, Reason.PEOPLE_STALE, text))
    gap = np.hypot(around.people[:, 0], around.people[:, 1]) - (around.reach - c.person_margin)
    beside = around.people[:, 0] * math.copysign(1.0, asked.vx) > -c.radius
    if bool((beside & (gap < c.person_slow_gap)).any()):
        forward = min(forward, c.person_speed)
        found.append(Finding(Level.LIMIT, Reason.PERSON_NEAR, "A person is near: slow."))
    fastest = forward if asked.vx >= 0.0 else min(forward, c.max_reverse)
    share = min(1.0, _ratio(fastest, asked.vx), _ratio(c.max_yaw_rate, asked.wz))
    if share >= 1.0:
        return Twist2(asked.vx, 0.0, asked.wz), []
    if not found:
        found.append(Finding(Level.LIMIT, Reason.SPEED_LIMIT, "The command is above the robot's limits."))
    return Twist2(asked.vx * share, 0.0, asked.wz * share), found


def stopping_cap(twist: Twist2, around: Surroundings, c: GateConfig) -> tuple[float, Finding]:
    """Greatest speed on the arc of `twist` from which the robot stops in time, and what is in the way."""
    free = free_distance(around.obstacles, twist.vx, twist.wz, c.radius + c.margin)
    nearest = float(free.min(initial=np.inf))
    cap = float(stopping_speed(np.array(nearest), c.decel, c.reaction, 0.0))
    finding = Finding(Level.LIMIT, Reason.OBSTACLE, f"An obstacle is {nearest:.2f} m ahead.")
    if len(around.people) == 0:
        return cap, finding
    free = free_distance(around.people, twist.vx, twist.wz, around.reach)
    caps = stopping_speed(free, c.decel, c.reaction, around.closing)
    who = int(np.argmin(caps))
    if caps[who] < cap:
        text = f"A person is {free[who]:.2f} m ahead, coming at {around.closing[who]:.1f} m/s."
        return float(caps[who]), Finding(Level.LIMIT, Reason.PERSON, text)
    return cap, finding


def approach(now: float, target: float, rise: float, fall: float) -> float:
    """Move from `now` to `target`: |value| grows by at most `rise`, shrinks by at most `fall`."""
    if now == 0.0:
        return min(max(target, -rise), rise)
    size, aim = abs(now), target if now > 0.0 else -target  # aim < 0: first to zero
    size = min(size + rise, aim) if aim > size else max(size - fall, aim, 0.0)
    return math.copysign(size, now) if size > 0.0 else 0.0


def worst(found: list[Finding]) -> Finding:
    """The strictest finding; of equals the first."""
    return max(found, key=lambda f: f.level, default=_PASS)


def _ratio(limit: float, value: float) -> float:
    return limit / abs(value) if abs(value) > limit else 1.0


def _finite(twist: Twist2) -> bool:
    return math.isfinite(twist.vx) and math.isfinite(twist.vy) and math.isfinite(twist.wz)


def _differs(a: Twist2, b: Twist2) -> bool:
    """True also when either is not a number."""
    return not (abs(a.vx - b.vx) <= 1e-9 and abs(a.wz - b.wz) <= 1e-9)
