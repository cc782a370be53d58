"""From a distilled text tower to the shipped folder: ONNX, tokenizer, open_clip weights, scores, manifest."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import spearmanr

from lifelong_nav.core.checkpoints import load_checkpoint, save_checkpoint
from lifelong_nav.core.storage import atomic_write, atomic_write_json, sha256
from lifelong_nav.core.types import FloatArray
from lifelong_nav.perception.sc_clip.open_clip_models import build_text_tower, read_config
from lifelong_nav.perception.sc_clip.text_encoder import SCHEMA, SPACE, TextEncoder
from lifelong_nav.perception.sc_clip.text_export import agreement, export_int8
from lifelong_nav.perception.sc_clip.text_tokens import TextTokens, build_tokenizer, read_merges
from lifelong_nav.training.minilm import MiniLM, cached_embeddings
from lifelong_nav.training.sentences import Corpus, corpus_of

MODEL, TOKENIZER = "text.int8.onnx", "tokenizer.json"
PAIRS = (
    ("crowded hospital corridor", "many people in busy hallway"),
    ("a person comes towards me in a narrow corridor", "somebody approaches in the tight hallway"),
    ("people wait in a line at the counter", "there is a queue in front of the desk"),
    ("the mug is on the kitchen table", "a cup stands in the kitchen"),
    ("nobody is here", "the room is empty"),
)
"""Paraphrases, to be nearer to their partner than to all else here; MiniLM itself has 9 of 10 right."""
HELD_OUT_ROWS = 1000


def likeness(student: FloatArray, teacher: FloatArray, seed: int = 0) -> dict[str, float]:
    """How well (N, D) unit rows of a student stand for its teacher's.

    Returns:
        "cosine": mean of row by row; "spearman": rank correlation of 20,000 pairs' similarities;
        "neighbour": share of rows whose nearest other row is the teacher's choice as well; "found": share of
        rows whose nearest teacher row is their own.
    """
    rng = np.random.default_rng(seed)
    pairs = rng.integers(0, len(student), (20_000, 2))
    pairs = pairs[pairs[:, 0] != pairs[:, 1]]
    own, other = pairs.T
    rank = spearmanr((student[own] * student[other]).sum(1), (teacher[own] * teacher[other]).sum(1))
    mine, theirs = student @ student.T, teacher @ teacher.T
    np.fill_diagonal(mine, -2.0)
    np.fill_diagonal(theirs, -2.0)
    return {
        "cosine": round(float((student * teacher).sum(1).mean()), 4),
        "spearman": round(float(rank.statistic), 4),
        "neighbour": round(float((mine.argmax(1) == theirs.argmax(1)).mean()), 4),
        "found": round(float(((student @ teacher.T).argmax(1) == np.arange(len(student))).mean()), 4),
    }


def held_out_scores(
    encode: Callable[[Sequence[str]], FloatArray], corpus: Corpus, target: NDArray[np.float16]
) -> dict[str, dict[str, float]]:
    """`likeness` on the held-out sentences by source, at most 1000 each, and how many there were."""
    _, held = corpus.split()
    out = {}
    for source, rows in sorted(held.items()):
        rows = rows[:HELD_OUT_ROWS]
        truth = target[rows].astype(np.float32)
        out[source] = likeness(encode([corpus.texts[i] for i in rows]), truth) | {"sentences": len(rows)}
    return out


def paraphrases(encode: Callable[[Sequence[str]], FloatArray]) -> dict[str, float]:
    """Least cosine of the `PAIRS`' partners, greatest of all others, and the share of right neighbours."""
    vectors = encode([s for pair in PAIRS for s in pair])
    like = vectors @ vectors.T
    index = np.arange(len(vectors))
    partner = like[index, index ^ 1]
    others = like.copy()
    others[index, index] = others[index, index ^ 1] = -2.0
    return {
        "partners_least": round(float(partner.min()), 3),
        "others_greatest": round(float(others.max()), 3),
        "right": round(float((partner > others.max(1)).mean()), 3),
        "hospital_corridor": round(float(like[0, 1]), 3),
    }


def averaged_tower(work: Path) -> tuple[Any, int]:
    """The averaged student in its present state and its number of steps, also of an unfinished training."""
    tensors, facts = load_checkpoint(work / "state.safetensors")
    tower = build_text_tower(read_config())
    start = "average."
    own = {k.removeprefix(start): torch.from_numpy(v) for k, v in tensors.items() if k.startswith(start)}
    tower.load_state_dict(own)
    return tower.eval(), int(facts["step"])


def publish(
    work: Path, models: Path, corpus: Corpus | None = None, teacher: Path | None = None
) -> dict[str, Any]:
    """Write text/ and open_clip/text.safetensors under `models` and return the scores.

    Args:
        work: folder of `text_tower.distil`; the training may be unfinished.
        models: the SC-CLIP model folder, which holds the open_clip configuration and the BPE file.
        corpus: what was trained on; None for the folder's own (`corpus_of`).
        teacher: MiniLM, needed when its embeddings are not in `work`.

    Raises:
        CheckpointError: there is no training in `work`.
    """
    corpus = corpus or corpus_of(work)
    target = cached_embeddings(work / "teacher", corpus.texts, lambda: MiniLM.load(teacher))
    tower, step = averaged_tower(work)
    config = read_config()["text_cfg"]
    bpe = Path(config["tokenizer_kwargs"]["bpe_path"])
    context = int(config["context_length"])
    tokenizer = build_tokenizer(read_merges(bpe))
    folder = models / "text"
    atomic_write(folder / TOKENIZER, tokenizer.to_str().encode())
    export_int8(tower, folder / MODEL)
    space = f"{SPACE}/{sha256(folder / MODEL)[:8]}"  # other weights are another space
    facts: dict[str, Any] = {
        "schema": SCHEMA, "space": space, "model": MODEL, "tokenizer": TOKENIZER, "context": context,
        "files": {name: sha256(folder / name) for name in (MODEL, TOKENIZER, bpe.name)},
    }  # fmt: skip
    atomic_write_json(folder / "manifest.json", facts)
    encoder = TextEncoder.load(folder)
    _, held = corpus.split()
    some = [corpus.texts[i] for rows in held.values() for i in rows[:100]]
    cosine = agreement(encoder, tower, TextTokens(tokenizer, context), some)
    facts["scores"] = {
        "held_out": held_out_scores(encoder.encode, corpus, target),
        "paraphrases": paraphrases(encoder.encode),
        "int8_to_torch_cosine": {
            "mean": round(float(cosine.mean()), 5),
            "least": round(float(cosine.min()), 5),
        },
        "steps": step,
    }
    atomic_write_json(folder / "manifest.json", facts)
    weights = {f"text.{n}": p.detach().half().numpy() for n, p in tower.named_parameters()}
    described = {"space": space, "steps": step, "scores": facts["scores"]["held_out"]}
    save_checkpoint(models / "open_clip" / "text.safetensors", weights, described)
    return facts
