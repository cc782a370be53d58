"""Captions of a social scene: what the text tower embeds, and what the robot tells people.

The long caption has the three parts of OLiVia-Nav (2409.13675): where and what goes on; people and
things with place and motion; the action. Without `rng` a scene has exactly one caption of each kind; with
`rng` the frame of the sentences varies, the words of `social_scene` do not.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from lifelong_nav.perception.scene_json import json_schema as json_schema
from lifelong_nav.perception.scene_json import scene_from_dict as scene_from_dict
from lifelong_nav.perception.scene_json import scene_from_json as scene_from_json
from lifelong_nav.perception.scene_json import scene_to_dict as scene_to_dict
from lifelong_nav.perception.social_scene import (
    ACTIONS,
    DENSITIES,
    ENVIRONMENTS,
    GROUPINGS,
    SCENARIOS,
    Entity,
    SocialScene,
)

ATTRIBUTES = ("scenario", "environment", "density", "grouping", "action")
"""What a scene is scored by, one by one."""

_KINDS = {
    "person": ("a person", "people"),
    "group": ("a group", "people in a group"),
    "queue": ("a waiting line", "people in a waiting line"),
    "door": ("a door", "doors"),
    "counter": ("a counter", "counters"),
    "wall": ("a wall", "walls"),
    "object": ("an object", "objects"),
}
_SIDES = {
    "ahead": "straight ahead",
    "ahead_left": "ahead on the left",
    "ahead_right": "ahead on the right",
    "left": "on the left",
    "right": "on the right",
    "behind": "behind the robot",
}
_MOTIONS = {
    "standing": ("stands", "stand"),
    "approaching": ("approaches", "approach"),
    "moving_away": ("moves away", "move away"),
    "crossing_left": ("crosses from right to left", "cross from right to left"),
    "crossing_right": ("crosses from left to right", "cross from left to right"),
    "alongside": ("walks beside the robot", "walk beside the robot"),
    "unknown": ("moves in an unknown way", "move in an unknown way"),
}
_NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_PLACES = ("The robot is in {}", "This is {}", "The place is {}")
_SHOULD = ("The robot should {}.", "A polite robot would {} now.", "Next the robot should {}.")
_PROMPTS: dict[str, str] = {
    "environment": "The place is {}.",
    "density": "Of people: {}.",
    "grouping": "Of groups: {}.",
    "action": "The robot should {}.",
}


def short_caption(scene: SocialScene, rng: np.random.Generator | None = None) -> str:
    """Two sentences: what goes on; where and among how many."""
    place, people = ENVIRONMENTS[scene.environment], DENSITIES[scene.density]
    return f"{_full_stop(scene.sentence)} {_pick(_PLACES, rng).format(place)} and {people}."


def long_caption(scene: SocialScene, rng: np.random.Generator | None = None) -> str:
    """Three parts: scenario and place; people and things with side, distance and motion; action."""
    where = f"{short_caption(scene, rng)} {GROUPINGS[scene.grouping].capitalize()}."
    who = "; ".join(entity_phrase(e) for e in scene.entities) or "nobody and nothing stands out"
    if rng is not None and len(scene.entities) > 2:  # the nearest few are what one would tell
        kept = scene.entities[: int(rng.integers(2, len(scene.entities) + 1))]
        who = "; ".join(entity_phrase(e) for e in kept)
    return f"{where} {who[0].upper()}{who[1:]}. {_pick(_SHOULD, rng).format(ACTIONS[scene.action])}"


def entity_phrase(entity: Entity) -> str:
    """'two people approach straight ahead at 2.1 m'."""
    one, many = _KINDS[entity.kind]
    verb = _MOTIONS[entity.motion][entity.count > 1]
    if entity.kind not in ("person", "group", "queue"):
        verb = "is" if entity.count == 1 else "are"
    who = one if entity.count == 1 else f"{number_word(entity.count)} {many}"
    return f"{who} {verb} {_SIDES[entity.side]} at {entity.distance:.1f} m"


def number_word(count: int) -> str:
    """'three'; 'many' above ten."""
    return _NUMBERS[count] if 0 <= count < len(_NUMBERS) else "many"


def attribute_sentences(scene: SocialScene) -> dict[str, str]:
    """One sentence per attribute of `ATTRIBUTES`: what the embedding is scored against."""
    return {"scenario": _full_stop(scene.sentence)} | {
        name: prompt_for(name, getattr(scene, name)) for name in ATTRIBUTES[1:]
    }


def prompt_for(attribute: str, word: str) -> str:
    """The sentence of one word of an attribute other than the scenario."""
    words: Mapping[str, str] = {
        "environment": ENVIRONMENTS,
        "density": DENSITIES,
        "grouping": GROUPINGS,
        "action": ACTIONS,
    }[attribute]
    return _PROMPTS[attribute].format(words[word])


def attribute_prompts(scenarios: Mapping[str, str] | None = None) -> dict[str, dict[str, str]]:
    """Every word of every attribute with its sentence: `prompts["density"]["crowded"]`.

    Args:
        scenarios: known scenarios with their sentences; None for those known from the start.
    """
    prompts = {"scenario": dict(SCENARIOS if scenarios is None else scenarios)}
    for name, words in (
        ("environment", ENVIRONMENTS), ("density", DENSITIES), ("grouping", GROUPINGS), ("action", ACTIONS),
    ):  # fmt: skip
        prompts[name] = {w: prompt_for(name, w) for w in words}
    return prompts


def spoken(sentence: str, probability: float, rival: str = "", novel: bool = False) -> str:
    """What the robot says of the situation: one plain sentence, as sure as it is.

    Args:
        sentence: of the most probable scenario; empty when there is none.
        probability: of it, 0 to 1; NaN for unknown.
        rival: sentence of the second scenario, said when the first is unsure.
        novel: the scene is unlike everything known.
    """
    if not sentence.strip() or not np.isfinite(probability):
        return "I cannot tell what is going on."
    text = _lower_first(sentence.strip().rstrip("."))
    if novel:
        return f"This is new to me; the nearest I know is: {text}."
    if probability >= 0.6:
        return f"I see this: {text}."
    if rival.strip() and probability < 0.4:
        return f"I am not sure: perhaps {text}, or {_lower_first(rival.strip().rstrip('.'))}."
    return f"It looks as if {text}."


def _pick(frames: tuple[str, ...], rng: np.random.Generator | None) -> str:
    return frames[0] if rng is None else frames[int(rng.integers(len(frames)))]


def _full_stop(text: str) -> str:
    text = text.strip()
    return text if text.endswith((".", "!", "?")) else f"{text}."


def _lower_first(text: str) -> str:
    return text[:1].lower() + text[1:]
