"""Fitting the prediction network: augmentation, losses, one run with one seed."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from lifelong_nav.core.config import param
from lifelong_nav.core.types import FloatArray
from lifelong_nav.training.prediction_data import Samples
from lifelong_nav.training.prediction_model import PredictionModel

Batch = tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]


@dataclass(frozen=True)
class FitConfig:
    """Parameters of a training run; those of the losses weigh them."""

    steps: int = param(1200, "", 1, 100000, "Gradient steps.")
    batch: int = param(512, "", 8, 65536, "Samples per step.")
    rate: float = param(2e-3, "", 1e-6, 1.0, "Highest learning rate; warms up, then falls as a cosine.")
    decay: float = param(1e-3, "", 0.0, 1.0, "Weight decay.")
    smoothing: float = param(0.99, "", 0.0, 0.9999, "Of the running mean of the weights that is kept.")
    width: int = param(96, "", 8, 512, "Numbers that describe a person.")
    social: int = param(48, "", 8, 512, "Numbers that describe a neighbour.")
    drop: float = param(0.1, "", 0.0, 0.9, "Dropout.")
    pace: float = param(0.15, "m/s", 0.01, 2.0, "Speed at which corrections begin to grow.")
    extra: float = param(0.2, "", 0.0, 2.0, "Weight of the corridor and of the cart crowds, a scene has 1.")
    scale: float = param(0.6, "", 0.0, 2.0, "Log range by which the world is scaled, either way.")
    faster: float = param(0.3, "", 0.0, 2.0, "Log range by which it is scaled up beyond that.")
    slow_down: float = param(0.4, "", 0.0, 1.0, "Share of fast walkers that are made to slow down.")
    noise: float = param(0.05, "m", 0.0, 0.5, "Largest noise of places, on a third of the samples.")
    cut: float = param(0.15, "", 0.0, 1.0, "Share of samples whose history is cut short.")


def tensors(samples: Samples) -> Batch:
    """Samples in the own frame as torch tensors: past, seen, future, known, near, there."""
    arrays = (samples.past, samples.seen, samples.future, samples.known, samples.near, samples.there)
    kinds = [torch.bool if a.dtype == bool else torch.float32 for a in arrays]
    a, b, c, d, e, f = (torch.tensor(x, dtype=k) for x, k in zip(arrays, kinds, strict=True))
    return a, b, c, d, e, f


def fit(
    samples: Samples, weights: FloatArray, seed: int, config: FitConfig,
    progress: Callable[[int, int], None] | None = None,
) -> PredictionModel:  # fmt: skip
    """Train one network.

    Args:
        samples: in the persons' own frames.
        weights: (B,) how often each is drawn.
        seed: of weights, draws and augmentation.
        config: of the run.
        progress: told steps done and steps in all.
    """
    torch.manual_seed(seed)
    g, rng = torch.Generator().manual_seed(seed), np.random.default_rng(seed)
    data, odds = tensors(samples), weights / weights.sum()
    model = PredictionModel(width=config.width, social=config.social, drop=config.drop, pace=config.pace)
    kept = {k: v.clone() for k, v in model.state_dict().items()}
    adam = torch.optim.AdamW(model.parameters(), lr=config.rate, weight_decay=config.decay)
    model.train()
    for step in range(config.steps):
        done = step / config.steps
        for group in adam.param_groups:
            group["lr"] = config.rate * min(1.0, step / 50) * 0.5 * (1.0 + math.cos(math.pi * done))
        rows = torch.from_numpy(rng.choice(len(samples), config.batch, p=odds))
        a, b, c, d, e, f = (x[rows] for x in data)
        past, seen, future, known, near, there = augmented((a, b, c, d, e, f), g, config)
        loss = losses(model(past, seen, near, there), future, known, done)
        adam.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        adam.step()
        with torch.no_grad():
            for k, v in model.state_dict().items():
                kept[k].lerp_(v, 1.0 - config.smoothing)
        if progress is not None and (step + 1) % 20 == 0:
            progress(step + 1, config.steps)
    model.load_state_dict(kept)
    return model.eval()


def losses(out: tuple[Tensor, Tensor, Tensor], future: Tensor, known: Tensor, done: float) -> Tensor:
    """Best guess, the nearest mode (fewer and fewer of them share it), which mode, and how wide."""
    tracks, logits, wide = out
    far = (tracks - future[:, None]).norm(dim=-1)
    k = known.float()[:, None]
    count = k.sum(-1).clamp(min=1.0)
    mean = (far * k).sum(-1) / count
    last = (known.sum(1) - 1)[:, None, None].expand(-1, far.shape[1], 1)
    end = far.gather(2, last)[..., 0]
    single = mean[:, 0] + 0.3 * end[:, 0]
    cost = (mean + 0.5 * end).sort(dim=1).values
    top = max(1, round(cost.shape[1] * (1.0 - 2.0 * done)))
    nearest = cost[:, :top].mean(1) + 0.02 * cost.mean(1)
    belongs = torch.softmax(-(0.5 * mean + 0.5 * end).detach() / 0.2, dim=1)
    which = -(belongs * torch.log_softmax(logits, dim=1)).sum(1)
    # likelihood of each place under the mixture; the tracks are left to the other terms
    square = (tracks.detach() - future[:, None]).pow(2).sum(-1)
    log = torch.log_softmax(logits, dim=1)[..., None] - 2.0 * wide - 0.5 * square * torch.exp(-2.0 * wide)
    likely = (torch.logsumexp(log, dim=1) * k[:, 0]).sum(1) / count[:, 0]
    return (single + nearest + 0.1 * which - 0.05 * likely).mean()


def augmented(batch: Batch, g: torch.Generator, config: FitConfig) -> Batch:
    """Mirror, scale, slow down, turn a little, add noise, cut histories short."""
    past, seen, future, known, near, there = (x.clone() for x in batch)
    n = len(past)
    draw = lambda *shape: torch.rand(*shape, generator=g)  # noqa: E731 - a short name for what is used ten times
    side = torch.where(draw(n) < 0.5, -1.0, 1.0)
    mirror = torch.stack([torch.ones(n), side], dim=-1)[:, None]
    size = torch.exp(config.scale * (2.0 * draw(n) - 1.0) + config.faster * draw(n))[:, None, None]
    past, future = past * mirror * size, future * mirror * size
    near = near * mirror.repeat(1, 1, 2) * size
    future = _slowed(past, future, draw, config.slow_down)
    angle = 0.1 * torch.randn(n, generator=g)
    past, future = _turned(past, angle), _turned(future, angle)
    near = torch.cat([_turned(near[..., :2], angle), _turned(near[..., 2:], angle)], dim=-1)
    noisy = (draw(n) < 0.33).float()[:, None, None] * config.noise * draw(n)[:, None, None]
    past = past + noisy * torch.randn(past.shape, generator=g)
    shorter = draw(n) < config.cut
    keep = (
        torch.arange(past.shape[1])[None] >= (past.shape[1] - torch.randint(2, 8, (n,), generator=g))[:, None]
    )
    seen = torch.where(shorter[:, None], seen & keep, seen)
    oldest = past[torch.arange(n), seen.float().argmax(1)]
    return torch.where(seen[..., None], past, oldest[:, None]), seen, future, known, near, there


def _slowed(past: Tensor, future: Tensor, draw: Callable[..., Tensor], share: float) -> Tensor:
    """Some who walk faster than people like to go their way ever more slowly: hurry does not last."""
    n, steps = future.shape[:2]
    speed = (past[:, -1] - past[:, -3]).norm(dim=-1) / 0.8
    chosen = draw(n) < share * ((speed - 1.3) / 0.7).clamp(0.02, 1.0)
    final, begin, over = 0.1 + 0.9 * draw(n), 6.0 * draw(n) - 2.0, 1.0 + 8.0 * draw(n)
    ramp = ((torch.arange(steps)[None] - begin[:, None]) / over[:, None]).clamp(0.0, 1.0)
    pace = torch.where(chosen[:, None], 1.0 + (final[:, None] - 1.0) * ramp, torch.ones_like(ramp))
    when = pace.cumsum(1).clamp(max=float(steps))
    k = when.floor().long().clamp(max=steps - 1)
    whole = torch.cat([torch.zeros_like(future[:, :1]), future], dim=1)
    a = whole.gather(1, k[..., None].expand(-1, -1, 2))
    b = whole.gather(1, (k + 1)[..., None].expand(-1, -1, 2))
    return a + (b - a) * (when - k)[..., None]


def _turned(points: Tensor, angle: Tensor) -> Tensor:
    c, s = angle.cos()[:, None], angle.sin()[:, None]
    x, y = points[..., 0], points[..., 1]
    return torch.stack([c * x - s * y, s * x + c * y], dim=-1)
