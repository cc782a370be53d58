"""Figures of the benchmark among real people: per scene, and the mean over scenes the targets are for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lifelong_nav.evaluation.bench import BenchResult, Target
from lifelong_nav.evaluation.social import summary
from lifelong_nav.evaluation.social.driving import drive_any
from lifelong_nav.evaluation.social.real import HUMAN, START_GAP, cases
from lifelong_nav.evaluation.social.runner import run_all
from lifelong_nav.evaluation.social.social_bench import (
    BASELINES,
    OURS,
    WORK,
    available,
    cores,
    write_report,
)
from lifelong_nav.evaluation.social.summary import Row

CASES, QUICK_CASES = 60, 6
COLUMNS = (
    ("success", "success"), ("contact", "contact"), ("psv", "PSV 0.25 s"), ("mse", "MSE m2"),
    ("hausdorff", "Hausdorff m"), ("time_ratio", "T/T_human"), ("stalled", "stalled s"),
    ("ttc", "TTC<1.5 s"), ("jerk", "jerk m/s3"),
)  # fmt: skip
GOALS = (("contact", 0.03), ("psv", 0.68), ("mse", 1.5), ("hausdorff", 1.0))
"""Reach 3 of the issue: all at once, on the mean over scenes."""


def run(
    scenes: Sequence[str], folder: Path, *, planners: Sequence[str] = (), quick: bool = False,
    most: int = 0, workers: int = 0, out: Path | None = None, quiet: bool = False,
) -> BenchResult:  # fmt: skip
    """Drive pedestrians' ways in recordings with all planners, and as the pedestrians did.

    Args:
        scenes: recordings (see `real.recording_file`).
        folder: that holds them.
        planners: names or `package.module:ClassName`; ours and the baselines when empty.
        quick: few cases.
        most: pedestrians per scene, overriding `quick`.
        workers: processes; one per core when 0.
        out: folder for runs and report.html; `WORK` when None.
        quiet: no progress bar.

    Raises:
        ConfigError: an unknown scene or planner, or no pedestrian walks to a goal.
    """
    drivers, notes = available(tuple(planners) or (OURS, *BASELINES), asked=bool(planners))
    count = most or (QUICK_CASES if quick else CASES)
    jobs = []
    for scene in scenes:
        chosen, crowded = cases(folder, scene, count)
        if crowded:
            notes.append(
                f"{scene}: {crowded} of {count} pedestrians are no cases, since somebody is within "
                f"{START_GAP} m of the start and nobody could keep the distance."
            )
        if not chosen:
            notes.append(f"{scene}: no pedestrian walks far and straight enough.")
        jobs += [(case, driver) for case in chosen for driver in (HUMAN, *drivers)]
    place, processes = out or WORK, workers or cores()
    files = run_all(jobs, place / "runs", drive_any, processes, quiet)
    found = summary.rows(files, HUMAN, processes)
    result = judged(found, drivers, scenes, notes)
    write_report(place, result, found)
    return result


def judged(
    found: Sequence[Row], drivers: Sequence[str], scenes: Sequence[str], notes: Sequence[str] = ()
) -> BenchResult:
    """Tables, targets and notes."""
    header = ("driver", *(title for _, title in COLUMNS))
    everyone = (HUMAN, *drivers)
    tables: list[tuple[str, Sequence[str], Sequence[Sequence[Any]]]] = [
        (
            "Mean over scenes",
            header,
            [(d, *(scene_mean(found, name, d, scenes) for name, _ in COLUMNS)) for d in everyone],
        )
    ]
    for scene in scenes:
        here = [r for r in found if r.case.family == scene]
        total = len({r.case for r in here})
        tables.append(
            (f"{scene}, {total} pedestrians (mean [95 % interval])", header,
             summary.table(here, everyone, COLUMNS))
        )  # fmt: skip
    said = ["Replayed people do not see the robot: some contacts cannot be avoided by anyone.", *notes]
    return BenchResult("social-real", tables, _targets(found, drivers, scenes), [*said, *_failures(found)])


def scene_mean(found: Sequence[Row], name: str, driver: str, scenes: Sequence[str]) -> float:
    """Mean over scenes of a figure's mean in each; NaN where it is nowhere known."""
    means = [summary.values_of(found, name, driver, scene) for scene in scenes]
    known = [float(v.mean()) for v in means if len(v)]
    return float(np.mean(known)) if known else float("nan")


def _targets(found: Sequence[Row], drivers: Sequence[str], scenes: Sequence[str]) -> list[Target]:
    if OURS not in drivers:
        return []
    titles = dict(COLUMNS)
    out = []
    for name, goal in GOALS:
        others = {d: scene_mean(found, name, d, scenes) for d in (HUMAN, *drivers) if d != OURS}
        known = {d: v for d, v in others.items() if not np.isnan(v)}
        out.append(
            Target(
                f"{titles[name]}, mean over scenes", scene_mean(found, name, OURS, scenes), goal, "<=", known
            )
        )
    return out


def _failures(found: Sequence[Row]) -> list[str]:
    """Our runs without success, and how many of them nobody managed."""
    failed = [r for r in found if r.planner == OURS and not r.values["success"]]
    won = {r.case for r in found if r.planner not in (OURS, HUMAN) and r.values["success"]}
    if not failed:
        return []
    listed = ", ".join(f"{r.case.family} seed {r.case.seed} ({r.why})" for r in failed[:20])
    nobody = sum(r.case not in won for r in failed)
    return [
        f"{OURS} fails in {len(failed)} runs: {listed}{', ...' if len(failed) > 20 else ''}.",
        f"In {nobody} of these every baseline fails, too.",
    ]
