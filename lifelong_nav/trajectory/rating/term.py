"""Discomfort along candidate trajectories: what people would say of a robot that is there, then."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lifelong_nav.core.config import param
from lifelong_nav.core.types import FloatArray
from lifelong_nav.trajectory.rating.around import likely, nobody, surroundings
from lifelong_nav.trajectory.rating.model import RatingModel
from lifelong_nav.trajectory.situation import TIMES, Situation


@dataclass(frozen=True)
class RatingConfig:
    """Parameters of `discomfort`."""

    every: int = param(3, "", 1, 30, "Rate every so many steps of a trajectory; between them it is linear.")
    people: int = param(8, "", 1, 30, "At most so many people, the nearest, are looked at.")
    reach: float = param(4.0, "m", 0.5, 8.0, "Without anybody nearer than this there is no discomfort.")


def discomfort(
    model: RatingModel, situation: Situation, poses: FloatArray, config: RatingConfig | None = None
) -> FloatArray:
    """(C, 30) discomfort in [0, 1] of robots at `poses` (C, 30, 3) at `TIMES`; 0 as good as alone.

    A rating is of a robot that stands; here every instant is judged as if it did, among the people where the
    forecast's most probable mode has them then.

    Args:
        model: see `rating.model.load`.
        situation: people with forecast (without one they are taken to go on as they do), walls.
        poses: candidates in the situation's frame.
        config: parameters.
    """
    c = config or RatingConfig()
    picked = np.unique(np.append(np.arange(c.every - 1, len(TIMES), c.every), len(TIMES) - 1))
    count = len(situation.people)
    if count == 0 or len(poses) == 0:
        return np.zeros(poses.shape[:2])
    if situation.forecast is not None and len(situation.forecast):
        people, velocities = likely(situation.forecast, TIMES[picked])
        groups = situation.forecast.groups
    else:
        velocity = situation.people.velocities()
        people = situation.people.positions() + velocity * TIMES[picked, None, None]
        velocities = np.broadcast_to(velocity, people.shape)
        groups = np.array([p.group_id for p in situation.people.people], dtype=np.int64)
    some = poses[:, picked]
    gap = np.linalg.norm(some[..., None, :2] - people[None], axis=-1).min(axis=-1)
    wall = _wall(situation, some)
    around = surroundings(some, people, velocities, groups, wall, c.people)
    rating = model.rate(some, around)
    alone = model.rate(np.zeros((1, 3)), nobody(np.full(1, 3.0)))
    bad = np.clip(1.0 - rating / alone, 0.0, 1.0) * (gap < c.reach)
    return np.stack([np.interp(TIMES, TIMES[picked], row) for row in bad])


def _wall(situation: Situation, poses: FloatArray) -> FloatArray:
    if situation.field is None:
        return np.full(poses.shape[:2], 3.0)
    return np.asarray(situation.field.at(poses[..., 0], poses[..., 1]), dtype=float)
