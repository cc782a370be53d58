"""The gate as a real node: what reaches cmd_vel when sensors die, commands break or the process is ended."""

import array
import math
import os
import signal
import subprocess
import sys
import time

import pytest
from geometry_msgs.msg import TwistStamped
from lifelong_nav_interfaces.msg import GateState, Heartbeat
from nav_msgs.msg import Odometry
from rclpy.parameter import Parameter
from ros_support import Bench
from sensor_msgs.msg import LaserScan
from std_msgs.msg import Bool
from tf2_msgs.msg import TFMessage

from lifelong_nav.core.types import Pose2
from lifelong_nav.nodes.gate import GateNode
from lifelong_nav.nodes.tf import stamped

pytestmark = pytest.mark.ros


class Feed:
    """Publishes healthy inputs at 20 Hz, except what is switched off or replaced."""

    def __init__(self, bench, speed=0.6):
        self.bench, self.next = bench, 0.0
        self.on = {"scan", "odom", "cmd_vel_raw", "heartbeat"}
        self.command = (speed, 0.0)
        self.ranges = [float("inf")] * 360
        self.scan_changes = {}
        mount = stamped(Pose2(0.1, 0.0, 0.0), "base_link", "laser", 0.0)
        bench.say("/tf_static", TFMessage(transforms=[mount]))

    def __call__(self):
        if time.monotonic() < self.next:
            return
        self.next = time.monotonic() + 0.05
        now = self.bench.probe.get_clock().now().to_msg()
        if "scan" in self.on:
            scan = LaserScan(
                angle_min=-math.pi, angle_max=math.pi, angle_increment=2 * math.pi / 360,
                range_min=0.05, range_max=10.0, ranges=array.array("f", self.ranges),
            )  # fmt: skip
            for name, value in self.scan_changes.items():
                setattr(scan, name, value)
            scan.header.stamp, scan.header.frame_id = now, "laser"
            self.bench.say("scan", scan)
        if "odom" in self.on:
            odom = Odometry(child_frame_id="base_link")
            odom.header.stamp, odom.header.frame_id = now, "odom"
            self.bench.say("odom", odom)
        if "cmd_vel_raw" in self.on:
            command = TwistStamped()
            command.header.stamp = now
            command.twist.linear.x, command.twist.angular.z = self.command
            self.bench.say("cmd_vel_raw", command)
        if "heartbeat" in self.on:
            beat = Heartbeat(node="/somewhere/controller", active=True)
            beat.header.stamp = now
            self.bench.say("heartbeat", beat)


@pytest.fixture
def driving(ros):
    """A gate that lets 0.6 m/s through."""
    gate = GateNode(parameter_overrides=[Parameter("people_expected", value=False)])
    with Bench(gate) as bench:
        bench.sent, bench.states = bench.hear("cmd_vel"), bench.hear("gate_state")
        bench.activate()
        bench.feed = Feed(bench)
        assert bench.spin(lambda: speed(bench) > 0.55, each=bench.feed), bench.states[-1:]
        yield bench


def speed(bench):
    return bench.sent[-1].twist.linear.x if bench.sent else 0.0


def reason(bench):
    return bench.states[-1].reason if bench.states else ""


def test_dead_scan_stops_the_robot_within_200_ms_of_the_timeout(driving):
    bench = driving
    bench.feed.on.discard("scan")
    died, before = time.monotonic(), len(bench.states)
    assert bench.spin(lambda: speed(bench) == 0.0, each=bench.feed, timeout=3.0)
    # 0.3 s timeout + 200 ms, and slack for a loaded machine: a lost timeout would wait for ever.
    assert time.monotonic() - died < 0.3 + 0.2 + 0.5
    zero = next(m for m in bench.sent[::-1] if m.twist.linear.x > 0.0)
    first = next(s for s in bench.states[before:] if s.reason == "scan_stale")
    braking = _seconds(zero.header.stamp) - _seconds(first.header.stamp)
    assert braking <= 0.2  # by the stamps of the node itself
    assert reason(bench) == "scan_stale"
    assert bench.states[-1].state == GateState.STOPPED
    bench.feed.on.add("scan")
    assert bench.spin(lambda: speed(bench) > 0.5, each=bench.feed)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_broken_command_brakes_to_zero(driving, bad):
    bench = driving
    bench.feed.command = (bad, 0.3)
    assert bench.spin(lambda: speed(bench) == 0.0, each=bench.feed, timeout=3.0)
    assert reason(bench) == "command_not_finite"
    assert all(math.isfinite(m.twist.linear.x) and math.isfinite(m.twist.angular.z) for m in bench.sent)


@pytest.mark.parametrize(
    ("source", "word"), [("cmd_vel_raw", "command_stale"), ("odom", "odom_stale"), ("heartbeat", "heartbeat")]
)
def test_dead_sources_stop_the_robot(driving, source, word):
    bench = driving
    bench.feed.on.discard(source)
    assert bench.spin(lambda: speed(bench) == 0.0, each=bench.feed, timeout=3.0)
    assert reason(bench) == word


def test_unreadable_scans_are_no_scans(driving):
    bench = driving
    bench.feed.scan_changes = {"angle_increment": math.nan}
    assert bench.spin(lambda: speed(bench) == 0.0, each=bench.feed, timeout=3.0)
    assert reason(bench) == "scan_stale"


def test_obstacle_ahead_emergency_stop_and_release(driving):
    bench = driving
    bench.feed.ranges = [0.27 if 150 < i < 210 else 3.0 for i in range(360)]
    assert bench.spin(
        lambda: speed(bench) < 0.3 and reason(bench) == "obstacle", each=bench.feed, timeout=3.0
    )
    bench.feed.ranges = [3.0] * 360
    assert bench.spin(lambda: speed(bench) > 0.5, each=bench.feed)
    bench.say("emergency_stop", Bool(data=True))
    assert bench.spin(lambda: reason(bench) == "emergency_stop", each=bench.feed, timeout=3.0)
    assert speed(bench) == 0.0
    bench.say("emergency_stop", Bool(data=False))
    assert bench.spin(lambda: speed(bench) > 0.5, each=bench.feed)


def test_deactivating_sends_zero_last(driving):
    bench = driving
    bench.nodes[0].trigger_deactivate()
    bench.spin(timeout=0.3, each=bench.feed)
    assert bench.sent[-1].twist.linear.x == 0.0
    assert reason(bench) == "shutdown"


def test_sigterm_sends_zero_last(ros):
    """The whole process: SIGTERM while driving, zero is the last command, exit code 0."""
    code = (
        "from lifelong_nav.nodes.gate import GateNode\n"
        "from lifelong_nav.nodes.run import run\n"
        "class G(GateNode):\n    SELF_START = True\n"
        "raise SystemExit(run(G, ['gate', '--ros-args', '-p', 'people_expected:=false']))\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code], env={**os.environ})
    try:
        with Bench() as bench:
            bench.sent = bench.hear("cmd_vel")
            bench.feed = Feed(bench)
            assert bench.spin(lambda: speed(bench) > 0.5, each=bench.feed, timeout=20.0)
            process.send_signal(signal.SIGTERM)
            assert bench.spin(lambda: process.poll() is not None, each=bench.feed, timeout=10.0)
            bench.spin(timeout=0.3)
            assert process.returncode == 0
            assert bench.sent[-1].twist.linear.x == 0.0
            assert bench.sent[-2].twist.linear.x > 0.3  # it was driving until then
    finally:
        process.kill()
        process.wait()


def _seconds(stamp):
    return stamp.sec + stamp.nanosec * 1e-9
