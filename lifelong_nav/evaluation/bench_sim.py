"""Speed of the simulator on one core, in CPU time: simulated seconds per CPU second.

Every figure stands beside a yardstick (a plain Python loop timed in the same run), because machines
differ: 0.089 s is what the reference machine takes for it. CPU time of all threads of the process
counts, so a renderer gains nothing from a second core.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from lifelong_nav.core.errors import LifelongNavError
from lifelong_nav.core.types import Pose2, Twist2
from lifelong_nav.evaluation.bench import BenchResult, Target
from lifelong_nav.sim.building import generate
from lifelong_nav.sim.crowd.person import PersonSpec
from lifelong_nav.sim.crowd.walkers import Walkers, walkers_in
from lifelong_nav.sim.engine import SimConfig, Simulation
from lifelong_nav.sim.scene import Scene
from lifelong_nav.sim.seeds import stream

REFERENCE_YARDSTICK = 0.089
"""Seconds the reference machine takes for the yardstick."""

_WARM_UP = 2.0  # simulated seconds before the clock starts

# name, people, settings, goal; pictures are 320x240 at 10 Hz, scans 360 beams at 20 Hz
_CASES: tuple[tuple[str, int, dict[str, Any], float | None], ...] = (
    ("physics, robot alone", 0, {"renderer": "off", "scan_rate": 0.0}, None),
    ("physics, 20 people", 20, {"renderer": "off", "scan_rate": 0.0}, 12.0),
    ("exact lidar, 10 people", 10, {"renderer": "off"}, 5.0),
    ("fast lidar, 10 people", 10, {"renderer": "off", "lidar_mode": "fast"}, None),
    ("exact lidar and RGB-D (moderngl), 10 people", 10, {"renderer": "gl"}, 3.0),
    ("exact lidar and RGB-D (TinyRenderer), 10 people", 10, {"renderer": "tiny"}, 1.5),
)


def run(quick: bool = False) -> BenchResult:
    """Measure. `quick` simulates 6 s per case instead of 30 s."""
    seconds = 6.0 if quick else 30.0
    scene = generate("office", 3)
    rows: list[tuple[Any, ...]] = []
    factors: dict[str, float] = {}
    targets: list[Target] = []
    notes = [
        "Office of ten rooms, real walking people (social force), robot driving in circles, one process."
    ]
    yardsticks = [yardstick()]
    for name, people, settings, goal in _CASES:
        try:
            build, cpu, wall = _measure(scene, people, settings, seconds)
        except LifelongNavError as error:
            notes.append(f"{name}: left out, {error}")
            continue
        factors[name] = seconds / cpu
        rows.append((name, factors[name], cpu / seconds * 1e3, seconds / wall, build))
        if goal is not None:
            targets.append(Target(name, factors[name], goal, ">="))
        yardsticks.append(yardstick())
    measured = float(np.median(yardsticks))
    targets = [_with_baselines(t, factors, measured) for t in targets]
    alone, crowded = factors.get("physics, robot alone"), factors.get("physics, 20 people")
    if alone and crowded:
        notes.append(f"20 people leave {crowded / alone:.0%} of the speed of the robot alone.")
    relative = measured / REFERENCE_YARDSTICK
    notes.append(f"Yardstick {measured:.3f} s here, {relative:.2f}x that of the reference machine.")
    header = ("case", "x real time (CPU)", "CPU ms per simulated s", "x real time (wall)", "build s")
    return BenchResult("sim", [("Simulator, one core", header, rows)], targets, notes)


def yardstick() -> float:
    """CPU seconds of the reference loop."""
    started = time.process_time()
    total = 0
    for i in range(2_000_000):
        total += i * i
    return time.process_time() - started


def office_crowd(scene: Scene, people: int, seed: int = 0) -> Walkers:
    """People who walk from room to room for ever."""
    rng = stream(seed, "bench", "crowd")
    rooms = [r for r in scene.regions if r.kind != "doorway"]
    specs = []
    for i in range(people):
        low, high = np.array(rooms[i % len(rooms)].low), np.array(rooms[i % len(rooms)].high)
        x, y = rng.uniform(low, high)
        stops = tuple(rooms[int(j)].centre for j in rng.permutation(len(rooms))[:4])
        specs.append(PersonSpec((float(x), float(y)), stops, speed=float(rng.uniform(0.8, 1.4))))
    return walkers_in(scene, specs, seed)


def clear_spot(scene: Scene) -> Pose2:
    """The place in the corridor that is farthest from furniture."""
    corridor = next(r for r in scene.regions if r.kind == "corridor")
    xs = np.linspace(corridor.low[0] + 1.5, corridor.high[0] - 1.5, 60)
    y = corridor.centre[1]
    boxes = np.array([(b.x, b.y) for b in scene.boxes]).reshape(-1, 2)
    gap = np.hypot(xs[:, None] - boxes[:, 0], y - boxes[:, 1]).min(axis=1)
    return Pose2(float(xs[int(np.argmax(gap))]), y)


def _measure(
    scene: Scene, people: int, settings: dict[str, Any], seconds: float
) -> tuple[float, float, float]:
    """CPU seconds to build, CPU seconds and wall seconds to simulate `seconds`."""
    crowd = office_crowd(scene, people) if people else None
    config = SimConfig(**{"scan_rate": 20.0, **settings})
    clock: Callable[[], float] = time.process_time
    started = clock()
    with Simulation(scene, crowd, config, 1, clear_spot(scene)) as sim:
        build = clock() - started
        _drive(sim, _WARM_UP)
        started, wall = clock(), time.perf_counter()
        _drive(sim, seconds)
        return build, clock() - started, time.perf_counter() - wall


def _drive(sim: Simulation, seconds: float) -> None:
    for _ in range(round(seconds / sim.config.tick)):
        sim.command(Twist2(0.4, 0.0, 0.8))
        sim.step()


def _with_baselines(target: Target, factors: dict[str, float], measured: float) -> Target:
    baselines = {
        "yardstick s": measured,
        "on the reference machine": target.value * measured / REFERENCE_YARDSTICK,
    }
    other = {
        "physics, 20 people": "physics, robot alone",
        "exact lidar, 10 people": "fast lidar, 10 people",
        "exact lidar and RGB-D (moderngl), 10 people": "exact lidar and RGB-D (TinyRenderer), 10 people",
    }.get(target.name)
    if other in factors:
        baselines[other] = factors[other]
    return Target(target.name, target.value, target.goal, target.op, baselines)
