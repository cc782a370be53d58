"""What it costs a route to pass people who stay: standing persons, and the space a group shares."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lifelong_nav.core.config import param
from lifelong_nav.core.geometry import rotation2, transform_points2
from lifelong_nav.core.types import FloatArray, People, Pose2, TrackedPerson
from lifelong_nav.trajectory.cost_grid import CostGrid


@dataclass(frozen=True)
class SocialLayerConfig:
    """Parameters of `social_cost`."""

    standing_speed: float = param(0.25, "m/s", 0.0, 1.0, "Slower people count as standing.")
    standing_age: float = param(1.0, "s", 0.0, 30.0, "Only people tracked this long shape the route.")
    body_cost: float = param(30.0, "", 0.0, 1000.0, "Extra cost per metre through a standing person.")
    space_cost: float = param(5.0, "", 0.0, 1000.0, "Extra cost per metre at the edge of a body.")
    space: float = param(0.45, "m", 0.05, 2.0, "Spread of personal space beyond the body.")
    group_cost: float = param(12.0, "", 0.0, 1000.0, "Extra cost per metre through a group's o-space.")
    group_gap: float = param(3.0, "m", 0.5, 6.0, "Members farther from the group's centre do not belong.")


def social_cost(
    grid: CostGrid, people: People, robot_radius: float, config: SocialLayerConfig | None = None
) -> NDArray[np.float32]:
    """(H, W) float32 extra cost per metre, never lethal: a blocked door is waited at, not given up.

    Around each standing person stands a Gaussian personal space (Hall 1966; Kirby 2010); standing
    members of one group span an o-space (Kendon 1990), a disc through them, that costs the more the
    nearer its middle. Walkers are left to the controller: they will be elsewhere.

    Args:
        grid: where the cost applies.
        people: in the grid's frame.
        robot_radius: [m].
        config: parameters.
    """
    c = config or SocialLayerConfig()
    extra = np.zeros(grid.shape, dtype=np.float32)
    still = [p for p in people.people if p.speed < c.standing_speed and p.age >= c.standing_age]
    for p in still:
        touch = p.radius + robot_radius
        window, distance = _around(grid, np.array([p.x, p.y]), touch + 3.0 * c.space)
        fade = c.space_cost * np.exp(-0.5 * ((distance - touch) / c.space) ** 2)
        extra[window] = np.maximum(extra[window], np.where(distance < touch, c.body_cost, fade))
    groups: dict[int, list[FloatArray]] = {}
    for p in still:
        if p.group_id >= 0:
            groups.setdefault(p.group_id, []).append(np.array([p.x, p.y]))
    for members in groups.values():
        places = np.array(members)
        centre = places.mean(axis=0)
        away = np.linalg.norm(places - centre, axis=1)
        if len(places) < 2 or away.max() > c.group_gap:
            continue
        disc = float(away.mean()) + robot_radius
        window, distance = _around(grid, centre, disc)
        shared = np.where(distance < disc, c.group_cost * (1.0 - 0.5 * distance / disc), 0.0)
        extra[window] = np.maximum(extra[window], shared)
    return extra


def someone_near(places: FloatArray, pose: Pose2, route: FloatArray) -> bool:
    """True when someone at `places` (N, 2) is beside the robot or in the next 3 m of its `route` (M, 2)."""
    if (np.linalg.norm(places - pose.xy, axis=1) < 1.5).any():
        return True
    ahead = route[np.linalg.norm(route - pose.xy, axis=1) < 3.0]
    return bool((np.linalg.norm(places[:, None] - ahead[None], axis=2) < 0.8).any())


def _around(grid: CostGrid, centre: FloatArray, reach: float) -> tuple[tuple[slice, slice], FloatArray]:
    """The window of cells within `reach` [m] of a point, maybe empty, and their distances to it [m]."""
    low = np.floor((centre - reach - grid.origin) / grid.resolution).astype(int)
    high = np.ceil((centre + reach - grid.origin) / grid.resolution).astype(int)
    low = np.clip(low, 0, grid.shape[::-1])
    high = np.clip(high, low, grid.shape[::-1])
    x = (np.arange(low[0], high[0]) + 0.5) * grid.resolution + grid.origin[0] - centre[0]
    y = (np.arange(low[1], high[1]) + 0.5) * grid.resolution + grid.origin[1] - centre[1]
    return (slice(low[1], high[1]), slice(low[0], high[0])), np.hypot(x[None, :], y[:, None])


def people_in_frame(people: People, shift: Pose2, frame: str) -> People:
    """People expressed in another frame, `shift` being the pose of their frame in it."""
    turn = rotation2(shift.yaw)
    places = transform_points2(shift, people.positions())
    speeds = people.velocities() @ turn.T
    spread = np.kron(np.eye(2), turn)
    return People(
        people.stamp,
        frame,
        tuple(
            TrackedPerson(
                p.id, float(xy[0]), float(xy[1]), float(v[0]), float(v[1]),
                spread @ p.covariance @ spread.T, p.group_id, p.confidence, p.age, p.radius,
            )
            for p, xy, v in zip(people.people, places, speeds, strict=True)
        ),
    )  # fmt: skip
