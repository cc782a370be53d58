"""How much of their time people lose on the way: detours, waiting, stepping aside."""

from __future__ import annotations

import numpy as np

from lifelong_nav.sim.crowd.walkers import Walkers
from lifelong_nav.sim.flat.world import STEP, FlatWorld


class LostTime:
    """Adds up, over people who want to go somewhere, 1 - (speed towards their next aim) / (usual speed).

    Waiting at a door or taken up with the robot counts in full. There is no run without the robot to
    compare with, since many set off only when it comes: what other people cost them is in here, too, so
    that only differences between planners in the same case mean something.
    """

    def __init__(self, world: FlatWorld) -> None:
        self.world = world
        self.seconds = 0.0
        """Seconds lost by all together."""
        people = world.crowd.people if isinstance(world.crowd, Walkers) else ()
        self._walks = np.array([p.behaviour == "walk" and len(p.goals) > 0 for p in people], dtype=bool)
        self._speed = np.array([max(p.speed, 0.1) for p in people])

    def update(self) -> None:
        """Take in the last step."""
        crowd = self.world.crowd
        if not isinstance(crowd, Walkers) or not self._walks.any():
            return
        b = crowd.bodies
        due = self._walks & b.present & (crowd.time >= crowd.idle_until)
        due &= crowd.departed[np.array(crowd.leaders)]
        if not due.any():
            return
        to = crowd.aims - b.positions
        ahead = to / np.maximum(np.sqrt((to * to).sum(axis=1)), 1e-6)[:, None]
        progress = np.clip((ahead * b.velocities).sum(axis=1) / self._speed, 0.0, 1.0)
        progress[crowd.courtesy.waiting | crowd.reactions.active] = 0.0
        self.seconds += STEP * float((1.0 - progress)[due].sum())
