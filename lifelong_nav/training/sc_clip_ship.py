"""What ships beside the head so that a robot can learn on: captions, novelty gate, remembered moments."""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np

from lifelong_nav.core.checkpoints import save_checkpoint
from lifelong_nav.core.errors import InputError
from lifelong_nav.core.types import FloatArray
from lifelong_nav.perception.captions import long_caption, scene_from_dict
from lifelong_nav.perception.context_files import HELD_FILE, MEMORY_FILE
from lifelong_nav.perception.lifelong.samples import Samples, make_samples, to_tensors
from lifelong_nav.perception.sc_clip.attributes import Encoder
from lifelong_nav.perception.sc_clip.database import CaptionDatabase
from lifelong_nav.perception.sc_clip.head import ContextHead
from lifelong_nav.perception.sc_clip.novelty import NoveltyConfig, NoveltyGate, fit_gate
from lifelong_nav.perception.social_scene import SCENARIOS
from lifelong_nav.training.sc_clip_data import SceneSet

CAPTIONS, PICTURES = 16, 4
"""Of every scenario, captions in the database; of every remembered episode, pictures."""
TRAINED, HELD = 7, 3
"""Episodes of every scenario that are remembered: seen in training, and held out."""


def ship(out: Path, scenes: SceneSet, head: ContextHead, encoder: Encoder, space: str, seed: int = 0) -> None:
    """Write `captions/`, `novelty/` and `memory/` of a model folder.

    Args:
        out: the model folder.
        scenes: the dataset as vectors; test pictures are left out.
        head: the head that ships, to which the gate belongs.
        encoder: the text tower.
        space: version of its caption space.
        seed: of the choice.
    """
    train, val = (scenes.rows(scenes.where("split", [s])) for s in ("train", "val"))
    captions(train, encoder, space).save(out / "captions")
    gate(train, val, head, seed).save(out / "novelty")
    for name, split, episodes in ((MEMORY_FILE, train, TRAINED), (HELD_FILE, val, HELD)):
        tensors = to_tensors(memory(split, episodes, seed))
        facts = {
            "space": space,
            "moments": len(tensors["stamp"]),
            "note": "numbers of simulated scenes, no pictures",
        }
        save_checkpoint(out / "memory" / name, tensors, facts)


def captions(scenes: SceneSet, encoder: Encoder, space: str) -> CaptionDatabase:
    """Every scenario's sentence, and its most frequent long captions."""
    db = CaptionDatabase(space)
    sentences = encoder.encode(list(SCENARIOS.values()))
    for (name, sentence), vector in zip(SCENARIOS.items(), sentences, strict=True):
        db.name_scenario(name, sentence, vector)
    for name in SCENARIOS:
        rows = [r for r in scenes.records if r["scene"]["scenario"] == name and r.get("certain", True)]
        texts = sorted({long_caption(scene_from_dict(r["scene"])) for r in rows})
        texts = texts[:: max(1, len(texts) // CAPTIONS)][:CAPTIONS]
        for text, vector in zip(texts, encoder.encode(texts) if texts else [], strict=True):
            db.add(text, name, vector, source="simulator")
    return db


def gate(
    train: SceneSet, val: SceneSet, head: ContextHead, seed: int = 0, config: NoveltyConfig | None = None
) -> NoveltyGate:
    """A novelty gate that knows the training pictures and is calibrated on the validation ones."""
    parts = [(_samples(train), False), (_samples(val), True)]
    image, facts = (
        np.concatenate([getattr(s, name).astype(np.float32) for s, _ in parts]) for name in ("image", "facts")
    )
    scenario = np.concatenate([s.scenario for s, _ in parts])
    episode = np.concatenate([s.episode for s, _ in parts])
    held = np.concatenate([np.full(len(s), h) for s, h in parts])

    def embed(x: FloatArray | None, y: FloatArray | None) -> FloatArray:
        return head.embed(x, y).fused

    return fit_gate(image, facts, embed, scenario, episode, held, config, seed)


def memory(scenes: SceneSet, episodes: int, seed: int = 0) -> Samples:
    """So many episodes of every scenario, a few pictures of each."""
    samples, rng = _samples(scenes), np.random.default_rng(seed)
    keep: list[int] = []
    for name in samples.scenarios:
        mine = np.flatnonzero(samples.scenario == name)
        for episode in rng.permutation(np.unique(samples.episode[mine]))[:episodes]:
            rows = mine[samples.episode[mine] == episode]
            keep += rows[np.linspace(0, len(rows) - 1, min(PICTURES, len(rows))).round().astype(int)].tolist()
    if not keep:
        raise InputError("The dataset holds no scenario to remember.", "Generate it again.")
    return samples[np.array(keep)]


def _samples(scenes: SceneSet) -> Samples:
    """Pictures of certain scenario, as the learner keeps them: in order of time, episodes far apart."""
    scenes = scenes.rows(np.array([bool(r.get("certain", True)) for r in scenes.records]))
    names = [str(r["episode"]) for r in scenes.records]
    number = {name: zlib.crc32(name.encode()) for name in names}
    place = {name: i for i, name in enumerate(dict.fromkeys(names))}
    stamp = [1000.0 * place[n] + float(r["time"]) for n, r in zip(names, scenes.records, strict=True)]
    texts = [long_caption(scene_from_dict(r["scene"])) for r in scenes.records]
    scenario = [str(r["scene"]["scenario"]) for r in scenes.records]
    target: FloatArray = scenes.long
    made = make_samples(
        scenes.features, scenes.facts, target, scenario, [number[n] for n in names], texts, stamp
    )
    return made[np.argsort(made.stamp, kind="stable")]
