"""People of the simulator: they reach their goals, stay out of walls, keep groups, queues and courtesy."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lifelong_nav.core.errors import ConfigError
from lifelong_nav.sim.crowd import forces
from lifelong_nav.sim.crowd.person import PersonSpec, Queue, conversation
from lifelong_nav.sim.crowd.state import RobotDisc
from lifelong_nav.sim.crowd.walkers import Walkers, walkers_in
from lifelong_nav.sim.scene import Region, Scene, Wall

OPEN = (-10.0, -10.0, 10.0, 10.0)
NONE = np.empty((0, 4))


def two_rooms():
    lines = [
        (0, 0, 12, 0), (12, 0, 12, 8), (12, 8, 0, 8), (0, 8, 0, 0), (6, 0, 6, 3.5), (6, 4.5, 6, 8),
        (2, 2, 3, 2), (3, 2, 3, 3), (3, 3, 2, 3), (2, 3, 2, 2),
    ]  # fmt: skip
    walls = tuple(Wall((a, b), (c, d)) for a, b, c, d in lines)
    return Scene("two rooms", walls, regions=(Region("door", "doorway", (5.6, 3.5), (6.4, 4.5)),))


def run(crowd, seconds, robot=None, dt=0.05):
    path = [crowd.state().positions]
    for _ in range(round(seconds / dt)):
        crowd.step(dt, robot)
        path.append(crowd.state().positions)
    return np.array(path)


def crosses(path, segments):
    """True when some step of a path (T, N, 2) crosses a segment (M, 4)."""
    a, b = path[:-1].reshape(-1, 1, 2), path[1:].reshape(-1, 1, 2)
    c, d = segments[None, :, :2], segments[None, :, 2:]

    def side(p, q, r):
        return (q[..., 0] - p[..., 0]) * (r[..., 1] - p[..., 1]) - (q[..., 1] - p[..., 1]) * (
            r[..., 0] - p[..., 0]
        )

    return bool(((side(a, b, c) * side(a, b, d) < 0) & (side(c, d, a) * side(c, d, b) < 0)).any())


def test_segment_offsets_by_hand():
    segments = np.array([[0.0, 0.0, 2.0, 0.0], [5.0, 5.0, 5.0, 5.0]])
    dx, dy = forces.segment_offsets(np.array([[1.0, 1.0], [3.0, 0.0]]), segments)
    np.testing.assert_allclose(dx, [[0.0, -4.0], [1.0, -2.0]])
    np.testing.assert_allclose(dy, [[1.0, -4.0], [0.0, -5.0]])


def test_line_of_sight():
    wall = np.array([[0.0, -1.0, 0.0, 1.0]])
    seen = forces.lines_of_sight(np.array([[-1.0, 0.0], [-1.0, 3.0], [1.0, 0.5]]), np.array([2.0, 0.0]), wall)
    assert seen.tolist() == [False, True, True]


def test_alone_reaches_wanted_speed_and_goal():
    crowd = Walkers([PersonSpec((-8, 0), ((8, 0),), speed=1.3, at_end="stand")], NONE, OPEN, 0)
    path = run(crowd, 6.0)
    assert np.hypot(*crowd.state().velocities[0]) == pytest.approx(1.3, abs=0.02)
    run(crowd, 10.0)
    assert np.hypot(*(crowd.state().positions[0] - (8, 0))) < 0.7
    assert np.abs(path[:, 0, 1]).max() < 0.05


def test_head_on_pass_without_touch_on_the_right():
    people = [PersonSpec((-5, 0), ((5, 0),)), PersonSpec((5, 0), ((-5, 0),))]
    path = run(Walkers(people, NONE, OPEN, 0), 7.0)
    gap = np.linalg.norm(path[:, 0] - path[:, 1], axis=1)
    assert gap.min() > 0.5
    assert path[np.argmin(gap), 0, 1] < 0.0  # each keeps to the right
    assert path[-1, 0, 0] > 2.0


@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_nobody_walks_through_a_wall(seed):
    scene = two_rooms()
    rng = np.random.default_rng(seed)
    spots = ((1, 1), (11, 7), (11, 1), (1, 7))
    people = [
        PersonSpec((rng.uniform(0.5, 11.5), rng.uniform(4.0, 7.5)), tuple(rng.permutation(spots)[:3]))
        for _ in range(14)
    ]
    crowd = walkers_in(scene, people, seed)
    robot = RobotDisc(np.array([6.0 + rng.uniform(-1, 1), 4.0]), np.zeros(2))
    path = run(crowd, 15.0, robot)
    assert not crosses(path, scene.segments())
    dx, dy = forces.segment_offsets(path.reshape(-1, 2), scene.segments())
    assert np.hypot(dx, dy).min() > 0.15
    assert np.abs(np.diff(path, axis=0)).max() < 0.16  # no jumps


def test_walks_from_room_to_room_round_furniture():
    crowd = walkers_in(two_rooms(), [PersonSpec((1, 1), ((11, 1),), at_end="stand")], 0)
    run(crowd, 18.0)
    assert np.hypot(*(crowd.state().positions[0] - (11, 1))) < 0.8


def test_twenty_people_share_one_door():
    scene = two_rooms()
    rng = np.random.default_rng(3)
    corners = ((1, 1), (11, 7), (11, 1), (1, 7))
    people = [
        PersonSpec(
            (rng.uniform(0.5, 5.5) if i % 2 else rng.uniform(6.5, 11.5), rng.uniform(3.5, 7.5)),
            corners[i % 4 :] + corners[: i % 4],
        )
        for i in range(20)
    ]
    crowd = walkers_in(scene, people, 1)
    reached = np.zeros(20, dtype=bool)
    for _ in range(1200):
        crowd.step(0.05, None)
        reached |= crowd.leg >= 1
    assert reached.all()


def test_deterministic_and_seeded():
    def end(seed):
        people = [PersonSpec((1 + 0.7 * i, 6), ((11, 1 + i % 5), (1, 1)), dwell=(0, 2)) for i in range(6)]
        return run(walkers_in(two_rooms(), people, seed), 25.0)[-1]

    np.testing.assert_array_equal(end(5), end(5))
    assert not np.array_equal(end(5), end(6))


def test_group_walks_together_and_strangers_do_not():
    def spread(group):
        people = [PersonSpec((-8, y), ((8, y * 3),), group=group, at_end="stand") for y in (-0.6, 0.0, 0.6)]
        people += [PersonSpec((3, y), ((-8, y),)) for y in (-0.8, 0.0, 0.8)]
        path = run(Walkers(people, NONE, OPEN, 0), 9.0)[:, :3]
        return np.linalg.norm(path - path.mean(axis=1, keepdims=True), axis=-1)[120:].mean()

    assert spread(0) < 0.9
    assert spread(0) < 0.6 * spread(-1)


def test_conversation_faces_its_centre_and_comes_back():
    people = conversation((0, 0), 4, group=1)
    crowd = Walkers(people, NONE, OPEN, 0)
    before = crowd.state().positions
    robot = RobotDisc(np.array([0.9, 0.9]), np.array([0.0, 0.0]))
    run(crowd, 3.0, robot)
    assert np.linalg.norm(crowd.state().positions - before, axis=1).max() > 0.02  # made some room
    run(crowd, 6.0)
    state = crowd.state()
    assert np.linalg.norm(state.positions - before, axis=1).max() < 0.35
    facing = np.stack([np.cos(state.headings), np.sin(state.headings)], axis=-1)
    assert ((facing * -state.positions).sum(axis=1) > 0.8 * np.linalg.norm(state.positions, axis=1)).all()


def test_queue_serves_in_order_and_advances():
    queue = Queue("counter", (5.0, 0.0), (-1.0, 0.0), 0.9, (2.0, 3.0))
    people = [
        PersonSpec((5.0 - 1.2 * i, 0.4 * (i % 2)), ((0, 8),), behaviour="queue", at_end="leave")
        for i in range(4)
    ]
    crowd = Walkers(people, NONE, OPEN, 0, queues=[queue])
    run(crowd, 2.0)
    state = crowd.state()
    np.testing.assert_allclose(state.positions, queue.slots(4), atol=0.35)
    assert np.abs(state.headings).max() < 0.5  # they look at the counter
    order = []
    for _ in range(1000):
        crowd.step(0.05, None)
        order += [i for i in range(4) if i not in order and not crowd.lines.waiting(i)]
    assert order == [0, 1, 2, 3]
    assert crowd.lines.served.tolist() == [4]
    assert not crowd.state().present.any()


def test_queue_rejoins_at_the_end():
    queue = Queue("counter", (5.0, 0.0), (-1.0, 0.0), 0.9, (1.0, 1.5))
    people = [PersonSpec((5.0 - i, 0), ((4, 4),), behaviour="queue") for i in range(3)]
    crowd = Walkers(people, NONE, OPEN, 0, queues=[queue])
    run(crowd, 40.0)
    assert crowd.lines.served[0] >= 5


def test_one_waits_at_the_door():
    people = [
        PersonSpec((4.6, 4.0), ((11, 4),), at_end="stand"),
        PersonSpec((8.2, 4.0), ((1, 4),), at_end="stand"),
    ]
    crowd = walkers_in(two_rooms(), people, 0)
    waited, both_inside = 0, False
    for _ in range(400):
        crowd.step(0.05, None)
        positions = crowd.state().positions
        waited += bool(crowd.courtesy.waiting[1])
        both_inside |= bool((np.abs(positions[:, 0] - 6.0) < 0.3).all())
    assert waited > 5
    assert not both_inside
    assert crowd.state().positions[0, 0] > 8.0
    assert crowd.state().positions[1, 0] < 4.0


def test_waits_for_the_robot_at_the_door():
    crowd = walkers_in(two_rooms(), [PersonSpec((8.2, 4.0), ((1, 4),), at_end="stand")], 0)
    robot_x = 4.8
    waited = 0
    for _ in range(50):
        robot_x += 0.03
        crowd.step(0.05, RobotDisc(np.array([robot_x, 4.0]), np.array([0.6, 0.0])))
        waited += bool(crowd.courtesy.waiting[0])
    assert waited > 10
    assert crowd.state().positions[0, 0] > 6.6


def test_follow_and_depart():
    people = [
        PersonSpec((0, 0), ((8, 0),), speed=0.8, at_end="stand", depart_after=2.0),
        PersonSpec((-3, 0), behaviour="follow", target=0, offset=(-1.2, 0.0), speed=1.2),
        PersonSpec((-5, 5), ((5, 5),), depart_within=3.0),
    ]
    crowd = Walkers(people, NONE, OPEN, 0)
    run(crowd, 1.8, RobotDisc(np.array([0.0, -8.0]), np.zeros(2)))
    np.testing.assert_allclose(crowd.state().positions[[0, 2]], [[0, 0], [-5, 5]], atol=0.2)
    run(crowd, 6.0, RobotDisc(np.array([-5.0, 8.5]), np.zeros(2)))
    positions = crowd.state().positions
    assert positions[0, 0] > 3.0
    assert np.hypot(*(positions[1] - positions[0] - (-1.2, 0))) < 0.5
    np.testing.assert_allclose(positions[2], [-5, 5], atol=0.1)  # the robot was never nearer than 3 m
    run(crowd, 3.0, RobotDisc(np.array([-5.0, 7.0]), np.zeros(2)))
    assert crowd.state().positions[2, 0] > -3.5


def test_unknown_words_are_refused():
    with pytest.raises(ConfigError, match="reaction is 'bold'"):
        PersonSpec((0, 0), reaction="bold")
    with pytest.raises(ConfigError, match="behaviour"):
        PersonSpec((0, 0), behaviour="fly")
    with pytest.raises(ConfigError, match=r"9\.0 m/s"):
        PersonSpec((0, 0), speed=9.0)


def test_people_come_go_and_furniture_moves():
    crowd = walkers_in(two_rooms(), [PersonSpec((1, 6), ((4.5, 6), (1, 6))), PersonSpec((1, 1))], 0)
    crowd.set_present(1, False)
    assert crowd.state().present.tolist() == [True, False]
    blocked = np.vstack([two_rooms().segments(), [[3, 3, 3, 8]]])
    crowd.set_obstacles(blocked)
    path = run(crowd, 20.0)
    assert not crosses(path, blocked)
    assert path[-1, 1].tolist() == [1, 1]
