"""Crash-safe files: whole old or whole new, damage is found, pickle is refused."""

import contextlib
import os
import pickle
import random
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from lifelong_nav.core import generations as gen
from lifelong_nav.core.checkpoints import load_checkpoint, save_checkpoint
from lifelong_nav.core.errors import CheckpointError, InputError, StorageError
from lifelong_nav.core.grid import FREE, OCCUPIED, UNKNOWN, OccupancyGrid, load_map, save_map
from lifelong_nav.core.storage import (
    atomic_write,
    atomic_write_json,
    exclusive_lock,
    read_json,
    remove_stale_staging,
    staged_folder,
)

WRITER = """
import sys
from pathlib import Path
from lifelong_nav.core.storage import atomic_write
from lifelong_nav.core import generations as gen
root = Path(sys.argv[1])
n = 0
while True:
    n += 1
    body = (f"{n:08d}" * 20000).encode()
    atomic_write(root / "state", body)
    g = gen.write_generation(root / "models", lambda f: (f / "w").write_bytes(body), {"n": n})
    gen.promote(root / "models", g.number)
    gen.prune(root / "models", 3)
    print(n, flush=True)
"""


def test_kill_at_any_instant_leaves_whole_files(tmp_path):
    """kill -9 at random instants: the state file and the newest generation are whole every time."""
    rng = random.Random(0)
    last = 0
    for _ in range(12):
        child = subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE)
        child.stdout.readline()  # at least one round is through
        time.sleep(rng.uniform(0.0, 0.06))
        child.send_signal(signal.SIGKILL)
        child.wait()
        child.stdout.close()
        body = (tmp_path / "state").read_bytes()
        assert len(body) == 160000
        assert body == body[:8] * 20000
        value, _ = gen.load_newest(tmp_path / "models", lambda g: ((g.folder / "w").read_bytes(), g.number))
        assert value[0] == value[0][:8] * 20000
        assert value[1] > last
        last = value[1]
    assert remove_stale_staging(tmp_path / "models", 0.0) >= 0
    assert not list((tmp_path / "models").glob(".*.tmp"))


def test_a_failed_block_leaves_nothing(tmp_path):
    def half():
        with staged_folder(tmp_path / "g") as folder:
            (folder / "half").write_text("x")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        half()
    assert list(tmp_path.iterdir()) == []


def test_unwritable_places_are_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="Cannot write"):
        atomic_write(tmp_path / "file" / "below", b"x")
    with pytest.raises(ValueError, match="JSON"):
        atomic_write_json(tmp_path / "x.json", float("nan"))
    (tmp_path / "bad.json").write_text("{")
    with pytest.raises(StorageError, match="valid JSON"):
        read_json(tmp_path / "bad.json")


def test_a_full_disk_keeps_the_old_content(tmp_path, monkeypatch):
    path = tmp_path / "state"
    atomic_write(path, b"old")
    real = os.fsync

    def full(fd):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError, match="No space left"):
        atomic_write(path, b"new")
    monkeypatch.setattr(os, "fsync", real)
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["state"]


def test_a_second_writer_is_refused_with_the_holders_pid(tmp_path):
    path = tmp_path / "lock"
    with (
        exclusive_lock(path),
        pytest.raises(StorageError, match=str(os.getpid())),
        exclusive_lock(path),
    ):
        pass
    with exclusive_lock(path):
        pass


def make(root, count):
    for i in range(1, count + 1):
        gen.write_generation(root, lambda f, i=i: (f / "w").write_bytes(bytes([i]) * 1000), {"score": i})


def content(g):
    return (g.folder / "w").read_bytes()[0]


def test_generations_fall_back_and_roll_back(tmp_path):
    make(tmp_path, 3)
    assert gen.load_newest(tmp_path, content) == (3, [])
    gen.promote(tmp_path, 2)
    assert gen.load_newest(tmp_path, content) == (2, [])
    gen.promote(tmp_path, 3)
    (tmp_path / "000003" / "w").write_bytes(b"\x03" * 999)
    value, skipped = gen.load_newest(tmp_path, content)
    assert value == 2
    assert "generation 3" in skipped[0]
    with pytest.raises(StorageError, match="sha256"):
        gen.promote(tmp_path, 3)
    (tmp_path / "000002" / gen.MANIFEST).write_text('{"schema": 1}')
    (tmp_path / "000001" / gen.MANIFEST).unlink()
    with pytest.raises(StorageError, match="No usable generation"):
        gen.load_newest(tmp_path, content)


def test_a_manifest_cannot_name_files_outside(tmp_path):
    make(tmp_path, 1)
    manifest = tmp_path / "000001" / gen.MANIFEST
    data = read_json(manifest)
    data["files"] = {"../../etc/passwd": "0"}
    atomic_write_json(manifest, data)
    with pytest.raises(StorageError, match="outside"):
        gen.verify(tmp_path / "000001")


def test_prune_never_deletes_what_is_in_use(tmp_path):
    make(tmp_path, 6)
    gen.promote(tmp_path, 2)
    assert gen.prune(tmp_path, 1) == 1
    assert gen.load_newest(tmp_path, content)[0] == 2


def test_checkpoints_round_trip_and_refuse_damage(tmp_path):
    path = tmp_path / "m.safetensors"
    tensors = {"w": np.arange(6, dtype=np.float32).reshape(2, 3), "n": np.array([3], dtype=np.int64)}
    save_checkpoint(path, tensors, {"schema": 1})
    loaded, facts = load_checkpoint(path)
    np.testing.assert_array_equal(loaded["w"], tensors["w"])
    assert facts == {"schema": 1}
    with pytest.raises(CheckpointError, match="non-finite"):
        save_checkpoint(path, {"w": np.array([np.nan])}, {})
    whole = path.read_bytes()
    rng = random.Random(1)
    for _ in range(300):
        damaged = bytearray(whole)
        damaged[rng.randrange(len(damaged))] ^= 1 << rng.randrange(8)
        path.write_bytes(damaged)
        with contextlib.suppress(CheckpointError):
            load_checkpoint(path)  # a flipped weight bit is for the manifest's sha256 to find
    for cut in range(0, len(whole) - 1, 7):
        path.write_bytes(whole[:cut])
        with pytest.raises(CheckpointError):
            load_checkpoint(path)


def test_pickles_are_refused_before_they_run(tmp_path):
    path = tmp_path / "evil.safetensors"

    class Evil:
        def __reduce__(self):
            return os.system, (f"touch {tmp_path / 'ran'}",)

    for protocol in range(2, 6):
        path.write_bytes(pickle.dumps(Evil(), protocol))
        with pytest.raises(CheckpointError, match="run code"):
            load_checkpoint(path)
    np.savez(tmp_path / "x.npz", a=np.zeros(2))
    (tmp_path / "x.npz").rename(path)
    with pytest.raises(CheckpointError, match="run code"):
        load_checkpoint(path)
    assert not (tmp_path / "ran").exists()


def test_maps_round_trip_through_map_server_files(tmp_path):
    data = np.random.default_rng(0).choice([FREE, OCCUPIED, UNKNOWN], (20, 30)).astype(np.int8)
    grid = OccupancyGrid(data, 0.05, (-1.0, 2.0))
    save_map(tmp_path / "m.yaml", grid)
    back = load_map(tmp_path / "m.yaml")
    np.testing.assert_array_equal(back.data, data)
    assert (back.resolution, back.origin) == (0.05, (-1.0, 2.0))
    cells = np.array([[0, 0], [19, 29]])
    np.testing.assert_array_equal(grid.to_cells(grid.to_points(cells)), cells)
    assert list(grid.inside(np.array([[0, 0], [20, 0], [0, -1]]))) == [True, False, False]
    (tmp_path / "bad.yaml").write_text("image: m.pgm\nresolution: 0\norigin: [0, 0, 0]\n")
    with pytest.raises(InputError, match="resolution"):
        load_map(tmp_path / "bad.yaml")
    (tmp_path / "bad.yaml").write_text("image: gone.pgm\nresolution: 0.05\norigin: [0, 0, 0]\n")
    with pytest.raises(InputError, match="gone"):
        load_map(tmp_path / "bad.yaml")


def test_a_real_map_loads(data_folder):
    grid = load_map(data_folder / "robot_bags/olin_rosbag2/maps/mac_1st_floor_final.yaml")
    assert (grid.data == OCCUPIED).sum() > 1000
    assert (grid.data == FREE).sum() > 10000


@pytest.mark.parametrize("padding", range(0, 260, 4))
def test_no_length_of_the_header_is_taken_for_a_pickle(tmp_path, padding):
    path = tmp_path / "w.safetensors"
    save_checkpoint(path, {"x" * (padding + 1): np.ones(2, dtype=np.float32)}, {"a": 1})
    tensors, _ = load_checkpoint(path)
    assert list(tensors) == ["x" * (padding + 1)]
