"""The distance field against brute force; memory, forgetting, people left out."""

import numpy as np
import pytest

from lifelong_nav.control.local_field import LocalField, LocalFieldConfig, field_from_points
from lifelong_nav.core.types import LaserScan, People, Pose2, TrackedPerson

BEAMS = 720


def scan_of(segments, pose, stamp=0.0, field_of_view=2 * np.pi, far=10.0):
    """Exact ranges to wall segments (M, 4) from `pose`."""
    angles = -field_of_view / 2 + np.arange(BEAMS) * (field_of_view / BEAMS)
    d = np.stack([np.cos(angles + pose.yaw), np.sin(angles + pose.yaw)], axis=-1)
    a, e = segments[:, :2] - pose.xy, segments[:, 2:] - segments[:, :2]
    cross = d[:, None, 0] * e[None, :, 1] - d[:, None, 1] * e[None, :, 0]
    with np.errstate(all="ignore"):
        t = (a[:, 0] * e[:, 1] - a[:, 1] * e[:, 0]) / cross
        u = (a[:, 0] * d[:, None, 1] - a[:, 1] * d[:, None, 0]) / cross
    hit = np.where((t > 0) & (u >= 0) & (u <= 1), t, np.inf).min(axis=1)
    ranges = np.where(hit <= far, hit, np.inf)
    return LaserScan(stamp, "laser", -field_of_view / 2, field_of_view / BEAMS, 0.05, far, ranges)


WALL = np.array([(2.0, -3.0, 2.0, 3.0)])


def test_distances_match_brute_force():
    rng = np.random.default_rng(0)
    points = rng.uniform(-3, 3, (200, 2)) + np.array([100.0, -50.0])
    field = field_from_points(points, np.array([100.0, -50.0]))
    at = rng.uniform(-3.5, 3.5, (500, 2)) + np.array([100.0, -50.0])
    true = np.linalg.norm(at[:, None] - points[None], axis=2).min(axis=1)
    assert np.abs(field.at(at[:, 0], at[:, 1]) - true).max() < 0.075  # a cell's diagonal
    assert np.abs(field.at_smooth(at[:, 0], at[:, 1]) - true).max() < 0.06
    shaped = field.at(at[:, 0].reshape(50, 10), at[:, 1].reshape(50, 10))
    assert shaped.shape == (50, 10)


def test_outside_and_empty_are_far():
    field = field_from_points(np.zeros((0, 2)), np.zeros(2))
    assert field.at(np.array([0.0, 99.0]), np.array([0.0, 0.0])).min() >= 8.0
    field = field_from_points(np.array([[0.0, 0.0]]), np.zeros(2))
    assert field.at(np.array([9.0, -9.0]), np.array([0.0, 0.0])).min() >= 8.0


def test_remembers_what_is_out_of_view_for_a_while():
    local = LocalField(LocalFieldConfig(memory=3.0))
    front = Pose2(0, 0, 0)
    field = local.update(scan_of(WALL, front, 0.0, np.pi / 2), front)
    assert field.at(np.array([1.9]), np.array([0.0]))[0] < 0.15
    back = Pose2(0.3, 0.1, np.pi)  # it turned away and moved
    field = local.update(scan_of(WALL, back, 2.0, np.pi / 2), back)
    assert field.at(np.array([1.9]), np.array([0.0]))[0] < 0.15
    field = local.update(scan_of(WALL, back, 3.5, np.pi / 2), back)
    assert field.at(np.array([1.9]), np.array([0.0]))[0] > 1.0


def test_forgets_what_it_sees_through_at_once():
    local = LocalField()
    here = Pose2(0.5, 0.0, 0.3)
    local.update(scan_of(WALL, here, 0.0), here)
    empty = np.array([(5.0, -9.0, 5.0, 9.0)])
    field = local.update(scan_of(empty, here, 0.1), here)
    assert field.at(np.array([1.9]), np.array([0.0]))[0] > 1.5


def test_walls_stay_while_driving_past():
    """No cell of a wall may flicker away because grazing beams overshoot it."""
    local, corridor = LocalField(), np.array([(-4.0, 1.0, 12.0, 1.0), (-4.0, -1.0, 12.0, -1.0)])
    for k in range(60):
        pose = Pose2(0.1 * k, 0.1 * np.sin(k), 0.2 * np.sin(0.3 * k))
        field = local.update(scan_of(corridor, pose, 0.1 * k), pose)
        x = pose.x + np.linspace(-1.5, 1.5, 61)
        assert field.at(x, np.full(61, 0.97)).max() < 0.12
        assert abs(field.at(np.array([pose.x]), np.array([0.0]))[0] - 1.0) < 0.08


def test_people_are_not_obstacles_and_leave_no_trace():
    leg = np.array([(1.5, -0.1, 1.5, 0.1)])
    here = Pose2()
    local = LocalField()
    local.update(scan_of(leg, here, 0.0), here)  # not yet tracked: an obstacle
    assert local.field().at(np.array([1.5]), np.array([0.0]))[0] < 0.1
    people = People(0.1, "odom", (TrackedPerson(1, 1.55, 0.0),))
    field = local.update(scan_of(leg, here, 0.1), here, people)
    assert field.at(np.array([1.5]), np.array([0.0]))[0] > 3.0


def test_time_running_back_resets():
    local, here = LocalField(), Pose2()
    local.update(scan_of(WALL, here, 10.0), here)
    away = Pose2(0, 0, np.pi)
    field = local.update(scan_of(WALL, away, 1.0, np.pi / 2), away)
    assert field.at(np.array([1.9]), np.array([0.0]))[0] > 3.0


def test_grid_follows_the_robot_far_and_back():
    local, here = LocalField(), Pose2()
    local.update(scan_of(WALL, here, 0.0), here)
    far = Pose2(49.0, 49.0, 0.0)
    field = local.update(scan_of(WALL + 48.0, far, 0.1), far)
    assert field.at(np.array([50.0]), np.array([48.0]))[0] < 0.1
    field = local.update(scan_of(WALL, here, 0.2, 0.1), Pose2(0, 0, np.pi))
    assert field.at(np.array([0.0]), np.array([0.0]))[0] > 1.5


@pytest.mark.parametrize("bad", [np.nan, -np.inf, -1.0, 0.0])
def test_invalid_beams_neither_mark_nor_clear(bad):
    local, here = LocalField(), Pose2()
    good = scan_of(WALL, here, 0.0)
    local.update(good, here)
    broken = LaserScan(0.1, "laser", good.angle_min, good.angle_increment, 0.05, 10.0, np.full(BEAMS, bad))
    field = local.update(broken, here)
    assert field.at(np.array([1.9]), np.array([0.0]))[0] < 0.15
