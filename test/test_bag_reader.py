"""Whole bags of every kind are read completely, in order, and as the rosbags library reads them."""

import shutil
import zipfile

import bag_files as make
import numpy as np
import pytest
from rosbags.highlevel import AnyReader

from lifelong_nav.core.errors import BagError
from lifelong_nav.replay.reader import open_bag

KINDS = [("mcap", m) for m in ("none", "file", "message", "storage")]
KINDS += [("sqlite3", m) for m in ("none", "file", "message")]


@pytest.mark.parametrize(("storage", "mode"), KINDS)
def test_rosbag2_of_every_compression(tmp_path, storage, mode):
    written = make.write2(tmp_path / "bag", 60, storage, mode, beams=720)
    got, lossy, notes = make.read_all(tmp_path / "bag")
    assert got == written
    assert not lossy
    assert notes == ()
    files = [f for f in (tmp_path / "bag").iterdir() if f.name != "metadata.yaml"]
    assert make.read_all(files[0])[0] == written, "the storage file alone"


@pytest.mark.parametrize("compression", [None, "bz2", "lz4"])
def test_ros1_bag_becomes_cdr(tmp_path, compression):
    written = make.write1(tmp_path / "a.bag", 40, compression)
    with open_bag(tmp_path / "a.bag") as bag:
        assert bag.topics["/scan"].type == "sensor_msgs/msg/LaserScan"
        got = [(m.topic, m.stamp, bag.decode(m)) for m in bag.messages()]
    assert [g[:2] for g in got] == [w[:2] for w in written]
    for (_, _, a), (_, _, b) in zip(got, written, strict=True):
        assert a.header.stamp.nanosec == b.header.stamp.nanosec
        assert a.header.frame_id == b.header.frame_id
        assert not hasattr(a.header, "seq")
    scans = [(a, b) for (topic, _, a), (_, _, b) in zip(got, written, strict=True) if topic == "/scan"]
    assert all((a.ranges == b.ranges).all() for a, b in scans)


def test_selection_by_topic_and_time(tmp_path):
    written = make.write2(tmp_path / "bag", 60)
    start, stop = 6 * make.SECOND, 7 * make.SECOND
    with open_bag(tmp_path / "bag") as bag:
        got = [(m.topic, m.stamp, m.data) for m in bag.messages(["/scan"], start, stop)]
        assert got == [w for w in written if w[0] == "/scan" and start <= w[1] < stop]
        assert len(got) == 10
        assert list(bag.messages([])) == []
        with pytest.raises(BagError, match=r"no topic /scam.*/scan"):
            bag.messages(["/scam"])


def test_summary_of_a_bag(tmp_path):
    make.write2(tmp_path / "bag", 60)
    with open_bag(tmp_path / "bag") as bag:
        assert {t.name: t.count for t in bag.topics.values()} == {"/scan": 60, "/odom": 120, "/people": 6}
        assert bag.message_count == 186
        assert bag.duration == pytest.approx(5.95)
        assert bag.verify()
        people = next(bag.messages(["/people"]))
        assert bag.decode(people).header.frame_id == "odom"


@pytest.mark.parametrize("where", ["plain.bag", "bag/bag.mcap", "deep/er/bag/metadata.yaml"])
def test_zip_with_one_bag(tmp_path, where):
    if where.endswith(".bag"):
        make.write1(tmp_path / "plain.bag")
        members = {where: tmp_path / "plain.bag"}
    else:
        make.write2(tmp_path / "bag")
        prefix = where.rsplit("/", 1)[0]
        members = {f"{prefix}/{f.name}": f for f in (tmp_path / "bag").iterdir()}
    with zipfile.ZipFile(tmp_path / "z.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, file in members.items():
            archive.write(file, name)
        archive.writestr("readme.txt", "not a bag")
    with open_bag(tmp_path / "z.zip") as bag:
        folder = bag._files[0].path.parent
        assert sum(1 for _ in bag.messages()) == bag.message_count > 0
    assert not folder.exists(), "what was unpacked is deleted"


def test_split_bag_and_crash_leftovers(tmp_path):
    from lifelong_nav.replay.writer import WriterConfig

    config = WriterConfig(split_bytes=2000, chunk_bytes=1024, min_free_bytes=0)
    written = make.ours(tmp_path / "bag", 200, config)
    assert len(list((tmp_path / "bag").glob("*.mcap"))) > 9, "bag_10 must not be sorted before bag_2"
    assert make.read_all(tmp_path / "bag") == (written, False, ())
    (tmp_path / "bag" / "metadata.yaml").unlink()
    got, lossy, notes = make.read_all(tmp_path / "bag")
    assert got == written
    assert not lossy
    assert "metadata.yaml is missing" in notes[0]


@pytest.mark.parametrize("text", ["", "][", "a: &a [*a]", "rosbag2_bagfile_information: 3", "\x00\xff"])
def test_broken_metadata_is_stepped_over(tmp_path, text):
    written = make.write2(tmp_path / "bag")
    (tmp_path / "bag" / "metadata.yaml").write_text(text)
    got, lossy, notes = make.read_all(tmp_path / "bag")
    assert got == written
    assert not lossy
    assert "metadata.yaml is damaged" in notes[0]


def test_qos_text_that_differs_hides_nothing(tmp_path):
    written = make.write2(tmp_path / "bag")
    meta = tmp_path / "bag" / "metadata.yaml"
    text = meta.read_text().replace("offered_qos_profiles: []", "offered_qos_profiles: '- history: 3'")
    meta.write_text(text)
    assert make.read_all(tmp_path / "bag")[0] == written


def test_metadata_that_counts_more_is_reported(tmp_path):
    make.write2(tmp_path / "bag", 20, "sqlite3")
    meta = tmp_path / "bag" / "metadata.yaml"
    meta.write_text(meta.read_text().replace("message_count: 62", "message_count: 99"))
    _, lossy, notes = make.read_all(tmp_path / "bag")
    assert lossy
    assert "99 messages, 62 are there" in notes[0]


def test_service_events_do_not_close_the_bag(tmp_path):
    from rosbags.rosbag2 import StoragePlugin, Writer

    store = make.store2()
    with Writer(tmp_path / "bag", version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        request = "int32 a\n---\nint32 b\n"
        event = writer.add_connection(
            "/add/_service_event", "pkg/srv/Add_Event", msgdef=request, rihs01="RIHS01_" + "0" * 64
        )
        scan = writer.add_connection("/s", "std_msgs/msg/String", typestore=store)
        text = store.types["std_msgs/msg/String"]("hello")
        for i in range(5):
            writer.write(event, i, b"\x00\x01\x00\x00\x01\x00\x00\x00")
            writer.write(scan, i, store.serialize_cdr(text, "std_msgs/msg/String"))
    with open_bag(tmp_path / "bag") as bag:
        got = list(bag.messages())
        assert len(got) == 10
        assert bag.decode(next(bag.messages(["/s"]))).data == "hello"
        with pytest.raises(BagError, match=r"pkg/srv/Add_Event.*unknown"):
            bag.decode(next(bag.messages(["/add/_service_event"])))


def test_stamps_out_of_order_are_sorted(tmp_path):

    from lifelong_nav.replay.writer import BagWriter, WriterConfig

    rng = np.random.default_rng(1)
    stamps = rng.permutation(np.arange(400)) * 10_000_000
    config = WriterConfig(chunk_bytes=1024, flush_period=0.3, min_free_bytes=0)
    with BagWriter(tmp_path / "bag", config) as writer:
        writer.add_topic("/s", "std_msgs/msg/String")
        for stamp in stamps:
            writer.write("/s", int(stamp), b"\x00\x01\x00\x00\x03\x00\x00\x00ab\x00")
    with open_bag(tmp_path / "bag") as bag:
        assert [m.stamp for m in bag.messages()] == sorted(int(s) for s in stamps)
        few = type(bag.limits)(max_buffer_bytes=4096)
    with open_bag(tmp_path / "bag", few) as bag:
        assert sorted(m.stamp for m in bag.messages()) == sorted(int(s) for s in stamps), "late, not lost"


@pytest.mark.data
@pytest.mark.parametrize(
    "name", ["olin_rosbag2/bags/macfirst_floor_take_2", "demo_stationary_simple_environment.bag"]
)
def test_real_bags_as_the_library_reads_them(data_folder, name):
    from rosbags.typesys import Stores, get_typestore

    path = data_folder / "robot_bags" / name
    humble = get_typestore(Stores.ROS2_HUMBLE)
    with AnyReader([path], default_typestore=humble) as other, open_bag(path) as bag:
        expected = [(c.topic, stamp, raw) for c, stamp, raw in other.messages()]
        assert sorted((m.topic, m.stamp, m.data) for m in bag.messages()) == sorted(expected)
        for message in bag.messages(["/scan"]):
            theirs = other.deserialize(message.data, message.type)
            np.testing.assert_array_equal(bag.decode(message).ranges, theirs.ranges)
            break


@pytest.mark.data
def test_real_zip(data_folder):
    with open_bag(data_folder / "robot_bags" / "general_tracking_moving_1.bag.zip") as bag:
        assert bag.topics["/scan"].count == 873
        assert bag.topics["/ground_truth_people_tracks"].count == 153
        assert bag.topics["/tf"].type == "tf2_msgs/msg/TFMessage"
        person = bag.decode(next(bag.messages(["/ground_truth_people_tracks"])))
        assert hasattr(person, "pose")
        assert bag.verify()


def test_names_that_are_not_bags(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "zero.mcap").write_bytes(b"")
    (tmp_path / "wrong.mcap").write_bytes(b"PK\x03\x04 not a bag" * 10)
    (tmp_path / "wrong.db3").write_bytes(b"PK\x03\x04 not a bag" * 10)
    (tmp_path / "wrong.bag").write_bytes(b"#ROSBAG V1.2\n")
    (tmp_path / "wrong.zip").write_bytes(b"PK\x03\x04 not a zip")
    (tmp_path / "notes.txt").write_text("hello")
    make.write2(tmp_path / "a", 2)
    shutil.copy(tmp_path / "a" / "a.mcap", tmp_path / "b.txt")
    expected = {
        "gone": "There is no bag", "empty": "holds no bag", "zero.mcap": "is empty",
        "wrong.mcap": "not an MCAP file", "wrong.db3": "not an SQLite file", "wrong.bag": "rosbag fix",
        "wrong.zip": "cannot be unpacked", "notes.txt": "is not a bag", "b.txt": "is not a bag",
    }  # fmt: skip
    for name, sentence in expected.items():
        with pytest.raises(BagError, match=sentence):
            open_bag(tmp_path / name)


def test_our_files_satisfy_the_other_readers(tmp_path):
    from mcap.reader import make_reader
    from mcap_ros2.decoder import DecoderFactory
    from rosbags.typesys import Stores, get_typestore

    from lifelong_nav.replay.qos import TopicQos
    from lifelong_nav.replay.writer import BagWriter, WriterConfig

    written = make.ours(tmp_path / "b", 30)
    with AnyReader([tmp_path / "b"]) as other:
        assert [(c.topic, stamp, bytes(raw)) for c, stamp, raw in other.messages()] == written
        people = next(c for c in other.connections if c.topic == "/people")
        assert (
            other.deserialize(next(d for t, _, d in written if t == "/people"), people.msgtype).people == []
        )
        latest = get_typestore(Stores.LATEST)
        scan = next(c for c in other.connections if c.topic == "/scan")
        assert scan.digest in ("", latest.hash_rihs01("sensor_msgs/msg/LaserScan"))
    with (tmp_path / "b" / "b_0.mcap").open("rb") as file:
        reader = make_reader(file, validate_crcs=True, decoder_factories=[DecoderFactory()])
        decoded = [(channel.topic, m.log_time, ros) for _, channel, m, ros in reader.iter_decoded_messages()]
        assert [d[:2] for d in decoded] == [w[:2] for w in written]
        assert decoded[0][2].header.frame_id in ("laser", "odom")
    latched = TopicQos(reliable=False, transient_local=True, depth=7)
    with BagWriter(tmp_path / "c", WriterConfig(min_free_bytes=0)) as writer:
        writer.add_topic("/s", "std_msgs/msg/String", qos=latched)
        writer.write("/s", 1, b"\x00\x01\x00\x00\x01\x00\x00\x00\x00")
    with open_bag(tmp_path / "c") as bag:
        assert bag.topics["/s"].qos == latched
        assert bag.topics["/s"].type_hash == latest.hash_rihs01("std_msgs/msg/String")


@pytest.mark.data
def test_real_qos(data_folder):
    with open_bag(data_folder / "robot_bags" / "olin_rosbag2" / "bags" / "macfirst_floor_take_2") as bag:
        assert bag.topics["/tf_static"].qos.transient_local
        assert not bag.topics["/odom"].qos.reliable
        assert bag.topics["/scan"].qos.reliable
