"""Scenario classification by zero-shot text retrieval, on layouts, looks and people never seen.

A part of `bench perception`: heads are trained from the same pictures and facts with several seeds, and
scored beside chance, a linear probe on the pretrained backbone, the same training without the
short-caption term, and scene facts alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lifelong_nav.evaluation.bench import Target
from lifelong_nav.perception.sc_clip.attributes import COMBINATION, top_accuracy
from lifelong_nav.perception.sc_clip.fit import FitConfig, fit_head
from lifelong_nav.perception.sc_clip.head import ContextHead
from lifelong_nav.perception.sc_clip.image_trunk import Trunk
from lifelong_nav.training import sc_clip_scores as scoring
from lifelong_nav.training.sc_clip_data import SceneSet

Say = Callable[[str], None]
RIVALS = {
    "chance": "(a) chance",
    "linear_probe_pooled": "(b) linear probe on the backbone",
    "without_short_captions": "(c) without the short-caption term",
    "facts_only_head": "(d) scene facts alone",
}


@dataclass(frozen=True)
class Seed:
    """What one seed gave: scores by voice, baselines, unseen combinations, accuracy by scenario."""

    retrieval: dict[str, dict[str, float]]
    baselines: dict[str, float]
    combinations: dict[str, float]
    scenarios: dict[str, float]


def measure(
    scenes: SceneSet, trunk: Trunk, space: str, seeds: Sequence[int], config: FitConfig | None = None,
    say: Say = lambda text: None,
) -> list[Seed]:  # fmt: skip
    """Train and score with every seed.

    Args:
        scenes: the dataset as vectors, all splits.
        trunk: the frozen eye, for its version and parts.
        space: version of the caption space.
        seeds: of weights and order.
        config: of the training.
        say: told what is being done.
    """
    config = config or FitConfig()
    columns = {p.name: p for p in trunk.parts}
    new: dict[str, Any] = {"trunk": trunk.version, "space": space, "skip_start": columns["words"].start}
    train, val, test = (scenes.rows(scenes.where("split", [s])) for s in ("train", "val", "test"))
    out = []
    for seed in seeds:
        say(f"seed {seed}: training")
        head = fit_head(train.fit_data(), config, seed=seed, **new)
        say(f"seed {seed}: combinations left out")
        combinations = scoring.unseen_combinations(train, val, test, config, new, seed)
        say(f"seed {seed}: baselines")
        rivals = scoring.baselines(train, test, config, new, columns["pooled"].slice, seed)
        out.append(Seed(scoring.retrieval_scores(head, test), rivals, combinations, by_scenario(head, test)))
    return out


def by_scenario(head: ContextHead, test: SceneSet) -> dict[str, float]:
    """Top-1 of every scenario family that the test split holds, both voices heard."""
    families = test.rows(test.where("source", ["scenario"]))
    prompts, labels = families.prompts["scenario"], families.labels["scenario"]
    scores = prompts.scores(scoring.embeddings(head, families))
    return {
        prompts.words[k]: top_accuracy(scores[labels == k], labels[labels == k])
        for k in np.unique(labels)
        if k >= 0
    }


def tables(found: Sequence[Seed]) -> list[tuple[str, Sequence[str], Sequence[Sequence[Any]]]]:
    """Printable tables."""
    voices = (("fused", "ours, both voices"), ("image", "ours, picture only"), ("facts", "ours, facts only"))
    rows: list[list[Any]] = [
        [name, *(spread([s.retrieval[v][k] for s in found]) for k in ("scenario", "scenario_top5"))]
        for v, name in voices
    ]
    rows += [[name, spread([s.baselines[k] for s in found]), ""] for k, name in RIVALS.items()]
    attributes = [
        [a, *(spread([s.retrieval[v][a] for s in found]) for v, _ in voices)]
        for a in ("environment", "density", "grouping", "action")
    ]
    combos = [
        [
            "all three right",
            *(spread([s.combinations[k] for s in found]) for k in ("seen", "unseen", "chance")),
        ],
        *([a, "", spread([s.combinations[f"unseen_{a}"] for s in found]), ""] for a in COMBINATION),
    ]
    names = sorted(found[0].scenarios, key=lambda n: float(np.mean([s.scenarios[n] for s in found])))
    each = [[n, spread([s.scenarios[n] for s in found])] for n in names]
    return [
        ("Scenario by zero-shot retrieval, layouts, looks and people held out", ("who", "top-1", "top-5"),
         rows),
        ("Attributes, top-1", ("attribute", "both voices", "picture only", "facts only"), attributes),
        ("Place x density x grouping", ("", "seen combinations", "never seen", "chance"), combos),
        ("Scenarios, hardest first", ("scenario", "top-1"), each),
    ]  # fmt: skip


def targets(found: Sequence[Seed]) -> list[Target]:
    """The figures with goals."""
    top1 = mean([s.retrieval["fused"]["scenario"] for s in found])
    rivals = {name: mean([s.baselines[k] for s in found]) for k, name in RIVALS.items()}
    unseen = mean([s.combinations["unseen"] for s in found])
    chance = {"chance": found[0].combinations["chance"]}
    return [
        Target("scenario top-1", top1, 0.9, ">=", rivals),
        *(Target(f"scenario top-1 against {name}", top1, value, ">") for name, value in rivals.items()),
        Target("combinations never seen, top-1", unseen, 0.6, ">=", chance),
    ]


def mean(values: Sequence[float]) -> float:
    """Over the seeds."""
    return float(np.mean(values))


def spread(values: Sequence[float]) -> str:
    """Mean and standard deviation over the seeds."""
    return f"{np.mean(values):.3f} ± {np.std(values):.3f}"
