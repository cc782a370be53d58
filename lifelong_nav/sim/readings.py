"""What goes into a simulation and what comes out of it, as values."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from lifelong_nav.core.config import param
from lifelong_nav.core.types import (
    FloatArray,
    LaserScan,
    Odometry,
    People,
    Pose2,
    Pose3,
    TrackedPerson,
    Twist2,
)
from lifelong_nav.sim.contacts import Contact
from lifelong_nav.sim.crowd.state import CrowdState
from lifelong_nav.sim.lidar import LidarConfig
from lifelong_nav.sim.render import RgbdFrame
from lifelong_nav.sim.robot import BaseConfig
from lifelong_nav.sim.sensors import ImuSample, MotionSensorConfig


@dataclass(frozen=True)
class SimConfig:
    """Rates, sensors and drive of a simulation."""

    tick: float = param(0.05, "s", 0.01, 0.2, "People, contacts and sensor deadlines advance by this.")
    physics_rate: float = param(240.0, "Hz", 60.0, 2000.0, "Physics steps per second.")
    imu_rate: float = param(60.0, "Hz", 5.0, 1000.0, "Inertial samples and wheel control per second.")
    lidar_mode: str = param(
        "exact", doc="Rays through the physics world, or plane geometry.", choices=("exact", "fast")
    )
    lidar_beams: int = param(360, "", 8, 4000, "Beams per scan.")
    scan_rate: float = param(10.0, "Hz", 0.0, 100.0, "Scans per second, at most one per tick; 0 for none.")
    lidar_range: float = param(12.0, "m", 0.5, 100.0, "Greatest range.")
    renderer: str = param(
        "auto", doc="Who draws the camera's pictures.", choices=("auto", "gl", "tiny", "off")
    )
    camera_rate: float = param(
        10.0, "Hz", 0.0, 100.0, "Pictures per second, at most one per tick; 0 for none."
    )
    camera_width: int = param(320, "px", 1, 4096, "Columns.")
    camera_height: int = param(240, "px", 1, 4096, "Rows.")
    camera_fov: float = param(70.0, "deg", 10.0, 150.0, "Horizontal field of view.")
    noise: float = param(1.0, "", 0.0, 10.0, "Factor on the noise of all sensors; 0 for none.")
    max_speed: float = param(1.2, "m/s", 0.0, 3.0, "Fastest forward speed of the drive.")
    max_turn: float = param(2.0, "rad/s", 0.0, 6.0, "Fastest turn of the drive.")
    acceleration: float = param(1.2, "m/s^2", 0.05, 10.0, "Forward acceleration of the drive.")
    turn_acceleration: float = param(3.0, "rad/s^2", 0.05, 30.0, "Angular acceleration of the drive.")
    wheel_torque: float = param(5.0, "Nm", 0.1, 100.0, "Greatest torque of each wheel.")
    watchdog: float = param(0.5, "s", 0.05, 10.0, "Without a command for so long the base stops.")

    def lidar(self) -> LidarConfig:
        """The planar lidar."""
        return LidarConfig(
            mode=self.lidar_mode, beams=self.lidar_beams, rate=self.scan_rate, range_max=self.lidar_range
        )

    def motion(self) -> MotionSensorConfig:
        """Inertial unit and encoders."""
        return MotionSensorConfig()

    def base(self) -> BaseConfig:
        """The drive."""
        return BaseConfig(
            self.max_speed,
            self.max_turn,
            self.acceleration,
            self.turn_acceleration,
            self.wheel_torque,
            self.watchdog,
        )


@dataclass(frozen=True, slots=True)
class RgbdReading:
    """A picture: `frame` with the sensor's noise (ids are true), `pose` of `camera_optical` in the map."""

    stamp: float
    frame: RgbdFrame
    pose: Pose3


@dataclass(frozen=True, slots=True)
class Sensed:
    """What the robot's sensors gave in one tick; None where nothing was due.

    `imu` holds all samples of the tick, oldest first; joint arrays (J,) in rad, m and per second.
    """

    stamp: float
    odometry: Odometry
    imu: tuple[ImuSample, ...]
    joint_names: tuple[str, ...]
    joint_positions: FloatArray
    joint_velocities: FloatArray
    contacts: tuple[Contact, ...] = ()
    scan: LaserScan | None = None
    rgbd: RgbdReading | None = None


@dataclass(frozen=True, slots=True)
class Truth:
    """Where everything really is, in frame `map`; for scoring, never for driving.

    `doors`: opening [rad] by name; `objects`: (4, 4) centre pose by name; `payload` [kg].
    """

    stamp: float
    robot_pose: Pose2
    robot_twist: Twist2
    people: People
    doors: dict[str, float] = field(default_factory=dict)
    objects: dict[str, FloatArray] = field(default_factory=dict)
    payload: float = 0.0


def empty_crowd() -> CrowdState:
    """Nobody."""
    none, flat = np.zeros(0), np.zeros((0, 2))
    ids = np.zeros(0, dtype=np.int64)
    return CrowdState(ids, flat, flat, none, none, ids, np.zeros(0, dtype=bool))


def truth_people(stamp: float, crowd: CrowdState) -> People:
    """Those who are present, as tracked people in `map` without uncertainty."""
    sure = np.eye(4) * 1e-6
    people = [
        TrackedPerson(
            int(crowd.ids[i]), float(crowd.positions[i, 0]), float(crowd.positions[i, 1]),
            float(crowd.velocities[i, 0]), float(crowd.velocities[i, 1]), sure, int(crowd.groups[i]),
            1.0, stamp, float(crowd.radii[i]),
        )
        for i in np.flatnonzero(crowd.present)
    ]  # fmt: skip
    return People(stamp, "map", tuple(people))
