"""The 28 scenario families as recipes: a place, people in it, how the robot drives, drawn from a seed.

`plan(family, rng, unlike)` draws one; `scene_phases` says at which instants the scenario is on.
"""

from __future__ import annotations

import numpy as np

from lifelong_nav.training import scene_doors, scene_halls, scene_ways
from lifelong_nav.training.scene_files import FILES, plan_from_file
from lifelong_nav.training.scene_plan import Plan

Rng = np.random.Generator

_FROM_FILES = 0.2
"""Share of layouts that come from the simulator's scenario files."""


def plan(family: str, rng: Rng, unlike: bool = False) -> Plan:
    """Draw a layout of a family; `unlike` builds it as the test split is built."""
    if rng.random() < _FROM_FILES and family in FILES:
        return plan_from_file(family, rng, unlike)
    return _RECIPES[family](rng, unlike)


def families() -> tuple[str, ...]:
    """Names of the families with a recipe."""
    return tuple(_RECIPES)


_RECIPES = {**scene_ways.RECIPES, **scene_doors.RECIPES, **scene_halls.RECIPES}
