"""Cut, flipped, hostile and interrupted bags: what is whole is kept, memory and disk stay bounded."""

import io
import resource
import signal
import struct
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

import bag_files as make
import numpy as np
import pytest
import zstandard

from lifelong_nav.core.errors import BagError
from lifelong_nav.replay.limits import BagLimits
from lifelong_nav.replay.reader import open_bag
from lifelong_nav.replay.writer import BagWriter, WriterConfig


def check(path, whole):
    """Read a damaged bag: BagError or a subset of the whole messages, in order; how many, and lossy."""
    try:
        with open_bag(path) as bag:
            got = [(m.topic, m.stamp, m.data) for m in bag.messages()]
            lossy = bag.lossy
    except BagError:
        return [], True
    assert len(got) <= len(whole)
    return got, lossy


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A small MCAP bag of several chunks: bytes and messages."""
    folder = tmp_path_factory.mktemp("small")
    written = []
    with BagWriter(folder / "b", WriterConfig(flush_period=0.5, min_free_bytes=0)) as writer:
        for topic in ("/a", "/b"):
            writer.add_topic(topic, "std_msgs/msg/String")
        for i in range(24):
            data = struct.pack("<4BI16s", 0, 1, 0, 0, 16, f"message {i:06d}".encode() + b"\0\0")
            written.append(("/a" if i % 3 else "/b", 10**9 + i * 10**8, data))
            writer.write(*written[-1])
    return (folder / "b" / "b_0.mcap").read_bytes(), written


def test_mcap_cut_at_every_byte(tmp_path, small):
    data, written = small
    path = tmp_path / "cut.mcap"
    allowed = {(t, s): d for t, s, d in written}
    kept = []
    for length in range(len(data)):
        path.write_bytes(data[:length])
        got, lossy = check(path, written)
        assert all(allowed[t, s] == d for t, s, d in got), "only whole messages"
        assert lossy or len(got) == len(written), f"loss at {length} was not reported"
        kept.append(len(got))
    assert kept == sorted(kept), "a longer file never gives less"
    assert kept[len(data) // 2] > 0
    assert kept[-1] == len(written)


def test_mcap_with_flipped_bytes(tmp_path, small):
    data, written = small
    path = tmp_path / "flip.mcap"
    whole = {(t, s): d for t, s, d in written}
    rng = np.random.default_rng(0)
    wrong = 0
    for _ in range(1500):
        bad = bytearray(data)
        for at in rng.integers(len(data), size=rng.integers(1, 4)):
            bad[at] ^= 1 << rng.integers(8)
        path.write_bytes(bad)
        got, _ = check(path, written)
        wrong += any(whole.get((t, s)) != d for t, s, d in got)
    assert wrong == 0, "checksums guard what is yielded"


@pytest.mark.parametrize("compression", [None, "bz2", "lz4"])
def test_ros1_cut_and_flipped(tmp_path, compression):
    written = make.write1(tmp_path / "a.bag", 12, compression, chunk_threshold=2000)
    data = (tmp_path / "a.bag").read_bytes()
    path = tmp_path / "cut.bag"
    kept = []
    for length in range(0, len(data), 37):
        path.write_bytes(data[:length])
        got, lossy = check(path, written)
        kept.append(len(got))
        assert lossy or kept[-1] == len(written)
    assert kept == sorted(kept)
    assert kept[-1] == len(written)
    rng = np.random.default_rng(0)
    for _ in range(400):
        bad = bytearray(data)
        for at in rng.integers(len(data), size=2):
            bad[at] ^= 1 << rng.integers(8)
        path.write_bytes(bad)
        check(path, written)


def test_sqlite_cut_and_flipped(tmp_path):
    written = make.write2(tmp_path / "b", 60, "sqlite3")
    data = (tmp_path / "b" / "b.db3").read_bytes()
    path = tmp_path / "cut.db3"
    best = 0
    for length in range(0, len(data), 1021):
        path.write_bytes(data[:length])
        got, lossy = check(path, written)
        assert lossy
        best = max(best, len(got))
    assert best > len(written) // 2
    rng = np.random.default_rng(0)
    for _ in range(300):
        bad = bytearray(data)
        for at in rng.integers(len(data), size=3):
            bad[at] ^= 1 << rng.integers(8)
        path.write_bytes(bad)
        check(path, written)


def test_damage_is_named_and_decoding_it_is_an_error(tmp_path, small):
    data, _ = small
    path = tmp_path / "cut.mcap"
    path.write_bytes(data[: len(data) // 3])
    with open_bag(path) as bag:
        assert bag.lossy
        assert "cut off or corrupt at byte" in bag.notes[0]
        message = next(bag.messages(["/b"]))
        for data in (b"", b"\x00\x01\x00\x00", message.data[:20], b"\xff" * 64):
            with pytest.raises(BagError, match="cannot be decoded"):
                bag.decode(message._replace(data=data))


# ---- hostile files -------------------------------------------------------------------------------


def record(op, body):
    return struct.pack("<BQ", op, len(body)) + body


def text(value):
    return struct.pack("<I", len(value)) + value


HEAD = b"\x89MCAP0\r\n" + record(1, text(b"ros2") + text(b"x"))
SCHEMA = record(
    3, struct.pack("<H", 1) + text(b"std_msgs/msg/String") + text(b"ros2msg") + text(b"string data")
)
CHANNEL = record(4, struct.pack("<HH", 1, 1) + text(b"/s") + text(b"cdr") + struct.pack("<I", 0))


def message(stamp, data=b"\x00\x01\x00\x00\x01\x00\x00\x00\x00"):
    return record(5, struct.pack("<HIQQ", 1, 0, stamp, stamp) + data)


def chunk(content, declared=None, kind=b"", packed=None):
    body = struct.pack("<QQQI", 0, 0, len(content) if declared is None else declared, 0)
    packed = content if packed is None else packed
    return record(6, body + text(kind) + struct.pack("<Q", len(packed)) + packed)


END = record(15, struct.pack("<I", 0)) + record(2, bytes(20)) + b"\x89MCAP0\r\n"
GOOD = HEAD + SCHEMA + CHANNEL + message(1)


def zeros(mib, declared=True):
    """A zstd frame that unfolds to `mib` MiB of zeros."""
    out = io.BytesIO()
    compressor = zstandard.ZstdCompressor(level=3, write_content_size=declared)
    with compressor.stream_writer(out, size=mib << 20 if declared else -1, closefd=False) as stream:
        for _ in range(mib):
            stream.write(bytes(1 << 20))
    return out.getvalue()


def lz4_zeros(mib):
    import lz4.frame

    return lz4.frame.compress(bytes(mib << 20))


def hostile(folder: Path) -> dict[str, Path]:
    """Files that would take gigabytes from a trusting reader."""
    bomb = zeros(1500)
    out = {
        "declared 4 GiB record": GOOD + struct.pack("<BQ", 5, 4 << 30),
        "declared 2^63 record": GOOD + struct.pack("<BQ", 6, (1 << 63) - 1),
        "zstd chunk bomb": GOOD + chunk(b"", 1500 << 20, b"zstd", bomb) + END,
        "zstd chunk that understates": GOOD + chunk(b"", 1000, b"zstd", bomb) + END,
        "zstd chunk of unknown size": GOOD + chunk(b"", 1000, b"zstd", zeros(1500, declared=False)) + END,
        "zstd cut-off bomb": GOOD + chunk(b"", 60 << 20, b"zstd", bomb)[:-20],
        "lz4 chunk that understates": GOOD + chunk(b"", 1000, b"lz4", lz4_zeros(400)) + END,
        "many overlapping 60 MiB chunks": GOOD + 60 * chunk(b"", 60 << 20, b"zstd", zeros(60)) + END,
        "message bomb": HEAD + SCHEMA + CHANNEL + message(1) + message(2, bomb) + END,
        "definition bomb": GOOD
        + b"".join(
            record(3, struct.pack("<H", i) + text(b"a/b") + text(b"ros2msg") + text(b"x" * (4 << 20)))
            for i in range(2, 12)
        )
        + END,
    }
    for name, data in out.items():
        (folder / f"{name}.mcap").write_bytes(data)
    with zipfile.ZipFile(folder / "zip bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.mcap", bytes(300 << 20))
    (folder / "file bomb.mcap.zstd").write_bytes(bomb)
    return {path.name: path for path in folder.iterdir()}


READ = """
import resource, sys
from lifelong_nav.core.errors import BagError
from lifelong_nav.replay.reader import open_bag
for path in sys.argv[1:]:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    try:
        with open_bag(path) as bag:
            n = sum(1 for _ in bag.messages())
            word = f"{n} {bag.lossy} {' '.join(bag.notes)}"
    except BagError as error:
        word = f"error {error}"
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print((after - before) // 1024, word.replace(chr(10), " "), sep=chr(9))
"""


def test_hostile_files_stay_within_memory(tmp_path):
    files = hostile(tmp_path)
    base = BagLimits()
    cap = (base.max_record_bytes * 3) >> 20
    done = subprocess.run(
        [sys.executable, "-c", READ, *map(str, files.values())], capture_output=True, text=True, timeout=120,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30)), check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    answers = dict(zip(files, done.stdout.splitlines(), strict=True))
    for name, answer in answers.items():
        grown, word = answer.split("\t")
        assert int(grown) < cap, f"{name} took {grown} MiB: {word}"
        if name.endswith(".mcap"):
            assert word.startswith("1 True"), f"{name}: the good message is kept, the loss told: {word}"
        else:
            assert "bomb" in word, f"{name}: {word}"


def test_zip_paths_cannot_leave_the_folder(tmp_path):
    make.write2(tmp_path / "b", 2)
    data = (tmp_path / "b" / "b.mcap").read_bytes()
    inside = tmp_path / "in"
    inside.mkdir()
    for name in ("../../evil.mcap", "/evil.mcap", "x/../../evil.mcap"):
        with zipfile.ZipFile(inside / "z.zip", "w") as archive:
            archive.writestr(name, data)
        with open_bag(inside / "z.zip") as bag:
            assert bag.message_count > 0
            assert Path(tempfile.gettempdir()) in bag._files[0].path.parents
        assert not list(tmp_path.rglob("evil.mcap"))
    with zipfile.ZipFile(inside / "link.zip", "w") as archive:
        link = zipfile.ZipInfo("a.mcap")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
    with pytest.raises(BagError, match="holds no bag"):
        open_bag(inside / "link.zip")


def test_index_that_names_a_chunk_twice_gives_no_message_twice(tmp_path, small):
    data, written = small
    begin = struct.unpack_from("<Q", data, len(data) - 28)[0]
    at, index = begin, b""
    while data[at] != 2:
        length = 9 + struct.unpack_from("<Q", data, at + 1)[0]
        index = data[at : at + length] if data[at] == 8 else index
        at += length
    twice = data[:begin] + index + data[begin:-37]
    footer = record(2, struct.pack("<QQI", begin, 0, 0)) + b"\x89MCAP0\r\n"
    (tmp_path / "t.mcap").write_bytes(twice + footer)
    got, _ = check(tmp_path / "t.mcap", written)
    assert got == written


# ---- interrupted recordings ----------------------------------------------------------------------

RECORD = """
import sys, time
from lifelong_nav.replay.writer import BagWriter, WriterConfig
writer = BagWriter(sys.argv[1], WriterConfig(min_free_bytes=0, flush_period=0.1))
writer.add_topic("/s", "std_msgs/msg/String")
body = bytes(range(200))
for i in range(10**9):
    writer.write("/s", i * 10_000_000, b"\\x00\\x01\\x00\\x00\\xc8\\x00\\x00\\x00" + body)
    if i % 100 == 0:
        print(i, flush=True)
"""


def test_killed_recording_keeps_all_but_the_last_moment(tmp_path):
    child = subprocess.Popen(
        [sys.executable, "-c", RECORD, str(tmp_path / "b")], stdout=subprocess.PIPE, text=True
    )
    said = 0
    while said < 3000:
        said = int(child.stdout.readline())
    child.send_signal(signal.SIGKILL)
    said = max([said, *(int(line) for line in child.stdout.read().split())])
    child.wait()
    assert not (tmp_path / "b" / "metadata.yaml").exists()
    with open_bag(tmp_path / "b") as bag:
        stamps = [m.stamp for m in bag.messages()]
        assert stamps == [i * 10_000_000 for i in range(len(stamps))]
        assert len(stamps) > said - 20, "at most a tenth of a second is lost"
        assert bag.lossy


def test_full_disk_ends_the_recording_and_keeps_it(tmp_path):
    script = """
import os, resource, signal, sys
from lifelong_nav.core.errors import BagError
from lifelong_nav.replay.writer import BagWriter, WriterConfig
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
writer = BagWriter(sys.argv[1], WriterConfig(min_free_bytes=0, flush_period=0.1))
writer.add_topic("/s", "std_msgs/msg/String")
try:
    for i in range(10_000):
        writer.write("/s", i * 10_000_000, b"\\x00\\x01\\x00\\x00\\xc8\\x00\\x00\\x00" + os.urandom(200))
    sys.exit("no error")
except BagError as error:
    print(i, error)
try:
    writer.write("/s", 0, b"")
except BagError as error:
    print(error)
writer.close()
"""
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "b")], capture_output=True, text=True, check=True
    )
    first, second = done.stdout.splitlines()
    assert "Free disk space" in first
    assert "has stopped" in second
    with open_bag(tmp_path / "b") as bag:
        count = sum(1 for _ in bag.messages())
        assert int(first.split()[0]) - 20 <= count <= int(first.split()[0])
        assert bag.lossy


def test_disk_reserve_closes_the_bag_in_order(tmp_path):
    writer = BagWriter(tmp_path / "b", WriterConfig(min_free_bytes=1 << 40))
    writer.add_topic("/s", "std_msgs/msg/String")
    with pytest.raises(BagError, match="are reserved"):
        writer.write("/s", 10**9, b"\x00\x01\x00\x00\x01\x00\x00\x00\x00")
    writer.close()
    with open_bag(tmp_path / "b") as bag:
        assert bag.message_count == 1
        assert not bag.lossy


def test_time_limit_of_a_hostile_walk(tmp_path):
    """A file of nothing but empty chunks is walked in linear time."""
    (tmp_path / "a.mcap").write_bytes(GOOD + 20_000 * chunk(b"") + END)
    start = time.process_time()
    with open_bag(tmp_path / "a.mcap") as bag:
        assert bag.message_count == 1
    assert time.process_time() - start < 10


def test_garbage_behind_every_magic(tmp_path):
    """Nothing but BagError comes out of any opener."""
    rng = np.random.default_rng(3)
    magics = {
        ".mcap": b"\x89MCAP0\r\n",
        ".bag": b"#ROSBAG V2.0\n",
        ".db3": b"SQLite format 3\0\x10\0",
        ".zip": b"PK\x03\x04",
    }
    magics[".mcap.zstd"] = b"\x28\xb5\x2f\xfd"
    for suffix, magic in magics.items():
        for size in (0, 1, 7, 60, 500, 5000):
            for high in (3, 256):  # small numbers look like plausible lengths and opcodes
                path = tmp_path / f"x{suffix}"
                path.write_bytes(magic + rng.integers(0, high, size, dtype=np.uint8).tobytes())
                got, lossy = check(path, [])
                assert got == []
                assert lossy or suffix == ".bag"


def test_metadata_bomb(tmp_path):
    make.write2(tmp_path / "b", 5)
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 12)]
    lines += ["rosbag2_bagfile_information:", "  version: 9", "  ros_distro: *a11"]
    lines += ["  relative_file_paths: [*a11, /etc/passwd, ../../b.mcap]"]
    (tmp_path / "b" / "metadata.yaml").write_text("\n".join(lines))
    with open_bag(tmp_path / "b") as bag:
        assert bag.verify() is False, "a listed file is missing"
        assert bag.message_count == 16


def test_records_over_the_limit_are_left_out(tmp_path):
    """One message too large for the caps costs that message only."""
    limits = BagLimits(max_record_bytes=64 << 10)
    from rosbags.rosbag1 import Writer as Writer1
    from rosbags.rosbag2 import StoragePlugin, Writer
    from rosbags.typesys import Stores, get_typestore

    body = b"\x00\x01\x00\x00\x01\x00\x00\x00\x00"
    with Writer(tmp_path / "s", version=9, storage_plugin=StoragePlugin.SQLITE3) as writer:
        topic = writer.add_connection("/s", "std_msgs/msg/String", typestore=make.store2())
        for i in range(9):
            writer.write(topic, i, body if i != 4 else bytes(3 << 20))
    with open_bag(tmp_path / "s", limits) as bag:
        assert [m.stamp for m in bag.messages()] == [0, 1, 2, 3, 5, 6, 7, 8]
        assert bag.lossy
    noetic = get_typestore(Stores.ROS1_NOETIC)
    with Writer1(tmp_path / "a.bag") as old:
        old.chunk_threshold = 1000
        topic = old.add_connection("/s", "std_msgs/msg/String", typestore=noetic)
        for i in range(9):
            old.write(topic, i, bytes(900) if i != 4 else bytes(3 << 20))
    with open_bag(tmp_path / "a.bag", limits) as bag:
        stamps = [m.stamp for m in bag.messages()]
        assert 4 not in stamps
        assert len(stamps) >= 6
        assert bag.lossy
        assert "max_record_bytes" in bag.notes[0]
