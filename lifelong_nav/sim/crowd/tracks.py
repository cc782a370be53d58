"""Recorded tracks of real people: reading, grouping, interpolation.

Formats: `obsmat.txt` of ETH/UCY (frame, id, x, z, y, vx, vz, vy) and plain `frame ped x y` files; both
annotated at 2.5 Hz. Frame numbers become seconds by their most frequent step.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from lifelong_nav.core.errors import InputError
from lifelong_nav.core.geometry import transform_points2
from lifelong_nav.core.types import FloatArray, Pose2

PERIOD = 0.4
"""Seconds between annotations of ETH/UCY."""


@dataclass(frozen=True)
class Track:
    """One person's path: `times` (T,) [s], increasing, `points` (T, 2) [m], `velocities` (T, 2) [m/s].

    `group` is shared by people who walk together, -1 alone.
    """

    id: int
    times: FloatArray
    points: FloatArray
    velocities: FloatArray
    group: int = -1

    @property
    def duration(self) -> float:
        """Seconds from first to last annotation."""
        return float(self.times[-1] - self.times[0])

    @property
    def length(self) -> float:
        """Metres walked."""
        return float(np.linalg.norm(np.diff(self.points, axis=0), axis=1).sum())

    def at(self, times: FloatArray) -> FloatArray:
        """(K, 2) positions at times (K,) [s], held at the ends; cubic Hermite in between."""
        return hermite(self.times, self.points, self.velocities, np.asarray(times, dtype=float))[0]


def hermite(
    knots: FloatArray, points: FloatArray, slopes: FloatArray, times: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Positions (K, 2) and velocities (K, 2) at times (K,) of a cubic through points (T, 2) at knots (T,)."""
    if len(knots) == 1:
        return np.repeat(points, len(times), axis=0), np.zeros((len(times), 2))
    t = np.clip(times, knots[0], knots[-1])
    k = np.clip(np.searchsorted(knots, t, side="right") - 1, 0, len(knots) - 2)
    h = (knots[k + 1] - knots[k])[:, None]
    u = (t - knots[k])[:, None] / h
    p0, p1, m0, m1 = points[k], points[k + 1], slopes[k] * h, slopes[k + 1] * h
    u2, u3 = u * u, u * u * u
    position = (2 * u3 - 3 * u2 + 1) * p0 + (u3 - 2 * u2 + u) * m0 + (3 * u2 - 2 * u3) * p1 + (u3 - u2) * m1
    slope = 6 * (u2 - u) * (p0 - p1) + (3 * u2 - 4 * u + 1) * m0 + (3 * u2 - 2 * u) * m1
    inside = ((times >= knots[0]) & (times <= knots[-1]))[:, None]
    return position, slope / h * inside


def load_tracks(
    path: Path | str, groups: Path | str | None = None, period: float = PERIOD, max_gap: float = 2.0
) -> tuple[Track, ...]:
    """Read a recording, ordered by person and time; time 0 is the first frame.

    Args:
        path: `obsmat.txt` or a `frame ped x y` file, blank- or tab-separated.
        groups: file with one line of person ids per group; `groups.txt` beside an obsmat when None.
        period: seconds per most frequent frame step.
        max_gap: where a person is missing longer than this [s], the track is split in two.

    Raises:
        InputError: not a table of numbers with 4 or 8 columns, or not finite; the message names it.
    """
    path = Path(path)
    fix = "Use an ETH/UCY obsmat.txt (8 columns) or a 'frame ped x y' file (4 columns)."
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # numpy warns of an empty file, we raise below
            table = np.loadtxt(path, ndmin=2)
    except OSError as error:
        raise InputError(f"Cannot read {path}: {error}.", "Check the path.") from error
    except ValueError as error:
        raise InputError(f"{path} is not a table of numbers: {error}.", fix) from error
    if table.shape[1] not in (4, 8) or len(table) == 0:
        raise InputError(f"{path} has {len(table)} rows of {table.shape[1]} columns.", fix)
    if not np.isfinite(table).all():
        row = int(np.flatnonzero(~np.isfinite(table).all(axis=1))[0])
        raise InputError(
            f"{path}: row {row + 1} holds a number that is not finite.", "Mend or remove the row."
        )
    frames, ids = table[:, 0], table[:, 1].astype(np.int64)
    points = table[:, [2, 4]] if table.shape[1] == 8 else table[:, 2:4]
    steps = np.diff(np.unique(frames))
    step = float(_most_frequent(steps)) if len(steps) else 1.0
    times = (frames - frames.min()) / step * period
    if groups is None and table.shape[1] == 8 and (path.parent / "groups.txt").is_file():
        groups = path.parent / "groups.txt"
    group_of = {i: g for g, members in enumerate(load_groups(groups) if groups else ()) for i in members}
    tracks = []
    for person in np.unique(ids):
        rows = np.flatnonzero(ids == person)
        t, first = np.unique(times[rows], return_index=True)
        xy = points[rows[first]]
        breaks = np.flatnonzero(np.diff(t) > max_gap) + 1
        for part in np.split(np.arange(len(t)), breaks):
            slopes = np.gradient(xy[part], t[part], axis=0) if len(part) > 1 else np.zeros((1, 2))
            tracks.append(Track(int(person), t[part], xy[part], slopes, group_of.get(int(person), -1)))
    return tuple(tracks)


def load_groups(path: Path | str) -> tuple[tuple[int, ...], ...]:
    """Groups of person ids, one per line; a first line with a lone count is passed over."""
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
        rows = [tuple(int(word) for word in line.split()) for line in lines]
    except (OSError, ValueError) as error:
        raise InputError(
            f"{path} is not a group file: {error}.", "One line of person ids per group."
        ) from error
    return tuple(row for row in rows if len(row) > 1)


def moved(tracks: tuple[Track, ...], pose: Pose2) -> tuple[Track, ...]:
    """The tracks with their frame placed at `pose` in the world."""
    turn = Pose2(0.0, 0.0, pose.yaw)
    return tuple(
        replace(t, points=transform_points2(pose, t.points), velocities=transform_points2(turn, t.velocities))
        for t in tracks
    )


def between(tracks: tuple[Track, ...], start: float, end: float) -> tuple[Track, ...]:
    """Tracks of people seen at some time in [start, end] [s]."""
    return tuple(t for t in tracks if t.times[0] <= end and t.times[-1] >= start)


def _most_frequent(values: FloatArray) -> np.floating:
    distinct, counts = np.unique(values, return_counts=True)
    return distinct[np.argmax(counts)]
