"""The way ahead as even samples, and where it is narrow."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lifelong_nav.core.distance import DistanceField
from lifelong_nav.core.types import FloatArray
from lifelong_nav.trajectory.situation import HORIZON, Situation

SPACING = 0.15
_BEYOND = 2.5  # m looked at past what can be driven within the horizon
_SIDES = np.arange(-1.5, 1.51, 0.1)  # m to either side at which the width is probed


@dataclass(frozen=True)
class Way:
    """`points` (S, 2), unit `tangents` (S, 2), `arcs` (S,) [m] from the robot's nearest point on.

    `width` (S,) free width across the way [m]; `ends` when the last point is the goal.
    """

    points: FloatArray
    tangents: FloatArray
    arcs: FloatArray
    width: FloatArray
    ends: bool

    @property
    def length(self) -> float:
        """Of what is sampled [m]."""
        return float(self.arcs[-1])

    def project(self, points: FloatArray) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Arc length (K,) and distance from the way (K,) [m] of points (K, 2).

        Before the start and after the end the first and last tangents are prolonged, so that falling back
        counts as less than nothing and passing the end as no more than it.
        """
        origin = self.points[0]
        mine = (self.points - origin).astype(np.float32)
        theirs = np.asarray(points, dtype=np.float32) - origin.astype(np.float32)
        half = np.einsum("ij,ij->i", mine, mine) * np.float32(0.5)
        nearest = np.argmin(half - theirs @ mine.T, axis=1)
        tangent = self.tangents[nearest].astype(np.float32)
        rest = theirs - mine[nearest]
        along = np.einsum("ij,ij->i", rest, tangent)
        low = np.where(nearest == 0, np.float32(-1e3), np.float32(-0.5 * SPACING))
        inner = np.clip(along, low, np.float32(0.5 * SPACING))
        off = rest - inner[:, None] * tangent
        arcs = self.arcs[nearest].astype(np.float32) + inner
        return np.minimum(arcs, np.float32(self.length)), np.hypot(off[:, 0], off[:, 1])


def way_ahead(situation: Situation) -> Way:
    """Even samples of the route from the robot's nearest point on, as far as matters within the horizon."""
    reach = max(situation.speed, 0.3) * HORIZON + _BEYOND
    points = np.asarray(situation.route, dtype=float)[:, :2]
    points = points[np.isfinite(points).all(axis=1)]
    keep = np.ones(len(points), dtype=bool)
    keep[1:] = np.linalg.norm(np.diff(points, axis=0), axis=1) > 1e-6
    points = points[keep]
    if len(points) < 2:
        only = points[0] if len(points) else situation.goal.xy
        gap = only - situation.pose.xy
        far = np.linalg.norm(gap) > 0.05 and np.isfinite(gap).all()
        facing = np.array([np.cos(situation.pose.yaw), np.sin(situation.pose.yaw)])
        points = np.stack([situation.pose.xy, only if far else situation.pose.xy + 0.05 * facing])
    steps = np.diff(points, axis=0)
    lengths = np.linalg.norm(steps, axis=1)
    arcs = np.concatenate([[0.0], np.cumsum(lengths)])
    away = situation.pose.xy - points[:-1]
    share = np.clip(np.einsum("ij,ij->i", away, steps) / lengths**2, 0.0, 1.0)
    nearest = int(np.argmin(np.linalg.norm(away - share[:, None] * steps, axis=1)))
    here = float(arcs[nearest] + share[nearest] * lengths[nearest])
    last = min(arcs[-1], here + reach)
    here = min(here, last - 0.02)
    at = np.append(np.arange(here, last - 0.3 * SPACING, SPACING), last)
    if len(at) < 2:
        at = np.array([here, last])
    xy = np.stack([np.interp(at, arcs, points[:, 0]), np.interp(at, arcs, points[:, 1])], axis=-1)
    tangents = np.gradient(xy, axis=0)
    tangents /= np.maximum(np.linalg.norm(tangents, axis=1, keepdims=True), 1e-9)
    width = free_width(situation.field, xy, tangents)
    return Way(xy, tangents, at - here, width, bool(last >= arcs[-1] - 1e-6))


def free_width(field: DistanceField | None, points: FloatArray, tangents: FloatArray) -> FloatArray:
    """(S,) width [m] of free floor across the way at points (S, 2), at most 3; 3 where nothing is known."""
    if field is None:
        return np.full(len(points), 3.0)
    normals = np.stack([-tangents[:, 1], tangents[:, 0]], axis=-1)
    probes = points[:, None] + normals[:, None] * _SIDES[:, None]
    distance = field.at(probes[..., 0], probes[..., 1])
    blocked = distance < 0.08
    middle = len(_SIDES) // 2
    left = _first(blocked[:, middle:])
    right = _first(blocked[:, middle::-1])
    return np.asarray((left + right) * (_SIDES[1] - _SIDES[0]), dtype=float)


def narrow_stretches(way: Way, narrow: float, join: float = 0.4) -> list[tuple[float, float]]:
    """Arc intervals [m] in which the way is narrower than `narrow`; gaps up to `join` are bridged."""
    inside = way.width < narrow
    edges = np.flatnonzero(np.diff(np.concatenate([[False], inside, [False]]).astype(np.int8)))
    found: list[tuple[float, float]] = []
    for first, last in edges.reshape(-1, 2):
        start, end = float(way.arcs[first]), float(way.arcs[last - 1])
        if found and start - found[-1][1] < join:
            start = found.pop()[0]
        found.append((start, end))
    return found


def _first(blocked: NDArray[np.bool_]) -> FloatArray:
    """(S,) steps until the first True along the second axis, all of them when there is none."""
    hit = blocked.any(axis=1)
    return np.where(hit, np.argmax(blocked, axis=1), blocked.shape[1] - 1).astype(float)
