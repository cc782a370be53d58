"""People walk without sliding, are the same for the same seed, and show the lidar their legs."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lifelong_nav.sim import figures
from lifelong_nav.sim.crowd.state import CrowdState
from lifelong_nav.sim.figure_looks import PARTS, looks, part_sizes, part_transforms


def walker(speed, heading=0.0, course=None, n=1, group=-1) -> CrowdState:
    course = heading if course is None else course
    velocity = np.tile(speed * np.array([[np.cos(course), np.sin(course)]]), (n, 1))
    facing, one = np.full(n, heading), np.ones(n, bool)
    return CrowdState(
        np.arange(n), np.zeros((n, 2)), velocity, facing, np.full(n, 0.25), np.full(n, group), one
    )


def walk(state, seconds, dt=0.02):
    gait = figures.new_gait(state)
    for _ in range(int(seconds / dt)):
        state = replace(state, positions=state.positions + dt * state.velocities)
        gait = figures.advance(gait, state, dt)
        yield state, gait


def balls(state, gait):
    """(N, 2, 3) world positions of the balls of the feet."""
    body = looks(state.ids, 0)
    ball = figures._legs(gait.phase, gait.stride, gait.course - state.headings, body)[3]
    c, s = np.cos(state.headings)[:, None], np.sin(state.headings)[:, None]
    x = c * ball[..., 0] - s * ball[..., 1] + state.positions[:, :1]
    y = s * ball[..., 0] + c * ball[..., 1] + state.positions[:, 1:]
    return np.stack([x, y, ball[..., 2]], axis=-1)


@settings(max_examples=25, deadline=None)
@given(st.floats(0.3, 2.0), st.floats(-3.0, 3.0), st.sampled_from([0.0, 0.6, np.pi]))
def test_standing_feet_do_not_slide(speed, heading, aside):
    steps = list(walk(walker(speed, heading, heading + aside, 4), 2.0))
    track = np.array([balls(s, g) for s, g in steps])
    phase = np.array([(g.phase[:, None] + [0.0, 0.5]) % 1.0 for _, g in steps])
    stands = (phase[1:] < figures._STANCE) & (phase[:-1] < figures._STANCE) & (phase[1:] > phase[:-1])
    moved = np.linalg.norm(np.diff(track[..., :2], axis=0), axis=-1)
    assert stands.mean() > 0.4
    assert moved[stands].max() < 1e-6
    assert track[..., 2].min() > -1e-9


def test_legs_reach_their_feet_and_stay_long():
    """No shin is torn off its foot by more than 3 cm, no knee of a standing leg bends past 35 deg."""
    for speed in (0.0, 0.6, 1.3, 1.6):
        for state, gait in list(walk(walker(speed, n=12), 1.5, 0.05))[10:]:
            body = looks(state.ids)
            hip, knee, ankle, _ = figures._legs(gait.phase, gait.stride, gait.course, body)
            tall = body.height[:, None]
            assert np.allclose(np.linalg.norm(knee - hip, axis=-1), 0.245 * tall)
            assert np.abs(np.linalg.norm(ankle - knee, axis=-1) - 0.235 * tall).max() < 0.03
            thigh, shin = knee - hip, ankle - knee
            bend = np.einsum("nli,nli->nl", thigh, shin)
            bend /= np.linalg.norm(thigh, axis=-1) * np.linalg.norm(shin, axis=-1)
            p = (gait.phase[:, None] + [0.0, 0.5]) % 1.0
            flat = p < 0.6 * figures._STANCE  # before the heel rises
            assert np.degrees(np.arccos(np.clip(bend, -1, 1)))[flat].max() < 35.0


def test_phase_follows_the_way_not_the_clock():
    slow, fast = (list(walk(walker(v, n=3), 12.0 / v)) for v in (0.5, 1.0))
    assert np.allclose(slow[-1][1].stride, figures._STRIDE * np.sqrt(0.5))
    standing = list(walk(walker(0.0, n=3), 2.0))
    assert np.allclose(standing[0][1].phase, standing[-1][1].phase)
    assert np.allclose(standing[-1][1].stride, 0.0)
    assert np.allclose(fast[-1][1].stride, figures._STRIDE)


def test_starting_and_stopping_is_smooth():
    state = walker(1.3, n=2)
    gait = figures.new_gait(replace(state, velocities=state.velocities * 0.0))
    links = []
    for i in range(200):
        moving = replace(state, velocities=state.velocities * (1.0 if i < 100 else 0.0))
        state = replace(state, positions=state.positions + 0.02 * moving.velocities)
        gait = figures.advance(gait, moving, 0.02)
        links.append(figures.figure_transforms(moving, gait, i * 0.02))
    jump = np.abs(np.diff(np.array(links)[..., :3, 3], axis=0)).max()
    assert jump < 0.13  # no link moves faster than 6.5 m/s


def test_transforms_are_rigid_and_people_are_person_shaped():
    state = walker(1.2, 0.7, n=30)
    gait = figures.new_gait(state)
    links = figures.figure_transforms(state, gait, 3.0)
    assert links.shape == (30, 14, 4, 4)
    turn = links[..., :3, :3]
    assert np.allclose(turn @ np.swapaxes(turn, -1, -2), np.eye(3), atol=1e-9)
    assert np.allclose(np.linalg.det(turn), 1.0)
    body = looks(state.ids)
    assert ((body.height >= 1.55) & (body.height <= 1.9)).all()
    parts = part_transforms(links, body)
    top = (parts[..., 2, 3] + part_sizes(body).min(axis=-1) / 2.0).max(axis=1)
    assert np.abs(top / body.height - 1.0).max() < 0.05
    name = figures.LINKS.index
    assert (links[:, name("head"), 2, 3] > links[:, name("torso"), 2, 3]).all()
    assert (links[:, name("torso"), 2, 2] > 0.9).all()
    ahead = links[:, name("head"), :2, 0] @ [np.cos(0.7), np.sin(0.7)]
    assert (ahead > 0.5).all()
    assert len(PARTS.kinds) == part_sizes(body).shape[1]


@settings(max_examples=20, deadline=None)
@given(st.floats(0.0, 2.0), st.floats(0.0, 1.0), st.floats(0.15, 0.4))
def test_lidar_legs_are_the_drawn_legs(speed, phase, height):
    state = replace(walker(speed, 0.4, n=3), positions=np.array([[1.0, 2.0], [5.0, 5.0], [0.0, 0.0]]))
    gait = replace(figures.new_gait(state), phase=np.full(3, phase))
    legs = figures.leg_positions(state, gait, 0, height)
    links = figures.figure_transforms(state, gait, 0.0)[:, [10, 11]]
    along = (height - links[..., 2, 3]) / links[..., 2, 2]
    reach = 0.235 * looks(state.ids).height[:, None] / 2.0
    inside = np.abs(along) < reach - 0.03
    cut = links[..., :2, 3] + along[..., None] * links[..., :2, 2]
    assert np.allclose(cut[inside], legs[inside], atol=0.012)
    assert np.linalg.norm(legs - state.positions[:, None], axis=-1).max() < 1.0
    apart = np.linalg.norm(legs[:, 0] - legs[:, 1], axis=-1)
    assert (apart > 0.08).all()


def test_same_seed_same_people_in_any_order():
    ids = np.array([4, 9, 2])
    a, b = looks(ids, 3), looks(ids[::-1], 3)
    np.testing.assert_array_equal(a.height, b.height[::-1])
    np.testing.assert_array_equal(a.colours, b.colours[::-1])
    assert not np.array_equal(a.height, looks(ids, 4).height)
    assert len(np.unique(looks(np.arange(50)).height)) == 50


def test_gait_survives_people_coming_and_going():
    state = walker(1.0, n=4)
    gait = figures.advance(figures.new_gait(state), state, 0.1)
    keep = np.array([3, 1])
    fewer = CrowdState(*(getattr(state, f)[keep] for f in CrowdState.__dataclass_fields__))
    after = figures.advance(gait, fewer, 0.0)
    np.testing.assert_allclose(after.phase, gait.phase[keep])
    grown = figures.advance(after, walker(1.0, n=6), 0.0)
    np.testing.assert_allclose(grown.phase[[3, 1]], gait.phase[keep])
    empty = walker(1.0, n=0)
    assert figures.figure_transforms(empty, None).shape == (0, 14, 4, 4)
    assert figures.leg_positions(empty, figures.advance(grown, empty, 0.1)).shape == (0, 2, 2)


def test_standing_people_move_a_little_and_stay_put():
    state = walker(0.0, n=6, group=1)
    a, b = (figures.figure_transforms(state, None, t) for t in (0.0, 2.0))
    assert 0.001 < np.abs(a - b).max() < 1.6
    feet = [figures.LINKS.index(n) for n in ("foot_left", "foot_right")]
    assert np.allclose(a[:, feet], b[:, feet])
    assert pytest.approx(0.0, abs=0.3) == np.abs(a[..., :2, 3]).max() - 0.3
