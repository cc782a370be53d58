"""A small world for tests of the trajectory network: a robot, a person in its way, and somebody's habit."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from lifelong_nav.core.types import LaserScan, People, Pose2, TrackedPerson, Twist2
from lifelong_nav.trajectory.generator.moments import Moments, join
from lifelong_nav.trajectory.lifelong.recorder import DemonstrationRecorder
from lifelong_nav.trajectory.situation import Situation

SPACE = "test-space"


def situation(seed: int = 0, people: int = 3) -> Situation:
    """Anything that may happen."""
    rng = np.random.default_rng(seed)
    pose = Pose2(*rng.normal(size=3).tolist())
    crowd = tuple(
        TrackedPerson(
            i, *(pose.xy + rng.normal(size=2) * 3).tolist(), *rng.normal(size=2).tolist(), group_id=i % 2 - 1
        )
        for i in range(people)
    )
    ranges = rng.uniform(0.5, 12.0, 360)
    ranges[rng.random(360) < 0.1] = np.inf
    scan = LaserScan(0.0, "laser", -np.pi, np.pi / 180, 0.05, 12.0, ranges)
    route = pose.xy + np.cumsum(np.vstack([np.zeros(2), rng.normal(size=(6, 2))]), axis=0)
    return Situation(
        10.0, pose, Twist2(0.4, 0.0, 0.1), route, Pose2(*route[-1].tolist(), float("nan")), 0.8,
        People(10.0, "odom", crowd), scan=scan, sensor=pose,
    )  # fmt: skip


def drive(side: float, seed: int, start: float, noise: float = 0.0, seconds: float = 16.0) -> list[Situation]:
    """Somebody steers past standing people every 6 m, `side` metres to the left of each (negative: right)."""
    rng = np.random.default_rng(seed)
    origin = Pose2(*rng.normal(size=2).tolist(), float(rng.uniform(-3, 3)))
    times = np.arange(0.0, seconds, 0.2)
    x = 0.7 * times
    y = side * np.exp(-(((x % 6.0 - 3.0) / 1.2) ** 2))
    if noise:
        y = y + noise * np.cumsum(rng.normal(size=len(x))) * 0.3
        x = np.maximum.accumulate(x + noise * rng.normal(size=len(x)) * 0.1)
    yaw = np.unwrap(np.arctan2(np.gradient(y), np.gradient(x)))
    v, w = np.hypot(np.gradient(x, 0.2), np.gradient(y, 0.2)), np.gradient(yaw, 0.2)
    c, s = np.cos(origin.yaw), np.sin(origin.yaw)
    spots = np.stack(
        [np.arange(3.0, x[-1] + 9.0, 6.0), np.zeros(len(np.arange(3.0, x[-1] + 9.0, 6.0)))], axis=-1
    )
    world = spots @ np.array([[c, s], [-s, c]]) + origin.xy
    crowd = tuple(TrackedPerson(i, *p.tolist()) for i, p in enumerate(world))
    out = []
    for k, t in enumerate(times):
        pose = Pose2(
            float(origin.x + c * x[k] - s * y[k]),
            float(origin.y + s * x[k] + c * y[k]),
            float(yaw[k] + origin.yaw),
        )
        stamp = start + float(t)
        out.append(
            Situation(
                stamp, pose, Twist2(float(v[k]), 0.0, float(w[k])), np.zeros((0, 2)),
                Pose2(float("nan"), float("nan"), float("nan")), 0.8, People(stamp, "odom", crowd),
            )
        )  # fmt: skip
    return out


def shown(drives: list[list[Situation]], space: str = SPACE) -> Moments:
    """The moments a recorder makes of drives."""
    recorder, parts = DemonstrationRecorder(space), []
    for run in drives:
        for now in run:
            parts += recorder.observe(now)
        parts += recorder.finish()
    return join(parts)


def make_model(folder: Path, seed: int = 0, steps: int = 8) -> Path:
    """A small trained model on disk: passes people on the right mostly, sometimes on the left."""
    import torch

    from lifelong_nav.core.checkpoints import save_checkpoint
    from lifelong_nav.training.trajectories_fit import FitConfig, fit_heads, queries
    from lifelong_nav.training.trajectories_network import TrunkNet, export
    from lifelong_nav.trajectory.generator import heads_torch
    from lifelong_nav.trajectory.generator.heads import Heads

    torch.manual_seed(seed)
    net = TrunkNet().eval()
    version = export(net, folder / "trunk", SPACE, {})
    sides = [-0.8, -0.8, -0.8, 0.8]
    base = shown([drive(sides[k % 4], 100 + k, 1000.0 * k) for k in range(8)])
    held = shown([drive(sides[k % 4], 200 + k, 1000.0 * k) for k in range(4)])
    with torch.no_grad():
        query = queries(net, base)
    start = heads_torch.arrays(heads_torch.fresh_weights(seed))
    config = FitConfig(rate=3e-3, batch=64)
    params = fit_heads(query, base, start, config, steps, seed)
    Heads(params, {"trunk": version, "space": SPACE}).save(folder / "heads")
    save_checkpoint(folder / "memory" / "replay.safetensors", base.tensors(), {})
    save_checkpoint(folder / "memory" / "held_out.safetensors", held.tensors(), {})
    return folder
