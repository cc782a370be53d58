"""People by camera and lidar against either alone, in the simulator: part of `lifelong-nav bench perception`.

Scoring: every scan after the first 0.5 s; a report is right within 0.5 m of a person (one to one). Wanted
are the people within 7 m who are in plain view of the lidar or show a third of themselves in the newest
picture; reports of the others count neither way. `in view` looks only at what the camera covers, `all
round` at the whole circle. Parameters were set on other scenarios, and the seeds here were never looked at.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from lifelong_nav.core.geometry import inverse2, transform_points2
from lifelong_nav.core.types import FloatArray, People, Pose2
from lifelong_nav.evaluation.bench import BenchResult, Target
from lifelong_nav.evaluation.camera_people_world import (
    LATE,
    PICTURE_RATE,
    REACH,
    Instant,
    Picture,
    camera_of,
    instants,
)
from lifelong_nav.evaluation.people_recording import Recording
from lifelong_nav.evaluation.people_scores import Run, TrackScore, score
from lifelong_nav.perception.box_geometry import Camera
from lifelong_nav.perception.camera_people import CameraPeople
from lifelong_nav.perception.detector_decode import Boxes
from lifelong_nav.perception.detector_files import NO_WEIGHTS, find_detector
from lifelong_nav.perception.people import PeoplePerception
from lifelong_nav.perception.person_detector import PersonDetector
from lifelong_nav.sim.readings import SimConfig

SCENARIOS = (
    "photo_session",
    "lifelong_day",
    "olivia_static_groups",
    "perpendicular_traffic",
    "robot_crowding",
    "crowd",
)
"""Held out: standing, an office full of furniture, groups, walking, close up, many."""

SEEDS = (201, 202, 203)
SECONDS = (6.0, 8.0)
"""Of a run: quick, full."""

_SETTLE = 0.5
_NEAR = 0.5
_HALF_VIEW = np.radians(33.0)

LIDAR, CAMERA, BOTH = "lidar only", "camera + depth only", "camera + depth + lidar"
VARIANTS: dict[str, tuple[bool, bool, bool]] = {
    LIDAR: (True, False, False),
    CAMERA: (False, True, True),
    BOTH: (True, True, True),
    "camera only, no depth": (False, True, False),
    "camera + lidar, no depth": (True, True, False),
}
"""Name -> uses lidar, camera, depth."""


@dataclass
class Tally:
    """What one variant did, over runs: counts by region, first hits, CPU time of its part of a tick."""

    scores: dict[str, list[TrackScore]] = field(default_factory=lambda: {"in view": [], "all round": []})
    waits: dict[str, list[float]] = field(default_factory=lambda: {"stands": [], "walks": []})
    ticks: list[float] = field(default_factory=list)

    def total(self, region: str) -> TrackScore:
        """All runs of a region as one."""
        parts = self.scores[region]
        hits = sum(p.hits for p in parts)
        square = sum(p.hits * p.rmse**2 for p in parts) / max(hits, 1)
        return TrackScore(
            hits, sum(p.misses for p in parts), sum(p.false for p in parts), 0,
            sum(p.switches for p in parts), float(np.sqrt(square)),
        )  # fmt: skip


class _Follower:
    """One variant at work in one run."""

    def __init__(self, uses: tuple[bool, bool, bool], people: CameraPeople, camera: Camera) -> None:
        self.lidar, self.sees, self.depth = uses
        self._people, self._camera = people, camera
        self._perception = PeoplePerception()
        self._last = People(0.0, "odom")
        self.reports: list[tuple[NDArray[np.int64], FloatArray]] = []
        self.ticks: list[float] = []

    def follow(self, at: Instant, found: Sequence[tuple[Picture, Boxes]], detecting: float) -> None:
        """Take in an instant; `found` the boxes of its pictures, `detecting` [s] what they cost."""
        started = time.process_time()
        people = self._perception.update(at.scan, at.pose) if self.lidar else self._last
        if self.sees:
            returns = transform_points2(at.pose, at.scan.points()) if self.lidar else None
            for picture, boxes in found:
                view = self._people.view(
                    picture.stamp,
                    boxes,
                    self._camera,
                    picture.pose,
                    picture.depth if self.depth else None,
                    returns,
                )
                people = self._perception.update_camera(view)
        self.ticks.append(time.process_time() - started + (detecting if self.sees else 0.0))
        self._last = people
        ids = np.array([p.id for p in people.people], dtype=np.int64)
        xy = people.positions() + (at.scan.stamp - people.stamp) * people.velocities()
        self.reports.append((ids, transform_points2(inverse2(at.pose), xy)))


def measure(
    quick: bool = False, detector: PersonDetector | None = None
) -> tuple[dict[str, Tally], list[float]]:
    """Run all variants over all scenarios and seeds.

    Args:
        quick: two scenarios, one seed, three variants.
        detector: another than the one found.

    Returns:
        Tallies by variant, and CPU milliseconds of every detection.
    """
    detector = detector or PersonDetector.load()
    people, camera = CameraPeople(detector), camera_of(SimConfig())
    names = (LIDAR, CAMERA, BOTH) if quick else tuple(VARIANTS)
    tallies = {name: Tally() for name in names}
    detections: list[float] = []
    scenarios = SCENARIOS[:2] if quick else SCENARIOS
    for scenario in scenarios:
        for seed in SEEDS[:1] if quick else SEEDS:
            followers = {name: _Follower(VARIANTS[name], people, camera) for name in names}
            seen = []
            for at in instants(scenario, seed, SECONDS[0] if quick else SECONDS[1]):
                started = time.process_time()
                found = [(p, detector.detect(p.rgb)) for p in at.pictures]
                spent = time.process_time() - started
                detections += [spent / max(len(found), 1) * 1e3] * len(found)
                for follower in followers.values():
                    follower.follow(at, found, spent)
                seen.append(at)
            for name, follower in followers.items():
                _add(tallies[name], seen, follower)
    return tallies, detections


def _add(tally: Tally, seen: Sequence[Instant], follower: _Follower) -> None:
    tally.ticks += [1e3 * t for t in follower.ticks]
    regions: dict[str, Callable[[Instant], NDArray[np.bool_]]] = {
        "in view": lambda at: at.shown,
        "all round": lambda at: at.open | at.shown,
    }
    for region, chosen in regions.items():
        annotated, reports = {}, []
        for k, at in enumerate(seen):
            wanted = chosen(at) & (np.hypot(*at.places.T) < REACH)
            ids, xy = follower.reports[k]
            keep = _counts(at, wanted, xy, region == "in view")
            reports.append((ids[keep], xy[keep]))
            if at.scan.stamp > _SETTLE:
                annotated[k] = (at.ids[wanted], at.places[wanted])
        recording = Recording(
            region, tuple(at.scan for at in seen), tuple(Pose2() for _ in seen), annotated, len(seen), 0.0
        )
        tally.scores[region].append(score(recording, Run(reports, 0.0, len(seen))))
        if region == "in view":
            _add_waits(tally, seen, annotated, reports)


def _counts(at: Instant, wanted: NDArray[np.bool_], xy: FloatArray, view_only: bool) -> NDArray[np.bool_]:
    """Which reports are held against a method: not those of people who are not wanted, nor out of region."""
    near = np.hypot(*(xy[:, None] - at.places[None]).transpose(2, 0, 1)) < _NEAR
    of_wanted, of_others = near[:, wanted].any(axis=1), near[:, ~wanted].any(axis=1)
    away = np.hypot(xy[:, 0], xy[:, 1])
    inside = away < REACH
    if view_only:
        inside &= (np.abs(np.arctan2(xy[:, 1], xy[:, 0])) < _HALF_VIEW) & (away > 0.8)
    return of_wanted | (inside & ~of_others)


def _add_waits(
    tally: Tally,
    seen: Sequence[Instant],
    annotated: dict[int, tuple[NDArray[np.int64], FloatArray]],
    reports: Sequence[tuple[NDArray[np.int64], FloatArray]],
) -> None:
    """Seconds from a person's coming into view to the first report of them; never: till they left."""
    first: dict[int, float] = {}
    hit: dict[int, float] = {}
    last: dict[int, float] = {}
    moved: dict[int, bool] = {}
    for k, at in enumerate(seen):
        ids, places = annotated.get(k, (np.zeros(0, dtype=int), np.zeros((0, 2))))
        for number, place in zip(ids.tolist(), places, strict=True):
            first.setdefault(number, at.scan.stamp)
            last[number] = at.scan.stamp
            moved[number] = moved.get(number, False) or not bool(at.still[at.ids == number][0])
            if number not in hit and (np.hypot(*(reports[k][1] - place).T) < _NEAR).any():
                hit[number] = at.scan.stamp
    for number, start in first.items():
        if last[number] - start >= 1.5:
            tally.waits["walks" if moved[number] else "stands"].append(hit.get(number, last[number]) - start)


def run(quick: bool = False) -> BenchResult:
    """The part as a result of its own; says so and measures nothing where there are no weights."""
    if find_detector() is None:
        return BenchResult(
            "camera people", [], (), (f"People from the camera were not measured: {NO_WEIGHTS}.",)
        )
    tallies, detections = measure(quick)
    tables = [_accuracy(tallies, "in view"), _accuracy(tallies, "all round"), _speed(tallies, detections)]
    return BenchResult("camera people", tables, targets(tallies, detections), _NOTES)


_NOTES = (
    f"People in the simulator, {len(SCENARIOS)} scenarios and seeds {', '.join(map(str, SEEDS))} (quick: 2 "
    "and 1). Parameters were set on other scenarios; these, with other seeds, were looked at twice while the "
    f"method was built. Pictures of 320 x 240 at {PICTURE_RATE:.0f} Hz arrive {LATE} s late; people within "
    f"{REACH:.0f} m.",
    "Late is from coming into view to the first report within 0.5 m; who is never reported counts until "
    "they leave.",
    "Rendered people are easier for the detector than people in bad light: expect less on a real camera.",
)


def _accuracy(
    tallies: dict[str, Tally], region: str
) -> tuple[str, tuple[str, ...], list[tuple[object, ...]]]:
    header = ("sources", "recall", "precision", "F1", "MOTA", "id switches", "rmse m")
    late = ("late, stands s", "late, walks s") if region == "in view" else ()
    rows: list[tuple[object, ...]] = []
    for name, tally in tallies.items():
        s = tally.total(region)
        waits = (
            (_mean(tally.waits["stands"]), _mean(tally.waits["walks"])) if region == "in view" else ("", "")
        )
        rows.append((name, s.recall, s.precision, s.f1, s.mota, s.switches, s.rmse, *waits[: len(late)]))
    count = tallies[next(iter(tallies))].total(region)
    return f"People {region}: {count.hits + count.misses} to find", header + late, rows


def _speed(
    tallies: dict[str, Tally], detections: list[float]
) -> tuple[str, tuple[str, ...], list[tuple[object, ...]]]:
    rows: list[tuple[object, ...]] = [("detector, per picture", *_percentiles(detections))]
    rows += [(f"tick: {name}", *_percentiles(tally.ticks)) for name, tally in tallies.items()]
    return "CPU ms, one thread", ("what", "p50", "p99"), rows


def targets(tallies: dict[str, Tally], detections: list[float]) -> list[Target]:
    """Figures with goals, for this part or as part of a larger benchmark."""
    lidar, camera, both = (tallies[name] for name in (LIDAR, CAMERA, BOTH))
    seen = {k: v.total("in view") for k, v in ((LIDAR, lidar), (CAMERA, camera), (BOTH, both))}
    round_ = {k: v.total("all round") for k, v in ((LIDAR, lidar), (BOTH, both))}
    recall = {k: seen[k].recall for k in (LIDAR, CAMERA)}
    precision = {k: seen[k].precision for k in recall}
    f1 = {k: seen[k].f1 for k in recall}
    error = {k: seen[k].rmse for k in recall}
    late = {k: _mean(v.waits["stands"]) for k, v in ((LIDAR, lidar), (CAMERA, camera))}
    best = max(f1.values())
    around = round_[LIDAR].f1
    out = [
        Target("people in view: recall", seen[BOTH].recall, 0.95, ">=", recall),
        Target("people in view: precision", seen[BOTH].precision, 0.95, ">=", precision),
        Target("people in view: F1, against the better source alone", seen[BOTH].f1, best, ">=", f1),
        Target("people in view: position error [m]", seen[BOTH].rmse, 0.15, "<=", error),
        Target("people all round: F1, against lidar only", round_[BOTH].f1, around, ">", {LIDAR: around}),
        Target("detector CPU ms, median", _percentiles(detections)[0], 15.0, "<="),
        Target("people tick with detector, CPU ms p99", _percentiles(both.ticks)[1], 40.0, "<="),
    ]
    if both.waits["stands"]:
        mean = _mean(both.waits["stands"])
        out.append(Target("standing people: seconds until tracked", mean, 0.5, "<=", late))
    return out


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if len(values) else 0.0


def _percentiles(values: Sequence[float]) -> tuple[float, float]:
    if not len(values):
        return 0.0, 0.0
    p50, p99 = np.percentile(values, (50, 99))
    return float(p50), float(p99)
