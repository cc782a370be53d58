"""The named cost terms of MPPI, each a plain function of rolled-out motion.

Arrays are time-major here: x, y, yaw, v, w are (T, K) float32, relative to the robot; every term
returns (K,). A term is roughly "cost per second of doing the wrong thing", so weights compare.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lifelong_nav.control.path import PathWindow
from lifelong_nav.control.reference import Reference
from lifelong_nav.control.social import (
    Forecast,
    SocialConfig,
    between,
    contact,
    group_cost,
    offsets,
    overspeed,
    space_cost,
)
from lifelong_nav.core.config import param
from lifelong_nav.core.distance import DistanceField, lookup
from lifelong_nav.core.types import FloatArray


@dataclass(frozen=True)
class CostConfig:
    """Weights and shapes of the cost terms."""

    progress: float = param(14.0, "", 0.0, 1000.0, "Falling behind the desired progress along the path.")
    lateral: float = param(0.8, "", 0.0, 1000.0, "Distance to the path, squared up to 1 m.")
    heading: float = param(1.0, "", 0.0, 1000.0, "Facing away from the path's direction.")
    goal: float = param(14.0, "", 0.0, 1000.0, "Distance left to the goal at the horizon, when near it.")
    obstacle: float = param(3.0, "", 0.0, 1000.0, "Nearness to obstacles, falling with `obstacle_fall`.")
    obstacle_fall: float = param(0.12, "m", 0.01, 2.0, "Distance over which that nearness falls to 1/e.")
    collision: float = param(400.0, "", 0.0, 1e6, "Per second of overlapping with an obstacle.")
    space: float = param(9.0, "", 0.0, 1000.0, "Personal space of people.")
    group: float = param(6.0, "", 0.0, 1000.0, "Space between the members of a group.")
    beyond: float = param(0.7, "", 0.0, 10.0, "Share of the people costs that wait beyond the horizon.")
    contact: float = param(150.0, "", 0.0, 1e6, "Per second of contact with a person, discounted by time.")
    moving: float = param(0.5, "", 0.0, 1.0, "Share of the people costs that falls away for a robot at rest.")
    pace: float = param(12.0, "", 0.0, 1000.0, "Driving at people faster than the gap allows, per metre.")
    pace_least: float = param(0.12, "", 0.0, 1.0, "Share of the speed allowed in touch with a person ...")
    pace_range: float = param(0.6, "m", 0.05, 5.0, "... growing to all of it at this gap.")
    track: float = param(16.0, "", 0.0, 1000.0, "Being elsewhere than the reference is at that time.")
    track_soft: float = param(
        0.4, "m", 0.01, 5.0, "Distance above which that grows in proportion, not squared."
    )
    track_yaw: float = param(1.0, "", 0.0, 1000.0, "Facing elsewhere than the reference.")
    track_speed: float = param(2.0, "", 0.0, 1000.0, "Another speed than the reference's, squared.")
    path_share: float = param(0.1, "", 0.0, 1.0, "Share of the path's costs that stays beside a reference.")
    smooth: float = param(0.25, "", 0.0, 1000.0, "Changes of command from step to step.")
    turn: float = param(0.12, "", 0.0, 1000.0, "Yaw rate, squared.")
    reverse: float = param(6.0, "", 0.0, 1000.0, "Driving backwards, per metre.")


@dataclass(frozen=True, slots=True)
class Motion:
    """Rolled-out motion: x, y, yaw, v, w, each (T, K), relative to the robot; `times` (T,) [s]."""

    x: FloatArray
    y: FloatArray
    yaw: FloatArray
    v: FloatArray
    w: FloatArray
    times: FloatArray

    @property
    def dt(self) -> float:
        """Step [s]."""
        return float(self.times[0])


BEYOND = np.array([0.6, 1.2, 1.8])
"""How far past the end of the horizon people are looked for [m]."""


def path_terms(m: Motion, way: PathWindow, speed: float, stride: int, c: CostConfig) -> dict[str, FloatArray]:
    """Progress, lateral deviation, heading and distance to the goal, every `stride` steps."""
    pick = np.arange(len(m.times) - 1, -1, -stride)[::-1]
    x, y, yaw = m.x[pick], m.y[pick], m.yaw[pick]
    arc, square, tangents = way.project(np.stack([x.ravel(), y.ravel()], axis=-1))
    arc, square = arc.reshape(x.shape), square.reshape(x.shape)
    span = max(speed * float(m.times[-1]), 1e-3)
    wanted = np.minimum(way.start + speed * m.times[pick], way.end).astype(np.float32)
    behind = np.maximum(wanted[:, None] - arc, 0) / np.float32(span)
    tangents = tangents.reshape(*x.shape, 2)
    facing = np.cos(yaw) * tangents[..., 0] + np.sin(yaw) * tangents[..., 1]
    horizon = float(m.times[-1])
    left = max(way.end - way.start, 0.0) if way.final else np.inf
    # Near the goal the path's direction gives way to the goal itself.
    far = float(np.clip(left / max(0.8, speed), 0.0, 1.0))
    terms = {
        "progress": c.progress * (0.5 * behind.mean(axis=0) + 0.5 * behind[-1]),
        "lateral": c.lateral * horizon * far * np.minimum(square, 1.0 + 0.1 * square).mean(axis=0),
        "heading": c.heading * horizon * far * (1.0 - facing).mean(axis=0) * 0.5,
    }
    if way.final:
        gap = np.hypot(x - way.points[-1, 0], y - way.points[-1, 1])
        # The mean over time keeps the robot from putting the last step off for ever.
        terms["goal"] = c.goal * (1.0 - 0.8 * far) * 0.5 * (gap[-1] + gap.mean(axis=0))
    return terms


def track_terms(m: Motion, ref: Reference, stride: int, c: CostConfig) -> dict[str, FloatArray]:
    """Distance, heading and speed held against the reference at equal times, every `stride` steps."""
    pick = np.arange(len(m.times) - 1, -1, -stride)[::-1]
    x, y, yaw, v, inside = (r[pick, None] for r in (ref.x, ref.y, ref.yaw, ref.v, ref.inside))
    off = np.hypot(m.x[pick] - x, m.y[pick] - y)
    off *= off / (off + np.float32(c.track_soft))
    horizon = float(m.times[-1])
    turned = (1.0 - np.cos(m.yaw[pick] - yaw)) * inside
    return {
        "track": c.track * (off * inside).mean(axis=0),
        "track_yaw": c.track_yaw * 0.5 * horizon * turned.mean(axis=0),
        "track_speed": c.track_speed * (np.square(m.v[pick] - v) * inside).mean(axis=0),
    }


def obstacle_terms(
    m: Motion, field: DistanceField, origin: FloatArray, radius: float, c: CostConfig
) -> tuple[dict[str, FloatArray], FloatArray]:
    """Nearness and collision; also (K,) the least distance of the robot's centre to an obstacle [m]."""
    corner = (field.origin[0] - float(origin[0]), field.origin[1] - float(origin[1]))
    distance = lookup(field.distance, field.resolution, corner, m.x, m.y, np.float32(field.beyond))
    here = float(field.at(np.array([origin[0]]), np.array([origin[1]]))[0])
    # Already inside: what gets out is no collision, what goes deeper is.
    bound = np.float32(min(radius, here - 0.01) if here < radius else radius)
    near = np.exp((distance - np.float32(radius)) * np.float32(-1.0 / c.obstacle_fall))
    np.minimum(near, 2.0, out=near)
    hit = (distance < bound).sum(axis=0, dtype=np.float32)
    terms = {
        "obstacle": c.obstacle * m.dt * near.sum(axis=0),
        "collision": c.collision * (m.dt * hit + 0.1 * (hit > 0)),
    }
    return terms, distance.min(axis=0) - (bound - np.float32(radius))


def people_times(times: FloatArray, stride: int, speed: float) -> FloatArray:
    """Times at which `people_terms` wants people forecast: along the horizon, then beyond it."""
    return np.concatenate([times[stride - 1 :: stride], times[-1] + BEYOND / speed])


def people_terms(
    m: Motion, forecasts: Forecast, way: PathWindow, stride: int, radius: float, speed: float,
    s: SocialConfig, c: CostConfig,
) -> tuple[dict[str, FloatArray], FloatArray]:  # fmt: skip
    """Personal space, group space, contact, haste near people, and who stands beyond the horizon.

    Also (K,) True where contact is likely within a second. `forecasts` at `people_times`.
    """
    people = between(forecasts, 0, len(m.times[stride - 1 :: stride]))
    pick = slice(stride - 1, None, stride)
    x, y, v, times = m.x[pick], m.y[pick], m.v[pick], m.times[pick]
    step = np.float32(m.dt * stride)
    # Standing near people is milder than driving there: yielding beats swerving late.
    share = np.abs(v) * np.float32(c.moving / max(speed, 0.2)) + np.float32(1.0 - c.moving)
    np.minimum(share, 1.0, out=share)
    seen = offsets(x, y, people)
    bump, _ = contact(x, y, people, radius + s.clearance, seen, times / s.contact_memory, share)
    terms = {
        "space": c.space * step * (space_cost(x, y, people, seen) * share).sum(axis=0),
        "contact": c.contact * step * bump.sum(axis=0),
    }
    if people.pairs:
        terms["group"] = c.group * step * (group_cost(x, y, people, s.group_spread) * share).sum(axis=0)
    allowed = speed * c.pace_least, speed * (1.0 - c.pace_least) / c.pace_range
    over = overspeed(x, y, m.yaw[pick], v, people, radius, allowed, seen)
    terms["pace"] = c.pace * step * over.sum(axis=0)
    later = between(forecasts, len(times), None)
    terms["beyond"] = beyond_term(m.x[-1], m.y[-1], later, way, speed, s, c)
    _, chance = contact(x[times <= 1.0], y[times <= 1.0], people, radius, seen)
    return terms, chance.max(axis=0, initial=0.0) > s.likely


def beyond_term(
    x: FloatArray, y: FloatArray, people: Forecast, way: PathWindow, speed: float,
    s: SocialConfig, c: CostConfig,
) -> FloatArray:  # fmt: skip
    """Cost of the people one would meet by going on along the path from the horizon's end.

    A short horizon's value function: without it, waiting in front of a group that will not move looks
    as good as having begun to walk around it. x, y (K,); `people` at the times BEYOND / speed later.
    """
    arc, _, _ = way.project(np.stack([x, y], axis=-1))
    onward = np.minimum(arc[None, :] + BEYOND[:, None].astype(np.float32), way.end)
    index = onward / way.spacing
    steps = np.arange(len(way.points))
    here = arc / way.spacing
    far_x = x + np.interp(index, steps, way.points[:, 0]) - np.interp(here, steps, way.points[:, 0])
    far_y = y + np.interp(index, steps, way.points[:, 1]) - np.interp(here, steps, way.points[:, 1])
    far_x, far_y = far_x.astype(np.float32), far_y.astype(np.float32)
    cost = c.space * space_cost(far_x, far_y, people)
    if people.pairs:
        cost += c.group * group_cost(far_x, far_y, people, s.group_spread)
    return c.beyond * np.float32(BEYOND[-1] / len(BEYOND) / speed) * cost.sum(axis=0)


def effort_terms(
    m: Motion, commands: FloatArray, previous: FloatArray, c: CostConfig
) -> dict[str, FloatArray]:
    """Smoothness, turning and reversing; `commands` (2, T, K), `previous` (2,) the command sent last."""
    v, w = commands
    change = np.square(np.diff(v, axis=0)).sum(axis=0) + np.square(v[0] - np.float32(previous[0]))
    change += 0.3 * (np.square(np.diff(w, axis=0)).sum(axis=0) + np.square(w[0] - np.float32(previous[1])))
    return {
        "smooth": c.smooth * change,
        "turn": c.turn * m.dt * np.square(m.w).sum(axis=0),
        "reverse": c.reverse * m.dt * -np.minimum(m.v, 0).sum(axis=0),
    }
