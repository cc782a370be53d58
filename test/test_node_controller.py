"""The controller as a real node: drives a route in a small simulated loop, stops when inputs die."""

import array
import math

import numpy as np
import pytest
from control_world import World
from nav_msgs.msg import Odometry as OdometryMsg
from nav_msgs.msg import Path as PathMsg
from rclpy.parameter import Parameter
from ros_support import Bench
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import LaserScan
from tf2_msgs.msg import TFMessage

from lifelong_nav.core.config import build, specs
from lifelong_nav.core.geometry import transform_points2
from lifelong_nav.core.types import Odometry, Pose2, Twist2
from lifelong_nav.nodes import convert
from lifelong_nav.nodes.controller import PARTS, ControllerConfig, ControllerNode
from lifelong_nav.nodes.parts import part
from lifelong_nav.nodes.ros_clock import to_stamp
from lifelong_nav.nodes.tf import stamped

pytestmark = pytest.mark.ros
MAP_TO_ODOM = Pose2(2.0, -1.0, 0.5)


class Loop:
    """Lockstep world: 20 Hz /clock, odometry, TF and scans in; commands drive the world's robot."""

    def __init__(self, bench, world):
        self.bench, self.world, self.time = bench, world, 10.0
        self.commands, self.predicted = bench.hear("cmd_vel_raw"), bench.hear("predicted_path")
        self.on = {"odom", "scan", "people"}
        mounts = [
            stamped(Pose2(), "base_link", "laser", 0.0),
            stamped(MAP_TO_ODOM, "map", "odom", 0.0),
        ]
        self.bench.say("/tf_static", TFMessage(transforms=mounts))
        self.publish()
        self.bench.spin(timeout=0.3)

    def publish(self):
        w, b = self.world, self.bench
        w.time = self.time
        b.say("/clock", Clock(clock=to_stamp(self.time)))
        b.say("/tf", TFMessage(transforms=[stamped(w.pose, "odom", "base_link", self.time)]))
        if "odom" in self.on:
            b.say("odom", convert.odometry_to(Odometry(self.time, w.pose, Twist2(w.v, 0.0, w.w))))
        if "scan" in self.on:
            b.say("scan", self.scan())
        if "people" in self.on:
            b.say("people", convert.people_to(w.tracked()))

    def scan(self):
        ranges = np.full(360, np.inf)
        to = transform_points2(Pose2(0, 0, -self.world.pose.yaw), self.world.wall_points - self.world.pose.xy)
        beams = np.rint(np.degrees(np.arctan2(to[:, 1], to[:, 0]))).astype(int) + 180
        np.minimum.at(ranges, beams % 360, np.hypot(to[:, 0], to[:, 1]))
        scan = LaserScan(
            angle_min=-math.pi, angle_max=math.pi, angle_increment=2 * math.pi / 360,
            range_min=0.05, range_max=8.0, ranges=array.array("f", ranges.tolist()),
        )  # fmt: skip
        scan.header.stamp, scan.header.frame_id = to_stamp(self.time), "laser"
        return scan

    def route(self, *points, frame="map"):
        """Say the route through odom points, in the map frame as the planner does."""
        xy = transform_points2(MAP_TO_ODOM, np.array(points, float)) if frame == "map" else np.array(points)
        poses = np.column_stack([xy, np.full(len(xy), MAP_TO_ODOM.yaw)])
        self.bench.say("plan", convert.path_to(poses, self.time, frame))

    def run(self, seconds, until=lambda: False, every=None):
        end = self.time + seconds
        while self.time < end and not until():
            had = len(self.commands)
            self.time = round(self.time + 0.05, 6)
            self.publish()
            self.bench.spin(lambda had=had: len(self.commands) > had, timeout=1.0)
            if self.commands:
                self.world.step(convert.twist_from(self.commands[-1].twist), 0.05, 2)
            if every:
                every()
        return until()


@pytest.fixture
def loop(ros):
    door = np.array([(2, 0.5, 2, 3), (2, -0.5, 2, -3)], float)
    node = ControllerNode(parameter_overrides=[Parameter("use_sim_time", value=True)])
    with Bench(node, sim_time=True) as bench:
        bench.activate()
        yield Loop(bench, World(walls=door))


def test_drives_through_the_door_to_the_goal_and_stays(loop):
    gaps = []
    loop.route((0, 0), (4, 0))

    def tick():
        gaps.append(loop.world.wall_gap())
        if len(gaps) % 10 == 0:
            loop.route((0, 0), (4, 0))

    there = loop.run(20.0, lambda: loop.world.pose.x > 3.85, tick)
    assert there
    assert min(gaps) > 0.0
    loop.run(2.0, every=tick)
    assert np.hypot(loop.world.pose.x - 4, loop.world.pose.y) < 0.15
    assert abs(loop.world.v) < 0.02
    assert loop.predicted
    assert loop.predicted[-1].header.frame_id == "odom"
    assert loop.bench.nodes[0].health()[0] == 0, loop.bench.nodes[0].health()


@pytest.mark.parametrize("source", ["scan", "odom"])
def test_dead_inputs_end_in_a_stop(loop, source):
    loop.route((0, 0), (4, 0))
    assert loop.run(3.0, lambda: loop.world.v > 0.4)
    loop.on.discard(source)
    loop.route((0, 0), (4, 0))
    assert loop.run(3.0, lambda: loop.commands[-1].twist.linear.x == 0.0)
    assert source in loop.bench.nodes[0].health()[1]


def test_empty_route_stands_still_and_unknown_frame_is_reported(loop):
    loop.run(0.5)
    assert loop.commands[-1].twist.linear.x == 0.0
    loop.route((0, 0), (4, 0), frame="moon")
    loop.run(0.5)
    assert loop.commands[-1].twist.linear.x == 0.0
    assert "moon" in loop.bench.nodes[0].health()[1]
    loop.bench.say("plan", PathMsg())
    loop.run(0.3)
    assert loop.bench.nodes[0].health()[0] == 0


def test_broken_messages_are_refused_and_counted(loop):
    loop.route((0, 0), (4, 0))
    assert loop.run(3.0, lambda: loop.world.v > 0.4)
    loop.on.discard("odom")

    def poison():
        bad = OdometryMsg(child_frame_id="base_link")
        bad.header.stamp, bad.header.frame_id = to_stamp(loop.time), "odom"
        bad.pose.pose.position.x = math.nan
        loop.bench.say("odom", bad)

    assert loop.run(3.0, lambda: loop.commands[-1].twist.linear.x == 0.0, poison)
    assert all(math.isfinite(m.twist.linear.x) for m in loop.commands)


def test_keeps_to_a_chosen_trajectory_in_time_while_it_is_fresh(loop):
    """The route ahead is free, but the trajectory waits: so does the robot, until nobody says so any more."""
    route = [(0, 0), (1.5, 0)]
    times = np.arange(1, 31) * 0.2

    def wait(frame="odom"):
        poses = np.tile(loop.world.pose.array(), (30, 1))
        loop.route(*route)
        loop.bench.say("trajectory", convert.path_to(poses, loop.time, frame, times))

    wait()
    loop.run(3.0, every=wait)
    assert loop.world.pose.x < 0.15, "waits where the trajectory waits"
    assert loop.run(6.0, lambda: loop.world.pose.x > 1.0, lambda: loop.route(*route))
    wait("moon")
    loop.run(0.3)
    assert loop.bench.nodes[0].health()[0] == 0, "a trajectory in another frame is refused, not followed"


def test_weights_change_while_running(loop):
    node = loop.bench.nodes[0]
    (result,) = node.set_parameters([Parameter("cost_space", value=3.0)])
    assert result.successful
    assert node.controller.costs.space == 3.0
    (result,) = node.set_parameters([Parameter("mppi_samples", value=3)])
    assert not result.successful


def test_every_part_builds_from_the_flat_parameters():
    config = build(ControllerConfig)
    for prefix, cls in PARTS.items():
        assert part(config, PARTS, prefix) == cls()
    assert len({s.name for s in specs(ControllerConfig)}) == len(specs(ControllerConfig))
