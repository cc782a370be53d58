"""How a node becomes a process: spin until asked to stop, then come to rest and leave in order.

Signals are ours, not rclpy's, because rclpy's handler closes the context before the node could say
"zero velocity".
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import rclpy
import rclpy.exceptions
from rclpy.clock import Clock, ClockType
from rclpy.executors import ExternalShutdownException
from rclpy.experimental import EventsExecutor
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.signals import SignalHandlerOptions
from rclpy.task import Future

from lifelong_nav.core.errors import ConfigError, LifelongNavError
from lifelong_nav.launcher import die_with_parent
from lifelong_nav.stack import ALL_NODES, DIE_WITH_PARENT

os.environ.setdefault("AMENT_PREFIX_PATH", sys.prefix)  # wheels: no setup.bash was sourced

_POLL = 0.1
_FOREVER = 1e9


def spin(nodes: Sequence[Any], until: Callable[[], bool] | None = None) -> None:
    """Spin nodes in this thread until SIGINT, SIGTERM or `until()` is true; then finish them in reverse.

    The events executor costs a third of the processor time of the single-threaded one, whose wait set is
    built anew in Python for every message. Its `spin()` hangs on the wheels, a finite deadline works.

    Args:
        nodes: constructed nodes; those with a `finish` method are ended by it.
        until: asked ten times a second.
    """
    asked: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda got, _: asked.append(got))
    executor = EventsExecutor()
    done = Future(executor=executor)

    def watch() -> None:
        if (asked or (until is not None and until())) and not done.done():
            done.set_result(None)

    for node in nodes:
        executor.add_node(node)
    # by the wall clock: a stopped simulation must be stoppable
    timer = nodes[0].create_timer(_POLL, watch, clock=Clock(clock_type=ClockType.STEADY_TIME))
    for node in nodes:
        if (
            getattr(node, "SELF_START", False)
            and node.trigger_configure() == TransitionCallbackReturn.SUCCESS
        ):
            node.trigger_activate()
    try:
        executor.spin_until_future_complete(done, timeout_sec=_FOREVER)
    except (ExternalShutdownException, KeyboardInterrupt):
        pass
    finally:
        nodes[0].destroy_timer(timer)
        for node in reversed(nodes):
            executor.remove_node(node)
            finish = getattr(node, "finish", node.destroy_node)
            finish()
        executor.shutdown()


def load(target: str) -> Any:
    """The node class that `module:Class` names."""
    module, name = target.split(":")
    return getattr(importlib.import_module(module), name)


def run(node_class: Any, args: Sequence[str] | None = None) -> int:
    """Run one node class as a process; the exit code is 0 after an orderly stop."""
    try:
        rclpy.init(args=args, signal_handler_options=SignalHandlerOptions.NO)
    except Exception as error:  # RCLError has no public name; its text names argument or file
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        return ConfigError.exit_code
    try:
        return _guarded([node_class])
    finally:
        _leave()


def run_composed(programs: Sequence[tuple[str, Sequence[str]]]) -> int:
    """Run several nodes in one process and thread: (target, ROS arguments) each."""
    rclpy.init(args=[], signal_handler_options=SignalHandlerOptions.NO)
    try:
        return _guarded([partial(_construct, t, a) for t, a in programs])
    finally:
        _leave()


def _leave() -> None:
    # Ctrl-C in a terminal comes twice under `ros2 launch`: the second must not kill what is leaving in order
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    rclpy.try_shutdown()


def _construct(target: str, arguments: Sequence[str]) -> Any:
    return load(target)(cli_args=list(arguments), use_global_arguments=False)


def _guarded(makers: Sequence[Callable[[], Any]]) -> int:
    try:
        spin([make() for make in makers])
    except LifelongNavError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except (rclpy.exceptions.ParameterException, rclpy.exceptions.InvalidParameterValueException) as error:
        print(f"error: {error} Mend the parameter file or the override.", file=sys.stderr)
        return ConfigError.exit_code
    return 0


def program() -> int:
    """Entry point of all installed node programs: `lifelong_nav_gate` runs the node `gate`."""
    if os.environ.get(DIE_WITH_PARENT):
        die_with_parent()
    name = Path(sys.argv[0]).name.removeprefix("lifelong_nav_")
    return run(load(ALL_NODES[name].target), sys.argv)


def module_main() -> int:
    """`python -m lifelong_nav.nodes.run TARGET ARGS...`, or `--composed FILE` with a JSON list of both."""
    if len(sys.argv) == 3 and sys.argv[1] == "--composed":
        return run_composed(json.loads(Path(sys.argv[2]).read_text()))
    if len(sys.argv) < 2:
        print("usage: python -m lifelong_nav.nodes.run module:Class [--ros-args ...]", file=sys.stderr)
        return 2
    return run(load(sys.argv[1]), sys.argv[1:])


if __name__ == "__main__":
    sys.exit(module_main())
