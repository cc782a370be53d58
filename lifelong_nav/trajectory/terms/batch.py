"""All candidates of one situation as arrays, with what every term asks of them: made once, read by all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from lifelong_nav.core.types import FloatArray, Trajectory
from lifelong_nav.trajectory.proxemics import Presence, ProxemicsConfig, presence
from lifelong_nav.trajectory.situation import HORIZON, STEP, TIMES, Candidate, Situation
from lifelong_nav.trajectory.terms.way import Way, way_ahead

Float32Array = NDArray[np.float32]
UNKNOWN_CLEARANCE = 9.0
"""Distance to obstacles where no field is given [m]."""


@dataclass(frozen=True)
class Batch:
    """C candidates as arrays over T times; float32.

    `xy` (C, T, 2), `yaw` (C, T); `v` (C, T) signed forward speed and `w` (C, T) yaw rate that lead from one
    pose to the next; `people` at the same times, K rows of persons and modes; `start`, `pace` (K, 2) where
    each row's person is now and how fast it goes [m/s]; `way` ahead.
    """

    situation: Situation
    xy: Float32Array
    yaw: Float32Array
    v: Float32Array
    w: Float32Array
    people: Presence
    start: Float32Array
    pace: Float32Array
    way: Way
    proxemics: ProxemicsConfig
    dt: float = STEP

    def __len__(self) -> int:
        return len(self.xy)

    @property
    def radius(self) -> float:
        """Of the robot [m]."""
        return self.situation.robot_radius

    @cached_property
    def offset(self) -> tuple[Float32Array, Float32Array]:
        """Robot minus person: dx, dy, each (K, C, T) [m]."""
        p = self.people.xy
        return self.xy[None, ..., 0] - p[:, None, :, 0], self.xy[None, ..., 1] - p[:, None, :, 1]

    @cached_property
    def distance(self) -> Float32Array:
        """(K, C, T) between the centres of robot and person [m]."""
        dx, dy = self.offset
        return np.asarray(np.sqrt(dx * dx + dy * dy), dtype=np.float32)

    @cached_property
    def gap(self) -> Float32Array:
        """(K, C, T) between the bodies [m], negative where they overlap."""
        reach = (self.people.radii + np.float32(self.radius))[:, None, None]
        return np.asarray(self.distance - reach, dtype=np.float32)

    @cached_property
    def touch(self) -> Float32Array:
        """(K, C, T) probability that the bodies are nearer than the clearance, per mode and time.

        Of a position with spread s around the mode to be within g: exact at the centre (Rayleigh), fading
        with distance like the tail of a normal distribution.
        """
        near = (self.people.radii + np.float32(self.radius + 0.5 * self.proxemics.clearance))[:, None, None]
        spread = np.maximum(self.people.spread, np.float32(0.05))[:, None]
        centre = 1.0 - np.exp(np.float32(-0.5) * (near / spread) ** 2)
        tail = _normal((near - self.distance) / spread) * (centre / _normal(near / spread))
        return np.asarray(tail, dtype=np.float32)

    @cached_property
    def clearance(self) -> Float32Array:
        """(C, T) from the robot's centre to the nearest obstacle [m]."""
        if self.situation.field is None:
            return np.full(self.xy.shape[:2], UNKNOWN_CLEARANCE, dtype=np.float32)
        return self.situation.field.at(self.xy[..., 0], self.xy[..., 1])

    @cached_property
    def along(self) -> tuple[Float32Array, Float32Array]:
        """Arc length along the way and distance from it, each (C, T) [m]."""
        arc, off = self.way.project(self.xy.reshape(-1, 2))
        shape = self.xy.shape[:2]
        return arc.reshape(shape), off.reshape(shape)

    @cached_property
    def heading(self) -> Float32Array:
        """(C, T, 2) unit vectors the robot faces."""
        return np.stack([np.cos(self.yaw), np.sin(self.yaw)], axis=-1)

    def over_people(self, rows: FloatArray) -> Float32Array:
        """Expectation over the modes of each person: rows (K, ...) to people (P, ...)."""
        weights = self.people.weights.reshape(-1, *([1] * (rows.ndim - 1)))
        return np.add.reduceat(rows * weights, self.first_rows, axis=0)

    @cached_property
    def first_rows(self) -> NDArray[np.intp]:
        """(P,) the first row of each person."""
        return np.flatnonzero(np.diff(self.people.person, prepend=-1))

    def none(self) -> FloatArray:
        """(C,) zeros."""
        return np.zeros(len(self))


def make_batch(
    situation: Situation, candidates: Sequence[Candidate], proxemics: ProxemicsConfig | None = None
) -> Batch:
    """Arrays of `candidates`, whose poses must be finite."""
    config = proxemics or ProxemicsConfig()
    poses = np.array([sampled(c.trajectory, situation) for c in candidates]).reshape(-1, len(TIMES), 3)
    start = np.broadcast_to(situation.pose.array(), (len(poses), 1, 3))
    before = np.concatenate([start, poses[:, :-1]], axis=1)
    step = poses - before
    turn = (step[..., 2] + np.pi) % (2.0 * np.pi) - np.pi
    middle = before[..., 2] + 0.5 * turn
    forward = step[..., 0] * np.cos(middle) + step[..., 1] * np.sin(middle)
    length = np.hypot(step[..., 0], step[..., 1])
    v = np.where(forward < 0.0, -length, length) / STEP
    people, begin, pace = people_near(situation, config)
    return Batch(
        situation,
        poses[..., :2].astype(np.float32),
        poses[..., 2].astype(np.float32),
        v.astype(np.float32),
        (turn / STEP).astype(np.float32),
        people,
        begin,
        pace,
        way_ahead(situation),
        config,
    )


def sampled(trajectory: Trajectory, situation: Situation) -> FloatArray:
    """(T, 3) poses of a trajectory at `TIMES` from the situation's stamp; it stands still after its end."""
    late = situation.stamp - trajectory.stamp
    same = trajectory.times is TIMES or (
        len(trajectory.times) == len(TIMES) and bool(np.abs(trajectory.times - TIMES).max() < 1e-6)
    )
    if same and abs(late) < 1e-6:
        return np.asarray(trajectory.poses, dtype=float)
    times, poses = np.asarray(trajectory.times, dtype=float), np.asarray(trajectory.poses, dtype=float)
    if times[0] > late:  # from where the robot is to its first pose
        times, poses = np.append(late, times), np.concatenate([situation.pose.array()[None], poses])
    yaw = np.unwrap(poses[:, 2])
    return np.stack([np.interp(TIMES + late, times, c) for c in (poses[:, 0], poses[:, 1], yaw)], axis=-1)


def people_near(situation: Situation, config: ProxemicsConfig) -> tuple[Presence, Float32Array, Float32Array]:
    """People the robot can meet within the horizon, with start and velocity (K, 2) of each row."""
    forecast = situation.forecast
    reach = max(situation.speed, 0.3) * HORIZON + 2.5
    late = 0.0 if forecast is None else situation.stamp - forecast.stamp
    people = presence(forecast, TIMES + late, config, situation.pose.xy, reach)
    if forecast is None or len(people) == 0:
        none = np.zeros((0, 2), dtype=np.float32)
        return people, none, none
    start, velocity = forecast.start[people.person], forecast.velocity[people.person]
    velocity = np.where(np.isfinite(velocity), velocity, 0.0)
    start = np.where(np.isfinite(start), start + late * velocity, people.xy[:, 0])
    return people, start.astype(np.float32), velocity.astype(np.float32)


def _normal(z: FloatArray) -> Float32Array:
    """Normal distribution function, logistic approximation (error below .01)."""
    return np.asarray(1.0 / (1.0 + np.exp(np.float32(-1.702) * np.clip(z, -30.0, 30.0))), dtype=np.float32)
