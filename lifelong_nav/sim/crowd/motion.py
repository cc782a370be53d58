"""What a motion model is handed and gives back: how bodies move once it is known where they want to go."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from lifelong_nav.core.types import FloatArray
from lifelong_nav.sim.crowd.forces import segment_offsets
from lifelong_nav.sim.crowd.state import RobotDisc

_HALF_WALL = 0.06  # segments are the middle lines of walls this thick to either side [m]


@dataclass
class Bodies:
    """All people as moving discs, world frame; the arrays change in place as time goes on.

    `positions`, `velocities` (N, 2), `headings`, `radii` (N,), `present` (N,) bool,
    `same` (N, N) 1 for companions, `heed` (N,) how much each minds the robot (1: as a person).
    """

    positions: FloatArray
    velocities: FloatArray
    headings: FloatArray
    radii: FloatArray
    present: NDArray[np.bool_]
    same: FloatArray
    heed: FloatArray


class MotionModel(Protocol):
    """Turns wanted velocities into those people take; holds no state that time changes."""

    def velocities(
        self, bodies: Bodies, wanted: FloatArray, robot: RobotDisc | None, segments: FloatArray, dt: float
    ) -> FloatArray:
        """(N, 2) velocity of everyone for the next dt [s].

        Args:
            bodies: people now.
            wanted: (N, 2) velocity each would take alone [m/s].
            robot: the robot, or None.
            segments: (M, 4) obstacles near people.
            dt: step [s].
        """
        ...


def keep_out(old: FloatArray, new: FloatArray, radii: FloatArray, segments: FloatArray) -> FloatArray:
    """(N, 2) the new positions, moved out of walls; whoever cannot be is left at the old one.

    The step must be shorter than a body is thick, so that the nearest side of a wall is the right one.
    """
    if len(segments) == 0:
        return new
    keep = 0.75 * radii + _HALF_WALL
    rows = np.arange(len(new))
    new = new.copy()
    for _ in range(2):
        dx, dy = segment_offsets(new, segments)
        distance = np.sqrt(dx * dx + dy * dy)
        worst = np.argmin(distance, axis=1)
        nearest = distance[rows, worst]
        short = keep - nearest
        inside = (short > 0.0) & (nearest > 1e-6)
        if not inside.any():
            return new
        push = np.where(inside, short / np.maximum(nearest, 1e-6), 0.0)
        new[:, 0] += push * dx[rows, worst]
        new[:, 1] += push * dy[rows, worst]
    dx, dy = segment_offsets(new, segments)
    jammed = np.sqrt(dx * dx + dy * dy).min(axis=1) < 0.5 * keep
    new[jammed] = old[jammed]
    return new


def stop_at_robot(
    bodies: Bodies, velocities: FloatArray, robot: RobotDisc, dt: float, gap: float = 0.03
) -> FloatArray:
    """(N, 2) velocities without the part that would press a body into the robot: nobody shoves a robot.

    Whoever comes near is slowed within the step of dt [s] so that `gap` [m] stays free.
    """
    to = robot.position - bodies.positions
    distance = np.sqrt((to * to).sum(axis=1)) + 1e-9
    allowed = np.maximum(distance - bodies.radii - robot.radius - gap, 0.0) / dt
    unit = to / distance[:, None]
    excess = np.maximum((velocities * unit).sum(axis=1) - allowed, 0.0)
    if not excess.any():
        return velocities
    return velocities - excess[:, None] * unit


def spread_overlaps(
    bodies: Bodies, positions: FloatArray, slack: float = 0.04, most: float = 0.04
) -> FloatArray:
    """(N, 2) positions with overlapping people moved apart, each by half and by at most `most` [m]."""
    dx = positions[:, 0, None] - positions[:, 0]
    dy = positions[:, 1, None] - positions[:, 1]
    distance = np.sqrt(dx * dx + dy * dy)
    overlap = bodies.radii[:, None] + bodies.radii - slack - distance
    overlap[:, ~bodies.present] = 0.0
    np.fill_diagonal(overlap, 0.0)
    if not (overlap > 0.0).any():
        return positions
    push = 0.5 * np.maximum(overlap, 0.0) / np.maximum(distance, 1e-6)
    move = np.stack([(push * dx).sum(axis=1), (push * dy).sum(axis=1)], axis=-1)
    length = np.sqrt((move * move).sum(axis=1))
    return positions + move * np.minimum(1.0, most / np.maximum(length, 1e-9))[:, None]
