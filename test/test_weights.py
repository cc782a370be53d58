"""Fetching weights from servers that misbehave in every way we could think of."""

from __future__ import annotations

import hashlib
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from lifelong_nav import weights
from lifelong_nav.core.errors import ConfigError, StorageError
from lifelong_nav.core.storage import exclusive_lock
from lifelong_nav.perception import detector_files
from lifelong_nav.perception.detector_files import DetectorFile, find_detector, published_as
from lifelong_nav.weights import WeightsError, fetch

CONTENT = bytes(range(256)) * 800


def entry(*urls, content=CONTENT, name="toy"):
    digest = hashlib.sha256(content).hexdigest()
    return DetectorFile(name, f"{name}.onnx", urls, digest, len(content), "MIT", "made up")


class Server:
    """Answers each request with the next of `behaviours`, the last one for good."""

    def __init__(self):
        self.behaviours, self.ranges = ["good"], []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                how = outer.behaviours.pop(0) if len(outer.behaviours) > 1 else outer.behaviours[0]
                asked = self.headers.get("Range")
                outer.ranges.append(asked)
                start = int(asked.removeprefix("bytes=").rstrip("-")) if asked and how != "deaf" else 0
                getattr(self, how)(start)

            def head(self, status, length, start=0):
                self.send_response(status)
                if length is not None:
                    self.send_header("Content-Length", str(length))
                if status == 206:
                    last = len(CONTENT) - 1
                    self.send_header("Content-Range", f"bytes {start}-{last}/{len(CONTENT)}")
                self.end_headers()

            def good(self, start):
                self.head(206 if start else 200, len(CONTENT) - start, start)
                self.wfile.write(CONTENT[start:])

            deaf = good  # does not know ranges

            def other(self, start):
                self.head(200, 9)
                self.wfile.write(b"not these")

            def page(self, start):  # the log-in page of an airport
                self.head(200, None)
                self.wfile.write(b"<html>Accept our terms</html>")

            def cut(self, start):
                self.head(206 if start else 200, len(CONTENT) - start, start)
                self.wfile.write(CONTENT[start : start + 60_000])
                self.close_connection = True

            def missing(self, start):
                self.send_error(404)

            def broken(self, start):
                self.send_error(503)

            def refuses_range(self, start):
                if start:
                    self.send_error(416)
                else:
                    self.good(0)

            def slow(self, start):
                self.head(200, len(CONTENT))
                try:
                    for k in range(0, len(CONTENT), 100):
                        self.wfile.write(CONTENT[k : k + 100])
                        time.sleep(0.02)
                except OSError:
                    pass

            def silent(self, start):
                time.sleep(1.5)

            def endless(self, start):
                self.head(200, None)
                try:
                    while True:
                        self.wfile.write(b"x" * 65536)
                except OSError:
                    pass

            def log_message(self, *_):
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.http.server_port}/toy.onnx"
        threading.Thread(target=self.http.serve_forever, args=(0.02,), daemon=True).start()


@pytest.fixture
def server():
    it = Server()
    yield it
    it.http.shutdown()
    it.http.server_close()


def left(folder):
    return sorted(p.name for p in folder.iterdir() if not p.name.endswith(".lock"))


def test_a_good_server(server, tmp_path):
    place = fetch(entry(server.url), tmp_path, pause=0.0)
    assert place.read_bytes() == CONTENT
    assert left(tmp_path) == ["toy.onnx"]


@pytest.mark.parametrize(
    ("behaviours", "requests"),
    [
        (["cut", "cut", "good"], 3),
        (["broken", "good"], 2),
        (["other", "good"], 2),  # a mirror that was being filled
        (["cut", "deaf"], 2),
        (["cut", "other", "good"], 3),
    ],
)
def test_servers_that_come_round(server, tmp_path, behaviours, requests):
    server.behaviours = list(behaviours)
    assert fetch(entry(server.url), tmp_path, pause=0.0).read_bytes() == CONTENT
    assert len(server.ranges) == requests
    assert left(tmp_path) == ["toy.onnx"]


def test_a_cut_download_goes_on_where_it_stopped(server, tmp_path):
    server.behaviours = ["cut", "good"]
    fetch(entry(server.url), tmp_path, pause=0.0)
    assert server.ranges[0] is None
    assert server.ranges[1] == "bytes=60000-"


def test_the_next_call_goes_on_too(server, tmp_path):
    (tmp_path / ".toy.onnx.part").write_bytes(CONTENT[:1000])
    assert fetch(entry(server.url), tmp_path).read_bytes() == CONTENT
    assert server.ranges == ["bytes=1000-"]


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ("other", "holds something else"),
        ("page", "holds something else"),
        ("endless", "holds something else"),
        ("missing", "answers 404"),
        ("broken", "answers 503"),
        ("cut", "cut off after|holds something else"),
    ],
)
def test_what_cannot_be_had_leaves_the_old_file_alone(server, tmp_path, how, reason):
    old = tmp_path / "toy.onnx"
    old.write_bytes(b"old")
    if how == "cut":  # cut before a single new byte
        server.http.RequestHandlerClass.cut = lambda self, start: self.head(
            206 if start else 200, len(CONTENT) - start, start
        )
    server.behaviours = [how]
    with pytest.raises(WeightsError, match=reason) as caught:
        fetch(entry(server.url), tmp_path, pause=0.0)
    assert "--from" in caught.value.fix
    assert old.read_bytes() == b"old"


@pytest.mark.parametrize("how", ["slow", "silent"])
def test_time_is_limited(server, tmp_path, how):
    server.behaviours = [how]
    started = time.monotonic()
    with pytest.raises(WeightsError, match=r"slow|timed out"):
        fetch(entry(server.url), tmp_path, timeout=0.4, pause=0.0)
    assert time.monotonic() - started < 5.0
    assert left(tmp_path) in ([], [".toy.onnx.part"])


def test_nobody_listens(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/toy.onnx"
        with pytest.raises(WeightsError, match="refused"):
            fetch(entry(url), tmp_path, pause=0.0)


def test_the_second_address_serves_where_the_first_does_not(server, tmp_path):
    server.behaviours = ["missing", "good"]
    assert fetch(entry(server.url, server.url), tmp_path, pause=0.0).is_file()


def test_from_a_mirror_or_a_folder(server, tmp_path):
    base = server.url.removesuffix("/toy.onnx")
    assert fetch(entry("http://nowhere.invalid/toy.onnx"), tmp_path / "a", base, pause=0.0).is_file()
    stick = tmp_path / "stick"
    stick.mkdir()
    (stick / "toy.onnx").write_bytes(CONTENT)
    for source in (stick, stick / "toy.onnx"):
        target = tmp_path / "to" / source.name
        place = fetch(entry(), target, str(source))
        assert place.read_bytes() == CONTENT
        assert place.stat().st_mode & 0o444 == 0o444
    (stick / "toy.onnx").write_bytes(CONTENT[:-1])
    with pytest.raises(WeightsError, match="not the published"):
        fetch(entry(), tmp_path / "b", str(stick))
    with pytest.raises(WeightsError, match=r"no toy\.onnx"):
        fetch(entry(), tmp_path / "b", str(tmp_path / "nowhere"))


def test_what_is_there_is_not_fetched_again(monkeypatch, tmp_path):
    toy = entry("http://nowhere.invalid/toy.onnx")
    monkeypatch.setattr(detector_files, "DETECTOR_FILES", (toy,))
    (tmp_path / "toy.onnx").write_bytes(CONTENT)
    assert fetch(toy, tmp_path) == tmp_path / "toy.onnx"


def test_one_at_a_time(server, tmp_path):
    with exclusive_lock(tmp_path / ".toy.onnx.lock"), pytest.raises(StorageError, match="held by"):
        fetch(entry(server.url), tmp_path)


def test_the_command(server, tmp_path, monkeypatch, capsys):
    toy = entry(server.url)
    monkeypatch.setattr(detector_files, "DETECTOR_FILES", (toy,))
    monkeypatch.setattr(weights, "DETECTOR_FILES", (toy,))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("LIFELONG_NAV_DATA", str(tmp_path / "none"))
    monkeypatch.delenv("LIFELONG_NAV_WEIGHTS", raising=False)
    assert find_detector() is None
    assert weights.main([]) == 0
    said = capsys.readouterr().out
    assert "MIT" in said
    assert "as published" in said
    place = tmp_path / "lifelong_nav" / "weights" / "toy.onnx"
    assert find_detector() == find_detector("toy") == place
    assert published_as(place) == toy
    assert weights.main(["--list"]) == 0
    assert str(place) in capsys.readouterr().out
    with pytest.raises(ConfigError, match="no weights called 'yolo99'"):
        weights.main(["yolo99"])


def test_where_weights_are_looked_for(monkeypatch, tmp_path):
    for variable in ("XDG_CACHE_HOME", "LIFELONG_NAV_DATA"):
        monkeypatch.setenv(variable, str(tmp_path / variable))
    cache = tmp_path / "XDG_CACHE_HOME/lifelong_nav/weights"
    data = tmp_path / "LIFELONG_NAV_DATA/detectors"
    mine = tmp_path / "mine"
    monkeypatch.delenv("LIFELONG_NAV_WEIGHTS", raising=False)
    assert find_detector() is None
    for folder in (data, cache, mine):  # each beats the ones before
        folder.mkdir(parents=True)
        (folder / "yolox_nano.onnx").touch()
        if folder == mine:
            monkeypatch.setenv("LIFELONG_NAV_WEIGHTS", str(mine))
        assert find_detector() == folder / "yolox_nano.onnx"
    (mine / "FastestDet.onnx").touch()
    assert find_detector("fastestdet") == mine / "FastestDet.onnx"
    assert find_detector(str(data / "yolox_nano.onnx")) == data / "yolox_nano.onnx"
    with pytest.raises(ConfigError, match="'yolox_huge'"):
        find_detector("yolox_huge")
    monkeypatch.setenv("LIFELONG_NAV_WEIGHTS", str(tmp_path / "gone"))
    with pytest.raises(ConfigError, match="does not exist"):
        find_detector()
