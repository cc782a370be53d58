"""Text to token ids without torch: CLIP's byte-pair encoding on the `tokenizers` package.

Gives the ids that open_clip's `SimpleTokenizer` gives on the same list of merges, with two differences on
purpose. The names of the special tokens are plain text here, so that nothing written on a wall or typed by a
user can end a sentence early; and of ftfy's repairs only those that need no guessing are made (typographic
quotes, ligatures, full-width forms, control characters), so that ftfy is not needed on the robot.
"""

from __future__ import annotations

import functools
import gzip
import html
import re
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lifelong_nav.core.errors import CheckpointError, require_package

START, END = "<start_of_text>", "<end_of_text>"
_SPLIT = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"
_MAX_CHARS = 4096
"""Longer texts are cut before the work begins; the context of the tower ends far earlier."""
_QUOTES = {ord(c): "'" for c in "\u02bc\u2018\u2019\u201a\u201b"} | {
    ord(c): '"' for c in "\u201c\u201d\u201e\u201f"
}
_LIGATURES = {
    0x132: "IJ",
    0x133: "ij",
    0x149: "\u02bcn",
    0x1C4: "D\u017d",
    0x1C5: "D\u017e",
    0x1C6: "d\u017e",
}
_LIGATURES |= {0x1C7: "LJ", 0x1C8: "Lj", 0x1C9: "lj", 0x1CA: "NJ", 0x1CB: "Nj", 0x1CC: "nj"}
_LIGATURES |= {0x1F1: "DZ", 0x1F2: "Dz", 0x1F3: "dz"}
_CONTROL = re.compile("[\x00-\x08\x0b\x0e-\x1f\x7f\ufeff\ufff9-\ufffb\u206a-\u206f]")
_COMPATIBLE = re.compile("[\uff01-\uffee\u3000\ufb00-\ufb06]")


def clean(text: str) -> str:
    """Lower-case text with single spaces, entities resolved, quotes straight; at most 4096 characters."""
    text = html.unescape(html.unescape(text[: 4 * _MAX_CHARS]))
    text = _CONTROL.sub("", text.translate(_LIGATURES).translate(_QUOTES))
    text = _COMPATIBLE.sub(lambda m: unicodedata.normalize("NFKC", m.group()), text)
    text = text.encode("utf-8", "replace").decode("utf-8")  # a lone surrogate cannot be encoded
    return " ".join(unicodedata.normalize("NFC", text).split()).lower()[:_MAX_CHARS].rstrip()


@functools.cache
def symbol_bytes() -> dict[str, int]:
    """The byte behind each printable stand-in, in the order of CLIP's vocabulary (GPT-2's table)."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [b for b in range(256) if b not in printable]
    return {chr(b): b for b in printable} | {chr(0x100 + i): b for i, b in enumerate(others)}


def surface(token: str) -> str:
    """The text that a token of the vocabulary stands for; bytes that are no character become U+FFFD."""
    return bytes(symbol_bytes()[c] for c in token.removesuffix("</w>")).decode("utf-8", "replace")


def vocabulary(merges: Sequence[tuple[str, str]]) -> list[str]:
    """All tokens in order of their ids: 256 bytes, 256 closing bytes, one per merge, start, end."""
    symbols = symbol_bytes()
    return [*symbols, *(s + "</w>" for s in symbols), *("".join(m) for m in merges), START, END]


def read_merges(path: Path) -> list[tuple[str, str]]:
    """Merges of a CLIP `bpe_*.txt.gz`, at most as many as open_clip reads.

    Raises:
        CheckpointError: not such a file.
    """
    try:
        lines = gzip.decompress(path.read_bytes()).decode().split("\n")[1 : 49152 - 256 - 2 + 1]
        pairs = [line.split() for line in lines]
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise CheckpointError(f"{path} holds no byte-pair merges ({error}).", "Restore the file.") from error
    if not pairs or any(len(p) != 2 for p in pairs):
        raise CheckpointError(f"{path} holds no byte-pair merges.", "Restore the file.")
    return [(p[0], p[1]) for p in pairs]


def build_tokenizer(merges: Sequence[tuple[str, str]]) -> Any:
    """The `tokenizers.Tokenizer` of these merges; `to_str()` of it is what ships as tokenizer.json."""
    tk = require_package("tokenizers", "vision")
    ids = {token: i for i, token in enumerate(vocabulary(merges))}
    model = tk.models.BPE(vocab=ids, merges=list(merges), end_of_word_suffix="</w>", unk_token=END)
    tokenizer = tk.Tokenizer(model)
    tokenizer.pre_tokenizer = tk.pre_tokenizers.Sequence(
        [
            tk.pre_tokenizers.Split(tk.Regex(_SPLIT), behavior="removed", invert=True),
            tk.pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    return tokenizer


class TextTokens:
    """Sentences to token ids, start and end included, cut to the tower's context."""

    def __init__(self, tokenizer: Any, context: int) -> None:
        self._tokenizer = tokenizer
        self._context = context
        self.vocab_size: int = tokenizer.get_vocab_size()
        self.start: int = tokenizer.token_to_id(START)
        self.end: int = tokenizer.token_to_id(END)

    @staticmethod
    def load(path: Path, context: int) -> TextTokens:
        """Read a tokenizer.json.

        Raises:
            CheckpointError: missing or not a tokenizer of ours.
        """
        tk = require_package("tokenizers", "vision")
        try:
            tokenizer = tk.Tokenizer.from_str(path.read_text(encoding="utf-8"))
            if tokenizer.token_to_id(END) != tokenizer.get_vocab_size() - 1:
                raise ValueError("the end token is not the last one")
        except Exception as error:  # tokenizers raises bare Exception on bad files
            raise CheckpointError(
                f"{path} is no tokenizer ({error}).", "Restore the model folder."
            ) from error
        return TextTokens(tokenizer, context)

    def ids(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of each text: start, at most context - 2 tokens, end."""
        encoded = self._tokenizer.encode_batch([clean(t) for t in texts], add_special_tokens=False)
        return [[self.start, *e.ids[: self._context - 2], self.end] for e in encoded]
