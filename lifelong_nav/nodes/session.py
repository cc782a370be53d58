"""One run of the whole stack in simulation: build, launch, drive the errands, measure, stop.

Used by `lifelong-nav sim`, the stack benchmark and the system tests.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from lifelong_nav.core.errors import ConfigError, SimError
from lifelong_nav.core.grid import save_map
from lifelong_nav.core.types import Pose2
from lifelong_nav.launcher import Launcher, RecorderProcess
from lifelong_nav.sim import scenario as scenarios
from lifelong_nav.sim.plan_map import scene_map
from lifelong_nav.sim.scenario_build import Run, build
from lifelong_nav.stack import Options, nodes_for

_LOOK = 0.05
_STARTUP = 180.0
"""Wall seconds until the first errand must be under way."""


@dataclass(frozen=True)
class Settings:
    """What to run. `errands` 0 means all of the scenario's; `camera` is WxH@Hz or off."""

    scenario: str = "office_day"
    seed: int = 0
    mode: str = "lockstep"
    errands: int = 0
    camera: str = "160x120@10"
    view: bool = False
    context: bool = True
    trajectories: bool = True
    learning: bool = True
    teacher: str = "sim"
    record: bool = False
    composed: bool = False
    namespace: str = ""
    params_file: str = ""
    log_level: str = "warn"
    timeout: float = 3600.0
    overrides: dict[str, dict[str, Any]] = field(default_factory=dict)


@dataclass
class Session:
    """A run under way and, when it has ended, what came of it.

    `simulated` and `wall` [s] are counted from the first command on; `cpu` [s] by process.
    """

    settings: Settings
    folder: Path
    scenario: scenarios.Scenario
    drawn: Run
    launcher: Launcher
    runner: Any
    monitor: Any
    total: int
    reason: str = ""
    simulated: float = 0.0
    wall: float = 0.0
    cpu: dict[str, float] = field(default_factory=dict)

    @property
    def done(self) -> int:
        """Errands that succeeded."""
        return sum(o.success for o in self.runner.outcomes)


def run(
    settings: Settings, folder: Path, watch: Callable[[Session], str | None] = lambda session: None
) -> Session:
    """Run until every errand has ended.

    Args:
        settings: what to run.
        folder: for map, logs, recording and the monitor's files; must be empty or absent.
        watch: called about 20 times a second; a returned sentence ends the run for that reason.

    Raises:
        ConfigError: the folder is in use, the scenario or a parameter is wrong, or another stack runs here.
    """
    if folder.exists() and any(folder.iterdir()):
        raise ConfigError(f"{folder} is not empty.", "Choose another folder.")
    os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    scenario = scenarios.load(settings.scenario)
    drawn = build(scenario, settings.seed)
    options = _options(settings, drawn, folder)
    from lifelong_nav.nodes.neighbours import refuse_company

    refuse_company([spec.name for spec in nodes_for(options)], settings.namespace)
    with Launcher(options, composed=settings.composed, log_folder=folder / "log") as launcher:
        launcher.start()
        return _drive(settings, folder, scenario, drawn, launcher, watch)


def write_map(drawn: Run, folder: Path) -> Path:
    """The building's plan as a map_server map, what a SLAM run beforehand would have left."""
    path = folder / "map.yaml"
    save_map(path, scene_map(drawn.scene))
    return path


def camera_parameters(text: str) -> dict[str, Any]:
    """`WxH@Hz` or `off` as parameters of the sim node."""
    if text == "off":
        return {"renderer": "off"}
    try:
        size, rate = text.split("@")
        width, height = size.split("x")
        return {"camera_width": int(width), "camera_height": int(height), "camera_rate": float(rate)}
    except ValueError:
        raise ConfigError(f"'{text}' is not WxH@Hz.", "Example: 160x120@10, or off.") from None


def place_name(drawn: Run, pose: Pose2) -> str:
    """The smallest region that holds a pose, by name; else its coordinates."""
    inside = [
        r for r in drawn.scene.regions
        if r.low[0] <= pose.x <= r.high[0] and r.low[1] <= pose.y <= r.high[1]
    ]  # fmt: skip
    if not inside:
        return f"({pose.x:.1f}, {pose.y:.1f})"
    return min(inside, key=lambda r: (r.high[0] - r.low[0]) * (r.high[1] - r.low[1])).name


def simulation_overrides(
    scenario: str, seed: int, mode: str, map_file: str = "", drawn: Run | None = None
) -> dict[str, dict[str, Any]]:
    """Parameters that make sim and localization agree: same scenario, its map, its start.

    Args:
        scenario: name or file.
        seed: of the run.
        mode: of the sim node.
        map_file: map_server YAML; empty: the building's plan is written to a temporary folder.
        drawn: the scenario's run, if it was built already.
    """
    drawn = build(scenarios.load(scenario), seed) if drawn is None else drawn
    path = map_file or str(write_map(drawn, Path(tempfile.mkdtemp(prefix="lifelong_nav_map_"))))
    start = drawn.start
    return {
        "sim": {"scenario": scenario, "seed": seed, "mode": mode},
        "localization": {"map_file": path, "initial_pose": [start.x, start.y, start.yaw]},
    }


def _options(settings: Settings, drawn: Run, folder: Path) -> Options:
    """Stack options of a simulated run with its files below `folder`; the user's overrides win."""
    map_file = str(write_map(drawn, folder / "map"))
    ours = simulation_overrides(settings.scenario, settings.seed, settings.mode, map_file, drawn)
    ours["sim"].update(camera_parameters(settings.camera))
    learners = {"context": settings.context, "trajectory": settings.trajectories}
    for node in (name for name, runs in learners.items() if runs):
        own = {"state_dir": str(folder / "learned" / node)}  # what one run learns stays with that run
        ours[node] = own
        if settings.learning:
            ours[f"{node}_learner"] = dict(own)
    for node, values in settings.overrides.items():
        ours.setdefault(node, {}).update(values)
    return Options(
        profile="sim", namespace=settings.namespace, use_sim_time=True, params_file=settings.params_file,
        log_level=settings.log_level, context=settings.context, trajectories=settings.trajectories,
        learning=settings.learning, teacher=settings.teacher, view=settings.view, overrides=ours,
    )  # fmt: skip


def _drive(
    settings: Settings, folder: Path, scenario: scenarios.Scenario, drawn: Run, launcher: Launcher,
    watch: Callable[[Session], str | None],
) -> Session:  # fmt: skip
    import rclpy
    from rclpy.experimental import EventsExecutor
    from rclpy.parameter import Parameter
    from rclpy.signals import SignalHandlerOptions
    from rclpy.task import Future

    from lifelong_nav.evaluation.run_files import session_facts
    from lifelong_nav.nodes.errand_runner import Errand, ErrandRunner
    from lifelong_nav.nodes.run_monitor import RunMonitor

    goals = drawn.goals[: settings.errands] if settings.errands > 0 else drawn.goals
    errands = [Errand(place_name(drawn, g), g) for g in goals]
    rclpy.init(args=[], signal_handler_options=SignalHandlerOptions.NO)
    common: dict[str, Any] = {
        "parameter_overrides": [Parameter("use_sim_time", value=True)], "namespace": settings.namespace
    }  # fmt: skip
    runner = ErrandRunner(errands, scenario.timeout, **common)
    monitor = RunMonitor(folder, **common)
    session = Session(settings, folder, scenario, drawn, launcher, runner, monitor, len(errands))
    executor = EventsExecutor()
    executor.add_node(runner)
    executor.add_node(monitor)
    never: Future[None] = Future()
    recorder = RecorderProcess(folder / "bag") if settings.record else None
    deadline, meter = time.monotonic() + settings.timeout, _Meter(launcher)
    waiting_since = time.monotonic()
    try:
        while not runner.done and not session.reason:
            executor.spin_until_future_complete(never, timeout_sec=_LOOK)
            launcher.poll()
            runner.tick()
            meter.update(runner.outcomes, runner.get_clock().now().nanoseconds * 1e-9)
            session.simulated, session.wall = meter.simulated, meter.wall
            session.reason = watch(session) or ""
            if runner.outcomes:
                waiting_since = time.monotonic()
            if time.monotonic() - waiting_since > _STARTUP:
                session.reason = f"the stack did not come up in {_STARTUP:.0f} s, see {folder / 'log'}"
            if time.monotonic() > deadline:
                session.reason = f"{settings.timeout:.0f} s of wall time are over"
        session.cpu = meter.cpu()
        if session.reason:
            runner.cancel()
            executor.spin_until_future_complete(never, timeout_sec=1.0)  # let the cancellation through
    except SimError as error:
        session.reason = str(error)
    finally:
        if recorder is not None:
            recorder.stop()
        monitor.describe(**session_facts(session))
        monitor.finish()
        runner.finish()
        executor.shutdown()
        rclpy.try_shutdown()
    return session


class _Meter:
    """Simulated and wall time, and CPU time of every process, since the first errand was accepted."""

    def __init__(self, launcher: Launcher) -> None:
        self._launcher = launcher
        self._start: tuple[float, float] | None = None
        self._cpu: dict[str, float] = {}
        self.simulated = self.wall = 0.0

    def update(self, outcomes: list[Any], now: float) -> None:
        """Look at the clocks."""
        if self._start is None:
            if outcomes:
                self._start, self._cpu = (now, time.monotonic()), self._read()
            return
        self.simulated, self.wall = now - self._start[0], time.monotonic() - self._start[1]

    def cpu(self) -> dict[str, float]:
        """CPU seconds by process name."""
        return {name: t - self._cpu.get(name, 0.0) for name, t in self._read().items()}

    def _read(self) -> dict[str, float]:
        out = {}
        for name, pid in {**self._launcher.pids(), "monitor": os.getpid()}.items():
            try:
                times = psutil.Process(pid).cpu_times()
            except psutil.NoSuchProcess:
                continue
            out[name] = times.user + times.system
        return out
