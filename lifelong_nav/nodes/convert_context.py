"""Social context and what its learner exchanges: ROS messages to core values and back."""

from __future__ import annotations

import array
import math
from collections.abc import Mapping

import numpy as np
from lifelong_nav_interfaces.msg import CaptionMatch as MatchMsg
from lifelong_nav_interfaces.msg import LearnerState
from lifelong_nav_interfaces.msg import SocialContext as ContextMsg

from lifelong_nav.core.errors import InputError
from lifelong_nav.core.social_context import STATES, CaptionMatch, SocialContext
from lifelong_nav.core.types import FloatArray
from lifelong_nav.nodes.convert import header
from lifelong_nav.nodes.ros_clock import to_seconds

LEARNER_STATES = ("waiting", "asking", "updating", "paused", "fault")
"""Words for `LearnerState.state`, in the order of its constants."""


def context_to(context: SocialContext, latency: float = math.nan, elapsed: float = math.nan) -> ContextMsg:
    """lifelong_nav_interfaces/SocialContext; `latency` and `elapsed` [s] as measured by the caller."""
    return ContextMsg(
        header=header(context.stamp, "base_link"),
        state=STATES.index(context.state),
        text=context.text,
        facts=context.facts,
        space=context.space,
        generation=int(context.generation),
        embedding=floats(context.embedding),
        image_share=float(context.image_share),
        facts_share=float(context.facts_share),
        scenarios=list(context.probabilities),
        probabilities=array.array("f", context.probabilities.values()),
        captions=[
            MatchMsg(
                text=c.text, scenario=c.scenario, score=float(c.score),
                image_share=float(c.image_share), facts_share=float(c.facts_share),
            )
            for c in context.captions
        ],
        novelty=float(context.novelty),
        novel=bool(context.novel),
        false_alarm_rate=float(context.false_alarm_rate),
        latency=float(latency),
        encoder_time=float(elapsed),
    )  # fmt: skip


def context_from(message: ContextMsg) -> SocialContext:
    """The context of a message; embeddings that are not finite unit vectors are refused.

    Raises:
        InputError: unknown state, lists of different lengths, a broken embedding.
    """
    embedding = np.asarray(message.embedding, dtype=np.float32)
    if message.state >= len(STATES) or len(message.scenarios) != len(message.probabilities):
        raise InputError("Social context is inconsistent.", "Mend its publisher, or rebuild the messages.")
    if embedding.size and not abs(float(embedding @ embedding) - 1.0) < 1e-2:  # NaN too
        raise InputError("The context's embedding is no unit vector.", "Mend the context encoder.")
    return SocialContext(
        stamp=to_seconds(message.header.stamp),
        state=STATES[message.state],
        text=message.text,
        facts=message.facts,
        space=message.space,
        generation=int(message.generation),
        embedding=embedding,
        image_share=float(message.image_share),
        facts_share=float(message.facts_share),
        probabilities=dict(zip(message.scenarios, map(float, message.probabilities), strict=True)),
        captions=tuple(
            CaptionMatch(c.text, c.scenario, float(c.score), float(c.image_share), float(c.facts_share))
            for c in message.captions
        ),
        novelty=float(message.novelty),
        novel=bool(message.novel),
        false_alarm_rate=float(message.false_alarm_rate),
    )


def learner_state_to(stamp: float, learner: str, state: str, scores: Mapping[str, float]) -> LearnerState:
    """lifelong_nav_interfaces/LearnerState with its name, state word and scores; counts are the caller's."""
    return LearnerState(
        header=header(stamp, ""), learner=learner, state=LEARNER_STATES.index(state),
        names=list(scores), values=array.array("f", scores.values()),
    )  # fmt: skip


def floats(values: FloatArray) -> array.array[float]:
    """float32 values as ROS takes them fastest."""
    return array.array("f", np.ascontiguousarray(values, dtype=np.float32).tobytes())
