"""MPPI in closed loop: doors, corridors, people crossing, coming on, standing together."""

import numpy as np
import pytest
from control_world import World, drive, straight
from hypothesis import given, settings
from hypothesis import strategies as st

from lifelong_nav.control.deadline import DeadlineConfig, Rung, command_now
from lifelong_nav.control.local_field import field_from_points
from lifelong_nav.control.mppi import Mppi, MppiConfig, Problem
from lifelong_nav.control.path import window
from lifelong_nav.control.pursuit import Limits, pursue
from lifelong_nav.control.unicycle import MotionState, Unicycle, UnicycleConfig, step_exact
from lifelong_nav.core.errors import InputError
from lifelong_nav.core.types import People, Pose2, TrackedPerson, Trajectory, Twist2

LIMITS = Limits(0.8, 1.5, 1.0)
DOOR = np.array([(3, 0.5, 3, 4), (3, -0.5, 3, -4)], float)
CORRIDOR = np.array([(-2, 1, 12, 1), (-2, -1, 12, -1)], float)


def people(*rows):
    return np.array(rows, float).reshape(-1, 4)


def check(result, goal, seconds):
    assert result.reached
    assert result.contacts == 0
    assert result.seconds < seconds
    end = result.poses[-1]
    assert np.hypot(end[0] - goal.x, end[1] - goal.y) <= 0.15
    assert abs(np.angle(np.exp(1j * (end[2] - goal.yaw)))) <= 0.15


class GoalOnly:
    """Baseline that knows nobody: pure pursuit to the goal."""

    def plan(self, problem):
        twist = pursue(problem.pose, problem.path, problem.speed, LIMITS)
        near = np.hypot(problem.goal.x - problem.pose.x, problem.goal.y - problem.pose.y) < 0.15
        return type("P", (), {"command": twist, "reached": bool(near)})()


@pytest.mark.parametrize("seed", range(3))
def test_through_a_door_of_one_metre(seed):
    goal = Pose2(6, 1.5, 0.5)
    path = np.array([(0, -2), (2, 0), (4, 0), (6, 1.5)], float)
    result = drive(World(walls=DOOR, pose=Pose2(0, -2, 2.0)), Mppi(seed=seed), path, goal)
    check(result, goal, 20.0)


@pytest.mark.parametrize("seed", range(3))
def test_passes_somebody_coming_on_in_a_corridor_of_two_metres(seed):
    goal = Pose2(8, 0, 0)
    offset = (-0.3, 0.0, 0.3)[seed]
    world = World(walls=CORRIDOR, people=people((9, offset, -1.2, 0)), noise=0.03, seed=seed)
    result = drive(world, Mppi(seed=seed), straight((0, 0), (8, 0)), goal)
    check(result, goal, 18.0)
    assert result.person_gap.min() > 0.03


def test_keeps_to_the_right_where_nothing_else_decides():
    sides = []
    for seed in range(4):
        world = World(walls=CORRIDOR * 1.5, people=people((9, 0.0, -1.0, 0)))
        result = drive(world, Mppi(seed=seed), straight((0, 0), (8, 0)), Pose2(8, 0, 0))
        sides.append(result.poses[np.argmin(result.person_gap), 1])
    assert sum(side < 0 for side in sides) >= 3


@pytest.mark.parametrize(("start", "speed"), [(-4, 1.2), (-3, 1.0), (3.5, -1.1), (-2, 0.7)])
def test_lets_people_cross_who_do_not_look(start, speed):
    goal = Pose2(6, 0, 0)
    world = World(people=people((3, start, 0, speed)), polite=False)
    result = drive(world, Mppi(seed=1), straight((0, 0), (6, 0)), goal)
    check(result, goal, 14.0)
    assert result.person_gap.min() > 0.15
    # It yields by time more than by swerving.
    assert np.abs(result.poses[:, 1]).max() < 0.7


def test_walks_around_a_group_but_between_strangers():
    two = people((3, 0.7, 0, 0), (3, -0.7, 0, 0))
    goal = Pose2(6, 0, 0)
    for groups, between in ((np.array([4, 4]), False), (None, True)):
        result = drive(World(people=two, groups=groups), Mppi(), straight((0, 0), (6, 0)), goal)
        check(result, goal, 25.0)
        at = result.poses[np.argmin(np.abs(result.poses[:, 0] - 3)), 1]
        assert (abs(at) < 0.7) == between


def crowd(seed, controller):
    rng = np.random.default_rng(seed)
    at = rng.uniform([1.5, -3], [8, 3], (9, 2))
    heading = rng.uniform(-np.pi, np.pi, 9)
    walk = rng.uniform(0.4, 1.2, 9)[:, None] * np.stack([np.cos(heading), np.sin(heading)], axis=-1)
    world = World(people=np.concatenate([at, walk], axis=1), polite=False, noise=0.03, seed=seed)
    return drive(world, controller, straight((0, 0), (9, 0)), Pose2(9, 0, 0), limit=40.0)


def test_crowds_of_people_who_do_not_look_and_better_than_goal_only():
    ours = [crowd(seed, Mppi(seed=seed)) for seed in range(12)]
    theirs = [crowd(seed, GoalOnly()) for seed in range(12)]
    assert all(r.reached for r in ours)
    touched = sum(r.contacts > 0 for r in ours)
    assert touched <= 1  # people walk into a standing robot too
    assert sum(r.contacts > 0 for r in theirs) >= touched + 3
    close = [float((r.person_gap < 0.2).mean()) for r in (*ours, *theirs)]
    assert np.mean(close[:12]) < 0.5 * np.mean(close[12:])


@pytest.mark.parametrize("goal", [Pose2(0.3, 0.1, 3.0), Pose2(-0.2, 0.25, -2.0), Pose2(0.0, -0.17, 0.0)])
def test_goals_at_hand_are_reached_without_a_dance(goal):
    result = drive(World(), Mppi(), straight((0, 0), goal.xy), goal, limit=20.0)
    check(result, goal, 10.0)
    turns = result.speeds[:, 1]
    flips = np.sum(np.diff(np.sign(turns[np.abs(turns) > 0.05])) != 0)
    assert flips <= 3


def test_stays_at_the_goal_and_any_yaw_will_do():
    world, mppi, goal = World(pose=Pose2(0, 0, 1.0)), Mppi(), Pose2(2, 0, float("nan"))
    result = drive(world, mppi, straight((0, 0), (2, 0)), goal)
    assert result.reached
    rest = world.pose
    for _ in range(30):
        plan = mppi.plan(
            Problem(world.time, world.pose, Twist2(world.v, 0, world.w), straight((0, 0), (2, 0)), goal)
        )
        world.step(plan.command)
        assert plan.reached
    assert np.hypot(world.pose.x - rest.x, world.pose.y - rest.y) < 0.02


def test_walled_in_is_infeasible_or_still():
    ring = np.stack(
        [0.36 * np.cos(np.linspace(0, 6.28, 90)), 0.36 * np.sin(np.linspace(0, 6.28, 90))], axis=-1
    )
    field = field_from_points(ring, np.zeros(2))
    mppi = Mppi()
    for k in range(10):
        plan = mppi.plan(Problem(0.1 * k, Pose2(), Twist2(), straight((0, 0), (3, 0)), None, None, field))
        assert abs(plan.command.vx) < 0.05
        assert np.abs(plan.trajectory.poses[:, :2]).max() < 0.12


def test_gets_away_from_a_wall_it_touches():
    wall = np.array([(0.25, -3, 0.25, 3)], float)
    world = World(walls=wall)
    goal = Pose2(-3, 0, np.pi)
    result = drive(world, Mppi(), straight((0, 0), (-3, 0)), goal, limit=25.0)
    assert result.reached
    assert result.wall_gap.min() > -0.05  # it began at -0.02


def test_same_seed_same_plan_other_seed_other_plan():
    world = World(people=people((2, 0.3, -0.5, 0)))
    problem = Problem(0.0, Pose2(), Twist2(0.5), straight((0, 0), (5, 0)), None, world.tracked())
    plans = [[m.plan(problem).command for _ in range(3)] for m in (Mppi(seed=3), Mppi(seed=3), Mppi(seed=4))]
    assert plans[0] == plans[1]
    assert plans[0] != plans[2]
    again = Mppi(seed=3)
    again.plan(problem)
    again.reset()
    assert again.plan(problem).command == plans[0][0]


def test_open_ended_paths_are_driven_through_and_speed_is_kept():
    world, mppi = World(), Mppi()
    for _ in range(30):
        twist = Twist2(world.v, 0, world.w)
        world.step(
            mppi.plan(
                Problem(world.time, world.pose, twist, straight((0, 0), (2, 0)), None, speed=0.5)
            ).command
        )
    assert world.v == pytest.approx(0.5, abs=0.06)


finite = st.floats(-5, 5)
anything = st.floats(allow_nan=True, allow_infinity=True)


@settings(max_examples=60, deadline=None)
@given(
    pose=st.tuples(finite, finite, finite),
    path=st.lists(st.tuples(finite, finite), min_size=1, max_size=6),
    crowd=st.lists(st.tuples(anything, anything, anything, anything), max_size=4),
    points=st.lists(st.tuples(finite, finite), max_size=10),
    twist=st.tuples(st.floats(-1, 1), st.floats(-2, 2)),
)
def test_plans_are_finite_and_within_limits(pose, path, crowd, points, twist):
    c = MppiConfig(samples=96)
    group = People(0.0, "odom", tuple(TrackedPerson(i, *p, group_id=i // 2) for i, p in enumerate(crowd)))
    field = field_from_points(np.array(points).reshape(-1, 2), np.array(pose[:2]))
    problem = Problem(0.0, Pose2(*pose), Twist2(twist[0], 0.0, twist[1]), np.array(path), None, group, field)
    with np.errstate(all="ignore"):
        plan = Mppi(c).plan(problem)
    assert -c.max_reverse - 1e-6 <= plan.command.vx <= c.max_speed + 1e-6
    assert abs(plan.command.wz) <= c.max_yaw_rate + 1e-6
    assert np.isfinite(plan.trajectory.poses).all()
    assert all(np.isfinite(v) for v in plan.costs.values())


@pytest.mark.parametrize(
    "problem",
    [
        Problem(0.0, Pose2(np.nan, 0, 0), Twist2(), straight((0, 0), (1, 0))),
        Problem(0.0, Pose2(), Twist2(np.inf), straight((0, 0), (1, 0))),
        Problem(0.0, Pose2(), Twist2(), np.zeros((0, 2))),
        Problem(0.0, Pose2(), Twist2(), np.array([[0.0, np.nan]])),
        Problem(0.0, Pose2(), Twist2(), straight((0, 0), (1, 0)), Pose2(np.nan, 0, 0)),
    ],
)
def test_broken_problems_are_refused(problem):
    with pytest.raises(InputError):
        Mppi().plan(problem)


def test_rollouts_match_small_exact_steps_and_respect_limits():
    model = Unicycle(UnicycleConfig(accel=1.0, yaw_accel=3.0, delay=0.25))
    commands = np.random.default_rng(0).uniform(-1, 1, (5, 40, 2)).astype(np.float32)
    state = MotionState(Pose2(1, 2, 0.5), Twist2(0.3, 0, -0.2), Twist2(0.3, 0, -0.2))
    poses, twists = model.rollout(state, commands, 0.1)
    assert poses.shape == (5, 40, 3)
    assert twists.shape == (5, 40, 2)
    steps = np.diff(np.concatenate([np.tile([[[0.3, -0.2]]], (5, 1, 1)), twists], axis=1), axis=1)
    assert np.abs(steps[..., 0]).max() <= 0.1 + 1e-6
    assert np.abs(steps[..., 1]).max() <= 0.3 + 1e-6
    assert np.allclose(twists[:, :2], [0.3, -0.2])  # nothing new arrives before the delay is over
    pose = state.pose
    for v, w in twists[2]:
        pose = step_exact(pose, float(v), float(w), 0.1)
    assert np.allclose(poses[2, -1], pose.array(), atol=2e-3)


def test_path_window_measures_along_the_path():
    corner = np.array([(0, 0), (4, 0), (4, 4)], float)
    way = window(corner, np.array([2.0, 0.3]), ahead=4.0, behind=1.0)
    assert way.start == pytest.approx(1.0, abs=1e-6)
    assert way.end == pytest.approx(5.0, abs=1e-6)
    assert not way.final
    assert window(corner, np.array([2.0, 0.3]), ahead=7.0).final
    arc, square, tangents = way.project(np.array([[0.0, -0.3], [2.5, 1.2]]))
    assert arc == pytest.approx([1.0, 4.5], abs=0.06)
    assert np.sqrt(square) == pytest.approx([0.0, 0.5], abs=0.03)
    assert tangents[1] == pytest.approx([0, 1], abs=1e-3)


def test_deadline_ladder():
    path = straight((0, 0), (5, 0))
    times = np.arange(1, 11) * 0.1
    twists = np.stack([np.linspace(0.1, 1.0, 10), np.zeros(10)], axis=-1)
    plan = Trajectory(10.0, "odom", times, np.zeros((10, 3)), twists)

    def at(now, plan=plan, pose=Pose2(), path=path):  # noqa: B008
        return command_now(now, plan, pose, path, LIMITS, DeadlineConfig())

    assert at(10.05) == (Twist2(0.1, 0.0, 0.0), Rung.PLAN)
    twist, rung = at(10.45)
    assert rung is Rung.OLD_PLAN
    assert twist.vx == pytest.approx(0.5)
    twist, rung = at(10.6)
    assert rung is Rung.PURSUIT
    assert twist.vx == pytest.approx(0.25)
    stop = (Twist2(), Rung.STOP)
    assert at(13.0) == stop
    assert at(9.9) == stop  # time ran back
    assert at(float("nan")) == stop
    assert at(10.05, plan=None) == stop
    assert at(10.05, path=None) == stop
    assert at(10.05, path=np.zeros((0, 2))) == stop
    assert at(10.6, pose=None) == stop
    assert at(10.6, pose=Pose2(np.nan, 0, 0)) == stop
    broken = Trajectory(10.0, "odom", times, np.zeros((10, 3)), twists * np.nan)
    assert at(10.05, plan=broken)[1] is Rung.PURSUIT
