"""Runs in the simulator for people perception: scans, pictures, and who could be seen in them.

The robot drives slowly and looks about; wheel odometry, lidar and RGB-D camera have their noise, the
camera runs out of step with the lidar and its pictures arrive late. Truth knows who is in plain view
of a sensor; the others are neither wanted nor held against anybody.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lifelong_nav.core.geometry import inverse2, lift, matrix, pose3, transform_points2
from lifelong_nav.core.types import FloatArray, LaserScan, Pose2, Pose3, Twist2
from lifelong_nav.perception.box_geometry import Camera
from lifelong_nav.sim.camera import Intrinsics
from lifelong_nav.sim.engine import Simulation
from lifelong_nav.sim.instances import person_ids
from lifelong_nav.sim.readings import RgbdReading, SimConfig
from lifelong_nav.sim.scenario import load
from lifelong_nav.sim.scenario_build import build

REACH = 7.0
"""People farther away are not scored [m]."""

LATE = 0.1
"""Pictures arrive this much after they were taken [s]."""

PICTURE_RATE = 8.0
"""Pictures per second."""


@dataclass(frozen=True)
class Picture:
    """A picture as the robot has it: `pose` of the optical frame in odom, by odometry and joints."""

    stamp: float
    rgb: NDArray[np.uint8]
    depth: NDArray[np.float32]
    pose: Pose3


@dataclass(frozen=True)
class Instant:
    """One scan with what is known of its time.

    `pose` of the laser in odom by odometry; `ids` (N,) and `places` (N, 2) [m] of all people, in the
    sensor frame; `open` (N,) in plain view of the lidar, `shown` (N,) in the newest picture, `still` (N,)
    standing; `pictures` that arrived since the scan before.
    """

    scan: LaserScan
    pose: Pose2
    ids: NDArray[np.int64]
    places: FloatArray
    open: NDArray[np.bool_]
    shown: NDArray[np.bool_]
    still: NDArray[np.bool_]
    pictures: tuple[Picture, ...]


def camera_of(config: SimConfig) -> Camera:
    """The simulated camera's numbers."""
    k = Intrinsics(config.camera_width, config.camera_height, config.camera_fov)
    return Camera(k.k, k.width, k.height)


def instants(scenario: str, seed: int, seconds: float) -> Iterator[Instant]:
    """One run, scan by scan.

    Args:
        scenario: name in sim/scenarios.
        seed: of building, people and noise.
        seconds: how long.
    """
    run = build(load(scenario), seed)
    config = SimConfig(camera_rate=PICTURE_RATE)
    camera = camera_of(config)
    shown: dict[int, bool] = {}
    waiting: list[Picture] = []
    arrived: list[Picture] = []
    with Simulation(run.scene, run.crowd, config, seed, run.start) as sim:
        while sim.time < seconds:
            driving = sim.time > 2.0  # at first it stands, as after being switched on
            sim.command(Twist2(0.25 * driving, 0.0, 0.35 * np.sin(2.0 * np.pi * sim.time / 8.0) * driving))
            sensed = sim.step()
            truth = sim.truth()
            odom = sensed.odometry.pose
            if sensed.rgbd is not None:
                reading = sensed.rgbd
                mount = np.linalg.inv(matrix(lift(truth.robot_pose))) @ matrix(reading.pose)
                pose = pose3(matrix(lift(odom)) @ mount)
                waiting.append(Picture(sensed.stamp, reading.frame.rgb, reading.frame.depth, pose))
                shown = _shown(reading, sim.people.ids, sim.people.positions, camera)
            while waiting and waiting[0].stamp <= sensed.stamp - LATE + 1e-6:
                arrived.append(waiting.pop(0))
            if sensed.scan is None:
                continue
            ids = np.array([p.id for p in truth.people.people], dtype=np.int64)
            places = transform_points2(inverse2(truth.robot_pose), truth.people.positions())
            speed = np.hypot(*truth.people.velocities().T)
            yield Instant(
                sensed.scan, odom, ids, places, _open(sensed.scan, places),
                np.array([shown.get(int(i), False) for i in ids], dtype=bool), speed < 0.1, tuple(arrived),
            )  # fmt: skip
            arrived = []


def _shown(
    reading: RgbdReading, ids: NDArray[np.int64], places: FloatArray, camera: Camera
) -> dict[int, bool]:
    """Who shows at least a third of an upright body in the picture."""
    counts = np.bincount(np.maximum(reading.frame.ids, 0).ravel())
    out = {}
    for number, body, place in zip(ids, person_ids(ids), places, strict=True):
        away = max(float(np.hypot(*(place - reading.pose.position[:2]))), 0.5)
        whole = 0.5 * 1.7 * 0.55 * (camera.k[0, 0] / away) ** 2  # a body fills about half its box
        seen = counts[body] if body < len(counts) else 0
        out[int(number)] = bool(seen > min(0.33 * whole, 4000.0) and seen > 30)
    return out


def _open(scan: LaserScan, places: FloatArray) -> NDArray[np.bool_]:
    """(N,) True where the lidar reaches a person's place, or most of its width."""
    ranges = np.where(np.isfinite(scan.ranges), scan.ranges, scan.range_max)
    angles = scan.angles()
    out = np.zeros(len(places), dtype=bool)
    for k, (x, y) in enumerate(places):
        away = float(np.hypot(x, y))
        beside = np.abs((angles - np.arctan2(y, x) + np.pi) % (2.0 * np.pi) - np.pi)
        beams = ranges[beside < np.arctan2(0.2, max(away, 0.2)) + scan.angle_increment]
        out[k] = bool((beams > away - 0.5).mean() > 0.5)
    return out
