"""What it costs to be near people at one time: the primitives that search and selection share.

Every function holds robot positions against people at the same times. Personal space is an anisotropic
Gaussian (Kirby, "Social robot navigation", CMU 2010): longer ahead of a walker, the faster the longer,
and wider on the side on which one does not pass. Members of a group share the space between them
(Kendon, "Conducting interaction", 1990): the hull of where they are. Uncertainty counts as expectation:
the Gaussian is convolved with the spread of the forecast, every mode weighs what it is worth.
`control.social` holds the same formulas for constant velocity, so that planner and controller agree.

Shapes: C trajectories, S times, K = people times modes. Positions are (..., S, 2), or (..., 1, 2) for
places held at all times; results (..., S) float32.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lifelong_nav.core.config import param
from lifelong_nav.core.types import FloatArray, PeopleForecast

STANDING = 0.15
"""Slower than this [m/s] is standing; trackers report such speeds for people who do."""

_FAR = 1e4  # m; where people are put who are not there
_TURNS = np.linspace(0.0, 2.0 * np.pi, 32, endpoint=False)
_DIRECTIONS = np.stack([np.cos(_TURNS), np.sin(_TURNS)], axis=-1).astype(np.float32)


@dataclass(frozen=True)
class ProxemicsConfig:
    """Parameters of the social costs; as in `control.social.SocialConfig` where they mean the same."""

    front: float = param(0.45, "m", 0.1, 2.0, "Spread of personal space ahead of a standing person.")
    front_per_speed: float = param(0.45, "s", 0.0, 2.0, "Growth of the space ahead with walking speed.")
    side: float = param(0.42, "m", 0.1, 2.0, "Spread of personal space to the sides.")
    rear: float = param(0.36, "m", 0.1, 2.0, "Spread of personal space behind.")
    pass_bias: float = param(0.12, "m", 0.0, 0.5, "Added on the side where oncoming traffic should not pass.")
    keep: str = param("right", "", doc="Side of the way to keep to.", choices=("right", "left", "none"))
    clearance: float = param(0.10, "m", 0.0, 1.0, "Gap between bodies below which a plan counts as contact.")
    group_gap: float = param(2.5, "m", 0.5, 6.0, "Members farther apart than this hold no common space.")
    group_spread: float = param(0.35, "m", 0.05, 2.0, "How far the space of a group fades out around it.")
    group_margin: float = param(0.3, "m", 0.0, 1.0, "Nearer to the hull of a group than this is intrusion.")
    least_weight: float = param(0.03, "", 0.0, 0.5, "Modes less probable than this are left out.")
    most: int = param(16, "", 1, 200, "How many of the nearest people are considered.")


@dataclass(frozen=True, slots=True)
class Presence:
    """People at S times, one row for each mode of each person, rows of one person together.

    `xy` (K, S, 2) [m]; `axes` (K, S, 2) unit walking directions; `spaces` (K, S, 4) spreads of personal
    space ahead, behind, left, right [m]; `spread` (K, S) uncertainty of the position [m]; `speed` (K, S)
    [m/s]; `weights` (K,) probability of the mode; `radii` (K,) [m]; `person` (K,) index of the person in
    what it was made from; `groups` rows of the members (their likeliest modes) of each group.
    """

    xy: NDArray[np.float32]
    axes: NDArray[np.float32]
    spaces: NDArray[np.float32]
    spread: NDArray[np.float32]
    speed: NDArray[np.float32]
    weights: NDArray[np.float32]
    radii: NDArray[np.float32]
    person: NDArray[np.intp]
    groups: tuple[NDArray[np.intp], ...] = ()

    def __len__(self) -> int:
        return len(self.weights)


def presence(
    forecast: PeopleForecast | None,
    times: FloatArray,
    config: ProxemicsConfig,
    near: FloatArray | None = None,
    reach: float = np.inf,
) -> Presence:
    """People as forecast, at `times` (S,) seconds from the forecast's stamp, in its frame.

    Args:
        forecast: people and modes; None for nobody.
        times: increasing.
        config: parameters.
        near: (2,) leave out who never comes nearer to this point than `reach` [m].
        reach: see `near`.
    """
    times = np.asarray(times, dtype=float)
    if forecast is None or len(forecast) == 0:
        none = np.zeros((0, len(times)))
        rows = np.zeros(0, dtype=np.intp)
        return from_rows(np.zeros((0, len(times), 2)), None, none, np.zeros(0), np.zeros(0), rows, (), config)
    xy, spread = forecast.at(times)
    before, _ = forecast.at(times - 0.1)
    velocity = (xy - before) / 0.1
    people, modes = forecast.weights.shape
    distance = np.linalg.norm(xy - (xy.mean(axis=(0, 1, 2)) if near is None else near), axis=-1)
    distance = np.where(np.isfinite(distance), distance, np.inf).min(axis=2)
    nearest = distance.min(axis=1)
    chosen = np.argsort(nearest, kind="stable")[: config.most]
    chosen = np.sort(chosen[nearest[chosen] <= reach] if near is not None else chosen)
    likeliest = forecast.weights.argmax(axis=1)
    keep = forecast.weights >= config.least_weight
    keep[np.arange(people), likeliest] = True
    use = np.zeros((people, modes), dtype=bool)
    use[chosen] = keep[chosen]
    person, mode = np.nonzero(use)
    first = np.full(people, -1)
    is_first = mode == likeliest[person]
    first[person[is_first]] = np.flatnonzero(is_first)
    clusters = linked(forecast.start, forecast.groups, config.group_gap)
    groups = tuple(rows[rows >= 0] for rows in (first[c] for c in clusters))
    return from_rows(
        xy[person, mode], velocity[person, mode], spread[person, mode], forecast.weights[person, mode],
        forecast.radii[person], person, tuple(g for g in groups if len(g) > 1), config,
    )  # fmt: skip


def known(
    xy: FloatArray, velocity: FloatArray, radii: FloatArray, groups: NDArray[np.integer],
    config: ProxemicsConfig, spread: float = 0.0,
) -> Presence:  # fmt: skip
    """People whose futures are known, as for an expert.

    Args:
        xy: (N, S, 2) [m], NaN while someone is not there.
        velocity: (N, S, 2) [m/s].
        radii: (N,) [m].
        groups: (N,) group number, negative for alone.
        config: parameters.
        spread: uncertainty of every position [m].
    """
    here = np.asarray(np.isfinite(xy).all(axis=-1))
    first = np.array([row[np.argmax(ok)] for row, ok in zip(xy, here, strict=True)]).reshape(-1, 2)
    rows = np.arange(len(xy))
    ones = np.ones(len(xy))
    members = tuple(linked(first, groups, config.group_gap))
    return from_rows(xy, velocity, np.full(xy.shape[:2], spread), ones, radii, rows, members, config)


def from_rows(
    xy: FloatArray, velocity: FloatArray | None, spread: FloatArray, weights: FloatArray, radii: FloatArray,
    person: NDArray[np.intp], groups: tuple[NDArray[np.intp], ...], config: ProxemicsConfig,
) -> Presence:  # fmt: skip
    """A `Presence` of rows as documented there; positions that are not finite are put far away."""
    c = config
    velocity = np.zeros_like(xy) if velocity is None else velocity
    lost = np.asarray(~np.isfinite(xy).all(axis=-1))
    xy = np.where(lost[..., None], _FAR, xy)
    velocity = np.where(np.isfinite(velocity), velocity, 0.0)
    speed = np.hypot(velocity[..., 0], velocity[..., 1])
    walking = speed >= STANDING
    axes = np.where(walking[..., None], velocity / np.maximum(speed, 1e-6)[..., None], [1.0, 0.0])
    # Keeping right, one passes oncoming people on their left: their right is made wider.
    left, right = {"right": (0.0, c.pass_bias), "left": (c.pass_bias, 0.0), "none": (0.0, 0.0)}[c.keep]
    ahead = np.where(walking, c.front + c.front_per_speed * speed, c.front)
    behind, a, b = (np.where(walking, w, c.front) for w in (c.rear, c.side + left, c.side + right))
    return Presence(
        xy.astype(np.float32), axes.astype(np.float32),
        np.stack([ahead, behind, a, b], axis=-1).astype(np.float32), spread.astype(np.float32),
        speed.astype(np.float32), np.asarray(weights, np.float32), np.asarray(radii, np.float32),
        np.asarray(person, np.intp), groups,
    )  # fmt: skip


def personal_space(points: FloatArray, people: Presence) -> NDArray[np.float32]:
    """(..., S) expected sum of the personal spaces entered; 1 where one person stands."""
    dx, dy = _offsets(points, people)
    if len(people) == 0:
        return _nothing(points, people)
    cos, sin = (_rows(people.axes[..., i], dx.ndim) for i in (0, 1))
    return space_at(
        dx * cos + dy * sin, dy * cos - dx * sin,
        [_rows(people.spaces[..., i], dx.ndim) for i in range(4)],
        _rows(people.spread, dx.ndim), _rows(people.weights[:, None], dx.ndim),
    ).sum(axis=0)  # fmt: skip


def space_at(
    along: FloatArray, across: FloatArray, spaces: list[FloatArray], spread: FloatArray, weights: FloatArray
) -> NDArray[np.float32]:
    """Expected personal space of one person at offsets ahead and to the left of them [m]; all broadcast."""
    wide = spread * spread
    ahead, aside = np.maximum(along, 0), np.maximum(across, 0)
    behind, right = along - ahead, across - aside
    exponent = ahead * ahead / (spaces[0] ** 2 + wide) + behind * behind / (spaces[1] ** 2 + wide)
    exponent += aside * aside / (spaces[2] ** 2 + wide) + right * right / (spaces[3] ** 2 + wide)
    side = spaces[2] ** 2
    return np.asarray(weights * side / (side + wide) * np.exp(np.float32(-0.5) * exponent))


def contact(points: FloatArray, people: Presence, radius: float) -> NDArray[np.float32]:
    """(..., S) expected depth of overlap with the worst person, 0 (none) to 1 (same place).

    Args:
        points: robot positions.
        people: who is there.
        radius: of the robot, plus the clearance to keep [m].
    """
    if len(people) == 0:
        return _nothing(points, people)
    dx, dy = _offsets(points, people)
    limit = _rows((people.radii + np.float32(radius))[:, None] ** 2, dx.ndim)
    spread, weights = _rows(people.spread, dx.ndim), _rows(people.weights[:, None], dx.ndim)
    deep = overlap_at(dx * dx + dy * dy, limit, spread, weights)
    starts = np.flatnonzero(np.diff(people.person, prepend=-1))
    return np.asarray(np.add.reduceat(deep, starts, axis=0).max(axis=0))


def overlap_at(
    square: FloatArray, limit: FloatArray, spread: FloatArray, weights: FloatArray
) -> NDArray[np.float32]:
    """Expected overlap 1 - d^2 / limit at squared distances `square` [m^2]; `limit` of the touch [m^2].

    The spread widens and lowers it, so that its volume stays.
    """
    wide = limit + 2 * spread * spread
    return np.asarray(weights * limit / wide * np.maximum(1 - square / wide, 0))


def group_space(points: FloatArray, people: Presence, config: ProxemicsConfig) -> NDArray[np.float32]:
    """(..., S) how much of groups' common spaces is entered: 1 between members, fading out around."""
    cost = _nothing(points, people)
    start = np.float32(config.group_spread**2)
    for rows in people.groups:
        gap = np.maximum(hull_gap(points, people.xy[rows]), 0)
        wide = start + people.spread[rows].min(axis=0) ** 2
        cost = cost + np.exp(np.float32(-0.5) * gap * gap / wide) * (start / wide)
    return np.asarray(cost, np.float32)


def group_intrusion(points: FloatArray, people: Presence, config: ProxemicsConfig) -> NDArray[np.bool_]:
    """(..., S) True within `group_margin` of the hull of a group, as the benchmark counts it."""
    inside = np.zeros(_nothing(points, people).shape, dtype=bool)
    for rows in people.groups:
        inside |= hull_gap(points, people.xy[rows]) <= config.group_margin
    return inside


def hull_gap(points: FloatArray, members: NDArray[np.float32]) -> NDArray[np.float32]:
    """(..., S) distance [m] of points (..., S, 2) to the hull of members (M, S, 2), negative inside.

    The largest gap along the normals of all lines through two members (one of them is the nearest edge's)
    and along 32 directions (for corners: within half a percent).
    """
    points = np.asarray(points, np.float32)
    gap = (points @ _DIRECTIONS.T - (members @ _DIRECTIONS.T).max(axis=0)).max(axis=-1)
    one, two = np.triu_indices(len(members), 1)
    line = members[two] - members[one]
    normal = np.stack([-line[..., 1], line[..., 0]], axis=-1)
    normal /= np.maximum(np.linalg.norm(normal, axis=-1, keepdims=True), 1e-6)
    for unit in (*normal, *-normal):
        support = (members * unit).sum(axis=-1).max(axis=0)
        gap = np.maximum(gap, (points * unit).sum(axis=-1) - support)
    return np.asarray(gap)


def gaps(points: FloatArray, people: Presence, radius: float) -> NDArray[np.float32]:
    """(K, ..., S) free distance [m] between the robot's disc and every row of people; negative in contact."""
    dx, dy = _offsets(points, people)
    return np.asarray(np.sqrt(dx * dx + dy * dy) - _rows((people.radii + radius)[:, None], dx.ndim))


def linked(xy: FloatArray, groups: NDArray[np.integer], farthest: float) -> list[NDArray[np.intp]]:
    """Members (indices) of each group of two or more; a gap of more than `farthest` [m] splits it."""
    found = []
    for group in np.unique(groups[groups >= 0]):
        left = list(np.flatnonzero((groups == group) & np.isfinite(xy).all(axis=-1)))
        while left:
            cluster = [left.pop()]
            fresh = cluster
            while fresh:
                fresh = [i for i in left if np.linalg.norm(xy[cluster] - xy[i], axis=-1).min() <= farthest]
                left = [i for i in left if i not in fresh]
                cluster += fresh
            if len(cluster) > 1:
                found.append(np.sort(np.array(cluster, dtype=np.intp)))
    return found


def _offsets(points: FloatArray, people: Presence) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """(K, ..., S) x and y from each row of people to the points."""
    points = np.asarray(points, np.float32)
    dx = points[None, ..., 0] - _rows(people.xy[..., 0], points.ndim)
    dy = points[None, ..., 1] - _rows(people.xy[..., 1], points.ndim)
    return np.asarray(dx, np.float32), np.asarray(dy, np.float32)


def _rows(values: FloatArray, dims: int) -> FloatArray:
    """(K, S) as (K, 1, ..., 1, S) with `dims` dimensions in all."""
    return values.reshape(len(values), *([1] * (dims - 2)), values.shape[-1])


def _nothing(points: FloatArray, people: Presence) -> NDArray[np.float32]:
    points = np.asarray(points)
    return np.zeros((*points.shape[:-2], people.xy.shape[1]), np.float32)
