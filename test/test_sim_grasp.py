"""The arm can do what later skills need: reach, grip by friction alone, lift and hold."""

from pathlib import Path

import numpy as np
import pytest
from sim_support import config, drive
from transforms3d.euler import euler2mat

from lifelong_nav.core.types import Pose2
from lifelong_nav.sim.engine import Simulation
from lifelong_nav.sim.robot_urdf import _PANDA, ARM, FINGERS, READY
from lifelong_nav.sim.scene_io import load_scene

KITCHEN = Path(__file__).parent.parent / "sim" / "scenes" / "kitchen.yaml"
LIMITS = np.array([(row[4], row[5]) for row in _PANDA])


def forward(q):
    """Axes (7, 3), origins (7, 3) and the grasp point's transform, in the arm's base."""
    t, axes, origins = np.eye(4), [], []
    for value, (_, _, xyz, rpy, *_) in zip(q, _PANDA, strict=True):
        fixed = np.eye(4)
        fixed[:3, :3], fixed[:3, 3] = euler2mat(*rpy), xyz
        t = t @ fixed
        axes.append(t[:3, 2].copy())
        origins.append(t[:3, 3].copy())
        turn = np.eye(4)
        turn[:3, :3] = euler2mat(0, 0, value)
        t = t @ turn
    tip = np.eye(4)
    tip[:3, :3], tip[2, 3] = euler2mat(0, 0, -np.pi / 4), 0.107 + 0.105
    return np.array(axes), np.array(origins), t @ tip


def solve(position, q):
    """Joints that bring the grasp point to `position`, gripper down: damped least squares."""
    down = np.array([[1, 0, 0], [0, -1, 0], [0, 0, -1.0]])
    for _ in range(300):
        axes, origins, tip = forward(q)
        move = position - tip[:3, 3]
        turn = 0.5 * sum(np.cross(tip[:3, i], down[:, i]) for i in range(3))
        error = np.concatenate([move, turn])
        if np.abs(error).max() < 1e-4:
            break
        jacobian = np.vstack([np.cross(axes, tip[:3, 3] - origins).T, axes.T])
        step = jacobian.T @ np.linalg.solve(jacobian @ jacobian.T + 1e-3 * np.eye(6), error)
        q = np.clip(q + np.clip(step, -0.2, 0.2), LIMITS[:, 0] + 0.02, LIMITS[:, 1] - 0.02)
    return q, float(np.linalg.norm(move))


@pytest.mark.parametrize("cube", ["red_cube", "blue_cube"])
def test_cube_is_grasped_lifted_and_held(cube):
    scene = load_scene(KITCHEN)
    box = next(b for b in scene.boxes if b.name == cube)
    with Simulation(scene, None, config(), 0, Pose2(box.x + 0.05, 3.9, np.pi / 2)) as sim:
        sim.arm(dict(zip(ARM, READY, strict=True)))
        drive(sim, 4.0)
        base = sim.robot.link_transforms()[sim.robot.links["panda_link0"] + 1]
        at = np.linalg.inv(base) @ np.array([box.x, box.y, box.z + 0.025, 1.0])
        q = np.array(READY)
        for rise in (0.12, 0.0):
            q, miss = solve(np.add(at[:3], (0, 0, rise)), q)
            assert miss < 1e-3
            sim.arm(dict(zip(ARM, q, strict=True)))
            drive(sim, 2.5)
        sim.arm(dict.fromkeys(FINGERS, 0.015))
        drive(sim, 1.0)
        q, _ = solve(np.add(at[:3], (0, 0, 0.15)), q)
        sim.arm(dict(zip(ARM, q, strict=True)))
        drive(sim, 4.0)
        height = sim.truth().objects[cube][2, 3]
        hand = sim.robot.link_transforms()[sim.robot.links["grasp_point"] + 1]
        assert height > box.z + 0.025 + 0.12
        assert np.linalg.norm(hand[:3, 3] - sim.truth().objects[cube][:3, 3]) < 0.03
        sim.arm(dict.fromkeys(FINGERS, 0.04))
        drive(sim, 1.5)
        assert sim.truth().objects[cube][2, 3] < height - 0.08
