"""Figures of the social report as inline SVG: dots with intervals, and paths over the plan."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

import numpy as np

from lifelong_nav.core.types import FloatArray
from lifelong_nav.evaluation.report_plots import svg, ticks
from lifelong_nav.evaluation.social.planner import PERIOD
from lifelong_nav.evaluation.social.report_tables import Line, Metric
from lifelong_nav.evaluation.social.run import RunRecord
from lifelong_nav.viz import colours

Bounds = tuple[float, float, float, float]
_WIDE_M = 60.0  # pixels of a metre in the drawing's own units
_TRAIL = 0.8  # seconds of a piece of a fading track
_MARK = 2.0  # seconds between the dots on a path


def dots(lines: Sequence[Line], k: int, metric: Metric, width: float = 330.0) -> str:
    """Means with 95 % intervals of metric k of all planners, one under the other."""
    shown = [(x, x.cells[k]) for x in lines if np.isfinite(x.cells[k].value)]
    left, right, row, top = 112.0, 58.0, 20.0, 6.0
    high = max((c.high for _, c in shown), default=1.0)
    low = min((c.low for _, c in shown), default=0.0)
    low = 0.0 if low < 0.5 * high else low - 0.05 * (high - low)
    high = 1.0 if (metric.percent and metric.high) or high <= low else high * 1.02
    height = top + row * len(shown) + 22.0
    scale = (width - left - right) / (high - low)
    out = []
    for v in ticks(low, high, 3):
        x = left + (v - low) * scale
        text = f"{100 * v:g} %" if metric.percent else f"{v:g}"
        out.append(f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{top}" y2="{height - 20:.0f}"/>')
        out.append(f'<text x="{x:.1f}" y="{height - 6:.0f}" text-anchor="middle">{text}</text>')
    for i, (line, cell) in enumerate(shown):
        y = top + row * (i + 0.5)
        a, b, m = (left + (v - low) * scale for v in (cell.low, cell.high, cell.value))
        bold = " b" if cell.best else ""
        out.append(
            f'<g class="dot {line.kind}"><text x="{left - 10:.0f}" y="{y + 4:.1f}" text-anchor="end" '
            f'class="name">{escape(short(line.planner))}</text>'
            f'<line x1="{a:.1f}" x2="{b:.1f}" y1="{y:.1f}" y2="{y:.1f}"/>'
            f'<circle cx="{m:.1f}" cy="{y:.1f}" r="4.2"/>'
            f'<text class="val{bold}" x="{width:.0f}" y="{y + 4:.1f}" text-anchor="end">{cell.text}</text>'
            f"<title>{escape(line.planner)}: {cell.text} [{cell.range}]</title></g>"
        )
    return svg(width, height, "".join(out), f"{metric.title} by planner")


def short(planner: str) -> str:
    """A planner's name as it fits a plot."""
    name = planner.rpartition(":")[2].replace("lifelong_nav-", "ours, ")
    return name.replace("lifelong_nav", "ours").replace("_", " ")


def bounds_of(records: Sequence[RunRecord], margin: float = 1.6, flattest: float = 0.42) -> Bounds:
    """x_min, y_min, x_max, y_max [m] around all paths, neither too flat nor too tall."""
    points = np.concatenate([r.path[:, :2] for r in records] + [records[0].route])
    low, high = points.min(axis=0) - margin, points.max(axis=0) + margin
    middle, size = (low + high) / 2.0, high - low
    size = np.maximum(size, [size[1] * 1.25, size[0] * flattest])
    low, high = middle - size / 2.0, middle + size / 2.0
    return float(low[0]), float(low[1]), float(high[0]), float(high[1])


def path_plot(record: RunRecord, others: Mapping[str, RunRecord], label: str) -> str:
    """One case from above: walls, our path and others', people's tracks as they were in our run.

    Args:
        record: our run, or the one in its place.
        others: CSS class -> run of another planner in the same case, drawn beneath.
        label: for screen readers.
    """
    bounds = bounds_of([record, *others.values()], flattest=0.3)
    width, height = (bounds[2] - bounds[0]) * _WIDE_M, (bounds[3] - bounds[1]) * _WIDE_M
    unit = width / 640.0  # a screen pixel at the usual size

    def at(points: FloatArray) -> FloatArray:
        return (np.asarray(points, dtype=float) - (bounds[0], bounds[3])) * (_WIDE_M, -_WIDE_M)

    out = [_walls(at(record.walls.reshape(-1, 2)).reshape(-1, 4), width, height, unit)]
    out += [_track(at(record.people[:, n]), int(record.groups[n]), float(record.radii[n]), unit)
            for n in range(record.people.shape[1])]  # fmt: skip
    route = at(record.route)
    out.append(f'<path class="route" {_w(1.2 * unit)} stroke-dasharray="{4 * unit:.0f}" d="{_d(route)}"/>')
    for css, other in others.items():
        out.append(f'<path class="way {css}" {_w(2.2 * unit)} d="{_d(at(other.path[:, :2]))}"/>')
    way = at(record.path[:, :2])
    out.append(f'<path class="way ours" {_w(3.2 * unit)} d="{_d(way)}"/>')
    for k in range(0, len(way), round(_MARK / PERIOD)):
        x, y = way[k]
        out.append(_circle("tick", x, y, 3 * unit, f"<title>{k * PERIOD:g} s</title>"))
    x, y = at(record.route[-1])
    out.append(_circle("aim", x, y, record.tolerance * _WIDE_M))
    x, y = way[-1]
    out.append(_circle("robot", x, y, record.radius * _WIDE_M))
    for touch in record.touches:
        x, y = way[min(round(touch.stamp / PERIOD), len(way) - 1)]
        r = 8 * unit
        cross = f"M{x - r:.0f} {y - r:.0f}l{2 * r:.0f} {2 * r:.0f}m0 {-2 * r:.0f}l{-2 * r:.0f} {2 * r:.0f}"
        out.append(f'<path class="hit" {_w(3 * unit)} d="{cross}"/>')
    out.append(_scale_bar(width, height, unit))
    return svg(round(width), round(height), "".join(out), label)


def _walls(pixels: FloatArray, width: float, height: float, unit: float) -> str:
    x, y = pixels[:, 0::2], pixels[:, 1::2]
    seen = (x.min(axis=1) < width) & (x.max(axis=1) > 0) & (y.min(axis=1) < height) & (y.max(axis=1) > 0)
    d = "".join(f"M{a:.0f} {b:.0f}L{c:.0f} {e:.0f}" for a, b, c, e in pixels[seen])
    return f'<path class="wall" {_w(1.8 * unit)} d="{d}"/>'


def _track(pixels: FloatArray, group: int, radius: float, unit: float) -> str:
    """A person's way, the paler the longer ago, with the person at its end."""
    there = np.isfinite(pixels).all(axis=1)
    if not there.any():
        return ""
    colour = colours.css(colours.ALONE if group < 0 else colours.GROUPS[group % len(colours.GROUPS)])
    step, count, out = round(_TRAIL / PERIOD), len(pixels), []
    still = float(np.ptp(pixels[there], axis=0).max()) < 0.3 * _WIDE_M
    for k in [] if still else range(0, count - 1, step):
        piece = pixels[k : k + step + 1]
        piece = piece[np.isfinite(piece).all(axis=1)]
        if len(piece) > 1:
            fade = 0.10 + 0.75 * k / count
            d = _d(piece[:: max(1, step // 2)], piece[-1])
            style = f'stroke="{colour}" {_w(2.4 * unit)} opacity="{fade:.2f}"'
            out.append(f'<path class="track" {style} d="{d}"/>')
    x, y = pixels[np.flatnonzero(there)[-1]]
    out.append(f'<circle cx="{x:.0f}" cy="{y:.0f}" r="{radius * _WIDE_M:.0f}" fill="{colour}" opacity=".8"/>')
    return "".join(out)


def _d(pixels: FloatArray, last: FloatArray | None = None) -> str:
    rows = np.round(np.append(pixels, last[None], axis=0) if last is not None else pixels).astype(int)
    if last is None and len(rows) > 120:
        rows = np.append(rows[:: max(1, len(rows) // 100)], rows[-1:], axis=0)
    return "M" + "L".join(f"{x} {y}" for x, y in rows)


def _circle(css: str, x: float, y: float, radius: float, inside: str = "") -> str:
    return f'<circle class="{css}" cx="{x:.0f}" cy="{y:.0f}" r="{radius:.1f}">{inside}</circle>'


def _w(width: float) -> str:
    return f'stroke-width="{width:.1f}"'


def _scale_bar(width: float, height: float, unit: float) -> str:
    x, y = width - 14 * unit - _WIDE_M, height - 14 * unit
    return (
        f'<path class="bar1" {_w(2 * unit)} d="M{x:.0f} {y:.0f}h{_WIDE_M:.0f}"/>'
        f'<text x="{x + _WIDE_M / 2:.0f}" y="{y - 5 * unit:.0f}" text-anchor="middle" '
        f'style="font-size:{12 * unit:.0f}px">1 m</text>'
    )
