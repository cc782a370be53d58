"""Where the robot is on the building's map: keeps map -> odom from scans, odometry and doubt.

Each scan refines the pose that odometry predicts (`scan_matching`). How well the scan is explained
decides whether the robot counts as localised; when it no longer is (kidnapped, wrong start), all free
places are searched and the plausible ones are carried along until driving tells them apart.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

import numpy as np

from lifelong_nav.core.config import param
from lifelong_nav.core.errors import InputError
from lifelong_nav.core.geometry import compose2, inverse2, transform_points2, wrap
from lifelong_nav.core.grid import OccupancyGrid
from lifelong_nav.core.types import FloatArray, LaserScan, People, Pose2
from lifelong_nav.perception import odometry_model
from lifelong_nav.perception.global_search import SearchConfig, same_place, search
from lifelong_nav.perception.likelihood_field import LikelihoodField, likelihood_field
from lifelong_nav.perception.odometry_model import OdometryConfig
from lifelong_nav.perception.scan_matching import Beams, Explanation, Match, MatchConfig, explain, match, thin


@dataclass(frozen=True)
class LocalizationConfig(MatchConfig, OdometryConfig, SearchConfig):
    """Parameters of `Localizer`."""

    lost_score: float = param(0.5, "", 0.0, 1.0, "Below this quality, for a while, the robot is lost.")
    found_score: float = param(0.62, "", 0.0, 1.0, "Above this quality a place is believed.")
    patience: float = param(1.5, "s", 0.0, 60.0, "Quality is judged over about this time.")
    search_interval: float = param(3.0, "s", 0.5, 600.0, "Least time between searches of the whole map.")
    auto_search: bool = param(True, doc="Search the map when lost; else wait to be told the pose.")
    hypotheses: int = param(6, "", 1, 50, "Places carried along while it is not clear which is right.")
    lead: float = param(0.08, "", 0.0, 1.0, "By this much quality the best place must lead to be believed.")
    person_margin: float = param(0.25, "m", 0.0, 1.0, "Returns this near a tracked person's body are his.")
    odometry_jump: float = param(0.5, "m", 0.1, 10.0, "Greater leaps between scans are no motion.")


class LocalizationState(enum.Enum):
    """What is known about the pose."""

    UNKNOWN = "unknown"
    LOCALISED = "localised"
    UNCERTAIN = "uncertain"
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class LocalizationEstimate:
    """`pose` of the base in the map at `stamp`, `covariance` (3, 3) over x, y, yaw [m, rad].

    `map_to_odom` is the pose of the odom frame in the map. `quality` in [0, 1] is the smoothed share
    of beams explained; `good`, `short`, `through` are this scan's shares. `hypotheses` counts the
    places still possible; `errors` are the odometry's learned distance scale, turning scale, drift.
    """

    stamp: float
    pose: Pose2
    covariance: FloatArray
    map_to_odom: Pose2
    state: LocalizationState
    quality: float
    good: float
    short: float
    through: float
    hypotheses: int
    errors: tuple[float, float, float]

    @property
    def localised(self) -> bool:
        """True when the pose may be relied upon."""
        return self.state is LocalizationState.LOCALISED


@dataclass(slots=True)
class _Hypothesis:
    state: FloatArray
    covariance: FloatArray
    quality: float
    age: int = 0
    doubts: int = 0
    """Scans in a row that this place explains badly."""


_DEFAULT_COVARIANCE = np.diag([0.25, 0.25, 0.07])


class Localizer:
    """Estimates the pose on one map. Give it a pose with `set_pose` or let it search.

    Args:
        grid: the building.
        config: parameters.
    """

    def __init__(self, grid: OccupancyGrid, config: LocalizationConfig | None = None) -> None:
        self.config = config or LocalizationConfig()
        self.field: LikelihoodField = likelihood_field(grid)
        self.searches = 0
        """How often the whole map was searched."""
        self.jumps = 0
        """How often odometry leapt."""
        self._hypotheses: list[_Hypothesis] = []
        self._state = LocalizationState.UNKNOWN
        self._odom: Pose2 | None = None
        self._stamp = -np.inf
        self._search_wanted = False
        self._searched = -np.inf

    def set_pose(self, pose: Pose2, covariance: FloatArray | None = None) -> None:
        """Start from `pose` of the base in the map, with (3, 3) covariance (0.5 m, 15 deg when None).

        Raises:
            InputError: not finite, or the covariance is not positive definite.
        """
        spread = _DEFAULT_COVARIANCE if covariance is None else np.asarray(covariance, dtype=float)
        finite = np.isfinite(pose.array()).all() and spread.shape == (3, 3) and np.isfinite(spread).all()
        if not finite or (np.linalg.eigvalsh(spread) < 0.0).any():
            raise InputError(
                f"The initial pose {pose} or its covariance is unusable.", "Send finite numbers."
            )
        spread = spread + np.diag([1e-4, 1e-4, 1e-5])
        full = odometry_model.initial_covariance(spread, self.config)
        state = np.concatenate([pose.array(), np.zeros(3)])
        self._hypotheses = [_Hypothesis(state, full, self.config.found_score)]
        self._state = LocalizationState.UNCERTAIN
        self._odom = None
        self._search_wanted = False

    def search(self) -> None:
        """Search the whole map with the next scan, and again until a place is found."""
        self._search_wanted = True
        self._searched = -np.inf

    def reset_time(self) -> None:
        """Odometry starts anew (time ran back): keep the pose, forget the odometry before."""
        self._odom = None
        self._stamp = -np.inf
        self._searched = -np.inf

    def update(
        self, scan: LaserScan, odom: Pose2, mount: Pose2, people: People | None = None
    ) -> LocalizationEstimate | None:
        """Take in one scan.

        Args:
            scan: the scan.
            odom: pose of the base in the odom frame at the scan's time.
            mount: pose of the scanner in the base frame.
            people: tracked people in the odom frame; returns from them are left out.

        Returns:
            The estimate, None while nothing is known about the pose.

        Raises:
            InputError: a pose is not finite.
        """
        if not (np.isfinite(odom.array()).all() and np.isfinite(mount.array()).all()):
            raise InputError(f"Odometry {odom} or mount {mount} is not finite.", "Mend its publisher.")
        c = self.config
        if scan.stamp < self._stamp - 1.0:
            self.reset_time()
        elapsed = float(np.clip(scan.stamp - self._stamp, 0.01, 1.0))
        self._stamp = scan.stamp
        self._move(odom)
        beams = _without_people(thin(scan, mount, c), odom, people, c.person_margin)
        blend = 1.0 - np.exp(-elapsed / max(c.patience, 1e-3))
        shares = None
        for hypothesis in self._hypotheses:
            shares_here = self._correct(hypothesis, beams, mount, blend)
            shares = shares or shares_here
        self._judge(beams, mount)
        if not self._hypotheses:
            return None
        best = self._hypotheses[0]
        shares = shares or explain(self.field, beams, best.state[:3], mount, c)
        pose = Pose2(float(best.state[0]), float(best.state[1]), float(wrap(best.state[2])))
        return LocalizationEstimate(
            scan.stamp,
            pose,
            best.covariance[:3, :3].copy(),
            compose2(pose, inverse2(odom)),
            self._state,
            best.quality,
            shares.good,
            shares.short,
            shares.through,
            len(self._hypotheses),
            (float(best.state[3]), float(best.state[4]), float(best.state[5])),
        )

    def _move(self, odom: Pose2) -> None:
        last, self._odom = self._odom, odom
        if last is None:
            return
        moved = compose2(inverse2(last), odom)
        jumped = np.hypot(moved.x, moved.y) > self.config.odometry_jump
        self.jumps += int(jumped)
        for h in self._hypotheses:
            if jumped:
                h.covariance[:3, :3] += np.diag([0.1, 0.1, 0.05])
            else:
                h.state, h.covariance = odometry_model.predict(h.state, h.covariance, moved, self.config)

    def _correct(self, h: _Hypothesis, beams: Beams, mount: Pose2, blend: float) -> Explanation:
        """Fit one hypothesis to the scan; the odometry's error states follow by their correlation."""
        c = self.config
        prior = h.covariance[:3, :3]
        fit = match(self.field, beams.points, h.state[:3], prior, c)
        shares = explain(self.field, beams, fit.pose, mount, c)
        if shares.score < c.lost_score and (h.doubts < 3 or h.doubts % 5 == 0):
            again = self._look_around(h, beams, mount)
            if again is not None:
                fit, shares = again
                # Odometry failed here, by more than it is trusted to: doubt it as much as that.
                h.covariance[:3, :3] += np.diag([0.1, 0.1, 0.05])
                prior = h.covariance[:3, :3]
        change = fit.pose - h.state[:3]
        change[2] = wrap(change[2])
        gain = h.covariance[:, :3] @ np.linalg.inv(prior)
        h.state = h.state + gain @ change
        bound = np.array([0.5, 0.5, 0.3])
        h.state[3:] = np.clip(h.state[3:], -bound, bound)
        full = np.zeros((odometry_model.STATES, odometry_model.STATES))
        full[:3, :3] = fit.information
        posterior = np.linalg.inv(np.linalg.inv(h.covariance) + full)
        h.covariance = 0.5 * (posterior + posterior.T)
        # Returns are not independent from scan to scan: never believe in more than a centimetre.
        h.covariance[[0, 1, 2], [0, 1, 2]] += np.array([2e-5, 2e-5, 2e-6])
        h.quality += blend * (shares.score - h.quality)
        h.age += 1
        h.doubts = h.doubts + 1 if shares.score < c.lost_score else 0
        return shares

    def _look_around(self, h: _Hypothesis, beams: Beams, mount: Pose2) -> tuple[Match, Explanation] | None:
        """Fit again from headings to both sides, when a scan is explained badly (a bump, a slip)."""
        c = self.config
        wide = np.diag([0.25, 0.25, 0.04])
        best: tuple[Match, Explanation] | None = None
        for turn in np.radians([-40.0, -25.0, -12.0, 0.0, 12.0, 25.0, 40.0]):
            fit = match(self.field, beams.points, h.state[:3] + np.array([0.0, 0.0, turn]), wide, c)
            shares = explain(self.field, beams, fit.pose, mount, c)
            if best is None or shares.score > best[1].score:
                best = fit, shares
        # A wrong place may fit by half: to move the robot takes more than to keep it where it is.
        needed = 0.5 * (1.0 + c.found_score)
        return best if best is not None and best[1].score > needed - 0.05 else None

    def _judge(self, beams: Beams, mount: Pose2) -> None:
        """Sort hypotheses, drop the implausible, decide what is known, search when it must be."""
        c = self.config
        believed = self._hypotheses[0] if self._hypotheses else None
        ranked: list[_Hypothesis] = []
        for h in sorted(self._hypotheses, key=lambda h: -h.quality):
            twin = any(same_place(h.state, other.state) for other in ranked)
            behind = ranked and h.quality < ranked[0].quality - 2.0 * c.lead and h.age > 5
            if not twin and not behind:
                ranked.append(h)
        self._hypotheses = ranked
        lost = not ranked or ranked[0].quality < c.lost_score
        # Without any pose only a request starts a search; it stands until a place is found.
        wanted = self._search_wanted or (c.auto_search and bool(ranked) and lost)
        if wanted and self._stamp - self._searched >= c.search_interval:
            self._search(beams, mount)
            ranked = self._hypotheses
            lost = not ranked or ranked[0].quality < c.lost_score
        if not ranked:
            self._state = LocalizationState.UNKNOWN
        elif lost:
            self._state = LocalizationState.LOST
        else:
            clear = len(ranked) == 1 or ranked[0].quality - ranked[1].quality > c.lead
            sharp = float(np.sqrt(np.linalg.eigvalsh(ranked[0].covariance[:2, :2]).max())) < 1.0
            settled = ranked[0].age > 3 and ranked[0].quality > c.found_score
            was = self._state is LocalizationState.LOCALISED and ranked[0] is believed
            good = clear and sharp and (settled or was) and ranked[0].doubts < 3
            self._state = LocalizationState.LOCALISED if good else LocalizationState.UNCERTAIN

    def _search(self, beams: Beams, mount: Pose2) -> None:
        c = self.config
        self._searched = self._stamp
        self.searches += 1
        covariance = odometry_model.initial_covariance(np.diag([0.02, 0.02, 0.005]), c)
        found = search(self.field, beams, mount, c, c)
        if not found or found[0].score < c.lost_score:
            return  # nothing better than what there was
        self._search_wanted = False
        fresh = [
            _Hypothesis(np.concatenate([f.pose, np.zeros(3)]), covariance.copy(), f.score)
            for f in found[: c.hypotheses]
            if f.score > found[0].score - 3.0 * c.lead
        ]
        kept = [h for h in self._hypotheses if h.quality >= c.lost_score]
        self._hypotheses = sorted(kept + fresh, key=lambda h: -h.quality)[: c.hypotheses]


def _without_people(beams: Beams, odom: Pose2, people: People | None, margin: float) -> Beams:
    if people is None or len(people) == 0 or len(beams.points) == 0:
        return beams
    gaps = transform_points2(odom, beams.points)[:, None, :] - people.positions()[None]
    theirs = (np.einsum("ijk,ijk->ij", gaps, gaps) < (people.radii() + margin) ** 2).any(axis=1)
    keep = ~theirs
    return Beams(beams.points[keep], beams.angles[keep], beams.ranges[keep])
