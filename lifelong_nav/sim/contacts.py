"""Touches of the robot as events: one when it begins, none while it lasts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from lifelong_nav.core.types import FloatArray
from lifelong_nav.sim.crowd.state import CrowdState

KINDS = ("wall", "person", "object", "door")
_RELEASE = 0.3  # a touch must be gone for so long [s] before the next one counts
_ARM_RADIUS = 0.07  # of the arm around its joints, where people are concerned


@dataclass(frozen=True, slots=True)
class Contact:
    """A touch that began: `kind` of `KINDS`, `name` ("person 3"), `position` (3,) in the map [m].

    `speed` is the base's [m/s] just before, `link` the part of the robot that touched.
    """

    stamp: float
    kind: str
    name: str
    position: FloatArray
    speed: float
    link: str = "base_link"


@dataclass(frozen=True, slots=True)
class Touch:
    """A touch that is there now."""

    kind: str
    name: str
    position: FloatArray
    link: str


class ContactLog:
    """Turns touches into events."""

    def __init__(self) -> None:
        self._last: dict[str, float] = {}

    def update(self, stamp: float, touches: Iterable[Touch], speed: float) -> list[Contact]:
        """The touches that began: not seen within the last `_RELEASE` seconds."""
        out = []
        for touch in touches:
            before = self._last.get(touch.name)
            self._last[touch.name] = stamp
            if before is None or stamp - before > _RELEASE:
                out.append(Contact(stamp, touch.kind, touch.name, touch.position, speed, touch.link))
        return out


def people_touched(
    state: CrowdState,
    robot: FloatArray,
    robot_radius: float,
    joints: FloatArray | None = None,
    gap: float = 0.01,
) -> list[Touch]:
    """Who touches the base, or the arm where its joints are given.

    Args:
        state: the crowd.
        robot: (2,) centre of the base [m].
        robot_radius: [m].
        joints: (J, 3) places along the arm [m], None for a folded arm.
        gap: nearer than this counts as touching [m].
    """
    out: list[Touch] = []
    offset = state.positions - robot
    distance = np.hypot(offset[:, 0], offset[:, 1])
    near = state.present & (distance < state.radii + robot_radius + gap)
    for i in np.flatnonzero(near):
        at = robot + offset[i] / max(float(distance[i]), 1e-6) * robot_radius
        out.append(Touch("person", f"person {int(state.ids[i])}", np.array([*at, 0.2]), "base_link"))
    if joints is None or len(joints) == 0:
        return out
    reach = np.hypot(*(state.positions[:, None] - joints[None, :, :2]).transpose(2, 0, 1))
    close = (reach < state.radii[:, None] + _ARM_RADIUS) & (joints[None, :, 2] < 1.7)
    for i in np.flatnonzero(close.any(axis=1) & state.present & ~near):
        at = joints[int(np.argmax(close[i]))]
        out.append(Touch("person", f"person {int(state.ids[i])}", at, "arm"))
    return out
