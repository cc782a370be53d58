"""Where to go: maps and costmaps, routes over them, and the state of a navigation errand.

No ROS; frames are named in the values.
"""

from lifelong_nav.trajectory.cost_grid import CostGrid
from lifelong_nav.trajectory.costmap import Costmap, CostmapConfig
from lifelong_nav.trajectory.route import Route, RouteConfig, RouteError, RouteFailure, RoutePlanner
from lifelong_nav.trajectory.social_layer import SocialLayerConfig, social_cost

__all__ = [
    "CostGrid",
    "Costmap",
    "CostmapConfig",
    "Route",
    "RouteConfig",
    "RouteError",
    "RouteFailure",
    "RoutePlanner",
    "SocialLayerConfig",
    "social_cost",
]
