"""The common node: parameters with ranges, lifecycle, refusal of bad input, heartbeat, diagnostics."""

from dataclasses import dataclass

import pytest
from lifelong_nav_interfaces.msg import Heartbeat
from nav_msgs.msg import OccupancyGrid, Path
from rcl_interfaces.srv import DescribeParameters
from rclpy.parameter import Parameter
from ros_support import Bench
from rosgraph_msgs.msg import Clock
from std_msgs.msg import Bool

from lifelong_nav.core.config import param
from lifelong_nav.core.errors import InputError
from lifelong_nav.nodes.base import StackNode

pytestmark = pytest.mark.ros


@dataclass(frozen=True)
class EchoConfig:
    gain: float = param(1.0, "m/s", 0.0, 2.0, "How much.")
    limit: float = param(1.0, "m", 0.0, 5.0, "A safety limit.", read_only=True)
    mode: str = param("soft", doc="How.", choices=("soft", "hard"))
    count: int = param(3, "", 1, 9, "How many.")


class Echo(StackNode):
    NAME, CONFIG = "echo", EchoConfig

    def setup(self):
        self.seen, self.stopped, self.ticks, self.retuned = [], 0, 0, []
        self.maps = []
        self.listen("emergency_stop", self.on_message)
        self.listen("map", self.maps.append)
        self.listen("plan", self.maps.append)
        self.every(0.02, self.on_tick)

    def on_message(self, message):
        if message.data:
            raise InputError("That was bad.", "Send better.")
        self.seen.append(message)

    def on_tick(self):
        self.ticks += 1

    def stop(self):
        self.stopped += 1

    def retune(self):
        self.retuned.append(self.config.gain)


def test_life(ros):
    node = Echo()
    with Bench(node) as bench:
        beats, diagnostics = bench.hear("heartbeat"), bench.hear("/diagnostics")
        bench.say("emergency_stop", Bool(data=False))
        assert bench.spin(lambda: beats, timeout=3.0)
        assert not beats[-1].active
        bench.activate()
        assert bench.spin(lambda: node.seen and node.ticks > 3)
        for _ in range(3):
            bench.say("emergency_stop", Bool(data=True))
        assert bench.spin(
            lambda: diagnostics and any("refused" in v.key for v in diagnostics[-1].status[0].values)
        )
        assert bench.spin(lambda: beats[-1].active and beats[-1].state == beats[-1].OK)
        assert [b.sequence for b in beats] == list(range(beats[0].sequence, beats[-1].sequence + 1))
        node.trigger_deactivate()
        assert node.stopped == 1
        ticks = node.ticks
        bench.spin(timeout=0.2)
        assert node.ticks == ticks
        node.trigger_cleanup()
        node.trigger_configure()
        node.trigger_activate()
        assert bench.spin(lambda: node.ticks > 3)


def test_latched_messages_are_not_lost_before_activation(ros):
    node = Echo()
    with Bench(node) as bench:
        node.trigger_configure()
        bench.say("map", OccupancyGrid())
        bench.say("plan", Path())
        assert bench.spin(lambda: node.maps)
        bench.spin(timeout=0.3)
        assert [type(m) for m in node.maps] == [OccupancyGrid]


def test_bug_in_a_callback_marks_the_node_failed(ros):
    node = Echo()
    with Bench(node) as bench:
        beats = bench.hear("heartbeat")
        bench.activate()
        node.on_tick = None  # calling it raises TypeError inside the timer
        node._resources.clear()
        node.every(0.02, lambda: 1 / 0)
        assert bench.spin(lambda: beats and beats[-1].state == beats[-1].FAILED, timeout=3.0)
        assert "ZeroDivisionError" in beats[-1].text


@pytest.mark.parametrize(
    ("name", "value", "good"),
    [
        ("gain", 0.0, True), ("gain", 2.0, True), ("gain", 2.0001, False), ("gain", -1e-9, False),
        ("gain", float("nan"), False), ("gain", 1, True), ("gain", "fast", False),
        ("mode", "hard", True), ("mode", "odd", False), ("count", 9, True),
        ("count", 10, False), ("count", 0, False),
    ],
)  # fmt: skip
def test_every_parameter_at_its_edges(ros, name, value, good):
    node = Echo()
    try:
        node.trigger_configure()
        (result,) = node.set_parameters([Parameter(name, value=value)])
        assert result.successful == good, result.reason
        if not good:
            assert result.reason
            assert getattr(node.config, name) == getattr(EchoConfig(), name)
        elif name == "gain":
            assert node.retuned == [float(value)]
    finally:
        node.finish()


def test_safety_limits_are_read_only_once_configured(ros):
    node = Echo()
    try:
        assert node.set_parameters([Parameter("limit", value=2.0)])[0].successful
        node.trigger_configure()
        assert node.config.limit == 2.0
        (result,) = node.set_parameters([Parameter("limit", value=4.0)])
        assert not result.successful
        assert "safety" in result.reason
        node.trigger_cleanup()  # as the refusal says
        assert node.set_parameters([Parameter("limit", value=4.0)])[0].successful
        node.trigger_configure()
        assert node.config.limit == 4.0
    finally:
        node.finish()


def test_only_live_parameters_change_once_configured(ros, monkeypatch):
    monkeypatch.setattr(Echo, "LIVE", frozenset({"gain"}))
    node = Echo()
    try:
        assert node.set_parameters([Parameter("count", value=5)])[0].successful
        node.trigger_configure()
        assert node.set_parameters([Parameter("gain", value=0.5)])[0].successful
        (result,) = node.set_parameters([Parameter("count", value=6)])
        assert not result.successful
        assert "configure" in result.reason
        assert (node.config.gain, node.config.count) == (0.5, 5)
    finally:
        node.finish()


def test_parameters_are_described(ros):
    node = Echo()
    with Bench(node) as bench:
        client = bench.probe.create_client(DescribeParameters, "echo/describe_parameters")
        assert client.wait_for_service(5.0)
        future = client.call_async(DescribeParameters.Request(names=["gain"]))
        assert bench.spin(future.done)
        (d,) = future.result().descriptors
        assert "How much." in d.description
        assert "m/s" in d.description
        assert d.floating_point_range[0].to_value == 2.0


def test_time_may_run_back_before_a_node_is_configured(ros):
    """A bag loops or a simulation restarts while the stack is still coming up."""

    class Remembers(Echo):
        def setup(self):
            super().setup()
            self.memory = [1]

        def time_jumped(self):
            self.memory.clear()

    node = Remembers()
    with Bench(node, sim_time=True) as bench:
        clock = bench.hear("/clock")
        beats = bench.hear("heartbeat")

        def jump():
            for second in (100, 10):
                count = len(clock)
                message = Clock()
                message.clock.sec = second
                assert bench.spin(
                    lambda n=count: len(clock) > n, each=lambda m=message: bench.say("/clock", m)
                )
                bench.spin(timeout=0.2)

        jump()
        assert node.health() == (Heartbeat.OK, "")
        bench.activate()
        jump()
        assert node.memory == []
        assert bench.spin(lambda: beats and beats[-1].active)
        assert beats[-1].state == beats[-1].OK
