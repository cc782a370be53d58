"""Follows the route as if nobody was there."""

from __future__ import annotations

from lifelong_nav.core.types import Twist2
from lifelong_nav.evaluation.social.baselines.route import RouteFollower, track_velocity
from lifelong_nav.evaluation.social.planner import Observation


class GoalOnly(RouteFollower):
    """Route follower that is blind to people: what all others must be better than."""

    def command(self, observation: Observation) -> Twist2:
        """See `Planner.command`."""
        return track_velocity(self.wish(observation), observation.pose, self.speed)
