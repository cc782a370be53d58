"""Pieces that layouts are made of: walls, regions, furniture, doors and what hangs on walls."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from lifelong_nav.core.types import FloatArray
from lifelong_nav.sim.crowd.forces import segment_offsets
from lifelong_nav.sim.plan import Furnisher
from lifelong_nav.sim.scene import Box, Wall

Mapping = dict[str, Any]
Rng = np.random.Generator

_COLOURS = {
    "wood": (0.62, 0.46, 0.30), "white": (0.88, 0.88, 0.86), "steel": (0.62, 0.64, 0.67),
    "dark": (0.25, 0.28, 0.33), "leaf": (0.18, 0.42, 0.16), "red": (0.75, 0.12, 0.1),
    "blue": (0.15, 0.3, 0.6), "grey": (0.5, 0.5, 0.5), "sand": (0.76, 0.68, 0.52),
}  # fmt: skip
HALL_PIECES = (
    ("bench", (1.6, 0.5, 0.45), "wood"),
    ("plant", (0.5, 0.5, 1.5), "leaf"),
    ("cabinet", (1.0, 0.45, 1.1), "steel"),
    ("table", (1.4, 0.8, 0.74), "wood"),
    ("vending", (0.9, 0.8, 1.8), "red"),
    ("bin", (0.4, 0.4, 0.7), "grey"),
    ("sofa", (1.8, 0.8, 0.8), "blue"),
    ("shelf", (1.2, 0.4, 1.9), "wood"),
    ("counter", (2.0, 0.7, 1.05), "white"),
)
ROOM_PIECES = (
    ("desk", (1.4, 0.7, 0.74), "wood"),
    ("shelf", (0.9, 0.35, 1.8), "wood"),
    ("cabinet", (0.6, 0.5, 0.8), "steel"),
    ("desk", (1.2, 0.7, 0.74), "white"),
    ("plant", (0.4, 0.4, 1.2), "leaf"),
    ("board", (1.4, 0.1, 1.8), "white"),
    ("sofa", (1.6, 0.8, 0.75), "blue"),
    ("chair", (0.5, 0.5, 0.85), "dark"),
)


def outline_walls(length: float, width: float) -> tuple[Wall, ...]:
    """Four walls from the origin to (length, width) [m]."""
    return tuple(box_walls(0.0, 0.0, length, width))


def box_walls(x0: float, y0: float, x1: float, y1: float) -> list[Wall]:
    """Four walls around a rectangle [m]."""
    corners = [(x0, y0), (x1, y0), (x1, y1), (x0, y1)]
    return [Wall(corners[i], corners[(i + 1) % 4]) for i in range(4)]


def wall_rows(walls: Sequence[Wall]) -> list[list[float]]:
    """Walls as a scene mapping lists them."""
    return [[float(w.a[0]), float(w.a[1]), float(w.b[0]), float(w.b[1])] for w in walls]


def region(kind: str, x0: float, y0: float, x1: float, y1: float) -> Mapping:
    """A region of a scene mapping."""
    return {"kind": kind, "low": [float(x0), float(y0)], "high": [float(x1), float(y1)]}


def moved(mapping: Mapping, x: float, y: float) -> Mapping:
    """A box of a mapping, shifted [m]."""
    return {**mapping, "x": mapping["x"] + x, "y": mapping["y"] + y}


def piece(
    name: str, kind: str, at: FloatArray, yaw: float, size: Sequence[float], colour: str, rng: Rng,
    shape: str = "box",
) -> Mapping:  # fmt: skip
    """A box of a scene mapping in about the named colour."""
    tint = np.clip(np.array(_COLOURS[colour]) + rng.uniform(-0.1, 0.1, 3), 0.03, 0.97)
    return {"name": name, "kind": kind, "x": float(at[0]), "y": float(at[1]), "yaw": float(yaw),
            "size": [float(s) for s in size], "colour": tint.tolist(), "shape": shape}  # fmt: skip


def furnished(
    rng: Rng, inside: tuple[float, float, float, float], keep: Sequence[tuple[float, float, float, float]],
    pieces: Sequence[tuple[str, tuple[float, float, float], str]], count: int, in_order: bool = False,
) -> list[Mapping]:  # fmt: skip
    """Up to `count` pieces with their backs to the walls, off the rectangles `keep`."""
    f = Furnisher(rng, inside, keep)
    for i in range(count):
        kind, size, colour = pieces[i % len(pieces) if in_order else int(rng.integers(len(pieces)))]
        shape = "cylinder" if kind in ("plant", "bin") else "box"
        grow = rng.uniform(0.85, 1.15, 3)
        grow[1] = grow[0] if shape == "cylinder" else grow[1]
        wide = (size[0] * grow[0], size[1] * grow[1], min(size[2] * grow[2], 2.3))
        m = piece(f"{kind}_{i}", kind, np.zeros(2), 0.0, wide, colour, rng, shape)
        f.along_wall(
            Box(m["name"], kind, 0.0, 0.0, size=tuple(m["size"]), colour=tuple(m["colour"]), shape=shape)
        )
    return [
        {
            "name": b.name,
            "kind": b.kind,
            "x": b.x,
            "y": b.y,
            "yaw": b.yaw,
            "size": list(b.size),
            "colour": list(b.colour),
            "shape": b.shape,
        }
        for b in f.boxes
    ]


def leaf(rng: Rng, gap: float) -> list[Mapping]:
    """A hinged leaf that stands open into +x beside the doorway, or none."""
    if rng.random() < 0.4:
        return []
    top = rng.random() < 0.5
    y, yaw, swing = (gap / 2.0, -np.pi / 2.0, 1) if top else (-gap / 2.0, np.pi / 2.0, -1)
    return [{"name": "leaf", "x": 0.0, "y": float(y), "yaw": float(yaw), "width": gap - 0.02, "swing": swing,
             "angle": float(rng.uniform(1.35, 1.6))}]  # fmt: skip


def slots(rng: Rng, length: float, spacing: float, chance: float) -> list[float]:
    """Places along a wall [m], each taken with that chance."""
    count = max(1, int((length - 1.0) / spacing))
    return [
        float((i + 0.5 + rng.uniform(-0.05, 0.05)) * length / count)
        for i in range(count)
        if rng.random() < chance
    ]


def wall_doors(rng: Rng, length: float, width: float) -> list[Mapping]:
    """Closed doors, radiators and extinguishers flat on both long walls."""
    out: list[Mapping] = []
    for side, y in enumerate((0.0, width)):
        inward = 1.0 if side == 0 else -1.0
        for k, x in enumerate(slots(rng, max(length, 1.5), 2.2, 0.7)):
            draw = rng.random()
            if draw < 0.6:
                size, kind, colour, z = (
                    (0.95, 0.05, 2.05),
                    "door",
                    str(rng.choice(["wood", "white", "blue", "grey"])),
                    0.0,
                )
            elif draw < 0.8:
                size, kind, colour, z = (1.0, 0.1, 0.6), "radiator", "white", 0.15
            else:
                size, kind, colour, z = (0.16, 0.16, 0.5), "extinguisher", "red", 0.7
            off = inward * (0.06 + size[1] / 2.0)
            out.append(
                {**piece(f"{kind}_{side}_{k}", kind, np.array([x, y + off]), 0.0, size, colour, rng), "z": z}
            )
    return out


def corridor_things(rng: Rng, length: float, width: float) -> list[Mapping]:
    """A bench, a plant or a cabinet here and there where the corridor is wide."""
    if width < 2.4:
        return []
    out: list[Mapping] = []
    for k, x in enumerate(slots(rng, length, 4.0, 0.4)):
        low = rng.random() < 0.5
        kind, size, colour = (
            ("plant", (0.36, 0.36, 1.3), "leaf"),
            ("cabinet", (0.9, 0.35, 1.0), "steel"),
            ("bench", (1.2, 0.38, 0.45), "wood"),
        )[int(rng.integers(3))]
        y = 0.1 + size[1] / 2.0 if low else width - 0.1 - size[1] / 2.0
        shape = "cylinder" if kind == "plant" else "box"
        out.append(piece(f"{kind}_c{k}", kind, np.array([x, y]), 0.0, size, colour, rng, shape))
    return out


def is_free(points: FloatArray, keep: FloatArray, lanes: FloatArray, gap: float) -> bool:
    """True where no point is nearer than `gap` to what is kept or to a lane."""
    near = np.hypot(*(points[:, None] - keep[None]).transpose(2, 0, 1)).min() if len(keep) else np.inf
    if len(lanes):
        dx, dy = segment_offsets(points, lanes)
        near = min(near, float(np.hypot(dx, dy).min()))
    return bool(near > gap)
