"""What a candidate costs the people around: their space, contact, stepping aside, their common spaces."""

from __future__ import annotations

import numpy as np

from lifelong_nav.core.types import FloatArray
from lifelong_nav.trajectory import proxemics
from lifelong_nav.trajectory.situation import STEP, TIMES
from lifelong_nav.trajectory.terms.batch import Batch, Float32Array
from lifelong_nav.trajectory.terms.config import TermsConfig
from lifelong_nav.trajectory.terms.lines import waiting_lines

_STRIDE = 2  # spaces are looked at in every other step: they are wider than what is gone in 0.4 s
_PICK = slice(_STRIDE - 1, None, _STRIDE)


def personal_space(b: Batch, c: TermsConfig) -> FloatArray:
    """(C,) seconds spent in personal spaces, expected over the forecast; a robot at rest counts half."""
    if len(b.people) == 0:
        return b.none()
    space = proxemics.personal_space(b.xy[:, _PICK], _picked(b.people))
    moving = 0.5 + 0.5 * np.clip(np.abs(b.v[:, _PICK]) / 0.4, 0.0, 1.0)
    return np.asarray((space * moving).sum(axis=1) * (STEP * _STRIDE), dtype=float)


def contact(b: Batch, c: TermsConfig) -> FloatArray:
    """(C,) probability of contact with anybody, the later the less it counts.

    At each time the probability that a person around a mode with spread s is nearer than g: exact at the
    centre (Rayleigh), fading with distance like a normal tail. The worst time of each mode counts, modes by
    their weight, people as independent. A robot that stands is touched by nobody who sees.
    """
    if len(b.people) == 0:
        return b.none()
    return np.asarray(1.0 - np.prod(1.0 - contact_chances(b, c), axis=0), dtype=float)


def contact_chances(b: Batch, c: TermsConfig) -> Float32Array:
    """(P, C) discounted probability of contact with each person."""
    p = b.touch
    driving = np.clip(np.abs(b.v) / 0.25, 0.3, 1.0)
    worst = (p * (np.exp(-TIMES / c.contact_memory).astype(np.float32) * driving)[None]).max(axis=2)
    return np.clip(b.over_people(worst), 0.0, 1.0)


def people_effect(b: Batch, c: TermsConfig) -> FloatArray:
    """(C,) metres by which people must step aside of their own predicted ways, expected.

    Somebody walking towards where the robot is must give way by what is missing to a comfortable gap;
    whoever the robot follows or passes from behind need not. Those who stand are disturbed half as much.
    """
    if len(b.people) == 0:
        return b.none()
    people = _picked(b.people)
    dx, dy = (o[..., _PICK] for o in b.offset)
    facing = dx * people.axes[:, None, :, 0] + dy * people.axes[:, None, :, 1]
    facing /= np.maximum(b.distance[..., _PICK], np.float32(0.05))
    walks = (people.speed > 0.3)[:, None]
    meets = np.where(walks, np.clip(0.5 + facing, 0.0, 1.0), np.float32(0.5))
    missing = np.clip(np.float32(c.comfort_gap) - b.gap[..., _PICK], 0.0, c.comfort_gap + 0.3) * meets
    # The farther the forecast, the less is known of whether they meet at all.
    sure = 1.0 / (1.0 + (people.spread / np.float32(c.comfort_gap)) ** 2)
    moving = np.clip(np.abs(b.v[:, _PICK]) / 0.25, 0.5, 1.0)[None]
    return np.asarray(b.over_people((missing * sure[:, None] * moving).max(axis=2)).sum(axis=0), dtype=float)


def group(b: Batch, c: TermsConfig) -> FloatArray:
    """(C,) depth and time of driving through the common space of groups, standing or walking together."""
    if len(b.people) == 0 or not b.people.groups:
        return b.none()
    inside = proxemics.group_space(b.xy[:, _PICK], _picked(b.people), b.proxemics)
    held = inside.sum(axis=1) * (STEP * _STRIDE)
    return np.asarray(0.5 * np.minimum(held, 2.0) + inside.max(axis=1), dtype=float)


def queue(b: Batch, c: TermsConfig) -> FloatArray:
    """(C,) 1 for cutting through a waiting line, less for driving close by its members; the end is free.

    The line reaches half a gap beyond its first and last: which end is the counter is not known, and
    squeezing in between counter and first is cutting as well.
    """
    if len(b.people) == 0:
        return b.none()
    first = b.first_rows
    lines = waiting_lines(b.start[first], b.pace[first], c.line_gap, c.line_least)
    cost = b.none()
    reach = np.float32(b.radius + 0.25)
    for line in lines:
        points = b.start[first][line]
        gap = np.linalg.norm(np.diff(points, axis=0), axis=1).mean()
        ends = np.stack([points[0] - points[1], points[-1] - points[-2]])
        ends *= 0.5 * gap / np.maximum(np.linalg.norm(ends, axis=1, keepdims=True), 1e-6)
        points = np.concatenate([points[:1] + ends[:1], points, points[-1:] + ends[1:]])
        away = to_polyline(b.xy.reshape(-1, 2), points).reshape(b.xy.shape[:2])
        cost += np.exp(-0.5 * (away.min(axis=1) / (0.6 * reach)) ** 2)
    return cost


def _picked(people: proxemics.Presence) -> proxemics.Presence:
    """The same people in every other step."""
    return proxemics.Presence(
        people.xy[:, _PICK], people.axes[:, _PICK], people.spaces[:, _PICK], people.spread[:, _PICK],
        people.speed[:, _PICK], people.weights, people.radii, people.person, people.groups,
    )  # fmt: skip


def to_polyline(points: FloatArray, line: FloatArray) -> FloatArray:
    """(K,) distance [m] of points (K, 2) to a polyline (M, 2), M >= 2."""
    a, d = line[:-1].astype(np.float32), np.diff(line, axis=0).astype(np.float32)
    rest = np.asarray(points, np.float32)[:, None] - a
    share = np.clip((rest * d).sum(-1) / np.maximum((d * d).sum(-1), 1e-9), 0.0, 1.0)
    return np.asarray(np.linalg.norm(rest - share[..., None] * d, axis=-1).min(axis=1))
