"""The frozen eye of SC-CLIP: a picture becomes a feature vector that never changes its meaning.

`ImageTrunk` runs the exported network on onnxruntime; whatever learns sits behind it in the head. Other
eyes (any open_clip model) keep to the same `Trunk` protocol.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from lifelong_nav.core.errors import CheckpointError, InputError, require_package
from lifelong_nav.core.storage import read_json, sha256
from lifelong_nav.core.types import FloatArray

SCHEMA = "sc_clip.trunk/1"
MAX_PIXELS = 64_000_000
_BATCH = 16

RgbImage = NDArray[np.uint8]
"""(H, W, 3) uint8, red first."""


@dataclass(frozen=True)
class FeaturePart:
    """A named slice [start, stop) of the feature vector."""

    name: str
    start: int
    stop: int

    @property
    def slice(self) -> slice:
        """The columns of this part."""
        return slice(self.start, self.stop)


@runtime_checkable
class Trunk(Protocol):
    """Any frozen picture encoder: `version` names its feature space, so that a head can refuse another."""

    version: str
    dim: int
    parts: tuple[FeaturePart, ...]

    def features(self, images: RgbImage | Sequence[RgbImage]) -> FloatArray:
        """(N, F) float32 features of one picture or of several, each (H, W, 3) uint8 RGB."""
        ...


def check_image(image: Any) -> RgbImage:
    """Return `image` if it is a picture.

    Raises:
        InputError: not an (H, W, 3) uint8 array, empty, or beyond `MAX_PIXELS`.
    """
    fix = "Give one (H, W, 3) uint8 RGB array, or a list of them."
    if not isinstance(image, np.ndarray) or image.ndim != 3 or image.shape[2] != 3:
        raise InputError(f"Picture of shape {np.shape(image)}.", fix)
    if image.dtype != np.uint8:
        raise InputError(f"Picture of type {image.dtype}.", fix)
    height, width = image.shape[:2]
    if not 0 < height * width <= MAX_PIXELS:
        raise InputError(f"Picture of {height} x {width} pixels.", fix)
    return image


def as_images(images: RgbImage | Sequence[RgbImage]) -> list[RgbImage]:
    """One picture, a stack (N, H, W, 3) or a sequence of pictures as a checked list."""
    if isinstance(images, np.ndarray) and images.ndim == 3:
        return [check_image(images)]
    return [check_image(image) for image in images]


def fit_input(images: Sequence[RgbImage], height: int, width: int) -> NDArray[np.uint8]:
    """(N, height, width, 3) uint8: each whole picture squeezed into the input, the sides never cropped.

    Area averaging, so that cameras of different resolution look alike to the network.
    """
    cv2 = require_package("cv2", "vision")
    out = np.empty((len(images), height, width, 3), dtype=np.uint8)
    for i, image in enumerate(images):
        if image.shape[:2] == (height, width):
            out[i] = image
        else:
            smaller = image.shape[0] >= height and image.shape[1] >= width
            how = cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
            out[i] = cv2.resize(np.ascontiguousarray(image), (width, height), interpolation=how)
    return out


def open_session(path: Path, threads: int = 1) -> Any:
    """An onnxruntime CPU session with `threads` threads.

    Raises:
        CheckpointError: the file is missing or no valid ONNX graph.
        DependencyError: onnxruntime is not installed.
    """
    ort = require_package("onnxruntime", "vision")
    fix = "Restore models/sc_clip, or train again with: lifelong-nav train sc-clip."
    if not path.is_file():
        raise CheckpointError(f"{path} is missing.", fix)
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # two cores carry a robot
    options.log_severity_level = 3
    try:
        return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's exceptions share no base class of their own
        raise CheckpointError(f"{path} cannot be run ({error}).", fix) from error


class ImageTrunk:
    """The shipped trunk `sc_clip_lite0` on onnxruntime; use `load`."""

    def __init__(self, session: Any, card: dict[str, Any]) -> None:
        self._session = session
        self._input = session.get_inputs()[0].name
        self.height, self.width = int(card["height"]), int(card["width"])
        self.version = str(card["version"])
        self.parts = tuple(FeaturePart(str(n), int(a), int(b)) for n, a, b in card["parts"])
        self.dim = self.parts[-1].stop
        self.card = card

    @classmethod
    def load(cls, folder: Path, precision: str = "", threads: int = 1) -> ImageTrunk:
        """Read `trunk.json` and the network beside it.

        Args:
            folder: models/sc_clip/trunk.
            precision: "int8" or "fp32"; "" takes the one the card recommends.
            threads: threads of one inference.

        Raises:
            CheckpointError: a file is missing, damaged or of another schema.
        """
        card = read_json(folder / "trunk.json")
        fix = "Restore models/sc_clip/trunk, or train again with: lifelong-nav train sc-clip."
        if not isinstance(card, dict) or card.get("schema") != SCHEMA:
            raise CheckpointError(f"{folder / 'trunk.json'} is not of schema {SCHEMA}.", fix)
        files = card["files"]
        precision = precision or str(card["precision"])
        if precision not in files:
            raise CheckpointError(
                f"There is no {precision} trunk in {folder}.", f"Known: {', '.join(files)}."
            )
        path = folder / files[precision]["name"]
        session = open_session(path, threads)
        if sha256(path) != files[precision]["sha256"]:
            raise CheckpointError(f"{path} is not the file its card describes.", fix)
        return cls(session, card)

    def features(self, images: RgbImage | Sequence[RgbImage]) -> FloatArray:
        """(N, F) float32 features of one picture or of several, each (H, W, 3) uint8 RGB of any size.

        Raises:
            InputError: something that is no picture.
        """
        batch = as_images(images)
        out = np.empty((len(batch), self.dim), dtype=np.float32)
        for start in range(0, len(batch), _BATCH):
            pixels = fit_input(batch[start : start + _BATCH], self.height, self.width)
            out[start : start + len(pixels)] = self._session.run(None, {self._input: pixels})[0]
        return out
