"""Nav2's planner as its default behaviour tree uses it: a new route every second, people in it."""

from __future__ import annotations

import numpy as np

from lifelong_nav.core.distance import DistanceField
from lifelong_nav.core.types import FloatArray, Pose2
from lifelong_nav.evaluation.social.planner import Observation
from lifelong_nav.trajectory.cost_grid import CostGrid, InflationConfig, inflate
from lifelong_nav.trajectory.route import RouteError, RoutePlanner

CELL = 0.1
ROOM = 4.0
"""How far the grid reaches beyond robot and goal [m]."""


class Replanner:
    """Routes over the known walls with people as obstacles where they are now, every `period` [s]."""

    def __init__(self, period: float = 1.0, seen: float = 6.0) -> None:
        self.period, self.seen = period, seen
        self._due = -np.inf
        self._route: FloatArray | None = None

    def route(self, o: Observation, goal: FloatArray, walls: DistanceField) -> FloatArray:
        """(M, 2) the route in force; the observation's own where people leave no way, and at first."""
        if self._route is None or o.stamp >= self._due:
            self._due = o.stamp + self.period - 1e-6
            self._route = self._plan(o, goal, walls)
        return self._route

    def _plan(self, o: Observation, goal: FloatArray, walls: DistanceField) -> FloatArray:
        people = o.people.positions()
        near = np.hypot(*(people - o.pose.xy).T) < self.seen
        if not near.any():
            return o.route
        low = np.minimum(o.route.min(axis=0), np.minimum(o.pose.xy, goal)) - ROOM
        high = np.maximum(o.route.max(axis=0), np.maximum(o.pose.xy, goal)) + ROOM
        columns, rows = np.ceil((high - low) / CELL).astype(int)
        x, y = np.meshgrid(
            low[0] + (np.arange(columns) + 0.5) * CELL, low[1] + (np.arange(rows) + 0.5) * CELL
        )
        distance = walls.at(x, y)
        for (px, py), radius in zip(people[near], o.people.radii()[near], strict=True):
            np.minimum(distance, np.hypot(x - px, y - py) - radius, out=distance)
        distance = distance.astype(np.float32)
        cost = inflate(distance, None, InflationConfig(robot_radius=o.robot_radius))
        grid = CostGrid(cost, distance, CELL, (float(low[0]), float(low[1])), "map")
        end = Pose2(float(goal[0]), float(goal[1]))
        try:
            return np.asarray(RoutePlanner().plan(grid, o.pose, end, tolerance=1.0).points[:, :2])
        except RouteError:
            return o.route
