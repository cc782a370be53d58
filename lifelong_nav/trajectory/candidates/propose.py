"""Proposals for a situation: rules, and what the search in space and time finds, all made drivable."""

from __future__ import annotations

import numpy as np

from lifelong_nav.core.types import FloatArray, Pose2
from lifelong_nav.trajectory import proxemics
from lifelong_nav.trajectory.candidates.along import along
from lifelong_nav.trajectory.candidates.config import CandidatesConfig
from lifelong_nav.trajectory.candidates.rules import Rule, rules
from lifelong_nav.trajectory.drive import REFERENCE_TIMES, DriveConfig, drive
from lifelong_nav.trajectory.proxemics import ProxemicsConfig
from lifelong_nav.trajectory.search_costs import SearchConfig
from lifelong_nav.trajectory.situation import CLASSICAL, SEARCH, Candidate, Situation
from lifelong_nav.trajectory.spacetime import search
from lifelong_nav.trajectory.way import Way

_BACK_TO_ROUTE = 1.5
"""Metres over which proposals come back to a route that the robot is beside."""


def propose(
    situation: Situation,
    config: CandidatesConfig | None = None,
    searching: SearchConfig | None = None,
    social: ProxemicsConfig | None = None,
    driving: DriveConfig | None = None,
) -> list[Candidate]:
    """Some twenty ways to go on, all within the limits of the base.

    They keep off obstacles where rules can, but may be infeasible: whoever chooses looks again.

    Args:
        situation: where everything is; people as forecast.
        config: the rules' parameters.
        searching: the search's weights.
        social: shapes of the social costs.
        driving: limits of the base.
    """
    s, c = situation, config or CandidatesConfig()
    social, driving = social or ProxemicsConfig(), driving or DriveConfig()
    speed = max(s.speed, 0.05)
    way = Way.of(s.route, s.pose.xy)
    late = s.stamp - s.forecast.stamp if s.forecast is not None else 0.0
    people = proxemics.presence(s.forecast, REFERENCE_TIMES + late, social, s.pose.xy, 7.0 * speed + 3.0)
    found = rules(s, way, along(way, people, s.robot_radius), c, speed)
    references = [_reference(way, rule, s.pose) for rule in found]
    names = [(rule.name, CLASSICAL) for rule in found]
    reverse = [rule.reverse for rule in found]
    if c.searched > 0:
        best = search(s, searching or SearchConfig(), social, c.searched)
        references += list(best.references)
        names += [(name, SEARCH) for name in best.names]
        reverse += [False] * len(best.names)
    drives = drive(s.pose, s.twist, np.array(references), speed, driving, np.array(reverse))
    return [
        Candidate(name, source, drives.trajectory(i, s.stamp, s.frame_id))
        for i, (name, source) in enumerate(names)
    ]


def _reference(way: Way, rule: Rule, pose: Pose2) -> FloatArray:
    """(36, 2) points of a rule, led from where the robot is to the route."""
    if rule.reverse:
        ahead = np.array([np.cos(pose.yaw), np.sin(pose.yaw)])
        return np.asarray(pose.xy + rule.arc[:, None] * ahead)
    start = pose.xy - way.points[0]
    fade = np.clip(1.0 - rule.arc / _BACK_TO_ROUTE, 0.0, 1.0)
    return np.asarray(way.at(rule.arc, rule.offset) + fade[:, None] ** 2 * start)
