"""Component parameters as frozen dataclasses: one source for ROS parameters, YAML and the CLI.

    @dataclass(frozen=True)
    class GateConfig:
        max_speed: float = param(0.8, "m/s", 0.0, 3.0, "Fastest forward speed let through.")

Every field is declared with `param`; `build` makes a checked instance from any mapping, `specs`
lists the fields for descriptors, docs and command lines.
"""

from __future__ import annotations

import dataclasses
import math
import types
import typing
from collections.abc import Mapping
from dataclasses import MISSING, dataclass
from pathlib import Path
from typing import Any, TypeVar

import yaml

from lifelong_nav.core.errors import ConfigError

T = TypeVar("T")
Number = int | float


@dataclass(frozen=True)
class ParamSpec:
    """One parameter: `kind` is bool, int, float, str or list[str] / list[float]."""

    name: str
    kind: type | types.GenericAlias
    default: Any
    unit: str
    low: Number | None
    high: Number | None
    choices: tuple[str, ...]
    doc: str
    read_only: bool


def param(
    default: Any,
    unit: str = "",
    low: Number | None = None,
    high: Number | None = None,
    doc: str = "",
    *,
    choices: tuple[str, ...] = (),
    read_only: bool = False,
) -> Any:
    """Declare a config field.

    Args:
        default: value when nothing is said; lists are copied per instance.
        unit: SI unit as text, "" for none.
        low: smallest allowed value, inclusive; None for no bound.
        high: largest allowed value, inclusive; None for no bound.
        doc: one sentence for `ros2 param describe`, docs and --help.
        choices: allowed words of a string parameter.
        read_only: fixed once the node is configured (safety limits).
    """
    meta = {"unit": unit, "low": low, "high": high, "doc": doc, "choices": choices}
    meta["read_only"] = read_only
    if isinstance(default, list):
        frozen = tuple(default)
        return dataclasses.field(default_factory=lambda: list(frozen), metadata=meta)
    return dataclasses.field(default=default, metadata=meta)


def specs(cls: type) -> tuple[ParamSpec, ...]:
    """All parameters of a config dataclass, in order of declaration."""
    hints = typing.get_type_hints(cls)
    out = []
    for f in dataclasses.fields(cls):
        default = f.default if f.default is not MISSING else f.default_factory()  # type: ignore[operator]
        m = f.metadata
        if "doc" not in m:
            raise TypeError(f"{cls.__name__}.{f.name} is not declared with param()")
        kind = hints[f.name]
        out.append(
            ParamSpec(
                f.name, kind, default, m["unit"], m["low"], m["high"], m["choices"], m["doc"],
                m["read_only"],
            )
        )  # fmt: skip
    return tuple(out)


def check(spec: ParamSpec, value: Any) -> Any:
    """Return `value` converted to the parameter's type, or raise `ConfigError` with the reason."""
    if spec.kind in (list[str], list[float], list[int]):
        if not isinstance(value, (list, tuple)):
            raise _wrong(spec, value, "is not a list")
        (item_kind,) = typing.get_args(spec.kind)
        item = dataclasses.replace(spec, kind=item_kind)
        return [check(item, v) for v in value]
    if spec.kind is bool:
        if not isinstance(value, bool):
            raise _wrong(spec, value, "is not true or false")
        return value
    if spec.kind is str:
        if not isinstance(value, str):
            raise _wrong(spec, value, "is not text")
        if spec.choices and value not in spec.choices:
            raise _wrong(spec, value, f"is not one of {', '.join(spec.choices)}")
        return value
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise _wrong(spec, value, "is not a number")
    if not math.isfinite(value):
        raise _wrong(spec, value, "is not finite")
    if spec.kind is int and value != int(value):
        raise _wrong(spec, value, "is not a whole number")
    if (spec.low is not None and value < spec.low) or (spec.high is not None and value > spec.high):
        raise _wrong(spec, value, f"is outside [{spec.low}, {spec.high}]")
    return int(value) if spec.kind is int else float(value)


def build(cls: type[T], values: Mapping[str, Any] | None = None) -> T:
    """Make a config from a mapping; unknown names and bad values raise `ConfigError`."""
    known = {s.name: s for s in specs(cls)}
    checked = {}
    for name, value in (values or {}).items():
        if name not in known:
            raise ConfigError(
                f"{cls.__name__} has no parameter '{name}'.",
                f"Known parameters: {', '.join(sorted(known))}.",
            )
        checked[name] = check(known[name], value)
    return cls(**checked)


def override(config: T, **values: Any) -> T:
    """A copy of a config with some values replaced, checked like `build`."""
    current = {s.name: getattr(config, s.name) for s in specs(type(config))}
    return build(type(config), {**current, **values})


def load_yaml(path: Path | str) -> dict[str, Any]:
    """Read a YAML file that holds one mapping; errors name the file and the line."""
    path = Path(path)
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"Cannot read {path}: {error.strerror}.", "Check the path.") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not valid YAML: {error}.", "Mend the file.") from error
    if data is None:
        return {}
    if not isinstance(data, dict):
        raise ConfigError(f"{path} holds a {type(data).__name__}.", "It must be a mapping.")
    return data


def parse_text(spec: ParamSpec, text: str) -> Any:
    """Value of a parameter from command-line text, checked."""
    value: Any = text if spec.kind is str else yaml.safe_load(text)
    return check(spec, value)


def _wrong(spec: ParamSpec, value: Any, reason: str) -> ConfigError:
    unit = f" {spec.unit}" if spec.unit else ""
    return ConfigError(
        f"Parameter '{spec.name}': {value!r} {reason}.",
        f"{spec.doc} Default: {spec.default!r}{unit}.",
    )
