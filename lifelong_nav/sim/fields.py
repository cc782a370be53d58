"""Reading of nested YAML with errors that name the place: `people[2].speed: 'fast' is not a number`."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from lifelong_nav.core.errors import ConfigError


class Fields:
    """A mapping that is read key by key; `done` complains about keys nobody asked for.

    Args:
        data: the mapping.
        where: its place in the file, for messages.
    """

    def __init__(self, data: Any, where: str) -> None:
        if not isinstance(data, Mapping):
            raise ConfigError(f"{where} is {_kind(data)}.", "It must be a mapping (key: value).")
        self.data = data
        self.where = where
        self._asked: list[str] = []

    def __contains__(self, key: str) -> bool:
        return key in self.data

    def raw(self, key: str, default: Any = None) -> Any:
        """The value of `key` as it stands."""
        self._asked.append(key)
        return self.data.get(key, default)

    def sub(self, key: str) -> Fields:
        """A mapping within; empty where there is none."""
        return Fields(self.raw(key, {}), f"{self.where}.{key}")

    def rows(self, key: str) -> list[tuple[Any, str]]:
        """The items of a list, each with its place; empty where there is none."""
        items = self.raw(key, [])
        if not isinstance(items, Sequence) or isinstance(items, str):
            raise self.wrong(key, f"is {_kind(items)}, not a list")
        return [(item, f"{self.where}.{key}[{i}]") for i, item in enumerate(items)]

    def text(self, key: str, default: str | None = None, choices: Sequence[str] = ()) -> str:
        """A word or sentence; required where `default` is None."""
        value = self.raw(key, default)
        if value is None:
            raise self.wrong(key, "is missing")
        if not isinstance(value, str):
            raise self.wrong(key, f"is {_kind(value)}, not text")
        if choices and value not in choices:
            raise ConfigError(f"{self.where}.{key} is '{value}'.", f"Choose from: {', '.join(choices)}.")
        return value

    def number(
        self, key: str, default: float | None = None, low: float = -math.inf, high: float = math.inf
    ) -> float:
        """A finite number within [low, high]; required where `default` is None."""
        value = self.raw(key, default)
        if value is None:
            raise self.wrong(key, "is missing")
        return number(value, f"{self.where}.{key}", low, high)

    def whole(self, key: str, default: int | None = None, low: int = 0, high: int = 10_000) -> int:
        """A whole number within [low, high]."""
        value = self.number(key, default, low, high)
        if value != int(value):
            raise self.wrong(key, f"is {value}, not a whole number")
        return int(value)

    def flag(self, key: str, default: bool) -> bool:
        """True or false."""
        value = self.raw(key, default)
        if not isinstance(value, bool):
            raise self.wrong(key, f"is {_kind(value)}, not true or false")
        return value

    def numbers(
        self, key: str, sizes: Sequence[int], default: Sequence[float] | None = None
    ) -> tuple[float, ...]:
        """A list of so many finite numbers; required where `default` is None."""
        value = self.raw(key, default)
        if value is None:
            raise self.wrong(key, "is missing")
        return numbers(value, f"{self.where}.{key}", sizes)

    def done(self) -> None:
        """Raise `ConfigError` when the mapping holds a key that was never read."""
        unknown = [k for k in self.data if k not in self._asked]
        if unknown:
            raise ConfigError(
                f"{self.where} has no field '{unknown[0]}'.",
                f"Known fields: {', '.join(sorted(set(self._asked)))}.",
            )

    def wrong(self, key: str, reason: str) -> ConfigError:
        """An error about one field."""
        return ConfigError(
            f"{self.where}.{key} {reason}.", "Mend the file; docs/scenarios.md lists every field."
        )


def number(value: Any, where: str, low: float = -math.inf, high: float = math.inf) -> float:
    """`value` as a finite float within [low, high], or `ConfigError`."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise ConfigError(f"{where} is {_kind(value)}.", "Give a finite number.")
    if not low <= value <= high:
        raise ConfigError(f"{where} is {value}.", f"Give a number in [{low:g}, {high:g}].")
    return float(value)


def numbers(value: Any, where: str, sizes: Sequence[int]) -> tuple[float, ...]:
    """`value` as a tuple of floats whose length is one of `sizes`, or `ConfigError`."""
    if not isinstance(value, Sequence) or isinstance(value, str) or len(value) not in sizes:
        wanted = " or ".join(str(s) for s in sizes)
        raise ConfigError(f"{where} is {value!r}.", f"Give a list of {wanted} numbers.")
    return tuple(number(v, f"{where}[{i}]") for i, v in enumerate(value))


def _kind(value: Any) -> str:
    if value is None:
        return "empty"
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "a list"
    return f"{value!r}"
