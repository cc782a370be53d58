"""Figures of merit for driving among people: pure functions on arrays.

Definitions follow Francis et al. 2023 (2306.16740) and OLiVia-Nav (2409.13675). Shapes: robot path
(T, 2) sampled every dt [s]; people (T, N, 2) at the same instants, NaN where someone is not there.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lifelong_nav.core.types import FloatArray

PERSONAL_SPACE = 0.25
"""Free gap [m] below which personal space counts as violated (OLiVia-Nav)."""

O_SPACE_MARGIN = 0.3
"""How far the space of a standing group reaches beyond the hull of its members [m]."""


def gaps(path: FloatArray, people: FloatArray, radius: float, radii: FloatArray | float) -> FloatArray:
    """(T,) free distance [m] between robot and nearest person; inf where nobody is there.

    Args:
        path: (T, 2) robot [m].
        people: (T, N, 2) [m], NaN for absent.
        radius: of the robot [m].
        radii: (N,) of people, or one number [m].
    """
    if people.shape[1] == 0:
        return np.full(len(path), np.inf)
    distance = np.linalg.norm(people - path[:, None], axis=-1) - radius - radii
    return np.asarray(np.where(np.isnan(distance), np.inf, distance).min(axis=1))


def psv_seconds(free: FloatArray, dt: float, limit: float = PERSONAL_SPACE) -> float:
    """Personal-space violation PSV(d) = dt * #{t : gap < d} [s] of gaps (T,) (see `gaps`)."""
    return float(dt * np.count_nonzero(free < limit))


def contacts(free: FloatArray, limit: float = 0.0) -> int:
    """How many separate times the gap (T,) falls below `limit` [m]."""
    touching = free < limit
    return int(np.count_nonzero(touching & ~np.concatenate([[False], touching[:-1]])))


def success(path: FloatArray, goal: FloatArray, tolerance: float) -> bool:
    """True when some point of the path (T, 2) lies within `tolerance` [m] of the goal (2,)."""
    return bool((np.linalg.norm(path - goal, axis=-1) <= tolerance).any())


def hausdorff(a: FloatArray, b: FloatArray) -> float:
    """Symmetric Hausdorff distance [m] of two point sets (T, 2) and (S, 2)."""
    between = np.linalg.norm(a[:, None] - b[None], axis=-1)
    return float(max(between.min(axis=1).max(), between.min(axis=0).max()))


def mse(path: FloatArray, expert: FloatArray) -> float:
    """Mean over time of the squared distance [m^2]; the shorter path waits at its end."""
    return float(np.square(_differences(path, expert)).mean())


def ade(path: FloatArray, expert: FloatArray) -> float:
    """Average displacement error [m], time by time; the shorter path waits at its end."""
    return float(_differences(path, expert).mean())


def fde(path: FloatArray, expert: FloatArray) -> float:
    """Final displacement error [m]."""
    return float(np.linalg.norm(path[-1] - expert[-1]))


def length(path: FloatArray) -> float:
    """Length of a path (T, 2) [m]."""
    return float(np.linalg.norm(np.diff(path, axis=0), axis=-1).sum())


def spl(reached: bool, shortest: float, driven: float) -> float:
    """Success weighted by path length (Anderson et al. 2018): 1 for the shortest way, 0 for failure."""
    if not reached:
        return 0.0
    return 1.0 if driven <= 0.0 else float(min(1.0, shortest / max(driven, shortest)))


def time_ratio(seconds: float, free_seconds: float) -> float:
    """Time taken over the time the same way takes with nobody there."""
    return seconds / max(free_seconds, 1e-9)


def stalled_seconds(path: FloatArray, dt: float, speed: float = 0.05) -> float:
    """Seconds in which the robot moved slower than `speed` [m/s]."""
    if len(path) < 2:
        return 0.0
    return float(dt * np.count_nonzero(np.linalg.norm(np.diff(path, axis=0), axis=-1) / dt < speed))


def min_ttc(
    path: FloatArray, people: FloatArray, dt: float, radius: float, radii: FloatArray | float
) -> float:
    """Smallest time to collision [s] over the run if all went on as they move; inf when none impends."""
    times = times_to_collision(path, people, dt, radius, radii)
    return float(times.min(initial=np.inf))


def times_to_collision(
    path: FloatArray, people: FloatArray, dt: float, radius: float, radii: FloatArray | float
) -> FloatArray:
    """(T - 1,) time to the next collision [s] at each step, inf for none; 0 while in contact."""
    if len(path) < 2 or people.shape[1] == 0:
        return np.full(max(len(path) - 1, 0), np.inf)
    velocity = np.diff(people, axis=0) / dt - np.diff(path, axis=0)[:, None] / dt
    offset = people[:-1] - path[:-1, None]
    reach = np.broadcast_to(radius + np.asarray(radii, dtype=float), offset.shape[1:2])
    a = np.square(velocity).sum(axis=-1)
    b = (offset * velocity).sum(axis=-1)
    c = np.square(offset).sum(axis=-1) - reach**2
    root = b * b - a * c
    with np.errstate(divide="ignore", invalid="ignore"):
        times = (-b - np.sqrt(root)) / a
        meets = (root >= 0.0) & (b < 0.0) & (a > 1e-12)
    times = np.where(meets, np.maximum(times, 0.0), np.inf)
    times = np.where(c <= 0.0, 0.0, times)
    return np.asarray(np.where(np.isnan(c), np.inf, times).min(axis=1))


def jerk(path: FloatArray, dt: float) -> float:
    """Mean size of the third derivative of position [m/s^3]; 0 for fewer than four points."""
    if len(path) < 4:
        return 0.0
    return float(np.linalg.norm(np.diff(path, n=3, axis=0), axis=-1).mean() / dt**3)


def group_intrusion_seconds(
    path: FloatArray,
    people: FloatArray,
    groups: NDArray[np.integer],
    dt: float,
    margin: float = O_SPACE_MARGIN,
) -> float:
    """Seconds the robot's centre spends within the hull of a group, widened by `margin` [m].

    Args:
        path: (T, 2).
        people: (T, N, 2), NaN for absent.
        groups: (N,) group number, negative for alone.
        dt: sampling time [s].
        margin: widening [m].
    """
    inside = np.zeros(len(path), dtype=bool)
    for group in np.unique(groups[groups >= 0]):
        members = people[:, groups == group]
        for t in range(len(path)):
            here = members[t][np.isfinite(members[t]).all(axis=-1)]
            if len(here) >= 2 and not inside[t]:
                inside[t] = hull_distance(path[t], here) <= margin
    return float(dt * np.count_nonzero(inside))


def hull_distance(point: FloatArray, points: FloatArray) -> float:
    """Distance [m] of a point (2,) from the convex hull of points (N, 2); 0 inside."""
    hull = convex_hull(points)
    if len(hull) == 1:
        return float(np.linalg.norm(point - hull[0]))
    starts, ends = hull, np.roll(hull, -1, axis=0)
    edge, to = ends - starts, point - starts
    if len(hull) > 2 and (edge[:, 0] * to[:, 1] - edge[:, 1] * to[:, 0] >= 0.0).all():
        return 0.0
    along = np.clip((to * edge).sum(axis=1) / np.maximum(np.square(edge).sum(axis=1), 1e-12), 0.0, 1.0)
    return float(np.linalg.norm(to - along[:, None] * edge, axis=1).min())


def convex_hull(points: FloatArray) -> FloatArray:
    """(K, 2) corners of the convex hull, counter-clockwise (Andrew's monotone chain)."""
    rows = np.unique(np.asarray(points, dtype=float), axis=0)
    if len(rows) <= 2:
        return rows

    def half(ordered: FloatArray) -> list[FloatArray]:
        chain: list[FloatArray] = []
        for p in ordered:
            while len(chain) >= 2 and _cross(chain[-2], chain[-1], p) <= 0.0:
                chain.pop()
            chain.append(p)
        return chain[:-1]

    return np.array(half(rows) + half(rows[::-1]))


@dataclass(frozen=True)
class Interval:
    """A mean with its bootstrap interval."""

    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.mean:.3g} [{self.low:.3g}, {self.high:.3g}]"


def bootstrap(values: FloatArray, seed: int = 0, draws: int = 2000, share: float = 0.95) -> Interval:
    """Mean of values (n,) with its percentile bootstrap interval; NaN throughout when there are none."""
    values = np.asarray(values, dtype=float)
    if len(values) == 0:
        return Interval(np.nan, np.nan, np.nan)
    rng = np.random.default_rng(seed)
    means = values[rng.integers(len(values), size=(draws, len(values)))].mean(axis=1)
    low, high = np.quantile(means, [(1.0 - share) / 2.0, (1.0 + share) / 2.0])
    return Interval(float(values.mean()), float(low), float(high))


def _differences(path: FloatArray, expert: FloatArray) -> FloatArray:
    steps = np.arange(max(len(path), len(expert)))
    a = path[np.minimum(steps, len(path) - 1)]
    b = expert[np.minimum(steps, len(expert) - 1)]
    return np.asarray(np.linalg.norm(a - b, axis=-1))


def _cross(o: FloatArray, a: FloatArray, b: FloatArray) -> float:
    return float((a[0] - o[0]) * (b[1] - o[1]) - (a[1] - o[1]) * (b[0] - o[0]))
