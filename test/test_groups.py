"""Groups: made-up scenes, invariants, and real pedestrians with annotated groups."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lifelong_nav.evaluation.group_scores import load_pedestrians, score_distance_only, score_groups
from lifelong_nav.perception.groups import GroupConfig, GroupTracker, pair_affinity


def run(positions, velocities, seconds=5.0, dt=0.1, tracker=None):
    """Move everyone at constant velocity; the last grouping."""
    tracker = tracker or GroupTracker()
    positions, velocities = np.array(positions, dtype=float), np.array(velocities, dtype=float)
    ids = np.arange(len(positions)) + 10
    for k in range(int(seconds / dt)):
        groups = tracker.update(ids, positions + velocities * k * dt, velocities, dt)
    return groups.tolist()


def test_side_by_side_is_a_group_and_a_stranger_is_not():
    groups = run([(0, 0), (0, 0.8), (5, 3)], [(1.2, 0), (1.2, 0.05), (-1, 0)])
    assert groups == [10, 10, -1]


def test_people_who_pass_each_other_are_no_group():
    tracker = GroupTracker()
    seen = []
    for k in range(80):
        x = -4.8 + 0.12 * k
        seen.append(
            tracker.update(
                np.array([1, 2]), np.array([(x, 0.0), (-x, 0.7)]), np.array([(1.2, 0.0), (-1.2, 0.0)]), 0.1
            )
        )
    assert (np.array(seen) == -1).all()


def test_a_standing_circle_is_one_group_though_nobody_is_near_everybody():
    angles = np.arange(5) * 2 * np.pi / 5
    circle = np.stack([np.cos(angles), np.sin(angles)], axis=1) * 0.9
    assert run(circle, np.zeros((5, 2))) == [10] * 5


def test_somebody_standing_between_two_others_parts_them():
    config = GroupConfig()
    apart = pair_affinity(np.array([(0, 0), (1.6, 0)]), np.zeros((2, 2)), config)[0, 1]
    parted = pair_affinity(np.array([(0, 0), (1.6, 0), (0.8, 0.1)]), np.zeros((3, 2)), config)[0, 1]
    assert apart > 0.4
    assert parted == 0.0


def test_hysteresis_keeps_a_pair_through_a_short_split():
    tracker = GroupTracker()
    ids, walk = np.array([3, 7]), np.array([(1.2, 0.0), (1.2, 0.0)])
    for k in range(50):
        tracker.update(ids, np.array([(0.12 * k, 0.0), (0.12 * k, 0.8)]), walk, 0.1)
    split = [tracker.update(ids, np.array([(0.0, 0.0), (0.0, 2.6)]), walk, 0.1).tolist() for _ in range(40)]
    assert split[4] == [3, 3]
    assert split[-1] == [-1, -1]


@given(st.integers(0, 8), st.integers(0, 10_000))
@settings(max_examples=60, deadline=None)
def test_result_does_not_depend_on_the_order_of_people(n, seed):
    rng = np.random.default_rng(seed)
    ids, swap = rng.permutation(100)[:n], rng.permutation(n)
    a, b = GroupTracker(), GroupTracker()
    for _ in range(6):
        p, v = rng.uniform(-2, 2, (n, 2)), rng.uniform(-0.5, 0.5, (n, 2))
        one, two = a.update(ids, p, v, 0.4), b.update(ids[swap], p[swap], v[swap], 0.4)
        assert np.array_equal(one[swap], two)
        affinity = pair_affinity(p, v, GroupConfig())
        assert np.allclose(affinity, affinity.T)
        assert ((affinity >= 0) & (affinity <= 1)).all()
        for g in set(one.tolist()) - {-1}:
            assert g in ids[one == g]
            assert (one == g).sum() >= 2


def test_people_may_come_and_go():
    tracker = GroupTracker()
    everyone = np.array([(k % 3, k // 3) for k in range(9)], dtype=float)
    for ids in itertools.combinations(range(9), 4):
        groups = tracker.update(np.array(ids), everyone[list(ids)], np.zeros((4, 2)), 0.3)
        assert groups.shape == (4,)
    assert tracker.update(np.zeros(0, dtype=int), np.zeros((0, 2)), np.zeros((0, 2)), 0.3).shape == (0,)


@pytest.mark.data
@pytest.mark.parametrize(("scene", "goal"), [("zara01", 0.85), ("students03", 0.8)])
def test_real_groups_are_found_better_than_by_distance(data_folder, scene, goal):
    crowd = load_pedestrians(data_folder / "eth_ucy" / scene)
    ours = score_groups(crowd)
    assert ours.f1 > goal
    assert ours.f1 > max(score_distance_only(crowd, d).f1 for d in (1.0, 1.5, 2.0)) + 0.05
