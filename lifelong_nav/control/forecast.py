"""Where people may be, as the rows of arrays that the controller's costs run over.

People go on in several modes where a forecast says so, else at constant velocity with a spread that
grows. Personal spaces belong to it: longer in front of a walker, the faster the longer, and wider on the
side on which one does not pass (Kirby, "Social robot navigation", CMU 2010).
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

from lifelong_nav.core.config import param
from lifelong_nav.core.types import FloatArray, People, PeopleForecast

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
    likely: float = param(
        0.3, "", 0.0, 1.0, "Probability of contact within 1 s above which a plan is refused."
    )
    least_weight: float = param(0.04, "", 0.0, 0.5, "Modes of a forecast less likely than this are left out.")
    most_spread: float = param(0.9, "m", 0.05, 5.0, "Uncertainty of a forecast is believed up to this.")


@dataclass(frozen=True, slots=True)
class Forecast:
    """People who matter, predicted; one row for each way in which one of them may go on.

    `xy` (N, T, 2) relative to the robot's origin; `velocity` (N, T, 2) [m/s]; `axes` (N, T, 2) unit walking
    directions; `spaces` (N, 4) spreads to the front, rear, left and right [m]; `spread` (N, T) uncertainty
    [m]; `radii` (N,); `weights` (N,) probabilities; `owners` (N,) which rows are the same person,
    ascending; `pairs` (P, 2)
    rows of group members side by side.
    """

    xy: FloatArray
    velocity: FloatArray
    axes: FloatArray
    spaces: FloatArray
    spread: FloatArray
    radii: FloatArray
    weights: FloatArray
    owners: NDArray[np.int64]
    pairs: tuple[tuple[int, int], ...]


def forecast(
    people: People | None, origin: FloatArray, age: float, times: FloatArray, reach: float,
    config: SocialConfig, modes: PeopleForecast | None = None, modes_age: float = 0.0,
) -> Forecast:  # fmt: skip
    """Predict the people that may come within reach.

    Args:
        people: tracked people in the plan's frame; they walk on as they do.
        origin: (2,) robot position; results are relative to it.
        age: time since the people's stamp [s], >= 0.
        times: (T,) seconds from now.
        reach: how far the robot can get within the horizon [m].
        config: parameters.
        modes: a forecast of the same people in the same frame, used for all whom it knows; who is
            tracked now is taken to be where the tracker says, and goes on from there as foreseen.
        modes_age: time since the forecast's stamp [s], >= 0.
    """
    times = np.asarray(times, dtype=float)
    parts = []
    known: NDArray[np.int64] = np.zeros(0, np.int64)
    if modes is not None and len(modes):
        parts.append(_from_modes(modes, people, age, modes_age, origin, times, config))
        known = modes.ids
    if people is not None and len(people):
        new = np.array([i for i, p in enumerate(people.people) if p.id not in known], dtype=np.intp)
        if len(new):
            parts.append(_walking_on(people, new, age, origin, times, config))
    if not parts:
        parts.append(_Rows.none(len(times)))
    return _nearest(_Rows.join(parts), times, reach, config)


@dataclass(frozen=True, slots=True)
class _Rows:
    """Ways to go on before it is known which matter: `Forecast` with `speed` (N,) for the spaces."""

    xy: FloatArray
    velocity: FloatArray
    axes: FloatArray
    speed: FloatArray
    spread: FloatArray
    radii: FloatArray
    weights: FloatArray
    owners: NDArray[np.int64]
    groups: NDArray[np.int64]

    @staticmethod
    def none(count: int) -> _Rows:
        zero, ids = np.zeros(0), np.zeros(0, np.int64)
        empty = np.zeros((0, count, 2))
        return _Rows(empty, empty, empty, zero, np.zeros((0, count)), zero, zero, ids, ids)

    @staticmethod
    def join(parts: list[_Rows]) -> _Rows:
        joined = _Rows(*(np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(_Rows)))
        counts = [int(p.owners.max(initial=-1)) + 1 for p in parts]
        first = np.repeat(np.cumsum([0, *counts[:-1]]), [len(p.owners) for p in parts])
        return replace(joined, owners=joined.owners + first)


def _walking_on(
    people: People, rows: NDArray[np.intp], age: float, origin: FloatArray, times: FloatArray,
    c: SocialConfig,
) -> _Rows:  # fmt: skip
    """Constant velocity with a spread that grows; each person in one mode."""
    start, velocity = people.positions()[rows] - origin, people.velocities()[rows]
    finite = np.isfinite(start).all(axis=1) & np.isfinite(velocity).all(axis=1)
    start[~finite], velocity[~finite] = 1e6, 0.0
    speed = np.linalg.norm(velocity, axis=1)
    velocity[speed < _STANDING] = 0.0
    xy = start[:, None, :] + velocity[:, None, :] * (age + times)[None, :, None]
    walking = speed >= _STANDING
    axes = np.where(walking[:, None], velocity / np.maximum(speed, 1e-9)[:, None], [1.0, 0.0])
    covariance = [people.people[i].covariance for i in rows]
    first = np.array([_position_spread(m) for m in covariance], dtype=float)
    grown = c.growth * np.where(walking, 1.0, 0.4)[:, None] * (times[None, :] + age)
    return _Rows(
        xy,
        np.repeat(velocity[:, None], len(times), axis=1),
        np.repeat(axes[:, None], len(times), axis=1),
        speed,
        np.hypot(first[:, None], grown),
        people.radii()[rows],
        np.ones(len(rows)),
        np.arange(len(rows), dtype=np.int64),
        np.array([people.people[i].group_id for i in rows], dtype=np.int64),
    )


def _from_modes(
    modes: PeopleForecast, people: People | None, age: float, modes_age: float, origin: FloatArray,
    times: FloatArray, c: SocialConfig,
) -> _Rows:  # fmt: skip
    """The likely modes of a forecast, moved to where people are by now."""
    whens = np.concatenate([[max(modes_age - age, 0.0)], modes_age + times])
    xy, spread = modes.at(whens)
    found = {} if people is None else {p.id: (p.x, p.y) for p in people.people}
    seen = np.array([found.get(int(i), (np.nan, np.nan)) for i in modes.ids], dtype=float).reshape(-1, 2)
    mean = np.einsum("nm,nmi->ni", modes.weights, xy[:, :, 0])
    shift = np.where(np.isfinite(seen), seen - mean, 0.0)
    far = np.linalg.norm(shift, axis=1)
    shift *= np.minimum(1.0, 0.5 / np.maximum(far, 1e-9))[:, None]  # farther is another person's id
    xy = xy[:, :, 1:] + (shift - origin)[:, None, None]
    sane = np.isfinite(xy).all(axis=(2, 3)) & np.isfinite(spread).all(axis=2) & np.isfinite(modes.weights)
    person, mode = np.nonzero(sane & (modes.weights >= c.least_weight))
    share = np.bincount(person, modes.weights[person, mode], len(modes))
    rows = xy[person, mode]
    # Directions from the steps between the times asked for; who stands keeps facing one way.
    step = np.gradient(rows, times, axis=1) if len(times) > 1 else np.zeros_like(rows)
    pace = np.linalg.norm(step, axis=2)
    axes = np.where(pace[..., None] >= _STANDING, step / np.maximum(pace, 1e-9)[..., None], [1.0, 0.0])
    return _Rows(
        rows,
        np.where(pace[..., None] >= _STANDING, step, 0.0),
        axes,
        pace[:, : max(1, len(times) // 2)].mean(axis=1),
        np.minimum(spread[person, mode, 1:], c.most_spread),
        modes.radii[person],
        modes.weights[person, mode] / np.maximum(share[person], 1e-9),
        person.astype(np.int64),
        modes.groups[person],
    )


def _nearest(rows: _Rows, times: FloatArray, reach: float, c: SocialConfig) -> Forecast:
    """Rows that the robot can come near, with their personal spaces; the nearest people first."""
    # At t the robot is no farther than its share of the reach; spaces are felt to about 2.5 m.
    horizon = max(float(times[-1]), 1e-3) if len(times) else 1e-3
    gap = np.linalg.norm(rows.xy, axis=2) - np.minimum(reach, 1.4 * reach * times / horizon)
    near = gap.min(axis=1, initial=np.inf) < 2.5
    owner = rows.owners
    first = np.full(int(owner.max(initial=-1)) + 1, np.inf)
    np.minimum.at(first, owner[near], gap[near].min(axis=1))
    rank = np.argsort(np.argsort(first, kind="stable"), kind="stable")
    near &= rank[owner] < c.most
    kept = np.flatnonzero(near)
    kept = kept[np.lexsort((-rows.weights[kept], rank[owner[kept]]))]
    speed, walking = rows.speed[kept], rows.speed[kept] >= _STANDING
    ahead = np.where(walking, c.front + c.front_per_speed * speed, c.front)
    behind = np.where(walking, c.rear, c.front)
    # Keeping right, one passes oncoming people on their left: their right is made wider.
    bias = {"right": (0.0, c.pass_bias), "left": (c.pass_bias, 0.0), "none": (0.0, 0.0)}[c.keep]
    sides = [np.where(walking, c.side + b, c.front) for b in bias]
    return Forecast(
        rows.xy[kept].astype(np.float32),
        rows.velocity[kept].astype(np.float32),
        rows.axes[kept].astype(np.float32),
        np.stack([ahead, behind, *sides], axis=-1).astype(np.float32).reshape(-1, 4),
        rows.spread[kept].astype(np.float32).reshape(len(kept), len(times)),
        rows.radii[kept].astype(np.float32),
        rows.weights[kept].astype(np.float32),
        rank[owner[kept]].astype(np.int64),
        _pairs(rows.groups[kept], rank[owner[kept]], rows.xy[kept], c.group_gap),
    )


def between(people: Forecast, first: int, last: int | None) -> Forecast:
    """The same people at times first:last only."""
    cut = slice(first, last)
    return replace(
        people, xy=people.xy[:, cut], velocity=people.velocity[:, cut], axes=people.axes[:, cut],
        spread=people.spread[:, cut],
    )  # fmt: skip


def _position_spread(covariance: FloatArray) -> float:
    mean = 0.5 * (float(covariance[0, 0]) + float(covariance[1, 1]))
    return float(np.sqrt(np.clip(mean, 0.0, 0.09))) if np.isfinite(mean) else 0.3


def _pairs(
    groups: NDArray[np.int64], owners: NDArray[np.intp], xy: FloatArray, farthest: float
) -> tuple[tuple[int, int], ...]:
    """Neighbouring members of one group, as rows (each one's likeliest): a chain, shortest links first."""
    members_of: dict[int, list[int]] = {}
    for k in np.unique(owners, return_index=True)[1]:
        if groups[k] >= 0:
            members_of.setdefault(int(groups[k]), []).append(int(k))
    pairs: list[tuple[int, int]] = []
    for members in members_of.values():
        links = sorted(
            (float(np.linalg.norm(xy[a, 0] - xy[b, 0])), a, b)
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
