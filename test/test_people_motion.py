"""Odometry that is late or slips must not set the furniture walking."""

from __future__ import annotations

import numpy as np
import pytest
from people_scans import Walker, film

from lifelong_nav.core.geometry import angle_difference, compose2, inverse2, transform_points2
from lifelong_nav.core.types import Pose2
from lifelong_nav.perception.free_space import FreeSpaceMemory, VisibilityTable
from lifelong_nav.perception.motion_compensation import MotionCompensation
from lifelong_nav.perception.people import PeoplePerception
from lifelong_nav.perception.people_config import PeopleConfig
from lifelong_nav.perception.scan_features import check_scan
from lifelong_nav.perception.tracks import steady_motion


def weave(t):
    return Pose2(3 * np.sin(0.2 * t), 1.5 * np.sin(0.3 * t), 0.9 * np.sin(0.8 * t))


def late(t):
    return weave(t - 0.12)


def slipping(t):
    true = weave(t)
    return Pose2(1.08 * true.x, 0.95 * true.y, 1.1 * true.yaw)


@pytest.mark.parametrize("odometry", [late, slipping])
def test_scan_matching_takes_the_error_out(odometry):
    motion = MotionCompensation()
    errors, raw, last = [], [], None
    for scan, pose, _, _ in film([], weave, 10.0, beams=720):
        steady = motion.align(odometry(scan.stamp), scan.points())
        table = VisibilityTable(
            steady, check_scan(scan), scan.angle_min, scan.angle_increment, scan.range_max
        )
        motion.remember(table, scan.range_max, scan.stamp)
        if last is not None:  # motion between scans against the truth
            true = compose2(inverse2(last[0]), pose)
            ours, odom = (
                compose2(inverse2(a), b) for a, b in ((last[1], steady), (last[2], odometry(scan.stamp)))
            )
            errors.append(abs(float(angle_difference(ours.yaw, true.yaw))))
            raw.append(abs(float(angle_difference(odom.yaw, true.yaw))))
        last = pose, steady, odometry(scan.stamp)
    assert np.mean(errors) < 0.004
    assert np.mean(errors) < 0.7 * np.mean(raw)


def test_late_odometry_hardly_makes_false_people_and_places_stay_right():
    counts = {}
    for compensate in (True, False):
        perception = PeoplePerception(PeopleConfig(compensate=compensate))
        false, misses, n = 0, 0, 0
        guest = Walker((-5, -1.5), (5, -1.0), 1.1)
        for scan, pose, truth, seen in film([guest], weave, 20.0, beams=720):
            odom = late(scan.stamp)
            people = perception.update(scan, odom)
            local = transform_points2(inverse2(odom), people.positions())
            true = transform_points2(inverse2(pose), truth)
            near = np.linalg.norm(local - true, axis=1) < 0.5
            false += int((~near).sum())
            if scan.stamp > 2 and seen[0]:
                n += 1
                misses += not near.any()
        counts[compensate] = false
        if compensate:
            assert misses < 0.12 * n
    assert counts[True] < 60
    assert counts[True] < 0.7 * counts[False] + 10


def test_steady_motion_tells_a_walk_from_hops_and_standing():
    t = np.arange(8) * 0.13
    rng = np.random.default_rng(1)
    walk = np.stack([t, 1.2 * t, 0.3 * t], axis=1)
    walk[:, 1:] += rng.normal(0, 0.04, (8, 2))
    still = np.stack([t, *rng.normal(0, 0.04, (2, 8))], axis=1)
    hop = np.stack([t, np.where(np.arange(8) % 3 == 0, 0.5, 0.0), np.zeros(8)], axis=1)
    rocket = np.stack([t, 6.0 * t, 0.0 * t], axis=1)
    short = np.full((8, 3), np.nan)
    short[:2] = walk[:2]
    trails = np.stack([walk, still, hop, rocket, short])
    assert steady_motion(trails, t[-1]).tolist() == [True, False, False, False, False]


def test_free_space_memory_knows_free_taken_and_hidden():
    memory = FreeSpaceMemory(every=0.2, depth=5)
    ranges = np.full(720, 5.0)
    ranges[355:366] = 2.0  # something 2 m ahead
    for k in range(8):
        memory.add(0.2 * k, VisibilityTable(Pose2(), ranges, -np.pi, 2 * np.pi / 720, 10.0))
    spots = np.array([(2.0, 0.0), (0.0, 2.0), (4.0, 0.0), (0.0, 7.0)])
    free, taken = memory.look(spots, np.full(4, 0.1), np.full(4, 10.0))
    assert free.tolist() == [0, 5, 0, 0]
    assert taken.tolist() == [5, 0, 0, 0]
    free, _ = memory.look(spots, np.full(4, 0.1), np.full(4, 1.05))
    assert free[1] == 3  # scans at 0.6, 0.8, 1.0 s
