"""The trajectory node among real publishers: it chooses, explains, falls silent, and refuses nonsense."""

import math

import numpy as np
import pytest
from nav_msgs.msg import Path as PathMsg
from rclpy.parameter import Parameter
from ros_support import Bench
from rosgraph_msgs.msg import Clock
from std_msgs.msg import Bool
from tf2_msgs.msg import TFMessage

from lifelong_nav.core.config import build
from lifelong_nav.core.share import share_folder
from lifelong_nav.core.types import LaserScan, Odometry, People, Pose2, TrackedPerson, Twist2
from lifelong_nav.nodes import convert, convert_trajectory
from lifelong_nav.nodes.parts import part
from lifelong_nav.nodes.ros_clock import to_stamp
from lifelong_nav.nodes.tf import stamped
from lifelong_nav.nodes.trajectory import PARTS, TrajectoryConfig, TrajectoryNode, ahead_of
from lifelong_nav.nodes.trajectory_learner import TrajectoryLearnerNode
from lifelong_nav.trajectory.lifelong.updater import TrajectoryUpdater
from lifelong_nav.trajectory.prediction.flow_map import FlowMap

pytestmark = pytest.mark.ros
MAP_TO_ODOM = Pose2(1.0, -2.0, 0.3)


class Loop:
    """An open floor: lockstep clock, odometry, TF, scan and people in, choices out."""

    def __init__(self, bench):
        self.bench, self.time = bench, 10.0
        self.pose, self.people, self.frame = Pose2(), (), "odom"
        self.choices, self.trajectories = bench.hear("candidates"), bench.hear("trajectory")
        self.forecasts = bench.hear("people_forecast")
        mounts = [stamped(Pose2(), "base_link", "laser", 0.0), stamped(MAP_TO_ODOM, "map", "odom", 0.0)]
        bench.say("/tf_static", TFMessage(transforms=mounts))
        self.tick()
        bench.spin(timeout=0.3)

    def tick(self):
        b, t = self.bench, self.time
        b.say("/clock", Clock(clock=to_stamp(t)))
        b.say("/tf", TFMessage(transforms=[stamped(self.pose, "odom", "base_link", t)]))
        b.say("odom", convert.odometry_to(Odometry(t, self.pose, Twist2(0.5))))
        b.say("people", convert.people_to(People(t, self.frame, self.people)))
        scan = LaserScan(t, "laser", -math.pi, math.pi / 90, 0.05, 8.0, np.full(180, np.inf, np.float32))
        b.say("scan", convert.scan_to(scan, 0.1))

    def route(self, *points):
        rows = np.array([(x, y, 0.0) for x, y in points])
        self.bench.say("plan", convert.path_to(rows, self.time, "odom"))

    def run(self, seconds, until=lambda: False, route=((0.0, 0.0), (6.0, 0.0))):
        end = self.time + seconds
        while self.time < end and not until():
            self.time = round(self.time + 0.1, 6)
            if route:
                self.route(*route)
            self.tick()
            self.bench.spin(timeout=0.05)
        return until()


@pytest.fixture
def loop(ros, tmp_path):
    given = {"use_sim_time": True, "state_dir": str(tmp_path)}
    node = TrajectoryNode(parameter_overrides=[Parameter(k, value=v) for k, v in given.items()])
    with Bench(node, sim_time=True) as bench:
        bench.activate()
        yield Loop(bench)


def test_chooses_round_a_person_and_says_why(loop):
    loop.people = (TrackedPerson(1, 2.5, 0.0, age=5.0),)
    assert loop.run(5.0, lambda: len(loop.choices) >= 4)
    choice = convert_trajectory.choice_from(loop.choices[-1])
    ways = np.stack([c.trajectory.poses[:, :2] for c in choice.candidates])
    near = np.linalg.norm(ways - (2.5, 0.0), axis=2).min(axis=1)
    assert near[choice.index] > 0.55, "keeps off the person"
    assert near.min() < 0.4, "though the straight way was among the candidates"
    assert choice.reason
    assert {"progress", "personal_space", "contact"} <= set(choice.terms)
    np.testing.assert_allclose(sum(choice.terms.values()), choice.totals, rtol=1e-3, atol=1e-3)
    followed = convert_trajectory.trajectory_from(loop.trajectories[-1])
    np.testing.assert_allclose(followed.poses, choice.chosen.trajectory.poses, atol=1e-5)
    forecast = convert_trajectory.forecast_from(loop.forecasts[-1])
    assert list(forecast.ids) == [1]
    assert loop.bench.nodes[0].health()[0] == 0, loop.bench.nodes[0].health()


def test_falls_silent_with_the_route(loop):
    assert loop.run(5.0, lambda: bool(loop.trajectories) and bool(loop.trajectories[-1].poses))
    loop.bench.say("plan", PathMsg())
    assert loop.run(3.0, lambda: not loop.trajectories[-1].poses, route=())
    count = len(loop.trajectories)
    loop.run(1.0, route=())
    assert len(loop.trajectories) == count, "said once"
    assert loop.bench.nodes[0].health()[0] == 0, "no errand is no fault"


def test_people_in_another_frame_are_refused_and_nobody_is_invented(loop):
    loop.people, loop.frame = (TrackedPerson(1, 2.5, 0.0, age=5.0),), "map"
    assert loop.run(5.0, lambda: len(loop.forecasts) >= 2)
    assert not loop.forecasts[-1].ids
    assert "people" in loop.bench.nodes[0]._faults


def test_usual_flows_are_learned_and_kept(loop, tmp_path):
    start = loop.time

    def walk():
        loop.people = (TrackedPerson(1, 4.0 - 1.0 * (loop.time - start), 2.0, -1.0, 0.0, age=5.0),)
        return False

    loop.run(6.0, walk)
    node = loop.bench.nodes[0]
    assert len(node._flows.map) > 0
    node._flows.save()
    again = FlowMap.load(tmp_path / "flows.safetensors")
    assert again.observations == node._flows.map.observations


def test_weights_change_while_running(loop):
    node = loop.bench.nodes[0]
    (result,) = node.set_parameters([Parameter("terms_progress", value=0.0)])
    assert result.successful
    assert node.planner.selector.terms.progress == 0.0
    (result,) = node.set_parameters([Parameter("terms_progress", value=-1.0)])
    assert not result.successful


def test_every_part_builds_from_the_flat_parameters():
    config = build(TrajectoryConfig)
    for prefix, cls in PARTS.items():
        assert part(config, PARTS, prefix) == cls()


def test_the_route_ahead_begins_beside_the_robot():
    route = np.array([(0.0, 0.0), (2.0, 0.0), (2.0, 3.0)])
    np.testing.assert_allclose(ahead_of(route, Pose2(1.0, 0.2)), [(1.0, 0.0), (2.0, 0.0), (2.0, 3.0)])
    np.testing.assert_allclose(ahead_of(route, Pose2(2.1, 5.0)), [(2.0, 3.0), (2.0, 3.0)])


def test_what_a_person_shows_is_noted_and_survives(ros, tmp_path):
    """Ten seconds of teleoperation become moments on disk; what is driven without being shown does not."""
    pytest.importorskip("torch")
    given = {"use_sim_time": True, "state_dir": str(tmp_path)}
    node = TrajectoryLearnerNode(parameter_overrides=[Parameter(k, value=v) for k, v in given.items()])
    with Bench(node, sim_time=True) as bench:
        states = bench.hear("trajectory_learner")
        bench.activate()
        loop = Loop(bench)
        start = loop.time

        def drive():
            loop.pose = Pose2(0.5 * (loop.time - start), 0.0, 0.0)
            return False

        loop.run(4.0, drive)
        assert not node._updater.recorder.active, "nobody said that this is a demonstration"
        bench.say("demonstrating", Bool(data=True))
        loop.run(16.0, drive)
        bench.say("demonstrating", Bool(data=False))
        loop.run(2.0, drive)
        assert bench.spin(lambda: bool(states) and states[-1].samples > 0, timeout=10.0)
        assert states[-1].learner == "trajectories"
        assert states[-1].generation == node._updater.generation
        kept = states[-1].samples
        assert node.health()[0] == 0, node.health()
    again, trouble = TrajectoryUpdater.open(tmp_path, share_folder("models") / "trajectories")
    assert not trouble
    assert len(again.store) >= kept
