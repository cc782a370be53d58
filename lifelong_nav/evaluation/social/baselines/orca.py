"""Optimal reciprocal collision avoidance (van den Berg et al. 2011) by pyrvo (extra `orca`)."""

from __future__ import annotations

import numpy as np

from lifelong_nav.core.errors import require_package
from lifelong_nav.core.types import Twist2
from lifelong_nav.evaluation.social.baselines.route import (
    RouteFollower,
    track_velocity,
    velocity_of,
    walls_within,
)
from lifelong_nav.evaluation.social.planner import PERIOD, Observation


class OrcaPlanner(RouteFollower):
    """ORCA among people and walls, tracked by the unicycle.

    `margin` [m] is added to the distance kept from people and makes up for what the unicycle cannot follow;
    it is put on their side, so that the robot still fits through doors (`wall_margin` [m]).

    Tuned on 90 runs of the training half: horizons of 1.5, 2.5, 4 s, margins of 0.25, 0.4, 0.55 m, horizons
    for walls of 0.5, 1, 2 s and margins to them of 0.03, 0.08, 0.1 m; this gave the most successes (.92).
    """

    horizon = 1.5
    horizon_wall = 2.0
    margin = 0.25
    wall_margin = 0.08

    def __init__(self) -> None:
        self.pyrvo = require_package("pyrvo", "orca")

    def command(self, observation: Observation) -> Twist2:
        """See `Planner.command`."""
        pose, speed = observation.pose, self.speed
        solver = self.pyrvo.RVOSimulator()
        solver.set_time_step(PERIOD)
        rest = (10.0, 12, self.horizon, self.horizon_wall)
        velocity = tuple(velocity_of(observation).tolist())
        radius = observation.robot_radius + self.wall_margin
        me = solver.add_agent(tuple(pose.xy.tolist()), *rest, radius, speed, velocity)
        solver.set_agent_pref_velocity(me, tuple(self.wish(observation).tolist()))
        grown = self.margin - self.wall_margin
        for p in observation.people.people:
            agent = solver.add_agent((p.x, p.y), *rest, p.radius + grown, 2.0, (p.vx, p.vy))
            solver.set_agent_pref_velocity(agent, (p.vx, p.vy))
        walls = walls_within(observation.walls, pose.xy, 3.0)
        for x0, y0, x1, y1 in walls.tolist():
            if abs(x1 - x0) + abs(y1 - y0) > 1e-6:
                solver.add_obstacle([(x0, y0), (x1, y1)])
        if len(walls):
            solver.process_obstacles()
        solver.do_step()
        return track_velocity(np.array(solver.get_agent_velocity(me).to_tuple()), pose, speed)
