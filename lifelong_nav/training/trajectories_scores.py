"""Figures of the trajectory network on moments it never saw, and of what it has to beat."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch

from lifelong_nav.core.types import FloatArray
from lifelong_nav.training.trajectories_fit import displacement, scores
from lifelong_nav.training.trajectories_network import TrunkNet
from lifelong_nav.trajectory.generator import heads_torch
from lifelong_nav.trajectory.generator.heads import KNOT, KNOTS
from lifelong_nav.trajectory.generator.moments import Moments

WITHOUT = ("context", "lidar", "people")


def ablations(net: TrunkNet, heads: dict[str, FloatArray], moments: Moments) -> dict[str, dict[str, float]]:
    """Figures with everything, and without each input."""
    out = {"full": scores(net, heads, moments)}
    for part in WITHOUT:
        out[f"no {part}"] = scores(net, heads, without(moments, part))
    return out


def without(moments: Moments, part: str) -> Moments:
    """Moments without the social context, the scan or the people."""
    if part == "context":
        return replace(moments, context=np.zeros_like(moments.context), known=np.zeros_like(moments.known))
    if part == "people":
        return replace(moments, people=np.zeros_like(moments.people), mask=np.zeros_like(moments.mask))
    lidar = np.ones_like(moments.lidar)
    lidar[:, 1] = 0.0
    return replace(moments, lidar=lidar)


def head_scores(query: Any, heads: dict[str, FloatArray], moments: Moments) -> dict[str, float]:
    """Figures of heads on queries (N, MODES, QUERY)."""
    weights = heads_torch.tensors(heads)
    with torch.no_grad():
        v, w, speed = torch.from_numpy(moments.motion.astype(np.float32)).T
        poses = heads_torch.motions(weights, query, v, w, speed).numpy()
        logits = heads_torch.chances(weights, query).numpy()
    return displacement(poses, logits, moments)


def classical(moments: Moments, rivals: FloatArray) -> dict[str, float]:
    """Figures of rules and search (N, C, KNOTS, 3): the first one follows the route."""
    first = np.zeros(rivals.shape[:2])
    first[:, 0] = 1.0
    return displacement(rivals, first, moments)


def path_scores(moments: Moments) -> dict[str, float]:
    """Figures of going straight to the goal at the speed to travel at, and stopping there."""
    speed = moments.motion[:, 2]
    way = moments.way[:, 8:10].astype(float)
    unit = way / np.maximum(np.linalg.norm(way, axis=1, keepdims=True), 1e-6)
    distance = np.expm1(2.0 * moments.way[:, 10].astype(float))
    gone = np.minimum(speed[:, None] * KNOT * np.arange(1, KNOTS + 1), distance[:, None])
    xy = unit[:, None] * gone[..., None]
    poses = np.concatenate([xy, np.zeros_like(xy[..., :1])], axis=-1)
    return displacement(poses[:, None], np.zeros((len(moments), 1)), moments)
