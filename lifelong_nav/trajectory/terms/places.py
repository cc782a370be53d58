"""What a place asks for: slow before hidden corners, give way at narrow places and do not stop there."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lifelong_nav.core.types import FloatArray
from lifelong_nav.trajectory.situation import STEP, TIMES
from lifelong_nav.trajectory.terms.batch import Batch, Float32Array
from lifelong_nav.trajectory.terms.config import TermsConfig
from lifelong_nav.trajectory.terms.corners import hidden_corners
from lifelong_nav.trajectory.terms.way import narrow_stretches

_REACH = 5.0  # m; corners farther away are no concern yet
_BESIDE = 1.6  # m from the way within which somebody stepping out is in it
_BODY = 0.25  # m, radius of who may step out
_CREEP = 0.3  # m/s; slower than this need nobody be for a corner
_ASIDE = 0.5  # m beside the line through a door: out of the way of those who come through


def blind_corner(b: Batch, c: TermsConfig) -> FloatArray:
    """(C,) excess over the speed at which one stops for whoever steps out of a hidden corner, worst corner.

    Someone may come out at `hidden_speed`, straight on; the speed allowed solves v r + v^2 / 2a + u (r +
    v / a) = free. Corners beside the way count less than one the way itself leads around; those passed
    not at all. A wide turn sees earlier and is nearer to nobody, so it costs less.
    """
    corners, ahead = hidden_corners(b.situation, b.start[b.first_rows], _REACH)
    if len(corners) == 0:
        return b.none()
    arcs, off = b.way.project(corners)
    beside = (off < _BESIDE) & (arcs > -0.3) & (arcs < b.way.length - 1e-3)
    corners, arcs, ahead = corners[beside], arcs[beside], ahead[beside]
    if len(corners) == 0:
        return b.none()
    rest = corners[:, None, None].astype(np.float32) - b.xy[None]
    distance = np.maximum(np.hypot(rest[..., 0], rest[..., 1]), np.float32(1e-3))
    front = (rest * b.heading[None]).sum(axis=-1) / distance
    free = distance - np.float32(b.radius + _BODY)
    linear = np.float32(c.reaction + c.hidden_speed / c.braking)
    room = np.maximum(free - np.float32(c.hidden_speed * c.reaction), 0.0)
    allowed = c.braking * (np.sqrt(linear**2 + 2.0 * room / c.braking) - linear)
    excess = np.maximum(b.v[None] - np.maximum(allowed, _CREEP), 0.0) * np.clip(front, 0.0, 1.0)
    share = np.where(ahead, 1.0, 0.3)[:, None]
    return np.asarray((excess.sum(axis=2) * STEP * share).max(axis=0), dtype=float)


def doorway(b: Batch, c: TermsConfig) -> FloatArray:
    """(C,) entering a narrow place before those who have it, standing in their way out, stopping inside.

    Those have it who are in it, or reach it no later than the robot would when driving freely.
    """
    stretches = [s for s in narrow_stretches(b.way, c.narrow) if s[0] < b.way.length - 0.05]
    if not stretches:
        return b.none()
    arc, off = b.along
    cost = b.none()
    people = None
    if len(b.people):
        where, aside = b.way.project(b.people.xy.reshape(-1, 2))
        people = where.reshape(b.people.xy.shape[:2]), aside.reshape(b.people.xy.shape[:2])
    for start, end in stretches:
        inside = (arc > start - b.radius) & (arc < end + b.radius) & (off < 0.6)
        slow = np.abs(b.v) < 0.12
        is_end = b.way.ends and end > b.way.length - 0.3  # the goal is inside: one must stop there
        if not is_end:
            cost += 0.4 * (inside & slow).mean(axis=1) + 0.2 * (inside & slow)[:, -1]
        if people is not None:
            cost += _giving_way(b, c, (start, end), inside, people)
    return cost


def _giving_way(
    b: Batch, c: TermsConfig, stretch: tuple[float, float], inside: NDArray[np.bool_],
    people: tuple[Float32Array, Float32Array],
) -> FloatArray:  # fmt: skip
    """(C,) seconds in the narrow place, or before its mouth, while those come through who have it."""
    start, end = stretch
    where, aside = people
    nearest = np.abs(b.way.arcs[None, None] - where[..., None]).argmin(axis=-1)
    facing = (b.people.axes * b.way.tangents[nearest]).sum(axis=-1)
    # Who walks through in the robot's own direction goes first as a matter of course.
    against = (facing < 0.3) | (b.people.speed < 0.15)
    there = (aside < 0.8) & (where > start - 0.3) & (where < end + 0.3)
    coming = there & against
    uses = coming.any(axis=1)
    if not uses.any():
        return b.none()
    first = np.where(uses, TIMES[coming.argmax(axis=1)], np.inf)
    last = np.where(uses, TIMES[::-1][coming[:, ::-1].argmax(axis=1)], -np.inf)
    mine = start - b.radius
    arrival = max(mine, 0.0) / max(b.situation.speed, 0.1) + 0.5
    has = np.where(mine < 0.0, np.where(first < 0.4, 0.5, 0.2), first <= arrival) * uses
    times = TIMES[None]
    busy = (times >= first[:, None] - 1.0) & (times <= last[:, None])
    clash = np.einsum("kt,ct->kc", busy.astype(np.float32), inside.astype(np.float32)) * STEP
    arc, off = b.along
    mouth = (arc > start - c.door_ahead) & ~inside & (off < _ASIDE) & (arc < start)
    leaving = (times >= first[:, None]) & (times <= last[:, None] + 1.2)
    blocks = np.einsum("kt,ct->kc", leaving.astype(np.float32), mouth.astype(np.float32)) * STEP
    seconds = np.minimum(clash / 1.5, 1.0) + 0.3 * np.minimum(blocks / 1.5, 1.0)
    return np.asarray(b.over_people(seconds * has[:, None].astype(np.float32)).max(axis=0), dtype=float)
