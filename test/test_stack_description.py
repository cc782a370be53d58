"""The one description of the stack: who runs in which profile, with what, and that it is all real."""

import ast
import itertools
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from conftest import ROOT
from rclpy.parameter import Parameter

from lifelong_nav import stack
from lifelong_nav.core import config as cfg
from lifelong_nav.core import share
from lifelong_nav.core.errors import ConfigError
from lifelong_nav.nodes import pages
from lifelong_nav.nodes.base import StackNode
from lifelong_nav.nodes.qos import PROFILES
from lifelong_nav.nodes.run import load
from lifelong_nav.nodes.topics import FRAMES, TOPICS, message_class
from lifelong_nav.sim import scenario
from lifelong_nav.stack import ALL_NODES, Options, nodes_for
from lifelong_nav.stack import PROFILES as RUN_PROFILES

DRIVING = ["localization", "perception", "context", "gate", "controller", "trajectory", "planner"]
LEARNING = ("context_learner", "trajectory_learner")


@pytest.fixture(scope="module")
def classes():
    return {name: load(spec.target) for name, spec in ALL_NODES.items()}


def names(**options):
    return [spec.name for spec in nodes_for(Options(**options))]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, [*DRIVING, *LEARNING, "supervisor"]),
        ({"profile": "sim"}, ["sim", *DRIVING, *LEARNING, "supervisor"]),
        ({"profile": "replay"}, ["perception", "context", "supervisor"]),
        ({"localization": False}, [*DRIVING[1:], *LEARNING, "supervisor"]),
        ({"learning": False}, [*DRIVING, "supervisor"]),
        ({"context": False}, [*(n for n in DRIVING if n != "context"), LEARNING[1], "supervisor"]),
        ({"trajectories": False}, [*(n for n in DRIVING if n != "trajectory"), LEARNING[0], "supervisor"]),
        ({"profile": "sim", "view": True}, ["sim", *DRIVING, *LEARNING, "view", "supervisor"]),
        ({"profile": "replay", "overrides": {"bag_player": {"bag": "x"}}},
         ["perception", "context", "supervisor", "bag_player"]),
    ],
)  # fmt: skip
def test_who_runs_in_which_order(options, expected):
    assert names(**options) == expected


@pytest.mark.parametrize("profile", RUN_PROFILES)
def test_the_supervisor_manages_exactly_the_lifecycle_nodes_in_order(profile):
    specs = nodes_for(Options(profile=profile, view=True, autostart=False))
    (supervisor,) = [s for s in specs if s.name == "supervisor"]
    assert supervisor.parameters["nodes"] == [s.name for s in specs if s.managed]
    assert supervisor.parameters["autostart"] is False
    assert not supervisor.managed


@pytest.mark.parametrize("profile", RUN_PROFILES)
def test_everyone_gets_the_same_clock_and_overrides_win(profile):
    specs = nodes_for(Options(profile=profile, use_sim_time=True))
    assert all(s.parameters["use_sim_time"] is True for s in specs)
    specs = nodes_for(Options(profile=profile, overrides={"perception": {"rate": 5.0, "use_sim_time": True}}))
    given = {s.name: s.parameters for s in specs}
    assert given["perception"] == {"use_sim_time": True, "rate": 5.0}
    assert given["supervisor"]["use_sim_time"] is False


def test_the_teacher_goes_to_the_learner():
    given = {s.name: s.parameters for s in nodes_for(Options(teacher="endpoint"))}
    assert given["context_learner"]["teacher"] == "endpoint"
    assert not any("teacher" in p for name, p in given.items() if name != "context_learner")
    nodes_for(Options(teacher="endpoint", learning=False))  # nobody to tell, and no error


def test_the_map_goes_to_localization_and_nowhere_else():
    given = {s.name: s.parameters for s in nodes_for(Options(map="/maps/office.yaml"))}
    assert given["localization"]["map_file"] == "/maps/office.yaml"
    assert not any("map_file" in p for name, p in given.items() if name != "localization")
    nodes_for(Options(map="/maps/office.yaml", localization=False))  # AMCL reads it; no error


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"profile": "moon"}, "moon"),
        ({"overrides": {"sim": {"seed": 1}}}, "sim"),
        ({"profile": "replay", "overrides": {"gate": {"rate": 20.0}}}, "gate"),
        ({"localization": False, "overrides": {"localization": {}}}, "localization"),
        ({"overrides": {"gaet": {"rate": 20.0}}}, "gaet"),
    ],
)
def test_what_cannot_run_is_refused_with_the_choices(options, word):
    with pytest.raises(ConfigError) as error:
        nodes_for(Options(**options))
    assert word in error.value.what
    assert error.value.fix


def test_namespace_and_remappings_reach_the_command_line():
    options = Options(namespace="/robot1/", scan_topic="base_scan", params_file="mine.yaml", log_level="warn")
    (gate,) = [s for s in nodes_for(options) if s.name == "gate"]
    assert set(gate.remappings) == {("/tf", "tf"), ("/tf_static", "tf_static"), ("scan", "base_scan")}
    arguments = stack.ros_arguments(gate, options, Path("last.yaml"))
    assert arguments[0] == "--ros-args"
    rules = [b for a, b in itertools.pairwise(arguments) if a == "-r"]
    assert rules[:2] == ["__node:=gate", "__ns:=/robot1"]
    assert set(rules[2:]) == {"/tf:=tf", "/tf_static:=tf_static", "scan:=base_scan"}
    files = [b for a, b in itertools.pairwise(arguments) if a == "--params-file"]
    assert files == ["mine.yaml", "last.yaml"]  # ours last: it wins
    assert list(stack.overrides_document(gate, options)) == ["/robot1/gate"]
    assert arguments[-2:] == ["--log-level", "warn"]
    alone = nodes_for(Options())[0]
    assert alone.remappings == ()
    assert list(stack.overrides_document(alone, Options())) == [f"/{alone.name}"]


def test_every_node_is_a_stack_node_with_documented_parameters(classes):
    for name, cls in classes.items():
        assert issubclass(cls, StackNode), name
        assert name == cls.NAME
        assert cls.SELF_START is not ALL_NODES[name].managed, name
        specs = cfg.specs(cls.CONFIG)
        assert len({s.name for s in specs}) == len(specs)
        for s in specs:
            where = f"{name}.{s.name}"
            assert s.doc.strip().endswith((".", ")")), where
            if isinstance(s.default, float) and not s.unit:
                assert s.low is not None, f"{where} has neither unit nor range"
            cfg.check(s, s.default)  # a default outside its own range would stop the node


def test_topics_have_known_types_qos_and_frames():
    for topic in TOPICS.values():
        message_class(topic.type)
        assert topic.qos in PROFILES, topic.name
        assert topic.frame in ("", *FRAMES), topic.name
        assert topic.doc.endswith((".", ")")), topic.name
        assert topic.rate >= 0


def _literals(tree):
    """First arguments of offer(...) and listen(...) with their lines."""
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
            continue
        if node.func.attr in ("offer", "listen", "_hear") and node.args:
            first = node.args[0]
            if isinstance(first, ast.Constant) and isinstance(first.value, str):
                yield first.value, node.lineno


def test_nodes_speak_only_of_topics_in_the_table():
    spoken = set()
    for path in sorted((ROOT / "lifelong_nav" / "nodes").glob("*.py")):
        tree = ast.parse(path.read_text())
        for topic, line in _literals(tree):
            assert topic in TOPICS, f"{path.name}:{line} uses '{topic}', which is not in the table"
        if path.name != "topics.py":
            spoken |= {n.value for n in ast.walk(tree) if isinstance(n, ast.Constant)}
    assert set(TOPICS) - spoken == set(), "in the table, but no node has anything to do with it"


def test_generated_pages_are_up_to_date():
    assert pages.write(check=True) == 0, "run: make docs"


def test_default_file_holds_every_parameter_with_its_default(classes):
    document = yaml.safe_load(pages.parameter_file())
    for name, cls in classes.items():
        values = document[f"/**/{name}"]["ros__parameters"]
        wanted = {s.name: s.default for s in cfg.specs(cls.CONFIG) if s.default != []}
        assert values == wanted, name
        cfg.build(cls.CONFIG, values)


@pytest.mark.ros
@pytest.mark.parametrize("namespace", ["", "/robot1"])
@pytest.mark.parametrize("name", ALL_NODES)
def test_parameter_file_loads_in_every_node(ros, classes, tmp_path, name, namespace):
    """Through rcl's own parser, changed values included, with and without a namespace."""
    document = yaml.safe_load(pages.parameter_file())
    cls = classes[name]
    spec = next(
        s
        for s in cfg.specs(cls.CONFIG)
        if s.kind in (float, int) and s.high is not None and s.low is not None
    )
    other = spec.high if spec.default != spec.high else spec.low
    document[f"/**/{name}"]["ros__parameters"][spec.name] = other
    file = tmp_path / "mine.yaml"
    file.write_text(yaml.safe_dump(document))
    arguments = ["--ros-args", "-r", f"__node:={name}", "--params-file", str(file)]
    arguments += ["-r", f"__ns:={namespace}"] if namespace else []
    node = cls(cli_args=arguments, use_global_arguments=False)
    try:
        assert node.get_fully_qualified_name() == f"{namespace}/{name}"
        assert node.get_parameter(spec.name).value == other
        for s in cfg.specs(cls.CONFIG):
            if s.name != spec.name and s.default != []:
                value = node.get_parameter(s.name).value
                assert (list(value) if isinstance(s.default, list) else value) == s.default, s.name
    finally:
        node.destroy_node()


@pytest.mark.ros
def test_a_wrong_value_in_the_file_ends_the_node_with_one_line(tmp_path):
    file = tmp_path / "wrong.yaml"
    file.write_text("/**/gate: {ros__parameters: {max_speed: 99.0}}")
    done = subprocess.run(
        [sys.executable, "-m", "lifelong_nav.nodes.run", ALL_NODES["gate"].target, "--ros-args",
         "--params-file", str(file)],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert "max_speed" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_description_needs_no_ros():
    """Launch files and the launcher read it in processes that never import rclpy."""
    code = "import sys, lifelong_nav.stack, lifelong_nav.launcher; print('rclpy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_shipped_files_are_found_where_pip_and_colcon_put_them(monkeypatch, tmp_path):
    assert stack.default_params_file().is_file()
    package = tmp_path / "one" / "lib" / "python3.11" / "site-packages" / "lifelong_nav"
    monkeypatch.setattr(share, "__file__", str(package / "core" / "share.py"))
    monkeypatch.setenv("AMENT_PREFIX_PATH", str(tmp_path / "two"))
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "three"))
    monkeypatch.delenv("LIFELONG_NAV_SIM", raising=False)
    with pytest.raises(ConfigError, match="config"):
        stack.default_params_file()
    with pytest.raises(ConfigError, match="sim"):
        scenario.folder()
    for prefix in ("three", "two", "one"):
        installed = tmp_path / prefix / "share" / "lifelong_nav" / "sim"
        (installed / "scenarios").mkdir(parents=True)
        assert share.share_folder("sim") == installed
        assert scenario.folder() == installed / "scenarios"


@pytest.mark.ros
def test_overrides_beat_the_users_file(ros, tmp_path):
    """The launcher's own file comes last and is keyed by full name, so a wildcard cannot undo it."""
    users = tmp_path / "users.yaml"
    users.write_text("/**:\n  ros__parameters:\n    max_speed: 0.5\n    rate: 30.0\n")
    options = Options(params_file=str(users), namespace="r", overrides={"gate": {"max_speed": 0.7}})
    (spec,) = [s for s in nodes_for(options) if s.name == "gate"]
    file = tmp_path / "ours.yaml"
    file.write_text(yaml.safe_dump(stack.overrides_document(spec, options)))
    node = load(spec.target)(cli_args=stack.ros_arguments(spec, options, file), use_global_arguments=False)
    try:
        assert node.get_parameter("max_speed").value == 0.7
        assert node.get_parameter("rate").value == 30.0
        assert node.get_parameter("use_sim_time").type_ == Parameter.Type.BOOL
    finally:
        node.destroy_node()
