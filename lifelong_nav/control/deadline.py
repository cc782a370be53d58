"""What to do when no new plan is ready: an old one for half a second, then plain pursuit, then nothing.

Pursuit follows the chosen trajectory at its own pace while that lasts, else the path.
"""

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
    reference: Trajectory | None = None,
) -> tuple[Twist2, Rung]:
    """The command to send at `now` [s].

    Args:
        now: time on the plan's clock.
        plan: the last feasible plan; None when there is none.
        pose: robot pose now, None when unknown.
        path: (M, 2 or more) path to follow in the pose's frame, None or empty when there is none.
        limits: of the base, for pursuit.
        config: parameters.
        reference: the trajectory chosen last, in the pose's frame; while it lasts pursuit keeps to it and
            to its pace, so that the robot waits where it was chosen to wait.
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
    speed = min(config.pursue_speed, limits.speed)
    if reference is not None and 0.0 <= now - reference.stamp <= config.pursue:
        ahead = _ahead(now - reference.stamp, reference)
        if ahead is not None:
            way, pace = ahead
            return pursue(pose, way, min(speed, pace), limits) if pace > 0.02 else Twist2(), Rung.PURSUIT
    return pursue(pose, path, speed, limits), Rung.PURSUIT


def _ahead(age: float, reference: Trajectory) -> tuple[FloatArray, float] | None:
    """What is left of a trajectory (M, 2) and its speed now; None when nothing is, or not finite."""
    left = reference.times >= age
    if not left.any() or not np.isfinite(reference.poses).all() or not np.isfinite(reference.twists).all():
        return None
    first = int(np.argmax(left))
    return reference.poses[first:, :2], float(reference.twists[first, 0])
