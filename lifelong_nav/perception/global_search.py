"""Where on the map could this scan have been taken? A bounded search over all free places."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lifelong_nav.core.config import param
from lifelong_nav.core.geometry import angle_difference
from lifelong_nav.core.types import FloatArray, Pose2
from lifelong_nav.perception.likelihood_field import LikelihoodField
from lifelong_nav.perception.scan_matching import Beams, MatchConfig, explain, match


@dataclass(frozen=True)
class SearchConfig:
    """Parameters of the global search."""

    spacing: float = param(0.25, "m", 0.05, 2.0, "Distance between places tried.")
    headings: int = param(60, "", 8, 720, "Headings tried at each place.")
    search_beams: int = param(40, "", 8, 400, "Beams used to try a place.")
    most_places: int = param(20000, "", 100, 1000000, "Larger maps are searched more coarsely.")
    candidates: int = param(60, "", 1, 1000, "Best places that are refined.")


@dataclass(frozen=True, slots=True)
class Candidate:
    """A place that could be right: `pose` (3,), `score` in [0, 1]."""

    pose: FloatArray
    score: float


def search(
    field: LikelihoodField, beams: Beams, mount: Pose2, matching: MatchConfig, config: SearchConfig
) -> list[Candidate]:
    """Candidates, best first, distinct by 0.5 m or 20 deg.

    Every free place and heading is rated by how near the scan's returns come to walls; the best are
    refined by scan matching and rated again with the beams' ways considered. Time is bounded by
    `most_places` x `headings` x `search_beams` look-ups (about 2e7 per second) plus `candidates` fits.
    """
    if len(beams.points) < 8:
        return []
    poses, rating = _coarse(field, beams, config)
    wide = np.diag([0.3**2, 0.3**2, 0.15**2])
    found: list[Candidate] = []
    for pose in _distinct(poses, rating, config.candidates, 0.4, 0.2):
        fit = match(field, beams.points, pose, wide, matching)
        found.append(Candidate(fit.pose, explain(field, beams, fit.pose, mount, matching).score))
    found.sort(key=lambda candidate: -candidate.score)
    best: list[Candidate] = []
    for candidate in found:
        if not any(same_place(candidate.pose, other.pose) for other in best):
            best.append(candidate)
    return best


def same_place(a: FloatArray, b: FloatArray, distance: float = 0.5, angle: float = 0.35) -> bool:
    """True when two poses (3,) are within `distance` [m] and `angle` [rad]."""
    near = float(np.hypot(a[0] - b[0], a[1] - b[1])) < distance
    return near and abs(float(angle_difference(a[2], b[2]))) < angle


def _coarse(field: LikelihoodField, beams: Beams, c: SearchConfig) -> tuple[FloatArray, FloatArray]:
    """(P, 3) poses and (P,) ratings: the best heading-wise three of every place."""
    res = field.resolution
    spacing = c.spacing
    area = float(field.free.sum()) * res**2
    spacing = max(spacing, float(np.sqrt(area / c.most_places)))
    stride = max(1, round(spacing / res))
    chosen = np.linspace(0, len(beams.points) - 1, c.search_beams).astype(int)
    points = beams.points[np.unique(chosen)]
    # A margin as wide as the longest beam saves every bounds check.
    pad = int(np.ceil(np.linalg.norm(points, axis=1).max() / res)) + 2
    spread = max(0.2, 0.6 * spacing)
    likely = np.exp(-0.5 * (field.signed / spread) ** 2)
    table = np.pad((255.0 * likely).astype(np.uint8), pad)
    width = table.shape[1]
    rows, columns = np.nonzero(field.free[::stride, ::stride] & (field.signed[::stride, ::stride] > 0.15))
    rows, columns = rows * stride, columns * stride
    base = ((rows + pad) * width + columns + pad).astype(np.int32)
    flat = table.ravel()
    yaws = np.arange(c.headings) * (2.0 * np.pi / c.headings)
    sums = np.empty((c.headings, len(base)), dtype=np.float32)
    for k, yaw in enumerate(yaws):
        cos, sin = np.cos(yaw), np.sin(yaw)
        dx = np.rint((cos * points[:, 0] - sin * points[:, 1]) / res).astype(np.int32)
        dy = np.rint((sin * points[:, 0] + cos * points[:, 1]) / res).astype(np.int32)
        total = np.zeros(len(base), dtype=np.int32)
        for offset in dy * width + dx:
            total += flat[base + offset]
        sums[k] = total
    best = np.argsort(-sums, axis=0)[:3].ravel()
    place = np.tile(np.arange(len(base)), 3)
    x = (columns[place] + 0.5) * res + field.origin[0]
    y = (rows[place] + 0.5) * res + field.origin[1]
    rating = sums[best, place] / (255.0 * len(points))
    return np.stack([x, y, yaws[best]], axis=-1), rating


def _distinct(
    poses: FloatArray, rating: FloatArray, most: int, distance: float, angle: float
) -> list[FloatArray]:
    """The best-rated poses that are apart from each other."""
    out: list[FloatArray] = []
    kept = np.zeros((0, 3))
    for index in np.argsort(-rating)[: 40 * most]:
        pose = poses[index]
        if len(kept):
            near = np.hypot(kept[:, 0] - pose[0], kept[:, 1] - pose[1]) < distance
            if (near & (np.abs(angle_difference(kept[:, 2], pose[2])) < angle)).any():
                continue
        out.append(pose)
        kept = np.array(out)
        if len(out) == most:
            break
    return out
