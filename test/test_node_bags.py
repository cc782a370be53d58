"""Bags through real nodes: what is recorded while a bag plays is the bag."""

import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from itertools import pairwise

import bag_files as make
import pytest
from ros_support import Bench

from lifelong_nav.core.errors import BagError, ConfigError
from lifelong_nav.replay.reader import open_bag

pytestmark = pytest.mark.ros


def make_node(cls, config_cls, **values):
    from lifelong_nav.core.config import build
    from lifelong_nav.nodes.scripted import overrides

    return cls(parameter_overrides=overrides(build(config_cls, values)))


def player(**values):
    from lifelong_nav.nodes.bag_player import BagPlayer
    from lifelong_nav.replay.playing import PlayerConfig

    return make_node(BagPlayer, PlayerConfig, **values)


def recorder(**values):
    from lifelong_nav.nodes.bag_recorder import BagRecorder, RecorderConfig

    return make_node(BagRecorder, RecorderConfig, min_free_mib=0, poll=0.05, **values)


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_recording_of_a_playback_is_the_bag(ros, tmp_path, storage):
    written = make.write2(tmp_path / "in", 40, storage)
    play = player(bag=str(tmp_path / "in"), rate=2.0, ack="", discovery=0.5)
    record = recorder(out=str(tmp_path / "out"), topics=["/scan", "/odom", "people", "/clock"])
    with Bench(record, play) as bench:
        bench.activate()
        assert bench.spin(lambda: play.finished, timeout=30.0)
        bench.spin(timeout=0.3)
    assert play.summary.complete
    assert play.summary.played == dict(Counter(topic for topic, _, _ in written))
    assert 1.5 < play.summary.speed <= 2.5
    with open_bag(tmp_path / "out") as bag:
        got = [(m.topic, m.data) for m in bag.messages(["/scan", "/odom", "/people"])]
        for topic in ("/scan", "/odom", "/people"):
            expected = [data for name, _, data in written if name == topic]
            assert [data for name, data in got if name == topic] == expected, "bytes are the same"
        clock = [bag.decode(m).clock for m in bag.messages(["/clock"])]
        stamps = [c.sec + c.nanosec * 1e-9 for c in clock]
        assert stamps == sorted(stamps)
        assert stamps[0] < 5.5
        assert stamps[-1] > 8.7
        assert not bag.lossy


def test_ros1_bag_is_heard_by_live_nodes(ros, tmp_path):
    written = make.write1(tmp_path / "a.bag", 30)
    play = player(bag=str(tmp_path / "a.bag"), rate=5.0, ack="", remap=["/scan:=/base/scan"], discovery=0.5)
    with Bench(play) as bench:
        from nav_msgs.msg import Odometry
        from sensor_msgs.msg import LaserScan

        scans, odoms = [], []
        bench.probe.create_subscription(LaserScan, "/base/scan", scans.append, 50)
        bench.probe.create_subscription(Odometry, "/odom", odoms.append, 50)
        bench.activate()
        assert bench.spin(lambda: play.finished, timeout=30.0)
        bench.spin(timeout=0.2)
    assert len(scans) == 30
    assert len(odoms) == 60
    expected = [m for topic, _, m in written if topic == "/scan"]
    for got, sent in zip(scans, expected, strict=True):
        assert list(got.ranges) == list(sent.ranges)
        assert got.header.frame_id == "laser"


def test_lockstep_loses_no_scan_of_a_slow_consumer(ros, tmp_path):
    make.ours(tmp_path / "in", 60)
    play = player(bag=str(tmp_path / "in"), rate=0.0, exclude=["people"], remap=[], discovery=5.0)
    with Bench(play) as bench:
        from lifelong_nav_interfaces.msg import TrackedPeople
        from sensor_msgs.msg import LaserScan

        from lifelong_nav.nodes.qos import PROFILES

        heard = []
        answer = bench.probe.create_publisher(TrackedPeople, "people", PROFILES["reliable"])

        def slow(scan):
            heard.append(scan.header.stamp)
            time.sleep(0.01)
            answer.publish(TrackedPeople(header=scan.header))

        bench.probe.create_subscription(LaserScan, "scan", slow, PROFILES["sensor"])
        bench.activate()
        assert bench.spin(lambda: play.finished, timeout=30.0)
    assert len(heard) == 60, "best effort and depth 5, yet none is lost"
    assert play.summary.answered == 60
    assert play.summary.unanswered == 0
    assert play.summary.speed > 1.0


def test_a_consumer_that_never_answers_does_not_hang_playback(ros, tmp_path):
    make.ours(tmp_path / "in", 10)
    play = player(bag=str(tmp_path / "in"), rate=0.0, exclude=["people"], ack_timeout=0.1, discovery=0.2)
    with Bench(play) as bench:
        from lifelong_nav_interfaces.msg import TrackedPeople

        bench.probe.create_publisher(TrackedPeople, "people", 1)
        bench.activate()
        assert bench.spin(lambda: play.finished, timeout=30.0)
    assert play.summary.unanswered == 10


def test_loops_are_seen_as_time_jumps_and_pause_holds(ros, tmp_path):
    make.ours(tmp_path / "in", 10)
    play = player(bag=str(tmp_path / "in"), rate=4.0, loop=3, ack="", discovery=0.3)
    with Bench(play) as bench:
        from rclpy.parameter import Parameter

        clock = bench.hear("/clock")
        scans = bench.hear("scan")
        bench.activate()
        assert bench.spin(lambda: len(scans) > 3)
        play.set_parameters([Parameter("paused", value=True)])
        bench.spin(timeout=0.1)
        count = len(scans)
        bench.spin(timeout=0.5)
        assert len(scans) == count, "paused"
        play.set_parameters([Parameter("paused", value=False)])
        assert bench.spin(lambda: play.finished, timeout=30.0)
        bench.spin(timeout=0.1)
    assert len(scans) == 30
    seconds = [c.clock.sec + c.clock.nanosec * 1e-9 for c in clock]
    assert sum(b < a - 0.5 for a, b in pairwise(seconds)) == 2
    assert play.summary.loops == 3


def test_what_cannot_be_played_is_named(ros, tmp_path):
    from lifelong_nav.replay.writer import BagWriter, WriterConfig

    with BagWriter(tmp_path / "in", WriterConfig(min_free_bytes=0)) as writer:
        writer.add_topic("/odd", "no_such_pkg/msg/Thing", "int32 x", "ros2msg", "RIHS01_" + "0" * 64)
        writer.add_topic("/text", "std_msgs/msg/String")
        writer.add_topic("/heard", "std_msgs/msg/String")
        for i in range(10):
            writer.write("/odd", i * 10**7, b"\x00\x01\x00\x00\x01\x00\x00\x00")
            writer.write("/text", i * 10**7, b"\x00\x01\x00\x00\x03\x00\x00\x00ab\x00")
            writer.write("/heard", i * 10**7, b"\x00\x01\x00\x00\xff\xff\xff\xff" if i % 2 else b"")
    play = player(bag=str(tmp_path / "in"), rate=1.0, ack="", discovery=0.3)
    with Bench(play) as bench:
        from std_msgs.msg import String

        bench.probe.create_publisher(String, "/text", 1)
        bench.probe.create_subscription(String, "/heard", lambda m: None, 1)
        bench.activate()
        assert bench.spin(lambda: play.finished, timeout=20.0)
    assert "no_such_pkg" in play.summary.skipped["/odd"]
    assert "probe publishes it" in play.summary.skipped["/text"]
    assert play.summary.broken == 10
    assert play.summary.played == {}


def test_starting_in_the_middle_brings_latched_messages(ros, tmp_path):
    from lifelong_nav.replay.qos import TopicQos
    from lifelong_nav.replay.writer import BagWriter, WriterConfig

    with BagWriter(tmp_path / "in", WriterConfig(min_free_bytes=0)) as writer:
        writer.add_topic("/notice", "std_msgs/msg/String", qos=TopicQos(transient_local=True))
        writer.add_topic("/text", "std_msgs/msg/String")
        body = b"\x00\x01\x00\x00\x03\x00\x00\x00ab\x00"
        writer.write("/notice", 10**9, body)
        for i in range(30):
            writer.write("/text", 10**9 + i * 10**8, body)
    play = player(bag=str(tmp_path / "in"), rate=10.0, start=2.0, ack="", discovery=0.5)
    with Bench(play) as bench:
        bench.activate()
        assert bench.spin(lambda: play.finished, timeout=20.0)
    assert play.summary.played == {"/notice": 1, "/text": 10}


def test_full_disk_ends_recording_not_the_node(ros, tmp_path):
    from lifelong_nav.nodes.bag_recorder import BagRecorder, RecorderConfig

    record = make_node(
        BagRecorder, RecorderConfig, out=str(tmp_path / "out"), min_free_mib=1 << 20, poll=0.05
    )
    with Bench(record) as bench:
        from std_msgs.msg import String

        publisher = bench.probe.create_publisher(String, "/text", 10)
        bench.activate()
        assert bench.spin(
            lambda: record.summary.error != "", each=lambda: publisher.publish(String(data="x"))
        )
        assert "Free disk space" in record.summary.error
        assert record.health()[0] == 1, "degraded, alive"
    with open_bag(tmp_path / "out") as bag:
        assert not bag.lossy


def test_play_and_record_functions(ros, tmp_path):
    from lifelong_nav.nodes.bag_player import play
    from lifelong_nav.nodes.bag_recorder import record

    make.ours(tmp_path / "in", 10)
    with pytest.raises(BagError, match="There is no bag"):
        play(tmp_path / "gone")
    with pytest.raises(ConfigError, match="no topic /nothing"):
        play(tmp_path / "in", {"topics": ["nothing"]})
    done = {}
    thread = threading.Thread(target=lambda: done.update(p=play(tmp_path / "in", {"rate": 0.0, "ack": ""})))
    thread.start()
    summary = record(tmp_path / "out", topics=["/scan"], until=lambda: not thread.is_alive())
    thread.join()
    assert done["p"].complete
    assert "/odom: 20" in str(done["p"])
    assert summary.counts.get("/scan", 0) > 0
    with pytest.raises(BagError, match="exists"):
        record(tmp_path / "out")


def test_interrupted_record_process_leaves_a_whole_bag(tmp_path):
    script = f"from lifelong_nav.nodes.bag_recorder import record; print(record({str(tmp_path / 'b')!r}))"
    child = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    end = time.monotonic() + 20
    while not (tmp_path / "b").exists() and time.monotonic() < end:
        time.sleep(0.05)
    time.sleep(1.0)
    child.send_signal(signal.SIGINT)
    out, _ = child.communicate(timeout=20)
    assert child.returncode == 0
    assert "recorded" in out
    with open_bag(tmp_path / "b") as bag:
        assert not bag.lossy
        assert "/heartbeat" in bag.topics, "its own signs of life"
