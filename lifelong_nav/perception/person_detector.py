"""People in a picture: a pretrained COCO detector on onnxruntime, one thread.

    detector = PersonDetector.load()            # or a path, or "yolox-nano"
    boxes = detector.detect(rgb)                # (H, W, 3) uint8

Pictures go in and boxes come out; no picture is kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lifelong_nav.core.config import param
from lifelong_nav.core.errors import ConfigError, InputError, require_package
from lifelong_nav.core.storage import sha256
from lifelong_nav.core.types import FloatArray
from lifelong_nav.perception.detector_decode import (
    PERSON,
    STRIDES,
    Boxes,
    decode_fastestdet,
    decode_yolox,
    fitted_size,
    letterbox,
    squeezed,
    suppress,
    yolox_grid,
)  # fmt: skip
from lifelong_nav.perception.detector_files import NO_WEIGHTS, find_detector, published_as
from lifelong_nav.perception.onnx_input import with_input_shape

_MOST_BYTES = 200_000_000
_MOST_SHAPES = 4
_LARGEST_SIDE = 8192


@dataclass(frozen=True)
class DetectorConfig:
    """People in pictures."""

    weights: str = param("", doc="ONNX file, yolox-nano or fastestdet; empty: the best one found.")
    input_width: int = param(
        416, "px", 96, 1280, "Longer side of YOLOX's input; 320 is twice as fast and sees less far."
    )
    min_score: float = param(0.35, "", 0.05, 0.99, "Boxes below this score are dropped.")
    max_overlap: float = param(0.5, "", 0.1, 0.95, "Of two boxes that overlap more, the worse is dropped.")
    threads: int = param(1, "", 1, 64, "Threads of the network.")


class PersonDetector:
    """One loaded detector; build with `load`."""

    def __init__(self, model: bytes, config: DetectorConfig, origin: str = "") -> None:
        self._config = config
        self._model = model
        self.origin = origin
        self._sessions: dict[tuple[int, int], tuple[Any, Any]] = {}
        session = _session(model, config.threads)
        self.kind, self._input, self._native = _recognise(session)
        self._flexible, self._decoded = self.kind == "yolox", False
        self.classes = int(session.get_outputs()[0].shape[2 if self.kind == "yolox" else 1]) - 5
        self._keep(self._native, session)
        self._try_out(session)

    @staticmethod
    def load(weights: Path | str | None = None, config: DetectorConfig | None = None) -> PersonDetector:
        """Read and check a detector.

        Args:
            weights: file or name; None for what the config says, else what is found (`find_detector`).
            config: parameters.

        Raises:
            ConfigError: no weights, or a file that is not there.
            InputError: the file is no detector of a kind we can read.
            DependencyError: onnxruntime is not installed.
        """
        config = config or DetectorConfig()
        path = find_detector(str(weights) if weights is not None else config.weights)
        if path is None:
            raise ConfigError("No detector weights were found.", "Run lifelong-nav fetch-weights.")
        size = path.stat().st_size
        if not 10_000 < size < _MOST_BYTES:
            raise InputError(f"{path} has {size} bytes.", "That is no detector; fetch it again.")
        published = published_as(path)
        origin = f"{path.name} of unknown origin"
        if published is not None:
            exact = sha256(path) == published.sha256
            origin = f"{published.name} ({published.licence}{'' if exact else '; exported by others'})"
        try:
            return PersonDetector(path.read_bytes(), config, origin)
        except InputError as error:
            raise InputError(f"{path}: {error.what}", error.fix) from error

    @staticmethod
    def load_or_none(config: DetectorConfig | None = None) -> tuple[PersonDetector | None, str]:
        """A detector where weights are found, else None; and one line for the status either way.

        Raises:
            ConfigError, InputError, DependencyError: as `load`, but for weights that are named or found.
        """
        config = config or DetectorConfig()
        if find_detector(config.weights) is None:
            return None, NO_WEIGHTS
        detector = PersonDetector.load(None, config)
        return detector, detector.status()

    def status(self) -> str:
        """One line: what is loaded."""
        return f"people from the camera by {self.origin}, {self.kind}"

    def detect(self, rgb: NDArray[np.uint8]) -> Boxes:
        """People in a picture.

        Args:
            rgb: (H, W, 3) uint8.

        Raises:
            InputError: not such a picture.
        """
        return self.detect_all(rgb, (PERSON,))

    def detect_all(self, rgb: NDArray[np.uint8], classes: tuple[int, ...] | None = None) -> Boxes:
        """Things in a picture, by COCO class; None for all classes. Args and errors as `detect`."""
        _check_picture(rgb)
        c, (h, w) = self._config, rgb.shape[:2]
        wanted = np.arange(self.classes) if classes is None else np.array(classes, dtype=np.int64)
        if self.kind == "yolox":
            size = fitted_size(w, h, c.input_width) if self._flexible else self._native
            session, grid = self._session_of(size)
            tensor, scale = letterbox(rgb, *size)
            raw = session.run(None, {self._input: tensor})[0][0]
            boxes, scores, labels = decode_yolox(raw, None if self._decoded else grid, wanted, c.min_score)
            boxes = boxes / scale
        else:
            session, _ = self._session_of(self._native)
            raw = session.run(None, {self._input: squeezed(rgb, *self._native)})[0][0]
            boxes, scores, labels = decode_fastestdet(raw, wanted, c.min_score)
            boxes = boxes * (w, h, w, h)
        boxes = np.clip(boxes, 0.0, (w, h, w, h))
        real = ((boxes[:, 2:] - boxes[:, :2]) > 2.0).all(axis=1) & np.isfinite(scores)
        boxes, scores, labels = boxes[real], scores[real], labels[real]
        best = suppress(boxes, scores, labels, c.max_overlap)
        return Boxes(boxes[best], scores[best], labels[best], w, h)

    def _session_of(self, size: tuple[int, int]) -> tuple[Any, tuple[FloatArray, FloatArray]]:
        if size not in self._sessions:
            shape = (1, 3, size[1], size[0])
            session = _session(with_input_shape(self._model, self._input, shape), self._config.threads)
            self._keep(size, session)
        return self._sessions[size]

    def _keep(self, size: tuple[int, int], session: Any) -> None:
        if len(self._sessions) >= _MOST_SHAPES:
            self._sessions.pop(next(iter(self._sessions)))
        self._sessions[size] = (session, yolox_grid(*size))

    def _try_out(self, session: Any) -> None:
        """Run it once on grey: is the output sane, are its boxes decoded, can the input be reshaped?"""
        wide, high = self._native
        grey = np.full((1, 3, high, wide), 114.0, dtype=np.float32)
        raw = session.run(None, {self._input: grey})[0][0]
        if not np.isfinite(raw).all():
            raise InputError("The network answers with numbers that are not finite.", "Fetch it again.")
        if self.kind != "yolox":
            return
        self._decoded = float(np.abs(raw[:, :2]).max()) > 0.5 * min(wide, high)  # raw offsets are of order 1
        if self._decoded:  # its grid is built into the graph, for one size
            self._flexible = False


def _session(model: bytes, threads: int) -> Any:
    ort = require_package("onnxruntime", "vision")
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    try:
        return ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's errors share no base class of their own
        line = str(error).splitlines()[0][:200]
        raise InputError(f"onnxruntime cannot load it ({line}).", "Fetch it again.") from error


def _recognise(session: Any) -> tuple[str, str, tuple[int, int]]:
    """Kind, name of the input, its width and height [px]."""
    inputs, outputs = session.get_inputs(), session.get_outputs()
    shapes = f"inputs {[i.shape for i in inputs]}, outputs {[o.shape for o in outputs]}"
    wrong = InputError(
        f"This network is no YOLOX and no FastestDet ({shapes}).",
        "Use yolox-nano (lifelong-nav fetch-weights).",
    )
    if len(inputs) != 1 or len(outputs) != 1 or len(inputs[0].shape) != 4 or "float" not in inputs[0].type:
        raise wrong
    batch, channels, high, wide = inputs[0].shape
    out = outputs[0].shape
    if (not isinstance(high, int)) or (not isinstance(wide, int)) or channels != 3 or batch not in (1, None):
        raise wrong
    if len(out) == 3 and isinstance(out[2], int) and out[2] > 5:
        cells = sum((high // s) * (wide // s) for s in STRIDES)
        if out[1] == cells:
            return "yolox", inputs[0].name, (wide, high)
    if len(out) == 4 and isinstance(out[1], int) and out[1] > 5 and out[2:] == [high // 16, wide // 16]:
        return "fastestdet", inputs[0].name, (wide, high)
    raise wrong


def _check_picture(rgb: NDArray[np.uint8]) -> None:
    picture = isinstance(rgb, np.ndarray) and rgb.dtype == np.uint8 and rgb.ndim == 3 and rgb.shape[2] == 3
    if not picture or min(rgb.shape[:2]) < 8 or max(rgb.shape[:2]) > _LARGEST_SIDE:
        shape = getattr(rgb, "shape", None)
        raise InputError(
            f"A picture of shape {shape}, {getattr(rgb, 'dtype', type(rgb).__name__)} cannot be searched.",
            "Give (H, W, 3) uint8 RGB.",
        )
