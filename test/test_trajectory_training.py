"""Training of the trajectory network: what it may see, kills, and that stretching is right."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from trajectory_support import drive, shown, situation

from lifelong_nav.core.types import People, Pose2, Twist2
from lifelong_nav.sim import suite
from lifelong_nav.trajectory.generator.features import features
from lifelong_nav.trajectory.generator.moments import moment

torch = pytest.importorskip("torch")


def test_only_the_training_half_is_driven():
    from lifelong_nav.training.trajectories_sim import sim_cases

    s, cases = suite.suite(), sim_cases(3)
    assert {c.family for c in cases} == set(s.families(suite.TRAIN))
    assert {c.layout for c in cases} <= set(s.layouts_of(suite.TRAIN))
    assert len({c.name for c in cases}) == len(cases)
    held = {c.layout for c in cases if c.held_out}
    assert len(held) == 1
    assert not held & {c.layout for c in cases if not c.held_out}


def test_a_stretched_moment_is_one_of_a_stretched_world():
    from lifelong_nav.training.trajectories_fit import stretched

    factor, s = 1.6, situation(4, people=4)
    people = tuple(
        replace(p, x=factor * p.x, y=factor * p.y, vx=factor * p.vx, vy=factor * p.vy)
        for p in s.people.people
    )
    pose = Pose2(factor * s.pose.x, factor * s.pose.y, s.pose.yaw)
    big = replace(
        s, pose=pose, sensor=pose, route=factor * s.route, speed=factor * s.speed,
        goal=Pose2(factor * s.goal.x, factor * s.goal.y, s.goal.yaw),
        twist=Twist2(factor * s.twist.vx, 0.0, s.twist.wz), people=People(10.0, "odom", people),
        scan=replace(s.scan, ranges=factor * s.scan.ranges, range_max=30.0),
    )  # fmt: skip
    expert = np.arange(30.0).reshape(10, 3)
    arrays = {n: v.copy() for n, v in moment(features(s), expert, np.ones(10), 1, 0.0).tensors().items()}
    stretched(arrays, 0, factor)
    wanted = features(big)
    np.testing.assert_allclose(arrays["people"][0], wanted.people, atol=0.02)
    np.testing.assert_allclose(arrays["way"][0, 8:], wanted.way[8:], atol=1e-4)
    near = wanted.lidar[0] < 0.99
    np.testing.assert_allclose(arrays["lidar"][0, 0][near], wanted.lidar[0][near], atol=0.01)
    np.testing.assert_allclose(arrays["expert"][0, :, :2], factor * expert[:, :2])


def test_training_goes_on_where_a_kill_left_it(tmp_path):
    from lifelong_nav.training.trajectories_fit import FitConfig, fit

    told = shown([drive(0.8, k, 100.0 * k) for k in range(3)])
    config = FitConfig(epochs=2, batch=8)

    def stop(stage: str, done: int, total: int) -> None:
        raise KeyboardInterrupt

    whole = fit(told, told[:8], config, 0)
    with pytest.raises(KeyboardInterrupt):
        fit(told, told[:8], config, 0, tmp_path, "x", stop)
    rest: list[int] = []
    again = fit(told, told[:8], config, 0, tmp_path, "x", lambda stage, done, total: rest.append(done))
    assert rest == [2]
    for name, value in whole.heads.items():
        np.testing.assert_allclose(again.heads[name], value, atol=1e-5, err_msg=name)
    assert whole.scores["best_ade"] <= whole.scores["top_ade"]
