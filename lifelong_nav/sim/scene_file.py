"""Scenes written by hand: a YAML mapping to a `Scene`. Used by `sim/scenes` and inside scenarios.

    outline: [0, 0, 12, 8]              # four walls
    walls: [[6, 0, 6, 3.5], [6, 4.5, 6, 8]]
    regions: {door: {kind: doorway, low: [5.6, 3.5], high: [6.4, 4.5]}}
    boxes: [{name: desk, kind: table, x: 2, y: 2, size: [1.4, 0.7, 0.75]}]

or `kind: office` for a generated building (`building.generate`), with `seed` to fix its layout and that
kind's measures (`rooms: 4`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lifelong_nav.sim.fields import Fields, numbers
from lifelong_nav.sim.scene import Box, Door, FloorPatch, Region, Scene, Wall


def scene_from(data: Mapping[str, Any], name: str, seed: int = 0) -> Scene:
    """A scene from its mapping.

    Args:
        data: `kind` (and `seed`) of a generated building, or explicit parts.
        name: of the scene, and its place in messages.
        seed: layout of a generated building where the mapping fixes none.

    Raises:
        ConfigError: a field is missing, unknown or out of range; the message names it.
    """
    f = Fields(data, f"{name}.scene")
    if "kind" in f:
        from lifelong_nav.sim.building import generate

        kind, layout = f.text("kind"), f.whole("seed", seed, 0, 2**31)
        measures = {k: f.number(k) for k in f.data if k not in ("kind", "seed")}
        return generate(kind, layout, **measures)
    walls = [Wall(*_ends(v, w)) for v, w in f.rows("walls")]
    if "outline" in f:
        x0, y0, x1, y1 = f.numbers("outline", (4,))
        corners = [(x0, y0), (x1, y0), (x1, y1), (x0, y1)]
        walls += [Wall(corners[i], corners[(i + 1) % 4]) for i in range(4)]
    regions = [_region(k, Fields(v, f"{f.where}.regions.{k}")) for k, v in f.sub("regions").data.items()]
    scene = Scene(
        name,
        walls=tuple(walls),
        boxes=tuple(_box(Fields(v, w)) for v, w in f.rows("boxes")),
        doors=tuple(_door(Fields(v, w)) for v, w in f.rows("doors")),
        floors=tuple(_floor(Fields(v, w)) for v, w in f.rows("floors")),
        regions=tuple(regions),
        friction=f.number("friction", 0.8, 0.0, 2.0),
        textures_seed=f.whole("textures_seed", seed % 10_000),
    )
    f.done()
    return scene


def _ends(value: Any, where: str) -> tuple[tuple[float, float], tuple[float, float]]:
    x0, y0, x1, y1 = numbers(value, where, (4,))
    return (x0, y0), (x1, y1)


def _region(name: str, f: Fields) -> Region:
    low, high = f.numbers("low", (2,)), f.numbers("high", (2,))
    region = Region(name, f.text("kind", "area"), (low[0], low[1]), (high[0], high[1]))
    f.done()
    return region


def _box(f: Fields) -> Box:
    kind = f.text("kind", "furniture")
    size = f.numbers("size", (3,), (0.5, 0.5, 0.5))
    colour = f.numbers("colour", (3,), (0.6, 0.5, 0.4))
    box = Box(
        f.text("name", kind), kind, f.number("x"), f.number("y"), f.number("yaw", 0.0), f.number("z", 0.0),
        (size[0], size[1], size[2]), f.number("mass", 0.0, 0.0), f.number("friction", 0.6, 0.0, 2.0),
        (colour[0], colour[1], colour[2]), f.text("shape", "box", ("box", "cylinder")),
    )  # fmt: skip
    f.done()
    return box


def _door(f: Fields) -> Door:
    door = Door(
        f.text("name"), f.number("x"), f.number("y"), f.number("yaw"), f.number("width", 0.9, 0.3, 3.0),
        f.number("height", 2.0, 0.5, 4.0), 1 if f.number("swing", 1) > 0 else -1, f.number("angle", 0.0),
        f.number("limit", 1.6, 0.0, 3.2), f.number("mass", 18.0, 0.5), f.number("friction", 2.0, 0.0),
        f.number("damping", 1.0, 0.0),
    )  # fmt: skip
    f.done()
    return door


def _floor(f: Fields) -> FloorPatch:
    patch = FloorPatch(
        f.text("name"), f.number("x"), f.number("y"), f.number("length", low=0.1), f.number("width", low=0.1),
        f.number("yaw", 0.0), f.number("friction", 0.8, 0.0, 2.0), f.number("slope", 0.0, -0.5, 0.5),
    )  # fmt: skip
    f.done()
    return patch
