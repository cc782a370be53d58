"""Real people, replayed: they come, walk and go as recorded, whatever the robot does."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

from lifelong_nav.core.errors import InputError
from lifelong_nav.core.types import FloatArray, Pose2
from lifelong_nav.sim.crowd.state import CrowdState, RobotDisc
from lifelong_nav.sim.crowd.tracks import Track, between, hermite, moved
from lifelong_nav.sim.scene import Region, Scene, Wall


class ReplayCrowd:
    """People on recorded tracks; follows `state.Crowd`. `state().ids` are row numbers, `track_ids` theirs.

    Args:
        tracks: from `tracks.load_tracks`.
        start: time of the recording at which the run begins [s].
        duration: people who come later than this are left out [s].
        pose: where the recording's frame lies in the world.
        exclude: ids of people left out (the one whose place the robot takes, and companions).
        loop: begin again at `start` after `duration`.
        radius: of everyone [m].
    """

    def __init__(
        self,
        tracks: Sequence[Track],
        *,
        start: float = 0.0,
        duration: float = np.inf,
        pose: Pose2 | None = None,
        exclude: Collection[int] = (),
        loop: bool = False,
        radius: float = 0.25,
    ) -> None:
        if loop and not np.isfinite(duration):
            raise InputError(
                "A replay that loops needs to know how long it is.", "Give a duration in seconds."
            )
        kept = tuple(t for t in between(tuple(tracks), start, start + duration) if t.id not in exclude)
        self.tracks = moved(kept, pose) if pose is not None else kept
        self.start, self.duration, self.loop = start, duration, loop
        self.track_ids = np.array([t.id for t in self.tracks], dtype=np.int64)
        self.radii = np.full(len(self.tracks), radius)
        self.groups = np.array([t.group for t in self.tracks], dtype=np.int64)
        self.first = np.array([t.times[0] for t in self.tracks])
        self.last = np.array([t.times[-1] for t in self.tracks])
        n = len(self.tracks)
        self.positions = np.array([t.points[0] for t in self.tracks]).reshape(n, 2)
        self.velocities = np.zeros((n, 2))
        self.headings = np.array([np.arctan2(*t.velocities[0][::-1]) for t in self.tracks], dtype=float)
        self.present = np.zeros(n, dtype=bool)
        self.time = 0.0
        self._place()

    def state(self) -> CrowdState:
        """People now; those yet to come or gone by are marked absent."""
        return CrowdState(
            np.arange(len(self.tracks), dtype=np.int64), self.positions.copy(), self.velocities.copy(),
            self.headings.copy(), self.radii.copy(), self.groups.copy(), self.present.copy(),
        )  # fmt: skip

    def step(self, dt: float, robot: RobotDisc | None, segments: FloatArray | None = None) -> None:
        """Move on by dt [s]; robot and obstacles change nothing."""
        self.time += dt
        if self.loop and self.time >= self.duration:
            self.time -= self.duration
        self._place()

    def _place(self) -> None:
        now = self.start + self.time
        present = (self.first <= now) & (now <= self.last)
        self.velocities[self.present & ~present] = 0.0
        self.present = present
        at = np.array([now])
        for i in np.flatnonzero(present):
            track = self.tracks[i]
            position, velocity = hermite(track.times, track.points, track.velocities, at)
            self.positions[i], self.velocities[i] = position[0], velocity[0]
            if np.hypot(*velocity[0]) > 0.15:
                self.headings[i] = np.arctan2(velocity[0, 1], velocity[0, 0])


def scene_around(
    tracks: Sequence[Track], name: str = "replay", pose: Pose2 | None = None, margin: float = 2.0,
    walls: Sequence[Wall] = (),
) -> Scene:  # fmt: skip
    """An open floor that holds all tracks, with a region `floor` and the given walls.

    Raises:
        InputError: there are no tracks.
    """
    kept = moved(tuple(tracks), pose) if pose is not None else tuple(tracks)
    if not kept:
        raise InputError("There are no tracks to build a scene around.", "Check the file or the time window.")
    points = np.concatenate([t.points for t in kept])
    low, high = points.min(axis=0) - margin, points.max(axis=0) + margin
    floor = Region("floor", "hall", (float(low[0]), float(low[1])), (float(high[0]), float(high[1])))
    return Scene(name, walls=tuple(walls), regions=(floor,))
