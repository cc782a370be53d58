"""Cases of the social suite: which runs a benchmark makes, and what every planner is handed in them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from lifelong_nav.core.types import FloatArray, Pose2
from lifelong_nav.sim import suite
from lifelong_nav.sim.crowd.forces import segment_distance
from lifelong_nav.sim.flat import Body
from lifelong_nav.sim.scenario import Company, Scenario
from lifelong_nav.sim.scenario_build import Run
from lifelong_nav.trajectory.cost_grid import CostGrid, InflationConfig, inflate
from lifelong_nav.trajectory.route import RoutePlanner

SPEED = 0.8
"""Speed the robot travels at, as OLiVia-Nav's [m/s]."""
_CELL = 0.1  # of the grid routes are planned on [m]


@dataclass(frozen=True, order=True)
class Case:
    """One run to be driven: a family of the suite, a human model, a layout's number, a seed."""

    family: str
    human: str
    layout: int
    seed: int

    @property
    def scenario(self) -> Scenario:
        """The scenario as it is drawn."""
        return suite.scenario(self.family, self.human, self.layout)

    @property
    def timeout(self) -> float:
        """Seconds after which the run has failed."""
        return self.scenario.timeout

    @property
    def tolerance(self) -> float:
        """Distance [m] at which the goal counts as reached."""
        return self.scenario.success.tolerance

    @property
    def company(self) -> Company | None:
        """Whose company must be kept, if anybody's."""
        return self.scenario.success.company

    def run(self) -> Run:
        """Draw it anew."""
        return suite.draw(self.family, self.human, self.layout, self.seed)


@dataclass(frozen=True, order=True)
class RealCase:
    """One real pedestrian to stand in for: a recording below `folder`, the row of the track in it, a seed."""

    folder: str
    scene: str
    track: int
    seed: int = 0

    @property
    def family(self) -> str:
        """Cases of one recording belong together."""
        return self.scene

    @property
    def human(self) -> str:
        """Real people, replayed."""
        return "replayed"


AnyCase = Case | RealCase


def cases(
    half: str, humans: Sequence[str], seeds: int, families: Sequence[str] = (), first: int = 0
) -> list[Case]:
    """All cases of a half of the suite: seeds take turns through the half's layouts.

    Args:
        half: `suite.TRAIN` or `suite.HELD_OUT`.
        humans: human models.
        seeds: runs per family and human model.
        families: only these, all of the half when empty.
        first: the first seed.

    Raises:
        ConfigError: a family or human model is not in the suite.
    """
    s = suite.suite()
    layouts = s.layouts_of(half)
    chosen = tuple(families) or s.families(half)
    made = [
        Case(family, human, layouts[seed % len(layouts)], seed)
        for family in chosen
        for human in humans
        for seed in range(first, first + seeds)
    ]
    for case in made[:: max(seeds, 1)]:
        suite.scenario(case.family, case.human, case.layout)
    return made


@lru_cache(maxsize=64)
def _grid(walls: bytes, radius: float) -> CostGrid:
    """Costs of the known map; walls as bytes so that layouts met again are not worked out again."""
    rows = np.frombuffer(walls).reshape(-1, 4)
    low = rows.reshape(-1, 2).min(axis=0) - 0.5
    high = rows.reshape(-1, 2).max(axis=0) + 0.5
    width, height = np.ceil((high - low) / _CELL).astype(int)
    x, y = np.meshgrid(low[0] + (np.arange(width) + 0.5) * _CELL, low[1] + (np.arange(height) + 0.5) * _CELL)
    points = np.stack([x.ravel(), y.ravel()], axis=-1)
    distance = segment_distance(points, rows).reshape(height, width).astype(np.float32)
    config = InflationConfig(robot_radius=radius)
    return CostGrid(inflate(distance, None, config), distance, _CELL, (float(low[0]), float(low[1])), "map")


def global_route(walls: FloatArray, start: Pose2, goal: Pose2, radius: float) -> FloatArray:
    """(M, 2) the way [m] from start to goal over the known map, people left out; ends at the goal.

    Raises:
        RouteError: there is none.
    """
    if len(walls) == 0:
        return straight(start, goal)
    grid = _grid(np.ascontiguousarray(walls).tobytes(), radius)
    return np.asarray(RoutePlanner().plan(grid, start, goal, tolerance=1.0).points[:, :2])


def straight(start: Pose2, goal: Pose2, spacing: float = 0.1) -> FloatArray:
    """(M, 2) points of the straight way [m]."""
    count = max(2, int(np.hypot(goal.x - start.x, goal.y - start.y) / spacing) + 1)
    return np.linspace(start.xy, goal.xy, count)


def free_seconds(route: FloatArray, tolerance: float, speed: float, body: Body) -> float:
    """Time [s] the route takes from rest with nobody there; a lower bound, turning costs nothing."""
    metres = float(np.linalg.norm(np.diff(route, axis=0), axis=1).sum()) - tolerance
    return max(metres, 0.0) / speed + 0.5 * speed / body.accel
