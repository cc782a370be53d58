"""Costmap layers: marking, clearing, fading, people, the map's own walls, growth with bounded memory."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lifelong_nav.core.grid import OccupancyGrid
from lifelong_nav.core.types import LaserScan, People, Pose2, TrackedPerson
from lifelong_nav.trajectory.cost_grid import InflationConfig, distance_to, downsample, inflate
from lifelong_nav.trajectory.costmap import Costmap, CostmapConfig

N = 360


def scan_at(stamp, ranges):
    ranges = np.full(N, ranges, dtype=np.float32) if np.isscalar(ranges) else np.asarray(ranges, np.float32)
    return LaserScan(stamp, "laser", -np.pi, 2 * np.pi / N, 0.1, 20.0, ranges)


def beam(degrees):
    return round((np.deg2rad(degrees) + np.pi) / (2 * np.pi / N)) % N


def open_map(side=12.0, resolution=0.05):
    n = int(side / resolution)
    return OccupancyGrid(np.zeros((n, n), np.int8), resolution, (-side / 2, -side / 2))


def with_blob(stamp, degrees=0, distance=3.0, width=4, elsewhere=np.inf):
    ranges = np.full(N, elsewhere)
    for k in range(-width, width + 1):
        ranges[beam(degrees + k)] = distance
    return scan_at(stamp, ranges)


def lethal(costmap, x, y):
    grid = costmap.grid()
    return not np.isfinite(grid.cost_at(np.array([x, y])))


def test_obstacle_is_lethal_within_the_robot_radius_and_free_beyond():
    costmap = Costmap(static=open_map())
    costmap.update(with_blob(0.0), Pose2())
    assert lethal(costmap, 3.0, 0.0)
    assert lethal(costmap, 2.75, 0.0)
    assert not lethal(costmap, 2.5, 0.0)
    near, far = costmap.grid().cost_at(np.array([[2.5, 0.0], [1.0, 0.0]]))
    assert near > 2.0
    assert far == 1.0


def test_sensor_pose_places_the_obstacle():
    costmap = Costmap(static=open_map())
    costmap.update(with_blob(0.0), Pose2(1.0, 2.0, np.pi / 2))
    assert lethal(costmap, 1.0, 5.0)
    assert not lethal(costmap, 4.0, 2.0)


def test_a_beam_through_an_obstacle_removes_it_at_once():
    costmap = Costmap(static=open_map())
    costmap.update(with_blob(0.0), Pose2())
    costmap.update(scan_at(0.1, np.inf), Pose2())
    assert not lethal(costmap, 3.0, 0.0)


@pytest.mark.parametrize("blind", [np.nan, 0.0])
def test_beams_without_a_reading_clear_nothing(blind):
    costmap = Costmap(static=open_map())
    costmap.update(with_blob(0.0), Pose2())
    costmap.update(scan_at(0.1, blind), Pose2())
    assert lethal(costmap, 3.0, 0.0)


def test_obstacles_fade_and_those_seen_often_stay_longer():
    config = CostmapConfig(memory=2.0, memory_max=20.0)
    once, often = Costmap(config, open_map()), Costmap(config, open_map())
    once.update(with_blob(0.0), Pose2())
    for k in range(5):
        often.update(with_blob(0.1 * k), Pose2())
    for costmap in (once, often):
        costmap.update(scan_at(4.0, np.nan), Pose2())
    assert not lethal(once, 3.0, 0.0)
    assert lethal(often, 3.0, 0.0)
    often.update(scan_at(30.0, np.nan), Pose2())
    assert not lethal(often, 3.0, 0.0)


def test_points_at_people_are_left_out_and_old_ones_under_them_lifted():
    costmap = Costmap(static=open_map())
    costmap.update(with_blob(0.0), Pose2())
    person = People(0.1, "map", (TrackedPerson(1, 3.0, 0.0),))
    costmap.update(with_blob(0.1), Pose2(), person)
    assert not lethal(costmap, 3.0, 0.0)
    elsewhere = People(0.2, "map", (TrackedPerson(1, 3.0, 2.0),))
    costmap.update(with_blob(0.2), Pose2(), elsewhere)
    assert lethal(costmap, 3.0, 0.0)


def test_points_at_a_mapped_wall_do_not_thicken_it():
    data = np.zeros((240, 240), np.int8)
    data[:, 180:183] = 100  # x = 3.0 .. 3.15
    costmap = Costmap(static=OccupancyGrid(data, 0.05, (-6.0, -6.0)))
    before = costmap.grid()
    costmap.update(with_blob(0.0, distance=2.9), Pose2())  # a pose error of 0.1 m
    assert costmap.grid() is before
    costmap.update(with_blob(0.1, distance=2.2), Pose2())
    assert costmap.grid() is not before
    assert lethal(costmap, 2.2, 0.0)


def test_the_grid_is_the_same_object_until_something_changes():
    costmap = Costmap(static=open_map())
    costmap.update(with_blob(0.0), Pose2())
    first = costmap.grid()
    costmap.update(with_blob(0.1), Pose2())
    assert costmap.grid() is first
    costmap.update(with_blob(0.2, degrees=90), Pose2())
    second = costmap.grid()
    assert second.version > first.version


def test_clear_forgets_scans_but_keeps_the_map():
    data = np.zeros((240, 240), np.int8)
    data[:, 200] = 100
    costmap = Costmap(static=OccupancyGrid(data, 0.05, (-6.0, -6.0)))
    costmap.update(with_blob(0.0), Pose2())
    costmap.clear()
    assert not lethal(costmap, 3.0, 0.0)
    assert lethal(costmap, 4.0, 0.0)


def test_time_running_back_resets():
    costmap = Costmap(static=open_map())
    costmap.update(with_blob(100.0), Pose2())
    costmap.update(scan_at(1.0, np.nan), Pose2())
    assert not lethal(costmap, 3.0, 0.0)


def test_without_a_map_seen_space_becomes_known_and_the_rest_costs_more():
    costmap = Costmap(CostmapConfig(unknown_cost=3.0))
    costmap.update(scan_at(0.0, 4.0), Pose2(10.0, -7.0, 0.3))
    cost = costmap.grid().cost_at(np.array([[10.0, -7.0], [10.0, -1.0]]))
    np.testing.assert_allclose(cost, [1.0, 4.0], atol=1e-5)
    assert lethal(costmap, 14.0, -7.0)


def test_without_a_map_the_grid_follows_and_stays_bounded():
    config = CostmapConfig(max_side=40.0, memory=100.0)
    costmap = Costmap(config)
    for k in range(400):
        x = 0.5 * k
        costmap.update(with_blob(0.1 * k, degrees=90, distance=2.0, elsewhere=np.nan), Pose2(x, 0.0))
        assert max(costmap.shape) * costmap.resolution <= 40.0 + 1e-6
        assert costmap.grid().cell(x, 0.0) is not None
    assert lethal(costmap, x, 2.0)
    assert lethal(costmap, x - 9.0, 2.0), "what lies behind is remembered while it fits"


@settings(max_examples=30, deadline=None)
@given(
    x=st.floats(-200, 200), y=st.floats(-200, 200), yaw=st.floats(-10, 10),
    distance=st.floats(0.5, 7.5), degrees=st.integers(0, 359),
)  # fmt: skip
def test_without_a_map_obstacles_stand_where_they_were_seen(x, y, yaw, distance, degrees):
    costmap = Costmap()
    costmap.update(with_blob(0.0, degrees, distance), Pose2(x, y, yaw))
    angle = yaw + np.deg2rad(degrees)
    assert lethal(costmap, x + distance * np.cos(angle), y + distance * np.sin(angle))
    assert not lethal(costmap, x - 2.0 * np.cos(angle), y - 2.0 * np.sin(angle))


def test_unknown_cells_by_option():
    data = np.full((100, 100), -1, np.int8)
    data[:, :50] = 0
    here = np.array([4.0, 2.5])
    for unknown, expected in (("free", 1.0), ("costly", 2.0), ("lethal", np.inf)):
        grid = Costmap(CostmapConfig(unknown=unknown), OccupancyGrid(data, 0.05)).grid()
        assert grid.cost_at(here) == pytest.approx(expected)


def test_downsampling_keeps_a_doorway_open():
    data = np.zeros((100, 100), np.int8)
    data[50:53] = 100
    data[50:53, 41:59] = 0  # 0.9 m
    distance, _, resolution = downsample(OccupancyGrid(data, 0.05), 0.1)
    assert resolution == pytest.approx(0.1)
    cost = inflate(distance, None, InflationConfig(robot_radius=0.28, clearance=0.03))
    door = np.isfinite(cost[25])
    width = door.sum() * resolution
    assert 0.15 <= width <= 0.4, "true width for the centre is 0.9 - 2 * 0.31 = 0.28 m"


def test_distance_is_exact():
    rng = np.random.default_rng(0)
    mask = rng.random((40, 50)) < 0.02
    rows, columns = np.nonzero(mask)
    r, c = np.mgrid[:40, :50]
    expected = np.sqrt((r[..., None] - rows) ** 2 + (c[..., None] - columns) ** 2).min(-1) * 0.1
    np.testing.assert_allclose(distance_to(mask, 0.1), expected, atol=1e-5)


def test_occupancy_view_keeps_lethal_apart():
    costmap = Costmap(static=open_map())
    costmap.update(with_blob(0.0), Pose2())
    view = costmap.grid().occupancy()
    cell = costmap.grid().cell(3.0, 0.0)
    assert view.data[cell] == 100
    assert view.data.min() == 0
    assert view.frame_id == "map"
