"""The same seed and commands give the same bits, in one process and in two."""

import hashlib
import subprocess
import sys

import numpy as np
from sim_support import drive

from lifelong_nav.core.types import Pose2
from lifelong_nav.sim.building import generate
from lifelong_nav.sim.crowd.person import PersonSpec
from lifelong_nav.sim.crowd.walkers import walkers_in
from lifelong_nav.sim.engine import SimConfig, Simulation
from lifelong_nav.sim.seeds import stream


def run_hash(seed: int, renderer: str = "tiny", seconds: float = 6.0) -> str:
    scene = generate("office", 2, rooms=3)
    goals = [r.centre for r in scene.regions if r.kind != "doorway"]
    people = [PersonSpec(goals[i % len(goals)], (goals[(i + 2) % len(goals)],)) for i in range(6)]
    settings = SimConfig(renderer=renderer, camera_width=64, camera_height=48, camera_rate=2.0)
    digest = hashlib.sha256()
    x, y = scene.regions[0].centre
    with Simulation(scene, walkers_in(scene, people, seed), settings, seed, Pose2(x, y, 0.4)) as sim:
        for part in range(3):
            for sensed in drive(sim, seconds / 3, 0.7, 0.5 * (part - 1)):
                digest.update(sensed.odometry.pose.array().tobytes())
                digest.update(np.concatenate([s.linear_acceleration for s in sensed.imu]).tobytes())
                if sensed.scan is not None:
                    digest.update(sensed.scan.ranges.tobytes())
                if sensed.rgbd is not None:
                    digest.update(sensed.rgbd.frame.ids.tobytes() + sensed.rgbd.frame.depth.tobytes())
        digest.update(sim.state_hash().encode())
    return digest.hexdigest()


def test_two_processes_give_the_same_bits_and_another_seed_others():
    code = "from test_sim_determinism import run_hash; print('HASH', run_hash(3))"
    found = []
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=__file__.rsplit("/", 1)[0],
            capture_output=True, text=True, timeout=200,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        found.append(next(line for line in done.stdout.splitlines() if "HASH" in line).split("HASH ")[1][:64])
    assert found[0] == found[1]
    assert run_hash(3) == found[0]
    assert run_hash(4) != found[0]


def test_sensors_do_not_disturb_each_other_or_the_world():
    assert stream(1, "lidar").random() != stream(1, "imu").random()
    scene = generate("corridor", 0)
    hashes, gyros = set(), set()
    for values in ({}, {"scan_rate": 20.0}, {"scan_rate": 0.0}, {"lidar_mode": "fast"}, {"noise": 1.0}):
        settings = SimConfig(renderer="off", **values)
        with Simulation(scene, None, settings, 5, Pose2(2.0, 1.2, 0.0)) as sim:
            last = drive(sim, 2.0, 0.5)[-1]
            hashes.add(sim.state_hash())
            gyros.add(last.imu[-1].angular_velocity.tobytes())
    assert len(hashes) == 1
    assert len(gyros) == 1


def test_many_simulations_in_one_process_are_independent():
    scene = generate("corridor", 0)
    settings = SimConfig(renderer="off")
    alone = Simulation(scene, None, settings, 1, Pose2(2.0, 1.2, 0.0))
    drive(alone, 1.0, 0.5)
    wanted = alone.state_hash()
    alone.close()
    sims = [Simulation(scene, None, settings, 1, Pose2(2.0, 1.2, 0.0)) for _ in range(3)]
    for _ in range(20):
        for sim in sims:
            drive(sim, 0.05, 0.5)
    assert {sim.state_hash() for sim in sims} == {wanted}
    for sim in sims:
        sim.close()
        sim.close()
