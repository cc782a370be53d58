"""The text tower as ONNX: traced from torch, int8 weights, checked against torch, timed.

int8: the token table per row by ourselves, the products by onnxruntime's dynamic quantisation per output
channel with 7-bit weights, which cannot overflow on CPUs without VNNI, so that all CPUs agree.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from lifelong_nav.core.errors import require_package
from lifelong_nav.core.types import FloatArray
from lifelong_nav.perception.sc_clip.text_encoder import TextEncoder
from lifelong_nav.perception.sc_clip.text_forward import (
    attend,
    attend_last,
    pad_ids,
    query_and_rest,
    text_features,
)
from lifelong_nav.perception.sc_clip.text_tokens import TextTokens

OPSET = 17


class ExportedTower(nn.Module):
    """`text_features` for rows of one length that end with the end token; output unit length.

    Args:
        tower: open_clip's TextTransformer.
        small_table: keep the token table as int8 with one scale per row.
    """

    def __init__(self, tower: Any, small_table: bool) -> None:
        super().__init__()
        self.tower = tower
        self.small_table = small_table
        table = tower.token_embedding.weight.detach()
        scale = table.abs().amax(1, keepdim=True).clamp_min(1e-8) / 127.0
        self.register_buffer(
            "table", (table / scale).round().to(torch.int8) if small_table else table.clone()
        )
        self.register_buffer("scale", scale)
        for i, part in enumerate(query_and_rest(tower.transformer.resblocks[-1].attn)):
            self.register_buffer(f"part{i}", part.detach().clone())  # a constant each, or it stays fp32
        context = tower.context_length
        self.register_buffer("causal", torch.full((context, context), float("-inf")).triu(1))

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        """(N, L) int64 ids to (N, D) unit vectors."""
        length = ids.shape[1]
        x = F.embedding(ids, self.table)
        if self.small_table:
            x = x.to(torch.float32) * F.embedding(ids, self.scale)
        x = x + self.tower.positional_embedding[:length]
        causal = self.causal[:length, :length]
        for block in self.tower.transformer.resblocks[:-1]:
            x = x + attend(block.attn, block.ln_1(x), causal)
            x = x + block.mlp(block.ln_2(x))
        block = self.tower.transformer.resblocks[-1]
        end = x[:, -1:]
        parts = (self.part0, self.part1, self.part2, self.part3)
        end = end + attend_last(block.attn, block.ln_1(x), block.ln_1(end), causal.new_zeros(1), parts)
        end = end + block.mlp(block.ln_2(end))
        return F.normalize(self.tower.ln_final(end[:, 0]) @ self.tower.text_projection, dim=-1)


def export_fp32(tower: Any, path: Path, small_table: bool = False) -> None:
    """Trace the tower to `path` with free batch and length."""
    require_package("onnx", "learn")
    model = ExportedTower(tower.eval(), small_table).eval()
    example = torch.tensor([[5, 6, 7, 8, tower.vocab_size - 1]] * 2)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the tracer warns of its own end
        torch.onnx.export(
            model, (example,), str(path), input_names=["ids"], output_names=["vectors"], opset_version=OPSET,
            dynamic_axes={"ids": {0: "n", 1: "length"}, "vectors": {0: "n"}}, dynamo=False,
        )  # fmt: skip


def export_int8(tower: Any, path: Path) -> None:
    """Write the tower with int8 weights to `path`."""
    quantization = require_package("onnxruntime.quantization", "vision")
    plain = path.with_suffix(".plain.onnx")
    try:
        export_fp32(tower, plain, small_table=True)
        quantization.quantize_dynamic(
            str(plain), str(path), op_types_to_quantize=["MatMul", "Gemm"], per_channel=True,
            reduce_range=True, weight_type=quantization.QuantType.QInt8,
            extra_options={"MatMulConstBOnly": True},
        )  # fmt: skip
    finally:
        plain.unlink(missing_ok=True)


def agreement(encoder: TextEncoder, tower: Any, tokens: TextTokens, texts: Sequence[str]) -> FloatArray:
    """Cosine (N,) between the exported encoder and torch on each text."""
    with torch.inference_mode():
        truth = F.normalize(text_features(tower.eval(), pad_ids(tokens.ids(texts))), dim=-1).numpy()
    cosine: FloatArray = (truth * encoder.encode(texts)).sum(1)
    return cosine


def timings(
    tower: Any, tokens: TextTokens, sessions: dict[str, Any], texts: Sequence[str], rounds: int = 5,
    clock: Callable[[], float] = time.process_time,
) -> dict[str, float]:  # fmt: skip
    """CPU milliseconds per sentence, one sentence a run, least of `rounds`: torch and each session.

    "eager" is open_clip's own forward over the whole context, "eager short" ours over the real length.

    Args:
        tower: open_clip's TextTransformer.
        tokens: its tokenizer.
        sessions: onnxruntime sessions by name.
        texts: sentences.
        rounds: of all texts.
        clock: CPU seconds of the process.
    """
    rows = tokens.ids(texts)
    full = torch.zeros(len(rows), tower.context_length, dtype=torch.long)
    for i, row in enumerate(rows):
        full[i, : len(row)] = torch.tensor(row)
    arrays = [np.asarray([row], np.int64) for row in rows]
    ways: dict[str, Callable[[], object]] = {
        "eager": lambda: [tower(full[i : i + 1]) for i in range(len(rows))],
        "eager short": lambda: [text_features(tower, torch.tensor([row])) for row in rows],
    }
    for name, session in sessions.items():
        ways[name] = lambda s=session: [s.run(None, {"ids": a}) for a in arrays]  # type: ignore[misc]
    out = {}
    with torch.inference_mode():
        for name, way in ways.items():
            way()
            spent = []
            for _ in range(rounds):
                start = clock()
                way()
                spent.append(clock() - start)
            out[name] = 1000.0 * min(spent) / len(rows)
    return out
