"""Fit a scan to a map: Gauss-Newton on signed wall distances, with odometry as the prior.

Two things make it honest. The kernel is redescending (Geman-McClure), so people and moved furniture
lose their vote. And directions in which the walls say nothing (along a corridor) are taken out of the
scan's information before it is used (Zhang, Kaess and Singh, "On degeneracy of optimization-based
state estimation problems", ICRA 2016): there the odometry's estimate stands and its covariance grows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lifelong_nav.core.config import param
from lifelong_nav.core.geometry import rotation2
from lifelong_nav.core.types import FloatArray, LaserScan, Pose2
from lifelong_nav.perception.likelihood_field import LikelihoodField


@dataclass(frozen=True)
class MatchConfig:
    """Parameters of scan matching."""

    beams: int = param(120, "", 20, 2000, "Beams used of each scan, spread evenly.")
    range_limit: float = param(15.0, "m", 1.0, 100.0, "Farther returns are not used.")
    sigma: float = param(0.05, "m", 0.005, 0.5, "Spread of a return about a mapped wall.")
    kernel: float = param(0.15, "m", 0.02, 1.0, "Distance at which a return loses most of its weight.")
    independent: float = param(0.15, "", 0.01, 1.0, "Share of the beams that counts as independent.")
    degenerate: float = param(0.02, "", 0.0, 0.5, "Directions seen by less than this share are left out.")
    iterations: int = param(12, "", 1, 100, "Most Gauss-Newton steps.")
    inlier: float = param(0.2, "m", 0.02, 1.0, "Returns this near a mapped wall are explained.")


@dataclass(frozen=True, slots=True)
class Beams:
    """A thinned scan: `points` (M, 2) in the base frame, `angles` (M,) and `ranges` (M,) of the sensor."""

    points: FloatArray
    angles: FloatArray
    ranges: FloatArray


@dataclass(frozen=True, slots=True)
class Match:
    """`pose` (3,) x, y, yaw of the base in the map; `information` (3, 3) of the scan alone there."""

    pose: FloatArray
    information: FloatArray
    iterations: int


@dataclass(frozen=True, slots=True)
class Explanation:
    """Shares of beams: `good` end at mapped walls, `short` before (people), `through` behind walls."""

    good: float
    short: float
    through: float

    @property
    def score(self) -> float:
        """Quality in [0, 1]: explained beams among those that can tell; people count little."""
        total = self.good + self.through + 0.3 * self.short
        return self.good / total if total > 0.0 else 0.0


def thin(scan: LaserScan, mount: Pose2, config: MatchConfig) -> Beams:
    """Pick valid beams evenly by angle.

    Args:
        scan: the scan.
        mount: pose of the scanner in the base frame.
        config: number of beams, greatest range.
    """
    ranges = np.asarray(scan.ranges, dtype=float)
    keep = np.flatnonzero(scan.valid() & (ranges <= config.range_limit))
    if len(keep) > config.beams:
        keep = keep[np.linspace(0, len(keep) - 1, config.beams).astype(int)]
    angles, ranges = scan.angles()[keep], ranges[keep]
    points = np.stack([ranges * np.cos(angles), ranges * np.sin(angles)], axis=-1)
    return Beams(points @ rotation2(mount.yaw).T + mount.xy, angles, ranges)


def match(
    field: LikelihoodField,
    points: FloatArray,
    prior: FloatArray,
    covariance: FloatArray,
    config: MatchConfig,
) -> Match:
    """Most probable pose given odometry and the scan.

    Args:
        field: the map.
        points: (M, 2) returns in the base frame [m].
        prior: (3,) x, y, yaw expected by odometry.
        covariance: (3, 3) of the prior, positive definite.
        config: parameters.
    """
    pose = np.array(prior, dtype=float)
    if len(points) == 0:
        return Match(pose, np.zeros((3, 3)), 0)
    certainty = np.linalg.inv(covariance)
    # With an uncertain prior the kernel starts wide and narrows (graduated non-convexity).
    spread = np.sqrt(max(covariance[0, 0], covariance[1, 1]) + covariance[2, 2] * np.mean(points**2))
    width = float(np.clip(2.0 * spread, config.kernel, 1.0))
    lever = float(np.sqrt(np.mean(np.einsum("ij,ij->i", points, points)))) + 1e-6
    information: FloatArray = np.zeros((3, 3))
    steps = 0
    for _ in range(config.iterations):
        steps += 1
        information, pull = _linearise(field, points, pose, width, lever, config)
        rest = certainty @ (pose - prior)
        delta = np.linalg.solve(information + certainty, -(pull + rest))
        length = float(np.hypot(delta[0], delta[1]))
        delta *= min(1.0, 0.3 / max(length, 1e-9), 0.2 / max(abs(delta[2]), 1e-9))
        pose += delta
        if width <= config.kernel and length < 5e-4 and abs(delta[2]) < 2e-4:
            break
        width = max(config.kernel, 0.6 * width)
    pose[2] = (pose[2] + np.pi) % (2.0 * np.pi) - np.pi
    return Match(pose, information, steps)


def _linearise(
    field: LikelihoodField, points: FloatArray, pose: FloatArray, width: float, lever: float, c: MatchConfig
) -> tuple[FloatArray, FloatArray]:
    """Information (3, 3) of the scan about the pose, degenerate directions removed, and its pull (3,)."""
    turned = points @ rotation2(pose[2]).T
    distance, gradient = field.at(turned + pose[:2])
    weight = 1.0 / (1.0 + (distance / width) ** 2) ** 2
    jacobian = np.empty((len(points), 3))
    jacobian[:, :2] = gradient
    jacobian[:, 2] = gradient[:, 1] * turned[:, 0] - gradient[:, 0] * turned[:, 1]
    weighted = jacobian * weight[:, None]
    scale = c.independent / c.sigma**2
    hessian = weighted.T @ jacobian
    pull = weighted.T @ distance
    # In units where turning by one lever counts like moving by it, eigenvalues over the total weight
    # are the mean squared share of wall normals in a direction.
    unit = np.array([1.0, 1.0, 1.0 / lever])
    values, vectors = np.linalg.eigh(hessian * np.outer(unit, unit))
    strong = values > c.degenerate * max(weight.sum(), 0.05 * len(points))
    basis = vectors[:, strong]
    kept = (basis * values[strong]) @ basis.T / np.outer(unit, unit)
    force = (basis @ (basis.T @ (pull * unit))) / unit
    return scale * kept, scale * force


def explain(
    field: LikelihoodField, beams: Beams, pose: FloatArray, mount: Pose2, config: MatchConfig
) -> Explanation:
    """How well a pose accounts for a scan.

    Args:
        field: the map.
        beams: the thinned scan.
        pose: (3,) base in the map.
        mount: scanner in the base frame.
        config: parameters.
    """
    if len(beams.ranges) == 0:
        return Explanation(0.0, 0.0, 0.0)
    turn = rotation2(pose[2])
    near = np.abs(field.nearest(beams.points @ turn.T + pose[:2])) < config.inlier
    corner = turn @ mount.xy + pose[:2]
    sensor = Pose2(float(corner[0]), float(corner[1]), float(pose[2] + mount.yaw))
    expected = field.expected_ranges(sensor, beams.angles, config.range_limit)
    # A beam near some wall but through another one is not explained.
    through = beams.ranges > expected + 1.5 * config.inlier + 0.02 * expected
    good = near & ~through
    return Explanation(float(good.mean()), float((~near & ~through).mean()), float(through.mean()))
