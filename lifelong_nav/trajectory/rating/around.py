"""From what a robot tracks to what a rating model reads: facing, interactions, the nearest people."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lifelong_nav.core.types import FloatArray, PeopleForecast
from lifelong_nav.trajectory.rating.features import Surroundings

WALKING = 0.25
"""Faster than this [m/s], people look where they go."""
TIE_LENGTH = 3.0
"""Members of a group farther apart than this [m] do not look at each other."""


def likely(forecast: PeopleForecast, times: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Positions and velocities (T, N, 2) of everybody's most probable mode at `times` (T,) [s]."""
    at, _ = forecast.at(times)
    mode = forecast.weights.argmax(axis=1)
    rows = np.arange(len(mode))
    later, _ = forecast.at(np.asarray(times) + 0.2)
    here, there = at[rows, mode], later[rows, mode]
    return np.swapaxes(here, 0, 1), np.swapaxes((there - here) / 0.2, 0, 1)


def surroundings(
    poses: FloatArray,
    people: FloatArray,
    velocities: FloatArray,
    groups: NDArray[np.int64],
    wall: FloatArray,
    limit: int = 8,
) -> Surroundings:
    """What is around poses (C, T, 3) at the T times of `people` and `velocities` (T, N, 2).

    Walkers face where they go. Who stands in a group faces its middle; of who stands alone nothing is known,
    so they are taken from the side, the middle between face and back.

    Args:
        poses: of the robot; T may be 1 for one instant.
        people: positions [m].
        velocities: [m/s].
        groups: (N,) number of the group, negative for alone.
        wall: (C, T) distance to the nearest wall [m].
        limit: at most so many people, those who come nearest to any pose.
    """
    between = np.linalg.norm(poses[..., None, :2] - people[None], axis=-1)
    near = np.sort(np.argsort(between.min(axis=(0, 1)))[:limit])
    people, velocities, groups, count = people[:, near], velocities[:, near], groups[near], len(near)
    if count == 0:
        return nobody(wall)
    pairs, middle = _pairs(people, groups)
    walking = np.hypot(velocities[..., 0], velocities[..., 1]) > WALKING
    course = np.arctan2(velocities[..., 1], velocities[..., 0])
    to_middle = middle - people
    inwards = np.arctan2(to_middle[..., 1], to_middle[..., 0])
    to_robot = poses[..., None, :2] - people[None]
    sideways = np.arctan2(to_robot[..., 1], to_robot[..., 0]) + 0.5 * np.pi
    grouped = np.isin(np.arange(count), pairs)
    facing = np.where(walking, course, np.where(grouped, inwards, sideways))
    ties = np.full((len(people), max(1, len(pairs)), 4), 50.0)
    tied = np.zeros(ties.shape[:2], dtype=bool)
    if len(pairs):
        a, b = people[:, pairs[:, 0]], people[:, pairs[:, 1]]
        ties[:] = np.concatenate([a, b], axis=-1)
        tied[:] = np.linalg.norm(a - b, axis=-1) < TIE_LENGTH
    return Surroundings(
        people, facing, np.ones(count, dtype=bool), grouped, ties, np.zeros(ties.shape[1], dtype=bool), tied,
        wall,
    )  # fmt: skip


def nobody(wall: FloatArray) -> Surroundings:
    """Surroundings without people."""
    none, far = np.zeros(1, dtype=bool), 50.0
    return Surroundings(np.full((1, 2), far), np.zeros(1), none, none, np.full((1, 4), far), none, none, wall)


def _pairs(people: FloatArray, groups: NDArray[np.int64]) -> tuple[NDArray[np.int64], FloatArray]:
    """Pairs (L, 2) of people of one group, and the middle of everybody's group (T, N, 2)."""
    pairs: list[tuple[int, int]] = []
    middle = people.copy()
    for group in np.unique(groups[groups >= 0]):
        members = np.flatnonzero(groups == group)
        if len(members) < 2:
            continue
        middle[:, members] = people[:, members].mean(axis=1, keepdims=True)
        pairs += [(int(a), int(b)) for i, a in enumerate(members) for b in members[i + 1 :]]
    return np.array(pairs, dtype=np.int64).reshape(-1, 2), middle
