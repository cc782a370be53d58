"""One update of the head: new moments, replay, distillation to the frozen generation, held-out choice.

Adapters (LoRA, 2106.09685) learn on a mix of new and remembered moments; where remembered moments lie in
the caption space is held by distillation; every few steps all known scenarios are scored on held-out
moments, so that the dip while learning (the stability gap, De Lange 2205.13452) is on record; the weights
handed back are the mix of old and new (WiSE-FT, 2109.01903) that gains most among those that cost old
scenarios no more than the tolerance. `rank` 0 trains every weight: the consolidation.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from lifelong_nav.core.errors import InputError
from lifelong_nav.core.types import FloatArray
from lifelong_nav.perception.lifelong.head_torch import Batch, TorchHead, one_thread, to_batch, unit_rows
from lifelong_nav.perception.lifelong.samples import Samples
from lifelong_nav.perception.lifelong.update_config import LAYERS, UpdateConfig
from lifelong_nav.perception.sc_clip.head import ContextHead

STRIKES = 3
"""Non-finite steps in a row that end an update."""
SHARES = (1.0, 0.8, 0.6, 0.4, 0.2)
"""Mixes of old and new weights that are tried on held-out moments."""
Tensor = Any


@dataclass(frozen=True)
class UpdateResult:
    """What an update made of a head.

    `head` is the candidate (the old one when `share` is 0); `iterations` (T,) and `curve`, scenario to
    (T,) held-out accuracy along the way, first entry before any step; `new` names the scenarios learned;
    `skipped` non-finite steps; `reason` in one sentence.
    """

    head: ContextHead
    share: float
    new: tuple[str, ...]
    iterations: FloatArray
    curve: Mapping[str, FloatArray]
    skipped: int
    reason: str
    before: Mapping[str, float] = field(default_factory=dict)
    after: Mapping[str, float] = field(default_factory=dict)

    @property
    def old(self) -> tuple[str, ...]:
        """Scenarios with held-out moments that were known before."""
        return tuple(n for n in self.curve if n not in self.new)

    @property
    def stability_gap(self) -> float:
        """Worst drop of the old scenarios' mean held-out accuracy at any moment of the update."""
        rows = [self.curve[n] for n in self.old]
        if not rows:
            return 0.0
        mean = np.mean(rows, axis=0)
        return float(max(mean[0] - mean.min(), 0.0))


def update(
    head: ContextHead,
    new: Samples,
    replay: Samples | None,
    held_out: Samples | None,
    sentences: Mapping[str, FloatArray],
    config: UpdateConfig | None = None,
    seed: int = 0,
    keep_going: Callable[[], bool] = lambda: True,
    fresh: tuple[str, ...] | None = None,
) -> UpdateResult:
    """Train a candidate from `head`, which stays as it is.

    Args:
        head: generation in use.
        new: moments to learn.
        replay: moments of every older scenario; None trains on new ones only (and forgets).
        held_out: moments of old and new scenarios that were never trained on; None takes the last step.
        sentences: every known scenario, the new ones included, with its unit vector (D,).
        config: parameters.
        seed: of batches and adapters.
        keep_going: asked before every step; False ends the update early (the learner is told to stop).
        fresh: scenarios that count as new; None for all that `new` holds, empty for a consolidation.

    Raises:
        InputError: no new moments, or one of a scenario without a sentence.
    """
    config = config or UpdateConfig()
    one_thread()
    names = tuple(sentences)
    fresh = new.scenarios if fresh is None else fresh
    _check(new, replay, held_out, names)
    anchors = unit_rows(np.stack([sentences[n] for n in names]))
    learner = TorchHead(head, config.rank, seed, LAYERS[config.layers])
    data = _Data(to_batch(new, names), None if replay is None or not len(replay) else to_batch(replay, names))
    with torch.no_grad():
        old = None if data.replay is None else learner.embed(data.replay, learner.weights(0.0))
    judge = _Judge(held_out, names, anchors, fresh, config)
    rng = np.random.default_rng(seed)
    optimiser = torch.optim.AdamW(
        list(learner.trained.values()), lr=config.rate, weight_decay=config.decay, betas=(0.9, 0.98)
    )
    trail = [(0, learner.snapshot(), judge.look(learner))]
    skipped = strikes = 0
    reason = ""
    for step in range(1, config.iterations + 1):
        if not keep_going():
            reason = f"stopped from outside after {step - 1} steps"
            break
        for group in optimiser.param_groups:
            group["lr"] = config.rate * _pace(step / config.iterations)
        loss = _loss(learner, data, old, anchors, config, rng)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(list(learner.trained.values()), config.clip)
        if not (torch.isfinite(loss) and torch.isfinite(norm)):
            skipped, strikes = skipped + 1, strikes + 1
            if strikes >= STRIKES:
                reason = f"{STRIKES} non-finite steps in a row at step {step}; rolled back"
                learner.restore(trail[-1][1])
                break
            continue
        strikes = 0
        optimiser.step()
        learner.track(config.smoothing)
        if step % config.evaluate_every == 0 or step == config.iterations:
            trail.append((step, learner.snapshot(), judge.look(learner)))
    return _choose(learner, trail, judge, fresh, skipped, reason, rolled_back=strikes >= STRIKES)


@dataclass(frozen=True)
class _Data:
    new: Batch
    replay: Batch | None

    def draw(self, rng: np.random.Generator, config: UpdateConfig) -> tuple[Batch, Tensor | None]:
        """A batch (new rows first) and the rows of the replay it ends with."""
        fresh = self.new.rows(_balanced(self.new, config.batch_new, rng))
        if self.replay is None or not config.batch_replay:
            return fresh, None
        rows = _balanced(self.replay, config.batch_replay, rng)
        past = self.replay.rows(rows)
        parts = ((getattr(fresh, f), getattr(past, f)) for f in Batch.__dataclass_fields__)
        return Batch(*(torch.cat(p) for p in parts)), rows


def _loss(
    learner: TorchHead, data: _Data, old: Tensor | None, anchors: Tensor, config: UpdateConfig,
    rng: np.random.Generator,
) -> Tensor:  # fmt: skip
    batch, rows = data.draw(rng, config)
    if rows is not None and old is not None and config.distill_weight:
        kept = len(rows)
        whole = batch.rows(torch.arange(len(batch) - kept, len(batch)))
        drift = (1.0 - (learner.embed(whole) * old[rows]).sum(dim=1)).mean()
    else:
        drift = torch.zeros(())
    generator = torch.Generator().manual_seed(int(rng.integers(2**31)))
    heard = _disturbed(batch, learner, config, rng, generator)
    found = learner.embed(heard, dropout=config.dropout, generator=generator)
    weight = batch.weight / batch.weight.mean()
    named = functional.cross_entropy(found @ anchors.T / config.temperature, batch.label, reduction="none")
    loss = (weight * named).mean() + config.distill_weight * drift
    if config.caption_weight:
        # captions of one batch are often near-copies: the match wanted is as soft as they are alike
        wanted = functional.softmax(batch.target @ batch.target.T / config.temperature, dim=1)
        match = functional.cross_entropy(
            found @ batch.target.T / config.temperature, wanted, reduction="none"
        )
        loss = loss + config.caption_weight * (weight * match).mean()
    return loss


def _disturbed(
    batch: Batch, learner: TorchHead, config: UpdateConfig, rng: np.random.Generator, generator: Any
) -> Batch:
    """The batch with noise on inputs and, here and there, one of two voices silent."""
    n = len(batch)
    drop = torch.from_numpy(rng.random((n, 1)) < config.voice_drop)
    which = torch.from_numpy(rng.random((n, 1)) < 0.5)
    both = (batch.has_image > 0) & (batch.has_facts > 0) & drop

    def noisy(x: Tensor, name: str) -> Tensor:
        if not config.noise:
            return x
        spread = config.noise / learner.base[f"{name}.scale"].clamp(min=1e-3)
        return x + torch.randn(x.shape, generator=generator) * spread

    return Batch(
        noisy(batch.image, "image"), noisy(batch.facts, "facts"),
        batch.has_image * (~(both & which)).float(), batch.has_facts * (~(both & ~which)).float(),
        batch.target, batch.label, batch.weight,
    )  # fmt: skip


class _Judge:
    """Held-out accuracy per scenario, and which weights may be handed back."""

    def __init__(
        self, held_out: Samples | None, names: tuple[str, ...], anchors: Tensor, fresh: tuple[str, ...],
        config: UpdateConfig,
    ) -> None:  # fmt: skip
        self.anchors, self.config = anchors, config
        self.batch = None if held_out is None or not len(held_out) else to_batch(held_out, names)
        label = np.zeros(0, int) if self.batch is None else self.batch.label.numpy()
        self.rows = {n: label == i for i, n in enumerate(names) if (label == i).any()}
        self.fresh = tuple(n for n in fresh if n in self.rows)
        self.old = tuple(n for n in self.rows if n not in fresh)

    def look(self, learner: TorchHead, share: float = 1.0) -> dict[str, tuple[float, float]]:
        """Scenario -> (accuracy, mean log probability) with `share` of the change."""
        if self.batch is None:
            return {}
        with torch.no_grad():
            scores = learner.embed(self.batch, learner.weights(share, learner.mean)) @ self.anchors.T
            log = functional.log_softmax(scores / self.config.temperature, dim=1)
        label = self.batch.label
        right = (scores.argmax(dim=1) == label).numpy()
        sure = log[torch.arange(len(label)), label].numpy()
        return {n: (float(right[r].mean()), float(sure[r].mean())) for n, r in self.rows.items()}

    def allowed(self, before: dict[str, tuple[float, float]], after: dict[str, tuple[float, float]]) -> bool:
        """Does no old scenario, nor their mean, lose more than the tolerance?"""
        lost = {n: before[n][0] - after[n][0] for n in self.old}
        if not lost:
            return True
        each = all(
            d <= max(self.config.tolerance_each, 2.0 / self.rows[n].sum()) + 1e-9 for n, d in lost.items()
        )
        return each and float(np.mean(list(lost.values()))) <= self.config.tolerance + 1e-9

    def worth(self, look: dict[str, tuple[float, float]]) -> float:
        """What is wanted: the new scenarios told, the old ones kept; ties by how surely."""
        fresh = [look[n][0] + 0.02 * max(look[n][1], -10.0) for n in self.fresh] or [0.0]
        old = [look[n][0] + 0.02 * max(look[n][1], -10.0) for n in self.old] or [0.0]
        return float(np.mean(fresh) + 2.0 * np.mean(old))


def _choose(
    learner: TorchHead, trail: list[tuple[int, dict[str, Tensor], dict[str, tuple[float, float]]]],
    judge: _Judge, fresh: tuple[str, ...], skipped: int, reason: str, rolled_back: bool,
) -> UpdateResult:  # fmt: skip
    """The mix of old and new weights, of the last step or the best one on the way, that is worth most."""
    before = trail[0][2]
    share, look = 1.0, trail[-1][2]
    if rolled_back:
        share, look = 0.0, before
    elif judge.batch is not None and len(trail) > 1:
        share, look, best = 0.0, before, judge.worth(before)
        ends = {len(trail) - 1, max(range(1, len(trail)), key=lambda i: judge.worth(trail[i][2]))}
        for end in sorted(ends, reverse=True):
            learner.restore(trail[end][1])
            for tried in SHARES:
                seen = trail[end][2] if tried == 1.0 else judge.look(learner, tried)
                if judge.allowed(before, seen) and judge.worth(seen) > best + 1e-6:
                    share, look, best, chosen = tried, seen, judge.worth(seen), end
        if share:
            learner.restore(trail[chosen][1])
    names = tuple(before)
    curve = {n: np.array([t[2][n][0] for t in trail]) for n in names}
    steps = np.array([t[0] for t in trail])
    head = learner.freeze(share) if share else learner.head
    if not reason:
        reason = f"{share:.0%} of the change kept" if share else "no mix of old and new weights was worth it"
    accuracies = ({n: v[0] for n, v in seen.items()} for seen in (before, look))
    return UpdateResult(head, share, fresh, steps, curve, skipped, reason, *accuracies)


def _balanced(batch: Batch, count: int, rng: np.random.Generator) -> Tensor:
    """Rows drawn with every class equally often."""
    label = batch.label.numpy()
    classes, inverse, counts = np.unique(label, return_inverse=True, return_counts=True)
    chance = 1.0 / counts[inverse] / len(classes)
    return torch.from_numpy(rng.choice(len(label), size=count, p=chance))


def _pace(share: float) -> float:
    """Learning rate over an update, 0 to 1: a tenth of it to warm up, then half a cosine."""
    return min(share / 0.1, 0.5 * (1.0 + np.cos(np.pi * max(share - 0.1, 0.0) / 0.9)) + 0.02)


def _check(new: Samples, replay: Samples | None, held: Samples | None, names: tuple[str, ...]) -> None:
    if not len(new):
        raise InputError("No new moments.", "Wait for some.")
    for part in (new, replay, held):
        strangers = [s for s in (part.scenarios if part is not None else ()) if s not in names]
        if strangers:
            raise InputError(f"No sentence for {', '.join(strangers)}.", "Name every scenario first.")
