"""Scores of a head on held-out pictures, and the baselines it has to beat."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lifelong_nav.core.config import override
from lifelong_nav.core.errors import require_package
from lifelong_nav.core.types import FloatArray
from lifelong_nav.perception.sc_clip.attributes import COMBINATION, combination_scores, top_accuracy
from lifelong_nav.perception.sc_clip.fit import FitConfig, fit_head
from lifelong_nav.perception.sc_clip.head import ContextHead
from lifelong_nav.training.sc_clip_data import HELD_OUT_COMBINATIONS, SceneSet

SPOKEN = {"fused": (True, True), "image": (True, False), "facts": (False, True)}


def embeddings(head: ContextHead, scenes: SceneSet, voices: str = "fused") -> FloatArray:
    """(N, D) unit embeddings with both voices, "image" or "facts" alone."""
    image, facts = SPOKEN[voices]
    return head.embed(scenes.features if image else None, scenes.facts if facts else None).fused


def retrieval_scores(head: ContextHead, scenes: SceneSet) -> dict[str, dict[str, float]]:
    """Zero-shot retrieval by sentences: voices -> attribute -> top-1; "scenario_top5" beside.

    Scenarios are scored on the pictures of scenario families only, the other attributes on all.
    """
    families = scenes.where("source", ["scenario"])
    out: dict[str, dict[str, float]] = {}
    for voices in SPOKEN:
        x = embeddings(head, scenes, voices)
        row = {}
        for name, prompts in scenes.prompts.items():
            keep = families if name == "scenario" else np.ones(len(scenes), dtype=bool)
            scores, labels = prompts.scores(x[keep]), scenes.labels[name][keep]
            row[name] = top_accuracy(scores, labels)
            if name == "scenario":
                row["scenario_top5"] = top_accuracy(scores, labels, 5)
        out[voices] = row
    return out


def combination_accuracy(
    head: ContextHead, scenes: SceneSet, candidates: list[str], voices: str = "fused"
) -> float:
    """Top-1 over `candidates` ("environment/density/grouping") by summed log probabilities."""
    combos = [tuple(c.split("/")) for c in candidates]
    place = {c: i for i, c in enumerate(candidates)}
    labels = np.array([place.get(r["combo"], -1) for r in scenes.records])
    scores = combination_scores(scenes.prompts, embeddings(head, scenes, voices), combos, COMBINATION)
    return top_accuracy(scores[labels >= 0], labels[labels >= 0])


def calibrate(head: ContextHead, scenes: SceneSet) -> dict[str, float]:
    """Temperature of each attribute's probabilities, from validation pictures, both voices heard."""
    x = embeddings(head, scenes)
    return {
        name: p.calibrated(x, scenes.labels[name]).temperature
        for name, p in scenes.prompts.items()
        if (scenes.labels[name] >= 0).any()
    }


def with_temperatures(scenes: SceneSet, temperatures: dict[str, float]) -> SceneSet:
    """The same pictures with calibrated prompts."""
    prompts = {
        k: replace(p, temperature=temperatures.get(k, p.temperature)) for k, p in scenes.prompts.items()
    }
    return replace(scenes, prompts=prompts)


def linear_probe(
    x: FloatArray, labels: NDArray[Any], test: FloatArray, decay: float = 1e-2, seed: int = 0
) -> NDArray[np.int64]:
    """Predictions (M,) of multinomial logistic regression on standardised features (N, F) -> (M, F)."""
    torch = require_package("torch", "learn")
    torch.manual_seed(seed)
    mean, scale = x.mean(0), 1.0 / np.maximum(x.std(0), 1e-6)
    a = torch.from_numpy(((x - mean) * scale).astype(np.float32))
    y = torch.from_numpy(np.asarray(labels, dtype=np.int64))
    layer = torch.nn.Linear(a.shape[1], int(y.max()) + 1)
    optimiser = torch.optim.AdamW(layer.parameters(), lr=1e-3, weight_decay=decay)
    for _ in range(30):
        for rows in torch.randperm(len(a)).split(256):
            loss = torch.nn.functional.cross_entropy(layer(a[rows]), y[rows])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    with torch.no_grad():
        out = layer(torch.from_numpy(((test - mean) * scale).astype(np.float32))).argmax(1).numpy()
    predictions: NDArray[np.int64] = out
    return predictions


def probe_accuracy(train: SceneSet, test: SceneSet, columns: slice) -> float:
    """Baseline (b): a linear probe of the scenario on the backbone's pooled features."""
    a, b = train.rows(train.where("source", ["scenario"])), test.rows(test.where("source", ["scenario"]))
    predicted = linear_probe(a.features[:, columns], a.labels["scenario"], b.features[:, columns])
    return float((predicted == b.labels["scenario"]).mean())


def unseen_combinations(
    train: SceneSet, val: SceneSet, test: SceneSet, config: FitConfig, new: dict[str, Any], seed: int
) -> dict[str, float]:
    """Train without `HELD_OUT_COMBINATIONS`, then name them among all combinations there are.

    Returns:
        "unseen" top-1 on the held-out ones, "seen" on all others, "chance", and each attribute's top-1
        on the held-out ones.
    """
    held = set(HELD_OUT_COMBINATIONS)
    known = ~train.where("combo", held)
    head = fit_head(train.rows(known).fit_data(), config, seed=seed, **new)
    checked = val.rows(~val.where("combo", held))
    test = with_temperatures(test, calibrate(head, checked))
    names = sorted({r["combo"] for s in (train, val, test) for r in s.records})
    unseen = test.rows(test.where("combo", held))
    seen = test.rows(~test.where("combo", held))
    out = {
        "unseen": combination_accuracy(head, unseen, names),
        "seen": combination_accuracy(head, seen, names),
        "chance": 1.0 / len(names),
        "unseen_pictures": float(len(unseen)),
    }
    for name in COMBINATION:
        scores = unseen.prompts[name].scores(embeddings(head, unseen))
        out[f"unseen_{name}"] = top_accuracy(scores, unseen.labels[name])
    return out


def baselines(
    train: SceneSet, test: SceneSet, config: FitConfig, new: dict[str, Any], pooled: slice, seed: int
) -> dict[str, float]:
    """Scenario top-1 of what the shipped head has to beat, trained on the same pictures."""
    plain = fit_head(train.fit_data(), override(config, short=0.0), seed=seed, **new)
    data = replace(train.fit_data(), features=None)
    facts = fit_head(data, config, seed=seed, **{**new, "skip_start": -1})
    families = test.rows(test.where("source", ["scenario"]))
    prompts, labels = test.prompts["scenario"], families.labels["scenario"]
    return {
        "chance": 1.0 / len(prompts.words),
        "linear_probe_pooled": probe_accuracy(train, test, pooled),
        "without_short_captions": top_accuracy(prompts.scores(embeddings(plain, families)), labels),
        "facts_only_head": top_accuracy(prompts.scores(facts.embed(None, families.facts).fused), labels),
    }
