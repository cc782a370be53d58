"""What the tracker keeps: detections of one scan, tracks as arrays, and the test of steady motion."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from lifelong_nav.core.types import FloatArray

TRAIL = 12
"""Places remembered per track for the test of steady motion."""


@dataclass(frozen=True, slots=True)
class Detections:
    """D clusters that might be legs, in the fixed frame.

    `xy` (D, 2) [m]; `width` (D,) [m]; `score` (D,) log-odds of shape; `free`, `occupied` (D,) in how
    many remembered scans the spot was seen through or taken; `distance` (D,) [m] from the sensor;
    `spacing` (D,) [m] between beams there.
    """

    xy: FloatArray
    width: FloatArray
    score: FloatArray
    free: NDArray[np.int64]
    occupied: NDArray[np.int64]
    distance: FloatArray
    spacing: FloatArray

    def __len__(self) -> int:
        return len(self.width)

    def newness(self) -> FloatArray:
        """(D,) in [-1.5, 1]: seen free before (positive) or always taken (negative)."""
        return (self.free - 1.5 * self.occupied) / (self.free + self.occupied + 1.0)


@dataclass(slots=True)
class Tracks:
    """T tracks as arrays.

    `state` (T, 4) x, y, vx, vy and `cov` (T, 4, 4) of the filter; `born`, `seen` stamps [s]; `hits`
    detections; `legs` running mean of legs seen, 1 to 2; `shape` running mean of the shape score;
    `evidence` log-odds of being a mover; `life` log-odds of still being there; `walked` [m] under steady
    motion; `anchor` (T, 2) and `anchor_time` where and since when it has been in about one place;
    `confirmed` ever a person; `stander` taken for one by shape, from the sum `standing_look`; `hidden`
    out of the lidar's sight now; `trail` (T, TRAIL, 3) stamp, x, y of the latest measurements; `camera`
    log-odds of being a person by what the camera sees, 0 where it never looked; `sightings` how often it
    saw them; `judged` stamp of its latest word, -inf for none.
    """

    id: NDArray[np.int64]
    state: FloatArray
    cov: FloatArray
    born: FloatArray
    seen: FloatArray
    hits: NDArray[np.int64]
    legs: FloatArray
    shape: FloatArray
    evidence: FloatArray
    life: FloatArray
    walked: FloatArray
    anchor: FloatArray
    anchor_time: FloatArray
    confirmed: NDArray[np.bool_]
    stander: NDArray[np.bool_]
    standing_look: FloatArray
    hidden: NDArray[np.bool_]
    trail: FloatArray
    camera: FloatArray
    sightings: NDArray[np.int64]
    judged: FloatArray

    @staticmethod
    def empty() -> Tracks:
        """No tracks."""
        return new_tracks(np.zeros((0, 2)), 0, 0.0, np.zeros(0), np.zeros(0), 1.0)

    def __len__(self) -> int:
        return len(self.id)

    def keep(self, mask: NDArray[np.bool_]) -> None:
        """Drop the tracks where `mask` is False."""
        for f in fields(self):
            setattr(self, f.name, getattr(self, f.name)[mask])

    def extend(self, other: Tracks) -> None:
        """Append the tracks of `other`."""
        for f in fields(self):
            setattr(self, f.name, np.concatenate([getattr(self, f.name), getattr(other, f.name)]))


def new_tracks(
    xy: FloatArray, first_id: int, stamp: float, score: FloatArray, evidence: FloatArray, sigma_speed: float
) -> Tracks:
    """Tracks born at `xy` (n, 2) [m] with numbers from `first_id` on, standing still.

    Args:
        xy: places.
        first_id: number of the first.
        stamp: now [s].
        score: (n,) log-odds of shape.
        evidence: (n,) log-odds of being a mover to start with.
        sigma_speed: spread of the unknown velocity, each axis [m/s].
    """
    n = len(xy)
    cov = np.diag([0.15**2, 0.15**2, sigma_speed**2, sigma_speed**2])
    time = np.full(n, stamp)
    return Tracks(
        id=first_id + np.arange(n),
        state=np.concatenate([xy, np.zeros((n, 2))], axis=1),
        cov=np.tile(cov, (n, 1, 1)),
        born=time,
        seen=time.copy(),
        hits=np.ones(n, dtype=np.int64),
        legs=np.full(n, 1.5),
        shape=score.astype(float),
        evidence=evidence.astype(float),
        life=np.full(n, 1.0),
        walked=np.zeros(n),
        anchor=xy.copy(),
        anchor_time=time.copy(),
        confirmed=np.zeros(n, dtype=bool),
        hidden=np.zeros(n, dtype=bool),
        stander=np.zeros(n, dtype=bool),
        standing_look=np.zeros(n),
        trail=np.full((n, TRAIL, 3), np.nan),
        camera=np.zeros(n),
        sightings=np.zeros(n, dtype=np.int64),
        judged=np.full(n, -np.inf),
    )


def steady_motion(
    trail: FloatArray, now: float, window: float = 1.0, slowest: float = 0.3, fastest: float = 2.5
) -> NDArray[np.bool_]:
    """Which tracks move evenly along a line: an F test of constant velocity against standing still.

    Associations that hop between pieces of furniture give displacement too, but no straight line in time.

    Args:
        trail: (T, K, 3) stamp, x, y of the latest measurements, NaN where there are none.
        now: stamp [s].
        window: how far back [s] measurements count.
        slowest: slower fits do not count as motion [m/s].
        fastest: nor do faster ones.

    Returns:
        (T,) True for steady walkers.
    """
    time = trail[..., 0] - now
    use = np.isfinite(time) & (time > -window)
    n = use.sum(axis=1)
    weight = use / np.maximum(n, 1)[:, None]
    time = np.where(use, time, 0.0)
    place = np.where(use[..., None], trail[..., 1:], 0.0)
    time = np.where(use, time - (weight * time).sum(axis=1, keepdims=True), 0.0)
    place = place - (weight[..., None] * place).sum(axis=1, keepdims=True)
    place = np.where(use[..., None], place, 0.0)
    spread = np.maximum((time**2).sum(axis=1), 1e-9)
    slope = (time[..., None] * place).sum(axis=1) / spread[:, None]
    explained = (slope**2).sum(axis=1) * spread
    rest = np.maximum((place**2).sum(axis=(1, 2)) - explained, 0.0) + 2.0 * n * 0.02**2
    speed = np.hypot(slope[:, 0], slope[:, 1])
    return (n >= 3) & (explained * (n - 2) > 12.0 * rest) & (speed > slowest) & (speed < fastest)
