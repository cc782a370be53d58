"""A laser scan cut into clusters, each with the numbers that tell legs from walls.

Segmentation by an adaptive jump distance (Arras et al., "Using Boosted Features for the Detection of
People in 2D Range Data", ICRA 2007, section III); all sums per cluster with `numpy.add.reduceat`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lifelong_nav.core.errors import InputError
from lifelong_nav.core.types import FloatArray, LaserScan

MAX_BEAMS = 20_000
_FAULT_SHARE = 0.5
WALL = 0.7
"""Wider clusters are walls or large furniture [m]."""


class SensorFault(InputError):
    """The scan cannot be used: empty, impossible geometry, or more than half its beams invalid."""


@dataclass(frozen=True, slots=True)
class Clusters:
    """C clusters of neighbouring beams, in the sensor frame, ordered by bearing.

    `centre` (C, 2) [m]; `distance` (C,) [m] of the centre; `count` (C,) beams; `width` (C,) [m] between
    the end points, widened by one beam spacing; `thickness` (C,) [m] spread across the main axis;
    `bulge` (C,) [m] how far the middle stands out of the chord towards the sensor; `roughness` (C,)
    spread of the gaps between neighbouring points over their mean; `jump` (C, 2) [m] how much farther
    away the surface beside the cluster is, right and left (negative: something nearer hides the
    edge); `spacing` (C,) [m] between beams at that range; `wall_gap` (C,) [m] from its end points to
    those of a neighbouring cluster wider than `WALL`; `in_line` (C,) True where the cluster continues a
    line from the one before to the one after, as pieces of a wall seen at a slant do.
    """

    centre: FloatArray
    distance: FloatArray
    count: NDArray[np.int64]
    width: FloatArray
    thickness: FloatArray
    bulge: FloatArray
    roughness: FloatArray
    jump: FloatArray
    spacing: FloatArray
    wall_gap: FloatArray
    in_line: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.distance)

    def select(self, keep: NDArray[np.generic]) -> Clusters:
        """The clusters at these indices (or where this mask is True)."""
        return Clusters(*(getattr(self, name)[keep] for name in self.__slots__))


def check_scan(scan: LaserScan) -> FloatArray:
    """Ranges (N,) as float64: metres, +inf for "nothing within range", NaN for "no information".

    NaN, negative, -inf and 0 < r < range_min are invalid beams. Exactly 0 is how several drivers say
    "no return": it carries no information and is no fault, unless nothing else is in the scan.
    A finite range beyond `range_max` counts as +inf.

    Raises:
        SensorFault: no beams, unusable geometry, or more than half of the beams invalid.
    """
    ranges = np.array(scan.ranges, dtype=float).reshape(-1)
    numbers = (scan.stamp, scan.angle_min, scan.angle_increment, scan.range_min, scan.range_max)
    if not 1 <= len(ranges) <= MAX_BEAMS:
        raise SensorFault(f"The scan has {len(ranges)} beams.", f"Publish 1 to {MAX_BEAMS} beams.")
    if not np.isfinite(numbers).all() or scan.angle_increment == 0.0 or scan.range_max <= scan.range_min:
        raise SensorFault(
            f"Scan geometry is unusable: stamp, angle_min, increment, range_min, range_max = {numbers}.",
            "Mend the lidar driver's configuration.",
        )
    if abs(scan.angle_increment) * (len(ranges) - 1) > 2.0 * np.pi + 2.0 * abs(scan.angle_increment):
        raise SensorFault(
            f"{len(ranges)} beams of {scan.angle_increment} rad make more than one turn.",
            "Mend the lidar driver's configuration.",
        )
    with np.errstate(invalid="ignore"):
        silent = ranges == 0.0
        invalid = np.isnan(ranges) | ((ranges < max(scan.range_min, 0.0)) & ~silent)
        ranges[ranges > scan.range_max] = np.inf
    if invalid.mean() > _FAULT_SHARE or (invalid | silent).all():
        raise SensorFault(
            f"{invalid.sum()} of {len(ranges)} beams are invalid (NaN, negative or below range_min).",
            "Clean or check the lidar; people are not seen until it recovers.",
        )
    ranges[invalid | silent] = np.nan
    return ranges


def segment(
    ranges: FloatArray, angles: FloatArray, jump: float, max_skip: int = 2
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Cut a scan where neighbouring returns lie farther apart than the jump distance.

    Args:
        ranges: (N,) [m]; non-finite ones are skipped.
        angles: (N,) [rad], evenly spaced.
        jump: distance [m] that separates clusters at range 0; one and a half beam spacings are added.
        max_skip: silent beams a cluster may span.

    Returns:
        order: (M,) beam index of every finite return, turned so that a full-circle scan starts at a cut.
        starts: (C,) positions in `order` where clusters begin.
    """
    order = np.flatnonzero(np.isfinite(ranges))
    if len(order) == 0:
        return order, order
    step = abs(angles[1] - angles[0]) if len(angles) > 1 else 0.0
    x, y, r = ranges[order] * np.cos(angles[order]), ranges[order] * np.sin(angles[order]), ranges[order]

    # entry k: cut between return k - 1 and return k; entry 0 joins the last return with the first
    previous = np.roll(np.arange(len(order)), 1)
    gap = np.hypot(x - x[previous], y - y[previous])
    skipped = (order - order[previous]) % len(ranges)
    limit = jump + 1.5 * step * np.minimum(r, r[previous])
    cut = (gap > limit) | (skipped > max_skip)
    circle = step * len(ranges) > 2.0 * np.pi - 1.5 * step
    if not circle or not cut.any():
        cut[0] = True
    first = int(np.argmax(cut))
    return np.roll(order, -first), np.flatnonzero(np.roll(cut, -first))


def describe(
    ranges: FloatArray, angles: FloatArray, order: NDArray[np.int64], starts: NDArray[np.int64]
) -> Clusters:
    """Measure every cluster of `segment`; see `Clusters`. Ranges: +inf is far, NaN unknown."""
    if len(starts) == 0:
        none = np.zeros(0)
        whole = np.zeros(0, dtype=np.int64)
        return Clusters(
            np.zeros((0, 2)), none, whole, none, none, none, none, np.zeros((0, 2)), none, none, none > 0
        )
    step = abs(angles[1] - angles[0]) if len(angles) > 1 else 0.0
    r = ranges[order]
    points = np.stack([r * np.cos(angles[order]), r * np.sin(angles[order])], axis=1)
    ends = np.append(starts[1:], len(order)) - 1
    count = ends - starts + 1
    centre = np.add.reduceat(points, starts) / count[:, None]
    distance = np.maximum(np.hypot(*centre.T), 1e-6)
    spacing = step * distance
    label = np.repeat(np.arange(len(starts)), count)

    off = points - centre[label]
    xx, yy, xy = (
        np.add.reduceat(a, starts) / count
        for a in (off[:, 0] * off[:, 0], off[:, 1] * off[:, 1], off[:, 0] * off[:, 1])
    )
    half = 0.5 * (xx + yy)
    thickness = np.sqrt(np.maximum(half - np.hypot(0.5 * (xx - yy), xy), 0.0))

    chord = points[ends] - points[starts]
    length = np.hypot(*chord.T)
    normal = np.stack([-chord[:, 1], chord[:, 0]], axis=1) / np.maximum(length, 1e-9)[:, None]
    normal *= -np.sign(np.sum(normal * centre, axis=1))[:, None]
    out = np.sum((points - points[starts][label]) * normal[label], axis=1)
    bulge = np.where(count >= 3, np.maximum.reduceat(out, starts), 0.0)

    gaps = np.hypot(*np.diff(points, axis=0, prepend=points[:1]).T)
    gaps[starts] = 0.0
    inner = np.maximum(count - 1, 1)
    mean_gap = np.add.reduceat(gaps, starts) / inner
    spread = np.add.reduceat(gaps * gaps, starts) / inner - mean_gap**2
    roughness = np.where(count >= 3, np.sqrt(np.maximum(spread, 0.0)) / np.maximum(mean_gap, 1e-6), 0.0)

    jump = np.stack([_beside(ranges, order[starts], -1), _beside(ranges, order[ends], 1)], axis=1)
    width = length + spacing
    between = np.hypot(*(points[starts] - points[np.roll(ends, 1)]).T)  # to the cluster before
    before = np.where(np.roll(width, 1) > WALL, between, np.inf)
    after = np.where(np.roll(width, -1) > WALL, np.roll(between, -1), np.inf)
    gap = np.minimum(before, after) if len(starts) > 1 else np.full(1, np.inf)
    line = _in_line(points[starts], points[ends], centre, between, width)
    return Clusters(centre, distance, count, width, thickness, bulge, roughness, jump, spacing, gap, line)


def _in_line(
    first: FloatArray, last: FloatArray, centre: FloatArray, between: FloatArray, width: FloatArray
) -> NDArray[np.bool_]:
    before, after = np.roll(last, 1, axis=0), np.roll(first, -1, axis=0)
    chord = after - before
    length = np.maximum(np.hypot(*chord.T), 1e-6)
    away = centre - before
    off = np.abs(chord[:, 0] * away[:, 1] - chord[:, 1] * away[:, 0]) / length
    close = (between < 1.0) & (np.roll(between, -1) < 1.0) & (length > 0.2)
    walls = np.maximum(np.roll(width, 1), np.roll(width, -1)) > 0.25
    return close & walls & (off < 0.06)


def _beside(ranges: FloatArray, edge: NDArray[np.int64], direction: int) -> FloatArray:
    """How much farther [m] the nearest of the two beams beside an edge sees; 10 for "nothing there"."""
    n = len(ranges)
    seen = np.stack([ranges[(edge + direction * k) % n] for k in (1, 2)])
    seen = np.where(np.isnan(seen), np.inf, seen)
    return np.minimum(np.min(seen, axis=0) - ranges[edge], 10.0)
