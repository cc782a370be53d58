"""The route from the robot to the goal over a cost grid."""

from __future__ import annotations

import enum
from dataclasses import dataclass, replace

import numpy as np

from lifelong_nav.core.config import param
from lifelong_nav.core.errors import LifelongNavError
from lifelong_nav.core.geometry import wrap
from lifelong_nav.core.types import FloatArray, Pose2
from lifelong_nav.trajectory.cost_grid import CostGrid
from lifelong_nav.trajectory.field import GoalField, goal_field
from lifelong_nav.trajectory.smoothing import headings, resample, round_corners, shortcut


class RouteFailure(enum.Enum):
    """Why there is no route."""

    START_BLOCKED = "start_blocked"
    GOAL_OCCUPIED = "goal_occupied"
    NO_ROUTE = "no_route"
    OUT_OF_MAP = "out_of_map"


class RouteError(LifelongNavError):
    """There is no route; `code` says why."""

    def __init__(self, code: RouteFailure, what: str, fix: str) -> None:
        super().__init__(what, fix)
        self.code = code


@dataclass(frozen=True)
class RouteConfig:
    """Parameters of `RoutePlanner`."""

    spacing: float = param(0.1, "m", 0.02, 1.0, "Distance between points of a route.")
    start_tolerance: float = param(1.0, "m", 0.0, 5.0, "How far a free start is sought when in obstacles.")
    goal_tolerance: float = param(0.5, "m", 0.0, 5.0, "How far a free goal is sought when it is occupied.")


@dataclass(frozen=True, slots=True, eq=False)
class Route:
    """`points` (M, 3) x, y, yaw from the robot to the goal in `frame_id`, evenly spaced.

    `length` [m]; `cost` in cost-metres; `goal` where the route ends, `moved` [m] away from where it
    should have ended, `asked`, because that place is occupied. `costs` (M,) under the points
    when it was planned.
    """

    points: FloatArray
    length: float
    cost: float
    goal: Pose2
    moved: float
    frame_id: str
    asked: Pose2
    costs: FloatArray


class RoutePlanner:
    """Plans routes; keeps the cost-to-go field while grid and goal stay the same."""

    def __init__(self, config: RouteConfig | None = None) -> None:
        self.config = config or RouteConfig()
        self.solved = 0
        """How often a field was computed."""
        self._key: tuple[object, ...] | None = None
        self._grid: CostGrid | None = None
        self._field: GoalField | None = None

    def plan(self, grid: CostGrid, start: Pose2, goal: Pose2, tolerance: float | None = None) -> Route:
        """Route over `grid`, both poses in its frame.

        A start inside an obstacle's margin (pushed there, or a person passed close) begins at the
        nearest free cell; an occupied goal moves to the nearest free one within the tolerance.

        Args:
            grid: costs.
            start: the robot.
            goal: where to; its yaw becomes that of the last point.
            tolerance: how far the goal may move [m]; the config's value when None.

        Raises:
            RouteError: no route, with a code.
        """
        self._check(start, goal)
        origin = self._start(grid, start)
        reach = self.config.goal_tolerance if tolerance is None else tolerance
        target = self._goal(grid, goal, reach)
        field = self._solve(grid, target)
        togo = float(field.togo[origin])
        if not np.isfinite(togo):
            better = self._reachable_start(grid, field, start)
            if better is None:
                raise RouteError(
                    RouteFailure.NO_ROUTE,
                    f"No way leads from ({start.x:.2f}, {start.y:.2f}) to ({goal.x:.2f}, {goal.y:.2f}).",
                    "Open the door or move what blocks the way, or choose another goal.",
                )
            origin = better
            togo = float(field.togo[origin])
        points = grid.points(field.descend(origin))
        wished = goal.xy
        if target == grid.cell(*wished):
            points[-1] = wished  # the exact spot, not the centre of its cell
        if origin == grid.cell(start.x, start.y):
            points[0] = start.xy
        if len(points) > 1:
            points = shortcut(grid, points)
        if np.linalg.norm(points[0] - start.xy) > 1e-9:
            points = np.concatenate([start.xy[None], points])
        points = round_corners(grid, resample(points, self.config.spacing))
        _unclip(grid, points, 1 if not np.isfinite(grid.cost_at(start.xy)) else 0)
        length = float(np.linalg.norm(np.diff(points, axis=0), axis=1).sum())
        end = Pose2(float(points[-1, 0]), float(points[-1, 1]), float(wrap(goal.yaw)))
        moved = float(np.hypot(end.x - goal.x, end.y - goal.y))
        costs = grid.cost_at(points)
        return Route(headings(points, end.yaw), length, togo, end, moved, grid.frame_id, goal, costs)

    def still_free(self, grid: CostGrid, route: Route) -> bool:
        """True when no point of a route lies in an obstacle of a newer grid, its first metre aside."""
        ahead = route.points[round(1.0 / self.config.spacing) :, :2]
        return bool(np.isfinite(grid.cost_at(ahead)).all())

    def rest(self, grid: CostGrid, route: Route, pose: Pose2, goal: Pose2) -> Route | None:
        """What is left of a route, None when it no longer serves and a new one must be planned.

        It serves while it is free and no dearer than before, the robot is within 0.3 m of it, and it
        leads to `goal`.
        """
        off = float(np.hypot(route.asked.x - goal.x, route.asked.y - goal.y))
        turned = abs(float(wrap(route.asked.yaw - goal.yaw)))
        if off > 0.05 or turned > 0.05 or route.frame_id != grid.frame_id:
            return None
        away = np.linalg.norm(route.points[:, :2] - pose.xy, axis=1)
        here = int(np.argmin(away))
        ahead = route.points[here:]
        if away[here] > 0.3 or len(ahead) < 2 or not np.isfinite(grid.cost_at(ahead[:, :2])).all():
            return None
        length = float(np.linalg.norm(np.diff(ahead[:, :2], axis=0), axis=1).sum())
        cost = length * float(grid.cost_at(ahead[:, :2]).mean())
        # Someone stopped on it, or something came near: there may be a better one now.
        if cost > 1.2 * length * float(route.costs[here:].mean()) + 0.3:
            return None
        return replace(route, points=ahead, length=length, cost=cost, costs=route.costs[here:])

    def _solve(self, grid: CostGrid, target: tuple[int, int]) -> GoalField:
        if self._field is not None and self._grid is grid and self._key == target:
            return self._field
        self._field = goal_field(grid, target)
        self._grid, self._key = grid, target
        self.solved += 1
        return self._field

    @staticmethod
    def _check(start: Pose2, goal: Pose2) -> None:
        if not (np.isfinite(start.array()).all() and np.isfinite(goal.array()).all()):
            raise RouteError(
                RouteFailure.OUT_OF_MAP, f"Start {start} or goal {goal} is not finite.", "Send finite poses."
            )

    def _start(self, grid: CostGrid, start: Pose2) -> tuple[int, int]:
        cell = grid.cell(start.x, start.y)
        if cell is None:
            raise RouteError(
                RouteFailure.OUT_OF_MAP,
                f"The robot at ({start.x:.2f}, {start.y:.2f}) is off the map.",
                "Localise it (RViz: 2D Pose Estimate) or load the right map.",
            )
        found = _nearest_free(grid, start.xy, self.config.start_tolerance)
        if found is None:
            raise RouteError(
                RouteFailure.START_BLOCKED,
                f"No free place within {self.config.start_tolerance} m of the robot at "
                f"({start.x:.2f}, {start.y:.2f}).",
                "Move it by hand, check its pose on the map, or clear the costmap.",
            )
        return found

    @staticmethod
    def _goal(grid: CostGrid, goal: Pose2, reach: float) -> tuple[int, int]:
        if grid.cell(goal.x, goal.y) is None:
            raise RouteError(
                RouteFailure.OUT_OF_MAP,
                f"The goal ({goal.x:.2f}, {goal.y:.2f}) is off the map ('{grid.frame_id}').",
                "Choose a goal on the map.",
            )
        found = _nearest_free(grid, goal.xy, reach)
        if found is None:
            raise RouteError(
                RouteFailure.GOAL_OCCUPIED,
                f"The goal ({goal.x:.2f}, {goal.y:.2f}) and all within {reach} m of it is occupied.",
                "Choose a free goal, or wait until it is free.",
            )
        return found

    def _reachable_start(self, grid: CostGrid, field: GoalField, start: Pose2) -> tuple[int, int] | None:
        """The nearest cell with a way to the goal: the robot may stand in a pocket between obstacles."""
        cell = grid.cell(start.x, start.y)
        if cell is not None and np.isfinite(grid.cost[cell]):
            return None  # standing free and yet cut off: a wall lies between
        return _nearest(np.isfinite(field.togo), grid, start.xy, self.config.start_tolerance)


def _unclip(grid: CostGrid, points: FloatArray, first: int) -> None:
    """Push points that clip the corner of an obstacle's cell by centimetres into the free cell beside."""
    half = 0.499 * grid.resolution
    for index in np.flatnonzero(~np.isfinite(grid.cost_at(points))):
        cell = _nearest_free(grid, points[index], 1.5 * grid.resolution) if index >= first else None
        if cell is not None:
            centre = grid.points(np.array(cell))
            points[index] = np.clip(points[index], centre - half, centre + half)


def _nearest_free(grid: CostGrid, xy: FloatArray, reach: float) -> tuple[int, int] | None:
    cell = grid.cell(*xy)
    if cell is not None and np.isfinite(grid.cost[cell]):
        return cell
    return _nearest(np.isfinite(grid.cost), grid, xy, reach)


def _nearest(mask: np.ndarray, grid: CostGrid, xy: FloatArray, reach: float) -> tuple[int, int] | None:
    """The True cell whose centre is nearest to a point, within `reach` [m]."""
    low = np.maximum(np.floor((xy - reach - grid.origin) / grid.resolution).astype(int), 0)
    high = np.minimum(np.ceil((xy + reach - grid.origin) / grid.resolution).astype(int), grid.shape[::-1])
    if (high <= low).any():
        return None
    rows, columns = np.nonzero(mask[low[1] : high[1], low[0] : high[0]])
    if len(rows) == 0:
        return None
    cells = np.stack([rows + low[1], columns + low[0]], axis=-1)
    away = np.linalg.norm(grid.points(cells) - xy, axis=1)
    best = int(np.argmin(away))
    return (int(cells[best, 0]), int(cells[best, 1])) if away[best] <= reach else None
