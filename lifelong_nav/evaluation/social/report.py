"""The report of the social benchmark: one HTML page with everything in it, failures first among equals."""

from __future__ import annotations

import base64
import importlib.metadata
import platform
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lifelong_nav.core.errors import require_package
from lifelong_nav.core.storage import atomic_write
from lifelong_nav.evaluation.bench import BenchResult, Target
from lifelong_nav.evaluation.social import record_file, report_figures, report_gifs
from lifelong_nav.evaluation.social import report_tables as tables
from lifelong_nav.evaluation.social.case import AnyCase, Case
from lifelong_nav.evaluation.social.summary import Row

_TEMPLATE = Path(__file__).with_name("report.html.j2")
GIF_BYTES = 9_500_000
"""All animations together; with base64 and the plots the page stays below 15 MB."""
_PACKAGES = ("numpy", "scipy", "onnxruntime", "pyrvo", "navground", "gym-collision-avoidance")
_DRAWN = ("orca", "nav2_mppi")
"""Drawn in the path plots beside ours, the reference and the best baseline of the scenario."""


@dataclass(frozen=True)
class _Shown:
    """A case to show of a scenario, with why ours failed in it ("" where it did not)."""

    case: AnyCase
    why: str


def write(
    path: Path, result: BenchResult, found: Sequence[Row], facts: Mapping[str, str] | None = None
) -> Path:
    """Write the page.

    Args:
        path: of the HTML file.
        result: targets and notes of the benchmark.
        found: all runs with their figures; the files of those shown are read.
        facts: further lines on how it was measured (command, machine), by name.

    Returns:
        The path.

    Raises:
        DependencyError: jinja2 or Pillow is not installed.
        StorageError: the page cannot be written.
    """
    jinja2 = require_package("jinja2", "sim")
    require_package("PIL", "sim")
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    template = environment.from_string(_TEMPLATE.read_text(encoding="utf-8"))
    page = template.render(**_context(result, found, dict(facts or {})))
    atomic_write(path, page.encode())
    return path


def _context(result: BenchResult, found: Sequence[Row], facts: dict[str, str]) -> dict[str, Any]:
    real = any(not isinstance(r.case, Case) for r in found)
    metrics = tables.metrics_of(found, [m.name for m in tables.METRICS])
    lines = tables.compared(found, metrics, without=("ablation",))
    at = {m.name: k for k, m in enumerate(metrics)}
    plotted = [m for m in metrics if m.name in tables.PLOTTED]
    failed = tables.failures(found)
    ours = [r for r in found if r.planner == tables.OURS]
    cut = tables.metrics_of(found, tables.ABLATED)
    return {
        "title": "Driving among recorded crowds" if real else "Driving among people",
        "when": time.strftime("%d %B %Y, %H:%M"), "sentence": _sentence(result, found, real),
        "targets": [_target(t) for t in result.targets], "held": sum(t.holds for t in result.targets),
        "metrics": metrics, "lines": lines, "short": report_figures.short,
        "plots": [(m, report_figures.dots(lines, at[m.name], m)) for m in plotted],
        "heats": _heats(found, real), "humans": _humans(found),
        "scenarios": _scenarios(found), "failed": [_failure(f) for f in failed], "driven": len(ours),
        "ablations": tables.ablations(found, cut), "ablated": cut, "notes": list(result.notes),
        "facts": _facts(found, facts, real), "real": real, "few": _few(found),
    }  # fmt: skip


def _sentence(result: BenchResult, found: Sequence[Row], real: bool) -> str:
    planners = tables.planners_of(found)
    cases = len({r.case for r in found})
    where = "recordings" if real else "scenarios"
    return (
        f"{len(planners)} planners in {cases} cases of {len({r.case.family for r in found})} {where}, "
        f"{len(found)} runs, all with the same body, limits, senses, routes and seeds."
    )


def _few(found: Sequence[Row], enough: int = 5) -> int:
    """The least runs of ours and the baselines in a scenario, 0 where they are enough for intervals."""
    kinds = ("ours", "baseline")
    runs = Counter((r.planner, r.case.family) for r in found if tables.kind_of(r.planner) in kinds)
    least = min(runs.values(), default=enough)
    return least if least < enough else 0


def _target(t: Target) -> dict[str, Any]:
    def number(v: float) -> str:
        return "–" if v != v else f"{v:.3g}"

    rivals = [
        (report_figures.short(k) if ":" not in k else k.replace("_", " "), number(v))
        for k, v in t.baselines.items()
    ]
    sign = {">=": "≥", "<=": "≤"}.get(t.op, t.op)
    return {"name": t.name, "value": number(t.value), "goal": f"{sign} {number(t.goal)}", "holds": t.holds,
            "rivals": rivals}  # fmt: skip


def _humans(found: Sequence[Row]) -> list[tuple[str, Any, Any]]:
    """A table for each human model, where there are several."""
    humans = list(dict.fromkeys(r.case.human for r in found))
    metrics = tables.metrics_of(found, tables.SCENARIO)
    if len(humans) < 2:
        return []
    some = [(h, [r for r in found if r.case.human == h]) for h in humans]
    return [(h.replace("_", " "), metrics, tables.compared(rows, metrics, ("ablation",))) for h, rows in some]


def _heats(found: Sequence[Row], real: bool) -> list[tuple[Any, Any, Any]]:
    """Metric -> planners and means by scenario, for the tables that can be switched."""
    planners = [p for p in tables.planners_of(found) if tables.kind_of(p) in ("ours", "baseline")]
    metrics = tables.metrics_of(
        found, ("success", "contact", "psv", "intrusion", "time_ratio", "mse", "hausdorff")
    )
    rows = [r for r in found if r.planner in planners]
    return [(m, planners, tables.heat(rows, m, planners)) for m in metrics]


def _scenarios(found: Sequence[Row]) -> list[dict[str, Any]]:
    families = list(dict.fromkeys(r.case.family for r in found))
    left, out = GIF_BYTES, []
    for k, family in enumerate(families):
        rows = [r for r in found if r.case.family == family]
        made = _scenario(family, rows, left // (len(families) - k))
        left -= made["bytes"]
        out.append(made)
    return out


def _scenario(family: str, rows: Sequence[Row], limit: int) -> dict[str, Any]:
    metrics = tables.metrics_of(rows, tables.SCENARIO)
    lines = tables.compared(rows, metrics, without=("ablation",))
    best = tables.best_baseline(rows)
    head = [x for x in lines if x.kind in ("ours", "reference") or x.planner == best]
    mine = [r for r in rows if r.planner == tables.OURS]
    lost = [r for r in mine if not r.values["success"]]
    shown = _chosen(rows)
    files = {r.planner: r.file for r in rows if r.case == shown.case}
    main = tables.OURS if tables.OURS in files else (best or next(iter(files)))
    record = record_file.load(files[main])
    wanted = {p: css for p, css in _styles(rows, best).items() if p in files and p != main}
    others = {css: record_file.load(files[p]) for p, css in wanted.items()}
    gif = _gif(rows, shown, main, best, files, limit)
    return {
        "name": family.replace("_", " "), "id": f"s-{family}", "metrics": metrics, "head": head,
        "rest": [x for x in lines if x not in head], "best": best, "lost": len(lost), "of": len(mine),
        "case": _words(shown.case), "why": shown.why,
        "plot": report_figures.path_plot(record, others, f"Paths in {family}"),
        "legend": [(css, report_figures.short(p)) for p, css in wanted.items()],
        "main": report_figures.short(main),
        "gif": base64.b64encode(gif).decode(), "bytes": len(gif),
    }  # fmt: skip


def _chosen(rows: Sequence[Row]) -> _Shown:
    """The first case in which ours failed, else the first of all."""
    mine = sorted((r for r in rows if r.planner == tables.OURS), key=lambda r: (r.case.seed, str(r.case)))
    for r in mine:
        if not r.values["success"]:
            return _Shown(r.case, r.why)
    first = mine[0] if mine else min(rows, key=lambda r: (r.case.seed, str(r.case)))
    return _Shown(first.case, "")


def _styles(rows: Sequence[Row], best: str) -> dict[str, str]:
    """Planner -> CSS class of those drawn beside ours: the reference, the best baseline, two well known."""
    out = {p: "reference" for p in tables.planners_of(rows) if tables.kind_of(p) == "reference"}
    if best:
        out[best] = "best"
    for name in _DRAWN:
        if name not in out:
            out[name] = f"other{len([c for c in out.values() if c.startswith('other')]) + 1}"
    return out


def _gif(
    rows: Sequence[Row], shown: _Shown, main: str, best: str, files: Mapping[str, Path], limit: int
) -> bytes:  # fmt: skip
    panels = []
    for planner in dict.fromkeys((main, best)):
        if planner in files:
            row = next(r for r in rows if r.case == shown.case and r.planner == planner)
            title = f"{report_figures.short(planner)}: {row.why or 'arrives'}"
            panels.append(report_gifs.Panel(record_file.load(files[planner]), title, not row.why))
    for width, frames in ((760, 90), (640, 64), (520, 44), (400, 28)):
        data = report_gifs.animation(panels, width, frames)
        if len(data) <= limit:
            return data
    return b""


def _words(case: AnyCase) -> str:
    if isinstance(case, Case):
        return f"seed {case.seed}, layout {case.layout}, people: {case.human.replace('_', ' ')}"
    return f"track {case.track} of {case.scene}"


def _failure(f: tables.Failure) -> dict[str, str]:
    return {
        "family": f.case.family.replace("_", " "), "id": f"s-{f.case.family}", "case": _words(f.case),
        "why": f.why, "others": f"{f.others} of {f.of}" if f.of else "–",
    }  # fmt: skip


def _facts(found: Sequence[Row], given: dict[str, str], real: bool) -> list[tuple[str, str]]:
    cases = [r.case for r in found]
    out = [("runs", str(len(found)))]
    if not real:
        drawn = [c for c in cases if isinstance(c, Case)]
        out.append(("human models", ", ".join(dict.fromkeys(c.human.replace("_", " ") for c in drawn))))
        out.append(("layouts", ", ".join(str(n) for n in sorted({c.layout for c in drawn}))))
    out.append(("seeds", _spans(sorted({c.seed for c in cases}))))
    out += list(given.items())
    out += [("python", platform.python_version()), ("machine", f"{platform.system()} {platform.machine()}")]
    for name in ("lifelong_nav", *_PACKAGES):
        try:
            out.append((name, importlib.metadata.version(name)))
        except importlib.metadata.PackageNotFoundError:
            continue
    return out


def _spans(numbers: Sequence[int]) -> str:
    """0, 1, 2, 5 as "0–2, 5"; many loose ones as their number."""
    spans: list[list[int]] = []
    for n in numbers:
        if spans and n == spans[-1][1] + 1:
            spans[-1][1] = n
        else:
            spans.append([n, n])
    if len(spans) > 8:
        return f"{len(numbers)} between {numbers[0]} and {numbers[-1]}"
    return ", ".join(str(a) if a == b else f"{a}–{b}" for a, b in spans)
