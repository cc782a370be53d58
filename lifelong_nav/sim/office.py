"""An office floor: rooms on both sides of a corridor, doorways, hinged doors, furniture, things."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from lifelong_nav.sim.plan import Furnisher, Opening, Rect, outline, wall_line
from lifelong_nav.sim.scene import Box, Door, Region, Scene, Wall

_HALF = 0.06  # of a wall's thickness [m]
_PATH = 1.0  # kept free from the doorway to the middle of every room [m]
_CENTRE = 0.7  # half side of the free square in the middle [m]

Colour = tuple[float, float, float]
_WOOD: Colour = (0.62, 0.46, 0.30)
_WHITE: Colour = (0.88, 0.88, 0.86)
_STEEL: Colour = (0.62, 0.64, 0.67)
_BRIGHT: tuple[Colour, ...] = ((0.8, 0.15, 0.12), (0.1, 0.35, 0.75), (0.95, 0.75, 0.1), (0.1, 0.55, 0.25))


def office(rng: np.random.Generator, size: Mapping[str, float]) -> Scene:
    """An office floor.

    Args:
        rng: source of randomness.
        size: `rooms` per side, `depth` of the rooms and width of the `corridor` [m], share of rooms with
            hinged `doors`, share of those that start `closed`.
    """
    per_side, depth, hall = round(size["rooms"]), size["depth"], size["corridor"]
    widths = [_widths(rng, per_side) for _ in range(2)]
    length = max(float(w.sum()) for w in widths)
    widths = [w * length / w.sum() for w in widths]
    names = _room_names(rng, 2 * per_side)
    walls = list(outline(0.0, -depth, length, hall + depth))
    boxes: list[Box] = []
    doors: list[Door] = []
    regions = [Region("corridor", "corridor", (0.4, 0.3), (length - 0.4, hall - 0.3))]
    for side in range(2):
        edges = np.concatenate([[0.0], np.cumsum(widths[side])])
        wall_y, back = (0.0, -depth) if side == 0 else (hall, hall + depth)
        openings, links = [], _links(rng, per_side)
        for i in range(per_side):
            x0, x1 = float(edges[i]), float(edges[i + 1])
            gap = float(rng.uniform(1.05, 1.25))
            at = float(rng.uniform(x0 + gap / 2 + 0.35, x1 - gap / 2 - 0.35))
            openings.append(Opening(at, gap))
            name, kind = names[side * per_side + i]
            room = (x0 + _HALF, min(wall_y, back) + _HALF, x1 - _HALF, max(wall_y, back) - _HALF)
            keep = _keep_free(room, at, gap, wall_y, links, i)
            boxes += _furnish(rng, kind, name, room, keep)
            regions += _regions(name, kind, room, at, gap, wall_y)
            if rng.random() < size["doors"]:
                doors.append(_door(rng, name, at, gap, wall_y, side, rng.random() < size["closed"]))
            if i + 1 < per_side:
                link = [Opening(depth / 2.0, 1.1)] if links[i] else []
                walls += wall_line((x1, min(wall_y, back)), (x1, max(wall_y, back)), link)
        walls += wall_line((0.0, wall_y), (length, wall_y), openings)
    boxes += _corridor_things(rng, length, hall, walls)
    return Scene("", tuple(walls), tuple(boxes), tuple(doors), regions=tuple(regions))


def _widths(rng: np.random.Generator, n: int) -> np.ndarray:
    return np.asarray(rng.uniform(4.0, 5.2, n))


def _room_names(rng: np.random.Generator, n: int) -> list[tuple[str, str]]:
    """Name and kind of every room: one kitchen, one or two meeting rooms, a storage, a lab, offices."""
    kinds = ["kitchen", "meeting", "storage", "lab"][: max(1, n // 2)]
    if n >= 10:
        kinds.append("meeting")
    kinds += ["office"] * (n - len(kinds))
    rng.shuffle(kinds)
    out, count = [], dict.fromkeys(kinds, 0)
    for kind in kinds:
        count[kind] += 1
        single = kinds.count(kind) == 1 and kind != "office"
        out.append((kind if single else f"{kind}_{count[kind]}", kind))
    return out


def _links(rng: np.random.Generator, n: int) -> list[bool]:
    """Which neighbours are joined by an opening: a second way round for the robot."""
    return [bool(rng.random() < 0.25) for _ in range(n - 1)]


def _keep_free(room: Rect, at: float, gap: float, wall_y: float, links: list[bool], i: int) -> list[Rect]:
    x0, y0, x1, y1 = room
    cx, cy, half = (x0 + x1) / 2.0, (y0 + y1) / 2.0, _PATH / 2.0
    inward = 1.0 if cy > wall_y else -1.0
    near, far = wall_y, wall_y + inward * 1.5
    keep = [
        (cx - _CENTRE, cy - _CENTRE, cx + _CENTRE, cy + _CENTRE),
        (at - gap / 2 - 0.15, min(near, far), at + gap / 2 + 0.15, max(near, far)),
        (at - half, min(near, cy), at + half, max(near, cy)),
        (min(at, cx) - half, cy - half, max(at, cx) + half, cy + half),
    ]
    if i < len(links) and links[i]:
        keep.append((cx, cy - 0.7, x1, cy + 0.7))
    if i > 0 and links[i - 1]:
        keep.append((x0, cy - 0.7, cx, cy + 0.7))
    return keep


def _regions(name: str, kind: str, room: Rect, at: float, gap: float, wall_y: float) -> list[Region]:
    x0, y0, x1, y1 = room
    cx, cy = (x0 + x1) / 2.0, (y0 + y1) / 2.0
    return [
        Region(name, kind, (cx - _CENTRE, cy - _CENTRE), (cx + _CENTRE, cy + _CENTRE)),
        Region(f"{name}_door", "doorway", (at - gap / 2.0, wall_y - 0.4), (at + gap / 2.0, wall_y + 0.4)),
    ]


def _door(
    rng: np.random.Generator, name: str, at: float, gap: float, wall_y: float, side: int, closed: bool
) -> Door:
    """A leaf that opens into the room, hinged on one side of the doorway."""
    left = bool(rng.random() < 0.5)  # hinge at the lower x
    x, yaw = (at - gap / 2.0, 0.0) if left else (at + gap / 2.0, np.pi)
    into_north = side == 1
    swing = 1 if left == into_north else -1
    angle = 0.0 if closed else float(rng.uniform(1.45, 1.6))
    friction, mass = float(rng.uniform(1.0, 4.0)), float(rng.uniform(12.0, 22.0))
    return Door(f"{name}_leaf", x, wall_y, float(yaw), gap - 0.02, 2.0, swing, angle, 1.6, mass, friction)


def _furnish(rng: np.random.Generator, kind: str, room_name: str, room: Rect, keep: list[Rect]) -> list[Box]:
    f = Furnisher(rng, room, keep)
    number: dict[str, int] = {}

    def piece(
        what: str, size: tuple[float, float, float], colour: Colour, mass: float = 0.0, shape: str = "box"
    ) -> Box:
        number[what] = number.get(what, 0) + 1
        jitter = np.clip(np.array(colour) + rng.uniform(-0.06, 0.06, 3), 0.03, 0.97)
        name = f"{room_name}_{what}_{number[what]}"
        tint = (float(jitter[0]), float(jitter[1]), float(jitter[2]))
        return Box(name, what, 0.0, 0.0, size=size, mass=mass, colour=tint, shape=shape)

    def thing(on: Box) -> None:
        colour = _BRIGHT[int(rng.integers(len(_BRIGHT)))]
        what = str(rng.choice(["mug", "cube", "book"]))
        sizes = {"mug": (0.08, 0.08, 0.10), "cube": (0.05, 0.05, 0.05), "book": (0.15, 0.21, 0.03)}
        weight = {"mug": 0.3, "cube": 0.15, "book": 0.4}[what]
        f.on_top(piece(what, sizes[what], colour, weight, "cylinder" if what == "mug" else "box"), on)

    def chair(at: Box) -> None:
        f.before(piece("chair", (0.45, 0.45, 0.85), (0.25, 0.28, 0.33), 6.0), at)

    if kind == "kitchen":
        counter = f.along_wall(piece("counter", (2.0, 0.6, 0.9), _WHITE))
        f.along_wall(piece("fridge", (0.6, 0.65, 1.8), _WHITE))
        table = f.along_wall(piece("table", (1.2, 0.8, 0.74), _WOOD))
        for top in filter(None, (counter, counter, table)):
            thing(top)
        if table is not None:
            chair(table)
    elif kind == "meeting":
        table = f.along_wall(piece("table", (1.8, 0.9, 0.74), _WOOD))
        if table is not None:
            thing(table)
            chair(table)
        f.along_wall(piece("cabinet", (0.9, 0.45, 0.8), _STEEL))
    elif kind == "storage":
        for _ in range(4):
            f.along_wall(piece("rack", (1.2, 0.45, 1.9), _STEEL))
        for _ in range(3):
            f.along_wall(piece("carton", (0.4, 0.35, 0.35), (0.72, 0.55, 0.36), float(rng.uniform(2.0, 5.0))))
    elif kind == "lab":
        for _ in range(3):
            bench = f.along_wall(piece("bench", (1.6, 0.7, 0.9), _STEEL))
            if bench is not None:
                thing(bench)
    else:
        for _ in range(int(rng.integers(1, 3))):
            desk = f.along_wall(piece("desk", (1.4, 0.7, 0.74), _WOOD))
            if desk is not None:
                thing(desk)
                chair(desk)
        f.along_wall(piece("shelf", (0.9, 0.35, 1.8), _WOOD))
        f.along_wall(piece("cabinet", (0.5, 0.55, 0.7), _STEEL))
    if rng.random() < 0.5:
        f.along_wall(piece("plant", (0.4, 0.4, 1.2), (0.18, 0.42, 0.16), shape="cylinder"))
    return f.boxes


def _corridor_things(rng: np.random.Generator, length: float, hall: float, walls: list[Wall]) -> list[Box]:
    """A few things along the corridor where there is wall behind them and room to pass."""
    if hall < 2.0:
        return []
    out: list[Box] = []
    solid = [(w.a[0], w.b[0], w.a[1]) for w in walls if w.a[1] == w.b[1] and w.a[1] in (0.0, hall)]
    for start, end, y in solid:
        if end - start < 1.6 or rng.random() > 0.3:
            continue
        x = float(rng.uniform(start + 0.7, end - 0.7))
        inward = 1.0 if y == 0.0 else -1.0
        if rng.random() < 0.5:
            size, what, colour, shape = (0.36, 0.36, 1.3), "plant", (0.18, 0.42, 0.16), "cylinder"
        else:
            size, what, colour, shape = (0.9, 0.35, 0.9), "cabinet", _STEEL, "box"
        off = inward * (_HALF + size[1] / 2.0 + 0.02)
        # never two opposite each other: the way past must stay wide
        if any(abs(x - o.x) < 1.8 for o in out):
            continue
        name = f"corridor_{what}_{len(out) + 1}"
        out.append(Box(name, what, x, y + off, size=size, colour=colour, shape=shape))
    return out
