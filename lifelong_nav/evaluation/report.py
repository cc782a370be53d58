"""The report of a run: one HTML page that needs nothing else, and the same as Markdown.

Everything that comes from the run (names, messages) is escaped; failures are listed, not averaged away.
"""

from __future__ import annotations

import base64
import time
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from lifelong_nav.core.errors import require_package
from lifelong_nav.core.storage import atomic_write
from lifelong_nav.evaluation import report_media, report_plots
from lifelong_nav.evaluation.report_data import Headline, RunData, headline, load_run
from lifelong_nav.evaluation.social_metrics import PERSONAL_SPACE
from lifelong_nav.viz.live import SHAPING

_TEMPLATE = Path(__file__).with_name("report.html.j2")
_BADGES = {"good": "All well", "mixed": "With flaws", "bad": "Not good"}
_WIDE, _NARROW = 1000.0, 350.0
_CLOSE = 0.25


def write_report(run_dir: Path) -> Path:
    """Write `report.html`, `report.md` and, where there is something to see, `run.gif` into a run's folder.

    Args:
        run_dir: folder with the files of `run_files`.

    Returns:
        Path of the HTML page.

    Raises:
        StorageError, InputError: files are missing or broken.
        DependencyError: jinja2 or Pillow is not installed.
    """
    jinja2 = require_package("jinja2", "sim")
    require_package("PIL", "sim")
    run = load_run(run_dir)
    figures = headline(run)
    gif = report_media.time_lapse(run)
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    template = environment.from_string(_TEMPLATE.read_text(encoding="utf-8"))
    page = template.render(**_context(run, figures, gif))
    atomic_write(run_dir / "report.html", page.encode())
    if gif:
        atomic_write(run_dir / "run.gif", gif)
    atomic_write(run_dir / "report.md", _markdown(run, figures, bool(gif)).encode())
    return run_dir / "report.html"


def _context(run: RunData, h: Headline, gif: bytes) -> dict[str, Any]:
    """What the template shows. The plots are SVG whose texts `report_plots` has escaped already."""
    bounds = report_media.bounds_of(run)
    rows = [_errand(e) for e in run.errands]
    drawn = report_plots.map_plot(run, report_media.map_png(run, bounds), bounds)
    return {
        "title": _title(run), "when": _when(run), "verdict": h.verdict, "badge": _BADGES[h.verdict],
        "sentence": sentence(h), "description": str(run.facts.get("description") or ""),
        "stopped": str(run.facts.get("stopped") or ""), "cards": _cards(h), "problems": problems(run, h),
        "gif": base64.b64encode(gif).decode(), "map_svg": drawn,
        "any_failed": any(e.get("code") != "NONE" for e in run.errands), "contacts": h.contacts,
        "errands": rows, "any_recoveries": any(e["recoveries"] for e in rows),
        "any_reason": any(e["message"] for e in rows), "met_people": h.closest is not None,
        "speed_wide": report_plots.speed_plot(run, _WIDE),
        "speed_narrow": report_plots.speed_plot(run, _NARROW),
        "clear_wide": report_plots.clearance_plot(run, _WIDE),
        "clear_narrow": report_plots.clearance_plot(run, _NARROW),
        "histogram": report_plots.clearance_histogram(run, 480.0),
        "gate_bars": _gate_bars(run), "interventions": h.interventions,
        "personal_space": f"{PERSONAL_SPACE:g}", "command": str(run.facts.get("command") or ""),
        "environment": _environment(run),
    }  # fmt: skip


def sentence(h: Headline) -> str:
    """The run in one sentence."""
    parts = []
    if h.errands or h.planned:
        parts.append(f"{h.done} of {max(h.errands, h.planned)} errands done")
    parts.append(f"{h.distance:.0f} m driven in {_duration(h.seconds)}")
    if h.contacts:
        touched = f"{h.contacts} contact{'s' if h.contacts != 1 else ''}"
        parts.append(touched + (f", {h.contacts_people} with people" if h.contacts_people else ""))
    else:
        parts.append("no contacts")
    return "; ".join(parts) + "."


def problems(run: RunData, h: Headline) -> list[dict[str, str]]:
    """Everything a reader must not miss: failed and missing errands, contacts, an early stop."""
    out = []
    for i, errand in enumerate(run.errands, 1):
        if errand.get("code") != "NONE":
            text = f"{errand.get('name', '')}: {_why(errand)}"
            out.append({"what": f"Errand {i}: {errand.get('code', '?')}", "text": text})
    if h.planned > h.errands:
        missing = h.planned - h.errands
        out.append({"what": "Not begun", "text": f"{missing} of {h.planned} errands were never begun."})
    start = float(run.t[0]) if len(run.t) else 0.0
    for contact in run.contacts:
        when = f"at {contact['t'] - start:.1f} s" if contact.get("t") is not None else ""
        speed = f", driving {contact['speed']:.2f} m/s" if contact.get("speed") is not None else ""
        text = f"Touched {contact.get('name', 'something')} {when}{speed}."
        out.append({"what": f"Contact: {contact.get('kind', '')}", "text": text})
    return out


def _cards(h: Headline) -> list[dict[str, Any]]:
    def card(label: str, value: float | None, form: str, unit: str, warn: bool = False) -> dict[str, Any]:
        text = "–" if value is None else format(value, form)
        return {"label": label, "value": text, "unit": unit if value is not None else "", "warn": warn}

    wanted = max(h.errands, h.planned)
    with_people = f"({h.contacts_people or 'none'} with people)" if h.contacts else ""
    return [
        {"label": "Errands done", "value": f"{h.done}", "unit": f"of {wanted}", "warn": h.done < wanted},
        card("Distance", h.distance, ".0f", "m"),
        {"label": "Time on errands", "value": _duration(h.seconds), "unit": "", "warn": False},
        card("Contacts", h.contacts, "d", with_people, h.contacts > 0),
        card("Closest to a person", h.closest, ".2f", "m", h.closest is not None and h.closest < _CLOSE),
        card("In personal space", h.psv_seconds, ".1f", "s"),
        card("Inside a group", h.group_seconds, ".1f", "s"),
        card("Stalled", h.stalled, ".0f", "s"),
        card("Gate interventions", h.interventions, "d", f"({h.stops or 'no'} stop{'s' * (h.stops != 1)})"),
        card("Speed of simulation", h.real_time, ".1f", "× real time"),
    ]


def _errand(errand: Mapping[str, Any]) -> dict[str, Any]:
    ok = errand.get("code") == "NONE"
    started, ended = errand.get("started"), errand.get("ended")
    return {
        "name": str(errand.get("name", "")), "ok": ok,
        "result": "done" if ok else str(errand.get("code", "?")),
        "seconds": f"{ended - started:.0f} s" if started is not None and ended else "–",
        "distance": f"{errand['distance']:.1f} m" if errand.get("distance") else "–",
        "recoveries": f"{errand.get('recoveries') or 0}×" if errand.get("recoveries") else "",
        "message": "" if ok else _why(errand),
    }  # fmt: skip


def _why(errand: Mapping[str, Any]) -> str:
    return str(errand.get("message") or "no reason was given")


def _gate_bars(run: RunData) -> str:
    rows = [
        (reason.replace("_", " "), float(g["seconds"]), _bar_class(reason, int(g["state"])))
        for reason, g in run.gate.items()
        if g.get("state", 0) > 0 and g.get("times", 0) > 0
    ]
    rows.sort(key=lambda row: -row[1])
    return report_plots.bars(rows[:9], 480.0) if rows else ""


def _bar_class(reason: str, state: int) -> str:
    if reason in SHAPING:
        return "trim"
    return "bad" if state == 2 else "mixed"


def _environment(run: RunData) -> list[tuple[str, str]]:
    f = run.facts
    out: list[tuple[str, Any]] = [("seed", f.get("seed")), ("samples", len(run.t))]
    if f.get("simulated") and f.get("wall"):
        out += [("simulated", _duration(f["simulated"])), ("wall time", _duration(f["wall"]))]
    out += sorted(dict(f.get("machine") or {}).items())
    out += list(dict(f.get("versions") or {}).items())
    wall = f.get("wall")
    for name, seconds in sorted(dict(f.get("cpu") or {}).items(), key=lambda kv: -(kv[1] or 0.0)):
        if seconds is not None and wall:
            out.append((f"CPU of {name}", f"{100.0 * seconds / wall:.0f} % of a core"))
    return [(str(name), str(value)) for name, value in out if value not in (None, "")]


def _markdown(run: RunData, h: Headline, gif: bool) -> str:
    def row(*cells: Any) -> str:
        return "| " + " | ".join(_md(c) for c in cells) + " |"

    lines = [f"# {_md(_title(run))}", "", f"**{_BADGES[h.verdict]}.** {sentence(h)}", ""]
    if run.facts.get("description"):
        lines += [_md(run.facts["description"]), ""]
    if run.facts.get("stopped"):
        lines += [f"Stopped early: {_md(run.facts['stopped'])}", ""]
    lines += ["| figure | value |", "|---|---|"]
    lines += [row(c["label"], f"{c['value']} {c['unit']}".strip()) for c in _cards(h)]
    if gif:
        lines += ["", "![Time lapse of the run](run.gif)"]
    wrong = problems(run, h)
    if wrong:
        lines += ["", "## What went wrong", "", *[f"- **{_md(p['what'])}** {_md(p['text'])}" for p in wrong]]
    lines += ["", "## Errands", ""]
    if run.errands:
        lines += [
            "| # | to | result | time | distance | recoveries | reason |",
            "|---|---|---|---|---|---|---|",
        ]
        for i, e in enumerate(map(_errand, run.errands), 1):
            cells = (e["name"], e["result"], e["seconds"], e["distance"], e["recoveries"], e["message"])
            lines.append(row(i, *cells))
    else:
        lines.append("No errands were recorded in this run.")
    lines += ["", "## What the gate did", "", "| reason | times | seconds |", "|---|---|---|"]
    lines += [row(k, g["times"], f"{g['seconds']:.1f}") for k, g in sorted(run.gate.items())]
    lines += ["", "## Do it again", ""]
    if run.facts.get("command"):
        fence = "~~~~"
        lines += [fence, str(run.facts["command"]).replace("\n", " ").replace("~", "-"), fence, ""]
    lines += ["| | |", "|---|---|", *[row(k, v) for k, v in _environment(run)], ""]
    return "\n".join(lines)


def _md(value: Any) -> str:
    """Text that stays text in a Markdown table: no HTML, no cell, no link, no line break of its own."""
    text = escape(" ".join(str(value).split()), quote=False)
    for mark in "\\`*_[]|":
        text = text.replace(mark, "\\" + mark)
    return text


def _title(run: RunData) -> str:
    title = str(run.facts.get("title") or run.folder.resolve().name).replace("_", " ")
    return title[:1].upper() + title[1:]


def _when(run: RunData) -> str:
    started = run.facts.get("started")
    return time.strftime("%d %B %Y, %H:%M", time.localtime(started)) if isinstance(started, float) else ""


def _duration(seconds: float) -> str:
    seconds = float(np.round(seconds))
    if seconds < 120:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes < 120 else f"{minutes // 60} h {minutes % 60:02d} min"
