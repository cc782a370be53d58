"""From many runs to figures: rows, means with intervals, ratios to the best baseline, failures."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from lifelong_nav.core.types import FloatArray
from lifelong_nav.evaluation.social import record_file
from lifelong_nav.evaluation.social.case import AnyCase
from lifelong_nav.evaluation.social.figures import against_expert, failed_why, figures
from lifelong_nav.evaluation.social.runner import Job
from lifelong_nav.evaluation.social_metrics import Interval, bootstrap

EXPERT = "expert"
"""Name of the privileged expert among the planners."""

_FLOORS = {"mse": 1e-3, "hausdorff": 1e-2, "psv": 0.02}
"""Added to both sides of a ratio, so that nought over nought is one [m^2, m, s]."""


@dataclass(frozen=True)
class Row:
    """One run in figures: `values` by name (see `figures.figures`), `why` it failed, and its file."""

    case: AnyCase
    planner: str
    values: Mapping[str, float]
    why: str
    file: Path


def rows(files: Mapping[Job, Path], reference: str = EXPERT, workers: int = 1) -> list[Row]:
    """The figures of all runs; those near the reference's path where it drove the same case.

    Args:
        files: from `runner.run_all`.
        reference: planner whose path the others' are held against.
        workers: processes.
    """
    jobs = [(case, planner, path, files.get((case, reference))) for (case, planner), path in files.items()]
    if workers <= 1 or len(jobs) < 64:
        return [_row(job) for job in jobs]
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        return list(pool.map(_row, jobs, chunksize=16))


def _row(job: tuple[AnyCase, str, Path, Path | None]) -> Row:
    case, planner, path, expert = job
    record = record_file.load(path)
    values = figures(record)
    if expert is not None and expert != path:
        known = record_file.load(expert)
        if known.reached and not known.error:  # who did not arrive shows nobody the way
            values |= against_expert(record, known)
    return Row(case, planner, values, failed_why(record, values), path)


def values_of(
    found: Iterable[Row], name: str, planner: str = "", family: str = "", human: str = ""
) -> FloatArray:
    """(n,) a figure's values, NaN left out, of one planner, family, human model where given."""
    return np.array(
        [
            r.values[name]
            for r in found
            if planner in ("", r.planner)
            and family in ("", r.case.family)
            and human in ("", r.case.human)
            and not np.isnan(r.values.get(name, np.nan))
        ],
        dtype=float,
    )


def interval(found: Sequence[Row], name: str, planner: str, family: str = "", human: str = "") -> Interval:
    """Mean of a figure with its 95 % interval.

    Cases are drawn anew with all families kept, as the families are chosen and not a sample.
    """
    families = sorted({r.case.family for r in found if family in ("", r.case.family)})
    parts = [values_of(found, name, planner, f, human) for f in families]
    return stratified([p for p in parts if len(p)])


def stratified(parts: Sequence[FloatArray], seed: int = 0, draws: int = 2000) -> Interval:
    """Mean of the pooled values (one array for each stratum) with a stratified bootstrap interval.

    Where a stratum is too small to be drawn from, all are drawn from together: the interval is wider then.
    """
    if len(parts) == 0:
        return bootstrap(np.zeros(0))
    if len(parts) == 1 or min(len(p) for p in parts) < 3:
        return bootstrap(np.concatenate(parts), seed, draws)
    rng = np.random.default_rng(seed)
    total = sum(p[rng.integers(len(p), size=(draws, len(p)))].sum(axis=1) for p in parts)
    means = total / sum(len(p) for p in parts)
    low, high = np.quantile(means, [0.025, 0.975])
    return Interval(float(np.concatenate(parts).mean()), float(low), float(high))


@dataclass(frozen=True)
class Ratio:
    """A figure of ours over the best baseline's: per family, and the geometric mean over them."""

    name: str
    families: tuple[str, ...]
    ours: tuple[float, ...]
    best: tuple[float, ...]
    rivals: tuple[str, ...]
    mean: float


def ratio(
    found: Sequence[Row], name: str, ours: str, rivals: Sequence[str], families: Sequence[str]
) -> Ratio:
    """Geometric mean over families of our mean over the best rival's mean (smaller is better).

    Each rival is compared in the cases that it and ours drove; the best one is the one that leaves us the
    largest ratio.

    Args:
        found: all runs.
        name: of the figure.
        ours: our planner.
        rivals: the baselines.
        families: over which.
    """
    floor = _FLOORS.get(name, 1e-3)
    here, there, who, share = [], [], [], []
    for family in families:
        duels = [(p, *_duel(found, name, ours, p, family)) for p in rivals]
        known = [(p, a, b, (a + floor) / (b + floor)) for p, a, b in duels if not np.isnan(a + b)]
        best = max(known, key=lambda duel: duel[3], default=("", np.nan, np.nan, np.nan))
        who.append(best[0])
        here.append(best[1])
        there.append(best[2])
        share.append(best[3])
    mean = float(np.exp(np.log(share).mean())) if share else float("nan")
    return Ratio(name, tuple(families), tuple(here), tuple(there), tuple(who), mean)


def _duel(found: Sequence[Row], name: str, ours: str, rival: str, family: str) -> tuple[float, float]:
    """Means of both planners in the cases of a family that both drove."""
    some = [r for r in found if r.case.family == family]
    both = {r.case for r in some if r.planner == ours} & {r.case for r in some if r.planner == rival}
    kept = [r for r in some if r.case in both]
    return _mean(values_of(kept, name, ours)), _mean(values_of(kept, name, rival))


def _mean(values: FloatArray) -> float:
    return float(values.mean()) if len(values) else float("nan")


def table(
    found: Sequence[Row],
    planners: Sequence[str],
    columns: Sequence[tuple[str, str]],
    pick: Callable[[str, str], Interval] | None = None,
) -> list[tuple[str, ...]]:
    """One row of text for each planner: mean with interval of each column (name, title)."""
    pick = pick or (lambda name, planner: interval(found, name, planner))
    return [(p, *(str(pick(name, p)) for name, _ in columns)) for p in planners]


def by_family(found: Sequence[Row], planners: Sequence[str], name: str) -> list[tuple[object, ...]]:
    """A figure's mean for each family (rows) and planner (columns)."""
    families = list(dict.fromkeys(r.case.family for r in found))
    mean = partial(_family_mean, found, name)
    return [(f, *(mean(p, f) for p in planners)) for f in families]


def _family_mean(found: Sequence[Row], name: str, planner: str, family: str) -> float:
    return _mean(values_of(found, name, planner, family))
