"""Localisation as a real node: map file to topic, transforms while driving, being told, being lost."""

import numpy as np
import plan_world as world
import pytest
from geometry_msgs.msg import PoseWithCovarianceStamped
from nav_world import NavWorld
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.parameter import Parameter
from ros_support import Bench

from lifelong_nav.core.geometry import compose2, flatten
from lifelong_nav.core.grid import save_map
from lifelong_nav.core.types import Pose2
from lifelong_nav.nodes import convert
from lifelong_nav.nodes.localization import LocalizationNode
from lifelong_nav.nodes.ros_clock import to_seconds

pytestmark = pytest.mark.ros
START = Pose2(3.0, 4.0, 1.4)


@pytest.fixture
def make(tmp_path, ros):
    """A node on the office's map and a world around it."""
    save_map(tmp_path / "office.yaml", world.rasterise(world.office()))
    benches = []

    def build(drift=0.0, **params):
        params = {"map_file": str(tmp_path / "office.yaml"), **params}
        node = LocalizationNode(parameter_overrides=[Parameter(k, value=v) for k, v in params.items()])
        bench = Bench(node, sim_time=True)
        benches.append(bench)
        loop = NavWorld(bench, world.office(), START, drift=drift)
        loop.transforms = bench.hear("/tf")
        loop.poses = bench.hear("pose")
        bench.activate()
        bench.spin(timeout=0.2)
        return bench, loop

    yield build
    for bench in benches:
        bench.__exit__()


def sent(loop, since=0.0):
    """map -> odom transforms newer than `since`."""
    found = []
    for message in loop.transforms:
        for t in message.transforms:
            if t.header.frame_id == "map" and to_seconds(t.header.stamp) > since:
                v, q = t.transform.translation, t.transform.rotation
                found.append(flatten(convert.raw_pose(v.x, v.y, v.z, q.x, q.y, q.z, q.w)))
    return found


def error(loop, map_to_odom):
    guess = compose2(map_to_odom, loop.odom)
    return np.hypot(guess.x - loop.pose.x, guess.y - loop.pose.y)


def initial(pose, frame="map"):
    message = PoseWithCovarianceStamped(header=convert.header(0.0, frame))
    message.pose.pose = convert.pose_to(pose)
    message.pose.covariance = convert.planar_covariance(np.diag([0.25, 0.25, 0.07]))
    return message


def test_the_map_is_published_and_kept_for_late_listeners(make):
    bench, _ = make()
    seen = bench.hear("map")
    assert bench.spin(lambda: bool(seen), timeout=5.0)
    grid = convert.grid_from(seen[-1])
    np.testing.assert_array_equal(grid.data, world.rasterise(world.office()).data)
    assert seen[-1].header.frame_id == "map"


def test_told_its_pose_it_keeps_up_with_drifting_odometry(make):
    bench, loop = make(drift=0.05, search_at_start=False)
    loop.step()
    assert not sent(loop), "nothing is said before anything is known"
    bench.say("initialpose", initial(Pose2(START.x + 0.3, START.y - 0.2, START.yaw + 0.1)))
    for v, w, count in ((0.0, 0.0, 8), (0.8, 0.0, 40), (0.0, -1.0, 14), (0.8, 0.0, 30)):
        for _ in range(count):
            loop.step(v, w)
    assert error(loop, sent(loop)[-1]) < 0.1
    alone = compose2(compose2(START, Pose2()), loop.odom)
    assert np.hypot(alone.x - loop.pose.x, alone.y - loop.pose.y) > 0.25, "odometry alone has drifted"
    pose = flatten(convert.pose_from(loop.poses[-1].pose.pose))
    assert np.hypot(pose.x - loop.pose.x, pose.y - loop.pose.y) < 0.15
    assert loop.poses[-1].header.frame_id == "map"
    covariance = np.array(loop.poses[-1].pose.covariance).reshape(6, 6)
    assert 0 < covariance[0, 0] < 0.01


def test_it_finds_itself_at_start(make):
    bench, loop = make()
    for _ in range(20):
        loop.step(0.0, 0.5)
    assert error(loop, sent(loop)[-1]) < 0.1
    assert bench.nodes[0].stats["state"] == "localised"


def test_a_wrong_pose_is_noticed_and_no_transform_is_sent_while_lost(make):
    bench, loop = make(auto_search=False, search_at_start=False)
    bench.say("initialpose", initial(Pose2(16.5, 7.75, 1.0)))
    for _ in range(60):
        loop.step()
    assert bench.nodes[0].stats["state"] == "lost"
    assert not sent(loop, since=loop.time - 1.0)
    level, text = bench.nodes[0].health()
    assert level > 0
    assert "lost" in text


def test_silence_of_the_lidar_ends_the_transforms(make):
    bench, loop = make(initial_pose=[START.x, START.y, START.yaw])
    for _ in range(10):
        loop.step()
    assert sent(loop)
    loop.on -= {"scan"}
    for _ in range(20):
        loop.step()
    assert not sent(loop, since=loop.time - 0.5)
    assert "scan" in bench.nodes[0].health()[1]


def test_a_pose_in_a_foreign_frame_is_refused(make):
    bench, loop = make(search_at_start=False)
    bench.say("initialpose", initial(START, frame="odom"))
    loop.step()
    loop.step()
    assert not sent(loop)


@pytest.mark.parametrize("params", [{"map_file": "nowhere.yaml"}, {"initial_pose": [1.0, 2.0]}])
def test_bad_parameters_fail_configuration_with_a_reason(ros, params):
    node = LocalizationNode(parameter_overrides=[Parameter(k, value=v) for k, v in params.items()])
    assert node.trigger_configure() == TransitionCallbackReturn.FAILURE
    node.finish()
