"""`lifelong-nav bench crowd`: the robot in the place of one real pedestrian, all others replayed.

Recordings of ETH and UCY (Pellegrini 2009, Lerner 2007). The robot is a disc of 0.25 m with unicycle
limits, starts as the replaced person started, has that person's goal and mean speed; companions are
taken out, everyone else walks as recorded and does not see the robot. All planners drive the same body
at 10 Hz and see people without noise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from lifelong_nav.core.errors import ConfigError
from lifelong_nav.core.share import recordings
from lifelong_nav.core.types import FloatArray, People, Pose2, TrackedPerson, Twist2
from lifelong_nav.evaluation import social_metrics as metrics
from lifelong_nav.evaluation.baseline_planners import BODY, PERIOD, Observation, make_planner
from lifelong_nav.evaluation.bench import BenchResult, Target
from lifelong_nav.sim.crowd.replay import ReplayCrowd
from lifelong_nav.sim.crowd.state import CrowdState
from lifelong_nav.sim.crowd.tracks import Track, load_tracks

SCENES = ("eth", "zara01", "students03")
DRIVERS = ("lifelong_nav", "goal_only", "orca", "social_force")
HUMAN = "real human"
TOLERANCE = 0.3
"""Distance [m] at which the goal counts as reached."""
MIN_SECONDS, MIN_METRES = 4.0, 3.0
"""Tracks shorter than this are no cases."""
MIN_SPEED, MIN_STRAIGHT = 0.5, 0.8
"""Nor are people who loiter and have no goal: least mean speed [m/s] and displacement over length."""
COMPANION_GAP, COMPANION_SHARE = 1.2, 0.5
"""Nearer than this [m] for that share of the walk is a companion, also where the annotators named none."""
CASES, QUICK_CASES = 60, 6


@dataclass(frozen=True)
class Case:
    """One pedestrian to stand in for: a recording, and the row of the track in it."""

    scene: str
    track: int
    seed: int = 0


@dataclass(frozen=True)
class Outcome:
    """One run. `path` (T, 2), `free` (T,) gap to the nearest person; both every `PERIOD`."""

    case: Case
    driver: str
    reached: bool
    path: FloatArray
    free: FloatArray
    human: FloatArray
    min_ttc: float

    def figures(self) -> dict[str, float]:
        """All figures of this run by name."""
        touched = metrics.contacts(self.free) > 0
        shortest = float(np.linalg.norm(self.human[-1] - self.path[0]))
        return {
            "success": float(self.reached and not touched),
            "reached": float(self.reached),
            "contact": float(touched),
            "psv": metrics.psv_seconds(self.free, PERIOD),
            "mse": metrics.mse(self.path, self.human),
            "hausdorff": metrics.hausdorff(self.path, self.human),
            "time_ratio": metrics.time_ratio((len(self.path) - 1) * PERIOD, (len(self.human) - 1) * PERIOD),
            "spl": metrics.spl(self.reached, shortest, metrics.length(self.path)),
            "stalled": metrics.stalled_seconds(self.path, PERIOD),
            "jerk": metrics.jerk(self.path, PERIOD),
            "risk": float(self.min_ttc < 0.5),
        }


def data_folder() -> Path:
    """Folder of the recordings; `ConfigError` says what to do when it is absent."""
    path = recordings("eth_ucy")
    if not path.is_dir():
        raise ConfigError(
            f"The recordings are not at {path}.",
            "Set LIFELONG_NAV_DATA to the folder that holds eth_ucy (ETH/UCY of OpenTraj).",
        )
    return path


@lru_cache(maxsize=8)
def recording(scene: str) -> tuple[Track, ...]:
    """All tracks of a scene."""
    return load_tracks(data_folder() / scene / "obsmat.txt")


def cases(scene: str, most: int, seed: int = 0) -> list[Case]:
    """Pedestrians that walk long enough, `most` of them, chosen by a fixed seed."""
    fit = [k for k, t in enumerate(recording(scene)) if walks_to_a_goal(t)]
    rng = np.random.default_rng(seed)
    chosen = sorted(rng.permutation(len(fit))[:most].tolist())
    return [Case(scene, fit[i], seed + i) for i in chosen]


def walks_to_a_goal(track: Track) -> bool:
    """True for tracks long, fast and straight enough to be somebody's way to somewhere."""
    if track.duration < MIN_SECONDS or track.length / track.duration < MIN_SPEED:
        return False
    direct = float(np.linalg.norm(track.points[-1] - track.points[0]))
    return direct >= max(MIN_METRES, MIN_STRAIGHT * track.length)


def companions(tracks: Sequence[Track], human: Track) -> set[int]:
    """Ids of those who walk with a person: the annotated group, and whoever keeps at that person's side."""
    mates = {t.id for t in tracks if t.group == human.group and human.group >= 0}
    times = np.arange(human.times[0], human.times[-1] + 1e-9, 0.4)
    own = human.at(times)
    for other in tracks:
        shared = (times >= other.times[0]) & (times <= other.times[-1])
        if other.id != human.id and np.count_nonzero(shared) >= 0.5 * len(times):
            near = np.linalg.norm(other.at(times[shared]) - own[shared], axis=1) < COMPANION_GAP
            if np.count_nonzero(near) >= COMPANION_SHARE * len(times):
                mates.add(other.id)
    return mates


def surroundings(case: Case) -> tuple[Track, ReplayCrowd]:
    """The track replaced, and everyone else from its first moment on, companions left out."""
    tracks = recording(case.scene)
    human = tracks[case.track]
    mates = companions(tracks, human) | {human.id}
    end = 3.0 * human.duration + 10.0
    crowd = ReplayCrowd(tracks, start=float(human.times[0]), duration=end, exclude=mates, radius=BODY.radius)
    return human, crowd


def people_of(state: CrowdState, stamp: float) -> People:
    """The people present, as a tracker without noise would hand them over."""
    small = np.eye(4) * 1e-4
    return People(
        stamp,
        "map",
        tuple(
            TrackedPerson(
                int(state.ids[i]), float(state.positions[i, 0]), float(state.positions[i, 1]),
                float(state.velocities[i, 0]), float(state.velocities[i, 1]), small,
                int(state.groups[i]), 1.0, 10.0, float(state.radii[i]),
            )
            for i in np.flatnonzero(state.present)
        ),
    )  # fmt: skip


def drive(case: Case, driver: str) -> Outcome:
    """Run one case with one driver (a planner's name, or `HUMAN` for the person replaced)."""
    human, crowd = surroundings(case)
    times = np.arange(0.0, human.duration + 1e-9, PERIOD)
    expert = human.at(human.times[0] + times)
    goal, speed = human.points[-1], float(human.length / human.duration)
    if driver == HUMAN:
        seen = [_seen(crowd.state())]
        for _ in times[1:]:
            crowd.step(PERIOD, None)
            seen.append(_seen(crowd.state()))
        return _outcome(case, driver, True, expert, np.array(seen), expert)
    planner = make_planner(driver)
    planner.reset(np.array(goal), speed, case.seed)
    ahead = human.velocities[0] if np.hypot(*human.velocities[0]) > 0.2 else goal - expert[0]
    pose = Pose2(float(expert[0, 0]), float(expert[0, 1]), float(np.arctan2(ahead[1], ahead[0])))
    twist = Twist2(min(float(np.hypot(*human.velocities[0])), speed), 0.0, 0.0)
    path, seen, reached = [pose.xy], [_seen(crowd.state())], False
    for k in range(int((2.0 * human.duration + 5.0) / PERIOD)):
        stamp = k * PERIOD
        command = planner.command(Observation(stamp, pose, twist, people_of(crowd.state(), stamp)))
        pose, twist = BODY.follow(pose, twist, command, speed, PERIOD)
        crowd.step(PERIOD, None)
        path.append(pose.xy)
        seen.append(_seen(crowd.state()))
        if np.hypot(*(pose.xy - goal)) <= TOLERANCE:
            reached = True
            break
    return _outcome(case, driver, reached, np.array(path), np.array(seen), expert)


def _seen(state: CrowdState) -> FloatArray:
    return np.where(state.present[:, None], state.positions, np.nan)


def _outcome(
    case: Case, driver: str, reached: bool, path: FloatArray, people: FloatArray, expert: FloatArray
) -> Outcome:
    free = metrics.gaps(path, people, BODY.radius, BODY.radius)
    ttc = metrics.min_ttc(path, people, PERIOD, BODY.radius, BODY.radius)
    return Outcome(case, driver, reached, path, free, expert, ttc)


def run(
    quick: bool = False, planners: Sequence[str] = (), workers: int = 2, scenes: Sequence[str] = SCENES,
    most: int | None = None, quiet: bool = False,
) -> BenchResult:  # fmt: skip
    """Drive all cases with all planners.

    Args:
        quick: `QUICK_CASES` instead of `CASES` pedestrians per scene.
        planners: further planners as `package.module:ClassName`.
        workers: processes.
        scenes: folders below `eth_ucy` with an obsmat.txt.
        most: cases per scene, overriding `quick`.
        quiet: no progress bar.
    """
    drivers = (*DRIVERS, *planners)
    for name in drivers:
        make_planner(name)  # a missing package or misspelt name shows here, not after minutes
    count = most or (QUICK_CASES if quick else CASES)
    jobs = [(case, d) for s in scenes for case in cases(s, count) for d in (HUMAN, *drivers)]
    outcomes = _run_all(jobs, workers, quiet)
    return summary(outcomes, drivers, scenes)


def _run_all(jobs: Sequence[tuple[Case, str]], workers: int, quiet: bool) -> list[Outcome]:
    from tqdm import tqdm

    if workers <= 1:
        return [drive(c, d) for c, d in tqdm(jobs, "crowd", disable=quiet)]
    with ProcessPoolExecutor(workers) as pool:
        found = pool.map(drive, [c for c, _ in jobs], [d for _, d in jobs], chunksize=4)
        return list(tqdm(found, "crowd", total=len(jobs), disable=quiet))


_COLUMNS = (
    ("success", "success"), ("contact", "contact"), ("psv", "PSV 0.25 s"), ("mse", "MSE m2"),
    ("hausdorff", "Hausdorff m"), ("time_ratio", "T/T_human"), ("stalled", "stalled s"), ("risk", "TTC<0.5s"),
)  # fmt: skip


def summary(outcomes: Sequence[Outcome], drivers: Sequence[str], scenes: Sequence[str]) -> BenchResult:
    """Tables over all scenes (with 95 % bootstrap intervals) and per scene, targets, and what failed."""
    figures = [(o, o.figures()) for o in outcomes]

    def values(driver: str, name: str, scene: str = "") -> FloatArray:
        rows = [f[name] for o, f in figures if o.driver == driver and scene in ("", o.case.scene)]
        return np.array(rows, dtype=float)

    everyone = (HUMAN, *drivers)
    header = ("driver", *(title for _, title in _COLUMNS))
    overall = [(d, *(str(metrics.bootstrap(values(d, name))) for name, _ in _COLUMNS)) for d in everyone]
    tables: list[tuple[str, Sequence[str], Sequence[Sequence[Any]]]] = [
        (f"All scenes, {len(values(HUMAN, 'psv'))} pedestrians (mean [95 % interval])", header, overall)
    ]
    for scene in scenes:
        rows = [(d, *(float(values(d, name, scene).mean()) for name, _ in _COLUMNS)) for d in everyone]
        tables.append((scene, header, rows))
    means = {d: {name: float(values(d, name).mean()) for name, _ in _COLUMNS} for d in everyone}
    return BenchResult("crowd", tables, _targets(means, drivers), _notes(figures, means, drivers))


def _targets(means: Mapping[str, Mapping[str, float]], drivers: Sequence[str]) -> list[Target]:
    """Our figures against the best of the baselines of the same run.

    Nearness to the human's path is held against those who evade people: driving straight through them
    is near it, too.
    """
    ours, others = means["lifelong_nav"], [d for d in drivers if d != "lifelong_nav"]
    targets = []
    for name, title, op in (
        ("success", "success rate", ">="), ("contact", "runs with contact", "<="),
        ("psv", "personal space violated, s", "<="), ("mse", "MSE to the human, m2", "<="),
        ("hausdorff", "Hausdorff to the human, m", "<="),
    ):  # fmt: skip
        baselines = {d: means[d][name] for d in (HUMAN, *others)}
        rivals = [means[d][name] for d in others if d != "goal_only" or name not in ("mse", "hausdorff")]
        targets.append(Target(title, ours[name], max(rivals) if op == ">=" else min(rivals), op, baselines))
    return targets


def _notes(
    figures: Sequence[tuple[Outcome, Mapping[str, float]]], means: Mapping[str, Mapping[str, float]],
    drivers: Sequence[str],
) -> list[str]:  # fmt: skip
    """Where we lose, and in which runs."""
    notes = ["Replayed people do not see the robot: some contacts cannot be avoided by anyone."]
    for name, title in _COLUMNS[:5]:
        sign = 1.0 if name == "success" else -1.0
        best = max((d for d in drivers), key=lambda d: sign * means[d][name])
        if best != "lifelong_nav" and means[best][name] != means["lifelong_nav"][name]:
            notes.append(
                f"{title}: {best} is better ({means[best][name]:.3g} to {means['lifelong_nav'][name]:.3g})."
            )
    failed = [o for o, f in figures if o.driver == "lifelong_nav" and not f["success"]]
    if failed:
        listed = ", ".join(
            f"{o.case.scene} {recording(o.case.scene)[o.case.track].id}"
            + (
                f" (contact at {np.argmax(o.free < 0.0) * PERIOD:.1f} s)"
                if (o.free < 0.0).any()
                else " (late)"
            )
            for o in failed
        )
        notes.append(f"Runs of lifelong_nav without success, by scene and person: {listed}.")
        touched = {(o.case, o.driver) for o, f in figures if f["contact"]}
        shared = sum(all((o.case, d) in touched for d in drivers) for o in failed)
        notes.append(f"In {shared} of these {len(failed)} every driver was in contact.")
    return notes
