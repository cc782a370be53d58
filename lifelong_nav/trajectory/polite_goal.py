"""Where to end when somebody stands on the goal: near by, at a polite distance, in sight of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lifelong_nav.core.config import param
from lifelong_nav.core.types import FloatArray, People, Pose2
from lifelong_nav.trajectory.cost_grid import CostGrid


@dataclass(frozen=True)
class PoliteGoalConfig:
    """Parameters of `PoliteGoal`."""

    goal_gap: float = param(0.45, "m", 0.0, 3.0, "Free space left to people who stand at the goal.")
    goal_shift: float = param(1.5, "m", 0.0, 5.0, "How far the end may move for them; 0: never.")
    goal_hold: float = param(4.0, "s", 0.0, 60.0, "A moved end stays so long before it moves again.")


class PoliteGoal:
    """Moves the end of an errand for people who stand there, and does not fidget when they shift a foot.

    Args:
        config: parameters.
        robot_radius: [m].
    """

    def __init__(self, config: PoliteGoalConfig, robot_radius: float) -> None:
        self._config, self._radius = config, robot_radius
        self._asked: Pose2 | None = None
        self._end: Pose2 | None = None
        self._since = -np.inf

    def end(self, now: float, grid: CostGrid, goal: Pose2, standing: People | None) -> Pose2:
        """Where to end now.

        Args:
            now: [s].
            grid: costs, in the frame of all poses.
            goal: where the errand wants to go.
            standing: people who stand, None when nobody is known.

        Returns:
            The goal, or the nearest place to it that keeps the gap; the goal when there is none.
        """
        if self._asked is None or np.hypot(goal.x - self._asked.x, goal.y - self._asked.y) > 0.05:
            self._asked, self._end, self._since = goal, None, -np.inf
        if 0.0 <= now - self._since < self._config.goal_hold:
            return goal if self._end is None else self._end
        places, keep = self._discs(goal, standing)
        wish = goal if self._end is None else self._end
        crowded = _inside(wish.xy, places, keep).any()
        free_again = self._end is not None and not _inside(goal.xy, places, keep + 0.1).any()
        if crowded or free_again:
            self._end = None if free_again else self._nearest(grid, goal, places, keep)
            self._since = now
        return goal if self._end is None else self._end

    def _discs(self, goal: Pose2, standing: People | None) -> tuple[FloatArray, FloatArray]:
        """(N, 2) centres and (N,) radii of the floor that those near the goal keep."""
        c = self._config
        if standing is None or len(standing) == 0 or c.goal_shift <= 0.0:
            return np.zeros((0, 2)), np.zeros(0)
        keep = standing.radii() + self._radius + c.goal_gap
        near = np.linalg.norm(standing.positions() - goal.xy, axis=1) < keep + c.goal_shift
        return standing.positions()[near], keep[near]

    def _nearest(self, grid: CostGrid, goal: Pose2, places: FloatArray, keep: FloatArray) -> Pose2 | None:
        reach = self._config.goal_shift
        steps = np.arange(-reach, reach + 1e-6, grid.resolution)
        offsets = np.stack(np.meshgrid(steps, steps), axis=-1).reshape(-1, 2)
        offsets = offsets[np.linalg.norm(offsets, axis=1) <= reach]
        points = goal.xy + offsets
        open_ = np.isfinite(grid.cost_at(points))
        open_ &= ~_inside(points, places, keep).any(axis=-1)
        # in sight of the goal: a place beyond the wall is near only on paper
        for share in np.linspace(0.3, 0.9, 7):
            open_ &= np.isfinite(grid.cost_at(goal.xy + offsets * share))
        if not open_.any():
            return None
        best = np.flatnonzero(open_)[np.argmin(np.linalg.norm(offsets[open_], axis=1))]
        return Pose2(float(points[best, 0]), float(points[best, 1]), goal.yaw)


def _inside(points: FloatArray, places: FloatArray, keep: FloatArray) -> FloatArray:
    """(..., N) True where a point lies within `keep` of a place."""
    gap = np.linalg.norm(np.asarray(points)[..., None, :] - places, axis=-1)
    return np.asarray(gap < keep)
