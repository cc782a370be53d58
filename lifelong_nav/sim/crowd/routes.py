"""Ways through a building: a clearance grid of the free floor and one shortest-path tree per goal.

Built once from wall segments. A query follows the tree from where a person stands and hands back the
farthest point of the way that can be seen from there, so that people cut corners as people do.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, sparse
from scipy.sparse import csgraph

from lifelong_nav.core.types import FloatArray
from lifelong_nav.sim.crowd.forces import segment_offsets

_REACH = 1.0  # clearance is exact up to here [m]
_CHAIN = 48  # steps of a way looked ahead
_PICKS = np.unique(np.round(np.geomspace(1, _CHAIN, 10)).astype(int)) - 1
_LOOK = 0.3  # spacing of the points tested along a line of sight, well under twice the margin [m]
_MAX_TREES = 256


class Router:
    """Free floor and ways on it.

    Args:
        segments: (M, 4) obstacles x1, y1, x2, y2 [m].
        bounds: x_min, y_min, x_max, y_max of the floor [m].
        margin: least distance of a way from a segment [m].
        resolution: cell size [m].
    """

    def __init__(
        self,
        segments: FloatArray,
        bounds: tuple[float, float, float, float],
        margin: float = 0.29,
        resolution: float = 0.15,
    ) -> None:
        self.resolution = resolution
        self.margin = margin
        x0, y0, x1, y1 = bounds
        self.origin = np.array([x0, y0])
        self.shape = (
            max(1, int(np.ceil((y1 - y0) / resolution))),
            max(1, int(np.ceil((x1 - x0) / resolution))),
        )
        self.clearance = self._clearances(np.asarray(segments, dtype=float).reshape(-1, 4))
        self.free: NDArray[np.bool_] = self.clearance >= margin
        self.parts: NDArray[np.int32] = ndimage.label(self.free, structure=np.ones((3, 3)))[0]
        self._graph = self._edges()
        self._trees: dict[int, NDArray[np.int32]] = {}
        self._distances: dict[int, FloatArray] = {}

    def _clearances(self, segments: FloatArray) -> FloatArray:
        """(H, W) distance [m] of each cell centre to the nearest segment, capped at `_REACH`."""
        clearance = np.full(self.shape, _REACH)
        xs = self.origin[0] + (np.arange(self.shape[1]) + 0.5) * self.resolution
        ys = self.origin[1] + (np.arange(self.shape[0]) + 0.5) * self.resolution
        for segment in segments:
            xa, xb = sorted(segment[[0, 2]])
            ya, yb = sorted(segment[[1, 3]])
            c0, c1 = np.searchsorted(xs, (xa - _REACH, xb + _REACH))
            r0, r1 = np.searchsorted(ys, (ya - _REACH, yb + _REACH))
            if c0 == c1 or r0 == r1:
                continue
            gx, gy = np.meshgrid(xs[c0:c1], ys[r0:r1])
            points = np.stack([gx.ravel(), gy.ravel()], axis=-1)
            dx, dy = segment_offsets(points, segment[None])
            window = clearance[r0:r1, c0:c1]
            np.minimum(window, np.hypot(dx, dy).reshape(window.shape), out=window)
        return clearance

    def _edges(self) -> sparse.csr_matrix:
        """Eight-neighbour graph over free cells; passing close to walls costs up to 2.5 times as much."""
        index = np.arange(self.free.size).reshape(self.shape)
        near = np.clip((0.6 - self.clearance) / (0.6 - self.margin), 0.0, 1.0)
        price = 1.0 + 1.5 * near
        rows, cols, costs = [], [], []
        for dr, dc in ((0, 1), (1, 0), (1, 1), (1, -1)):
            a = (slice(0, self.shape[0] - dr), slice(max(0, -dc), self.shape[1] - max(0, dc)))
            b = (slice(dr, None), slice(max(0, dc), self.shape[1] + min(0, dc)))
            both = self.free[a] & self.free[b]
            length = self.resolution * float(np.hypot(dr, dc))
            rows.append(index[a][both])
            cols.append(index[b][both])
            costs.append(length * 0.5 * (price[a] + price[b])[both])
        n = self.free.size
        half = sparse.coo_matrix(
            (np.concatenate(costs), (np.concatenate(rows), np.concatenate(cols))), (n, n)
        )
        return (half + half.T).tocsr()

    def cells(self, points: FloatArray) -> NDArray[np.int64]:
        """(...,) flat cell index of points (..., 2), clamped to the floor."""
        cell = np.floor((np.asarray(points) - self.origin) / self.resolution).astype(np.int64)
        col = np.minimum(np.maximum(cell[..., 0], 0), self.shape[1] - 1)
        row = np.minimum(np.maximum(cell[..., 1], 0), self.shape[0] - 1)
        return row * self.shape[1] + col

    def centres(self, cells: NDArray[np.integer]) -> FloatArray:
        """(..., 2) centre [m] of flat cell indices."""
        row, col = np.divmod(cells, self.shape[1])
        return self.origin + (np.stack([col, row], axis=-1) + 0.5) * self.resolution

    def nearest_free(self, point: FloatArray) -> int:
        """Flat index of the free cell nearest to a point (2,) (the cell itself where that is free)."""
        cell = int(self.cells(point))
        if self.free.flat[cell] or not self.free.any():
            return cell
        candidates = np.flatnonzero(self.free)
        gaps = np.linalg.norm(self.centres(candidates) - point, axis=-1)
        return int(candidates[np.argmin(gaps)])

    def connected(self, a: FloatArray, b: FloatArray) -> bool:
        """True when a way leads from a (2,) to b (2,), both standing on free floor."""
        part = self.parts.flat[int(self.cells(a))]
        return bool(part > 0 and part == self.parts.flat[int(self.cells(b))])

    def tree(self, goal: FloatArray) -> int:
        """Key of the shortest-path tree to a goal (2,); computed on first use (about 20 ms)."""
        cell = self.nearest_free(np.asarray(goal, dtype=float))
        if cell not in self._trees:
            while len(self._trees) >= _MAX_TREES:
                oldest = next(iter(self._trees))
                del self._trees[oldest], self._distances[oldest]
            costs, parents = csgraph.dijkstra(self._graph, indices=cell, return_predecessors=True)
            parents = parents.astype(np.int32)
            unreached = parents < 0
            parents[unreached] = np.flatnonzero(unreached)  # roots and islands point at themselves
            self._trees[cell] = parents
            self._distances[cell] = costs
        return cell

    def cost(self, start: FloatArray, goal: FloatArray) -> float:
        """Length of the way [m, weighted near walls]; inf when there is none."""
        key = self.tree(goal)
        return float(self._distances[key][self.nearest_free(np.asarray(start, dtype=float))])

    def visible(self, a: FloatArray, b: FloatArray) -> NDArray[np.bool_]:
        """(...,) True where a person walks straight from a (..., 2) to b (..., 2) without touching."""
        way = b - a
        longest = float(np.sqrt((way * way).sum(axis=-1).max(initial=0.0)))
        tests = int(longest / _LOOK) + 2
        share = (np.arange(1, tests + 1) / tests)[:, None]
        points = a[..., None, :] + share * way[..., None, :]
        return np.asarray(self.free.ravel()[self.cells(points)].all(axis=-1))

    def aims(self, positions: FloatArray, goals: FloatArray) -> FloatArray:
        """(N, 2) the point to walk to next, for people at `positions` (N, 2) bound for `goals` (N, 2)."""
        aims = np.array(goals, dtype=float)
        blocked = np.flatnonzero(~self.visible(positions, aims))
        if len(blocked) == 0:
            return aims
        points = self.centres(np.stack([self._chain(positions[i], aims[i]) for i in blocked]))
        seen = self.visible(np.broadcast_to(positions[blocked, None], points.shape), points)
        # the farthest seen; whoever sees none stands off the free floor and takes the first step back
        farthest = seen.shape[1] - 1 - np.argmax(seen[:, ::-1], axis=1)
        aims[blocked] = points[np.arange(len(blocked)), np.where(seen.any(axis=1), farthest, 1)]
        return aims

    def _chain(self, position: FloatArray, goal: FloatArray) -> NDArray[np.int64]:
        """(len(_PICKS),) cells ahead on the way from a position (2,) to a goal (2,)."""
        parents = self._trees[self.tree(goal)]
        cell = self.nearest_free(position)
        chain = np.empty(_CHAIN, dtype=np.int64)
        for k in range(_CHAIN):
            cell = parents[cell]
            chain[k] = cell
        return chain[_PICKS]

    def sample(
        self,
        rng: np.random.Generator,
        low: FloatArray,
        high: FloatArray,
        n: int,
        part: int = 0,
        gap: float = 0.6,
    ) -> FloatArray:
        """(n, 2) free points in a rectangle, `gap` apart where there is room.

        Args:
            rng: source of chance.
            low: (2,) lower corner [m].
            high: (2,) upper corner [m].
            n: how many.
            part: connected part of the floor to stay on; 0 takes the largest within the rectangle.
            gap: least distance between the points [m].
        """
        centres = self.centres(np.arange(self.free.size))
        inside = self.free.ravel() & ((centres >= low) & (centres <= high)).all(axis=-1)
        if not inside.any():
            return np.empty((0, 2))
        parts = self.parts.ravel()
        if part == 0:
            part = int(np.argmax(np.bincount(parts[inside])))
        pool = centres[inside & (parts == part)]
        if len(pool) == 0:
            return np.empty((0, 2))
        pool = pool[rng.permutation(len(pool))]
        chosen: list[FloatArray] = []
        for point in pool:
            if all(np.hypot(*(point - other)) >= gap for other in chosen):
                chosen.append(point)
                if len(chosen) == n:
                    break
        while len(chosen) < n:
            chosen.append(pool[len(chosen) % len(pool)])
        return np.array(chosen)
