"""The doctor on a sound machine, and on machines with something missing, broken or hanging."""

import importlib.util
import json
from collections import namedtuple

import pytest

from lifelong_nav import doctor
from lifelong_nav.core.generations import MANIFEST
from lifelong_nav.doctor import NOTE, OK, WRONG

Usage = namedtuple("Usage", "total used free")


def hide(monkeypatch, *modules):
    find = importlib.util.find_spec
    monkeypatch.setattr(doctor.importlib.util, "find_spec", lambda m: None if m in modules else find(m))


@pytest.mark.ros
def test_this_machine_can_run_the_stack(capsys):
    """The machine that runs the tests has run the others: the doctor must agree."""
    code = doctor.run()
    text = capsys.readouterr().out
    assert code == 0, text
    assert text.endswith("This machine can run the stack.\n")
    assert text.count("\n") >= len(doctor.CHECKS) + 1


@pytest.mark.parametrize(
    ("check", "hidden", "state", "words"),
    [
        (doctor.check_packages, ["scipy"], WRONG, "scipy"),
        (doctor.check_packages, ["rerun"], NOTE, "rerun"),
        (doctor.check_ros, ["rclpy"], WRONG, "rclpy"),
        (doctor.check_ros, ["lifelong_nav_interfaces"], WRONG, "not built"),
        (doctor.check_ros, ["tf2_msgs"], WRONG, "tf2_msgs"),
        (doctor.check_gl, ["moderngl"], NOTE, "TinyRenderer"),
    ],
)
def test_what_is_not_installed_is_named_with_its_cure(monkeypatch, check, hidden, state, words):
    hide(monkeypatch, *hidden)
    finding = check()
    assert finding.state == state
    assert words in finding.text
    assert "pip install" in finding.fix or "make setup" in finding.fix


def test_the_advised_extras_exist(monkeypatch):
    hide(monkeypatch, "pybullet", "moderngl", "rerun", "pyrvo")
    fix = doctor.check_packages().fix
    advised = set(fix.split("[")[1].split("]")[0].split(","))
    from conftest import ROOT

    text = (ROOT / "setup.py").read_text()
    assert all(f'"{extra}": [' in text for extra in advised), fix


@pytest.mark.parametrize(
    ("version", "state"), [((3, 9), WRONG), ((3, 10), OK), ((3, 11), OK), ((3, 14), WRONG)]
)
def test_python_versions(monkeypatch, version, state):
    monkeypatch.setattr(doctor.sys, "version_info", version)
    monkeypatch.setattr(doctor.platform, "python_version", lambda: ".".join(map(str, version)))
    assert doctor.check_python().state == state


@pytest.mark.ros
def test_an_unknown_middleware_is_a_finding_and_not_a_crash(monkeypatch):
    monkeypatch.setenv("RMW_IMPLEMENTATION", "rmw_of_the_moon")
    finding = doctor.check_discovery()
    assert finding.state == WRONG
    assert "RMW_IMPLEMENTATION" in finding.fix


def test_what_hangs_is_given_up(monkeypatch):
    code, text = doctor._try("import time; time.sleep(60)", {}, limit=0.5)
    assert code == 1
    assert "no answer" in text


def test_a_crash_is_reported_with_its_last_line(monkeypatch):
    code, text = doctor._try("raise SystemExit('libEGL.so.1: cannot open')", {})
    assert code != 0
    assert doctor._last_line(text) == "libEGL.so.1: cannot open"
    monkeypatch.setattr(doctor, "_GL", "import os; os.abort()")
    finding = doctor.check_gl()
    assert finding.state == NOTE
    assert "EGL" in finding.fix


def test_full_disks_and_small_machines(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda path: Usage(100 << 30, 99 << 30, 1 << 30))
    assert doctor.check_disk().state == WRONG
    assert doctor.check_shared_memory().state == OK
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda path: Usage(1 << 30, 1 << 30, 1 << 20))
    assert doctor.check_shared_memory().state == NOTE
    monkeypatch.setattr(doctor.os, "cpu_count", lambda: 1)
    assert doctor.check_machine().state == NOTE


def test_a_damaged_model_is_found(monkeypatch, tmp_path):
    assert doctor.check_models().state == OK
    (tmp_path / "people").mkdir()
    (tmp_path / "people" / "weights.bin").write_bytes(b"what was saved")
    (tmp_path / "people" / MANIFEST).write_text("{}")
    monkeypatch.setattr(doctor, "share_folder", lambda name: tmp_path)
    finding = doctor.check_models()
    assert finding.state == WRONG
    assert finding.fix


def test_one_wrong_finding_makes_the_exit_code(monkeypatch, capsys):
    checks = (lambda: doctor.Finding("a", OK, "Fine."), lambda: doctor.Finding("b", NOTE, "Less.", "More."))
    monkeypatch.setattr(doctor, "CHECKS", checks)
    assert doctor.run() == 0
    assert "More." in capsys.readouterr().out
    monkeypatch.setattr(
        doctor, "CHECKS", (*checks, lambda: doctor.Finding("c", WRONG, "Broken.", "Mend it."))
    )
    assert doctor.run() == 1
    assert "1 problem(s)." in capsys.readouterr().out
    assert doctor.run(as_json=True) == 1
    assert [f["state"] for f in json.loads(capsys.readouterr().out)] == [OK, NOTE, WRONG]
