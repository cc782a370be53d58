"""People as RViz and Foxglove markers, as plain values; `nodes.view` turns them into messages."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lifelong_nav.core.types import FloatArray, People
from lifelong_nav.viz import colours
from lifelong_nav.viz.strokes import ring

LIFETIME = 1.0
"""Seconds after which a marker vanishes when it is not renewed."""

_HEIGHT = 1.7
_HEAD = 0.11


@dataclass(frozen=True, slots=True)
class Shape:
    """One marker. `kind`: cylinder, sphere, arrow, line or text; `namespace` and `id` name it.

    `position` (3,) [m], `yaw` [rad], `scale` (3,) as in visualization_msgs/Marker, `colour` RGBA in [0, 1],
    `points` (T, 3) for arrow (start, tip) and line.
    """

    namespace: str
    id: int
    kind: str
    position: tuple[float, float, float] = (0.0, 0.0, 0.0)
    scale: tuple[float, float, float] = (1.0, 1.0, 1.0)
    colour: tuple[float, float, float, float] = (1.0, 1.0, 1.0, 1.0)
    points: FloatArray | None = None
    text: str = ""


def people_shapes(people: People) -> list[Shape]:
    """Body, head, velocity and name of everyone, and a line around every group, in the people's frame."""
    groups = np.array([p.group_id for p in people.people], dtype=np.int64)
    rgba = colours.person_colours(groups, np.array([p.confidence for p in people.people])) / 255.0
    out: list[Shape] = []
    for person, row in zip(people.people, rgba, strict=True):
        colour = (float(row[0]), float(row[1]), float(row[2]), 0.9)
        x, y, body = person.x, person.y, _HEIGHT - 2.0 * _HEAD
        width = 2.0 * person.radius
        out.append(Shape("body", person.id, "cylinder", (x, y, body / 2.0), (width, width, body), colour))
        out.append(Shape("head", person.id, "sphere", (x, y, _HEIGHT - _HEAD), (2.0 * _HEAD,) * 3, colour))
        if person.speed > 0.05:
            tip = (x + person.vx, y + person.vy, 0.1)
            points = np.array([(x, y, 0.1), tip])
            out.append(Shape("velocity", person.id, "arrow", (0, 0, 0), (0.06, 0.14, 0.15), colour, points))
        name = str(person.id) if person.group_id < 0 else f"{person.id} (group {person.group_id})"
        black = (0.1, 0.1, 0.1, 1.0)
        out.append(
            Shape("name", person.id, "text", (x, y, _HEIGHT + 0.2), (0.0, 0.0, 0.25), black, text=name)
        )
    for group in np.unique(groups[groups >= 0]):
        members = people.positions()[groups == group]
        if len(members) > 1:
            line = ring(members)
            points = np.column_stack([line, np.full(len(line), 0.05)])
            hue = (*(c / 255.0 for c in colours.GROUPS[group % len(colours.GROUPS)]), 1.0)
            shade = (hue[0], hue[1], hue[2], 1.0)
            out.append(Shape("group", int(group), "line", (0, 0, 0), (0.05, 0.0, 0.0), shade, points))
    return out
