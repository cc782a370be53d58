"""Learning new scenarios in a stream without losing old ones: a part of `bench perception`.

A base head is trained on all families but six. Each of these then comes as a stream of short episodes among
episodes of known families; the learner watches through its novelty gate, asks the teacher (the dataset's
privileged labels) within its budget, and updates once per family. Everything is scored on held-out layouts,
looks and people by zero-shot retrieval over the sentences of all families, those to come included.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from lifelong_nav.core.config import override
from lifelong_nav.core.types import FloatArray
from lifelong_nav.evaluation.lifelong_stream import (
    NEW,
    Field,
    Trace,
    base_head,
    learn_olivia,
    learn_ours,
    make_field,
    shipped,
)
from lifelong_nav.evaluation.lifelong_summary import (
    ALL,
    FROZEN,
    LIES,
    OLIVIA,
    OURS,
    REPLAY,
    Novel,
    Seed,
    Stream,
    summary,
)
from lifelong_nav.perception.lifelong.guard import GuardConfig, scenario_accuracy
from lifelong_nav.perception.lifelong.learner_parts import Configs
from lifelong_nav.perception.lifelong.update_config import UpdateConfig
from lifelong_nav.perception.sc_clip.attributes import Encoder
from lifelong_nav.perception.sc_clip.fit import FitConfig
from lifelong_nav.perception.sc_clip.head import ContextHead
from lifelong_nav.perception.sc_clip.image_trunk import Trunk
from lifelong_nav.perception.sc_clip.novelty import NoveltyGate, window_scores
from lifelong_nav.training.sc_clip_data import SceneSet

OLIVIA_FIT = FitConfig(
    epochs=30, rate=1e-4, batch=256, short=0.0, attributes=0.0, alone=0.0, dropout=0.0, clause_dropout=0.0
)
"""Its rate and batch; epochs are ours (it says 100 for training, nothing for an update)."""


def run(
    scenes: SceneSet, trunk: Trunk, encoder: Encoder, quick: bool = False,
    say: Callable[[str], None] = lambda text: None,
) -> Stream:  # fmt: skip
    """Measure all seeds and sum up.

    Args:
        scenes: the dataset as vectors, all splits.
        trunk: the frozen eye, for its version and parts.
        encoder: the text tower.
        quick: one seed.
        say: told what is being done.
    """
    space = str(getattr(encoder, "space", ""))
    data = make_field(scenes, lambda texts: encoder.encode(list(texts)))
    skip = next(p.start for p in trunk.parts if p.name == "words")
    found = []
    for seed in (0,) if quick else (0, 1, 2):
        say(f"stream, seed {seed}: base head")
        head = base_head(data, trunk.version, space, skip, seed, FitConfig())
        found.append(measure(data, head, seed, lies=seed == 0, say=say))
    return summary(data, found)


def measure(
    data: Field,
    head: ContextHead,
    seed: int,
    lies: bool = False,
    say: Callable[[str], None] = lambda text: None,
) -> Seed:
    """One order of the new families, learned in every way."""
    order = tuple(str(n) for n in np.random.default_rng(seed).permutation(NEW))
    test = data.test((*data.known, *NEW))
    start = shipped(data, head)

    def score(h: ContextHead) -> dict[str, float]:
        return scenario_accuracy(h, test, data.sentences)

    ours = Configs()
    anything = GuardConfig(
        min_gain=0.0, tolerance=1.0, tolerance_each=1.0, max_change=10.0, min_likeness=-1.0
    )
    plain = override(UpdateConfig(), rank=0, rate=1e-3, distill_weight=0.0, tolerance=1.0, tolerance_each=1.0)
    traces = {}
    say(f"stream, seed {seed}: {OURS}")
    traces[OURS] = learn_ours(data, start, order, seed, score, ours)
    say(f"stream, seed {seed}: {ALL}")
    traces[ALL] = learn_ours(data, start, order, seed, score, ours, everything=True)
    say(f"stream, seed {seed}: {REPLAY}")
    replay = Configs(update=plain, guard=anything)
    traces[REPLAY] = learn_ours(data, start, order, seed, score, replay, everything=True)
    say(f"stream, seed {seed}: {OLIVIA}")
    traces[OLIVIA] = learn_olivia(data, head, order, seed, score, OLIVIA_FIT)
    first = traces[OURS].accuracy[0]
    traces[FROZEN] = Trace(accuracy=[first] * (len(order) + 1), heads=[head] * (len(order) + 1))
    lied = learn_ours(data, start, order, seed, score, ours, lies=LIES) if lies else None
    trace = traces[OURS]
    novelty = [
        tell_apart(data, trace.gates[k], trace.heads[k], family, order[:k]) for k, family in enumerate(order)
    ]
    return Seed(order, traces, novelty, lied, consumer(data, [traces[n].heads for n in (OURS, OLIVIA)]))


def tell_apart(
    data: Field, gate: NoveltyGate, head: ContextHead, family: str, learned: tuple[str, ...]
) -> Novel:
    """Held-out episodes of a family against those of everything known by then."""
    scores: dict[bool, list[FloatArray]] = {True: [], False: []}
    stays: dict[bool, list[FloatArray]] = {True: [], False: []}
    known = tuple(n for n in (*data.known, *learned) if n in gate.model.scenarios)
    for new, names in ((True, (family,)), (False, known)):
        for rows in data.episodes(names, "test"):
            x, y = data.scenes.features[rows], data.scenes.facts[rows]
            found, _, _ = gate.model.strangeness(x, y, head.embed(x, y).fused)
            scores[new].append(found)
            stays[new].append(data.stay[rows].astype(float))
    frames = {k: np.concatenate(v) for k, v in scores.items()}
    windows = {}
    for k, frame in frames.items():
        value, owner = window_scores(frame, np.concatenate(stays[k]).astype(np.int64), gate.config)
        windows[k] = (value, owner)
    limit = gate.threshold("both")  # the level as the stream has moved it
    value, owner = windows[True]
    return Novel(
        family,
        auroc(frames[False], frames[True]),
        auroc(windows[False][0], value),
        float((windows[False][0] > limit).mean()),
        float(np.mean([(value[owner == e] > limit).any() for e in np.unique(owner)])),
    )


def consumer(data: Field, ways: Sequence[Sequence[ContextHead]]) -> list[float]:
    """Accuracy of a ridge regressor from embedding to action, trained on the first head of each way.

    Returns:
        On the first head, then on the last head of every way: what drifting embeddings cost who reads them.
    """
    actions = np.array([r["scene"]["action"] for r in data.scenes.records])
    words = np.unique(actions)
    known = np.isin(data.name, data.known)
    fit, test = (np.flatnonzero((data.part == p) & known) for p in ("fit", "test"))

    def seen(head: ContextHead, rows: Any) -> FloatArray:
        out: FloatArray = head.embed(data.scenes.features[rows], data.scenes.facts[rows]).fused
        return out

    x = seen(ways[0][0], fit)
    ridge = np.linalg.solve(
        x.T @ x + np.eye(x.shape[1]), x.T @ (actions[fit][:, None] == words).astype(float)
    )
    heads = [ways[0][0], *(heads[-1] for heads in ways)]
    return [float((words[(seen(h, test) @ ridge).argmax(axis=1)] == actions[test]).mean()) for h in heads]


def auroc(known: FloatArray, new: FloatArray) -> float:
    """Chance that a new one scores above a known one."""
    from scipy.stats import rankdata

    ranks = rankdata(np.concatenate([known, new]))[len(known) :].sum()
    return float((ranks - len(new) * (len(new) + 1) / 2.0) / (len(known) * len(new)))
