"""What a candidate must show before it replaces the head in use, and the numbered store of heads.

A candidate gains on what it was trained for, loses no more than the tolerance on everything older, stays
within a trust region of weights and of embeddings, and is finite. It is promoted by one atomic write
(core.generations) and can be rolled back by another.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lifelong_nav.core import generations
from lifelong_nav.core.config import param
from lifelong_nav.core.types import FloatArray
from lifelong_nav.perception.lifelong.samples import Samples, present
from lifelong_nav.perception.sc_clip.head import VOICES, ContextHead


@dataclass(frozen=True)
class GuardConfig:
    """What is asked of a candidate head."""

    min_gain: float = param(0.02, "", 0.0, 1.0, "Accuracy it must gain on the new scenarios, held-out.")
    tolerance: float = param(0.02, "", 0.0, 1.0, "Accuracy the older scenarios may lose on average.")
    tolerance_each: float = param(
        0.10, "", 0.0, 1.0, "Accuracy a single older scenario may lose, or two held-out moments if more."
    )
    max_change: float = param(
        2.0, "", 0.0, 10.0, "Largest change of a weight matrix, relative to its own norm."
    )
    min_likeness: float = param(
        0.9, "", -1.0, 1.0, "Least mean cosine between old and new embeddings of remembered moments."
    )
    keep: int = param(12, "", 2, 1000, "Generations kept on disk.")


@dataclass(frozen=True)
class Verdict:
    """`accepted` or not, with all reasons against; the figures behind it by name."""

    accepted: bool
    reasons: tuple[str, ...]
    gain: float
    loss: float
    worst: tuple[str, float]
    change: float
    likeness: float

    def figures(self) -> dict[str, Any]:
        """JSON for the manifest."""
        out = {name: getattr(self, name) for name in ("gain", "loss", "change", "likeness")}
        return {**out, "worst": list(self.worst), "reasons": list(self.reasons)}


def judge(
    current: ContextHead,
    candidate: ContextHead,
    held_out: Samples | None,
    new: tuple[str, ...],
    sentences: Mapping[str, FloatArray],
    remembered: Samples | None = None,
    config: GuardConfig | None = None,
) -> Verdict:
    """Compare a candidate with the head in use.

    Args:
        current: head in use.
        candidate: head that wants to replace it.
        held_out: moments neither was trained on.
        new: scenarios the candidate was trained for; empty for a consolidation, which need not gain.
        sentences: all known scenarios with their unit vectors.
        remembered: moments on which embeddings should stay alike; None for `held_out`.
        config: limits.
    """
    config = config or GuardConfig()
    if any(not np.isfinite(v).all() for v in candidate.params.values()):
        return Verdict(False, ("weights are not finite",), 0.0, 1.0, ("", 1.0), float("inf"), 0.0)
    reasons = []
    before, after, counts = {}, {}, {}
    if held_out is not None and len(held_out):
        before, after = (scenario_accuracy(h, held_out, sentences) for h in (current, candidate))
        counts = {n: int((held_out.scenario == n).sum()) for n in before}
    gains = [after[n] - before[n] for n in new if n in before]
    gain = float(np.mean(gains)) if gains else 0.0
    losses = {n: before[n] - after[n] for n in before if n not in new}
    loss = float(np.mean(list(losses.values()))) if losses else 0.0
    worst = max(losses.items(), key=lambda item: item[1], default=("", 0.0))
    change, likeness = relative_change(current, candidate), 1.0
    alike = remembered if remembered is not None else held_out
    if alike is not None and len(alike):
        likeness = float((embed(current, alike) * embed(candidate, alike)).sum(axis=1).mean())
    if new and len(gains) < len(new):
        reasons.append("a new scenario has no held-out moments")
    if new and gain < config.min_gain:
        reasons.append(f"gains {gain:+.1%} on {', '.join(new)}, less than {config.min_gain:.1%}")
    if loss > config.tolerance:
        reasons.append(f"older scenarios lose {loss:.1%} on average")
    for name, lost in losses.items():
        if lost > max(config.tolerance_each, 2.0 / counts[name]) + 1e-9:
            reasons.append(f"'{name}' loses {lost:.1%}")
    if change > config.max_change:
        reasons.append(f"weights change by {change:.0%}, more than {config.max_change:.0%}")
    if likeness < config.min_likeness:
        reasons.append(f"embeddings drift: mean cosine {likeness:.3f} with those before")
    return Verdict(not reasons, tuple(reasons), gain, loss, worst, change, likeness)


def embed(head: ContextHead, samples: Samples) -> FloatArray:
    """(N, D) fused embeddings of samples, silent voices left out."""
    out = np.zeros((len(samples), head.dim), dtype=np.float32)
    voices = [present(rows) for rows in (samples.image, samples.facts)]
    for image in (True, False):
        for facts in (True, False):
            rows = (voices[0] == image) & (voices[1] == facts)
            if rows.any() and (image or facts):
                x = samples.image[rows].astype(np.float32) if image else None
                y = samples.facts[rows].astype(np.float32) if facts else None
                out[rows] = head.embed(x, y).fused
    return out


def scenario_accuracy(
    head: ContextHead, samples: Samples, sentences: Mapping[str, FloatArray]
) -> dict[str, float]:
    """Share of right zero-shot answers over all `sentences`, per scenario that occurs in `samples`."""
    names = np.array(list(sentences))
    vectors = np.stack([np.asarray(v, dtype=np.float32) for v in sentences.values()])
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    right = names[(embed(head, samples) @ vectors.T).argmax(axis=1)] == samples.scenario
    return {n: float(right[samples.scenario == n].mean()) for n in samples.scenarios}


def relative_change(current: ContextHead, candidate: ContextHead) -> float:
    """Largest relative Frobenius change of a weight matrix."""
    names = [f"{voice}.{layer}" for voice in VOICES for layer in ("w1", "w2")]
    changes = [
        np.linalg.norm(candidate.params[n] - current.params[n])
        / max(float(np.linalg.norm(current.params[n])), 1e-9)
        for n in names
    ]
    return float(max(changes))


class HeadStore:
    """Generations of heads under one folder; each holds whatever `write` puts beside the head.

    Args:
        root: folder of the generations.
        keep: how many stay on disk.
    """

    def __init__(self, root: Path, keep: int = 12) -> None:
        self.root, self.keep = root, keep

    def promote(
        self, head: ContextHead, meta: Mapping[str, Any], write: Callable[[Path], None] = lambda folder: None
    ) -> int:
        """Store a head as the next generation and put it in use; return its number."""

        def put(folder: Path) -> None:
            head.save(folder)
            write(folder)

        number = generations.write_generation(self.root, put, meta).number
        generations.promote(self.root, number)
        generations.prune(self.root, self.keep)
        return number

    def newest(self) -> tuple[ContextHead, generations.Generation, list[str]]:
        """The head in use (or the newest older one that is whole), and a sentence for each passed over.

        Raises:
            StorageError: there is none.
        """

        def load(generation: generations.Generation) -> tuple[ContextHead, generations.Generation]:
            return ContextHead.load(generation.folder), generation

        (head, generation), skipped = generations.load_newest(self.root, load)
        return head, generation, skipped

    def roll_back(self, number: int) -> None:
        """Put an earlier generation back in use.

        Raises:
            StorageError: it is gone or damaged; the one in use stays.
        """
        generations.promote(self.root, number)
