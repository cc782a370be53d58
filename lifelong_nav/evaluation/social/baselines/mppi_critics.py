"""The critics that Nav2's MPPI controller ships as defaults, as functions on arrays.

Definitions and weights follow nav2_mppi_controller and the parameters of nav2_bringup (Jazzy); every critic
has power 1. Arrays are time-major float32: x, y, yaw, v (T, K) of K rollouts. GoalAngleCritic is not here:
our goals have no heading.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lifelong_nav.core.distance import DistanceField, lookup
from lifelong_nav.core.types import FloatArray, Pose2

Float32Array = NDArray[np.float32]

INSCRIBED = 253.0
"""Cost of a cell nearer to an obstacle than the robot's radius: driving there is a collision."""


@dataclass(frozen=True)
class Rollouts:
    """K sampled trajectories, time-major: x, y [m], yaw [rad], v [m/s], each (T, K)."""

    x: Float32Array
    y: Float32Array
    yaw: Float32Array
    v: Float32Array
    dt: float


@dataclass(frozen=True)
class Reference:
    """The stretch of path to follow.

    `points` (P, 2) about 0.05 m apart; `along` (P,) arc length [m]; `valid` (P,) no obstacle there;
    `furthest` index of the point that the farthest rollout reaches; `left` [m] to the goal (2,) along it.
    """

    points: Float32Array
    along: Float32Array
    valid: NDArray[np.bool_]
    furthest: int
    goal: Float32Array
    left: float


def inflated(field: DistanceField, radius: float, reach: float = 0.7, scaling: float = 3.0) -> DistanceField:
    """Nav2's inflation layer: cost 0-253 of each cell (kept in a field for its lookup)."""
    cost = 252.0 * np.exp(-scaling * (field.distance - np.float32(radius)))
    cost = np.where(field.distance <= radius, INSCRIBED, np.where(field.distance <= reach, cost, 0.0))
    return DistanceField(cost.astype(np.float32), field.resolution, field.origin, 0.0)


def reference(
    rest: FloatArray, goal: FloatArray, r: Rollouts, costs: DistanceField, reach: float
) -> Reference:
    """Take the first `reach` [m] of the path (N, 2) ahead and see how far the rollouts get on it."""
    points = rest.astype(np.float32)
    steps = np.hypot(*np.diff(points, axis=0).T) if len(points) > 1 else np.zeros(0, np.float32)
    along = np.concatenate([[0.0], np.cumsum(steps)]).astype(np.float32)
    left = float(along[-1])
    points, along = points[along <= reach], along[along <= reach]
    dx, dy = r.x[-1][:, None] - points[:, 0], r.y[-1][:, None] - points[:, 1]
    furthest = int((dx * dx + dy * dy).argmin(axis=1).max())
    valid = costs.at(points[:, 0], points[:, 1]) < INSCRIBED
    return Reference(points, along, valid, furthest, goal.astype(np.float32), left)


def constraint(r: Rollouts, fastest: float, slowest: float, weight: float = 4.0) -> Float32Array:
    """(K,) speeds outside of the limits."""
    over = np.maximum(r.v - np.float32(fastest), 0.0) + np.maximum(np.float32(slowest) - r.v, 0.0)
    return np.asarray(weight * r.dt * over.sum(axis=0))


def cost(r: Rollouts, costs: DistanceField, near_goal: bool, weight: float = 3.81, stride: int = 2) -> tuple[
    Float32Array, NDArray[np.bool_]
]:  # fmt: skip
    """(K,) nearness to obstacles by the costmap; and (K,) True for rollouts that collide."""
    x, y = r.x[::stride], r.y[::stride]
    found = lookup(costs.distance, costs.resolution, costs.origin, x, y, np.float32(0.0))
    collides = np.asarray((found >= INSCRIBED).any(axis=0))
    total = np.zeros(x.shape[1], np.float32) if near_goal else found.sum(axis=0)
    total = np.where(collides, np.float32(1e6), total)
    return np.asarray(weight / 254.0 / len(x) * total), collides


def goal(r: Rollouts, ref: Reference, weight: float = 5.0, threshold: float = 1.4) -> Float32Array | float:
    """(K,) mean distance to the goal, near it."""
    if ref.left > threshold:
        return 0.0
    return np.asarray(weight * np.hypot(r.x - ref.goal[0], r.y - ref.goal[1]).mean(axis=0))


def path_align(
    r: Rollouts, ref: Reference, weight: float = 14.0, stride: int = 4, offset: int = 20,
    most_blocked: float = 0.05, threshold: float = 0.5,
) -> Float32Array | float:  # fmt: skip
    """(K,) mean distance from the path's point of equal arc length; not where the path is blocked."""
    if ref.left < threshold or ref.furthest < offset:
        return 0.0
    blocked = int((~ref.valid[: ref.furthest]).sum())
    if blocked > 2 and blocked / ref.furthest > most_blocked:
        return 0.0
    x, y = r.x[::stride], r.y[::stride]
    driven = np.cumsum(np.hypot(np.diff(x, axis=0), np.diff(y, axis=0)), axis=0)
    spacing = max(float(ref.along[-1]) / max(len(ref.along) - 1, 1), 1e-6)  # the path is evenly sampled
    index = np.minimum((driven / np.float32(spacing) + np.float32(0.5)).astype(np.int32), len(ref.along) - 1)
    counts = ref.valid[index]
    away = np.hypot(ref.points[index, 0] - x[1:], ref.points[index, 1] - y[1:]) * counts
    return np.asarray(weight * away.sum(axis=0) / np.maximum(counts.sum(axis=0), 1))


def path_follow(
    r: Rollouts, ref: Reference, weight: float = 5.0, offset: int = 5, threshold: float = 1.4
) -> Float32Array | float:
    """(K,) distance of the end from the free path point a little beyond what the rollouts reach."""
    if ref.left < threshold or len(ref.points) < 2:
        return 0.0
    last = len(ref.points) - 1
    at = min(ref.furthest + offset, last)
    while at < last and not ref.valid[at]:
        at += 1
    return np.asarray(weight * np.hypot(r.x[-1] - ref.points[at, 0], r.y[-1] - ref.points[at, 1]))


def path_angle(
    r: Rollouts, ref: Reference, pose: Pose2, weight: float = 2.0, offset: int = 4, most: float = 1.0,
    threshold: float = 0.5,
) -> Float32Array | float:  # fmt: skip
    """(K,) heading away from the path, where the robot now faces elsewhere by more than `most` [rad]."""
    if ref.left < threshold:
        return 0.0
    px, py = ref.points[min(ref.furthest + offset, len(ref.points) - 1)]
    if abs(_wrap(np.arctan2(py - pose.y, px - pose.x) - pose.yaw)) < most:
        return 0.0
    wanted = np.arctan2(py - r.y[-1], px - r.x[-1])
    return np.asarray(weight * np.abs(_wrap(wanted - r.yaw[-1])))


def prefer_forward(
    r: Rollouts, ref: Reference, weight: float = 5.0, threshold: float = 0.5
) -> Float32Array | float:
    """(K,) way driven backwards."""
    return 0.0 if ref.left < threshold else np.asarray(weight * r.dt * np.maximum(-r.v, 0.0).sum(axis=0))


def _wrap(angle: FloatArray) -> FloatArray:
    return np.asarray((angle + np.pi) % (2.0 * np.pi) - np.pi)
