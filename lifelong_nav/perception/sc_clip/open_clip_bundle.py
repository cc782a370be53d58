"""SC-CLIP as one open_clip model, for researchers: both towers in one space, weights in one file.

    model, transform = load_sc_clip()
    model.encode_image(transform(picture)[None], normalize=True)    # == ContextHead.embed(features).fused
    model.encode_text(open_clip.get_tokenizer("sc-clip-lite0")(["A queue in a hall."]), normalize=True)

The robot does not need it: it runs the exported towers and the numpy head. Facts have no place in open_clip;
this is the image voice speaking alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save

from lifelong_nav.core.checkpoints import load_checkpoint
from lifelong_nav.core.errors import CheckpointError, require_package
from lifelong_nav.core.storage import atomic_write
from lifelong_nav.perception.sc_clip import open_clip_models
from lifelong_nav.perception.sc_clip.head import ContextHead

_HEAD = ("mean", "scale", "w1", "b1", "w2", "b2", "skip")
_VISUAL, _TEXT = "visual.trunk.", "text."


def head_tensors(head: ContextHead) -> dict[str, NDArray[Any]]:
    """The image voice of a head under the names it has inside the open_clip model."""
    return {f"{_VISUAL}head.{name}": head.params[f"image.{name}"] for name in _HEAD}


def write_open_clip(
    folder: Path, trunk: Any, head: ContextHead, text: Mapping[str, NDArray[Any]], facts: Mapping[str, Any]
) -> Path:
    """Write `sc-clip-lite0.safetensors` with both towers; matrices as float16, half the size.

    Args:
        folder: models/sc_clip/open_clip.
        trunk: the `ScClipLite0` whose features the head was trained on.
        head: the trained head.
        text: state of the text tower (`build_text_tower`), without prefix.
        facts: description, kept in the file's metadata.
    """
    own = {f"{_VISUAL}{k}": v.numpy() for k, v in trunk.state_dict().items()}
    tensors = own | head_tensors(head) | {f"{_TEXT}{k}": v for k, v in text.items()}
    tensors["logit_scale"] = np.array(np.log(1.0 / 0.05), dtype=np.float32)
    small = {k: v.astype(np.float16) if v.ndim > 1 and v.dtype.kind == "f" else v for k, v in tensors.items()}
    path = folder / f"{open_clip_models.NAME}.safetensors"
    whole = {k: np.ascontiguousarray(v) for k, v in small.items()}
    atomic_write(path, save(whole, {k: str(v) for k, v in facts.items()}))  # its .json is open_clip's own
    return path


def load_sc_clip(folder: Path | None = None, head: ContextHead | None = None) -> tuple[Any, Any]:
    """The open_clip model and the transform of its pictures.

    Args:
        folder: models/sc_clip/open_clip; None for the shipped one.
        head: a learned head whose image voice shall take the place of the shipped one.

    Raises:
        CheckpointError: the weights are missing or do not fit.
        DependencyError: torch, open_clip or timm is not installed.
    """
    folder = folder or open_clip_models.config_folder()
    open_clip = open_clip_models.register(folder)
    trunk_model = require_package("lifelong_nav.perception.sc_clip.trunk_model", "learn")
    weights = folder / f"{open_clip_models.NAME}.safetensors"
    if not weights.is_file():
        raise CheckpointError(f"{weights} is missing.", "Train it with: lifelong-nav train sc-clip.")
    try:
        model, _, transform = open_clip.create_model_and_transforms(
            open_clip_models.NAME, pretrained=str(weights), image_mean=(trunk_model.MEAN,) * 3,
            image_std=(trunk_model.STD,) * 3, image_interpolation="bilinear", image_resize_mode="squash",
        )  # fmt: skip
    except RuntimeError as error:
        raise CheckpointError(f"{weights} does not fit its configuration.", "Restore both.") from error
    if head is not None:
        torch = require_package("torch", "learn")
        own = {k: torch.from_numpy(v) for k, v in head_tensors(head).items()}
        model.load_state_dict(own, strict=False)
    return model.eval(), transform


def text_state(path: Path) -> dict[str, NDArray[Any]]:
    """The text tower's tensors from a checkpoint, with or without the prefix "text."."""
    tensors, _ = load_checkpoint(path)
    return {k.removeprefix(_TEXT): v for k, v in tensors.items()}
