"""The prediction network in numpy: weights from safetensors, one pass for all people.

The same function as `training.prediction_model.PredictionModel`; see there for what is what.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lifelong_nav.core.checkpoints import load_checkpoint
from lifelong_nav.core.errors import CheckpointError
from lifelong_nav.core.types import FloatArray
from lifelong_nav.trajectory.prediction.features import (
    NEIGHBOUR_FEATURES,
    PERIOD,
    heading,
    neighbour_features,
    own_features,
    turned,
)

SCHEMA = 1
STEPS, OWN, HEADS = 12, 22, 4
HORIZON_TIMES = PERIOD * np.arange(1, STEPS + 1)
"""(12,) [s] at which the network predicts."""
_MIRROR = np.array([1.0, -1.0])


@dataclass(frozen=True)
class PredictionNetwork:
    """Weights of one network, or of several whose modes mean the same; `facts` from the file beside them."""

    tensors: dict[str, NDArray[Any]]
    facts: dict[str, Any]

    @classmethod
    def load(cls, path: Path) -> PredictionNetwork:
        """Read a .safetensors file.

        Raises:
            CheckpointError: missing, damaged or of another architecture.
        """
        tensors, facts = load_checkpoint(path)
        modes, width = facts.get("modes"), facts.get("width")
        social, pace = facts.get("social"), facts.get("pace")
        fix = "Restore the shipped file or train again: lifelong-nav train prediction."
        if facts.get("schema") != SCHEMA or not all(isinstance(n, int) for n in (modes, width, social)):
            raise CheckpointError(f"{path} is no prediction network of schema {SCHEMA}.", fix)
        if not isinstance(pace, float):
            raise CheckpointError(f"{path} does not say its pace.", fix)
        expected = shapes(int(modes), int(width), int(social))  # type: ignore[arg-type]
        found = {k: v.shape for k, v in tensors.items()}
        if found != expected:
            raise CheckpointError(f"{path} holds tensors of other shapes.", fix)
        return cls({k: v.astype(np.float32) for k, v in tensors.items()}, facts)

    @property
    def modes(self) -> int:
        """Number of modes."""
        return int(self.facts["modes"])

    def forward(
        self, past: FloatArray, seen: NDArray[np.bool_], near: FloatArray, there: NDArray[np.bool_]
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Tracks (B, K, 12, 2) [m], logits (B, K), log of the spreads (B, K, 12), all in the own frame.

        Args:
            past: (B, 8, 2) places relative to now in the own frame [m].
            seen: (B, 8) which are known.
            near: (B, J, 4) place and velocity of neighbours in the own frame.
            there: (B, J) which exist.
        """
        t, k = self.tensors, self.modes
        past, near = past.astype(np.float32), near.astype(np.float32)
        own = own_features(past, seen)
        h = _relu(_line(t, "own2", _relu(_line(t, "own1", own))))
        slim = _relu(_line(t, "slim", h))
        # the part of the layer that sees the person is the same for all its neighbours
        weight, cut = t["near1.weight"], NEIGHBOUR_FEATURES
        n = neighbour_features(past, near) @ weight[:, :cut].T
        n = _relu(n + (slim @ weight[:, cut:].T + t["near1.bias"])[:, None])
        n = _relu(_line(t, "near2", n))
        score = np.where(there[..., None], _line(t, "score", n), -1e4)
        top = np.maximum(score.max(axis=1, keepdims=True), 0.0)
        share = np.exp(score - top)
        share = share / (share.sum(axis=1, keepdims=True) + np.exp(-top))
        pooled = np.einsum("bjh,bjc->bhc", share, n).reshape(len(n), -1)
        z = _relu(_line(t, "mix1", np.concatenate([h, pooled], axis=1)))
        z = _relu(_line(t, "mix2", z))
        mean = np.exp(t["mean"] - t["mean"].max())
        base = np.einsum("t,btc->bc", mean / mean.sum(), own[:, :14].reshape(-1, 7, 2))
        pace = float(self.facts["pace"])
        relative = (pace + own[:, -1:]) / (pace + 1.0)
        times = HORIZON_TIMES.astype(np.float32)[:, None]
        change = _line(t, "tracks", z).reshape(-1, k, STEPS, 2) * np.minimum(relative, 3.0)[..., None, None]
        tracks = base[:, None, None] * times + change * (times / times[-1])
        wide = _line(t, "wide", z).reshape(-1, k, STEPS) + np.log(0.03 + 0.12 * times[:, 0] ** 1.3)
        return tracks, _line(t, "logits", z), np.clip(wide + np.log(relative)[..., None], -4.6, 1.4)


def predict(
    network: PredictionNetwork,
    past: FloatArray,
    seen: NDArray[np.bool_],
    near: FloatArray,
    there: NDArray[np.bool_],
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Modes for each person in the world's axes, relative to where the person is.

    Args:
        network: the weights.
        past: (B, 8, 2) relative to now [m], oldest first.
        seen: (B, 8) which are known.
        near: (B, J, 4) relative place [m] and velocity [m/s] of the neighbours.
        there: (B, J) which exist.

    Returns:
        (B, K, 12, 2) [m], weights (B, K), spreads (B, K, 12) [m].
    """
    angle = heading(past, near, there)
    own = turned(past, -angle)
    others = np.concatenate([turned(near[..., :2], -angle), turned(near[..., 2:], -angle)], axis=-1)
    tracks, logits, wide = network.forward(own, seen, others, there)
    # left and right are alike: mode 0, the best guess, is the mean with the mirrored world
    mirrored = network.forward(own * _MIRROR, seen, others * np.tile(_MIRROR, 2), there)[0]
    tracks[:, 0] = 0.5 * (tracks[:, 0] + mirrored[:, 0] * _MIRROR)
    logits = logits - logits.max(axis=1, keepdims=True)
    weights = np.exp(logits)
    return turned(tracks, angle), weights / weights.sum(axis=1, keepdims=True), np.exp(wide)


def shapes(modes: int, width: int, social: int) -> dict[str, tuple[int, ...]]:
    """Names and shapes of all tensors."""
    lines = {
        "own1": (width, OWN),
        "own2": (width, width),
        "near1": (social, NEIGHBOUR_FEATURES + width // 4),
        "near2": (social, social),
        "slim": (width // 4, width),
        "score": (HEADS, social),
        "mix1": (2 * width, width + HEADS * social),
        "mix2": (width, 2 * width),
        "tracks": (modes * STEPS * 2, width),
        "logits": (modes, width),
        "wide": (modes * STEPS, width),
    }
    out: dict[str, tuple[int, ...]] = {"mean": (7,)}
    for name, shape in lines.items():
        out[f"{name}.weight"], out[f"{name}.bias"] = shape, shape[:1]
    return out


def _line(tensors: dict[str, NDArray[Any]], name: str, x: FloatArray) -> FloatArray:
    return x @ tensors[f"{name}.weight"].T + tensors[f"{name}.bias"]


def _relu(x: FloatArray) -> FloatArray:
    return np.maximum(x, 0.0)
