"""`lifelong-nav bench social --real`: the robot in the place of one real pedestrian, all others replayed.

Recordings of ETH and UCY (Pellegrini 2009, Lerner 2007) or a folder of one's own. The robot is a disc of
0.25 m with unicycle limits, starts as the replaced person started, has that person's goal and mean speed;
companions are taken out, everyone else walks as recorded and does not see the robot. All planners drive the
same body at 10 Hz and see people without noise. What was learned on a recording is left out in it: its name
is in `Observation.scene`.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np

from lifelong_nav.core.errors import ConfigError
from lifelong_nav.core.share import recordings
from lifelong_nav.core.types import FloatArray, People, Pose2, TrackedPerson, Twist2
from lifelong_nav.evaluation.social.case import RealCase, straight
from lifelong_nav.evaluation.social.planner import PERIOD, Observation, make_planner
from lifelong_nav.evaluation.social.run import RunRecord
from lifelong_nav.sim.crowd.replay import ReplayCrowd
from lifelong_nav.sim.crowd.state import CrowdState
from lifelong_nav.sim.crowd.tracks import Track, load_tracks
from lifelong_nav.sim.flat import Body, Touch

SCENES = ("eth", "zara01", "students03")
HUMAN = "human"
"""The person replaced, among the planners."""
BODY = Body(radius=0.25)
TOLERANCE = 0.3
"""Distance [m] at which the goal counts as reached."""
MIN_SECONDS, MIN_METRES = 4.0, 3.0
"""Tracks shorter than this are no cases."""
MIN_SPEED, MIN_STRAIGHT = 0.5, 0.8
"""Nor are people who loiter and have no goal: least mean speed [m/s] and displacement over length."""
COMPANION_GAP, COMPANION_SHARE = 1.2, 0.5
"""Nearer than this [m] for that share of the walk is a companion, also where the annotators named none."""
START_GAP = 0.1
"""Where somebody is nearer than this free gap [m] at the start, nobody can keep the distance: no case."""


def data_folder(named: Path | None = None) -> Path:
    """Folder of the recordings; `ConfigError` says what to do when it is absent."""
    path = named or recordings("eth_ucy")
    if not path.is_dir():
        raise ConfigError(
            f"The recordings are not at {path}.",
            "Name their folder with --data, or set LIFELONG_NAV_DATA to the one that holds eth_ucy.",
        )
    return path


def recording_file(folder: Path, scene: str) -> Path:
    """The file of a scene: `scene/obsmat.txt`, or a plain `frame ped x y` file `scene.txt` (2.5 Hz).

    Raises:
        ConfigError: there is neither.
    """
    choices = (folder / scene / "obsmat.txt", folder / f"{scene}.txt", folder / scene / f"{scene}.txt")
    for path in choices:
        if path.is_file():
            return path
    inside = sorted(p.name.removesuffix(".txt") for p in folder.iterdir() if not p.name.startswith("."))
    raise ConfigError(
        f"There is no recording '{scene}' in {folder}.",
        f"It must be {scene}/obsmat.txt or {scene}.txt; the folder holds: {', '.join(inside) or 'nothing'}.",
    )


@lru_cache(maxsize=8)
def recording(folder: str, scene: str) -> tuple[Track, ...]:
    """All tracks of a scene."""
    return load_tracks(recording_file(Path(folder), scene))


def cases(folder: Path, scene: str, most: int, seed: int = 0) -> tuple[list[RealCase], int]:
    """Pedestrians that walk long enough and start free, `most` of them, chosen by a fixed seed.

    Returns:
        The cases, and how many of those chosen were dropped because somebody stands at the start.
    """
    tracks = recording(str(folder), scene)
    fit = [k for k, t in enumerate(tracks) if walks_to_a_goal(t)]
    rng = np.random.default_rng(seed)
    chosen = sorted(rng.permutation(len(fit))[:most].tolist())
    made = [RealCase(str(folder), scene, fit[i], seed + i) for i in chosen]
    free = [case for case in made if starts_free(case)]
    return free, len(made) - len(free)


def walks_to_a_goal(track: Track) -> bool:
    """True for tracks long, fast and straight enough to be somebody's way to somewhere."""
    if track.duration < MIN_SECONDS or track.length / track.duration < MIN_SPEED:
        return False
    direct = float(np.linalg.norm(track.points[-1] - track.points[0]))
    return direct >= max(MIN_METRES, MIN_STRAIGHT * track.length)


def starts_free(case: RealCase) -> bool:
    """True where nobody but companions is within `START_GAP` of the start."""
    human, crowd = surroundings(case)
    state = crowd.state()
    apart = np.linalg.norm(state.positions[state.present] - human.points[0], axis=1)
    return bool((apart - 2.0 * BODY.radius >= START_GAP).all())


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


def surroundings(case: RealCase) -> tuple[Track, ReplayCrowd]:
    """The track replaced, and everyone else from its first moment on, companions left out."""
    tracks = recording(case.folder, case.scene)
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


def drive(case: RealCase, planner: str) -> RunRecord:
    """Drive one case with a planner by name, or as the person replaced did (`HUMAN`)."""
    human, crowd = surroundings(case)
    first = float(human.times[0])
    start, end = human.points[0], human.points[-1]
    speed = float(human.length / human.duration)
    ahead = human.velocities[0] if np.hypot(*human.velocities[0]) > 0.2 else end - start
    pose = Pose2(float(start[0]), float(start[1]), float(np.arctan2(ahead[1], ahead[0])))
    twist = Twist2(min(float(np.hypot(*human.velocities[0])), speed), 0.0, 0.0)
    goal = Pose2(float(end[0]), float(end[1]), float("nan"))
    route = straight(pose, goal)
    mind = None if planner == HUMAN else make_planner(planner)
    steps = int(human.duration / PERIOD) if mind is None else int((2.0 * human.duration + 5.0) / PERIOD)
    poses, twists, seen = [pose.array()], [twist.array()[[0, 2]]], [_seen(crowd.state())]
    touches: list[Touch] = []
    touching: set[int] = set()
    reached, error = mind is None, ""
    for k in range(steps):
        stamp = round(k * PERIOD, 9)
        if mind is None:
            x, y = human.at(np.array([first + stamp + PERIOD]))[0]
            pose = Pose2(float(x), float(y), float(np.arctan2(y - pose.y, x - pose.x)))
        else:
            shown = Observation(
                stamp, pose, twist, people_of(crowd.state(), stamp), None, pose, route, goal,
                np.zeros((0, 4)), speed, BODY.radius, None, case.scene,
            )  # fmt: skip
            try:
                if k == 0:
                    mind.reset(goal.xy, speed, case.seed)
                command = mind.command(shown)
            except Exception as problem:  # a planner's fault fails its run, not the benchmark
                error = f"{type(problem).__name__}: {problem}"
                break
            pose, twist = BODY.follow(pose, twist, command, speed, PERIOD)
        crowd.step(PERIOD, None)
        touches += _touched(crowd.state(), pose, np.array(poses[-1][:2]), stamp + PERIOD, touching)
        poses.append(pose.array())
        twists.append(twist.array()[[0, 2]])
        seen.append(_seen(crowd.state()))
        if mind is not None and float(np.hypot(*(pose.xy - end))) <= TOLERANCE:
            reached = True
            break
    state = crowd.state()
    return RunRecord(
        case, planner, reached, np.array(poses), np.array(twists), np.array(seen), state.radii, state.groups,
        route, np.zeros((0, 4)), BODY.radius, speed, TOLERANCE, human.duration, tuple(touches), 0.0,
        error=error, scene=case.scene,
    )  # fmt: skip


def _touched(
    state: CrowdState, pose: Pose2, before: FloatArray, stamp: float, touching: set[int]
) -> list[Touch]:
    """Contacts that begin now; `touching` is kept up to date."""
    to = state.positions - pose.xy
    apart = np.linalg.norm(to, axis=1)
    now = set(np.flatnonzero(state.present & (apart < 2.0 * BODY.radius)).tolist())
    begun = []
    for i in sorted(now - touching):
        towards = to[i] / max(float(apart[i]), 1e-9)
        robot = float((pose.xy - before) @ towards) / PERIOD
        begun.append(Touch(stamp, i, robot, -float(state.velocities[i] @ towards)))
    touching.clear()
    touching |= now
    return begun


def _seen(state: CrowdState) -> FloatArray:
    return np.where(state.present[:, None], state.positions, np.nan)
