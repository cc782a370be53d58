"""Writes the trunk for onnxruntime once and for all: fp32, static int8, and the card that names both."""

from __future__ import annotations

import logging
import tempfile
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lifelong_nav.core.errors import require_package
from lifelong_nav.core.storage import atomic_write, atomic_write_json, sha256
from lifelong_nav.core.types import FloatArray
from lifelong_nav.perception.sc_clip.image_trunk import SCHEMA, ImageTrunk, RgbImage, fit_input

OPSET = 17
FILES = {"fp32": "trunk_fp32.onnx", "int8": "trunk_int8.onnx"}
_INPUT = "pixels"


def export_trunk(
    model: Any,
    folder: Path,
    calibration: Sequence[RgbImage],
    facts: dict[str, Any] | None = None,
    precision: str = "int8",
) -> None:
    """Write `trunk_fp32.onnx`, `trunk_int8.onnx` and `trunk.json`.

    Args:
        model: a `ScClipLite0` without head.
        folder: where to.
        calibration: pictures that set the int8 ranges; a few hundred, renders and photographs.
        facts: more for the card (source of the weights, measured agreement).
        precision: the one `ImageTrunk.load` takes unless told otherwise.
    """
    from lifelong_nav.perception.sc_clip.trunk_model import HEIGHT, NAME, WIDTH, part_sizes

    with tempfile.TemporaryDirectory() as scratch:
        raw = Path(scratch) / "raw.onnx"
        _export_float(model, raw)
        clean = Path(scratch) / "clean.onnx"
        quantization = require_package("onnxruntime.quantization.shape_inference", "learn")
        quantization.quant_pre_process(str(raw), str(clean), skip_symbolic_shape=True)
        fold_pads(clean)
        small = Path(scratch) / "int8.onnx"
        quantize_trunk(clean, small, fit_input(calibration, HEIGHT, WIDTH))
        atomic_write(folder / FILES["fp32"], clean.read_bytes())
        atomic_write(folder / FILES["int8"], small.read_bytes())
    digests = {name: sha256(folder / file) for name, file in FILES.items()}
    bounds = np.cumsum([0, *(size for _, size in part_sizes())]).tolist()
    parts = [[name, bounds[i], bounds[i + 1]] for i, (name, _) in enumerate(part_sizes())]
    card = {
        "schema": SCHEMA,
        "name": NAME,
        "version": f"{NAME}-{digests[precision][:12]}",
        "height": HEIGHT,
        "width": WIDTH,
        "parts": parts,
        "precision": precision,
        "files": {name: {"name": file, "sha256": digests[name]} for name, file in FILES.items()},
        "facts": facts or {},
    }
    atomic_write_json(folder / "trunk.json", card)


def _export_float(model: Any, path: Path) -> None:
    import torch

    from lifelong_nav.perception.sc_clip.trunk_model import HEIGHT, WIDTH, scale_pixels

    class FromPixels(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.trunk = model

        def forward(self, pixels: torch.Tensor) -> torch.Tensor:
            out: torch.Tensor = self.trunk.forward_features(scale_pixels(pixels))
            return out

    example = torch.zeros(1, HEIGHT, WIDTH, 3, dtype=torch.uint8)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # fixed input size on purpose; the exporter warns of each constant
        torch.onnx.export(
            FromPixels().eval(), (example,), str(path), opset_version=OPSET, dynamo=False,
            input_names=[_INPUT], output_names=["features"],
            dynamic_axes={_INPUT: {0: "n"}, "features": {0: "n"}},
        )  # fmt: skip


def fold_pads(path: Path) -> int:
    """Move constant zero padding into the convolution behind it, in place; returns how many.

    A `Pad` between two int8 convolutions costs a round trip through float, a quarter of the run time.
    """
    onnx = require_package("onnx", "learn")
    helper = onnx.numpy_helper
    model = onnx.load(str(path))
    graph = model.graph
    constants = {t.name: helper.to_array(t) for t in graph.initializer}
    for node in graph.node:
        if node.op_type == "Constant":
            constants[node.output[0]] = helper.to_array(node.attribute[0].t)
    pads = {n.output[0]: n for n in graph.node if n.op_type == "Pad"}
    folded = 0
    for node in graph.node:
        pad = pads.get(node.input[0]) if node.op_type == "Conv" else None
        if pad is None:
            continue
        _, _, top, left, _, _, bottom, right = constants[pad.input[1]].tolist()
        own = next(a for a in node.attribute if a.name == "pads")
        border = [old + new for old, new in zip(own.ints, (top, left, bottom, right), strict=True)]
        del own.ints[:]
        own.ints.extend(border)
        node.input[0] = pad.input[0]
        graph.node.remove(pad)
        folded += 1
    used = {name for node in graph.node for name in node.input}
    for tensor in [t for t in graph.initializer if t.name not in used]:
        graph.initializer.remove(tensor)
    onnx.save(model, str(path))
    return folded


def quantize_trunk(source: Path, target: Path, pixels: NDArray[np.uint8]) -> None:
    """Static int8 (quantise-dequantise nodes) of the convolutions and the classifier.

    Args:
        source: the float graph after shape inference.
        target: file to write.
        pixels: (N, H, W, 3) uint8 calibration pictures in input size.
    """
    q = require_package("onnxruntime.quantization", "learn")

    class Reader(q.CalibrationDataReader):  # type: ignore[name-defined]
        def __init__(self) -> None:
            self.left = iter(pixels)

        def get_next(self) -> dict[str, NDArray[np.uint8]] | None:
            picture = next(self.left, None)
            return None if picture is None else {_INPUT: picture[None]}

    logging.getLogger().setLevel(logging.ERROR)  # the quantiser warns of every step on the root logger
    q.quantize_static(
        str(source), str(target), Reader(), quant_format=q.QuantFormat.QDQ, per_channel=True,
        activation_type=q.QuantType.QUInt8, weight_type=q.QuantType.QInt8,
        op_types_to_quantize=["Conv", "Clip", "Add", "Gemm"],
    )  # fmt: skip


def agreement(a: FloatArray, b: FloatArray) -> dict[str, float]:
    """How alike two encodings (N, F) of the same pictures are: cosine of centred rows, mean and worst."""
    centre = a.mean(0)
    x, y = a - centre, b - centre
    cosines = (x * y).sum(1) / np.maximum(np.linalg.norm(x, axis=1) * np.linalg.norm(y, axis=1), 1e-12)
    return {"mean_cosine": float(cosines.mean()), "worst_cosine": float(cosines.min())}


def encoder_time(trunk: ImageTrunk, image: RgbImage, runs: int = 30) -> float:
    """Least CPU milliseconds of one picture, resizing included."""
    times = []
    for _ in range(runs):
        start = time.process_time()
        trunk.features(image)
        times.append(time.process_time() - start)
    return 1e3 * min(times)
