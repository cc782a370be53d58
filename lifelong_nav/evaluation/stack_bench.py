"""`lifelong-nav bench stack`: the whole stack over ROS in lockstep; how fast, and does it drive.

Lockstep makes the simulation wait for every command, so that a slow machine changes the speed and not
the driving. Beside it, in the same run: the simulator alone, which is the most any stack could reach.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

from lifelong_nav.evaluation.bench import BenchResult, Target
from lifelong_nav.nodes.session import Session, Settings, camera_parameters
from lifelong_nav.nodes.session import run as run_session

CAMERA = "160x120@10"


def run(quick: bool = False) -> BenchResult:
    """Drive errands in the office with 10 people and compare simulated with wall time."""
    settings = Settings(mode="lockstep", camera=CAMERA, errands=2 if quick else 10, timeout=1500.0)
    with tempfile.TemporaryDirectory(prefix="lifelong_nav_bench_") as folder:
        session = run_session(settings, Path(folder) / "run")
    alone = simulator_alone(settings, 20.0 if quick else 60.0)
    speed = session.simulated / max(session.wall, 1e-6)
    rows = [
        (name, seconds, 100.0 * seconds / max(session.wall, 1e-6), 1e3 * seconds / session.simulated)
        for name, seconds in sorted(session.cpu.items(), key=lambda item: -item[1])
    ]
    errands = [
        (o.errand.name, "done" if o.success else o.code, o.ended - o.started, o.distance, o.recoveries)
        for o in session.runner.outcomes
    ]
    return BenchResult(
        "stack",
        [
            ("Errands", ("to", "result", "s", "m", "recoveries"), errands),
            ("CPU by process", ("process", "s", "% of a core", "ms per simulated s"), rows),
        ],
        [
            Target("simulated seconds per wall second", speed, 2.0, ">=", {"simulator alone": alone}),
            Target("share of errands done", session.done / max(session.total, 1), 1.0, ">="),
        ],
        _notes(session),
    )


def simulator_alone(settings: Settings, seconds: float) -> float:
    """Simulated seconds per wall second of the same world with nobody listening."""
    from lifelong_nav.core.config import build as build_config
    from lifelong_nav.sim import scenario as scenarios
    from lifelong_nav.sim.engine import SimConfig, Simulation
    from lifelong_nav.sim.scenario_build import build

    drawn = build(scenarios.load(settings.scenario), settings.seed)
    values: dict[str, Any] = {**camera_parameters(settings.camera), "lidar_mode": "fast"}
    with Simulation(drawn.scene, drawn.crowd, build_config(SimConfig, values), 0, drawn.start) as sim:
        sim.step()
        started = time.monotonic()
        while sim.time < seconds:
            sim.step()
        return seconds / (time.monotonic() - started)


def _notes(session: Session) -> list[str]:
    notes = [f"{session.simulated:.0f} s simulated in {session.wall:.0f} s of wall time, camera {CAMERA}."]
    if session.reason:
        notes.append(f"The run was stopped: {session.reason}.")
    return notes
