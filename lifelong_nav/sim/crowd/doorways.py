"""Courtesy at doorways: one side passes, the other waits beside the opening."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lifelong_nav.core.types import FloatArray
from lifelong_nav.sim.crowd.motion import Bodies
from lifelong_nav.sim.crowd.routes import Router
from lifelong_nav.sim.crowd.state import RobotDisc
from lifelong_nav.sim.scene import Region

_NEAR = 1.8  # along the way through [m]
_ASIDE = 1.4
_INSIDE = 0.45
_PATIENCE = 8.0  # the longest anyone waits before walking on [s]


@dataclass(frozen=True)
class Doorway:
    """An opening: its middle (2,) [m] and the unit vector (2,) along which one walks through."""

    centre: FloatArray
    normal: FloatArray


def doorways_of(regions: Sequence[Region], router: Router) -> list[Doorway]:
    """The regions of kind `doorway`; the way through is the axis on which the floor is free both ways."""
    found = []
    for region in regions:
        if region.kind != "doorway":
            continue
        centre = np.array(region.centre)
        best, most = np.array([1.0, 0.0]), -1.0
        for normal in (np.array([1.0, 0.0]), np.array([0.0, 1.0])):
            probes = centre + np.linspace(-0.9, 0.9, 13)[:, None] * normal
            open_share = float(router.clearance.ravel()[router.cells(probes)].sum())
            if open_share > most:
                best, most = normal, open_share
        found.append(Doorway(centre, best))
    return found


class Courtesy:
    """Who has the way at each doorway, with memory so that it does not flicker."""

    def __init__(self, doorways: Sequence[Doorway], n: int) -> None:
        self.doorways = doorways
        self.centres = np.array([d.centre for d in doorways]).reshape(-1, 2)
        self.normals = np.array([d.normal for d in doorways]).reshape(-1, 2)
        self.side = np.zeros(len(doorways), dtype=int)  # direction that has the way: +1, -1, 0 nobody
        self.waited = np.zeros(n)
        self.waiting: NDArray[np.bool_] = np.zeros(n, dtype=bool)

    def update(
        self, dt: float, bodies: Bodies, robot: RobotDisc | None, aims: FloatArray, pace: FloatArray
    ) -> None:
        """Turn the aims of those who must wait to a place beside the opening, and slow them there.

        Args:
            dt: time since the last call [s].
            bodies: people.
            robot: the robot counts as one more who wants through, None to leave it out.
            aims: (N, 2), changed in place.
            pace: (N,), changed in place.
        """
        self.waiting = np.zeros(len(pace), dtype=bool)
        if len(self.doorways) == 0:
            return
        wish = aims - bodies.positions
        positions, walking = bodies.positions, bodies.present & (pace > 0.1)
        if robot is not None:
            positions = np.vstack([positions, robot.position])
            wish = np.vstack([wish, robot.velocity])
            walking = np.append(walking, float(np.hypot(*robot.velocity)) > 0.1)
        offset = positions[None] - self.centres[:, None]  # (D, K, 2)
        along = np.einsum("dki,di->dk", offset, self.normals)
        aside = self.normals[:, :1] * offset[..., 1] - self.normals[:, 1:] * offset[..., 0]
        toward = np.sign(self.normals @ wish.T)
        near = (np.abs(along) < _NEAR) & (np.abs(aside) < _ASIDE) & walking
        for d in np.flatnonzero(near.any(axis=1)).tolist():
            self._settle(d, along[d], aside[d], toward[d], near[d], aims, pace, len(bodies.positions))
        self.side[~near.any(axis=1)] = 0
        self.waited = np.where(self.waiting, self.waited + dt, np.maximum(self.waited - dt, 0.0))

    def _settle(
        self, d: int, along: FloatArray, aside: FloatArray, toward: FloatArray, near: NDArray[np.bool_],
        aims: FloatArray, pace: FloatArray, n: int,
    ) -> None:  # fmt: skip
        inside = near & (np.abs(along) < _INSIDE) & (np.abs(aside) < 0.6)
        coming = near & (along * toward < 0.0)
        if inside.any():
            first = int(np.argmin(np.where(inside, np.abs(along), np.inf)))
            self.side[d] = int(toward[first]) or self.side[d]
        elif not (coming & (toward == self.side[d])).any():
            nearest = np.where(coming, np.abs(along) + 0.5 * np.abs(aside), np.inf)
            first = int(np.argmin(nearest))
            self.side[d] = int(toward[first]) if np.isfinite(nearest[first]) else 0
        against = coming & ~inside & (toward == -self.side[d])
        for i in np.flatnonzero(against[:n]):
            if self.side[d] == 0 or self.waited[i] > _PATIENCE:
                continue
            self.waiting[i] = True
            normal = self.normals[d]
            tangent = np.array([-normal[1], normal[0]])
            lateral = 0.75 if aside[i] > 0.05 * self.side[d] else -0.75
            place = self.centres[d] + np.sign(along[i]) * 1.1 * normal + lateral * tangent
            aims[i] = place
            pace[i] = min(pace[i], 0.8)
