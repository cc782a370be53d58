"""The pip-only launcher with real processes: crash, hang, interruption, murder; one process or many."""

import contextlib
import os
import signal
import subprocess
import sys

import psutil
import pytest
from geometry_msgs.msg import TwistStamped
from lifecycle_msgs.msg import State
from lifecycle_msgs.srv import GetState
from stack_support import Witness, alive, family, wait_for
from std_srvs.srv import Trigger

from lifelong_nav import launcher as launching
from lifelong_nav.core.errors import SimError
from lifelong_nav.launcher import Launcher
from lifelong_nav.nodes.topics import TOPICS
from lifelong_nav.stack import Options, nodes_for

pytestmark = [pytest.mark.ros, pytest.mark.timeout(400)]
UP = [sys.executable, "-m", "lifelong_nav.cli", "up", "--no-localization", "--log-level", "error"]
ROBOT = (
    "perception", "context", "gate", "controller", "trajectory", "planner", "context_learner",
    "trajectory_learner",
)  # fmt: skip


@pytest.fixture
def replay(ros, tmp_path):
    """Perception and supervisor up, and a witness."""
    with Launcher(Options(profile="replay", log_level="error"), log_folder=tmp_path / "log") as launcher:
        launcher.start()
        with Witness(launcher.poll) as witness:
            assert witness.until(lambda: witness.active("perception", "supervisor"))
            yield launcher, witness


@contextlib.contextmanager
def program(*arguments):
    """`lifelong-nav up` as a user starts it; nothing of it is left afterwards."""
    process = subprocess.Popen([*UP, *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    known = []
    try:
        yield process, known
    finally:
        for pid in [process.pid, *known, *family(process.pid)]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.wait()
        process.stderr.close()


def test_a_killed_node_comes_back_and_is_active_again(replay):
    launcher, witness = replay
    before = witness.pid("perception")
    assert before == launcher.pids()["perception"]
    os.kill(before, signal.SIGKILL)
    assert witness.until(lambda: witness.pid("perception") != before and witness.active("perception"))
    assert launcher.pids()["perception"] == witness.pid("perception")
    # a dead supervisor is mended too, and takes over what it finds running
    untouched, before = witness.pid("perception"), witness.pid("supervisor")
    os.kill(before, signal.SIGKILL)
    assert witness.until(lambda: witness.pid("supervisor") != before)
    assert witness.until(lambda: witness.active("supervisor", "perception"))
    assert witness.pid("perception") == untouched
    pids = [*launcher.pids().values()]
    assert launcher.stop() == {"perception": 0, "context": 0, "supervisor": 0}
    assert alive(pids) == []
    assert launcher.stop() == {}


def test_a_hung_node_is_killed_by_the_supervisor_and_respawned(replay):
    launcher, witness = replay
    before = witness.pid("perception")
    os.kill(before, signal.SIGSTOP)
    assert witness.until(lambda: witness.pid("perception") != before and witness.active("perception"))
    assert alive([before]) == []
    assert "hangs" in (launcher.log_folder / "supervisor.log").read_text()


def end_of(launcher):
    """The error with which a launcher gives up."""
    with launcher:
        launcher.start()
        with pytest.raises(SimError) as error:
            wait_for(launcher.poll)
        pids = [*launcher.pids().values()]
    assert alive(pids) == []
    return error.value


def test_a_node_that_crashes_at_once_ends_the_launcher_with_its_last_words(tmp_path, monkeypatch):
    monkeypatch.setattr(launching, "_MAX_RESPAWNS", 2)
    monkeypatch.setattr(launching, "_RESPAWN_PAUSE", 0.1)
    broken = {"PYTHONHOME": str(tmp_path)}
    error = end_of(Launcher(Options(profile="replay"), environment=broken, log_folder=tmp_path / "log"))
    log = tmp_path / "log" / f"{error.what.split(chr(39))[1]}.log"
    assert str(log) in error.fix
    text = log.read_text()
    assert text.strip().splitlines()[-1].strip() in error.fix
    assert text.count("Fatal Python error") == 3  # started, and respawned twice


@pytest.mark.parametrize(
    ("text", "word"),
    [("/**/perception: {ros__parameters: {hidden_rate: -5.0}}", "hidden_rate"), ("/**: [", "wrong.yaml")],
)
def test_a_wrong_parameter_file_is_not_tried_again(tmp_path, text, word):
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text(text)
    options = Options(profile="replay", params_file=str(wrong))
    error = end_of(Launcher(options, log_folder=tmp_path / "log"))
    assert "code 2" in error.what
    assert word in error.fix
    assert "Traceback" not in error.fix


def test_without_respawn_the_first_death_ends_it(ros, tmp_path):
    options = Options(profile="replay", respawn=False, log_level="error")
    with Launcher(options, log_folder=tmp_path) as launcher:
        launcher.start()
        with Witness() as witness:
            assert witness.until(lambda: witness.active("perception"))
            os.kill(witness.pid("perception"), signal.SIGKILL)
        with pytest.raises(SimError, match=r"perception.*-9"):
            wait_for(launcher.poll)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_program_ends_in_order_and_leaves_nobody(ros, number):
    with program() as (process, known), Witness() as witness:
        assert witness.until(lambda: witness.active(*ROBOT, "supervisor")), process.poll()
        known += family(process.pid)
        assert len(known) == len(ROBOT) + 1
        sent = []
        witness.node.create_subscription(TwistStamped, "cmd_vel", sent.append, 10)
        assert witness.until(lambda: sent)
        process.send_signal(number)
        assert witness.until(lambda: process.poll() is not None)
        assert process.returncode == 0
        assert alive(known) == []
        assert sent[-1].twist.linear.x == sent[-1].twist.angular.z == 0.0


def test_impatience_does_not_break_the_order(ros):
    """Ctrl-C under `ros2 launch` reaches every node twice, and users press it again."""
    command = [sys.executable, "-m", "lifelong_nav.nodes.run", "lifelong_nav.nodes.gate:GateNode"]
    with Witness() as witness:
        node = subprocess.Popen(command)
        try:
            assert witness.until(lambda: "gate" in witness.beats)

            def again():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(node.pid, signal.SIGINT)
                return node.poll() is not None

            assert witness.until(again)
            assert node.returncode == 0
        finally:
            node.kill()
            node.wait()


def test_children_do_not_outlive_a_murdered_launcher(ros):
    with program() as (process, known), Witness() as witness:
        assert witness.until(lambda: witness.active(*ROBOT, "supervisor")), process.poll()
        known += family(process.pid)
        process.kill()
        process.wait()
        assert wait_for(lambda: not alive(known), 20.0), [psutil.Process(p).cmdline() for p in alive(known)]


def test_without_autostart_everything_waits(ros):
    with program("--no-autostart") as (process, _known), Witness() as witness:
        assert witness.until(lambda: {*ROBOT, "supervisor"} <= set(witness.beats))
        for name in ROBOT:
            answer = witness.ask(GetState, f"{name}/get_state", GetState.Request())
            assert answer.current_state.id == State.PRIMARY_STATE_UNCONFIGURED
        assert witness.ask(Trigger, "supervisor/startup", Trigger.Request()).success
        assert witness.until(lambda: witness.active(*ROBOT)), process.poll()


def test_one_process_and_many_make_the_same_graph(ros, tmp_path):
    options = Options(localization=False, log_level="error", overrides={"gate": {"max_speed": 0.6}})
    names = [spec.name for spec in nodes_for(options)]
    graphs, processes = [], []
    for composed in (False, True):
        with Launcher(options, composed=composed, log_folder=tmp_path / str(composed)) as launcher:
            launcher.start()
            with Witness(launcher.poll) as witness:
                assert witness.until(lambda w=witness: w.active(*names)), launcher.pids()
                graphs.append(witness.graph(names))
                processes.append(len(launcher.pids()))
            assert set(launcher.stop().values()) == {0}
    assert processes == [len(names), 1]
    assert graphs[0] == graphs[1]
    assert graphs[0]["gate"]["parameters"]["max_speed"] == 0.6
    # and it is the graph of the table: no topic beside it, no other type
    ignored = ("/parameter_events", "/rosout")
    for name, node in graphs[0].items():
        for topic, (kind,) in [*node["offers"], *node["hears"]]:
            if topic not in ignored and not topic.endswith("transition_event") and "/_action/" not in topic:
                entry = TOPICS.get(topic) or TOPICS[topic.lstrip("/")]
                assert kind == entry.type, f"{name}: {topic}"
