"""Each named cost alone decides a hand-made situation rightly."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from selection_world import detour, drive, person, situation

from lifelong_nav.core.config import build, specs
from lifelong_nav.trajectory.situation import TIMES
from lifelong_nav.trajectory.terms import NAMES, TERMS, TermsConfig, consistency, evaluate, make_batch
from lifelong_nav.trajectory.terms.corners import hidden_corners
from lifelong_nav.trajectory.terms.lines import waiting_lines
from lifelong_nav.trajectory.terms.way import narrow_stretches, way_ahead

AHEAD = ((0, 0), (8, 0))


def costs(term, s, *candidates, config=None):
    """Raw costs of one term."""
    found = TERMS[term](make_batch(s, candidates), config or TermsConfig())
    assert found.shape == (len(candidates),)
    assert np.isfinite(found).all()
    return found


def test_every_term_has_a_weight_and_no_weight_is_without_a_term():
    names = [s.name for s in specs(TermsConfig)]
    assert set(NAMES) <= set(names)
    assert names[: len(NAMES)] == [n for n in names if n in NAMES]  # weights first, shapes after


def test_progress_counts_seconds_lost():
    s = situation()
    free, half, rest, late = costs(
        "progress", s, drive("go", AHEAD), drive("half", AHEAD, 0.4), drive("stop", [(0, 0)]),
        drive("late", AHEAD, wait=2.0),
    )  # fmt: skip
    assert free == pytest.approx(0.0, abs=0.05)
    assert 2.0 < half < 3.5
    assert rest == pytest.approx(0.75 * 6.0 + 0.25 * 3.1, abs=0.2)
    assert 1.2 < late < 2.2


def test_progress_at_the_goal_is_being_there():
    s = situation(way=((0, 0), (2, 0)))
    there, beside = costs(
        "progress", s, drive("to it", ((0, 0), (2, 0))), drive("past", ((0, 0), (0, 1), (2, 1)))
    )
    assert there == pytest.approx(0.0, abs=0.3)
    assert beside > there + 0.3


def test_personal_space_is_wider_ahead_of_a_walker_than_behind():
    ahead = situation([person(3, 0, -0.01, 0.0)])
    near, far = costs("personal_space", ahead, drive("close", detour(0.6, 3)), drive("wide", detour(1.4, 3)))
    assert near > 2.0 * far
    walker = situation([person(2.0, 1.0, 1.0, 0.0)], v=0.0)
    before = drive("before", ((0, 0), (3.6, 1.0)), 2.5)
    behind = drive("behind", ((0, 0), (0.9, 1.0)), 1.5)
    assert np.diff(costs("personal_space", walker, behind, before))[0] > 0.0


def test_contact_prefers_what_comes_late_and_to_whom_it_is_less_likely():
    s = situation([person(2, 0)])
    through, beside, rest = costs(
        "contact", s, drive("through", AHEAD), drive("beside", detour(1.5, 2.0)), drive("stop", [(0, 0)])
    )
    assert through > 0.4
    assert beside < 0.1 < through
    assert rest < 0.01
    later = situation([person(4, 0)])
    assert costs("contact", later, drive("through", AHEAD))[0] < through


def test_contact_counts_every_mode_by_its_weight():
    s = situation([person(2, 0)])
    f = s.forecast
    away = f.positions + np.array([0.0, 3.0])
    two = dataclasses.replace(
        f, positions=np.concatenate([f.positions, away], axis=1),
        weights=np.array([[0.2, 0.8]]), spread=np.repeat(f.spread, 2, axis=1),
    )  # fmt: skip
    whole = costs("contact", s, drive("through", AHEAD))[0]
    part = costs("contact", dataclasses.replace(s, forecast=two), drive("through", AHEAD))[0]
    assert part == pytest.approx(0.2 * whole, rel=0.1)


def test_group_in_the_middle_is_driven_around():
    ring = [person(3 + 0.8 * np.cos(a), 0.8 * np.sin(a), group=1) for a in (0.5, 2.6, 4.7)]
    middle, around = costs(
        "group", situation(ring), drive("through", AHEAD), drive("around", detour(-2.2, 3.0, 3.0))
    )
    assert middle > 1.0
    assert around < 0.1


def test_walking_pair_is_not_split():
    pair = [person(5, 0.7, -0.8, 0, group=2), person(5, -0.7, -0.8, 0, group=2)]
    between, aside = costs(
        "group", situation(pair), drive("between", AHEAD), drive("aside", detour(-2.3, 2.4, 3.0))
    )
    assert between > 0.3 > 3.0 * aside


def test_end_of_the_queue_is_the_way_round():
    line = [person(3.0, y) for y in (1.6, 0.8, 0.0, -0.8)]
    s = situation(line)
    cut, end, before = costs(
        "queue", s, drive("between two", ((0, 0), (3, 0.4), (6, 0.4))),
        drive("round the end", detour(-2.2, 3.0, 2.5)), drive("stops before", ((0, 0), (2, 0))),
    )  # fmt: skip
    assert cut > 0.9
    assert end < 0.1
    assert before < 0.1


def test_lines_are_chains_and_conversations_are_not():
    still = np.zeros((9, 2))
    line = np.array([(0, 0), (0.9, 0.1), (1.8, 0.15), (2.7, 0.1)])
    ring = np.array([5.0, 5.0]) + 0.7 * np.array([(np.cos(a), np.sin(a)) for a in (0, 2.1, 4.2)])
    people = np.concatenate([line, ring, [(9, 9)], [(-5, 3)]])
    found = waiting_lines(people, still, 1.7, 3)
    assert [sorted(f.tolist()) for f in found] == [[0, 1, 2, 3]]
    assert waiting_lines(people, still + 1.0, 1.7, 3) == []


@given(st.permutations(range(5)))
@settings(max_examples=20, deadline=None)
def test_lines_do_not_depend_on_the_order_of_people(order):
    xy = np.array([(0, 0), (1.0, 0.1), (2.1, 0.0), (3.0, 0.2), (7, 7)], float)[list(order)]
    (found,) = waiting_lines(xy, np.zeros((5, 2)), 1.7, 3)
    along = xy[found][:, 0]
    assert (np.diff(along) > 0).all() or (np.diff(along) < 0).all()
    assert len(found) == 4


CORNER = [
    (-2, 1, 3, 1),
    (3, 1, 3, 6),
    (-2, -1, 5, -1),
    (5, -1, 5, 6),
]  # a corridor that turns left at x = 3..5
ROUND = ((0, 0), (4, 0), (4, 5))


def test_blind_corner_slows():
    s = situation(walls=CORNER, way=ROUND, scan=True)
    corners, ahead = hidden_corners(s, np.zeros((0, 2)), 5.0)
    assert np.linalg.norm(corners - (3, 1), axis=1).min() < 0.3
    assert ahead[np.linalg.norm(corners - (3, 1), axis=1).argmin()]
    slowly = np.where(TIMES < 2.0, 0.8, 0.35)
    fast, slow, wide = costs(
        "blind_corner", s, drive("fast", ROUND), drive("slow", ROUND, slowly),
        drive("wide", ((0, 0), (2, -0.6), (4.2, -0.6), (4.4, 5)), slowly),
    )  # fmt: skip
    assert fast > 2.0 * slow
    assert wide <= slow
    open_floor = situation(walls=[(-2, -3, 9, -3)], way=AHEAD, scan=True)
    assert costs("blind_corner", open_floor, drive("fast", AHEAD))[0] == 0.0


DOOR = [(3, 0.5, 3, 6), (3, -6, 3, -0.5)]


def test_doorway_is_found_and_left_to_who_is_in_it():
    empty = situation(walls=DOOR)
    ((start, end),) = narrow_stretches(way_ahead(empty), TermsConfig().narrow)
    assert start < 3.1
    assert end > 2.9
    assert end - start < 1.0
    go, wait = drive("go", AHEAD), drive("wait", ((0, 0), (1.4, 0.7)), 0.5)
    blocks = drive("block", ((0, 0), (2.2, 0)), 0.8)
    assert costs("doorway", empty, go, wait) == pytest.approx([0.0, 0.0], abs=0.02)
    coming = situation([person(5.6, 0, -0.7, 0)], DOOR)
    first, yields, stands = costs("doorway", coming, go, wait, blocks)
    assert first > 0.2
    assert yields < 0.05 < stands
    leaving = situation([person(2.9, 0, 0.9, 0)], DOOR)
    assert costs("doorway", leaving, go)[0] < 0.1


def test_doorway_is_no_place_to_stop():
    s = situation(walls=DOOR, way=AHEAD)
    inside, before = costs("doorway", s, drive("in", ((0, 0), (3, 0))), drive("before", ((0, 0), (2, 0))))
    assert inside > 0.2
    assert before == pytest.approx(0.0, abs=0.02)


def test_robot_nearer_to_the_door_than_a_far_person_may_go():
    s = situation([person(8.0, 0, -0.6, 0)], DOOR, at=(1.5, 0))
    assert costs("doorway", s, drive("go", ((1.5, 0), (8, 0))))[0] < 0.1


def test_oncoming_people_are_passed_on_the_right():
    s = situation([person(6, 0, -0.8, 0)])
    right, left = costs("right_of_way", s, drive("right", detour(-0.9, 3)), drive("left", detour(0.9, 3)))
    assert left > right + 0.2
    mirrored = costs(
        "right_of_way", s, drive("right", detour(-0.9, 3)), drive("left", detour(0.9, 3)),
        config=build(TermsConfig, {"keep_right": False}),
    )  # fmt: skip
    assert mirrored[0] > mirrored[1] + 0.2


def test_who_comes_from_the_right_crosses_first():
    from_right, from_left = situation([person(3, -3, 0, 0.8)]), situation([person(3, 3, 0, -0.8)])
    go, wait = drive("go", AHEAD), drive("wait", AHEAD, 0.3)
    before, after = costs("right_of_way", from_right, go, wait)
    assert before > after + 0.2
    assert costs("right_of_way", from_left, go)[0] < 0.05


def test_nobody_is_overtaken_in_a_narrow_place():
    hall = [(1, 0.6, 7, 0.6), (1, -0.6, 7, -0.6)]
    s = situation([person(2.0, -0.2, 0.3, 0)], hall)
    passes, follows = costs("right_of_way", s, drive("pass", AHEAD), drive("follow", AHEAD, 0.3))
    assert passes > follows + 0.5


def test_people_who_come_must_not_step_aside():
    s = situation([person(5, 0, -1.0, 0)])
    straight, aside, rest = costs(
        "people_effect", s, drive("on", AHEAD), drive("aside", detour(-1.6, 2.2, 3)),
        drive("stop", [(0, 0)]),
    )  # fmt: skip
    assert straight > 0.2
    assert aside < 0.5 * straight
    assert rest < straight
    behind = situation([person(1.2, 0, 0.8, 0)])
    assert costs("people_effect", behind, drive("follow", AHEAD))[0] < 0.1


def test_walls_cost_nearness_and_more_inside():
    s = situation(walls=[(-1, 0.5, 9, 0.5)], way=((0, 0), (8, 0)))
    beside, away, through = costs(
        "obstacle", s, drive("beside", ((0, 0.15), (8, 0.15))), drive("away", ((0, -0.8), (8, -0.8))),
        drive("through", ((0, 0), (4, 1.0))),
    )  # fmt: skip
    assert through > beside > away
    assert away == pytest.approx(0.0, abs=1e-6)


def test_comfort_dislikes_jerks_and_reverse():
    s = situation(v=0.8)
    even, jerky, back = costs(
        "comfort", s, drive("even", AHEAD), drive("jerky", AHEAD, 0.8 * (np.arange(30) % 2)),
        drive("back", ((0, 0), (-0.001, 0)), 0.0),
    )  # fmt: skip
    assert even < back < jerky


def test_speed_must_allow_stopping():
    s = situation([person(2.0, 0.65)])
    fast, slow = costs("dynamics_risk", s, drive("fast", AHEAD), drive("slow", AHEAD, 0.25))
    assert fast > slow + 0.02
    assert costs("dynamics_risk", situation(), drive("fast", AHEAD))[0] == 0.0


def test_consistency_is_the_distance_to_what_was_chosen():
    s = situation()
    batch = make_batch(s, [drive("left", detour(0.8, 1.5)), drive("right", detour(-0.8, 1.5))])
    before = drive("left", detour(0.8, 1.5)).trajectory.poses[:, :2]
    left, right = consistency(batch, before)
    assert left == pytest.approx(0.0, abs=1e-5)
    assert right > 0.5
    assert (consistency(batch, None) == 0.0).all()


@pytest.mark.parametrize("name", sorted(TERMS))
def test_weight_zero_switches_a_term_off(name, monkeypatch):
    def fail(batch, config):
        raise AssertionError("computed")

    monkeypatch.setitem(TERMS, name, fail)
    batch = make_batch(situation([person(3, 0)]), [drive("go", AHEAD)])
    found, notes = evaluate(batch, build(TermsConfig, {name: 0.0}), {}, {})
    assert name not in found
    assert notes == []


def test_a_term_that_fails_is_left_out_with_a_note(monkeypatch):
    monkeypatch.setitem(TERMS, "queue", lambda b, c: np.full(len(b), np.nan))
    monkeypatch.setitem(TERMS, "group", lambda b, c: np.zeros(3)[5])
    found, notes = evaluate(make_batch(situation(), [drive("go", AHEAD)]), TermsConfig(), {}, {})
    assert "queue" not in found
    assert "group" not in found
    assert len(notes) == 2
