"""Expert moments of the training half of the social suite: sensed as on the robot, driven by the expert.

One file per case, so that a run goes on where a kill left it. Some starts are moved off the way and some
cases driven at other speeds: the network must know what to do where it was led by its own mistakes, too.
The social context is the shipped SC-CLIP's (`flat_eyes`), from pictures and facts in some cases, from facts
alone in the others.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from lifelong_nav.core.checkpoints import load_checkpoint, save_checkpoint
from lifelong_nav.core.errors import LifelongNavError, StorageError
from lifelong_nav.core.types import FloatArray, Pose2
from lifelong_nav.sim import suite
from lifelong_nav.sim.flat import FlatConfig, FlatWorld
from lifelong_nav.sim.scenario_build import Run
from lifelong_nav.training.expert_scene import floor
from lifelong_nav.training.flat_eyes import FlatEyes
from lifelong_nav.training.trajectory_expert import SEARCH, STEP, Task, expert, replay, task
from lifelong_nav.trajectory.candidates import propose
from lifelong_nav.trajectory.cost_grid import CostGrid, InflationConfig, inflate
from lifelong_nav.trajectory.generator.features import features
from lifelong_nav.trajectory.generator.heads import KNOT, KNOTS
from lifelong_nav.trajectory.generator.moments import Moments, expert_ahead, from_tensors, join, moment
from lifelong_nav.trajectory.generator.selection_network import at_knots
from lifelong_nav.trajectory.route import RoutePlanner
from lifelong_nav.trajectory.selector import with_forecast
from lifelong_nav.trajectory.situation import Situation

VERSION = 1
STRIDE, LEAST = 0.5, 1.8
"""Seconds between moments of a run; so much of what came after must be known [s]."""
VALIDATION_LAYOUT = 9
"""Of the training half; its cases are for validation."""
CLASSICAL, COMPARED = 24, 4
"""Candidates kept of a moment, and every how manieth moment has them."""
Tell = Callable[[int, int], None]


@dataclass(frozen=True, order=True)
class SimCase:
    """One case of the training half, how it is changed: start `moved`, `speed` [m/s], `image` or facts."""

    family: str
    human: str
    layout: int
    seed: int
    moved: bool
    speed: float
    image: bool

    @property
    def name(self) -> str:
        """Of its file."""
        digest = hashlib.sha256(f"{VERSION} {self}".encode()).hexdigest()[:8]
        return f"{self.family}-{self.human}-{self.layout}-{self.seed}-{digest}"

    @property
    def held_out(self) -> bool:
        """For validation?"""
        return self.layout == VALIDATION_LAYOUT


def sim_cases(each: int, seed: int = 0) -> list[SimCase]:
    """Cases of the training half: `each` of every family and human model, in an order that mixes them."""
    s = suite.suite()
    layouts = s.layouts_of(suite.TRAIN)
    made = []
    for family in s.families(suite.TRAIN):
        for human in s.humans:
            for k in range(each):
                rng = np.random.default_rng([seed, zlib.crc32(f"{family}/{human}".encode()), k])
                layout = int(layouts[(k + zlib.crc32(f"{family}{human}".encode())) % len(layouts)])
                made.append(
                    SimCase(
                        family, human, layout, 5000 + 100 * seed + k, bool(rng.random() < 0.4),
                        0.8 if rng.random() < 0.7 else float(np.round(rng.uniform(0.45, 1.1), 2)),
                        bool(rng.random() < 0.5),
                    )
                )  # fmt: skip
    order = np.random.default_rng(seed).permutation(len(made))
    return [made[i] for i in order]


def make_cases(cases: list[SimCase], folder: Path, workers: int, tell: Tell) -> None:
    """Drive all cases that are not on disk yet, in processes."""
    missing = [c for c in cases if not _is_whole(folder / f"{c.name}.safetensors")]
    done = len(cases) - len(missing)
    tell(done, len(cases))
    if workers <= 1:
        for case in missing:
            make_case(case, folder)
            done += 1
            tell(done, len(cases))
        return
    with ProcessPoolExecutor(workers) as pool:
        for _ in pool.map(make_case, missing, [folder] * len(missing)):
            done += 1
            tell(done, len(cases))


def make_case(case: SimCase, folder: Path) -> None:
    """Drive one case and write what was seen; a case without a way is written empty."""
    try:
        tensors = sensed_moments(case)
    except LifelongNavError as error:
        tensors, why = {"none": np.zeros(1, dtype=np.float32)}, error.what
    else:
        why = ""
    save_checkpoint(folder / f"{case.name}.safetensors", tensors, {"case": str(case), "refused": why})


def sensed_moments(case: SimCase) -> dict[str, FloatArray]:
    """The expert's run of a case as arrays: `Moments`, and at some moments the classical candidates."""
    what = changed(case)
    run = expert(what, rounds=2)
    if not run.reached or run.figures["touches"] > 0:
        return {"none": np.zeros(1, dtype=np.float32)}
    world = FlatWorld(what.make(), what.seed, FlatConfig(speed=what.speed))
    route = route_of(world, what.goal)
    times = np.arange(len(run.poses)) * STEP
    episode = zlib.crc32(case.name.encode())
    every = round(STRIDE / STEP)
    parts, classical, kept = [], [], []
    with FlatEyes(world, case.seed, image=case.image) as eyes:
        for k, sensed in enumerate(replay(what, run)):
            if k % every or times[-1] - times[k] < LEAST:
                continue
            situation = Situation(
                sensed.stamp, sensed.pose, sensed.twist, route,
                Pose2(float(what.goal[0]), float(what.goal[1]), float("nan")), what.speed, sensed.people,
                scan=sensed.scan, sensor=sensed.pose, context=eyes.context(sensed, what.goal),
                robot_radius=what.radius, frame_id="map",
            )  # fmt: skip
            ahead, valid = expert_ahead(times, run.poses, float(times[k]), KNOT * np.arange(1, KNOTS + 1))
            parts.append(moment(features(situation), ahead, valid, episode, float(times[k])))
            compared = len(parts) % COMPARED == 1
            kept.append(compared)
            if compared:
                classical.append(rival_paths(situation))
    if not parts:
        return {"none": np.zeros(1, dtype=np.float32)}
    return {
        **join(parts).tensors(), "compared": np.array(kept, dtype=np.uint8),
        "classical": np.array(classical, dtype=np.float32),
    }  # fmt: skip


def changed(case: SimCase) -> Task:
    """The task of a case, its start moved where the case says so."""
    what = task(case.family, case.human, case.layout, case.seed, case.speed)
    if not case.moved:
        return what
    plain = what.make

    def make() -> Run:
        run = plain()
        rng = np.random.default_rng([case.seed, 7])
        world = FlatWorld(run, case.seed, FlatConfig(scan=False))
        for _ in range(20):
            aside, along, turn = rng.uniform((-0.7, -0.2, -0.8), (0.7, 0.8, 0.8))
            c, s = np.cos(run.start.yaw), np.sin(run.start.yaw)
            x = run.start.x + along * c - aside * s
            y = run.start.y + along * s + aside * c
            gap = np.hypot(*(world.state.positions[world.state.present] - (x, y)).T).min(initial=9.0)
            if gap > 0.8 and _clear(world, np.array([x, y]), run.start.xy):
                return run._replace(start=Pose2(float(x), float(y), run.start.yaw + float(turn)))
        return run

    return replace(what, make=make)


def _clear(world: FlatWorld, xy: FloatArray, start: FloatArray) -> bool:
    """Free of walls here and on the straight way from the start."""
    from lifelong_nav.sim.flat.body import wall_gap

    return all(wall_gap(start + f * (xy - start), world.walls, 0.3) > 0.0 for f in (0.25, 0.5, 0.75, 1.0))


def route_of(world: FlatWorld, goal: FloatArray) -> FloatArray:
    """(M, 2) the way over the known map, as benchmarks hand it to planners."""
    speed, radius = world.config.speed, world.config.radius
    ground = floor(world.walls, world.pose.xy, goal, speed, radius, SEARCH)
    field = ground.field
    grid = CostGrid(
        inflate(field.distance, None, InflationConfig(robot_radius=radius)), field.distance, ground.cell,
        field.origin, "map",
    )  # fmt: skip
    end = Pose2(float(goal[0]), float(goal[1]), 0.0)
    return np.asarray(RoutePlanner().plan(grid, world.pose, end, tolerance=1.0).points[:, :2])


def rival_paths(situation: Situation) -> FloatArray:
    """(CLASSICAL, KNOTS, 3) of rules and search in the robot's frame; the last one repeated to fill."""
    found = propose(with_forecast(situation))[:CLASSICAL]
    poses = at_knots(np.stack([c.trajectory.poses for c in found]))
    pose = situation.pose
    c, s = np.cos(pose.yaw), np.sin(pose.yaw)
    dx, dy = poses[..., 0] - pose.x, poses[..., 1] - pose.y
    local = np.stack([c * dx + s * dy, -s * dx + c * dy, poses[..., 2] - pose.yaw], axis=-1)
    rows = np.minimum(np.arange(CLASSICAL), len(local) - 1)
    return np.asarray(local[rows])


@dataclass(frozen=True)
class SimData:
    """Moments of many cases; `rivals` (R, CLASSICAL, KNOTS, 3) belong to the rows `compared` (R,)."""

    moments: Moments
    compared: FloatArray
    rivals: FloatArray


def load_cases(cases: list[SimCase], folder: Path) -> SimData:
    """All moments of cases that are on disk."""
    parts, rows, rivals, count = [], [], [], 0
    for case in cases:
        path = folder / f"{case.name}.safetensors"
        if not path.is_file():
            continue
        tensors, _ = load_checkpoint(path)
        if "none" in tensors:
            continue
        part = from_tensors(tensors)
        parts.append(part)
        rows.append(count + np.flatnonzero(tensors["compared"]))
        rivals.append(tensors["classical"])
        count += len(part)
    return SimData(join(parts), np.concatenate(rows), np.concatenate(rivals))


def _is_whole(path: Path) -> bool:
    try:
        load_checkpoint(path)
    except StorageError:
        return False
    return True
