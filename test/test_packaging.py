"""What is shipped: manifests agree, every import is declared, the wheel holds what the stack opens."""

import ast
import re
import subprocess
import sys
import zipfile
from pathlib import Path
from xml.etree import ElementTree

import pytest
import yaml
from conftest import ROOT

from lifelong_nav import __version__
from lifelong_nav.stack import ALL_NODES

PACKAGE = ROOT / "lifelong_nav"
# module -> distribution, where the names differ
PIP = {
    "cv2": "opencv-python-headless", "yaml": "PyYAML", "PIL": "Pillow", "jinja2": "Jinja2",
    "rerun": "rerun-sdk", "pybullet_data": "pybullet", "open_clip": "open_clip_torch",
    "skimage": "scikit-image",
}  # fmt: skip
# modules that a declared distribution brings along
WITH = {"rerun_cli": "rerun-sdk"}
ROSDEP = {
    "numpy": "python3-numpy", "cv2": "python3-opencv", "psutil": "python3-psutil", "scipy": "python3-scipy",
    "tqdm": "python3-tqdm", "transforms3d": "python3-transforms3d", "yaml": "python3-yaml",
}  # fmt: skip
ROS_NAMES = {"tf2_ros": "tf2_ros_py"}


def sources():
    return sorted(PACKAGE.rglob("*.py"))


def imports():
    """Top-level names of imported modules, by file; imports of other modules by name included."""
    for path in sources():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                yield from ((path, alias.name.split(".")[0]) for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                yield path, node.module.split(".")[0]
            elif (
                isinstance(node, ast.Call)
                and getattr(node.func, "attr", getattr(node.func, "id", ""))
                in ("import_module", "require_package")
                and node.args
                and isinstance(node.args[0], ast.Constant)
            ):
                yield path, node.args[0].value.split(".")[0]


@pytest.fixture(scope="module")
def setup_arguments(tmp_path_factory):
    """What setup.py hands to setuptools, caught in a child process."""
    code = (
        "import json, setuptools, runpy\n"
        "setuptools.setup = lambda **given: print(json.dumps(given, default=str))\n"
        "runpy.run_path('setup.py', run_name='__main__')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    return yaml.safe_load(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def manifest():
    return ElementTree.parse(ROOT / "package.xml").getroot()


def distribution(requirement):
    return re.split(r"[<>=!~\[; ]", requirement)[0].lower()


def test_manifests_are_format_3_and_agree(manifest, setup_arguments):
    interfaces = ElementTree.parse(ROOT / "interfaces" / "package.xml").getroot()
    for root in (manifest, interfaces):
        assert root.tag == "package"
        assert root.get("format") == "3"
        for tag in ("name", "version", "description", "maintainer", "license"):
            assert root.findtext(tag), tag
        assert re.fullmatch(r"[^@\s]+@[^@\s]+\.[a-z]+", root.find("maintainer").get("email"))
    assert manifest.findtext("export/build_type") == "ament_python"
    assert interfaces.findtext("export/build_type") == "ament_cmake"
    assert interfaces.findtext("member_of_group") == "rosidl_interface_packages"
    text = (ROOT / "interfaces" / "pyproject.toml").read_text()
    versions = {
        manifest.findtext("version"), interfaces.findtext("version"), setup_arguments["version"],
        __version__, re.search(r'^version = "(.*)"', text, re.MULTILINE)[1],
    }  # fmt: skip
    assert len(versions) == 1, versions
    assert setup_arguments["license"] == manifest.findtext("license") == interfaces.findtext("license")


def test_messages_are_all_built_and_documented():
    text = (ROOT / "interfaces" / "CMakeLists.txt").read_text()
    built = set(re.findall(r"\b(?:msg|srv|action)/\w+\.\w+", text))
    files = {
        str(p.relative_to(ROOT / "interfaces"))
        for kind in ("msg", "srv", "action")
        for p in (ROOT / "interfaces" / kind).iterdir()
    }
    assert files == built
    for name in files:
        lines = (ROOT / "interfaces" / name).read_text().splitlines()
        assert lines[0].startswith("#"), f"{name} does not begin with what it is"


def test_every_import_is_declared(manifest, setup_arguments):
    needed = [*setup_arguments["install_requires"]]
    extra = [r for group in setup_arguments["extras_require"].values() for r in group]
    pip = {distribution(r) for r in [*needed, *extra]}
    ros = {e.text for e in manifest if e.tag.endswith("depend")}
    stdlib = {*sys.stdlib_module_names, "lifelong_nav"}
    missing = []
    for path, name in imports():
        if name in stdlib:
            continue
        as_ros = ROS_NAMES.get(name, name)
        as_pip = PIP.get(name, WITH.get(name, name)).lower().replace("_", "-")
        if as_ros not in ros and as_pip not in pip:
            missing.append(f"{path.relative_to(ROOT)}: {name}")
    assert missing == []


def test_what_has_a_rosdep_key_is_in_the_manifest(manifest):
    ros = {e.text for e in manifest if e.tag.endswith("depend")}
    used = {name for _, name in imports()}
    assert {key for module, key in ROSDEP.items() if module in used} <= ros


def test_ros_wheels_cover_the_message_packages_of_the_manifest(manifest, setup_arguments):
    wheels = {distribution(r) for r in setup_arguments["extras_require"]["ros"]}
    messages = {e.text for e in manifest if e.tag == "exec_depend" and e.text.endswith(("_msgs", "_srvs"))}
    for name in messages - {"tf2_msgs"}:  # has no wheel: the stand-in
        assert f"ros-{name.replace('_', '-')}" in wheels, name


def test_pickle_is_nowhere():
    forbidden = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
    assert [str(path) for path, name in imports() if name in forbidden] == []
    for path in sources():
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"UnsafeLoader|FullLoader|yaml\.Loader", text), path
        if "yaml.load(" in text:
            assert "SafeLoader" in text, path
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.keyword) and node.arg == "allow_pickle":
                assert node.value.value is False, path
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                name = f"{getattr(node.func.value, 'id', '')}.{node.func.attr}"
                if name == "torch.load":  # somebody else's .pth: only ever by the unpickler that runs no code
                    assert any(k.arg == "weights_only" and k.value.value is True for k in node.keywords), path
                assert name not in ("yaml.unsafe_load", "yaml.full_load"), path
                if name == "np.load":
                    assert any(k.arg == "allow_pickle" for k in node.keywords), path


def test_every_requirement_is_pinned_in_one_place(setup_arguments):
    text = (ROOT / "constraints.txt").read_text()
    pinned = {distribution(line).replace("_", "-") for line in text.splitlines() if "==" in line}
    wanted = [*setup_arguments["install_requires"]]
    wanted += [r for group in setup_arguments["extras_require"].values() for r in group]
    assert {distribution(r).replace("_", "-") for r in wanted} - pinned == set()


def test_every_node_has_its_program(setup_arguments):
    programs = {line.split(" = ")[0] for line in setup_arguments["entry_points"]["console_scripts"]}
    assert programs == {"lifelong-nav", *(spec.executable for spec in ALL_NODES.values())}


def test_data_files_lie_where_ros_looks(setup_arguments):
    placed = {f"{folder}/{Path(f).name}": f for folder, files in setup_arguments["data_files"] for f in files}
    assert placed["share/ament_index/resource_index/packages/lifelong_nav"]
    assert placed["share/lifelong_nav/package.xml"] == "package.xml"
    for folder in ("launch", "config", "models", "sim"):
        for path in (ROOT / folder).rglob("*"):
            if path.is_file() and "__pycache__" not in path.parts:
                relative = path.relative_to(ROOT)
                assert placed[f"share/lifelong_nav/{relative}"] == str(relative)
    config = (ROOT / "setup.cfg").read_text()
    assert config.count("lib/lifelong_nav") == 2  # `ros2 run` looks there


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel, built from the tracked files."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    pytest.importorskip("setuptools")
    folder = tmp_path_factory.mktemp("wheel")
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout
    for name in filter(None, tracked.decode().split("\0")):
        source = ROOT / name
        if source.is_file():
            target = folder / "source" / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(source.read_bytes())
    out = folder / "out"
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", out, "."]
    done = subprocess.run(
        [*command, "--no-build-isolation"], cwd=folder / "source", capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    (file,) = out.glob("*.whl")
    with zipfile.ZipFile(file) as archive:
        yield archive


def test_the_wheel_holds_everything(wheel):
    names = set(wheel.namelist())
    for path in PACKAGE.rglob("*"):
        tracked = path.suffix in (".py", ".j2", ".html", ".css", ".typed")
        if path.is_file() and tracked and "__pycache__" not in path.parts and _is_tracked(path):
            assert str(path.relative_to(ROOT)) in names
    (data,) = {n.split("/")[0] for n in names if ".data/" in n}
    for folder in ("launch", "config", "models", "sim"):
        for path in (ROOT / folder).rglob("*"):
            if path.is_file() and _is_tracked(path):
                assert f"{data}/data/share/lifelong_nav/{path.relative_to(ROOT)}" in names
    assert f"{data}/data/share/ament_index/resource_index/packages/lifelong_nav" in names
    assert not [n for n in names if n.startswith(("test/", "interfaces/", "docs/"))]
    (points,) = [n for n in names if n.endswith("entry_points.txt")]
    text = wheel.read(points).decode()
    assert "lifelong-nav = lifelong_nav.cli:main" in text
    assert all(spec.executable in text for spec in ALL_NODES.values())


def test_an_installed_wheel_finds_its_files(wheel, tmp_path):
    """As pip lays it out: package below lib/pythonX.Y/site-packages, data in the prefix."""
    site = tmp_path / "lib" / f"python{sys.version_info[0]}.{sys.version_info[1]}" / "site-packages"
    for name in wheel.namelist():
        target = tmp_path / name.split("/data/", 1)[1] if "/data/" in name else site / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(wheel.read(name))
    code = (
        "import lifelong_nav, sys; from lifelong_nav import stack; from lifelong_nav.sim import scenario\n"
        "from lifelong_nav.sim.scenario_build import build\n"
        "print(lifelong_nav.__file__); print(stack.default_params_file())\n"
        "print(scenario.folder()); build(scenario.load('office_day'), 1)\n"
    )
    environment = {"PYTHONPATH": str(site), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert all(line.startswith(str(tmp_path)) for line in done.stdout.splitlines()), done.stdout


def _is_tracked(path):
    done = subprocess.run(
        ["git", "ls-files", "--error-unmatch", str(path)], cwd=ROOT, capture_output=True, check=False
    )
    return done.returncode == 0
