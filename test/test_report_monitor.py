"""The run monitor among real publishers: what it hears ends up in the files."""

import time

import numpy as np
import pytest
from geometry_msgs.msg import Point
from lifelong_nav_interfaces.msg import Contact, GateState
from ros_support import Bench

from lifelong_nav.core.types import Image, Odometry, People, Pose2, TrackedPerson, Twist2
from lifelong_nav.evaluation.report import write_report
from lifelong_nav.evaluation.report_data import load_run
from lifelong_nav.nodes import convert
from lifelong_nav.nodes.run_monitor import RunMonitor

pytestmark = pytest.mark.ros


@pytest.mark.parametrize("truth", [True, False])
def test_a_run_is_written(ros, tmp_path, truth):
    monitor = RunMonitor(tmp_path)
    prefix = "sim/" if truth else ""
    frame = "map" if truth else "odom"
    with Bench(monitor) as bench:
        bench.spin(timeout=0.3)
        due, sent = time.monotonic(), 0

        def drive():
            nonlocal due, sent
            if time.monotonic() < due:
                return
            due, sent = time.monotonic() + 0.03, sent + 1
            t = 10.0 + 0.05 * sent
            at = Pose2(0.02 * (t - 10.0) / 0.05, 1.0, 0.0)
            odometry = Odometry(t, at, Twist2(0.4, 0.0, 0.0), frame)
            bench.say(f"{prefix}people", convert.people_to(People(t, frame, (TrackedPerson(5, 3.0, 1.0),))))
            gate = GateState(state=1, reason="person", header=convert.header(t, "base_link"))
            gate.requested.linear.x, gate.sent.linear.x = 0.6, 0.4
            bench.say("gate_state", gate)
            contact = Contact(kind=Contact.DOOR, name="door 2", position=Point(x=1.0, y=2.0))
            contact.header = convert.header(t, "map")
            if len(monitor._writer._rows) == 3:
                bench.say("sim/contacts", contact)
            picture = Image(t, "camera_optical", "rgb8", np.zeros((12, 16, 3), np.uint8))
            bench.say("camera/color/image_raw", convert.image_to(picture))
            bad = convert.odometry_to(odometry)
            bad.pose.pose.position.x = float("nan")
            bench.say("sim/pose" if truth else "odom", bad)
            bench.say("sim/pose" if truth else "odom", convert.odometry_to(odometry))

        assert bench.spin(lambda: len(monitor._writer._rows) > 20, timeout=20.0, each=drive)
        assert monitor.refused > 0, "what is not finite is refused, and counted"
        monitor.finish()
        monitor.finish()
    run = load_run(tmp_path)
    assert len(run.t) > 20
    np.testing.assert_allclose(np.diff(run.t), 0.1, atol=0.06)
    np.testing.assert_allclose(run.people[-1], [[3.0, 1.0]])
    np.testing.assert_allclose(run.command[-1], [0.6, 0.0, 0.4, 0.0], atol=1e-6)
    assert run.contacts[0]["kind"] == "door"
    assert run.gate["person"]["times"] == 1
    assert run.pictures
    assert "door 2" in write_report(tmp_path).read_text()
