"""Shared fixtures. ROS is fenced in before rclpy is imported: own domain, this machine only."""

import os
import sys
import tempfile
import zlib
from pathlib import Path

os.environ.setdefault("AMENT_PREFIX_PATH", sys.prefix)
os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
_worker = os.environ.get("PYTEST_XDIST_WORKER", "gw0") + str(os.getpid())
os.environ["ROS_DOMAIN_ID"] = str(1 + zlib.crc32(_worker.encode()) % 100)
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ["LIFELONG_NAV_STATE"] = tempfile.mkdtemp(prefix="lifelong_nav_state_")  # never the user's own

import pytest  # noqa: E402

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """The recorded data, or a skip that says how to get it."""
    folder = Path(os.environ.get("LIFELONG_NAV_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no recorded data at {folder}: set LIFELONG_NAV_DATA")
    return folder


@pytest.fixture
def ros():
    """An initialised rclpy context; nodes are destroyed by the test (see ros_support.Bench)."""
    import rclpy

    rclpy.init(args=[])
    yield rclpy
    rclpy.try_shutdown()
