"""One node run from inside a function (`play`, `record`): context, signals, parameter overrides."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator
from typing import Any

import rclpy
from rclpy.signals import SignalHandlerOptions

from lifelong_nav.core.config import specs

os.environ.setdefault("AMENT_PREFIX_PATH", sys.prefix)  # wheels: no setup.bash was sourced


@contextlib.contextmanager
def context() -> Iterator[None]:
    """An initialised rclpy for the block; one that runs already is left alone."""
    if rclpy.ok():
        yield
        return
    rclpy.init(args=[], signal_handler_options=SignalHandlerOptions.NO)
    try:
        yield
    finally:
        rclpy.try_shutdown()


@contextlib.contextmanager
def interrupts() -> Iterator[list[int]]:
    """A list that SIGINT and SIGTERM are noted in instead of ending the process; the main thread only."""
    asked: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield asked
        return
    numbers = (signal.SIGINT, signal.SIGTERM)
    old = {number: signal.signal(number, lambda got, _: asked.append(got)) for number in numbers}
    try:
        yield asked
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)


def overrides(config: Any) -> list[rclpy.parameter.Parameter]:
    """A config as parameter overrides, without empty lists (they have no ROS type)."""
    values = {spec.name: getattr(config, spec.name) for spec in specs(type(config))}
    return [rclpy.parameter.Parameter(name, value=value) for name, value in values.items() if value != []]
