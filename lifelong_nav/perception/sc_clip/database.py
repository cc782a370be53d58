"""The captions the robot knows, by meaning: what an embedding is put into words with.

    db = CaptionDatabase(space=text.space)
    db.name_scenario("queue", SCENARIOS["queue"], text.encode([SCENARIOS["queue"]])[0])
    db.add(caption, "queue", text.encode([caption])[0], source="teacher", stamp=12.0)
    db.retrieve(embedding, k=3)[0].caption.text

OLiVia-Nav (2409.13675) retrieves text from such a database instead of writing it. The space is that of a
frozen text tower, so that nothing in here has to be embedded again when the encoder learns.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lifelong_nav.core.checkpoints import load_checkpoint, save_checkpoint
from lifelong_nav.core.errors import CheckpointError, InputError
from lifelong_nav.core.types import FloatArray

SCHEMA = 1
FILE = "captions.safetensors"
DIM = 384
MAX_CAPTION = 1000
"""Longest caption that is kept [characters]."""


@dataclass(frozen=True, slots=True)
class Caption:
    """A caption: where it came from (`source`), how often it was met, and last when [s]."""

    text: str
    scenario: str
    source: str = "teacher"
    count: int = 1
    stamp: float = 0.0


@dataclass(frozen=True, slots=True)
class Retrieved:
    """A caption with its cosine to the query and its own unit vector (D,)."""

    caption: Caption
    score: float
    vector: FloatArray


class CaptionDatabase:
    """Captions and scenario sentences with their unit vectors; bounded, readable, saved whole.

    Args:
        space: version of the caption space; vectors of another one are meaningless here.
        dim: D of the vectors.
        capacity: captions kept at most; the scenario with the most gives one up, the least met first.
        merge_above: captions of one scenario nearer than this cosine count as one.
    """

    def __init__(
        self, space: str = "", dim: int = DIM, capacity: int = 4096, merge_above: float = 0.985
    ) -> None:
        if capacity < 1 or dim < 1:
            raise InputError(f"Capacity {capacity} and dimension {dim} make no database.", "Both are >= 1.")
        self.space, self.dim, self.capacity, self.merge_above = space, dim, capacity, merge_above
        self._captions: list[Caption] = []
        self._vectors: NDArray[np.float16] = np.zeros((0, dim), dtype=np.float16)
        self._scenarios: dict[str, str] = {}
        self._sentences: NDArray[np.float16] = np.zeros((0, dim), dtype=np.float16)

    def __len__(self) -> int:
        return len(self._captions)

    @property
    def captions(self) -> tuple[Caption, ...]:
        """All captions, oldest first."""
        return tuple(self._captions)

    @property
    def scenarios(self) -> Mapping[str, str]:
        """Known scenarios: name to sentence, in the order of the columns of `scenario_scores`."""
        return dict(self._scenarios)

    @property
    def sentence_vectors(self) -> FloatArray:
        """(S, D) unit vectors of the scenario sentences."""
        return self._sentences.astype(np.float32)

    def name_scenario(self, name: str, sentence: str, vector: FloatArray) -> bool:
        """Make a scenario known, or give it another sentence; True when it is new.

        It can be retrieved from this moment on (zero-shot), before anything has been trained.
        """
        row = _unit(vector, self.dim).astype(np.float16)
        new = name not in self._scenarios
        if new:
            self._sentences = np.concatenate([self._sentences, row[None]])
        else:
            self._sentences = self._sentences.copy()
            self._sentences[list(self._scenarios).index(name)] = row
        self._scenarios[name] = sentence
        return new

    def add(
        self, text: str, scenario: str, vector: FloatArray, source: str = "teacher", stamp: float = 0.0
    ) -> int:
        """Keep a caption; a near-duplicate of the same scenario is counted instead.

        Returns:
            Row of the caption now.

        Raises:
            InputError: the scenario was not named, the text is empty or too long, the vector is bad.
        """
        if scenario not in self._scenarios:
            raise InputError(f"Scenario '{scenario}' is not known.", "Call name_scenario first.")
        if not text.strip() or len(text) > MAX_CAPTION:
            raise InputError(f"A caption of {len(text)} characters.", f"1 to {MAX_CAPTION}.")
        row = _unit(vector, self.dim)
        same = np.array([c.scenario == scenario for c in self._captions], dtype=bool)
        if same.any():
            near = np.where(same, self._vectors.astype(np.float32) @ row, -2.0)
            best = int(near.argmax())
            if near[best] >= self.merge_above:
                old = self._captions[best]
                newest = max(old.stamp, stamp)
                self._captions[best] = replace(old, count=old.count + 1, stamp=newest)
                return best
        self._captions.append(Caption(text.strip(), scenario, source, 1, float(stamp)))
        self._vectors = np.concatenate([self._vectors, row.astype(np.float16)[None]])
        if len(self._captions) > self.capacity:
            self._evict()
        return len(self._captions) - 1

    def retrieve(self, embedding: FloatArray, k: int = 3) -> list[Retrieved]:
        """The `k` captions nearest to an embedding (D,), best first; empty when none are known."""
        if not self._captions or k < 1:
            return []
        scores = self._vectors.astype(np.float32) @ _unit(embedding, self.dim)
        best = np.argsort(-scores, kind="stable")[:k]
        return [
            Retrieved(self._captions[i], float(scores[i]), self._vectors[i].astype(np.float32)) for i in best
        ]

    def scenario_scores(self, embeddings: FloatArray) -> FloatArray:
        """Cosines (N, S) of unit embeddings (N, D) with the scenario sentences."""
        return np.asarray(embeddings, dtype=np.float32) @ self._sentences.astype(np.float32).T

    def probabilities(self, embedding: FloatArray, temperature: float = 0.05) -> dict[str, float]:
        """Scenario probabilities of one embedding (D,), most probable first.

        Args:
            embedding: any length > 0.
            temperature: of the softmax over cosines; the one the head was trained with is calibrated.
        """
        if not self._scenarios:
            return {}
        scores = self.scenario_scores(_unit(embedding, self.dim)[None])[0] / max(temperature, 1e-4)
        weights = np.exp(scores - scores.max())
        names = list(self._scenarios)
        shares = weights / weights.sum()
        return {names[i]: float(shares[i]) for i in np.argsort(-shares, kind="stable")}

    def save(self, folder: Path) -> None:
        """Write `captions.safetensors` and, for people, `captions.json` into `folder`.

        The tensors hold the texts as well: a kill between the two files leaves nothing half.
        """
        facts = {
            "schema": SCHEMA,
            "space": self.space,
            "capacity": self.capacity,
            "merge_above": self.merge_above,
            "scenarios": self._scenarios,
            "captions": [asdict(c) for c in self._captions],
        }
        text = np.frombuffer(json.dumps(facts).encode(), dtype=np.uint8)
        tensors: dict[str, NDArray[Any]] = {
            "vectors": self._vectors,
            "sentences": self._sentences,
            "text": text,
        }
        save_checkpoint(folder / FILE, tensors, facts)

    @classmethod
    def load(cls, folder: Path, space: str | None = None) -> CaptionDatabase:
        """Read back what `save` wrote.

        Raises:
            CheckpointError: corrupt, or of another caption space than `space`.
        """
        fix = "Restore the file or start again from the shipped captions."
        tensors, _ = load_checkpoint(folder / FILE)
        try:
            facts = json.loads(tensors["text"].tobytes())
            vectors, sentences = tensors["vectors"], tensors["sentences"]
            captions = [Caption(**row) for row in facts["captions"]]
            scenarios = {str(k): str(v) for k, v in facts["scenarios"].items()}
            found, schema = str(facts["space"]), facts["schema"]
            db = cls(found, vectors.shape[1], int(facts["capacity"]), float(facts["merge_above"]))
        except (KeyError, TypeError, ValueError, AttributeError, IndexError, InputError) as error:
            raise CheckpointError(f"{folder / FILE} is no caption database ({error}).", fix) from error
        whole = vectors.shape == (len(captions), db.dim) and sentences.shape == (len(scenarios), db.dim)
        if not whole or schema != SCHEMA:
            raise CheckpointError(f"{folder / FILE}: rows do not match, or schema {schema}.", fix)
        if space is not None and found != space:
            raise CheckpointError(
                f"{folder / FILE} is of caption space '{found}', not '{space}'.",
                "Embed its captions again with the present text tower.",
            )
        db._captions, db._scenarios = captions, scenarios
        db._vectors, db._sentences = vectors.astype(np.float16), sentences.astype(np.float16)
        return db

    def _evict(self) -> None:
        """Give up one caption: of the scenario with the most, the least met, then the oldest."""
        counts: dict[str, int] = {}
        for c in self._captions:
            counts[c.scenario] = counts.get(c.scenario, 0) + 1
        fullest = max(counts, key=lambda name: counts[name])
        rows = [i for i, c in enumerate(self._captions[:-1]) if c.scenario == fullest]
        rows = rows or list(range(len(self._captions) - 1))
        if not rows:  # a capacity of one: the newest stays
            rows = [0]
        doomed = min(rows, key=lambda i: (self._captions[i].count, self._captions[i].stamp))
        del self._captions[doomed]
        self._vectors = np.delete(self._vectors, doomed, axis=0)


def _unit(vector: FloatArray, dim: int) -> FloatArray:
    row = np.asarray(vector, dtype=np.float32).reshape(-1)
    length = float(np.linalg.norm(row))
    if len(row) != dim or not np.isfinite(length) or length < 1e-6:
        raise InputError(
            f"A caption vector of {len(row)} numbers and length {length:.3g}.",
            f"Give a finite, non-zero vector of {dim}.",
        )
    return row / length
