"""Plain values that pass between components: frozen dataclasses over numpy arrays.

Units are SI (m, s, rad, kg); frames follow REP-103 (x forward, y left, z up) and REP-105 (`map`,
`odom`, `base_link`). Stamps are seconds since the epoch of the clock in use, as float64. Arrays
inside frozen dataclasses are shared, not copied: treat them as read-only.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.floating]


@dataclass(frozen=True, slots=True)
class Pose2:
    """Planar pose: x, y [m], yaw [rad, counter-clockwise, any winding]."""

    x: float = 0.0
    y: float = 0.0
    yaw: float = 0.0

    def array(self) -> FloatArray:
        """(3,) float64: x, y, yaw."""
        return np.array([self.x, self.y, self.yaw])

    @property
    def xy(self) -> FloatArray:
        """(2,) float64 position."""
        return np.array([self.x, self.y])


@dataclass(frozen=True, slots=True)
class Pose3:
    """Pose in space: position (3,) [m] and unit quaternion (4,) in ROS order x, y, z, w."""

    position: FloatArray = field(default_factory=lambda: np.zeros(3))
    quaternion: FloatArray = field(default_factory=lambda: np.array([0.0, 0.0, 0.0, 1.0]))


@dataclass(frozen=True, slots=True)
class Twist2:
    """Planar velocity in the body frame: vx, vy [m/s], wz [rad/s]."""

    vx: float = 0.0
    vy: float = 0.0
    wz: float = 0.0

    def array(self) -> FloatArray:
        """(3,) float64: vx, vy, wz."""
        return np.array([self.vx, self.vy, self.wz])


@dataclass(frozen=True, slots=True)
class Odometry:
    """Pose of `child_frame_id` in `frame_id`, twist in the child frame; covariance (3, 3) or None."""

    stamp: float
    pose: Pose2
    twist: Twist2
    frame_id: str = "odom"
    child_frame_id: str = "base_link"
    covariance: FloatArray | None = None


@dataclass(frozen=True, slots=True)
class LaserScan:
    """One planar scan. `ranges` (N,) float [m]; no return is +inf or NaN (REP-117)."""

    stamp: float
    frame_id: str
    angle_min: float
    angle_increment: float
    range_min: float
    range_max: float
    ranges: FloatArray

    def angles(self) -> FloatArray:
        """(N,) beam directions [rad] in the sensor frame."""
        return self.angle_min + self.angle_increment * np.arange(len(self.ranges))

    def valid(self) -> NDArray[np.bool_]:
        """(N,) True where a beam holds a finite return within the sensor's range."""
        with np.errstate(invalid="ignore"):
            inside = (self.ranges >= self.range_min) & (self.ranges <= self.range_max)
        return np.isfinite(self.ranges) & inside

    def points(self) -> FloatArray:
        """(M, 2) end points [m] of the valid beams, in the sensor frame."""
        keep = self.valid()
        angles = self.angles()[keep]
        ranges = np.asarray(self.ranges, dtype=float)[keep]
        return np.stack([ranges * np.cos(angles), ranges * np.sin(angles)], axis=-1)


@dataclass(frozen=True, slots=True)
class Image:
    """Decoded picture. `data`: (H, W, 3) uint8 RGB, (H, W) uint8 mono or (H, W) float32 depth [m]."""

    stamp: float
    frame_id: str
    encoding: str
    data: NDArray[np.generic]


@dataclass(frozen=True, slots=True)
class TrackedPerson:
    """One person on the floor plane, in the frame of the `People` that holds it.

    `covariance` is (4, 4) over (x, y, vx, vy); `group_id` < 0 means "walks alone";
    `confidence` in [0, 1]; `age` [s] since first seen.
    """

    id: int
    x: float
    y: float
    vx: float = 0.0
    vy: float = 0.0
    covariance: FloatArray = field(default_factory=lambda: np.eye(4) * 0.1)
    group_id: int = -1
    confidence: float = 1.0
    age: float = 0.0
    radius: float = 0.25

    @property
    def heading(self) -> float:
        """Walking direction [rad]; 0 when standing still."""
        return float(np.arctan2(self.vy, self.vx)) if self.speed > 1e-3 else 0.0

    @property
    def speed(self) -> float:
        """Walking speed [m/s]."""
        return float(np.hypot(self.vx, self.vy))


@dataclass(frozen=True, slots=True)
class People:
    """All people tracked at one instant, in `frame_id`."""

    stamp: float
    frame_id: str
    people: tuple[TrackedPerson, ...] = ()

    def __len__(self) -> int:
        return len(self.people)

    def positions(self) -> FloatArray:
        """(N, 2) [m]."""
        return _rows(((p.x, p.y) for p in self.people), 2)

    def velocities(self) -> FloatArray:
        """(N, 2) [m/s]."""
        return _rows(((p.vx, p.vy) for p in self.people), 2)

    def radii(self) -> FloatArray:
        """(N,) [m]."""
        return np.array([p.radius for p in self.people], dtype=float)


@dataclass(frozen=True, slots=True)
class Trajectory:
    """Timed motion plan in `frame_id`, starting at `stamp`.

    `times` (T,) seconds from `stamp`, increasing; `poses` (T, 3) x, y, yaw; `twists` (T, 2) v [m/s]
    and w [rad/s], the command that leads from one pose to the next.
    """

    stamp: float
    frame_id: str
    times: FloatArray
    poses: FloatArray
    twists: FloatArray


@dataclass(frozen=True, slots=True)
class PeopleForecast:
    """Where people may be: several modes for each, in `frame_id`, from `stamp` [s] on.

    `ids`, `radii` [m], `groups` (N,) as in `TrackedPerson`; `start` (N, 2) [m] and `velocity` (N, 2) [m/s]
    at `stamp`; `times` (T,) seconds from `stamp`, increasing, > 0; `positions` (N, M, T, 2) [m];
    `weights` (N, M) probabilities that sum to 1 over the modes; `spread` (N, M, T) standard deviation of the
    position around its mode, per axis [m].
    """

    stamp: float
    frame_id: str
    ids: NDArray[np.int64]
    times: FloatArray
    start: FloatArray
    velocity: FloatArray
    positions: FloatArray
    weights: FloatArray
    spread: FloatArray
    radii: FloatArray
    groups: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.ids)

    def at(self, times: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Positions (N, M, S, 2) and spreads (N, M, S) at `times` (S,) seconds from `stamp`, increasing.

        Linear between the samples; beyond the last one people go on as in the last step.
        """
        known = np.concatenate([[0.0], self.times])
        first = np.broadcast_to(self.start[:, None, None], (*self.positions.shape[:2], 1, 2))
        xy = np.concatenate([first, self.positions], axis=2)
        wide = np.concatenate([self.spread[:, :, :1], self.spread], axis=2)
        times = np.asarray(times, dtype=float)
        k = np.clip(np.searchsorted(known, times, side="right") - 1, 0, len(known) - 2)
        share = (times - known[k]) / (known[k + 1] - known[k])
        here = xy[:, :, k] + (xy[:, :, k + 1] - xy[:, :, k]) * share[:, None]
        inside = np.clip(share, 0.0, 1.0)
        return here, wide[:, :, k] + (wide[:, :, k + 1] - wide[:, :, k]) * inside


@dataclass(frozen=True, slots=True)
class Transition:
    """One step of robot dynamics, for learning: state -> next_state under action over dt [s].

    `state` and `next_state` (S,), `action` (A,): the command actually sent, not the one wished for.
    """

    stamp: float
    dt: float
    state: FloatArray
    action: FloatArray
    next_state: FloatArray


def _rows(rows: Iterable[tuple[float, ...]], width: int) -> FloatArray:
    """(N, width) float64 also when there are no rows."""
    return np.array(list(rows), dtype=float).reshape(-1, width)
