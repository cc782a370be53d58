"""The whole stack on the simulated robot: errands end well, and nothing that dies or falls silent hurts.

Every run is a set of real processes over DDS. Lockstep, so that a busy machine changes the wall time only.
"""

import contextlib
import os
import signal
import subprocess
import sys

import numpy as np
import pytest
from geometry_msgs.msg import TwistStamped
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from lifelong_nav_interfaces.msg import GateState
from nav_msgs.msg import Odometry
from sensor_msgs.msg import LaserScan
from stack_support import Witness, alive

from lifelong_nav.control.gate_config import GateConfig
from lifelong_nav.core.types import Pose2
from lifelong_nav.evaluation.report import write_report
from lifelong_nav.evaluation.run_files import load_arrays
from lifelong_nav.launcher import Launcher
from lifelong_nav.nodes import session as session_module
from lifelong_nav.nodes.errand_runner import Errand, ErrandRunner
from lifelong_nav.nodes.qos import PROFILES
from lifelong_nav.nodes.session import Settings, simulation_overrides
from lifelong_nav.nodes.session import run as run_session
from lifelong_nav.replay.reader import open_bag
from lifelong_nav.stack import Options

pytestmark = [pytest.mark.system, pytest.mark.ros, pytest.mark.timeout(600)]
LIMITS = GateConfig()
CORRIDOR = """
name: system_corridor
family: extra
description: There and back in a corridor in which a person comes the other way.
scene: {outline: [0, 0, 18, 3.2]}
robot:
  start: [1.2, 1.4, 0.0]
  goals: [[9.0, 1.4], [3.0, 1.4]]
people:
  - {start: [15.0, 2.4], goals: [[0.8, 2.5]], at_end: stand}
timeout: 120
"""


@pytest.fixture(scope="module")
def corridor(tmp_path_factory):
    file = tmp_path_factory.mktemp("scenario") / "system_corridor.yaml"
    file.write_text(CORRIDOR)
    return str(file)


def settings(corridor, **changed):
    return Settings(
        scenario=corridor, mode="lockstep", **{"seed": 4, "camera": "off", "timeout": 240.0, **changed}
    )


@pytest.fixture(scope="module")
def recorded(corridor, tmp_path_factory):
    """A run with camera and recording; (session, folder, process ids)."""
    folder = tmp_path_factory.mktemp("recorded") / "run"
    pids = {}
    session = run_session(
        settings(corridor, camera="64x48@5", record=True), folder, lambda s: pids.update(s.launcher.pids())
    )
    return session, folder, pids


def test_errands_are_done_without_touching_anything(recorded):
    session, folder, pids = recorded
    assert [(o.code, o.message) for o in session.runner.outcomes] == [("NONE", "")] * 2, session.reason
    assert session.done == session.total == 2
    assert alive(pids.values()) == []
    series = load_arrays(folder / "series.npz")
    for outcome in session.runner.outcomes:
        near = np.abs(series["t"] - outcome.ended) < 0.6
        goal = outcome.errand.pose
        assert np.hypot(*(series["pose"][near, :2] - [goal.x, goal.y]).T).min() < 0.4
    facts = (folder / "run.json").read_text()
    assert '"contacts": []' in facts
    assert np.abs(series["twist"][:, 0]).max() < LIMITS.max_speed + 0.1
    assert np.hypot(*np.diff(series["pose"][:, :2], axis=0).T).sum() > 11.0


def test_a_run_leaves_its_files_and_no_complaints(recorded):
    _session, folder, pids = recorded
    for name in ("map/map.yaml", "map/map.pgm", "run.json", "series.npz"):
        assert (folder / name).stat().st_size > 100 or name.endswith("yaml"), name
    logs = {path.stem: path.read_text() for path in (folder / "log").glob("*.log")}
    assert set(logs) == set(pids)
    for name, text in logs.items():
        assert "Traceback" not in text, f"{name}:\n{text}"
        assert "terminate called" not in text, name
    report = write_report(folder)
    assert report.stat().st_size > 10_000


def test_the_recording_holds_our_messages(recorded):
    session, folder, _ = recorded
    with open_bag(folder / "bag") as bag:
        types = {name: topic.type for name, topic in bag.topics.items()}
        ours = {"/people": "TrackedPeople", "/gate_state": "GateState", "/heartbeat": "Heartbeat"}
        for topic, kind in ours.items():
            assert types[topic] == f"lifelong_nav_interfaces/msg/{kind}"
            assert bag.topics[topic].count > 20, topic
        assert {"/scan", "/odom", "/tf", "/clock", "/cmd_vel", "/plan"} <= set(types)
        assert not bag.lossy, bag.notes
        states = [bag.decode(m) for m in bag.messages(topics=["/gate_state"])]
        stamps = [s.header.stamp.sec + 1e-9 * s.header.stamp.nanosec for s in states]
        first, last = session.runner.outcomes[0], session.runner.outcomes[-1]
        assert min(stamps) < first.started + 2.0
        assert max(stamps) > last.ended - 1.0
        seen = max(len(bag.decode(m).people) for m in bag.messages(topics=["/people"]))
        assert seen >= 1  # the person in the corridor, as our own perception saw it


def test_the_same_seed_gives_the_same_errands(recorded, corridor, tmp_path):
    """Over DDS runs are not bit-identical; outcome and way must be the same all the same."""
    first, folder, _ = recorded
    again = run_session(settings(corridor), tmp_path / "run")
    assert [o.code for o in again.runner.outcomes] == [o.code for o in first.runner.outcomes]
    for a, b in zip(first.runner.outcomes, again.runner.outcomes, strict=True):
        assert b.distance == pytest.approx(a.distance, rel=0.15)
        assert b.ended - b.started == pytest.approx(a.ended - a.started, rel=0.3)
    ways = [load_arrays(f / "series.npz")["pose"][:, :2] for f in (folder, tmp_path / "run")]
    apart = np.linalg.norm(ways[0][:, None] - ways[1][None], axis=2)
    worst = max(apart.min(axis=0).max(), apart.min(axis=1).max())
    print(f"the two ways are {worst:.3f} m apart at most")
    assert worst < 0.5


class Watch:
    """Hears the gate and the truth beside a session's own nodes, and does something while it drives."""

    def __init__(self, act):
        self.act, self.node = act, None
        self.speed, self.x = 0.0, 0.0
        self.gate = []
        self.acted_at = None

    def __call__(self, session):
        if self.node is None:
            self.node = session.monitor
            self.node.create_subscription(Odometry, "sim/pose", self._on_pose, PROFILES["reliable"])
            self.node.create_subscription(GateState, "gate_state", self.gate.append, PROFILES["reliable"])
        if self.acted_at is None and self.speed > 0.4 and self.x > 2.0:
            self.acted_at = len(self.gate)
            self.act(session)

    def _on_pose(self, message):
        self.speed, self.x = message.twist.twist.linear.x, message.pose.pose.position.x


def test_perception_dies_while_driving(corridor, tmp_path):
    """The gate slows down while people are unknown, perception comes back, the errand is done."""
    pids = []

    def kill(session):
        pids.append(session.launcher.pids()["perception"])
        os.kill(pids[0], signal.SIGKILL)

    watch = Watch(kill)
    session = run_session(settings(corridor, errands=1), tmp_path / "run", watch)
    assert watch.acted_at is not None
    assert [(o.code, o.message) for o in session.runner.outcomes] == [("NONE", "")], session.reason
    after = watch.gate[watch.acted_at :]
    blind = [s for s in after if s.reason.startswith("people")]
    assert blind, sorted({s.reason for s in after})
    slowed = [s.sent.linear.x for s in blind[10:]]  # half a second to brake
    assert all(v <= LIMITS.blind_speed + 1e-6 for v in slowed), max(slowed)
    assert after[-1].reason != blind[-1].reason  # people are known again
    log = (tmp_path / "run" / "log" / "supervisor.log").read_text()
    assert "perception is a new process" in log
    assert '"contacts": []' in (tmp_path / "run" / "run.json").read_text()


def test_a_stack_that_cannot_come_up_is_given_up(corridor, tmp_path, monkeypatch):
    """A map that is not there: localization refuses, and nobody waits for it for ever."""
    monkeypatch.setattr(session_module, "_STARTUP", 12.0)
    wrong = {"localization": {"map_file": str(tmp_path / "nowhere.yaml")}}
    session = run_session(settings(corridor, overrides=wrong), tmp_path / "run")
    assert "did not come up" in session.reason
    assert session.done == 0
    assert "nowhere.yaml" in (tmp_path / "run" / "log" / "localization.log").read_text()
    assert "did not come up" in (tmp_path / "run" / "run.json").read_text()
    write_report(tmp_path / "run")


@contextlib.contextmanager
def robot_without_lidar(corridor, tmp_path):
    """The profile of a real robot; its body is the simulator, whose scans go to `scan_raw`."""
    given = simulation_overrides(corridor, 4, "realtime")
    options = Options(
        profile="robot", use_sim_time=True, log_level="error",
        overrides={"localization": given["localization"]},
    )  # fmt: skip
    command = [sys.executable, "-m", "lifelong_nav.nodes.run", "lifelong_nav.nodes.sim:SimNode", "--ros-args"]
    command += ["-r", "scan:=scan_raw", "-p", "use_sim_time:=true", "-p", "renderer:='off'", "-p", "seed:=4"]
    command += ["-p", f"scenario:={corridor}", "--log-level", "error"]
    body = subprocess.Popen(command)
    try:
        with Launcher(options, log_folder=tmp_path / "log") as launcher:
            launcher.start()
            yield launcher
    finally:
        body.send_signal(signal.SIGINT)
        assert body.wait(30.0) == 0


def test_without_scans_the_robot_stands_and_with_them_it_goes_on(ros, corridor, tmp_path):
    with robot_without_lidar(corridor, tmp_path) as launcher, Witness(launcher.poll) as witness:
        node, lidar = witness.node, {"works": True}
        node.set_parameters([ros.parameter.Parameter("use_sim_time", value=True)])
        relay = node.create_publisher(LaserScan, "scan", PROFILES["sensor"])
        node.create_subscription(
            LaserScan, "scan_raw", lambda m: relay.publish(m) if lidar["works"] else None, PROFILES["sensor"]
        )
        truth, sent, gate = [], [], []
        node.create_subscription(Odometry, "sim/pose", truth.append, PROFILES["reliable"])
        node.create_subscription(TwistStamped, "cmd_vel", sent.append, PROFILES["reliable"])
        node.create_subscription(GateState, "gate_state", gate.append, PROFILES["reliable"])
        for id_ in (Transition.TRANSITION_CONFIGURE, Transition.TRANSITION_ACTIVATE):
            request = ChangeState.Request(transition=Transition(id=id_))
            assert witness.ask(ChangeState, "sim/change_state", request).success
        parts = ("localization", "perception", "gate", "controller", "planner")
        assert witness.until(lambda: witness.active(*parts)), witness.beats.keys()
        runner = ErrandRunner(
            [Errand("end", Pose2(12.0, 1.4, float("nan")))], 120.0,
            parameter_overrides=[ros.parameter.Parameter("use_sim_time", value=True)],
        )  # fmt: skip
        witness.executor.add_node(runner)
        try:
            poll = launcher.poll
            witness.poll = lambda: (poll(), runner.tick())
            assert witness.until(lambda: truth and truth[-1].twist.twist.linear.x > 0.4)
            lidar["works"] = False
            at = truth[-1].pose.pose.position.x
            assert witness.until(lambda: abs(truth[-1].twist.twist.linear.x) < 0.01)
            # 0.3 s until the scan counts as stale and braking from 0.8 m/s: well below a metre
            assert truth[-1].pose.pose.position.x - at < 0.8
            assert gate[-1].state == GateState.STOPPED
            assert gate[-1].reason.startswith("scan")
            count = len(sent)
            assert witness.until(lambda: len(sent) > count + 20)  # silence is not enough: zero is sent
            assert all(c.twist.linear.x == c.twist.angular.z == 0.0 for c in sent[count:])
            lidar["works"] = True
            assert witness.until(lambda: runner.done)
            assert runner.outcomes[0].success, runner.outcomes
        finally:
            witness.executor.remove_node(runner)
            runner.finish()
