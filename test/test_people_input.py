"""What people perception does with scans that are broken, odd or out of order."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from people_scans import Walker, film

from lifelong_nav.core.errors import InputError
from lifelong_nav.core.types import LaserScan, Pose2
from lifelong_nav.perception.people import PeoplePerception
from lifelong_nav.perception.scan_features import SensorFault, check_scan, describe, segment

ORIGIN = Pose2()


def scan_of(ranges, stamp=0.0):
    ranges = np.asarray(ranges, dtype=float)
    step = 2 * np.pi / max(len(ranges), 1)
    return LaserScan(stamp, "laser", -np.pi, step, 0.05, 12.0, ranges)


def walk(perception, seconds=4.0, start=0.0):
    out = []
    for scan, pose, _, _ in film([Walker((-4, 1), (4, 1))], lambda t: Pose2(), seconds):
        out.append(perception.update(replace(scan, stamp=scan.stamp + start), pose))
    return out


@pytest.mark.parametrize("bad", [np.nan, -1.0, -np.inf, 0.01])
def test_more_than_half_the_beams_invalid_is_a_sensor_fault(bad):
    ranges = np.full(360, 3.0)
    ranges[:180] = bad
    PeoplePerception().update(scan_of(ranges), ORIGIN)
    ranges[:181] = bad
    with pytest.raises(SensorFault, match="181 of 360"):
        PeoplePerception().update(scan_of(ranges), ORIGIN)


@pytest.mark.parametrize("ranges", [[], np.zeros(360), np.full(30_000, 1.0)])
def test_empty_blind_and_oversized_scans_are_sensor_faults(ranges):
    with pytest.raises(SensorFault):
        PeoplePerception().update(scan_of(ranges), ORIGIN)


def test_nothing_within_range_is_no_fault():
    assert len(PeoplePerception().update(scan_of(np.full(360, np.inf)), ORIGIN)) == 0
    lone = np.zeros(360)  # drivers that write 0 for "no return"
    lone[10] = 3.0
    PeoplePerception().update(scan_of(lone), ORIGIN)


@pytest.mark.parametrize(
    "change", [{"angle_increment": 0.0}, {"angle_min": np.nan}, {"range_max": 0.0}, {"stamp": np.inf}]
)
def test_impossible_geometry_is_a_sensor_fault(change):
    with pytest.raises(SensorFault):
        PeoplePerception().update(replace(scan_of(np.full(360, 2.0)), **change), ORIGIN)


def test_a_fault_leaves_the_tracks_alone():
    perception = PeoplePerception()
    before = walk(perception)[-1]
    with pytest.raises(SensorFault):
        perception.update(scan_of(np.full(360, np.nan), stamp=4.0), ORIGIN)
    with pytest.raises(InputError):
        perception.update(scan_of(np.full(360, 2.0), stamp=4.0), Pose2(np.nan, 0.0, 0.0))
    after = [
        perception.update(s, p) for s, p, _, _ in film([Walker((-4, 1), (4, 1))], lambda t: Pose2(), 4.3)
    ][-1]
    assert {p.id for p in after.people} == {p.id for p in before.people}


def test_time_that_jumps_back_starts_afresh_with_the_same_result():
    perception = PeoplePerception()
    first, second = walk(perception), walk(perception)
    assert any(len(p) for p in first)
    for a, b in zip(first, second, strict=True):
        assert [p.id for p in a.people] == [p.id for p in b.people]
        assert np.array_equal(a.positions(), b.positions())


def test_a_late_scan_changes_nothing():
    perception = PeoplePerception()
    last = walk(perception)[-1]
    assert perception.update(scan_of(np.full(360, 2.0), stamp=last.stamp - 0.3), ORIGIN) is last
    assert perception.update(scan_of(np.full(360, 2.0), stamp=last.stamp), ORIGIN) is last


def test_a_long_gap_forgets_people_but_not_ids():
    perception = PeoplePerception()
    before = {p.id for people in walk(perception) for p in people.people}
    after = {p.id for people in walk(perception, start=60.0) for p in people.people}
    assert before
    assert after
    assert not before & after


def test_beam_count_may_change_from_scan_to_scan():
    perception = PeoplePerception()
    films = [film([Walker((-4, 1), (4, 1))], lambda t: Pose2(), 4.0, beams=n) for n in (360, 367, 411)]
    last = [
        perception.update(trio[k % 3][0], trio[k % 3][1]) for k, trio in enumerate(zip(*films, strict=True))
    ][-1]
    assert len(last) == 1


def test_a_lidar_that_turns_clockwise_sees_the_same_people():
    def mirrored(scan):
        n = len(scan.ranges)
        return replace(
            scan, angle_min=scan.angle_min + (n - 1) * scan.angle_increment,
            angle_increment=-scan.angle_increment, ranges=scan.ranges[::-1],
        )  # fmt: skip

    a, b = PeoplePerception(), PeoplePerception()
    for scan, pose, _, _ in film([Walker((-4, 1), (4, 1))], lambda t: Pose2(), 4.0):
        one, two = a.update(scan, pose), b.update(mirrored(scan), pose)
    assert len(one) == len(two) == 1
    assert np.allclose(one.positions(), two.positions(), atol=0.05)


@given(
    hnp.arrays(np.float64, hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=40),
               elements=st.floats(allow_nan=True, allow_infinity=True, width=32) | st.floats(0.05, 6.0)),
    st.lists(st.floats(-5.0, 5.0), min_size=40, max_size=40),
)  # fmt: skip
@settings(max_examples=150, deadline=None)
def test_whatever_comes_in_what_goes_out_is_finite(rows, steps):
    perception = PeoplePerception()
    stamp = 0.0
    for ranges, step in zip(rows, steps, strict=False):
        stamp += step * 0.1
        try:
            people = perception.update(scan_of(ranges, stamp), Pose2(step, -step, step))
        except SensorFault:
            continue
        check(people)


@given(st.integers(0, 10_000), st.floats(0.0, 0.4), st.floats(0.02, 1.5))
@settings(max_examples=15, deadline=None)
def test_noisy_scans_keep_ids_unique_and_covariances_positive(seed, dropout, jerk):
    rng = np.random.default_rng(seed)
    perception = PeoplePerception()
    walkers = [Walker(tuple(rng.uniform(-4, 4, 2)), tuple(rng.uniform(-4, 4, 2)), 1.0) for _ in range(3)]
    for scan, pose, _, _ in film(walkers, lambda t: Pose2(jerk * np.sin(t), 0, t), 3.0, seed=seed):
        ranges = scan.ranges.copy()
        ranges[rng.random(len(ranges)) < dropout] = rng.choice([np.nan, np.inf, -1.0, 0.0])
        check(perception.update(replace(scan, ranges=ranges), pose))


def check(people):
    ids = [p.id for p in people.people]
    assert len(set(ids)) == len(ids)
    for p in people.people:
        assert np.isfinite([p.x, p.y, p.vx, p.vy, p.confidence, p.age]).all()
        assert 0.0 <= p.confidence <= 1.0
        assert p.age >= 0.0
        assert np.allclose(p.covariance, p.covariance.T)
        assert np.linalg.eigvalsh(p.covariance).min() > 0.0


def test_segments_join_across_the_seam_of_a_full_circle():
    ranges = np.full(360, np.inf)
    ranges[[358, 359, 0, 1]] = 2.0
    scan = scan_of(ranges)
    order, starts = segment(check_scan(scan), scan.angles(), 0.1)
    clusters = describe(check_scan(scan), scan.angles(), order, starts)
    assert len(clusters) == 1
    assert clusters.count[0] == 4
    assert np.allclose(clusters.centre[0], [-2.0, 0.0], atol=0.04)


def test_cluster_numbers_of_a_leg_and_a_wall():
    from people_scans import LEG, cast

    scan, _ = cast(Pose2(), np.array([(2.0, 0.0, LEG)]), np.array([(-3.0, -2.0, -3.0, 2.0)]), beams=1440)
    ranges = check_scan(scan)
    c = describe(ranges, scan.angles(), *segment(ranges, scan.angles(), 0.1))
    leg, wall = np.argmax(c.centre[:, 0]), np.argmin(c.centre[:, 0])
    assert c.width[leg] == pytest.approx(2 * LEG, abs=0.03)
    assert c.bulge[leg] > 0.04
    assert (c.jump[leg] == 10.0).all()
    assert c.width[wall] == pytest.approx(4.0, abs=0.1)
    assert c.thickness[wall] < 0.005
