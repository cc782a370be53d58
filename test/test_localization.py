"""Localisation in closed loop: drives through a synthetic office, odometry errors, real logs."""

import itertools

import numpy as np
import plan_world as world
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lifelong_nav.core.errors import InputError
from lifelong_nav.core.geometry import compose2, inverse2, wrap
from lifelong_nav.core.grid import OccupancyGrid
from lifelong_nav.core.types import LaserScan, People, Pose2, TrackedPerson
from lifelong_nav.perception.likelihood_field import likelihood_field
from lifelong_nav.perception.localization import LocalizationConfig, LocalizationState, Localizer
from lifelong_nav.perception.odometry_model import OdometryConfig, initial_covariance, predict

MOUNT = Pose2(0.2, 0.0, 0.3)
SHORT = [(3, 4), (3, 7.75), (9.5, 7.75), (9.5, 3), (9.5, 7.75), (16.5, 7.75), (16.5, 10.5)]
LONG = [
    *SHORT, (16.5, 7.75), (26, 7.75), (26, 10), (26, 7.75), (27.5, 7.75), (27.5, 4.5), (27.5, 7.75),
    (10, 7.75), (10, 12), (10, 7.75), (4, 7.75), (4, 11), (4, 7.75), (3, 7.75), (3, 4), (3, 7.75), (6, 7.75),
]  # fmt: skip


@pytest.fixture(scope="module")
def office():
    segments = world.office()
    return segments, world.rasterise(segments)


def run(
    segments, grid, true, odom, *, start=None, circles=lambda k: (), people=lambda k: None, limit=12.0, seed=1
):
    """Drive; returns estimates and errors (T, 2) in m and rad, NaN while nothing is known."""
    rng = np.random.default_rng(seed)
    localizer = Localizer(grid)
    if start is None:
        localizer.search()
    else:
        localizer.set_pose(start)
    estimates, errors = [], []
    for k, pose in enumerate(true):
        sensor = compose2(Pose2(*pose), MOUNT).array()
        scan = world.scan(segments, sensor, 0.1 * k, rng, circles(k) if circles else (), limit=limit)
        e = localizer.update(scan, odom[k], MOUNT, people(k) if people else None)
        estimates.append(e)
        errors.append(
            (np.nan, np.nan) if e is None
            else (np.hypot(e.pose.x - pose[0], e.pose.y - pose[1]), abs(float(wrap(e.pose.yaw - pose[2]))))
        )  # fmt: skip
    return localizer, estimates, np.array(errors)


def test_hundred_metres_with_five_percent_odometry_error(office):
    segments, grid = office
    true = world.drive(LONG)
    assert np.linalg.norm(np.diff(true[:, :2], axis=0), axis=1).sum() > 100.0
    odom = world.odometry(true, np.random.default_rng(0))
    lost_by_odometry = compose2(Pose2(*true[0]), odom[-1])
    assert np.hypot(*(lost_by_odometry.xy - true[-1, :2])) > 2.0, "without matching it would be lost"
    _, estimates, errors = run(segments, grid, true, odom, start=Pose2(*true[0]))
    assert errors[:, 0].max() < 0.1
    assert np.rad2deg(errors[:, 1].max()) < 3.0
    assert all(e.localised for e in estimates[10:])
    scale, turn, _ = estimates[-1].errors
    assert scale == pytest.approx(1 / 1.05 - 1, abs=0.02), "the odometer's error is learned"
    assert turn == pytest.approx(1 / 1.05 - 1, abs=0.03)


def test_map_to_odom_closes_the_chain(office):
    segments, grid = office
    true = world.drive(SHORT)[:80]
    odom = [compose2(Pose2(4.0, -2.0, 2.0), o) for o in world.odometry(true, np.random.default_rng(0))]
    _, estimates, _ = run(segments, grid, true, odom, start=Pose2(*true[0]))
    e = estimates[-1]
    chained = compose2(e.map_to_odom, odom[-1])
    np.testing.assert_allclose(chained.array(), e.pose.array(), atol=1e-9)


def test_in_a_crowd(office):
    """A third of the view is people who walk along; they are not tracked."""
    segments, grid = office
    true = world.drive(SHORT)

    def crowd(k):
        x, y, _ = true[k]
        ring = [(x + 1.2 * np.cos(a + 0.05 * k), y + 1.2 * np.sin(a + 0.05 * k), 0.25) for a in (0, 2, 4)]
        return ring + [(4 + 2 * i + 0.06 * k % 2, 7.75, 0.25) for i in range(8)]

    _, estimates, errors = run(
        segments,
        grid,
        true,
        world.odometry(true, np.random.default_rng(2)),
        start=Pose2(*true[0]),
        circles=crowd,
    )
    assert errors[:, 0].max() < 0.1
    assert np.rad2deg(errors[:, 1].max()) < 3.0
    assert np.mean([e.short for e in estimates]) > 0.1
    assert all(e.localised for e in estimates[10:])


def test_wheels_slip_by_thirty_percent_on_a_wet_patch(office):
    segments, grid = office
    true = world.drive(SHORT)
    odom = world.odometry(true, np.random.default_rng(3), slip=lambda k: 1.3 if 100 < k < 200 else 1.0)
    _, estimates, errors = run(segments, grid, true, odom, start=Pose2(*true[0]))
    assert errors[:, 0].max() < 0.1
    assert all(e.localised for e in estimates[10:])


def test_furniture_has_moved(office):
    segments, grid = office
    rng = np.random.default_rng(4)
    moved = segments.copy()
    for k in range(len(moved) - 44, len(moved), 4):
        moved[k : k + 4] += np.tile(rng.uniform(-0.8, 0.8, 2), 2)
    true = world.drive(SHORT)
    _, estimates, errors = run(moved, grid, true, world.odometry(true, rng), start=Pose2(*true[0]))
    assert errors[:, 0].max() < 0.1
    assert np.mean([e.localised for e in estimates[10:]]) > 0.98


def test_a_corridor_leaves_the_way_along_it_to_odometry():
    segments = world.corridor()
    true = world.drive([(2, 1.2), (30, 1.2)])
    odom = world.odometry(true, np.random.default_rng(5), scale=1.05, turn=1.0, drift=0.002)
    _, estimates, _ = run(segments, world.rasterise(segments), true, odom, start=Pose2(*true[0]), limit=8.0)
    end = estimates[-1]
    assert abs(end.pose.y - 1.2) < 0.05
    assert abs(end.pose.yaw) < np.deg2rad(1.0)
    driven = sum(float(np.hypot(*(b.xy - a.xy))) for a, b in itertools.pairwise(odom))
    assert end.pose.x == pytest.approx(true[0][0] + driven, abs=0.15), (
        "nothing is invented along the corridor"
    )
    along, across = np.sqrt(np.diag(end.covariance))[:2]
    assert along > 20 * across
    assert abs(end.pose.x - 30.0) < 3.0 * along, "the covariance owns up to the error"
    assert not end.localised, "a metre and a half of doubt is too much to be relied upon"


def test_initial_pose_may_be_off(office):
    segments, grid = office
    true = world.drive(SHORT)[:60]
    start = Pose2(true[0][0] + 0.5, true[0][1] - 0.4, true[0][2] + 0.3)
    _, _, errors = run(segments, grid, true, world.odometry(true, np.random.default_rng(6)), start=start)
    assert errors[10:, 0].max() < 0.05


def test_finds_itself_without_an_initial_pose(office):
    segments, grid = office
    true = world.drive(SHORT)[:120]
    localizer, estimates, errors = run(segments, grid, true, world.odometry(true, np.random.default_rng(7)))
    assert localizer.searches >= 1
    assert estimates[-1].localised
    assert errors[-1, 0] < 0.1
    for e, error in zip(estimates, errors, strict=True):
        assert not (e is not None and e.localised and error[0] > 0.3), "never sure of a wrong place"


def test_kidnapping_is_noticed_and_mended(office):
    segments, grid = office
    full = world.drive(LONG)
    true = np.concatenate([full[:150], full[700:800]])
    whole = world.odometry(full, np.random.default_rng(8))
    odom = whole[:150] + [compose2(whole[149], compose2(inverse2(whole[700]), o)) for o in whole[700:800]]
    _, estimates, errors = run(segments, grid, true, odom, start=Pose2(*true[0]))
    assert errors[150, 0] > 3.0
    wrong = [k for k in range(150, 250) if estimates[k].localised and errors[k, 0] > 0.3]
    assert len(wrong) <= 4, "flagged within half a second"
    assert estimates[-1].localised
    assert errors[-1, 0] < 0.1


def test_without_search_a_kidnapped_robot_is_lost(office):
    segments, grid = office
    localizer = Localizer(grid, LocalizationConfig(auto_search=False))
    true = world.drive(SHORT)
    localizer.set_pose(Pose2(*true[0]))
    rng = np.random.default_rng(9)
    for k in range(50):
        sensor = (
            compose2(Pose2(27.0, 5.0, 1.0), MOUNT).array()
            if k > 10
            else compose2(Pose2(*true[0]), MOUNT).array()
        )
        estimate = localizer.update(world.scan(segments, sensor, 0.1 * k, rng), Pose2(), MOUNT)
    assert estimate.state is LocalizationState.LOST
    assert localizer.searches == 0


def twin_rooms():
    """Two rooms alike in every way, joined by nothing."""
    rooms = (
        world.box(0, 0, 6, 4) + world.box(1, 1, 2, 1.5) + world.box(10, 0, 16, 4) + world.box(11, 1, 12, 1.5)
    )
    return np.array(rooms, dtype=float)


def test_twin_rooms_are_never_told_apart():
    segments = twin_rooms()
    grid = world.rasterise(segments)
    true = np.array([(4.0, 2.0, 0.1 * k) for k in range(40)])
    odom = [Pose2(0, 0, 0.1 * k) for k in range(40)]
    _, estimates, _ = run(segments, grid, true, odom)
    assert estimates[-1].hypotheses >= 2
    assert not any(e is not None and e.localised for e in estimates)


def test_tracked_people_are_left_out(office):
    """Even people who pretend to be a wall, if they are tracked."""
    segments, grid = office
    pose = np.array([9.5, 7.75, 0.0])
    row = [(8.0 + 0.3 * k, 7.2, 0.16) for k in range(11)]
    tracked = tuple(TrackedPerson(i, x - 5.0, y, radius=0.2) for i, (x, y, _) in enumerate(row))
    odom = [Pose2(4.5, 7.75, 0.0)] * 30
    _, estimates, errors = run(
        segments, grid, np.tile(pose, (30, 1)), odom, start=Pose2(*pose), circles=lambda k: row,
        people=lambda k: People(0.1 * k, "odom", tracked),
    )  # fmt: skip
    assert errors.max() < 0.05
    assert estimates[-1].short < 0.02


@pytest.mark.parametrize("ranges", [np.full(360, np.inf), np.full(360, np.nan), np.array([1.0])])
def test_blind_scans_leave_the_pose_to_odometry(office, ranges):
    _, grid = office
    localizer = Localizer(grid, LocalizationConfig(auto_search=False))
    localizer.set_pose(Pose2(3.0, 4.0, 0.0), np.diag([1e-3, 1e-3, 1e-4]))
    for k in range(11):
        scan = LaserScan(0.1 * k, "laser", -np.pi, 2 * np.pi / 360, 0.1, 12.0, ranges)
        e = localizer.update(scan, Pose2(0.05 * k, 0, 0), Pose2())
    assert np.isfinite(e.pose.array()).all()
    assert np.isfinite(e.covariance).all()
    assert e.pose.x == pytest.approx(3.5, abs=0.05)
    assert not e.localised


def test_odometry_that_leaps_is_not_believed(office):
    segments, grid = office
    true = np.tile([3.0, 4.0, 0.0], (20, 1))
    odom = [Pose2()] * 10 + [Pose2(50.0, 3.0, 1.0)] * 10
    localizer, estimates, errors = run(segments, grid, true, odom, start=Pose2(3.0, 4.0, 0.0))
    assert localizer.jumps == 1
    assert errors.max() < 0.1
    assert estimates[-1].localised


def test_bad_input_is_refused(office):
    _, grid = office
    localizer = Localizer(grid)
    scan = LaserScan(0.0, "laser", -np.pi, 0.1, 0.1, 12.0, np.ones(10))
    with pytest.raises(InputError):
        localizer.update(scan, Pose2(float("nan"), 0, 0), Pose2())
    with pytest.raises(InputError):
        localizer.set_pose(Pose2(float("inf"), 0, 0))
    with pytest.raises(InputError):
        localizer.set_pose(Pose2(), np.diag([1.0, 1.0, -1.0]))
    with pytest.raises(InputError):
        Localizer(OccupancyGrid(np.zeros((10, 10), np.int8), 0.05))


# ---- parts --------------------------------------------------------------------------------------------


def test_field_is_zero_on_wall_faces_and_signed():
    data = np.zeros((60, 60), np.int8)
    data[:, 30:34] = 100
    field = likelihood_field(OccupancyGrid(data, 0.05))
    points = np.array([[1.5, 1.5], [1.3, 1.5], [1.6, 1.5], [1.9, 1.5]])
    distance, gradient = field.at(points)
    np.testing.assert_allclose(distance, [0.0, 0.2, -0.075, 0.2], atol=0.026)
    assert gradient[1] @ [1.0, 0.0] == pytest.approx(-1.0, abs=1e-3)
    far, none = field.at(np.array([[99.0, 99.0]]))
    assert far[0] == field.reach
    assert (none == 0).all()


@settings(max_examples=25, deadline=None)
@given(x=st.floats(1.5, 28.5), y=st.floats(6.9, 8.6), yaw=st.floats(-np.pi, np.pi))
def test_expected_ranges_agree_with_the_analytic_lidar(x, y, yaw):
    segments = world.office()
    field = _office_field()
    angles = np.linspace(-np.pi, np.pi, 90, endpoint=False)
    truth = np.minimum(world.cast(segments, (), (x, y, yaw), angles, 12.0), 12.0)
    guess = field.expected_ranges(Pose2(x, y, yaw), angles, 12.0)
    # At grazing incidence and at corners a cell decides; nearly all other beams agree to its diagonal.
    assert np.mean(np.abs(truth - guess) < 0.12) > 0.8


_FIELDS = []


def _office_field():
    if not _FIELDS:
        _FIELDS.append(likelihood_field(world.rasterise(world.office())))
    return _FIELDS[0]


@settings(max_examples=50, deadline=None)
@given(x=st.floats(-0.2, 0.2), y=st.floats(-0.05, 0.05), yaw=st.floats(-0.5, 0.5), seed=st.integers(0, 100))
def test_motion_model_keeps_a_covariance_and_its_jacobian(x, y, yaw, seed):
    rng = np.random.default_rng(seed)
    c = OdometryConfig()
    covariance = initial_covariance(np.diag([0.1, 0.1, 0.02]), c)
    state = np.concatenate([rng.uniform(-2, 2, 3), rng.normal(0, 0.03, 3)])
    _after, spread = predict(state, covariance, Pose2(x, y, yaw), c)
    np.testing.assert_allclose(spread, spread.T, atol=1e-12)
    assert np.linalg.eigvalsh(spread).min() > 0
    still = OdometryConfig(
        distance_noise=0, sideways_noise=0, turning_noise=0, heading_noise=0, adapt_length=1000.0
    )
    for k in range(6):
        step = np.zeros(6)
        step[k] = 1e-5
        up, _ = predict(state + step, covariance, Pose2(x, y, yaw), still)
        down, _ = predict(state - step, covariance, Pose2(x, y, yaw), still)
        column = (up - down) / 2e-5
        one = np.zeros((6, 6))
        one[k, k] = 1.0
        _, mapped = predict(state, one, Pose2(x, y, yaw), still)
        _base, _ = predict(state, np.zeros((6, 6)), Pose2(x, y, yaw), still)
        _, noise = predict(state, np.zeros((6, 6)), Pose2(x, y, yaw), still)
        np.testing.assert_allclose(np.diag(mapped - noise), column**2, atol=2e-3)
