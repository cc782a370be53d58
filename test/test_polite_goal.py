"""Ending near a goal on which somebody stands."""

import numpy as np
import pytest

from lifelong_nav.core.types import People, Pose2, TrackedPerson
from lifelong_nav.trajectory.cost_grid import CostGrid, InflationConfig, distance_to, inflate
from lifelong_nav.trajectory.polite_goal import PoliteGoal, PoliteGoalConfig

GOAL = Pose2(3.0, 2.0, 0.5)


def room(wall=False):
    """6 m x 4 m, with a wall at x = 3.4 when asked for."""
    mask = np.zeros((40, 60), dtype=bool)
    mask[[0, -1]] = mask[:, [0, -1]] = True
    if wall:
        mask[:, 34] = True
    distance = distance_to(mask, 0.1)
    return CostGrid(inflate(distance, None, InflationConfig()), distance, 0.1, (0.0, 0.0), "map")


def standing(*places):
    return People(0.0, "map", tuple(TrackedPerson(i, *p) for i, p in enumerate(places)))


def polite(**values):
    return PoliteGoal(PoliteGoalConfig(**values), 0.28)


def gap(pose, x, y):
    return np.hypot(pose.x - x, pose.y - y) - 0.28 - 0.25


def test_an_empty_goal_stays():
    assert polite().end(0.0, room(), GOAL, None) == GOAL
    assert polite().end(0.0, room(), GOAL, standing((5.0, 3.0))) == GOAL


@pytest.mark.parametrize("at", [(3.0, 2.0), (3.2, 2.1), (2.7, 1.8)])
def test_somebody_on_the_goal_moves_its_end_politely(at):
    end = polite().end(0.0, room(), GOAL, standing(at))
    assert gap(end, *at) >= 0.45 - 1e-6
    assert np.hypot(end.x - 3.0, end.y - 2.0) <= 1.5
    assert np.isfinite(room().cost_at(end.xy))
    assert end.yaw == GOAL.yaw


def test_the_end_stays_on_this_side_of_a_wall():
    grid = room(wall=True)
    end = polite().end(0.0, grid, Pose2(3.0, 2.0), standing((2.8, 2.0)))
    assert end.x < 3.4


def test_it_does_not_fidget_and_comes_back_when_the_goal_is_free():
    p, grid = polite(), room()
    first = p.end(0.0, grid, GOAL, standing((3.0, 2.0)))
    assert p.end(1.0, grid, GOAL, standing((3.1, 2.05))) == first
    assert p.end(10.0, grid, GOAL, standing((3.02, 2.0))) == first
    assert p.end(20.0, grid, GOAL, None) == GOAL


def test_nowhere_to_go_keeps_the_goal_and_zero_switches_it_off():
    crowd = standing(*[(x, y) for x in np.arange(1, 6, 0.6) for y in np.arange(0.5, 4, 0.6)])
    assert polite().end(0.0, room(), GOAL, crowd) == GOAL
    assert polite(goal_shift=0.0).end(0.0, room(), GOAL, standing((3.0, 2.0))) == GOAL
