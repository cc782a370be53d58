"""Proposals: drivable, various, and doing what their names say."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from trajectory_world import ahead, corridor, situation

from lifelong_nav.trajectory.candidates import CandidatesConfig, propose
from lifelong_nav.trajectory.drive import DriveConfig
from lifelong_nav.trajectory.situation import STEP, TIMES

RULES = CandidatesConfig(searched=0)
D = DriveConfig()


def by_name(found):
    return {c.name: c.trajectory for c in found}


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.tuples(*[st.floats(-4, 4)] * 2, *[st.floats(-1.4, 1.4)] * 2), max_size=5),
    st.floats(-0.1, 0.8), st.floats(-3.1, 3.1), st.floats(0.3, 1.3), st.booleans(),
)  # fmt: skip
def test_all_are_within_the_limits_of_the_base(people, v, yaw, speed, walls):
    rows = np.array(people).reshape(-1, 4)
    s = situation(
        ahead(rows[:, :2], rows[:, 2:]), v, yaw, speed=speed, field=corridor(2.4) if walls else None
    )
    for c in propose(s):
        poses, twists = c.trajectory.poses, c.trajectory.twists
        assert poses.shape == (len(TIMES), 3)
        assert np.isfinite(poses).all()
        all_v = np.concatenate([[v], twists[:, 0]])
        assert np.abs(np.diff(all_v)).max() <= D.accel * STEP + 1e-9
        assert np.abs(twists[:, 1]).max() <= D.max_yaw_rate + 1e-9
        assert twists[:, 0].max() <= max(speed, v) + 1e-9
        steps = np.diff(np.concatenate([[s.pose.array()], poses]), axis=0)
        assert np.allclose(np.hypot(steps[:, 0], steps[:, 1]), np.abs(twists[:, 0]) * STEP, atol=1e-9)
        assert np.allclose(steps[:, 2], twists[:, 1] * STEP, atol=1e-9)


def test_nobody_about_means_following_the_route():
    found = by_name(propose(situation(v=0.8), RULES))
    assert np.abs(found["follow route"].poses[:, 1]).max() < 1e-6
    assert found["follow route"].poses[-1, 0] > 4.6
    assert found["stop"].poses[-1, 0] < 0.6
    assert "yield" not in found


def test_passes_on_both_sides():
    found = by_name(propose(situation(ahead([5.0, 0.1], [-1.0, 0.0])), RULES))
    left, right = found["pass left"].poses, found["pass right"].poses
    person = np.stack([5.0 - TIMES, np.full(len(TIMES), 0.1)], axis=-1)
    for poses, sign in ((left, 1.0), (right, -1.0)):
        nearest = np.argmin(np.linalg.norm(poses[:, :2] - person, axis=1))
        assert sign * (poses[nearest, 1] - 0.1) > 0.6
    wide = found["pass right wide"].poses
    assert wide[:, 1].min() < right[:, 1].min() - 0.2


def test_yields_before_the_crossing_and_goes_on_behind():
    found = by_name(propose(situation(ahead([2.2, -2.4], [0.0, 0.9])), RULES))
    person = np.array([2.2, -2.4]) + np.array([0.0, 0.9]) * TIMES[:, None]
    for name in ("yield", "give way"):
        poses = found[name].poses
        assert np.linalg.norm(poses[:, :2] - person, axis=1).min() > 0.7, name
        assert poses[-1, 0] > 2.6, name
        assert np.abs(poses[:, 1]).max() < 0.05, name
    through = found["follow route"].poses[:, :2]
    assert np.linalg.norm(through - person, axis=1).min() < 0.6


def test_falls_in_behind_who_goes_the_same_way():
    found = by_name(propose(situation(ahead([1.6, 0.3], [0.5, 0.0])), RULES))
    poses = found["fall in behind"].poses
    person = np.array([1.6, 0.3]) + np.array([0.5, 0.0]) * TIMES[:, None]
    gap = np.linalg.norm(poses[:, :2] - person, axis=1) - 0.52
    assert gap.min() > 0.5
    assert gap[-1] < 1.6
    assert abs(poses[-1, 1] - 0.3) < 0.15


def test_backs_out_only_when_someone_is_close_ahead():
    near = by_name(propose(situation(ahead([0.9, 0.0], [0.0, 0.0]), v=0.0), RULES))
    assert near["back out"].poses[-1, 0] < -0.2
    far = by_name(propose(situation(ahead([3.0, 0.0], [0.0, 0.0]), v=0.0), RULES))
    assert "back out" not in far


def test_swerves_keep_off_walls():
    for c in propose(situation(ahead([4.0, 0.0], [-1.0, 0.0]), field=corridor(1.9)), RULES):
        assert np.abs(c.trajectory.poses[:, 1]).max() < 0.95 - 0.27, c.name


def test_comes_back_to_a_route_it_is_beside():
    s = situation(v=0.4)
    aside = type(s)(**{**s.__dict__, "route": s.route + np.array([0.0, 0.5])})
    poses = by_name(propose(aside, RULES))["follow route"].poses
    assert abs(poses[-1, 1] - 0.5) < 0.05
