"""Expert moments of real pedestrians: the robot stands where a person walked, and that person is the expert.

Recordings of ETH and UCY (Pellegrini 2009, Lerner 2007), cut as the crowd benchmark cuts them: companions
are taken out, the goal is where the person went, the speed the mean one. There are no walls and no scan in
these recordings: sectors are "unseen". A tracker's noise is put on the others.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from lifelong_nav.core.share import recordings
from lifelong_nav.core.types import FloatArray, People, Pose2, TrackedPerson, Twist2
from lifelong_nav.sim.crowd.tracks import Track, load_tracks
from lifelong_nav.trajectory.generator.features import features
from lifelong_nav.trajectory.generator.heads import KNOT, KNOTS
from lifelong_nav.trajectory.generator.moments import Moments, expert_ahead, join, moment
from lifelong_nav.trajectory.situation import Situation

SCENES = ("eth", "zara01", "students03")
STRIDE, LEAST = 0.8, 2.4
"""Seconds between moments of one person; at least so much future is needed [s]."""
NOISE, SLIP = 0.05, 0.08
"""Of tracked positions [m] and velocities [m/s]."""
_RADIUS, _SIGHT = 0.25, 10.0


def scene_file(scene: str, root: Path | None = None) -> Path:
    """Where the annotation of a scene lies."""
    return (root or recordings("eth_ucy")) / scene / "obsmat.txt"


def real_moments(
    scene: str, walks: Sequence[Track], mates: Sequence[set[int]], tracks: Sequence[Track], seed: int = 0
) -> Moments:
    """Moments along some people's walks.

    Args:
        scene: name, for the episodes' numbers.
        walks: people whose place the robot takes.
        mates: for each, ids of companions, who are left out.
        tracks: everybody.
        seed: of the noise.
    """
    parts = []
    for walk, company in zip(walks, mates, strict=True):
        rng = np.random.default_rng([seed, zlib.crc32(scene.encode()), walk.id])
        times, poses = walked(walk)
        others = [t for t in tracks if t.id != walk.id and t.id not in company]
        episode = zlib.crc32(f"{scene}/{walk.id}/{walk.times[0]}".encode())
        start = float(walk.times[0]) + float(rng.uniform(0.0, STRIDE))
        for at in np.arange(start, walk.times[-1] - LEAST, STRIDE):
            situation = situation_of(walk, times, poses, others, float(at), rng)
            ahead, valid = expert_ahead(times, poses, float(at), KNOT * np.arange(1, KNOTS + 1))
            parts.append(moment(features(situation), ahead, valid, episode, float(at)))
    return join(parts)


def walked(track: Track) -> tuple[FloatArray, FloatArray]:
    """(T,) times every 0.1 s and (T, 3) poses of a walk, heading along the way, kept where it stands."""
    times = np.arange(track.times[0], track.times[-1] + 1e-9, 0.1)
    xy = track.at(times)
    step = np.gradient(xy, 0.1, axis=0)
    speed = np.hypot(step[:, 0], step[:, 1])
    yaw = np.unwrap(np.arctan2(step[:, 1], step[:, 0]))
    moving = speed > 0.25
    if moving.any():
        yaw = np.interp(times, times[moving], yaw[moving])
    else:
        yaw = np.full(len(times), yaw[0])
    return times, np.concatenate([xy, yaw[:, None]], axis=1)


def situation_of(
    walk: Track, times: FloatArray, poses: FloatArray, others: Sequence[Track], at: float,
    rng: np.random.Generator,
) -> Situation:  # fmt: skip
    """What the robot would know in a person's place at a time of the recording."""
    k = int(np.clip(np.searchsorted(times, at), 1, len(times) - 2))
    pose = Pose2(*(float(v) for v in poses[k]))
    step = (poses[k + 1] - poses[k - 1]) / (times[k + 1] - times[k - 1])
    goal = walk.points[-1]
    speed = float(walk.length / max(walk.duration, 1e-6))
    people = []
    for other in others:
        if not other.times[0] <= at <= other.times[-1]:
            continue
        xy = other.at(np.array([at - 0.2, at, at + 0.2]))
        if np.hypot(*(xy[1] - pose.xy)) > _SIGHT:
            continue
        inside = np.clip(np.array([at - 0.2, at + 0.2]), other.times[0], other.times[-1])
        velocity = (xy[2] - xy[0]) / max(float(inside[1] - inside[0]), 0.2)
        seen = xy[1] + NOISE * rng.normal(size=2)
        velocity = velocity + SLIP * rng.normal(size=2)
        people.append(
            TrackedPerson(
                other.id, float(seen[0]), float(seen[1]), float(velocity[0]), float(velocity[1]),
                group_id=other.group, age=float(min(at - other.times[0], 10.0)), radius=_RADIUS,
            )
        )  # fmt: skip
    twist = Twist2(float(np.hypot(step[0], step[1])), 0.0, float(step[2]))
    return Situation(
        at, Pose2(float(pose.x), float(pose.y), float(pose.yaw)), twist, np.stack([pose.xy, goal]),
        Pose2(float(goal[0]), float(goal[1]), float("nan")), max(speed, 0.3),
        People(at, "odom", tuple(people)), robot_radius=_RADIUS,
    )  # fmt: skip


def load_scene(scene: str, root: Path | None = None) -> tuple[Track, ...]:
    """All tracks of a scene."""
    return load_tracks(scene_file(scene, root))


def scene_moments(scene: str, root: Path | None = None, seed: int = 0) -> Moments:
    """All moments of a scene: everyone who walks to somewhere, companions left out."""
    tracks = load_scene(scene, root)
    walks = [t for t in tracks if walks_to_a_goal(t)]
    return real_moments(scene, walks, [companions(tracks, t) for t in walks], tracks, seed)


def walks_to_a_goal(track: Track) -> bool:
    """True for tracks long, fast and straight enough to be somebody's way to somewhere."""
    if track.duration < 4.0 or track.length / track.duration < 0.5:
        return False
    direct = float(np.linalg.norm(track.points[-1] - track.points[0]))
    return direct >= max(3.0, 0.8 * track.length)


def companions(tracks: Sequence[Track], walk: Track) -> set[int]:
    """Ids of those who walk with a person: the annotated group, and whoever keeps at that person's side."""
    mates = {t.id for t in tracks if t.group == walk.group and walk.group >= 0}
    times = np.arange(walk.times[0], walk.times[-1] + 1e-9, 0.4)
    own = walk.at(times)
    for other in tracks:
        shared = (times >= other.times[0]) & (times <= other.times[-1])
        if other.id != walk.id and np.count_nonzero(shared) >= 0.5 * len(times):
            near = np.linalg.norm(other.at(times[shared]) - own[shared], axis=1) < 1.2
            if np.count_nonzero(near) >= 0.5 * len(times):
                mates.add(other.id)
    return mates
