"""Layouts from the simulator's own scenario files, mirrored and stretched."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np

from lifelong_nav.sim.scenario import People, Place, Scenario, load
from lifelong_nav.training.scene_plan import Plan, drive_at
from lifelong_nav.training.scene_stage import Drive

Rng = np.random.Generator

FILES: dict[str, tuple[tuple[str, ...], str, tuple[float, float]]] = {
    "accompanying": (("accompanying",), "hall", (0, 0)),
    "blind_corner": (("blind_corner", "olivia_blind_corner"), "corner", (8.0, 1.8)),
    "circular_crossing": (("circular_crossing",), "hall", (8.0, 6.0)),
    "crowd": (("crowd",), "hall", (0, 0)),
    "entering_elevator": (("entering_elevator",), "elevator", (7.6, 3.0)),
    "exiting_elevator": (("exiting_elevator",), "elevator", (7.6, 3.0)),
    "following": (("following",), "hall", (0, 0)),
    "frontal_approach": (("frontal_approach",), "corridor", (0, 0)),
    "intersection": (
        ("intersection_no_gesture", "intersection_gesture_wait", "intersection_gesture_proceed"),
        "intersection",
        (7.0, 7.0),
    ),
    "join_group": (("join_group",), "hall", (0, 0)),
    "leading": (("leading",), "hall", (0, 0)),
    "moving_groups": (("olivia_moving_groups",), "hall", (0, 0)),
    "narrow_doorway": (("narrow_doorway",), "doorway", (6.0, 4.0)),
    "narrow_hallway": (("narrow_hallway", "olivia_narrow_hallway"), "corridor", (0, 0)),
    "parallel_traffic": (("parallel_traffic",), "corridor", (0, 0)),
    "pedestrian_obstruction": (("pedestrian_obstruction",), "corridor", (0, 0)),
    "pedestrian_overtaking": (("pedestrian_overtaking",), "corridor", (0, 0)),
    "perpendicular_traffic": (("perpendicular_traffic",), "hall", (0, 0)),
    "photo_session": (("photo_session",), "hall", (0, 0)),
    "queue": (("queue",), "hall", (0, 0)),
    "robot_crowding": (("robot_crowding",), "hall", (0, 0)),
    "robot_overtaking": (("robot_overtaking",), "corridor", (0, 0)),
    "static_groups": (("olivia_static_groups",), "hall", (0, 0)),
}
"""Files of each family, what kind of place they show, and the marked point [m] in them. Of entering and
exiting a room the files look like the narrow doorway from either side, those are drawn only."""

_NARROW = ("narrow_hallway", "narrow_doorway", "entering_elevator", "exiting_elevator", "blind_corner")


def plan_from_file(family: str, rng: Rng, unlike: bool) -> Plan:
    """A stretched and mirrored layout of one of the family's files."""
    files, environment, mark = FILES[family]
    stretch = (1.2, 1.35) if unlike else (0.88, 1.18)
    sx = float(rng.uniform(*stretch)) * float(rng.choice([-1.0, 1.0]))
    across = (0.98, 1.08) if family in _NARROW else stretch
    sy = float(rng.uniform(*across)) * float(rng.choice([-1.0, 1.0]))
    scenario = stretched(_read(files[int(rng.integers(len(files)))]), sx, sy)
    drive = Drive(1.0, 0, (-1.3, 0.0)) if family == "following" else drive_at(rng, family)
    cast = tuple(range(3)) if family == "photo_session" else ()
    return Plan(family, scenario, environment, drive, cast, (mark[0] * sx, mark[1] * sy))


@lru_cache(maxsize=64)
def _read(name: str) -> Scenario:
    return load(name)


def stretched(s: Scenario, sx: float, sy: float) -> Scenario:
    """A scenario whose plan is scaled along x and y; negative factors mirror it. Speeds stay."""

    def point(p: Place) -> Place:
        if isinstance(p, str):
            return p
        return (p[0] * sx, p[1] * sy, *(turned(a) for a in p[2:]))

    def turned(angle: float) -> float:
        return float(np.arctan2(np.sign(sy) * np.sin(angle), np.sign(sx) * np.cos(angle)))

    def person(p: People) -> People:
        side = float(np.sign(sx * sy))
        centre = None if p.centre is None else (p.centre[0] * sx, p.centre[1] * sy)
        return dataclasses.replace(
            p,
            place=point(p.place),
            goals=tuple(point(g) for g in p.goals),
            centre=centre,
            heading=None if p.heading is None else turned(p.heading),
            offset=(p.offset[0], side * p.offset[1]),
        )

    lines = {
        name: dataclasses.replace(
            line, head=(line.head[0] * sx, line.head[1] * sy), direction=turned(line.direction)
        )
        for name, line in s.lines.items()
    }
    return dataclasses.replace(
        s, scene=_scene(s.scene, sx, sy), start=point(s.start), goals=tuple(point(g) for g in s.goals),
        people=tuple(person(p) for p in s.people), lines=lines,
    )  # fmt: skip


def _scene(scene: Mapping[str, Any], sx: float, sy: float) -> dict[str, Any]:
    scale = (sx, sy, sx, sy)
    out = dict(scene)
    walls = [[v * k for v, k in zip(w, scale, strict=True)] for w in scene.get("walls", ())]
    if "outline" in out:
        x0, y0, x1, y1 = (v * k for v, k in zip(out.pop("outline"), scale, strict=True))
        ring = [(x0, y0), (x1, y0), (x1, y1), (x0, y1)]
        walls += [[*ring[i], *ring[(i + 1) % 4]] for i in range(4)]
    out["walls"] = walls
    out["regions"] = {
        name: {
            **r,
            "low": [min(r["low"][0] * sx, r["high"][0] * sx), min(r["low"][1] * sy, r["high"][1] * sy)],
            "high": [max(r["low"][0] * sx, r["high"][0] * sx), max(r["low"][1] * sy, r["high"][1] * sy)],
        }
        for name, r in scene.get("regions", {}).items()
    }
    return out
