"""Metrics against values worked out by hand, and properties that hold for any path."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from lifelong_nav.evaluation import social_metrics as m

LINE = np.stack([np.arange(5.0), np.zeros(5)], axis=-1)
coordinates = st.floats(-50, 50, allow_nan=False)


def paths(n=6):
    return arrays(float, (n, 2), elements=coordinates)


def test_gaps_and_personal_space_by_hand():
    people = np.full((5, 2, 2), np.nan)
    people[1:4, 0] = [[1, 0.7], [2, 0.5], [3, 0.45]]
    people[2, 1] = [2.0, -2.0]
    free = m.gaps(LINE, people, 0.25, np.array([0.25, 0.25]))
    np.testing.assert_allclose(free, [np.inf, 0.2, 0.0, -0.05, np.inf], atol=1e-12)
    assert m.psv_seconds(free, 0.1) == pytest.approx(0.3)
    assert m.psv_seconds(free, 0.1, 0.1) == pytest.approx(0.2)
    assert m.contacts(free) == 1
    assert m.gaps(LINE, np.empty((5, 0, 2)), 0.25, 0.25).tolist() == [np.inf] * 5


def test_contacts_counts_separate_touches():
    assert m.contacts(np.array([-1.0, 1, -1, -1, 1, -1])) == 3
    assert m.contacts(np.array([0.0, 0.1])) == 0


def test_distances_between_paths_by_hand():
    shifted = LINE + np.array([0.0, 2.0])
    assert m.mse(LINE, shifted) == pytest.approx(4.0)
    assert m.ade(LINE, shifted) == pytest.approx(2.0)
    assert m.fde(LINE, shifted) == pytest.approx(2.0)
    assert m.hausdorff(LINE, shifted) == pytest.approx(2.0)
    assert m.hausdorff(LINE[:3], LINE) == pytest.approx(2.0)
    # a short path waits at (2, 0): errors 0, 0, 0, 1, 2
    assert m.mse(LINE[:3], LINE) == pytest.approx(1.0)
    assert m.ade(LINE[:3], LINE) == pytest.approx(0.6)


def test_success_spl_and_times_by_hand():
    assert m.success(LINE, np.array([4.0, 0.3]), 0.3)
    assert not m.success(LINE, np.array([4.0, 0.31]), 0.3)
    assert m.spl(True, 4.0, 5.0) == pytest.approx(0.8)
    assert m.spl(True, 4.0, 3.9) == 1.0
    assert m.spl(False, 4.0, 4.0) == 0.0
    assert m.time_ratio(12.0, 10.0) == pytest.approx(1.2)
    stop = np.concatenate([LINE, np.repeat(LINE[-1:], 3, axis=0)])
    assert m.stalled_seconds(stop, 0.5) == pytest.approx(1.5)
    assert m.length(LINE) == pytest.approx(4.0)


def test_time_to_collision_by_hand():
    # robot at 1 m/s, person 10 m ahead at rest, reach 0.5 m: 9.5 s at first, 6.5 s three steps later
    person = np.tile([[10.0, 0.0]], (5, 1, 1))
    times = m.times_to_collision(LINE, person, 1.0, 0.25, 0.25)
    np.testing.assert_allclose(times, [9.5, 8.5, 7.5, 6.5])
    assert m.min_ttc(LINE, person, 1.0, 0.25, 0.25) == pytest.approx(6.5)
    assert m.min_ttc(LINE, person + np.array([0.0, 1.0]), 1.0, 0.25, 0.25) == np.inf  # passes beside
    assert m.min_ttc(LINE, person * 0.0, 1.0, 0.25, 0.25) == 0.0  # in contact at the start
    assert m.min_ttc(LINE, np.full((5, 1, 2), np.nan), 1.0, 0.25, 0.25) == np.inf


def test_jerk_by_hand():
    t = np.arange(6.0) * 0.5
    assert m.jerk(np.stack([t**3, 0 * t], axis=-1), 0.5) == pytest.approx(6.0)
    assert m.jerk(np.stack([t**2, t], axis=-1), 0.5) == pytest.approx(0.0, abs=1e-9)
    assert m.jerk(LINE[:3], 1.0) == 0.0


def test_group_intrusion_by_hand():
    square = np.array([[1.5, -1.0], [3.5, -1.0], [3.5, 1.0], [1.5, 1.0]])
    people = np.tile(square, (5, 1, 1))
    groups = np.array([7, 7, 7, 7])
    assert m.group_intrusion_seconds(LINE, people, groups, 0.5) == pytest.approx(1.0)  # x = 2, 3
    assert m.group_intrusion_seconds(LINE, people, groups, 0.5, margin=0.5) == pytest.approx(2.0)  # and 1, 4
    assert m.group_intrusion_seconds(LINE, people, np.full(4, -1), 0.5) == 0.0
    pair = np.tile([[2.0, -1.0], [2.0, 1.0]], (5, 1, 1))
    assert m.group_intrusion_seconds(LINE, pair, np.array([0, 0]), 0.5) == pytest.approx(0.5)


def test_hull_by_hand():
    cloud = np.array([[0, 0], [2, 0], [2, 2], [0, 2], [1, 1], [1, 0]], dtype=float)
    assert len(m.convex_hull(cloud)) == 4
    assert m.hull_distance(np.array([1.0, 1.0]), cloud) == 0.0
    assert m.hull_distance(np.array([3.0, 1.0]), cloud) == pytest.approx(1.0)
    assert m.hull_distance(np.array([3.0, 3.0]), cloud) == pytest.approx(np.sqrt(2))
    assert m.hull_distance(np.array([0.0, 1.0]), np.zeros((3, 2))) == pytest.approx(1.0)


def test_bootstrap():
    interval = m.bootstrap(np.array([0.0, 1.0] * 50))
    assert interval.mean == 0.5
    assert 0.38 < interval.low < 0.45
    assert 0.55 < interval.high < 0.62
    assert m.bootstrap(np.ones(5)) == m.Interval(1.0, 1.0, 1.0)
    assert np.isnan(m.bootstrap(np.array([])).mean)


@settings(max_examples=60, deadline=None)
@given(a=paths(), b=paths(), shift=arrays(float, (2,), elements=coordinates))
def test_path_distances_are_distances(a, b, shift):
    assert m.hausdorff(a, a) == 0.0
    assert m.hausdorff(a, b) == pytest.approx(m.hausdorff(b, a))
    assert m.hausdorff(a + shift, b + shift) == pytest.approx(m.hausdorff(a, b), abs=1e-6)
    assert m.ade(a, b) ** 2 <= m.mse(a, b) + 1e-9  # Jensen
    assert m.hausdorff(a, b) <= np.linalg.norm(a - b, axis=1).max() + 1e-9


@settings(max_examples=60, deadline=None)
@given(path=paths(), people=arrays(float, (6, 3, 2), elements=coordinates), limit=st.floats(0, 2))
def test_personal_space_properties(path, people, limit):
    free = m.gaps(path, people, 0.25, 0.25)
    assert m.psv_seconds(free, 0.1, limit) <= m.psv_seconds(free, 0.1, limit + 0.5)
    assert 0.0 <= m.psv_seconds(free, 0.1, limit) <= 0.6 + 1e-9
    fewer = m.gaps(path, people[:, :2], 0.25, 0.25)
    assert (fewer >= free).all()
    assert m.contacts(free) <= 3


@settings(max_examples=60, deadline=None)
@given(
    points=arrays(float, (7, 2), elements=coordinates), weights=arrays(float, 7, elements=st.floats(0.01, 1))
)
def test_mixtures_of_points_lie_in_the_hull(points, weights):
    inner = weights @ points / weights.sum()
    assert m.hull_distance(inner, points) < 1e-6
    far = points[:, 0].max() + 5.0
    assert m.hull_distance(np.array([far, 0.0]), points) >= 5.0 - 1e-9


@settings(max_examples=60, deadline=None)
@given(path=paths(), people=arrays(float, (6, 2, 2), elements=coordinates))
def test_collision_times_come_true(path, people):
    times = m.times_to_collision(path, people, 0.5, 0.25, 0.25)
    for t in np.flatnonzero(np.isfinite(times)):
        robot = path[t] + (path[t + 1] - path[t]) / 0.5 * times[t]
        others = people[t] + (people[t + 1] - people[t]) / 0.5 * times[t]
        assert np.linalg.norm(others - robot, axis=1).min() <= 0.5 + 1e-4
