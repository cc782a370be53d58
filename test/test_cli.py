"""The command line: help for every verb, and one clear line with the right exit code for wrong input."""

import json
import os
import re
import subprocess
import sys

import pytest
from conftest import ROOT

from lifelong_nav import __version__, cli
from lifelong_nav.core.errors import BagError, ConfigError
from lifelong_nav.evaluation.bench import BENCHMARKS
from lifelong_nav.sim import scenario

VERBS = ["sim", "up", "replay", "record", "bench", "doctor", "docs"]


def program(*arguments, **environment):
    """Run `lifelong-nav` as a user does: (exit code, stdout, stderr)."""
    done = subprocess.run(
        [sys.executable, "-m", "lifelong_nav.cli", *arguments], capture_output=True, text=True, timeout=240,
        check=False, env={**os.environ, **environment},
    )  # fmt: skip
    return done.returncode, done.stdout, done.stderr


def refused(capfd, *arguments):
    """Exit code and the one line on stderr."""
    code = cli.main(arguments)
    lines = [x for x in capfd.readouterr().err.strip().splitlines() if not x.startswith("pybullet build")]
    assert len(lines) == 1, lines
    assert lines[0].startswith("lifelong-nav: ")
    return code, lines[0]


def test_help_names_every_verb(capsys):
    assert cli.main([]) == 0
    text = capsys.readouterr().out
    assert all(verb in text for verb in VERBS)


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_explains_itself(verb, capsys):
    with pytest.raises(SystemExit) as end:
        cli.main([verb, "--help"])
    assert end.value.code == 0
    text = capsys.readouterr().out
    assert f"lifelong-nav {verb}" in text
    parser = cli._parser()._subparsers._group_actions[0].choices[verb]
    for action in parser._actions:
        assert action.help, f"{verb}: {action.dest} has no help"


def test_version_is_the_packages(capsys):
    with pytest.raises(SystemExit) as end:
        cli.main(["--version"])
    assert end.value.code == 0
    assert capsys.readouterr().out.strip() == __version__


@pytest.mark.parametrize(
    "arguments", [["fly"], ["sim", "--seed", "one"], ["sim", "--mode", "dream"], ["replay"]]
)
def test_what_argparse_refuses(arguments, capsys):
    with pytest.raises(SystemExit) as end:
        cli.main(arguments)
    assert end.value.code == 2
    assert "usage:" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["sim", "moon_base"], ["moon_base", "office_day"]),
        (["sim", "--camera", "big"], ["big", "160x120@10"]),
        (["sim", "-p", "nonsense"], ["nonsense", "NODE.NAME=VALUE"]),
        (["sim", "-p", "gate=1"], ["gate=1", "NODE.NAME=VALUE"]),
        (["sim", "-p", "gate.max_speed"], ["NODE.NAME=VALUE"]),
        (["sim", "-p", "gaet.max_speed=1"], ["gaet", "gate"]),
        (["sim", "-p", "gate.top_speed=1"], ["top_speed", "max_speed"]),
        (["sim", "-p", "gate.max_speed=fast"], ["max_speed", "fast"]),
        (["sim", "-p", "gate.max_speed=99"], ["max_speed", "99"]),
        (["sim", "-p", "gate.max_speed=.nan"], ["max_speed"]),
        (["sim", "-p", "gate.heartbeats=[a"], ["gate.heartbeats"]),
        (["up", "-p", "sim.seed=1"], ["sim"]),
        (["bench", "everything"], ["everything", *BENCHMARKS]),
    ],
)  # fmt: skip
def test_wrong_words_are_refused_with_what_is_right(arguments, words, capfd, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, line = refused(capfd, *arguments)
    assert code == ConfigError.exit_code
    assert all(word in line for word in words), line
    assert not any((tmp_path / "runs").glob("*/log"))


def test_a_folder_in_use_is_not_written_to(tmp_path, capfd):
    (tmp_path / "precious").touch()
    code, line = refused(capfd, "sim", "--out", str(tmp_path))
    assert code == ConfigError.exit_code
    assert str(tmp_path) in line
    assert [p.name for p in tmp_path.iterdir()] == ["precious"]
    code, line = refused(capfd, "record", str(tmp_path))
    assert code == BagError.exit_code
    assert [p.name for p in tmp_path.iterdir()] == ["precious"]


@pytest.mark.parametrize(
    "kind", ["missing", "empty", "garbage.mcap", "garbage.db3", "garbage.bag", "cut.mcap"]
)
def test_bags_that_cannot_be_played(kind, tmp_path, capfd):
    path = tmp_path / kind
    if kind == "empty":
        path.mkdir()
    elif kind == "cut.mcap":
        path.write_bytes(b"\x89MCAP0\r\n" + b"\x01\xff\xff\xff\xff\xff\xff\xff\x7f" + bytes(100))
    elif kind != "missing":
        path.write_bytes(os.urandom(4096))
    code, line = refused(capfd, "replay", str(path))
    assert code == BagError.exit_code
    assert kind in line


def test_scenarios_and_benchmarks_are_listed(capsys):
    assert cli.main(["sim", "--list"]) == 0
    rows = capsys.readouterr().out.strip().splitlines()
    assert [row.split()[0] for row in rows] == scenario.names()
    assert len(rows) >= 32
    assert cli.main(["bench", "--list"]) == 0
    assert capsys.readouterr().out.split() == list(BENCHMARKS)
    assert cli.main(["bench"]) == 0


def test_overrides_take_the_type_of_their_parameter():
    given = cli._overrides(
        ["gate.max_speed=1", "sim.renderer=off", "gate.heartbeats=[a, b]", "gate.stamped=false", "sim.seed=3"]
    )
    assert given == {
        "gate": {"max_speed": 1.0, "heartbeats": ["a", "b"], "stamped": False},
        "sim": {"renderer": "off", "seed": 3},
    }
    assert type(given["gate"]["max_speed"]) is float


@pytest.mark.data
@pytest.mark.ros
def test_a_bag_is_played_into_the_namespace_of_the_nodes(data_folder):
    """Scans, and transforms as well: without them perception could not answer a single scan."""
    bag = next((data_folder / "robot_bags" / "olin_rosbag2").rglob("metadata.yaml")).parent
    code, out, err = program("replay", str(bag), "--rate", "0", "--duration", "5", "--namespace", "robot1")
    assert code == 0, err
    answered, unanswered = re.search(r"answered: (\d+), unanswered: (\d+)", out).groups()
    assert int(answered) > 20
    assert int(unanswered) == 0


def test_no_traceback_reaches_the_user():
    code, out, err = program("sim", "moon_base")
    assert code == ConfigError.exit_code
    assert "Traceback" not in out + err
    assert err.count("\n") == 1


def test_light_verbs_stay_light():
    """Help and lists come at once: nothing heavy is imported for them."""
    program_text = (
        "import sys; from lifelong_nav import cli; cli.main(['bench', '--list']);"
        "print([m for m in ('rclpy', 'cv2', 'pybullet', 'scipy', 'matplotlib', 'rerun') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program_text], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_pages_are_written_only_in_a_checkout(tmp_path):
    from lifelong_nav.nodes import pages

    with pytest.raises(ConfigError, match="not a source checkout"):
        pages.write(root=tmp_path)
    (tmp_path / "package.xml").touch()
    for folder in ("docs", "config"):
        (tmp_path / folder).mkdir()
    assert pages.write(check=True, root=tmp_path) == 1
    assert not list((tmp_path / "docs").iterdir())
    assert pages.write(root=tmp_path) == 0
    assert pages.write(check=True, root=tmp_path) == 0
    assert (tmp_path / "config" / "lifelong_nav.yaml").read_text() == pages.parameter_file()


def test_doctor_speaks_json():
    code, out, err = program("doctor", "--json")
    findings = json.loads(out)
    assert {f["state"] for f in findings} <= {"ok", "note", "WRONG"}, err
    assert code == (1 if any(f["state"] == "WRONG" for f in findings) else 0)
    assert all(f["text"] for f in findings)
    assert all(f["fix"] for f in findings if f["state"] != "ok")
    assert {"python", "packages", "ros", "discovery", "gl", "disk", "models"} <= {
        f["check"] for f in findings
    }


def test_the_installed_program_is_this_one():
    found = ROOT / ".venv" / "bin" / "lifelong-nav"
    if not found.is_file():
        pytest.skip("no .venv here: run make setup")
    done = subprocess.run([found, "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == __version__


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["sim", "blind_corner", "--seed", "-1"], 2, "below 0"),
        (["sim", "--errands", "-2"], 2, "below 0"),
        (["record", "x", "--duration", "-1"], 2, "below 0"),
        (["up", "--map", "/nowhere.yaml"], 2, "Cannot read /nowhere.yaml"),
        (["up", "--namespace", "9a/!"], 2, "not a ROS namespace"),
        (["sim", "--params-file", "/nowhere.yaml"], 2, "Cannot read /nowhere.yaml"),
    ],
)
def test_what_would_end_every_node_is_said_before_any_starts(words, code, message):
    done = subprocess.run(
        [sys.executable, "-m", "lifelong_nav.cli", *words], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == code, done.stderr
    assert message in done.stderr
    assert "Traceback" not in done.stderr
