"""What the lifelong learner is made of: parameters, events, and its pieces on disk."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from lifelong_nav.core.errors import StorageError
from lifelong_nav.core.storage import read_json
from lifelong_nav.core.types import FloatArray
from lifelong_nav.perception.lifelong.asking import AskConfig
from lifelong_nav.perception.lifelong.guard import GuardConfig
from lifelong_nav.perception.lifelong.replay_memory import ReplayMemory
from lifelong_nav.perception.lifelong.samples import Samples, join
from lifelong_nav.perception.lifelong.update_config import UpdateConfig
from lifelong_nav.perception.lifelong.updater_config import LearnerConfig
from lifelong_nav.perception.sc_clip.database import CaptionDatabase
from lifelong_nav.perception.sc_clip.head import ContextHead
from lifelong_nav.perception.sc_clip.novelty import NoveltyConfig, NoveltyGate, fit_gate

Encode = Callable[[Sequence[str]], FloatArray]
"""Sentences to unit vectors (N, D): the frozen text tower."""
SCHEMA = 1
BOOKS = "learner.json"


@dataclass(frozen=True)
class Shipped:
    """Where learning starts: the shipped head, captions and remembered moments.

    `samples` are of what the head was trained on, `held_out` were never shown to it; without the latter a
    part of the former is taken for it, and judged too kindly.
    """

    head: ContextHead
    captions: CaptionDatabase
    samples: Samples
    held_out: Samples | None = None


@dataclass(frozen=True, slots=True)
class Event:
    """Something to tell: `kind` is promoted, rejected, consolidated, refused or named; `text` a sentence."""

    kind: str
    text: str
    generation: int
    scenarios: tuple[str, ...] = ()
    result: Any = None


@dataclass(frozen=True)
class Configs:
    """All parameters of the learner."""

    learner: LearnerConfig = field(default_factory=LearnerConfig)
    update: UpdateConfig = field(default_factory=UpdateConfig)
    guard: GuardConfig = field(default_factory=GuardConfig)
    ask: AskConfig = field(default_factory=AskConfig)
    novelty: NoveltyConfig = field(default_factory=NoveltyConfig)


def fit_memory_gate(
    memory: ReplayMemory, head: ContextHead, learned: set[str], configs: Configs, seed: int
) -> NoveltyGate:
    """The novelty gate of a head, on the memory of what is learned."""
    sides = [(memory.training(), False), (memory.held_out(), True)]
    parts = [(s[np.isin(s.scenario, sorted(learned))], held) for s, held in sides if s is not None]
    rows = join([s for s, _ in parts])
    held = np.concatenate([np.full(len(s), h) for s, h in parts])
    order = np.argsort(rows.stamp, kind="stable")
    rows, held = rows[order], held[order]
    image, facts = rows.image.astype(np.float32), rows.facts.astype(np.float32)
    return fit_gate(
        image,
        facts,
        lambda x, y: head.embed(x, y).fused,
        rows.scenario,
        rows.episode,
        held,
        configs.novelty,
        seed,
    )


def read_books(folder: Path, trouble: list[str]) -> dict[str, Any]:
    """The learner's page of books, empty when there is none; damage is added to `trouble`."""
    if not (folder / BOOKS).exists():
        return {}
    try:
        books = read_json(folder / BOOKS)
        if not isinstance(books, dict) or books.get("schema") != SCHEMA:
            raise StorageError(f"{BOOKS} has an unknown schema.", "It is written anew.")
        return books
    except StorageError as error:
        trouble.append(error.what)
        return {}


def or_nan(voice: FloatArray | None, width: int) -> FloatArray:
    """A voice's row (width,), NaN where it was silent."""
    return np.full(width, np.nan) if voice is None else np.asarray(voice, dtype=np.float32)
