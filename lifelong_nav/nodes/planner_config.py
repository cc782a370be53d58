"""Parameters of the planner node: those of its parts and its own."""

from __future__ import annotations

from dataclasses import dataclass

from lifelong_nav.core.config import param
from lifelong_nav.trajectory.costmap import CostmapConfig
from lifelong_nav.trajectory.errand import ErrandConfig
from lifelong_nav.trajectory.polite_goal import PoliteGoalConfig
from lifelong_nav.trajectory.route import RouteConfig
from lifelong_nav.trajectory.social_layer import SocialLayerConfig


@dataclass(frozen=True)
class PlannerConfig(CostmapConfig, RouteConfig, SocialLayerConfig, PoliteGoalConfig, ErrandConfig):
    """Costmap, routes, social layer and errands, plus what the node needs."""

    odom_frame: str = param("odom", doc="Continuous frame; also the planning frame while there is no map.")
    base_frame: str = param("base_link", doc="Frame of the base.")
    use_map: bool = param(True, doc="Plan on the topic `map` once there is one; false: never.")
    costmap_rate: float = param(5.0, "Hz", 0.5, 20.0, "Scans entered into the costmap per second, at most.")
    plan_rate: float = param(2.0, "Hz", 0.2, 10.0, "Routes published per second.")
    route_age: float = param(2.0, "s", 0.0, 30.0, "A route that stays free is renewed this often.")
    input_timeout: float = param(0.5, "s", 0.1, 5.0, "Age at which odometry is stale.")
    people_timeout: float = param(1.0, "s", 0.1, 5.0, "Age at which people are forgotten.")
