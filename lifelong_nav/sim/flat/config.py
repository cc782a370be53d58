"""Parameters of the simulation in the plane."""

from __future__ import annotations

from dataclasses import dataclass

from lifelong_nav.core.config import param


@dataclass(frozen=True)
class FlatConfig:
    """Body, lidar and what a people tracker would make of the scene."""

    speed: float = param(0.8, "m/s", 0.05, 3.0, "Fastest forward speed of the robot.")
    radius: float = param(0.27, "m", 0.05, 1.0, "Radius of the robot.")
    scan: bool = param(True, doc="Whether the lidar scans; planners that need none are faster without.")
    noise: float = param(1.0, "", 0.0, 5.0, "Factor on all noise; 0 gives true people and ranges.")
    beams: int = param(360, "", 8, 4000, "Beams of a scan.")
    scan_range: float = param(12.0, "m", 0.5, 100.0, "Farther returns are lost (+inf).")
    sight: float = param(9.0, "m", 0.5, 50.0, "People are seen within this distance.")
    position_noise: float = param(0.04, "m", 0.0, 1.0, "Standard deviation of a person's position, per axis.")
    velocity_noise: float = param(0.08, "m/s", 0.0, 1.0, "Standard deviation of a velocity, per axis.")
    smoothing: float = param(0.3, "s", 0.0, 2.0, "Lag of a track's velocity behind the true one.")
    appear_low: float = param(0.3, "s", 0.0, 5.0, "Shortest time until a visible person is tracked.")
    appear_high: float = param(0.5, "s", 0.0, 5.0, "Longest time until a visible person is tracked.")
    coast: float = param(0.7, "s", 0.0, 5.0, "A hidden person's track goes straight on for so long.")
    group_after: float = param(1.0, "s", 0.0, 10.0, "Who belongs together is known after so long in sight.")
