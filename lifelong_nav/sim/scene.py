"""What a building is made of, as data: walls, doors, floors, furniture, objects, regions.

Frame `world` equals `map` at the origin of the plan; metres, radians, kilograms.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from lifelong_nav.core.types import FloatArray

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Wall:
    """Upright wall over the segment a-b."""

    a: Point
    b: Point
    height: float = 2.5
    thickness: float = 0.12


@dataclass(frozen=True, slots=True)
class Box:
    """Furniture (mass 0: fixed) or a loose object, a cuboid standing at (x, y, z) of its underside."""

    name: str
    kind: str
    x: float
    y: float
    yaw: float = 0.0
    z: float = 0.0
    size: tuple[float, float, float] = (0.5, 0.5, 0.5)
    mass: float = 0.0
    friction: float = 0.6
    colour: tuple[float, float, float] = (0.6, 0.5, 0.4)
    shape: str = "box"  # box | cylinder (size[0] = diameter)


@dataclass(frozen=True, slots=True)
class FloorPatch:
    """Rectangle of floor with a friction of its own; `slope` [rad] raises its local +x end.

    A slope is a ramp: it climbs over `length` from the level floor on its -x side.
    """

    name: str
    x: float
    y: float
    length: float
    width: float
    yaw: float = 0.0
    friction: float = 0.8
    slope: float = 0.0
    colour: tuple[float, float, float] = (0.7, 0.7, 0.7)


@dataclass(frozen=True, slots=True)
class Door:
    """Door leaf hinged at (x, y); closed it points along `yaw` over `width`; opens by `swing`.

    `angle` is where it starts: 0 closed, up to `limit` [rad] in the direction of `swing` (+1 left).
    `friction` is the hinge's dry torque [Nm].
    """

    name: str
    x: float
    y: float
    yaw: float
    width: float = 0.9
    height: float = 2.0
    swing: int = 1
    angle: float = 0.0
    limit: float = 1.6
    mass: float = 18.0
    friction: float = 2.0
    damping: float = 1.0


@dataclass(frozen=True, slots=True)
class Region:
    """Named rectangle for goals, spawning and memory: room, corridor, doorway, counter, hall."""

    name: str
    kind: str
    low: Point
    high: Point

    @property
    def centre(self) -> Point:
        """Middle of the rectangle."""
        return (self.low[0] + self.high[0]) / 2.0, (self.low[1] + self.high[1]) / 2.0


@dataclass(frozen=True)
class Scene:
    """A whole plan. `friction` is the floor's where no patch lies."""

    name: str
    walls: tuple[Wall, ...] = ()
    boxes: tuple[Box, ...] = ()
    doors: tuple[Door, ...] = ()
    floors: tuple[FloorPatch, ...] = ()
    regions: tuple[Region, ...] = ()
    friction: float = 0.8
    textures_seed: int = 0
    tags: dict[str, str] = field(default_factory=dict)

    def segments(self) -> FloatArray:
        """(M, 4) x1, y1, x2, y2: wall centre lines and outlines of fixed furniture."""
        rows = [(*w.a, *w.b) for w in self.walls]
        for box in self.boxes:
            if box.mass == 0.0:
                rows += _outline(box)
        return np.array(rows, dtype=float).reshape(-1, 4)

    def bounds(self, margin: float = 0.0) -> tuple[float, float, float, float]:
        """x_min, y_min, x_max, y_max over walls and regions, widened by `margin`."""
        points = [p for w in self.walls for p in (w.a, w.b)]
        points += [p for r in self.regions for p in (r.low, r.high)]
        xy = np.array(points or [(-5.0, -5.0), (5.0, 5.0)], dtype=float)
        (x0, y0), (x1, y1) = xy.min(axis=0), xy.max(axis=0)
        return float(x0 - margin), float(y0 - margin), float(x1 + margin), float(y1 + margin)


def _outline(box: Box) -> list[tuple[float, float, float, float]]:
    c, s = np.cos(box.yaw), np.sin(box.yaw)
    half = np.array(box.size[:2]) / 2.0
    corners = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)]) * half
    world = corners @ np.array([[c, s], [-s, c]]) + (box.x, box.y)
    return [(*world[i], *world[(i + 1) % 4]) for i in range(4)]
