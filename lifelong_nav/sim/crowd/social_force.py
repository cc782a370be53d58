"""The social force model: people and the robot repel, walls repel, companions hold together."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from lifelong_nav.core.config import param
from lifelong_nav.core.types import FloatArray
from lifelong_nav.sim.crowd import forces
from lifelong_nav.sim.crowd.motion import Bodies
from lifelong_nav.sim.crowd.state import RobotDisc


@dataclass(frozen=True)
class SocialForceConfig:
    """Strengths and ranges of the forces; defaults from Moussaid 2009 and 2010, walls from Helbing."""

    relaxation: float = param(0.5, "s", 0.1, 3.0, "Time to take up the wanted velocity.")
    strength: float = param(4.5, "m/s^2", 0.0, 20.0, "Repulsion between people, A.")
    gamma: float = param(0.35, "m", 0.05, 2.0, "Range of the repulsion per interaction length.")
    lam: float = param(2.0, "", 0.0, 5.0, "Weight of relative velocity against direction.")
    behind: float = param(0.4, "", 0.0, 1.0, "Weight of what happens right behind someone's back.")
    companion: float = param(0.25, "", 0.0, 1.0, "Weight of the repulsion between companions.")
    wall_strength: float = param(5.0, "m/s^2", 0.0, 50.0, "Repulsion of a wall at touch.")
    wall_reach: float = param(0.15, "m", 0.02, 1.0, "Gap over which the wall's repulsion falls by 1/e.")
    gaze: float = param(4.0, "1/s", 0.0, 10.0, "Braking of those who walk ahead of their group.")
    cohesion: float = param(3.0, "m/s^2", 0.0, 10.0, "Pull to a group that has spread.")
    elbow: float = param(1.0, "m/s^2", 0.0, 10.0, "Push from companions nearer than 0.7 m.")
    haste: float = param(1.3, "", 1.0, 2.0, "Fastest speed relative to the wanted one.")


@dataclass(frozen=True)
class SocialForce:
    """Motion model: sums the forces of `forces` and integrates them (semi-implicit Euler)."""

    config: SocialForceConfig = field(default_factory=SocialForceConfig)

    def velocities(
        self, bodies: Bodies, wanted: FloatArray, robot: RobotDisc | None, segments: FloatArray, dt: float
    ) -> FloatArray:
        """(N, 2) velocities for the next dt; see `motion.MotionModel`."""
        c, p, v = self.config, bodies.positions, bodies.velocities
        weights = (1.0 - (1.0 - c.companion) * bodies.same) * bodies.present
        np.fill_diagonal(weights, 0.0)
        others, other_v, other_r = p, v, bodies.radii
        if robot is not None:
            others = np.vstack([p, robot.position])
            other_v = np.vstack([v, robot.velocity])
            other_r = np.append(other_r, robot.radius)
            weights = np.hstack([weights, bodies.heed[:, None]])
        force = forces.drive(v, wanted, c.relaxation)
        force += forces.social(
            p, v, bodies.headings, others, other_v, weights,
            strength=c.strength, gamma=c.gamma, lam=c.lam, behind=c.behind,
        )  # fmt: skip
        force += forces.contact(p, bodies.radii, others, other_r, weights)
        if len(segments):
            force += forces.walls(p, bodies.radii, segments, c.wall_strength, c.wall_reach)
        if bodies.same.any():
            # standing companions have nothing to keep together: only those who want to move feel it
            moving = (np.abs(wanted).sum(axis=1) > 0.2).astype(float)
            force += forces.companions(
                p, v, wanted, bodies.same * moving[:, None] * moving,
                gaze=c.gaze, cohesion=c.cohesion, repulsion=c.elbow,
            )  # fmt: skip
        new = v + dt * force
        fastest = np.maximum(c.haste * np.sqrt((wanted * wanted).sum(axis=1)), 0.6)
        speed = np.sqrt((new * new).sum(axis=1))
        return new * np.minimum(1.0, fastest / np.maximum(speed, 1e-9))[:, None]
