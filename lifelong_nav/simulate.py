"""`lifelong-nav sim` and `make sim`: errand after errand with a progress line, then a report."""

from __future__ import annotations

import argparse
import math
import os
import shutil
import signal
import sys
import time
from pathlib import Path
from typing import Any

from lifelong_nav.nodes.session import Session, Settings
from lifelong_nav.nodes.session import run as run_session
from lifelong_nav.sim import scenario as scenarios

_PROGRESS_EVERY = 0.5


def print_scenarios() -> int:
    """List the scenarios with one sentence each."""
    for name in scenarios.names():
        s = scenarios.load(name)
        print(f"{name:30s} {s.family:9s} {s.description}")
    return 0


def run(a: argparse.Namespace, overrides: dict[str, dict[str, Any]]) -> int:
    """Run the errands of a scenario and write the report; 0 when every errand succeeded."""
    folder: Path = a.out or Path("runs") / time.strftime("%Y%m%d-%H%M%S")
    settings = Settings(
        scenario=a.scenario, seed=a.seed, mode=a.mode, errands=a.errands, camera=a.camera,
        view=not a.no_view, context=not a.no_context, trajectories=not a.no_trajectories,
        learning=not a.no_learning,
        teacher=a.teacher or "sim", record=a.record, composed=a.composed, namespace=a.namespace,
        params_file=a.params_file, log_level=a.log_level, timeout=a.timeout, overrides=overrides,
    )  # fmt: skip
    scenario = scenarios.load(a.scenario)
    print(f"{scenario.name}: {scenario.description}", flush=True)
    print(f"starting the stack (ROS domain {os.environ.get('ROS_DOMAIN_ID', '0')}) ...", flush=True)
    line = _ProgressLine()
    session = run_session(settings, folder, line)
    line.close(session)
    if not session.runner.outcomes:  # nothing happened that a report could tell
        print(f"No errand began: {session.reason or 'the scenario has none'}.")
        return 1
    from lifelong_nav.evaluation.report import write_report

    report = write_report(folder)
    stopped = f" Stopped: {session.reason}." if session.reason else ""
    print(f"{session.done} of {session.total} errands done.{stopped} Report: {report}")
    return 0 if session.done == session.total else 1


class _ProgressLine:
    """One line that is rewritten on a terminal, and one line per errand that stays."""

    def __init__(self) -> None:
        self._shown, self._next, self._interrupted, self._told = 0, 0.0, False, False
        self._live = sys.stdout.isatty()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._ask)

    def __call__(self, session: Session) -> str | None:
        """Print what is new; say so when the user wants to stop."""
        self._print_ended(session)
        if session.monitor.view_url and not self._told:
            self._told = True
            self._say(f"live view: {session.monitor.view_url}", keep=True)
        now = time.monotonic()
        if self._live and now >= self._next:
            self._next = now + _PROGRESS_EVERY
            p = session.runner.progress
            left = "" if math.isnan(p.remaining) else f"{p.remaining:.1f} m to go, "
            rate = session.simulated / max(session.wall, 1e-6)
            self._say(
                f"{self._shown}/{session.total} {left}{p.status}; "
                f"{session.simulated:.0f} s simulated at {rate:.1f}x",
                keep=False,
            )
        return "interrupted" if self._interrupted else None

    def close(self, session: Session) -> None:
        """Print the rest and leave the terminal on a fresh line."""
        self._print_ended(session)
        if self._live:
            print("\r" + " " * (shutil.get_terminal_size().columns - 1) + "\r", end="", flush=True)

    def _print_ended(self, session: Session) -> None:
        ended = [o for o in session.runner.outcomes if o.code != "RUNNING"]
        for o in ended[self._shown :]:
            self._shown += 1
            detail = "" if o.success else f"  {o.code}: {o.message}"
            self._say(
                f"{'ok  ' if o.success else 'FAIL'} {self._shown:2d}/{session.total} {o.errand.name:14s} "
                f"{o.ended - o.started:5.0f} s {o.distance:5.1f} m{detail}",
                keep=True,
            )

    def _ask(self, number: int, frame: object) -> None:
        if self._interrupted:  # asked twice: do not wait for order
            raise KeyboardInterrupt
        self._interrupted = True

    def _say(self, text: str, keep: bool) -> None:
        if self._live:
            width = shutil.get_terminal_size().columns - 1
            print("\r" + text[:width].ljust(width), end="\n" if keep else "", flush=True)
        else:
            print(text, flush=True)
