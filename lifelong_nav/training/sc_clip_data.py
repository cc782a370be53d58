"""What a head is trained and scored on: features, clauses and captions of a dataset, cached on disk.

Features are computed shard by shard and sentences block by block; a kill costs at most one of them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lifelong_nav.core.checkpoints import load_checkpoint, save_checkpoint
from lifelong_nav.core.errors import InputError, StorageError
from lifelong_nav.core.types import FloatArray
from lifelong_nav.perception.captions import (
    ATTRIBUTES,
    attribute_prompts,
    long_caption,
    scene_from_dict,
    short_caption,
)
from lifelong_nav.perception.sc_clip.attributes import Encoder, Prompts, make_prompts
from lifelong_nav.perception.sc_clip.fit import FitData
from lifelong_nav.perception.sc_clip.image_trunk import RgbImage, Trunk
from lifelong_nav.training.scene_data import Record, iter_jpegs, load_records

Progress = Callable[[str, int, int], None]
"""Called with the stage, what is done of it and its whole."""
_BLOCK = 2048
_PICTURES = 128

HELD_OUT_COMBINATIONS = (
    "corridor/moderate/walking_group", "corridor/sparse/standing_group", "corner/sparse/individuals",
    "corner/crowded/queue", "intersection/moderate/standing_group", "intersection/crowded/individuals",
    "doorway/moderate/queue", "doorway/sparse/walking_group", "elevator/moderate/individuals",
    "elevator/crowded/standing_group", "room/crowded/walking_group", "room/sparse/individuals",
    "hall/sparse/standing_group", "hall/moderate/queue", "kitchen/crowded/individuals",
    "kitchen/moderate/walking_group", "aisle/crowded/standing_group", "aisle/sparse/walking_group",
)  # fmt: skip
"""Environment/density/grouping never shown in training when unseen combinations are scored: two of the
twelve of every place; over the list no density and no grouping is told by its place."""


@dataclass(frozen=True)
class SceneSet:
    """N pictures as vectors.

    `features` (N, F), `facts` (N, 3 D), `long` and `short` (N, D) float32; `labels` attribute -> (N,)
    index into the prompts; `records` what the dataset says of each.
    """

    records: tuple[Record, ...]
    features: FloatArray
    facts: FloatArray
    long: FloatArray
    short: FloatArray
    labels: dict[str, NDArray[np.int64]]
    prompts: dict[str, Prompts]

    def __len__(self) -> int:
        return len(self.records)

    def rows(self, keep: NDArray[Any]) -> SceneSet:
        """Some pictures, by mask or indices."""
        index = np.flatnonzero(keep) if keep.dtype == bool else keep
        return replace(
            self,
            records=tuple(self.records[i] for i in index),
            features=self.features[index],
            facts=self.facts[index],
            long=self.long[index],
            short=self.short[index],
            labels={k: v[index] for k, v in self.labels.items()},
        )

    def where(self, key: str, values: Iterable[Any]) -> NDArray[np.bool_]:
        """(N,) mask of records whose `key` is one of `values`."""
        wanted = set(values)
        return np.array([r[key] in wanted for r in self.records], dtype=bool)

    def fit_data(self) -> FitData:
        """What `fit_head` takes; rare scenarios and combinations weigh more."""
        return FitData(
            self.features, self.facts, self.long, self.short,
            {k: p.vectors for k, p in self.prompts.items()}, self.labels, self.weights(),
        )  # fmt: skip

    def weights(self) -> FloatArray:
        """(N,) inverse square root of how often a picture's scenario and combination occur, mean 1."""
        out = np.ones(len(self))
        for key in ("family", "combo"):
            names, inverse = np.unique([r[key] for r in self.records], return_inverse=True)
            out /= np.sqrt(np.bincount(inverse, minlength=len(names)))[inverse]
        return out / out.mean()


def joined(a: SceneSet, b: SceneSet) -> SceneSet:
    """All pictures of two sets of the same trunk, caption space and prompts."""

    def both(name: str) -> FloatArray:
        return np.concatenate([getattr(a, name), getattr(b, name)])

    return SceneSet(
        a.records + b.records, both("features"), both("facts"), both("long"), both("short"),
        {k: np.concatenate([a.labels[k], b.labels[k]]) for k in a.labels}, a.prompts,
    )  # fmt: skip


def load_scene_set(
    root: Path, cache: Path, trunk: Trunk, encoder: Encoder, space: str, progress: Progress | None = None
) -> SceneSet:
    """Everything of a dataset as vectors, from the caches where they are complete.

    Args:
        root: folder of `scene_data.generate`.
        cache: folder for features and sentences; files of another trunk or space are computed again.
        trunk: the frozen eye.
        encoder: the text tower.
        space: version of its caption space.
        progress: told of pictures and sentences done.
    """
    records = load_records(root)
    if not records:
        raise InputError(f"{root} holds no pictures.", "Generate the dataset first.")
    features = cached_features(root, records, cache, trunk, progress)
    rng = [np.random.default_rng([7, i]) for i in range(len(records))]
    scenes = [scene_from_dict(r["scene"]) for r in records]
    long = [long_caption(s, g) for s, g in zip(scenes, rng, strict=True)]
    short = [short_caption(s, g) for s, g in zip(scenes, rng, strict=True)]
    clauses = [list(r["clauses"]) for r in records]
    texts = sorted({*long, *short, *(c for three in clauses for c in three)})
    vectors = cached_sentences(texts, cache / "sentences", encoder, space, progress)
    place = {text: i for i, text in enumerate(texts)}
    prompts = make_prompts(attribute_prompts(), encoder)
    labels = {
        name: prompts[name].labels(getattr(s, name) for s in scenes) for name in ATTRIBUTES
    }  # a scenario that is not among the prompts is -1
    certain = np.array([bool(r.get("certain", True)) for r in records])
    labels["scenario"][~certain] = -1  # a combination may fit several scenarios: it teaches none
    facts = np.stack([np.concatenate([vectors[place[c]] for c in three]) for three in clauses])
    return SceneSet(
        tuple(records), features, facts.astype(np.float32), vectors[[place[t] for t in long]],
        vectors[[place[t] for t in short]], labels, prompts,
    )  # fmt: skip


def cached_features(
    root: Path, records: Sequence[Record], cache: Path, trunk: Trunk, progress: Progress | None = None
) -> FloatArray:
    """(N, F) float32 features of a dataset, one cache file per shard."""
    shards = np.array([r["shard"] for r in records])
    jpegs = iter_jpegs(root)
    out = np.empty((len(records), trunk.dim), np.float32)
    done = 0
    for number in np.unique(shards):
        count = int((shards == number).sum())
        path = cache / "features" / f"shard_{number:05d}.safetensors"
        rows = _cached(path, {"trunk": trunk.version, "count": count})
        if rows is None:
            computed = []
            for start in range(0, count, _PICTURES):
                images = [decode(next(jpegs)) for _ in range(min(_PICTURES, count - start))]
                computed.append(trunk.features(images))
            rows = np.concatenate(computed).astype(np.float16)
            save_checkpoint(path, {"rows": rows}, {"trunk": trunk.version, "count": count})
        else:
            for _ in range(count):
                next(jpegs)
        out[done : done + count] = rows
        done += count
        if progress:
            progress("features", done, len(records))
    return out


def decode(jpeg: NDArray[np.uint8]) -> RgbImage:
    """(H, W, 3) uint8 RGB of JPEG bytes (N,)."""
    import cv2

    bgr: Any = cv2.imdecode(jpeg, cv2.IMREAD_COLOR)
    return np.ascontiguousarray(bgr[..., ::-1])


def cached_sentences(
    texts: Sequence[str], cache: Path, encoder: Encoder, space: str, progress: Progress | None = None
) -> FloatArray:
    """(N, D) float32 unit vectors of `texts`, cached in blocks that carry their texts' digest."""
    blocks = []
    for start in range(0, len(texts), _BLOCK):
        block = list(texts[start : start + _BLOCK])
        digest = hashlib.sha256("\n".join(block).encode()).hexdigest()
        path = cache / f"block_{start // _BLOCK:04d}.safetensors"
        rows = _cached(path, {"space": space, "digest": digest})
        if rows is None:
            rows = encoder.encode(block).astype(np.float16)
            save_checkpoint(path, {"rows": rows}, {"space": space, "digest": digest})
        blocks.append(rows.astype(np.float32))
        if progress:
            progress("sentences", min(start + _BLOCK, len(texts)), len(texts))
    vectors = np.concatenate(blocks)
    out: FloatArray = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return out


def _cached(path: Path, facts: dict[str, Any]) -> NDArray[np.float16] | None:
    """The rows of a cache file if it is whole and of just these facts."""
    try:
        tensors, found = load_checkpoint(path)
    except StorageError:
        return None
    return tensors["rows"] if found == facts and "rows" in tensors else None
