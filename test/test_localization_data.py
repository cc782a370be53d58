"""Localisation on real recordings: a SICK log with SLAM-corrected poses, and a real building's map."""

import gzip

import numpy as np
import pytest

from lifelong_nav.core.geometry import compose2, inverse2, transform_points2
from lifelong_nav.core.grid import OccupancyGrid, load_map
from lifelong_nav.core.types import LaserScan, Pose2
from lifelong_nav.perception.localization import LocalizationConfig, Localizer


def carmen(path):
    """Scans (t, ranges), SLAM-corrected poses and raw odometry interpolated to the scans' times."""
    scans, stamps, raw, corrected = [], [], [], False
    for line in gzip.decompress(path.read_bytes()).decode().splitlines():
        t = line.split()
        if t and t[0] == "FLASER":
            n = int(t[1])
            scans.append((float(t[-1]), np.array(t[2 : 2 + n], float), np.array(t[2 + n : 5 + n], float)))
            corrected = True  # the ODOM line that follows repeats the corrected pose
        elif t and t[0] == "ODOM":
            if not corrected:
                stamps.append(float(t[-1]))
                raw.append([float(v) for v in t[1:4]])
            corrected = False
    raw = np.array(raw)
    raw[:, 2] = np.unwrap(raw[:, 2])
    odom = [Pose2(*(float(np.interp(s[0], stamps, raw[:, i])) for i in range(3))) for s in scans]
    return scans, odom


def map_of(scans, angles, resolution=0.05):
    """A map from scans at their corrected poses: cells hit, and cells beams crossed."""
    points = [
        transform_points2(Pose2(*p), np.stack([r * np.cos(angles), r * np.sin(angles)], -1)[r < 25.0])
        for _, r, p in scans
    ]
    every = np.concatenate(points)
    low = every.min(axis=0) - 1.0
    width, height = np.ceil((every.max(axis=0) + 1.0 - low) / resolution).astype(int)
    hit, crossed = np.zeros((height, width)), np.zeros((height, width))
    for (_, _, p), ends in zip(scans, points, strict=True):
        gap = ends - p[:2]
        length = np.linalg.norm(gap, axis=1)
        t = np.arange(0.0, 25.0, 0.7 * resolution)
        on = p[:2] + gap[:, None, :] / length[:, None, None] * t[None, :, None]
        cells = ((on - low) / resolution).astype(int)[t[None, :] < length[:, None] - 0.08]
        np.add.at(crossed, (cells[:, 1], cells[:, 0]), 1)
        cells = ((ends - low) / resolution).astype(int)
        np.add.at(hit, (cells[:, 1], cells[:, 0]), 1)
    data = np.full((height, width), -1, np.int8)
    data[hit + crossed > 0] = 0
    data[hit > 0.25 * (hit + crossed) + 1e-9] = 100
    return OccupancyGrid(data, resolution, (float(low[0]), float(low[1])))


@pytest.mark.data
def test_real_building_freiburg_101(data_folder):
    """A SICK log of keyframes a metre and 20 deg apart, its map from every other scan."""
    path = data_folder / "carmen" / "freiburg-101-corrected.log.gz"
    if not path.is_file():
        pytest.skip(f"{path} is missing")
    scans, odom = carmen(path)
    increment = np.pi / 360
    angles = -np.pi / 2 + increment * np.arange(len(scans[0][1]))
    localizer = Localizer(map_of(scans[::2], angles), LocalizationConfig(odometry_jump=5.0, range_limit=25.0))
    localizer.set_pose(Pose2(*scans[0][2]))
    errors, believed = [], []
    acc, last = Pose2(), odom[0]
    for (stamp, ranges, pose), now in zip(scans, odom, strict=True):
        moved = compose2(inverse2(last), now)
        last = now
        acc = compose2(
            acc, Pose2(1.1 * moved.x, 1.1 * moved.y, moved.yaw + 0.02 * np.hypot(moved.x, moved.y))
        )
        scan = LaserScan(stamp, "laser", -np.pi / 2, increment, 0.05, 40.0, ranges)
        e = localizer.update(scan, acc, Pose2())
        errors.append(np.hypot(e.pose.x - pose[0], e.pose.y - pose[1]))
        believed.append(e.localised)
    errors, believed = np.array(errors), np.array(believed)
    held_out = np.arange(len(errors)) % 2 == 1
    assert np.median(errors[held_out]) < 0.1
    assert np.quantile(errors[held_out], 0.95) < 0.25
    assert believed.mean() > 0.9
    assert not (believed & (errors > 0.5)).any()


@pytest.mark.data
def test_real_robot_in_the_olin_building(data_folder):
    """A robot's bag against its building's map: found from nothing, then followed."""
    folder = data_folder / "robot_bags" / "olin_rosbag2"
    bag, plan = folder / "bags" / "macfirst_floor_take_2", folder / "maps" / "mac_1st_floor_final.yaml"
    if not (bag.is_dir() and plan.is_file()):
        pytest.skip(f"{folder} is missing")
    scans, stamps, raw = olin(bag)
    mount = Pose2(0.004, 0.0, np.pi / 2)  # of the bag's /tf_static
    localizer = Localizer(load_map(plan))
    localizer.search()
    estimates = []
    for scan in scans:
        at = scan.stamp - 0.1  # this driver stamps a scan when it is complete
        odom = Pose2(*(float(np.interp(at, stamps, raw[:, i])) for i in range(3)))
        estimates.append(localizer.update(scan, odom, mount))
    assert localizer.searches == 1
    first = next(k for k, e in enumerate(estimates) if e is not None and e.localised)
    moved = np.linalg.norm(np.diff(raw[stamps < scans[first].stamp, :2], axis=0), axis=1).sum()
    assert moved < 2.0, "the first metres tell the candidates apart"
    known = estimates[first:]
    assert np.mean([e.localised for e in known]) > 0.98
    assert np.mean([e.good for e in known]) > 0.7
    assert np.mean([e.through for e in known]) < 0.2
    # The correction moves slowly: the robot is where the map says, and odometry is what drifts.
    yaw = np.unwrap([e.map_to_odom.yaw for e in known])
    assert np.rad2deg(np.std(yaw)) < 1.5


def olin(bag):
    """Scans, odometry stamps (N,) and poses (N, 3) of a rosbag2."""
    from lifelong_nav.replay.reader import open_bag

    scans, stamps, raw = [], [], []
    with open_bag(bag) as reader:
        for message in reader.messages(["/scan", "/odom"]):
            m = reader.decode(message)
            stamp = m.header.stamp.sec + m.header.stamp.nanosec * 1e-9
            if message.topic == "/scan":
                geometry = m.angle_min, m.angle_increment, m.range_min, m.range_max
                scans.append(LaserScan(stamp, "laser", *geometry, np.asarray(m.ranges)))
            else:
                p, q = m.pose.pose.position, m.pose.pose.orientation
                stamps.append(stamp)
                raw.append((p.x, p.y, 2.0 * np.arctan2(q.z, q.w)))
    raw = np.array(raw)
    raw[:, 2] = np.unwrap(raw[:, 2])
    return scans, np.array(stamps), raw
