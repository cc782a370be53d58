"""The privileged expert: better than driving as if nobody was there, repeatable, within the body's limits."""

import numpy as np
import pytest

from lifelong_nav.core.types import Pose2
from lifelong_nav.sim.flat import FlatConfig
from lifelong_nav.training.expert_scene import floor, plan
from lifelong_nav.training.trajectory_expert import SEARCH, expert, replay, task
from lifelong_nav.trajectory import proxemics
from lifelong_nav.trajectory.proxemics import ProxemicsConfig

P = ProxemicsConfig()


@pytest.fixture(scope="module")
def overtaking():
    case = task("robot_overtaking", "impassive", 3, 1)
    return case, expert(case)


def test_avoids_whom_the_blind_plan_runs_into(overtaking):
    _, run = overtaking
    blind, best = run.rounds[0], run.figures
    assert blind["touches"] >= 1
    assert blind["psv"] > 5.0
    assert best["touches"] == 0
    assert best["psv"] == 0.0
    assert best["reached"]
    assert best["time_ratio"] < 1.15


def test_its_commands_drive_the_same_again(overtaking):
    case, run = overtaking
    config = FlatConfig(scan=True, beams=24, speed=case.speed, radius=case.radius)
    seen = list(replay(case, run, config))
    assert len(seen) == len(run.path)
    np.testing.assert_allclose([s.pose.xy for s in seen], run.path, atol=1e-9)
    np.testing.assert_allclose([s.truth.positions for s in seen], run.people, atol=1e-9)


def test_stays_within_the_limits_of_the_body(overtaking):
    _, run = overtaking
    v, w = run.twists.T
    assert np.abs(np.diff(v)).max() <= 0.1 + 1e-6
    assert np.abs(w).max() <= 1.5 + 1e-6
    assert v.max() <= 0.8 + 1e-6
    assert run.figures["length"] < 1.1 * np.linalg.norm(run.path[-1] - run.path[0])


def test_equal_seeds_give_equal_runs():
    case = task("intersection_no_gesture", "orca", 3, 1)
    a, b = expert(case), expert(case)
    np.testing.assert_array_equal(a.path, b.path)
    assert a.figures["touches"] == 0


def test_waits_at_a_door_for_who_comes_out():
    walls = np.array([[4.0, -4.0, 4.0, -0.55], [4.0, 0.55, 4.0, 4.0]])
    start, goal = np.array([2.6, 0.0]), np.array([7.0, 0.0])
    ground = floor(walls, start, goal, 0.8, 0.27, SEARCH)
    times = np.arange(1, 31) * SEARCH.period
    out = np.stack([5.2 - 0.5 * times, np.zeros(30)], axis=-1)
    gone = times > 3.2  # beyond the door they turn aside
    out[gone, 1] = -0.5 * (times[gone] - 3.2)
    out[gone, 0] = out[~gone, 0][-1]
    speed = np.gradient(out, SEARCH.period, axis=0)
    who = proxemics.known(out[None], speed[None], np.array([0.25]), np.array([-1]), P)
    way = plan(ground, Pose2(*start, 0.0), 0.0, who, None, 0.8, 0.27, SEARCH, P)
    gap = np.linalg.norm(way[1:] - out, axis=1)
    assert gap.min() > 0.7
    through = np.argmax(way[:, 0] > 4.0)
    assert times[through - 1] > 2.4 + 1.0
    assert np.linalg.norm(way[-1] - goal) < 0.1
