"""The trunk in torch, and its export: queries through cross-attention to context, lidar, way and people."""

from __future__ import annotations

import hashlib
import json
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from lifelong_nav.core.errors import LifelongNavError
from lifelong_nav.core.storage import atomic_write_json, sha256
from lifelong_nav.trajectory.generator import trunk as runtime
from lifelong_nav.trajectory.generator.features import BEAMS, CONTEXT, PERSON, SHAPES, WAY
from lifelong_nav.trajectory.generator.heads import MODES, QUERY

Tensor = Any
_HEADS, _INNER = 8, 256  # of attention, of the feed-forward layers
_WAY_TOKENS, _CONTEXT_TOKENS = 4, 4
OPSET = 17


class Attend(nn.Module):
    """One cross-attention with its feed-forward layer: Q <- LN(Q + Att), Q <- LN(Q + FFN)."""

    def __init__(self, dropout: float) -> None:
        super().__init__()
        self.q, self.kv, self.out = (
            nn.Linear(QUERY, QUERY),
            nn.Linear(QUERY, 2 * QUERY),
            nn.Linear(QUERY, QUERY),
        )
        self.first, self.second = nn.LayerNorm(QUERY), nn.LayerNorm(QUERY)
        self.inner = nn.Sequential(
            nn.Linear(QUERY, _INNER), nn.GELU(), nn.Dropout(dropout), nn.Linear(_INNER, QUERY)
        )
        self.drop = nn.Dropout(dropout)

    def forward(self, query: Tensor, tokens: Tensor, hidden: Tensor | None = None) -> Tensor:
        """Queries (B, K, C) over tokens (B, N, C); `hidden` (B, N) is added to the scores."""
        batch, width = query.shape[0], QUERY // _HEADS

        def split(x: Tensor, count: int) -> Tensor:
            return x.reshape(batch, count, _HEADS, width).transpose(1, 2)

        keys, values = self.kv(tokens).chunk(2, dim=-1)
        q = split(self.q(query), query.shape[1])
        k, v = split(keys, tokens.shape[1]), split(values, tokens.shape[1])
        score = q @ k.transpose(-1, -2) / width**0.5
        if hidden is not None:
            score = score + hidden[:, None, None]
        seen = (torch.softmax(score, dim=-1) @ v).transpose(1, 2).reshape(batch, query.shape[1], QUERY)
        query = self.first(query + self.drop(self.out(seen)))
        return self.second(query + self.drop(self.inner(query)))


class Residual(nn.Module):
    """Two circular convolutions around a shortcut: the scan has no edge."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.a = nn.Conv1d(width, width, 3, padding=1, padding_mode="circular")
        self.b = nn.Conv1d(width, width, 3, padding=1, padding_mode="circular")

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, N) to the same."""
        return functional.relu(x + self.b(functional.relu(self.a(x))))


class TrunkNet(nn.Module):
    """Inputs of `features.SHAPES` with a batch in front; queries (B, MODES, QUERY) out."""

    def __init__(self, dropout: float = 0.1) -> None:
        super().__init__()
        self.lidar = nn.Sequential(
            nn.Conv1d(2, 32, 7, stride=2, padding=3, padding_mode="circular"), nn.ReLU(), Residual(32),
            nn.Conv1d(32, 64, 5, stride=3, padding=2, padding_mode="circular"), nn.ReLU(), Residual(64),
            nn.Conv1d(64, QUERY, 1),
        )  # fmt: skip
        self.sector = nn.Parameter(torch.randn(BEAMS // 6, QUERY) * 0.2)
        self.way = nn.Sequential(nn.Linear(WAY, QUERY), nn.GELU(), nn.Linear(QUERY, _WAY_TOKENS * QUERY))
        self.context = nn.Sequential(
            nn.Linear(CONTEXT + 1, 64), nn.GELU(), nn.Linear(64, _CONTEXT_TOKENS * QUERY)
        )
        self.person = nn.Sequential(nn.Linear(PERSON, 64), nn.GELU(), nn.Linear(64, QUERY))
        self.nobody = nn.Parameter(torch.randn(1, 1, QUERY) * 0.2)
        self.queries = nn.Parameter(torch.randn(1, MODES, QUERY))
        self.layers = nn.ModuleList(Attend(dropout) for _ in range(4))

    def forward(
        self, lidar: Tensor, way: Tensor, people: Tensor, mask: Tensor, context: Tensor, known: Tensor
    ) -> Tensor:
        """See the class."""
        batch = lidar.shape[0]
        beams = self.lidar(lidar).transpose(1, 2) + self.sector
        ahead = self.way(way).reshape(batch, _WAY_TOKENS, QUERY)
        told = self.context(torch.cat([context * known * 4.0, known], dim=1))
        told = told.reshape(batch, _CONTEXT_TOKENS, QUERY)
        nobody = self.nobody.expand(batch, 1, QUERY)
        crowd = torch.cat([nobody, self.person(people)], dim=1)
        absent = torch.cat([mask[:, :1] * 0.0, (mask - 1.0) * 1e4], dim=1)
        query = self.queries.expand(batch, MODES, QUERY)
        query = self.layers[0](query, told)
        query = self.layers[1](query, beams)
        query = self.layers[2](query, ahead)
        return self.layers[3](query, crowd, absent)


def parameters(net: nn.Module) -> int:
    """How many numbers a network holds."""
    return sum(p.numel() for p in net.parameters())


def export(net: TrunkNet, folder: Path, space: str, facts: dict[str, Any]) -> str:
    """Write the trunk for `generator.trunk.Trunk`; returns its version, a digest of the network."""
    folder.mkdir(parents=True, exist_ok=True)
    path, staged = folder / runtime.MODEL, folder / f".{runtime.MODEL}.new"
    net = net.eval()
    example = tuple(torch.zeros(2, *SHAPES[name]) for name in SHAPES)
    names = list(SHAPES)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the tracer warns of its own end
        torch.onnx.export(
            net, example, str(staged), input_names=names, output_names=["queries"], opset_version=OPSET,
            dynamic_axes={n: {0: "n"} for n in (*names, "queries")}, dynamo=False,
        )  # fmt: skip
    digest = sha256(staged)
    version = "tpn-" + hashlib.sha256(json.dumps([digest, space]).encode()).hexdigest()[:12]
    staged.replace(path)
    card: dict[str, Any] = {
        "schema": runtime.SCHEMA,
        "version": version,
        "space": space,
        "sha256": digest,
        "facts": facts,
    }
    card["parameters"] = parameters(net)
    atomic_write_json(folder / runtime.CARD, card)
    loaded = runtime.Trunk.load(folder)
    torch.manual_seed(0)
    trial = {n: torch.randn(3, *SHAPES[n]) for n in names}
    trial["mask"], trial["known"] = (trial["mask"] > 0).float(), (trial["known"] > 0).float()
    with torch.no_grad():
        wanted = net(*(trial[n] for n in names)).numpy()
    gap = float(abs(loaded.queries({n: t.numpy() for n, t in trial.items()}) - wanted).max())
    if gap > 1e-3:
        raise LifelongNavError(f"The exported trunk differs from torch by {gap:.1e}.", "Report this.")
    return version
