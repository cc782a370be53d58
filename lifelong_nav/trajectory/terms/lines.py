"""Waiting lines, found from where people stand: one behind another, evenly, along a gentle curve."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lifelong_nav.core.types import FloatArray

_BEND = np.cos(np.deg2rad(50.0))  # sharper than this a line does not turn from one to the next
_SPREAD = 2.2  # the widest gap of a line is at most so many times its narrowest
_SHUFFLE = 0.5  # m/s; people in line move up, slowly


def waiting_lines(
    positions: FloatArray, velocities: FloatArray, gap: float, least: int
) -> list[NDArray[np.intp]]:
    """Indices of the members of each line, from one end to the other.

    People who stand are linked greedily, shortest links first, so that nobody has more than two neighbours,
    no ring closes, and the line does not bend sharply. A conversation bends or closes, so it makes no line.

    Args:
        positions: (N, 2) [m].
        velocities: (N, 2) [m/s].
        gap: farthest neighbours [m].
        least: fewest people in a line.
    """
    standing = np.flatnonzero(np.hypot(velocities[:, 0], velocities[:, 1]) < _SHUFFLE)
    n = len(standing)
    if n < least:
        return []
    xy = np.asarray(positions, dtype=float)[standing]
    one, two = np.triu_indices(n, 1)
    length = np.linalg.norm(xy[one] - xy[two], axis=1)
    order = np.argsort(length, kind="stable")
    neighbours: list[list[int]] = [[] for _ in range(n)]
    root = list(range(n))
    for k in order[length[order] <= gap]:
        a, b = int(one[k]), int(two[k])
        if root[a] == root[b] or not (_fits(xy, a, b, neighbours) and _fits(xy, b, a, neighbours)):
            continue
        neighbours[a].append(b)
        neighbours[b].append(a)
        old, new = root[a], root[b]
        root = [new if r == old else r for r in root]
    found = []
    for end in (i for i in range(n) if len(neighbours[i]) == 1):
        chain, before = [end], -1
        while True:
            following = [j for j in neighbours[chain[-1]] if j != before]
            if not following:
                break
            before = chain[-1]
            chain.append(following[0])
        if chain[0] < chain[-1] and len(chain) >= least and _even(xy[chain]):
            found.append(standing[np.array(chain)])
    return found


def _fits(xy: FloatArray, here: int, other: int, neighbours: list[list[int]]) -> bool:
    """True when a link from `here` to `other` goes on straight enough from its present neighbour."""
    if not neighbours[here]:
        return True
    if len(neighbours[here]) > 1:
        return False
    came, goes = xy[here] - xy[neighbours[here][0]], xy[other] - xy[here]
    size = np.linalg.norm(came) * np.linalg.norm(goes)
    return bool(size > 1e-9 and came @ goes > _BEND * size)


def _even(xy: FloatArray) -> bool:
    """True for a chain of like gaps that leads away rather than around."""
    gaps = np.linalg.norm(np.diff(xy, axis=0), axis=1)
    across = np.linalg.norm(xy[-1] - xy[0])
    return bool(gaps.max() <= _SPREAD * max(gaps.min(), 0.3) and across > 0.7 * gaps.sum())
