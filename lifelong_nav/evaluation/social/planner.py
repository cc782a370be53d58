"""What drives in a benchmark: the protocol of a planner, and what every planner is shown.

A planner is any class with the two methods of `Planner`, made without arguments. Name your own as
`package.module:ClassName` wherever a benchmark takes planners.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from lifelong_nav.core.errors import ConfigError
from lifelong_nav.core.social_context import SocialContext
from lifelong_nav.core.types import FloatArray, LaserScan, People, Pose2, Twist2
from lifelong_nav.sim.flat.body import Body
from lifelong_nav.sim.flat.world import STEP as PERIOD

__all__ = ["BODY", "OURS", "PERIOD", "PLANNERS", "Body", "Observation", "Planner", "make_planner"]

BODY = Body()
"""The limits of the robot all planners drive; its radius is `Observation.robot_radius`."""


@dataclass(frozen=True)
class Observation:
    """What a planner sees every `PERIOD`, in one frame ("map").

    `people` as a tracker gives them; `scan` taken from `sensor` (None where the benchmark has none);
    `route` (M, 2) [m] the way to the goal over the known map, the same for every planner; `goal`, NaN yaw
    for any heading; `walls` (K, 4) [m] faces of the known map's obstacles; `speed` [m/s] the one to travel
    at and the fastest allowed; `context` what is socially going on, where somebody says so; `scene` the
    recording the case is from, so that what was learned on it can be left out ("" in simulation).
    """

    stamp: float
    pose: Pose2
    twist: Twist2
    people: People
    scan: LaserScan | None = None
    sensor: Pose2 | None = None
    route: FloatArray = field(default_factory=lambda: np.zeros((0, 2)))
    goal: Pose2 = field(default_factory=Pose2)
    walls: FloatArray = field(default_factory=lambda: np.zeros((0, 4)))
    speed: float = 0.8
    robot_radius: float = 0.27
    context: SocialContext | None = None
    scene: str = ""


class Planner(Protocol):
    """Drives to a goal. One instance per run; no clocks, no global chance.

    An attribute `terms`, a mapping of names to numbers, is kept with the run; a class attribute
    `wants_context = True` asks for `Observation.context` (pictures drawn and described once a second),
    `wants_scan = False` does without `Observation.scan`, which saves time.
    """

    def reset(self, goal: FloatArray, speed: float, seed: int) -> None:
        """Begin a run: goal (2,) [m], preferred speed [m/s] (also the fastest), seed."""
        ...

    def command(self, observation: Observation) -> Twist2:
        """The command to send now."""
        ...


OURS = "lifelong_nav.evaluation.social.ours"
"""The module of our own planners."""
_BASE = "lifelong_nav.evaluation.social.baselines"

PLANNERS: dict[str, str] = {
    "lifelong_nav": f"{OURS}:LifelongNav",
    "lifelong_nav-no_image": f"{OURS}:NoImage",
    "lifelong_nav-no_captions": f"{OURS}:NoCaptions",
    "lifelong_nav-no_lidar": f"{OURS}:NoLidar",
    "lifelong_nav-no_lifelong": f"{OURS}:NoLifelong",
    "goal_only": f"{_BASE}.goal_only:GoalOnly",
    "social_force": f"{_BASE}.social_force:SocialForcePlanner",
    "orca": f"{_BASE}.orca:OrcaPlanner",
    "dwa": f"{_BASE}.dwa:DwaPlanner",
    "nav2_mppi": f"{_BASE}.nav2_mppi:Nav2MppiPlanner",
    "hl": f"{_BASE}.hl:HlPlanner",
    "ga3c_cadrl": f"{_BASE}.ga3c_cadrl:Ga3cCadrlPlanner",
}
"""Name -> `package.module:ClassName`, imported only when asked for."""


def make_planner(name: str) -> Planner:
    """A planner by name, or from `package.module:ClassName`.

    Raises:
        ConfigError: unknown, or the module has no such class.
        DependencyError: the planner's package is not installed.
    """
    module, _, attribute = PLANNERS.get(name, name).partition(":")
    try:
        factory: Callable[[], Planner] = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigError(
            f"There is no planner '{name}' ({error}).",
            f"Choose from {', '.join(PLANNERS)}, or give package.module:ClassName.",
        ) from error
    return factory()
