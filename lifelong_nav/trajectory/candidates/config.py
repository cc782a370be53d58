"""Parameters of the proposals."""

from __future__ import annotations

from dataclasses import dataclass

from lifelong_nav.core.config import param


@dataclass(frozen=True)
class CandidatesConfig:
    """What the rules propose."""

    gap: float = param(0.35, "m", 0.0, 2.0, "Free gap to people when passing close or yielding to them.")
    wide_gap: float = param(0.75, "m", 0.0, 3.0, "Free gap when passing wide or letting them go first.")
    blend: float = param(2.2, "m", 0.3, 10.0, "Length over which a swerve to one side builds up and fades.")
    keep_aside: float = param(0.45, "m", 0.1, 2.0, "How far aside of the route the parallel ways run.")
    follow_gap: float = param(0.9, "m", 0.2, 5.0, "Free gap behind somebody who is followed.")
    margin: float = param(0.08, "m", 0.0, 0.5, "Kept free of obstacles around the robot by swerves.")
    crowded: float = param(0.6, "m", 0.0, 3.0, "Someone ahead nearer than this gap: backing out is proposed.")
    searched: int = param(3, "", 0, 6, "Motions taken from the search; 0 leaves it out.")
