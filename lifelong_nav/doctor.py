"""`lifelong-nav doctor`: what this machine can run, what is wrong, and how to mend it.

Each check is a function that returns a `Finding`; what can crash or hang (GL drivers, DDS) is tried in a
child process with a time limit.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from lifelong_nav.core.checkpoints import load_checkpoint
from lifelong_nav.core.errors import LifelongNavError
from lifelong_nav.core.generations import MANIFEST
from lifelong_nav.core.share import share_folder
from lifelong_nav.perception.sc_clip.text_encoder import verified_manifest
from lifelong_nav.stack import default_params_file

OK, NOTE, WRONG = "ok", "note", "WRONG"
_MIN_DISK = 2 << 30
_MIN_SHM = 32 << 20
_SHM = "/dev/shm"  # noqa: S108 (the kernel's shared memory, not a temporary file)
_RADIO = "from lifelong_nav.nodes.radio_check import main; main()"
_GL = """
import moderngl
c = moderngl.create_context(standalone=True, backend="egl")
print(c.info["GL_RENDERER"])
"""


@dataclass(frozen=True)
class Finding:
    """One check: `state` is ok, note (works with less) or WRONG; `fix` says what to do about it."""

    check: str
    state: str
    text: str
    fix: str = ""


def check_python() -> Finding:
    """Python's version and the machine's kind."""
    version = platform.python_version()
    where = f"Python {version} on {platform.machine()}"
    if not (3, 10) <= sys.version_info[:2] <= (3, 13):
        return Finding("python", WRONG, f"{where} is not supported.", "Use Python 3.10 to 3.13.")
    if sys.version_info[:2] > (3, 11) and importlib.util.find_spec("pybullet") is None:
        fix = "Use Python 3.11, or: pip install numpy wheel && pip install --no-build-isolation pybullet."
        return Finding("python", NOTE, f"{where}: PyBullet has no wheel here.", fix)
    return Finding("python", OK, f"{where}.")


def check_packages() -> Finding:
    """What must be importable, and what is optional."""
    needed = ("numpy", "scipy", "cv2", "transforms3d", "yaml", "safetensors", "rosbags", "mcap")
    missing = [m for m in needed if importlib.util.find_spec(m) is None]
    if missing:
        fix = "Run 'make setup', or: pip install lifelong_nav."
        return Finding("packages", WRONG, f"Not importable: {', '.join(missing)}.", fix)
    optional = {"pybullet": "sim", "moderngl": "sim", "rerun": "viz", "pyrvo": "orca"}
    absent = {m: extra for m, extra in optional.items() if importlib.util.find_spec(m) is None}
    if absent:
        extras = ",".join(sorted(set(absent.values())))
        fix = f"pip install 'lifelong_nav[{extras}]' brings them."
        return Finding("packages", NOTE, f"Optional packages absent: {', '.join(absent)}.", fix)
    return Finding("packages", OK, "All required and optional packages are there.")


def check_ros() -> Finding:
    """The ROS client library and the generated messages."""
    if importlib.util.find_spec("rclpy") is None:
        fix = "Source your ROS 2 installation, or run 'make setup' (wheels)."
        return Finding("ros", WRONG, "rclpy cannot be imported.", fix)
    if importlib.util.find_spec("lifelong_nav_interfaces") is None:
        fix = "Run 'make setup', or colcon build with --base-paths as the README says."
        return Finding("ros", WRONG, "lifelong_nav_interfaces is not built.", fix)
    if importlib.util.find_spec("tf2_msgs") is None:
        fix = "Run 'make setup' (builds a stand-in), or install ros-<distro>-tf2-msgs."
        return Finding("ros", WRONG, "tf2_msgs is not installed, so TF cannot be read or sent.", fix)
    tf = "tf2_ros" if importlib.util.find_spec("tf2_ros") is not None else "our own TF buffer"
    try:
        version = "rclpy " + importlib.metadata.version("rclpy")
    except importlib.metadata.PackageNotFoundError:
        version = "rclpy"
    return Finding("ros", OK, f"{version}, messages built, {tf}.")


def check_discovery() -> Finding:
    """Two nodes of this machine hear each other over the configured middleware."""
    fix = (
        "Check ROS_DOMAIN_ID, ROS_AUTOMATIC_DISCOVERY_RANGE, RMW_IMPLEMENTATION and firewalls; in containers "
        "share /dev/shm (--ipc=host) or set FASTDDS_BUILTIN_TRANSPORTS=UDPv4."
    )
    environment = {**os.environ, "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST"}
    code, out = _try(_RADIO, environment)
    if code != 0:
        return Finding("discovery", WRONG, f"A ROS node cannot start: {_last_line(out)}.", fix)
    rmw, heard = out.split()[-2:]
    if heard != "True":
        return Finding("discovery", WRONG, f"{rmw}: two nodes do not hear each other.", fix)
    domain = os.environ.get("ROS_DOMAIN_ID", "0")
    transports = os.environ.get("FASTDDS_BUILTIN_TRANSPORTS", "default")
    if rmw == "rmw_fastrtps_cpp" and transports == "default":
        fix = "For pictures above 0.5 MB set FASTDDS_BUILTIN_TRANSPORTS=LARGE_DATA (rmw_fastrtps #739)."
        return Finding("discovery", NOTE, f"{rmw}, domain {domain}: nodes hear each other.", fix)
    return Finding("discovery", OK, f"{rmw}, domain {domain}: nodes hear each other.")


def check_shared_memory() -> Finding:
    """Room in shared memory, which Fast DDS uses between processes."""
    if not Path(_SHM).is_dir():
        return Finding("shared memory", NOTE, f"There is no {_SHM}: messages go over UDP.", "None needed.")
    free = shutil.disk_usage(_SHM).free
    text = f"{free >> 20} MiB free in {_SHM}."
    if free < _MIN_SHM:
        fix = f"Free it (rm {_SHM}/fastdds_* when nothing runs) or enlarge it (docker: --shm-size=256m)."
        return Finding("shared memory", NOTE, text, fix)
    return Finding("shared memory", OK, text)


def check_gl() -> Finding:
    """The GL renderer of the simulated camera."""
    if importlib.util.find_spec("moderngl") is None:
        fix = "pip install 'lifelong_nav[sim]'."
        return Finding("gl", NOTE, "moderngl is absent: the camera uses TinyRenderer.", fix)
    code, out = _try(_GL, dict(os.environ))
    if code != 0:
        fix = "Install EGL: apt install libegl1 libgl1-mesa-dri. Until then TinyRenderer is used (slower)."
        return Finding("gl", NOTE, f"No GL context through EGL: {_last_line(out)}.", fix)
    return Finding("gl", OK, f"EGL renders with {_last_line(out)}.")


def check_disk() -> Finding:
    """Free space where runs, bags and model generations are written."""
    free = shutil.disk_usage(Path.cwd()).free
    text = f"{free / 2**30:.1f} GiB free in the working folder."
    if free < _MIN_DISK:
        return Finding("disk", WRONG, text, "Free at least 2 GiB: learning and recording stop when it ends.")
    return Finding("disk", OK, text)


def check_machine() -> Finding:
    """Cores and memory."""
    cores, memory = os.cpu_count() or 1, psutil.virtual_memory().total
    text = f"{cores} cores, {memory / 2**30:.0f} GiB of memory."
    if cores < 2 or memory < 4 << 30:
        return Finding("machine", NOTE, text, "The stack is made for 2 cores and 4 GiB at least.")
    return Finding("machine", OK, text)


def check_models() -> Finding:
    """Shipped files are there and whole."""
    try:
        default_params_file()
        folder = share_folder("models")
    except LifelongNavError as error:
        return Finding("models", WRONG, error.what, error.fix)
    count = 0
    try:
        for manifest in folder.rglob(MANIFEST):
            verified_manifest(manifest.parent)
            count += 1
        for weights in folder.rglob("*.safetensors"):
            load_checkpoint(weights)
            count += 1
    except LifelongNavError as error:
        return Finding("models", WRONG, error.what, "Install the package again.")
    return Finding("models", OK, f"{count} files of shipped models, all whole.")


CHECKS: tuple[Callable[[], Finding], ...] = (
    check_python, check_machine, check_packages, check_ros, check_discovery, check_shared_memory,
    check_gl, check_disk, check_models,
)  # fmt: skip


def run(as_json: bool = False) -> int:
    """Run every check and print it; 1 when something is wrong."""
    findings = []
    for check in CHECKS:
        finding = check()
        findings.append(finding)
        if not as_json:
            print(f"{finding.state:6s} {finding.check:14s} {finding.text}")
            if finding.fix and finding.state != OK:
                print(f"{'':21s} -> {finding.fix}")
    if as_json:
        print(json.dumps([asdict(f) for f in findings], indent=2))
    wrong = sum(f.state == WRONG for f in findings)
    if not as_json:
        print(f"{wrong} problem(s)." if wrong else "This machine can run the stack.")
    return 1 if wrong else 0


def _try(program: str, environment: dict[str, str], limit: float = 30.0) -> tuple[int, str]:
    try:
        done = subprocess.run(  # noqa: S603 (our own interpreter and programs above)
            [sys.executable, "-c", program], env=environment, timeout=limit, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return 1, f"no answer within {limit:.0f} s"
    return done.returncode, done.stdout.strip()


def _last_line(text: str) -> str:
    return text.splitlines()[-1].strip() if text else "no output"
