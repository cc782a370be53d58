"""What perception says of the social situation, as a value that passes between components."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from lifelong_nav.core.types import FloatArray

UNKNOWN, FACTS, IMAGE, FULL = "unknown", "facts", "image", "full"
STATES = (UNKNOWN, FACTS, IMAGE, FULL)
"""What a context rests on: nothing, scene facts only, the picture only, both. Order as in the message."""


@dataclass(frozen=True, slots=True)
class CaptionMatch:
    """A caption near the present embedding; `score` is a cosine and equals the sum of the two shares."""

    text: str
    scenario: str
    score: float
    image_share: float
    facts_share: float


@dataclass(frozen=True, slots=True)
class SocialContext:
    """The situation at `stamp` [s].

    `embedding` (D,) unit vector in the space of version `space`, empty when the state is unknown;
    `probabilities` by scenario name, most probable first; `novelty` in [0, 1] (share of known scenes
    that are less strange), NaN when unknown; `image_share` and `facts_share` add up to 1.
    """

    stamp: float
    state: str = UNKNOWN
    text: str = "I cannot tell what is going on."
    facts: str = ""
    space: str = ""
    generation: int = 0
    embedding: FloatArray = field(default_factory=lambda: np.zeros(0, dtype=np.float32))
    image_share: float = 0.0
    facts_share: float = 0.0
    probabilities: dict[str, float] = field(default_factory=dict)
    captions: tuple[CaptionMatch, ...] = ()
    novelty: float = float("nan")
    novel: bool = False
    false_alarm_rate: float = 0.0

    @property
    def scenario(self) -> str:
        """The most probable scenario, empty when unknown."""
        return next(iter(self.probabilities), "")
