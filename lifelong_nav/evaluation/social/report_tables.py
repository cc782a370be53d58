"""The tables of the social report, from rows of runs to cells of text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lifelong_nav.core.types import FloatArray
from lifelong_nav.evaluation.social import summary
from lifelong_nav.evaluation.social.case import AnyCase
from lifelong_nav.evaluation.social.real import HUMAN
from lifelong_nav.evaluation.social.summary import EXPERT, Row
from lifelong_nav.evaluation.social_metrics import Interval

OURS = "lifelong_nav"


@dataclass(frozen=True)
class Metric:
    """A figure as the report shows it; `high` when more is better, `percent` for shares of runs."""

    name: str
    title: str
    unit: str
    tells: str
    high: bool = False
    percent: bool = False

    def text(self, value: float) -> str:
        """The value with as many digits as it deserves."""
        if np.isnan(value):
            return "–"
        if self.percent:
            return f"{100.0 * value:.0f} %" if value in (0.0, 1.0) else f"{100.0 * value:.1f} %"
        return f"{value:.2f}" if abs(value) < 10.0 else f"{value:.1f}"


METRICS = (
    Metric("success", "Success", "", "goal reached in time, no contact with people beyond what the scenario "
           "allows, no wall touched, company kept where that is the task", True, True),
    Metric("contact", "Contact", "", "runs with any contact with a person", False, True),
    Metric("contact_robot", "By robot", "", "runs in which the robot moved into a person", False, True),
    Metric("psv", "PSV", "s", "seconds with a free gap below 0.25 m to somebody (own company aside)"),
    Metric("intrusion", "In groups", "s", "seconds within the space of a group: its members' hull + 0.3 m"),
    Metric("time_ratio", "T / T_free", "", "time over that of the empty route, runs that arrived"),
    Metric("ttc", "TTC < 1.5 s", "s", "seconds with a collision less than 1.5 s ahead at constant velocity"),
    Metric("stalled", "Stalled", "s", "seconds in which the robot hardly moves"),
    Metric("jerk", "Jerk", "m/s³", "mean third derivative of the robot's position"),
    Metric("lost", "People lose", "s", "seconds people lost to detours and waiting; only differences between "
           "planners in the same case mean something"),
    Metric("mse", "MSE", "m²", "mean squared distance from the reference's path at equal times"),
    Metric("hausdorff", "Hausdorff", "m", "Hausdorff distance from the reference's path"),
)  # fmt: skip
PLOTTED = ("success", "contact", "psv", "intrusion", "time_ratio", "mse")
SCENARIO = ("success", "contact", "psv", "intrusion", "time_ratio", "mse", "hausdorff")
ABLATED = ("success", "contact", "psv", "intrusion", "time_ratio", "mse")


@dataclass(frozen=True)
class Cell:
    """A mean with its interval as text; `best` among those compared."""

    text: str
    range: str = ""
    best: bool = False
    value: float = float("nan")
    low: float = float("nan")
    high: float = float("nan")


@dataclass(frozen=True)
class Line:
    """One planner's row: `kind` is ours, ablation, baseline or reference; `runs` how many it drove."""

    planner: str
    kind: str
    runs: int
    cells: tuple[Cell, ...]


def kind_of(planner: str) -> str:
    """What a planner is in the comparison."""
    if planner == OURS:
        return "ours"
    if planner.startswith(f"{OURS}-"):
        return "ablation"
    return "reference" if planner in (EXPERT, HUMAN) else "baseline"


def planners_of(rows: Sequence[Row]) -> tuple[str, ...]:
    """Planners in the order in which the report lists them."""
    order = ("ours", "reference", "baseline", "ablation")
    found = list(dict.fromkeys(r.planner for r in rows))
    return tuple(sorted(found, key=lambda p: (order.index(kind_of(p)), found.index(p))))


def metrics_of(rows: Sequence[Row], names: Sequence[str]) -> tuple[Metric, ...]:
    """The metrics of these names that any run has."""
    known = {m.name: m for m in METRICS}
    return tuple(known[n] for n in names if len(summary.values_of(rows, n)))


def compared(rows: Sequence[Row], metrics: Sequence[Metric], without: Sequence[str] = ()) -> list[Line]:
    """A line for every planner, means with 95 % intervals; the best of ours and the baselines is marked."""
    lines = []
    for planner in planners_of(rows):
        if kind_of(planner) in without:
            continue
        mine = [r for r in rows if r.planner == planner]
        cells = [_cell(m, summary.interval(mine, m.name, planner)) for m in metrics]
        lines.append(Line(planner, kind_of(planner), len(mine), tuple(cells)))
    for k, metric in enumerate(metrics):
        rivals = [i for i, x in enumerate(lines) if x.kind in ("ours", "baseline")]
        values = [lines[i].cells[k].value for i in rivals]
        if len(values) < 2 or np.isnan(values).all():
            continue
        best = np.nanmax(values) if metric.high else np.nanmin(values)
        if np.count_nonzero(np.array(values) == best) == len(values):
            continue  # where all are equal nobody is best
        for i, value in zip(rivals, values, strict=True):
            if value == best:
                cells = list(lines[i].cells)
                cells[k] = Cell(**{**cells[k].__dict__, "best": True})
                lines[i] = Line(lines[i].planner, lines[i].kind, lines[i].runs, tuple(cells))
    return lines


def _cell(metric: Metric, i: Interval) -> Cell:
    if np.isnan(i.mean):
        return Cell("–")
    low, high = metric.text(i.low).removesuffix(" %"), metric.text(i.high).removesuffix(" %")
    return Cell(metric.text(i.mean), f"{low} – {high}", False, i.mean, i.low, i.high)


def best_baseline(rows: Sequence[Row]) -> str:
    """The baseline with most successes, of equals the one least in personal space; "" without any."""
    scores: dict[str, tuple[float, float]] = {}
    for planner in planners_of(rows):
        if kind_of(planner) == "baseline":
            success, near = (summary.values_of(rows, n, planner) for n in ("success", "psv"))
            scores[planner] = (-float(success.mean()), float(near.mean()))
    return min(scores, key=lambda p: scores[p], default="")


@dataclass(frozen=True)
class Failure:
    """A run of ours that failed: why, and how many of the baselines that drove the case did succeed."""

    case: AnyCase
    why: str
    others: int
    of: int


def failures(rows: Sequence[Row]) -> list[Failure]:
    """Every failed run of ours."""
    by_case: dict[AnyCase, list[Row]] = {}
    for r in rows:
        if kind_of(r.planner) == "baseline":
            by_case.setdefault(r.case, []).append(r)
    out = []
    for r in rows:
        if r.planner == OURS and not r.values["success"]:
            rivals = by_case.get(r.case, [])
            out.append(Failure(r.case, r.why, sum(bool(x.values["success"]) for x in rivals), len(rivals)))
    return out


@dataclass(frozen=True)
class Change:
    """What leaving a part out changes, case by case; `clear` when the interval leaves out nought."""

    text: str
    range: str = ""
    clear: bool = False
    worse: bool = False


def ablations(rows: Sequence[Row], metrics: Sequence[Metric]) -> list[tuple[str, int, list[Change]]]:
    """For each ablation: its name, the cases both drove, and the mean change against the full stack."""
    full = {r.case: r for r in rows if r.planner == OURS}
    out = []
    for planner in planners_of(rows):
        if kind_of(planner) != "ablation":
            continue
        pairs = [(r, full[r.case]) for r in rows if r.planner == planner and r.case in full]
        changes = [_change(m, pairs) for m in metrics]
        out.append((planner, len(pairs), changes))
    return out


def _change(metric: Metric, pairs: Sequence[tuple[Row, Row]]) -> Change:
    parts: dict[str, list[float]] = {}
    for cut, whole in pairs:
        d = cut.values.get(metric.name, np.nan) - whole.values.get(metric.name, np.nan)
        if not np.isnan(d):
            parts.setdefault(cut.case.family, []).append(d)
    i = summary.stratified([np.array(p) for p in parts.values()])
    if np.isnan(i.mean):
        return Change("–")
    scale, unit = (100.0, " pp") if metric.percent else (1.0, "")
    digits = 1 if metric.percent else 2

    def text(v: float) -> str:
        return f"{scale * v:+.{digits}f}".replace("-", "−")

    clear = i.low > 0.0 or i.high < 0.0
    return Change(
        f"{text(i.mean)}{unit}", f"{text(i.low)} … {text(i.high)}", clear, (i.mean < 0.0) == metric.high
    )


def heat(rows: Sequence[Row], metric: Metric, planners: Sequence[str]) -> list[tuple[str, list[Cell]]]:
    """Mean of a metric by family (rows) and planner (columns); `low` is how bad, 0 to 1, for the shade."""
    families = list(dict.fromkeys(r.case.family for r in rows))
    by = {p: [r for r in rows if r.planner == p] for p in planners}
    table: FloatArray = np.array(
        [[_mean(summary.values_of(by[p], metric.name, p, f)) for p in planners] for f in families]
    )
    out = []
    for family, values in zip(families, table, strict=True):
        top = 1.0 if metric.percent else max(float(np.nanmax(values, initial=0.0)), 1e-9)
        best = np.nanmax(values) if metric.high else np.nanmin(values)
        equal = bool((values == best).all())
        bad = (1.0 - values) if metric.high else values / top
        cells = [
            Cell(metric.text(v), "", bool(v == best) and not equal, float(v), float(np.nan_to_num(b)))
            for v, b in zip(values, bad, strict=True)
        ]
        out.append((family, cells))
    return out


def _mean(values: FloatArray) -> float:
    return float(values.mean()) if len(values) else float("nan")
