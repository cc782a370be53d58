"""The part of the network that may go on learning: one GRU per mode turns a query into a motion.

A head says speeds and yaw rates at ten knots, 0.6 s apart; limits of acceleration and yaw rate are part of
the arithmetic, so that whatever was learned, the motion can be driven. Everything is numpy.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lifelong_nav.core.checkpoints import load_checkpoint, save_checkpoint
from lifelong_nav.core.errors import CheckpointError
from lifelong_nav.core.types import FloatArray

SCHEMA = "trajectories.heads/1"
MODES, KNOTS, KNOT, SUBSTEPS = 6, 10, 0.6, 3
"""Modes; knots of a motion and the time between them [s]; steps of the common grid per knot."""
QUERY, HIDDEN, INPUT = 128, 64, 6
ACCEL, YAW_ACCEL, YAW_RATE = 1.0, 2.5, 1.4
"""What the motions keep to [m/s^2, rad/s^2, rad/s]: within the body's limits."""
FILE = "heads.safetensors"

SHAPES: dict[str, tuple[int, ...]] = {
    "start.w": (MODES, QUERY, HIDDEN), "start.b": (MODES, HIDDEN),
    "gru.wi": (MODES, INPUT, 3 * HIDDEN), "gru.bi": (MODES, 3 * HIDDEN),
    "gru.wh": (MODES, HIDDEN, 3 * HIDDEN), "gru.bh": (MODES, 3 * HIDDEN),
    "out.w": (MODES, HIDDEN, 2), "out.b": (MODES, 2),
    "chance.w": (MODES, QUERY), "chance.b": (MODES,),
}  # fmt: skip
"""Names and shapes of the weights."""


@dataclass(frozen=True)
class Heads:
    """Weights of all heads by name (`SHAPES`), and facts: trunk version, scores."""

    params: Mapping[str, FloatArray]
    facts: Mapping[str, Any]

    @property
    def trunk(self) -> str:
        """Version of the trunk whose queries these heads understand."""
        return str(self.facts.get("trunk", ""))

    def save(self, folder: Path) -> None:
        """Write into `folder`."""
        save_checkpoint(folder / FILE, dict(self.params), {**self.facts, "schema": SCHEMA})

    @staticmethod
    def load(folder: Path, trunk: str | None = None) -> Heads:
        """Read from `folder`.

        Raises:
            CheckpointError: missing, damaged, of other shapes, or made for another trunk.
        """
        params, facts = load_checkpoint(folder / FILE)
        fix = "Restore models/trajectories, or train again with: lifelong-nav train trajectories."
        if facts.get("schema") != SCHEMA or {n: p.shape for n, p in params.items()} != SHAPES:
            raise CheckpointError(f"{folder / FILE} does not hold heads of schema {SCHEMA}.", fix)
        if trunk is not None and facts.get("trunk") != trunk:
            raise CheckpointError(f"{folder / FILE} was made for another trunk.", fix)
        return Heads({n: p.astype(np.float32) for n, p in params.items()}, facts)


def motions(
    heads: Mapping[str, FloatArray], query: FloatArray, v: float, w: float, speed: float
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """What the heads make of a query.

    Args:
        heads: weights.
        query: (MODES, QUERY) from the trunk.
        v: forward speed now [m/s].
        w: yaw rate now [rad/s].
        speed: fastest [m/s].

    Returns:
        poses (MODES, 30, 3) x, y, yaw in the robot's frame on the common grid; twists (MODES, 30, 2) that
        lead to each; chances (MODES,) that sum to 1.
    """
    p = heads
    hidden = np.tanh(_each(query, p["start.w"]) + p["start.b"])
    state = np.zeros((MODES, 5))  # x, y, yaw, v, w
    state[:, 3], state[:, 4] = v, w
    poses, twists = [], []
    for _ in range(KNOTS):
        x, y, yaw, v_now, w_now = state.T
        told = np.stack([x / 4.0, y / 4.0, np.cos(yaw), np.sin(yaw), v_now, w_now], axis=-1)
        hidden = _gru(p, told, hidden)
        wish = _each(hidden, p["out.w"]) + p["out.b"]
        v_next = _towards(v_now, speed / (1.0 + np.exp(-wish[:, 0])), ACCEL * KNOT)
        w_next = _towards(w_now, YAW_RATE * np.tanh(wish[:, 1]), YAW_ACCEL * KNOT)
        for k in range(SUBSTEPS):
            share = (k + 0.5) / SUBSTEPS
            v_mid, w_mid = v_now + share * (v_next - v_now), w_now + share * (w_next - w_now)
            step = KNOT / SUBSTEPS
            middle = yaw + 0.5 * step * w_mid
            x, y = x + step * v_mid * np.cos(middle), y + step * v_mid * np.sin(middle)
            yaw = yaw + step * w_mid
            poses.append(np.stack([x, y, yaw], axis=-1))
            twists.append(np.stack([v_mid, w_mid], axis=-1))
        state = np.stack([x, y, yaw, v_next, w_next], axis=-1)
    logits = (query * p["chance.w"]).sum(axis=1) + p["chance.b"]
    chances = np.exp(logits - logits.max())
    return np.stack(poses, axis=1), np.stack(twists, axis=1), chances / chances.sum()


def _each(x: FloatArray, w: FloatArray) -> FloatArray:
    """Rows (K, I) through their own matrices (K, I, O)."""
    return np.asarray(np.matmul(x[:, None, :], w)[:, 0])


def _gru(p: Mapping[str, FloatArray], x: FloatArray, h: FloatArray) -> FloatArray:
    a, b = _each(x, p["gru.wi"]) + p["gru.bi"], _each(h, p["gru.wh"]) + p["gru.bh"]
    reset = 1.0 / (1.0 + np.exp(-(a[:, :HIDDEN] + b[:, :HIDDEN])))
    keep = 1.0 / (1.0 + np.exp(-(a[:, HIDDEN : 2 * HIDDEN] + b[:, HIDDEN : 2 * HIDDEN])))
    new = np.tanh(a[:, 2 * HIDDEN :] + reset * b[:, 2 * HIDDEN :])
    return np.asarray((1.0 - keep) * new + keep * h)


def _towards(now: FloatArray, wish: FloatArray, most: float) -> FloatArray:
    """Move towards a wish by less than `most`, smoothly."""
    return np.asarray(now + most * np.tanh((wish - now) / most))
