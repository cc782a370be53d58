"""Any open_clip model with a local weight file in place of the shipped trunk.

    trunk = OpenClipTrunk.load("MobileCLIP2-S0", Path("mobileclip2_s0.safetensors"))

Its features are that model's image embedding; a head is then trained on them by the same `fit_head`, into
the same caption space. torch and open_clip are needed at run time then.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lifelong_nav.core.errors import CheckpointError, ConfigError, require_package
from lifelong_nav.core.storage import sha256
from lifelong_nav.core.types import FloatArray
from lifelong_nav.perception.sc_clip.image_trunk import FeaturePart, RgbImage, as_images

_BATCH = 16


class OpenClipTrunk:
    """The image tower of an open_clip model as a `Trunk`; use `load`."""

    def __init__(self, model: Any, transform: Any, version: str, dim: int) -> None:
        self._model, self._transform = model, transform
        self.version, self.dim = version, dim
        self.parts: tuple[FeaturePart, ...] = (FeaturePart("embedding", 0, dim),)

    @classmethod
    def load(cls, architecture: str, weights: Path, device: str = "cpu") -> OpenClipTrunk:
        """Build the model by open_clip's name and read its weights from a file.

        Args:
            architecture: e.g. "ViT-B-32", "MobileCLIP2-S0", or one of our own configurations.
            weights: .safetensors or .pt state dict; nothing is ever downloaded.
            device: torch device.

        Raises:
            ConfigError: open_clip does not know the architecture.
            CheckpointError: the file is missing or does not fit.
            DependencyError: torch, open_clip or timm is not installed.
        """
        if not weights.is_file():
            raise CheckpointError(f"{weights} is missing.", "Name a local weight file of that architecture.")
        models = require_package("lifelong_nav.perception.sc_clip.open_clip_models", "learn")
        open_clip = models.register()
        if architecture not in open_clip.list_models():
            raise ConfigError(
                f"open_clip knows no architecture {architecture!r}.", "See open_clip.list_models()."
            )
        try:
            model, _, transform = open_clip.create_model_and_transforms(
                architecture, pretrained=str(weights), device=device
            )
        except Exception as error:  # torch, safetensors and open_clip each raise their own
            raise CheckpointError(
                f"{weights} does not fit {architecture} ({error}).", "Check both."
            ) from error
        return cls.wrap(model, transform, f"{architecture}-{sha256(weights)[:12]}")

    @classmethod
    def wrap(cls, model: Any, transform: Any, version: str) -> OpenClipTrunk:
        """Use a model that is already built; `transform` turns a PIL picture into its input."""
        trunk = cls(model.eval().requires_grad_(False), transform, version, 0)
        dim = trunk.features(np.zeros((32, 32, 3), np.uint8)).shape[1]
        return cls(trunk._model, transform, version, dim)

    def features(self, images: RgbImage | Sequence[RgbImage]) -> FloatArray:
        """(N, F) float32 unit embeddings of one picture or of several, each (H, W, 3) uint8 RGB.

        Raises:
            InputError: something that is no picture.
        """
        torch = require_package("torch", "learn")
        pil = require_package("PIL.Image", "learn")
        batch = as_images(images)
        out = []
        device = next(self._model.parameters()).device
        for start in range(0, len(batch), _BATCH):
            pixels = [self._transform(pil.fromarray(image)) for image in batch[start : start + _BATCH]]
            with torch.inference_mode():
                out.append(self._model.encode_image(torch.stack(pixels).to(device), normalize=True).cpu())
        rows: FloatArray = torch.cat(out).float().numpy() if out else np.zeros((0, self.dim), np.float32)
        return rows
