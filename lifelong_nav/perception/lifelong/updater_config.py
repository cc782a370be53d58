"""Parameters of the lifelong learner as a whole."""

from __future__ import annotations

from dataclasses import dataclass

from lifelong_nav.core.config import param


@dataclass(frozen=True)
class LearnerConfig:
    """When the learner learns, and how much it keeps."""

    min_moments: int = param(24, "", 4, 10000, "Labelled moments of a new scenario before it is learned.")
    min_episodes: int = param(
        3, "", 2, 1000, "Stays in a new scenario before it is learned; one is held out."
    )
    settle: float = param(
        5.0, "s", 0.0, 3600.0, "Quiet since the last labelled moment before learning starts."
    )
    carried_weight: float = param(
        0.6, "", 0.0, 1.0, "Weight of a moment whose label was carried over from its cluster."
    )
    more: float = param(
        1.5, "", 1.0, 10.0, "After a refusal, growth of a scenario's moments before the next try."
    )
    consolidate_after: int = param(6, "", 1, 1000, "Promotions before all weights are fitted jointly once.")
    memory: int = param(48 << 20, "bytes", 1 << 20, 4 << 30, "Size of the replay memory.")
    floor: int = param(24, "", 4, 1000, "Moments of a scenario that the replay memory keeps at least.")
