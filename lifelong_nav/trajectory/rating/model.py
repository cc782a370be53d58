"""The rating model at run time: a small set network in numpy, distilled from people's ratings.

One network for every person, one for every interaction, each pooled by sum and maximum; a head reads both
pools and the summary figures. Two milliseconds for 200 poses among eight people.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lifelong_nav.core.checkpoints import load_checkpoint
from lifelong_nav.core.errors import CheckpointError
from lifelong_nav.core.share import share_folder
from lifelong_nav.core.types import FloatArray
from lifelong_nav.trajectory.rating.features import (
    PERSON_WIDTH,
    SCENE_WIDTH,
    TIE_WIDTH,
    Features,
    Surroundings,
    features,
)

SCHEMA = "social-rating/1"
FILE = "rating.safetensors"
SUM_SCALE = 0.3
"""The sum over people is scaled so that it and the maximum are of like size."""
CLIP = 4.0
"""Summary figures are clipped to so many standard deviations."""
LAYERS = ("people.0", "people.1", "ties.0", "ties.1", "head.0", "head.1", "head.2")

_Floats = NDArray[np.float32]


@dataclass(frozen=True)
class RatingModel:
    """Weights of the network: `weights` and `biases` by layer name, `mean` and `scale` of the summary."""

    weights: Mapping[str, _Floats]
    biases: Mapping[str, _Floats]
    mean: _Floats
    scale: _Floats
    facts: Mapping[str, Any]

    def rate(self, poses: FloatArray, around: Surroundings) -> FloatArray:
        """(...) mean rating in [0, 1], 1 the best, of a robot that stands at `poses` (..., 3).

        Args:
            poses: x, y [m], yaw [rad].
            around: in the same frame; leading axes broadcast.
        """
        return self.rate_features(features(poses, around))

    def rate_features(self, f: Features) -> FloatArray:
        """(...) ratings of what `features` returned."""
        scene = np.clip((f.scene - self.mean) * self.scale, -CLIP, CLIP)
        lead = scene.shape[:-1]
        pools = [*self._pool("people", f.people, f.there), *self._pool("ties", f.ties, f.tied)]
        pools = [np.broadcast_to(pool, (*lead, pool.shape[-1])) for pool in pools]
        x = np.concatenate([*pools, scene], axis=-1).reshape(-1, self.weights["head.0"].shape[0])
        x = self._layer("head.1", self._layer("head.0", x))
        logit = (x @ self.weights["head.2"])[:, 0] + self.biases["head.2"]
        return np.asarray(1.0 / (1.0 + np.exp(-logit)), dtype=float).reshape(lead)

    def _pool(self, name: str, tokens: _Floats, mask: NDArray[np.bool_]) -> tuple[_Floats, _Floats]:
        flat = np.ascontiguousarray(tokens).reshape(-1, tokens.shape[-1])
        hidden = self._layer(f"{name}.1", self._layer(f"{name}.0", flat))
        hidden *= mask.reshape(-1, 1)
        hidden = hidden.reshape(*tokens.shape[:-1], -1)
        return SUM_SCALE * hidden.sum(axis=-2), hidden.max(axis=-2)

    def _layer(self, name: str, x: _Floats) -> _Floats:
        y = x @ self.weights[name]
        y += self.biases[name]
        return np.maximum(y, 0.0, out=y)


def load(folder: Path | None = None) -> RatingModel:
    """The shipped model, or the one in `folder`.

    Raises:
        CheckpointError: no model there, or one of another shape.
    """
    path = (folder or share_folder("models") / "social_rating") / FILE
    tensors, facts = load_checkpoint(path)
    if facts.get("schema") != SCHEMA:
        raise CheckpointError(
            f"{path} is of schema {facts.get('schema')!r}, not {SCHEMA}.",
            "Train it again: lifelong-nav train ratings.",
        )
    return from_tensors(tensors, facts, str(path))


def from_tensors(
    tensors: Mapping[str, NDArray[Any]], facts: Mapping[str, Any], source: str = "the model"
) -> RatingModel:
    """A model of arrays by name (`<layer>.weight` (inputs, outputs), `<layer>.bias`, `mean`, `scale`).

    Raises:
        CheckpointError: arrays are missing or of another shape.
    """
    fix = "Train it again: lifelong-nav train ratings."
    names = {f"{layer}.{part}" for layer in LAYERS for part in ("weight", "bias")} | {"mean", "scale"}
    if set(tensors) != names:
        raise CheckpointError(f"{source} lacks or has too many of {sorted(names ^ set(tensors))}.", fix)
    model = RatingModel(
        {layer: tensors[f"{layer}.weight"] for layer in LAYERS},
        {layer: tensors[f"{layer}.bias"] for layer in LAYERS},
        tensors["mean"], tensors["scale"], facts,
    )  # fmt: skip
    widths = (model.weights["people.0"].shape[0], model.weights["ties.0"].shape[0], len(model.mean))
    if widths != (PERSON_WIDTH, TIE_WIDTH, SCENE_WIDTH):
        raise CheckpointError(f"{source} reads inputs of widths {widths}.", fix)
    return model
