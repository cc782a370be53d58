"""MPPI tracks a chosen trajectory in time, weighs people's modes, and falls back when the choice is stale."""

from dataclasses import replace

import numpy as np
import pytest
from control_world import World, straight

from lifelong_nav.control.deadline import DeadlineConfig, Rung, command_now
from lifelong_nav.control.forecast import SocialConfig, forecast
from lifelong_nav.control.mppi import Mppi, Problem
from lifelong_nav.control.pursuit import Limits
from lifelong_nav.control.reference import ReferenceConfig, reference_at, track_commands
from lifelong_nav.control.social import contact, space_cost
from lifelong_nav.control.unicycle import MotionState, Unicycle, UnicycleConfig
from lifelong_nav.core.types import People, PeopleForecast, Pose2, TrackedPerson, Trajectory, Twist2

TIMES = np.arange(1, 31) * 0.2
LIMITS = Limits(0.8, 1.5, 1.0)


def trajectory(v, w=0.0, stamp=0.0, start=Pose2()):  # noqa: B008
    """Speeds (30,) and yaw rates from `start` on."""
    v, w = np.broadcast_to(v, 30).astype(float), np.broadcast_to(w, 30).astype(float)
    x, y, yaw = start.x, start.y, start.yaw
    poses = []
    for a, b in zip(v, w, strict=True):
        x += 0.2 * a * np.cos(yaw + 0.1 * b)
        y += 0.2 * a * np.sin(yaw + 0.1 * b)
        yaw += 0.2 * b
        poses.append((x, y, yaw))
    return Trajectory(stamp, "odom", TIMES, np.array(poses), np.stack([v, w], axis=-1))


def later(whole, age):
    """A trajectory as chosen anew `age` after it began."""
    keep = whole.times > age + 1e-6
    return Trajectory(
        whole.stamp + age, "odom", whole.times[keep] - age, whole.poses[keep], whole.twists[keep]
    )


def follow(whole, steps, world=None, renew=True, path=None, **rest):
    """(steps, 5) x, y, yaw, v, w of a closed loop at 10 Hz that tracks `whole`."""
    world, mppi, seen = world or World(), Mppi(), []
    for k in range(steps):
        reference = later(whole, 0.2 * (k // 2)) if renew else whole
        problem = Problem(
            world.time, world.pose, Twist2(world.v, 0, world.w),
            straight((0, 0), (8, 0)) if path is None else path, None, world.tracked(),
            reference=reference, **rest,
        )  # fmt: skip
        world.step(mppi.plan(problem).command)
        seen.append((*world.pose.array(), world.v, world.w))
    return np.array(seen)


def test_waits_when_the_reference_waits_and_goes_when_it_goes():
    speeds = np.concatenate([np.full(5, 0.6), np.zeros(12), np.full(13, 0.6)])
    whole = trajectory(speeds)
    seen = follow(whole, 50)
    wanted = np.interp(0.1 * np.arange(1, 51), TIMES, whole.poses[:, 0])
    assert np.abs(seen[:, 0] - wanted).max() < 0.22  # it begins at rest
    assert np.abs(seen[14:29, 3]).max() < 0.12  # it stands, though the path goes on
    assert seen[45, 3] > 0.45


def test_tracks_a_turn_that_leaves_the_path():
    whole = trajectory(0.5, np.concatenate([np.full(8, 0.6), np.full(8, -0.6), np.zeros(14)]))
    seen = follow(whole, 30)
    at = 0.1 * np.arange(1, 31)
    wanted = np.stack([np.interp(at, TIMES, whole.poses[:, i]) for i in range(2)], axis=-1)
    assert np.linalg.norm(seen[:, :2] - wanted, axis=1).max() < 0.15
    assert seen[-1, 1] > 0.3


def test_turns_on_the_spot_where_the_reference_does():
    seen = follow(trajectory(0.0, np.where(TIMES < 2.0, 0.8, 0.0)), 30)
    assert np.abs(seen[:, :2]).max() < 0.1
    assert seen[-1, 2] == pytest.approx(1.5, abs=0.25)


def test_still_evades_who_the_reference_did_not_see():
    world = World(people=np.array([(2.0, 0.05, 0.0, 0.0)]), polite=False)
    follow(trajectory(0.7), 30, world)
    assert world.person_gap() > 0.0


def test_a_stale_reference_gives_way_to_the_path():
    standing = trajectory(0.0)
    seen = follow(standing, 30, renew=False)
    assert np.abs(seen[:4, 3]).max() < 0.1  # half a second it is believed
    assert seen[-1, 3] > 0.6  # then the path counts again


@pytest.mark.parametrize(
    "age_or_whole",
    [
        replace(trajectory(0.5), stamp=0.1),
        replace(trajectory(0.5), stamp=-0.6),
        replace(trajectory(0.5), poses=np.full((30, 3), np.nan)),
        trajectory(0.5, start=Pose2(3.0, 0.0, 0.0)),
        replace(trajectory(0.5), times=TIMES[:0], poses=np.zeros((0, 3)), twists=np.zeros((0, 2))),
        None,
    ],
)
def test_useless_references_are_none(age_or_whole):
    times = np.arange(1, 31) * 0.1
    assert reference_at(age_or_whole, 0.0, Pose2(), times, ReferenceConfig()) is None


def test_reference_is_read_at_equal_times_and_between_samples():
    whole = trajectory(0.5, 0.3, stamp=1.0, start=Pose2(1.0, 2.0, 0.4 + 4 * np.pi))
    times = np.arange(1, 31) * 0.1
    ref = reference_at(whole, 1.3, Pose2(1.0, 2.0, 0.4), times, ReferenceConfig())
    poses, _ = Unicycle(UnicycleConfig(delay=0.0)).rollout(
        MotionState(Pose2(0, 0, 0.4), Twist2(0.5, 0, 0.3)), np.tile(np.float32([0.5, 0.3]), (1, 33, 1)), 0.1
    )
    assert np.allclose(np.stack([ref.x, ref.y, ref.yaw], axis=-1), poses[0, 3:], atol=2e-3)
    assert ref.share == 1.0
    assert np.allclose(ref.v, 0.5)
    late = reference_at(whole, 1.3, Pose2(1.0, 2.0, 0.4), times + 4.0, ReferenceConfig())
    assert 0.3 < late.share < 0.6


def test_commands_close_the_gap_to_the_reference():
    times = np.arange(1, 31) * 0.1
    ref = reference_at(trajectory(0.5, start=Pose2(0.2, 0.3, 0.0)), 0.0, Pose2(), times, ReferenceConfig())
    commands = track_commands(ref, 0.0, (0.0, 0.0), (0.8, 0.15, 1.5, 1.0, 3.0), 0.1, 0.5)
    poses, _ = Unicycle(UnicycleConfig(delay=0.0)).rollout(MotionState(Pose2()), commands[None], 0.1)
    off = np.hypot(poses[0, :, 0] - ref.x, poses[0, :, 1] - ref.y)
    assert off[-1] < 0.1 < off[0]


def modes(*ways, weights, spread=0.1, start=(3.0, 0.0)):
    """A forecast of one person who goes on with one of `ways` (vx, vy)."""
    xy = np.array([[np.array(start) + np.array(way) * TIMES[:, None] for way in ways]])
    weights = np.array([weights], float)
    mean = (weights[0][:, None] * np.array(ways)).sum(axis=0)
    return PeopleForecast(
        0.0, "odom", np.array([7]), TIMES, np.array([start], float), mean[None], xy, weights,
        np.full(xy.shape[:3], spread), np.array([0.25]), np.array([-1]),
    )  # fmt: skip


def at(x, y, times):
    return np.full((len(times), 1), x, np.float32), np.full((len(times), 1), y, np.float32)


def test_costs_are_expectations_over_modes():
    times, c = np.array([1.0, 2.0]), SocialConfig()
    both = forecast(None, np.zeros(2), 0.0, times, 3.0, c, modes((-1, 0), (0, 1), weights=(0.7, 0.3)))
    assert len(both.radii) == 2
    assert both.owners.tolist() == [0, 0]
    x, y = at(1.0, 0.0, times)
    for part, weight in (((-1, 0), 0.7), ((0, 1), 0.3)):
        alone = forecast(None, np.zeros(2), 0.0, times, 3.0, c, modes(part, weights=(1.0,)))
        rows = both.weights == np.float32(weight)
        fields = ("xy", "axes", "spaces", "spread", "radii", "velocity")
        mine = replace(
            both, **{f: getattr(both, f)[rows] for f in fields},
            weights=np.ones(1, np.float32), owners=np.zeros(1, int),
        )  # fmt: skip
        if len(alone.radii):
            assert np.allclose(space_cost(x, y, alone), space_cost(x, y, mine))
    bad, chance = contact(x, y, both, 0.27)
    assert chance[1, 0] == pytest.approx(0.7)
    assert bad[1, 0] == pytest.approx(0.7 * 1.3)
    assert chance[0, 0] == 0.0


def test_who_is_tracked_now_moves_the_forecast_and_the_unknown_walk_on():
    seen = People(0.2, "odom", (TrackedPerson(7, 2.9, 0.3), TrackedPerson(8, 1.0, 1.0, 0.5, 0.0)))
    found = forecast(
        seen, np.zeros(2), 0.0, np.array([1.0]), 3.0, SocialConfig(),
        modes((-1, 0), weights=(1.0,)), 0.2,
    )  # fmt: skip
    assert sorted(found.xy[:, 0].round(3).tolist()) == [[1.5, 1.0], pytest.approx([1.9, 0.3])]


def way_gone(weights, seconds=5.0):
    """Where the robot is when somebody beside the way may step into it, from one moment to the next."""
    world, mppi = World(), Mppi()
    world.v = 0.8
    for k in range(round(seconds / 0.1)):
        ways = replace(modes((0.0, -0.6), (0.0, 0.0), weights=weights, start=(2.0, 0.95)), stamp=0.1 * k)
        problem = Problem(
            world.time, world.pose, Twist2(world.v, 0, world.w), straight((0, 0), (8, 0)), forecast=ways
        )
        world.step(mppi.plan(problem).command)
    return world.pose.x


def test_an_unlikely_mode_slows_and_a_likely_one_bars_the_way():
    never, unlikely, likely = (way_gone(w) for w in ((0.0, 1.0), (0.1, 0.9), (0.9, 0.1)))
    assert unlikely < never
    assert unlikely > 2.6  # it is past
    assert likely < unlikely - 0.3


def test_pursuit_keeps_to_the_reference_and_its_pace():
    old = Trajectory(0.0, "odom", TIMES, np.zeros((30, 3)), np.zeros((30, 2)))
    path = straight((0, 0), (5, 0))

    def later_on(reference, now=1.0):
        return command_now(now, old, Pose2(), path, LIMITS, DeadlineConfig(), reference)

    assert later_on(None)[0].vx == pytest.approx(0.25)
    twist, rung = later_on(trajectory(0.0))
    assert rung is Rung.PURSUIT
    assert twist == Twist2()
    twist, _ = later_on(trajectory(0.5, start=Pose2(0, 0, 1.2)))
    assert twist.wz > 0.3
    assert later_on(trajectory(0.15))[0].vx == pytest.approx(0.15, abs=0.02)
    broken = replace(trajectory(0.5), poses=np.full((30, 3), np.nan))
    assert later_on(broken)[0].vx == pytest.approx(0.25)
    assert later_on(trajectory(0.5), now=2.1)[1] is Rung.STOP
