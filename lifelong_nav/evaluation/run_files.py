"""What a run leaves behind for its report: `run.json`, `series.npz` and a folder of camera pictures.

`run.json` (schema 1): `facts` (scenario, seed, command, versions, times), `errands`, `contacts`, `gate`
(seconds and times by reason), `frame`. `series.npz`: `t` (T,) [s], `pose` (T, 3), `twist` (T, 3), `command`
(T, 4: asked v, w, sent v, w), `people` (T, N, 2) with NaN for absent, `ids`, `radii`, `groups` (N,).
Pictures are `frames/<milliseconds>.jpg`. The map is `map/map.yaml`, as map_server writes it.
"""

from __future__ import annotations

import io
import os
import platform
import shlex
from dataclasses import asdict
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from lifelong_nav.core.storage import atomic_write, atomic_write_json
from lifelong_nav.core.types import FloatArray, Image, People, Pose2, Twist2
from lifelong_nav.viz.pictures import jpeg

SCHEMA = 1
_LONGEST_GATE_STEP = 0.5
_PACKAGES = (
    "lifelong_nav", "numpy", "scipy", "pybullet", "moderngl", "ros-rclpy", "rerun-sdk",
    "opencv-python-headless",
)  # fmt: skip


class RunWriter:
    """Collects a run in memory and writes its files.

    Args:
        folder: where to.
        period: seconds between samples of the series.
        picture_period: seconds between camera pictures kept at first.
        pictures: most pictures kept; when there are more, every second one goes and the period doubles.
    """

    def __init__(
        self, folder: Path, period: float = 0.1, picture_period: float = 1.0, pictures: int = 120
    ) -> None:
        self._folder = folder
        self._period, self._picture_period, self._most = period, picture_period, pictures
        self._rows: list[tuple[float, ...]] = []
        self._people: list[tuple[tuple[int, float, float], ...]] = []
        self._columns: dict[int, int] = {}
        self._radii: list[float] = []
        self._groups: list[int] = []
        self._now: tuple[tuple[int, float, float], ...] = ()
        self._command = (0.0, 0.0, 0.0, 0.0)
        self._gate: dict[str, dict[str, Any]] = {}
        self._gate_last: tuple[float, str] | None = None
        self._contacts: list[dict[str, Any]] = []
        self._pictures: dict[float, bytes] = {}
        self._picture_due = -np.inf
        self._facts: dict[str, Any] = {"versions": versions(), "machine": machine()}
        self._frame = "map"

    def describe(self, **facts: Any) -> None:
        """Add facts about the run; plain values only. `errands` as rows of `errand_row`."""
        self._facts.update(facts)

    def pose(self, stamp: float, pose: Pose2, twist: Twist2, frame: str) -> None:
        """Where the robot is; sampled by the period. Time that runs back is left out."""
        if self._rows and stamp < self._rows[-1][0] + self._period - 1e-3:
            return
        self._frame = frame
        self._rows.append((stamp, *pose.array(), *twist.array(), *self._command))
        self._people.append(self._now)

    def people(self, people: People) -> None:
        """Everyone now."""
        for p in people.people:
            if p.id not in self._columns:
                self._columns[p.id] = len(self._columns)
                self._radii.append(p.radius)
                self._groups.append(p.group_id)
            self._groups[self._columns[p.id]] = p.group_id
        self._now = tuple((self._columns[p.id], p.x, p.y) for p in people.people)

    def gate(self, stamp: float, state: int, reason: str, asked: Twist2, sent: Twist2) -> None:
        """One decision of the gate."""
        self._command = (asked.vx, asked.wz, sent.vx, sent.wz)
        entry = self._gate.setdefault(reason, {"state": state, "seconds": 0.0, "times": 0})
        entry["state"] = max(entry["state"], state)
        if self._gate_last is not None:
            last, before = self._gate_last
            self._gate[before]["seconds"] += min(max(stamp - last, 0.0), _LONGEST_GATE_STEP)
        if self._gate_last is None or self._gate_last[1] != reason:
            entry["times"] += 1
        self._gate_last = (stamp, reason)

    def contact(self, stamp: float, kind: str, name: str, x: float, y: float, speed: float) -> None:
        """The robot touched something."""
        self._contacts.append({"t": stamp, "kind": kind, "name": name, "x": x, "y": y, "speed": speed})

    def wants_picture(self, stamp: float) -> bool:
        """True when the next picture should be handed to `picture`."""
        return stamp >= self._picture_due

    def picture(self, image: Image) -> None:
        """Keep a camera picture."""
        self._picture_due = image.stamp + self._picture_period
        self._pictures[image.stamp] = jpeg(image.data, 320, 70)
        if len(self._pictures) > self._most:
            self._picture_period *= 2.0
            self._pictures = dict(list(self._pictures.items())[::2])

    def save(self) -> None:
        """Write everything.

        Raises:
            StorageError: the disk is full or read-only.
        """
        people = np.full((len(self._rows), len(self._columns), 2), np.nan, dtype=np.float32)
        for row, present in enumerate(self._people):
            for column, x, y in present:
                people[row, column] = x, y
        rows = np.array(self._rows, dtype=float).reshape(-1, 11)
        buffer = io.BytesIO()
        np.savez_compressed(
            buffer, t=rows[:, 0], pose=rows[:, 1:4].astype(np.float32), twist=rows[:, 4:7].astype(np.float32),
            command=rows[:, 7:].astype(np.float32), people=people,
            ids=np.array([*self._columns], dtype=np.int64),
            radii=np.array(self._radii, dtype=np.float32), groups=np.array(self._groups, dtype=np.int64),
        )  # fmt: skip
        atomic_write(self._folder / "series.npz", buffer.getvalue())
        for stamp, data in self._pictures.items():
            atomic_write(self._folder / "frames" / f"{round(stamp * 1000):010d}.jpg", data)
        facts = dict(self._facts)
        errands = facts.pop("errands", [])
        atomic_write_json(
            self._folder / "run.json",
            finite(
                {
                    "schema": SCHEMA, "facts": facts, "errands": errands, "contacts": self._contacts,
                    "gate": self._gate, "frame": self._frame,
                }
            ),
        )  # fmt: skip


def finite(value: Any) -> Any:
    """The value with NaN and infinities as None, arrays as lists: what JSON can hold."""
    if isinstance(value, dict):
        return {str(k): finite(v) for k, v in value.items()}
    if isinstance(value, (list, tuple, np.ndarray)):
        return [finite(v) for v in value]
    if isinstance(value, (float, np.floating)):
        return float(value) if np.isfinite(value) else None
    if isinstance(value, np.integer):
        return int(value)
    return value if isinstance(value, (int, str, bool, type(None))) else str(value)


def errand_row(outcome: Any) -> dict[str, Any]:
    """A row of `errands` from `nodes.errand_runner.ErrandOutcome` (or anything with its fields)."""
    pose = outcome.errand.pose
    return {
        "name": outcome.errand.name, "x": pose.x, "y": pose.y, "yaw": pose.yaw, "started": outcome.started,
        "ended": outcome.ended, "code": outcome.code, "message": outcome.message,
        "distance": outcome.distance, "recoveries": outcome.recoveries,
    }  # fmt: skip


def session_facts(session: Any) -> dict[str, Any]:
    """Facts about a `lifelong_nav.nodes.session.Session`, for `RunWriter.describe`."""
    settings = asdict(session.settings)
    return {
        "title": session.scenario.name, "description": session.scenario.description,
        "seed": session.settings.seed, "settings": settings, "command": shlex.join(_command(settings)),
        "stopped": session.reason, "planned": session.total, "simulated": session.simulated,
        "wall": session.wall, "cpu": session.cpu,
        "errands": [errand_row(outcome) for outcome in session.runner.outcomes],
    }  # fmt: skip


def versions() -> dict[str, str]:
    """Versions of what matters, of those installed."""
    out = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            out[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return out


def machine() -> dict[str, Any]:
    """Kind of computer, without its name."""
    return {"system": f"{platform.system()} {platform.machine()}", "cores": os.cpu_count() or 0}


def _command(settings: dict[str, Any]) -> list[str]:
    """A command line that repeats the run, with what differs from the defaults of `lifelong-nav sim`."""
    words = ["lifelong-nav", "sim", str(settings["scenario"]), "--seed", str(settings["seed"])]
    words += ["--mode", str(settings["mode"]), "--camera", str(settings["camera"])]
    if settings["errands"]:
        words += ["--errands", str(settings["errands"])]
    for option in ("namespace", "params_file"):
        if settings[option]:
            words += ["--" + option.replace("_", "-"), str(settings[option])]
    for node, values in settings["overrides"].items():
        for name, value in values.items():
            words += ["-p", f"{node}.{name}={value}"]
    return words


def load_arrays(path: Path) -> dict[str, FloatArray]:
    """The arrays of a series file; pickles are refused."""
    with np.load(path, allow_pickle=False) as file:
        return {name: file[name] for name in file.files}
