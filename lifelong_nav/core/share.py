"""Where the files that come along (config, sim, models, launch) lie."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from lifelong_nav.core.errors import ConfigError

_PACKAGE = "lifelong_nav"
STATE = "LIFELONG_NAV_STATE"
"""Environment variable: folder of everything learned on this robot."""


def recordings(name: str = "") -> Path:
    """Where recorded data lie: LIFELONG_NAV_DATA, else ../shared/data beside the checkout; may be absent."""
    named = os.environ.get("LIFELONG_NAV_DATA")
    root = Path(named) if named else Path(__file__).resolve().parents[3] / "shared" / "data"
    return root / name


def state_folder(name: str) -> Path:
    """Where this robot keeps what it learned, below LIFELONG_NAV_STATE or ~/.lifelong_nav; may be absent."""
    return Path(os.environ.get(STATE) or "~/.lifelong_nav").expanduser() / name


def share_folder(name: str) -> Path:
    """The folder `name` of the source tree, else of the installed share folder.

    An installation is looked for beside this file (pip, pip --user, colcon), in AMENT_PREFIX_PATH and in
    the interpreter's prefix.

    Raises:
        ConfigError: it is nowhere.
    """
    here = Path(__file__).resolve()
    source = here.parents[2]
    if (source / "package.xml").is_file() and (source / name).is_dir():
        return source / name
    prefixes = os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep)
    if len(here.parents) > 5:
        prefixes.insert(0, str(here.parents[5]))  # <prefix>/lib/python3.x/site-packages/lifelong_nav/core
    for prefix in filter(None, [*prefixes, sys.prefix]):
        folder = Path(prefix) / "share" / _PACKAGE / name
        if folder.is_dir():
            return folder
    raise ConfigError(
        f"The folder '{name}' of {_PACKAGE} is not installed.",
        "Install the package again (pip install . or colcon build).",
    )
