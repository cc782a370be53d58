"""The heads as a torch function of their weights, and the loss they learn by. For learners only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from lifelong_nav.core.types import FloatArray
from lifelong_nav.trajectory.generator.heads import (
    ACCEL,
    HIDDEN,
    KNOT,
    KNOTS,
    MODES,
    SHAPES,
    SUBSTEPS,
    YAW_ACCEL,
    YAW_RATE,
)

Tensor = Any
Weights = dict[str, Tensor]
YAW_METRES = 0.3
"""What a radian of heading counts for in the loss [m]."""


def fresh_weights(seed: int) -> Weights:
    """Random heads that begin by driving on slowly, each with a turn of its own."""
    generator = torch.Generator().manual_seed(seed)
    out: Weights = {}
    for name, shape in SHAPES.items():
        if name.endswith((".b", ".bi", ".bh")):
            out[name] = torch.zeros(shape)
        else:
            out[name] = torch.randn(shape, generator=generator) / shape[1] ** 0.5
    out["out.w"] *= 0.3
    out["out.b"][:, 0] = 1.0
    out["out.b"][:, 1] = torch.linspace(-0.15, 0.15, MODES)
    out["chance.w"] *= 0.1
    return out


def tensors(params: Mapping[str, FloatArray]) -> Weights:
    """Numpy weights as tensors (copies)."""
    return {n: torch.from_numpy(np.array(v, dtype=np.float32)) for n, v in params.items()}


def arrays(weights: Mapping[str, Tensor]) -> dict[str, FloatArray]:
    """Tensors as numpy weights."""
    return {n: v.detach().numpy().astype(np.float32).copy() for n, v in weights.items()}


def motions(p: Mapping[str, Tensor], query: Tensor, v: Tensor, w: Tensor, speed: Tensor) -> Tensor:
    """(B, K, KNOTS, 3) poses at the knots; the arithmetic of `heads.motions` for a batch.

    Args:
        p: weights.
        query: (B, K, QUERY).
        v: (B,) forward speed [m/s].
        w: (B,) yaw rate [rad/s].
        speed: (B,) fastest [m/s].
    """
    q = query.transpose(0, 1)  # (K, B, Q): one matrix product per head
    hidden = torch.tanh(torch.baddbmm(p["start.b"][:, None], q, p["start.w"]))
    count = len(query)
    zero = query.new_zeros(MODES, count)
    x, y, yaw = zero, zero, zero
    v, w = v.expand(MODES, count), w.expand(MODES, count)
    speed = speed.expand(MODES, count)
    poses = []
    step = KNOT / SUBSTEPS
    for _ in range(KNOTS):
        told = torch.stack([x / 4.0, y / 4.0, torch.cos(yaw), torch.sin(yaw), v, w], dim=-1)
        hidden = _gru(p, told, hidden)
        wish = torch.baddbmm(p["out.b"][:, None], hidden, p["out.w"])
        v_next = _towards(v, speed * torch.sigmoid(wish[..., 0]), ACCEL * KNOT)
        w_next = _towards(w, YAW_RATE * torch.tanh(wish[..., 1]), YAW_ACCEL * KNOT)
        for k in range(SUBSTEPS):
            share = (k + 0.5) / SUBSTEPS
            v_mid, w_mid = torch.lerp(v, v_next, share), torch.lerp(w, w_next, share)
            middle = yaw + 0.5 * step * w_mid
            x, y = x + step * v_mid * torch.cos(middle), y + step * v_mid * torch.sin(middle)
            yaw = yaw + step * w_mid
        v, w = v_next, w_next
        poses.append(torch.stack([x, y, yaw], dim=-1))
    return torch.stack(poses, dim=2).transpose(0, 1)


def chances(p: Mapping[str, Tensor], query: Tensor) -> Tensor:
    """(B, K) logits of the modes."""
    return (query * p["chance.w"]).sum(dim=-1) + p["chance.b"]


def distances(poses: Tensor, expert: Tensor, valid: Tensor) -> Tensor:
    """(B, K) mean distance of each mode to the expert [m], heading included.

    Args:
        poses: (B, K, KNOTS, 3).
        expert: (B, KNOTS, 3).
        valid: (B, KNOTS) 1 where the expert is known.
    """
    gap = poses - expert[:, None]
    metres = torch.sqrt((gap[..., :2] ** 2).sum(dim=-1) + 1e-4)
    turn = YAW_METRES * torch.sqrt(2.0 - 2.0 * torch.cos(gap[..., 2]) + 1e-4)
    weight = valid[:, None]
    return ((metres + turn) * weight).sum(dim=-1) / weight.sum(dim=-1).clamp(min=1.0)


def winner_loss(distance: Tensor, logits: Tensor, winners: int = 1, chance_weight: float = 0.3) -> Tensor:
    """(B,) winner-takes-all with `winners` modes sharing it, and the chance of the best mode (2409.13675, I).

    More than one winner at the start keeps every mode alive (evolving WTA, Makansi 1906.03631).
    """
    near, order = torch.topk(distance, winners, dim=1, largest=False)
    named = functional.cross_entropy(logits, order[:, 0], reduction="none")
    return near.mean(dim=1) + chance_weight * named


def _gru(p: Mapping[str, Tensor], x: Tensor, h: Tensor) -> Tensor:
    a = torch.baddbmm(p["gru.bi"][:, None], x, p["gru.wi"])
    b = torch.baddbmm(p["gru.bh"][:, None], h, p["gru.wh"])
    reset = torch.sigmoid(a[..., :HIDDEN] + b[..., :HIDDEN])
    keep = torch.sigmoid(a[..., HIDDEN : 2 * HIDDEN] + b[..., HIDDEN : 2 * HIDDEN])
    new = torch.tanh(a[..., 2 * HIDDEN :] + reset * b[..., 2 * HIDDEN :])
    return (1.0 - keep) * new + keep * h


def _towards(now: Tensor, wish: Tensor, most: float) -> Tensor:
    return now + most * torch.tanh((wish - now) / most)
