"""Haste near people: the term itself, and what it does to following someone and waiting behind them."""

from dataclasses import replace

import numpy as np
import pytest
from control_world import World, drive, straight
from hypothesis import given
from hypothesis import strategies as st

from lifelong_nav.control.costs import CostConfig
from lifelong_nav.control.mppi import Mppi, Problem
from lifelong_nav.control.social import SocialConfig, forecast, overspeed
from lifelong_nav.core.types import People, Pose2, TrackedPerson, Twist2

RADIUS, LEAST, GROWTH = 0.27, 0.1, 1.2


def over(gap, bearing, v, people=1):
    """Overspeed of a robot at the origin facing x with a standing person at (gap, bearing)."""
    far = gap + RADIUS + 0.25
    person = TrackedPerson(1, far * np.cos(bearing), far * np.sin(bearing))
    crowd = People(0.0, "odom", (person,) * people)
    seen = forecast(crowd, np.zeros(2), 0.0, np.array([0.2]), 2.0, SocialConfig())
    zero = np.zeros((1, 1), np.float32)
    return float(overspeed(zero, zero, zero, zero + np.float32(v), seen, RADIUS, (LEAST, GROWTH))[0, 0])


def test_speed_at_someone_by_hand():
    assert np.isclose(over(0.25, 0.0, 0.8), 0.8 - LEAST - 0.25 * GROWTH, atol=1e-3)
    assert np.isclose(over(0.1, np.pi / 2, 0.8), 0.4 - LEAST - 0.1 * GROWTH, atol=1e-3)
    assert over(0.0, np.pi, 0.8) == 0.0
    assert np.isclose(over(0.0, np.pi, -0.15), 0.15 - LEAST, atol=1e-3)  # backing into someone
    assert over(0.6, 0.0, 0.8) == 0.0
    assert over(0.25, 0.0, 0.8, people=3) == over(0.25, 0.0, 0.8)


@given(st.floats(0.0, 2.0), st.floats(-3.2, 3.2), st.floats(-0.15, 0.8), st.floats(0.0, 1.0))
def test_more_gap_and_less_speed_are_never_worse(gap, bearing, v, less):
    here = over(gap, bearing, v)
    assert 0.0 <= here <= abs(v) + 1e-6
    assert over(gap + 0.1, bearing, v) <= here + 1e-5
    assert over(gap, bearing, v * less) <= here + 1e-5


def closest(pace, seed):
    """Least gap kept behind somebody who walks slowly through a corridor of two metres."""
    walls = np.array([(-2, 1, 12, 1), (-2, -1, 12, -1)], float)
    slow = np.array([(2.0, 0.1 * (seed - 1), 0.5, 0.0)])
    world = World(walls=walls, people=slow, noise=0.02, seed=seed, polite=False)
    mppi = Mppi(costs=replace(CostConfig(), pace=pace), seed=seed)
    return float(drive(world, mppi, straight((0, 0), (10, 0)), Pose2(10, 0, 0), limit=14.0).person_gap.min())


@pytest.mark.parametrize("seed", range(3))
def test_keeps_its_distance_behind_slow_walkers(seed):
    assert closest(CostConfig().pace, seed) > max(0.4, closest(0.0, seed))


def test_does_not_push_at_somebody_in_touch_ahead():
    """A person stands between the robot and its goal at hand: no haste towards them."""
    mppi = Mppi()
    person = TrackedPerson(1, 0.27 + 0.25 + 0.07, 0.0)
    for k in range(20):
        stamp = 0.1 * k
        plan = mppi.plan(
            Problem(
                stamp, Pose2(), Twist2(), straight((0, 0), (1.2, 0)), Pose2(1.2, 0, 0),
                People(stamp, "odom", (person,)),
            )
        )  # fmt: skip
        assert plan.command.vx < 0.2
