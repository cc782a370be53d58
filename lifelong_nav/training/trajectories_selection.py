"""Trains the learned selection: which of rules', search's and the network's ways did the expert take?"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch.nn import functional

from lifelong_nav.core.types import FloatArray
from lifelong_nav.trajectory.generator.moments import Moments
from lifelong_nav.trajectory.generator.selection_network import (
    SHAPES,
    STATE,
    SelectionNetwork,
    point_features,
)

Tensor = Any
SILENT = 0.3  # chance that a caption is silenced: without one the way alone must do


def fit_selection(
    moments: Moments, candidates: FloatArray, epochs: int, seed: int, space: str, captions: bool = True
) -> SelectionNetwork:
    """Cross-entropy to pick the candidate nearest to the expert.

    Args:
        moments: N moments with context and expert.
        candidates: (N, C, KNOTS, 3) in the robot's frame.
        epochs: passes.
        seed: of weights and batches.
        space: caption space, for the facts.
        captions: False trains without hearing them, as a baseline.
    """
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(seed)
    rng = np.random.default_rng(seed)
    weights: dict[str, Tensor] = {}
    for name, shape in SHAPES.items():
        if len(shape) == 1:
            weights[name] = torch.zeros(shape).requires_grad_(True)
        else:
            weights[name] = (torch.randn(shape, generator=generator) / shape[0] ** 0.5).requires_grad_(True)
    caption, points, target = _arrays(moments, candidates)
    optimiser = torch.optim.AdamW(list(weights.values()), lr=2e-3, weight_decay=1e-2)
    steps = max(len(moments) // 32, 1) * epochs
    for step in range(steps):
        for group in optimiser.param_groups:
            group["lr"] = 2e-3 * (0.5 + 0.5 * float(np.cos(np.pi * step / steps)))
        rows = torch.from_numpy(rng.integers(len(moments), size=32))
        heard = caption[rows] * float(captions)
        heard = heard * (torch.from_numpy(rng.random((32, 1)) >= SILENT).float())
        loss = functional.cross_entropy(scores(weights, heard, points[rows]), target[rows])
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(list(weights.values()), 1.0)
        optimiser.step()
    params = {n: v.detach().numpy().copy() for n, v in weights.items()}
    return SelectionNetwork(params, {"space": space})


def scores(p: dict[str, Tensor], caption: Tensor, points: Tensor) -> Tensor:
    """(B, C) logits; the arithmetic of `SelectionNetwork.score` for a batch."""
    count, kinds = points.shape[:2]
    told = torch.relu(caption * 4.0 @ p["caption.w1"] + p["caption.b1"]) @ p["caption.w2"] + p["caption.b2"]
    x = torch.relu(points @ p["point.w"] + p["point.b"]).reshape(count * kinds, points.shape[2], -1)
    state = x.new_zeros(count * kinds, STATE)
    for k in range(points.shape[2]):
        a, b = x[:, k] @ p["gru.wi"] + p["gru.bi"], state @ p["gru.wh"] + p["gru.bh"]
        reset = torch.sigmoid(a[:, :STATE] + b[:, :STATE])
        keep = torch.sigmoid(a[:, STATE : 2 * STATE] + b[:, STATE : 2 * STATE])
        new = torch.tanh(a[:, 2 * STATE :] + reset * b[:, 2 * STATE :])
        state = (1.0 - keep) * new + keep * state
    hidden = state.reshape(count, kinds, STATE) + told[:, None]
    hidden = torch.relu(hidden @ p["score.w1"] + p["score.b1"])
    return (hidden @ p["score.w2"] + p["score.b2"])[..., 0]


def selection_scores(
    network: SelectionNetwork, moments: Moments, candidates: FloatArray, captions: bool = True
) -> dict[str, float]:
    """How often the nearest candidate is picked, and how far what is picked is from the expert [m]."""
    gaps = distances(moments, candidates)
    picked = np.array(
        [
            network.score(moments.context[i].astype(float) * float(captions), candidates[i]).argmax()
            for i in range(len(moments))
        ]
    )
    rows = np.arange(len(picked))
    return {
        "right": float((picked == gaps.argmin(axis=1)).mean()),
        "ade": float(gaps[rows, picked].mean()),
        "nearest_ade": float(gaps.min(axis=1).mean()),
        "mean_ade": float(gaps.mean()),
        "first_ade": float(gaps[:, 0].mean()),
    }


def distances(moments: Moments, candidates: FloatArray) -> FloatArray:
    """(N, C) mean distance of candidates (N, C, KNOTS, 3) to the expert where it is known [m]."""
    valid = moments.valid[:, None].astype(float)
    gap = np.linalg.norm(candidates[..., :2] - moments.expert[:, None, :, :2], axis=-1)
    return np.asarray((gap * valid).sum(axis=-1) / np.maximum(valid.sum(axis=-1), 1.0))


def _arrays(moments: Moments, candidates: FloatArray) -> tuple[Tensor, Tensor, Tensor]:
    points = np.stack([point_features(c) for c in candidates]).astype(np.float32)
    nearest = distances(moments, candidates).argmin(axis=1)
    return (
        torch.from_numpy(moments.context.astype(np.float32)),
        torch.from_numpy(points),
        torch.from_numpy(nearest),
    )
