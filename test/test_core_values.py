"""Geometry, clock, parameters: the small things everything else leans on."""

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifelong_nav.core import config as cfg
from lifelong_nav.core import geometry as g
from lifelong_nav.core.clock import ManualClock, Received, is_fresh, staleness
from lifelong_nav.core.errors import ConfigError, DependencyError, InputError, require_package
from lifelong_nav.core.types import LaserScan, People, Pose2, Pose3, TrackedPerson

finite = st.floats(-100, 100)
poses = st.builds(Pose2, finite, finite, st.floats(-10, 10))
unit_quaternions = (
    st.lists(st.floats(-1, 1), min_size=4, max_size=4).map(np.array)
    .filter(lambda q: np.linalg.norm(q) > 0.1).map(lambda q: q / np.linalg.norm(q))
)  # fmt: skip


@given(poses, poses, poses)
def test_planar_composition_is_associative_and_inverts(a, b, c):
    left, right = g.compose2(g.compose2(a, b), c), g.compose2(a, g.compose2(b, c))
    np.testing.assert_allclose(left.xy, right.xy, atol=1e-9)
    assert abs(g.angle_difference(left.yaw, right.yaw)) < 1e-9
    home = g.compose2(g.inverse2(a), a)
    np.testing.assert_allclose(home.xy, 0.0, atol=1e-9)
    assert abs(g.wrap(home.yaw)) < 1e-9


@given(unit_quaternions)
def test_matrix_and_pose_are_inverse_up_to_the_quaternions_sign(q):
    back = g.pose3(g.matrix(Pose3(np.array([1.0, 2.0, 3.0]), q)))
    assert abs(abs(np.dot(back.quaternion, q)) - 1.0) < 1e-9
    np.testing.assert_allclose(back.position, [1.0, 2.0, 3.0])


@given(st.floats(-3.1, 3.1))
def test_yaw_survives_the_quaternion(yaw):
    assert math.isclose(g.xyzw_to_yaw(g.yaw_to_xyzw(yaw)), yaw, abs_tol=1e-12)
    np.testing.assert_allclose(g.rpy_to_xyzw(0.0, 0.0, yaw), g.yaw_to_xyzw(yaw), atol=1e-12)


def test_quaternion_order_is_swapped_in_one_place():
    np.testing.assert_array_equal(g.to_wxyz(np.array([1, 2, 3, 4])), [4, 1, 2, 3])
    np.testing.assert_array_equal(g.to_xyzw(g.to_wxyz(np.array([1, 2, 3, 4]))), [1, 2, 3, 4])


@pytest.mark.parametrize("bad", [[0, 0, 0, 0], [0, 0, 0, 2], [np.nan, 0, 0, 1], [0, 0, 1]])
def test_bad_quaternions_are_refused(bad):
    with pytest.raises(InputError, match="Quaternion"):
        g.checked_quaternion(np.array(bad, dtype=float))


@given(poses, st.lists(st.tuples(finite, finite), min_size=1, max_size=5))
def test_points_transform_like_poses(pose, points):
    moved = g.transform_points2(pose, np.array(points))
    for p, m in zip(points, moved, strict=True):
        np.testing.assert_allclose(g.compose2(pose, Pose2(*p, 0.0)).xy, m, atol=1e-9)


def test_scan_masks_what_is_no_return():
    ranges = np.array([0.01, 1.0, np.inf, np.nan, -1.0, 2.0, 30.0], dtype=np.float32)
    scan = LaserScan(0.0, "laser", 0.0, np.pi / 2, 0.1, 10.0, ranges)
    np.testing.assert_array_equal(scan.valid(), [False, True, False, False, False, True, False])
    np.testing.assert_allclose(scan.points(), [[0.0, 1.0], [0.0, 2.0]], atol=1e-6)


def test_people_without_people_have_the_right_shapes():
    empty = People(0.0, "odom")
    assert empty.positions().shape == (0, 2)
    assert empty.velocities().shape == (0, 2)
    one = People(0.0, "odom", (TrackedPerson(1, 2.0, 3.0, 0.0, 1.0),))
    np.testing.assert_array_equal(one.positions(), [[2.0, 3.0]])
    assert one.people[0].heading == pytest.approx(np.pi / 2)


@pytest.mark.parametrize(
    ("stamp", "arrival", "fresh"),
    [(10.0, 10.0, True), (9.5, 10.0, True), (9.4, 10.0, False), (10.05, 10.0, True), (10.2, 10.0, False),
     (10.0, 9.4, False), (float("nan"), 10.0, False), (float("inf"), 10.0, False)],
)  # fmt: skip
def test_freshness_asks_the_stamp_on_both_sides_and_the_arrival(stamp, arrival, fresh):
    clock = ManualClock(10.0)
    assert is_fresh(Received(stamp, arrival), clock, 0.55) == fresh
    if not fresh:
        assert staleness(Received(stamp, arrival), clock, 0.55)


def test_nothing_received_is_stale():
    assert staleness(None, ManualClock(), 1.0) == "never received"


@dataclasses.dataclass(frozen=True)
class Sample:
    """Doc."""

    speed: float = cfg.param(1.0, "m/s", 0.0, 2.0, "Speed.")
    count: int = cfg.param(3, "", 1, 5, "Count.")
    name: str = cfg.param("a", "", doc="Name.", choices=("a", "b"))
    on: bool = cfg.param(True, "", doc="On.")
    list_: list[float] = cfg.param([1.0], "m", 0.0, 9.0, "Many.")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"sped": 1.0}, "no parameter 'sped'"), ({"speed": 3}, "outside"),
        ({"speed": float("nan")}, "finite"), ({"speed": "1"}, "number"), ({"speed": True}, "number"),
        ({"count": 2.5}, "whole"), ({"name": "c"}, "one of"),
        ({"on": 1}, "true or false"), ({"list_": 1.0}, "list"), ({"list_": [1.0, -1.0]}, "outside"),
        ({"name": 3}, "text"),
    ],
)  # fmt: skip
def test_wrong_parameters_say_what_is_wrong(values, message):
    with pytest.raises(ConfigError, match=message):
        cfg.build(Sample, values)


def test_configs_build_override_and_list():
    config = cfg.build(Sample, {"speed": 2, "list_": [0, 9]})
    assert config.speed == 2.0
    assert isinstance(config.speed, float)
    assert cfg.override(config, count=5).count == 5
    assert config.count == 3
    with pytest.raises(ConfigError):
        cfg.override(config, count=6)
    names = [s.name for s in cfg.specs(Sample)]
    assert names == ["speed", "count", "name", "on", "list_"]
    assert cfg.parse_text(cfg.specs(Sample)[0], "0.5") == 0.5
    assert Sample().list_ is not Sample().list_


@given(st.floats(allow_nan=True, allow_infinity=True))
def test_a_float_parameter_is_in_range_or_refused(value):
    try:
        assert 0.0 <= cfg.build(Sample, {"speed": value}).speed <= 2.0
    except ConfigError:
        assert not 0.0 <= value <= 2.0


def test_yaml_errors_name_the_file(tmp_path):
    for text in ("a: [", "- 1", "\x00"):
        path = tmp_path / "x.yaml"
        path.write_text(text)
        with pytest.raises(ConfigError, match=r"x\.yaml"):
            cfg.load_yaml(path)
    with pytest.raises(ConfigError, match="Cannot read"):
        cfg.load_yaml(tmp_path / "none.yaml")


def test_a_missing_extra_is_named():
    with pytest.raises(DependencyError, match=r"lifelong_nav\[viz\]"):
        require_package("no_such_module_here", "viz")
