"""A tiny analytic world for closed-loop tests of the controller: a disc robot, walls, walking discs."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from lifelong_nav.control.local_field import field_from_points
from lifelong_nav.control.mppi import Mppi, Problem
from lifelong_nav.control.unicycle import step_exact
from lifelong_nav.core.types import People, Pose2, TrackedPerson, Twist2

RADIUS = 0.27


@dataclass
class World:
    """Walls (M, 4); people (N, 4) x, y, vx, vy with groups (N,); robot with limited acceleration.

    `polite` people stop when the robot stands within 0.75 m in front of them; others walk on.
    """

    walls: np.ndarray = field(default_factory=lambda: np.zeros((0, 4)))
    people: np.ndarray = field(default_factory=lambda: np.zeros((0, 4)))
    groups: np.ndarray | None = None
    pose: Pose2 = field(default_factory=Pose2)
    polite: bool = True
    noise: float = 0.0
    seed: int = 0

    def __post_init__(self):
        self.v = self.w = 0.0
        self.time = 0.0
        self.people = self.people.astype(float).copy()
        self.wall_points = sample_walls(self.walls)
        self.rng = np.random.default_rng(self.seed)

    def step(self, command: Twist2, dt: float = 0.1, inner: int = 5) -> None:
        for _ in range(inner):
            h = dt / inner
            self.v += float(np.clip(command.vx - self.v, -1.0 * h, 1.0 * h))
            self.w += float(np.clip(command.wz - self.w, -3.0 * h, 3.0 * h))
            self.pose = step_exact(self.pose, self.v, self.w, h)
            walk = self.people[:, 2:].copy()
            if self.polite and len(walk):
                to = self.pose.xy - self.people[:, :2]
                ahead = (to * walk).sum(axis=1) > 0
                walk[(np.linalg.norm(to, axis=1) < 0.75) & ahead] = 0.0
            self.people[:, :2] += h * walk
            self.time += h

    def tracked(self) -> People:
        groups = -np.ones(len(self.people), int) if self.groups is None else self.groups
        seen = self.people + self.rng.normal(0.0, self.noise, self.people.shape)
        return People(
            self.time,
            "odom",
            tuple(
                TrackedPerson(i, *row, covariance=np.eye(4) * 0.01, group_id=int(g))
                for i, (row, g) in enumerate(zip(seen, groups, strict=True))
            ),
        )

    def person_gap(self) -> float:
        if len(self.people) == 0:
            return np.inf
        return float(np.linalg.norm(self.people[:, :2] - self.pose.xy, axis=1).min() - 0.25 - RADIUS)

    def wall_gap(self) -> float:
        if len(self.walls) == 0:
            return np.inf
        return float(segment_distance(self.walls, self.pose.xy).min() - RADIUS)


@dataclass
class Drive:
    """What a run came to."""

    poses: np.ndarray
    speeds: np.ndarray
    person_gap: np.ndarray
    wall_gap: np.ndarray
    reached: bool
    seconds: float

    @property
    def contacts(self) -> int:
        return int((self.person_gap < 0).sum() + (self.wall_gap < 0).sum())


def drive(world: World, controller: Mppi, path, goal: Pose2, speed=0.8, limit=60.0) -> Drive:
    """Closed loop at 10 Hz until the goal is reached or `limit` [s] is over."""
    poses, speeds, people, walls = [], [], [], []
    reached = False
    while world.time < limit and not reached:
        distances = field_from_points(world.wall_points, world.pose.xy)
        twist = Twist2(world.v, 0.0, world.w)
        plan = controller.plan(
            Problem(world.time, world.pose, twist, path, goal, world.tracked(), distances, speed)
        )
        reached = plan.reached
        world.step(plan.command)
        poses.append(world.pose.array())
        speeds.append((world.v, world.w))
        people.append(world.person_gap())
        walls.append(world.wall_gap())
    return Drive(np.array(poses), np.array(speeds), np.array(people), np.array(walls), reached, world.time)


def straight(a, b) -> np.ndarray:
    """Path of two points, (2, 2)."""
    return np.array([a, b], dtype=float)


def sample_walls(walls: np.ndarray, step: float = 0.04) -> np.ndarray:
    points = [
        np.linspace(w[:2], w[2:], int(np.hypot(*(w[2:] - w[:2])) / step) + 2)
        for w in np.asarray(walls, float)
    ]
    return np.concatenate(points) if points else np.zeros((0, 2))


def segment_distance(walls: np.ndarray, point: np.ndarray) -> np.ndarray:
    a, d = walls[:, :2], walls[:, 2:] - walls[:, :2]
    t = np.clip(((point - a) * d).sum(axis=1) / np.maximum((d * d).sum(axis=1), 1e-12), 0, 1)
    return np.linalg.norm(a + t[:, None] * d - point, axis=1)
