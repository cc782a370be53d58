"""The view node among real publishers, its markers, and the layouts for RViz and Foxglove."""

import json
from pathlib import Path

import numpy as np
import pytest
import yaml
from geometry_msgs.msg import Point
from lifelong_nav_interfaces.msg import Contact, GateState
from rclpy.parameter import Parameter
from ros_support import Bench

from lifelong_nav.core.grid import OccupancyGrid
from lifelong_nav.core.types import (
    Image,
    LaserScan,
    Odometry,
    People,
    PeopleForecast,
    Pose2,
    TrackedPerson,
    Trajectory,
    Twist2,
)
from lifelong_nav.nodes import convert, convert_trajectory
from lifelong_nav.nodes.qos import PROFILES
from lifelong_nav.nodes.topics import FRAMES, TOPICS
from lifelong_nav.nodes.view import ViewNode
from lifelong_nav.trajectory.situation import CLASSICAL, TIMES, Candidate, Choice
from lifelong_nav.viz.markers import people_shapes

pytestmark = pytest.mark.ros
ROOT = Path(__file__).resolve().parent.parent


def some_people(t, frame="odom"):
    return People(
        t, frame,
        (
            TrackedPerson(3, 2.0, 1.0, 0.8, 0.0, group_id=1),
            TrackedPerson(4, 2.0, 1.7, 0.8, 0.0, group_id=1),
            TrackedPerson(7, -1.0, 0.5),
        ),
    )  # fmt: skip


def test_shapes_show_everyone_once():
    shapes = people_shapes(some_people(0.0))
    names = [(s.namespace, s.id) for s in shapes]
    assert len(set(names)) == len(names)
    assert {s.id for s in shapes if s.namespace == "body"} == {3, 4, 7}
    assert {s.id for s in shapes if s.namespace == "velocity"} == {3, 4}, "who stands has no arrow"
    (arrow,) = (s for s in shapes if s.namespace == "velocity" and s.id == 3)
    np.testing.assert_allclose(arrow.points[1] - arrow.points[0], (0.8, 0.0, 0.0))
    (group,) = (s for s in shapes if s.namespace == "group")
    np.testing.assert_allclose(group.points[0], group.points[-1])
    assert [s.text for s in shapes if s.namespace == "name"] == ["3 (group 1)", "4 (group 1)", "7"]
    assert people_shapes(People(0.0, "odom")) == []


def overrides(**values):
    return [Parameter(name, value=value) for name, value in values.items()]


def test_markers_without_the_live_view(ros):
    node = ViewNode(parameter_overrides=overrides(live=False))
    with Bench(node) as bench:
        heard = bench.hear("people_markers")
        bench.activate()
        bench.say("people", convert.people_to(some_people(1.0)))
        assert bench.spin(
            lambda: heard, each=lambda: bench.say("people", convert.people_to(some_people(1.0)))
        )
        assert node.url == ""
        markers = heard[0].markers
        assert len(markers) == len(people_shapes(some_people(1.0)))
        assert all(m.header.frame_id == "odom" and m.pose.orientation.w == 1.0 for m in markers)
        assert all(m.lifetime.sec + m.lifetime.nanosec * 1e-9 > 0.2 for m in markers), "nobody lingers"


def test_everything_heard_is_drawn(ros, monkeypatch):
    pytest.importorskip("rerun", reason="needs rerun-sdk")
    from tf2_msgs.msg import TFMessage

    from lifelong_nav.nodes import tf

    drawn = []
    node = ViewNode(parameter_overrides=overrides(port=0, data_port=0, image_rate=20.0))
    with Bench(node) as bench:
        bench.activate()
        view = node._view
        log = view._record.log
        monkeypatch.setattr(
            view._record, "log", lambda path, *a, **k: (drawn.append(path), log(path, *a, **k))
        )
        bench.executor.spin_once(timeout_sec=0.0)
        frames = bench.probe.create_publisher(TFMessage, "/tf_static", PROFILES["tf_static"])
        frames.publish(
            TFMessage(
                transforms=[
                    tf.stamped(Pose2(), "map", "odom", 0.0),
                    tf.stamped(Pose2(1.0, 0.0, 0.0), "odom", "laser", 0.0),
                ]
            )
        )  # fmt: skip
        grid_file = np.zeros((20, 30), np.int8)
        grid = convert.grid_to(OccupancyGrid(grid_file, 0.1), 0.0)
        contact = Contact(name="chair", position=Point(x=1.0, y=1.0))
        contact.header = convert.header(1.0, "map")
        gate = GateState(state=2, reason="obstacle", text="obstacle 0.2 m ahead")
        gate.header = convert.header(1.0, "base_link")
        route = convert.path_to(np.array([[0, 0, 0], [1.0, 0, 0]]), 1.0, "map")
        predicted = convert.path_to(np.array([[0, 0, 0], [0.5, 0, 0]]), 1.0, "odom")
        scan = LaserScan(1.0, "laser", -1.0, 0.1, 0.1, 8.0, np.full(20, 2.0, np.float32))
        rng = np.random.default_rng(0)
        ways = tuple(
            Candidate(
                n, CLASSICAL, Trajectory(1.0, "odom", TIMES, rng.normal(size=(30, 3)), np.zeros((30, 2)))
            )
            for n in ("yield", "pass left")
        )
        costs = {"progress": np.array([1.0, 0.2]), "personal_space": np.array([0.1, 3.0])}
        choice = Choice(
            1.0, ways, 0, costs["progress"] + costs["personal_space"], costs, "she was here first"
        )
        one = np.zeros((1, 2))
        forecast = PeopleForecast(
            1.0, "odom", np.array([1]), TIMES, one, one, rng.normal(size=(1, 3, 30, 2)),
            np.array([[0.6, 0.36, 0.04]]), np.full((1, 3, 30), 0.2), np.array([0.25]), np.array([-1]),
        )  # fmt: skip
        messages = {
            "candidates": convert_trajectory.choice_to(choice),
            "people_forecast": convert_trajectory.forecast_to(forecast),
            "map": grid, "costmap": grid, "sim/contacts": contact, "gate_state": gate, "plan": route,
            "predicted_path": predicted, "scan": convert.scan_to(scan, 0.1),
            "odom": convert.odometry_to(Odometry(1.0, Pose2(0.3, 0.2, 0.1), Twist2())),
            "people": convert.people_to(some_people(1.0)),
            "sim/people": convert.people_to(some_people(1.0, "map")),
            "camera/color/image_raw": convert.image_to(
                Image(1.0, "camera_optical", "rgb8", np.zeros((12, 16, 3), np.uint8))
            ),
        }  # fmt: skip
        wanted = {
            "map/floor", "map/costmap", "map/contact", "gate/state", "gate/log", "command/speed",
            "command/turn", "map/plan", "map/goal", "map/odom/predicted_path", "map/odom/scan",
            "map/odom/robot", "map/odom",
            "map/odom/people", "map/odom/people_prediction", "map/true_people", "camera",
            "map/odom/candidates", "map/odom/trajectory", "choice",
        }  # fmt: skip

        def say_all():
            for topic, message in messages.items():
                bench.say(topic, message)

        assert bench.spin(lambda: wanted <= set(drawn), timeout=15.0, each=say_all), wanted - set(drawn)
        assert node.health()[0] == 0, node.health()
        bad = convert.path_to(np.array([[0, 0, 0], [1.0, 0, 0]]), 1.0, "somewhere")
        bench.say("predicted_path", bad)
        assert bench.spin(
            lambda: "predicted_path" in node._faults,
            timeout=5.0,
            each=lambda: bench.say("predicted_path", bad),
        )
        assert node.health()[0] == 0, "bad input does not bring the view down"


def test_a_map_sent_before_the_view_is_active_is_drawn(ros):
    pytest.importorskip("rerun", reason="needs rerun-sdk")
    node = ViewNode(parameter_overrides=overrides(port=0, data_port=0))
    with Bench(node) as bench:
        node.trigger_configure()
        bench.say("map", convert.grid_to(OccupancyGrid(np.zeros((20, 30), np.int8), 0.1), 0.0))
        bench.spin(timeout=0.5)
        for _ in range(2):  # and again after a pause, without hearing everything twice
            node.trigger_activate()
            assert bench.spin(lambda: "map/floor" in node._view._repeats)
            node.trigger_deactivate()
        node.trigger_activate()
        assert len({id(r) for r in node._resources}) == len(node._resources)
        assert sum(s.topic_name.endswith("/map") for s in node.subscriptions) == 1


def test_a_taken_port_moves_the_view_and_cleanup_frees_it(ros):
    pytest.importorskip("rerun", reason="needs rerun-sdk")
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        node = ViewNode(parameter_overrides=overrides(port=taken.getsockname()[1], data_port=0))
        with Bench(node) as bench:
            bench.activate()
            server = node._view.server
            assert server.web_port != taken.getsockname()[1]
            assert str(server.web_port) in node.url
            node.trigger_deactivate()
            node.trigger_cleanup()
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection(("127.0.0.1", server.web_port), 0.5)


def topics_in(value, keys):
    """Every string under one of `keys`, anywhere in nested dicts and lists."""
    out = []
    if isinstance(value, dict):
        for key, inner in value.items():
            if key in keys and isinstance(inner, str):
                out.append(inner)
            else:
                out += topics_in(inner, keys)
    elif isinstance(value, list):
        for inner in value:
            out += topics_in(inner, keys)
    return out


def absolute(name):
    return name if name.startswith("/") else f"/{name}"


KNOWN = {absolute(name): topic for name, topic in TOPICS.items()}


def test_rviz_layout_speaks_of_topics_that_exist():
    layout = yaml.safe_load((ROOT / "config" / "rviz" / "lifelong_nav.rviz").read_text())
    manager = layout["Visualization Manager"]
    displays = manager["Displays"]
    flat = [d for display in displays for d in (display.get("Displays") or [display])]
    kinds = {
        "rviz_default_plugins/Map": "nav_msgs/msg/OccupancyGrid",
        "rviz_default_plugins/LaserScan": "sensor_msgs/msg/LaserScan",
        "rviz_default_plugins/MarkerArray": "visualization_msgs/msg/MarkerArray",
        "rviz_default_plugins/Path": "nav_msgs/msg/Path",
        "rviz_default_plugins/Pose": "geometry_msgs/msg/PoseStamped",
        "rviz_default_plugins/PoseWithCovariance": "geometry_msgs/msg/PoseWithCovarianceStamped",
        "rviz_default_plugins/Image": "sensor_msgs/msg/Image",
    }
    seen = set()
    for display in flat:
        topic = display.get("Topic") or display.get("Description Topic")
        if not topic:
            continue
        entry = KNOWN[topic["Value"]]
        seen.add(topic["Value"])
        if display["Class"] in kinds:
            assert kinds[display["Class"]] == entry.type, display["Name"]
        durable = topic["Durability Policy"] == "Transient Local"
        assert durable == (entry.qos == "latched"), display["Name"]
        assert not (topic["Reliability Policy"] == "Reliable" and entry.qos == "sensor"), display["Name"]
    assert seen >= {
        "/map", "/costmap", "/scan", "/people_markers", "/plan", "/predicted_path", "/trajectory",
        "/robot_description",
    }  # fmt: skip
    assert {"rviz_default_plugins/TF", "rviz_default_plugins/RobotModel"} <= {d["Class"] for d in flat}
    assert manager["Global Options"]["Fixed Frame"] in FRAMES
    tools = {t["Class"]: t for t in manager["Tools"]}
    assert tools["rviz_default_plugins/SetGoal"]["Topic"]["Value"] == "/goal_pose"
    assert tools["rviz_default_plugins/SetInitialPose"]["Topic"]["Value"] == "/initialpose"
    assert KNOWN["/goal_pose"].type == "geometry_msgs/msg/PoseStamped"


def test_foxglove_layout_speaks_of_topics_and_fields_that_exist():
    from lifelong_nav.nodes.topics import message_class

    layout = json.loads((ROOT / "config" / "foxglove" / "lifelong_nav.json").read_text())
    panels = layout["configById"]

    def leaves(node):
        return [node] if isinstance(node, str) else leaves(node["first"]) + leaves(node["second"])

    placed = leaves(layout["layout"])
    assert sorted(placed) == sorted(panels), "every panel is placed once and configured"
    assert {p.split("!")[0] for p in placed} >= {
        "3D",
        "Image",
        "Plot",
        "StateTransitions",
        "DiagnosticSummary",
    }
    for panel, config in panels.items():
        if panel.startswith("3D"):
            assert set(config["topics"]) <= set(KNOWN), panel
            assert config["followTf"] in FRAMES
            assert config["publish"]["poseTopic"] == "/goal_pose"
    for topic in topics_in(panels, {"imageTopic", "calibrationTopic", "topicToRender", "topicPath"}):
        assert topic in KNOWN, topic
    paths = [p for c in panels.values() for p in c.get("paths", [])]
    assert len(paths) >= 6
    for path in paths:
        topic, *fields = path["value"].split(".")
        value = message_class(KNOWN[topic].type)()
        for field in fields:
            value = getattr(value, field)
    shown = {p["value"].split(".")[0] for p in paths}
    assert {"/cmd_vel_raw", "/cmd_vel", "/gate_state"} <= shown
