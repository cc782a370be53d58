"""The social scene as the simulator knows it: what teaches and scores the context encoder."""

from __future__ import annotations

import json

import numpy as np

from lifelong_nav.core.types import Pose2
from lifelong_nav.perception.scene_json import scene_to_dict
from lifelong_nav.perception.social_scene import ENVIRONMENTS, SCENARIOS, SocialScene
from lifelong_nav.perception.teachers.privileged import REGION_ENVIRONMENTS, privileged_scene
from lifelong_nav.perception.teachers.situation import scenario_at
from lifelong_nav.sim.engine import Simulation
from lifelong_nav.sim.scene import Region, Scene

_DOOR_REACH = 1.2


def scene_json(sim: Simulation, scenario: str) -> str:
    """The scene now, as JSON.

    Args:
        sim: the running simulation.
        scenario: name of the run's scenario file; one that is no word of `SCENARIOS` (a whole day) is
            told moment by moment from the truth.
    """
    return json.dumps(scene_to_dict(scene_now(sim, scenario)))


def scene_now(sim: Simulation, scenario: str) -> SocialScene:
    """As `scene_json`, as a value."""
    truth = sim.truth()
    walls = sim.scene.segments()
    environment = environment_at(sim.scene, truth.robot_pose)
    name = scenario
    if name not in SCENARIOS:
        name = scenario_at(truth.robot_pose, truth.robot_twist, truth.people, environment, walls=walls)
    situation: dict[str, str | float] = {"scenario": name, "environment": environment}
    lines = getattr(sim.crowd, "lines", None)  # recorded crowds know of none
    waiting = {i for line in lines.members for i in line} if lines is not None else set()
    return privileged_scene(
        truth.robot_pose, truth.robot_twist, truth.people, situation, walls=walls, queue=waiting
    )


def environment_at(scene: Scene, pose: Pose2) -> str:
    """Word of `ENVIRONMENTS` for a place: near a door, else of the smallest region around it or near by."""
    for door in scene.doors:
        middle = np.array([door.x, door.y]) + 0.5 * door.width * np.array(
            [np.cos(door.yaw), np.sin(door.yaw)]
        )
        if np.hypot(*(middle - pose.xy)) < _DOOR_REACH:
            return "doorway"
    known = [r for r in scene.regions if _word(r)]
    if not known:
        return "hall"
    return _word(min(known, key=lambda r: (_gap(r, pose), _area(r))))


def _word(region: Region) -> str:
    return region.kind if region.kind in ENVIRONMENTS else REGION_ENVIRONMENTS.get(region.kind, "")


def _gap(region: Region, pose: Pose2) -> float:
    low, high = np.array(region.low), np.array(region.high)
    return float(np.hypot(*np.maximum(np.maximum(low - pose.xy, pose.xy - high), 0.0)))


def _area(region: Region) -> float:
    return (region.high[0] - region.low[0]) * (region.high[1] - region.low[1])
