"""Renderer on OpenGL (moderngl, headless EGL): instanced solids, one indirect draw, two targets.

Software GL (llvmpipe) is bound by vertices, so: frustum culling, people behind walls left out,
figures coarser with distance, indexed meshes. Colour goes to one target, depth and id to another.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lifelong_nav.core.errors import SimError, require_package
from lifelong_nav.core.geometry import matrix
from lifelong_nav.core.types import FloatArray, Pose3
from lifelong_nav.sim import instances, textures
from lifelong_nav.sim.camera import Intrinsics
from lifelong_nav.sim.crowd.state import CrowdState
from lifelong_nav.sim.decor import world_shapes
from lifelong_nav.sim.figures import GaitState
from lifelong_nav.sim.gl_shaders import SHADE_FRAGMENT, SHADE_VERTEX, SOLID_FRAGMENT, SOLID_VERTEX
from lifelong_nav.sim.meshes import LEVELS, Mesh, shape_mesh, solid
from lifelong_nav.sim.render import FAR, NEAR, RgbdFrame, checked_movable
from lifelong_nav.sim.scene import Scene
from lifelong_nav.sim.shapes import (
    CEILING,
    DOOR_ID,
    FLOOR,
    NOTHING,
    PATCH_ID,
    ROBOT_ID,
    Shape,
    ceiling_height,
)

_SKY = (0.80, 0.86, 0.92, 1.0)
_NEAR_ABOVE = 0.4  # m, nearest thing drawn from above the walls: far floors need the depth steps
_ALL, _NONE = (True,) * 4, (False,) * 4  # colour masks of a target
_BACKDROP = 1000.0  # m added to the distance of floors, so that they are drawn last


class GlRenderer:
    """See `render.Renderer`."""

    name = "gl"

    def __init__(
        self,
        scene: Scene,
        movable_shapes: Sequence[Shape],
        width: int,
        height: int,
        fov_deg: float,
        seed: int,
    ) -> None:
        self.width, self.height, self.fov_deg = width, height, fov_deg
        self._lens = Intrinsics(width, height, fov_deg)
        self._people = instances.PeopleRows(seed)
        self._held: list[Any] = []
        static = world_shapes(scene)
        meshes, groups = _mesh_groups([*static, *movable_shapes])
        self._static = instances.shape_rows(static)
        self._moving = instances.shape_rows(movable_shapes)
        self._groups = groups
        self._round = (groups > instances.BOX_GROUP) & (groups < instances.MESH_GROUP)
        self._local = np.array([s.pose for s in movable_shapes], dtype=float).reshape(-1, 4, 4)
        self._radii = np.array([instances.shape_radius(s) for s in [*static, *movable_shapes]])
        # Doors hang, round things lie on their sides: only what stands throws a shadow.
        self._low_shapes = np.array(
            [
                not DOOR_ID <= s.body < ROBOT_ID and min(s.size[:2]) > 0.15 and s.kind != "mesh"
                for s in movable_shapes
            ],
            dtype=bool,
        )
        bodies = np.array([s.body for s in static], dtype=int)
        self._back = np.where((bodies == FLOOR) | (bodies == CEILING), _BACKDROP, 0.0)
        self._roof = np.flatnonzero(bodies == CEILING)
        self._top = ceiling_height(scene)
        tall = [(*w.a, *w.b) for w in scene.walls if w.height >= self._top - 0.01]
        self._walls = np.array(tall, dtype=float).reshape(-1, 4)
        self._shades = _static_shades(static)
        self._context = _new_context()
        try:
            with self._context:
                self._build(meshes, scene.textures_seed)
        except Exception as error:
            self.close()
            raise SimError(
                f"The GL renderer cannot be set up ({type(error).__name__}: {error}).",
                "Update the GL driver, or set renderer to 'tiny'.",
            ) from error

    def _build(self, meshes: list[Mesh], seed: int) -> None:
        gl = self._context
        gl.gc_mode = None
        size = (self.width, self.height)
        self._colour = self._keep(gl.texture(size, 4))
        self._data = self._keep(gl.texture(size, 2, dtype="f4"))
        depth = self._keep(gl.depth_renderbuffer(size))
        self._target = self._keep(gl.framebuffer([self._colour, self._data], depth))
        pictures, lie = textures.pictures(seed)
        across = (textures.SIZE, textures.SIZE, textures.COUNT)
        stack = self._keep(gl.texture_array(across, 3, np.ascontiguousarray(pictures).tobytes()))
        stack.build_mipmaps()
        stack.filter = (gl.LINEAR_MIPMAP_NEAREST, gl.LINEAR)
        self._pictures = stack
        source = SOLID_VERTEX.replace("LAYERS", str(textures.COUNT))
        self._solids = self._keep(gl.program(vertex_shader=source, fragment_shader=SOLID_FRAGMENT))
        self._solids["lie"].write(lie.tobytes())
        sun = np.array([0.45, 0.3, 0.84]) + np.random.default_rng([abs(seed), 5]).uniform(-0.25, 0.25, 3)
        self._solids["sun"].value = tuple(sun / np.linalg.norm(sun))
        self._shader = self._keep(gl.program(vertex_shader=SHADE_VERTEX, fragment_shader=SHADE_FRAGMENT))
        vertices, indices, self._commands = _packed(meshes)
        vertex = self._keep(gl.buffer(vertices.tobytes()))
        index = self._keep(gl.buffer(indices.tobytes()))
        self._rows = self._keep(gl.buffer(reserve=4 * instances.WIDTH * 1024, dynamic=True))
        self._indirect = self._keep(gl.buffer(reserve=20 * len(meshes), dynamic=True))
        self._vertex_parts = (vertex, index)
        self._solid_array = self._bind_rows()
        corners = self._keep(gl.buffer(np.array([-1, -1, 1, -1, -1, 1, 1, 1], dtype=np.float32).tobytes()))
        self._shade_rows = self._keep(gl.buffer(reserve=32 * 1024, dynamic=True))
        parts = [(corners, "2f", "in_corner"), (self._shade_rows, "4f 4f/i", "in_place", "in_extent")]
        self._shade_array = self._keep(gl.vertex_array(self._shader, parts))

    def _keep(self, thing: Any) -> Any:
        self._held.append(thing)
        return thing

    def _bind_rows(self) -> Any:
        vertex, index = self._vertex_parts
        names = ("in_row0", "in_row1", "in_row2", "in_size", "in_colour", "in_id")
        parts = [(vertex, "4f 3f", "in_position", "in_normal"), (self._rows, "4f 4f 4f 4f 4f 1f/i", *names)]
        return self._keep(self._context.vertex_array(self._solids, parts, index))

    def render(
        self,
        camera: Pose3,
        movable: FloatArray,
        people: CrowdState | None = None,
        gait: GaitState | None = None,
        time: float = 0.0,
    ) -> RgbdFrame:
        """See `render.Renderer.render`."""
        if self._context is None:
            raise SimError("The renderer is closed.", "Make a new one with make_renderer.")
        pose = matrix(camera)
        view = np.linalg.inv(pose)
        moved = np.matmul(checked_movable(movable, len(self._local)), self._local)
        self._moving[:, :12] = moved[:, :3].reshape(-1, 12)
        rows, groups, distance, shades = self._seen(view, pose[:3, 3], people, gait, time)
        order = np.lexsort((distance, groups))
        rows, groups = rows[order], groups[order]
        with self._context:
            near = NEAR if pose[2, 3] < self._top else _NEAR_ABOVE
            self._draw(_projection(self._lens, near) @ view, rows, groups, shades)
            return self._read()

    def _seen(
        self,
        view: FloatArray,
        eye: FloatArray,
        people: CrowdState | None,
        gait: GaitState | None,
        time: float,
    ) -> tuple[NDArray[np.float32], NDArray[np.int64], FloatArray, NDArray[np.float32]]:
        """Rows, groups and distances of what is in view, and the soft shadows under it."""
        lens = self._lens
        planes = instances.frustum(view, lens.width / 2 / lens.focal, lens.height / 2 / lens.focal)
        fixed = np.concatenate([self._static, self._moving])
        centres = fixed[:, 3:12:4].astype(float)
        keep = instances.visible(planes, centres, self._radii)
        if eye[2] > self._top:
            keep[self._roof] = False
        distance = np.linalg.norm(centres - eye, axis=1)
        groups_now = self._groups + self._levels(distance)
        distance[: len(self._back)] += self._back
        rows, groups, far = [fixed[keep]], [groups_now[keep]], [distance[keep]]
        shades = [self._shades, self._moving_shades()]
        if people is not None and np.any(people.present):
            person, group, away, shade = self._figures(planes, eye, people, gait, time)
            rows.append(person)
            groups.append(group)
            far.append(away)
            shades.append(shade)
        shade = np.concatenate(shades)
        reach = np.hypot(shade[:, 4] + shade[:, 6], shade[:, 5] + shade[:, 6])
        floor = np.column_stack([shade[:, :2], np.zeros(len(shade))])
        shade = shade[instances.visible(planes, floor, reach)]
        return np.concatenate(rows), np.concatenate(groups), np.concatenate(far), shade

    def _levels(self, distance: FloatArray) -> NDArray[np.int64]:
        """Fineness of the round solids by their size in the picture; 0 for boxes and meshes."""
        across = 2.0 * self._lens.focal * self._radii / np.maximum(distance, 0.1)
        return np.where(self._round, np.searchsorted([-90.0, -30.0], -across), 0)

    def _moving_shades(self) -> NDArray[np.float32]:
        """Soft shadows of what moves and is near the floor: loose objects, the robot's base."""
        moving = self._moving
        low = self._low_shapes & (moving[:, 11] - moving[:, 14] / 2.0 < 0.15)
        rows = np.empty((int(low.sum()), 8), dtype=np.float32)
        rows[:, 0], rows[:, 1] = moving[low, 3], moving[low, 7]
        turn = np.hypot(moving[low, 0], moving[low, 4]) + 1e-9
        rows[:, 2], rows[:, 3] = moving[low, 0] / turn, moving[low, 4] / turn
        rows[:, 4:6] = moving[low, 12:14] / 2.0 - 0.1 * moving[low, 12:14]
        rows[:, 6], rows[:, 7] = 0.16, 0.45
        return rows

    def _figures(
        self, planes: FloatArray, eye: FloatArray, people: CrowdState, gait: GaitState | None, time: float
    ) -> tuple[NDArray[np.float32], NDArray[np.int64], FloatArray, NDArray[np.float32]]:
        present = np.asarray(people.present, dtype=bool)
        middle = np.column_stack([people.positions, np.full(len(present), instances.PERSON_SPHERE)])
        keep = present & instances.visible(planes, middle, np.full(len(present), instances.PERSON_SPHERE))
        if eye[2] < self._top:
            keep &= ~instances.hidden(eye[:2], middle[:, :2], 0.6, self._walls)
        some = instances.chosen(people, keep)
        rows = self._people.rows(some, gait, time)
        distance = np.linalg.norm(middle[keep] - eye, axis=1)
        level = np.minimum(instances.person_level(distance, self._lens.focal), LEVELS - 1)
        parts = rows.shape[1]
        shade = np.tile(np.array([0, 0, 1, 0, 0.04, 0.04, 0.34, 0.5], dtype=np.float32), (len(level), 1))
        shade[:, :2] = some.positions
        groups = instances.PART_GROUPS[level].reshape(-1)
        return rows.reshape(-1, instances.WIDTH), groups, np.repeat(distance, parts), shade

    def _draw(
        self, camera: FloatArray, rows: NDArray[np.float32], groups: NDArray[np.int64], shades: FloatArray
    ) -> None:
        gl = self._context
        self._target.use()
        self._target.color_mask = (_ALL, _ALL)
        gl.enable_only(gl.DEPTH_TEST | gl.CULL_FACE)
        gl.front_face = "cw"  # rows run downwards, which mirrors the picture
        self._target.depth_mask = True
        self._target.clear(*_SKY)
        self._target.color_mask = (_NONE, _ALL)
        self._target.clear(np.nan, NOTHING, 0.0, 0.0)  # depth and id of nothing
        self._target.color_mask = (_ALL, _ALL)
        if 4 * rows.size > self._rows.size:
            self._rows.orphan(8 * rows.size)
        self._rows.write(np.ascontiguousarray(rows, dtype=np.float32).tobytes())
        used, first, count = np.unique(groups, return_index=True, return_counts=True)
        commands = self._commands[used].copy()
        commands[:, 1], commands[:, 4] = count, first
        commands = commands[::-1]  # boxes (walls) last: figures and robot hide parts of them
        self._indirect.write(np.ascontiguousarray(commands).tobytes())
        flat = np.ascontiguousarray(camera.T, dtype=np.float32).tobytes()
        self._solids["camera"].write(flat)
        self._pictures.use(0)
        self._solid_array.render_indirect(self._indirect, gl.TRIANGLES, count=len(commands))
        if len(shades):
            self._draw_shades(flat, shades)

    def _draw_shades(self, flat: bytes, shades: FloatArray) -> None:
        gl = self._context
        if 4 * shades.size > self._shade_rows.size:
            self._shade_rows.orphan(8 * shades.size)
        self._shade_rows.write(np.ascontiguousarray(shades, dtype=np.float32).tobytes())
        self._shader["camera"].write(flat)
        gl.enable_only(gl.DEPTH_TEST | gl.BLEND)
        self._target.depth_mask = False
        self._target.color_mask = (_ALL, _NONE)
        self._shade_array.render(gl.TRIANGLE_STRIP, vertices=4, instances=len(shades))
        self._target.color_mask = (_ALL, _ALL)
        self._target.depth_mask = True

    def _read(self) -> RgbdFrame:
        shape = (self.height, self.width)
        rgba = np.frombuffer(self._target.read(components=4, attachment=0), dtype=np.uint8)
        data = np.frombuffer(self._target.read(components=2, attachment=1, dtype="f4"), dtype=np.float32)
        rgb = np.ascontiguousarray(rgba.reshape(*shape, 4)[..., :3])
        data = data.reshape(*shape, 2)
        return RgbdFrame(rgb, data[..., 0].copy(), data[..., 1].astype(np.int32))

    def close(self) -> None:
        """See `render.Renderer.close`."""
        if self._context is None:
            return
        with self._context:
            for thing in reversed(self._held):
                thing.release()
        self._held.clear()
        self._context.release()
        self._context = None


def _new_context() -> Any:
    moderngl = require_package("moderngl", "sim")
    try:
        return moderngl.create_context(standalone=True, backend="egl", require=430)
    except Exception as error:  # glcontext raises bare Exception
        raise SimError(
            f"No OpenGL 4.3 context can be made through EGL ({error}).",
            "Install the packages libegl1 and libgl1-mesa-dri, or set renderer to 'tiny'.",
        ) from error


def _mesh_groups(shapes: Sequence[Shape]) -> tuple[list[Mesh], NDArray[np.int64]]:
    """All meshes by draw group, and the group (N,) of each shape; equal arrays share a mesh."""
    meshes = [solid("box", 0)]
    meshes += [solid(kind, level) for kind in instances.ROUND for level in range(LEVELS)]
    known: dict[tuple[int, int], int] = {}
    groups = []
    for shape in shapes:
        if shape.kind == "mesh":
            key = (id(shape.vertices), id(shape.faces))
            if key not in known:
                known[key] = len(meshes)
                meshes.append(shape_mesh(shape, 0))
            groups.append(known[key])
        else:
            groups.append(instances.group_of(shape.kind, 0))
    return meshes, np.array(groups, dtype=np.int64)


def _packed(meshes: list[Mesh]) -> tuple[NDArray[np.float32], NDArray[np.uint32], NDArray[np.uint32]]:
    """One vertex buffer (V, 7), one index buffer, and indirect draw commands (G, 5)."""
    vertices, indices, commands = [], [], []
    base, first = 0, 0
    for mesh in meshes:
        vertices.append(np.column_stack([mesh.positions, mesh.caps, mesh.normals]))
        indices.append(mesh.faces.reshape(-1))
        commands.append((mesh.faces.size, 0, first, base, 0))
        base += len(mesh.positions)
        first += mesh.faces.size
    stacked = np.vstack(vertices).astype(np.float32)
    return stacked, np.concatenate(indices).astype(np.uint32), np.array(commands, dtype=np.uint32)


def _static_shades(shapes: Sequence[Shape]) -> NDArray[np.float32]:
    """(N, 8) soft shadows around everything that stands on the floor."""
    rows = []
    for shape in shapes:
        low = shape.pose[2, 3] - shape.size[2] / 2.0
        if shape.body in (FLOOR, CEILING) or low > 0.05 or PATCH_ID <= shape.body < 2 * PATCH_ID:
            continue
        soft, strength = (0.22, 0.35) if shape.size[2] > 0.3 else (0.08, 0.3)
        c, s = shape.pose[0, 0], shape.pose[1, 0]
        half = (shape.size[0] / 2.0, shape.size[1] / 2.0)
        rows.append((shape.pose[0, 3], shape.pose[1, 3], c, s, *half, soft, strength))
    return np.array(rows, dtype=np.float32).reshape(-1, 8)


def _projection(lens: Intrinsics, near: float) -> FloatArray:
    """(4, 4) optical frame to clip space; y stays down, so that row 0 of the picture is its top."""
    x, y = 2.0 * lens.focal / lens.width, 2.0 * lens.focal / lens.height
    a, b = (FAR + near) / (FAR - near), -2.0 * FAR * near / (FAR - near)
    return np.array([[x, 0, 0, 0], [0, y, 0, 0], [0, 0, a, b], [0, 0, 1.0, 0]])
