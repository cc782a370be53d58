"""The building as PyBullet bodies: walls, furniture, loose objects, floors, ramps, hinged doors.

One DIRECT client per world, several worlds per process. Made fast by four rules: loose objects sleep,
people are kinematic cylinders, passive joints carry no motor, people move at the engine's tick.

Collision groups (bits) keep rays and bodies apart: the group a ray belongs to is 1 (Bullet's
default), which no body uses; whatever the lidar shall see has bit 1 in its mask.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pybullet as p
from numpy.typing import NDArray

from lifelong_nav.core.errors import ConfigError, SimError
from lifelong_nav.core.geometry import pose3
from lifelong_nav.core.types import FloatArray, Pose2
from lifelong_nav.sim.door_urdf import door_urdf
from lifelong_nav.sim.scene import Box, Door, Scene
from lifelong_nav.sim.shapes import Shape, box_transform, patch_shape, wall_shapes

RAY, STATIC, OBJECT, DOOR, BASE, ARM, PERSON, LEG = (1 << i for i in range(8))
ROBOT = BASE | ARM
_ITERATIONS = 30  # of the contact solver; 50 costs a fifth more and moves the robot the same
_PATCH_TOP = 0.004  # a flat patch stands this far proud of the floor, or a little less [m]
FLOOR = "floor"
"""Name of the floor where no patch lies, for `set_friction`."""


@dataclass(frozen=True, slots=True)
class Body:
    """One PyBullet body. `kind`: floor, patch, wall, furniture, object, door; `index` in its scene list."""

    id: int
    kind: str
    name: str
    index: int


class World:
    """A scene in PyBullet.

    Args:
        scene: what to build.
        step: length of one `advance` [s].
        substeps: physics steps within it.

    Raises:
        SimError: PyBullet gives no client or refuses a body.
    """

    def __init__(self, scene: Scene, step: float = 1.0 / 60.0, substeps: int = 4) -> None:
        self.scene = scene
        self._substeps = substeps
        self.client: int = p.connect(p.DIRECT)
        if self.client < 0:
            raise SimError("PyBullet opens no further world.", "Close simulations that are not needed.")
        self.bodies: dict[int, Body] = {}
        self._by_name: dict[str, int] = {}
        c = self.client
        p.setGravity(0.0, 0.0, -9.81, physicsClientId=c)
        p.setPhysicsEngineParameter(
            fixedTimeStep=step / substeps, numSolverIterations=_ITERATIONS, deterministicOverlappingPairs=1,
            physicsClientId=c,
        )  # fmt: skip
        self._build_floor()
        for i, shape in enumerate(wall_shapes(scene.walls)):
            self._add_static(shape, "wall", f"wall_{i}", i)
        self.objects: list[int] = []
        for i, box in enumerate(scene.boxes):
            self._add_box(box, i)
        self.doors: list[int] = []
        with tempfile.TemporaryDirectory() as folder:
            for i, door in enumerate(scene.doors):
                self._add_door(door, i, Path(folder))

    def advance(self) -> None:
        """One step of `step` seconds."""
        # not numSubSteps: with it PyBullet grants every motor its force once per substep
        for _ in range(self._substeps):
            p.stepSimulation(physicsClientId=self.client)

    def close(self) -> None:
        """Free the client; safe to call twice."""
        if self.client >= 0:
            p.disconnect(self.client)
            self.client = -1

    def set_friction(self, name: str, friction: float) -> None:
        """Change the friction of a floor patch, a named box or door, or of the `FLOOR` itself.

        Raises:
            ConfigError: unknown name or a friction outside [0, 2].
        """
        if name not in self._by_name:
            known = ", ".join(sorted(self._by_name))
            raise ConfigError(f"There is no surface '{name}' in this world.", f"Known: {known}.")
        if not 0.0 <= friction <= 2.0:
            raise ConfigError(f"Friction {friction} of '{name}' is impossible.", "Give 0 to 2.")
        p.changeDynamics(self._by_name[name], -1, lateralFriction=friction, physicsClientId=self.client)

    def floor_height(self, x: float, y: float) -> float:
        """Height [m] of the floor at a spot; ramps rise above 0."""
        top = 0.0
        for patch in self.scene.floors:
            dx, dy, c, s = x - patch.x, y - patch.y, np.cos(patch.yaw), np.sin(patch.yaw)
            u, v = c * dx + s * dy, -s * dx + c * dy
            if abs(u) <= patch.length / 2.0 and abs(v) <= patch.width / 2.0:
                rise = (u + patch.length / 2.0) * np.tan(patch.slope) if patch.slope else _PATCH_TOP
                top = max(top, float(rise))
        return top

    def door_angles(self) -> FloatArray:
        """(D,) opening of every door [rad], 0 closed."""
        return np.array([p.getJointState(d, 0, physicsClientId=self.client)[0] for d in self.doors])

    def drive_door(self, index: int, speed: float, torque: float) -> None:
        """Turn a door by hand at `speed` [rad/s], with at most `torque` [Nm]; 0, 0 lets go of it."""
        door, body = self.scene.doors[index], self.doors[index]
        force = torque if torque > 0.0 else door.friction
        self._wake(body)
        p.setJointMotorControl2(
            body, 0, p.VELOCITY_CONTROL, targetVelocity=speed, force=force, physicsClientId=self.client
        )

    def move_box(self, name: str, pose: Pose2) -> Scene:
        """Put a box elsewhere at its old height; returns the scene as it is now.

        Raises:
            ConfigError: no box of that name.
        """
        index = next((i for i, box in enumerate(self.scene.boxes) if box.name == name), None)
        if index is None or not np.isfinite((pose.x, pose.y, pose.yaw)).all():
            raise ConfigError(f"Cannot move box '{name}' to {pose}.", "Name a box of the scene and a pose.")
        boxes = list(self.scene.boxes)
        boxes[index] = replace(boxes[index], x=pose.x, y=pose.y, yaw=pose.yaw)
        self.scene = replace(self.scene, boxes=tuple(boxes))
        body, at = self._by_name[name], box_transform(boxes[index])
        c = self.client
        p.resetBasePositionAndOrientation(body, at[:3, 3].tolist(), _quaternion(at), physicsClientId=c)
        if boxes[index].mass > 0.0:
            p.resetBaseVelocity(body, (0, 0, 0), (0, 0, 0), physicsClientId=c)
            self._wake(body)
        return self.scene

    def object_transforms(self) -> FloatArray:
        """(N, 4, 4) centre poses of the loose objects, in the scene's order."""
        return np.array([self.transform(body) for body in self.objects]).reshape(-1, 4, 4)

    def object_positions(self) -> FloatArray:
        """(N, 3) centres of the loose objects [m]."""
        rows = [p.getBasePositionAndOrientation(b, physicsClientId=self.client)[0] for b in self.objects]
        return np.array(rows, dtype=float).reshape(-1, 3)

    def transform(self, body: int) -> FloatArray:
        """(4, 4) pose of a body's centre of mass frame in the world."""
        position, quaternion = p.getBasePositionAndOrientation(body, physicsClientId=self.client)
        out = np.eye(4)
        out[:3, :3] = np.array(p.getMatrixFromQuaternion(quaternion)).reshape(3, 3)
        out[:3, 3] = position
        return out

    def wake_objects(self, which: Iterable[int]) -> None:
        """Wake loose objects (by index): a sleeping one does not notice a person walking into it."""
        for i in which:
            self._wake(self.objects[i])

    def add_kinematic(self, radius: float, height: float, group: int, mask: int) -> int:
        """An upright cylinder that is only ever placed; returns its body id."""
        c = self.client
        shape = p.createCollisionShape(p.GEOM_CYLINDER, radius=radius, height=height, physicsClientId=c)
        body = p.createMultiBody(0, shape, -1, (0, 0, -50.0), useMaximalCoordinates=1, physicsClientId=c)
        self.set_mask(body, -1, group, mask)
        return int(body)

    def place(
        self, body: int, x: float, y: float, z: float, velocity: tuple[float, float] = (0.0, 0.0)
    ) -> None:
        """Put a kinematic body somewhere, with the velocity its contacts feel."""
        c = self.client
        p.resetBasePositionAndOrientation(body, (x, y, z), (0, 0, 0, 1), physicsClientId=c)
        p.resetBaseVelocity(body, (*velocity, 0.0), (0, 0, 0), physicsClientId=c)

    def cast(self, starts: FloatArray, ends: FloatArray) -> FloatArray:
        """(N,) hit fraction in [0, 1] of rays (N, 3) to (N, 3); 1 where nothing is hit."""
        hits = p.rayTestBatch(
            starts.tolist(), ends.tolist(), numThreads=1, collisionFilterMask=STATIC | OBJECT | DOOR | LEG,
            physicsClientId=self.client,
        )  # fmt: skip
        return np.array([h[2] for h in hits])

    def set_mask(self, body: int, link: int, group: int, mask: int) -> None:
        """Collision group and mask of one link (-1: the base)."""
        p.setCollisionFilterGroupMask(body, link, group, mask, physicsClientId=self.client)

    def numbers(self) -> FloatArray:
        """(K,) all poses, velocities and joints of movable bodies, for hashing."""
        c, rows = self.client, []
        for body in self.objects:
            position, quaternion = p.getBasePositionAndOrientation(body, physicsClientId=c)
            linear, angular = p.getBaseVelocity(body, physicsClientId=c)
            rows += [*position, *quaternion, *linear, *angular]
        for body in self.doors:
            rows += p.getJointState(body, 0, physicsClientId=c)[:2]
        return np.array(rows, dtype=float)

    def _build_floor(self) -> None:
        c = self.client
        plane = p.createCollisionShape(p.GEOM_PLANE, physicsClientId=c)
        body = p.createMultiBody(0, plane, useMaximalCoordinates=1, physicsClientId=c)
        self._register(body, "floor", FLOOR, 0, self.scene.friction, STATIC)
        for i, patch in enumerate(self.scene.floors):
            body = self._add_static(patch_shape(patch, i), "patch", patch.name, i)
            p.changeDynamics(body, -1, lateralFriction=patch.friction, physicsClientId=c)

    def _add_static(self, shape: Shape, kind: str, name: str, index: int) -> int:
        body = self._create(shape, 0.0, shape.pose)
        self._register(body, kind, name, index, 0.6, STATIC)
        return body

    def _add_box(self, box: Box, index: int) -> None:
        shape = Shape("cylinder" if box.shape == "cylinder" else "box", box.size, box.colour, 0)
        body = self._create(shape, box.mass, box_transform(box))
        if box.mass == 0.0:
            self._register(body, "furniture", box.name, index, box.friction, STATIC)
            return
        self._register(body, "object", box.name, index, box.friction, OBJECT)
        p.changeDynamics(
            body, -1, rollingFriction=0.002, spinningFriction=0.002, angularDamping=0.1,
            activationState=p.ACTIVATION_STATE_ENABLE_SLEEPING | p.ACTIVATION_STATE_SLEEP,
            physicsClientId=self.client,
        )  # fmt: skip
        self.objects.append(body)

    def _add_door(self, door: Door, index: int, folder: Path) -> None:
        c, file = self.client, folder / f"door_{index}.urdf"
        file.write_text(door_urdf(door), encoding="utf-8")
        turn = p.getQuaternionFromEuler((0, 0, door.yaw))
        body = p.loadURDF(str(file), (door.x, door.y, 0.0), turn, useFixedBase=1, physicsClientId=c)
        p.resetJointState(body, 0, door.angle, physicsClientId=c)
        self._register(body, "door", door.name, index, 0.3, DOOR)
        self.set_mask(body, -1, 0, 0)
        # The leaf passes the jambs freely; its joint limits stop it.
        self.set_mask(body, 0, DOOR, RAY | ROBOT | OBJECT)
        p.changeDynamics(body, 0, lateralFriction=0.3, jointDamping=door.damping, physicsClientId=c)
        p.changeDynamics(body, -1, activationState=p.ACTIVATION_STATE_ENABLE_SLEEPING, physicsClientId=c)
        self.doors.append(body)
        self.drive_door(index, 0.0, 0.0)

    def _create(self, shape: Shape, mass: float, pose: FloatArray) -> int:
        c, (sx, sy, sz) = self.client, shape.size
        if shape.kind == "cylinder":
            solid = p.createCollisionShape(p.GEOM_CYLINDER, radius=sx / 2.0, height=sz, physicsClientId=c)
        else:
            solid = p.createCollisionShape(
                p.GEOM_BOX, halfExtents=(sx / 2, sy / 2, sz / 2), physicsClientId=c
            )
        body = p.createMultiBody(
            mass,
            solid,
            -1,
            pose[:3, 3].tolist(),
            _quaternion(pose),
            useMaximalCoordinates=1,
            physicsClientId=c,
        )
        if body < 0:
            raise SimError(f"PyBullet refused a body of size {shape.size}.", "Check the scene's sizes.")
        return int(body)

    def _register(self, body: int, kind: str, name: str, index: int, friction: float, group: int) -> None:
        if name in self._by_name:
            raise ConfigError(f"Two things in the scene are called '{name}'.", "Give each its own name.")
        self.bodies[body] = Body(body, kind, name, index)
        self._by_name[name] = body
        # statics need no pairs among themselves, loose things meet everything
        mask = {STATIC: RAY | OBJECT | ROBOT, OBJECT: RAY | STATIC | OBJECT | DOOR | ROBOT | PERSON}.get(
            group, RAY
        )
        self.set_mask(body, -1, group, mask)
        p.changeDynamics(body, -1, lateralFriction=friction, physicsClientId=self.client)

    def _wake(self, body: int) -> None:
        p.changeDynamics(
            body, -1, activationState=p.ACTIVATION_STATE_ENABLE_SLEEPING | p.ACTIVATION_STATE_WAKE_UP,
            physicsClientId=self.client,
        )  # fmt: skip


def _quaternion(pose: FloatArray) -> list[float]:
    """x, y, z, w of the rotation of a (4, 4) pose."""
    return [float(v) for v in pose3(pose).quaternion]


def disc_mask(centres: FloatArray, points: FloatArray, reach: float) -> NDArray[np.bool_]:
    """(N,) True for centres (N, 2) that lie within `reach` [m] of any of the points (K, 2)."""
    if len(centres) == 0 or len(points) == 0:
        return np.zeros(len(centres), dtype=bool)
    gap = centres[:, None] - points[None]
    return np.asarray(((gap * gap).sum(-1) < reach * reach).any(axis=1))
