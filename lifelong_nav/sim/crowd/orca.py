"""ORCA (van den Berg et al. 2011) as a motion model, by the optional package pyrvo (extra `orca`)."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from lifelong_nav.core.config import param
from lifelong_nav.core.errors import require_package
from lifelong_nav.core.types import FloatArray
from lifelong_nav.sim.crowd.motion import Bodies
from lifelong_nav.sim.crowd.state import RobotDisc


@dataclass(frozen=True)
class OrcaConfig:
    """Parameters of ORCA."""

    neighbours: int = param(10, "", 1, 50, "Most people taken into account.")
    neighbour_distance: float = param(6.0, "m", 0.5, 30.0, "People farther away are left out.")
    horizon: float = param(3.0, "s", 0.1, 20.0, "Collisions with people are avoided this far ahead.")
    horizon_wall: float = param(1.0, "s", 0.1, 20.0, "Collisions with walls are avoided this far ahead.")
    margin: float = param(0.05, "m", 0.0, 0.5, "Added to every radius.")
    haste: float = param(1.3, "", 1.0, 2.0, "Fastest speed relative to the wanted one.")


@dataclass(frozen=True)
class Orca:
    """Motion model: reciprocal avoidance; the robot is one more agent that takes half of the evasion.

    Who does not heed the robot does not see it. There are no groups in ORCA: companions stay together
    only by their common goal.
    """

    config: OrcaConfig = field(default_factory=OrcaConfig)

    def __post_init__(self) -> None:
        require_package("pyrvo", "orca")

    def velocities(
        self, bodies: Bodies, wanted: FloatArray, robot: RobotDisc | None, segments: FloatArray, dt: float
    ) -> FloatArray:
        """(N, 2) velocities for the next dt; see `motion.MotionModel`."""
        heeds = bodies.heed > 0.0
        if robot is None or heeds.all():
            return self._solve(bodies, wanted, robot, segments, dt)
        blind = self._solve(bodies, wanted, None, segments, dt)
        aware = self._solve(bodies, wanted, robot, segments, dt)
        return np.where(heeds[:, None], aware, blind)

    def _solve(
        self, bodies: Bodies, wanted: FloatArray, robot: RobotDisc | None, segments: FloatArray, dt: float
    ) -> FloatArray:
        # a solver per step: pyrvo cannot take obstacles back, and doors and furniture move
        pyrvo = require_package("pyrvo", "orca")
        c = self.config
        solver = pyrvo.RVOSimulator()
        solver.set_time_step(dt)
        defaults = (c.neighbour_distance, c.neighbours, c.horizon, c.horizon_wall)
        speeds = np.maximum(c.haste * np.hypot(wanted[:, 0], wanted[:, 1]), 0.6)
        rows = np.flatnonzero(bodies.present)
        for i in rows:
            agent = solver.add_agent(
                tuple(bodies.positions[i].tolist()), *defaults, bodies.radii[i] + c.margin, speeds[i],
                tuple(bodies.velocities[i].tolist()),
            )  # fmt: skip
            solver.set_agent_pref_velocity(agent, tuple(wanted[i].tolist()))
        if robot is not None:
            velocity = tuple(np.asarray(robot.velocity, dtype=float).tolist())
            place = tuple(np.asarray(robot.position, dtype=float).tolist())
            agent = solver.add_agent(place, *defaults, robot.radius + c.margin, 2.0, velocity)
            solver.set_agent_pref_velocity(agent, velocity)
        for x0, y0, x1, y1 in np.asarray(segments, dtype=float).tolist():
            if abs(x1 - x0) + abs(y1 - y0) > 1e-6:
                solver.add_obstacle([(x0, y0), (x1, y1)])
        if len(segments):
            solver.process_obstacles()
        solver.do_step()
        out = np.zeros_like(wanted)
        for agent, i in enumerate(rows):
            out[i] = solver.get_agent_velocity(agent).to_tuple()
        return out
