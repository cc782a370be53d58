"""Zero-shot reading of an embedding: cosines to sentences become probabilities, attribute by attribute.

Nothing here is trained but one temperature per attribute. A combination (place, density, grouping) is
scored by the sum of its attributes' log probabilities, so one that was never seen is as good as any other.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from lifelong_nav.core.errors import InputError
from lifelong_nav.core.types import FloatArray

COMBINATION = ("environment", "density", "grouping")
DEFAULT_TEMPERATURE = 0.05


class Encoder(Protocol):
    """Turns sentences into unit vectors of the caption space."""

    def encode(self, texts: list[str]) -> FloatArray:
        """(N, D) float32 unit rows."""
        ...


@dataclass(frozen=True)
class Prompts:
    """The sentences of one attribute: K words, their unit vectors (K, D), a calibrated temperature."""

    attribute: str
    words: tuple[str, ...]
    vectors: FloatArray
    temperature: float = DEFAULT_TEMPERATURE

    def scores(self, embeddings: FloatArray) -> FloatArray:
        """(N, K) cosines of unit embeddings (N, D)."""
        out: FloatArray = embeddings @ self.vectors.T
        return out

    def probabilities(self, embeddings: FloatArray) -> FloatArray:
        """(N, K) probabilities over the words; even for a zero embedding."""
        return softmax(self.scores(embeddings) / self.temperature)

    def labels(self, words: Iterable[str]) -> NDArray[np.int64]:
        """(N,) index of each word, -1 for one that has no sentence."""
        place = {word: i for i, word in enumerate(self.words)}
        return np.array([place.get(word, -1) for word in words], dtype=np.int64)

    def calibrated(self, embeddings: FloatArray, labels: NDArray[np.int64]) -> Prompts:
        """The same with the temperature that makes the probabilities most honest on labelled data."""
        known = labels >= 0
        return replace(self, temperature=best_temperature(self.scores(embeddings)[known], labels[known]))


def make_prompts(
    sentences: Mapping[str, Mapping[str, str]],
    encoder: Encoder,
    temperatures: Mapping[str, float] | None = None,
) -> dict[str, Prompts]:
    """Embed every attribute's sentences.

    Args:
        sentences: attribute -> word -> sentence, as `captions.attribute_prompts()` gives them.
        encoder: the text tower.
        temperatures: calibrated ones by attribute; the default where absent.
    """
    known = temperatures or {}
    return {
        name: Prompts(
            name,
            tuple(words),
            np.asarray(encoder.encode(list(words.values())), dtype=np.float32),
            float(known.get(name, DEFAULT_TEMPERATURE)),
        )
        for name, words in sentences.items()
    }


def contrasted(vectors: FloatArray) -> FloatArray:
    """Unit vectors (K, D) without the direction all of them share: what is left tells them apart."""
    apart = vectors - vectors.mean(0)
    out: FloatArray = apart / np.maximum(np.linalg.norm(apart, axis=1, keepdims=True), 1e-8)
    return out


def softmax(x: FloatArray) -> FloatArray:
    """Row-wise, without overflow."""
    e = np.exp(x - x.max(axis=1, keepdims=True))
    out: FloatArray = e / e.sum(axis=1, keepdims=True)
    return out


def best_temperature(scores: FloatArray, labels: NDArray[np.int64]) -> float:
    """The temperature of least negative log likelihood (Guo et al. 1706.04599), from a fine grid.

    Raises:
        InputError: no labelled sample.
    """
    if not len(labels):
        raise InputError("No labelled sample to calibrate on.", "Give a validation split.")
    grid = np.geomspace(0.002, 2.0, 241)
    rows = np.arange(len(labels))
    losses = [-np.log(softmax(scores / t)[rows, labels] + 1e-12).mean() for t in grid]
    return float(grid[int(np.argmin(losses))])


def combination_scores(
    prompts: Mapping[str, Prompts],
    embeddings: FloatArray,
    combinations: Sequence[tuple[str, ...]],
    attributes: Sequence[str] = COMBINATION,
) -> FloatArray:
    """(N, C) summed log probabilities of the words of each combination.

    Args:
        prompts: by attribute.
        embeddings: (N, D) unit rows.
        combinations: C tuples of words, one word per attribute.
        attributes: which ones, in the order of the tuples.
    """
    total = np.zeros((len(embeddings), len(combinations)))
    for i, name in enumerate(attributes):
        logs = np.log(prompts[name].probabilities(embeddings) + 1e-12)
        total += logs[:, prompts[name].labels(combo[i] for combo in combinations)]
    return total


def top_accuracy(scores: FloatArray, labels: NDArray[Any], k: int = 1) -> float:
    """Share of rows whose label is among the k best scores."""
    if not len(labels):
        return float("nan")
    best = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    return float((best == np.asarray(labels)[:, None]).any(1).mean())
