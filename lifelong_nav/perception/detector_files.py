"""Which detector files are known, and where they are looked for.

No Python package on PyPI carries permissively licensed weights of a multi-person detector that
onnxruntime can run, and nothing may be downloaded behind anybody's back: `lifelong-nav fetch-weights`
fetches by URL and sha256, and everything works, from the lidar alone, without.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lifelong_nav.core.errors import ConfigError
from lifelong_nav.core.share import recordings, share_folder
from lifelong_nav.core.storage import sha256

NO_WEIGHTS = "no detector weights: lidar only; run lifelong-nav fetch-weights"
"""What a robot without weights says in its status."""

VARIABLE = "LIFELONG_NAV_WEIGHTS"


@dataclass(frozen=True)
class DetectorFile:
    """One published set of weights.

    `urls` in order of preference; `sha256`, `size` [bytes] of what they hold; `also` sha256 of other
    exports of the same network that are met in the wild.
    """

    name: str
    filename: str
    urls: tuple[str, ...]
    sha256: str
    size: int
    licence: str
    source: str
    also: tuple[str, ...] = ()


DETECTOR_FILES: tuple[DetectorFile, ...] = (
    DetectorFile(
        name="yolox-nano",
        filename="yolox_nano.onnx",
        urls=("https://github.com/Megvii-BaseDetection/YOLOX/releases/download/0.1.1rc0/yolox_nano.onnx",),
        sha256="c789161ed43c8269fcd4e67c67eeeb4e80c622da2eb296a20bc6007bd18a0b7d",
        size=3_659_407,
        licence="Apache-2.0",
        source="Megvii-BaseDetection/YOLOX, release 0.1.1rc0 (Ge et al., arXiv:2107.08430; COCO)",
        also=("e8af074932d4ed7e232278e3055cefcdea3edf178874a3694ae292649fb464dd",),
    ),
    DetectorFile(
        name="fastestdet",
        filename="FastestDet.onnx",
        urls=(
            "https://raw.githubusercontent.com/dog-qiuqiu/FastestDet/"
            "50473cd155cb088aa4a99e64ff6a4b3c24fa07e1/example/onnx-runtime/FastestDet.onnx",
        ),
        sha256="31cb14c017fce347cb4c846ec62fdf00d76bb3beecdf4be21e7116ac67feb880",
        size=998_169,
        licence="BSD-3-Clause",
        source="dog-qiuqiu/FastestDet, copyright 2022 xuehao.ma (COCO)",
    ),
)
"""Best first: where several are found, the first is used."""


def known_file(name: str) -> DetectorFile | None:
    """The entry with this name or file name."""
    return next((f for f in DETECTOR_FILES if name in (f.name, f.filename)), None)


def published_as(path: Path) -> DetectorFile | None:
    """The published file these bytes are, None for weights of another origin."""
    digest = sha256(path)
    return next((f for f in DETECTOR_FILES if digest in (f.sha256, *f.also)), None)


def user_cache() -> Path:
    """Where `fetch-weights` puts files: $XDG_CACHE_HOME (~/.cache)/lifelong_nav/weights."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lifelong_nav" / "weights"


def find_detector(wanted: str = "") -> Path | None:
    """The file to load, None where there is none.

    Args:
        wanted: a path; or the name of a known file; empty for the best one found. Names are looked for
            in $LIFELONG_NAV_WEIGHTS (a folder, or the file itself), models/detectors of the
            installation, the user's cache, and the folder of recorded data.

    Raises:
        ConfigError: `wanted` is a path that does not exist, or a name nobody knows.
    """
    named = known_file(wanted) if wanted else None
    if wanted and named is None:
        path = Path(wanted).expanduser()
        if path.is_file():
            return path
        names = ", ".join(f.name for f in DETECTOR_FILES)
        raise ConfigError(f"There are no detector weights at '{wanted}'.", f"Name a file, or one of {names}.")
    filenames = [named.filename] if named else [f.filename for f in DETECTOR_FILES]
    for place in _places():
        if place.is_file():
            return place
        for filename in filenames:
            if (place / filename).is_file():
                return place / filename
    return None


def _places() -> Iterator[Path]:
    variable = os.environ.get(VARIABLE)
    if variable:
        place = Path(variable).expanduser()
        if not place.exists():
            raise ConfigError(f"{VARIABLE}={variable} does not exist.", "Unset it, or name a folder or file.")
        yield place
    with contextlib.suppress(ConfigError):  # an installation without models
        yield share_folder("models") / "detectors"
    yield user_cache()
    yield recordings("detectors")
