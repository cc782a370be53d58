"""The choice: hard rules, whole situations, reasons, and that nothing can make it fail."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from selection_world import detour, drive, person, situation

from lifelong_nav.core.config import build
from lifelong_nav.core.types import Pose2, Trajectory, Twist2
from lifelong_nav.trajectory.fallback import STOP, follow_candidates, stop_candidate
from lifelong_nav.trajectory.selector import Selector
from lifelong_nav.trajectory.situation import LEARNED, STEP, TIMES, Candidate
from lifelong_nav.trajectory.terms import TermsConfig

AHEAD = ((0, 0), (8, 0))
DOOR = [(3, 0.5, 3, 6), (3, -6, 3, -0.5)]


def choose(s, *candidates, **kw):
    """What the selector takes, with its costs consistent."""
    selector = Selector()
    choice = selector.choose(s, candidates, **kw)
    assert np.allclose(np.sum(list(choice.terms.values()), axis=0), choice.totals)
    assert choice.reason
    assert choice.forecast is not None or len(s.people) == 0
    return choice


def test_free_way_is_driven():
    choice = choose(situation(), drive("follow route", AHEAD), drive("slow", AHEAD, 0.4))
    assert choice.chosen.name == "follow route"
    assert "nobody is near" in choice.reason


def test_somebody_in_the_way_is_passed():
    s = situation([person(3.0, 0.0)])
    choice = choose(
        s, drive("follow route", AHEAD), drive("pass right", detour(-1.3, 3)), drive("slow", AHEAD, 0.4)
    )
    assert choice.chosen.name == "pass right"
    assert "passes on the right" in choice.reason


def test_the_reason_names_the_person():
    s = situation([person(3.4, 0.0, -1.0, 0.0)], walls=[(-2, 0.75, 8, 0.75), (-2, -0.75, 8, -0.75)])
    choice = choose(s, drive("follow route", AHEAD), drive("yield", ((0, 0), (0.5, -0.35)), 0.3))
    assert choice.chosen.name != "follow route"
    assert "the person ahead" in choice.reason


def test_yields_at_the_door_to_somebody_in_it():
    s = situation([person(4.6, 0.05, -0.6, 0)], DOOR, at=(1.0, 0))
    aside = ((1.0, 0), (1.5, 0.6), (1.7, 0.8))
    choice = choose(s, drive("follow route", ((1.0, 0), (8, 0))), drive("yield", aside, 0.5))
    assert choice.chosen.name in ("yield", STOP)
    assert "narrow place" in choice.reason or "the person ahead" in choice.reason


def test_contact_within_a_second_loses_to_anything_without():
    s = situation([person(0.9, 0.0)])
    into = drive("follow route", AHEAD)
    generous = build(
        TermsConfig, {"contact": 0.0, "personal_space": 0.0, "people_effect": 0.0, "obstacle": 0.0}
    )
    choice = Selector(terms=dataclasses.replace(generous, dynamics_risk=0.0)).choose(s, [into])
    assert choice.chosen.name == STOP
    assert choice.totals[choice.index] > choice.totals.min()


def test_walls_are_not_driven_through_however_cheap():
    s = situation(walls=[(1.2, -3, 1.2, 3)])
    choice = Selector(terms=build(TermsConfig, {"obstacle": 0.0})).choose(s, [drive("follow route", AHEAD)])
    assert choice.chosen.name == STOP


def test_a_robot_pushed_against_a_wall_may_leave_it():
    s = situation(walls=[(-5, 0.22, 9, 0.22)], way=((0, 0), (4, -2)), v=0.0)
    choice = choose(s, drive("follow route", ((0, 0), (4, -2)), 0.5))
    assert choice.chosen.name == "follow route"


def test_waiting_long_weighs_progress_up():
    s = situation([person(2.5, 0.75)])
    go, rest = drive("follow route", AHEAD, 0.35), drive(STOP, [(0, 0)])
    patient = choose(s, go, rest)
    tired = choose(s, go, rest, waited=20.0)
    index = [c.name for c in tired.candidates].index(STOP)
    assert tired.terms["progress"][index] == pytest.approx(4.0 * patient.terms["progress"][index], rel=0.01)


def test_it_goes_on_with_what_it_began():
    s = situation([person(3.0, 0.0)])
    left, right = drive("pass left", detour(1.3, 3)), drive("pass right", detour(-1.3, 3))
    neutral = Selector(terms=build(TermsConfig, {"right_of_way": 0.0}))
    assert neutral.choose(s, [left, right]).chosen.name in ("pass left", "pass right")
    for began in (left, right):
        before = neutral.choose(s, [began])
        before = dataclasses.replace(before, index=[c.name for c in before.candidates].index(began.name))
        assert neutral.choose(s, [left, right], before).chosen.name == began.name


def test_no_candidates_is_a_stop_within_limits():
    s = situation(v=0.8)
    s = dataclasses.replace(s, twist=Twist2(0.8, 0.0, 0.6))
    choice = choose(s)
    assert choice.chosen.name == STOP
    v, w = choice.chosen.trajectory.twists.T
    assert np.abs(np.diff(np.concatenate([[0.8], v]))).max() <= 1.0 * STEP + 1e-9
    assert np.abs(np.diff(np.concatenate([[0.6], w]))).max() <= 3.0 * STEP + 1e-9
    assert v[-1] == w[-1] == 0.0


def bad(name, poses, times=TIMES, frame="odom"):
    return Candidate(name, LEARNED, Trajectory(0.0, frame, times, poses, np.zeros((len(times), 2))))


def test_bad_candidates_are_discarded_with_a_note():
    poses = np.zeros((30, 3))
    broken = poses.copy()
    broken[7, 1] = np.nan
    selector = Selector()
    choice = selector.choose(
        situation(),
        [bad("nan", broken), bad("short", poses[:9]), bad("elsewhere", poses, frame="map"),
         bad("empty", np.zeros((0, 3)), np.zeros(0)), drive("follow route", AHEAD)],
    )  # fmt: skip
    assert [c.name for c in choice.candidates] == ["follow route", STOP]
    assert len(selector.notes) == 4


def test_other_times_are_resampled():
    coarse = drive("follow route", AHEAD)
    t = coarse.trajectory
    sparse = dataclasses.replace(
        coarse, trajectory=Trajectory(0.0, "odom", t.times[1::2], t.poses[1::2], t.twists[1::2])
    )
    a, b = choose(situation(), coarse), choose(situation(), sparse)
    assert a.totals[0] == pytest.approx(b.totals[0], abs=0.15)


def test_people_without_forecast_go_on_as_they_walk():
    s = dataclasses.replace(situation([person(4.0, 0.0, -1.0, 0.0)]), forecast=None)
    choice = choose(s, drive("follow route", AHEAD), drive("pass right", detour(-1.4, 2.0)))
    assert choice.chosen.name == "pass right"


def test_a_failing_judgement_is_noted():
    class Fails:
        def costs(self, batch):
            raise RuntimeError("no weights")

        def score(self, embedding, trajectories):
            raise RuntimeError("no weights")

    selector = Selector(rating=Fails(), caption=Fails())
    assert selector.choose(situation(), [drive("follow route", AHEAD)]).chosen.name == "follow route"
    assert any("no weights" in n for n in selector.notes)


def test_ratings_are_a_term():
    class Dislikes:
        def costs(self, batch):
            return np.where(np.abs(batch.xy[:, :, 1]).max(axis=1) > 0.5, 5.0, 0.0)

    s = situation()
    choice = Selector(rating=Dislikes()).choose(s, [drive("a", detour(1.0)), drive("follow route", AHEAD)])
    assert choice.chosen.name == "follow route"
    assert choice.terms["rating"][0] > 0.0


numbers = st.floats(-6.0, 6.0)


@st.composite
def crowds(draw):
    rows = draw(st.lists(st.tuples(numbers, numbers, st.floats(-1.5, 1.5), st.floats(-1.5, 1.5)), max_size=7))
    return [person(*row, group=draw(st.integers(-1, 1))) for row in rows]


@given(crowds(), st.booleans(), st.floats(-3, 3), st.floats(0.0, 0.8), st.integers(0, 10**6))
@settings(max_examples=40, deadline=None)
def test_whatever_comes_it_chooses_and_order_does_not_matter(people, walled, yaw, v, seed):
    s = situation(people, DOOR if walled else (), v=v, yaw=yaw, scan=walled)
    rng = np.random.default_rng(seed)
    candidates = [*follow_candidates(s), stop_candidate(s)]
    candidates += [drive(f"way {k}", detour(a)) for k, a in enumerate(rng.uniform(-2, 2, 4))]
    selector = Selector()
    choice = selector.choose(s, candidates)
    assert selector.notes == ()
    assert np.isfinite(choice.totals).all()
    assert (np.array(list(choice.terms.values())) >= -1e-9).all()
    order = rng.permutation(len(candidates))
    again = Selector().choose(s, [candidates[i] for i in order])
    assert again.chosen.name == choice.chosen.name
    assert np.allclose(again.totals, choice.totals[order], atol=1e-4)


@given(st.lists(st.floats(allow_nan=True, allow_infinity=True), min_size=90, max_size=90))
@settings(max_examples=40, deadline=None)
def test_any_numbers_as_poses(values):
    wild = bad("wild", np.array(values).reshape(30, 3))
    choice = Selector().choose(situation([person(2, 0)]), [wild, drive("follow route", AHEAD)])
    assert np.isfinite(choice.totals[choice.index])


@given(st.floats(-1e3, 1e3), st.floats(-1e3, 1e3), st.floats(-10, 10))
@settings(max_examples=20, deadline=None)
def test_odd_routes_and_places(x, y, yaw):
    s = dataclasses.replace(situation([person(2, 0)]), pose=Pose2(x, y, yaw), route=np.array([[0.0, 0.0]]))
    assert Selector().choose(s, follow_candidates(s)).chosen is not None
