"""A route as seen from points: how far along, how far aside, how far to go."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lifelong_nav.core.types import FloatArray

_SPACING = 0.15


@dataclass(frozen=True, slots=True)
class Way:
    """Even samples of a route: `points` (M, 2), unit `tangents` (M, 2), `spacing` [m] apart.

    `start` [m] is how far along the robot is.
    """

    points: FloatArray
    tangents: FloatArray
    spacing: float
    start: float

    @staticmethod
    def of(route: FloatArray, robot: FloatArray, ahead: float = 12.0) -> Way:
        """The part of a route (M, 2) from the point nearest to the robot (2,) on, `ahead` [m] of it."""
        points = np.asarray(route, dtype=float)[:, :2]
        keep = np.ones(len(points), dtype=bool)
        keep[1:] = np.linalg.norm(np.diff(points, axis=0), axis=1) > 1e-6
        points = points[keep]
        if len(points) == 1:
            points = np.stack([robot, points[0]])
        steps = np.diff(points, axis=0)
        lengths = np.maximum(np.linalg.norm(steps, axis=1), 1e-9)
        share = np.clip(((robot - points[:-1]) * steps).sum(axis=1) / lengths**2, 0.0, 1.0)
        nearest = int(np.argmin(np.linalg.norm(points[:-1] + share[:, None] * steps - robot, axis=1)))
        arcs = np.concatenate([[0.0], np.cumsum(lengths)])
        first = arcs[nearest] + share[nearest] * lengths[nearest]
        last = min(arcs[-1], first + ahead)
        count = max(int(np.ceil((last - first) / _SPACING)), 1) + 1
        samples = np.linspace(first, max(last, first + 1e-3), count)
        xy = np.stack([np.interp(samples, arcs, points[:, i]) for i in (0, 1)], axis=-1)
        tangents = np.gradient(xy, axis=0)
        size = np.linalg.norm(tangents, axis=1, keepdims=True)
        tangents = np.where(size > 1e-6, tangents / np.maximum(size, 1e-9), (steps / lengths[:, None])[-1])
        return Way(xy, tangents, float(samples[1] - samples[0]), 0.0)

    @property
    def length(self) -> float:
        """Metres from the robot's place on the route to its end."""
        return self.spacing * (len(self.points) - 1)

    @property
    def normals(self) -> FloatArray:
        """(M, 2) unit vectors to the left."""
        return np.stack([-self.tangents[:, 1], self.tangents[:, 0]], axis=-1)

    def direction(self, ahead: float) -> FloatArray:
        """(2,) unit vector from the robot's place on the route to the one `ahead` [m] on."""
        to = self.points[min(round(ahead / self.spacing), len(self.points) - 1)] - self.points[0]
        size = float(np.hypot(*to))
        return np.asarray(to / size) if size > 1e-6 else self.tangents[0]

    def project(self, points: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Arc length [m] and signed distance to the left [m] of points (..., 2)."""
        flat = np.asarray(points, dtype=np.float32).reshape(-1, 2)
        way = self.points.astype(np.float32)
        middle = way.mean(axis=0)
        flat, way = flat - middle, way - middle
        nearest = np.argmin(0.5 * (way * way).sum(axis=1) - flat @ way.T, axis=1)
        offset, tangent = flat - way[nearest], self.tangents[nearest]
        along = (offset * tangent).sum(axis=1)
        aside = offset[:, 1] * tangent[:, 0] - offset[:, 0] * tangent[:, 1]
        arc = np.clip(nearest * self.spacing + along, 0.0, None)
        beyond = np.maximum(arc - self.length, 0.0)
        arc = np.minimum(arc, self.length)
        inner = (nearest > 0) & (nearest < len(way) - 1)
        size = np.where(inner, np.linalg.norm(offset, axis=1), np.hypot(aside, beyond))
        aside = np.where(aside < 0.0, -size, size)
        shape = np.asarray(points).shape[:-1]
        return arc.reshape(shape), aside.reshape(shape)

    def left(self, points: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Metres left to go from points (..., 2) along the route, and their distance to it [m].

        Past the end the distance to the route is that to the goal.
        """
        arc, aside = self.project(points)
        return self.length - arc, np.abs(aside)

    def at(self, arcs: FloatArray, offsets: FloatArray | float = 0.0) -> FloatArray:
        """(..., 2) points at arc lengths (...) [m], moved to the left by `offsets` [m]."""
        index = np.clip(np.asarray(arcs) / self.spacing, 0.0, len(self.points) - 1.0)
        low = np.minimum(index.astype(np.intp), len(self.points) - 2)
        share = (index - low)[..., None]
        xy = self.points[low] * (1.0 - share) + self.points[low + 1] * share
        normal = self.normals[np.rint(index).astype(np.intp)]
        return np.asarray(xy + normal * np.asarray(offsets)[..., None])
