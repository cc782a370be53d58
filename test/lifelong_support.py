"""A small world of scenarios for tests of learning: features and facts with layouts, looks and noise."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np

from lifelong_nav.perception.lifelong.asking import Moment
from lifelong_nav.perception.lifelong.samples import Samples, make_samples
from lifelong_nav.perception.sc_clip.head import ContextHead
from lifelong_nav.perception.social_scene import SCENARIOS

DIM, WIDTH, CLAUSES, HIDDEN = 24, 40, 3, 32
SPACE, TRUNK = "test-space", "test-trunk"


def encode(texts: list[str] | tuple[str, ...]) -> np.ndarray:
    """Unit vectors of sentences: words hashed to directions, so that shared words mean likeness."""
    rows = []
    for text in texts:
        row = np.zeros(DIM)
        for word in text.lower().replace(".", "").split():
            seed = int.from_bytes(hashlib.sha256(word.encode()).digest()[:4], "big")
            row += np.random.default_rng(seed).normal(size=DIM)
        rows.append(row / np.linalg.norm(row))
    return np.array(rows, dtype=np.float32)


BASE = ("free_passage", "crowd", "queue", "narrow_doorway", "following")
NEW = "photo_session"
SENTENCES = {name: SCENARIOS[name] for name in (*BASE, NEW)}


@dataclass
class World:
    """Where each scenario lies in features and facts."""

    seed: int = 0
    spread: float = 0.4
    noise: float = 0.25

    def __post_init__(self) -> None:
        rng = np.random.default_rng(self.seed)
        apart = np.linalg.qr(rng.normal(size=(8, len(SENTENCES))))[0].T * 2.5
        self.codes = dict(zip(SENTENCES, apart, strict=True))
        self.to_image, self.to_facts = rng.normal(size=(8, WIDTH)), rng.normal(size=(8, CLAUSES * DIM)) * 0.3

    def episode(
        self, name: str, number: int, frames: int = 8, start: float | None = None
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Features, facts and stamps of one stay; everything follows from name and number."""
        rng = np.random.default_rng([self.seed, number, sorted(SENTENCES).index(name)])
        code = self.codes[name] + self.spread * rng.normal(size=8)
        codes = code + self.noise * rng.normal(size=(frames, 8))
        image = codes @ self.to_image + 0.3 * rng.normal(size=(frames, WIDTH))
        facts = codes @ self.to_facts + 0.1 * rng.normal(size=(frames, CLAUSES * DIM))
        start = number * 100.0 if start is None else start
        return image.astype(np.float32), facts.astype(np.float32), start + 0.5 * np.arange(frames)

    def moments(self, name: str, number: int, frames: int = 8, start: float | None = None) -> list[Moment]:
        """The same as moments."""
        image, facts, stamps = self.episode(name, number, frames, start)
        return [Moment(float(t), i, f) for t, i, f in zip(stamps, image, facts, strict=True)]

    def samples(self, names: tuple[str, ...], episodes: range, frames: int = 8) -> Samples:
        """Labelled moments of several scenarios."""
        image, facts, stamps, labels, numbers = [], [], [], [], []
        for k, name in enumerate(names):
            for e in episodes:
                number = 1000 * (k + 1) + e
                x, y, t = self.episode(name, number, frames)
                image.append(x)
                facts.append(y)
                stamps.append(t)
                labels += [name] * frames
                numbers += [number] * frames
        captions = [SENTENCES[n] for n in labels]
        return make_samples(
            np.concatenate(image), np.concatenate(facts), encode(captions), labels, numbers, captions,
            np.concatenate(stamps),
        )  # fmt: skip


def blank_head(samples: Samples, seed: int = 0) -> ContextHead:
    """An untrained head whose inputs are standardised on `samples`."""
    rng = np.random.default_rng(seed)
    params = {}
    for voice, width, rows in (
        ("image", WIDTH, samples.image),
        ("facts", CLAUSES * DIM, samples.facts),
    ):
        rows = rows.astype(np.float32)
        params[f"{voice}.mean"] = rows.mean(axis=0)
        params[f"{voice}.scale"] = 1.0 / (rows.std(axis=0) + 1e-3)
        params[f"{voice}.w1"] = rng.normal(size=(HIDDEN, width)) / np.sqrt(width)
        params[f"{voice}.b1"] = np.zeros(HIDDEN)
        params[f"{voice}.w2"] = rng.normal(size=(DIM, HIDDEN)) / np.sqrt(HIDDEN)
        params[f"{voice}.b2"] = np.zeros(DIM)
        params[f"{voice}.skip"] = np.zeros(1 if voice == "image" else CLAUSES)
    return ContextHead({n: np.asarray(v, dtype=np.float32) for n, v in params.items()}, TRUNK, SPACE)
