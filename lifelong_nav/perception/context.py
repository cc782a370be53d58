"""The social context: picture and scene facts in, what is going on out, with each voice's share.

Every part may be exchanged between ticks. A voice that is silent for too long is left out, so that a
claim never outlives what it rests on.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lifelong_nav.core.config import param
from lifelong_nav.core.social_context import FACTS, FULL, IMAGE, UNKNOWN, CaptionMatch, SocialContext
from lifelong_nav.core.types import FloatArray
from lifelong_nav.perception.captions import spoken
from lifelong_nav.perception.sc_clip.attributes import DEFAULT_TEMPERATURE
from lifelong_nav.perception.sc_clip.database import CaptionDatabase
from lifelong_nav.perception.sc_clip.head import ContextHead, Embedding
from lifelong_nav.perception.sc_clip.image_trunk import Trunk
from lifelong_nav.perception.sc_clip.novelty import Novelty, NoveltyGate
from lifelong_nav.perception.sc_clip.text_encoder import TextEncoder

_SETTLED, _MEMORY = 60, 2400
"""Novelty readings after which this place is known well enough to compare with, and how many are kept."""
_FALSE_ALARMS = 0.02


@dataclass(frozen=True)
class ContextConfig:
    """What is published, and how long a silent source is believed."""

    image_timeout: float = param(0.5, "s", 0.05, 10.0, "Age at which the last picture says nothing more.")
    facts_timeout: float = param(1.0, "s", 0.05, 10.0, "Age at which tracks and scan say nothing more.")
    captions: int = param(5, "", 1, 50, "Nearest captions to publish.")
    novelty_rate: float = param(2.0, "Hz", 0.1, 30.0, "Novelty readings a second; windows are made of these.")


@dataclass
class ContextParts:
    """What an estimate is made with.

    `generation` counts the heads learned on this robot, 0 as shipped; `notes` say what could not be used.
    """

    text: TextEncoder
    trunk: Trunk
    head: ContextHead
    captions: CaptionDatabase
    gate: NoveltyGate | None = None
    generation: int = 0
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Moment:
    """One voice's last word: when [s], and its vector (features (F,), or facts (3 * D,))."""

    stamp: float
    vector: FloatArray
    clauses: tuple[str, ...] = ()


class ContextEstimator:
    """Keeps the last word of each voice and makes a `SocialContext` of what is fresh."""

    def __init__(self, parts: ContextParts, config: ContextConfig | None = None) -> None:
        self.parts, self.config = parts, config or ContextConfig()
        self._image: Moment | None = None
        self._facts: Moment | None = None
        self._judged = -np.inf
        self._novelty = (float("nan"), False)
        self._met: deque[float] = deque(maxlen=_MEMORY)

    def see(self, stamp: float, rgb: NDArray[np.uint8]) -> None:
        """Take in a picture (H, W, 3) of time `stamp` [s]; it is not kept."""
        self._image = Moment(stamp, self.parts.trunk.features(rgb)[0])

    def sense(self, stamp: float, clauses: Sequence[str]) -> None:
        """Take in scene facts as their sentences (people, groups, place) of time `stamp` [s]."""
        vector = self.parts.text.encode(list(clauses)).ravel()
        self._facts = Moment(stamp, vector, tuple(clauses))

    def forget(self) -> None:
        """Time ran back: what was seen is of another time."""
        self._image = self._facts = None
        self._judged, self._novelty = -np.inf, (float("nan"), False)
        if self.parts.gate is not None:
            self.parts.gate.reset()

    def fresh(self, now: float) -> tuple[Moment | None, Moment | None]:
        """The last words of picture and facts, None where they are too old at `now` [s]."""
        image, facts = self._image, self._facts
        if image is not None and now - image.stamp > self.config.image_timeout:
            image = None
        if facts is not None and now - facts.stamp > self.config.facts_timeout:
            facts = None
        return image, facts

    def estimate(self, now: float) -> SocialContext:
        """The situation by what is fresh at `now` [s]."""
        image, facts = self.fresh(now)
        moments = [m for m in (image, facts) if m is not None]
        if not moments:
            return SocialContext(now, space=self.parts.text.space, generation=self.parts.generation)
        parts = self.parts
        features = None if image is None else image.vector[None]
        clauses = None if facts is None else facts.vector[None]
        voices = parts.head.embed(features, clauses)
        fused = voices.fused[0]
        probabilities = parts.captions.probabilities(fused, temperature_of(parts.head))
        state = FULL if len(moments) == 2 else IMAGE if facts is None else FACTS
        novelty, novel = self._judge(now, image, facts, fused)
        return SocialContext(
            stamp=max(m.stamp for m in moments),
            state=state,
            text=sentence(probabilities, state, novel, parts.captions.scenarios),
            facts=" ".join(facts.clauses) if facts is not None else "",
            space=parts.text.space,
            generation=parts.generation,
            embedding=fused,
            image_share=float(voices.image[0] @ fused),
            facts_share=float(voices.facts[0] @ fused),
            probabilities=probabilities,
            captions=self._captions(voices, fused),
            novelty=novelty,
            novel=novel,
            false_alarm_rate=0.0 if parts.gate is None else parts.gate.false_alarm_rate,
        )

    def _judge(
        self, now: float, image: Moment | None, facts: Moment | None, fused: FloatArray
    ) -> tuple[float, bool]:
        """Novelty at the pace that the gate was calibrated for; in between the last word holds."""
        gate = self.parts.gate
        if gate is not None and not 0.0 <= now - self._judged < 0.95 / self.config.novelty_rate:
            seen, heard = (None if m is None else m.vector for m in (image, facts))
            reading = gate.judge(now, seen, heard, fused)
            self._judged, self._novelty = now, self._on_site(reading)
        return self._novelty

    def _on_site(self, reading: Novelty) -> tuple[float, bool]:
        """New is what is strange to the model and, after half a minute, strange for this place as well.

        Another camera or building than those of the training makes everything a little strange; that alone
        is nothing to tell anybody.
        """
        if not np.isfinite(reading.strangeness):
            return reading.novelty, reading.novel
        met = np.array(self._met)
        self._met.append(reading.strangeness)
        if len(met) < _SETTLED:
            return reading.novelty, reading.novel
        here = float((met < reading.strangeness).mean())
        return min(reading.novelty, here), reading.novel and here >= 1.0 - _FALSE_ALARMS

    def _captions(self, voices: Embedding, fused: FloatArray) -> tuple[CaptionMatch, ...]:
        out = []
        for match in self.parts.captions.retrieve(fused, self.config.captions):
            image, facts = (float(s[0, 0]) for s in voices.shares(match.vector[None]))
            caption = match.caption
            out.append(CaptionMatch(caption.text, caption.scenario, image + facts, image, facts))
        return tuple(out)


def temperature_of(head: ContextHead) -> float:
    """Of the softmax over scenario sentences, calibrated when the head was trained."""
    return float(head.facts.get("temperatures", {}).get("scenario", DEFAULT_TEMPERATURE))


def sentence(
    probabilities: Mapping[str, float], state: str, novel: bool, scenarios: Mapping[str, str]
) -> str:
    """What is going on, for people: as sure as the robot is, and by which sense."""
    if state == UNKNOWN or not probabilities:
        return SocialContext(0.0).text
    (name, p), *others = probabilities.items()
    text = spoken(scenarios[name], p, scenarios[others[0][0]] if others else "", novel)
    return f"By sight unknown; by the lidar: {text}" if state == FACTS else text
