"""A cycle of local planning: predict, propose, choose, whatever fails on the way."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest
from selection_world import drive, person, situation

from lifelong_nav.core.types import Pose2
from lifelong_nav.trajectory.candidates import propose
from lifelong_nav.trajectory.local_planner import LocalPlanner
from lifelong_nav.trajectory.prediction.history import PeopleHistory
from lifelong_nav.trajectory.prediction.predictor import Predictor
from lifelong_nav.trajectory.situation import Choice

AHEAD = ((0, 0), (8, 0))


def fails(situation):
    raise RuntimeError("out of order")


def test_it_predicts_proposes_and_chooses():
    s = dataclasses.replace(situation([person(3.0, 0.1, -0.5, 0.0)]), forecast=None)
    history = PeopleHistory()
    history.add(s.people)
    ticks = itertools.count()
    planner = LocalPlanner(
        predictor=Predictor(), generators={"rules": propose}, clock=lambda: float(next(ticks))
    )
    choice = planner.step(s, history)
    assert isinstance(choice, Choice)
    assert choice.forecast is not None
    assert choice.chosen.name != "follow route"
    assert set(planner.report.seconds) == {"predict", "rules", "select"}
    assert planner.report.counts["rules"] > 5
    assert planner.report.problems == ()
    assert planner.previous is choice


def test_one_generator_that_fails_does_not_stop_the_rest():
    planner = LocalPlanner(generators={"bad": fails, "good": lambda s: [drive("follow route", AHEAD)]})
    assert planner.step(situation()).chosen.name == "follow route"
    assert any("out of order" in p for p in planner.report.problems)
    assert planner.report.counts == {"bad": 0, "good": 1}
    assert planner.report.seconds == {}


def test_when_all_fail_the_route_is_followed():
    planner = LocalPlanner(generators={"bad": fails})
    choice = planner.step(situation())
    assert choice.chosen.name.startswith("follow route")
    assert np.linalg.norm(choice.chosen.trajectory.poses[-1, :2] - (4.8, 0)) < 0.4


def test_a_predictor_that_fails_leaves_people_walking_on():
    class Fails:
        def predict(self, *args, **kwargs):
            raise RuntimeError("no weights")

    s = dataclasses.replace(situation([person(4.0, 0.0, -1.0, 0.0)]), forecast=None)
    planner = LocalPlanner(predictor=Fails())
    choice = planner.step(s)
    assert choice.forecast.positions[0, 0, -1, 0] == pytest.approx(4.0 - 6.0, abs=0.5)
    assert any("no weights" in p for p in planner.report.problems)


def test_waiting_is_counted_and_forgotten_when_it_gets_ahead():
    planner = LocalPlanner()
    s = situation(v=0.0)
    for k in range(30):
        planner.step(dataclasses.replace(s, stamp=0.2 * k))
    waited = planner.report.waited
    assert 4.0 < waited < 6.1
    for k in range(30, 60):
        planner.step(dataclasses.replace(s, stamp=0.2 * k, pose=Pose2(0.16 * (k - 30), 0.0, 0.0)))
    assert planner.report.waited < 0.5 * waited
    planner.reset()
    assert planner.previous is None
    planner.step(s)
    assert planner.report.waited == 0.0


def test_waiting_at_the_goal_is_none():
    planner = LocalPlanner()
    s = situation(way=((0, 0), (0.3, 0)), v=0.0)
    for k in range(20):
        planner.step(dataclasses.replace(s, stamp=0.2 * k))
    assert planner.report.waited == 0.0


def test_the_route_is_followed_around_a_corner_within_limits():
    s = situation(way=((0, 0), (2, 0), (2, 3)), v=0.0)
    t = LocalPlanner().step(s).chosen.trajectory
    away = np.abs(t.poses[:, None, :2] - s.route[None]).max(axis=-1).min(axis=1)
    assert away.max() < 0.4
    assert np.abs(np.diff(t.twists[:, 0], prepend=0.0)).max() <= 0.2 + 1e-9
    assert np.abs(t.twists[:, 1]).max() <= 1.5 + 1e-9
