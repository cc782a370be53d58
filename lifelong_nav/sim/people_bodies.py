"""People in PyBullet: an upright cylinder each for bodies, two thin ones for what the lidar sees.

Bodies are kinematic, and a kinematic body pushes without limit. So a body is never placed inside the
robot: it stops where it was, blocks the robot there, and the touch is recorded as an event. Should the
crowd model walk on through the robot (replayed tracks do), the body joins its person on the other side.
Legs meet rays only; bodies meet everything but rays.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lifelong_nav.core.types import FloatArray
from lifelong_nav.sim.crowd.state import CrowdState
from lifelong_nav.sim.figures import LEG_RADIUS
from lifelong_nav.sim.physics import BASE, LEG, OBJECT, PERSON, RAY, World, disc_mask

_AWAY = -50.0
_HEIGHT = 1.7
_LEG_HEIGHT = 0.8
_WAKE_REACH = 0.9  # from a person to the middle of an object [m]
_REFRESH = 4  # objects are looked for in every fourth call
_RIM = 0.002  # bodies are held this far outside the robot [m]


class PeopleBodies:
    """The crowd's bodies and legs in a world.

    Args:
        world: where they stand.
        radii: (N,) body radii [m].
    """

    def __init__(self, world: World, radii: FloatArray) -> None:
        self._world = world
        self._bodies = [world.add_kinematic(float(r), _HEIGHT, PERSON, OBJECT | BASE) for r in radii]
        self._legs = [
            tuple(world.add_kinematic(LEG_RADIUS, _LEG_HEIGHT, LEG, RAY) for _ in range(2)) for _ in radii
        ]
        self._here = np.zeros(len(radii), dtype=bool)
        self._spots: FloatArray = np.zeros((len(radii), 2))
        self._paces: FloatArray = np.zeros((len(radii), 2))
        self._held = np.zeros(len(radii), dtype=bool)
        self._objects: FloatArray = np.zeros((0, 2))
        self._calls = 0
        self._legs_here = np.zeros(len(radii), dtype=bool)

    def place(self, state: CrowdState, robot: FloatArray, robot_radius: float) -> None:
        """Put the bodies where the crowd is; absent people go away.

        Args:
            state: the crowd.
            robot: (2,) centre of the robot's base [m].
            robot_radius: its radius [m].
        """
        offset = state.positions - robot
        least = state.radii + robot_radius + _RIM
        held = (offset * offset).sum(axis=1) < least * least
        fresh = held & ~self._here
        spots = np.where(held[:, None], self._spots, state.positions)
        if fresh.any():
            spots[fresh] = pushed_out(offset[fresh], least[fresh]) + robot
        still = state.present & self._here & (held == self._held)
        still &= (spots == self._spots).all(axis=1) & (state.velocities == self._paces).all(axis=1)
        self._spots, self._paces, self._held = spots, state.velocities.copy(), held
        for i, body in enumerate(self._bodies):
            if still[i]:
                continue
            if state.present[i]:
                # one who is held stands still: a velocity would push the robot
                v = (0.0, 0.0) if held[i] else (float(state.velocities[i, 0]), float(state.velocities[i, 1]))
                self._world.place(body, float(spots[i, 0]), float(spots[i, 1]), _HEIGHT / 2.0, v)
            elif self._here[i]:
                self._world.place(body, float(i), 0.0, _AWAY)
        self._here = state.present.copy()
        walking = state.present & (np.abs(state.velocities).sum(axis=1) > 0.02)
        if self._world.objects and walking.any():
            if self._calls % _REFRESH == 0:
                self._objects = self._world.object_positions()[:, :2]
            self._calls += 1
            near = disc_mask(self._objects, state.positions[walking], _WAKE_REACH)
            self._world.wake_objects(np.flatnonzero(near).tolist())

    def place_legs(self, legs: FloatArray, present: NDArray[np.bool_]) -> None:
        """Put the legs (N, 2, 2) [m] where the rays shall find them."""
        for i, pair in enumerate(self._legs):
            if present[i]:
                for body, (x, y) in zip(pair, legs[i].tolist(), strict=True):
                    self._world.place(body, x, y, _LEG_HEIGHT / 2.0)
            elif self._legs_here[i]:
                for body in pair:
                    self._world.place(body, float(i), 0.0, _AWAY)
        self._legs_here = present.copy()


def pushed_out(offsets: FloatArray, least: FloatArray) -> FloatArray:
    """(N, 2) offsets [m] lengthened to `least` (N,) [m]; those of no length point along x."""
    distance = np.hypot(offsets[:, 0], offsets[:, 1])[:, None]
    unit = np.where(distance > 1e-6, offsets / np.maximum(distance, 1e-6), (1.0, 0.0))
    return unit * least[:, None]
