"""The forces between people, walls and companions: pure functions on arrays, per unit of mass [m/s^2].

Sources: Helbing & Molnar 1995 (drive, walls), Moussaid et al. 2009 (interaction of pedestrians),
Moussaid et al. 2010 (groups).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lifelong_nav.core.types import FloatArray

_EPS = 1e-9
_PAIRS = 200_000


def segment_offsets(points: FloatArray, segments: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Vectors from the nearest point of each segment to each point.

    Args:
        points: (N, 2) [m].
        segments: (M, 4) x1, y1, x2, y2 [m].

    Returns:
        dx, dy: (N, M) each [m].
    """
    ax, ay, bx, by = segments.T
    ux, uy = bx - ax, by - ay
    length2 = ux * ux + uy * uy
    px = points[:, 0, None] - ax
    py = points[:, 1, None] - ay
    along = (px * ux + py * uy) / np.maximum(length2, _EPS)
    np.clip(along, 0.0, 1.0, out=along)
    return px - along * ux, py - along * uy


def segment_distance(points: FloatArray, segments: FloatArray, beyond: float = np.inf) -> FloatArray:
    """(N,) distance of points (N, 2) to the nearest segment (M, 4) [m], at most `beyond`."""
    nearest = np.full(len(points), beyond)
    parts = min(len(segments), 1 + len(points) * len(segments) // _PAIRS)  # all at once would fill the memory
    for part in np.array_split(segments, parts) if len(segments) else ():
        dx, dy = segment_offsets(points, part)
        np.minimum(nearest, np.sqrt((dx * dx + dy * dy).min(axis=1)), out=nearest)
    return nearest


def lines_of_sight(a: FloatArray, b: FloatArray, segments: FloatArray) -> NDArray[np.bool_]:
    """(N,) True where no segment crosses the line from a (N, 2) to b (2,)."""
    if len(segments) == 0 or len(a) == 0:
        return np.ones(len(a), dtype=bool)
    p, r = a[:, None, :], (b - a)[:, None, :]
    q, s = segments[None, :, :2], (segments[:, 2:] - segments[:, :2])[None]
    cross = r[..., 0] * s[..., 1] - r[..., 1] * s[..., 0]
    d = q - p
    with np.errstate(divide="ignore", invalid="ignore"):
        t = (d[..., 0] * s[..., 1] - d[..., 1] * s[..., 0]) / cross
        u = (d[..., 0] * r[..., 1] - d[..., 1] * r[..., 0]) / cross
        hit = (t >= 0.0) & (t <= 1.0) & (u >= 0.0) & (u <= 1.0)
    return np.asarray(~hit.any(axis=1))


def drive(velocities: FloatArray, wanted: FloatArray, relaxation: float) -> FloatArray:
    """(N, 2) pull of the velocities (N, 2) towards the wanted ones within `relaxation` [s]."""
    return (wanted - velocities) / relaxation


def social(
    positions: FloatArray,
    velocities: FloatArray,
    headings: FloatArray,
    others: FloatArray,
    other_velocities: FloatArray,
    weights: FloatArray,
    *,
    strength: float = 4.5,
    gamma: float = 0.35,
    lam: float = 2.0,
    n: float = 2.0,
    n_prime: float = 3.0,
    behind: float = 0.4,
) -> FloatArray:
    """(N, 2) how people evade each other (Moussaid 2009), weaker for what goes on behind their back.

    Args:
        positions: (N, 2) of those who feel it.
        velocities: (N, 2).
        headings: (N,) [rad].
        others: (K, 2) of those who cause it; where K >= N the first N are the same people.
        other_velocities: (K, 2).
        weights: (N, K) factor per pair, 0 where there is none (oneself).
        strength: A [m/s^2].
        gamma: range per interaction length [m].
        lam: weight of the relative velocity against the direction.
        n: angular reach of the sideways part.
        n_prime: angular reach of the braking part.
        behind: factor for those exactly behind (1 = sees all round).
    """
    dx = others[:, 0] - positions[:, 0, None]
    dy = others[:, 1] - positions[:, 1, None]
    distance = np.sqrt(dx * dx + dy * dy) + _EPS
    ex, ey = dx / distance, dy / distance
    ix = lam * (velocities[:, 0, None] - other_velocities[:, 0]) + ex
    iy = lam * (velocities[:, 1, None] - other_velocities[:, 1]) + ey
    length = np.sqrt(ix * ix + iy * iy) + _EPS
    tx, ty = ix / length, iy / length
    theta = np.arctan2(tx * ey - ty * ex, tx * ex + ty * ey)
    reach = gamma * length
    bt = reach * theta
    bt *= bt
    decay = -distance / reach
    seen = behind + (1.0 - behind) * 0.5 * (
        1.0 + np.cos(headings)[:, None] * ex + np.sin(headings)[:, None] * ey
    )
    scale = strength * weights * seen
    braking = -scale * np.exp(decay - n_prime * n_prime * bt)
    # exactly head-on nobody would turn: the smallest bias to the right breaks the tie
    side = np.where(theta > -1e-3, -1.0, 1.0)
    turning = side * scale * np.exp(decay - n * n * bt)
    fx = braking * tx - turning * ty
    fy = braking * ty + turning * tx
    return np.stack([fx.sum(axis=1), fy.sum(axis=1)], axis=-1)


def contact(
    positions: FloatArray, radii: FloatArray, others: FloatArray, other_radii: FloatArray,
    weights: FloatArray, stiffness: float = 20.0,
) -> FloatArray:  # fmt: skip
    """(N, 2) push apart of bodies that overlap, `stiffness` [1/s^2] times the overlap."""
    dx = positions[:, 0, None] - others[:, 0]
    dy = positions[:, 1, None] - others[:, 1]
    distance = np.sqrt(dx * dx + dy * dy) + _EPS
    overlap = np.maximum(radii[:, None] + other_radii - distance, 0.0) * (weights > 0.0)
    push = stiffness * overlap / distance
    return np.stack([(push * dx).sum(axis=1), (push * dy).sum(axis=1)], axis=-1)


def walls(
    positions: FloatArray, radii: FloatArray, segments: FloatArray, strength: float = 5.0, reach: float = 0.15
) -> FloatArray:  # fmt: skip
    """(N, 2) repulsion of wall segments (M, 4), decaying by 1/e per `reach` [m] of free gap."""
    dx, dy = segment_offsets(positions, segments)
    distance = np.sqrt(dx * dx + dy * dy) + _EPS
    gap = np.maximum(distance - radii[:, None], -0.1)
    push = strength * np.exp(-gap / reach) / distance
    return np.stack([(push * dx).sum(axis=1), (push * dy).sum(axis=1)], axis=-1)


def group_matrix(groups: NDArray[np.int64]) -> FloatArray:
    """(N, N) 1 where two different people belong to the same group."""
    same = (groups[:, None] == groups) & (groups[:, None] >= 0)
    np.fill_diagonal(same, False)
    return same.astype(float)


def companions(
    positions: FloatArray,
    velocities: FloatArray,
    wanted: FloatArray,
    same: FloatArray,
    *,
    gaze: float = 4.0,
    cohesion: float = 3.0,
    repulsion: float = 1.0,
    room: float = 0.7,
) -> FloatArray:
    """(N, 2) what keeps walking groups together (Moussaid 2010): gaze, cohesion, elbow room.

    Args:
        positions: (N, 2).
        velocities: (N, 2).
        wanted: (N, 2) wanted velocity: where they look.
        same: (N, N) from `group_matrix`; rows of zeros feel nothing.
        gaze: braking per radian the head must turn beyond a right angle [1/s].
        cohesion: pull to the others once the group is spread [m/s^2].
        repulsion: push from companions closer than `room` [m/s^2].
        room: distance of neighbours [m].
    """
    count = same.sum(axis=1)
    member = count > 0
    share = np.maximum(count, 1.0)[:, None]
    centre = (same @ positions) / share  # of the others
    to = centre - positions
    distance = np.sqrt((to * to).sum(axis=1)) + _EPS
    unit = to / distance[:, None]
    speed = np.sqrt((wanted * wanted).sum(axis=1)) + _EPS
    cosine = np.clip((unit * wanted).sum(axis=1) / speed, -1.0, 1.0)
    turn = np.maximum(np.arccos(cosine) - np.pi / 2.0, 0.0)
    force = -(gaze * 0.5 * turn * member)[:, None] * velocities
    spread = distance > 0.5 * (count + 1.0)
    force += (cohesion * (spread & member))[:, None] * unit
    dx = positions[:, 0, None] - positions[:, 0]
    dy = positions[:, 1, None] - positions[:, 1]
    gap = np.sqrt(dx * dx + dy * dy) + _EPS
    push = repulsion * same * (gap < room) / gap
    force[:, 0] += (push * dx).sum(axis=1)
    force[:, 1] += (push * dy).sum(axis=1)
    return force
