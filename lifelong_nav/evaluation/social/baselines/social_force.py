"""The robot as one more walker of the social force model."""

from __future__ import annotations

import numpy as np

from lifelong_nav.core.types import Twist2
from lifelong_nav.evaluation.social.baselines.route import (
    RouteFollower,
    track_velocity,
    velocity_of,
    walls_within,
)
from lifelong_nav.evaluation.social.planner import Observation
from lifelong_nav.sim.crowd import forces


class SocialForcePlanner(RouteFollower):
    """Social force (Moussaid et al. 2009; walls of Helbing & Molnar 1995), tracked by the unicycle.

    Tuned on 90 runs of the training half: strengths of 4.5, 9, 14 m/s^2, with and without eyes in the back,
    relaxation of 0.5 and 0.8 s, two strengths of walls. This succeeds in .92, 0.01 short of the best, which
    takes a tenth more time.
    """

    relaxation = 0.5
    strength = 9.0
    behind = 1.0
    wall_strength = 3.0
    wall_reach = 0.1

    def command(self, observation: Observation) -> Twist2:
        """See `Planner.command`."""
        pose, people = observation.pose, observation.people
        velocity = velocity_of(observation)[None]
        here, radius = pose.xy[None], np.array([observation.robot_radius])
        force = forces.drive(velocity, self.wish(observation)[None], self.relaxation)
        if len(people):
            others, ones = people.positions(), np.ones((1, len(people)))
            force += forces.social(
                here, velocity, np.array([pose.yaw]), others, people.velocities(), ones,
                strength=self.strength, behind=self.behind,
            )  # fmt: skip
            force += forces.contact(here, radius, others, people.radii(), ones)
        walls = walls_within(observation.walls, pose.xy, 2.0)
        if len(walls):
            force += forces.walls(here, radius, walls, self.wall_strength, self.wall_reach)
        return track_velocity(velocity[0] + self.relaxation * force[0], pose, self.speed)
