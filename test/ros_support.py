"""Helpers for tests with real nodes: spin several nodes in one executor until something is true."""

import time

from rclpy.executors import SingleThreadedExecutor
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.node import Node
from rclpy.parameter import Parameter

from lifelong_nav.nodes.qos import PROFILES
from lifelong_nav.nodes.topics import TOPICS, message_class


class Bench:
    """Nodes under test beside a probe node that publishes and records."""

    def __init__(self, *nodes, sim_time=False):
        self.probe = Node("probe")
        self.nodes = [*nodes]
        self.executor = SingleThreadedExecutor()
        for node in (*nodes, self.probe):
            self.executor.add_node(node)
            if sim_time:
                node.set_parameters([Parameter("use_sim_time", value=True)])
        self.heard = {}
        self._publishers = {}

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        for node in self.nodes:
            self.executor.remove_node(node)
            node.finish() if hasattr(node, "finish") else node.destroy_node()
        self.probe.destroy_node()
        self.executor.shutdown()

    def hear(self, topic, type_name=None):
        """Record every message of a topic in `heard[topic]`."""
        box = self.heard.setdefault(topic, [])
        entry = TOPICS[topic]
        self.probe.create_subscription(
            message_class(type_name or entry.type), topic, box.append, PROFILES[entry.qos]
        )
        return box

    def say(self, topic, message, type_name=None):
        """Publish on a topic of the table."""
        if topic not in self._publishers:
            entry = TOPICS[topic]
            self._publishers[topic] = self.probe.create_publisher(
                message_class(type_name or entry.type), topic, PROFILES[entry.qos]
            )
        self._publishers[topic].publish(message)

    def activate(self):
        """Configure and activate every lifecycle node."""
        for node in self.nodes:
            assert node.trigger_configure() == TransitionCallbackReturn.SUCCESS
            assert node.trigger_activate() == TransitionCallbackReturn.SUCCESS

    def spin(self, until=None, timeout=10.0, each=None):
        """Spin until `until()` is true (returns True) or the timeout is over (returns False)."""
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            self.executor.spin_once(timeout_sec=0.02)
            if each is not None:
                each()
            if until is not None and until():
                return True
        return until is None
