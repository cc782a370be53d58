"""Situations for tests of proposals and search: a straight way, people at constant velocity."""

from __future__ import annotations

import numpy as np

from lifelong_nav.core.distance import DistanceField
from lifelong_nav.core.types import People, PeopleForecast, Pose2, Twist2
from lifelong_nav.trajectory.situation import Situation

TIMES = np.arange(1, 16) * 0.4


def ahead(start, velocity, groups=None, growth=0.1):
    """Forecast of people who go on as they do, one mode each, more uncertain by `growth` [m/s]."""
    start = np.array(start, float).reshape(-1, 2)
    velocity = np.array(velocity, float).reshape(-1, 2)
    n = len(start)
    xy = start[:, None, None] + velocity[:, None, None] * TIMES[:, None]
    return PeopleForecast(
        0.0, "odom", np.arange(n), TIMES, start, velocity, xy, np.ones((n, 1)),
        np.broadcast_to(growth * TIMES, xy.shape[:3]), np.full(n, 0.25),
        np.full(n, -1) if groups is None else np.array(groups),
    )  # fmt: skip


def situation(forecast=None, v=0.6, yaw=0.0, goal=(8.0, 0.0), field=None, speed=0.8):
    """A robot at the origin, sent straight to a goal."""
    route = np.array([[0.0, 0.0], goal])
    end = Pose2(goal[0], goal[1], float("nan"))
    return Situation(
        0.0, Pose2(0.0, 0.0, yaw), Twist2(v), route, end, speed, People(0.0, "odom"), forecast, field
    )


def corridor(width):
    """Distance field of a corridor along x, `width` wide."""
    cell = 0.05
    y = (np.arange(round(6.0 / cell)) + 0.5) * cell - 3.0
    gap = np.maximum(0.5 * width - np.abs(y), 0.0).astype(np.float32)
    return DistanceField(np.repeat(gap[:, None], round(16.0 / cell), axis=1), cell, (-4.0, -3.0), 5.0)
