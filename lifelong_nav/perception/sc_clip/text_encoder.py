"""Sentences to unit vectors of the caption space, without torch: the robot's text tower.

    encoder = TextEncoder.load(models / "sc_clip" / "text")
    encoder.encode(["a narrow corridor", "many people wait"])    # (2, 384) float32, unit rows

The tower is frozen for life: equal `space` means comparable vectors, whatever heads learn. Every sentence
runs alone, so its vector does not depend on what else is asked at the same time (int8 activations are scaled
per run), and an LRU cache answers repeated sentences.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lifelong_nav.core.errors import CheckpointError, InputError, StorageError, require_package
from lifelong_nav.core.storage import read_json, sha256
from lifelong_nav.core.types import FloatArray
from lifelong_nav.perception.sc_clip.text_tokens import TextTokens

SPACE = "minilm-l6-v2/384/1"
"""Teacher, width and version of the caption space; a new tower that moves vectors needs a new version."""
SCHEMA = 1
_FIX = "Restore the folder from the repository or train it again: lifelong-nav train text-tower."


class TextEncoder:
    """The text tower on onnxruntime; safe to call from several threads."""

    def __init__(self, session: Any, tokens: TextTokens, dim: int, space: str, cache: int = 4096) -> None:
        self.space = space
        self.dim = dim
        self._session = session
        self._tokens = tokens
        self._size = cache
        self._cache: OrderedDict[str, FloatArray] = OrderedDict()
        self._lock = threading.Lock()

    @staticmethod
    def load(folder: Path, threads: int = 1, cache: int = 4096) -> TextEncoder:
        """Read a text tower.

        Args:
            folder: with manifest.json and the files that it names.
            threads: of onnxruntime.
            cache: sentences whose vectors are kept (1.5 KB each).

        Raises:
            CheckpointError: a file is missing, damaged (sha256) or of another schema.
            DependencyError: onnxruntime or tokenizers is not installed.
        """
        facts = verified_manifest(folder)
        runtime = require_package("onnxruntime", "vision")
        options = runtime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 3
        try:
            session = runtime.InferenceSession(
                str(folder / facts["model"]), options, providers=["CPUExecutionProvider"]
            )
            dim = int(session.get_outputs()[0].shape[-1])
            tokens = TextTokens.load(folder / facts["tokenizer"], int(facts["context"]))
        except (KeyError, TypeError, ValueError) as error:
            raise CheckpointError(f"{folder}/manifest.json is incomplete ({error}).", _FIX) from error
        except CheckpointError:
            raise
        except Exception as error:  # onnxruntime has a dozen classes of its own
            raise CheckpointError(f"{folder} holds no text tower that runs ({error}).", _FIX) from error
        return TextEncoder(session, tokens, dim, str(facts["space"]), cache)

    def encode(self, texts: Sequence[str]) -> FloatArray:
        """Unit vectors (N, dim) float32 of N texts; an empty one has its own, a long one is cut.

        Raises:
            InputError: a bare string, or an item that is no string.
        """
        if isinstance(texts, str) or not all(isinstance(t, str) for t in texts):
            raise InputError(f"Texts must be a list of strings, not {type(texts).__name__}.", "Give a list.")
        out = np.empty((len(texts), self.dim), np.float32)
        missing: OrderedDict[str, list[int]] = OrderedDict()
        with self._lock:
            for row, text in enumerate(texts):
                known = self._cache.get(text)
                if known is None:
                    missing.setdefault(text, []).append(row)
                else:
                    self._cache.move_to_end(text)
                    out[row] = known
        for (text, rows), ids in zip(missing.items(), self._tokens.ids(list(missing)), strict=True):
            vector = self._run(ids)
            out[rows] = vector
            with self._lock:
                self._cache[text] = vector
                while len(self._cache) > self._size:
                    self._cache.popitem(last=False)
        return out

    def _run(self, ids: list[int]) -> FloatArray:
        (features,) = self._session.run(None, {"ids": np.asarray([ids], np.int64)})
        vector: FloatArray = features[0].astype(np.float32)
        length = float(np.linalg.norm(vector))
        return vector / max(length, 1e-12)


def verified_manifest(folder: Path) -> dict[str, Any]:
    """The folder's manifest after every file in it has been checked.

    Raises:
        CheckpointError: the manifest or a file is missing, damaged or of another schema.
    """
    try:
        facts = read_json(folder / "manifest.json")
    except StorageError as error:
        raise CheckpointError(error.what, _FIX) from error
    if (
        not isinstance(facts, dict)
        or facts.get("schema") != SCHEMA
        or not isinstance(facts.get("files"), dict)
    ):
        raise CheckpointError(f"{folder}/manifest.json is not of schema {SCHEMA}.", _FIX)
    for name, digest in facts["files"].items():
        path = folder / name
        if Path(name).name != name or not path.is_file():
            raise CheckpointError(f"{path} is missing.", _FIX)
        if sha256(path) != digest:
            raise CheckpointError(f"{path} is damaged (its sha256 differs from the manifest's).", _FIX)
    for key in ("model", "tokenizer"):
        if facts.get(key) not in facts["files"]:
            raise CheckpointError(f"{folder}/manifest.json names no {key}.", _FIX)
    return facts
