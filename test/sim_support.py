"""What the simulator's tests share."""

from __future__ import annotations

import numpy as np

from lifelong_nav.core.types import FloatArray, Pose2, Twist2
from lifelong_nav.sim.crowd.state import CrowdState, RobotDisc
from lifelong_nav.sim.engine import Sensed, SimConfig, Simulation
from lifelong_nav.sim.scene import Scene

BLIND = {"renderer": "off", "scan_rate": 0.0, "noise": 0.0}


def config(**values) -> SimConfig:
    """No camera, no lidar, no noise, but for what is said."""
    return SimConfig(**{**BLIND, **values})


def drive(sim: Simulation, seconds: float, v: float = 0.0, w: float = 0.0) -> list[Sensed]:
    """Command the base all the while."""
    out = []
    for _ in range(round(seconds / sim.config.tick)):
        sim.command(Twist2(v, 0.0, w))
        out.append(sim.step())
    return out


def travel(scene: Scene, seconds: float, v: float, w: float = 0.0, prepare=None, start: Pose2 | None = None):
    """Poses of truth and odometry after a drive from rest, both relative to the start: (2, 3)."""
    with Simulation(scene, None, config(), 0, start) as sim:
        if prepare is not None:
            prepare(sim)
        first = sim.truth().robot_pose
        sensed = drive(sim, seconds, v, w)
        last = sim.truth().robot_pose
        odometry = sensed[-1].odometry.pose
    return np.array([last.array() - first.array(), odometry.array()])


class Marchers:
    """People who walk straight on at their velocity, whatever stands in their way."""

    def __init__(self, positions: FloatArray, velocities: FloatArray) -> None:
        self.positions = np.array(positions, dtype=float)
        self.velocities = np.array(velocities, dtype=float)

    def state(self) -> CrowdState:
        n = len(self.positions)
        headings = np.arctan2(self.velocities[:, 1], self.velocities[:, 0])
        return CrowdState(
            np.arange(n), self.positions.copy(), self.velocities.copy(), headings, np.full(n, 0.25),
            np.full(n, -1), np.ones(n, dtype=bool),
        )  # fmt: skip

    def step(self, dt: float, robot: RobotDisc | None, segments: FloatArray | None = None) -> None:
        self.positions = self.positions + dt * self.velocities
