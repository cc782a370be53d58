"""The privileged expert's run as a record: its commands, driven once more in the same world."""

from __future__ import annotations

import dataclasses

import numpy as np

from lifelong_nav.core.types import FloatArray, Twist2
from lifelong_nav.evaluation.social.case import SPEED, Case
from lifelong_nav.evaluation.social.planner import Observation
from lifelong_nav.evaluation.social.run import RunRecord, drive
from lifelong_nav.training.trajectory_expert import expert, task


class Commands:
    """A planner that sends what it was given, then stops."""

    def __init__(self, commands: FloatArray) -> None:
        self.commands, self.sent = commands, 0

    def reset(self, goal: FloatArray, speed: float, seed: int) -> None:
        """See `Planner.reset`."""
        self.sent = 0

    def command(self, observation: Observation) -> Twist2:
        """See `Planner.command`."""
        if self.sent >= len(self.commands):
            return Twist2()
        v, w = self.commands[self.sent]
        self.sent += 1
        return Twist2(float(v), 0.0, float(w))


def drive_expert(case: Case) -> RunRecord:
    """What the expert of `training.trajectory_expert` makes of a case.

    Raises:
        ConfigError: the case is not in the suite.
    """
    what = task(case.family, case.human, case.layout, case.seed, SPEED)
    try:
        sent = expert(what).commands
    except Exception as problem:  # no expert for this case; the others go on
        still = drive(case, Commands(np.zeros((0, 2))), name="expert", scan=False)
        return dataclasses.replace(still, error=f"{type(problem).__name__}: {problem}")
    return drive(case, Commands(sent), name="expert", scan=False)
