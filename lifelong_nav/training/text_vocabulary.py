"""The text tower's vocabulary: CLIP's byte-pair merges, cut to those that our sentences use most."""

from __future__ import annotations

import gzip
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from lifelong_nav.core.storage import atomic_write
from lifelong_nav.perception.sc_clip.open_clip_models import clip_merges_file
from lifelong_nav.perception.sc_clip.text_tokens import build_tokenizer, clean, read_merges, vocabulary
from lifelong_nav.perception.sc_clip.torch_setup import ensure_torchvision


def cut_merges(merges: Sequence[tuple[str, str]], texts: Sequence[str], keep: int) -> list[tuple[str, str]]:
    """The `keep` most used of `merges`, in their old order, closed under what they are built from.

    Every use of a token counts for all the merges inside it, so a part is never rarer than its whole; ties go
    to the earlier merge, which parts are.
    """
    made_of: dict[str, int] = {}
    for rank, pair in enumerate(merges):
        made_of.setdefault("".join(pair), rank)
    encoded = build_tokenizer(merges).encode_batch([clean(t) for t in texts], add_special_tokens=False)
    names = vocabulary(merges)
    uses = Counter(i for e in encoded for i in e.ids)
    counts = [0] * len(merges)
    for token, n in uses.items():
        stack = [names[token]]
        while stack:
            found = made_of.get(stack.pop())
            if found is not None:
                counts[found] += n
                stack.extend(merges[found])
    best = sorted(range(len(merges)), key=lambda rank: (-counts[rank], rank))[:keep]
    return [merges[rank] for rank in sorted(best)]


def make_vocabulary(path: Path, texts: Sequence[str], size: int = 16_384) -> None:
    """Write the BPE file of a vocabulary of `size` tokens; so models/sc_clip/text/bpe_16k.txt.gz was made."""
    ensure_torchvision()
    merges = read_merges(clip_merges_file())
    write_merges(path, cut_merges(merges, texts, size - len(vocabulary(()))))


def write_merges(path: Path, merges: Sequence[tuple[str, str]]) -> None:
    """Write a `bpe_*.txt.gz` that open_clip's `SimpleTokenizer` reads; the same bytes for the same merges.

    No newline at the end: open_clip would make an empty token of it.
    """
    lines = ["#version: 0.2", *(" ".join(m) for m in merges)]
    atomic_write(path, gzip.compress("\n".join(lines).encode(), 9, mtime=0))
