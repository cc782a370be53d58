"""What a candidate costs the robot itself: time, nearness to obstacles, roughness, speed it cannot stop."""

from __future__ import annotations

import numpy as np

from lifelong_nav.core.types import FloatArray
from lifelong_nav.trajectory.situation import HORIZON, STEP, TIMES
from lifelong_nav.trajectory.terms.batch import Batch
from lifelong_nav.trajectory.terms.config import TermsConfig

_ACCEL = 1.0  # m/s^2 with which driving freely gathers speed


def progress(b: Batch, c: TermsConfig) -> FloatArray:
    """(C,) seconds lost at the horizon against driving freely along the way.

    A fourth of it is the mean over the horizon, so that of two that end alike the earlier is better; ending
    away from the way, or facing against it, counts as delay.
    """
    arc, off = b.along
    speed = max(b.situation.speed, 0.1)
    now = float(np.clip(b.situation.twist.vx, 0.0, speed))
    ramp = np.minimum((speed - now) / _ACCEL, TIMES)
    free = now * ramp + 0.5 * _ACCEL * ramp**2 + speed * (TIMES - ramp)
    # The end of the way is reached at rest: the last half metre takes as long as braking does.
    wanted = np.minimum(free, b.way.length)
    lost = (wanted - arc) / speed
    away = np.minimum(off[:, -1], 2.0)
    if b.way.ends:
        left = np.linalg.norm(b.xy[:, -1] - b.way.points[-1], axis=-1)
        home = wanted[-1] >= b.way.length - 1e-6
        away = np.where(home, np.minimum(left, 2.0), away)
    nearest = np.abs(b.way.arcs[None] - arc[:, -1:]).argmin(axis=1)
    facing = (b.heading[:, -1] * b.way.tangents[nearest]).sum(axis=-1)
    against = np.maximum(-facing, 0.0) * (arc[:, -1] < b.way.length - 0.3)
    late = 0.75 * lost[:, -1] + 0.25 * lost.mean(axis=1)
    return np.maximum(late, 0.0) + c.off_way * away + against


def obstacle(b: Batch, c: TermsConfig) -> FloatArray:
    """(C,) mean over time of nearness to obstacles: 0 beyond the margin, 1 in touch, steeply more inside."""
    gap = b.clearance - np.float32(b.radius)
    near = np.clip(1.0 - gap / np.float32(c.margin), 0.0, None)
    # Near while at rest harms nobody, and a robot that stands near a wall must be able to leave it.
    moving = np.clip(np.abs(b.v) / 0.3, 0.2, 1.0)
    squared = np.where(near > 1.0, 3.0 * near - 2.0, near * near) * moving
    return np.asarray(squared.mean(axis=1) + 2.0 * (np.maximum(-gap - 0.02, 0.0) / 0.1).max(axis=1))


def comfort(b: Batch, c: TermsConfig) -> FloatArray:
    """(C,) acceleration, jerk, sideways acceleration and driving backwards, in their usual size."""
    first_v = np.full((len(b), 1), b.situation.twist.vx, dtype=np.float32)
    first_w = np.full((len(b), 1), b.situation.twist.wz, dtype=np.float32)
    v, w = np.concatenate([first_v, b.v], axis=1), np.concatenate([first_w, b.w], axis=1)
    accel, spin = np.diff(v, axis=1) / STEP, np.diff(w, axis=1) / STEP
    jerk = np.diff(accel, axis=1) / STEP
    rough = (accel**2).mean(axis=1) + 0.1 * (spin**2).mean(axis=1) + 0.02 * (jerk**2).mean(axis=1)
    turning = 0.3 * (b.w**2).mean(axis=1) + ((b.v * b.w) ** 2).mean(axis=1)
    back = 4.0 * np.maximum(-b.v, 0.0).mean(axis=1)
    return np.asarray(rough + turning + back, dtype=float)


def dynamics_risk(b: Batch, c: TermsConfig) -> FloatArray:
    """(C,) mean excess over the speed from which one can stop before what is near [m/s].

    Obstacles are held against the clearance some way ahead, people against the gap less one standard
    deviation of the forecast, and with their own approach: the speed at someone counts by half its size plus
    half its part towards them, driving away counts nothing.
    """
    speed = np.abs(b.v)
    allowed = _stopping(b.clearance - b.radius + 0.15, c.braking, c.reaction)
    excess = np.maximum(speed - allowed, 0.0)
    pick = slice(1, None, 2)  # every other step does
    excess = excess[:, pick]
    if len(b.people):
        dx, dy = (o[..., pick] for o in b.offset)
        ahead = b.heading[:, pick] * b.v[:, pick, None]
        toward = -(dx * ahead[None, ..., 0] + dy * ahead[None, ..., 1])
        toward /= np.maximum(b.distance[..., pick], np.float32(0.05))
        at = np.maximum(np.float32(0.5) * (speed[None, :, pick] + toward), 0.0)
        free = b.gap[..., pick] - np.float32(0.5) * b.people.spread[:, None, pick]
        over = np.maximum(at - _stopping(free, c.braking, c.reaction), 0.0)
        excess = np.maximum(excess, b.over_people(over).max(axis=0))
    soon = np.exp(-TIMES[pick] / 3.0)
    return np.asarray((excess * soon).sum(axis=1) / soon.sum())


def consistency(b: Batch, previous: FloatArray | None) -> FloatArray:
    """(C,) mean distance [m] from what was chosen before over its first four seconds, at most 1.

    Args:
        b: candidates.
        previous: (T, 2) where the choice before leads at `TIMES` from now; None for none.
    """
    if previous is None:
        return b.none()
    use = min(4.0, HORIZON) + 0.01 > TIMES
    away = np.linalg.norm(b.xy[:, use] - previous[use].astype(np.float32), axis=-1)
    return np.asarray(np.minimum(away, 1.0).mean(axis=1))


def _stopping(free: FloatArray, braking: float, reaction: float) -> FloatArray:
    """Speed from which one stops within `free` [m]: v * reaction + v^2 / 2a = free."""
    square = np.maximum(free, 0) * np.float32(2.0 / braking) + np.float32(reaction**2)
    return np.asarray((np.sqrt(square) - np.float32(reaction)) * np.float32(braking))
