"""Search in space and time over a whole scene with futures known: the plan of the privileged expert."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from lifelong_nav.core.distance import DistanceField
from lifelong_nav.core.types import FloatArray, Pose2
from lifelong_nav.sim.crowd.forces import segment_distance
from lifelong_nav.trajectory import lattice
from lifelong_nav.trajectory.band import smooth
from lifelong_nav.trajectory.cost_grid import CostGrid
from lifelong_nav.trajectory.field import goal_field
from lifelong_nav.trajectory.lattice import MOVES, REACH, Grid, Layer
from lifelong_nav.trajectory.proxemics import Presence, ProxemicsConfig
from lifelong_nav.trajectory.search_costs import (
    SearchConfig,
    first_moves,
    group_cost,
    obstacle_cost,
    people_cost,
    prices,
)

_PATCH = 2.6  # m; how far around people their cost is worked out
_STIFF, _ROUNDS, _RATE = 3.0, 25, 0.12


@dataclass(frozen=True)
class Floor:
    """A scene as a lattice.

    `points` (H, W, 2) cells `cell` [m] apart, `fixed` (H, W) cost per layer of obstacles, `togo` (H, W)
    metres to the goal around obstacles, `field` distance to them.
    """

    points: FloatArray
    cell: float
    fixed: Grid
    togo: Grid
    field: DistanceField

    def cells(self, xy: FloatArray) -> FloatArray:
        """(..., 2) row and column, with fractions, under positions (..., 2)."""
        return (np.asarray(xy)[..., ::-1] - self.points[0, 0, ::-1]) / self.cell

    def at(self, cells: FloatArray) -> FloatArray:
        """(..., 2) positions of rows and columns."""
        return np.asarray(cells)[..., ::-1] * self.cell + self.points[0, 0]


def floor(
    walls: FloatArray, start: FloatArray, goal: FloatArray, speed: float, radius: float, c: SearchConfig
) -> Floor:
    """The lattice around start and goal (2,): as far as the walls (M, 4) reach, at most 5 m beyond."""
    cell = speed * c.period / REACH
    ends = np.stack([start, goal])
    low, high = ends.min(axis=0) - 5.0, ends.max(axis=0) + 5.0
    if len(walls):
        corners = np.concatenate([walls.reshape(-1, 2), ends - 1.0, ends + 1.0])
        low = np.maximum(low, corners.min(axis=0) - cell)
        high = np.minimum(high, corners.max(axis=0) + cell)
    # the start lies on a cell
    low = start - np.ceil((start - low) / cell) * cell
    width, height = np.ceil((high - low) / cell).astype(int) + 1
    span = np.stack(np.meshgrid(np.arange(width), np.arange(height)), axis=-1)
    points = low + span * cell
    distance = segment_distance(points.reshape(-1, 2), walls, 5.0).reshape(height, width).astype(np.float32)
    corner = low - 0.5 * cell
    field = DistanceField(distance, cell, (float(corner[0]), float(corner[1])), 5.0)
    blocked = distance < radius
    cost = np.where(blocked, np.inf, 1.0).astype(np.float32)
    grid = CostGrid(cost, distance, cell, field.origin, "map")
    row, column = np.rint((goal - low) / cell).astype(int)[::-1]
    togo = goal_field(grid, _free_cell(blocked, row, column)).togo.astype(np.float32)
    far = np.nanmax(np.where(np.isfinite(togo), togo, np.nan))
    return Floor(
        points.astype(np.float32), cell, obstacle_cost(points, field, radius + 0.03, c),
        np.where(np.isfinite(togo), togo, far + 20.0).astype(np.float32), field,
    )  # fmt: skip


def plan(
    ground: Floor, pose: Pose2, v: float, people: Presence, company: Presence | None, speed: float,
    radius: float, c: SearchConfig, p: ProxemicsConfig, band: tuple[float, float] = (0.7, 3.0),
) -> FloatArray:  # fmt: skip
    """(S + 1, 2) where to be at each multiple of `c.period` from now: the optimum over the scene, smoothed.

    Args:
        ground: the scene.
        pose: of the robot.
        v: its forward speed [m/s].
        people: everyone at the ends of the S steps (see `proxemics.known`).
        company: the one person to keep within `band` [m] of, if any.
        speed: full speed [m/s].
        radius: of the robot.
        c: weights.
        p: shapes of the social costs.
        band: least and greatest distance to the company.
    """
    singles = [_row(people, k) for k in range(len(people))]
    rest = ground.fixed + np.float32(c.time * c.period) * np.clip(ground.togo / (2 * ground.cell), 0.0, 1.0)
    layers = []
    for k in range(people.xy.shape[1]):
        still, moving = rest.copy(), np.zeros_like(rest)
        for one in singles:
            window = _window(ground, one.xy[:, k], _PATCH)
            if window is not None:
                always, sometimes = people_cost(ground.points[window], one, k, radius, c, p)
                still[window] += always
                moving[window] += sometimes
        for members in people.groups:
            window = _window(ground, people.xy[members, k], 1.3)
            if window is not None:
                still[window] += group_cost(ground.points[window], _only(people, members), k, c, p)
        if company is not None:
            still += _company(ground, company.xy[0, k], band, c)
        layers.append(Layer(still, moving))
    price = prices(speed, c)
    values = lattice.backward(layers, ground.togo * np.float32(c.time / speed), price, cone=False)
    start = ground.cells(pose.xy)
    first = np.clip(np.rint(start).astype(int), 0, np.array(ground.togo.shape) - 1)
    moves = first_moves(MOVES[:, ::-1] * ground.cell, pose.yaw, v, c, speed)
    cells = lattice.descend(
        layers, values, price, (int(first[0]), int(first[1])), cone=False, first=moves
    ).astype(float)
    cells[0] = start
    ghost = start - np.array([np.sin(pose.yaw), np.cos(pose.yaw)]) * v * c.period / ground.cell
    return ground.at(_bent(cells, layers, ghost))


def _company(ground: Floor, who: FloatArray, band: tuple[float, float], c: SearchConfig) -> Grid:
    gap = np.linalg.norm(ground.points - who, axis=-1)
    lost = np.maximum(gap - (band[1] - 0.6), 0.0) + np.maximum(band[0] + 0.3 - gap, 0.0)
    return np.asarray(np.minimum(lost, 3.0) * np.float32(2.0 * c.time * c.period), np.float32)


def _bent(cells: FloatArray, layers: list[Layer], ghost: FloatArray) -> FloatArray:
    """The way in cells, smoothed against what cells cost at their times; both ends stay."""
    stack = np.stack([a.still + 0.75 * a.moving for a in layers])
    count = np.arange(len(layers) - 1)
    rows, columns = stack.shape[1:]

    def gradient(at: FloatArray) -> FloatArray:
        r = np.clip(np.rint(at[..., 0]).astype(np.intp), 1, rows - 2)
        q = np.clip(np.rint(at[..., 1]).astype(np.intp), 1, columns - 2)
        down = stack[count, r + 1, q] - stack[count, r - 1, q]
        over = stack[count, r, q + 1] - stack[count, r, q - 1]
        return np.stack([down, over], axis=-1) * _RATE

    return smooth(cells[None], gradient, _STIFF, _ROUNDS, 0.3, free_end=False, ghost=ghost)[0]


def _window(ground: Floor, xy: FloatArray, reach: float) -> tuple[slice, slice] | None:
    """The cells within `reach` [m] of points (N, 2), None where there are none."""
    low = np.floor(ground.cells(xy.min(axis=0) - reach)).astype(int)
    high = np.ceil(ground.cells(xy.max(axis=0) + reach)).astype(int) + 1
    shape = ground.togo.shape
    if (high <= 0).any() or low[0] >= shape[0] or low[1] >= shape[1] or (high - low).max() * ground.cell > 40:
        return None
    low = np.maximum(low, 0)
    return slice(low[0], min(high[0], shape[0])), slice(low[1], min(high[1], shape[1]))


def _row(people: Presence, k: int) -> Presence:
    one = slice(k, k + 1)
    return Presence(
        people.xy[one], people.axes[one], people.spaces[one], people.spread[one], people.speed[one],
        people.weights[one], people.radii[one], people.person[one],
    )  # fmt: skip


def _only(people: Presence, members: NDArray[np.intp]) -> Presence:
    return replace(people, groups=(members,))


def _free_cell(blocked: NDArray[np.bool_], row: int, column: int) -> tuple[int, int]:
    """The free cell nearest to one."""
    rows, columns = np.nonzero(~blocked)
    best = int(np.argmin((rows - row) ** 2 + (columns - column) ** 2))
    return int(rows[best]), int(columns[best])
