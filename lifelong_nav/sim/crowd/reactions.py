"""How people take the robot: HuNavSim's six reactions (Perez-Higueras et al. 2023), as short episodes.

Someone who notices the robot begins an episode, loses interest after a while, and is then not impressed
again for some time; without that, two of the six would hold the robot up for ever.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lifelong_nav.core.types import FloatArray
from lifelong_nav.sim.crowd.motion import Bodies
from lifelong_nav.sim.crowd.person import PersonSpec
from lifelong_nav.sim.crowd.routes import Router
from lifelong_nav.sim.crowd.state import RobotDisc


@dataclass(frozen=True)
class ReactionTraits:
    """Distances [m], times [s] and factors of one reaction.

    `notice`: an episode begins when the robot is seen nearer than this. `lasts`: longest episode.
    `tired`: pause before the next. `heed`: weight of the robot's repulsion, in and out of an episode.
    `pace`: wanted speed in an episode, relative to the usual one.
    """

    notice: float = 0.0
    lasts: float = 0.0
    tired: float = 0.0
    heed: tuple[float, float] = (1.0, 1.0)
    pace: float = 1.0


TRAITS = {
    "regular": ReactionTraits(),
    "impassive": ReactionTraits(heed=(0.0, 0.0)),
    "surprised": ReactionTraits(3.5, 4.0, 12.0),
    "curious": ReactionTraits(4.5, 10.0, 20.0, (0.4, 1.0), 0.8),
    "scared": ReactionTraits(3.0, 60.0, 0.0, (3.0, 3.0), 1.3),
    "threatening": ReactionTraits(5.0, 10.0, 20.0, (0.15, 0.15), 1.4),
}
CURIOUS_DISTANCE = 1.3  # from middle to middle
BLOCKING_DISTANCE = 1.1
SAFE_DISTANCE = 4.0  # a scared person calms down beyond


class Reactions:
    """The episodes of everyone who is not regular; `update` at every decision."""

    def __init__(self, people: Sequence[PersonSpec], router: Router) -> None:
        n = len(people)
        self.people = people
        self.router = router
        self.moved = [i for i, p in enumerate(people) if TRAITS[p.reaction].notice > 0.0]
        self.since = np.full(n, np.nan)  # start of the running episode
        self.again = np.zeros(n)  # no new episode before
        self.heed = np.array([TRAITS[p.reaction].heed[1] for p in people])

    @property
    def active(self) -> np.ndarray:
        """(N,) True during an episode."""
        return np.isfinite(self.since)

    def update(
        self, time: float, bodies: Bodies, robot: RobotDisc, robot_heading: float, seen: np.ndarray,
        aims: FloatArray, pace: FloatArray, face: FloatArray,
    ) -> None:  # fmt: skip
        """Begin and end episodes and overwrite what people in one want.

        Args:
            time: now [s].
            bodies: people; `heed` is set.
            robot: the robot.
            robot_heading: direction of its last motion [rad].
            seen: (N,) True for people who can see it.
            aims: (N, 2) points to walk to, changed in place.
            pace: (N,) speeds, changed in place.
            face: (N,) directions to look, NaN for where they walk, changed in place.
        """
        for i in self.moved:
            person, traits = self.people[i], TRAITS[self.people[i].reaction]
            to = robot.position - bodies.positions[i]
            distance = float(np.hypot(*to))
            if np.isnan(self.since[i]):
                if not (seen[i] and distance < traits.notice and time >= self.again[i]):
                    continue
                self.since[i] = time
                bodies.heed[i] = traits.heed[0]
            limit = SAFE_DISTANCE if person.reaction == "scared" else 2.0 * traits.notice
            if time - self.since[i] > traits.lasts or distance > limit:
                self.since[i] = np.nan
                self.again[i] = time + traits.tired
                bodies.heed[i] = traits.heed[1]
                continue
            pace[i] = traits.pace * max(person.speed, 0.6)
            face[i] = float(np.arctan2(to[1], to[0]))
            aims[i] = self._aim(person.reaction, bodies.positions[i], robot, robot_heading, to, distance)
            if person.reaction == "scared":
                face[i] = np.nan
            elif person.reaction == "surprised" or np.hypot(*(aims[i] - bodies.positions[i])) < 0.15:
                pace[i] = 0.0

    def _aim(
        self,
        reaction: str,
        position: FloatArray,
        robot: RobotDisc,
        heading: float,
        to: FloatArray,
        distance: float,
    ) -> FloatArray:
        if reaction == "surprised":
            return position
        if reaction == "curious":
            goal = robot.position - to / max(distance, 1e-6) * CURIOUS_DISTANCE
            # at the distance wished for, do not back off: let the robot come
            return self._walkable(position, goal) if distance > CURIOUS_DISTANCE else position
        if reaction == "threatening":
            ahead = np.array([np.cos(heading), np.sin(heading)])
            return self._walkable(position, robot.position + BLOCKING_DISTANCE * ahead)
        away = np.arctan2(-to[1], -to[0]) + np.array([0.0, 0.5, -0.5, 1.0, -1.0, 1.57, -1.57])
        goals = position + 2.0 * np.stack([np.cos(away), np.sin(away)], axis=-1)
        free = self.router.visible(np.broadcast_to(position, goals.shape), goals)
        return goals[int(np.argmax(free))]  # the one least off the straight way, argmax = first free

    def _walkable(self, position: FloatArray, goal: FloatArray) -> FloatArray:
        if self.router.visible(position[None], goal[None])[0]:
            return goal
        coarse = np.round(goal)  # a moving goal on whole metres: few route trees
        return self.router.aims(position[None], coarse[None])[0]
