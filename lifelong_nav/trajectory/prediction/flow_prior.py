"""The usual flows as a prior: modes that go where people go here count for more, and one follows the flow."""

from __future__ import annotations

import numpy as np

from lifelong_nav.core.geometry import transform_points2
from lifelong_nav.core.types import FloatArray, Pose2
from lifelong_nav.trajectory.prediction.flow_map import DIRECTIONS, FlowMap

STEP = 0.45
"""Of following a flow [s]."""
FROM = 0.6
"""Sooner than this the person's own motion says more [s]."""
_WALKS = 0.3  # slower people follow no flow [m/s]
_TRUST = 3.0  # so many people seen count as much as none [people]
_STRENGTH = 0.8  # of the flow's say against the network's
_APART = 0.5  # a flow that ends nearer than this to a mode brings nothing new [m]


def with_flows(
    start: FloatArray, velocity: FloatArray, tracks: FloatArray, weights: FloatArray, spread: FloatArray,
    times: FloatArray, flow: FlowMap, stamp: float, pose: Pose2 | None = None,
) -> tuple[FloatArray, FloatArray, FloatArray]:  # fmt: skip
    """Weigh modes by the flows and put a track along the flow in the place of the least likely mode.

    Args:
        start: (N, 2) [m]; velocity: (N, 2) [m/s].
        velocity: (N, 2) [m/s] now.
        tracks: (N, M, T, 2) [m].
        weights: (N, M).
        spread: (N, M, T) [m].
        times: (T,) [s].
        flow: what is usual here.
        stamp: of now [s], for the hour.
        pose: of the frame of all these in the frame of the flows; None where they are the same.

    Returns:
        Tracks, weights and spreads; with one mode more where there was one only.
    """
    pace = np.hypot(velocity[:, 0], velocity[:, 1])
    rows = np.flatnonzero(pace >= _WALKS)
    if len(rows) == 0 or times[-1] <= FROM:
        return tracks, weights, spread
    tracks, weights, spread = tracks.copy(), weights.copy(), spread.copy()
    if tracks.shape[1] == 1:
        tracks, spread = np.repeat(tracks, 2, axis=1), np.repeat(spread, 2, axis=1)
        weights = np.concatenate([weights, np.zeros_like(weights)], axis=1)
    to_flow = _mover(pose)
    weights[rows] = _weighed(tracks[rows], weights[rows], times, flow, stamp, to_flow)
    path, share = _follow(start[rows], velocity[rows], tracks[rows, 0], times, flow, stamp, pose)
    ends = np.linalg.norm(path[:, -1, None] - tracks[rows, :, -1], axis=-1)
    new = (share > 0.1) & (ends.min(axis=1) > _APART)
    for i in np.flatnonzero(new):
        n = rows[i]
        out = 1 + int(np.argmin(weights[n, 1:]))
        weights[n] *= 1.0 - share[i]
        # the way replaced was unlikely: what it had goes to its neighbours in order of weight
        weights[n, out] = 0.0
        weights[n] *= (1.0 - share[i]) / max(float(weights[n].sum()), 1e-9)
        weights[n, out] = share[i]
        tracks[n, out], spread[n, out] = path[i], spread[n, 0]
        if weights[n, out] > 0.5:  # the first mode is the best guess
            for values in (tracks, weights, spread):
                values[n, [0, out]] = values[n, [out, 0]]
    return tracks, weights, spread


def _weighed(
    tracks: FloatArray, weights: FloatArray, times: FloatArray, flow: FlowMap, stamp: float, to_flow: _Mover
) -> FloatArray:
    """Weights times the likelihood of each mode's turns under the flow, as far as much was seen there."""
    n, m = weights.shape
    say = np.zeros((n, m))
    marks = np.arange(FROM, times[-1] - flow.config.ahead + 1e-9, 1.8)
    for t in marks:
        a, b, c = (_at(tracks, times, t + d) for d in (-0.5, 0.0, flow.config.ahead))
        came, left = to_flow.turn(b - a), to_flow.turn(c - b)
        where = to_flow.move(b)
        angle = np.arctan2(came[..., 1], came[..., 0])
        shares, seen, _ = flow.onward(where.reshape(-1, 2), angle.ravel(), stamp, smooth=False)
        octant = np.round(np.arctan2(left[..., 1], left[..., 0]) / (np.pi / 4.0)).astype(int) % DIRECTIONS
        k = octant.ravel()
        line = np.arange(len(k))
        # half an octant to either side is no other way
        likely = shares[line, k] + 0.5 * (shares[line, k - 1] + shares[line, (k + 1) % DIRECTIONS])
        moving = np.linalg.norm(left, axis=-1).ravel() > 0.3 * flow.config.ahead
        trust = seen / (seen + _TRUST) * moving
        say += (trust * np.log(np.clip(4.0 * likely, 0.05, 4.0))).reshape(n, m)
    say = _STRENGTH * say / max(np.sqrt(len(marks)), 1.0)
    out = weights * np.exp(say - say.max(axis=1, keepdims=True))
    return np.asarray(out / np.maximum(out.sum(axis=1, keepdims=True), 1e-12))


def _follow(
    start: FloatArray, velocity: FloatArray, guess: FloatArray, times: FloatArray, flow: FlowMap,
    stamp: float, pose: Pose2 | None,
) -> tuple[FloatArray, FloatArray]:  # fmt: skip
    """Tracks (B, T, 2) that take the commonest way on at each step, and how sure the map is of them (B,)."""
    to_flow = _mover(pose)
    pace = np.hypot(velocity[:, 0], velocity[:, 1])
    at = _at(guess, times, FROM)
    way = at - _at(guess, times, FROM - 0.5)
    way = np.where((np.hypot(way[:, 0], way[:, 1]) < 0.1)[:, None], velocity, way)
    angle = np.arctan2(way[:, 1], way[:, 0])
    knots, points = [0.0, FROM], [start, at]
    sure, turned, t = np.ones(len(start)), np.zeros(len(start), dtype=bool), FROM
    while t < times[-1]:
        world = to_flow.turn(np.stack([np.cos(angle), np.sin(angle)], axis=-1))
        shares, seen, _ = flow.onward(to_flow.move(at), np.arctan2(world[:, 1], world[:, 0]), stamp)
        best = shares.argmax(axis=1)
        line = np.arange(len(best))
        left, mid, right = shares[line, best - 1], shares[line, best], shares[line, (best + 1) % DIRECTIONS]
        # the mean direction of the commonest way and what lies beside it, in radians
        fine = (best + (right - left) / (left + mid + right)) * np.pi / 4.0
        bend = fine - np.arctan2(world[:, 1], world[:, 0])
        bend = np.arctan2(np.sin(bend), np.cos(bend))
        trust = seen / (seen + _TRUST)
        firm = trust * np.clip(left + mid + right, 0.0, 1.0)
        bend = np.where(np.abs(bend) < np.pi / 8.0, 0.3 * bend, bend)  # within its eighth a way is straight
        takes = np.abs(bend) > np.pi / 8.0
        sure = np.minimum(sure, np.where(takes, firm, 1.0))  # one turn may take several steps
        turned |= takes & (trust > 0.3)
        angle = angle + trust * bend
        at = at + STEP * pace[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=-1)
        t += STEP
        knots.append(t)
        points.append(at)
    path = np.stack(points, axis=1)
    k = np.clip(np.searchsorted(knots, times, side="right") - 1, 0, len(knots) - 2)
    known = np.array(knots)
    share = ((times - known[k]) / (known[k + 1] - known[k]))[:, None]
    out = path[:, k] + (path[:, k + 1] - path[:, k]) * share
    soon = times <= FROM
    out[:, soon] = guess[:, soon]
    return out, np.where(turned, np.minimum(sure, 0.95), 0.0)


class _Mover:
    """Points and directions from the people's frame to the flows'."""

    def __init__(self, pose: Pose2 | None) -> None:
        self.pose = pose if pose is not None else Pose2()

    def move(self, points: FloatArray) -> FloatArray:
        return np.asarray(transform_points2(self.pose, points.reshape(-1, 2))).reshape(points.shape)

    def turn(self, ways: FloatArray) -> FloatArray:
        turn = Pose2(0.0, 0.0, self.pose.yaw)
        return np.asarray(transform_points2(turn, ways.reshape(-1, 2))).reshape(ways.shape)


def _mover(pose: Pose2 | None) -> _Mover:
    return _Mover(pose)


def _at(tracks: FloatArray, times: FloatArray, t: float) -> FloatArray:
    """(..., 2) where tracks (..., T, 2) are at t [s], the nearest samples mixed."""
    k = int(np.clip(np.searchsorted(times, t) - 1, 0, len(times) - 2)) if len(times) > 1 else 0
    if len(times) == 1:
        return tracks[..., 0, :]
    share = float(np.clip((t - times[k]) / (times[k + 1] - times[k]), 0.0, 1.0))
    return np.asarray(tracks[..., k, :] + share * (tracks[..., k + 1, :] - tracks[..., k, :]))
