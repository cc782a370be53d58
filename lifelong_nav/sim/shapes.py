"""What the renderers draw: coloured shapes, and the shapes a scene consists of.

Every shape carries the number that shows up in the id image. Reserved numbers:
`NOTHING` -1, `FLOOR` 0, `WALL` 1, `CEILING` 2, floor patches from 100, furniture and objects from
1000 (+ index in `scene.boxes`), doors from 5000 (+ index in `scene.doors`), the robot's links from
`ROBOT_ID` (+ link index, base 0), people from `PERSON_ID` (+ person id).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from lifelong_nav.core.errors import InputError
from lifelong_nav.core.types import FloatArray
from lifelong_nav.sim.scene import Box, Door, FloorPatch, Scene, Wall

NOTHING, FLOOR, WALL, CEILING = -1, 0, 1, 2
PATCH_ID, BOX_ID, DOOR_ID, ROBOT_ID, PERSON_ID = 100, 1000, 5000, 9000, 1_000_000
MAX_ID = 2**24 - 1  # ids travel through a float32 render target

KINDS = ("box", "cylinder", "sphere", "capsule", "mesh")
Colour = tuple[float, float, float]

FLOOR_THICKNESS = 0.1
_DOOR_THICKNESS = 0.04
_MARGIN = 0.5  # floor beyond the outer walls


@dataclass(frozen=True, eq=False)
class Shape:
    """One coloured solid, fixed in the frame of its owner (a link, a piece of furniture, the world).

    Args:
        kind: box, cylinder, sphere, capsule or mesh.
        size: box: full extents x, y, z; cylinder: diameter x, diameter y, length z; sphere:
            diameters; capsule: diameter, diameter, whole length along z; mesh: scale factors.
        colour: red, green, blue in 0..1.
        body: number written to the id image, `NOTHING` < body <= `MAX_ID`.
        pose: (4, 4) transform of the shape's centre in the owner's frame, without scale.
        vertices: (V, 3) for a mesh [m before scaling], else None.
        faces: (F, 3) counter-clockwise vertex indices for a mesh, else None.
        texture: surface pattern (see `textures.py`), "" for plain. Only the GL renderer shows it.
    """

    kind: str
    size: tuple[float, float, float]
    colour: Colour
    body: int
    pose: FloatArray = field(default_factory=lambda: np.eye(4))
    vertices: FloatArray | None = None
    faces: NDArray[np.integer] | None = None
    texture: str = ""

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise InputError(f"Shape kind '{self.kind}' is unknown.", f"Use one of {', '.join(KINDS)}.")
        if not NOTHING < self.body <= MAX_ID:
            raise InputError(f"Shape id {self.body} is out of range.", f"Use 0 to {MAX_ID}.")
        if self.kind == "mesh" and (self.vertices is None or self.faces is None):
            raise InputError("A mesh shape has no vertices or faces.", "Hand over both arrays.")
        if not all(np.isfinite(s) and s > 0.0 for s in self.size):
            raise InputError(f"Shape size {self.size} is not positive.", "Give three sizes > 0.")


def planar(x: float, y: float, z: float, yaw: float, pitch: float = 0.0) -> FloatArray:
    """(4, 4) transform: at (x, y, z), turned by `yaw` about z, then by `pitch` about its y [rad]."""
    c, s, cp, sp = np.cos(yaw), np.sin(yaw), np.cos(pitch), np.sin(pitch)
    return np.array([[c * cp, -s, c * sp, x], [s * cp, c, s * sp, y], [-sp, 0.0, cp, z], [0, 0, 0, 1.0]])


def wall_shapes(walls: Sequence[Wall]) -> list[Shape]:
    """Boxes of walls, drawn longer where two meet at a corner so that it closes."""
    return [_wall_shape(wall, walls) for wall in walls]


def _wall_shape(wall: Wall, walls: Sequence[Wall]) -> Shape:
    a, b = np.array(wall.a, dtype=float), np.array(wall.b, dtype=float)
    length = float(np.linalg.norm(b - a))
    along = (b - a) / max(length, 1e-9)
    before, after = (_corner(wall, p, along, walls) for p in (a, b))
    x, y = (a + b + along * (after - before)) / 2.0
    pose = planar(x, y, wall.height / 2.0, float(np.arctan2(along[1], along[0])))
    size = (length + before + after, wall.thickness, wall.height)
    return Shape("box", size, (0.95, 0.93, 0.9), WALL, pose, texture="wall")


def _corner(wall: Wall, point: FloatArray, along: FloatArray, walls: Sequence[Wall]) -> float:
    """How far [m] a wall reaches beyond its end: into a corner, but not into its own continuation."""
    reach = 0.0
    for other in walls:
        ends = np.array([other.a, other.b], dtype=float)
        if other is wall or np.abs(ends - point).max(axis=1).min() > 0.01:
            continue
        line = ends[1] - ends[0]
        if abs(along[0] * line[1] - along[1] * line[0]) < 0.05 * np.linalg.norm(line):
            return 0.0
        reach = other.thickness / 2.0 - 0.004  # the end face must not lie in the other's face
    return reach


def box_shape(box: Box, index: int, pose: FloatArray | None = None) -> Shape:
    """Shape of a piece of furniture or object; `pose` None keeps it in its own centre frame."""
    at = np.eye(4) if pose is None else pose
    kind = "cylinder" if box.shape == "cylinder" else "box"
    return Shape(kind, box.size, box.colour, BOX_ID + index, at, texture=box.kind)


def box_transform(box: Box) -> FloatArray:
    """(4, 4) pose of a box's centre in the world at the start."""
    return planar(box.x, box.y, box.z + box.size[2] / 2.0, box.yaw)


def door_shape(door: Door, index: int) -> Shape:
    """Leaf of a door in its hinge frame: z along the hinge from the floor, x along the leaf."""
    pose = planar(door.width / 2.0, 0.0, door.height / 2.0, 0.0)
    size = (door.width, _DOOR_THICKNESS, door.height)
    return Shape("box", size, (0.72, 0.52, 0.34), DOOR_ID + index, pose, texture="door")


def door_transform(door: Door, angle: float | None = None) -> FloatArray:
    """(4, 4) pose of a door's hinge frame in the world, opened by `angle` [rad], None for its start."""
    opened = door.angle if angle is None else angle
    return planar(door.x, door.y, 0.0, door.yaw + door.swing * opened)


def patch_shape(patch: FloorPatch, index: int) -> Shape:
    """Plate of a floor patch: 3 mm proud of the floor, or a ramp that starts level at its -x side.

    A ramp's surface climbs from z = 0 at local x = -length/2 to length * tan(slope) at +length/2.
    """
    thickness = FLOOR_THICKNESS if patch.slope else 0.006
    length = patch.length / np.cos(patch.slope)
    pose = planar(patch.x, patch.y, 0.0, patch.yaw, -patch.slope)
    pose[2, 3] = patch.length / 2.0 * np.tan(patch.slope)
    pose[:3, 3] -= pose[:3, 2] * (thickness / 2.0 if patch.slope else 0.0)
    size = (float(length), patch.width, thickness)
    return Shape("box", size, patch.colour, PATCH_ID + index, pose, texture="patch")


def ceiling_height(scene: Scene) -> float:
    """Height [m] of the ceiling: that of the tallest wall."""
    return max((w.height for w in scene.walls), default=2.5)


def static_shapes(scene: Scene) -> list[Shape]:
    """Everything of a scene that never moves, posed in the world: floor, ceiling, walls, furniture."""
    x0, y0, x1, y1 = scene.bounds(_MARGIN)
    cx, cy, size = (x0 + x1) / 2.0, (y0 + y1) / 2.0, (x1 - x0, y1 - y0, FLOOR_THICKNESS)
    half = FLOOR_THICKNESS / 2.0
    shapes = [Shape("box", size, (0.75, 0.7, 0.62), FLOOR, planar(cx, cy, -half, 0.0), texture="floor")]
    if scene.walls:
        top = planar(cx, cy, ceiling_height(scene) + half, 0.0)
        shapes.append(Shape("box", size, (0.95, 0.95, 0.93), CEILING, top, texture="ceiling"))
    shapes += wall_shapes(scene.walls)
    shapes += [s for d in scene.doors for s in _lintel(d, ceiling_height(scene))]
    shapes += [patch_shape(p, i) for i, p in enumerate(scene.floors)]
    for index, box in enumerate(scene.boxes):
        if box.mass == 0.0:
            shapes += _furniture(box, index)
    return shapes


def _furniture(box: Box, index: int) -> list[Shape]:
    """Shapes of a fixed box in the world; a potted plant fills the same cylinder with pot and crown."""
    whole = box_shape(box, index, box_transform(box))
    if "plant" not in box.kind or box.shape != "cylinder":
        return [whole]
    wide, _, tall = box.size
    pot, crown = whole.pose.copy(), whole.pose.copy()
    pot[2, 3], crown[2, 3] = box.z + 0.15 * tall, box.z + 0.62 * tall
    return [
        Shape("cylinder", (wide, wide, 0.3 * tall), (0.55, 0.33, 0.24), whole.body, pot),
        Shape("capsule", (wide, wide, 0.76 * tall), box.colour, whole.body, crown),
    ]


def movable_shapes(scene: Scene) -> list[Shape]:
    """Door leaves (hinge frame), then loose objects (centre frame), in the scene's order."""
    doors = [door_shape(d, i) for i, d in enumerate(scene.doors)]
    return doors + [box_shape(b, i) for i, b in enumerate(scene.boxes) if b.mass > 0.0]


def start_transforms(scene: Scene) -> FloatArray:
    """(N, 4, 4) world transforms of `movable_shapes(scene)` at the start."""
    rows = [door_transform(d) for d in scene.doors]
    rows += [box_transform(b) for b in scene.boxes if b.mass > 0.0]
    return np.array(rows, dtype=float).reshape(-1, 4, 4)


def _lintel(door: Door, top: float) -> list[Shape]:
    """The piece of wall above a door; only the camera sees it."""
    if top - door.height < 0.05:
        return []
    c, s, half = np.cos(door.yaw), np.sin(door.yaw), door.width / 2.0
    pose = planar(door.x + c * half, door.y + s * half, (top + door.height) / 2.0, door.yaw)
    size = (door.width, 0.12, top - door.height)
    return [Shape("box", size, (0.95, 0.93, 0.9), WALL, pose, texture="wall")]
