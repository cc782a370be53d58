"""The corpus the text tower is distilled on: scene sentences of our grammar and the English of WordNet.

WordNet (Debian package `wordnet-base`, WordNet licence) is read from its database files: definitions,
example sentences and names of things. Without it the corpus is the grammar's alone, and the report of the
training says so.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lifelong_nav.core.storage import atomic_write
from lifelong_nav.training.scene_sentences import WRITTEN, caption_sentence, home_sentence, scene_sentence

WORDNET = Path("/usr/share/wordnet")
_PICTURED = {"03", "05", "06", "08", "13", "15", "17", "18", "20"}
"""Lexicographer files of things that pictures show: animals, artifacts, food, places, persons, plants."""
_PHOTO = (
    "{}",
    "{}",
    "a photo of a {}",
    "a {}",
    "a picture of a {} in a room",
    "there is a {} nearby",
    "the {}",
)
HELD_OUT = 0.03


@dataclass(frozen=True, slots=True)
class Corpus:
    """Distinct sentences and where each is from: scene, home, gloss, example, name, caption or written."""

    texts: tuple[str, ...]
    sources: tuple[str, ...]

    def split(self) -> tuple[list[int], dict[str, list[int]]]:
        """Row numbers to train on, and held-out ones by source; a sentence is on the same side always."""
        train: list[int] = []
        held: dict[str, list[int]] = {}
        for i, (text, source) in enumerate(zip(self.texts, self.sources, strict=True)):
            if source == "written" or is_held_out(text):
                held.setdefault(source, []).append(i)
            else:
                train.append(i)
        return train, held

    def save(self, path: Path) -> None:
        """Write one line per sentence, its source in front."""
        lines = (f"{source}\t{text}\n" for source, text in zip(self.sources, self.texts, strict=True))
        atomic_write(path, "".join(lines).encode())

    @staticmethod
    def load(path: Path) -> Corpus:
        """Read what `save` wrote; an OSError when there is no such file."""
        pairs = [line.split("\t", 1) for line in path.read_text(encoding="utf-8").split("\n") if line]
        return Corpus(tuple(p[1] for p in pairs), tuple(p[0] for p in pairs))


def corpus_of(folder: Path) -> Corpus:
    """The corpus kept in a training folder, so that a resumed training sees the same one; else a new one."""
    path = folder / "corpus.tsv"
    if not path.is_file():
        build_corpus().save(path)
    return Corpus.load(path)


def is_held_out(text: str) -> bool:
    """Whether a sentence is kept for testing: by its own hash, so that no corpus ever trains on it."""
    if text in WRITTEN:
        return True
    number = int.from_bytes(hashlib.sha256(text.lower().encode()).digest()[:4], "big")
    return number < HELD_OUT * 2**32


def wordnet_entries(folder: Path = WORDNET) -> list[tuple[str, str, str, list[str]]]:
    """(lexicographer file, name, definition, examples) of every synset; empty without the database."""
    entries = []
    for part in ("noun", "verb", "adj", "adv"):
        path = folder / f"data.{part}"
        if not path.is_file():
            continue
        for line in path.read_text(encoding="latin-1").splitlines():
            if line.startswith("  ") or "|" not in line:
                continue  # the licence at the head of each file
            fields, gloss = line.split("|", 1)
            words = fields.split()
            examples = [e.strip() for e in re.findall(r'"([^"]{12,160})"', gloss)]
            definition = gloss.split('; "', 1)[0].strip().strip(";")
            name = re.sub(r"\(.*\)$", "", words[4]).replace("_", " ")
            entries.append((words[1], name, definition[:220], examples))
    return entries


def build_corpus(
    seed: int = 1, *, scenes: int = 50_000, homes: int = 16_000, glosses: int = 70_000,
    examples: int = 50_000, names: int = 24_000, captions: int = 22_000, wordnet: Path = WORDNET,
) -> Corpus:  # fmt: skip
    """Distinct sentences of every source, the given number of each at most; the same for the same seed."""
    rng = np.random.default_rng(seed)
    seen: dict[str, str] = dict.fromkeys(WRITTEN, "written")
    _draw(seen, "scene", scenes, lambda: scene_sentence(rng))
    _draw(seen, "home", homes, lambda: home_sentence(rng))
    entries = wordnet_entries(wordnet)
    order = rng.permutation(len(entries))
    glossed = [entries[i] for i in order[: 2 * glosses]]
    _add(seen, "gloss", glosses, [d if i % 2 else f"{n}: {d}" for i, (_, n, d, _) in enumerate(glossed)])
    _add(seen, "example", examples, [e for i in order for e in entries[i][3]])
    pictured = [entries[i][1] for i in order if entries[i][0] in _PICTURED]
    _add(seen, "name", names, [_PHOTO[int(rng.integers(len(_PHOTO)))].format(n) for n in pictured])
    _draw(seen, "caption", captions, lambda: caption_sentence(rng))
    return Corpus(tuple(seen), tuple(seen.values()))


def _draw(seen: dict[str, str], source: str, count: int, sample: Callable[[], str]) -> None:
    found = 0
    for _ in range(4 * count):
        text = sample()
        if text not in seen:
            seen[text] = source
            found += 1
            if found == count:
                return


def _add(seen: dict[str, str], source: str, count: int, texts: list[str]) -> None:
    found = 0
    for text in texts:
        if found == count:
            return
        if text and text not in seen:
            seen[text] = source
            found += 1
