"""Variants of a scenario's layout: walls, regions, people, queues and robot mirrored and stretched together.

A mirrored plan has the same free floor, so that what passes on the left passes on the right; a stretched
one has other distances and widths. People keep their size, speed and spacing.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from lifelong_nav.core.errors import ConfigError
from lifelong_nav.sim.scenario import Line, People, Place, Scenario


@dataclass(frozen=True)
class Layout:
    """`mirror` names the axes whose coordinate changes its sign ('', 'x', 'y', 'xy'); factors along them."""

    mirror: str = ""
    length: float = 1.0
    width: float = 1.0

    @property
    def scale(self) -> tuple[float, float]:
        """Factors on x and y, negative where mirrored."""
        sx, sy = (-1.0 if axis in self.mirror else 1.0 for axis in "xy")
        return sx * self.length, sy * self.width

    def point(self, x: float, y: float) -> tuple[float, float]:
        """A point of the plan in the variant [m]."""
        sx, sy = self.scale
        return sx * x, sy * y

    def angle(self, yaw: float) -> float:
        """A direction of the plan in the variant: mirrored, not sheared by the stretch [rad]."""
        sx, sy = np.sign(self.scale)
        return float(np.arctan2(sy * np.sin(yaw), sx * np.cos(yaw)))


def laid_out(scenario: Scenario, layout: Layout) -> Scenario:
    """The scenario in another layout; the same one for the layout as written.

    Raises:
        ConfigError: the scene is generated or replayed, so that there is no plan to change.
    """
    if layout == Layout():
        return scenario
    if "kind" in scenario.scene or scenario.replay is not None:
        raise ConfigError(
            f"{scenario.name} has no explicit plan to mirror or stretch.", "Use layout 0 for it."
        )
    return dataclasses.replace(
        scenario,
        scene=_scene(scenario.scene, layout),
        start=_place(scenario.start, layout),
        goals=tuple(_place(g, layout) for g in scenario.goals),
        people=tuple(_people(p, layout) for p in scenario.people),
        lines={name: _line(line, layout) for name, line in scenario.lines.items()},
    )


def _place(place: Place, layout: Layout) -> Place:
    if isinstance(place, str):
        return place
    xy = layout.point(place[0], place[1])
    return xy if len(place) == 2 else (*xy, layout.angle(place[2]))


def _people(entry: People, layout: Layout) -> People:
    flipped = np.prod(np.sign(layout.scale)) < 0.0
    return dataclasses.replace(
        entry,
        place=_place(entry.place, layout) if entry.place else entry.place,
        goals=tuple(_place(g, layout) for g in entry.goals),
        heading=None if entry.heading is None else layout.angle(entry.heading),
        centre=None if entry.centre is None else layout.point(*entry.centre),
        offset=(entry.offset[0], -entry.offset[1] if flipped else entry.offset[1]),
    )


def _line(line: Line, layout: Layout) -> Line:
    return dataclasses.replace(line, head=layout.point(*line.head), direction=layout.angle(line.direction))


def _scene(scene: Mapping[str, Any], layout: Layout) -> dict[str, Any]:
    out = dict(scene)
    if "outline" in scene:
        x0, y0, x1, y1 = scene["outline"]
        (ax, ay), (bx, by) = layout.point(x0, y0), layout.point(x1, y1)
        out["outline"] = [min(ax, bx), min(ay, by), max(ax, bx), max(ay, by)]
    if "walls" in scene:
        out["walls"] = [[*layout.point(*w[:2]), *layout.point(*w[2:])] for w in scene["walls"]]
    if "regions" in scene:
        out["regions"] = {name: _region(region, layout) for name, region in scene["regions"].items()}
    if "boxes" in scene:
        out["boxes"] = [_box(box, layout) for box in scene["boxes"]]
    if scene.get("doors") or scene.get("floors"):
        raise ConfigError("A plan with doors or floor patches has no variants.", "Use layout 0 for it.")
    return out


def _region(region: Mapping[str, Any], layout: Layout) -> dict[str, Any]:
    (ax, ay), (bx, by) = layout.point(*region["low"]), layout.point(*region["high"])
    return {**region, "low": [min(ax, bx), min(ay, by)], "high": [max(ax, bx), max(ay, by)]}


def _box(box: Mapping[str, Any], layout: Layout) -> dict[str, Any]:
    x, y = layout.point(box["x"], box["y"])
    return {**box, "x": x, "y": y, "yaw": layout.angle(box.get("yaw", 0.0))}
