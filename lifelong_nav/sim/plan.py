"""Drawing plans: walls with openings, and furniture that keeps out of the way."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from lifelong_nav.sim.scene import Box, Wall

Point = tuple[float, float]
Rect = tuple[float, float, float, float]
"""x_min, y_min, x_max, y_max [m]."""


@dataclass(frozen=True, slots=True)
class Opening:
    """A gap in a wall: its middle, measured along the wall from its start, and its width [m]."""

    at: float
    width: float


def wall_line(a: Point, b: Point, openings: Sequence[Opening] = ()) -> tuple[Wall, ...]:
    """Wall from `a` to `b` that leaves the openings free."""
    start, end = np.array(a, dtype=float), np.array(b, dtype=float)
    length = float(np.linalg.norm(end - start))
    unit = (end - start) / length
    cuts = [0.0]
    for gap in sorted(openings, key=lambda o: o.at):
        cuts += [gap.at - gap.width / 2.0, gap.at + gap.width / 2.0]
    cuts.append(length)
    pieces = zip(cuts[0::2], cuts[1::2], strict=True)
    return tuple(Wall(_point(start + unit * s), _point(start + unit * t)) for s, t in pieces if t - s > 0.02)


def outline(x0: float, y0: float, x1: float, y1: float) -> tuple[Wall, ...]:
    """Four walls around a rectangle."""
    corners = [(x0, y0), (x1, y0), (x1, y1), (x0, y1)]
    return tuple(Wall(corners[i], corners[(i + 1) % 4]) for i in range(4))


def overlaps(a: Rect, b: Rect, gap: float = 0.0) -> bool:
    """True where two rectangles are nearer than `gap` [m] along both axes."""
    return a[0] < b[2] + gap and b[0] < a[2] + gap and a[1] < b[3] + gap and b[1] < a[3] + gap


class Furnisher:
    """Puts furniture into one rectangular room.

    Args:
        rng: source of randomness.
        room: its free inside.
        keep: rectangles that stay free.
    """

    def __init__(self, rng: np.random.Generator, room: Rect, keep: Iterable[Rect]) -> None:
        self._rng, self._room = rng, room
        self._keep = list(keep)
        self._taken: list[Rect] = []
        self.boxes: list[Box] = []

    def along_wall(self, box: Box, tries: int = 20, sides: Sequence[int] = (0, 1, 2, 3)) -> Box | None:
        """Stand `box` with its back to a wall (0 south, 1 east, 2 north, 3 west); None where none fits."""
        x0, y0, x1, y1 = self._room
        length, depth, _ = box.size
        for _ in range(tries):
            side = int(self._rng.choice(sides))
            span = (x1 - x0, y1 - y0)[side % 2] - length - 0.1
            share = self._rng.random()
            if span < 0.0:
                continue
            along, off = length / 2.0 + 0.05 + share * span, depth / 2.0 + 0.08
            spot = (
                (x0 + along, y0 + off),
                (x1 - off, y0 + along),
                (x1 - along, y1 - off),
                (x0 + off, y1 - along),
            )
            yaw = (0.0, np.pi / 2.0, np.pi, -np.pi / 2.0)[side]
            placed = self._try(box, *spot[side], float(yaw))
            if placed is not None:
                return placed
        return None

    def before(self, box: Box, other: Box, gap: float = 0.08) -> Box | None:
        """Put `box` in front of `other` (a chair to its desk); None where there is no room."""
        reach = (other.size[1] + box.size[1]) / 2.0 + gap
        shift = self._rng.uniform(-0.2, 0.2) * other.size[0]
        front = np.array([-np.sin(other.yaw), np.cos(other.yaw)])
        side = np.array([np.cos(other.yaw), np.sin(other.yaw)])
        x, y = np.array([other.x, other.y]) + front * reach + side * shift
        return self._try(box, float(x), float(y), other.yaw + self._rng.uniform(-0.3, 0.3), loose=True)

    def on_top(self, box: Box, other: Box) -> Box:
        """Put a small `box` somewhere on `other`; things on one piece of furniture may not overlap."""
        margin = max(box.size[:2]) / 2.0 + 0.03
        x, y = other.x, other.y
        for _ in range(20):
            a = self._rng.uniform(-1.0, 1.0) * max(other.size[0] / 2.0 - margin, 0.0)
            b = self._rng.uniform(-1.0, 1.0) * max(other.size[1] / 2.0 - margin, 0.0)
            c, s = np.cos(other.yaw), np.sin(other.yaw)
            x, y = float(other.x + c * a - s * b), float(other.y + s * a + c * b)
            near = (o for o in self.boxes if o.z == other.z + other.size[2])
            if all(np.hypot(x - o.x, y - o.y) > margin + max(o.size[:2]) / 2.0 for o in near):
                break
        placed = _moved(box, x, y, float(self._rng.uniform(-np.pi, np.pi)), other.z + other.size[2])
        self.boxes.append(placed)
        return placed

    def _try(self, box: Box, x: float, y: float, yaw: float, loose: bool = False) -> Box | None:
        c, s = abs(np.cos(yaw)), abs(np.sin(yaw))
        half_x = float(c * box.size[0] + s * box.size[1]) / 2.0
        half_y = float(s * box.size[0] + c * box.size[1]) / 2.0
        rect = (x - half_x, y - half_y, x + half_x, y + half_y)
        x0, y0, x1, y1 = self._room
        inside = rect[0] >= x0 and rect[1] >= y0 and rect[2] <= x1 and rect[3] <= y1
        gap = 0.02 if loose else 0.1
        if not inside or any(overlaps(rect, k) for k in self._keep):
            return None
        if any(overlaps(rect, t, gap) for t in self._taken):
            return None
        placed = _moved(box, x, y, yaw, box.z)
        self._taken.append(rect)
        self.boxes.append(placed)
        return placed


def _moved(box: Box, x: float, y: float, yaw: float, z: float) -> Box:
    return Box(
        box.name, box.kind, x, y, float(yaw), z, box.size, box.mass, box.friction, box.colour, box.shape
    )


def _point(p: np.ndarray) -> Point:
    return float(p[0]), float(p[1])
