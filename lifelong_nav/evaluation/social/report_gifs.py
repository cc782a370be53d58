"""Small animations of runs from above, ours beside the best baseline's of the same case."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lifelong_nav.core.types import FloatArray
from lifelong_nav.evaluation.social.planner import PERIOD
from lifelong_nav.evaluation.social.report_figures import Bounds, bounds_of
from lifelong_nav.evaluation.social.run import RunRecord
from lifelong_nav.viz import colours

_FRAME_MS = 90
_TRAIL_SECONDS = 2.5
_HEAD = 24
_WALL, _FOOT, _PALE = (70, 76, 88), (50, 54, 62), (190, 208, 238)
_KEPT = (
    (255, 255, 255), _WALL, _FOOT, _PALE, colours.ROBOT, colours.GOAL, colours.ALONE, colours.CONTACT,
    (225, 225, 225),
)  # fmt: skip


@dataclass(frozen=True)
class Panel:
    """One run of an animation with its title; `ok` decides the title's colour."""

    record: RunRecord
    title: str
    ok: bool


def animation(panels: Sequence[Panel], width: int = 640, frames: int = 70) -> bytes:
    """An animated GIF of the same case driven by several planners together, about four times as fast.

    Args:
        panels: runs of one case; equal times stand side by side, who has arrived waits.
        width: of all panels together [px].
        frames: at most.
    """
    from PIL import Image as Picture

    bounds = bounds_of([p.record for p in panels], margin=1.2, flattest=0.25)
    # flat scenes stand one above the other
    flat = bounds[2] - bounds[0] > 1.5 * (bounds[3] - bounds[1])
    scale = width / (1 if flat else len(panels)) / (bounds[2] - bounds[0])
    longest = max(len(p.record.path) for p in panels)
    picks = np.unique(np.linspace(0, longest - 1, min(frames, max(2, longest // 3))).astype(int))
    bases = [_base(p, bounds, scale) for p in panels]
    pictures = [
        np.concatenate(
            [_frame(p, b, int(i), bounds, scale) for p, b in zip(panels, bases, strict=True)],
            axis=0 if flat else 1,
        )
        for i in picks
    ]
    drawn = Picture.fromarray(np.concatenate([pictures[0], pictures[len(pictures) // 2], pictures[-1]]))
    rest = drawn.quantize(32, method=Picture.Quantize.MEDIANCUT).getpalette() or []
    palette = Picture.new("P", (1, 1))
    palette.putpalette([*np.array([*_KEPT, *colours.GROUPS], np.uint8).ravel().tolist(), *rest[: 3 * 32]])
    coded = [Picture.fromarray(f).quantize(palette=palette, dither=Picture.Dither.NONE) for f in pictures]
    buffer = io.BytesIO()
    pauses = [_FRAME_MS] * (len(coded) - 1) + [1600]
    coded[0].save(
        buffer, "GIF", save_all=True, append_images=coded[1:], duration=pauses, loop=0, optimize=False
    )
    return buffer.getvalue()


def _pixels(points: FloatArray, bounds: Bounds, scale: float) -> NDArray[np.int32]:
    """Pixels in sixteenths, as cv2 takes them."""
    p = (np.asarray(points, dtype=float) - (bounds[0], bounds[3])) * (scale, -scale) + (0.0, _HEAD)
    return np.round(p * 16).astype(np.int32)


def _base(panel: Panel, bounds: Bounds, scale: float) -> NDArray[np.uint8]:
    import cv2

    height = round((bounds[3] - bounds[1]) * scale) + _HEAD
    out = np.full((height, round((bounds[2] - bounds[0]) * scale), 3), 255, np.uint8)
    record = panel.record
    for a, b in _pixels(record.walls.reshape(-1, 2), bounds, scale).reshape(-1, 2, 2):
        cv2.line(out, tuple(a.tolist()), tuple(b.tolist()), _WALL, 1, cv2.LINE_AA, 4)
    _disc(out, record.route[-1], record.tolerance, colours.GOAL, bounds, scale, 2)
    out[:_HEAD] = 255
    colour = _FOOT if panel.ok else colours.CONTACT
    cv2.putText(out, panel.title, (6, 15), cv2.FONT_HERSHEY_SIMPLEX, 0.44, colour, 1, cv2.LINE_AA)
    out[:, -1] = 225
    return out


def _frame(panel: Panel, base: NDArray[np.uint8], i: int, bounds: Bounds, scale: float) -> NDArray[np.uint8]:
    import cv2

    out, record = base.copy(), panel.record
    now = min(i, len(record.path) - 1)
    past = max(0, now - round(_TRAIL_SECONDS / PERIOD))
    way = _pixels(record.path[: now + 1 : 2, :2], bounds, scale)
    cv2.polylines(out, [way.reshape(-1, 1, 2)], False, _PALE, 2, cv2.LINE_AA, 4)
    for n in range(record.people.shape[1]):
        if not np.isfinite(record.people[now, n]).all():
            continue
        group = int(record.groups[n])
        colour = colours.ALONE if group < 0 else colours.GROUPS[group % len(colours.GROUPS)]
        trail = record.people[past : now + 1 : 3, n]
        line = _pixels(trail[np.isfinite(trail).all(axis=1)], bounds, scale)
        cv2.polylines(out, [line.reshape(-1, 1, 2)], False, colour, 1, cv2.LINE_AA, 4)
        _disc(out, record.people[now, n], float(record.radii[n]), colour, bounds, scale)
    for touch in record.touches:
        over = i > now  # arrived: the last picture keeps what happened just before
        if touch.stamp <= now * PERIOD < touch.stamp + 3.0 or (over and touch.stamp > now * PERIOD - 3.0):
            place = record.path[min(round(touch.stamp / PERIOD), len(record.path) - 1), :2]
            _disc(out, place, record.radius + 0.15, colours.CONTACT, bounds, scale, 2)
    x, y, yaw = record.path[now]
    _disc(out, np.array([x, y]), record.radius, colours.ROBOT, bounds, scale)
    nose = np.array([(x, y), (x + record.radius * np.cos(yaw), y + record.radius * np.sin(yaw))])
    cv2.polylines(
        out, [_pixels(nose, bounds, scale).reshape(-1, 1, 2)], False, (255, 255, 255), 2, cv2.LINE_AA, 4
    )
    out[:_HEAD] = base[:_HEAD]
    text = f"{now * PERIOD:.0f} s"
    cv2.putText(out, text, (out.shape[1] - 44, 15), cv2.FONT_HERSHEY_SIMPLEX, 0.44, _FOOT, 1, cv2.LINE_AA)
    return out


def _disc(
    out: NDArray[np.uint8], centre: FloatArray, radius: float, colour: colours.Rgb, bounds: Bounds,
    scale: float, thickness: int = -1,
) -> None:  # fmt: skip
    import cv2

    x, y = _pixels(centre, bounds, scale).tolist()
    cv2.circle(out, (x, y), max(16, round(radius * scale * 16)), colour, thickness, cv2.LINE_AA, 4)
