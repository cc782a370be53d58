"""What it costs to be near people: predicted personal spaces, groups and contact.

Time-indexed: the robot at t is held against people at t.

Personal space is an anisotropic Gaussian (Kirby, "Social robot navigation", CMU 2010): longer in front
of a walker, the faster the longer, and wider on the side on which one does not pass. Predictions are
constant-velocity with a spread that grows; the cost is the Gaussian's expectation under that spread,
so that the far future counts less and wider. Members of a group share the space between them
(Kendon's o-space).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from lifelong_nav.core.config import param
from lifelong_nav.core.types import FloatArray, People

_STANDING = 0.15  # m/s; trackers report such speeds for people who stand


@dataclass(frozen=True)
class SocialConfig:
    """Parameters of the social cost."""

    front: float = param(0.45, "m", 0.1, 2.0, "Spread of personal space ahead of a standing person.")
    front_per_speed: float = param(0.45, "s", 0.0, 2.0, "Growth of the space ahead with walking speed.")
    side: float = param(0.42, "m", 0.1, 2.0, "Spread of personal space to the sides.")
    rear: float = param(0.36, "m", 0.1, 2.0, "Spread of personal space behind.")
    pass_bias: float = param(0.12, "m", 0.0, 0.5, "Added on the side where oncoming traffic should not pass.")
    keep: str = param("right", "", doc="Side of the way to keep to.", choices=("right", "left", "none"))
    growth: float = param(0.25, "m/s", 0.0, 2.0, "Spread added to a predicted position per second.")
    clearance: float = param(0.10, "m", 0.0, 1.0, "Gap between bodies below which a plan counts as contact.")
    contact_memory: float = param(2.0, "s", 0.1, 10.0, "Time by which a predicted contact counts 1/e.")
    group_gap: float = param(2.5, "m", 0.5, 6.0, "Members farther apart than this hold no common space.")
    group_spread: float = param(0.35, "m", 0.05, 2.0, "Spread of the space between two members.")
    most: int = param(12, "", 1, 100, "How many of the nearest people are considered.")


@dataclass(frozen=True, slots=True)
class Forecast:
    """People who matter, predicted: `xy` (N, T, 2) relative to the robot's origin, and their spaces.

    `axes` (N, 2) unit walking directions (x, y); `front`, `rear`, `left`, `right` (N,) spreads [m];
    `spread` (N, T) uncertainty [m]; `radii` (N,); `pairs` (P, 2) indices of group members side by side.
    """

    xy: FloatArray
    axes: FloatArray
    spaces: FloatArray
    spread: FloatArray
    radii: FloatArray
    pairs: tuple[tuple[int, int], ...]


def forecast(
    people: People, origin: FloatArray, age: float, times: FloatArray, reach: float, config: SocialConfig
) -> Forecast:
    """Predict the people that may come within reach.

    Args:
        people: tracked people in the plan's frame.
        origin: (2,) robot position; results are relative to it.
        age: time since the people's stamp [s], >= 0.
        times: (T,) seconds from now.
        reach: how far the robot can get within the horizon [m].
        config: parameters.
    """
    c = config
    start, velocity = people.positions() - origin, people.velocities()
    finite = np.isfinite(start).all(axis=1) & np.isfinite(velocity).all(axis=1)
    start[~finite], velocity[~finite] = 1e6, 0.0
    speed = np.linalg.norm(velocity, axis=1)
    velocity[speed < _STANDING] = 0.0
    now = start + velocity * age
    xy = now[:, None, :] + velocity[:, None, :] * np.asarray(times)[None, :, None]
    gap = np.linalg.norm(xy, axis=2).min(axis=1) if len(start) else np.zeros(0)
    near = np.flatnonzero(gap < reach + 2.5)
    near = near[np.argsort(gap[near], kind="stable")][: c.most]
    walking = speed[near] >= _STANDING
    axes = np.zeros((len(near), 2))
    axes[:, 0] = 1.0
    axes[walking] = velocity[near][walking] / speed[near][walking, None]
    ahead = np.where(walking, c.front + c.front_per_speed * speed[near], c.front)
    behind = np.where(walking, c.rear, c.front)
    # Keeping right, one passes oncoming people on their left: their right is made wider.
    bias = {"right": (0.0, c.pass_bias), "left": (c.pass_bias, 0.0), "none": (0.0, 0.0)}[c.keep]
    sides = [np.where(walking, c.side + b, c.front) for b in bias]
    covariance = [people.people[i].covariance for i in near]
    first = np.array([_position_spread(m) for m in covariance], dtype=float)
    grown = c.growth * np.where(walking, 1.0, 0.4)[:, None] * (np.asarray(times)[None, :] + age)
    return Forecast(
        xy[near].astype(np.float32),
        axes.astype(np.float32),
        np.stack([ahead, behind, *sides], axis=-1).astype(np.float32).reshape(-1, 4),
        np.hypot(first[:, None], grown).astype(np.float32).reshape(len(near), len(times)),
        people.radii()[near].astype(np.float32),
        _pairs(people, near, now, c.group_gap),
    )


def between(people: Forecast, first: int, last: int | None) -> Forecast:
    """The same people at times first:last only."""
    return replace(people, xy=people.xy[:, first:last], spread=people.spread[:, first:last])


def space_cost(x: FloatArray, y: FloatArray, people: Forecast) -> FloatArray:
    """(T, K) sum of the personal spaces entered at each time, for robot positions x, y (T, K)."""
    space = np.zeros_like(x)
    for n in range(len(people.radii)):
        cos, sin = people.axes[n]
        dx, dy = x - people.xy[n, :, 0:1], y - people.xy[n, :, 1:2]
        along, across = dx * cos + dy * sin, dy * cos - dx * sin
        spread = people.spread[n][:, None] ** 2
        front, rear, left, right = (people.spaces[n, i] ** 2 + spread for i in range(4))
        # max(a,0)^2 and min(a,0)^2 select the half without a branch.
        ahead, aside = np.maximum(along, 0), np.maximum(across, 0)
        along -= ahead
        across -= aside
        exponent = ahead * ahead / front
        exponent += along * along / rear
        exponent += aside * aside / left
        exponent += across * across / right
        exponent *= np.float32(-0.5)
        np.exp(exponent, out=exponent)
        exponent *= people.spaces[n, 2] ** 2 / (people.spaces[n, 2] ** 2 + spread)
        space += exponent
    return space


def group_cost(x: FloatArray, y: FloatArray, people: Forecast, spread: float) -> FloatArray:
    """(T, K) cost of standing between members of a group."""
    cost = np.zeros_like(x)
    for i, j in people.pairs:
        ax, ay = people.xy[i, :, 0:1], people.xy[i, :, 1:2]
        bx, by = people.xy[j, :, 0:1] - ax, people.xy[j, :, 1:2] - ay
        length = np.maximum(bx * bx + by * by, np.float32(1e-4))
        dx, dy = x - ax, y - ay
        share = np.clip((dx * bx + dy * by) / length, 0, 1)
        dx -= share * bx
        dy -= share * by
        wide = np.float32(spread**2) + people.spread[i][:, None] ** 2
        cost += np.exp((dx * dx + dy * dy) * (np.float32(-0.5) / wide)) * np.float32(spread**2) / wide
    return cost


def contact(x: FloatArray, y: FloatArray, people: Forecast, gap: float) -> FloatArray:
    """(T, K) how deep a disc of radius `gap` overlaps with people, 0 to 1; T may cut the forecast short."""
    worst = np.zeros_like(x)
    for n in range(len(people.radii)):
        dx, dy = x - people.xy[n, : len(x), 0:1], y - people.xy[n, : len(x), 1:2]
        dx *= dx
        dy *= dy
        dx += dy
        limit = np.float32((people.radii[n] + gap) ** 2)
        np.maximum(worst, 1 - dx / limit, out=worst)
    return worst


def overspeed(
    x: FloatArray, y: FloatArray, yaw: FloatArray, v: FloatArray, people: Forecast, radius: float,
    allowed: tuple[float, float],
) -> FloatArray:  # fmt: skip
    """(T, K) by how much the speed at people exceeds what the gap to them allows [m/s].

    People change their minds faster than a base can stop, so predictions alone do not make it safe to be
    fast beside them. The speed at someone is half the speed plus half its part towards them: driving past
    counts half, driving away nothing.

    Args:
        x: (T, K) positions of the robot [m].
        y: likewise.
        yaw: (T, K) [rad].
        v: (T, K) forward speed [m/s].
        people: forecast at the same times.
        radius: of the robot [m].
        allowed: speed in touch [m/s], and its growth with the gap [1/s].
    """
    worst = np.zeros_like(x)
    least, growth = (np.float32(a) for a in allowed)
    ahead, aside, size = v * np.cos(yaw), v * np.sin(yaw), np.abs(v) * np.float32(0.5) - least
    for n in range(len(people.radii)):
        dx, dy = people.xy[n, :, 0:1] - x, people.xy[n, :, 1:2] - y
        distance = np.sqrt(dx * dx + dy * dy + np.float32(1e-6))
        dx *= ahead
        dy *= aside
        dx += dy
        dx /= distance
        dx *= np.float32(0.5)
        dx += size
        distance -= people.radii[n] + np.float32(radius)
        np.maximum(distance, 0, out=distance)
        distance *= growth
        dx -= distance
        np.maximum(worst, dx, out=worst)
    return worst


def _position_spread(covariance: FloatArray) -> float:
    mean = 0.5 * (float(covariance[0, 0]) + float(covariance[1, 1]))
    return float(np.sqrt(np.clip(mean, 0.0, 0.09))) if np.isfinite(mean) else 0.3


def _pairs(
    people: People, near: NDArray[np.intp], now: FloatArray, farthest: float
) -> tuple[tuple[int, int], ...]:
    """Neighbouring members of one group, as indices into `near`: a chain, shortest links first."""
    groups: dict[int, list[int]] = {}
    for k, i in enumerate(near):
        if people.people[i].group_id >= 0:
            groups.setdefault(people.people[i].group_id, []).append(k)
    pairs: list[tuple[int, int]] = []
    for members in groups.values():
        links = sorted(
            (float(np.linalg.norm(now[near[a]] - now[near[b]])), a, b)
            for n, a in enumerate(members)
            for b in members[n + 1 :]
        )
        root = {m: m for m in members}  # Kruskal: one space per link of the minimum spanning tree
        for length, a, b in links:
            if length > farthest or root[a] == root[b]:
                continue
            old, new = root[a], root[b]
            root = {m: new if r == old else r for m, r in root.items()}
            pairs.append((a, b))
    return tuple(pairs)
