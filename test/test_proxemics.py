"""The social costs: where they are high, what uncertainty does, and that the controller has the same."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifelong_nav.control.social import SocialConfig, forecast, space_cost
from lifelong_nav.core.types import People, PeopleForecast, TrackedPerson
from lifelong_nav.evaluation import social_metrics
from lifelong_nav.trajectory import proxemics
from lifelong_nav.trajectory.proxemics import ProxemicsConfig

C = ProxemicsConfig()
TIMES = np.arange(1, 11) * 0.4


def ahead(start, velocity, groups=None, spread=0.0, weights=None):
    """Constant-velocity forecast with one mode per row of weights."""
    start, velocity = np.atleast_2d(np.array(start, float)), np.atleast_2d(np.array(velocity, float))
    n = len(start)
    weights = np.ones((n, 1)) if weights is None else np.array(weights, float)
    modes = weights.shape[1]
    xy = start[:, None, None] + velocity[:, None, None] * TIMES[:, None]
    xy = np.repeat(xy, modes, axis=1)
    return PeopleForecast(
        0.0, "odom", np.arange(n), TIMES, start, velocity, xy, weights,
        np.full(xy.shape[:3], spread), np.full(n, 0.25),
        np.full(n, -1) if groups is None else np.array(groups),
    )  # fmt: skip


def test_space_is_longer_ahead_than_behind_and_wider_on_the_side_not_to_pass():
    people = proxemics.presence(ahead([0.0, 0.0], [1e-9, 0.0]), TIMES, C)
    walker = proxemics.presence(ahead([0.0, 0.0], [1.2, 0.0]), TIMES[:1], C)
    at = np.array([0.48, 0.0])
    around = at + np.array([[0.8, 0.0], [-0.8, 0.0], [0.0, 0.8], [0.0, -0.8]])
    front, rear, left, right = proxemics.personal_space(around[:, None], walker)[:, 0]
    assert front > right > left > rear
    assert proxemics.personal_space(np.zeros((1, 1, 2)), people)[0] == pytest.approx(np.ones(10), abs=1e-5)


def test_same_as_the_controllers_space_for_constant_velocity():
    person = TrackedPerson(1, 2.0, 0.3, -1.1, 0.2, covariance=np.zeros((4, 4)))
    theirs = forecast(People(0.0, "odom", (person,)), np.zeros(2), 0.0, TIMES, 6.0, SocialConfig(growth=0.0))
    ours = proxemics.presence(ahead([2.0, 0.3], [-1.1, 0.2]), TIMES, C)
    points = np.random.default_rng(0).uniform(-2, 2, (7, 10, 2)).astype(np.float32)
    expected = space_cost(points[..., 0].T.copy(), points[..., 1].T.copy(), theirs)
    np.testing.assert_allclose(proxemics.personal_space(points, ours), expected.T, rtol=1e-3, atol=1e-5)


def test_uncertainty_lowers_the_peak_and_widens_the_foot():
    sure = proxemics.presence(ahead([0.0, 0.0], [0.0, 0.0]), TIMES, C)
    vague = proxemics.presence(ahead([0.0, 0.0], [0.0, 0.0], spread=0.6), TIMES, C)
    places = np.array([[[0.0, 0.0]], [[1.6, 0.0]]])
    a, b = proxemics.personal_space(places, sure)[:, 0], proxemics.personal_space(places, vague)[:, 0]
    assert a[0] > b[0]
    assert a[1] < b[1]
    a, b = proxemics.contact(places, sure, 0.3)[:, 0], proxemics.contact(places, vague, 0.3)[:, 0]
    assert a[0] == pytest.approx(1.0)
    assert 0.0 < b[0] < a[0]


def test_modes_count_by_weight_and_the_worst_person_counts():
    two = proxemics.presence(ahead([[0, 0], [0.2, 0]], [[0, 0], [0, 0]], weights=[[0.7, 0.3]] * 2), TIMES, C)
    one = proxemics.presence(ahead([0, 0], [0, 0]), TIMES, C)
    at = np.zeros((1, 1, 2))
    np.testing.assert_allclose(proxemics.contact(at, two, 0.3), proxemics.contact(at, one, 0.3), rtol=1e-5)
    assert len(two) == 4
    rare = proxemics.presence(ahead([0, 0], [0, 0], weights=[[0.99, 0.01]]), TIMES, C)
    assert len(rare) == 1


@given(
    st.lists(st.tuples(st.floats(-2, 2), st.floats(-2, 2)), min_size=2, max_size=6),
    st.tuples(st.floats(-4, 4), st.floats(-4, 4)),
)
def test_hull_gap_is_the_benchmarks(members, point):
    members, point = np.array(members), np.array(point)
    found = proxemics.hull_gap(point[None], members[:, None].astype(np.float32))[0]
    exact = social_metrics.hull_distance(point, members)
    assert max(found, 0.0) == pytest.approx(exact, abs=0.03)


def test_between_members_is_intrusion_and_far_members_hold_nothing():
    near = proxemics.presence(ahead([[0, 0], [1.4, 0]], [[0, 0], [0, 0]], [5, 5]), TIMES, C)
    far = proxemics.presence(ahead([[0, 0], [4.0, 0]], [[0, 0], [0, 0]], [5, 5]), TIMES, C)
    middle, beside = np.array([[[0.7, 0.0]]]), np.array([[[0.7, 1.2]]])
    assert proxemics.group_intrusion(middle, near, C).all()
    assert not proxemics.group_intrusion(beside, near, C).any()
    assert proxemics.group_space(middle, near, C).min() == pytest.approx(1.0)
    assert proxemics.group_space(beside, near, C).max() < 0.01
    assert far.groups == ()


def test_nobody_costs_nothing_and_the_absent_are_far():
    none = proxemics.presence(None, TIMES, C)
    points = np.zeros((3, 10, 2))
    for cost in (
        proxemics.personal_space(points, none), proxemics.contact(points, none, 0.3),
        proxemics.group_space(points, none, C),
    ):  # fmt: skip
        assert cost.shape == (3, 10)
        assert not cost.any()
    gone = proxemics.known(np.full((1, 10, 2), np.nan), np.full((1, 10, 2), np.nan), np.array([0.25]),
                           np.array([-1]), C)  # fmt: skip
    assert not proxemics.personal_space(points, gone).any()
