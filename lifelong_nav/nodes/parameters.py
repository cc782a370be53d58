"""Config dataclasses as ROS parameters: descriptors from the specs, values back into configs."""

from __future__ import annotations

import array
from collections.abc import Collection, Iterable
from typing import Any, TypeVar

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor, SetParametersResult
from rclpy.node import Node
from rclpy.parameter import Parameter

from lifelong_nav.core import config as cfg
from lifelong_nav.core.errors import ConfigError

T = TypeVar("T")
_TYPES: dict[Any, Parameter.Type] = {
    bool: Parameter.Type.BOOL,
    int: Parameter.Type.INTEGER,
    float: Parameter.Type.DOUBLE,
    str: Parameter.Type.STRING,
    list[str]: Parameter.Type.STRING_ARRAY,
    list[float]: Parameter.Type.DOUBLE_ARRAY,
    list[int]: Parameter.Type.INTEGER_ARRAY,
}


def descriptor(spec: cfg.ParamSpec) -> ParameterDescriptor:
    """What `ros2 param describe` shows. Ranges of numbers are enforced by rclpy itself."""
    unit = f" [{spec.unit}]" if spec.unit else ""
    choices = f" One of: {', '.join(spec.choices)}." if spec.choices else ""
    out = ParameterDescriptor(
        name=spec.name,
        type=_TYPES[spec.kind].value,
        description=spec.doc + unit + choices,
        # `speed: 1` in YAML must do for 1.0, and an empty list has no type; `check` guards the type instead
        dynamic_typing=spec.kind not in (bool, int, str),
    )
    low, high = spec.low, spec.high
    if spec.kind is float and (low is not None or high is not None):
        out.floating_point_range = [
            FloatingPointRange(
                from_value=float("-inf") if low is None else float(low),
                to_value=float("inf") if high is None else float(high),
            )
        ]
    elif spec.kind is int and (low is not None or high is not None):
        out.integer_range = [
            IntegerRange(
                from_value=-(2**62) if low is None else int(low),
                to_value=2**62 if high is None else int(high),
            )
        ]
    return out


def declare(node: Node, cls: type) -> None:
    """Declare every parameter of a config dataclass on a node.

    Raises:
        rclpy.exceptions.InvalidParameter*: an override from YAML or the command line is mistyped or out of
            range; the message names the parameter.
    """
    for spec in cfg.specs(cls):
        if node.has_parameter(spec.name):
            continue
        node.declare_parameter(spec.name, spec.default, descriptor(spec))


def read(node: Node, cls: type[T]) -> T:
    """The node's parameters as a checked config."""
    values = {s.name: _plain(node.get_parameter(s.name).value) for s in cfg.specs(cls)}
    return cfg.build(cls, values)


def check_change(
    cls: type, parameters: Iterable[Parameter], configured: bool, live: Collection[str] | None = None
) -> tuple[SetParametersResult, dict[str, Any]]:
    """Judge a parameter change before it happens.

    Args:
        cls: config dataclass of the node.
        parameters: the wished changes; names outside `cls` pass (use_sim_time and the like).
        configured: the node is past `configure`, so read-only parameters stand.
        live: the only ones that may change then; None for all that are not read-only.

    Returns:
        ROS's verdict with a reason, and the accepted values by name.
    """
    known = {s.name: s for s in cfg.specs(cls)}
    accepted: dict[str, Any] = {}
    for parameter in parameters:
        spec = known.get(parameter.name)
        if spec is None:
            continue
        if spec.read_only and configured:
            reason = f"'{spec.name}' is a safety limit: clean the node up, change it, configure again."
            return SetParametersResult(successful=False, reason=reason), {}
        if configured and live is not None and spec.name not in live:
            reason = f"'{spec.name}' is taken over at configure: clean up, change it, configure again."
            return SetParametersResult(successful=False, reason=reason), {}
        try:
            accepted[spec.name] = cfg.check(spec, _plain(parameter.value))
        except ConfigError as error:
            return SetParametersResult(successful=False, reason=str(error)), {}
    return SetParametersResult(successful=True), accepted


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, (array.array, tuple)) else value
