"""One update of the heads from demonstrations: replay, distillation, and the mix of old and new worth most.

The trunk is frozen, so its queries are computed once and an update takes seconds. Weights handed back are a
mix of old and new (WiSE-FT, 2109.01903) that brings held-out demonstrations nearest among those that cost
older moments no more than the tolerance. Imports torch; the robot's planner does not.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from lifelong_nav.core.types import FloatArray
from lifelong_nav.trajectory.generator import heads_torch
from lifelong_nav.trajectory.lifelong.config import GuardConfig, UpdateConfig
from lifelong_nav.trajectory.lifelong.guard import Known, figures

Tensor = Any
STRIKES = 3
"""Non-finite steps in a row that end an update."""
SHARES = (1.0, 0.7, 0.4, 0.2)
"""Mixes of old and new weights that are tried."""


@dataclass(frozen=True)
class UpdateResult:
    """Candidate weights (`share` 0: the old ones), how many steps were skipped, and a sentence."""

    params: dict[str, FloatArray]
    share: float
    skipped: int
    reason: str


def update(
    params: Mapping[str, FloatArray],
    shown: Known,
    replay: Known | None,
    shown_held: Known,
    replay_held: Known | None,
    config: UpdateConfig | None = None,
    guard: GuardConfig | None = None,
    seed: int = 0,
    keep_going: Callable[[], bool] = lambda: True,
) -> UpdateResult:
    """Train candidate heads; `params` stay as they are.

    Args:
        params: weights in use.
        shown: demonstrated moments to learn.
        replay: older moments; None trains on demonstrations alone (and forgets).
        shown_held: demonstrated moments for the choice of the mix.
        replay_held: older moments for the same.
        config: parameters.
        guard: the tolerance the mix must keep to.
        seed: of batches and noise.
        keep_going: asked before every step; False ends the update early.
    """
    config, guard = config or UpdateConfig(), guard or GuardConfig()
    torch.set_num_threads(1)
    rng = np.random.default_rng(seed)
    torch.manual_seed(seed)
    old = heads_torch.tensors(params)
    weights = {n: v.clone().requires_grad_(True) for n, v in old.items()}
    mean = {n: v.clone() for n, v in old.items()}
    optimiser = torch.optim.Adam(list(weights.values()), lr=config.rate)
    skipped = strikes = 0
    reason = ""
    trail: list[dict[str, FloatArray]] = []
    for step in range(1, config.iterations + 1):
        if not keep_going():
            reason = f"stopped from outside after {step - 1} steps"
            break
        for group in optimiser.param_groups:
            done = step / config.iterations
            group["lr"] = config.rate * min(done / 0.1, 0.5 * (1.0 + np.cos(np.pi * done)) + 0.02)
        loss = _loss(weights, old, shown, replay, config, rng)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(list(weights.values()), config.clip)
        if not (torch.isfinite(loss) and torch.isfinite(norm)):
            skipped, strikes = skipped + 1, strikes + 1
            if strikes >= STRIKES:
                return UpdateResult(dict(params), 0.0, skipped, f"{STRIKES} non-finite steps in a row")
            continue
        strikes = 0
        optimiser.step()
        for name, value in weights.items():
            mean[name].lerp_(value.detach(), 1.0 - config.smoothing)
        if step % config.evaluate_every == 0 or step == config.iterations:
            trail.append(heads_torch.arrays(mean))
    return _choose(params, trail, shown_held, replay_held, guard, skipped, reason)


def _loss(
    weights: dict[str, Tensor], old: dict[str, Tensor], shown: Known, replay: Known | None,
    config: UpdateConfig, rng: np.random.Generator,
) -> Tensor:  # fmt: skip
    new = shown[_draw(shown, config.batch_new, rng)]
    loss = _winner(weights, new, config, noise=True)
    if replay is None or not len(replay) or not config.batch_replay:
        return loss
    past = replay[rng.integers(len(replay), size=config.batch_replay)]
    loss = loss + _winner(weights, past, config, noise=False)
    if config.distill:
        query, motion = _tensors(past)
        with torch.no_grad():
            before = heads_torch.motions(old, query, *motion)
            likely = torch.softmax(heads_torch.chances(old, query), dim=1)
        after = heads_torch.motions(weights, query, *motion)
        drift = ((after - before) ** 2).sum(dim=-1).mean()
        told = functional.log_softmax(heads_torch.chances(weights, query), dim=1)
        loss = loss + config.distill * (drift + functional.kl_div(told, likely, reduction="batchmean"))
    return loss


def _winner(weights: dict[str, Tensor], known: Known, config: UpdateConfig, noise: bool) -> Tensor:
    query, motion = _tensors(known)
    if noise and config.noise:
        query = query + config.noise * query.std() * torch.randn(query.shape)
    poses = heads_torch.motions(weights, query, *motion)
    moments = known.moments
    distance = heads_torch.distances(
        poses, torch.from_numpy(moments.expert), torch.from_numpy(moments.valid.astype(np.float32))
    )
    loss = heads_torch.winner_loss(distance, heads_torch.chances(weights, query), 1, config.chance_weight)
    return (loss * torch.from_numpy(moments.weight)).sum() / float(moments.weight.sum())


def _tensors(known: Known) -> tuple[Tensor, tuple[Tensor, Tensor, Tensor]]:
    v, w, speed = torch.from_numpy(known.moments.motion.astype(np.float32)).T
    return torch.from_numpy(known.queries), (v, w, speed)


def _draw(known: Known, count: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Rows with every episode equally often: a long drive does not outvote short ones."""
    _, inverse, counts = np.unique(known.moments.episode, return_inverse=True, return_counts=True)
    chance = 1.0 / counts[inverse] / len(counts)
    return rng.choice(len(known), size=count, p=chance)


def _choose(
    params: Mapping[str, FloatArray], trail: list[dict[str, FloatArray]], shown: Known, base: Known | None,
    guard: GuardConfig, skipped: int, reason: str,
) -> UpdateResult:  # fmt: skip
    """The mix of old and new weights that is worth most among those that keep to the tolerance."""
    best, share = dict(params), 0.0
    worth = figures(params, shown).score
    old = None if base is None or not len(base) else figures(params, base)
    for candidate in trail[-1:] + trail[-2:-1]:
        for tried in SHARES:
            mixed = {n: (params[n] + tried * (candidate[n] - params[n])).astype(np.float32) for n in params}
            now = figures(mixed, shown)
            if now.score >= worth - 1e-6:
                continue
            if old is not None and base is not None:
                then = figures(mixed, base)
                lost = max(then.best_ade / old.best_ade, then.top_ade / old.top_ade) - 1.0
                if lost > guard.tolerance or then.contact > old.contact + max(guard.contact, 1.5 / len(base)):
                    continue
            best, share, worth = mixed, tried, now.score
    if not reason:
        reason = f"{share:.0%} of the change kept" if share else "no mix of old and new weights was worth it"
    return UpdateResult(best, share, skipped, reason)
