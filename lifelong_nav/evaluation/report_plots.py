"""Plots of a report as small inline SVG: crisp, themed by the page's CSS, and nothing to load.

Colours are CSS classes of the report's template (`p-robot`, `p-asked`, ...), so dark mode works.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
from numpy.typing import NDArray

from lifelong_nav.core.types import FloatArray
from lifelong_nav.evaluation.report_data import RunData
from lifelong_nav.evaluation.social_metrics import PERSONAL_SPACE

_MOST_POINTS = 700
_LEFT, _RIGHT, _TOP, _BOTTOM = 38.0, 14.0, 22.0, 24.0


@dataclass(frozen=True)
class Axes:
    """A plotting area and how values map to it."""

    width: float
    height: float
    x: tuple[float, float]
    y: tuple[float, float]

    def px(self, values: FloatArray | float) -> FloatArray:
        """Pixels of x values."""
        lo, hi = self.x
        return _LEFT + (np.asarray(values) - lo) / max(hi - lo, 1e-9) * (self.width - _LEFT - _RIGHT)

    def py(self, values: FloatArray | float) -> FloatArray:
        """Pixels of y values, clipped to the area."""
        lo, hi = self.y
        share = np.clip((np.asarray(values) - lo) / max(hi - lo, 1e-9), 0.0, 1.0)
        return self.height - _BOTTOM - share * (self.height - _TOP - _BOTTOM)

    def line(self, x: FloatArray, y: FloatArray, css: str) -> str:
        """A line, broken where y is not finite, thinned to what a screen shows."""
        keep = _thin(len(x))
        x, y = x[keep], y[keep]
        good = np.isfinite(y)
        if not good.any():
            return ""
        pixels = np.column_stack([self.px(x), self.py(np.where(good, y, 0.0))])
        parts, pen = [], "M"
        for (a, b), ok in zip(pixels, good, strict=True):
            if not ok:
                pen = "M"
                continue
            parts.append(f"{pen}{a:.1f} {b:.1f}")
            pen = "L"
        return f'<path class="line {css}" d="{"".join(parts)}"/>'

    def frame(self, x_unit: str, y_unit: str) -> str:
        """Grid lines and numbers."""
        out = []
        for v in ticks(*self.y, most=5):
            y = float(self.py(v))
            out.append(
                f'<line class="grid" x1="{_LEFT}" x2="{self.width - _RIGHT:.0f}" y1="{y:.1f}" y2="{y:.1f}"/>'
            )
            out.append(f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{v:g}</text>')
        marks = ticks(*self.x, most=max(3, int(self.width / 90)))
        for v in marks:
            x = float(self.px(v))
            text = f"{v:g} {escape(x_unit)}" if v == marks[-1] else f"{v:g}"
            anchor = "end" if x > self.width - _RIGHT - 20 else "middle"
            out.append(f'<text x="{x:.1f}" y="{self.height - 7:.1f}" text-anchor="{anchor}">{text}</text>')
        out.append(f'<text x="{_LEFT - 6}" y="11" text-anchor="end" class="unit">{escape(y_unit)}</text>')
        return "".join(out)


def ticks(low: float, high: float, most: int) -> list[float]:
    """Round numbers within [low, high], at most about `most`."""
    if not np.isfinite([low, high]).all() or high <= low:
        return [low]
    rough = (high - low) / max(most, 1)
    power = 10.0 ** np.floor(np.log10(rough))
    step = next(m * power for m in (1.0, 2.0, 5.0, 10.0) if m * power >= rough * (1.0 - 1e-9))
    first = np.ceil(low / step - 1e-9) * step
    return [round(float(v), 10) + 0.0 for v in np.arange(first, high + 1e-9 * step, step)]


def svg(width: float, height: float, body: str, label: str) -> str:
    """An SVG element with a name for screen readers."""
    return (
        f'<svg viewBox="0 0 {width:g} {height:g}" role="img" aria-label="{escape(label, quote=True)}" '
        f'xmlns="http://www.w3.org/2000/svg">{body}</svg>'
    )


def speed_plot(run: RunData, width: float, height: float = 190.0) -> str:
    """Speed asked for, sent and driven, over time."""
    top = max(0.6, float(np.nanmax(np.abs(run.command[:, [0, 2]]), initial=0.0)) * 1.05)
    low = min(0.0, float(np.nanmin(run.twist[:, 0], initial=0.0)))
    axes = Axes(width, height, _span(run), (low if low < -0.05 else 0.0, top))
    t = run.t - run.t[0] if len(run.t) else run.t
    lines = [
        axes.line(t, values, css)
        for values, css in (
            (run.command[:, 0], "p-asked"), (run.command[:, 2], "p-sent"), (run.twist[:, 0], "p-driven"),
        )
    ]  # fmt: skip
    body = _bands(run, axes) + axes.frame("s", "m/s") + "".join(lines) + _contact_marks(run, axes)
    return svg(width, height, body, "Speed over time")


def clearance_plot(run: RunData, width: float, height: float = 190.0) -> str:
    """Free gap to the nearest person, over time, with the personal space shaded."""
    axes = Axes(width, height, _span(run), (0.0, 4.0))
    t = run.t - run.t[0] if len(run.t) else run.t
    y = float(axes.py(PERSONAL_SPACE))
    zone = (
        f'<rect class="zone" x="{_LEFT}" y="{y:.1f}" width="{width - _LEFT - _RIGHT:.1f}" '
        f'height="{height - _BOTTOM - y:.1f}"/>'
    )
    free = run.clearance()
    line = axes.line(t, np.where(free <= axes.y[1], free, np.nan), "p-clear")
    body = _bands(run, axes) + zone + axes.frame("s", "m") + line + _contact_marks(run, axes)
    return svg(width, height, body, "Free gap to the nearest person over time")


def clearance_histogram(run: RunData, width: float, height: float = 190.0) -> str:
    """Seconds at each free gap while driving."""
    free = run.clearance()[run.driving]
    free = free[np.isfinite(free)]
    edges = np.concatenate([np.arange(0.0, 3.01, PERSONAL_SPACE)])
    counts, _ = np.histogram(np.clip(free, 0.0, None), edges)
    seconds = counts * run.dt
    axes = Axes(width, height, (0.0, 3.0), (0.0, max(1.0, float(seconds.max(initial=0.0)) * 1.08)))
    bars = []
    for left, right, value in zip(edges[:-1], edges[1:], seconds, strict=True):
        x0, x1 = float(axes.px(left)), float(axes.px(right))
        y0, y1 = float(axes.py(value)), float(axes.py(0.0))
        css = "bar bad" if right <= PERSONAL_SPACE + 1e-9 else "bar"
        bars.append(
            f'<rect class="{css}" x="{x0 + 1:.1f}" y="{y0:.1f}" width="{x1 - x0 - 2:.1f}" '
            f'height="{y1 - y0:.1f}" rx="2"><title>{left:.2f} to {right:.2f} m: {value:.1f} s</title></rect>'
        )
    body = axes.frame("m", "s") + "".join(bars)
    return svg(width, height, body, "Histogram of the free gap to the nearest person")


def bars(rows: Sequence[tuple[str, float, str]], width: float) -> str:
    """Horizontal bars: (label, value, CSS class)."""
    height = 26.0 * len(rows) + 4.0
    top = max((v for _, v, _ in rows), default=1.0) or 1.0
    label_width = min(0.4 * width, 8.0 * max((len(n) for n, _, _ in rows), default=1) + 10.0)
    room = width - label_width - 62.0
    out = []
    for i, (name, value, css) in enumerate(rows):
        y = 26.0 * i + 4.0
        out.append(f'<text x="0" y="{y + 14:.0f}" class="name">{escape(name)}</text>')
        out.append(
            f'<rect class="bar {css}" x="{label_width:.0f}" y="{y:.0f}" height="18" rx="3" '
            f'width="{max(room * value / top, 1.5):.1f}"/>'
        )
        x = label_width + max(room * value / top, 1.5) + 6.0
        out.append(f'<text x="{x:.1f}" y="{y + 14:.0f}">{value:.1f} s</text>')
    return svg(width, height, "".join(out), "Seconds by reason")


def map_plot(
    run: RunData, png: bytes, bounds: tuple[float, float, float, float], width: float = 1000.0
) -> str:
    """The building with everybody's ways.

    Args:
        run: the run.
        png: picture of the map, north up, covering `bounds`.
        bounds: x_min, y_min, x_max, y_max [m].
        width: of the drawing.
    """
    x0, y0, x1, y1 = bounds
    scale = width / max(x1 - x0, 1e-6)
    height = (y1 - y0) * scale

    def at(points: FloatArray) -> FloatArray:
        return (np.asarray(points, dtype=float) - (x0, y1)) * (scale, -scale)

    out = []
    if png:
        data = base64.b64encode(png).decode()
        out.append(
            f'<image class="map" width="{width:g}" height="{height:.1f}" '
            f'href="data:image/png;base64,{data}"/>'
        )
    for column in range(run.people.shape[1]):
        out.append(_way(at(run.people[:, column]), "p-people", scale, 0.05))
    for start, end, ok in _stretches(run):
        css = "p-robot" if ok else "p-failed"
        out.append(_way(at(run.pose[start:end, :2]), css, scale, 0.07))
    size = 0.017 * width
    numbered = [
        e for e in enumerate(run.errands, 1) if e[1].get("x") is not None and e[1].get("y") is not None
    ]
    for i, errand in sorted(numbered, key=lambda e: e[1].get("code") != "NONE"):  # failed ones on top
        x, y = at(np.array([errand["x"], errand["y"]]))
        css = "ok" if errand.get("code") == "NONE" else "failed"
        title = escape(f"{i}. {errand.get('name', '')}: {errand.get('code', '')}")
        out.append(
            f'<g class="goal {css}"><title>{title}</title><circle cx="{x:.1f}" cy="{y:.1f}" r="{size:.1f}"/>'
            f'<text x="{x:.1f}" y="{y + 0.36 * size * 1.3:.1f}" text-anchor="middle" '
            f'font-size="{1.25 * size:.1f}">{i}</text></g>'
        )
    if len(run.pose):
        x, y = at(run.pose[0, :2])
        out.append(
            f'<circle class="start" cx="{x:.1f}" cy="{y:.1f}" r="{0.6 * size:.1f}">'
            "<title>start</title></circle>"
        )
    for contact in run.contacts:
        if contact.get("x") is None or contact.get("y") is None:
            continue
        x, y = at(np.array([contact["x"], contact["y"]]))
        s = 0.6 * size
        out.append(
            f'<g class="contact"><title>{escape(str(contact.get("name", "")))}</title>'
            f'<path d="M{x - s:.1f} {y - s:.1f}l{2 * s:.1f} {2 * s:.1f}m{-2 * s:.1f} 0'
            f'l{2 * s:.1f} {-2 * s:.1f}" stroke-width="{0.3 * size:.1f}"/></g>'
        )
    return svg(width, height, "".join(out), "Map with the ways of robot and people")


def _stretches(run: RunData) -> list[tuple[int, int, bool]]:
    """(first, end, success) sample ranges of the errands; the whole run where none is known."""
    if not run.errands:
        return [(0, len(run.t), True)]
    out = []
    for errand in run.errands:
        if errand.get("started") is None:
            continue
        first = int(np.searchsorted(run.t, errand["started"]))
        end = int(np.searchsorted(run.t, errand.get("ended") or np.inf, side="right"))
        out.append((first, end, errand.get("code") == "NONE"))
    return out


def _way(pixels: FloatArray, css: str, scale: float, width: float) -> str:
    """A way as one path; broken where it is NaN or jumps."""
    pixels = pixels[_thin(len(pixels))]
    good = np.asarray(np.isfinite(pixels).all(axis=-1))
    if good.sum() < 2:
        return ""
    parts, pen, last = [], "M", np.array([np.inf, np.inf])
    for point, ok in zip(pixels, good, strict=True):
        if not ok:
            pen = "M"
            continue
        moved = float(np.abs(point - last).max())
        if pen == "L" and moved < 0.8:
            continue
        pen = "M" if moved > 2.5 * scale and np.isfinite(moved) else pen
        parts.append(f"{pen}{point[0]:.1f} {point[1]:.1f}")
        pen, last = "L", point
    return f'<path class="way {css}" stroke-width="{max(width * scale, 1.5):.1f}" d="{"".join(parts)}"/>'


def _bands(run: RunData, axes: Axes) -> str:
    """Errands as pale bands, failed ones tinted."""
    out = []
    for i, errand in enumerate(run.errands, 1):
        if errand.get("started") is None or not len(run.t):
            continue
        end = errand.get("ended") or run.t[-1]
        x0, x1 = (float(axes.px(v - run.t[0])) for v in (errand["started"], end))
        css = "band failed" if errand.get("code") != "NONE" else f"band b{i % 2}"
        title = escape(f"{i}. {errand.get('name', '')}")
        out.append(
            f'<rect class="{css}" x="{x0:.1f}" y="{_TOP}" width="{max(x1 - x0, 0.5):.1f}" '
            f'height="{axes.height - _TOP - _BOTTOM:.1f}"><title>{title}</title></rect>'
        )
    return "".join(out)


def _contact_marks(run: RunData, axes: Axes) -> str:
    marks = []
    for contact in run.contacts:
        if contact.get("t") is not None and len(run.t):
            x = float(axes.px(contact["t"] - run.t[0]))
            marks.append(
                f'<line class="contact" x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP}" y2="{axes.height - _BOTTOM}"/>'
            )
    return "".join(marks)


def _span(run: RunData) -> tuple[float, float]:
    return (0.0, max(1.0, float(run.t[-1] - run.t[0]))) if len(run.t) else (0.0, 1.0)


def _thin(count: int) -> NDArray[np.int64]:
    if count <= _MOST_POINTS:
        return np.arange(count)
    return np.unique(np.linspace(0, count - 1, _MOST_POINTS).astype(np.int64))
