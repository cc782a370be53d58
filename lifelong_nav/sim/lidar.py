"""The planar lidar: `exact` by PyBullet's rays, `fast` by plane geometry in numpy, and its noise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lifelong_nav.core.config import param
from lifelong_nav.core.types import FloatArray
from lifelong_nav.sim.door_urdf import THICKNESS as DOOR_THICKNESS
from lifelong_nav.sim.scene import Scene
from lifelong_nav.sim.shapes import wall_shapes

if TYPE_CHECKING:  # plane geometry needs no physics engine
    from lifelong_nav.sim.physics import World


@dataclass(frozen=True)
class LidarConfig:
    """The sensor."""

    mode: str = param(
        "exact", doc="Rays through the physics world, or plane geometry.", choices=("exact", "fast")
    )
    beams: int = param(360, "", 8, 4000, "Beams per scan.")
    rate: float = param(10.0, "Hz", 0.0, 60.0, "Scans per second; 0 for none.")
    field_of_view: float = param(360.0, "deg", 10.0, 360.0, "Angle covered, centred on the front.")
    range_min: float = param(0.1, "m", 0.0, 5.0, "Nearer returns are lost.")
    range_max: float = param(12.0, "m", 0.5, 100.0, "Farther returns are lost (+inf).")
    sigma: float = param(0.01, "m", 0.0, 1.0, "Standard deviation of a range.")
    dropout: float = param(0.003, "", 0.0, 1.0, "Share of beams that return nothing.")
    mixed: float = param(0.3, "", 0.0, 1.0, "Share of beams at an edge that return a range in between.")

    @property
    def increment(self) -> float:
        """Angle between beams [rad]."""
        full = self.field_of_view >= 360.0
        return float(np.radians(self.field_of_view)) / (self.beams if full else self.beams - 1)

    @property
    def angle_min(self) -> float:
        """Direction of the first beam [rad]."""
        return -float(np.radians(self.field_of_view)) / 2.0

    def angles(self) -> FloatArray:
        """(B,) directions of the beams [rad] in the sensor's frame."""
        return self.angle_min + self.increment * np.arange(self.beams)


def exact_ranges(world: World, transform: FloatArray, angles: FloatArray, range_max: float) -> FloatArray:
    """(B,) true ranges [m] along rays from a sensor at `transform` (4, 4); +inf beyond `range_max`."""
    beams = np.stack([np.cos(angles), np.sin(angles), np.zeros_like(angles)], axis=-1)
    starts = np.broadcast_to(transform[:3, 3], beams.shape)
    ends = starts + (range_max * beams) @ transform[:3, :3].T
    share = world.cast(starts, ends)
    return np.where(share < 1.0, share * range_max, np.inf)


def fast_ranges(
    origin: FloatArray, angle_min: float, increment: float, beams: int, segments: FloatArray,
    circles: FloatArray, range_max: float,
) -> FloatArray:  # fmt: skip
    """(B,) ranges [m] in the plane; every segment and circle is tried only on the beams it can meet.

    Args:
        origin: (2,) of the sensor in the world [m].
        angle_min: direction of the first beam in the world [rad].
        increment: angle between beams [rad], > 0; the fan covers at most a full turn.
        beams: their number B.
        segments: (M, 4) x1, y1, x2, y2 [m].
        circles: (K, 3) x, y, radius [m].
        range_max: [m].

    Returns:
        Ranges, +inf where nothing lies within `range_max`.
    """
    out = np.full(beams, np.inf)
    _meet_segments(out, origin, angle_min, increment, np.asarray(segments, dtype=float), range_max)
    _meet_circles(out, origin, angle_min, increment, np.asarray(circles, dtype=float), range_max)
    out[out > range_max] = np.inf
    return out


def _meet_segments(
    out: FloatArray,
    origin: FloatArray,
    angle_min: float,
    increment: float,
    segments: FloatArray,
    reach: float,
) -> None:
    if len(segments) == 0:
        return
    ox, oy = float(origin[0]), float(origin[1])
    ax, ay, bx, by = segments[:, 0] - ox, segments[:, 1] - oy, segments[:, 2] - ox, segments[:, 3] - oy
    cross = ax * by - ay * bx
    dx, dy = bx - ax, by - ay
    length2 = dx * dx + dy * dy
    # distance of the carrying line bounds that of the segment from below
    near = (cross * cross < reach * reach * length2) & (np.abs(cross) > 1e-12)
    ax, ay, bx, by, dx, dy, cross = (v[near] for v in (ax, ay, bx, by, dx, dy, cross))
    flip = cross < 0.0  # order the ends counter-clockwise
    a0 = np.arctan2(np.where(flip, by, ay), np.where(flip, bx, ax))
    a1 = np.arctan2(np.where(flip, ay, by), np.where(flip, ax, bx))
    rows, index, angles = _spans(a0, (a1 - a0) % (2.0 * np.pi), angle_min, increment, len(out))
    # ray t * u meets a + s * d where t = cross(a, d) / cross(u, d), and cross(a, d) = cross(a, b)
    bottom = np.cos(angles) * dy[rows] - np.sin(angles) * dx[rows]
    with np.errstate(divide="ignore", invalid="ignore"):
        t = cross[rows] / bottom
    np.minimum.at(out, index, np.where(t > 0.0, t, np.inf))


def _meet_circles(
    out: FloatArray, origin: FloatArray, angle_min: float, increment: float, circles: FloatArray, reach: float
) -> None:
    if len(circles) == 0:
        return
    dx, dy, radius = circles[:, 0] - origin[0], circles[:, 1] - origin[1], circles[:, 2]
    distance = np.hypot(dx, dy)
    keep = (distance > radius) & (distance - radius < reach)
    dx, dy, radius, distance = dx[keep], dy[keep], radius[keep], distance[keep]
    half = np.arcsin(np.minimum(radius / distance, 1.0))
    rows, index, angles = _spans(np.arctan2(dy, dx) - half, 2.0 * half, angle_min, increment, len(out))
    ux, uy = np.cos(angles), np.sin(angles)
    along = ux * dx[rows] + uy * dy[rows]
    root = radius[rows] ** 2 - (distance[rows] ** 2 - along**2)
    t = along - np.sqrt(np.maximum(root, 0.0))
    np.minimum.at(out, index, np.where(root >= 0.0, t, np.inf))


def _spans(
    start: FloatArray, width: FloatArray, angle_min: float, increment: float, beams: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], FloatArray]:
    """Beams within [start, start + width] of every span: row of the span, beam index, world angle."""
    turn = 2.0 * np.pi
    offset = (start - angle_min) % turn
    # a span that begins before the fan's first beam reaches into it one turn earlier
    offset = np.concatenate([offset, offset - turn])
    first = np.maximum(np.ceil(offset / increment - 1e-9), 0.0).astype(np.int64)
    last = np.floor((offset + np.concatenate([width, width])) / increment + 1e-9).astype(np.int64)
    count = np.maximum(np.minimum(last, beams - 1) - first + 1, 0)
    rows = np.repeat(np.arange(len(offset)), count)
    ends = np.cumsum(count)
    index = np.arange(ends[-1] if len(ends) else 0) - np.repeat(ends - count, count) + np.repeat(first, count)
    return rows % max(len(start), 1), index, angle_min + index * increment


def noisy_ranges(
    ranges: FloatArray, config: LidarConfig, scale: float, rng: np.random.Generator
) -> FloatArray:
    """(B,) float32 ranges as the sensor reports them.

    Args:
        ranges: (B,) true ranges [m], +inf for none.
        config: the sensor's noise and limits.
        scale: factor on all noise; 0 gives the true ranges.
        rng: the draws do not depend on what is seen.
    """
    n = len(ranges)
    normal, lost, blend, share = rng.standard_normal(n), rng.random(n), rng.random(n), rng.random(n)
    out = ranges + scale * config.sigma * normal
    neighbour = np.roll(ranges, -1)
    if config.field_of_view < 360.0:
        neighbour[-1] = ranges[-1]
    # A beam that falls half on the nearer surface reads in between; only close edges blend, as pulses merge.
    both = np.isfinite(ranges) & np.isfinite(neighbour)
    step = np.subtract(neighbour, ranges, out=np.zeros(n), where=both)
    mix = (np.abs(step) > 0.15) & (np.abs(step) < 1.0) & (blend < scale * config.mixed)
    out = np.where(mix, ranges + share * step, out)
    out[(lost < scale * config.dropout) | ~(out <= config.range_max) | (out < config.range_min)] = np.inf
    return out.astype(np.float32)


def rectangles(rows: FloatArray) -> FloatArray:
    """(4 K, 4) sides of rectangles (K, 5): centre x, y [m], yaw [rad], length, width [m]."""
    rows = np.asarray(rows, dtype=float).reshape(-1, 5)
    c, s = np.cos(rows[:, 2]), np.sin(rows[:, 2])
    signs = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)]) / 2.0
    local = signs[None] * rows[:, None, 3:5]
    x = rows[:, None, 0] + c[:, None] * local[..., 0] - s[:, None] * local[..., 1]
    y = rows[:, None, 1] + s[:, None] * local[..., 0] + c[:, None] * local[..., 1]
    corners = np.stack([x, y], axis=-1)
    return np.concatenate([corners, np.roll(corners, -1, axis=1)], axis=-1).reshape(-1, 4)


def static_slice(scene: Scene, height: float) -> tuple[FloatArray, FloatArray]:
    """Walls and fixed furniture cut at `height` [m]: segments (M, 4) and circles (K, 3)."""
    rows, circles = [], []
    for wall in wall_shapes(scene.walls):
        if wall.size[2] > height:
            yaw = np.arctan2(wall.pose[1, 0], wall.pose[0, 0])
            rows.append((wall.pose[0, 3], wall.pose[1, 3], yaw, wall.size[0], wall.size[1]))
    for box in scene.boxes:
        if box.mass > 0.0 or not box.z < height < box.z + box.size[2]:
            continue
        if box.shape == "cylinder":
            circles.append((box.x, box.y, box.size[0] / 2.0))
        else:
            rows.append((box.x, box.y, box.yaw, box.size[0], box.size[1]))
    return rectangles(np.array(rows, dtype=float)), np.array(circles, dtype=float).reshape(-1, 3)


def door_slice(scene: Scene, angles: FloatArray) -> FloatArray:
    """(4 D, 4) sides of the door leaves opened by `angles` (D,) [rad]."""
    if not scene.doors:
        return np.zeros((0, 4))
    hinge = np.array([(d.x, d.y, d.yaw, d.swing, d.width) for d in scene.doors])
    yaw = hinge[:, 2] + hinge[:, 3] * angles
    x, y = hinge[:, 0] + np.cos(yaw) * hinge[:, 4] / 2, hinge[:, 1] + np.sin(yaw) * hinge[:, 4] / 2
    return rectangles(np.stack([x, y, yaw, hinge[:, 4], np.full(len(yaw), DOOR_THICKNESS)], axis=-1))


def object_slice(scene: Scene, transforms: FloatArray, height: float) -> tuple[FloatArray, FloatArray]:
    """Loose objects (N, 4, 4) cut at `height` [m]: segments and circles of those that stand upright."""
    rows, circles = [], []
    loose = [box for box in scene.boxes if box.mass > 0.0]
    for box, pose in zip(loose, transforms, strict=True):
        half = box.size[2] / 2.0
        if pose[2, 2] < 0.9 or not pose[2, 3] - half < height < pose[2, 3] + half:
            continue
        x, y = float(pose[0, 3]), float(pose[1, 3])
        if box.shape == "cylinder":
            circles.append((x, y, box.size[0] / 2.0))
        else:
            rows.append((x, y, float(np.arctan2(pose[1, 0], pose[0, 0])), box.size[0], box.size[1]))
    return rectangles(np.array(rows, dtype=float)), np.array(circles, dtype=float).reshape(-1, 3)
