"""Places for pictures: corridors, halls, rooms, doors, elevators, kitchens, aisles, as scene mappings.

Each maker returns the mapping that `scene_file.scene_from` reads, so that a scenario can carry it. The
test split is built otherwise than the training split: side rooms, stub walls, cut corners, other
proportions.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lifelong_nav.core.types import FloatArray
from lifelong_nav.sim.plan import Opening, wall_line
from lifelong_nav.sim.scene import Wall
from lifelong_nav.training.scene_pieces import (
    HALL_PIECES,
    ROOM_PIECES,
    Mapping,
    Rng,
    box_walls,
    corridor_things,
    furnished,
    is_free,
    leaf,
    moved,
    outline_walls,
    piece,
    region,
    slots,
    wall_doors,
    wall_rows,
)


def corridor(rng: Rng, length: float, width: float, unlike: bool = False) -> Mapping:
    """A straight corridor from x = 0 to `length`, y = 0 to `width` [m]; `unlike` opens side rooms."""
    walls: list[Wall] = []
    regions = {"way": region("corridor", 0.2, 0.2, length - 0.2, width - 0.2)}
    for side, y in enumerate((0.0, width)):
        openings = []
        if unlike:
            for x in slots(rng, length, 2.6, 0.55):
                openings.append(Opening(x, 1.0))
                out = -1.0 if side == 0 else 1.0
                back = y + out * float(rng.uniform(2.0, 3.0))
                x0, x1 = x - 1.2, x + 1.2
                for a, b in (((x0, y), (x0, back)), ((x0, back), (x1, back)), ((x1, back), (x1, y))):
                    walls += wall_line(a, b)
        walls += wall_line((0.0, y), (length, y), openings)
    walls += wall_line((0.0, 0.0), (0.0, width)) + wall_line((length, 0.0), (length, width))
    boxes = [] if unlike else wall_doors(rng, length, width)
    boxes += corridor_things(rng, length, width)
    return {"walls": wall_rows(walls), "boxes": boxes, "regions": regions}


def hall(
    rng: Rng, length: float, width: float, keep: FloatArray, lanes: FloatArray, unlike: bool = False
) -> Mapping:
    """An open hall with furniture along its walls and pillars off the lanes.

    Args:
        rng: source of chance.
        length: along x [m].
        width: along y [m].
        keep: (K, 2) points with free floor around.
        lanes: (L, 4) lines that stay free of pillars.
        unlike: stub walls and a cut corner, as the test split has them.
    """
    walls = list(outline_walls(length, width))
    solid: list[tuple[float, float, float, float]] = []
    if unlike:
        for _ in range(int(rng.integers(1, 4))):
            x, reach = float(rng.uniform(0.12, 0.88)) * length, float(rng.uniform(1.0, 2.4))
            low = rng.random() < 0.5
            a, b = ((x, 0.0), (x, reach)) if low else ((x, width), (x, width - reach))
            middle = np.array([[x, b[1]], [x, (a[1] + b[1]) / 2.0]])
            if is_free(middle, keep, lanes, 1.1):
                walls += wall_line(a, b)
                solid.append((x - 0.1, min(a[1], b[1]), x + 0.1, max(a[1], b[1])))
    boxes: list[Mapping] = []
    count = int(rng.integers(0, 5))
    square = unlike or rng.random() < 0.3
    for i in range(count):
        at = rng.uniform((1.5, 1.5), (length - 1.5, width - 1.5))
        if is_free(at[None], keep, lanes, 1.0):
            wide = float(rng.uniform(0.35, 0.6))
            shape = "box" if square else "cylinder"
            boxes.append(piece(f"pillar_{i}", "pillar", at, 0.0, (wide, wide, 2.5), "white", rng, shape))
    rect = [(p[0] - 0.8, p[1] - 0.8, p[0] + 0.8, p[1] + 0.8) for p in keep] + solid
    boxes += furnished(
        rng, (0.1, 0.1, length - 0.1, width - 0.1), rect, HALL_PIECES, int(rng.integers(3, 10))
    )
    regions = {
        "west": region("side", 0.4, 0.4, 2.0, width - 0.4),
        "east": region("side", length - 2.0, 0.4, length - 0.4, width - 0.4),
        "south": region("side", 0.4, 0.4, length - 0.4, 2.0),
        "north": region("side", 0.4, width - 2.0, length - 0.4, width - 0.4),
        "middle": region("hall", 3.0, 3.0, length - 3.0, width - 3.0),
        "floor": region("hall", 0.4, 0.4, length - 0.4, width - 0.4),
    }
    return {"walls": wall_rows(walls), "boxes": boxes, "regions": regions}


def two_rooms(rng: Rng, deep: tuple[float, float], width: float, gap: float, at: float) -> Mapping:
    """Two plain rooms with one doorway between, the partition at x = 0, its middle at y = 0."""
    low, high = -at, width - at
    walls = box_walls(-deep[0], low, deep[1], high)
    walls += wall_line((0.0, low), (0.0, high), [Opening(at, gap)])
    keep = [(-deep[0] + 0.3, -1.0, deep[1] - 0.3, 1.0)]
    boxes: list[Mapping] = []
    for side, (x0, x1) in enumerate(((-deep[0] + 0.1, -0.1), (0.1, deep[1] - 0.1))):
        pieces = furnished(rng, (x0, low + 0.1, x1, high - 0.1), keep, HALL_PIECES, int(rng.integers(0, 4)))
        boxes += [{**b, "name": f"{b['name']}_{side}"} for b in pieces]
    regions = {
        "left": region("hall", -deep[0] + 0.2, low + 0.2, -0.2, high - 0.2),
        "right": region("hall", 0.2, low + 0.2, deep[1] - 0.2, high - 0.2),
        "door": region("doorway", -0.4, -gap / 2.0, 0.4, gap / 2.0),
    }
    return {"walls": wall_rows(walls), "boxes": boxes, "regions": regions, "doors": leaf(rng, gap)}


def corridor_and_room(
    rng: Rng, length: float, width: float, room: tuple[float, float], gap: float, unlike: bool = False
) -> Mapping:
    """A corridor along -x that ends at the door (x = 0, y = 0) of a furnished room at +x."""
    shift = float(rng.uniform(-0.25, 0.25)) * (room[1] - gap - 1.2)
    low, high = -room[1] / 2.0 + shift, room[1] / 2.0 + shift
    walls = list(wall_line((0.0, low), (0.0, high), [Opening(-low, gap)]))
    for a, b in (
        ((0.0, low), (room[0], low)),
        ((room[0], low), (room[0], high)),
        ((room[0], high), (0.0, high)),
    ):
        walls += wall_line(a, b)
    half = width / 2.0
    for y in (-half, half):
        openings = [Opening(length * 0.4, 1.0)] if unlike and rng.random() < 0.6 else []
        walls += wall_line((-length, y), (0.0, y), openings)
        if openings:
            x, back = -length + 0.4 * length, y + np.sign(y) * 2.2
            for a, b in (
                ((x - 1.1, y), (x - 1.1, back)),
                ((x - 1.1, back), (x + 1.1, back)),
                ((x + 1.1, back), (x + 1.1, y)),
            ):
                walls += wall_line(a, b)
    walls += wall_line((-length, -half), (-length, half))
    keep = [(0.0, -0.9, room[0] - 0.8, 0.9)]
    inside = (0.1, low + 0.1, room[0] - 0.1, high - 0.1)
    boxes = furnished(rng, inside, keep, ROOM_PIECES, int(rng.integers(4, 8)))
    regions = {
        "corridor": region("corridor", -length + 0.2, -half + 0.2, -0.3, half - 0.2),
        "room": region("room", 0.3, low + 0.2, room[0] - 0.2, high - 0.2),
        "door": region("doorway", -0.4, -gap / 2.0, 0.4, gap / 2.0),
    }
    return {"walls": wall_rows(walls), "boxes": boxes, "regions": regions, "doors": leaf(rng, gap)}


def elevator(rng: Rng, lobby: tuple[float, float], cab: tuple[float, float], gap: float) -> Mapping:
    """A lobby at -x and a cab at +x, the cab's opening at (0, 0); steel all over, sliding leaves."""
    half, deep, side = lobby[1] / 2.0, cab[0], cab[1] / 2.0
    walls = list(wall_line((0.0, -half), (0.0, half), [Opening(half, gap)]))
    for a, b in (
        ((0.0, -half), (-lobby[0], -half)),
        ((-lobby[0], -half), (-lobby[0], half)),
        ((-lobby[0], half), (0.0, half)),
        ((0.0, side), (deep, side)),
        ((deep, side), (deep, -side)),
        ((deep, -side), (0.0, -side)),
    ):
        walls += wall_line(a, b)
    tint = np.clip(np.array([0.66, 0.68, 0.71]) + rng.uniform(-0.05, 0.05, 3), 0, 1)
    boxes: list[Mapping] = []

    def panel(name: str, x: float, y: float, size: tuple[float, float, float], z: float = 0.0) -> None:
        boxes.append(
            {
                "name": name,
                "kind": "panel",
                "x": x,
                "y": y,
                "z": z,
                "size": list(size),
                "colour": tint.tolist(),
            }
        )

    panel("back", deep - 0.08, 0.0, (0.04, 2 * side - 0.16, 2.4))
    panel("left", deep / 2, side - 0.08, (deep - 0.2, 0.04, 2.4))
    panel("right", deep / 2, -side + 0.08, (deep - 0.2, 0.04, 2.4))
    for s in (-1.0, 1.0):
        panel(f"frame_{s:+.0f}", -0.1, s * (gap / 2 + 0.09), (0.1, 0.18, 2.2))
        panel(f"leaf_{s:+.0f}", 0.09, s * (gap / 2 + 0.12), (0.04, 0.3, 2.1))
        panel(f"rail_{s:+.0f}", deep / 2, s * (side - 0.15), (deep - 0.4, 0.05, 0.06), 0.95)
    boxes.append({"name": "buttons", "kind": "panel", "x": -0.08, "y": -(gap / 2 + 0.45), "z": 1.0,
                  "size": [0.04, 0.14, 0.3], "colour": [0.12, 0.12, 0.14]})  # fmt: skip
    keep = [(-lobby[0], -1.1, 0.0, 1.1), (-1.2, -half, 0.0, half)]
    inside = (-lobby[0] + 0.1, -half + 0.1, -0.1, half - 0.1)
    boxes += furnished(rng, inside, keep, HALL_PIECES, int(rng.integers(0, 4)))
    regions = {
        "lobby": region("hall", -lobby[0] + 0.3, -half + 0.3, -0.4, half - 0.3),
        "cab": region("elevator", 0.2, -side + 0.2, deep - 0.2, side - 0.2),
        "door": region("doorway", -0.4, -gap / 2, 0.4, gap / 2),
    }
    return {"walls": wall_rows(walls), "boxes": boxes, "regions": regions}


def corner(rng: Rng, arms: tuple[float, float], widths: tuple[float, float], unlike: bool = False) -> Mapping:
    """A corridor along +x that turns to +y; the inner edge of the corner is at (0, 0)."""
    a, b = arms
    w, v = widths  # of the first and the second arm
    points = [(-a, -w), (v, -w), (v, b), (0.0, b), (0.0, 0.0), (-a, 0.0)]
    walls = [Wall(p, q) for p, q in zip(points, points[1:] + points[:1], strict=True)]
    boxes: list[Mapping] = []
    if unlike and rng.random() < 0.7:  # an open side room before the corner
        x = -a * 0.5
        walls[0:1] = list(wall_line((-a, -w), (v, -w), [Opening(a * 0.5, 1.0)]))
        for p, q in (
            ((x - 1.1, -w), (x - 1.1, -w - 2.2)),
            ((x - 1.1, -w - 2.2), (x + 1.1, -w - 2.2)),
            ((x + 1.1, -w - 2.2), (x + 1.1, -w)),
        ):
            walls += wall_line(p, q)
    else:
        boxes = [moved(m, -a, -w) for m in wall_doors(rng, a - 1.0, w)]
    regions = {
        "near": region("corridor", -a + 0.3, -w + 0.3, -0.5, -0.3),
        "corner": region("corner", 0.0, -w, v, 0.0),
        "far": region("corridor", 0.3, 1.0, v - 0.3, b - 0.3),
    }
    return {"walls": wall_rows(walls), "boxes": boxes, "regions": regions}


def crossing(rng: Rng, arms: Sequence[float], widths: tuple[float, float], unlike: bool = False) -> Mapping:
    """Two corridors that cross at (0, 0); arms west, east, south, north; an arm of 0 makes a T."""
    west, east, south, north = arms
    hx, hy = widths[1] / 2.0, widths[0] / 2.0  # half width of the level and of the upright corridor
    walls: list[Wall] = []
    for sign, reach in ((-1.0, west), (1.0, east)):
        x = sign * (reach if reach > 0.0 else hy)
        if reach > 0.0:
            walls += wall_line((sign * hy, -hx), (x, -hx)) + wall_line((sign * hy, hx), (x, hx))
        walls += wall_line((x, -hx), (x, hx))
    for sign, reach in ((-1.0, south), (1.0, north)):
        y = sign * (reach if reach > 0.0 else hx)
        if reach > 0.0:
            walls += wall_line((-hy, sign * hx), (-hy, y)) + wall_line((hy, sign * hx), (hy, y))
        walls += wall_line((-hy, y), (hy, y))
    boxes = [moved(m, -west, -hx) for m in wall_doors(rng, west - hy - 0.5, 2.0 * hx)]
    regions = {"crossing": region("crossing", -hy, -hx, hy, hx)}
    ends = {"west": (-west, -hx, -hy - 0.3, hx), "east": (hy + 0.3, -hx, east, hx),
            "south": (-hy, -south, hy, -hx - 0.3), "north": (-hy, hx + 0.3, hy, north)}  # fmt: skip
    for name, (x0, y0, x1, y1) in ends.items():
        if x1 - x0 > 1.0 and y1 - y0 > 1.0:
            regions[name] = region("corridor", x0 + 0.2, y0 + 0.2, x1 - 0.2, y1 - 0.2)
    return {"walls": wall_rows(walls), "boxes": boxes, "regions": regions}


def room(rng: Rng, length: float, width: float, kitchen: bool = False) -> Mapping:
    """A furnished room, or a kitchen with counters, fridge, table and chairs; its middle stays free."""
    walls = outline_walls(length, width)
    keep = [(0.25 * length, 0.3 * width, 0.75 * length, 0.7 * width), (0.0, 0.4 * width, length, 0.6 * width)]
    inside = (0.08, 0.08, length - 0.08, width - 0.08)
    if kitchen:
        pieces = (
            ("counter", (2.2, 0.6, 0.9), "white"), ("counter", (1.6, 0.6, 0.9), "white"),
            ("fridge", (0.65, 0.65, 1.8), "white"), ("stove", (0.6, 0.6, 0.9), "dark"),
            ("table", (1.3, 0.8, 0.74), "wood"), ("cupboard", (1.2, 0.4, 2.0), "wood"),
        )  # fmt: skip
        boxes = furnished(rng, inside, keep, pieces, 6, in_order=True)
        tops = [b for b in boxes if b["kind"] in ("counter", "table")]
        for i, b in enumerate(tops * 2):
            on = np.array([b["x"], b["y"]]) + rng.uniform(-0.25, 0.25, 2)
            tall, wide = float(rng.uniform(0.1, 0.35)), float(rng.uniform(0.08, 0.25))
            colour = str(rng.choice(["red", "blue", "sand", "leaf", "dark"]))
            thing = piece(f"thing_{i}", "mug", on, 0.0, (wide, wide, tall), colour, rng, "cylinder")
            boxes.append({**thing, "z": b["size"][2]})
        for i, b in enumerate(t for t in tops if t["kind"] == "counter"):
            high = {
                **b,
                "name": f"wall_unit_{i}",
                "kind": "cupboard",
                "z": 1.45,
                "size": [b["size"][0], 0.35, 0.7],
            }
            boxes.append(high)
    else:
        boxes = furnished(rng, inside, keep, ROOM_PIECES, int(rng.integers(5, 10)))
    regions = {"room": region("kitchen" if kitchen else "room", 0.4, 0.4, length - 0.4, width - 0.4)}
    return {"walls": wall_rows(walls), "boxes": boxes, "regions": regions}


def aisle(rng: Rng, length: float, width: float, unlike: bool = False) -> Mapping:
    """An aisle between two rows of racks along x, y = 0 in its middle, with room at both ends."""
    depth, end = float(rng.uniform(0.45, 0.7)), 2.0
    half = width / 2.0
    total, high = length + 2.0 * end, half + depth + (1.5 if unlike else 0.1)
    walls = box_walls(0.0, -high, total, high)
    boxes: list[Mapping] = []
    colour = rng.choice(np.array([(0.45, 0.5, 0.62), (0.7, 0.4, 0.2), (0.6, 0.6, 0.62), (0.35, 0.5, 0.4)]))
    count = max(2, round(length / 2.2))
    for row, sign in enumerate((-1.0, 1.0)):
        for i in range(count):
            x, y = end + (i + 0.5) * length / count, sign * (half + depth / 2.0)
            tall = float(rng.choice([1.5, 1.8, 2.1, 2.3]))
            boxes.append(
                {
                    "name": f"rack_{row}_{i}",
                    "kind": "rack",
                    "x": x,
                    "y": y,
                    "size": [length / count, depth, tall],
                    "colour": np.clip(colour * rng.uniform(0.9, 1.1), 0, 1).tolist(),
                }
            )
    regions = {
        "aisle": region("aisle", end, -half + 0.2, end + length, half - 0.2),
        "west": region("end", 0.3, -half, end - 0.3, half),
        "east": region("end", total - end + 0.3, -half, total - 0.3, half),
    }
    return {"walls": wall_rows(walls), "boxes": boxes, "regions": regions}
