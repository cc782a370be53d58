"""The gate's limits. All are fixed once the node is configured."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from lifelong_nav.core.config import param

_fixed = partial(param, read_only=True)


@dataclass(frozen=True)
class GateConfig:
    """Parameters of `Gate`: speeds, braking, distances, timeouts."""

    max_speed: float = _fixed(0.8, "m/s", 0.05, 1.5, "Fastest forward speed let through.")
    max_reverse: float = _fixed(0.3, "m/s", 0.0, 1.0, "Fastest backward speed let through.")
    max_yaw_rate: float = _fixed(1.5, "rad/s", 0.1, 3.0, "Fastest turn let through.")
    accel: float = _fixed(1.0, "m/s^2", 0.1, 5.0, "Greatest growth of speed.")
    decel: float = _fixed(1.5, "m/s^2", 0.1, 5.0, "Braking that stopping distances count on.")
    hard_decel: float = _fixed(5.0, "m/s^2", 0.1, 10.0, "Braking when blind or cut off; at least `decel`.")
    jerk: float = _fixed(10.0, "m/s^3", 1.0, 100.0, "How fast braking builds up and eases in a soft stop.")
    yaw_accel: float = _fixed(4.0, "rad/s^2", 0.1, 20.0, "Greatest change of yaw rate.")
    hard_yaw_decel: float = _fixed(10.0, "rad/s^2", 0.1, 50.0, "Braking of a turn when blind.")
    radius: float = _fixed(0.27, "m", 0.05, 1.0, "Radius of the disc that holds the robot.")
    body: float = _fixed(0.15, "m", 0.0, 1.0, "Scan points this near to the centre are the robot's own.")
    margin: float = _fixed(0.05, "m", 0.0, 1.0, "Gap to obstacles in which the robot must come to a stop.")
    person_margin: float = _fixed(0.10, "m", 0.0, 2.0, "Gap to people in which the robot must stop.")
    person_slow_gap: float = _fixed(0.40, "m", 0.0, 5.0, "Nearer to a person than this, drive slowly.")
    person_speed: float = _fixed(0.5, "m/s", 0.05, 1.5, "That slow speed.")
    fastest_person: float = _fixed(1.5, "m/s", 0.0, 5.0, "Approach speeds of people are believed up to this.")
    reaction: float = _fixed(0.2, "s", 0.0, 2.0, "From seeing to braking: scan period, transport, base.")
    command_timeout: float = _fixed(0.3, "s", 0.05, 5.0, "Age at which a command is stale.")
    scan_timeout: float = _fixed(0.3, "s", 0.05, 5.0, "Age at which a scan is stale.")
    most_invalid: float = _fixed(0.5, "", 0.0, 1.0, "Share of invalid beams above which a scan is broken.")
    odometry_timeout: float = _fixed(0.3, "s", 0.05, 5.0, "Age at which odometry is stale.")
    people_timeout: float = _fixed(0.6, "s", 0.05, 5.0, "Age at which tracked people are stale.")
    people_expected: bool = _fixed(True, doc="Drive slowly while people are not known.")
    blind_speed: float = _fixed(0.4, "m/s", 0.0, 1.5, "Fastest speed while people are not known.")
    overspeed: float = _fixed(0.4, "m/s", 0.05, 5.0, "Measured speed above `max_speed` that stops the robot.")
    heartbeats: list[str] = param(["controller"], doc="Nodes that must show signs of life.", read_only=True)
    heartbeat_timeout: float = _fixed(0.5, "s", 0.1, 10.0, "Age at which a node counts as dead.")
    longest_step: float = _fixed(0.1, "s", 0.01, 1.0, "Longer pauses between steps count as this long.")
