"""Different people, different motion models: a crowd that no single planner's assumption fits."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from lifelong_nav.core.errors import ConfigError
from lifelong_nav.core.types import FloatArray
from lifelong_nav.sim.crowd.motion import Bodies, MotionModel
from lifelong_nav.sim.crowd.orca import Orca
from lifelong_nav.sim.crowd.person import PersonSpec
from lifelong_nav.sim.crowd.social_force import SocialForce
from lifelong_nav.sim.crowd.state import RobotDisc

MODELS: Mapping[str, Callable[[], MotionModel]] = {"social_force": SocialForce, "orca": Orca}
"""Motion models by name."""


class Mixed:
    """Motion model that asks each person's own model; all models see all people.

    Args:
        models: by name.
        names: (N,) the model of each person.
    """

    def __init__(self, models: Mapping[str, MotionModel], names: Sequence[str]) -> None:
        self.parts = [(model, np.array([n == name for n in names])) for name, model in models.items()]

    def velocities(
        self, bodies: Bodies, wanted: FloatArray, robot: RobotDisc | None, segments: FloatArray, dt: float
    ) -> FloatArray:
        """(N, 2) velocities for the next dt; see `motion.MotionModel`."""
        out = np.zeros_like(wanted)
        for model, rows in self.parts:
            if rows.any():
                out[rows] = model.velocities(bodies, wanted, robot, segments, dt)[rows]
        return out


def motion_model(name: str, people: Sequence[PersonSpec] = ()) -> MotionModel:
    """The model called `name`; where people name models of their own, a `Mixed` one.

    Raises:
        ConfigError: no such model.
        DependencyError: the model's package is not installed.
    """
    wanted = [p.model or name for p in people] or [name]
    for word in wanted:
        if word not in MODELS:
            raise ConfigError(f"There is no crowd model '{word}'.", f"Choose from: {', '.join(MODELS)}.")
    names = list(dict.fromkeys(wanted))
    if len(names) == 1:
        return MODELS[names[0]]()
    return Mixed({n: MODELS[n]() for n in names}, wanted)
