"""The teacher that knows the truth: social scenes from the simulator's values, without pictures.

    scene = privileged_scene(pose, twist, people, {"scenario": "queue", "environment": "hall"}, ...)

Density and grouping follow the definitions in `social_scene`: people within 8 m, in line of sight and in
the half plane ahead. Entities are those in line of sight within 8 m all round. A known scenario of which
nobody can be seen is called what it looks like: free passage (the blind corner excepted).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from lifelong_nav.core.errors import InputError
from lifelong_nav.core.types import FloatArray, People, Pose2, Twist2
from lifelong_nav.perception.relative_motion import in_robot_frame, in_sight, motion_words
from lifelong_nav.perception.social_scene import (
    ENVIRONMENTS,
    MAX_ENTITIES,
    SCENARIOS,
    Entity,
    SocialScene,
    side_of,
)
from lifelong_nav.perception.teachers.actions import polite_action

REACH = 8.0
"""People farther away [m] are not told of."""
THING_REACH = 5.0
WITHOUT_PEOPLE = ("free_passage", "blind_corner")
"""Scenarios that are what they are with nobody in sight."""

REGION_ENVIRONMENTS = {
    "side": "hall", "lobby": "hall", "open": "hall", "square": "hall", "office": "room", "meeting": "room",
    "lab": "room", "lounge": "room", "storage": "aisle", "shop": "aisle", "lift": "elevator",
    "door": "doorway", "crossing": "intersection", "junction": "intersection", "hallway": "corridor",
}  # fmt: skip
"""What regions of plans are called beside the words of `social_scene.ENVIRONMENTS`."""


def privileged_scene(
    pose: Pose2,
    twist: Twist2,
    people: People,
    situation: Mapping[str, str | float],
    *,
    route: FloatArray | None = None,
    walls: FloatArray | None = None,
    queue: Collection[int] = (),
    things: Sequence[tuple[str, float, float]] = (),
) -> SocialScene:
    """The scene as it truly is.

    Args:
        pose: of the robot in the map.
        twist: of the robot.
        people: everybody, in the map, with their groups.
        situation: "scenario" (name), "environment" (a word of `ENVIRONMENTS` or a region's kind), and where
            known "description" (needed for a new scenario), "width" of the passage [m], "action" (overrules).
        route: (M, 2) points ahead in the map [m], or just the goal; None where the robot has none.
        walls: (M, 4) segments that hide people [m], in the map.
        queue: ids of people who stand in line.
        things: (kind of `KINDS`, x, y) in the map [m], told of within 5 m.

    Raises:
        InputError: the situation lacks scenario or environment, or names no environment we know.
    """
    scenario, environment = _situation(situation)
    at, velocity = in_robot_frame(people, pose)
    distance = np.hypot(at[:, 0], at[:, 1])
    near = (distance <= REACH) & in_sight(pose.xy, people.positions(), walls)
    groups = np.array([max(p.group_id, -1) for p in people.people], dtype=np.int64)
    waits = np.array([p.id in set(queue) for p in people.people], dtype=bool)
    at, velocity, groups, waits = at[near], velocity[near], groups[near], waits[near]
    motion = motion_words(at, velocity, twist.vx)
    ahead = at[:, 0] >= 0.0
    seen = _entities(at, velocity, groups, waits, twist.vx)
    if not len(at) and scenario in SCENARIOS and scenario not in WITHOUT_PEOPLE:
        scenario = "free_passage"
    way = _way(pose, route)
    width = float(situation.get("width", np.inf))
    action = str(situation.get("action", "")) or polite_action(scenario, at, motion, twist.vx, way, width)
    entities = sorted(seen + _things(things, pose), key=lambda e: e.distance)[:MAX_ENTITIES]
    return SocialScene(
        scenario,
        environment,
        density_of(int(ahead.sum())),
        grouping_of(groups[ahead], waits[ahead], motion[ahead]),
        tuple(entities),
        action,
        "" if scenario in SCENARIOS else str(situation.get("description", "")),
    )


def density_of(count: int) -> str:
    """Word for so many people within 8 m ahead."""
    return "empty" if count == 0 else "sparse" if count <= 2 else "moderate" if count <= 5 else "crowded"


def grouping_of(groups: NDArray[np.int64], waits: NDArray[np.bool_], motion: NDArray[np.str_]) -> str:
    """The most constraining way in which people belong together.

    Args:
        groups: (N,) group of each who can be seen, < 0 for none; a group counts when two of it are seen.
        waits: (N,) stands in line; a line has two or more.
        motion: (N,) words of `MOTIONS`.
    """
    if len(groups) == 0:
        return "nobody"
    if waits.sum() >= 2:
        return "queue"
    stands, word = motion == "standing", "individuals"
    for g in np.unique(groups[(groups >= 0) & ~waits]):
        member = groups == g
        if member.sum() >= 2:
            if stands[member].mean() > 0.5:
                return "standing_group"
            word = "walking_group"
    return word


def _situation(situation: Mapping[str, str | float]) -> tuple[str, str]:
    missing = [k for k in ("scenario", "environment") if not situation.get(k)]
    if missing:
        raise InputError(f"The situation lacks {missing}.", "Name scenario and environment.")
    kind = str(situation["environment"])
    environment = kind if kind in ENVIRONMENTS else REGION_ENVIRONMENTS.get(kind, "")
    if not environment:
        raise InputError(f"Environment '{kind[:40]}' is unknown.", f"Use one of {', '.join(ENVIRONMENTS)}.")
    return str(situation["scenario"]), environment


def _entities(
    at: FloatArray, velocity: FloatArray, groups: NDArray[np.int64], waits: NDArray[np.bool_], speed: float
) -> list[Entity]:
    """People, groups of two and more as one entity, the line as one."""
    label = np.where(waits, -2, groups)
    sizes = {int(g): int((label == g).sum()) for g in np.unique(label[label != -1])}
    out = []
    for g, size in sizes.items():
        member = np.flatnonzero(label == g)
        if size < 2:
            label[member] = -1
            continue
        centre, drift = at[member].mean(axis=0), velocity[member].mean(axis=0)
        nearest = float(np.hypot(*at[member].T).min())
        kind = "queue" if g == -2 else "group"
        out.append(_entity(kind, centre, drift, speed, nearest, size))
    return out + [_entity("person", at[i], velocity[i], speed) for i in np.flatnonzero(label == -1)]


def _entity(
    kind: str,
    at: FloatArray,
    velocity: FloatArray,
    speed: float,
    distance: float | None = None,
    count: int = 1,
) -> Entity:
    word = str(motion_words(at[None], velocity[None], speed)[0])
    reach = float(np.hypot(*at)) if distance is None else distance
    return Entity(kind, side_of(float(np.arctan2(at[1], at[0]))), round(reach, 1), word, min(count, 99))


def _things(things: Sequence[tuple[str, float, float]], pose: Pose2) -> list[Entity]:
    out = []
    for kind, x, y in things:
        d = np.array([x - pose.x, y - pose.y])
        if (reach := float(np.hypot(*d))) <= THING_REACH:
            bearing = (np.arctan2(d[1], d[0]) - pose.yaw + np.pi) % (2.0 * np.pi) - np.pi
            out.append(Entity(kind, side_of(float(bearing)), round(reach, 1)))
    return out


def _way(pose: Pose2, route: FloatArray | None) -> float:
    """Bearing [rad] of the way about 2 m ahead; 0 without a route."""
    if route is None or len(route) == 0:
        return 0.0
    rel = np.asarray(route, dtype=float).reshape(-1, 2) - pose.xy
    far = np.flatnonzero(np.hypot(rel[:, 0], rel[:, 1]) > 2.0)
    x, y = rel[far[0]] if len(far) else rel[-1]
    return float((np.arctan2(y, x) - pose.yaw + np.pi) % (2.0 * np.pi) - np.pi)
