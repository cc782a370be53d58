"""One node run from inside a function (`play`, `record`): context, signals, parameter overrides."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import rclpy
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.signals import SignalHandlerOptions

from lifelong_nav.core.config import specs
from lifelong_nav.core.errors import ConfigError

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


def run_alone(node: Any, going: Callable[[], bool], refusal: ConfigError) -> None:
    """Bring one node up, spin it while `going()` is true, and finish it in any case.

    Raises:
        ConfigError: `refusal`, when the node does not become active.
    """
    executor = SingleThreadedExecutor()
    try:
        executor.add_node(node)
        node.trigger_configure()
        node.trigger_activate()
        if not node.active:
            raise refusal
        while going() and rclpy.ok():
            executor.spin_once(timeout_sec=0.01)
    except ExternalShutdownException:
        pass
    finally:
        executor.remove_node(node)
        node.finish()
        executor.shutdown()
