"""Social scenes as plain mappings and JSON, read strictly: wrong is refused, nothing is guessed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from lifelong_nav.core.errors import InputError
from lifelong_nav.perception.social_scene import (
    ACTIONS,
    DENSITIES,
    ENVIRONMENTS,
    GROUPINGS,
    KINDS,
    MAX_DESCRIPTION,
    MAX_ENTITIES,
    MOTIONS,
    SIDES,
    Entity,
    SocialScene,
)

MAX_TEXT = 20_000
"""Longest JSON text of a scene that is looked at [characters]."""
_FIX = "Send one object of the schema of `json_schema()`."
_TEXTS = ("scenario", "environment", "density", "grouping", "action", "description")
_OPTIONAL = ("entities", "action", "description")


def scene_to_dict(scene: SocialScene) -> dict[str, Any]:
    """Plain values, ready for JSON; `scene_from_dict` gives the same scene back."""
    out: dict[str, Any] = {name: getattr(scene, name) for name in _TEXTS}
    out["entities"] = [
        {"kind": e.kind, "side": e.side, "distance": e.distance, "motion": e.motion, "count": e.count}
        for e in scene.entities
    ]
    return out


def scene_from_dict(data: Any) -> SocialScene:
    """A scene from plain values.

    Raises:
        InputError: unknown or missing keys, wrong types, words outside the lists.
    """
    row = _mapping(data, "A scene", tuple(f.name for f in fields(SocialScene)), _OPTIONAL)
    texts = {name: _text(name, row[name]) for name in _TEXTS if name in row}
    listed = row.get("entities", ())
    if not isinstance(listed, (list, tuple)):
        raise InputError(f"entities is a {type(listed).__name__}.", "It is a list of objects.")
    return SocialScene(**texts, entities=tuple(_entity(e) for e in listed[: MAX_ENTITIES + 1]))


def scene_from_json(text: str) -> SocialScene:
    """A scene from JSON text: one object and nothing around it.

    Raises:
        InputError: not JSON, too long, keys twice, NaN or infinity, or not a scene.
    """
    if len(text) > MAX_TEXT:
        raise InputError(f"Scene text of {len(text)} characters.", f"At most {MAX_TEXT} are read.")
    try:
        data = json.loads(text, parse_constant=_refuse, object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        raise InputError(f"Scene text is not JSON ({str(error)[:80]}).", _FIX) from error
    return scene_from_dict(data)


def json_schema() -> dict[str, Any]:
    """JSON schema of a scene, in the strict form of chat endpoints (every key required, no others)."""
    entity = {
        "kind": _enum(KINDS),
        "side": _enum(SIDES),
        "distance": {"type": "number", "minimum": 0, "maximum": 99, "description": "metres"},
        "motion": _enum(MOTIONS),
        "count": {"type": "integer", "minimum": 1, "maximum": 99},
    }
    return _object(
        {
            "scenario": {"type": "string", "pattern": "^[a-z][a-z0-9_]{1,47}$"},
            "environment": _enum(ENVIRONMENTS),
            "density": _enum(DENSITIES),
            "grouping": _enum(GROUPINGS),
            "entities": {"type": "array", "maxItems": MAX_ENTITIES, "items": _object(entity)},
            "action": _enum(ACTIONS),
            "description": {"type": "string", "maxLength": MAX_DESCRIPTION},
        }
    )


def _entity(data: Any) -> Entity:
    row = _mapping(data, "An entity", tuple(f.name for f in fields(Entity)), ("motion", "count"))
    distance, count = row["distance"], row.get("count", 1)
    if isinstance(distance, bool) or not isinstance(distance, (int, float)):
        raise InputError(f"distance {str(distance)[:40]!r} is not a number.", "Give metres.")
    if isinstance(count, bool) or not isinstance(count, int):
        raise InputError(f"count {str(count)[:40]!r} is not a whole number.", "Give 1 to 99.")
    if not 0 <= distance < 100:
        raise InputError(f"distance {str(distance)[:40]} m is impossible.", "Give 0 to 100 m.")
    motion = _text("motion", row.get("motion", "standing"))
    return Entity(_text("kind", row["kind"]), _text("side", row["side"]), float(distance), motion, count)


def _mapping(data: Any, what: str, known: tuple[str, ...], optional: tuple[str, ...]) -> Mapping[str, Any]:
    if not isinstance(data, Mapping):
        raise InputError(f"{what} is a {type(data).__name__}, not an object.", _FIX)
    unknown = [str(k)[:40] for k in data if k not in known]
    missing = [k for k in known if k not in data and k not in optional]
    if unknown or missing:
        raise InputError(f"{what} has unknown keys {unknown[:5]} and lacks {missing}.", _FIX)
    return data


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise InputError(f"{name} is a {type(value).__name__}, not text.", _FIX)
    return value


def _refuse(word: str) -> float:
    raise ValueError(f"{word} is not a number")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    out = dict(pairs)
    if len(out) != len(pairs):
        raise ValueError("a key stands twice")
    return out


def _enum(words: Any) -> dict[str, Any]:
    return {"type": "string", "enum": list(words)}


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }
