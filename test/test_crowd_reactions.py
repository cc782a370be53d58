"""The six ways people take the robot, each by what it does; ORCA and mixed crowds."""

import builtins
import importlib.util

import numpy as np
import pytest

from lifelong_nav.core.errors import ConfigError, DependencyError
from lifelong_nav.sim.crowd import forces
from lifelong_nav.sim.crowd.mixed import Mixed, motion_model
from lifelong_nav.sim.crowd.orca import Orca
from lifelong_nav.sim.crowd.person import PersonSpec
from lifelong_nav.sim.crowd.state import RobotDisc
from lifelong_nav.sim.crowd.walkers import Walkers

OPEN = (-12.0, -12.0, 12.0, 12.0)
NONE = np.empty((0, 4))


def meet(
    reaction, seconds=8.0, robot_at=(0.0, 0.0), robot_velocity=(0.0, 0.0), start=(-6.0, 0.0), walls=NONE
):
    """One person walks along the x axis, a robot is in the way. Returns positions, headings, robot path."""
    person = PersonSpec(start, ((9.0, start[1]),), speed=1.2, reaction=reaction, at_end="stand")
    crowd = Walkers([person], walls, OPEN, 0)
    robot = np.array(robot_at, dtype=float)
    velocity = np.array(robot_velocity, dtype=float)
    positions, headings, robots = [], [], []
    for _ in range(round(seconds / 0.05)):
        robot = robot + 0.05 * velocity
        crowd.step(0.05, RobotDisc(robot, velocity))
        state = crowd.state()
        positions.append(state.positions[0])
        headings.append(state.headings[0])
        robots.append(robot)
    return np.array(positions), np.array(headings), np.array(robots)


def gaps(positions, robots):
    return np.linalg.norm(positions - robots, axis=1)


def test_regular_walks_around():
    positions, _, robots = meet("regular", 12.0)
    assert gaps(positions, robots).min() > 0.6
    assert np.abs(positions[:, 1]).max() > 0.3
    assert positions[-1, 0] > 5.0


def test_impassive_walks_on_and_is_stopped_only_by_the_body():
    positions, _, robots = meet("impassive", 5.6)
    assert np.abs(positions[:, 1]).max() < 0.05
    assert 0.45 < gaps(positions, robots).min() < 0.60
    aside, _, robots = meet("impassive", 9.0, robot_at=(0.0, 0.7))
    assert np.abs(aside[:, 1]).max() < 0.05  # passes as if there was nobody
    regular, _, _ = meet("regular", 9.0, robot_at=(0.0, 0.7))
    assert np.abs(regular[:, 1]).max() > 0.1


def test_surprised_stops_and_looks_then_goes_on():
    positions, headings, _ = meet("surprised", 16.0, robot_at=(0.0, 1.5))
    speed = np.linalg.norm(np.diff(positions, axis=0), axis=1) / 0.05
    still = speed < 0.1
    assert 2.0 < 0.05 * still.sum() < 6.0
    k = np.flatnonzero(still)[-5]
    to = np.array([0.0, 1.5]) - positions[k]
    assert headings[k] == pytest.approx(np.arctan2(to[1], to[0]), abs=0.25)
    assert positions[-1, 0] > 4.0


def test_curious_comes_close_follows_and_loses_interest():
    positions, _, robots = meet("curious", 10.0, robot_at=(-1.5, 2.0), robot_velocity=(0.2, 0.15))
    passing, _, passed = meet("regular", 10.0, robot_at=(-1.5, 2.0), robot_velocity=(0.2, 0.15))
    assert gaps(positions, robots).min() < 1.7 < gaps(passing, passed).min()
    assert gaps(positions, robots)[120:160].max() < 2.5  # follows the moving robot for a while
    positions, _, _ = meet("curious", 25.0, robot_at=(0.0, 3.0))
    assert positions[-1, 0] > 5.0


def test_scared_keeps_away():
    positions, _, robots = meet("scared", 10.0, robot_at=(2.0, 0.0), robot_velocity=(-0.5, 0.0))
    regular, _, others = meet("regular", 10.0, robot_at=(2.0, 0.0), robot_velocity=(-0.5, 0.0))
    assert gaps(positions, robots).min() > 1.7
    assert gaps(positions, robots).min() > gaps(regular, others).min() + 0.8


def test_threatening_gets_in_front_and_blocks():
    def ahead(reaction):
        positions, _, robots = meet(
            reaction, 9.0, start=(-6.0, 2.0), robot_at=(-2.0, 0.0), robot_velocity=(0.4, 0.0)
        )
        to = positions - robots
        return int(((np.abs(to[:, 1]) < 0.35) & (to[:, 0] > 0.4) & (to[:, 0] < 1.6)).sum())

    assert ahead("threatening") > 50
    assert ahead("regular") == 0


def test_nobody_reacts_through_a_wall():
    wall = np.array([[-10.0, 1.0, 10.0, 1.0]])
    positions, _, _ = meet("surprised", 11.0, robot_at=(0.0, 2.0), walls=wall)
    assert positions[-1, 0] > 6.0


def test_gestures():
    def crossing(gesture):
        crowd = Walkers([PersonSpec((0, -4), ((0, 6),), gesture=gesture, at_end="stand")], NONE, OPEN, 0)
        robot, velocity, when = np.array([-4.0, 0.0]), np.array([0.7, 0.0]), np.inf
        for k in range(300):
            robot = robot + 0.05 * velocity
            crowd.step(0.05, RobotDisc(robot, velocity))
            if crowd.state().positions[0, 1] > 0.0:
                when = min(when, 0.05 * k)
        return when

    arrives = 4.0 / 0.7  # the robot reaches the person's line
    assert crossing("wait") < arrives < crossing("proceed") < 14.0


pyrvo_there = pytest.mark.skipif(
    importlib.util.find_spec("pyrvo") is None, reason="pyrvo is not installed (extra orca)"
)


@pyrvo_there
def test_orca_people_pass_and_stay_out_of_walls():
    wall = np.array([[0.0, -12.0, 0.0, -0.8], [0.0, 0.8, 0.0, 12.0]])
    people = [
        PersonSpec((-4, 0.2), ((5, 0),), at_end="stand"),
        PersonSpec((4, -0.2), ((-5, 0),), at_end="stand"),
    ]
    crowd = Walkers(people, wall, OPEN, 0, model=Orca())
    closest, clear = np.inf, np.inf
    for _ in range(300):
        crowd.step(0.05, RobotDisc(np.array([3.0, 3.0]), np.zeros(2)))
        p = crowd.state().positions
        closest = min(closest, float(np.hypot(*(p[0] - p[1]))))
        dx, dy = forces.segment_offsets(p, wall)
        clear = min(clear, float(np.hypot(dx, dy).min()))
    assert closest > 0.45
    assert clear > 0.2
    assert p[0, 0] > 4.0
    assert p[1, 0] < -4.0


@pyrvo_there
def test_mixed_crowd_asks_each_persons_model():
    people = [PersonSpec((-4, 0), ((5, 0),)), PersonSpec((4, 0.1), ((-5, 0),), model="orca")]
    model = motion_model("social_force", people)
    assert isinstance(model, Mixed)
    crowd = Walkers(people, NONE, OPEN, 0, model=model)
    for _ in range(120):
        crowd.step(0.05, None)
    assert crowd.state().positions[0, 0] > 1.0
    assert crowd.state().positions[1, 0] < -1.0


def test_unknown_model_and_missing_package(monkeypatch):
    with pytest.raises(ConfigError, match="crowd model 'magic'"):
        motion_model("magic")
    whole = builtins.__import__

    def without(name, *args, **kwargs):
        if name == "pyrvo":
            raise ImportError("no pyrvo")
        return whole(name, *args, **kwargs)

    monkeypatch.setattr("importlib.import_module", lambda name: without(name))
    with pytest.raises(DependencyError, match=r"lifelong_nav\[orca\]"):
        Orca()
