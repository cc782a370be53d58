"""The context head as a torch function with low-rank changes, for learning only.

Imported by the learner and by benchmarks; the robot's perception runs the same weights in numpy.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from lifelong_nav.core.types import FloatArray
from lifelong_nav.perception.lifelong.samples import Samples, present
from lifelong_nav.perception.sc_clip.head import ADAPTED, VOICES, ContextHead

Tensor = Any
BIASES = tuple(f"{voice}.{name}" for voice in VOICES for name in ("b1", "b2", "skip"))


@dataclass(frozen=True)
class Batch:
    """Samples as tensors: inputs (zeros where silent), who spoke (N, 1), captions, classes, weights."""

    image: Tensor
    facts: Tensor
    has_image: Tensor
    has_facts: Tensor
    target: Tensor
    label: Tensor
    weight: Tensor

    def __len__(self) -> int:
        return len(self.label)

    def rows(self, index: Tensor) -> Batch:
        """Some rows."""
        return Batch(*(getattr(self, name)[index] for name in self.__dataclass_fields__))


def to_batch(samples: Samples, names: tuple[str, ...]) -> Batch:
    """Tensors of samples; `label` is the place of the scenario in `names`."""
    place = {name: i for i, name in enumerate(names)}
    has = [torch.from_numpy(present(v)[:, None].astype(np.float32)) for v in (samples.image, samples.facts)]
    image, facts = (
        torch.from_numpy(np.nan_to_num(v.astype(np.float32), nan=0.0)) for v in (samples.image, samples.facts)
    )
    return Batch(
        image, facts, has[0], has[1],
        torch.from_numpy(samples.target.astype(np.float32)),
        torch.tensor([place[str(s)] for s in samples.scenario], dtype=torch.long),
        torch.from_numpy(samples.weight.astype(np.float32)),
    )  # fmt: skip


class TorchHead:
    """Weights of a head as tensors, with what may be trained set apart.

    Args:
        head: where to start; it is never changed.
        rank: of the adapters; 0 trains every weight.
        seed: of the adapters' first factor (the second starts at zero: no change at the start).
        adapted: matrices that may change.
    """

    def __init__(
        self, head: ContextHead, rank: int, seed: int = 0, adapted: tuple[str, ...] = ADAPTED
    ) -> None:
        self.head, self.rank, self.adapted = head, rank, adapted
        self.base = {n: torch.from_numpy(v.astype(np.float32).copy()) for n, v in head.params.items()}
        generator = torch.Generator().manual_seed(seed)
        self.trained: dict[str, Tensor] = {}
        if rank:
            for name in adapted:
                out, width = self.base[name].shape
                a = torch.randn(rank, width, generator=generator) / width**0.5
                self.trained[f"{name}.a"] = a.requires_grad_(True)
                self.trained[f"{name}.b"] = torch.zeros(out, rank).requires_grad_(True)
            for name in BIASES:
                self.trained[name] = self.base[name].clone().requires_grad_(True)
        else:
            for name in (*adapted, *BIASES):
                self.trained[name] = self.base[name].clone().requires_grad_(True)

        self.mean = {name: value.detach().clone() for name, value in self.trained.items()}

    def track(self, decay: float) -> None:
        """Let the running mean of the trained weights follow: it is the mean that is judged and kept."""
        for name, value in self.trained.items():
            self.mean[name].lerp_(value.detach(), 1.0 - decay)

    def weights(self, share: float = 1.0, trained: dict[str, Tensor] | None = None) -> dict[str, Tensor]:
        """All weights with `share` of the change (0 the old head, 1 the new one), for `trained` or `mean`."""
        out, new = dict(self.base), self.trained if trained is None else trained
        for name in self.adapted:
            if self.rank:
                out[name] = self.base[name] + share * new[f"{name}.b"] @ new[f"{name}.a"]
            else:
                out[name] = torch.lerp(self.base[name], new[name], share)
        for name in BIASES:
            out[name] = torch.lerp(self.base[name], new[name], share)
        return out

    def embed(
        self, batch: Batch, weights: dict[str, Tensor] | None = None, dropout: float = 0.0,
        generator: Any = None,
    ) -> Tensor:  # fmt: skip
        """(N, D) fused unit vectors; the same arithmetic as `ContextHead.embed` but for `dropout`.

        Args:
            batch: inputs.
            weights: None for those being trained.
            dropout: share of hidden units silenced.
            generator: of the dropout.
        """
        w = self.weights() if weights is None else weights
        dim, start = self.head.dim, self.head.skip_start
        image = _voice(w, "image", batch.image, dropout, generator)
        if start >= 0:
            image = image + w["image.skip"][0] * batch.image[:, start : start + dim]
        clauses = batch.facts.reshape(len(batch), -1, dim)
        facts = _voice(w, "facts", batch.facts, dropout, generator) + torch.einsum(
            "ncd,c->nd", clauses, w["facts.skip"]
        )
        return functional.normalize(image * batch.has_image + facts * batch.has_facts, dim=1, eps=1e-8)

    def freeze(self, share: float = 1.0) -> ContextHead:
        """A numpy head with `share` of the change merged in."""
        with torch.no_grad():
            params = {
                n: v.detach().numpy().astype(np.float32) for n, v in self.weights(share, self.mean).items()
            }
        return replace(self.head, params=params)

    def snapshot(self) -> dict[str, Tensor]:
        """A copy of the mean."""
        return {n: v.clone() for n, v in self.mean.items()}

    def restore(self, snapshot: dict[str, Tensor]) -> None:
        """Put a `snapshot` back, as the mean and as what is trained."""
        with torch.no_grad():
            for name, value in snapshot.items():
                self.trained[name].copy_(value)
                self.mean[name].copy_(value)


def one_thread() -> None:
    """Learn on one core: the other one drives."""
    torch.set_num_threads(1)


def unit_rows(vectors: FloatArray) -> Tensor:
    """(N, D) tensor of unit rows."""
    return functional.normalize(torch.from_numpy(np.asarray(vectors, dtype=np.float32)), dim=1)


def _voice(w: dict[str, Tensor], name: str, x: Tensor, dropout: float, generator: Any) -> Tensor:
    z = (x - w[f"{name}.mean"]) * w[f"{name}.scale"]
    hidden = functional.relu(functional.linear(z, w[f"{name}.w1"], w[f"{name}.b1"]))
    if dropout:
        keep = torch.rand(hidden.shape, generator=generator) >= dropout
        hidden = hidden * keep / (1.0 - dropout)
    return functional.linear(hidden, w[f"{name}.w2"], w[f"{name}.b2"])
