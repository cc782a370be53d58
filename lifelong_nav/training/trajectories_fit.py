"""Trains trunk and heads on moments: winner-takes-all with fewer winners as it goes on, resumable.

What the robot may lack on some day is left out at random: the social context, the scan, the people; so one
network serves with and without, and an ablation is a switch, not another network.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lifelong_nav.core.checkpoints import load_checkpoint, save_checkpoint
from lifelong_nav.core.config import param
from lifelong_nav.core.errors import StorageError
from lifelong_nav.core.types import FloatArray
from lifelong_nav.training.trajectories_network import TrunkNet
from lifelong_nav.trajectory.generator import heads_torch
from lifelong_nav.trajectory.generator.features import PEOPLE_REACH, SHAPES
from lifelong_nav.trajectory.generator.moments import Moments, mirrored

Tensor = Any
Progress = Callable[[str, int, int], None]
STRIKES = 3
"""Non-finite steps in a row that end a training."""


@dataclass(frozen=True)
class FitConfig:
    """How the network is trained (rates of OLiVia-Nav 2409.13675: AdamW 8e-4, decay 1e-4)."""

    epochs: int = param(40, "", 1, 10_000, "Passes over the moments.")
    batch: int = param(96, "", 2, 4096, "Moments per step.")
    rate: float = param(8e-4, "", 1e-7, 1.0, "Peak learning rate of AdamW; cosine to zero.")
    decay: float = param(1e-2, "", 0.0, 1.0, "Weight decay of the trunk.")
    dropout: float = param(0.1, "", 0.0, 0.9, "Inside the attention layers.")
    no_context: float = param(0.3, "", 0.0, 1.0, "Chance that a moment is learned without social context.")
    no_lidar: float = param(0.1, "", 0.0, 1.0, "Chance that a moment is learned without the scan.")
    no_people: float = param(0.05, "", 0.0, 1.0, "Chance that a moment is learned without the people.")
    mirror: float = param(0.15, "", 0.0, 1.0, "Chance that left and right are exchanged.")
    stretch: float = param(0.3, "", 0.0, 1.0, "Chance that all lengths and speeds grow by up to 1.8.")
    noise: float = param(0.02, "", 0.0, 1.0, "Noise on ranges and on people, in units of the inputs.")
    chance_weight: float = param(0.3, "", 0.0, 10.0, "Weight of naming the best mode.")
    smoothing: float = param(0.99, "", 0.0, 0.9999, "Share of the running mean of weights kept per step.")
    clip: float = param(1.0, "", 1e-3, 100.0, "Largest norm of a gradient.")


@dataclass
class Fitted:
    """A trained network: trunk in torch, heads in numpy, validation score."""

    net: TrunkNet
    heads: dict[str, FloatArray]
    scores: dict[str, float]
    epoch: int


def winners_at(share: float) -> int:
    """How many modes share the loss at a share of the training: 3, then 2, then the winner takes all."""
    return 3 if share < 0.2 else 2 if share < 0.45 else 1


def fit(
    train: Moments, val: Moments, config: FitConfig, seed: int, work: Path | None = None, identity: str = "",
    progress: Progress = lambda stage, done, total: None,
) -> Fitted:  # fmt: skip
    """Train from scratch, or go on where a kill left it.

    Args:
        train: moments.
        val: moments for the score of each epoch (the last one is kept, no choice is made by it).
        config: parameters.
        seed: of weights, batches and what is left out.
        work: folder for the state between epochs; None keeps nothing.
        identity: of data and parameters; a state of another identity is not taken up.
        progress: told of every epoch.

    Raises:
        InputError: too few moments.
    """
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    net = TrunkNet(config.dropout)
    weights = heads_torch.fresh_weights(seed)
    for value in weights.values():
        value.requires_grad_(True)
    groups: list[dict[str, Any]] = [
        {"params": list(weights.values()), "weight_decay": 1e-4},
        {"params": list(net.parameters()), "weight_decay": config.decay},
    ]
    optimiser = torch.optim.AdamW(groups, lr=config.rate)
    named = {f"heads.{n}": v for n, v in weights.items()}
    named |= {f"trunk.{n}": v for n, v in net.named_parameters()}
    mean = {n: v.detach().clone() for n, v in named.items()}
    state = _State(work, f"{identity}/{seed}", named, mean, optimiser)
    first = state.resume()
    steps = max(len(train) // config.batch, 1)
    strikes = 0
    for epoch in range(first, config.epochs):
        rng = np.random.default_rng([seed, epoch])
        torch.manual_seed(seed * 1000 + epoch)
        net.train()
        order = rng.permutation(len(train))
        for step in range(steps):
            done = (epoch * steps + step) / (config.epochs * steps)
            for group in optimiser.param_groups:
                group["lr"] = config.rate * _pace(done)
            rows = train[order[step * config.batch : (step + 1) * config.batch]]
            loss = _loss(net, weights, disturbed(rows, config, rng), winners_at(done), config)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            norm = torch.nn.utils.clip_grad_norm_(list(named.values()), config.clip)
            if not (torch.isfinite(loss) and torch.isfinite(norm)):
                strikes += 1
                if strikes >= STRIKES:
                    raise StorageError("Three non-finite steps in a row.", "Lower the rate.")
                continue
            strikes = 0
            optimiser.step()
            keep = min(config.smoothing, (1.0 + epoch * steps + step) / (10.0 + epoch * steps + step))
            for name, value in named.items():
                mean[name].lerp_(value.detach(), 1.0 - keep)
        state.save(epoch + 1)
        progress(f"network {seed}", epoch + 1, config.epochs)
    with torch.no_grad():
        for name, value in named.items():
            value.copy_(mean[name])
    net.eval()
    heads = heads_torch.arrays(weights)
    return Fitted(net, heads, scores(net, heads, val) if len(val) else {}, config.epochs)


def scores(net: TrunkNet, heads: dict[str, FloatArray], moments: Moments) -> dict[str, float]:
    """ADE and FDE [m] of the best mode and of the most probable one."""
    with torch.no_grad():
        weights = heads_torch.tensors(heads)
        poses, logits = [], []
        for start in range(0, len(moments), 256):
            part = moments[start : start + 256]
            query = queries(net, part)
            v, w, speed = torch.from_numpy(part.motion.astype(np.float32)).T
            poses.append(heads_torch.motions(weights, query, v, w, speed).numpy())
            logits.append(heads_torch.chances(weights, query).numpy())
    return displacement(np.concatenate(poses), np.concatenate(logits), moments)


def displacement(poses: FloatArray, logits: FloatArray, moments: Moments) -> dict[str, float]:
    """Figures of modes (N, K, KNOTS, 3) with scores (N, K), the higher the likelier."""
    valid = moments.valid.astype(float)
    gap = np.linalg.norm(poses[..., :2] - moments.expert[:, None, :, :2], axis=-1)
    ade = (gap * valid[:, None]).sum(axis=-1) / np.maximum(valid.sum(axis=-1), 1.0)[:, None]
    last = np.maximum(valid.sum(axis=-1).astype(int) - 1, 0)
    fde = np.take_along_axis(gap, last[:, None, None], axis=-1)[..., 0]
    top = logits.argmax(axis=1)
    rows = np.arange(len(top))
    return {
        "best_ade": float(ade.min(axis=1).mean()), "best_fde": float(fde.min(axis=1).mean()),
        "top_ade": float(ade[rows, top].mean()), "top_fde": float(fde[rows, top].mean()),
        "named": float((ade.argmin(axis=1) == top).mean()),
    }  # fmt: skip


def queries(net: TrunkNet, moments: Moments) -> Tensor:
    """(N, MODES, QUERY) of the torch trunk."""
    inputs = moments.inputs()
    return net(*(torch.from_numpy(np.ascontiguousarray(inputs[name])) for name in SHAPES))


def disturbed(rows: Moments, config: FitConfig, rng: np.random.Generator) -> Moments:
    """A batch with parts left out, sides exchanged and noise added."""
    n = len(rows)
    flip = rng.random(n) < config.mirror
    changed = {k: v.copy() for k, v in rows.tensors().items()}
    if flip.any():
        for name, value in mirrored(rows[flip]).tensors().items():
            changed[name][flip] = value
    for i in np.flatnonzero(rng.random(n) < config.stretch):
        stretched(changed, int(i), float(rng.uniform(1.0, 1.8)))
    changed["known"][rng.random(n) < config.no_context] = 0
    blind = rng.random(n) < config.no_lidar
    lidar = changed["lidar"].astype(np.float32)
    lidar[:, 0] = np.clip(lidar[:, 0] + config.noise * rng.normal(size=lidar[:, 0].shape), 0.0, 1.0)
    lidar[blind] = np.array([1.0, 0.0])[None, :, None]
    people = changed["people"].astype(np.float32)
    people[:, :, :4] += config.noise * rng.normal(size=people[:, :, :4].shape) * np.array([1, 1, 4, 4])
    changed["mask"][rng.random(n) < config.no_people] = 0
    people *= changed["mask"][:, :, None]
    context = changed["context"] * changed["known"]
    return Moments(**{**changed, "lidar": lidar, "people": people, "context": context})


def stretched(arrays: dict[str, Any], i: int, factor: float) -> None:
    """Make everything of a moment longer and faster, in place: people walk faster than the robot drives."""
    arrays["lidar"][i, 0] = np.minimum(arrays["lidar"][i, 0] * factor, 1.0)
    people = arrays["people"][i]
    people[:, [0, 1, 2, 3, 6, 7]] *= factor
    lost = people[:, 6] * 4.0 >= PEOPLE_REACH
    people[lost], arrays["mask"][i][lost] = 0.0, 0
    way = arrays["way"][i]
    distance, left = np.expm1(2.0 * way[10:12]) * factor
    near = min(distance, 4.0) / max(min(distance / factor, 4.0), 1e-6)
    way[[0, 1, 2, 3, 4, 5, 6, 7, 14, 16]] *= factor
    way[8:10] *= near
    way[10:12] = np.log1p([distance, left]) / 2.0
    arrays["expert"][i, :, :2] *= factor


def fit_heads(
    queries: Tensor, moments: Moments, start: dict[str, FloatArray], config: FitConfig, epochs: int, seed: int
) -> dict[str, FloatArray]:
    """Go on training heads alone, on queries (N, MODES, QUERY) of a trunk that stays as it is."""
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    weights = {n: v.requires_grad_(True) for n, v in heads_torch.tensors(start).items()}
    mean = {n: v.detach().clone() for n, v in weights.items()}
    optimiser = torch.optim.AdamW(list(weights.values()), lr=config.rate, weight_decay=1e-4)
    steps = epochs * max(len(moments) // config.batch, 1)
    for step in range(steps):
        for group in optimiser.param_groups:
            group["lr"] = config.rate * _pace(step / steps)
        rows = rng.integers(len(moments), size=config.batch)
        query = queries[torch.from_numpy(rows)]
        loss = _head_loss(query + config.noise * torch.randn(query.shape), weights, moments[rows], 1, config)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(list(weights.values()), config.clip)
        if not (torch.isfinite(loss) and torch.isfinite(norm)):
            continue
        optimiser.step()
        for name, value in weights.items():
            mean[name].lerp_(value.detach(), 1.0 - config.smoothing)
    return heads_torch.arrays(mean)


def _loss(
    net: TrunkNet, weights: dict[str, Tensor], rows: Moments, winners: int, config: FitConfig
) -> Tensor:
    return _head_loss(queries(net, rows), weights, rows, winners, config)


def _head_loss(
    query: Tensor, weights: dict[str, Tensor], rows: Moments, winners: int, config: FitConfig
) -> Tensor:
    v, w, speed = torch.from_numpy(rows.motion.astype(np.float32)).T
    poses = heads_torch.motions(weights, query, v, w, speed)
    distance = heads_torch.distances(
        poses, torch.from_numpy(rows.expert), torch.from_numpy(rows.valid.astype(np.float32))
    )
    logits = heads_torch.chances(weights, query)
    loss = heads_torch.winner_loss(distance, logits, winners, config.chance_weight)
    return (torch.from_numpy(rows.weight) * loss).sum() / float(rows.weight.sum())


def _pace(share: float) -> float:
    """Learning rate over a training, 0 to 1: a little to warm up, then half a cosine."""
    return float(min(share / 0.05 + 0.02, 0.5 * (1.0 + np.cos(np.pi * min(share, 1.0))) + 0.005))


class _State:
    """Weights, their mean and the optimiser between epochs, as safetensors."""

    def __init__(
        self,
        work: Path | None,
        identity: str,
        named: dict[str, Tensor],
        mean: dict[str, Tensor],
        optimiser: Any,
    ) -> None:
        self.path = None if work is None else work / "state.safetensors"
        self.identity, self.named, self.mean, self.optimiser = identity, named, mean, optimiser

    def save(self, epoch: int) -> None:
        if self.path is None:
            return
        out = {f"now.{n}": v.detach().numpy() for n, v in self.named.items()}
        out |= {f"mean.{n}": v.numpy() for n, v in self.mean.items()}
        for name, value in self.named.items():
            kept = self.optimiser.state.get(value, {})
            for part in ("exp_avg", "exp_avg_sq", "step"):
                if part in kept:
                    out[f"{part}.{name}"] = kept[part].numpy()
        save_checkpoint(self.path, out, {"identity": self.identity, "epoch": epoch})

    def resume(self) -> int:
        if self.path is None:
            return 0
        try:
            tensors, facts = load_checkpoint(self.path)
        except StorageError:
            return 0
        if facts.get("identity") != self.identity:
            return 0
        with torch.no_grad():
            for name, value in self.named.items():
                value.copy_(torch.from_numpy(tensors[f"now.{name}"].copy()))
                self.mean[name].copy_(torch.from_numpy(tensors[f"mean.{name}"].copy()))
                if f"step.{name}" in tensors:
                    self.optimiser.state[value] = {
                        part: torch.from_numpy(np.array(tensors[f"{part}.{name}"]))
                        for part in ("exp_avg", "exp_avg_sq", "step")
                    }
        return int(facts["epoch"])
