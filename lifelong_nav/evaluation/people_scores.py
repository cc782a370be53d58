"""How tracks and baselines compare with people annotated in a recorded bag."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from lifelong_nav.core.geometry import inverse2, transform_points2
from lifelong_nav.core.types import FloatArray, LaserScan
from lifelong_nav.evaluation.people_recording import Recording
from lifelong_nav.perception.leg_detector import leg_centres
from lifelong_nav.perception.people import PeoplePerception
from lifelong_nav.perception.people_config import PeopleConfig
from lifelong_nav.perception.scan_features import SensorFault, check_scan, describe, segment

REACH = 0.5
_FORGIVE = 0.7
_LEG_WIDTHS = (0.03, 0.35)


@dataclass(frozen=True)
class Run:
    """What a method reported: per scan ids (N,) and places (N, 2) in the sensor frame; CPU time per scan."""

    reports: list[tuple[NDArray[np.signedinteger], FloatArray]]
    cpu_ms: float
    consumed: int


@dataclass(frozen=True)
class TrackScore:
    """How reports compare with annotations, counted over all annotated scans."""

    hits: int
    misses: int
    false: int
    forgiven: int
    switches: int
    rmse: float

    @property
    def recall(self) -> float:
        """Annotated people found."""
        return self.hits / max(self.hits + self.misses, 1)

    @property
    def precision(self) -> float:
        """Reports that are annotated people."""
        return self.hits / max(self.hits + self.false, 1)

    @property
    def precision_forgiving(self) -> float:
        """The same without reports that follow an annotated person on scans where that one is not marked."""
        return self.hits / max(self.hits + self.false - self.forgiven, 1)

    @property
    def f1(self) -> float:
        """Harmonic mean of recall and precision."""
        return 2.0 * self.recall * self.precision / max(self.recall + self.precision, 1e-9)

    @property
    def mota(self) -> float:
        """1 - (misses + false + switches) / annotations (CLEAR MOT)."""
        wanted = max(self.hits + self.misses, 1)
        return 1.0 - (self.misses + self.false + self.switches) / wanted


def track(recording: Recording, config: PeopleConfig) -> Run:
    """Run the component over every scan of a recording."""
    perception = PeoplePerception(config)
    out: list[tuple[NDArray[np.signedinteger], FloatArray]] = []
    consumed = 0
    started = time.process_time()
    for scan, pose in zip(recording.scans, recording.poses, strict=True):
        try:
            people = perception.update(scan, pose)
            consumed += 1
        except SensorFault:
            out.append((np.zeros(0, dtype=int), np.zeros((0, 2))))
            continue
        ids = np.array([p.id for p in people.people], dtype=int)
        out.append((ids, transform_points2(inverse2(pose), people.positions())))
    return Run(out, (time.process_time() - started) / len(recording.scans) * 1e3, consumed)


def nearest_cluster(recording: Recording, config: PeopleConfig) -> Run:
    """Baseline: every leg-sized cluster is a person, legs closer than 0.5 m are one; no tracking."""
    out: list[tuple[NDArray[np.signedinteger], FloatArray]] = []
    started = time.process_time()
    for scan in recording.scans:
        places = _leg_sized(scan, config)
        if len(places):
            gap = np.hypot(*(places[:, None] - places[None]).transpose(2, 0, 1))
            gap[np.tril_indices(len(places))] = np.inf
            rows, columns = np.nonzero(gap < 0.5)
            alone = np.ones(len(places), dtype=bool)
            pairs = []
            for k in np.argsort(gap[rows, columns], kind="stable"):
                i, j = rows[k], columns[k]
                if alone[i] and alone[j]:
                    alone[i] = alone[j] = False
                    pairs.append(0.5 * (places[i] + places[j]))
            places = np.concatenate([places[alone], np.array(pairs).reshape(-1, 2)])
        out.append((np.arange(len(places)), places))
    return Run(out, (time.process_time() - started) / len(recording.scans) * 1e3, len(out))


def _leg_sized(scan: LaserScan, config: PeopleConfig) -> FloatArray:
    ranges, angles = check_scan(scan), scan.angles()
    c = describe(ranges, angles, *segment(ranges, angles, config.jump_distance))
    wide = (c.width > _LEG_WIDTHS[0]) & (c.width < _LEG_WIDTHS[1]) & (c.distance < config.max_range)
    return leg_centres(c.select(wide & (c.count >= 2)))


def score(recording: Recording, ran: Run, has_ids: bool = True) -> TrackScore:
    """Compare reports with annotations on all annotated scans."""
    hits = misses = false = forgiven = switches = 0
    names: dict[int, int] = {}
    squares: list[float] = []
    for index, (ids, places) in sorted(recording.annotated.items()):
        mine, at = ran.reports[index]
        gap = np.hypot(*(places[:, None] - at[None]).transpose(2, 0, 1))
        rows, columns = linear_sum_assignment(np.where(gap < REACH, gap, 1e3))
        good = gap[rows, columns] < REACH
        hits += int(good.sum())
        misses += int(len(places) - good.sum())
        for r, c in zip(rows[good], columns[good], strict=True):
            switches += has_ids and names.get(int(ids[r]), int(mine[c])) != int(mine[c])
            names[int(ids[r])] = int(mine[c])
            squares.append(float(gap[r, c] ** 2))
        others = np.setdiff1d(np.arange(len(at)), columns[good])
        false += len(others)
        ghosts = _unmarked(recording, index)
        if len(ghosts):
            near = np.hypot(*(at[others, None] - ghosts[None]).transpose(2, 0, 1)) < REACH
            forgiven += int(near.any(axis=1).sum())
    rmse = float(np.sqrt(np.mean(squares))) if squares else 0.0
    return TrackScore(hits, misses, false, forgiven, switches, rmse)


def _unmarked(recording: Recording, index: int) -> FloatArray:
    """(N, 2) sensor frame: where people are who are annotated around this scan but not on it."""
    now = recording.scans[index].stamp
    around: dict[int, list[tuple[float, FloatArray]]] = {}
    for other, (ids, places) in recording.annotated.items():
        stamp = recording.scans[other].stamp
        if abs(stamp - now) <= _FORGIVE:
            fixed = transform_points2(recording.poses[other], places)
            for person, place in zip(ids, fixed, strict=True):
                around.setdefault(int(person), []).append((stamp, place))
    marked = set(recording.annotated[index][0].tolist())
    out = []
    for person, seen in around.items():
        if person in marked:
            continue
        stamps = np.array([s for s, _ in seen])
        places = np.array([p for _, p in seen])
        order = np.argsort(stamps)
        out.append([np.interp(now, stamps[order], places[order, k]) for k in (0, 1)])
    return transform_points2(inverse2(recording.poses[index]), np.array(out).reshape(-1, 2))
