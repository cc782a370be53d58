"""Motion of people as the robot sees it: one definition for teachers, captions and scene facts."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lifelong_nav.core.types import FloatArray, People, Pose2

STANDING_SPEED = 0.25
"""Slower people stand [m/s]."""
TRACK_STANDING = 0.33
"""The same for tracks: those of people who stand wobble by up to so much while they are young."""
_RADIAL = 0.75  # share of the speed along the line of sight that makes "approaching" or "moving away"
_BESIDE = 2.5  # [m] farthest companion
_SAME = 0.45  # [m/s] companions' speeds differ less


def in_robot_frame(people: People, pose: Pose2) -> tuple[FloatArray, FloatArray]:
    """Positions (N, 2) [m] and velocities over ground (N, 2) [m/s] of people along the robot's axes.

    Args:
        people: in the frame in which `pose` is given.
        pose: of the robot.
    """
    c, s = np.cos(pose.yaw), np.sin(pose.yaw)
    turn = np.array([[c, -s], [s, c]])
    return (people.positions() - (pose.x, pose.y)) @ turn, people.velocities() @ turn


def motion_words(
    at: FloatArray, velocity: FloatArray, robot_speed: float = 0.0, standing: float = STANDING_SPEED
) -> NDArray[np.str_]:
    """Word of `social_scene.MOTIONS` for everybody.

    Args:
        at: (N, 2) [m] in the robot's frame.
        velocity: (N, 2) [m/s] over ground, along the robot's axes.
        robot_speed: forward speed of the robot [m/s].
        standing: slower people stand [m/s].

    Returns:
        (N,) words; "unknown" where a number is not finite.
    """
    speed = np.hypot(velocity[:, 0], velocity[:, 1])
    distance = np.hypot(at[:, 0], at[:, 1])
    with np.errstate(invalid="ignore"):
        radial = np.einsum("nk,nk->n", at, velocity) / np.maximum(speed * distance, 1e-9)
        beside = (np.abs(at[:, 1]) > np.abs(at[:, 0])) & (distance < _BESIDE)
        with_robot = (velocity[:, 0] > 0.85 * speed) & (np.abs(velocity[:, 0] - robot_speed) < _SAME)
        conditions = [
            ~np.isfinite(speed + distance),
            speed < standing,
            beside & with_robot & (robot_speed > STANDING_SPEED),
            radial < -_RADIAL,
            radial > _RADIAL,
            (np.abs(velocity[:, 1]) > np.abs(velocity[:, 0])) & (velocity[:, 1] > 0.0),
            np.abs(velocity[:, 1]) > np.abs(velocity[:, 0]),
            at[:, 0] * velocity[:, 0] < 0.0,
        ]
    words = ["unknown", "standing", "alongside", "approaching", "moving_away"]
    words += ["crossing_left", "crossing_right", "approaching"]
    return np.select(conditions, words, "moving_away")


def in_sight(start: FloatArray, ends: FloatArray, walls: FloatArray | None) -> NDArray[np.bool_]:
    """(N,) True where no wall stands between `start` (2,) and the `ends` (N, 2).

    Args:
        start: [m], same frame as the rest.
        ends: [m].
        walls: (M, 4) segments x0, y0, x1, y1 [m]; None for no walls.
    """
    if walls is None or len(walls) == 0 or len(ends) == 0:
        return np.ones(len(ends), dtype=bool)
    a, b = np.asarray(walls, dtype=float)[:, :2], np.asarray(walls, dtype=float)[:, 2:4]
    ray, wall = (ends - start)[:, None], (b - a)[None]
    gap = (a - start)[None]
    cross = ray[..., 0] * wall[..., 1] - ray[..., 1] * wall[..., 0]
    safe = np.where(np.abs(cross) < 1e-12, np.inf, cross)  # parallel: no crossing
    along_ray = (gap[..., 0] * wall[..., 1] - gap[..., 1] * wall[..., 0]) / safe
    along_wall = (gap[..., 0] * ray[..., 1] - gap[..., 1] * ray[..., 0]) / safe
    hit = (along_ray > 0.0) & (along_ray < 1.0) & (along_wall >= 0.0) & (along_wall <= 1.0)
    hit &= np.isfinite(safe)
    return ~hit.any(axis=1)
