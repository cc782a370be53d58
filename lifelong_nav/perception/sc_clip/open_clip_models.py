"""Our model configurations in open_clip: `open_clip.create_model("sc-clip-lite0")` builds them offline.

For training and export; the robot runs the exported ONNX files. Any other open_clip architecture with a local
weight file is built the same way, by its own name.
"""

from __future__ import annotations

import copy
import os
import tempfile
from pathlib import Path
from types import ModuleType
from typing import Any

from lifelong_nav.core.errors import CheckpointError, ConfigError, require_package
from lifelong_nav.core.share import share_folder
from lifelong_nav.core.storage import atomic_write_json, read_json
from lifelong_nav.perception.sc_clip.torch_setup import ensure_torchvision

NAME = "sc-clip-lite0"
_resolved: dict[Path, tempfile.TemporaryDirectory[str]] = {}
"""open_clip reads the folders again at every registration, so they live as long as the process."""


def config_folder() -> Path:
    """Folder of the shipped open_clip configurations and weights."""
    return share_folder("models") / "sc_clip" / "open_clip"


def clip_merges_file() -> Path:
    """open_clip's own BPE file, which the vocabulary is cut from."""
    return Path(str(require_package("open_clip.tokenizer", "learn").__file__)).with_name(
        "bpe_simple_vocab_16e6.txt.gz"
    )


def read_config(name: str = NAME, folder: Path | None = None) -> dict[str, Any]:
    """One configuration with the path of its BPE file made absolute (open_clip opens it as it stands).

    Raises:
        ConfigError: there is no configuration of that name.
        CheckpointError: its BPE file is missing.
    """
    path = (folder or config_folder()) / f"{name}.json"
    if not path.is_file():
        raise ConfigError(f"There is no open_clip configuration {path}.", "Give the name of a file there.")
    config: dict[str, Any] = read_json(path)
    words = config["text_cfg"].get("tokenizer_kwargs", {})
    if "bpe_path" in words:
        bpe = (path.parent / words["bpe_path"]).resolve()
        if not bpe.is_file():
            raise CheckpointError(f"{bpe} of {path.name} is missing.", "Restore the model folder.")
        words["bpe_path"] = str(bpe)
    return config


def register(folder: Path | None = None) -> ModuleType:
    """Make every configuration of `folder` (the shipped ones for None) known to open_clip; returns open_clip.

    Our timm trunks are registered too. Nothing is fetched from a hub afterwards. Calling it again is free.

    Raises:
        DependencyError: open_clip or timm is not installed.
    """
    folder = (folder or config_folder()).resolve()
    os.environ.setdefault("HF_HUB_OFFLINE", "1")  # else a missing file costs 49 s of retries
    ensure_torchvision()
    open_clip = require_package("open_clip", "learn")
    require_package("lifelong_nav.perception.sc_clip.trunk_model", "learn")
    if folder not in _resolved:
        place = tempfile.TemporaryDirectory(prefix="open_clip_")
        for path in sorted(folder.glob("*.json")):
            if "text_cfg" in (raw := read_json(path)) and "embed_dim" in raw:
                atomic_write_json(Path(place.name) / path.name, read_config(path.stem, folder))
        open_clip.add_model_config(place.name)
        _resolved[folder] = place
    return open_clip


def build_text_tower(config: dict[str, Any] | None = None) -> Any:
    """The text tower (`open_clip.transformer.TextTransformer`) alone, with fresh weights.

    Its parameters are those of `create_model(NAME).text`.
    """
    ensure_torchvision()
    model = require_package("open_clip.model", "learn")
    config = copy.deepcopy(config or read_config())
    return model._build_text_tower(config["embed_dim"], model.CLIPTextCfg(**config["text_cfg"]))
