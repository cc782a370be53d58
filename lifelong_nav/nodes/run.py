"""How a node becomes a process: spin until asked to stop, then come to rest and leave in order.

Signals are ours, not rclpy's, because rclpy's handler closes the context before the node could say
"zero velocity".
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from types import FrameType
from typing import Any

import rclpy
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.signals import SignalHandlerOptions

os.environ.setdefault("AMENT_PREFIX_PATH", sys.prefix)  # wheels: no setup.bash was sourced

_POLL = 0.1


class _Stop:
    """Set by SIGINT or SIGTERM."""

    def __init__(self) -> None:
        self.asked = False
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._ask)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        self.asked = True


def spin(nodes: Sequence[Any], until: Any = None) -> None:
    """Spin nodes in one thread until SIGINT, SIGTERM or `until()` is true; then finish them in reverse.

    Args:
        nodes: constructed nodes; those with a `finish` method are ended by it.
        until: optional callable, asked after every callback.
    """
    stop = _Stop()
    executor = SingleThreadedExecutor()
    for node in nodes:
        executor.add_node(node)
    try:
        while not stop.asked and rclpy.ok() and not (until is not None and until()):
            executor.spin_once(timeout_sec=_POLL)
    except ExternalShutdownException:
        pass
    finally:
        for node in reversed(nodes):
            executor.remove_node(node)
            finish = getattr(node, "finish", node.destroy_node)
            finish()
        executor.shutdown()


def main(node_class: Any, args: Sequence[str] | None = None) -> int:
    """Run one node class as a process; the exit code is 0 after an orderly stop."""
    rclpy.init(args=args, signal_handler_options=SignalHandlerOptions.NO)
    try:
        spin([node_class()])
    finally:
        rclpy.try_shutdown()
    return 0
