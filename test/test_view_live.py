"""The live view: what is logged, on which addresses it listens, and that a real browser draws it."""

import os
import re
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import numpy as np
import pytest
from browser_support import browser, count, wait_for

from lifelong_nav.core.errors import InputError
from lifelong_nav.core.grid import FREE, OCCUPIED, UNKNOWN, OccupancyGrid
from lifelong_nav.core.types import Image, LaserScan, People, Pose2, TrackedPerson, Twist2
from lifelong_nav.viz import colours
from lifelong_nav.viz.pictures import jpeg, shrink

pytest.importorskip("rerun", reason="needs rerun-sdk (pip install 'lifelong_nav[viz]')")

from lifelong_nav.viz.choice_text import choice_text
from lifelong_nav.viz.live import LiveConfig, LiveView

ROOT = Path(__file__).resolve().parent.parent


def a_map():
    cells = np.full((140, 180), UNKNOWN, np.int8)
    cells[10:130, 10:170] = FREE
    cells[10:130, [10, 11, 168, 169]] = OCCUPIED
    cells[[10, 11, 128, 129], 10:170] = OCCUPIED
    return OccupancyGrid(cells, 0.05, (-0.5, -0.5))


def draw_everything(view, t):
    pose = Pose2(2.0, 2.0, 0.3)
    view.log_frame(t, Pose2())
    view.log_robot_pose(t, pose)
    ranges = np.full(360, 1.5, np.float32)
    ranges[:30] = np.inf
    view.log_scan(LaserScan(t, "laser", -np.pi, 2 * np.pi / 360, 0.05, 10.0, ranges), pose)
    people = [
        TrackedPerson(1, 5.0, 4.5, 0.6, 0.0, group_id=0),
        TrackedPerson(2, 5.6, 4.0, 0.6, 0.0, group_id=0),
        TrackedPerson(3, 6.5, 1.5, group_id=-1, confidence=0.5),
    ]
    view.log_people(People(t, "odom", tuple(people)))
    view.log_people(People(t, "map", (TrackedPerson(1, 5.0, 4.6),)), true=True)
    view.log_people_prediction(t, np.linspace((5.0, 4.5), (6.2, 4.5), 8)[None])
    view.log_goal(t, Pose2(7.0, 3.0, 0.0))
    view.log_plan(t, np.linspace((2.0, 2.0, 0.0), (7.0, 3.0, 0.0), 30))
    view.log_predicted(t, np.linspace((2.0, 2.0), (3.2, 1.6), 20))
    ways = np.linspace((2.0, 2.0), (3.2, 1.6), 30)[None] + np.array([[[0.0, 0.0]], [[0.0, 0.5]]])
    text = choice_text(["yield", "go"], ["classical", "search"], np.array([1.0, 2.0]),
                       {"progress": np.array([1.0, 0.1])}, 0, "somebody is in the doorway")  # fmt: skip
    assert "somebody is in the doorway" in text
    assert "| progress | 1.00 | 0.10 |" in text
    view.log_choice(t, ways, 0, text)
    view.log_image(Image(t, "camera_optical", "rgb8", np.full((120, 160, 3), (10, 90, 60), np.uint8)))
    view.log_command(t, Twist2(0.8, 0.0, 0.4), Twist2(0.5, 0.0, 0.4))
    view.log_gate(t, 1, "person", "slowed for person 1")
    view.log_contact(t, 3.0, 5.0, "table")


def contents(path):
    """What a recording or layout file holds, by Rerun's own reader: (entity, column) -> list of rows."""
    from rerun.chunk import RrdReader

    reader = RrdReader(path)
    out = {}
    for store in reader.recordings() or reader.blueprints():
        for chunk in reader.stream(store=store):
            batch = chunk.to_record_batch()
            for name in batch.schema.names:
                column = batch.column(name)
                column = column.cast("int64") if str(column.type).startswith("timestamp") else column
                out.setdefault((chunk.entity_path, name), []).extend(column.to_pylist())
    return out


def test_everything_reaches_the_recording(tmp_path):
    view = LiveView(file=tmp_path / "run.rrd")
    view.log_map(0.0, a_map())
    view.log_costmap(0.0, a_map())
    for t in (0.1, 0.2, 0.3):
        draw_everything(view, t)
    view.close()
    held = contents(tmp_path / "run.rrd")
    assert {path for path, _ in held} >= {
        "/map/floor", "/map/costmap", "/map/odom", "/map/odom/robot", "/map/odom/scan", "/map/odom/people",
        "/map/odom/people/velocity", "/map/odom/people/groups", "/map/true_people",
        "/map/odom/people_prediction", "/map/goal", "/map/plan", "/map/odom/predicted_path",
        "/camera", "/command/speed", "/command/turn", "/choice", "/map/odom/candidates",
        "/map/odom/trajectory",
        "/gate/state", "/gate/log", "/map/contact", "/events",
    }  # fmt: skip
    assert held["/map/odom/people/names", "Points3D:labels"] == [["1 · g0", "2 · g0", "3"]] * 3
    centres = np.array(held["/map/odom/people", "Ellipsoids3D:centers"])
    np.testing.assert_allclose(centres[0, :, :2], [(5.0, 4.5), (5.6, 4.0), (6.5, 1.5)], rtol=1e-6)
    assert len(held["/map/odom/people/velocity", "LineStrips3D:strips"][0]) == 2, "who stands has no arrow"
    scan = np.array(held["/map/odom/scan", "Points3D:positions"][-1])
    assert len(scan) == 330
    np.testing.assert_allclose(np.hypot(*(scan[:, :2] - (2.0, 2.0)).T), 1.5, atol=1e-5)
    assert held["/command/speed", "Scalars:scalars"] == [[0.8, 0.5]] * 3
    told = held["/gate/log", "TextLog:text"]
    assert told == [["limited: slowed for person 1"]], "the verdict is logged only when it changes"
    times = [t.total_seconds() for t in held["/map/odom/scan", "ros_time"]]
    np.testing.assert_allclose(times, [0.1, 0.2, 0.3])


def test_routine_of_the_gate_stays_out_of_the_log(tmp_path):
    view = LiveView(file=tmp_path / "run.rrd")
    for t in range(20):
        view.log_gate(0.1 * t, t % 2, ("pass", "acceleration")[t % 2], "")
    view.log_gate(2.0, 2, "obstacle", "obstacle 0.2 m ahead")
    view.log_gate(2.1, 1, "speed_limit", "above the limit")
    view.log_gate(2.2, 0, "pass", "")
    view.close()
    held = contents(tmp_path / "run.rrd")
    told = [row[0] for row in held["/gate/log", "TextLog:text"]]
    assert told == ["pass: pass", "stopped: obstacle 0.2 m ahead", "trimmed: above the limit"]
    assert held["/gate/state", "StateChange:state"][-3:] == [["stopped"], ["trimmed"], ["pass"]]


def test_maps_and_goals_are_drawn_again_for_late_browsers(tmp_path):
    view = LiveView(LiveConfig(repeat=5.0), file=tmp_path / "run.rrd")
    drawn = []
    log = view._record.log
    view._record.log = lambda path, *a, **k: (drawn.append(path), log(path, *a, **k))
    view.log_map(0.0, a_map())
    view.log_goal(0.0, Pose2(1, 1, 0))
    for t in np.arange(0.1, 20.0, 0.1):
        view.log_command(float(t), Twist2(), Twist2())
    assert drawn.count("map/floor") == drawn.count("map/goal") == 4
    view.restart_time()
    view.log_command(0.0, Twist2(), Twist2())
    assert drawn.count("map/floor") == 5
    view.close()


def test_shrunk_maps_keep_walls_and_place():
    cells = np.zeros((101, 203), np.int8)
    cells[50, :] = OCCUPIED
    small = shrink(OccupancyGrid(cells, 0.05, (1.0, 2.0)), 60)
    assert max(small.shape) <= 60
    wall = small.to_cells(np.array([[1.0 + 0.05 * 100.5, 2.0 + 0.05 * 50.5]]))[0]
    assert small.data[tuple(wall)] == OCCUPIED
    assert (small.data == OCCUPIED).any(axis=1).sum() == 1


@pytest.mark.parametrize(
    "data",
    [
        np.zeros((48, 64, 3), np.uint8), np.zeros((480, 640), np.uint8),
        np.full((48, 64), np.nan, np.float32), np.full((48, 64), np.inf, np.float32),
    ],
)  # fmt: skip
def test_pictures_of_every_kind_become_small_jpegs(data):
    import cv2

    picture = cv2.imdecode(np.frombuffer(jpeg(data, 160, 75), np.uint8), cv2.IMREAD_COLOR)
    assert picture.shape[1] == min(data.shape[1], 160)
    assert picture.max() < 40


def test_colours_tell_groups_apart_and_doubt_pales():
    rgba = colours.person_colours(np.array([-1, 0, 1, 0]), np.array([1.0, 1.0, 1.0, 0.0]))
    assert tuple(rgba[0, :3]) == colours.ALONE
    assert tuple(rgba[1, :3]) == colours.GROUPS[0]
    assert tuple(rgba[2, :3]) == colours.GROUPS[1]
    assert (rgba[3, :3] >= rgba[1, :3]).all()
    assert colours.person_colours(np.zeros(0, int), np.zeros(0)).shape == (0, 4)


@pytest.fixture(scope="module")
def served():
    view = LiveView(LiveConfig(port=0, data_port=0, memory=16))
    yield view
    view.close()


def listening(port):
    """Local addresses (hex) on which something listens at a port, from the kernel's table."""
    out = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in Path(table).read_text().splitlines()[1:]:
            local, state = line.split()[1], line.split()[3]
            if state == "0A" and int(local.split(":")[1], 16) == port:
                out.add(local.split(":")[0])
    return out


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_only_this_machine_can_connect(served):
    assert served.server.local_only
    for port in (served.server.web_port, served.server.data_port):
        assert listening(port) == {"0100007F"}


def test_page_needs_nothing_from_elsewhere(served):
    with urlopen(served.url, timeout=5) as answer:
        assert answer.url == served.server.page_url, "the bare address leads to the running stream"
        rules = dict(r.strip().split(" ", 1) for r in answer.headers["Content-Security-Policy"].split(";"))
        page = answer.read().decode()
    data = f"http://127.0.0.1:{served.server.data_port}"
    assert set(rules["connect-src"].split()) == {"'self'", "data:", "blob:", data}
    assert "http" not in rules["default-src"] + rules["script-src"] + rules["style-src"]
    loaded = re.findall(r'(?:<link[^>]*href|<script[^>]*src)="([^"]+)"', page)
    loaded.append("re_viewer_bg.wasm")
    assert "re_viewer.js" in str(loaded)
    for name in loaded:
        assert not name.startswith(("http:", "https:", "//")), name
        assert urlopen(served.url + name.removeprefix("./"), timeout=20).read(4)


@pytest.mark.parametrize("path", ["..%2f..%2fetc/passwd", "a/b", "//evil.org/", "nothing.js"])
def test_page_serves_only_its_own_files(served, path):
    with pytest.raises(HTTPError, match="404"):
        urlopen(served.url + path, timeout=5)


def test_bad_addresses_and_taken_ports_are_explained(served):
    with pytest.raises(InputError, match="not an IP address"):
        LiveView(LiveConfig(bind="robot.local"))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(InputError, match=f"Port {taken.getsockname()[1]} "):
            LiveView(LiveConfig(port=taken.getsockname()[1], data_port=0))


def test_server_ends_with_its_owner():
    code = (
        "from lifelong_nav.viz.live import LiveView, LiveConfig; import os\n"
        "v = LiveView(LiveConfig(port=0, data_port=0)); print(v.server.pid, flush=True); os._exit(9)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 9
    pid = int(done.stdout)
    for _ in range(100):
        status = Path(f"/proc/{pid}/status")
        if not status.exists() or "State:\tZ" in status.read_text():
            return
        time.sleep(0.05)
    raise AssertionError("the viewer outlived its owner")


def test_a_browser_draws_the_scene(served, tmp_path):
    served.log_map(0.0, a_map())
    for t in np.arange(0.1, 1.0, 0.1):
        draw_everything(served, float(t))
    expected = {
        "walls": ((45, 45, 45), 1500),
        "plan": (colours.PLAN, 200),
        "predicted path": (colours.PREDICTED, 80),
        "robot": (colours.ROBOT, 60),
        "group of people": (colours.GROUPS[0], 200),
        "scan": (colours.SCAN, 40),
        "camera": ((10, 90, 60), 3000),
        "contact": (colours.CONTACT, 40),
    }

    def found(picture):
        return {name: count(picture, colour) for name, (colour, _) in expected.items()}

    def complete(picture):
        seen = found(picture)
        return all(seen[name] >= least for name, (_, least) in expected.items())

    with browser(tmp_path) as session:
        session.get(served.url)
        picture = wait_for(session, complete, timeout=90.0)
        assert session.title == "lifelong_nav live"
        severe = [e["message"] for e in session.get_log("browser") if e["level"] == "SEVERE"]
    if os.environ.get("LIFELONG_NAV_KEEP"):
        from PIL import Image as Picture

        Picture.fromarray(picture).save(Path(os.environ["LIFELONG_NAV_KEEP"]) / "live.png")
    # the viewer tries to report its use; the page's policy must have stopped every attempt to reach out
    assert not [m for m in severe if "net::" in m], severe
    seen = found(picture)
    for name, (_, least) in expected.items():
        assert seen[name] >= least, f"{name}: {seen[name]} of {least} pixels; all: {seen}"


def test_shipped_layout_is_the_one_in_code(tmp_path):
    from lifelong_nav.viz.layout import save_layout

    save_layout(tmp_path / "now.rbl")

    def views(path):
        named = {k: rows for k, rows in contents(path).items() if k[1].endswith("display_name")}
        return {str(row) for rows in named.values() for row in rows}

    assert views(tmp_path / "now.rbl") == views(ROOT / "config" / "rerun" / "lifelong_nav.rbl")
    assert len(views(tmp_path / "now.rbl")) == 8
