"""Who belongs together: people who walk or stand as a group, from positions and velocities over time.

Walking companions keep close, at the same velocity (Moussaid et al., "The Walking Behaviour of
Pedestrian Social Groups", PLoS ONE 2010: mean gap 0.7 to 0.9 m, speeds alike). People who stand together
arrange themselves around a shared empty space, the o-space of an F-formation (Kendon 1990); as a
lidar does not see where bodies face, the circle around the members is used instead: nobody stands
inside it. Every pair has an affinity that is averaged over time and switched with hysteresis; groups
are the connected pairs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse.csgraph import connected_components

from lifelong_nav.core.config import param
from lifelong_nav.core.types import FloatArray


@dataclass(frozen=True)
class GroupConfig:
    """Social groups."""

    walk_gap: float = param(1.3, "m", 0.3, 5.0, "Companions at this distance count half.")
    stand_gap: float = param(1.6, "m", 0.3, 5.0, "People standing together at this distance count half.")
    velocity_gap: float = param(
        0.45, "m/s", 0.05, 3.0, "Companions whose velocities differ this much count half."
    )
    standing_speed: float = param(0.3, "m/s", 0.0, 1.0, "Slower people stand.")
    memory: float = param(2.5, "s", 0.1, 30.0, "Time constant over which affinity is averaged.")
    join: float = param(0.55, "", 0.0, 1.0, "Averaged affinity from which a pair belongs together.")
    leave: float = param(0.35, "", 0.0, 1.0, "Averaged affinity below which it no longer does.")
    settle: float = param(1.0, "s", 0.0, 10.0, "How long a pair is watched before it can belong together.")


class GroupTracker:
    """Groups over time; feed it everyone who is tracked, in one fixed frame."""

    def __init__(self, config: GroupConfig | None = None) -> None:
        self._config = config or GroupConfig()
        self.reset()

    def reset(self) -> None:
        """Forget all pairs."""
        self._ids = np.zeros(0, dtype=np.int64)
        self._affinity = np.zeros((0, 0))
        self._watched = np.zeros((0, 0))
        self._linked = np.zeros((0, 0), dtype=bool)

    def update(
        self, ids: NDArray[np.int64], positions: FloatArray, velocities: FloatArray, dt: float
    ) -> NDArray[np.int64]:
        """Group number of everyone now.

        Args:
            ids: (N,) track numbers.
            positions: (N, 2) [m].
            velocities: (N, 2) [m/s].
            dt: time since the last call [s].

        Returns:
            (N,) smallest track number in the person's group, -1 for people on their own.
        """
        c, n = self._config, len(ids)
        previous = {int(i): k for k, i in enumerate(self._ids)}
        old = np.array([previous.get(int(i), -1) for i in ids], dtype=np.int64)
        known = (old[:, None] >= 0) & (old[None] >= 0)
        affinity, watched, linked = np.zeros((n, n)), np.zeros((n, n)), np.zeros((n, n), dtype=bool)
        if known.any():
            grid = np.ix_(np.maximum(old, 0), np.maximum(old, 0))
            affinity = np.where(known, self._affinity[grid], 0.0)
            watched = np.where(known, self._watched[grid], 0.0)
            linked = known & self._linked[grid]
        now = pair_affinity(positions, velocities, c)
        watched = watched + dt
        weight = np.maximum(1.0 - np.exp(-dt / c.memory), dt / watched)  # plain mean at first
        affinity = affinity + np.minimum(weight, 1.0) * (now - affinity)
        linked = (watched >= c.settle) & (affinity > np.where(linked, c.leave, c.join))
        np.fill_diagonal(linked, False)
        self._ids, self._affinity, self._watched, self._linked = np.array(ids), affinity, watched, linked
        return _components(np.asarray(ids, dtype=np.int64), linked)


def pair_affinity(positions: FloatArray, velocities: FloatArray, config: GroupConfig) -> FloatArray:
    """(N, N) how much each pair looks like companions right now, 0 to 1, symmetric."""
    c = config
    between = positions[:, None] - positions[None]
    gap = np.hypot(between[..., 0], between[..., 1])
    change = velocities[:, None] - velocities[None]
    difference = np.hypot(change[..., 0], change[..., 1])
    stands = np.hypot(velocities[:, 0], velocities[:, 1]) < c.standing_speed
    both, none = stands[:, None] & stands[None], ~stands[:, None] & ~stands[None]
    walking = _half_at(gap, c.walk_gap) * _half_at(difference, c.velocity_gap)
    standing = _half_at(gap, c.stand_gap) * ~_somebody_between(positions, gap)
    mixed = 0.5 * walking
    return np.where(both, standing, np.where(none, walking, mixed))


def _half_at(value: FloatArray, half: float) -> FloatArray:
    """1 at 0, 0.5 at `half`, falling fast beyond."""
    return 1.0 / (1.0 + (value / half) ** 4)


def _somebody_between(positions: FloatArray, gap: FloatArray) -> NDArray[np.bool_]:
    """(N, N) True where a third person stands inside the inner half of the circle spanned by a pair."""
    middle = 0.5 * (positions[:, None] + positions[None])
    apart = np.hypot(*(middle[:, :, None] - positions[None, None]).transpose(3, 0, 1, 2))
    n = len(positions)
    apart[np.arange(n), :, np.arange(n)] = apart[:, np.arange(n), np.arange(n)] = np.inf
    return (apart < 0.25 * gap[..., None]).any(axis=2)


def _components(ids: NDArray[np.int64], linked: NDArray[np.bool_]) -> NDArray[np.int64]:
    if len(ids) == 0:
        return ids
    count, label = connected_components(linked, directed=False)
    smallest = np.full(count, np.iinfo(np.int64).max)
    np.minimum.at(smallest, label, ids)
    size = np.bincount(label, minlength=count)
    return np.where(size[label] > 1, smallest[label], -1)
