"""SC-CLIP as one open_clip model, for researchers: both towers in one space.

    model, transform = load_sc_clip()
    model.encode_image(transform(picture)[None], normalize=True)    # == ContextHead.embed(features).fused
    model.encode_text(open_clip.get_tokenizer("sc-clip-lite0")(["A queue in a hall."]), normalize=True)

    write_whole(Path("sc_clip.safetensors"))    # one file for open_clip.create_model("sc-clip-lite0", ...)

The robot does not need it: it runs the exported towers and the numpy head. Facts have no place in open_clip;
this is the image voice speaking alone.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save

from lifelong_nav.core.checkpoints import load_checkpoint, save_checkpoint
from lifelong_nav.core.errors import CheckpointError, require_package
from lifelong_nav.core.storage import atomic_write
from lifelong_nav.perception.sc_clip import open_clip_models
from lifelong_nav.perception.sc_clip.head import ContextHead

_HEAD = ("mean", "scale", "w1", "b1", "w2", "b2", "skip")
_VISUAL = "visual.trunk."
IMAGE, TEXT = "image.safetensors", "text.safetensors"


def head_tensors(head: ContextHead) -> dict[str, NDArray[Any]]:
    """The image voice of a head under the names it has inside the open_clip model."""
    return {f"{_VISUAL}head.{name}": head.params[f"image.{name}"] for name in _HEAD}


def write_image_tower(folder: Path, trunk: Any, head: ContextHead, facts: Mapping[str, Any]) -> Path:
    """Write `image.safetensors`: trunk and image voice; matrices as float16, half the size.

    The text tower lies beside it in `text.safetensors` (`training.text_publish`).

    Args:
        folder: models/sc_clip/open_clip.
        trunk: the `ScClipLite0` whose features the head was trained on.
        head: the trained head.
        facts: description.
    """
    own = {f"{_VISUAL}{k}": v.numpy() for k, v in trunk.state_dict().items()} | head_tensors(head)
    small = {k: v.astype(np.float16) if v.ndim > 1 and v.dtype.kind == "f" else v for k, v in own.items()}
    save_checkpoint(folder / IMAGE, small, facts)
    return folder / IMAGE


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
    torch = require_package("torch", "learn")
    trunk_model = require_package("lifelong_nav.perception.sc_clip.trunk_model", "learn")
    tensors = whole_state(folder) | ({} if head is None else head_tensors(head))
    logging.getLogger().setLevel(logging.ERROR)  # open_clip warns on the root logger of what follows here
    model, _, transform = open_clip.create_model_and_transforms(
        open_clip_models.NAME, image_mean=(trunk_model.MEAN,) * 3, image_std=(trunk_model.STD,) * 3,
        image_interpolation="bilinear", image_resize_mode="squash",
    )  # fmt: skip
    try:
        model.load_state_dict({k: torch.from_numpy(np.array(v)) for k, v in tensors.items()})
    except RuntimeError as error:
        raise CheckpointError(f"The weights in {folder} do not fit ({error}).", "Restore them.") from error
    return model.eval(), transform


def whole_state(folder: Path | None = None) -> dict[str, NDArray[Any]]:
    """State of the whole open_clip model from the two towers' files."""
    folder = folder or open_clip_models.config_folder()
    image, _ = load_checkpoint(folder / IMAGE)
    text, _ = load_checkpoint(folder / TEXT)
    scale = {"logit_scale": np.array(np.log(1.0 / 0.05), dtype=np.float32)}
    return image | {f"text.{k.removeprefix('text.')}": v for k, v in text.items()} | scale


def write_whole(path: Path, folder: Path | None = None) -> None:
    """Both towers in one .safetensors for `open_clip.create_model("sc-clip-lite0", pretrained=path)`."""
    atomic_write(path, save({k: np.ascontiguousarray(v) for k, v in whole_state(folder).items()}))
