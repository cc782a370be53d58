"""Scenario classification by zero-shot text retrieval, on layouts, looks and people never seen.

A part of `bench perception`. Every contender sees the same training pictures and the same facts:

* ours: both voices, Long-CLIP loss with attribute sentences;
* its voices alone: picture only, scene facts only;
* no short caption: the same training without the principal-component term of Long-CLIP;
* plain: long captions only, no attribute sentences (an open_clip model trained in the usual way);
* linear probe: logistic regression on the pretrained backbone's pooled features;
* chance.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lifelong_nav.core.types import FloatArray
from lifelong_nav.evaluation.bench import Target
from lifelong_nav.perception.sc_clip.attributes import COMBINATION, combination_scores, top_accuracy
from lifelong_nav.perception.sc_clip.fit import FitConfig, fit_head
from lifelong_nav.perception.sc_clip.head import ContextHead
from lifelong_nav.training.sc_clip_data import HELD_OUT_COMBINATIONS, SceneSet

Say = Callable[[str], None]


@dataclass(frozen=True)
class Scores:
    """Accuracies of one contender over seeds, each (seeds,); NaN where a contender has no answer."""

    name: str
    top1: list[float]
    top5: list[float]
    unseen: list[float]

    def row(self) -> list[Any]:
        """Printable cells: mean and spread over the seeds."""
        return [self.name, *(_spread(v) for v in (self.top1, self.top5, self.unseen))]


def measure(
    scenes: SceneSet, trunk: Any, space: str, seeds: Sequence[int], config: FitConfig | None = None,
    say: Say = lambda text: None,
) -> tuple[list[Scores], dict[str, list[list[Any]]]]:  # fmt: skip
    """All contenders.

    Args:
        scenes: the dataset as vectors, all splits.
        trunk: the frozen eye, for its version and parts.
        space: version of the caption space.
        seeds: of the weights.
        config: of the training.
        say: told what is being done.

    Returns:
        Scores by contender, and further tables: attributes on unseen combinations, scenarios by accuracy.
    """
    config = config or FitConfig()
    train, test = (scenes.rows(scenes.where("split", [name])) for name in ("train", "test"))
    seen = train.rows(~train.where("combo", HELD_OUT_COMBINATIONS))
    unseen = test.rows(test.where("combo", HELD_OUT_COMBINATIONS) & test.where("source", ["combo"]))
    families = test.rows(test.where("source", ["scenario"]))
    skip = next((p.start for p in trunk.parts if p.name == "words"), -1)
    variants = {
        "ours, both voices": (config, "both"),
        "ours, picture only": (config, "image"),
        "ours, scene facts only": (config, "facts"),
        "no short caption": (replace(config, short=0.0), "both"),
        "long captions only": (replace(config, short=0.0, attributes=0.0), "both"),
        "facts trained alone": (config, "alone"),
    }
    found = {name: Scores(name, [], [], []) for name in variants}
    attributes: list[list[Any]] = []
    per_scenario: dict[str, list[float]] = {}
    heads: dict[tuple[Any, ...], ContextHead] = {}
    for seed in seeds:
        for name, (how, voice) in variants.items():
            for target in ("families", "unseen"):
                key = (seed, how.short, how.attributes, voice == "alone", target)
                if key not in heads:
                    say(f"seed {seed}: {name} for {target}")
                    data = (train if target == "families" else seen).fit_data()
                    if voice == "alone":
                        data = replace(data, features=None)
                    heads[key] = fit_head(
                        data, how, trunk=trunk.version, space=space, seed=seed,
                        skip_start=-1 if voice == "alone" else skip,
                    )  # fmt: skip
            a, b = (
                heads[seed, how.short, how.attributes, voice == "alone", t] for t in ("families", "unseen")
            )
            scores = families.prompts["scenario"].scores(_embed(a, families, voice))
            truth = families.labels["scenario"]
            found[name].top1.append(top_accuracy(scores, truth))
            found[name].top5.append(top_accuracy(scores, truth, 5))
            found[name].unseen.append(_combinations(b, unseen, train, voice))
            if name == "ours, both voices":
                right = scores.argmax(axis=1) == truth
                for word in np.unique(truth):
                    label = families.prompts["scenario"].words[word]
                    per_scenario.setdefault(label, []).append(float(right[truth == word].mean()))
                attributes.append(_attributes(b, unseen))
    probe = linear_probe(train, families, seen, unseen, trunk)
    names = families.prompts["scenario"].words
    rows = [*found.values(), probe, chance(len(names), _all_combinations(train, unseen))]
    means = np.mean(np.array(attributes, dtype=float), axis=0)
    ordered = sorted(per_scenario.items(), key=lambda item: np.mean(item[1]))
    tables = {
        "attributes": [[a, float(m)] for a, m in zip(COMBINATION, means, strict=True)],
        "scenarios": [[name, float(np.mean(v)), float(np.min(v))] for name, v in ordered],
    }
    return rows, tables


def targets(rows: Sequence[Scores]) -> list[Target]:
    """The figures that were asked for."""
    by = {s.name: s for s in rows}
    ours = by["ours, both voices"]
    rivals = {n: by[n] for n in ("linear probe", "no short caption", "facts trained alone", "chance")}
    return [
        Target("scenario top-1, held out", _mean(ours.top1), 0.9, ">=",
               {n: _mean(r.top1) for n, r in rivals.items()}),
        Target("combinations never seen, top-1", _mean(ours.unseen), 0.6, ">=",
               {n: _mean(r.unseen) for n, r in rivals.items()}),
        *(
            Target(f"lead over {n}, points", 100 * (_mean(ours.top1) - _mean(r.top1)), 0.0, ">")
            for n, r in rivals.items()
        ),
    ]  # fmt: skip


def linear_probe(train: SceneSet, families: SceneSet, seen: SceneSet, unseen: SceneSet, trunk: Any) -> Scores:
    """Multinomial logistic regression on the pooled features of the pretrained backbone."""
    pooled = next(p for p in trunk.parts if p.name == "pooled").slice
    scores = fit_probe(train.features[:, pooled], train.labels["scenario"])(families.features[:, pooled])
    truth = families.labels["scenario"]
    combos = _all_combinations(train, unseen)
    index = {c: i for i, c in enumerate(combos)}
    labels = np.array([index[r["combo"]] for r in seen.records])
    guess = fit_probe(seen.features[:, pooled], labels, len(combos))(unseen.features[:, pooled])
    right = np.array([index[r["combo"]] for r in unseen.records])
    return Scores(
        "linear probe", [top_accuracy(scores, truth)], [top_accuracy(scores, truth, 5)],
        [top_accuracy(guess, right)],
    )  # fmt: skip


def fit_probe(
    x: FloatArray, y: NDArray[np.int64], classes: int = 0, decay: float = 1e-3, steps: int = 120
) -> Callable[[FloatArray], FloatArray]:
    """Logistic regression by L-BFGS on standardised features (N, F); returns a scorer."""
    from scipy.optimize import minimize

    keep = y >= 0
    x, y = x[keep].astype(np.float64), y[keep]
    mean, scale = x.mean(axis=0), 1.0 / np.maximum(x.std(axis=0), 1e-6)
    z = np.hstack([(x - mean) * scale, np.ones((len(x), 1))])
    k = classes or int(y.max()) + 1
    onehot = np.eye(k)[y]

    def loss(flat: FloatArray) -> tuple[float, FloatArray]:
        w = flat.reshape(z.shape[1], k)
        logits = z @ w
        logits -= logits.max(axis=1, keepdims=True)
        p = np.exp(logits)
        p /= p.sum(axis=1, keepdims=True)
        value = -np.log(np.maximum(p[np.arange(len(y)), y], 1e-12)).mean() + 0.5 * decay * (w * w).sum()
        return float(value), (z.T @ (p - onehot) / len(y) + decay * w).ravel()

    found = minimize(loss, np.zeros(z.shape[1] * k), jac=True, method="L-BFGS-B", options={"maxiter": steps})
    w = found.x.reshape(z.shape[1], k)

    def score(rows: FloatArray) -> FloatArray:
        out: FloatArray = np.hstack([(rows - mean) * scale, np.ones((len(rows), 1))]) @ w
        return out

    return score


def chance(scenarios: int, combos: Sequence[str]) -> Scores:
    """Guessing."""
    return Scores("chance", [1.0 / scenarios], [5.0 / scenarios], [1.0 / len(combos)])


def _embed(head: ContextHead, scenes: SceneSet, voice: str) -> FloatArray:
    features = None if voice in ("facts", "alone") else scenes.features
    facts = None if voice == "image" else scenes.facts
    return head.embed(features, facts).fused


def _all_combinations(train: SceneSet, unseen: SceneSet) -> list[str]:
    return sorted({r["combo"] for r in (*train.records, *unseen.records)})


def _combinations(head: ContextHead, unseen: SceneSet, train: SceneSet, voice: str) -> float:
    """Top-1 among all combinations, of pictures of combinations that training never showed."""
    combos = _all_combinations(train, unseen)
    words = [tuple(c.split("/")) for c in combos]
    embeddings = _embed(head, unseen, voice)
    scores = combination_scores(unseen.prompts, embeddings, words)
    truth = np.array([combos.index(r["combo"]) for r in unseen.records])
    return top_accuracy(scores, truth)


def _attributes(head: ContextHead, unseen: SceneSet) -> list[float]:
    embeddings = head.embed(unseen.features, unseen.facts).fused
    return [
        top_accuracy(unseen.prompts[name].scores(embeddings), unseen.labels[name]) for name in COMBINATION
    ]


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values))


def _spread(values: Sequence[float]) -> str:
    if len(values) == 1:
        return f"{values[0]:.3f}"
    return f"{np.mean(values):.3f} ± {np.std(values):.3f}"
