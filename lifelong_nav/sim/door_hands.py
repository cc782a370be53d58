"""Doors are opened by hand: who walks up to a leaf turns it, whichever way it swings.

Their bodies do not touch the leaf; the hand is a bounded torque, so that a door never crushes.
"""

from __future__ import annotations

import numpy as np

from lifelong_nav.core.errors import ConfigError
from lifelong_nav.core.types import FloatArray
from lifelong_nav.sim.crowd.state import CrowdState
from lifelong_nav.sim.physics import World, disc_mask
from lifelong_nav.sim.scene import Scene

_REACH = 1.3  # from a door's middle [m]
_SPEED = 1.8  # [rad/s]
_TORQUE = 40.0  # [Nm]
_OPEN = 0.9  # share of the door's limit that counts as open
_SLOWING = 3.0  # speed per angle left [1/s]
_CLOSE_TO = 0.06  # of the wanted angle [rad]


class DoorHands:
    """Who turns which door.

    Args:
        scene: its doors.
    """

    def __init__(self, scene: Scene) -> None:
        rows = [
            (d.x + np.cos(d.yaw) * d.width / 2, d.y + np.sin(d.yaw) * d.width / 2, d.limit)
            for d in scene.doors
        ]
        self._spots: FloatArray = np.array(rows, dtype=float).reshape(-1, 3)
        self._names = {d.name: i for i, d in enumerate(scene.doors)}
        self._asked = np.full(len(rows), np.nan)
        self._speed = np.zeros(len(rows))

    def turn(self, name: str, angle: float) -> None:
        """Ask for a door to be turned to `angle` [rad]; cut to its limits.

        Raises:
            ConfigError: no such door, or an angle that is not finite.
        """
        if name not in self._names or not np.isfinite(angle):
            known = ", ".join(self._names) or "none"
            raise ConfigError(f"Cannot turn door '{name}' to {angle}.", f"Doors: {known}.")
        index = self._names[name]
        self._asked[index] = np.clip(angle, 0.0, self._spots[index, 2])

    def update(self, world: World, crowd: CrowdState) -> None:
        """Move the doors that people walk up to, and those that were asked for; let go of the others."""
        walking = crowd.present & (np.abs(crowd.velocities).sum(axis=1) > 0.1)
        near = disc_mask(self._spots[:, :2], crowd.positions[walking], _REACH)
        asked = np.isfinite(self._asked)
        if not (near | asked | (self._speed != 0.0)).any():
            return
        angles = world.door_angles()
        speed = np.where(near & (angles < _OPEN * self._spots[:, 2]), _SPEED, 0.0)
        gap = np.where(asked, self._asked - angles, 0.0)
        self._asked[asked & (np.abs(gap) < _CLOSE_TO)] = np.nan
        # slower towards the end, or the leaf would swing on
        calm = np.sign(gap) * np.minimum(_SPEED, _SLOWING * np.abs(gap))
        speed = np.where(speed == 0.0, np.where(np.abs(gap) < _CLOSE_TO, 0.0, calm), speed)
        for i in np.flatnonzero(speed != self._speed):
            world.drive_door(int(i), float(speed[i]), _TORQUE if speed[i] != 0.0 else 0.0)
        self._speed = speed
