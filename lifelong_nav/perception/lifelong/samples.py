"""What the learner keeps of a moment: frozen features, facts, and what the teacher called it. No pictures."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lifelong_nav.core.errors import InputError
from lifelong_nav.core.types import FloatArray


@dataclass(frozen=True)
class Samples:
    """N labelled moments.

    `image` (N, F) float16, features of the frozen trunk, rows of NaN where there was no camera; `facts`
    (N, 3 D) float16, embedded clauses, likewise; `target` (N, D) float16, unit, the caption as the text
    tower embeds it; `scenario` and `caption` N texts; `episode` (N,) int64, one number per stay in a
    situation (frames of one episode are near-copies and never part); `stamp` (N,) [s]; `weight` (N,)
    float32, 1 where the teacher spoke of this very frame, less where its word was carried over from a
    neighbour.
    """

    image: NDArray[np.float16]
    facts: NDArray[np.float16]
    target: NDArray[np.float16]
    scenario: NDArray[np.str_]
    caption: NDArray[np.str_]
    episode: NDArray[np.int64]
    stamp: FloatArray
    weight: FloatArray

    def __post_init__(self) -> None:
        lengths = {f.name: len(getattr(self, f.name)) for f in fields(self)}
        if len(set(lengths.values())) > 1:
            raise InputError(f"Samples of unequal length: {lengths}.", "Give one row per moment.")
        if not np.isfinite(self.target).all():
            raise InputError("A caption vector is not finite.", "Embed captions with the text tower.")

    def __len__(self) -> int:
        return len(self.episode)

    def __getitem__(self, rows: NDArray[Any] | slice) -> Samples:
        """The samples of some rows (mask, indices or slice)."""
        return Samples(*(getattr(self, f.name)[rows] for f in fields(self)))

    @property
    def scenarios(self) -> tuple[str, ...]:
        """Names that occur, sorted."""
        return tuple(str(s) for s in np.unique(self.scenario))

    @property
    def bytes(self) -> int:
        """Size of the arrays."""
        return sum(getattr(self, f.name).nbytes for f in fields(self))

    def of(self, scenario: str) -> Samples:
        """Those of one scenario."""
        return self[self.scenario == scenario]


def make_samples(
    image: FloatArray | None,
    facts: FloatArray | None,
    target: FloatArray,
    scenario: Iterable[str],
    episode: Iterable[int],
    caption: Iterable[str] | None = None,
    stamp: Iterable[float] | None = None,
    weight: Iterable[float] | None = None,
    widths: tuple[int, int] = (0, 0),
) -> Samples:
    """Samples from plain arrays.

    Args:
        image: (N, F), rows of NaN where the camera was missing; None for no camera at all.
        facts: (N, 3 D), likewise.
        target: (N, D) unit vectors of the captions.
        scenario: N names.
        episode: N numbers.
        caption: N texts.
        stamp: N times [s].
        weight: N weights in (0, 1].
        widths: F and 3 D, needed for a voice that is None.
    """
    n = len(target)
    f16, names = np.float16, np.array(list(scenario), dtype=np.str_)

    def voice(rows: FloatArray | None, width: int) -> NDArray[np.float16]:
        return np.full((n, width), np.nan, f16) if rows is None else np.asarray(rows).astype(f16)

    return Samples(
        voice(image, widths[0]),
        voice(facts, widths[1]),
        np.asarray(target).astype(f16),
        names,
        np.array(list(caption), dtype=np.str_) if caption is not None else np.full(n, "", dtype=np.str_),
        np.fromiter(episode, dtype=np.int64, count=n),
        np.fromiter(stamp, dtype=float, count=n) if stamp is not None else np.zeros(n),
        np.fromiter(weight, dtype=np.float32, count=n) if weight is not None else np.ones(n, np.float32),
    )


def join(parts: Iterable[Samples]) -> Samples:
    """All rows of several, in order; at least one part is needed."""
    rows = [p for p in parts if len(p)] or list(parts)
    if not rows:
        raise InputError("Nothing to join.", "Give at least one Samples.")
    return Samples(*(np.concatenate([getattr(r, f.name) for r in rows]) for f in fields(Samples)))


def present(rows: FloatArray) -> NDArray[np.bool_]:
    """(N,) where a voice (N, W) spoke: finite rows of at least one number."""
    if not rows.shape[1]:
        return np.zeros(len(rows), dtype=bool)
    return np.asarray(np.isfinite(rows).all(axis=1), dtype=bool)


def to_tensors(samples: Samples) -> dict[str, NDArray[Any]]:
    """Named finite arrays for a checkpoint: texts as bytes, missing voices as zeros and a flag."""
    texts = {"scenario": samples.scenario.tolist(), "caption": samples.caption.tolist()}
    return {
        "image": np.nan_to_num(samples.image, nan=0.0),
        "facts": np.nan_to_num(samples.facts, nan=0.0),
        "has_image": present(samples.image).astype(np.uint8),
        "has_facts": present(samples.facts).astype(np.uint8),
        "target": samples.target,
        "text": np.frombuffer(json.dumps(texts).encode(), dtype=np.uint8),
        "episode": samples.episode,
        "stamp": samples.stamp,
        "weight": samples.weight,
    }


def from_tensors(tensors: Mapping[str, NDArray[Any]]) -> Samples:
    """What `to_tensors` took apart.

    Raises:
        InputError: arrays are missing or do not fit each other.
    """
    try:
        texts = json.loads(tensors["text"].tobytes())
        image, facts = tensors["image"].copy(), tensors["facts"].copy()
        image[tensors["has_image"] == 0] = np.nan
        facts[tensors["has_facts"] == 0] = np.nan
        scenario = np.array([str(s) for s in texts["scenario"]], dtype=np.str_)
        caption = np.array([str(s) for s in texts["caption"]], dtype=np.str_)
        rest = (tensors["episode"], tensors["stamp"], tensors["weight"])
        return Samples(image, facts, tensors["target"], scenario, caption, *rest)
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise InputError(f"These are no samples ({error!r}).", "Delete the file.") from error
