"""The baselines drive to their goals, round a person, and keep off walls; equal seeds drive equally."""

import numpy as np
import pytest

from lifelong_nav.core.errors import DependencyError
from lifelong_nav.core.types import People, Pose2, TrackedPerson, Twist2
from lifelong_nav.evaluation.social.baselines.route import resampled
from lifelong_nav.evaluation.social.planner import BODY, PERIOD, Observation, make_planner
from lifelong_nav.sim.crowd.forces import segment_distance

NAMES = ("goal_only", "social_force", "orca", "dwa", "nav2_mppi", "hl", "ga3c_cadrl")
EVADING = NAMES[1:]
SPEED = 0.8
ROOM = np.array([[-1, -2, 9, -2], [9, -2, 9, 2], [9, 2, -1, 2], [-1, 2, -1, -2]], dtype=float)


def planner(name):
    try:
        return make_planner(name)
    except DependencyError as missing:
        pytest.skip(str(missing))


def drive(name, route, walls=ROOM, people=(), seed=0, most=40.0, yaw=0.0):
    """Path (T, 2), free gaps to people (T,) and to walls (T,), and whether the goal was reached."""
    mind = planner(name)
    route = np.asarray(route, dtype=float)
    mind.reset(route[-1], SPEED, seed)
    pose, twist = Pose2(*route[0], yaw), Twist2()
    path, person, wall = [], [], []
    for k in range(int(most / PERIOD)):
        t = k * PERIOD
        seen = tuple(
            TrackedPerson(i, x + vx * t, y + vy * t, vx, vy) for i, (x, y, vx, vy) in enumerate(people)
        )
        crowd = People(t, "map", seen)
        goal = Pose2(*route[-1], float("nan"))
        command = mind.command(
            Observation(t, pose, twist, crowd, route=route, goal=goal, walls=walls, speed=SPEED)
        )
        assert np.isfinite([command.vx, command.wz]).all()
        pose, twist = BODY.follow(pose, twist, command, SPEED, PERIOD)
        path.append(pose.xy)
        gap = np.linalg.norm(crowd.positions() - pose.xy, axis=1) - crowd.radii() - BODY.radius
        person.append(gap.min() if len(gap) else np.inf)
        wall.append(segment_distance(pose.xy[None], walls)[0] - BODY.radius)
        if np.hypot(*(pose.xy - route[-1])) < 0.3:
            return np.array(path), np.array(person), np.array(wall), True
    return np.array(path), np.array(person), np.array(wall), False


@pytest.mark.parametrize("name", NAMES)
def test_drives_an_empty_room_without_detour(name):
    path, _, wall, reached = drive(name, [[0.0, 0.0], [7.0, 0.5]])
    length = np.hypot(*np.diff(path, axis=0).T).sum()
    assert reached
    assert wall.min() > 0.0
    assert length < 1.1 * np.hypot(7.0, 0.5)
    assert len(path) * PERIOD < 14.0


@pytest.mark.parametrize("name", EVADING)
def test_goes_round_one_who_stands_in_the_way(name):
    _, person, wall, reached = drive(name, [[0.0, 0.0], [7.0, 0.0]], people=[(3.5, 0.02, 0.0, 0.0)])
    assert reached
    assert person.min() > 0.0
    assert wall.min() > 0.0


@pytest.mark.parametrize("name", EVADING)
def test_evades_one_who_comes_towards_it(name):
    _, person, _, reached = drive(name, [[0.0, 0.0], [7.0, 0.0]], people=[(7.0, 0.1, -0.8, 0.0)])
    assert reached
    assert person.min() > 0.0


@pytest.mark.parametrize("name", NAMES)
def test_takes_a_corner_and_a_door(name):
    # an L-shaped way through a door of 1 m
    walls = np.array(
        [
            [-1, -1, 4, -1], [4, -1, 4, 2.0], [4, 3.0, 4, 5], [-1, -1, -1, 5], [-1, 5, 4, 5],
            [4, -1, 9, -1], [9, -1, 9, 5], [4, 5, 9, 5],
        ],
        dtype=float,
    )  # fmt: skip
    route = resampled(np.array([[0, 0], [3.0, 0.0], [3.0, 2.3], [3.4, 2.5], [4.6, 2.5], [7.0, 2.5]]), 0.1)
    _, _, wall, reached = drive(name, route, walls)
    assert reached
    assert wall.min() > 0.0


@pytest.mark.parametrize("name", NAMES)
def test_equal_seeds_drive_equally(name):
    scene = {"people": [(3.0, 0.3, 0.0, 0.0), (5.0, -0.5, -0.4, 0.1)], "most": 4.0}
    first, second = (drive(name, [[0.0, 0.0], [7.0, 0.0]], seed=3, **scene)[0] for _ in range(2))
    assert np.array_equal(first, second)


def test_the_route_follower_is_blind_to_people():
    _, person, _, _ = drive("goal_only", [[0.0, 0.0], [7.0, 0.0]], people=[(3.5, 0.0, 0.0, 0.0)])
    assert person.min() < 0.0
