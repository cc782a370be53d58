"""What the camera tells the tracks: where people are, that something is a person, that it is none.

Pictures come late and out of step with scans. The tracks stand at the time of the newest scan; a
sighting from `delay` seconds beside it is a measurement of position + delay * velocity, which a linear
filter can use as it is, so nothing is rolled back (Bar-Shalom, "Update with out-of-sequence
measurements in tracking: exact solution", IEEE TAES 38(3), 2002; without process noise this is exact, and
the noise of so short a time is added to the measurement's).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from lifelong_nav.core.types import FloatArray
from lifelong_nav.perception.people_config import PeopleConfig
from lifelong_nav.perception.tracks import Tracks, new_tracks

_FORBIDDEN = 1e6
_TOP, _LIFE_TOP = 2.5, 4.0  # of the camera's word, and of life as in person_tracker
_MEMORY_SAME_PLACE, _MEMORY_MOVED = 30.0, 6.0  # s over which the camera's word fades


@dataclass(frozen=True, slots=True)
class Sighting:
    """N people in one picture, in the tracker's frame.

    `stamp` [s]; `period` [s] since the picture before; `xy` (N, 2) [m]; `covariance` (N, 2, 2);
    `confidence` (N,); `doubt`: (T, 2) spots -> (T,) how surely somebody there would have been seen.
    """

    stamp: float
    period: float
    xy: FloatArray
    covariance: FloatArray
    confidence: FloatArray
    doubt: Callable[[FloatArray], FloatArray]


def camera_word(t: Tracks, stamp: float) -> FloatArray:
    """(T,) log-odds from the camera, faded since it last looked.

    A track that has not left its place since is still what the camera saw; one that moved may by now
    follow something else.
    """
    age = np.maximum(stamp - t.judged, 0.0)
    memory = np.where(t.anchor_time <= t.judged, _MEMORY_SAME_PLACE, _MEMORY_MOVED)
    word: FloatArray = t.camera * np.exp(-age / memory)
    return word


def trusted(t: Tracks, stamp: float, c: PeopleConfig) -> NDArray[np.bool_]:
    """(T,) True for tracks the camera vouches for."""
    return camera_word(t, stamp) > c.camera_trust


def doubted(t: Tracks, stamp: float, c: PeopleConfig, share: float = 1.0) -> NDArray[np.bool_]:
    """(T,) True for tracks where the camera saw that nobody is there; a lower `share` of doubt suffices."""
    return camera_word(t, stamp) < -share * c.camera_doubt


def fold_in(t: Tracks, s: Sighting, now: float, lidar_alive: bool, next_id: int, c: PeopleConfig) -> int:
    """Update tracks in place by one picture.

    Args:
        t: tracks, standing at `now`.
        s: what was seen.
        now: the tracks' time [s].
        lidar_alive: scans come as well; else the camera decides how long tracks live.
        next_id: number of the next track.
        c: parameters.

    Returns:
        How many tracks were born.
    """
    delay = s.stamp - now
    spots = t.state[:, :2] + delay * t.state[:, 2:]
    owner = _assign(t, s, delay, spots, c)
    hit = np.flatnonzero(owner >= 0)
    if len(hit):
        _correct(t, hit, s.xy[owner[hit]], s.covariance[owner[hit]], delay, c)
        _vouch(t, hit, s, s.confidence[owner[hit]], c)
    miss = owner < 0
    doubt = np.zeros(len(t))
    if miss.any():
        doubt[miss] = s.doubt(spots[miss])
        against = doubt * c.camera_doubt_rate * min(s.period, 0.5)
        looked = doubt > 0.0
        t.camera[looked] = np.maximum(camera_word(t, s.stamp)[looked] - against[looked], -_TOP)
        t.judged[looked] = s.stamp
        if not lidar_alive:
            rate = c.hidden_rate + (c.miss_rate - c.hidden_rate) * doubt
            t.life -= np.where(miss, rate * min(s.period, 0.5), 0.0)
            t.hidden = miss & ~looked
    return _give_birth(t, s, now, owner[hit], next_id, c)


def _assign(t: Tracks, s: Sighting, delay: float, spots: FloatArray, c: PeopleConfig) -> NDArray[np.int64]:
    """(T,) the sighting of every track, -1 for none."""
    owner = np.full(len(t), -1)
    if len(t) == 0 or len(s.xy) == 0:
        return owner
    away = s.xy[None] - spots[:, None]
    spread = _predicted(t, delay, c)[:, None] + s.covariance[None]
    d2 = np.einsum("tni,tnij,tnj->tn", away, np.linalg.inv(spread), away)
    metres = np.hypot(away[..., 0], away[..., 1])
    widest = np.sqrt(np.linalg.eigvalsh(s.covariance)[:, -1])
    cost = d2 + np.log(np.linalg.det(spread)) + 2.0 * ~t.confirmed[:, None]
    near = metres < np.maximum(0.9, 2.5 * widest)[None]
    cost = np.where((d2 < c.camera_gate) & near, cost, _FORBIDDEN)
    rows, columns = linear_sum_assignment(cost)
    good = cost[rows, columns] < _FORBIDDEN
    owner[rows[good]] = columns[good]
    return owner


def _predicted(t: Tracks, delay: float, c: PeopleConfig) -> FloatArray:
    """(T, 2, 2) covariance of position + delay * velocity, with the noise of that time."""
    cross = t.cov[:, :2, 2:]
    spread = t.cov[:, :2, :2] + delay * (cross + cross.transpose(0, 2, 1)) + delay**2 * t.cov[:, 2:, 2:]
    out: FloatArray = spread + np.eye(2) * (c.sigma_accel**2 * abs(delay) ** 3 / 3.0)
    return out


def _correct(
    t: Tracks, hit: NDArray[np.int64], place: FloatArray, noise: FloatArray, delay: float, c: PeopleConfig
) -> None:
    """Kalman update of the tracks `hit` by position + delay * velocity, Joseph form."""
    look = np.hstack([np.eye(2), delay * np.eye(2)])
    noise = noise + np.eye(2) * (c.sigma_accel**2 * abs(delay) ** 3 / 3.0)
    cov = t.cov[hit]
    gain = cov @ look.T @ np.linalg.inv(look @ cov @ look.T + noise)
    t.state[hit] += np.einsum("tij,tj->ti", gain, place - t.state[hit] @ look.T)
    rest = np.eye(4) - gain @ look
    cov = rest @ cov @ rest.transpose(0, 2, 1) + gain @ noise @ gain.transpose(0, 2, 1)
    t.cov[hit] = 0.5 * (cov + cov.transpose(0, 2, 1))


def _vouch(t: Tracks, hit: NDArray[np.int64], s: Sighting, score: FloatArray, c: PeopleConfig) -> None:
    """The tracks `hit` are more of a person now."""
    pace = float(np.clip(s.period / 0.1, 0.5, 2.0))  # neighbouring pictures are no independent witnesses
    word = camera_word(t, s.stamp)[hit]
    t.camera[hit] = np.minimum(np.maximum(word, -_TOP) + pace * c.camera_weight * (score - 0.15), _TOP)
    t.judged[hit] = s.stamp
    t.sightings[hit] += 1
    t.seen[hit] = np.maximum(t.seen[hit], s.stamp)
    t.life[hit] = np.minimum(t.life[hit] + 0.6 * pace, _LIFE_TOP)
    t.hidden[hit] = False
    legs_too = (t.hits[hit] >= 2) & (score > 0.6)
    t.confirmed[hit] |= (t.camera[hit] > c.camera_trust) & ((t.sightings[hit] >= 2) | legs_too)


def _give_birth(
    t: Tracks, s: Sighting, now: float, used: NDArray[np.int64], next_id: int, c: PeopleConfig
) -> int:
    """New tracks from sightings nobody owns; returns how many."""
    free = s.confidence >= c.camera_birth
    free[used] = False
    if len(t):
        gap = np.hypot(*(s.xy[:, None] - t.state[None, :, :2]).transpose(2, 0, 1))
        free &= ~((gap < 0.4) & (t.sightings > 0)[None] & t.confirmed[None]).any(axis=1)
    index = np.flatnonzero(free)
    if len(index) == 0:
        return 0
    none = np.zeros(len(index))
    born = new_tracks(s.xy[index], next_id, now, none, none, c.sigma_speed)
    born.cov[:, :2, :2] = s.covariance[index] + np.eye(2) * (abs(s.stamp - now) * c.sigma_speed) ** 2
    born.hits[:] = 0
    born.camera[:] = np.minimum(c.camera_weight * (s.confidence[index] - 0.15), c.camera_trust)
    born.sightings[:] = 1
    born.judged[:] = s.stamp
    born.seen[:] = max(s.stamp, now)
    t.extend(born)
    return len(born)
