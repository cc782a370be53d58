"""Renderer on PyBullet's TinyRenderer: no GL, no extra package, one CPU thread, plain colours.

A second, DIRECT client is the render world: nothing in it collides or moves by itself. The solids
are the triangles the GL renderer draws, so that both give the same depth and ids.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lifelong_nav.core.errors import SimError, require_package
from lifelong_nav.core.geometry import matrix
from lifelong_nav.core.types import FloatArray, Pose3
from lifelong_nav.sim.crowd.state import CrowdState
from lifelong_nav.sim.decor import world_shapes
from lifelong_nav.sim.figure_looks import PARTS, looks, part_sizes, part_transforms
from lifelong_nav.sim.figures import GaitState, figure_transforms
from lifelong_nav.sim.instances import chosen, person_ids
from lifelong_nav.sim.meshes import Mesh, scaled, shape_mesh, size_row, solid
from lifelong_nav.sim.render import FAR, NEAR, RgbdFrame, checked_movable
from lifelong_nav.sim.scene import Scene
from lifelong_nav.sim.shapes import CEILING, FLOOR, FLOOR_THICKNESS, NOTHING, WALL, Shape, ceiling_height

_AWAY = (0.0, 0.0, -500.0)
_SKY = (204, 219, 235)
_PERSON_LEVEL, _SHAPE_LEVEL = 2, 1


class TinyRenderer:
    """See `render.Renderer`."""

    name = "tiny"

    def __init__(
        self,
        scene: Scene,
        movable_shapes: Sequence[Shape],
        width: int,
        height: int,
        fov_deg: float,
        seed: int,
    ) -> None:
        bullet = require_package("pybullet", "sim")
        self.width, self.height, self.fov_deg = width, height, fov_deg
        self._seed = seed
        self._bullet: Any = bullet
        self._client = bullet.connect(bullet.DIRECT)
        if self._client < 0:
            raise SimError("PyBullet cannot open another client.", "Close simulators that are done.")
        self._bodies: list[int] = []  # id image number of each PyBullet body
        self._meshes: dict[tuple[int, int], Mesh] = {}
        self._figures: dict[int, list[int]] = {}
        self._shown: frozenset[int] = frozenset()
        self._local = np.array([s.pose for s in movable_shapes], dtype=float).reshape(-1, 4, 4)
        self._roof: list[tuple[int, FloatArray]] = []
        self._top, self._roof_on = ceiling_height(scene), True
        self._moving = [self._add(shape) for shape in movable_shapes]
        # Drawn in this order: what is large and behind comes last, its hidden pixels are cheap then.
        for shape in sorted(_plain(world_shapes(scene)), key=_backwards):
            body = self._add(shape)
            self._place([body], shape.pose[None])
            if shape.body == CEILING:
                self._roof.append((body, shape.pose))

    def _add(self, shape: Shape) -> int:
        mesh = self._mesh(shape)
        row = size_row(shape.kind, np.array(shape.size))
        return self._body(mesh, row, np.array(shape.colour), shape.body)

    def _mesh(self, shape: Shape) -> Mesh:
        if shape.kind != "mesh":
            return solid(shape.kind, _SHAPE_LEVEL)
        key = (id(shape.vertices), id(shape.faces))
        if key not in self._meshes:
            self._meshes[key] = shape_mesh(shape, 0)
        return self._meshes[key]

    def _body(self, mesh: Mesh, row: FloatArray, colour: FloatArray, number: int) -> int:
        bullet = self._bullet
        vertices, normals = scaled(mesh, row)
        visual = bullet.createVisualShape(
            bullet.GEOM_MESH,
            vertices=vertices.tolist(),
            normals=normals.tolist(),
            indices=mesh.faces.reshape(-1).tolist(),
            rgbaColor=[*colour.tolist(), 1.0],
            specularColor=[0.0, 0.0, 0.0],
            physicsClientId=self._client,
        )
        body = bullet.createMultiBody(
            baseVisualShapeIndex=visual, basePosition=_AWAY, physicsClientId=self._client
        )
        if visual < 0 or body != len(self._bodies):
            raise SimError("PyBullet cannot build the render world.", "Use fewer shapes.")
        self._bodies.append(number)
        return int(body)

    def _place(self, bodies: Sequence[int], transforms: FloatArray) -> None:
        move, client = self._bullet.resetBasePositionAndOrientation, self._client
        positions = transforms[:, :3, 3].tolist()
        for body, position, turn in zip(bodies, positions, quaternions(transforms), strict=True):
            move(body, position, turn, physicsClientId=client)

    def render(
        self,
        camera: Pose3,
        movable: FloatArray,
        people: CrowdState | None = None,
        gait: GaitState | None = None,
        time: float = 0.0,
    ) -> RgbdFrame:
        """See `render.Renderer.render`."""
        if self._client < 0:
            raise SimError("The renderer is closed.", "Make a new one with make_renderer.")
        pose = matrix(camera)
        self._place(self._moving, np.matmul(checked_movable(movable, len(self._local)), self._local))
        self._show_roof(bool(pose[2, 3] <= self._top))
        self._pose_people(people, gait, time)
        return self._picture(pose)

    def _show_roof(self, on: bool) -> None:
        if on == self._roof_on:
            return
        self._roof_on = on
        for body, pose in self._roof:
            at = pose.copy()
            if not on:
                at[:3, 3] = _AWAY
            self._place([body], at[None])

    def _pose_people(self, people: CrowdState | None, gait: GaitState | None, time: float) -> None:
        here: list[int] = []
        if people is not None and np.any(people.present):
            some = chosen(people, np.asarray(people.present, dtype=bool))
            here = [int(i) for i in some.ids]
            body = looks(some.ids, self._seed)
            missing = [n for n, i in enumerate(here) if i not in self._figures]
            if missing:
                sizes, numbers = part_sizes(body), person_ids(some.ids)
                for n in missing:
                    self._figures[here[n]] = self._figure(sizes[n], body.colours[n], int(numbers[n]))
            links = figure_transforms(some, gait, time, self._seed)
            placed = part_transforms(links, body).reshape(-1, 4, 4)
            self._place([b for i in here for b in self._figures[i]], placed)
        for gone in self._shown - set(here):
            for part in self._figures[gone]:
                self._bullet.resetBasePositionAndOrientation(
                    part, _AWAY, (0, 0, 0, 1), physicsClientId=self._client
                )
        self._shown = frozenset(here)

    def _figure(self, sizes: FloatArray, colours: FloatArray, number: int) -> list[int]:
        rows = [size_row(kind, size) for kind, size in zip(PARTS.kinds, sizes, strict=True)]
        meshes = [solid(kind, _PERSON_LEVEL) for kind in PARTS.kinds]
        return [
            self._body(mesh, row, colours[paint], number)
            for mesh, row, paint in zip(meshes, rows, PARTS.colours, strict=True)
        ]

    def _picture(self, pose: FloatArray) -> RgbdFrame:
        bullet, shape = self._bullet, (self.height, self.width)
        view = np.diag([1.0, -1.0, -1.0, 1.0]) @ np.linalg.inv(pose)
        _, _, rgba, depth, mask = bullet.getCameraImage(
            self.width,
            self.height,
            viewMatrix=view.T.reshape(-1).tolist(),
            projectionMatrix=projection(self.width, self.height, self.fov_deg),
            lightDirection=[0.45, 0.3, 0.84],
            lightColor=[1.0, 1.0, 1.0],
            lightAmbientCoeff=0.75,
            lightDiffuseCoeff=0.3,
            lightSpecularCoeff=0.0,
            shadow=0,
            renderer=bullet.ER_TINY_RENDERER,
            physicsClientId=self._client,
        )
        # Without numpy at PyBullet's build time these are tuples; asarray takes both.
        rgb = np.ascontiguousarray(np.asarray(rgba, dtype=np.uint8).reshape(*shape, 4)[..., :3])
        buffer = np.asarray(depth, dtype=np.float32).reshape(shape)
        seen = np.asarray(mask, dtype=np.int32).reshape(shape)
        nothing = seen < 0
        table = np.append(np.array(self._bodies, dtype=np.int32), np.int32(NOTHING))
        metres = (FAR * NEAR / (FAR - (FAR - NEAR) * buffer.astype(float))).astype(np.float32)
        metres[nothing] = np.nan
        rgb[nothing] = _SKY
        return RgbdFrame(rgb, metres, table[seen])

    def close(self) -> None:
        """See `render.Renderer.close`. PyBullet 3.2.7 keeps some 6 MB of meshes per closed client."""
        if self._client >= 0:
            self._bullet.disconnect(physicsClientId=self._client)
            self._client = -1


def _plain(shapes: Sequence[Shape]) -> list[Shape]:
    """Without the rooms' floor plates: 1 mm that costs a fifth of the frame."""
    return [s for s in shapes if s.body != FLOOR or s.size[2] >= FLOOR_THICKNESS]


def _backwards(shape: Shape) -> tuple[bool, bool, float]:
    """Sorting key: furniture, walls, then floors from top to bottom and the ceiling."""
    flat = shape.body in (FLOOR, CEILING)
    return flat, shape.body == WALL and not flat, shape.size[2] if flat else 0.0


def projection(width: int, height: int, fov_deg: float) -> list[float]:
    """OpenGL projection (16 numbers, column by column) for a horizontal field of view [deg].

    TinyRenderer samples a pixel at its corner, OpenGL at its middle: the half pixel is made up here.
    """
    x = 1.0 / float(np.tan(np.radians(fov_deg) / 2.0))
    y = x * width / height
    a, b = -(FAR + NEAR) / (FAR - NEAR), -2.0 * FAR * NEAR / (FAR - NEAR)
    return [x, 0, 0, 0, 0, y, 0, 0, 1.0 / width, 1.0 / height, a, -1.0, 0, 0, b, 0]


def quaternions(transforms: FloatArray) -> NDArray[np.float64]:
    """(N, 4) quaternions x, y, z, w of (N, 4, 4) transforms, without loops (Shepperd's method)."""
    r = np.asarray(transforms, dtype=float)[:, :3, :3]
    xx, yy, zz = r[:, 0, 0], r[:, 1, 1], r[:, 2, 2]
    table = np.empty((len(r), 4, 4))  # rows: the same quaternion, scaled by 4 x, 4 y, 4 z, 4 w
    table[:, 0, 0], table[:, 1, 1] = 1 + xx - yy - zz, 1 - xx + yy - zz
    table[:, 2, 2], table[:, 3, 3] = 1 - xx - yy + zz, 1 + xx + yy + zz
    table[:, 0, 1] = table[:, 1, 0] = r[:, 0, 1] + r[:, 1, 0]
    table[:, 0, 2] = table[:, 2, 0] = r[:, 0, 2] + r[:, 2, 0]
    table[:, 1, 2] = table[:, 2, 1] = r[:, 1, 2] + r[:, 2, 1]
    table[:, 0, 3] = table[:, 3, 0] = r[:, 2, 1] - r[:, 1, 2]
    table[:, 1, 3] = table[:, 3, 1] = r[:, 0, 2] - r[:, 2, 0]
    table[:, 2, 3] = table[:, 3, 2] = r[:, 1, 0] - r[:, 0, 1]
    best = table[np.arange(len(r)), np.argmax(np.einsum("nii->ni", table), axis=1)]
    return best / np.linalg.norm(best, axis=1, keepdims=True)
