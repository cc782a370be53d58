"""What to do when no new plan is ready: an old one for a moment, then plain pursuit, then nothing."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import numpy as np

from lifelong_nav.control.pursuit import Limits, pursue
from lifelong_nav.core.config import param
from lifelong_nav.core.types import FloatArray, Pose2, Trajectory, Twist2


class Rung(Enum):
    """Where on the ladder a command came from."""

    PLAN = "plan"
    OLD_PLAN = "old_plan"
    PURSUIT = "pursuit"
    STOP = "stop"


@dataclass(frozen=True)
class DeadlineConfig:
    """Parameters of the ladder."""

    fresh: float = param(0.15, "s", 0.01, 2.0, "A plan younger than this is simply the plan.")
    follow: float = param(0.5, "s", 0.0, 3.0, "Oldest plan that is still followed.")
    pursue: float = param(2.0, "s", 0.0, 10.0, "Age of the last plan up to which the path is pursued.")
    pursue_speed: float = param(0.25, "m/s", 0.0, 1.0, "Speed of that pursuit.")


def command_now(
    now: float,
    plan: Trajectory | None,
    pose: Pose2 | None,
    path: FloatArray | None,
    limits: Limits,
    config: DeadlineConfig,
) -> tuple[Twist2, Rung]:
    """The command to send at `now` [s].

    Args:
        now: time on the plan's clock.
        plan: the last feasible plan; None when there is none.
        pose: robot pose now, None when unknown.
        path: (M, 2 or more) path to follow in the pose's frame, None or empty when there is none.
        limits: of the base, for pursuit.
        config: parameters.
    """
    if path is None or len(path) == 0 or plan is None:
        return Twist2(), Rung.STOP
    age = now - plan.stamp
    if not 0.0 <= age <= max(config.follow, config.pursue):  # also refuses NaN
        return Twist2(), Rung.STOP
    if age <= config.follow and len(plan.times) and age <= plan.times[-1]:
        step = int(np.searchsorted(plan.times, age, side="right"))
        v, w = plan.twists[min(step, len(plan.twists) - 1)]
        if np.isfinite(v) and np.isfinite(w):
            return Twist2(float(v), 0.0, float(w)), Rung.PLAN if age <= config.fresh else Rung.OLD_PLAN
    if age > config.pursue or pose is None or not np.isfinite(pose.array()).all():
        return Twist2(), Rung.STOP
    return pursue(pose, path, min(config.pursue_speed, limits.speed), limits), Rung.PURSUIT
