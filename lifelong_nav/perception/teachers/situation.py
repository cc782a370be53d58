"""Which scenario a moment is, told from the truth by rules: for runs that are no single scenario.

A day in an office passes from one scenario to the next; the privileged teacher needs a name for each
moment. The rules read positions and velocities without noise, and the kind of place.
"""

from __future__ import annotations

import numpy as np

from lifelong_nav.core.types import FloatArray, People, Pose2, Twist2
from lifelong_nav.perception.people_patterns import join_groups, patterns
from lifelong_nav.perception.people_relations import relate
from lifelong_nav.perception.relative_motion import in_robot_frame, in_sight

NEAR = 5.0
"""People farther away [m] make no scenario, streams and crowds excepted."""
NARROW = 2.1
"""A corridor below this width [m] is a narrow hallway."""

_BY_PATTERN = {
    "gathering": "robot_crowding",
    "queue": "queue",
    "gap": "photo_session",
    "circle": "circular_crossing",
    "cross_stream": "perpendicular_traffic",
    "with_stream": "parallel_traffic",
    "against_stream": "parallel_traffic",
    "two_streams": "parallel_traffic",
    "mixed_crowd": "crowd",
}
_BY_RELATION = {
    "overtakes": "pedestrian_overtaking",
    "caught": "robot_overtaking",
    "beside": "accompanying",
    "leads": "down_path",
    "follows": "leading",
}


def scenario_at(
    pose: Pose2,
    twist: Twist2,
    people: People,
    environment: str,
    *,
    width: float = np.inf,
    way: float = 0.0,
    walls: FloatArray | None = None,
) -> str:
    """Name of the scenario, a word of `social_scene.SCENARIOS`.

    Args:
        pose: of the robot in the map.
        twist: of the robot.
        people: everybody, in the map.
        environment: a word of `social_scene.ENVIRONMENTS`.
        width: of the passage [m], where known.
        way: bearing of the robot's way [rad].
        walls: (M, 4) segments that hide people [m], in the map.
    """
    seen = in_sight(pose.xy, people.positions(), walls)
    at, velocity = in_robot_frame(people, pose)
    groups = np.array([p.group_id for p in people.people], dtype=np.int64)
    at, velocity, groups = at[seen], velocity[seen], groups[seen]
    r = relate(at, velocity, join_groups(at, velocity, groups), twist.vx, way)
    words = patterns(r, way)
    near = set(r.relation[r.distance < NEAR].tolist())
    if not near and not any(word in _BY_PATTERN for word in words):
        return "blind_corner" if environment == "corner" else "free_passage"
    if environment == "elevator":
        return "exiting_elevator"
    for word, scenario in _BY_PATTERN.items():
        if word in words:
            return scenario
    if environment == "doorway" and near & {"meets", "passes", "cuts", "blocks", "joins"}:
        return "narrow_doorway"
    if environment == "corner" and near & {"meets", "passes", "cuts"}:
        return "blind_corner"
    if environment == "intersection" and near & {"cuts", "meets"}:
        return "intersection"
    if near & {"meets", "passes"}:
        if "walking_group" in words:
            return "moving_groups"
        return "narrow_hallway" if width < NARROW else "frontal_approach"
    if "standing_group" in words:
        return "static_groups"
    if "blocks" in near:
        return "pedestrian_obstruction"
    return next((name for word, name in _BY_RELATION.items() if word in near), "free_passage")
