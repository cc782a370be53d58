"""Shortest motion on a lattice of places and times, by dynamic programming: no state but x, y and t.

From one layer of time to the next a robot moves by up to `REACH` cells. The 37 moves fall into eight
classes of equal length, so that a layer costs one addition per class and one minimum per move.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Grid = NDArray[np.float32]

REACH = 3
"""Cells per layer at full speed. Moves of (3, 1), 5 % faster, round the octagon off."""

_SPAN = np.arange(-REACH, REACH + 1)
_squares = _SPAN[:, None] ** 2 + _SPAN[None, :] ** 2
MOVES = np.argwhere(_squares <= REACH**2 + 1) - REACH
"""(37, 2) rows, columns gone by each move."""
LENGTHS = np.sqrt(np.unique(_squares[_squares <= REACH**2 + 1])).astype(np.float32)
"""(8,) lengths of the classes of moves [cells]."""
CLASS = np.searchsorted(LENGTHS**2 + 1e-3, (MOVES**2).sum(axis=1))
"""(37,) class of each move."""
_OF_CLASS = [MOVES[k == CLASS] for k in range(len(LENGTHS))]


@dataclass(frozen=True, slots=True)
class Layer:
    """Costs of being at each cell at the end of a step, all of one shape.

    `still` whatever the speed, `moving` for a robot at full speed: a move of class k pays
    `still + shares[k] * moving`.
    """

    still: Grid
    moving: Grid


@dataclass(frozen=True, slots=True)
class Prices:
    """What a move of each class costs by itself (8,) and its share of `Layer.moving` (8,)."""

    moves: NDArray[np.float32]
    shares: NDArray[np.float32]


def step_back(value: Grid, layer: Layer, prices: Prices) -> Grid:
    """Cost-to-go one step earlier, on the cells at least `REACH` from the edge of `value`."""
    rows, columns = (n - 2 * REACH for n in value.shape)
    rest = value + layer.still
    found = np.full((rows, columns), np.inf, np.float32)
    for k in range(len(LENGTHS)):
        whole = rest + layer.moving * prices.shares[k]
        whole += prices.moves[k]
        for r, c in _OF_CLASS[k] + REACH:
            np.minimum(found, whole[r : r + rows, c : c + columns], out=found)
    return found


def step_on(value: Grid, layer: Layer, prices: Prices) -> Grid:
    """Least cost so far one step later, on cells `REACH` farther out than `value`; `layer` has that shape."""
    rows, columns = value.shape
    found = np.full(layer.still.shape, np.inf, np.float32)
    for k in range(len(LENGTHS)):
        reached = np.full(layer.still.shape, np.inf, np.float32)
        for r, c in _OF_CLASS[k] + REACH:
            window = reached[r : r + rows, c : c + columns]
            np.minimum(window, value, out=window)
        reached += layer.moving * prices.shares[k]
        reached += prices.moves[k]
        np.minimum(found, reached, out=found)
    found += layer.still
    return found


def backward(layers: Sequence[Layer], last: Grid, prices: Prices, cone: bool) -> list[Grid]:
    """Costs-to-go before each layer and after the last: len(layers) + 1 grids.

    Args:
        layers: costs at the end of each step.
        last: cost-to-go after the last layer, of its shape.
        prices: of moves.
        cone: True when each layer is `REACH` wider on every side than the one before (all that can be
            reached from one cell); else all are of one shape, with nothing beyond.
    """
    values = [np.asarray(last, np.float32)]
    for layer in reversed(layers):
        now = values[-1]
        if cone:
            values.append(step_back(now, layer, prices))
            continue
        padded = np.pad(now, REACH, constant_values=np.inf)
        wider = Layer(np.pad(layer.still, REACH), np.pad(layer.moving, REACH))
        values.append(step_back(padded, wider, prices))
    return values[::-1]


def forward(layers: Sequence[Layer], first: NDArray[np.float32], prices: Prices) -> list[Grid]:
    """Least costs of reaching each cell of a cone's layers from its tip; (37,) `first` moves cost more."""
    values: list[Grid] = [np.zeros((1, 1), np.float32)]
    for k, layer in enumerate(layers):
        if k == 0:
            start: Grid = np.full(layer.still.shape, np.inf, np.float32)
            r, c = (MOVES + REACH).T
            moved = prices.moves[CLASS] + first + prices.shares[CLASS] * layer.moving[r, c]
            start[r, c] = moved + layer.still[r, c]
            values.append(start)
        else:
            values.append(step_on(values[-1], layer, prices))
    return values


def descend(
    layers: Sequence[Layer], values: Sequence[Grid], prices: Prices, start: tuple[int, int], cone: bool,
    at: int = 0, first: NDArray[np.float32] | None = None,
) -> NDArray[np.intp]:  # fmt: skip
    """Cells (S + 1 - at, 2) of the cheapest way from `start` (a cell of layer `at`) on, each in its layer.

    Args:
        layers: as given to `backward`.
        values: what it returned.
        prices: of moves.
        start: row, column in the grid of `values[at]`.
        cone: as there.
        at: index of the first value.
        first: (37,) extra cost of the first moves (turning, getting up to speed).
    """
    cells = [np.array(start)]
    shift = REACH if cone else 0
    for k in range(at, len(layers)):
        to = cells[-1] + MOVES + shift
        shape = np.array(layers[k].still.shape)
        inside = np.asarray(((to >= 0) & (to < shape)).all(axis=1))
        r, c = np.where(inside[:, None], to, 0).T
        cost = values[k + 1][r, c] + layers[k].still[r, c] + prices.shares[CLASS] * layers[k].moving[r, c]
        cost = np.where(inside, cost + prices.moves[CLASS], np.inf)
        if k == at and first is not None:
            cost = cost + first
        cells.append(to[int(np.argmin(cost))])
    return np.array(cells)


def ascend(
    layers: Sequence[Layer], values: Sequence[Grid], prices: Prices, end: tuple[int, int], at: int
) -> NDArray[np.intp]:
    """Cells (at + 1, 2) of the cheapest way from a cone's tip to `end`, a cell of `forward`'s layer `at`."""
    cells = [np.array(end)]
    for k in range(at, 1, -1):
        came = cells[-1] - MOVES - REACH
        before = values[k - 1]
        inside = np.asarray(((came >= 0) & (came < before.shape)).all(axis=1))
        r, c = np.where(inside[:, None], came, 0).T
        here = tuple(cells[-1])
        cost = before[r, c] + prices.moves[CLASS] + prices.shares[CLASS] * layers[k - 1].moving[here]
        cells.append(came[int(np.argmin(np.where(inside, cost, np.inf)))])
    if at > 0:
        cells.append(np.array([0, 0]))
    return np.array(cells[::-1])
