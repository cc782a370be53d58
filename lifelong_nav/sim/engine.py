"""The simulation: building, robot, people and sensors advance together, tick by tick.

    with Simulation(scene, crowd, SimConfig(), seed=1) as sim:
        sim.command(Twist2(0.5))
        sensed = sim.step()

Pure and clock-driven: nothing here sleeps, prints or reads a clock; the same seed and commands give
the same bits in any process. To start over, build a new one (PyBullet's saved states are not exact).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from types import TracebackType

import numpy as np

from lifelong_nav.core.errors import ConfigError
from lifelong_nav.core.types import FloatArray, LaserScan, Pose2, Twist2
from lifelong_nav.sim import figures
from lifelong_nav.sim.contacts import Contact, ContactLog, Touch, people_touched
from lifelong_nav.sim.crowd.state import Crowd, CrowdState, RobotDisc
from lifelong_nav.sim.door_hands import DoorHands
from lifelong_nav.sim.eye import Eye
from lifelong_nav.sim.lidar import (
    door_slice,
    exact_ranges,
    fast_ranges,
    noisy_ranges,
    object_slice,
    static_slice,
)  # fmt: skip
from lifelong_nav.sim.people_bodies import PeopleBodies
from lifelong_nav.sim.physics import World
from lifelong_nav.sim.readings import RgbdReading, Sensed, SimConfig, Truth, empty_crowd, truth_people
from lifelong_nav.sim.robot import HOME, BaseState, Robot
from lifelong_nav.sim.robot_urdf import ARM, BASE_RADIUS, LIDAR_HEIGHT
from lifelong_nav.sim.scene import Scene
from lifelong_nav.sim.seeds import stream
from lifelong_nav.sim.sensors import Imu, ImuSample, WheelOdometry

_ARM_LINKS = ("panda_link3", "panda_link4", "panda_link5", "panda_link6", "panda_hand", "grasp_point")


class Simulation:
    """One run in one world.

    Args:
        scene: the building.
        crowd: who walks in it, None for nobody. Owned by the simulation from now on.
        config: rates, sensors, noise.
        seed: of all randomness of sensors and looks; >= 0.
        start: where the robot stands at first.

    Raises:
        ConfigError: rates that do not fit the tick.
        SimError: PyBullet or the wanted renderer does not work.
    """

    def __init__(
        self, scene: Scene, crowd: Crowd | None = None, config: SimConfig | None = None, seed: int = 0,
        start: Pose2 | None = None,
    ) -> None:  # fmt: skip
        self.scene, self.crowd, self.seed = scene, crowd, seed
        self.config = config = SimConfig() if config is None else config
        self._lidar, self._motion = config.lidar(), config.motion()
        self._controls = max(1, round(config.tick * config.imu_rate))
        self._dt = config.tick / self._controls
        substeps = max(1, round(config.physics_rate * self._dt))
        self.world = World(scene, self._dt, substeps)
        self.robot = Robot(self.world, Pose2() if start is None else start, config.base())
        self._ticks = 0
        self._crowd_state = empty_crowd() if crowd is None else crowd.state()
        self._gait = figures.new_gait(self._crowd_state, seed)
        self._bodies = PeopleBodies(self.world, self._crowd_state.radii)
        self._hands = DoorHands(scene)
        self._contacts = ContactLog()
        self._imu = Imu(self._motion, config.noise, seed)
        self._odometry = WheelOdometry(self._motion, self.robot.wheel_angles())
        self._scan_rng = stream(seed, "lidar")
        self._slice = static_slice(scene, LIDAR_HEIGHT)
        self._beams = self._lidar.angles()
        self._eye = Eye(scene, self.robot, config, seed) if config.renderer != "off" else None
        self._commanded, self._picture_due = -np.inf, False
        self._settle()

    @property
    def time(self) -> float:
        """Simulated seconds since the start."""
        return self._ticks * self.config.tick

    def command(self, twist: Twist2) -> None:
        """Base velocity wanted from now on; the base stops by itself when no command follows."""
        if not np.isfinite((twist.vx, twist.wz)).all():
            raise ConfigError(f"Command {twist} is not finite.", "Send numbers.")
        self._commanded = self.time
        self.robot.command(twist)

    def arm(self, targets: Mapping[str, float]) -> None:
        """Position targets [rad, m] by joint name: lift, arm, fingers, pan and tilt."""
        self.robot.set_targets(targets)

    def set_floor(self, name: str, friction: float) -> None:
        """Friction of a patch, or of the whole floor ("floor")."""
        self.world.set_friction(name, friction)

    def set_payload(self, mass: float) -> None:
        """Load on the robot's deck [kg]."""
        self.robot.set_payload(mass)

    def set_wheel_wear(self, left: float, right: float) -> None:
        """Wheel radii over nominal; the odometry does not know."""
        self.robot.set_wheel_wear(left, right)

    def set_door(self, name: str, angle: float) -> None:
        """Have a door turned by hand to `angle` [rad]; it is let go of when it arrives."""
        self._hands.turn(name, angle)

    def move_box(self, name: str, pose: Pose2) -> None:
        """Put furniture or an object elsewhere, upright and at its old height."""
        self.scene = self.world.move_box(name, pose)
        self._slice = static_slice(self.scene, LIDAR_HEIGHT)
        if self._eye is not None:  # furniture is part of what a renderer holds still
            self._eye.close()
            self._eye = Eye(self.scene, self.robot, self.config, self.seed)

    def step(self, picture: bool = True) -> Sensed:
        """Advance one tick and return what the sensors gave in it.

        Args:
            picture: draw the camera's picture when it is due; False leaves that to `picture`, so that a
                caller can hand out the quick readings first.
        """
        config, stop = self.config, self.time - self._commanded > self.config.watchdog
        if stop:
            self.robot.command(Twist2())
        state = self.robot.state()
        before = float(np.hypot(*state.velocity[:2]))
        self._move_people(state)
        imu, touches = self._run_physics()
        self._ticks += 1
        now = self.time
        state = self.robot.state()
        touches += self._touched_people(state)
        speed = max(before, float(np.hypot(*state.velocity[:2])))  # a wall takes it within the tick
        contacts = self._contacts.update(now, touches, speed)
        names, positions, velocities = self.robot.joint_states()
        self._picture_due = self._due(config.camera_rate)
        return Sensed(
            stamp=now,
            odometry=self._odometry.reading(now),
            imu=imu,
            joint_names=names,
            joint_positions=positions,
            joint_velocities=velocities,
            contacts=tuple(contacts),
            scan=self._scan(now, state) if self._due(config.scan_rate) else None,
            rgbd=self.picture() if picture else None,
        )

    def picture(self) -> RgbdReading | None:
        """The picture of this tick; None when none is due, it was taken already, or there is no camera."""
        if not self._picture_due or self._eye is None:
            return None
        self._picture_due = False
        return self._eye.look(self.time, self.world, self.robot, self._crowd_state, self._gait)

    def truth(self) -> Truth:
        """Where everything really is."""
        state = self.robot.state()
        objects = {
            self.world.bodies[b].name: pose
            for b, pose in zip(self.world.objects, self.world.object_transforms(), strict=True)
        }
        doors = {d.name: float(a) for d, a in zip(self.scene.doors, self.world.door_angles(), strict=True)}
        people = truth_people(self.time, self._crowd_state)
        return Truth(self.time, state.pose, state.twist, people, doors, objects, self.robot.payload)

    @property
    def people(self) -> CrowdState:
        """The crowd now, as its model sees it."""
        return self._crowd_state

    @property
    def gait(self) -> figures.GaitState:
        """The people's legs now, for further cameras."""
        return self._gait

    def movable_transforms(self) -> FloatArray:
        """(N, 4, 4) poses of what moves, in the order of `eye.all_movable_shapes`, for further cameras."""
        from lifelong_nav.sim.eye import movable_transforms

        return movable_transforms(self.world, self.robot)

    def state_hash(self) -> str:
        """sha256 of all poses, velocities, joints and people."""
        digest = hashlib.sha256()
        crowd = self._crowd_state
        for part in (
            self.world.numbers(),
            self.robot.numbers(),
            crowd.positions,
            crowd.velocities,
            crowd.headings,
        ):
            digest.update(np.ascontiguousarray(part, dtype=np.float64).tobytes())
        return digest.hexdigest()

    def close(self) -> None:
        """Free the worlds; safe to call twice."""
        if self._eye is not None:
            self._eye.close()
        self.world.close()

    def __enter__(self) -> Simulation:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _settle(self) -> None:
        """Let the robot sink into its springs before time begins."""
        self._bodies.place(self._crowd_state, self.robot.state().position[:2], BASE_RADIUS)
        for _ in range(round(0.5 / self._dt)):
            self.world.advance()
        self._odometry = WheelOdometry(self._motion, self.robot.wheel_angles())

    def _due(self, rate: float) -> bool:
        """True on the ticks at which a sensor of `rate` [Hz] fires."""
        if rate <= 0.0:
            return False
        period = 1.0 / (rate * self.config.tick)  # in ticks
        return int(self._ticks / period + 1e-6) != int((self._ticks - 1) / period + 1e-6)

    def _move_people(self, state: BaseState) -> None:
        if self.scene.doors:
            self._hands.update(self.world, self._crowd_state)
        if self.crowd is None:
            return
        at = state.position[:2].copy()
        self.crowd.step(self.config.tick, RobotDisc(at, state.velocity[:2].copy(), BASE_RADIUS))
        self._crowd_state = self.crowd.state()
        self._gait = figures.advance(self._gait, self._crowd_state, self.config.tick)
        self._bodies.place(self._crowd_state, at, BASE_RADIUS)

    def _run_physics(self) -> tuple[tuple[ImuSample, ...], list[Touch]]:
        imu, touches, start = [], {}, self.time
        for i in range(self._controls):
            self.robot.control(self._dt)
            self.world.advance()
            self._odometry.update(self.robot.wheel_angles(), self.robot.wear, self._dt)
            imu.append(self._imu.sample(start + (i + 1) * self._dt, self.robot.state(), self._dt))
            for body, link, at in self.robot.touches():
                known = self.world.bodies.get(body)
                if known is not None and known.kind not in ("floor", "patch"):
                    kind = {"furniture": "wall"}.get(known.kind, known.kind)
                    touches[body] = Touch(kind, known.name, np.array(at), self.robot.link_names[link])
        return tuple(imu), list(touches.values())

    def _touched_people(self, state: BaseState) -> list[Touch]:
        crowd = self._crowd_state
        if not crowd.present.any():
            return []
        gap = crowd.positions[crowd.present] - state.position[:2]
        if (gap * gap).sum(axis=1).min() > 1.5**2:
            return []
        folded = all(abs(self.robot.targets[j] - HOME[j]) < 0.05 for j in ARM)
        joints = None
        if not folded:
            rows = [self.robot.links[name] + 1 for name in _ARM_LINKS]
            joints = self.robot.link_transforms()[rows, :3, 3]
        return people_touched(crowd, state.position[:2], BASE_RADIUS, joints)

    def _scan(self, now: float, state: BaseState) -> LaserScan:
        config, crowd = self._lidar, self._crowd_state
        legs = figures.leg_positions(crowd, self._gait, self.seed, LIDAR_HEIGHT)
        sensor = state.transform
        sensor[:3, 3] += state.rotation[:, 2] * LIDAR_HEIGHT
        if config.mode == "exact":
            self._bodies.place_legs(legs, crowd.present)
            ranges = exact_ranges(self.world, sensor, self._beams, config.range_max)
        else:
            ranges = self._fast(sensor, state.pose.yaw, legs[crowd.present].reshape(-1, 2))
        ranges = noisy_ranges(ranges, config, self.config.noise, self._scan_rng)
        return LaserScan(
            now, "laser", config.angle_min, config.increment, config.range_min, config.range_max, ranges
        )

    def _fast(self, sensor: FloatArray, yaw: float, legs: FloatArray) -> FloatArray:
        loose, round_loose = object_slice(self.scene, self.world.object_transforms(), LIDAR_HEIGHT)
        doors = door_slice(self.scene, self.world.door_angles())
        circles = np.column_stack([legs, np.full(len(legs), figures.LEG_RADIUS)])
        return fast_ranges(
            sensor[:2, 3], self._lidar.angle_min + yaw, self._lidar.increment, self._lidar.beams,
            np.concatenate([self._slice[0], doors, loose]),
            np.concatenate([self._slice[1], round_loose, circles]),
            self._lidar.range_max,
        )  # fmt: skip


__all__ = ["Contact", "Sensed", "SimConfig", "Simulation", "Truth"]
