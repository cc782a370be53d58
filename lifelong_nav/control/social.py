"""What it costs to be near people: predicted personal spaces, groups and contact.

Time-indexed: the robot at t is held against people at t. Personal space is an anisotropic Gaussian
(Kirby, "Social robot navigation", CMU 2010); members of a group share the space between them (Kendon's
o-space). Every cost is an expectation over a person's modes and the spread around them, so that the far
future counts less and wider, and an unlikely way to go on slows the robot rather than barring its way.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lifelong_nav.control.forecast import Forecast, SocialConfig, between, forecast
from lifelong_nav.core.types import FloatArray

_WALKING = 0.5  # m/s along an axis; who is faster does not expect to find a robot in the way
Offsets = list[tuple[FloatArray, FloatArray, FloatArray]]


def offsets(x: FloatArray, y: FloatArray, people: Forecast) -> Offsets:
    """For each row of `people` where the robot is seen from it: dx, dy [m] and the square, each (T, K)."""
    found = []
    for xy in people.xy:
        dx, dy = x - xy[: len(x), 0:1], y - xy[: len(x), 1:2]
        square = dx * dx
        square += dy * dy
        found.append((dx, dy, square))
    return found


def space_cost(x: FloatArray, y: FloatArray, people: Forecast, seen: Offsets | None = None) -> FloatArray:
    """(T, K) expected sum of the personal spaces entered at each time, for robot positions x, y (T, K).

    `seen`: `offsets` of the same positions, where they are at hand.
    """
    space = np.zeros_like(x)
    for n, (dx, dy, square) in enumerate(seen or offsets(x, y, people)):
        spread = people.spread[n][:, None] ** 2
        if square.min(initial=np.inf) > 9.0 * (float(people.spaces[n].max()) ** 2 + float(spread.max())):
            continue
        cos, sin = people.axes[n, :, 0:1], people.axes[n, :, 1:2]
        along, across = dx * cos, dy * cos
        along += dy * sin
        across -= dx * sin
        front, rear, left, right = (np.float32(-0.5) / (people.spaces[n, i] ** 2 + spread) for i in range(4))
        # max(a,0)^2 and min(a,0)^2 select the half without a branch.
        ahead, aside = np.maximum(along, 0), np.maximum(across, 0)
        along -= ahead
        across -= aside
        ahead *= ahead
        ahead *= front
        along *= along
        along *= rear
        ahead += along
        aside *= aside
        aside *= left
        ahead += aside
        across *= across
        across *= right
        ahead += across
        np.exp(ahead, out=ahead)
        ahead *= people.weights[n] * people.spaces[n, 2] ** 2 / (people.spaces[n, 2] ** 2 + spread)
        space += ahead
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


def contact(
    x: FloatArray, y: FloatArray, people: Forecast, gap: float, seen: Offsets | None = None,
    memory: FloatArray | None = None, rest: FloatArray | None = None,
) -> tuple[FloatArray, FloatArray]:  # fmt: skip
    """Contact of a disc of radius `gap` with people; T may cut the forecast short.

    Args:
        x: (T, K) positions of the robot [m].
        y: likewise.
        people: forecast at the same times.
        gap: radius of the disc [m].
        seen: `offsets` of the same positions, where they are at hand.
        memory: (T,) times over the time by which contact counts 1/e; None: it counts the same at all times.
            Unlikely ways to go on fade faster: by then it will be known whether they were taken.
        rest: (T, K) factor for contact with those who stand or stroll: they hardly walk into a robot that
            stands. It does not count for those who walk: standing in their way is no excuse.

    Returns:
        (T, K) how bad: 0.3 for a touch to 1.3 for full overlap, times its probability; of the worst person.
        (T, K) the probability of touching the likeliest person to be touched.
    """
    worst, likeliest = np.zeros_like(x), np.zeros_like(x)
    seen = seen or offsets(x, y, people)
    for rows in _by_owner(people):
        deep = chance = None
        for n in rows:
            limit = np.float32((people.radii[n] + gap) ** 2)
            square = seen[n][2][: len(x)]
            if square.min(initial=np.inf) >= limit:
                continue
            depth = square * (np.float32(-1.0) / limit)
            depth += np.float32(1.3)
            touch = (square < limit) * people.weights[n]
            if memory is not None:
                weight = float(people.weights[n])
                depth *= np.exp(-memory / (0.3 + 0.7 * weight)).astype(np.float32)[:, None]
            depth *= touch
            if rest is not None and np.abs(people.velocity[n]).max(initial=0.0) < _WALKING:
                depth *= rest
            deep = depth if deep is None else deep + depth
            chance = touch if chance is None else chance + touch
        if deep is not None and chance is not None:
            np.maximum(worst, deep, out=worst)
            np.maximum(likeliest, chance, out=likeliest)
    return worst, likeliest


def _by_owner(people: Forecast) -> list[NDArray[np.intp]]:
    """Row indices of each person; rows of one person lie side by side."""
    if len(people.owners) == 0:
        return []
    cuts = np.flatnonzero(np.diff(people.owners)) + 1
    return np.split(np.arange(len(people.owners)), cuts)


def overspeed(
    x: FloatArray, y: FloatArray, yaw: FloatArray, v: FloatArray, people: Forecast, radius: float,
    allowed: tuple[float, float], seen: Offsets | None = None,
) -> FloatArray:  # fmt: skip
    """(T, K) by how much the speed at people is expected to exceed what the gap to them allows [m/s].

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
        seen: `offsets` of the same positions, where they are at hand.
    """
    worst = np.zeros_like(x)
    least, growth = (np.float32(a) for a in allowed)
    ahead, aside, size = v * np.cos(yaw), v * np.sin(yaw), np.abs(v) * np.float32(0.5) - least
    seen = seen or offsets(x, y, people)
    fastest = float(np.abs(v).max(initial=0.0))
    for rows in _by_owner(people):
        excess = None
        for n in rows:
            dx, dy, square = seen[n]
            body = people.radii[n] + np.float32(radius)
            if square.min(initial=np.inf) > (body + fastest / growth) ** 2:
                continue
            distance = np.sqrt(square + np.float32(1e-6))
            over = dx * ahead
            over += dy * aside
            over /= distance
            over *= np.float32(-0.5)  # dx, dy point from the person to the robot
            over += size
            distance -= body
            np.maximum(distance, 0, out=distance)
            distance *= growth
            over -= distance
            np.maximum(over, 0, out=over)
            over *= people.weights[n]
            excess = over if excess is None else excess + over
        if excess is not None:
            np.maximum(worst, excess, out=worst)
    return worst


__all__ = [
    "Forecast", "Offsets", "SocialConfig", "between", "contact", "forecast", "group_cost", "offsets",
    "overspeed", "space_cost",
]  # fmt: skip
