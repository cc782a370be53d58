"""What has been seen of each person: a few seconds of track, resampled on demand to an even grid of times."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from lifelong_nav.core.types import FloatArray, People, TrackedPerson

STEP, LENGTH = 0.4, 8
"""Spacing [s] and number of the samples a prediction starts from: the protocol of ETH/UCY."""

_RAW_STEP = 0.05  # samples nearer in time than this replace each other [s]
_MAX_GAP = 1.25  # a longer hole in a track is not bridged [s]
_STALE = 1.5  # a person unseen for longer is forgotten [s]
_MAX_SPEED, _JUMP = 4.0, 0.6  # farther than speed * time + jump is someone else [m/s], [m]
_ADOPT = 0.5  # a new id this near to where a lost one must be now goes on with its track [m]


@dataclass(frozen=True, slots=True)
class Window:
    """Everyone now, with the last `LENGTH` samples of each, oldest first, the newest at `stamp`.

    `ids`, `groups`, `radii` [m] (N,); `positions` (N, L, 2) [m]; `valid` (N, L) True where the track is known
    (elsewhere the position repeats the oldest known one); `velocity` (N, 2) [m/s] as tracked; `sigma` (N,)
    standard deviation of the present position [m]; `seconds` (N,) for which the person has been seen.
    """

    stamp: float
    frame_id: str
    ids: NDArray[np.int64]
    positions: FloatArray
    valid: NDArray[np.bool_]
    velocity: FloatArray
    sigma: FloatArray
    seconds: FloatArray
    radii: FloatArray
    groups: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(slots=True)
class _Track:
    """Raw samples (stamp, x, y) of one person and the newest state."""

    person: TrackedPerson
    first: float
    samples: deque[tuple[float, float, float]] = field(default_factory=lambda: deque(maxlen=128))

    @property
    def stamp(self) -> float:
        return self.samples[-1][0]

    def ahead(self, now: float) -> tuple[float, float]:
        """Where the person is at `now` if it went on."""
        stamp, x, y = self.samples[-1]
        dt = min(max(now - stamp, 0.0), _STALE)
        return x + dt * self.person.vx, y + dt * self.person.vy


class PeopleHistory:
    """Tracks of the last seconds, per id; bounded memory.

    Missing frames are bridged, a person under a new id goes on with the lost track, an id that jumps to
    another place or a stamp that runs backwards starts anew. Feed it every `People` in one fixed frame (odom
    or map); a change of frame clears it.
    """

    def __init__(self, length: int = LENGTH, step: float = STEP, most: int = 256) -> None:
        """`length` samples of `step` [s] are kept of at most `most` people."""
        self.length, self.step, self._most = length, step, most
        self._tracks: dict[int, _Track] = {}
        self._last: tuple[int, ...] = ()
        self._stamp, self._frame = -np.inf, ""

    @property
    def stamp(self) -> float:
        """Of the newest people [s]; -inf when there were none yet."""
        return self._stamp

    @property
    def frame_id(self) -> str:
        """Of the newest people."""
        return self._frame

    def clear(self) -> None:
        """Forget everybody."""
        self._tracks.clear()
        self._last, self._stamp = (), -np.inf

    def add(self, people: People) -> None:
        """Take in one message; people or stamps that are not finite are passed over."""
        if not np.isfinite(people.stamp):
            return
        if people.frame_id != self._frame or people.stamp < self._stamp - self.step:
            self.clear()
        if people.stamp < self._stamp:
            return  # late by less than a step: the newer one stands
        self._stamp, self._frame = float(people.stamp), people.frame_id
        fit: dict[int, TrackedPerson] = {}
        for p in people.people:
            if np.isfinite((p.x, p.y, p.vx, p.vy)).all() and len(fit) < self._most:
                fit[p.id] = p
        for p in fit.values():
            self._take(p, fit)
        self._last = tuple(fit)
        oldest = self._stamp - _STALE
        self._tracks = {i: t for i, t in self._tracks.items() if t.stamp >= oldest}

    def window(self, now: float | None = None) -> Window:
        """Everyone of the newest message at `now` [s] (the newest stamp when None)."""
        stamp = self._stamp if np.isfinite(self._stamp) else 0.0
        if now is not None and np.isfinite(now):
            stamp = min(max(float(now), stamp), stamp + _STALE)
        ids = [i for i in self._last if i in self._tracks]
        n, grid = len(ids), stamp + self.step * np.arange(1 - self.length, 1)
        xy, valid = np.zeros((n, self.length, 2)), np.zeros((n, self.length), dtype=bool)
        for k, i in enumerate(ids):
            xy[k], valid[k] = self._resample(self._tracks[i], grid, stamp)
        people = [self._tracks[i].person for i in ids]
        return Window(
            float(now) if now is not None and np.isfinite(now) else stamp,
            self._frame,
            np.array(ids, dtype=np.int64),
            xy,
            valid,
            np.array([(p.vx, p.vy) for p in people], dtype=float).reshape(-1, 2),
            np.array([_sigma(p) for p in people], dtype=float),
            np.array([stamp - self._tracks[i].first for i in ids], dtype=float),
            np.array([p.radius for p in people], dtype=float),
            np.array([p.group_id for p in people], dtype=np.int64),
        )

    def _take(self, p: TrackedPerson, present: dict[int, TrackedPerson]) -> None:
        track = self._tracks.get(p.id)
        if track is not None and not _plausible(track, p, self._stamp):
            track = None
        if track is None:
            track = self._lost_near(p, present)
        if track is None:
            track = _Track(p, self._stamp)
        self._tracks[p.id] = track
        track.person = p
        samples = track.samples
        if len(samples) > 1 and self._stamp - samples[-2][0] < _RAW_STEP:
            samples.pop()
        samples.append((self._stamp, float(p.x), float(p.y)))
        while samples[0][0] < self._stamp - self.length * self.step - _STALE:
            samples.popleft()

    def _lost_near(self, p: TrackedPerson, present: dict[int, TrackedPerson]) -> _Track | None:
        """The track of someone who has just vanished where this new person has appeared."""
        best, found = _ADOPT, -1
        for i, track in self._tracks.items():
            if i in present or i == p.id or not 0.0 < self._stamp - track.stamp <= _STALE:
                continue
            x, y = track.ahead(self._stamp)
            gap = float(np.hypot(p.x - x, p.y - y))
            if gap < best:
                best, found = gap, i
        return self._tracks.pop(found) if found != -1 else None

    def _resample(self, track: _Track, grid: FloatArray, now: float) -> tuple[FloatArray, NDArray[np.bool_]]:
        raw = np.array(track.samples)
        if now > raw[-1, 0] + 1e-9:
            raw = np.vstack([raw, (now, *track.ahead(now))])
        holes = np.flatnonzero(np.diff(raw[:, 0]) > _MAX_GAP)
        if len(holes):
            raw = raw[holes[-1] + 1 :]
        xy = np.stack([np.interp(grid, raw[:, 0], raw[:, c]) for c in (1, 2)], axis=-1)
        return xy, grid >= raw[0, 0] - 0.25 * self.step


def _plausible(track: _Track, p: TrackedPerson, now: float) -> bool:
    stamp, x, y = track.samples[-1]
    return bool(np.hypot(p.x - x, p.y - y) <= _MAX_SPEED * max(now - stamp, 0.0) + _JUMP)


def _sigma(p: TrackedPerson) -> float:
    """Of the position, per axis [m]; what a tracker says, within reason."""
    spread = np.asarray(p.covariance, dtype=float)
    if spread.shape != (4, 4) or not np.isfinite(spread).all():
        return 0.1
    return float(np.clip(np.sqrt(max(0.5 * (spread[0, 0] + spread[1, 1]), 0.0)), 0.02, 0.2))
