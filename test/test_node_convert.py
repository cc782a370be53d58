"""Messages to values and back; what is wrong on the wire is refused with a reason."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from nav_msgs.msg import OccupancyGrid as GridMsg
from sensor_msgs.msg import Image as ImageMsg
from sensor_msgs.msg import LaserScan as ScanMsg

from lifelong_nav.core.errors import InputError
from lifelong_nav.core.grid import OccupancyGrid
from lifelong_nav.core.types import Image, LaserScan, Odometry, People, Pose2, Pose3, TrackedPerson, Twist2
from lifelong_nav.nodes import convert as c
from lifelong_nav.nodes.ros_clock import to_seconds, to_stamp

numbers = st.floats(-1e3, 1e3)


@given(st.floats(0, 4e9))
def test_stamps_round_trip_within_a_microsecond(seconds):
    stamp = to_stamp(seconds)
    assert 0 <= stamp.nanosec < 10**9
    assert abs(to_seconds(stamp) - seconds) < 1e-6


def test_scans_round_trip():
    ranges = np.array([1.0, np.inf, 2.5], dtype=np.float32)
    scan = LaserScan(3.5, "laser", -1.0, 0.5, 0.1, 12.0, ranges)
    back = c.scan_from(c.scan_to(scan, 0.1))
    np.testing.assert_array_equal(back.ranges, ranges)
    assert (back.stamp, back.frame_id, back.angle_min, back.angle_increment) == (3.5, "laser", -1.0, 0.5)


@settings(max_examples=60)
@given(arrays(np.float32, st.integers(0, 50), elements=st.floats(width=32, allow_nan=True)), numbers, numbers)
def test_any_scan_is_refused_or_has_finite_points(ranges, increment, high):
    msg = ScanMsg(angle_increment=float(increment), range_max=float(high), ranges=ranges.tolist())
    try:
        scan = c.scan_from(msg)
    except InputError:
        return
    assert np.isfinite(scan.points()).all()


@given(numbers, numbers, st.floats(-3.1, 3.1), numbers)
def test_odometry_round_trips(x, y, yaw, v):
    odometry = Odometry(1.25, Pose2(x, y, yaw), Twist2(v, 0.0, 0.5), covariance=np.diag([1.0, 2.0, 3.0]))
    back = c.odometry_from(c.odometry_to(odometry))
    np.testing.assert_allclose(back.pose.array(), [x, y, yaw], atol=1e-9)
    assert back.twist == odometry.twist
    np.testing.assert_array_equal(back.covariance, odometry.covariance)


def test_people_round_trip_and_bad_people_are_refused():
    person = TrackedPerson(7, 1.0, 2.0, 0.5, -0.5, np.arange(16.0).reshape(4, 4), 3, 0.5, 2.0, 0.25)
    back = c.people_from(c.people_to(People(4.0, "odom", (person,))))
    assert back.people[0].id == 7
    np.testing.assert_array_equal(back.people[0].covariance, person.covariance)
    bad = People(4.0, "odom", (TrackedPerson(1, float("nan"), 0.0),))
    with pytest.raises(InputError, match="Person 1"):
        c.people_from(c.people_to(bad))


def test_paths_and_grids_round_trip():
    poses = np.array([[0.0, 0.0, 0.0], [1.0, 2.0, 1.5]])
    msg = c.path_to(poses, 2.0, "map", np.array([0.0, 0.5]))
    np.testing.assert_allclose(c.path_from(msg), poses)
    assert to_seconds(msg.poses[1].header.stamp) == pytest.approx(2.5)
    grid = OccupancyGrid(np.array([[0, 100, -1]], dtype=np.int8), 0.05, (1.0, 2.0))
    back = c.grid_from(c.grid_to(grid, 1.0))
    np.testing.assert_array_equal(back.data, grid.data)
    assert back.origin == grid.origin
    with pytest.raises(InputError, match="holds"):
        c.grid_from(GridMsg())


@pytest.mark.parametrize("encoding", list(c.ENCODINGS))
def test_every_encoding_decodes(encoding):
    kind, channels = c.ENCODINGS[encoding]
    raw = np.arange(4 * 6 * channels).astype(kind)
    msg = ImageMsg(encoding=encoding, width=6, height=4, step=6 * channels * raw.itemsize)
    msg.data = raw.tobytes()
    image = c.image_from(msg)
    assert image.data.shape == ((4, 6, 3) if channels >= 3 else (4, 6))
    if encoding == "bgr8":
        np.testing.assert_array_equal(image.data[0, 0], [2, 1, 0])
    if encoding == "16UC1":
        assert image.data[0, 1] == pytest.approx(0.001)


@settings(max_examples=60)
@given(st.integers(0, 70000), st.integers(0, 70000), st.integers(0, 2**32 - 1), st.integers(0, 64),
       st.sampled_from([*c.ENCODINGS, "yuv", ""]))  # fmt: skip
def test_no_image_header_can_make_us_allocate_or_crash(width, height, step, size, encoding):
    msg = ImageMsg(encoding=encoding, width=width, height=height, step=step)
    msg.data = bytes(size)
    try:
        image = c.image_from(msg)
    except InputError:
        return
    assert image.data.size <= size


def test_pictures_and_depth_round_trip():
    rgb = np.random.default_rng(0).integers(0, 255, (4, 5, 3)).astype(np.uint8)
    np.testing.assert_array_equal(c.image_from(c.image_to(Image(1.0, "cam", "rgb8", rgb))).data, rgb)
    depth = np.array([[1.0, np.inf]], dtype=np.float32)
    np.testing.assert_array_equal(c.image_from(c.image_to(Image(1.0, "cam", "32FC1", depth))).data, depth)


def test_poses_with_nan_are_refused():
    with pytest.raises(InputError, match="finite"):
        c.pose_from(c.pose_to(Pose3(np.array([np.nan, 0.0, 0.0]))))
