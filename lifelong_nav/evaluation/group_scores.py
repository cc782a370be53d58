"""Group detection against annotated pedestrians (ETH and UCY: obsmat.txt with groups.txt)."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.sparse.csgraph import connected_components

from lifelong_nav.core.errors import InputError
from lifelong_nav.core.types import FloatArray
from lifelong_nav.perception.groups import GroupConfig, GroupTracker

FRAME_PERIOD = 0.4
_MIN_FRAMES = 3

Grouping = Callable[[NDArray[np.int64], FloatArray, FloatArray], NDArray[np.int64]]


@dataclass(frozen=True)
class Pedestrians:
    """Annotated people: `frames` of ids (N,), positions, velocities (N, 2); `pairs` that belong together."""

    frames: tuple[tuple[NDArray[np.int64], FloatArray, FloatArray], ...]
    pairs: frozenset[tuple[int, int]]


@dataclass(frozen=True)
class PairScore:
    """Pairs of people: a pair counts as found when it is grouped in more than half the frames it shares."""

    precision: float
    recall: float

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall."""
        return 2.0 * self.precision * self.recall / max(self.precision + self.recall, 1e-9)


def load_pedestrians(folder: Path) -> Pedestrians:
    """Read one scene of the eth_ucy data."""
    try:
        rows = np.loadtxt(folder / "obsmat.txt", usecols=(0, 1, 2, 4, 5, 7))
        lines = (folder / "groups.txt").read_text().splitlines()
        groups = [[int(word) for word in line.split()] for line in lines]
    except (OSError, ValueError) as error:
        raise InputError(f"{folder} holds no readable scene ({error}).", "Fetch eth_ucy again.") from error
    pairs = {(min(p), max(p)) for group in groups for p in itertools.combinations(group, 2)}
    frames = []
    for stamp in np.unique(rows[:, 0]):
        here = rows[rows[:, 0] == stamp]
        _, once = np.unique(here[:, 1], return_index=True)
        here = here[once]
        frames.append((here[:, 1].astype(np.int64), here[:, 2:4], here[:, 4:6]))
    return Pedestrians(tuple(frames), frozenset(pairs))


def score_groups(crowd: Pedestrians, config: GroupConfig | None = None) -> PairScore:
    """Our group tracker on annotated positions and velocities."""
    tracker = GroupTracker(config)
    return _score(crowd, lambda ids, places, speeds: tracker.update(ids, places, speeds, FRAME_PERIOD))


def score_distance_only(crowd: Pedestrians, reach: float) -> PairScore:
    """Baseline: everyone within `reach` [m] of each other is a group, frame by frame."""

    def near(ids: NDArray[np.int64], places: FloatArray, _: FloatArray) -> NDArray[np.int64]:
        gap = np.linalg.norm(places[:, None] - places[None], axis=2)
        count, label = connected_components((gap < reach) & ~np.eye(len(ids), dtype=bool), directed=False)
        return np.where(np.bincount(label, minlength=count)[label] > 1, label, -1)

    return _score(crowd, near)


def _score(crowd: Pedestrians, grouping: Grouping) -> PairScore:
    shared: Counter[tuple[int, int]] = Counter()
    grouped: Counter[tuple[int, int]] = Counter()
    for ids, places, speeds in crowd.frames:
        groups = grouping(ids, places, speeds)
        first, second = np.triu_indices(len(ids), 1)
        low, high = np.minimum(ids[first], ids[second]), np.maximum(ids[first], ids[second])
        same = (groups[first] >= 0) & (groups[first] == groups[second])
        shared.update(zip(low.tolist(), high.tolist(), strict=True))
        grouped.update(zip(low[same].tolist(), high[same].tolist(), strict=True))
    found = {p for p, n in shared.items() if n >= _MIN_FRAMES and grouped[p] / n > 0.5}
    true = {p for p in crowd.pairs if shared[p] >= _MIN_FRAMES}
    right = len(found & true)
    return PairScore(right / max(len(found), 1), right / max(len(true), 1))
