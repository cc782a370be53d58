"""A simulation in the plane, without a physics engine: a disc among walls and people.

A step of 0.1 s costs one or two milliseconds: benchmarks and training data by the ten thousand runs.
"""

from lifelong_nav.sim.flat.body import Body
from lifelong_nav.sim.flat.config import FlatConfig
from lifelong_nav.sim.flat.world import FlatSensed, FlatWorld, Touch

__all__ = ["Body", "FlatConfig", "FlatSensed", "FlatWorld", "Touch"]
