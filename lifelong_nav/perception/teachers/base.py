"""What a teacher is: somebody who can say what a scene is, asked rarely and never in the control loop."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from lifelong_nav.core.errors import LifelongNavError
from lifelong_nav.core.types import FloatArray
from lifelong_nav.perception.social_scene import SCENARIOS, SocialScene

REASONS = {
    "unknown": "the teacher does not know this scene",
    "privacy": "a picture of people who cannot be made unrecognisable would be sent",
    "budget": "questions, tokens or new names are used up",
    "resting": "the circuit is open after failures",
    "unreachable": "no connection, or it broke",
    "timeout": "too slow",
    "refused": "key, model or request refused, or a redirect",
    "busy": "too many requests",
    "failed": "the server failed",
    "format": "no proper reply",
    "schema": "a reply outside the schema",
    "hostile": "a reply that carries orders, links, code or hidden characters",
}
"""Why a teacher gave no answer."""


class TeacherError(LifelongNavError):
    """No usable answer; `reason` is one of `REASONS`, `retry_after` [s] is NaN unless the server named it."""

    def __init__(self, reason: str, what: str, fix: str, retry_after: float = float("nan")) -> None:
        self.reason, self.retry_after = reason, retry_after
        super().__init__(what, fix)


@dataclass(frozen=True, slots=True)
class TeacherRequest:
    """One question.

    `image` (H, W, 3) uint8 RGB or None; `facts` what tracks and scan say, in words; `known` scenarios with
    their sentences; `persons` (N, 4) boxes x0, y0, x1, y1 [px] of people in the image, None where nobody
    looked for them; `image_name` for labels by file name.
    """

    stamp: float
    image: NDArray[np.uint8] | None = None
    facts: str = ""
    known: Mapping[str, str] = field(default_factory=lambda: dict(SCENARIOS))
    persons: FloatArray | None = None
    image_name: str = ""


@dataclass(frozen=True, slots=True)
class TeacherAnswer:
    """A scene, who said so, how long it took [s] and what it cost [tokens]."""

    scene: SocialScene
    source: str
    latency: float = 0.0
    cost: int = 0


class Teacher(Protocol):
    """Describes scenes."""

    def describe(self, request: TeacherRequest) -> TeacherAnswer:
        """Answer, or raise `TeacherError`."""
        ...
