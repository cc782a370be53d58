"""What only the eye sees: tints, patterns and floors that differ by room, posters on the walls.

All of it hangs on `scene.textures_seed`; geometry that other sensors see is left alone (posters
stand out 1 cm, above the lidar).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from lifelong_nav.core.types import FloatArray
from lifelong_nav.sim.scene import Region, Scene, Wall
from lifelong_nav.sim.shapes import CEILING, FLOOR, WALL, Colour, Shape, planar, static_shapes

_ROOMS = ("room", "corridor", "hall", "office", "kitchen", "meeting", "lobby", "storage", "lab")
_POSTER = 0.012  # thickness [m]
_PLATE = 0.003  # thickness of a room's floor above the base floor [m], half of it shows


def world_shapes(scene: Scene) -> list[Shape]:
    """The static shapes of a scene as the camera sees them, posed in the world."""
    rng = np.random.default_rng([abs(scene.textures_seed), 91])
    seeds = rng.spawn(3)
    shapes = [_tinted(shape, seeds[0], scene.textures_seed) for shape in static_shapes(scene)]
    return shapes + _room_floors(scene, seeds[1]) + _posters(scene, seeds[2])


def _tinted(shape: Shape, rng: np.random.Generator, seed: int) -> Shape:
    if shape.body == WALL:  # walls in one line look alike over some metres
        rng = np.random.default_rng([abs(seed), *_line(shape)])
        tint = np.array(shape.colour) * rng.uniform(0.9, 1.05) * _pastel(rng)
    elif shape.body in (FLOOR, CEILING):
        tint = np.array(shape.colour) * rng.uniform(0.9, 1.05)
    else:
        tint = np.array(shape.colour) * rng.uniform(0.92, 1.08, 3)
    return replace(shape, colour=_colour(tint), texture=f"{shape.texture}/{int(rng.integers(1 << 16))}")


def _line(shape: Shape) -> tuple[int, int, int]:
    """Whole numbers that name the line a wall lies on, and the stretch of 10 m along it."""
    along = shape.pose[:2, 0] * (1.0 if shape.pose[0, 0] - 0.5 * shape.pose[1, 0] > 0.0 else -1.0)
    turn = round(float(np.arctan2(along[1], along[0])) * 50.0) + 500
    offset = round(float(along @ (shape.pose[1, 3], -shape.pose[0, 3])) * 4.0) + 100_000
    return turn, abs(offset), int(float(along @ shape.pose[:2, 3]) // 10.0) + 100_000


def _pastel(rng: np.random.Generator) -> FloatArray:
    """Near white most of the time, a clear pastel now and then."""
    strength = 0.26 if rng.random() < 0.35 else 0.06
    return 1.0 - strength * rng.random(3)


def _colour(values: FloatArray) -> Colour:
    r, g, b = (float(v) for v in np.clip(values, 0.0, 1.0))
    return r, g, b


def _room_floors(scene: Scene, rng: np.random.Generator) -> list[Shape]:
    """One thin plate per room, from wall to wall, each with its own pattern; overlaps are left out."""
    taken: list[Region] = []
    shapes = []
    for region in scene.regions:
        pick, tint = int(rng.integers(1 << 16)), np.clip(rng.uniform(0.72, 1.0) * _pastel(rng), 0, 1)
        if region.kind not in _ROOMS:
            continue
        region = _grown(region, scene)
        if any(_overlap(region, other) for other in taken):
            continue
        taken.append(region)
        (x0, y0), (x1, y1) = region.low, region.high
        if x1 - x0 < 0.1 or y1 - y0 < 0.1:
            continue
        pose = planar(*region.centre, 0.0, 0.0)
        size = (x1 - x0, y1 - y0, _PLATE)
        shapes.append(Shape("box", size, _colour(tint), FLOOR, pose, texture=f"floor/{pick}"))
    return shapes


def _grown(region: Region, scene: Scene) -> Region:
    """The region widened to the nearest upright or level walls around it; sides without stay."""
    low, high = list(region.low), list(region.high)
    middle = region.centre
    for axis in (0, 1):
        other = 1 - axis
        before, after = -np.inf, np.inf
        for wall in scene.walls:
            ends = sorted((wall.a[other], wall.b[other]))
            level = abs(wall.a[axis] - wall.b[axis]) < 1e-6
            if not level or ends[1] <= region.low[other] or ends[0] >= region.high[other]:
                continue
            at = wall.a[axis]
            before = max(before, at) if at <= middle[axis] else before
            after = min(after, at) if at > middle[axis] else after
        low[axis] = min(low[axis], before) if np.isfinite(before) else low[axis]
        high[axis] = max(high[axis], after) if np.isfinite(after) else high[axis]
    return replace(region, low=(low[0], low[1]), high=(high[0], high[1]))


def _overlap(a: Region, b: Region) -> bool:
    gap = 1e-3
    wide = min(a.high[0], b.high[0]) - max(a.low[0], b.low[0]) > gap
    return wide and min(a.high[1], b.high[1]) - max(a.low[1], b.low[1]) > gap


def _posters(scene: Scene, rng: np.random.Generator) -> list[Shape]:
    """Posters and boards on both sides of long walls, about one every 3 m."""
    shapes = []
    for wall in scene.walls:
        length = float(np.hypot(wall.b[0] - wall.a[0], wall.b[1] - wall.a[1]))
        for side in (1.0, -1.0):
            slots = int(length // 3.0) if length >= 3.0 else int(length >= 1.6)
            for slot in range(slots):
                draw = rng.random(5)
                if draw[0] < 0.4 or wall.height < 2.0:
                    continue
                along = (slot + 0.5 + 0.25 * (draw[1] - 0.5)) * length / slots
                shapes.append(_poster(wall, along, side, draw[2:], length))
    return shapes


def _poster(wall: Wall, along: float, side: float, draw: FloatArray, length: float) -> Shape:
    board = draw[0] < 0.3 and length > 2.0
    size = (1.2, _POSTER, 0.85) if board else (0.45 + 0.35 * draw[1], _POSTER, 0.55 + 0.35 * draw[2])
    direction = np.array([wall.b[0] - wall.a[0], wall.b[1] - wall.a[1]]) / length
    off = side * (wall.thickness + _POSTER) / 2.0
    x, y = np.array(wall.a) + along * direction + off * np.array([-direction[1], direction[0]])
    yaw = float(np.arctan2(direction[1], direction[0])) + (0.0 if side < 0 else np.pi)
    name = "board" if board else "poster"
    texture = f"{name}/{int(draw[1] * 997)}"
    return Shape("box", size, (1.0, 1.0, 1.0), WALL, planar(x, y, 1.5, yaw), texture=texture)
