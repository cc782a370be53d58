"""Helpers for tests with real processes: who is alive, who beats, what the graph looks like."""

import contextlib
import time

import psutil
from lifelong_nav_interfaces.msg import Heartbeat
from rcl_interfaces.srv import GetParameters, ListParameters
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import parameter_value_to_python

from lifelong_nav.nodes.qos import PROFILES

PATIENCE = 90.0
"""Wall seconds a test waits at most for processes on a busy machine; only failures take that long."""


class Witness:
    """A node that hears heartbeats and whatever else a test wants, beside processes under test.

    Args:
        poll: called while waiting, e.g. `Launcher.poll`, which respawns.
    """

    def __init__(self, poll=lambda: None, namespace=""):
        self.node = Node("witness", namespace=namespace)
        self.poll = poll
        self.executor = SingleThreadedExecutor()
        self.executor.add_node(self.node)
        self.beats = {}
        self.node.create_subscription(Heartbeat, "heartbeat", self._on_beat, PROFILES["heartbeat"])

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.executor.remove_node(self.node)
        self.node.destroy_node()
        self.executor.shutdown()

    def _on_beat(self, beat):
        self.beats[beat.node.rsplit("/", 1)[-1]] = (beat, time.monotonic())

    def active(self, *names):
        """True when every named node has said within the last second that it is active."""
        now = time.monotonic()
        return all(
            n in self.beats and self.beats[n][0].active and now - self.beats[n][1] < 1.0 for n in names
        )

    def pid(self, name):
        """Process id that the newest heartbeat of a node names."""
        return self.beats[name][0].pid

    def until(self, condition, timeout=PATIENCE):
        """Spin until `condition()`; False when the patience is over."""
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            self.executor.spin_once(timeout_sec=0.05)
            self.poll()
            if condition():
                return True
        return False

    def ask(self, kind, name, request):
        """Call a service; its answer."""
        client = self.node.create_client(kind, name)
        assert self.until(client.service_is_ready), f"no service {name}"
        future = client.call_async(request)
        assert self.until(future.done), f"no answer from {name}"
        self.node.destroy_client(client)
        return future.result()

    def parameters(self, name):
        """Every parameter of a node with its value."""
        names = sorted(
            self.ask(ListParameters, f"{name}/list_parameters", ListParameters.Request()).result.names
        )
        answer = self.ask(GetParameters, f"{name}/get_parameters", GetParameters.Request(names=names))
        values = [parameter_value_to_python(v) for v in answer.values]
        return {n: list(v) if hasattr(v, "tolist") else v for n, v in zip(names, values, strict=True)}

    def graph(self, names):
        """The graph as data: per node publishers, subscribers and services with types, and parameters."""
        out = {}
        for name in names:
            out[name] = {
                "offers": sorted(self.node.get_publisher_names_and_types_by_node(name, "/")),
                "hears": sorted(self.node.get_subscriber_names_and_types_by_node(name, "/")),
                "serves": sorted(self.node.get_service_names_and_types_by_node(name, "/")),
                "parameters": self.parameters(name),
            }
        return out


def alive(pids):
    """Those of `pids` that still run (zombies do not)."""
    out = []
    for pid in pids:
        with contextlib.suppress(psutil.NoSuchProcess):
            if psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
                out.append(pid)
    return out


def family(pid):
    """Process ids of all descendants."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return [p.pid for p in psutil.Process(pid).children(recursive=True)]
    return []


def wait_for(condition, timeout=PATIENCE):
    """Look until `condition()` holds; False when the patience is over."""
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.05)
    return False
