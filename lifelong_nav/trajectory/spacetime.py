"""Search in space and time: where to be when, among people as forecast, on the way along the route.

Dynamic programming over all that the robot can reach within the horizon (`lattice`), both ways: backwards
for the best motion from here on, forwards too for the best through every place, whose local minima are the
motions that differ: on the other side of somebody, or later. What is found is smoothed against the same
costs and made drivable (`band`, `drive`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lifelong_nav.core.types import FloatArray
from lifelong_nav.trajectory import lattice, proxemics
from lifelong_nav.trajectory.band import smooth
from lifelong_nav.trajectory.drive import REFERENCE_TIMES
from lifelong_nav.trajectory.lattice import MOVES, REACH, Grid, Layer
from lifelong_nav.trajectory.proxemics import ProxemicsConfig
from lifelong_nav.trajectory.search_costs import (
    SearchConfig,
    first_moves,
    group_cost,
    obstacle_cost,
    people_cost,
    prices,
)
from lifelong_nav.trajectory.situation import HORIZON, Situation
from lifelong_nav.trajectory.way import Way

Cells = NDArray[np.number]
"""Rows and columns."""

_WAITS = (2, 3, 5)
"""Layers that the alternatives which wait first stand still."""

_STIFF, _ROUNDS, _RATE = 1.5, 10, 0.15  # of smoothing, in cells
_APART = 0.35  # m


@dataclass(frozen=True, slots=True)
class Found:
    """What a search found: `references` (K, 36, 2) at `drive.REFERENCE_TIMES`, `names`, `costs` (K,)."""

    references: FloatArray
    names: tuple[str, ...]
    costs: FloatArray


@dataclass(frozen=True)
class _Lattice:
    """A cone of cells around the robot, its rows across and its columns along the way."""

    cell: float
    origin: FloatArray
    turn: FloatArray
    layers: int

    def points(self, half: int, step: int = 1) -> FloatArray:
        """(n, n, 2) float32 positions of the cells within `half` cells of the middle, every `step`-th."""
        span = np.arange(-half, half + 1, step, dtype=np.float32) * np.float32(self.cell)
        grid = np.stack(np.meshgrid(span, span), axis=-1)
        return np.asarray(grid @ self.turn.T.astype(np.float32) + self.origin.astype(np.float32))

    def at(self, cells: Cells) -> FloatArray:
        """(..., 2) positions of rows and columns counted from the middle."""
        return np.asarray(cells, dtype=float)[..., ::-1] * self.cell @ self.turn.T + self.origin


def search(situation: Situation, config: SearchConfig, social: ProxemicsConfig, most: int = 3) -> Found:
    """The best motion and up to `most` - 1 that differ from it.

    Args:
        situation: where everything is; people as forecast from its stamp.
        config: weights.
        social: shapes of the social costs.
        most: how many motions to return at most.
    """
    s, c = situation, config
    speed = max(s.speed, 0.1)
    count = round(HORIZON / c.period)
    way = Way.of(s.route, s.pose.xy)
    ahead = way.direction(1.5)
    turn = np.array([[ahead[0], -ahead[1]], [ahead[1], ahead[0]]])
    grid = _Lattice(speed * c.period / REACH, s.pose.xy, turn, count)
    times = np.arange(1, count + 1) * c.period
    late = s.stamp - s.forecast.stamp if s.forecast is not None else 0.0
    people = proxemics.presence(s.forecast, times + late, social, near=s.pose.xy, reach=speed * HORIZON + 2.0)
    fixed, togo = _fixed(grid, situation, way, c, speed)
    layers = [_layer(grid, k, fixed, togo, people, s, c, social, speed) for k in range(count)]
    price = prices(speed, c)
    last = togo * np.float32(c.time / speed)
    values = lattice.backward(layers, last, price, cone=True)
    first = first_moves(grid.at(MOVES) - grid.origin, s.pose.yaw, s.twist.vx, c, speed)
    best = lattice.descend(layers, values, price, (0, 0), cone=True, first=first)
    paths, names, costs = [_centred(best)], ["search"], [float(_first_value(layers, values, price, first))]
    if most > 1:
        reached = lattice.forward(layers, first, price)
        for name, path, cost in _others(layers, values, reached, price, best, people, grid, first):
            if cost < costs[0] + 12.0 and len(paths) < most:
                paths.append(path)
                names.append(name)
                costs.append(cost)
    stack = _stack(layers)
    references = _references(np.array(paths), grid, stack, s, c)
    arc, aside = way.project(references)
    past = (arc > way.length - 0.05) & (np.abs(aside) < 0.5)
    references[past] = way.points[-1]  # smoothing runs on past the goal
    keep = _various(references)
    return Found(references[keep], tuple(names[i] for i in keep), np.array(costs)[keep])


def _various(references: FloatArray) -> list[int]:
    """Those that are somewhere at least `_APART` from all before them at the same time."""
    keep: list[int] = []
    for i, one in enumerate(references):
        if all(np.abs(one - references[k]).sum(axis=-1).max() > _APART for k in keep):
            keep.append(i)
    return keep


def _fixed(grid: _Lattice, s: Situation, way: Way, c: SearchConfig, speed: float) -> tuple[Grid, Grid]:
    """Costs that do not change with time, and the way left [m], on all cells of the last layer."""
    half = REACH * grid.layers
    coarse = grid.points(half + half % 2, 2)
    rest, aside = way.left(coarse)
    beside = c.lateral * np.minimum(aside * aside, 1.0 + 0.1 * aside * aside) * c.period
    togo = _finer((rest + 0.5 * aside).astype(np.float32), half)
    # near the goal what counts is the distance to it, not to the route
    fixed = _finer(beside.astype(np.float32), half) + obstacle_cost(
        grid.points(half), s.field, s.robot_radius + 0.03, c
    )
    return fixed, togo


def _layer(
    grid: _Lattice, k: int, fixed: Grid, togo: Grid, people: proxemics.Presence, s: Situation,
    c: SearchConfig, social: ProxemicsConfig, speed: float,
) -> Layer:  # fmt: skip
    half = REACH * (k + 1)
    cut = REACH * (grid.layers - k - 1)
    inner = slice(cut, len(fixed) - cut)
    still, moving = fixed[inner, inner], np.zeros((1, 1), np.float32)
    late = togo[inner, inner] * np.float32(c.late * c.period / speed)
    if len(people):
        points = grid.points(half + half % 2, 2)
        always, sometimes = people_cost(points, people, k, s.robot_radius, c, social)
        always += group_cost(points, people, k, c, social)
        still, moving = still + _finer(always, half), _finer(sometimes, half)
    else:
        moving = np.zeros_like(still)
    return Layer(still + late, moving)


def _finer(coarse: Grid, half: int) -> Grid:
    """Values on every second cell, linear in between, cut to `half` cells around the middle."""
    n = 2 * len(coarse) - 1
    rows = np.empty((n, coarse.shape[1]), np.float32)
    rows[::2] = coarse
    rows[1::2] = 0.5 * (coarse[:-1] + coarse[1:])
    fine = np.empty((n, n), np.float32)
    fine[:, ::2] = rows
    fine[:, 1::2] = 0.5 * (rows[:, :-1] + rows[:, 1:])
    cut = (n - 1) // 2 - half
    return fine[cut : n - cut, cut : n - cut]


def _first_value(layers: list[Layer], values: list[Grid], price: lattice.Prices, first: Grid) -> np.floating:
    r, c = (MOVES + REACH).T
    own = price.moves[lattice.CLASS] + price.shares[lattice.CLASS] * layers[0].moving[r, c]
    return np.asarray(own + layers[0].still[r, c] + values[1][r, c] + first).min()


def _centred(cells: Cells) -> FloatArray:
    """Rows and columns counted from the middle of each layer of a cone."""
    return np.asarray(cells - REACH * np.arange(len(cells))[:, None])


def _others(
    layers: list[Layer], values: list[Grid], reached: list[Grid], price: lattice.Prices,
    best: Cells, people: proxemics.Presence, grid: _Lattice, first: Grid,
) -> list[tuple[str, FloatArray, float]]:  # fmt: skip
    """Motions that differ from the best, cheapest first: through another place, or after waiting."""
    found: list[tuple[str, FloatArray, float]] = []
    k = _crux(best, people, grid)
    through = reached[k] + values[k]
    rows, columns = np.indices(through.shape)
    apart = np.hypot(rows - best[k, 0], columns - best[k, 1]) * grid.cell
    for cell in _minima(through):
        if apart[cell] > 0.7:
            before = lattice.ascend(layers, reached, price, cell, k)
            after = lattice.descend(layers, values, price, cell, cone=True, at=k)
            path = _centred(np.concatenate([before, after[1:]]))
            if any(np.linalg.norm(path[k] - p[k]) * grid.cell < 0.7 for _, p, _ in found):
                continue
            side = "left" if path[k, 0] > _centred(best)[k, 0] else "right"
            found.append((f"search {side}", path, float(through[cell])))
            if len(found) == 2:
                break
    stay = 0.0
    waits: list[tuple[str, FloatArray, float]] = []
    for n in range(1, max(_WAITS) + 1):
        middle = REACH * n
        stay += float(layers[n - 1].still[middle, middle])
        stay += float(price.shares[0] * layers[n - 1].moving[middle, middle])
        if n in _WAITS:
            after = lattice.descend(layers, values, price, (middle, middle), cone=True, at=n)
            cells = np.concatenate([np.zeros((n, 2)), after - REACH * np.arange(n, len(layers) + 1)[:, None]])
            waits.append(("search wait", cells, stay + float(values[n][middle, middle])))
    found.append(min(waits, key=lambda w: w[2]))
    return sorted(found, key=lambda f: f[2])


def _crux(best: Cells, people: proxemics.Presence, grid: _Lattice) -> int:
    """The layer in which the best motion comes nearest to somebody."""
    if len(people) == 0:
        return len(best) // 2
    xy = grid.at(_centred(best)[1:])
    gap = np.linalg.norm(people.xy - xy, axis=-1)[people.weights >= 0.3 * people.weights.max()].min(axis=0)
    return int(np.clip(np.argmin(gap) + 1, 3, len(best) - 2))


def _minima(values: Grid) -> list[tuple[int, int]]:
    """Cells lower than all within two cells of them, lowest first."""
    from scipy import ndimage

    low = values <= ndimage.minimum_filter(values, size=5, mode="constant", cval=np.inf)
    rows, columns = np.nonzero(low & np.isfinite(values))
    order = np.argsort(values[rows, columns])[:12]
    return [(int(rows[i]), int(columns[i])) for i in order]


def _stack(layers: list[Layer]) -> Grid:
    """(S, n, n) what it costs to be at each cell at each time; cells out of reach are free."""
    n = layers[-1].still.shape[0]
    out = np.zeros((len(layers), n, n), np.float32)
    for k, layer in enumerate(layers):
        cut = (n - layer.still.shape[0]) // 2
        out[k, cut : n - cut, cut : n - cut] = layer.still + 0.75 * layer.moving
    return out


def _references(paths: FloatArray, grid: _Lattice, stack: Grid, s: Situation, c: SearchConfig) -> FloatArray:
    """(K, 36, 2) smooth references of cell paths (K, S + 1, 2) counted from the middle."""
    half = stack.shape[1] // 2
    layer = np.arange(len(stack))

    def gradient(cells: FloatArray) -> FloatArray:
        r = np.clip(cells[..., 0] + half, 1, 2 * half - 1)
        q = np.clip(cells[..., 1] + half, 1, 2 * half - 1)
        ri, qi = np.rint(r).astype(np.intp), np.rint(q).astype(np.intp)
        down = stack[layer, np.minimum(ri + 1, 2 * half), qi] - stack[layer, ri - 1, qi]
        over = stack[layer, ri, np.minimum(qi + 1, 2 * half)] - stack[layer, ri, qi - 1]
        return np.stack([down, over], axis=-1) * _RATE

    back = np.array([np.cos(s.pose.yaw), np.sin(s.pose.yaw)]) @ grid.turn
    ghost = -back[::-1] * s.twist.vx * c.period / grid.cell
    bent = smooth(paths.astype(float), gradient, _STIFF, _ROUNDS, 0.4, ghost=ghost)
    xy = grid.at(bent)
    known = np.arange(xy.shape[1]) * c.period
    times = np.minimum(REFERENCE_TIMES, known[-1])
    index = times / c.period
    low = np.minimum(index.astype(np.intp), xy.shape[1] - 2)
    out = xy[:, low] + (xy[:, low + 1] - xy[:, low]) * (index - low)[:, None]
    beyond = (REFERENCE_TIMES - times)[:, None] / c.period
    return np.asarray(out + beyond * (xy[:, -1:] - xy[:, -2:-1]))
