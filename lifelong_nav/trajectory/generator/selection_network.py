"""The learned selection: how well trajectories suit what the caption says (TSM of OLiVia-Nav, 2409.13675).

The caption embedding goes through two layers, each trajectory through a layer and a GRU; their sum is
scored. Each point is also seen against the mean of the trajectories compared, which tells a detour from a
bend of the way. Everything is numpy.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lifelong_nav.core.checkpoints import load_checkpoint, save_checkpoint
from lifelong_nav.core.errors import CheckpointError, InputError
from lifelong_nav.core.types import FloatArray
from lifelong_nav.trajectory.generator.features import CONTEXT
from lifelong_nav.trajectory.generator.heads import KNOTS

SCHEMA = "trajectories.selection/1"
FILE = "selection.safetensors"
POINT, WIDTH, STATE = 8, 32, 48
"""Numbers per point of a trajectory; widths of its layer and of the GRU's state."""

SHAPES: dict[str, tuple[int, ...]] = {
    "caption.w1": (CONTEXT, 64), "caption.b1": (64,), "caption.w2": (64, STATE), "caption.b2": (STATE,),
    "point.w": (POINT, WIDTH), "point.b": (WIDTH,),
    "gru.wi": (WIDTH, 3 * STATE), "gru.bi": (3 * STATE,),
    "gru.wh": (STATE, 3 * STATE), "gru.bh": (3 * STATE,),
    "score.w1": (STATE, STATE), "score.b1": (STATE,), "score.w2": (STATE, 1), "score.b2": (1,),
}  # fmt: skip
"""Names and shapes of the weights."""


@dataclass(frozen=True)
class SelectionNetwork:
    """Weights by name (`SHAPES`) and facts (caption space, scores); use `load`."""

    params: Mapping[str, FloatArray]
    facts: Mapping[str, Any]

    @property
    def space(self) -> str:
        """Caption space the embedding must be of."""
        return str(self.facts.get("space", ""))

    def score(self, embedding: FloatArray, trajectories: FloatArray) -> FloatArray:
        """(C,) logits: the better a trajectory suits the caption, the higher.

        Args:
            embedding: (384,) of the social context.
            trajectories: (C, T, 3) x, y, yaw in the robot's frame, evenly spaced over the horizon.

        Raises:
            InputError: other shapes.
        """
        embedding, trajectories = np.asarray(embedding, dtype=float), np.asarray(trajectories, dtype=float)
        if embedding.shape != (CONTEXT,) or trajectories.ndim != 3 or trajectories.shape[2] != 3:
            raise InputError(
                f"Embedding of shape {embedding.shape}, trajectories of {trajectories.shape}.",
                f"Give ({CONTEXT},) and (C, T, 3).",
            )
        if len(trajectories) == 0:
            return np.zeros(0)
        p = self.params
        caption = np.maximum(embedding * 4.0 @ p["caption.w1"] + p["caption.b1"], 0.0)
        caption = caption @ p["caption.w2"] + p["caption.b2"]
        points = np.maximum(point_features(at_knots(trajectories)) @ p["point.w"] + p["point.b"], 0.0)
        state: FloatArray = np.zeros((len(trajectories), STATE))
        for k in range(KNOTS):
            state = _gru(p, points[:, k], state)
        hidden = np.maximum((state + caption) @ p["score.w1"] + p["score.b1"], 0.0)
        return np.asarray((hidden @ p["score.w2"] + p["score.b2"])[:, 0])

    def save(self, folder: Path) -> None:
        """Write into `folder`."""
        save_checkpoint(folder / FILE, dict(self.params), {**self.facts, "schema": SCHEMA})

    @staticmethod
    def load(folder: Path) -> SelectionNetwork:
        """Read from `folder` (models/trajectories/selection).

        Raises:
            CheckpointError: missing, damaged, or of other shapes.
        """
        params, facts = load_checkpoint(folder / FILE)
        if facts.get("schema") != SCHEMA or {n: p.shape for n, p in params.items()} != SHAPES:
            raise CheckpointError(
                f"{folder / FILE} is not of schema {SCHEMA}.",
                "Restore models/trajectories, or train again with: lifelong-nav train trajectories.",
            )
        return SelectionNetwork({n: p.astype(np.float32) for n, p in params.items()}, facts)


def at_knots(trajectories: FloatArray) -> FloatArray:
    """(C, KNOTS, 3) of trajectories (C, T, 3) whose last sample ends the horizon."""
    count = trajectories.shape[1]
    rows = np.round(np.arange(1, KNOTS + 1) * count / KNOTS).astype(int) - 1
    return np.asarray(trajectories[:, np.maximum(rows, 0)])


def point_features(knots: FloatArray) -> FloatArray:
    """(C, KNOTS, POINT): place, heading, distance and turn since the last knot, place against the mean."""
    before = np.concatenate([np.zeros_like(knots[:, :1]), knots[:, :-1]], axis=1)
    step = knots - before
    away = knots[..., :2] - knots[..., :2].mean(axis=0, keepdims=True)
    return np.concatenate(
        [
            knots[..., :2] / 4.0, np.cos(knots[..., 2:]), np.sin(knots[..., 2:]),
            np.hypot(step[..., 0], step[..., 1])[..., None] * 2.0, np.sin(step[..., 2:]), away,
        ],
        axis=-1,
    )  # fmt: skip


def _gru(p: Mapping[str, FloatArray], x: FloatArray, h: FloatArray) -> FloatArray:
    a, b = x @ p["gru.wi"] + p["gru.bi"], h @ p["gru.wh"] + p["gru.bh"]
    reset = 1.0 / (1.0 + np.exp(-(a[:, :STATE] + b[:, :STATE])))
    keep = 1.0 / (1.0 + np.exp(-(a[:, STATE : 2 * STATE] + b[:, STATE : 2 * STATE])))
    new = np.tanh(a[:, 2 * STATE :] + reset * b[:, 2 * STATE :])
    return np.asarray((1.0 - keep) * new + keep * h)
