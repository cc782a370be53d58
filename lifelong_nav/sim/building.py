"""Buildings from a seed: `generate("office", seed=3)`; the same seed gives the same building for ever.

Regions name places for goals and people. Every passage is at least 1 m wide.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from lifelong_nav.core.errors import ConfigError
from lifelong_nav.sim.office import office
from lifelong_nav.sim.plan import Opening, outline, wall_line
from lifelong_nav.sim.scene import Box, Region, Scene, Wall
from lifelong_nav.sim.seeds import stream

Sizes = Mapping[str, float]
_Builder = Callable[[np.random.Generator, Sizes], Scene]


def generate(kind: str, seed: int = 0, **size: float) -> Scene:
    """Build a scene.

    Args:
        kind: one of `KINDS`.
        seed: of layout and looks, >= 0.
        size: measures of that kind, see `sizes`; those not named keep their defaults.

    Raises:
        ConfigError: unknown kind or measure, or a measure out of its range.
    """
    if kind not in _KINDS:
        raise ConfigError(f"There is no building '{kind}'.", f"Choose from: {', '.join(KINDS)}.")
    builder, known = _KINDS[kind]
    values = {name: default for name, (default, _, _) in known.items()}
    for name, value in size.items():
        if name not in known:
            raise ConfigError(
                f"A building '{kind}' has no measure '{name}'.", f"It has: {', '.join(known) or 'none'}."
            )
        _, low, high = known[name]
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
            raise ConfigError(
                f"Measure {name} = {value!r} of '{kind}'.", f"Give a number in [{low}, {high}]."
            )
        values[name] = float(value)
    if seed < 0:
        raise ConfigError(f"Seed {seed} is negative.", "Give 0 or more.")
    scene = builder(stream(seed, "building", kind), values)
    return Scene(
        f"{kind}_{seed}", scene.walls, scene.boxes, scene.doors, scene.floors, scene.regions, scene.friction,
        seed % 10_000, {"generator": kind, "seed": str(seed)},
    )  # fmt: skip


def sizes(kind: str) -> dict[str, tuple[float, float, float]]:
    """Measures of a kind: name to (default, lowest, highest)."""
    return dict(_KINDS[kind][1]) if kind in _KINDS else {}


def _corridor(rng: np.random.Generator, s: Sizes) -> Scene:
    length, width = s["length"], s["width"]
    regions = (
        Region("corridor", "corridor", (0.0, 0.0), (length, width)),
        Region("west", "end", (0.5, 0.4), (2.0, width - 0.4)),
        Region("east", "end", (length - 2.0, 0.4), (length - 0.5, width - 0.4)),
    )
    return Scene("", outline(0.0, 0.0, length, width), regions=regions)


def _hall(rng: np.random.Generator, s: Sizes) -> Scene:
    length, width, pillars = s["length"], s["width"], round(s["pillars"])
    boxes = []
    for i in range(pillars):
        # one pillar per slot of a row, in two rows, so that none narrows a passage
        slot, row = (i // 2 + 0.5) / max((pillars + 1) // 2, 1), i % 2
        x = slot * length + rng.uniform(-0.3, 0.3)
        y = width * (0.32 if row else 0.68) + rng.uniform(-0.3, 0.3)
        size = (0.45, 0.45, 2.5)
        boxes.append(Box(f"pillar_{i}", "pillar", x, y, size=size, shape="cylinder", colour=(0.8, 0.8, 0.78)))
    corners = {
        "south_west": (0.5, 0.5), "south_east": (length - 2.5, 0.5),
        "north_west": (0.5, width - 2.5), "north_east": (length - 2.5, width - 2.5),
    }  # fmt: skip
    regions = [Region("hall", "hall", (0.5, 0.5), (length - 0.5, width - 0.5))]
    regions += [Region(n, "corner", (x, y), (x + 2.0, y + 2.0)) for n, (x, y) in corners.items()]
    return Scene("", outline(0.0, 0.0, length, width), tuple(boxes), regions=tuple(regions))


def _doorway(rng: np.random.Generator, s: Sizes) -> Scene:
    length, width, gap = s["length"], s["width"], s["gap"]
    middle = length / 2.0
    at = width / 2.0 + rng.uniform(-0.2, 0.2) * (width - gap)
    walls = outline(0.0, 0.0, length, width) + wall_line((middle, 0.0), (middle, width), [Opening(at, gap)])
    regions = (
        Region("room_a", "room", (0.4, 0.4), (middle - 0.8, width - 0.4)),
        Region("room_b", "room", (middle + 0.8, 0.4), (length - 0.4, width - 0.4)),
        Region("doorway", "doorway", (middle - 0.4, at - gap / 2.0), (middle + 0.4, at + gap / 2.0)),
    )
    return Scene("", walls, regions=regions)


def _intersection(rng: np.random.Generator, s: Sizes) -> Scene:
    arm, w = s["length"], s["width"] / 2.0
    walls = []
    for sx in (-1.0, 1.0):
        for sy in (-1.0, 1.0):
            walls += [Wall((sx * arm, sy * w), (sx * w, sy * w)), Wall((sx * w, sy * w), (sx * w, sy * arm))]
        walls += [Wall((sx * arm, -w), (sx * arm, w)), Wall((-w, sx * arm), (w, sx * arm))]
    e = w - 0.4
    regions = (
        Region("crossing", "crossing", (-w, -w), (w, w)),
        Region("west", "end", (-arm + 0.5, -e), (-arm + 2.0, e)),
        Region("east", "end", (arm - 2.0, -e), (arm - 0.5, e)),
        Region("south", "end", (-e, -arm + 0.5), (e, -arm + 2.0)),
        Region("north", "end", (-e, arm - 2.0), (e, arm - 0.5)),
    )
    return Scene("", tuple(walls), regions=regions)


def _blind_corner(rng: np.random.Generator, s: Sizes) -> Scene:
    arm, w = s["length"], s["width"]
    points = [(0.0, 0.0), (arm, 0.0), (arm, arm), (arm - w, arm), (arm - w, w), (0.0, w)]
    walls = tuple(Wall(a, b) for a, b in zip(points, points[1:] + points[:1], strict=True))
    regions = (
        Region("west", "end", (0.5, 0.4), (2.0, w - 0.4)),
        Region("corner", "crossing", (arm - w, 0.0), (arm, w)),
        Region("north", "end", (arm - w + 0.4, arm - 2.0), (arm - 0.4, arm - 0.5)),
    )
    return Scene("", walls, regions=regions)


def _shelves(rng: np.random.Generator, s: Sizes) -> Scene:
    length, aisle, aisles = s["length"], s["aisle"], round(s["aisles"])
    depth, end = 0.6, 2.0
    height = aisles * aisle + (aisles + 1) * depth
    boxes, regions = [], []
    colour = (0.45, 0.5, 0.62)
    for row in range(aisles + 1):
        y = row * (aisle + depth) + depth / 2.0
        count = max(1, round(length / 2.4))
        for i in range(count):
            size = (length / count, depth, float(rng.choice([1.6, 2.0, 2.3])))
            x = end + (i + 0.5) * length / count
            boxes.append(Box(f"rack_{row}_{i}", "rack", x, y, size=size, colour=colour))
    for i in range(aisles):
        y = depth + i * (aisle + depth)
        name = "aisle" if aisles == 1 else f"aisle_{i + 1}"
        regions.append(Region(name, "aisle", (end, y), (end + length, y + aisle)))
    total = length + 2.0 * end
    regions += [
        Region("west", "end", (0.4, 0.4), (end - 0.5, height - 0.4)),
        Region("east", "end", (total - end + 0.5, 0.4), (total - 0.4, height - 0.4)),
    ]
    return Scene("", outline(0.0, 0.0, total, height), tuple(boxes), regions=tuple(regions))


_KINDS: dict[str, tuple[_Builder, dict[str, tuple[float, float, float]]]] = {
    "corridor": (_corridor, {"length": (16.0, 6.0, 100.0), "width": (2.4, 1.4, 20.0)}),
    "office": (office, {"rooms": (5.0, 2.0, 12.0), "depth": (4.6, 4.0, 8.0), "corridor": (2.4, 1.8, 5.0),
                        "doors": (0.4, 0.0, 1.0), "closed": (0.0, 0.0, 1.0)}),
    "hall": (_hall, {"length": (16.0, 8.0, 100.0), "width": (12.0, 6.0, 100.0), "pillars": (4.0, 0.0, 8.0)}),
    "doorway": (_doorway, {"length": (12.0, 6.0, 40.0), "width": (6.0, 3.0, 40.0), "gap": (1.0, 1.0, 3.0)}),
    "intersection": (_intersection, {"length": (7.0, 4.0, 40.0), "width": (2.4, 1.4, 8.0)}),
    "blind_corner": (_blind_corner, {"length": (9.0, 6.0, 40.0), "width": (2.2, 1.4, 3.0)}),
    "aisle": (_shelves, {"length": (9.6, 3.0, 40.0), "aisle": (1.4, 1.0, 5.0), "aisles": (1.0, 1.0, 1.0)}),
    "warehouse": (_shelves, {"length": (12.0, 3.0, 60.0), "aisle": (2.0, 1.0, 5.0),
                             "aisles": (4.0, 2.0, 12.0)}),
}  # fmt: skip

KINDS = tuple(_KINDS)
"""What `generate` can build."""
