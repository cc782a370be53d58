"""Flat ROS parameters for nodes made of parts: each part's own config, under a prefix (or none)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import make_dataclass
from typing import Any

from lifelong_nav.core.config import build, param, specs

Own = Sequence[tuple[str, type, Any]]
"""(name, type, `core.config.param`) of the parameters that are the node's own."""


def flat_config(name: str, own: Own, parts: Mapping[str, type], doc: str) -> type:
    """A frozen dataclass of a node's own parameters and those of its parts, as `prefix_name`."""
    fields = [*own, *(f for prefix, cls in parts.items() for f in _prefixed(prefix, cls))]
    made = make_dataclass(name, fields, frozen=True)
    made.__doc__ = doc
    return made


def part(config: Any, parts: Mapping[str, type], prefix: str) -> Any:
    """The config of one part out of the node's flat parameters."""
    cls = parts[prefix]
    return build(cls, {s.name: getattr(config, _name(prefix, s.name)) for s in specs(cls)})


def _name(prefix: str, name: str) -> str:
    return f"{prefix}_{name}" if prefix else name


def _prefixed(prefix: str, cls: type) -> list[tuple[str, Any, Any]]:
    return [
        (_name(prefix, s.name), s.kind,
         param(s.default, s.unit, s.low, s.high, s.doc, choices=s.choices, read_only=s.read_only))
        for s in specs(cls)
    ]  # fmt: skip
