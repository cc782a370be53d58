"""People as a tracker would hand them over: in sight only, late, noisy, with stable ids.

Who belongs together is the truth, told with a delay and only of those who are tracked and near each
other: grouping itself is perception's business, and the simulator must not import it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lifelong_nav.core.types import FloatArray, People, TrackedPerson
from lifelong_nav.sim.crowd.forces import lines_of_sight
from lifelong_nav.sim.crowd.state import CrowdState
from lifelong_nav.sim.flat.config import FlatConfig

_BODY = 0.2  # radius at which one person hides another [m]
_KEEP = 0.8  # of last step's error in this one's: the noise of a filter is slow
_FRESH = float(np.sqrt(1.0 - _KEEP**2))
_TOGETHER = 3.5  # members farther than this from their nearest companion are not seen as one group [m]


def visible(
    positions: FloatArray, eye: FloatArray, walls: FloatArray, sight: float = np.inf
) -> NDArray[np.bool_]:
    """(N,) True for people at `positions` (N, 2) whose middle neither wall nor other person hides.

    Args:
        positions: of everyone who is there [m].
        eye: (2,) [m].
        walls: (M, 4) [m].
        sight: beyond this distance nobody is seen [m].
    """
    to = positions - eye
    far = np.maximum(np.sqrt((to * to).sum(axis=1)), 1e-6)
    clear = far < sight
    some = np.flatnonzero(clear)
    clear[some] = lines_of_sight(positions[some], eye, walls)
    if len(positions) > 1:
        along = to @ (to / far[:, None]).T  # [i, j] how far i lies along the ray to j
        across = np.abs(to[:, 0:1] * to[None, :, 1] - to[:, 1:2] * to[None, :, 0]) / far[None]
        hides = (along > 0.2) & (along < far[None] - 0.3) & (across < _BODY)
        np.fill_diagonal(hides, False)
        clear &= ~hides.any(axis=0)
    return clear


class Tracker:
    """Noisy tracks of a crowd of n people; `update` once a step.

    Args:
        n: rows of every `CrowdState` to come.
        config: noise and delays.
        rng: of all noise; the draws do not depend on what is seen.
    """

    def __init__(self, n: int, config: FlatConfig, rng: np.random.Generator) -> None:
        self.config, self.rng = config, rng
        self.seen_for, self.lost_for = np.zeros(n), np.full(n, np.inf)
        self.offset = config.noise * config.position_noise * rng.standard_normal((n, 2))
        self.slip = config.noise * config.velocity_noise * rng.standard_normal((n, 2))
        self.delay = rng.uniform(config.appear_low, max(config.appear_low, config.appear_high), n)
        self.at, self.velocity = np.zeros((n, 2)), np.zeros((n, 2))
        self.tracked: NDArray[np.bool_] = np.zeros(n, dtype=bool)
        self._covariance = np.diag(
            np.array([config.position_noise] * 2 + [config.velocity_noise] * 2) ** 2 + 1e-4
        )

    def update(self, state: CrowdState, eye: FloatArray, walls: FloatArray, dt: float) -> None:
        """Take in the people as they are now.

        Args:
            state: the truth.
            eye: (2,) where the robot looks from [m].
            walls: (M, 4) what hides people [m].
            dt: seconds since the last update; 0 for the first look, which sees all in view at once.
        """
        c, n = self.config, len(state.ids)
        normal = self.rng.standard_normal((2, n, 2))
        self.offset = _KEEP * self.offset + _FRESH * c.noise * c.position_noise * normal[0]
        self.slip = _KEEP * self.slip + _FRESH * c.noise * c.velocity_noise * normal[1]
        seen = np.zeros(n, dtype=bool)
        here = np.flatnonzero(state.present)
        seen[here] = visible(state.positions[here], eye, walls, c.sight)
        fresh = seen & ~(self.lost_for <= c.coast)
        share = 1.0 if c.smoothing <= 0.0 else 1.0 - float(np.exp(-dt / c.smoothing))
        self.at = np.where(seen[:, None], state.positions, self.at + dt * self.velocity)
        smooth = self.velocity + share * (state.velocities - self.velocity)
        smooth = np.where(fresh[:, None], state.velocities, smooth)
        self.velocity = np.where(seen[:, None], smooth, self.velocity)
        self.seen_for = np.where(fresh, 0.0, self.seen_for) + dt
        if dt == 0.0:
            self.seen_for[seen] = c.appear_high  # the robot has stood there before the run began
        self.lost_for = np.where(seen, 0.0, self.lost_for + dt)
        self.tracked = (self.seen_for >= self.delay - 1e-9) & (self.lost_for <= c.coast)

    def people(self, state: CrowdState, stamp: float) -> People:
        """Everyone tracked, in the world frame."""
        rows = np.flatnonzero(self.tracked)
        places, ways = self.at[rows] + self.offset[rows], self.velocity[rows] + self.slip[rows]
        groups = self._groups(rows, state)
        return People(
            stamp,
            "map",
            tuple(
                TrackedPerson(
                    int(state.ids[i]), float(p[0]), float(p[1]), float(v[0]), float(v[1]),
                    self._covariance, int(g), 1.0 if self.lost_for[i] == 0.0 else 0.6,
                    float(self.seen_for[i]), float(state.radii[i]),
                )
                for i, p, v, g in zip(rows.tolist(), places, ways, groups, strict=True)
            ),
        )  # fmt: skip

    def _groups(self, rows: NDArray[np.int64], state: CrowdState) -> NDArray[np.int64]:
        """(len(rows),) group numbers, -1 where no companion is tracked nearby and long enough."""
        groups = np.where(self.seen_for[rows] >= self.config.group_after, state.groups[rows], -1)
        if (groups < 0).all():
            return groups
        apart = np.sqrt(np.square(self.at[rows][:, None] - self.at[rows][None]).sum(axis=-1))
        mates = (groups[:, None] == groups) & (apart < _TOGETHER)
        np.fill_diagonal(mates, False)
        return np.where(mates.any(axis=1), groups, -1)
