"""What a planar scan says of the place: walls on both sides, width, doors, openings, dead ends.

Walls of buildings run along two directions: the one axis that most pieces of wall agree on (the mean of
the directions times four) is the passage's; along it the nearest long wall on each side gives the width.
A door is a gap between two ends of walls through which the beams go on.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lifelong_nav.core.config import param
from lifelong_nav.core.types import FloatArray, LaserScan, Pose2


@dataclass(frozen=True)
class PlaceConfig:
    """Reading a place from a scan."""

    look: float = param(5.0, "m", 1.0, 20.0, "How far ahead doors and openings are looked for.")
    corridor_width: float = param(4.3, "m", 1.0, 10.0, "Wider passages are no corridors.")
    narrow_width: float = param(1.9, "m", 0.5, 5.0, "Narrower corridors are called narrow.")
    wall_length: float = param(1.0, "m", 0.2, 5.0, "A wall is at least this long.")
    door_low: float = param(0.65, "m", 0.3, 2.0, "Narrowest gap that is a door.")
    door_high: float = param(1.45, "m", 0.5, 4.0, "Widest gap that is a door; wider ones are openings.")
    box_reach: float = param(2.3, "m", 1.0, 5.0, "A place whose walls are all nearer is a small box.")
    hall_area: float = param(62.0, "m^2", 10.0, 200.0, "A place with more floor within 8 m is an open hall.")
    door_depth: float = param(1.4, "m", 0.2, 5.0, "Free depth behind a gap that makes it a door, no recess.")


@dataclass(frozen=True, slots=True)
class Door:
    """A gap in a wall: bearing of its middle [rad], distance, width and free depth behind it [m]."""

    bearing: float
    distance: float
    width: float
    depth: float = float("nan")


@dataclass(frozen=True, slots=True)
class Place:
    """Shape of the surroundings; lengths [m], NaN where there is none.

    `kind` is "corridor", "doorway", "box", "open", "room" or "unknown"; `heading` [rad] is the
    passage's direction nearest to the robot's; `clear` is how far the way ahead is free of walls.
    `opens_left` and `opens_right`: the side wall of a corridor ends or gives way within reach.
    """

    kind: str = "unknown"
    width: float = float("nan")
    left: float = float("nan")
    right: float = float("nan")
    heading: float = 0.0
    clear: float = float("nan")
    doors: tuple[Door, ...] = ()
    opens_left: bool = False
    opens_right: bool = False
    narrow: bool = False
    area: float = float("nan")
    back: float = float("nan")

    @property
    def corner(self) -> str:
        """The side to which a corridor turns: "left", "right" or "" for straight ones and crossings."""
        if self.kind != "corridor" or self.opens_left == self.opens_right or self.clear > 9.0:
            return ""
        return "left" if self.opens_left else "right"

    @property
    def dead_end(self) -> bool:
        """A corridor that ends in a wall near by, with no way on."""
        closed = not (self.opens_left or self.opens_right)
        return self.kind == "corridor" and self.clear < 3.0 and closed and self.door_ahead() is None

    def door_ahead(self, half_angle: float = 0.7) -> Door | None:
        """The nearest door within `half_angle` [rad] of the heading."""
        ahead = [d for d in self.doors if abs(d.bearing) < half_angle]
        return min(ahead, key=lambda d: d.distance, default=None)


def read_place(
    scan: LaserScan,
    sensor: Pose2 | None = None,
    ignore: FloatArray | None = None,
    config: PlaceConfig | None = None,
) -> Place:
    """The place around the robot.

    Args:
        scan: any planar scan; broken ranges count as not seen.
        sensor: pose of the lidar on the robot; None for its centre.
        ignore: (N, 2) spots [m] in the robot's frame, such as people: returns within 0.45 m do not count.
        config: limits.
    """
    c = config or PlaceConfig()
    r, angle = _ranges(scan)
    if len(r) < 8 or not np.isfinite(r).any():
        return Place()
    mount = sensor or Pose2()
    seen = np.isfinite(r)
    reach = np.where(seen, r, 0.0)
    turn = angle + mount.yaw
    points = np.stack([reach * np.cos(turn) + mount.x, reach * np.sin(turn) + mount.y], axis=-1)
    if ignore is not None and len(ignore):
        apart = np.hypot(*(points[:, None] - ignore[None]).transpose(2, 0, 1)).min(axis=1)
        seen &= ~((apart < 0.45) & (r < scan.range_max * 0.999))
    hit = seen & (r < scan.range_max * 0.999)
    if hit.sum() < 8:
        return Place("open") if seen.sum() >= 8 else Place()
    p, rr = points[hit], r[hit]
    step = np.diff(p, axis=0)
    length = np.hypot(step[:, 0], step[:, 1])
    joined = length < np.maximum(0.25, 0.16 * rr[:-1])
    axis = _axis(p, joined)
    cs, sn = np.cos(axis), np.sin(axis)
    q = p @ np.array([[cs, -sn], [sn, cs]])
    left, left_bins = _side_wall(q, joined, 1.0, c)
    right, right_bins = _side_wall(q, joined, -1.0, c)
    back, _ = _side_wall(q @ _QUARTER, joined, 1.0, c)
    clear, behind = _clear(p, rr), _clear(-p, rr)
    doors = _doors(points, r, seen, c)
    area, high = _area(r, turn), float(np.percentile(r[seen], 90))
    width = left + right
    runs = min(left_bins.sum(), right_bins.sum()) * _BIN
    shut = clear < 2.6 or any(abs(d.bearing) < 0.7 and d.distance < 2.4 for d in doors)
    ahead = min([clear, *(d.distance for d in doors if abs(d.bearing) < 0.4)])
    kind = "room"
    if high < c.box_reach or (width < 3.0 and back < c.box_reach and shut):
        kind = "box"
    elif width < c.corridor_width and runs >= max(1.8, 0.8 * width) and ahead + behind > 1.8 * width:
        kind = "corridor"
    elif _pinched(p):
        kind = "doorway"
    elif area > c.hall_area:
        kind = "open"
    corridor = kind == "corridor"
    limit = min([clear, c.look, *(d.distance - 0.3 for d in doors if abs(d.bearing) < 0.5)])
    return Place(
        kind,
        width if corridor else float("nan"),
        left,
        right,
        axis,
        clear,
        doors,
        corridor and _opens(left_bins, limit),
        corridor and _opens(right_bins, limit),
        corridor and width < c.narrow_width,
        area,
        back,
    )


_QUARTER = np.array([[0.0, -1.0], [1.0, 0.0]])  # what lies behind comes to the left
_BIN = 0.4
_FIRST, _LAST = -2.0, 6.0
_BINS = round((_LAST - _FIRST) / _BIN)


def _ranges(scan: LaserScan) -> tuple[FloatArray, FloatArray]:
    """Ranges with no return as the greatest range and broken ones as NaN, by rising angle."""
    r = np.asarray(scan.ranges, dtype=float).ravel()
    angle = scan.angle_min + scan.angle_increment * np.arange(len(r))
    with np.errstate(invalid="ignore"):
        r = np.where(np.isposinf(r) | (r > scan.range_max), scan.range_max, r)
        r = np.where(r < max(scan.range_min, 1e-3), np.nan, r)
    r[~np.isfinite(r)] = np.nan
    if not np.isfinite(angle).all() or not np.isfinite(scan.range_max):
        return np.zeros(0), np.zeros(0)
    return (r, angle) if scan.angle_increment >= 0 else (r[::-1], angle[::-1])


def _axis(p: FloatArray, joined: NDArray[np.bool_]) -> float:
    """Direction [rad] within 45 deg of the heading that most pieces of wall are parallel or square to."""
    far = np.minimum(np.arange(len(p)) + 4, len(p) - 1)
    whole = np.concatenate([[0], np.cumsum(~joined)])
    same = whole[far] == whole[: len(p)]
    chord = (p[far] - p)[same]
    weight = np.minimum(np.hypot(chord[:, 0], chord[:, 1]), 0.6)
    mean = (weight * np.exp(4j * np.arctan2(chord[:, 1], chord[:, 0]))).sum()
    return float(np.angle(mean) / 4.0) if abs(mean) > 1e-9 else 0.0


def _side_wall(
    q: FloatArray, joined: NDArray[np.bool_], hand: float, c: PlaceConfig
) -> tuple[float, NDArray[np.bool_]]:
    """Distance of the nearest long wall on one side, and which bins along the way it fills."""
    bins = np.zeros(_BINS, dtype=bool)
    y = hand * q[:, 1]
    along = np.abs(np.diff(q[:, 0]))
    flat = joined & (np.abs(np.diff(q[:, 1])) < 0.35 * along + 0.03) & (y[:-1] > 0.15)
    flat &= (q[:-1, 0] > _FIRST - 1.0) & (q[:-1, 0] < _LAST)
    if not flat.any():
        return float("nan"), bins
    offset = y[:-1][flat]
    raw = np.bincount((offset / 0.1).astype(np.int64), weights=along[flat])
    total = np.convolve(raw, np.ones(3), "same")
    long = np.flatnonzero(total >= c.wall_length)
    if not len(long):
        return float("nan"), bins
    first = int(long[0])
    best = first + int(np.argmax(total[first : first + 3]))
    near = np.abs(offset - (best + 0.5) * 0.1) < 0.2
    wall = float(np.average(offset[near], weights=along[flat][near] + 1e-9))
    on = flat & (np.abs(y[:-1] - wall) < 0.35) & (np.abs(y[1:] - wall) < 0.35)
    low = np.minimum(q[:-1, 0], q[1:, 0])[on]
    high = np.maximum(q[:-1, 0], q[1:, 0])[on]
    middle = _FIRST + (np.arange(_BINS) + 0.5) * _BIN
    bins = ((middle[:, None] > low - 0.5 * _BIN) & (middle[:, None] < high + 0.5 * _BIN)).any(axis=1)
    return wall, bins


def _opens(bins: NDArray[np.bool_], limit: float) -> bool:
    """A gap of 1.2 m and more in a side wall before `limit` [m]."""
    first, last = round(-_FIRST / _BIN), int((limit - _FIRST) / _BIN)
    holes = ~bins[first:last]
    return bool(len(holes) >= 3 and (holes[2:] & holes[1:-1] & holes[:-2]).any())


def _area(r: FloatArray, turn: FloatArray) -> float:
    """Floor [m^2] that can be seen within 8 m."""
    near = np.minimum(np.where(np.isfinite(r), r, 0.0), 8.0)
    return float(0.5 * (near[1:] * near[:-1] * np.sin(np.minimum(np.diff(turn), 0.5))).sum())


def _clear(p: FloatArray, r: FloatArray) -> float:
    """Free length [m] of the lane 0.5 m wide ahead."""
    lane = (p[:, 0] > 0.1) & (np.abs(p[:, 1]) < 0.25)
    return float(p[lane, 0].min()) if lane.any() else float(max(r.max(), 0.0))


def _pinched(p: FloatArray) -> bool:
    """Something close on both hands, and nothing else near: between door posts."""
    side = np.abs(p[:, 0]) < 0.45
    left, right = p[side & (p[:, 1] > 0.0), 1], p[side & (p[:, 1] < 0.0), 1]
    return bool(len(left) and len(right) and left.min() - right.max() < 1.6)


def _doors(points: FloatArray, r: FloatArray, seen: NDArray[np.bool_], c: PlaceConfig) -> tuple[Door, ...]:
    """Gaps between ends of walls through which the beams go at least 0.4 m farther, nearest first."""
    index = np.flatnonzero(seen)
    p, rr = points[index], r[index]
    jump = np.diff(rr)
    size = np.maximum(0.4, 0.1 * np.minimum(rr[:-1], rr[1:]))
    up, down = np.flatnonzero(jump > size), np.flatnonzero(-jump > size) + 1  # the posts' own points
    run = np.concatenate([[0], np.cumsum(np.abs(jump) > size)])
    count = np.bincount(run)
    ends = np.searchsorted(run, np.arange(len(count)), "right") - 1
    starts = np.searchsorted(run, np.arange(len(count)), "left")
    extent = np.hypot(*(p[ends] - p[starts]).T)
    up, down = up[extent[run[up]] > 0.3], down[extent[run[down]] > 0.3]
    up, down = up[rr[up] < c.look], down[rr[down] < c.look]
    if not len(up) or not len(down):
        return ()
    a, b = np.repeat(up, len(down)), np.tile(down, len(up))
    gap = np.hypot(*(p[b] - p[a]).T)
    fits = (b > a + 1) & (gap >= c.door_low) & (gap <= c.door_high) & (b - a < len(p) // 2)
    order = np.flatnonzero(fits)[np.argsort(gap[fits])][:24]
    found: list[Door] = []
    for k in order:
        post, line = p[a[k]], (p[b[k]] - p[a[k]]) / gap[k]
        beyond = line[0] * (p[a[k] + 1 : b[k], 1] - post[1]) - line[1] * (p[a[k] + 1 : b[k], 0] - post[0])
        beyond = beyond * np.sign(line[0] * post[1] - line[1] * post[0])  # positive on the far side
        middle = 0.5 * (post + p[b[k]])
        distance = float(np.hypot(*middle))
        depth = float(np.percentile(beyond, 80))
        if beyond.min() < 0.05 or np.median(beyond) < 0.4 or depth < c.door_depth:
            continue
        if all(np.hypot(*(middle - _at(d))) > 0.6 for d in found):
            found.append(Door(float(np.arctan2(middle[1], middle[0])), distance, float(gap[k]), depth))
    return tuple(sorted(found, key=lambda d: d.distance))


def _at(d: Door) -> FloatArray:
    return d.distance * np.array([np.cos(d.bearing), np.sin(d.bearing)])
