"""Queues in motion: who stands where in the line, who is served, who comes back."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lifelong_nav.core.types import FloatArray
from lifelong_nav.sim.crowd.person import PersonSpec, Queue


class Lines:
    """All queues of a crowd. Whoever was served walks on through the goals of the spec."""

    def __init__(
        self, queues: Sequence[Queue], people: Sequence[PersonSpec], rng: np.random.Generator
    ) -> None:
        self.queues = queues
        self.rng = rng
        self.members: list[list[int]] = [[] for _ in queues]
        self.done_at = np.full(len(queues), np.nan)  # when the one at the counter is served
        self.served = np.zeros(len(queues), dtype=int)
        for i, person in enumerate(people):
            if person.behaviour == "queue" and person.queue < len(queues):
                self.members[person.queue].append(i)

    def waiting(self, person: int) -> bool:
        """True while a person stands in a line."""
        return any(person in line for line in self.members)

    def join(self, person: int, queue: int) -> None:
        """Put a person at the end of a line."""
        self.members[queue].append(person)

    def update(self, time: float, positions: FloatArray, goals: FloatArray, face: FloatArray) -> list[int]:
        """Send everyone in a line to their place, and the served ones off.

        Args:
            time: now [s].
            positions: (N, 2) of all people [m].
            goals: (N, 2), changed in place for those in line.
            face: (N,), changed in place: they look along the line.

        Returns:
            People whose service has just ended.
        """
        leaving = []
        for q, (queue, line) in enumerate(zip(self.queues, self.members, strict=True)):
            if line and time >= self.done_at[q]:
                leaving.append(line.pop(0))
                self.served[q] += 1
                self.done_at[q] = np.nan
            if not line:
                continue
            goals[line] = queue.slots(len(line))
            face[line] = np.arctan2(-queue.direction[1], -queue.direction[0])
            at_counter = np.hypot(*(positions[line[0]] - queue.head)) < 0.45
            if at_counter and np.isnan(self.done_at[q]):
                self.done_at[q] = time + self.rng.uniform(*queue.service)
        return leaving
