"""Pictures of a report: the map as a PNG and a short time lapse of the run as a GIF."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lifelong_nav.core.grid import UNKNOWN
from lifelong_nav.core.types import FloatArray
from lifelong_nav.evaluation.report_data import RunData
from lifelong_nav.viz import colours
from lifelong_nav.viz.pictures import MAP_SHADES
from lifelong_nav.viz.strokes import known_bounds

GIF_BYTES = 2_000_000
_MARGIN = 0.4
_FRAMES, _FRAME_MS = 100, 90
_WIDTH = 640
_TRAIL_SECONDS = 12.0
_PERSON_DASH = 0.7
_KEPT = (
    (255, 255, 255), (45, 45, 45), (150, 150, 150), (150, 185, 235), colours.ROBOT, colours.GOAL,
    colours.ALONE, colours.CONTACT,
)  # fmt: skip
_GAP_SHOWN = 4.0
_Bounds = tuple[float, float, float, float]


def bounds_of(run: RunData) -> _Bounds:
    """x_min, y_min, x_max, y_max [m] of what a drawing must show: the known map, else the ways."""
    if run.grid is not None:
        known = known_bounds(run.grid)
        if known is not None:
            return known[0] - _MARGIN, known[1] - _MARGIN, known[2] + _MARGIN, known[3] + _MARGIN
    points = np.concatenate([run.pose[:, :2], run.people.reshape(-1, 2)])
    points = points[np.isfinite(points).all(axis=-1)]
    if not len(points):
        return -5.0, -5.0, 5.0, 5.0
    low, high = points.min(axis=0) - 1.0, points.max(axis=0) + 1.0
    return float(low[0]), float(low[1]), float(high[0]), float(high[1])


def map_picture(run: RunData, bounds: _Bounds, scale: float) -> NDArray[np.uint8]:
    """(H, W) uint8 of the map within bounds, north up, at `scale` pixels a metre; unknown is white."""
    x0, y0, x1, y1 = bounds
    height, width = max(1, round((y1 - y0) * scale)), max(1, round((x1 - x0) * scale))
    out = np.full((height, width), 255, dtype=np.uint8)
    if run.grid is None:
        return out
    x = x0 + (np.arange(width) + 0.5) / scale
    y = y1 - (np.arange(height) + 0.5) / scale
    cells = run.grid.to_cells(np.stack(np.meshgrid(x, y), axis=-1))
    inside = run.grid.inside(cells)
    values = run.grid.data[cells[..., 0][inside], cells[..., 1][inside]]
    shades = MAP_SHADES[values.view(np.uint8)]
    out[inside] = np.where(values == UNKNOWN, 255, shades)
    return out


def map_png(run: RunData, bounds: _Bounds, width: int = 1000) -> bytes:
    """The map as a transparent PNG: walls dark, all else clear, so that the page's background shows."""
    from PIL import Image as Picture

    if run.grid is None:
        return b""
    grey = map_picture(run, bounds, width / (bounds[2] - bounds[0]))
    rgba = np.zeros((*grey.shape, 2), dtype=np.uint8)
    rgba[..., 0], rgba[..., 1] = 70, 255 - grey
    buffer = io.BytesIO()
    Picture.fromarray(rgba, "LA").save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def time_lapse(run: RunData, limit: int = GIF_BYTES) -> bytes:
    """An animated GIF of the whole run from above with the camera beside it; empty for an empty run.

    Args:
        run: the run.
        limit: most bytes; frames and colours are given up until it fits.
    """
    if len(run.t) < 2:
        return b""
    for count, width, shades in (
        (_FRAMES, _WIDTH, 64),
        (70, 560, 48),
        (45, 480, 32),
        (25, 400, 16),
        (10, 320, 8),
    ):
        data = _encode(_frames(run, count, width), shades)
        if len(data) <= limit:
            return data
    return b""


def _encode(frames: list[NDArray[np.uint8]], shades: int) -> bytes:
    from PIL import Image as Picture

    # One palette for all keeps still parts still; our own colours come first, or the few pixels of a goal
    # would be given the nearest colour of a camera picture.
    own = np.array([*_KEPT, *colours.GROUPS], dtype=np.uint8)
    drawn = Picture.fromarray(np.concatenate([frames[len(frames) // 2], frames[-1], frames[0]]))
    rest = drawn.quantize(max(shades - len(own), 2), method=Picture.Quantize.MEDIANCUT)
    table = [*own.ravel().tolist(), *(rest.getpalette() or [])]
    palette = Picture.new("P", (1, 1))
    palette.putpalette(table[: 3 * shades])
    coded = [Picture.fromarray(f).quantize(palette=palette, dither=Picture.Dither.NONE) for f in frames]
    buffer = io.BytesIO()
    pauses = [_FRAME_MS] * (len(coded) - 1) + [1500]
    coded[0].save(
        buffer, "GIF", save_all=True, append_images=coded[1:], duration=pauses, loop=0, optimize=False
    )
    return buffer.getvalue()


def _frames(run: RunData, count: int, width: int) -> list[NDArray[np.uint8]]:
    import cv2

    bounds = bounds_of(run)
    wide, tall = bounds[2] - bounds[0], bounds[3] - bounds[1]
    scale = min(width / wide, width / tall)
    base = cv2.cvtColor(map_picture(run, bounds, scale), cv2.COLOR_GRAY2RGB)
    picks = np.unique(np.linspace(0, len(run.t) - 1, count).astype(int))
    cameras = [(t, cv2.cvtColor(cv2.imread(str(p)), cv2.COLOR_BGR2RGB)) for t, p in _readable(run)]
    free, out = run.clearance(), []
    for i in picks:
        frame = base.copy()
        _draw(cv2, frame, run, int(i), bounds, scale)
        out.append(_beside(cv2, frame, run, int(i), free, cameras))
    return out


def _draw(cv2: Any, frame: NDArray[np.uint8], run: RunData, i: int, bounds: _Bounds, scale: float) -> None:
    sub = 16  # cv2 takes fixed-point positions: four bits below the pixel make motion smooth

    def at(points: FloatArray) -> NDArray[np.int32]:
        pixels = (np.asarray(points, dtype=float) - (bounds[0], bounds[3])) * (scale, -scale)
        return np.round(pixels * sub).astype(np.int32)

    def disc(centre: FloatArray, radius: float, colour: colours.Rgb) -> None:
        x, y = at(centre)
        cv2.circle(frame, (int(x), int(y)), int(radius * scale * sub), colour, -1, cv2.LINE_AA, 4)

    first = int(np.searchsorted(run.t, run.t[i] - _TRAIL_SECONDS))
    trail = at(run.pose[first : i + 1, :2])
    cv2.polylines(frame, [trail.reshape(-1, 1, 2)], False, (150, 185, 235), 2, cv2.LINE_AA, 4)
    running = [e for e in run.errands if e["started"] is not None and e["started"] <= run.t[i]]
    if running and running[-1].get("x") is not None and run.t[i] <= (running[-1].get("ended") or np.inf):
        disc(np.array([running[-1]["x"], running[-1]["y"]]), 0.22, colours.GOAL)
    before = max(i - 5, 0)
    for n in np.flatnonzero(np.isfinite(run.people[i]).all(axis=-1)):
        group = int(run.groups[n])
        colour = colours.ALONE if group < 0 else colours.GROUPS[group % len(colours.GROUPS)]
        here, past = run.people[i, n], run.people[before, n]
        if np.isfinite(past).all() and i > before:
            ahead = here + (here - past) / (run.t[i] - run.t[before]) * _PERSON_DASH
            line = at(np.stack([here, ahead])).reshape(-1, 1, 2)
            cv2.polylines(frame, [line], False, colour, 2, cv2.LINE_AA, 4)
        disc(here, max(float(run.radii[n]), 0.2), colour)
    for contact in run.contacts:
        if contact.get("x") is not None and contact["t"] <= run.t[i] < contact["t"] + 6.0:
            disc(np.array([contact["x"], contact["y"]]), 0.3, colours.CONTACT)
    x, y, yaw = run.pose[i]
    disc(np.array([x, y]), max(run.radius, 0.25), colours.ROBOT)
    nose = np.array([(x, y), (x + 0.27 * np.cos(yaw), y + 0.27 * np.sin(yaw))])
    cv2.polylines(frame, [at(nose).reshape(-1, 1, 2)], False, (255, 255, 255), 2, cv2.LINE_AA, 4)


def _beside(
    cv2: Any, frame: NDArray[np.uint8], run: RunData, i: int, free: FloatArray,
    cameras: list[tuple[float, NDArray[np.uint8]]],
) -> NDArray[np.uint8]:  # fmt: skip
    """A foot below with camera picture, time, errand and the gap so far."""
    width = frame.shape[1]
    past = [picture for t, picture in cameras if t <= run.t[i] + 1e-6] or [p for _, p in cameras[:1]]
    foot_height = round(0.19 * width)
    foot = np.full((foot_height, width, 3), 255, dtype=np.uint8)
    left = 12
    if past:
        shown = past[-1]
        w = min(round(shown.shape[1] * foot_height / shown.shape[0]), width // 2)
        foot[:, :w] = cv2.resize(shown, (w, foot_height), interpolation=cv2.INTER_AREA)
        left = w + 12
    begun = [
        e for e in enumerate(run.errands, 1) if e[1]["started"] is not None and e[1]["started"] <= run.t[i]
    ]
    text = f"{run.t[i] - run.t[0]:.0f} s"
    if begun:
        text += f"   errand {begun[-1][0]} of {len(run.errands)}: {_ascii(begun[-1][1].get('name', ''))}"
    grey = (50, 54, 62)
    cv2.putText(foot, text, (left, 20), cv2.FONT_HERSHEY_SIMPLEX, 0.45, grey, 1, cv2.LINE_AA)
    _spark(cv2, foot, free, i, left)
    return np.concatenate([frame, foot])


def _spark(cv2: Any, foot: NDArray[np.uint8], free: FloatArray, i: int, left: int) -> None:
    """The free gap to the nearest person so far, in the rest of the foot."""
    height, width = foot.shape[:2]
    top, bottom, right = 44, height - 10, width - 12
    if not np.isfinite(free).any() or bottom - top < 20:
        return
    label = f"free gap to the nearest person (0 to {_GAP_SHOWN:g} m)"
    cv2.putText(foot, label, (left, 38), cv2.FONT_HERSHEY_SIMPLEX, 0.36, (110, 116, 130), 1, cv2.LINE_AA)
    cv2.line(foot, (left, bottom), (right, bottom), (150, 150, 150), 1)
    picks = np.unique(np.linspace(0, i, min(i + 1, 400)).astype(int))
    share = np.clip(free[picks] / _GAP_SHOWN, 0.0, 1.0)
    x = left + (right - left) * picks / max(len(free) - 1, 1)
    line = np.column_stack([x, bottom - (bottom - top) * share])
    cv2.polylines(foot, [np.round(line * 16).astype(np.int32)], False, colours.ROBOT, 1, cv2.LINE_AA, 4)


def _readable(run: RunData) -> list[tuple[float, Any]]:
    """Pictures that are whole; a run that was killed may leave a broken one."""
    import cv2

    return [(t, p) for t, p in run.pictures if cv2.imread(str(p)) is not None]


def _ascii(text: Any) -> str:
    return str(text).encode("ascii", "replace").decode()[:28]
