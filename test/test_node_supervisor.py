"""The supervisor with real lifecycle nodes: order up and down, refusal, FAILED, a new process."""

import time
from dataclasses import dataclass

import pytest
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.parameter import Parameter
from rclpy.task import Future
from ros_support import Bench
from std_srvs.srv import Trigger

from lifelong_nav.core.config import param
from lifelong_nav.core.errors import ConfigError
from lifelong_nav.nodes.base import StackNode
from lifelong_nav.nodes.neighbours import refuse_company
from lifelong_nav.nodes.supervisor import Supervisor

pytestmark = pytest.mark.ros
LOG = []


@dataclass(frozen=True)
class EmptyConfig:
    x: float = param(0.0, "", 0.0, 1.0, "Nothing.")


class Part(StackNode):
    CONFIG = EmptyConfig
    refusals = 0
    broken = False

    def __init__(self, name):
        self.NAME = name
        super().__init__()

    def setup(self):
        if self.refusals > 0:
            self.refusals -= 1
            raise RuntimeError("not yet")
        LOG.append(("configure", self.NAME))
        self.every(0.02, self.work)

    def work(self):
        if self.broken:
            self.broken = False
            raise ValueError("broken")

    def start(self):
        LOG.append(("activate", self.NAME))

    def stop(self):
        LOG.append(("stop", self.NAME))


@pytest.fixture
def bench(ros):
    LOG.clear()
    parts = [Part("one"), Part("two"), Part("three")]
    supervisor = Supervisor(parameter_overrides=[
        Parameter("nodes", value=["one", "two", "three"]), Parameter("retry_pause", value=0.1),
        Parameter("failed_timeout", value=0.2),
    ])  # fmt: skip
    with Bench(supervisor, *parts) as b:
        b.parts, b.supervisor = parts, supervisor
        yield b


def start(bench):
    assert bench.supervisor.trigger_configure() == TransitionCallbackReturn.SUCCESS
    assert bench.supervisor.trigger_activate() == TransitionCallbackReturn.SUCCESS


def test_up_in_order_and_down_in_reverse(bench):
    start(bench)
    assert bench.spin(bench.supervisor.all_active)
    assert [(verb, n) for n in ("one", "two", "three") for verb in ("configure", "activate")] == LOG
    LOG.clear()
    client = bench.probe.create_client(Trigger, "supervisor/shutdown")
    future = client.call_async(Trigger.Request())
    assert bench.spin(lambda: future.done() and bench.supervisor.all_down())
    assert LOG == [("stop", "three"), ("stop", "two"), ("stop", "one")]
    future = bench.probe.create_client(Trigger, "supervisor/startup").call_async(Trigger.Request())
    assert bench.spin(lambda: future.done() and bench.supervisor.all_active())


def test_a_node_that_refuses_is_tried_again_and_holds_back_those_after_it(bench):
    bench.parts[1].refusals = 3
    start(bench)
    assert bench.spin(lambda: bench.parts[0].active)
    assert not bench.parts[2].active
    assert bench.spin(bench.supervisor.all_active)
    names = [n for verb, n in LOG if verb == "activate"]
    assert names == ["one", "two", "three"]


def test_a_failed_node_is_restarted_and_the_others_stay_up(bench):
    start(bench)
    assert bench.spin(bench.supervisor.all_active)
    LOG.clear()
    bench.parts[1].broken = True
    assert bench.spin(lambda: ("activate", "two") in LOG)
    assert bench.spin(bench.supervisor.all_active)
    assert LOG == [("stop", "two"), ("configure", "two"), ("activate", "two")]


def test_a_missing_node_is_waited_for(ros):
    LOG.clear()
    supervisor = Supervisor(parameter_overrides=[Parameter("nodes", value=["late"])])
    with Bench(supervisor) as bench:
        supervisor.trigger_configure()
        supervisor.trigger_activate()
        bench.spin(timeout=0.5)
        assert not supervisor.all_active()
        late = Part("late")
        bench.nodes.append(late)
        bench.executor.add_node(late)
        assert bench.spin(supervisor.all_active)


def test_a_lost_answer_is_asked_for_again(bench):
    """DDS drops a service's answer when it does not know the client yet: the request never ends."""
    start(bench)
    (first, *_) = bench.supervisor._nodes
    lost = []

    def swallow(request):
        del first.change_state.call_async
        lost.append(Future())
        return lost[0]

    first.change_state.call_async = swallow
    assert bench.spin(lambda: lost)
    assert bench.spin(bench.supervisor.all_active, timeout=20.0)
    assert not lost[0].done()
    assert first.restarts == 0


def test_a_slow_transition_is_not_a_hang(bench):
    bench.supervisor.set_parameters([Parameter("hang_timeout", value=1.0)])
    now = time.monotonic()
    start(bench)
    (first, *_) = bench.supervisor._nodes
    first.pending, first.changing, first.asked_at, first.answered_at = Future(), True, now, now
    bench.supervisor._check_hang(first, now + 10.0)
    assert first.pending is not None
    bench.supervisor._check_hang(first, now + 31.0)
    assert first.pending is None


def test_a_hung_node_is_noticed(bench):
    bench.supervisor.set_parameters([Parameter("hang_timeout", value=1.0)])
    start(bench)
    assert bench.spin(bench.supervisor.all_active)
    bench.executor.remove_node(bench.parts[2])  # its callbacks run no more
    assert bench.spin(lambda: not bench.supervisor.all_active(), timeout=8.0)
    assert "three" in bench.supervisor.health()[1]
    bench.executor.add_node(bench.parts[2])
    time.sleep(0.1)
    assert bench.spin(bench.supervisor.all_active, timeout=8.0)


def test_a_second_stack_on_the_same_domain_is_refused(ros):
    with Bench(Part("one"), Part("two")) as bench:
        bench.spin(timeout=0.2)
        with pytest.raises(ConfigError, match=r"runs here already \(two\)"):
            refuse_company(["two", "other"])
        refuse_company(["other"])
        refuse_company(["two"], namespace="robot2")
