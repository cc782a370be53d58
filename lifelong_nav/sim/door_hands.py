"""People open doors by hand: who walks up to a leaf turns it, whichever way it swings.

Their bodies do not touch the leaf; the hand is a bounded torque, so that a door never crushes.
"""

from __future__ import annotations

import numpy as np

from lifelong_nav.core.types import FloatArray
from lifelong_nav.sim.crowd.state import CrowdState
from lifelong_nav.sim.physics import World, disc_mask
from lifelong_nav.sim.scene import Scene

_REACH = 1.3  # from a door's middle [m]
_SPEED = 1.8  # [rad/s]
_TORQUE = 40.0  # [Nm]
_OPEN = 0.9  # share of the door's limit that counts as open


class DoorHands:
    """Who holds which door.

    Args:
        scene: its doors.
    """

    def __init__(self, scene: Scene) -> None:
        rows = [
            (d.x + np.cos(d.yaw) * d.width / 2, d.y + np.sin(d.yaw) * d.width / 2, d.limit * _OPEN)
            for d in scene.doors
        ]
        self._spots: FloatArray = np.array(rows, dtype=float).reshape(-1, 3)
        self._held = np.zeros(len(rows), dtype=bool)

    def update(self, world: World, crowd: CrowdState) -> None:
        """Push the doors people walk up to; let go of those that are open or left alone."""
        walking = crowd.present & (np.abs(crowd.velocities).sum(axis=1) > 0.1)
        wanted = disc_mask(self._spots[:, :2], crowd.positions[walking], _REACH)
        if not (wanted | self._held).any():
            return
        wanted &= world.door_angles() < self._spots[:, 2]
        for i in np.flatnonzero(wanted & ~self._held):
            world.drive_door(int(i), _SPEED * 1.0, _TORQUE)
        for i in np.flatnonzero(self._held & ~wanted):
            world.drive_door(int(i), 0.0, 0.0)
        self._held = wanted
