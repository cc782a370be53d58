"""What the network sees of a situation: arrays in the robot's frame, the same in training and driving.

Turning or moving the frame of a situation changes nothing here, so nothing about a building can be learned
by heart through coordinates.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lifelong_nav.core.geometry import compose2, inverse2, rotation2, transform_points2
from lifelong_nav.core.types import FloatArray, LaserScan, People, Pose2
from lifelong_nav.trajectory.situation import Situation

BEAMS = 180
"""Sectors of the resampled scan, 2 degrees each, from -180 degrees on: straight ahead is the middle."""
REACH = 8.0
"""Ranges are capped here [m]: what is farther does not matter within six seconds."""
PEOPLE = 12
PEOPLE_REACH = 10.0
"""So many people at most, the nearest, within this distance [m]."""
PERSON = 10
"""Numbers per person, see `people_features`."""
CARROTS = (0.8, 1.6, 2.8, 4.8)
"""How far along the route the points lie that stand for it [m]."""
WAY = 2 * len(CARROTS) + 10
"""Numbers of route, goal and own motion, see `way_features`."""
CONTEXT = 384
CONTEXT_AGE = 5.0
"""A social context older than this [s] is unknown."""
_METRES = 4.0  # distances are given in units of this

SHAPES = {
    "lidar": (2, BEAMS), "way": (WAY,), "people": (PEOPLE, PERSON), "mask": (PEOPLE,),
    "context": (CONTEXT,), "known": (1,),
}  # fmt: skip
"""Names and shapes of the network's inputs, without the batch."""


@dataclass(frozen=True)
class Features:
    """One situation as float32 arrays of `SHAPES`.

    `lidar`: share of `REACH` that is free, and whether the sector was seen; `way`: route, goal, own motion;
    `people`, `mask`: rows and which of them hold somebody; `context`, `known`: embedding of the social
    context (zeros when unknown) and whether it is known.
    """

    lidar: FloatArray
    way: FloatArray
    people: FloatArray
    mask: FloatArray
    context: FloatArray
    known: FloatArray

    def batch(self) -> dict[str, FloatArray]:
        """Inputs by name with a leading batch of one."""
        return {name: np.asarray(getattr(self, name), dtype=np.float32)[None] for name in SHAPES}


def features(situation: Situation, space: str | None = None) -> Features:
    """Arrays of a situation.

    Args:
        situation: as it is; parts that are absent become "unknown", never zeros that look measured.
        space: caption space the network was trained in; a context of another one is unknown. None: any.
    """
    people, mask = people_features(situation.people, situation.pose, situation.stamp)
    context, known = context_features(situation, space)
    return Features(
        lidar_features(situation.scan, situation.sensor or situation.pose, situation.pose),
        way_features(situation), people, mask, context, known,
    )  # fmt: skip


def lidar_features(scan: LaserScan | None, sensor: Pose2, pose: Pose2) -> FloatArray:
    """(2, BEAMS): nearest return of each sector as a share of `REACH`, and whether any beam fell into it.

    Beams without a return count as free; readings below the sensor's range (dirt, its own housing) are
    unseen. Sectors no beam fell into are free and unseen.
    """
    out = np.ones((2, BEAMS), dtype=np.float32)
    out[1] = 0.0
    if scan is None or len(scan.ranges) == 0:
        return out
    ranges = np.asarray(scan.ranges, dtype=float)
    angles = scan.angles()
    with np.errstate(invalid="ignore"):
        known = ~(ranges < scan.range_min)
        ranges = np.where(np.isfinite(ranges) & (ranges <= scan.range_max), ranges, np.inf)
    ranges = np.minimum(ranges[known], REACH)
    local = ranges[:, None] * np.stack([np.cos(angles[known]), np.sin(angles[known])], axis=-1)
    points = transform_points2(compose2(inverse2(pose), sensor), local)
    distance = np.where(ranges < REACH, np.minimum(np.hypot(points[:, 0], points[:, 1]), REACH), REACH)
    bearing = np.arctan2(points[:, 1], points[:, 0]) + 1e-6  # beams on an edge: not for rounding to decide
    sector = np.floor((bearing + np.pi) / (2.0 * np.pi) * BEAMS).astype(np.intp) % BEAMS
    nearest = np.full(BEAMS, REACH)
    np.minimum.at(nearest, sector, distance)
    out[0] = nearest / REACH
    out[1, sector] = 1.0
    return out


def way_features(situation: Situation) -> FloatArray:
    """(WAY,) points along the route and the goal in the robot's frame, and how the robot moves.

    Four points (x, y); direction to the goal, scaled down when near; how far it and the route's end are;
    heading at the goal (zeros for any); v, w, speed to travel at, radius.
    """
    pose = situation.pose
    route = np.asarray(situation.route, dtype=float).reshape(-1, 2)
    goal = situation.goal.xy
    if len(route) < 2:
        route = np.stack([pose.xy, goal])
    points, left = along(route, pose.xy, CARROTS)
    turn = rotation2(pose.yaw)
    near = (points - pose.xy) @ turn
    to = (goal - pose.xy) @ turn
    distance = float(np.hypot(*to))
    heading = situation.goal.yaw - pose.yaw
    facing = (np.cos(heading), np.sin(heading)) if np.isfinite(heading) else (0.0, 0.0)
    twist = situation.twist
    rest = (
        *(to / max(distance, 1e-6) * min(distance, _METRES) / _METRES), np.log1p(distance) / 2.0,
        np.log1p(left) / 2.0, *facing, twist.vx, twist.wz / 1.5, situation.speed, situation.robot_radius,
    )  # fmt: skip
    return np.concatenate([near.ravel() / _METRES, rest]).astype(np.float32)


def along(route: FloatArray, at: FloatArray, ahead: tuple[float, ...]) -> tuple[FloatArray, float]:
    """Points (N, 2) on a route (M, 2) `ahead` [m] of its point nearest to `at` (2,), and what is left [m].

    Beyond the end the end is returned.
    """
    step = np.diff(route, axis=0)
    length = np.hypot(step[:, 0], step[:, 1])
    share = ((at - route[:-1]) * step).sum(axis=1) / np.maximum(length**2, 1e-12)
    share = np.clip(share, 0.0, 1.0)
    foot = route[:-1] + step * share[:, None]
    k = int(np.argmin(np.hypot(*(foot - at).T)))
    travelled = np.concatenate([[0.0], np.cumsum(length)])
    here = travelled[k] + share[k] * length[k]
    s = np.minimum(here + np.asarray(ahead), travelled[-1])
    points = np.stack([np.interp(s, travelled, route[:, 0]), np.interp(s, travelled, route[:, 1])], axis=-1)
    return points, float(travelled[-1] - here)


def people_features(people: People, pose: Pose2, stamp: float) -> tuple[FloatArray, FloatArray]:
    """(PEOPLE, PERSON) rows and (PEOPLE,) mask, nearest first.

    A row: x, y (moved on to `stamp` by the velocity), vx, vy in the robot's axes, radius, in a group or
    not, distance, speed of approach towards where the robot is, seconds known (capped), confidence.
    """
    rows, mask = np.zeros((PEOPLE, PERSON), dtype=np.float32), np.zeros(PEOPLE, dtype=np.float32)
    if not len(people):
        return rows, mask
    turn = rotation2(pose.yaw)
    velocity = people.velocities()
    late = float(np.clip(stamp - people.stamp, 0.0, 1.0))
    xy = (people.positions() + late * velocity - pose.xy) @ turn
    velocity = velocity @ turn
    distance = np.hypot(xy[:, 0], xy[:, 1])
    order = np.lexsort((xy[:, 1], xy[:, 0], distance))
    order = order[distance[order] < PEOPLE_REACH][:PEOPLE]
    who = [people.people[i] for i in order]
    n = len(order)
    xy, velocity, distance = xy[order], velocity[order], distance[order]
    closing = -(velocity * xy).sum(axis=1) / np.maximum(distance, 0.1)
    rows[:n, 0:2], rows[:n, 2:4] = xy / _METRES, velocity
    rows[:n, 4] = [p.radius for p in who]
    rows[:n, 5] = [p.group_id >= 0 for p in who]
    rows[:n, 6], rows[:n, 7] = distance / _METRES, closing
    rows[:n, 8] = [min(p.age, 4.0) / 4.0 for p in who]
    rows[:n, 9] = [p.confidence for p in who]
    mask[:n] = 1.0
    return rows, mask


def context_features(situation: Situation, space: str | None) -> tuple[FloatArray, FloatArray]:
    """(CONTEXT,) embedding and (1,) flag; zeros when unknown, stale or of another space."""
    context = situation.context
    unknown = np.zeros(CONTEXT, dtype=np.float32), np.zeros(1, dtype=np.float32)
    if context is None or context.embedding.shape != (CONTEXT,) or not np.isfinite(context.embedding).all():
        return unknown
    if space is not None and context.space != space:
        return unknown
    if abs(situation.stamp - context.stamp) > CONTEXT_AGE:
        return unknown
    return context.embedding.astype(np.float32), np.ones(1, dtype=np.float32)
