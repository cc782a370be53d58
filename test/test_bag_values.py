"""Recorded messages become core values; frames, stamps and gaps are handled."""

import bag_files as make
import numpy as np
import pytest

from lifelong_nav.core.errors import BagError
from lifelong_nav.core.types import Pose2
from lifelong_nav.replay import values
from lifelong_nav.replay.reader import open_bag


def test_scans_and_odometry_of_a_written_bag(tmp_path):
    make.write1(tmp_path / "a.bag", 30)
    with open_bag(tmp_path / "a.bag") as bag:
        scans = list(values.scans(bag))
        assert len(scans) == 30
        assert scans[3].stamp == pytest.approx(5.3)
        assert scans[3].ranges.shape == (20,)
        stamps, states = values.odometry_table(bag)
        assert stamps.shape == (60,)
        np.testing.assert_allclose(states[-1], [2.9, 0, 0, 0.5, 0, 0.1], atol=1e-12)
        with pytest.raises(BagError, match="on: /scan"):
            list(values.scans(bag, "/odom"))


def test_pose_at_turns_the_short_way():
    stamps, states = np.array([0.0, 1.0]), np.array([[0, 0, 3.0], [1, 2, -3.0]])
    pose = values.pose_at(stamps, states, 0.5)
    assert (pose.x, pose.y) == (0.5, 1.0)
    assert abs(pose.yaw) > 3.1
    assert values.pose_at(stamps, states, -9.0) == Pose2(0.0, 0.0, 3.0)
    assert values.pose_at(stamps, states, 9.0).x == 1.0


def test_every_converter_takes_a_default_message():
    from rosbags.convert.converter import default_message

    store = make.store2()
    refused = set()
    for name, convert in values.CONVERTERS.items():
        try:
            convert(default_message(store, name))
        except values.InputError:
            refused.add(name.split("/")[-1])
    # scans without beams, an empty map, poses without rotation
    assert refused == {"LaserScan", "OccupancyGrid", "Pose", "PoseStamped", "Odometry"}


@pytest.mark.data
def test_olin(data_folder):
    with open_bag(data_folder / "robot_bags" / "olin_rosbag2" / "bags" / "macfirst_floor_take_2") as bag:
        scans = list(values.scans(bag))
        assert len(scans) == 357
        assert all(len(s.ranges) == 720 for s in scans)
        stamps, _ = values.odometry_table(bag)
        assert len(stamps) == 920
        assert (np.diff(stamps) >= 0).all()
        frames = values.transforms(bag)
        middle = scans[len(scans) // 2]
        pose = frames.lookup("base_link", middle.frame_id, middle.stamp)
        assert np.linalg.norm(pose.position) < 1.0, "the lidar sits on the robot"
        assert values.transforms(bag, moving=False).frames() != frames.frames()


@pytest.mark.data
def test_leg_tracker(data_folder):
    with open_bag(data_folder / "robot_bags" / "general_tracking_moving_1.bag.zip") as bag:
        frames = values.transforms(bag)
        scans = list(values.scans(bag))
        assert len(scans) == 873
        missing = 0
        for scan in scans:
            try:
                frames.lookup("odom", scan.frame_id, scan.stamp)
            except values.InputError:
                missing += 1
        assert missing <= 5, "only before the first odometry: /odom and odom are one frame"
        people = list(values.annotated_people(bag))
        assert sum(len(p) for p in people) == 153
        assert len({q.id for p in people for q in p.people}) == 12
        headers = np.array([s.stamp for s in scans])
        assert all(np.abs(headers - p.stamp).min() < 0.012 for p in people)
        cdr = bag.cdr(next(bag.messages(["/odom"])))
        assert b"/odom" not in cdr
        assert b"base_link" in cdr
