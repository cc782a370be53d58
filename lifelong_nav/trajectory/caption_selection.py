"""What the social context asks of a choice: softly changed weights, and a learned score of candidates.

Two mechanisms, both silent when the context is unknown or stale. Scenario probabilities and the action
parts of the nearest captions change the weights of a few terms within bounds, by a table that can be
edited (`ContextConfig`). A learned selection (after OLiVia-Nav's TSM) scores candidates against the
caption embedding; it is anything with `CaptionScore.score`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import numpy as np

from lifelong_nav.core.config import param
from lifelong_nav.core.errors import ConfigError
from lifelong_nav.core.geometry import rotation2
from lifelong_nav.core.social_context import FULL, IMAGE, UNKNOWN, SocialContext
from lifelong_nav.core.types import FloatArray, Pose2

ACTIONS = [
    "continue = continue straight at normal speed",
    "slow_down = slow down and keep watching",
    "keep_right = pass by on the right",
    "keep_left = swerve over to the left-hand side",
    "yield = stop and let the people go first",
    "follow = follow behind and keep the distance",
    "overtake = overtake with a wide gap",
    "go_around = go around the group, never through it",
    "accompany = walk side by side with the companion",
    "join = approach slowly and stop at a polite distance",
    "wait_turn = wait and leave room for those who come out",
    "retreat = freeze on the spot until the onlookers step back",
]
"""How captions say what a polite robot does next (perception's words for the same actions)."""

TABLE = [
    "slow_down: dynamics_risk 1.4, blind_corner 1.4",
    "keep_right: right_of_way 1.5",
    "yield: people_effect 1.5, doorway 1.5, right_of_way 1.3, progress 0.85",
    "follow: right_of_way 1.2, people_effect 1.2, progress 0.9",
    "overtake: personal_space 1.2, progress 1.1",
    "go_around: group 1.6, queue 1.6, progress 0.95",
    "wait_turn: doorway 1.8, people_effect 1.4, progress 0.8",
    "retreat: dynamics_risk 1.8, personal_space 1.3, progress 0.7",
    "queue: queue 2.0, group 1.2",
    "photo_session: group 1.8, queue 1.4",
    "static_groups: group 1.6",
    "moving_groups: group 1.4, people_effect 1.2",
    "join_group: personal_space 0.7, group 0.8, dynamics_risk 1.3",
    "leave_group: personal_space 0.8, group 0.8",
    "blind_corner: blind_corner 2.0, right_of_way 1.3",
    "intersection: right_of_way 1.3, blind_corner 1.4",
    "narrow_doorway: doorway 1.8, people_effect 1.3",
    "entering_room: doorway 1.8",
    "exiting_room: doorway 1.5, blind_corner 1.3",
    "entering_elevator: doorway 2.0, people_effect 1.4, progress 0.8",
    "exiting_elevator: doorway 1.3, personal_space 0.8",
    "narrow_hallway: right_of_way 1.5, people_effect 1.3",
    "crowd: personal_space 0.8, dynamics_risk 1.4",
    "robot_crowding: dynamics_risk 1.8, people_effect 1.3",
    "accompanying: personal_space 0.7, right_of_way 0.5",
]
"""Word of a scenario or an action, and the factors it puts on the weights of terms when it is certain."""


@dataclass(frozen=True)
class ContextConfig:
    """Parameters of what the context changes."""

    enabled: bool = param(True, "", doc="Let the context change weights at all.")
    bound: float = param(2.0, "", 1.0, 10.0, "No weight changes by more than this factor.")
    age: float = param(3.0, "s", 0.1, 60.0, "An older context is stale and changes nothing.")
    sharpness: float = param(12.0, "", 0.0, 100.0, "How much nearer captions weigh more, per unit of cosine.")
    temperature: float = param(1.0, "", 0.05, 20.0, "Of the learned score of candidates.")
    table: list[str] = param(TABLE, doc="'word: term factor, term factor', a scenario or action per line.")
    actions: list[str] = param(ACTIONS, doc="'word = how captions say it', one action per line.")


class CaptionScore(Protocol):
    """A learned selection: the better a candidate suits the caption, the higher its score."""

    def score(self, embedding: FloatArray, trajectories: FloatArray) -> FloatArray:
        """(C,) scores (logits) of trajectories (C, T, 3), x, y, yaw in the robot's frame, for (D,)."""
        ...


def usable(context: SocialContext | None, now: float, config: ContextConfig) -> bool:
    """False for no context, an unknown one, or one that is stale or from the future by more than that."""
    return (
        config.enabled
        and context is not None
        and context.state != UNKNOWN
        and bool(np.isfinite(context.stamp))
        and abs(now - context.stamp) <= config.age
    )


def beliefs(context: SocialContext, config: ContextConfig) -> dict[str, float]:
    """Probability of every scenario and of the actions the nearest captions tell.

    A novel scene is believed half: the nearest known one may be far from the truth.
    """
    doubt = 0.5 if context.novel else 1.0
    found = {s: doubt * float(np.clip(p, 0.0, 1.0)) for s, p in context.probabilities.items()}
    told = [(_action_of(m.text, tuple(config.actions)), m.score) for m in context.captions]
    if told:
        scores = np.nan_to_num(np.array([score for _, score in told], dtype=float))
        share = np.exp(config.sharpness * (scores - scores.max()))
        share /= share.sum()
        for (action, _), weight in zip(told, share, strict=True):
            if action:
                found[action] = found.get(action, 0.0) + doubt * float(weight)
    return found


def factors(
    context: SocialContext | None, now: float, config: ContextConfig
) -> tuple[dict[str, float], dict[str, float]]:
    """Factor by term name that the context puts on its weight, and the beliefs it rests on.

    Factors multiply by the power of what is believed of them, and stay within the bound.
    """
    if context is None or not usable(context, now, config):
        return {}, {}
    believed = beliefs(context, config)
    logs: dict[str, float] = {}
    for word, entry in table(tuple(config.table)).items():
        for term, factor in entry.items():
            logs[term] = logs.get(term, 0.0) + believed.get(word, 0.0) * float(np.log(factor))
    most = float(np.log(config.bound))
    return {t: float(np.exp(np.clip(v, -most, most))) for t, v in logs.items() if v != 0.0}, believed


def caption_cost(
    score: CaptionScore | None,
    context: SocialContext | None,
    now: float,
    poses: FloatArray,
    robot: Pose2,
    config: ContextConfig,
) -> FloatArray:
    """(C,) how much less a candidate suits the caption than the best: log-probability ratio, at most 4.

    Args:
        score: the learned selection; None for zeros.
        context: needs an embedding with a picture behind it or facts; zeros when unusable.
        now: [s].
        poses: (C, T, 3) in the situation's frame.
        robot: its pose there.
        config: parameters.
    """
    if score is None or context is None or not usable(context, now, config) or len(context.embedding) == 0:
        return np.zeros(len(poses))
    space = str(getattr(score, "space", ""))
    if space and context.space and space != context.space:
        return np.zeros(len(poses))  # learned in another space of captions
    local = np.array(poses, dtype=float)
    local[..., :2] = (local[..., :2] - robot.xy) @ rotation2(robot.yaw)
    local[..., 2] = (local[..., 2] - robot.yaw + np.pi) % (2.0 * np.pi) - np.pi
    logits = np.asarray(score.score(context.embedding, local), dtype=float).reshape(len(poses))
    if not np.isfinite(logits).all():
        return np.zeros(len(poses))
    sure = 1.0 if context.state in (FULL, IMAGE) else 0.8
    return np.asarray(sure * np.minimum((logits.max() - logits) / config.temperature, 4.0))


@lru_cache(maxsize=8)
def table(lines: tuple[str, ...]) -> Mapping[str, dict[str, float]]:
    """The table of `ContextConfig` as word -> term -> factor.

    Raises:
        ConfigError: a line is no 'word: term factor, ...' or a factor is not positive.
    """
    found: dict[str, dict[str, float]] = {}
    for line in lines:
        word, _, rest = line.partition(":")
        entry: dict[str, float] = {}
        for part in rest.split(","):
            words: Sequence[str] = part.split()
            try:
                term, factor = words[0], float(words[1])
            except (IndexError, ValueError) as error:
                raise ConfigError(
                    f"Context table line {line!r}.", "Write 'word: term factor, ...'."
                ) from error
            if len(words) != 2 or not 0.0 < factor < 100.0:
                raise ConfigError(f"Context table line {line!r}.", "Factors are positive numbers below 100.")
            entry[term] = factor
        found[word.strip()] = entry
    return found


def _action_of(text: str, lines: tuple[str, ...]) -> str:
    """The action a caption tells, '' for none."""
    lowered = text.lower()
    for line in lines:
        word, _, phrase = line.partition("=")
        if phrase.strip() and phrase.strip().lower() in lowered:
            return word.strip()
    return ""
