"""Quality of service as bags store it: parsed for the player, dumped for the writer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import yaml

_FOREVER = {"sec": 9223372036, "nsec": 854775807}
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_MAX_TEXT = 1 << 16


@dataclass(frozen=True)
class TopicQos:
    """The part of a QoS profile that decides who hears whom."""

    reliable: bool = True
    transient_local: bool = False
    depth: int = 10


def parse_qos(profiles: Any) -> TopicQos:
    """One profile that serves all publishers of a topic.

    Args:
        profiles: the `offered_qos_profiles` of metadata.yaml or of the storage: YAML text or a list of
            mappings, with numbers (versions 4 to 8) or words (version 9). Anything else gives the default.

    Returns:
        Best effort when any publisher was, transient local when any was, the greatest depth.
    """
    try:
        if isinstance(profiles, str):
            profiles = yaml.load(profiles, Loader=_LOADER) if len(profiles) <= _MAX_TEXT else None  # noqa: S506
    except (yaml.YAMLError, ValueError, RecursionError):
        return TopicQos()
    items = [p for p in profiles if isinstance(p, dict)] if isinstance(profiles, list) else []
    if not items:
        return TopicQos()
    depths = [p["depth"] for p in items if isinstance(p.get("depth"), int)]
    return TopicQos(
        reliable=not any(p.get("reliability") in (2, "best_effort") for p in items),
        transient_local=any(p.get("durability") in (1, "transient_local") for p in items),
        depth=min(max([*depths, 1]), 1000) if any(depths) else 10,
    )


def dump_qos(qos: TopicQos) -> list[dict[str, Any]]:
    """The profile in the words of metadata version 9."""
    return [
        {
            "history": "keep_last",
            "depth": qos.depth,
            "reliability": "reliable" if qos.reliable else "best_effort",
            "durability": "transient_local" if qos.transient_local else "volatile",
            "deadline": dict(_FOREVER),
            "lifespan": dict(_FOREVER),
            "liveliness": "automatic",
            "liveliness_lease_duration": dict(_FOREVER),
            "avoid_ros_namespace_conventions": False,
        }
    ]
