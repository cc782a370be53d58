"""The planner as a real node: errands by action and topic, with a map and without, and how they fail."""

import numpy as np
import plan_world as world
import pytest
from action_msgs.msg import GoalStatus
from lifelong_nav_interfaces.action import Navigate
from nav_world import NavWorld
from rclpy.action import ActionClient
from rclpy.parameter import Parameter
from ros_support import Bench

from lifelong_nav.core.geometry import inverse2, transform_points2
from lifelong_nav.core.types import People, Pose2, TrackedPerson
from lifelong_nav.nodes import convert
from lifelong_nav.nodes.planner import PlannerNode

pytestmark = pytest.mark.ros
MAP_TO_ODOM = Pose2(2.0, -1.0, 0.5)
START = Pose2(3.0, 4.0, 1.5)


class Client:
    """A navigate client on the probe node."""

    def __init__(self, bench):
        self.bench = bench
        self.client = ActionClient(bench.probe, Navigate, "navigate")
        self.feedback = []

    def send(self, x, y, yaw=0.0, frame="map", **kwargs):
        assert self.bench.spin(self.client.server_is_ready, timeout=5.0)
        goal = Navigate.Goal(pose=convert.pose_stamped(Pose2(x, y, yaw), 0.0, frame), **kwargs)
        future = self.client.send_goal_async(goal, feedback_callback=self.feedback.append)
        assert self.bench.spin(future.done, timeout=5.0)
        handle = future.result()
        assert handle.accepted
        return handle, handle.get_result_async()


def make(params=(), with_map=True, circles=()):
    node = PlannerNode(parameter_overrides=[Parameter(k, value=v) for k, v in params])
    bench = Bench(node, sim_time=True)
    loop = NavWorld(bench, world.office(), START, MAP_TO_ODOM if with_map else None)
    loop.circles = list(circles)
    bench.activate()
    if with_map:
        bench.say("map", convert.grid_to(world.rasterise(loop.segments), 0.0))
        bench.spin(timeout=0.2)
    for _ in range(5):
        loop.step()
    return bench, loop, Client(bench)


def finished(loop, future, seconds):
    loop.follow(seconds, until=future.done)
    loop.bench.spin(future.done, timeout=2.0)
    assert future.done(), "no result in time"
    return future.result()


def test_errand_through_two_doors_by_action(ros):
    bench, loop, client = make()
    with bench:
        _, future = client.send(9.5, 4.0, -1.0)
        answer = finished(loop, future, 60.0)
        assert answer.status == GoalStatus.STATUS_SUCCEEDED
        assert answer.result.error_code == Navigate.Result.NONE, answer.result.error_msg
        assert np.hypot(loop.pose.x - 9.5, loop.pose.y - 4.0) < 0.3
        assert 9.0 < answer.result.distance < 18.0
        assert answer.result.duration > 10.0
        remaining = [f.feedback.distance_remaining for f in client.feedback]
        assert remaining[0] > 8.0 > remaining[-1]
        assert {f.feedback.status for f in client.feedback} >= {"driving"}
        assert loop.plans[-1].poses == [], "the plan is withdrawn at the end"
        assert loop.plans[0].header.frame_id == "map"


def test_goal_from_rviz_without_a_map(ros):
    bench, loop, _ = make(with_map=False)
    with bench:
        bench.say("goal_pose", convert.pose_stamped(Pose2(2.5, 0.4, 0.0), 0.0, "odom"))
        assert loop.follow(30.0, until=lambda: loop.plans and loop.plans[-1].poses == [] and loop.time > 12.0)
        assert np.hypot(loop.odom.x - 2.5, loop.odom.y - 0.4) < 0.3
        assert any(p.header.frame_id == "odom" for p in loop.plans)
        loop.follow(0.5)
        assert bench.nodes[0].stats["last errand"] == "NONE"


@pytest.mark.parametrize(
    ("goal", "kwargs", "code"),
    [
        ((99.0, 4.0), {}, Navigate.Result.OUT_OF_MAP),
        ((6.0, 3.0), {"xy_tolerance": 0.05}, Navigate.Result.GOAL_OCCUPIED),
        ((9.5, 4.0), {"timeout": 2.0}, Navigate.Result.TIMEOUT),
        ((9.5, 4.0), {"frame": "moon"}, Navigate.Result.BAD_GOAL),
        ((float("nan"), 4.0), {}, Navigate.Result.BAD_GOAL),
    ],
)
def test_failures_carry_a_code_and_a_sentence(ros, goal, kwargs, code):
    bench, loop, client = make([("goal_tolerance", 0.05), ("recoveries", 1), ("retry_time", 1.0)])
    with bench:
        _, future = client.send(*goal, **kwargs)
        answer = finished(loop, future, 40.0)
        assert answer.status == GoalStatus.STATUS_ABORTED
        assert answer.result.error_code == code, answer.result.error_msg
        assert len(answer.result.error_msg) > 10
        assert not loop.plans or loop.plans[-1].poses == []


def test_cancel_stops_the_robot(ros):
    bench, loop, client = make()
    with bench:
        handle, future = client.send(9.5, 4.0)
        loop.follow(2.0)
        assert loop.plans[-1].poses
        handle.cancel_goal_async()
        answer = finished(loop, future, 3.0)
        assert answer.status == GoalStatus.STATUS_CANCELED
        assert answer.result.error_code == Navigate.Result.CANCELLED
        assert loop.plans[-1].poses == []


def test_a_newer_goal_replaces_the_older(ros):
    bench, loop, client = make()
    with bench:
        _, first = client.send(9.5, 4.0)
        loop.follow(1.0)
        _, second = client.send(3.0, 2.5)
        answer = finished(loop, first, 2.0)
        assert answer.result.error_code == Navigate.Result.PREEMPTED
        assert finished(loop, second, 30.0).result.error_code == Navigate.Result.NONE


def test_a_lost_pose_holds_the_robot_then_ends(ros):
    bench, loop, client = make([("pose_patience", 2.0)])
    with bench:
        _, future = client.send(9.5, 4.0)
        loop.follow(1.5)
        loop.on -= {"odom", "tf"}
        loop.follow(1.5)
        assert loop.plans[-1].poses == []
        assert finished(loop, future, 5.0).result.error_code == Navigate.Result.NO_POSE


def test_deactivation_ends_the_errand(ros):
    bench, loop, client = make()
    with bench:
        _, future = client.send(9.5, 4.0)
        loop.follow(1.0)
        bench.nodes[0].trigger_deactivate()
        assert bench.spin(future.done, timeout=3.0)
        assert future.result().result.error_code == Navigate.Result.CANCELLED
        assert bench.spin(lambda: loop.plans[-1].poses == [], timeout=2.0)


def test_a_closed_door_makes_it_try_and_give_up_with_no_route(ros):
    door = [(2.5 + 0.1 * k, 6.5, 0.06) for k in range(11)]
    bench, loop, client = make([("recoveries", 1), ("retry_time", 1.0)], circles=door)
    with bench:
        _, future = client.send(9.5, 7.75)
        answer = finished(loop, future, 60.0)
        assert answer.result.error_code == Navigate.Result.NO_ROUTE
        assert answer.result.recoveries == 1
        assert np.hypot(loop.pose.x - START.x, loop.pose.y - START.y) < 3.0


def test_standing_people_bend_the_route(ros):
    bench, loop, client = make()
    with bench:
        client.send(3.0, 5.6, frame="map")
        loop.step()
        straight = convert.path_from(loop.plans[-1])
        assert np.abs(straight[:, 0] - 3.0).max() < 0.1
        spot = transform_points2(inverse2(MAP_TO_ODOM), np.array([[3.0, 4.9]]))[0]
        person = TrackedPerson(1, float(spot[0]), float(spot[1]), age=5.0)
        for _ in range(20):
            bench.say("people", convert.people_to(People(loop.time, "odom", (person,))))
            loop.step()
        bent = convert.path_from(loop.plans[-1])
        assert np.abs(bent[:, 0] - 3.0).max() > 0.4


def test_costmap_is_shown(ros):
    bench, loop, _ = make()
    with bench:
        seen = bench.hear("costmap")
        loop.follow(3.0, until=lambda: bool(seen))
        grid = convert.grid_from(seen[-1])
        assert grid.data.max() == 100
        assert (grid.data == 0).mean() > 0.2
