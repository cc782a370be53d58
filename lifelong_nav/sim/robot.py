"""The robot's body in PyBullet: wheels under torque limits, arm, lift and head under position control.

The base moves only by its wheels' grip, so it slips, is slowed by payload and slides back on slopes.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pybullet as p

from lifelong_nav.core.config import param
from lifelong_nav.core.errors import ConfigError, SimError
from lifelong_nav.core.geometry import rpy_to_xyzw
from lifelong_nav.core.types import FloatArray, Pose2, Twist2
from lifelong_nav.sim.physics import ARM as ARM_GROUP
from lifelong_nav.sim.physics import BASE, DOOR, OBJECT, PERSON, STATIC, World
from lifelong_nav.sim.robot_urdf import (
    ARM,
    FINGERS,
    LIFT,
    PAN,
    POSITION_JOINTS,
    TILT,
    TRAVEL,
    WHEEL_RADIUS,
    WHEEL_SEPARATION,
    WHEELS,
    robot_urdf,
)  # fmt: skip


@dataclass(frozen=True)
class BaseConfig:
    """Drive of the base."""

    max_speed: float = param(1.2, "m/s", 0.0, 3.0, "Fastest forward or backward speed of the drive.")
    max_turn: float = param(2.0, "rad/s", 0.0, 6.0, "Fastest turn of the drive.")
    acceleration: float = param(1.2, "m/s^2", 0.05, 10.0, "Change of the forward setpoint per second.")
    turn_acceleration: float = param(3.0, "rad/s^2", 0.05, 30.0, "Change of the turn setpoint per second.")
    wheel_torque: float = param(5.0, "Nm", 0.1, 100.0, "Greatest torque of each wheel's motor.")
    watchdog: float = param(0.5, "s", 0.05, 10.0, "Without a command for so long the base stops.")


@dataclass(frozen=True, slots=True)
class BaseState:
    """The base's frame in the world: `position` (3,), `rotation` (3, 3), velocities (3,) in the world."""

    position: FloatArray
    rotation: FloatArray
    velocity: FloatArray
    spin: FloatArray

    @property
    def pose(self) -> Pose2:
        """Planar pose."""
        yaw = float(np.arctan2(self.rotation[1, 0], self.rotation[0, 0]))
        return Pose2(float(self.position[0]), float(self.position[1]), yaw)

    @property
    def twist(self) -> Twist2:
        """Planar velocity in the body frame."""
        v, w = self.rotation.T @ self.velocity, self.rotation.T @ self.spin
        return Twist2(float(v[0]), float(v[1]), float(w[2]))

    @property
    def transform(self) -> FloatArray:
        """(4, 4)."""
        out = np.eye(4)
        out[:3, :3], out[:3, 3] = self.rotation, self.position
        return out


HOME: dict[str, float] = {
    **dict(zip(ARM, TRAVEL, strict=True)), LIFT: 0.0, PAN: 0.0, TILT: 0.25,
    FINGERS[0]: 0.04, FINGERS[1]: 0.04,
}  # fmt: skip
"""Joint positions at the start: arm folded, gripper open, head a little down."""

_FORCES = {LIFT: 800.0, PAN: 10.0, TILT: 10.0, FINGERS[0]: 40.0, FINGERS[1]: 40.0}
_SPEEDS = {LIFT: 0.12, PAN: 1.5, TILT: 1.5, FINGERS[0]: 0.1, FINGERS[1]: 0.1}
_ARM_FORCE, _ARM_SPEED = 87.0, 1.2


def _standing(world: World, start: Pose2) -> tuple[tuple[float, float, float], list[float]]:
    """Position and quaternion of the base on the floor at `start`, ramps minded."""
    c, s, d = float(np.cos(start.yaw)), float(np.sin(start.yaw)), 0.2
    spots = ((c * d, s * d), (-c * d, -s * d), (-s * d, c * d), (s * d, -c * d))
    front, back, left, right = (world.floor_height(start.x + x, start.y + y) for x, y in spots)
    pitch, roll = -float(np.arctan2(front - back, 2 * d)), float(np.arctan2(left - right, 2 * d))
    height = max((front + back) / 2.0, (left + right) / 2.0, world.floor_height(start.x, start.y))
    return (start.x, start.y, height + 0.001), rpy_to_xyzw(roll, pitch, start.yaw).tolist()


class Robot:
    """The robot in a world.

    Args:
        world: where it stands.
        start: planar pose of `base_link`.
        config: drive limits.
    """

    def __init__(self, world: World, start: Pose2, config: BaseConfig) -> None:
        self.config = config
        self._c = c = world.client
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "robot.urdf"
            file.write_text(robot_urdf(), encoding="utf-8")
            at, turn = _standing(world, start)
            self.body: int = p.loadURDF(str(file), at, turn, physicsClientId=c)
        if self.body < 0:
            raise SimError("PyBullet refused the robot model.", "Reinstall pybullet.")
        info = [p.getJointInfo(self.body, j, physicsClientId=c) for j in range(p.getNumJoints(self.body, c))]
        self.joints: dict[str, int] = {i[1].decode(): i[0] for i in info}
        self.links: dict[str, int] = {"base_link": -1, **{i[12].decode(): i[0] for i in info}}
        self.link_names: dict[int, str] = {v: k for k, v in self.links.items()}
        self._limits = {i[1].decode(): (i[8], i[9]) for i in info if i[1].decode() in POSITION_JOINTS}
        self._com = np.array(p.getDynamicsInfo(self.body, -1, physicsClientId=c)[3])
        self._wheels = [self.joints[w] for w in WHEELS]
        self._moving = [self.joints[j] for j in (*WHEELS, *POSITION_JOINTS)]
        self._wear = np.ones(2)
        self._setpoint = np.zeros(2)
        self.goal = np.zeros(2)
        self.targets: dict[str, float] = {}
        self.payload = 0.0
        self._dress()
        for name, value in HOME.items():
            p.resetJointState(self.body, self.joints[name], value, physicsClientId=c)
        self.set_targets(HOME)
        self.control(0.0)

    def command(self, twist: Twist2) -> None:
        """Wanted base velocity, cut to the drive's limits; holds until the next one."""
        v, w = self.config.max_speed, self.config.max_turn
        self.goal = np.array([min(max(twist.vx, -v), v), min(max(twist.wz, -w), w)])

    def control(self, dt: float) -> None:
        """Let the wheels' setpoints move on by `dt` [s] within the acceleration limits."""
        limit = np.array([self.config.acceleration, self.config.turn_acceleration]) * dt
        self._setpoint += np.clip(self.goal - self._setpoint, -limit, limit)
        v, half = self._setpoint[0], self._setpoint[1] * WHEEL_SEPARATION / 2.0
        # A worn wheel is the full wheel turning slower: same path per turn of the worn one.
        rates = np.array([v - half, v + half]) / WHEEL_RADIUS * self._wear
        p.setJointMotorControlArray(
            self.body, self._wheels, p.VELOCITY_CONTROL, targetVelocities=rates.tolist(),
            forces=(self.config.wheel_torque / self._wear).tolist(), physicsClientId=self._c,
        )  # fmt: skip

    def set_targets(self, targets: Mapping[str, float]) -> None:
        """New position targets [rad, m] by joint name; joints not named keep theirs.

        Raises:
            ConfigError: unknown joint, or a target that is not finite. Targets beyond a joint's limits
                are cut to them.
        """
        for name, value in targets.items():
            if name not in self._limits:
                known = ", ".join(POSITION_JOINTS)
                raise ConfigError(f"The robot has no joint '{name}' to position.", f"Known: {known}.")
            if not np.isfinite(value):
                raise ConfigError(f"Target {value} of '{name}' is not finite.", "Send a number.")
            low, high = self._limits[name]
            self.targets[name] = min(max(float(value), low), high)
            p.setJointMotorControl2(
                self.body, self.joints[name], p.POSITION_CONTROL, targetPosition=self.targets[name],
                force=_FORCES.get(name, _ARM_FORCE), maxVelocity=_SPEEDS.get(name, _ARM_SPEED),
                positionGain=0.3, velocityGain=1.0, physicsClientId=self._c,
            )  # fmt: skip

    def set_payload(self, mass: float) -> None:
        """Load on the deck [kg].

        Raises:
            ConfigError: outside [0, 200].
        """
        if not 0.0 <= mass <= 200.0:
            raise ConfigError(f"A payload of {mass} kg is impossible.", "Give 0 to 200 kg.")
        self.payload = mass
        inertia = max(mass, 0.01) * 0.01
        p.changeDynamics(
            self.body, self.links["payload"], mass=max(mass, 0.01), localInertiaDiagonal=(inertia,) * 3,
            physicsClientId=self._c,
        )  # fmt: skip

    def set_wheel_wear(self, left: float, right: float) -> None:
        """Radius of the wheels over their nominal radius, 1 for new.

        Raises:
            ConfigError: outside [0.5, 1.5].
        """
        if not (0.5 <= left <= 1.5 and 0.5 <= right <= 1.5):
            raise ConfigError(f"Wheel wear {left}, {right} is impossible.", "Give 0.5 to 1.5.")
        self._wear = np.array([left, right])

    def state(self) -> BaseState:
        """Where `base_link` is and how it moves."""
        position, quaternion = p.getBasePositionAndOrientation(self.body, physicsClientId=self._c)
        linear, angular = p.getBaseVelocity(self.body, physicsClientId=self._c)
        rotation = np.array(p.getMatrixFromQuaternion(quaternion)).reshape(3, 3)
        arm = rotation @ -self._com
        (ax, ay, az), (wx, wy, wz) = arm.tolist(), angular
        # velocity of the frame's origin: that of the centre of mass plus spin x arm (np.cross is slow)
        swing = (wy * az - wz * ay, wz * ax - wx * az, wx * ay - wy * ax)
        velocity = np.array(linear) + swing
        return BaseState(np.array(position) + arm, rotation, velocity, np.array(angular))

    def wheel_angles(self) -> FloatArray:
        """(2,) angle [rad] of the left and right wheel of the model, all turns counted."""
        return np.array([s[0] for s in p.getJointStates(self.body, self._wheels, physicsClientId=self._c)])

    @property
    def wear(self) -> FloatArray:
        """(2,) wheel radius over nominal."""
        return self._wear

    def joint_states(self) -> tuple[tuple[str, ...], FloatArray, FloatArray]:
        """Names, positions (J,) and velocities (J,) of wheels, lift, arm, fingers and head."""
        states = p.getJointStates(self.body, self._moving, physicsClientId=self._c)
        return (
            (*WHEELS, *POSITION_JOINTS), np.array([s[0] for s in states]), np.array([s[1] for s in states]),
        )  # fmt: skip

    def link_transforms(self) -> FloatArray:
        """(L + 1, 4, 4) world transforms of `base_link` and then all links in order of their index."""
        states = p.getLinkStates(
            self.body, range(len(self.links) - 1), computeForwardKinematics=1, physicsClientId=self._c
        )
        out = np.zeros((len(states) + 1, 4, 4))
        out[0] = self.state().transform
        out[1:, :3, :3] = [np.reshape(p.getMatrixFromQuaternion(s[5]), (3, 3)) for s in states]
        out[1:, :3, 3] = [s[4] for s in states]
        out[1:, 3, 3] = 1.0
        return out

    def touches(self) -> list[tuple[int, int, tuple[float, float, float]]]:
        """Other body, own link and place of every contact now."""
        found = p.getContactPoints(bodyA=self.body, physicsClientId=self._c)
        return [(f[2], f[3], f[6]) for f in found]

    def numbers(self) -> FloatArray:
        """(K,) pose, velocity and joints, for hashing."""
        state = self.state()
        _, positions, velocities = self.joint_states()
        parts = (state.position, state.rotation.ravel(), state.velocity, state.spin, positions, velocities)
        return np.concatenate(parts)

    def _dress(self) -> None:
        """Contacts of every link; no motor but those that are used."""
        c, body = self._c, self.body
        for name, link in self.links.items():
            group = BASE if name == "base_link" else ARM_GROUP
            mask = STATIC | OBJECT | DOOR | (PERSON if group == BASE else 0)
            p.setCollisionFilterGroupMask(body, link, group, mask, physicsClientId=c)
            p.changeDynamics(
                body, link, lateralFriction=0.3, linearDamping=0.0, angularDamping=0.0, physicsClientId=c
            )
        # PyBullet multiplies frictions: with 1 on the wheels the floor's value is the product.
        for wheel in ("left_wheel", "right_wheel"):
            p.changeDynamics(
                body, self.links[wheel], lateralFriction=1.0, jointDamping=0.02, physicsClientId=c
            )
        # Rigid casters would lift the wheels off at the foot of a ramp: these are sprung, soft enough for
        # ramps up to 0.1 rad and stiff enough to brake level within about a degree.
        for caster in ("front_caster", "rear_caster"):
            p.changeDynamics(
                body, self.links[caster], lateralFriction=0.0, contactStiffness=2.2e4, contactDamping=2.5e3,
                physicsClientId=c,
            )  # fmt: skip
        for finger in ("panda_leftfinger", "panda_rightfinger"):
            p.changeDynamics(
                body,
                self.links[finger],
                lateralFriction=1.5,
                spinningFriction=0.1,
                frictionAnchor=1,
                physicsClientId=c,
            )
        for joint in self.joints.values():
            if p.getJointInfo(body, joint, physicsClientId=c)[2] != p.JOINT_FIXED:
                p.setJointMotorControl2(body, joint, p.VELOCITY_CONTROL, force=0.0, physicsClientId=c)
        p.changeDynamics(body, -1, activationState=p.ACTIVATION_STATE_DISABLE_SLEEPING, physicsClientId=c)
