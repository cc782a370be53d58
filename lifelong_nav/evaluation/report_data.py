"""A run's files read back, and the figures that a report shows."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from lifelong_nav.core.errors import InputError
from lifelong_nav.core.grid import OccupancyGrid, load_map
from lifelong_nav.core.storage import read_json
from lifelong_nav.core.types import FloatArray
from lifelong_nav.evaluation import social_metrics as social
from lifelong_nav.evaluation.run_files import SCHEMA, load_arrays
from lifelong_nav.viz.live import SHAPING

ROBOT_RADIUS = 0.27
STALL_SPEED = 0.05
_BRUSHED = 0.05  # m; passing someone closer than this is no success, contact or not


@dataclass(frozen=True)
class RunData:
    """One run. Series as in `run_files`; `driving` (T,) is True while an errand was under way."""

    folder: Path
    facts: dict[str, Any]
    errands: list[dict[str, Any]]
    contacts: list[dict[str, Any]]
    gate: dict[str, dict[str, Any]]
    t: FloatArray
    pose: FloatArray
    twist: FloatArray
    command: FloatArray
    people: FloatArray
    radii: FloatArray
    groups: NDArray[np.int64]
    driving: NDArray[np.bool_]
    grid: OccupancyGrid | None
    pictures: list[tuple[float, Path]]

    @property
    def dt(self) -> float:
        """Seconds between samples."""
        return float(np.median(np.diff(self.t))) if len(self.t) > 1 else 0.1

    @property
    def radius(self) -> float:
        """Of the robot [m]."""
        return float(self.facts.get("robot_radius") or ROBOT_RADIUS)

    def clearance(self) -> FloatArray:
        """(T,) free gap [m] to the nearest person; inf where nobody is there."""
        return social.gaps(self.pose[:, :2], self.people, self.radius, self.radii)


@dataclass(frozen=True)
class Headline:
    """The figures on top. None where they cannot be known."""

    done: int
    errands: int
    planned: int
    distance: float
    seconds: float
    contacts: int
    contacts_people: int
    psv_seconds: float | None
    closest: float | None
    group_seconds: float | None
    min_ttc: float | None
    stalled: float
    interventions: int
    stops: int
    real_time: float | None

    @property
    def verdict(self) -> str:
        """good, mixed or bad."""
        wanted = max(self.errands, self.planned)
        if self.contacts_people or (wanted and self.done < wanted / 2):
            return "bad"
        brushed = self.closest is not None and self.closest < _BRUSHED
        return "good" if self.done == wanted and not self.contacts and not brushed else "mixed"


def load_run(folder: Path) -> RunData:
    """Read a run's files.

    Raises:
        StorageError: a file is missing or broken.
        InputError: the files do not fit together or come from another version.
    """
    document = read_json(folder / "run.json")
    if not isinstance(document, dict) or document.get("schema") != SCHEMA:
        raise InputError(
            f"{folder / 'run.json'} has no schema {SCHEMA}.", "Make the report with its version."
        )
    try:
        a = load_arrays(folder / "series.npz")
        t, pose, people = a["t"], a["pose"].astype(float), a["people"].astype(float)
        if not len(t) == len(pose) == len(people) == len(a["command"]) == len(a["twist"]):
            raise ValueError("series of different length")
        if not np.isfinite(t).all() or not people.shape[1] == len(a["radii"]) == len(a["groups"]):
            raise ValueError("people without radius, or times that are not finite")
    except (OSError, KeyError, ValueError, EOFError, BadZipFile, zlib.error) as error:
        raise InputError(f"{folder / 'series.npz'} cannot be used: {error}.", "Run again.") from error
    errands = [e for e in document.get("errands", []) if isinstance(e, dict)]
    driving = np.zeros(len(t), dtype=bool)
    for errand in errands:
        started, ended = errand.get("started"), errand.get("ended")
        if started is not None:
            driving |= (t >= started) & (t <= (ended or np.inf))
    if not errands:
        driving[:] = True
    map_file = folder / "map" / "map.yaml"
    pictures = sorted((int(p.stem) / 1000.0, p) for p in (folder / "frames").glob("[0-9]*.jpg"))
    return RunData(
        folder, dict(document.get("facts", {})), errands, list(document.get("contacts", [])),
        dict(document.get("gate", {})), t, pose, a["twist"].astype(float), a["command"].astype(float), people,
        a["radii"].astype(float), a["groups"].astype(np.int64), driving,
        load_map(map_file) if map_file.is_file() else None, pictures,
    )  # fmt: skip


def headline(run: RunData) -> Headline:
    """Figures of a run, over the time when errands were under way."""
    keep, dt = run.driving, run.dt
    path, people = run.pose[keep, :2], run.people[keep]
    free = run.clearance()[keep]
    met = bool(np.isfinite(free).any())
    stalled = np.abs(run.twist[keep, 0]) < STALL_SPEED
    stalled &= np.abs(run.twist[keep, 2]) < 0.1  # who turns on the spot does not stall
    ttc = social.min_ttc(path, people, dt, run.radius, run.radii) if met else float("inf")
    ended = [e for e in run.errands if e.get("ended")]
    seconds = sum(e["ended"] - e["started"] for e in ended) if ended else dt * np.count_nonzero(keep)
    simulated, wall = run.facts.get("simulated"), run.facts.get("wall")
    return Headline(
        done=sum(e.get("code") == "NONE" for e in run.errands),
        errands=len(run.errands),
        planned=int(run.facts.get("planned") or 0),
        distance=_distance(run),
        seconds=float(seconds),
        contacts=len(run.contacts),
        contacts_people=sum(c.get("kind") == "person" for c in run.contacts),
        psv_seconds=social.psv_seconds(free, dt) if met else None,
        closest=float(free.min()) if met else None,
        group_seconds=social.group_intrusion_seconds(path, people, run.groups, dt) if met else None,
        min_ttc=ttc if np.isfinite(ttc) else None,
        stalled=float(dt * np.count_nonzero(stalled)),
        interventions=_times(run, 1),
        stops=_times(run, 2),
        real_time=simulated / wall if simulated and wall else None,
    )


def _times(run: RunData, state: int) -> int:
    """How often the gate did at least what `state` (of GateState.msg) says, routine trimming left out."""
    found = (g for reason, g in run.gate.items() if reason not in SHAPING)
    return sum(int(g["times"]) for g in found if g.get("state", 0) >= state)


def _distance(run: RunData) -> float:
    """Metres driven during errands, not counting the jumps between them."""
    steps = np.linalg.norm(np.diff(run.pose[:, :2], axis=0), axis=-1)
    return float(steps[run.driving[1:] & run.driving[:-1]].sum())
