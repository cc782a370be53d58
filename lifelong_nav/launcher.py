"""The pip-only launcher: the same nodes as the launch files, as plain child processes.

Used by `lifelong-nav up | sim | replay` where `ros2 launch` is not installed. Children die with the
launcher (also when it is killed), are respawned when they crash, and are stopped in reverse order.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from lifelong_nav.core.errors import ConfigError, SimError
from lifelong_nav.stack import NodeSpec, Options, nodes_for, overrides_document, ros_arguments

_PR_SET_PDEATHSIG = 1
_RESPAWN_PAUSE = 1.0
_MAX_RESPAWNS = 5
_STEADY = 60.0
_LAST_WORDS = 400


@dataclass
class _Child:
    name: str
    command: list[str]
    process: subprocess.Popen[bytes]
    started: float
    ended: float | None = None
    respawns: int = 0


@dataclass
class Launcher:
    """Runs the nodes of a profile until `stop`.

    Args:
        options: what to run, see `stack.Options`.
        composed: all nodes in one process and thread instead of a process each.
        environment: variables on top of this process's own.
        log_folder: where each node's output goes; None: to this terminal.
    """

    options: Options
    composed: bool = False
    environment: Mapping[str, str] = field(default_factory=dict)
    log_folder: Path | None = None

    def __post_init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="lifelong_nav_"))
        self._children: list[_Child] = []
        self._closed = False

    def __enter__(self) -> Launcher:
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start every process; the supervisor among them brings the nodes up."""
        specs = nodes_for(self.options)
        programs = [(spec.target, self._arguments(spec)) for spec in specs]
        if self.composed:
            document = self._folder / "composed.json"
            document.write_text(json.dumps(programs))
            self._spawn("stack", ["--composed", str(document)])
            return
        for spec, (target, arguments) in zip(specs, programs, strict=True):
            self._spawn(spec.name, [target, *arguments])

    def poll(self) -> None:
        """Respawn what crashed; call it often.

        Raises:
            SimError: a process cannot be kept alive.
        """
        now = time.monotonic()
        for child in self._children:
            code = child.process.poll()
            if code is None:
                continue
            if child.ended is None:
                child.ended = now
                child.respawns = 1 if now - child.started > _STEADY else child.respawns + 1
                again = self.options.respawn and child.respawns <= _MAX_RESPAWNS
                print(f"'{child.name}' ended with code {code}", file=sys.stderr)
                if not again or code == ConfigError.exit_code:  # a wrong file is as wrong the next time
                    raise SimError(
                        f"The process of '{child.name}' ended with code {code}.",
                        f"Read its output{self._hint(child.name)}",
                    )
            elif now - child.ended > _RESPAWN_PAUSE:
                child.process = self._popen(child.name, child.command)
                child.started, child.ended = now, None

    def pids(self) -> dict[str, int]:
        """Process ids by name."""
        return {c.name: c.process.pid for c in self._children}

    def stop(self, patience: float = 8.0) -> dict[str, int]:
        """Interrupt everything, last started first; kill what does not go. Returns exit codes."""
        if self._closed:
            return {}
        self._closed = True
        codes: dict[str, int] = {}
        for child in reversed(self._children):
            with contextlib.suppress(ProcessLookupError):
                child.process.send_signal(signal.SIGINT)
        deadline = time.monotonic() + patience
        for child in reversed(self._children):
            try:
                codes[child.name] = child.process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                child.process.kill()
                codes[child.name] = child.process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)
        return codes

    def _arguments(self, spec: NodeSpec) -> list[str]:
        file = self._folder / f"{spec.name}.yaml"
        file.write_text(yaml.safe_dump(overrides_document(spec, self.options)))
        return ros_arguments(spec, self.options, file)

    def _spawn(self, name: str, arguments: Sequence[str]) -> None:
        command = [sys.executable, "-m", "lifelong_nav.nodes.run", *arguments]
        child = _Child(name, command, self._popen(name, command), time.monotonic())
        self._children.append(child)

    def _popen(self, name: str, command: Sequence[str]) -> subprocess.Popen[bytes]:
        environment = {**os.environ, "PYTHONUNBUFFERED": "1", **self.environment}
        # numpy's thread pools fight each other over two cores; the arrays here are small
        for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
            environment.setdefault(variable, "1")
        output = None
        if self.log_folder is not None:
            self.log_folder.mkdir(parents=True, exist_ok=True)
            output = (self.log_folder / f"{name}.log").open("ab")
        try:
            return subprocess.Popen(  # noqa: S603 (our own interpreter and modules)
                command, env=environment, stdout=output, stderr=subprocess.STDOUT if output else None,
                stdin=subprocess.DEVNULL, start_new_session=True, preexec_fn=die_with_parent,
            )  # fmt: skip
        finally:
            if output is not None:
                output.close()

    def _hint(self, name: str) -> str:
        if self.log_folder is None:
            return " above."
        path = self.log_folder / f"{name}.log"
        lines = path.read_text(errors="replace").split("\n") if path.is_file() else []
        last = next((line.strip() for line in reversed(lines) if line.strip()), "")
        return f" in {path}, which ends with: {last[-_LAST_WORDS:]}" if last else f" in {path}."


class RecorderProcess:
    """`lifelong-nav record` as a child process.

    Args:
        folder: where the bag goes; must not exist.
        topics: what to record, everything when empty.
    """

    def __init__(self, folder: Path, topics: Sequence[str] = ()) -> None:
        chosen = ["--topics", *topics] if topics else []
        self._child = subprocess.Popen(  # noqa: S603 (our own program)
            [sys.executable, "-m", "lifelong_nav.cli", "record", str(folder), *chosen],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, start_new_session=True,
            preexec_fn=die_with_parent,
        )  # fmt: skip

    def stop(self) -> None:
        """Close the bag and wait for it."""
        self._child.send_signal(signal.SIGINT)
        try:
            self._child.wait(30.0)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()


def die_with_parent() -> None:
    """Ask the kernel for SIGTERM when the parent goes: a node then ends in order, zero velocity first."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def run_until_interrupted(launcher: Launcher) -> int:
    """Run until Ctrl-C or SIGTERM; 0 when every process ended in order."""
    asked = False

    def ask(number: int, frame: object) -> None:
        nonlocal asked
        asked = True

    signal.signal(signal.SIGINT, ask)
    signal.signal(signal.SIGTERM, ask)
    try:
        launcher.start()
        while not asked:
            launcher.poll()
            time.sleep(0.1)
    finally:
        codes = launcher.stop()
    return 0 if all(code == 0 for code in codes.values()) else 1
