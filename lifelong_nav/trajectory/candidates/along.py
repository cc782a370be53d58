"""People as seen along the route: who is in the way, where and when."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lifelong_nav.core.types import FloatArray
from lifelong_nav.trajectory.drive import REFERENCE_TIMES
from lifelong_nav.trajectory.proxemics import Presence
from lifelong_nav.trajectory.way import Way


@dataclass(frozen=True, slots=True)
class Along:
    """Likeliest modes of people in the route's coordinates at `drive.REFERENCE_TIMES`.

    `arc`, `aside` (K, 36) [m] (left positive), `reach` (K,) sum of radii [m], `off` (K, 36) bool for people
    who are beyond the ends of the stretch; `xy` (K, 36, 2); `together` group of each row, -1 for alone.
    """

    arc: FloatArray
    aside: FloatArray
    reach: FloatArray
    xy: FloatArray
    together: NDArray[np.intp]


def along(way: Way, people: Presence, radius: float) -> Along:
    """The likeliest mode of each person, seen from the route."""
    best = np.zeros(len(people), dtype=bool)
    for person in np.unique(people.person):
        rows = np.flatnonzero(people.person == person)
        best[rows[np.argmax(people.weights[rows])]] = True
    rows = np.flatnonzero(best)
    arc, aside = way.project(people.xy[rows])
    together = np.full(len(people), -1)
    for k, members in enumerate(people.groups):
        together[members] = k
    return Along(arc, aside, people.radii[rows] + radius, people.xy[rows], together[rows])


def hindrance(way: Way, seen: Along, speed: float, gap: float) -> tuple[int, int] | None:
    """Row of the person most in the way of driving on at full speed, and the step of time, if anybody."""
    if len(seen.reach) == 0:
        return None
    robot = way.at(np.minimum(speed * REFERENCE_TIMES, way.length))
    distance = np.linalg.norm(seen.xy - robot, axis=-1) - seen.reach[:, None]
    # sooner counts more: what comes later is met by later proposals
    depth = (gap - distance) * np.exp(-REFERENCE_TIMES / 4.0)
    depth[:, REFERENCE_TIMES > 6.0] = -1.0
    row, step = np.unravel_index(int(np.argmax(depth)), depth.shape)
    return (int(row), int(step)) if depth[row, step] > 0.0 else None


def occupied(way: Way, seen: Along, arcs: FloatArray, gap: float) -> NDArray[np.float32]:
    """(A, 36) how deep someone is within `gap` of the route at arc lengths (A,), 0 to 1."""
    if len(seen.reach) == 0:
        return np.zeros((len(arcs), len(REFERENCE_TIMES)), np.float32)
    points = way.at(arcs)[None, :, None]
    square = np.square(seen.xy[:, None] - points).sum(axis=-1)
    limit = (seen.reach + gap)[:, None, None] ** 2
    return np.asarray(np.maximum(1.0 - square / limit, 0.0).max(axis=0), np.float32)
