"""What a crowd model tells the world, and the protocol every model follows. No PyBullet here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from lifelong_nav.core.types import FloatArray

REACTIONS = ("regular", "impassive", "surprised", "curious", "scared", "threatening")
"""How a person takes the robot (HuNavSim's six)."""


@dataclass(frozen=True)
class CrowdState:
    """All people at one instant, in the world frame.

    `ids` (N,), `positions` (N, 2) [m], `velocities` (N, 2) [m/s], `headings` (N,) [rad, where the body
    faces], `radii` (N,) [m], `groups` (N,) group number or -1, `present` (N,) False for people who
    have not come yet or have left (replayed tracks).
    """

    ids: NDArray[np.int64]
    positions: FloatArray
    velocities: FloatArray
    headings: FloatArray
    radii: FloatArray
    groups: NDArray[np.int64]
    present: NDArray[np.bool_]


@dataclass(frozen=True)
class RobotDisc:
    """The robot as people see it: position (2,), velocity (2,) in the world frame, radius [m]."""

    position: FloatArray
    velocity: FloatArray
    radius: float = 0.27


class Crowd(Protocol):
    """A model that moves people; deterministic given its seed and the robot's motion."""

    def state(self) -> CrowdState:
        """People now."""
        ...

    def step(self, dt: float, robot: RobotDisc | None, segments: FloatArray | None = None) -> None:
        """Move everyone by dt [s].

        Args:
            dt: step length.
            robot: the robot, None to leave it out.
            segments: (M, 4) obstacles now (doors included); None keeps those given at construction.
        """
        ...
