"""Windows of people's tracks to learn prediction from: ETH/UCY, the Juelich corridor, the CITR crowds.

A sample is one person at one instant: eight positions at 0.4 s up to now, twelve to come, and who is near.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lifelong_nav.core.errors import InputError
from lifelong_nav.core.share import recordings
from lifelong_nav.core.types import FloatArray
from lifelong_nav.sim.crowd.tracks import load_tracks
from lifelong_nav.trajectory.prediction.features import heading, turned

PAST, FUTURE, PERIOD = 8, 12, 0.4
"""Samples seen, samples to predict, and their spacing [s]."""
NEIGHBOURS, REACH = 12, 8.0
"""At most so many others, no farther than this [m], are looked at."""
FILES = {"eth": "biwi_eth.txt", "zara01": "crowds_zara01.txt", "students03": "students003.txt"}
"""The plain files of the scenes that benchmarks leave out in turn."""


@dataclass(frozen=True)
class Grid:
    """A recording on an even grid of times: `points` (F, N, 2) [m], NaN where a person is not there."""

    name: str
    points: FloatArray


@dataclass(frozen=True)
class Samples:
    """B persons at an instant, relative to where they are then.

    `past` (B, 8, 2), `seen` (B, 8); `future` (B, 12, 2), `known` (B, 12); `near` (B, J, 4) others' place and
    velocity, `there` (B, J); `company` (B,) how many people have a full window at the same frames.
    """

    past: FloatArray
    seen: NDArray[np.bool_]
    future: FloatArray
    known: NDArray[np.bool_]
    near: FloatArray
    there: NDArray[np.bool_]
    company: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.past)

    def take(self, rows: NDArray[np.generic]) -> Samples:
        """Some of them."""
        return Samples(*(getattr(self, f.name)[rows] for f in fields(self)))


def join(parts: Sequence[Samples]) -> Samples:
    """All samples of several sets."""
    return Samples(*(np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(Samples)))


def plain_grid(path: Path, name: str = "") -> Grid:
    """A `frame ped x y` file on the grid of its own frames, as in the usual protocol."""
    load_tracks(path)  # raises the readable errors
    table = np.loadtxt(path, ndmin=2)
    frames, f = np.unique(table[:, 0], return_inverse=True)
    ids, n = np.unique(table[:, 1], return_inverse=True)
    points = np.full((len(frames), len(ids), 2), np.nan)
    points[f, n] = table[:, [2, 4]] if table.shape[1] == 8 else table[:, 2:4]
    return Grid(name or path.stem, points)


def samples(grid: Grid, least_past: int = PAST, least_future: int = FUTURE, stride: int = 1) -> Samples:
    """Every person at every `stride`-th frame with so much past and future without a hole."""
    points = grid.points
    frames, people = points.shape[:2]
    pad = np.full((PAST - 1, people, 2), np.nan), np.full((FUTURE, people, 2), np.nan)
    padded = np.concatenate([pad[0], points, pad[1]])
    here = np.isfinite(padded[..., 0])
    out: list[tuple[NDArray[Any], ...]] = []
    for now in range(PAST - 1, PAST - 1 + frames, stride):
        past, future = padded[now - PAST + 1 : now + 1], padded[now + 1 : now + 1 + FUTURE]
        seen = np.cumprod(here[now - PAST + 1 : now + 1][::-1], axis=0)[::-1].astype(bool)
        known = np.cumprod(here[now + 1 : now + 1 + FUTURE], axis=0).astype(bool)
        fit = np.flatnonzero((seen.sum(0) >= least_past) & (known.sum(0) >= least_future))
        if len(fit) == 0:
            continue
        company = int((seen.all(0) & known.all(0)).sum())
        at = padded[now]
        near, there = neighbours(at, padded[now - 2 : now + 1] if now >= 2 else padded[:1], fit)
        own = at[fit]
        rel = np.where(seen.T[fit][..., None], np.moveaxis(past, 1, 0)[fit] - own[:, None], 0.0)
        # what is not known of the past repeats the oldest known place
        first = seen.T[fit].argmax(axis=1)
        rel = np.where(seen.T[fit][..., None], rel, rel[np.arange(len(fit)), first][:, None])
        ahead = np.where(known.T[fit][..., None], np.moveaxis(future, 1, 0)[fit] - own[:, None], 0.0)
        out.append((rel, seen.T[fit], ahead, known.T[fit], near, there, np.full(len(fit), company)))
    if not out:
        raise InputError(
            f"'{grid.name}' holds no track of {PAST + FUTURE} samples.", "Use a longer recording."
        )
    return Samples(*(np.concatenate(parts) for parts in zip(*out, strict=True)))


def neighbours(
    at: FloatArray, recent: FloatArray, rows: NDArray[np.intp]
) -> tuple[FloatArray, NDArray[np.bool_]]:
    """The nearest others of some people.

    Args:
        at: (N, 2) places now, NaN where absent.
        recent: (3, N, 2) the last places, newest last.
        rows: (B,) whose neighbours.

    Returns:
        (B, J, 4) place relative to the person [m] and velocity [m/s], and (B, J) which of them exist.
    """
    velocity = np.zeros_like(at)
    for back in range(len(recent) - 1, 0, -1):  # the shorter difference last: it stays where both exist
        v = (recent[-1] - recent[-1 - back]) / (PERIOD * back)
        velocity = np.where(np.isfinite(v), v, velocity)
    rel = at[None] - at[rows][:, None]
    far = np.linalg.norm(rel, axis=-1)
    far[np.arange(len(rows)), rows] = np.inf
    far = np.where(np.isfinite(far), far, np.inf)
    width = min(NEIGHBOURS, at.shape[0])
    order = np.argsort(far, axis=1, kind="stable")[:, :width]
    line = np.arange(len(rows))[:, None]
    there = far[line, order] < REACH
    near = np.concatenate([rel[line, order], velocity[order]], axis=-1)
    near = np.where(there[..., None], near, 0.0)
    out, exists = np.zeros((len(rows), NEIGHBOURS, 4)), np.zeros((len(rows), NEIGHBOURS), dtype=bool)
    out[:, :width], exists[:, :width] = near, there
    return out, exists


def own_frame(found: Samples) -> Samples:
    """The same turned so that everyone walks along x."""
    angle = -heading(found.past, found.near, found.there)
    near = np.concatenate([turned(found.near[..., :2], angle), turned(found.near[..., 2:], angle)], axis=-1)
    return replace(found, past=turned(found.past, angle), future=turned(found.future, angle), near=near)


def backwards(grid: Grid) -> Grid:
    """The same people walking backwards in time."""
    return Grid(f"{grid.name} backwards", grid.points[::-1])


def hermes_grids(folder: Path | None = None) -> list[Grid]:
    """The Juelich corridor (16 Hz, cm), every start phase of 0.4 s is a grid of its own."""
    folder = folder or recordings("hermes") / "Corridor-2D"
    out = []
    for path in sorted(folder.glob("*.txt")):
        table = np.loadtxt(path, ndmin=2)
        out += _resampled(path.stem, table[:, 0], table[:, 1] / 16.0, table[:, 2:4] / 100.0)
    return out


def citr_grids(folder: Path | None = None) -> list[Grid]:
    """The CITR crowds (29.97 Hz, m), with and without the cart; the cart counts as one more person."""
    folder = folder or recordings("citr")
    out = []
    for path in sorted(folder.glob("*/*_traj_ped_filtered.csv")):
        table = np.loadtxt(path, delimiter=",", skiprows=1, usecols=(0, 1, 3, 4), ndmin=2)
        cart = path.with_name(path.name.replace("_ped_", "_veh_"))
        if cart.is_file():
            extra = np.loadtxt(cart, delimiter=",", skiprows=1, usecols=(0, 1, 3, 4), ndmin=2)
            extra[:, 0] += 1e4
            table = np.concatenate([table, extra])
        out += _resampled(path.stem, table[:, 0], table[:, 1] / 29.97, table[:, 2:4])
    return out


def _resampled(name: str, ids: FloatArray, stamps: FloatArray, points: FloatArray) -> list[Grid]:
    """Two grids of 0.4 s, half a period apart, by linear interpolation within each track."""
    names, out = np.unique(ids), []
    for phase in (0.0, 0.5 * PERIOD):
        times = np.arange(stamps.min() + phase, stamps.max(), PERIOD)
        grid = np.full((len(times), len(names), 2), np.nan)
        for k, i in enumerate(names):
            rows = np.flatnonzero(ids == i)
            rows = rows[np.argsort(stamps[rows], kind="stable")]
            inside = (times >= stamps[rows[0]]) & (times <= stamps[rows[-1]])
            for c in (0, 1):
                grid[inside, k, c] = np.interp(times[inside], stamps[rows], points[rows, c])
        out.append(Grid(f"{name}+{phase:.1f}", grid))
    return out
