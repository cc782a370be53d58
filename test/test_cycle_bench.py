"""The benchmark of cycle times: what is sensed in its hall, timing in real time, a learner that trains."""

import time

import numpy as np
import pytest

from lifelong_nav.core.types import Pose2, Twist2
from lifelong_nav.evaluation import cycle_bench as bench
from lifelong_nav.evaluation.bench import BENCHMARKS


def test_hall_has_its_people_and_keeps_them_inside():
    hall = bench.Hall(3)
    for _ in range(400):
        hall.step(0.05)
    seen = hall.observe(Pose2(2.0, 4.0, 0.0), Twist2(), np.array([12.0, 4.0]))
    assert len(seen.people) == bench.PEOPLE
    assert (hall.at > 0.0).all()
    assert (hall.at < bench._HALL).all()
    assert seen.scan.valid().sum() > 0.9 * bench._BEAMS
    assert np.allclose(seen.route[[0, -1]], [(2.0, 4.0), (12.0, 4.0)])


class Slow:
    """Takes 4 ms of CPU time for every command."""

    resets = 0

    def reset(self, goal, speed, seed):
        self.resets += 1

    def command(self, observation):
        end = time.process_time() + 4e-3
        while time.process_time() < end:
            pass
        return Twist2()


def test_cycles_are_timed_in_real_time_without_the_first():
    hall = bench.Hall(0)
    shown = hall.observe(Pose2(2.0, 4.0, 0.0), Twist2(), np.array([12.0, 4.0]))
    seen = [(np.array([12.0, 4.0]), shown)] * (bench._WARM_UP + 6)
    planner, begun = Slow(), time.monotonic()
    spent = bench.timed(planner, seen)
    assert time.monotonic() - begun >= len(seen) / bench.RATE
    assert spent.shape == (6, 2)
    assert (spent[:, 1] >= 4.0).all()
    assert (spent[:, 0] >= 0.9 * spent[:, 1]).all()
    assert planner.resets == 1


@pytest.mark.timeout(200)
def test_a_learner_trains_beside_and_ends():
    import multiprocessing

    with bench.learning():
        assert len(multiprocessing.active_children()) == 1
    assert not multiprocessing.active_children()


def test_our_driver_gets_through_a_few_cycles():
    seen = bench.sensed(12, seed=0)
    assert len(seen) == 12
    assert seen[-1][1].pose.x > seen[0][1].pose.x


@pytest.mark.skipif("cycle" not in BENCHMARKS, reason="not on the command line")
def test_is_found_by_its_name():
    assert BENCHMARKS["cycle"][0] == bench.__name__
