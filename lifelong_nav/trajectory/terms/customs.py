"""Customs of the way: keep to one side, let those from that side cross first, overtake only where wide."""

from __future__ import annotations

import numpy as np

from lifelong_nav.core.types import FloatArray
from lifelong_nav.trajectory.terms.batch import Batch
from lifelong_nav.trajectory.terms.config import TermsConfig
from lifelong_nav.trajectory.terms.way import narrow_stretches

_WALKS = 0.3  # m/s
_NEAR = 1.1  # m between bodies over which a custom matters less and less


def right_of_way(b: Batch, c: TermsConfig) -> FloatArray:
    """(C,) breaches of custom, expected, each 0 to 1 by how near it is, summed over people.

    Passing oncoming people on the wrong side, crossing in front of those from the right, overtaking in a
    narrow place. What counts is the moment of closest approach in each mode of the forecast.
    """
    if len(b.people) == 0:
        return b.none()
    hand = 1.0 if c.keep_right else -1.0
    k, n = b.distance.shape[:2]
    moment = b.distance.argmin(axis=2)  # (K, C)
    rows, columns = np.arange(k)[:, None], np.arange(n)[None]
    dx, dy = (o[rows, columns, moment] for o in b.offset)  # robot minus person
    near = np.exp(-np.maximum(b.gap[rows, columns, moment], 0.0) / np.float32(_NEAR))
    walk = b.people.axes[rows, moment]  # (K, C, 2)
    walks = b.people.speed[rows, moment] > _WALKS
    heading = b.heading[columns, moment]
    moves = b.v[columns, moment] > 0.1
    same = (walk * heading).sum(axis=-1)
    # The person as the robot sees it: positive to its left.
    left = heading[..., 1] * dx - heading[..., 0] * dy
    wrong = 1.0 / (1.0 + np.exp(np.clip(hand * left / np.float32(0.15), -20.0, 20.0)))
    oncoming = np.clip((-same - 0.5) / 0.3, 0.0, 1.0) * wrong
    cost = (oncoming * near * (walks & moves)).astype(np.float32)

    now = b.situation.pose
    facing = np.array([np.cos(now.yaw), np.sin(now.yaw)], dtype=np.float32)
    rest = b.start - now.xy.astype(np.float32)
    side = facing[0] * rest[:, 1] - facing[1] * rest[:, 0]
    pace = np.hypot(b.pace[:, 0], b.pace[:, 1])
    inward = (facing[0] * b.pace[:, 1] - facing[1] * b.pace[:, 0]) / np.maximum(pace, 1e-3)
    from_right = (hand * side < 0.2) & (hand * inward > 0.5) & (pace > _WALKS) & (rest @ facing > -0.5)
    before = dx * walk[..., 0] + dy * walk[..., 1]  # the robot is so far ahead of the walker
    ahead = 1.0 / (1.0 + np.exp(np.clip(-before / np.float32(0.2), -20.0, 20.0)))
    cost += ahead * near * (from_right[:, None] & walks & moves)
    return np.asarray(b.over_people(cost).sum(axis=0) + _overtaking(b, c), dtype=float)


def _overtaking(b: Batch, c: TermsConfig) -> FloatArray:
    """(C,) people passed from behind where the way is narrow, expected."""
    stretches = narrow_stretches(b.way, c.narrow)
    if not stretches:
        return b.none()
    where, aside = (v.reshape(b.people.xy.shape[:2]) for v in b.way.project(b.people.xy.reshape(-1, 2)))
    at = np.abs(b.way.arcs[None, None] - where[..., None]).argmin(axis=-1)
    along = (b.people.axes * b.way.tangents[at]).sum(axis=-1) > 0.5
    narrow = np.zeros_like(along)
    for start, end in stretches:
        narrow |= (where > start - 0.3) & (where < end + 0.3)
    lead = b.along[0][None] - where[:, None]
    first = np.float32(0.0) - b.way.project(b.start)[0]
    before = np.concatenate(
        [np.broadcast_to(first[:, None, None], (*lead.shape[:2], 1)), lead[..., :-1]], axis=-1
    )
    passes = (before < 0.0) & (lead >= 0.0) & (narrow & along & (aside < 0.8))[:, None]
    return np.asarray(b.over_people(passes.any(axis=2).astype(np.float32)).sum(axis=0), dtype=float)
