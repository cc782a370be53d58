"""What the search in space and time pays for: seconds lost, nearness to people and obstacles, effort."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lifelong_nav.core.config import param
from lifelong_nav.core.distance import DistanceField
from lifelong_nav.core.geometry import angle_difference
from lifelong_nav.core.types import FloatArray
from lifelong_nav.trajectory import proxemics
from lifelong_nav.trajectory.lattice import LENGTHS, REACH, Grid, Prices
from lifelong_nav.trajectory.proxemics import Presence, ProxemicsConfig


@dataclass(frozen=True)
class SearchConfig:
    """Weights of the search, in cost per second of doing it unless said otherwise."""

    period: float = param(0.5, "s", 0.1, 1.0, "Time between two layers.")
    time: float = param(2.0, "", 0.0, 100.0, "Every second later at the goal.")
    late: float = param(0.3, "", 0.0, 10.0, "Being behind by a second, so that waiting is not put off.")
    lateral: float = param(0.6, "", 0.0, 100.0, "Distance to the route, squared up to 1 m.")
    way: float = param(0.15, "", 0.0, 100.0, "Per metre driven: nothing moves without need.")
    hurry: float = param(
        0.12, "", 0.0, 100.0, "Square of the share of full speed: rather slow than stop and go."
    )
    space: float = param(2.0, "", 0.0, 1000.0, "Personal space of people.")
    moving: float = param(0.5, "", 0.0, 1.0, "Share of that which falls away for a robot at rest.")
    near: float = param(20.0, "", 0.0, 1000.0, "Depth within `near_gap` of a person.")
    near_gap: float = param(0.30, "m", 0.0, 2.0, "Gap between bodies below which `near` counts.")
    contact: float = param(150.0, "", 0.0, 1e5, "Depth of contact with a person.")
    group: float = param(4.0, "", 0.0, 1000.0, "Common space of a group.")
    obstacle: float = param(3.0, "", 0.0, 1000.0, "Nearness to obstacles, falling with `obstacle_fall`.")
    obstacle_fall: float = param(0.12, "m", 0.01, 2.0, "Distance over which that nearness falls to 1/e.")
    collision: float = param(150.0, "", 0.0, 1e6, "Overlapping with an obstacle.")
    turn: float = param(0.5, "", 0.0, 10.0, "Share of `time` that turning towards the first move takes.")


def prices(speed: float, c: SearchConfig) -> Prices:
    """Prices of the lattice's moves for a robot of this full speed [m/s]."""
    share = LENGTHS / np.float32(REACH)
    moves = c.way * speed * c.period * share + c.hurry * c.period * share**2
    return Prices(
        moves.astype(np.float32), (1.0 - c.moving * (1.0 - np.minimum(share, 1.0))).astype(np.float32)
    )


def first_moves(to: FloatArray, yaw: float, v: float, c: SearchConfig, speed: float) -> Grid:
    """(37,) what first moves by `to` (37, 2) [m] cost a robot that heads `yaw` at `v` [m/s]."""
    length = np.linalg.norm(to, axis=1)
    off = np.abs(angle_difference(np.arctan2(to[:, 1], to[:, 0]), yaw))
    off[length < 1e-9] = 0.0
    share = length / (speed * c.period)
    change = length / c.period - v * np.cos(off)
    cost = c.turn * c.time * off / 1.5 * share + 0.5 * np.square(change) * c.hurry
    return np.asarray(cost, np.float32)


def obstacle_cost(points: FloatArray, field: DistanceField | None, radius: float, c: SearchConfig) -> Grid:
    """(...) cost per layer of nearness to obstacles at points (..., 2)."""
    if field is None:
        return np.zeros(points.shape[:-1], np.float32)
    gap = field.at_smooth(points[..., 0], points[..., 1]).astype(np.float32) - np.float32(radius)
    cost = c.obstacle * np.exp(-np.maximum(gap, 0.0) / np.float32(c.obstacle_fall))
    cost += c.collision * (gap < 0.0) * (1.0 - 4.0 * np.minimum(gap, 0.0))
    return np.asarray(cost * np.float32(c.period), np.float32)


def people_cost(
    points: FloatArray, people: Presence, layer: int, radius: float, c: SearchConfig, p: ProxemicsConfig
) -> tuple[Grid, Grid]:
    """Cost per layer of single people at points (H, W, 2), at one of their times.

    Args:
        points: places, float32.
        people: who is where.
        layer: index of the time.
        radius: of the robot [m].
        c: weights.
        p: shapes.

    Returns:
        still (H, W), to be paid always, and moving (H, W), of which a robot at rest pays less.
    """
    shape = points.shape[:2]
    still, moving = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
    low, high = points.min(axis=(0, 1)) - 2.5, points.max(axis=(0, 1)) + 2.5
    at = people.xy[:, layer]
    rows = np.flatnonzero(((at >= low) & (at <= high)).all(axis=1))
    if len(rows) == 0:
        return still, moving
    scale = np.float32(c.period)
    dx = points[None, ..., 0] - at[rows, 0, None, None]
    dy = points[None, ..., 1] - at[rows, 1, None, None]
    cos, sin = (people.axes[rows, layer, i, None, None] for i in (0, 1))
    spread, weights = people.spread[rows, layer, None, None], people.weights[rows, None, None]
    spaces = [people.spaces[rows, layer, i, None, None] for i in range(4)]
    space = proxemics.space_at(dx * cos + dy * sin, dy * cos - dx * sin, spaces, spread, weights)
    moving += space.sum(axis=0) * (c.space * scale)
    square = dx * dx + dy * dy
    reach = people.radii[rows, None, None] + np.float32(radius)
    close = square < np.float32((reach.max() + c.near_gap + 2.0 * spread.max()) ** 2)
    if close.any():
        for weight, gap in ((c.near, c.near_gap), (c.contact, p.clearance)):
            deep = proxemics.overlap_at(square, (reach + np.float32(gap)) ** 2, spread, weights)
            still += deep.sum(axis=0) * (weight * scale)
    return still, moving


def group_cost(points: FloatArray, people: Presence, layer: int, c: SearchConfig, p: ProxemicsConfig) -> Grid:
    """(H, W) cost per layer of entering groups' common spaces at points (H, W, 2), at one of their times."""
    cost = np.zeros(points.shape[:2], np.float32)
    low, high = points.min(axis=(0, 1)) - 1.5, points.max(axis=(0, 1)) + 1.5
    start = np.float32(p.group_spread**2)
    for members in people.groups:
        at = people.xy[members, layer]
        if not ((at >= low) & (at <= high)).all(axis=1).any():
            continue
        gap = np.maximum(proxemics.hull_gap(points[:, :, None], at[:, None])[..., 0], 0)
        wide = start + people.spread[members, layer].min() ** 2
        cost += np.exp(np.float32(-0.5) * gap * gap / wide) * (start / wide * c.group * np.float32(c.period))
    return cost
