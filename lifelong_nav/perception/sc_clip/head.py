"""The part of SC-CLIP that learns: two voices, pixels and scene facts, added up in the caption space.

    fused = normalise(image part + facts part)

Each part is a small network on frozen inputs plus a skip of what already lies in the caption space (the
trunk's open-vocabulary guess; the clauses' own embeddings). Because the parts add before one common
normalisation, every caption's score is exactly the sum of what each voice gives it, the length of a part
says how sure that voice is, and a missing voice is a zero.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from lifelong_nav.core.checkpoints import load_checkpoint, save_checkpoint
from lifelong_nav.core.errors import CheckpointError, InputError
from lifelong_nav.core.types import FloatArray

SCHEMA = "sc_clip.head/1"
VOICES = ("image", "facts")
ADAPTED = tuple(f"{voice}.{layer}" for voice in VOICES for layer in ("w1", "w2"))
"""Matrices that low-rank adapters may change."""
_BUFFERS = tuple(f"{voice}.{name}" for voice in VOICES for name in ("mean", "scale"))
_NAMES = tuple(
    f"{voice}.{name}" for voice in VOICES for name in ("mean", "scale", "w1", "b1", "w2", "b2", "skip")
)

Params = dict[str, FloatArray]


@dataclass(frozen=True, slots=True)
class Embedding:
    """N moments in the caption space.

    `fused` (N, D) has unit length (zero where no voice spoke); `image` and `facts` (N, D) are the two
    parts, already divided by the common length, so that `fused == image + facts`.
    """

    fused: FloatArray
    image: FloatArray
    facts: FloatArray

    def shares(self, captions: FloatArray) -> tuple[FloatArray, FloatArray]:
        """What each voice gives to the score of each caption.

        Args:
            captions: (K, D) caption vectors.

        Returns:
            image (N, K) and facts (N, K); their sum is `fused @ captions.T`.
        """
        return self.image @ captions.T, self.facts @ captions.T


@dataclass(frozen=True)
class ContextHead:
    """Weights of both voices (see `voice`); `trunk` and `space` name the feature and the caption space.

    `skip_start` is the column where the trunk's open-vocabulary part (D numbers) begins, -1 for none.
    """

    params: Params
    trunk: str
    space: str
    skip_start: int = -1
    facts: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        missing = [name for name in _NAMES if name not in self.params]
        if missing:
            raise CheckpointError(f"Head without {', '.join(missing)}.", "Restore or train it again.")

    @property
    def dim(self) -> int:
        """Dimensions of the caption space."""
        return int(self.params["image.w2"].shape[0])

    @property
    def image_dim(self) -> int:
        """Dimensions of the trunk's features."""
        return int(self.params["image.w1"].shape[1])

    @property
    def facts_dim(self) -> int:
        """Dimensions of the facts vector: one embedding per clause."""
        return int(self.params["facts.w1"].shape[1])

    def parts(self, features: FloatArray | None, facts: FloatArray | None) -> tuple[FloatArray, FloatArray]:
        """The two parts (N, D) before the common normalisation; zeros for a missing voice.

        Args:
            features: (N, F) of the trunk, or None.
            facts: (N, 3 D) clause embeddings one after the other, or None.

        Raises:
            InputError: both missing, of different length, of wrong width, or not finite.
        """
        if features is None and facts is None:
            raise InputError("Neither features nor facts.", "Give at least one voice.")
        x = _rows(features, self.image_dim, "features")
        y = _rows(facts, self.facts_dim, "facts")
        if x is not None and y is not None and len(x) != len(y):
            raise InputError(f"{len(x)} features but {len(y)} facts.", "Give one row of each per moment.")
        n = len(x) if x is not None else len(y) if y is not None else 0
        none = np.zeros((n, self.dim), dtype=np.float32)
        image = none if x is None else self._image(x)
        spoken = none if y is None else self._facts(y)
        return image, spoken

    def embed(self, features: FloatArray | None = None, facts: FloatArray | None = None) -> Embedding:
        """Both voices fused; arguments and errors as in `parts`."""
        image, spoken = self.parts(features, facts)
        fused = image + spoken
        length = np.maximum(np.linalg.norm(fused, axis=1, keepdims=True), 1e-8)
        return Embedding(fused / length, image / length, spoken / length)

    def _image(self, x: FloatArray) -> FloatArray:
        out = voice(self.params, "image", x)
        if self.skip_start >= 0:
            out = out + self.params["image.skip"][0] * x[:, self.skip_start : self.skip_start + self.dim]
        return out

    def _facts(self, y: FloatArray) -> FloatArray:
        clauses = y.reshape(len(y), -1, self.dim)
        skip = np.einsum("ncd,c->nd", clauses, self.params["facts.skip"])
        return voice(self.params, "facts", y) + skip

    def merge_adapter(self, adapter: Mapping[str, FloatArray]) -> ContextHead:
        """A new head with low-rank changes added: w + b @ a for every pair `<matrix>.a`, `<matrix>.b`.

        Args:
            adapter: for matrices of `ADAPTED`, `a` (r, in) and `b` (out, r) (LoRA, 2106.09685).

        Raises:
            InputError: an unknown name, half a pair, or shapes that do not fit.
        """
        params = dict(self.params)
        for name in sorted({key.rsplit(".", 1)[0] for key in adapter}):
            a, b = adapter.get(f"{name}.a"), adapter.get(f"{name}.b")
            if name not in ADAPTED or a is None or b is None:
                raise InputError(f"Adapter of '{name}' is unknown or half.", f"Known: {', '.join(ADAPTED)}.")
            if (b.shape[0], a.shape[1]) != params[name].shape or a.shape[0] != b.shape[1]:
                raise InputError(
                    f"Adapter of '{name}': {b.shape} @ {a.shape} does not fit {params[name].shape}.",
                    "Train it on this head.",
                )
            params[name] = (params[name] + b @ a).astype(np.float32)
        return replace(self, params=params)

    def save(self, folder: Path) -> None:
        """Write `head.safetensors` and `head.json` into `folder`."""
        card = {
            "schema": SCHEMA,
            "trunk": self.trunk,
            "space": self.space,
            "skip_start": self.skip_start,
            "facts": self.facts,
        }
        save_checkpoint(folder / "head.safetensors", self.params, card)

    @classmethod
    def load(cls, folder: Path, trunk: str = "", space: str = "") -> ContextHead:
        """Read what `save` wrote.

        Args:
            folder: where `head.safetensors` lies.
            trunk: version of the trunk it shall hear, "" for any.
            space: version of the caption space it shall speak in, "" for any.

        Raises:
            CheckpointError: damaged, of another schema, or made for another trunk or caption space.
        """
        tensors, card = load_checkpoint(folder / "head.safetensors")
        fix = "Use the head that was trained with this trunk and text tower, or train it again."
        if card.get("schema") != SCHEMA:
            raise CheckpointError(f"{folder} holds schema {card.get('schema')!r}, not {SCHEMA}.", fix)
        for name, wanted in (("trunk", trunk), ("space", space)):
            if wanted and card.get(name) != wanted:
                raise CheckpointError(f"Head for {name} {card.get(name)!r}, not {wanted!r}.", fix)
        head = cls(
            {name: np.asarray(value, dtype=np.float32) for name, value in tensors.items()},
            str(card["trunk"]),
            str(card["space"]),
            int(card["skip_start"]),
            dict(card.get("facts", {})),
        )
        _check_shapes(head, fix)
        return head


def voice(params: Mapping[str, FloatArray], name: str, x: FloatArray) -> FloatArray:
    """One voice's network without its skip: w2 relu(w1 (x - mean) * scale + b1) + b2.

    Args:
        params: weights of a head.
        name: "image" or "facts".
        x: (N, F) inputs.

    Returns:
        (N, D) float32.
    """
    z = (x - params[f"{name}.mean"]) * params[f"{name}.scale"]
    hidden = np.maximum(z @ params[f"{name}.w1"].T + params[f"{name}.b1"], 0.0)
    out: FloatArray = hidden @ params[f"{name}.w2"].T + params[f"{name}.b2"]
    return out


def _rows(x: FloatArray | None, width: int, what: str) -> FloatArray | None:
    if x is None:
        return None
    x = np.atleast_2d(np.asarray(x, dtype=np.float32))
    if x.ndim != 2 or x.shape[1] != width:
        raise InputError(f"{what} of shape {x.shape}.", f"Give (N, {width}).")
    if not np.isfinite(x).all():
        raise InputError(f"{what} hold numbers that are not finite.", "Drop that moment.")
    return x


def _check_shapes(head: ContextHead, fix: str) -> None:
    p = head.params
    for name in VOICES:
        hidden, width = p[f"{name}.w1"].shape
        wanted = {
            "mean": (width,), "scale": (width,), "b1": (hidden,), "w2": (head.dim, hidden), "b2": (head.dim,),
        }  # fmt: skip
        for key, shape in wanted.items():
            if p[f"{name}.{key}"].shape != shape:
                raise CheckpointError(f"Head: {name}.{key} is {p[f'{name}.{key}'].shape}, not {shape}.", fix)
    if p["image.skip"].shape != (1,) or p["facts.skip"].shape != (head.facts_dim // head.dim,):
        raise CheckpointError("Head: its skips have the wrong shape.", fix)
    if head.facts_dim % head.dim or head.skip_start + head.dim > head.image_dim:
        raise CheckpointError("Head: inputs do not fit the caption space.", fix)
