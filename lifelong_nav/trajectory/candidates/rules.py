"""Classical ways to go on, as references in time: each rule gives arc lengths and offsets along the route."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lifelong_nav.core.distance import DistanceField
from lifelong_nav.core.types import FloatArray
from lifelong_nav.trajectory.candidates.along import Along, hindrance, occupied
from lifelong_nav.trajectory.candidates.config import CandidatesConfig
from lifelong_nav.trajectory.candidates.pace import grid, schedule
from lifelong_nav.trajectory.drive import REFERENCE_TIMES
from lifelong_nav.trajectory.situation import Situation
from lifelong_nav.trajectory.way import Way

_T = REFERENCE_TIMES
_SHARES = np.array([1.0, 0.85, 0.7, 0.55, 0.4, 0.25, 0.1, 0.0])


@dataclass(frozen=True, slots=True)
class Rule:
    """A reference: `arc` (36,) and `offset` (36,) along the route [m]; `reverse` drives it backwards."""

    name: str
    arc: FloatArray
    offset: FloatArray
    reverse: bool = False


def rules(s: Situation, way: Way, seen: Along, c: CandidatesConfig, speed: float) -> list[Rule]:
    """All that apply to a situation: some always do, some only among people."""
    zero = np.zeros(len(_T))
    full = np.minimum(speed * _T, way.length)
    found = [
        Rule("follow route", full, zero),
        Rule("slower", np.minimum(0.7 * speed * _T, way.length), zero),
        Rule("slow", np.minimum(0.4 * speed * _T, way.length), zero),
        Rule("stop", zero, zero),
        Rule("keep right", full, _swerve(way, s, full, None, -c.keep_aside, c)),
        Rule("keep left", full, _swerve(way, s, full, None, c.keep_aside, c)),
    ]
    if len(seen.reach):
        arcs = grid(speed, len(_T))
        close, wide = (occupied(way, seen, arcs, gap) for gap in (c.gap, c.wide_gap))
        found.append(Rule("yield", schedule(close, way.length, speed, 0.05), zero))
        found.append(Rule("give way", schedule(wide, way.length, speed, 0.05), zero))
        found.append(Rule("slow down for", schedule(close, way.length, speed, 1.5), zero))
        found += _passes(s, way, seen, c, speed)
        found += _behind(way, seen, c, speed)
        found += _back(s, way, seen, c)
    return found


def _passes(s: Situation, way: Way, seen: Along, c: CandidatesConfig, speed: float) -> list[Rule]:
    """Past whoever is most in the way, and those with them, on either side, close and wide."""
    hit = hindrance(way, seen, speed, c.gap)
    if hit is None:
        return []
    row, step = hit
    group = seen.together[row]
    rows = np.flatnonzero(seen.together == group) if group >= 0 else np.array([row])
    aside, reach = seen.aside[rows, step], seen.reach[rows]
    where = float(seen.arc[rows, step].mean())
    # those coming or going stretch the stretch beside them
    drift = float(np.mean(np.gradient(seen.arc[rows], axis=1)[:, step])) / 0.2
    stretch = 0.4 * abs(drift) + float(np.ptp(seen.arc[rows, step])) / 2.0
    found = []
    full = np.minimum(speed * _T, way.length)
    for side, edge in (
        ("right", lambda gap: (aside - reach - gap).min()),
        ("left", lambda gap: (aside + reach + gap).max()),
    ):
        for word, gap in (("", c.gap), (" wide", c.wide_gap)):
            offset = float(edge(gap))
            # nothing to swerve for on a side that is free already
            offset = min(offset, 0.0) if side == "right" else max(offset, 0.0)
            found.append(Rule(f"pass {side}{word}", full, _swerve(way, s, full, (where, stretch), offset, c)))
    return found


def _swerve(
    way: Way, s: Situation, arc: FloatArray, where: tuple[float, float] | None, offset: float,
    c: CandidatesConfig,
) -> FloatArray:  # fmt: skip
    """(36,) offset that builds up to `offset` [m] before a place and fades after it.

    It starts from how far aside the robot is now, ends at the goal, and gives way to obstacles.
    """
    if where is None:
        shape = _ramp(arc / c.blend)
    else:
        middle, stretch = where
        # at once when it is near: better steep than late
        lead = min(c.blend, max(middle - 0.3, 0.6))
        rise = _ramp((arc - (middle - stretch - lead)) / lead)
        shape = rise * _ramp((middle + stretch + c.blend - arc) / c.blend)
    shape = shape * _ramp((way.length - arc) / 1.0)
    return offset * shape * _free_share(way, s.field, s.robot_radius + c.margin, arc, offset * shape)


def _ramp(x: FloatArray) -> FloatArray:
    """Smooth step from 0 at 0 to 1 at 1."""
    x = np.clip(x, 0.0, 1.0)
    return np.asarray(x * x * (3.0 - 2.0 * x))


def _free_share(
    way: Way, field: DistanceField | None, room: float, arc: FloatArray, offset: FloatArray
) -> float:
    """The largest share of an offset that keeps off obstacles (as far as the route itself does)."""
    if field is None:
        return 1.0
    points = way.at(arc[None], _SHARES[:, None] * offset)
    free = field.at_smooth(points[..., 0], points[..., 1])
    wanted = np.minimum(room, free[-1])
    return float(_SHARES[int(np.argmax((free >= wanted - 1e-3).all(axis=1)))])


def _behind(way: Way, seen: Along, c: CandidatesConfig, speed: float) -> list[Rule]:
    """Behind the nearest person ahead who goes the same way, at their pace."""
    forward = (seen.arc[:, 10] - seen.arc[:, 0]) / (_T[10] - _T[0])
    ahead = (seen.arc[:, 0] > 0.3) & (seen.arc[:, 0] < 5.0) & (np.abs(seen.aside[:, 0]) < 1.5)
    rows = np.flatnonzero(ahead & (forward > 0.2) & (np.abs(seen.aside[:, 10]) < 1.5))
    if len(rows) == 0:
        return []
    row = rows[np.argmin(seen.arc[rows, 0])]
    place = seen.arc[row] - seen.reach[row] - c.follow_gap
    arc = np.maximum.accumulate(np.clip(np.minimum(place, speed * _T), 0.0, way.length))
    aside = seen.aside[row] * _ramp(arc / c.blend) * _ramp((way.length - arc) / 1.0)
    return [Rule("fall in behind", arc, np.clip(aside, -1.0, 1.0))]


def _back(s: Situation, way: Way, seen: Along, c: CandidatesConfig) -> list[Rule]:
    """A little straight back, when someone stands close ahead."""
    to = seen.xy[:, 0] - s.pose.xy
    ahead = to @ np.array([np.cos(s.pose.yaw), np.sin(s.pose.yaw)])
    gap = np.linalg.norm(to, axis=-1) - seen.reach
    if not ((ahead > 0.0) & (gap < c.crowded)).any():
        return []
    return [Rule("back out", -np.minimum(0.15 * _T, 0.4), np.zeros(len(_T)), reverse=True)]
