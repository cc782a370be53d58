"""Trains a context head on cached features: seconds, not hours, because trunk and text tower are frozen."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lifelong_nav.core.config import param
from lifelong_nav.core.errors import InputError, LifelongNavError, require_package
from lifelong_nav.core.types import FloatArray
from lifelong_nav.perception.sc_clip.head import ADAPTED, VOICES, ContextHead, Params

if TYPE_CHECKING:
    import torch

    Weights = dict[str, torch.Tensor]

_LAYERS = ("w1", "b1", "w2", "b2", "skip")


@dataclass(frozen=True)
class FitConfig:
    """How a head is trained."""

    hidden: int = param(256, "", 8, 4096, "Width of each voice's hidden layer.")
    epochs: int = param(25, "", 1, 10_000, "Passes over the samples.")
    batch: int = param(256, "", 2, 65_536, "Samples per step; each is a negative for the others.")
    rate: float = param(2e-3, "", 1e-7, 1.0, "Peak learning rate of AdamW; cosine to zero.")
    decay: float = param(0.05, "", 0.0, 10.0, "Weight decay of the matrices.")
    dropout: float = param(0.3, "", 0.0, 0.95, "Share of hidden units silenced per step.")
    temperature: float = param(0.05, "", 1e-3, 10.0, "Of the contrast with captions.")
    attribute_temperature: float = param(0.05, "", 1e-3, 10.0, "Of the choice among sentences.")
    short: float = param(1.0, "", 0.0, 100.0, "Weight of the short captions (PCE term).")
    long: float = param(1.0, "", 0.0, 100.0, "Weight of the long captions.")
    attributes: float = param(3.0, "", 0.0, 100.0, "Weight of the attribute sentences.")
    alone: float = param(2.0, "", 0.0, 100.0, "Weight of each voice's loss when it speaks alone.")
    components: int = param(32, "", 1, 384, "Principal components the short caption is matched by.")
    clause_dropout: float = param(0.1, "", 0.0, 0.9, "Share of clauses that are not heard in a step.")
    noise: float = param(1.0, "", 0.0, 10.0, "Sigma of noise on the picture's standardised features.")
    directions: int = param(256, "", 0, 65_536, "Principal directions a new picture voice reads; 0 all.")
    rank: int = param(0, "", 0, 256, "0 trains all weights; else low-rank changes of this rank on `init`.")
    clip: float = param(1.0, "", 0.0, 1e6, "Longest gradient.")


@dataclass(frozen=True)
class FitData:
    """N samples with cached inputs and the captions' vectors.

    `features` (N, F) and `facts` (N, 3 D), None or rows of NaN for a missing voice; `long` and `short` (N, D)
    unit; `prompts` attribute -> (K, D) unit sentence vectors and `labels` attribute -> (N,) int index, -1
    for unknown; `weight` (N,) or None.
    """

    features: FloatArray | None
    facts: FloatArray | None
    long: FloatArray
    short: FloatArray
    prompts: Mapping[str, FloatArray] = field(default_factory=dict)
    labels: Mapping[str, NDArray[np.integer[Any]]] = field(default_factory=dict)
    weight: FloatArray | None = None


def fit_head(
    data: FitData,
    config: FitConfig | None = None,
    *,
    init: ContextHead | None = None,
    trunk: str = "",
    space: str = "",
    skip_start: int = -1,
    seed: int = 0,
    progress: Callable[[int, int, float], None] | None = None,
) -> ContextHead:
    """Train a head with the Long-CLIP loss; the same seed and data give the same weights.

    Args:
        data: samples; rows without any voice teach nothing.
        config: see `FitConfig`.
        init: head to go on from; None starts afresh with standardised inputs and open-vocabulary skips.
        trunk: version of the feature space (new heads).
        space: version of the caption space (new heads).
        skip_start: column of the open-vocabulary part of the features, -1 for none (new heads).
        seed: of weights, order and dropout.
        progress: called with (step, steps, loss).

    Returns:
        The trained head; adapters are merged.

    Raises:
        InputError: arrays that do not fit each other.
        LifelongNavError: the loss left the finite numbers.
    """
    torch = require_package("torch", "learn")
    config = config or FitConfig()
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        generator = torch.Generator().manual_seed(seed)
        head = init or new_head(data, config, trunk=trunk, space=space, skip_start=skip_start, seed=seed)
        run = _Run(data, config, head, generator, fresh=init is None)
        steps = run.train(progress)
    finally:
        torch.set_num_threads(threads)
    return replace(head, params=run.params(), facts={**head.facts, "steps": steps, "seed": seed})


def new_head(
    data: FitData, config: FitConfig, *, trunk: str = "", space: str = "", skip_start: int = -1, seed: int = 0
) -> ContextHead:
    """An untrained head: its voices repeat what their inputs already say in the caption space.

    The output layers start at zero, so the first answer is ConSE's for the picture and the mean of the
    clauses' embeddings for the facts.
    """
    rng = np.random.default_rng(seed)
    dim = data.long.shape[1]
    params: Params = {}
    for name, x in zip(VOICES, (data.features, data.facts), strict=True):
        rows = np.zeros((1, dim), np.float32) if x is None else x[np.isfinite(x).all(1)]
        width, spread = rows.shape[1], rows.std(0)
        near_constant = spread < 1e-3 * max(float(spread.mean()), 1e-6)
        params[f"{name}.mean"] = rows.mean(0)
        params[f"{name}.scale"] = np.where(near_constant, 0.0, 1.0 / np.maximum(spread, 1e-9))
        params[f"{name}.w1"] = rng.normal(0.0, width**-0.5, (config.hidden, width))
        params[f"{name}.b1"] = np.zeros(config.hidden)
        params[f"{name}.w2"] = np.zeros((dim, config.hidden))
        params[f"{name}.b2"] = np.zeros(dim)
    clauses = 1 if data.facts is None else data.facts.shape[1] // dim
    params["image.skip"] = np.full(1, 1.0 if skip_start >= 0 else 0.0)
    params["facts.skip"] = np.full(clauses, 1.0 / clauses)
    return ContextHead({k: v.astype(np.float32) for k, v in params.items()}, trunk, space, skip_start)


class _Run:
    """One training: tensors, trainable weights, steps."""

    def __init__(
        self, data: FitData, config: FitConfig, head: ContextHead, generator: Any, fresh: bool
    ) -> None:
        import torch

        n, self.dim = data.long.shape
        rows = [data.short, *data.labels.values(), *(x for x in (data.features, data.facts) if x is not None)]
        if any(len(x) != n for x in rows) or set(data.prompts) != set(data.labels):
            raise InputError("Training arrays of unequal length.", "Give one row per sample in each.")
        self.config, self.head, self.generator = config, head, generator
        self.base = {k: torch.from_numpy(v.astype(np.float32).copy()) for k, v in head.params.items()}
        self.image, self.has_image = self._voice(data.features, head.image_dim, n)
        self.facts, self.has_facts = self._voice(data.facts, head.facts_dim, n)
        self.long, self.short = _tensor(data.long), _tensor(data.short)
        self.long_ids, self.short_ids = _ids(data.long), _ids(data.short)
        self.prompts = {k: _tensor(v) for k, v in data.prompts.items()}
        self.labels = {k: torch.from_numpy(np.asarray(v, dtype=np.int64)) for k, v in data.labels.items()}
        self.weight = _tensor(np.ones(n) if data.weight is None else data.weight)
        self.projection = self._project(config.directions) if fresh and not config.rank else None
        self.trained = self._trainable()
        width = min(config.components, self.dim, config.batch - 1)
        self.basis = torch.linalg.qr(torch.randn(self.dim, width, generator=generator))[0]

    def _voice(self, x: FloatArray | None, width: int, n: int) -> tuple[Any, Any]:
        import torch

        rows = np.full((n, width), np.nan, np.float32) if x is None else np.asarray(x, dtype=np.float32)
        if rows.shape[1] != width:
            raise InputError(f"Inputs of width {rows.shape[1]}, the head wants {width}.", "Use its trunk.")
        present = np.isfinite(rows).all(1)
        return torch.from_numpy(np.nan_to_num(rows)), torch.from_numpy(present.astype(np.float32))[:, None]

    def _project(self, count: int) -> Any:
        """Principal directions (F, k) of the standardised picture features, None for all.

        A step costs less that way, and directions that never varied are never read.
        """
        import torch

        n, width = self.image.shape
        if not 0 < count < min(n, width) or not bool(self.has_image.any()):
            return None
        z = (self.image - self.base["image.mean"]) * self.base["image.scale"] * self.has_image
        state = torch.get_rng_state()
        torch.manual_seed(0)  # the sketch draws from the global generator
        _, _, axes = torch.svd_lowrank(z, q=count, niter=2)
        torch.set_rng_state(state)
        self.reduced = z @ axes
        self.base["image.w1"] = self.base["image.w1"] @ axes
        return axes

    def _trainable(self) -> Weights:
        import torch

        rank, trained = self.config.rank, {}
        for voice in VOICES:
            for layer in _LAYERS:
                name = f"{voice}.{layer}"
                if rank and name in ADAPTED:
                    out, width = self.base[name].shape
                    a = torch.randn(rank, width, generator=self.generator) * width**-0.5
                    trained[f"{name}.a"], trained[f"{name}.b"] = a, torch.zeros(out, rank)
                else:
                    trained[name] = self.base[name].clone()
        if self.head.skip_start < 0:
            trained.pop("image.skip")
        return {k: v.requires_grad_(True) for k, v in trained.items()}

    def weights(self) -> Weights:
        """Base and trained weights, adapters merged; the picture's first matrix in its own directions."""
        out = dict(self.base)
        for name, value in self.trained.items():
            if name.endswith(".a"):
                out[name[:-2]] = self.base[name[:-2]] + self.trained[f"{name[:-2]}.b"] @ value
            elif not name.endswith(".b"):
                out[name] = value
        return out

    def params(self) -> Params:
        weights = self.weights()
        if self.projection is not None:
            weights["image.w1"] = weights["image.w1"] @ self.projection.T
        return {k: v.detach().numpy().astype(np.float32) for k, v in weights.items()}

    def train(self, progress: Callable[[int, int, float], None] | None) -> int:
        import torch

        c, n = self.config, len(self.long)
        batch = min(c.batch, n)
        per_epoch = max(1, n // batch)
        steps = c.epochs * per_epoch
        matrices = [v for v in self.trained.values() if v.ndim == 2]
        others = [v for v in self.trained.values() if v.ndim < 2]
        groups = [{"params": matrices, "weight_decay": c.decay}, {"params": others, "weight_decay": 0.0}]
        optimiser = torch.optim.AdamW(groups, lr=c.rate)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, c.rate, steps + 1, pct_start=0.1)
        for step in range(steps):
            if step % per_epoch == 0:
                order = torch.randperm(n, generator=self.generator)
            at = (step % per_epoch) * batch
            loss = self.loss(order[at : at + batch])
            if not bool(torch.isfinite(loss)):
                raise LifelongNavError(
                    f"The loss is {float(loss.detach())} at step {step}.", "Check the inputs."
                )
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_([*matrices, *others], c.clip)
            optimiser.step()
            schedule.step()
            if progress:
                progress(step + 1, steps, float(loss.detach()))
        return steps

    def loss(self, rows: Any) -> Any:
        """Long, short and attribute terms of both voices together and of each alone."""
        from torch.nn.functional import normalize

        weights = self.weights()
        image = self._see(weights, rows) * self.has_image[rows]
        facts = self._read(weights, rows) * self.has_facts[rows]
        total = self._terms(normalize(image + facts, dim=1, eps=1e-6), rows, track=True)
        if self.config.alone:
            for part, has in ((image, self.has_image), (facts, self.has_facts)):
                heard = has[rows, 0] > 0
                if int(heard.sum()) > 1:
                    alone = self._terms(normalize(part[heard], dim=1, eps=1e-6), rows[heard])
                    total = total + self.config.alone * alone
        return total

    def _terms(self, x: Any, rows: Any, track: bool = False) -> Any:
        from lifelong_nav.perception.sc_clip import loss

        c, weight = self.config, self.weight[rows]
        total = x.new_zeros(())
        if c.long:
            total = total + c.long * loss.contrastive(
                x, self.long[rows], self.long_ids[rows], c.temperature, weight
            )
        if c.short:
            if track:
                self.basis = loss.principal_basis(x, self.basis)
            coarse = loss.principal_part(x, self.basis)
            total = total + c.short * loss.contrastive(
                coarse, self.short[rows], self.short_ids[rows], c.temperature, weight
            )
        if c.attributes and self.prompts:
            labels = {k: v[rows] for k, v in self.labels.items()}
            total = total + c.attributes * loss.attribute_loss(
                x, self.prompts, labels, c.attribute_temperature, weight
            )
        return total

    def _see(self, w: Weights, rows: Any) -> Any:
        """The picture's part; the arithmetic of `head.ContextHead.parts` with noise and dropout."""
        import torch

        if self.projection is None:
            z = (self.image[rows] - w["image.mean"]) * w["image.scale"]
        else:
            z = self.reduced[rows]
        if self.config.noise:
            z = z + self.config.noise * torch.randn(z.shape, generator=self.generator)
        out, start = self._layers(w, "image", z), self.head.skip_start
        return out if start < 0 else out + w["image.skip"] * self.image[rows, start : start + self.dim]

    def _read(self, w: Weights, rows: Any) -> Any:
        """The facts' part, now and then without one of its clauses."""
        import torch

        clauses = self.facts[rows].reshape(len(rows), -1, self.dim)
        if self.config.clause_dropout:
            clauses = clauses * self._keep((*clauses.shape[:2], 1), self.config.clause_dropout)
        z = (clauses.flatten(1) - w["facts.mean"]) * w["facts.scale"]
        return self._layers(w, "facts", z) + torch.einsum("ncd,c->nd", clauses, w["facts.skip"])

    def _layers(self, w: Weights, name: str, z: Any) -> Any:
        from torch.nn import functional

        hidden = functional.relu(functional.linear(z, w[f"{name}.w1"], w[f"{name}.b1"]))
        if self.config.dropout:
            hidden = hidden * self._keep(hidden.shape, self.config.dropout) / (1.0 - self.config.dropout)
        return functional.linear(hidden, w[f"{name}.w2"], w[f"{name}.b2"])

    def _keep(self, shape: Any, dropout: float) -> Any:
        import torch

        return (torch.rand(tuple(shape), generator=self.generator) >= dropout).float()


def _tensor(x: FloatArray) -> Any:
    import torch

    return torch.from_numpy(np.ascontiguousarray(x, dtype=np.float32))


def _ids(vectors: FloatArray) -> Any:
    """(N,) int64, equal for equal caption vectors."""
    import torch

    rows = np.ascontiguousarray(vectors, dtype=np.float32)
    keys = rows.view(np.dtype((np.void, rows.dtype.itemsize * rows.shape[1]))).ravel()
    return torch.from_numpy(np.unique(keys, return_inverse=True)[1].astype(np.int64))
