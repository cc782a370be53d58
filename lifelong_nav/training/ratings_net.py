"""Set networks for ratings in torch: the shape that `trajectory.rating.model` evaluates in numpy.

A rater is a nuisance: scale and shift of the logit, learned per rater and averaged out when predicting.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from lifelong_nav.core.config import param
from lifelong_nav.core.types import FloatArray
from lifelong_nav.training.ratings_data import RATERS, Ratings
from lifelong_nav.trajectory.rating.features import (
    PERSON_WIDTH,
    SCENE_WIDTH,
    TIE_WIDTH,
    Features,
    Surroundings,
    features,
)
from lifelong_nav.trajectory.rating.model import CLIP, SUM_SCALE


@dataclass(frozen=True)
class NetConfig:
    """Size and training of one network."""

    hidden: int = param(32, "", 4, 512, "Units per person and interaction.")
    head: int = param(64, "", 4, 1024, "Units of the head's two layers.")
    dropout: float = param(0.2, "", 0.0, 0.9, "In the head.")
    epochs: int = param(45, "", 1, 1000, "Passes over the data.")
    batch: int = param(128, "", 8, 8192, "Scenes per step.")
    rate: float = param(2e-3, "", 1e-6, 1.0, "Highest learning rate of the one cycle.")
    decay: float = param(0.1, "", 0.0, 10.0, "Weight decay.")
    place_noise: float = param(0.03, "m", 0.0, 1.0, "People and lines of sight are moved so much.")
    turn_noise: float = param(0.1, "rad", 0.0, 1.0, "People are turned so much.")
    rater_decay: float = param(0.01, "", 0.0, 10.0, "Penalty on raters' differences.")
    people: int = param(10, "", 1, 50, "Nearest people that are looked at.")
    ties: int = param(6, "", 1, 50, "Nearest interactions that are looked at.")


class SetNet(nn.Module):
    """Logits of ratings from `Features` as tensors (see `tensors`)."""

    def __init__(self, config: NetConfig, mean: FloatArray, spread: FloatArray) -> None:
        super().__init__()
        h, w = config.hidden, config.head
        self.people = nn.Sequential(nn.Linear(PERSON_WIDTH, h), nn.ReLU(), nn.Linear(h, h), nn.ReLU())
        self.ties = nn.Sequential(nn.Linear(TIE_WIDTH, h), nn.ReLU(), nn.Linear(h, h), nn.ReLU())
        self.head = nn.Sequential(
            nn.Linear(4 * h + SCENE_WIDTH, w), nn.ReLU(), nn.Dropout(config.dropout),
            nn.Linear(w, w), nn.ReLU(), nn.Dropout(config.dropout), nn.Linear(w, 1),
        )  # fmt: skip
        self.rater_scale, self.rater_shift = (nn.Parameter(torch.zeros(RATERS)) for _ in range(2))
        self.register_buffer("mean", torch.as_tensor(np.asarray(mean), dtype=torch.float32))
        self.register_buffer("scale", torch.as_tensor(1.0 / np.asarray(spread), dtype=torch.float32))

    def forward(self, inputs: Sequence[torch.Tensor]) -> torch.Tensor:
        """(B,) logits."""
        people = self.people(inputs[0]) * inputs[1][..., None]
        ties = self.ties(inputs[2]) * inputs[3][..., None]
        scene = ((inputs[4] - self.mean) * self.scale).clamp(-CLIP, CLIP)
        pools = [SUM_SCALE * people.sum(1), people.amax(1), SUM_SCALE * ties.sum(1), ties.amax(1)]
        logits: torch.Tensor = self.head(torch.cat([*pools, scene], dim=1))[:, 0]
        return logits

    def by_raters(self, logits: torch.Tensor, raters: torch.Tensor) -> torch.Tensor:
        """Ratings (B,) that rater `raters` (B,) would give; rater -1 is nobody in particular."""
        known = (raters >= 0).float()
        row = raters.clamp(min=0)
        return torch.sigmoid(logits * (1.0 + known * self.rater_scale[row]) + known * self.rater_shift[row])

    def expected(self, logits: torch.Tensor, shares: torch.Tensor) -> torch.Tensor:
        """Mean rating (B,) over raters with `shares` (RATERS,) of all ratings."""
        each = torch.sigmoid(logits[:, None] * (1.0 + self.rater_scale) + self.rater_shift)
        return each @ shares


def tensors(f: Features) -> list[torch.Tensor]:
    """Features as float tensors."""
    arrays = (f.people, f.there, f.ties, f.tied, f.scene)
    return [torch.from_numpy(np.array(a, dtype=np.float32)) for a in arrays]


def nearest(around: Surroundings, people: int, ties: int) -> Surroundings:
    """Only the nearest people and interactions of scenes seen from the origin."""
    far = np.where(around.there, np.linalg.norm(around.people, axis=-1), np.inf)
    rows = np.argsort(far, axis=1)[:, :people]
    middle = 0.5 * (around.ties[..., :2] + around.ties[..., 2:])
    away = np.where(around.tied, np.linalg.norm(middle, axis=-1), np.inf)
    lines = np.argsort(away, axis=1)[:, :ties]
    take = np.take_along_axis
    return replace(
        around,
        people=take(around.people, rows[..., None], 1), facing=take(around.facing, rows, 1),
        there=take(around.there, rows, 1), engaged=take(around.engaged, rows, 1),
        ties=take(around.ties, lines[..., None], 1), to_object=take(around.to_object, lines, 1),
        tied=take(around.tied, lines, 1),
    )  # fmt: skip


def jittered(around: Surroundings, rng: np.random.Generator, place: float, turn: float) -> Surroundings:
    """People and lines of sight moved and people turned by Gaussian noise [m, rad]."""
    return replace(
        around,
        people=around.people + rng.normal(0.0, place, around.people.shape),
        facing=around.facing + rng.normal(0.0, turn, around.facing.shape),
        ties=around.ties + rng.normal(0.0, place, around.ties.shape),
    )


def fit(ratings: Ratings, seed: int, config: NetConfig | None = None) -> SetNet:
    """Train one network on ratings; scenes are mirrored and jittered anew in every pass."""
    c = config or NetConfig()
    rng, around = np.random.default_rng(seed), nearest(ratings.around, c.people, c.ties)
    poses = np.zeros((len(ratings), 3))
    plain = features(poses, around).scene
    torch.manual_seed(seed)
    net = SetNet(c, plain.mean(axis=0), plain.std(axis=0) + 1e-3)
    target = torch.as_tensor(ratings.scores, dtype=torch.float32)
    raters = torch.as_tensor(ratings.raters)
    steps = max(1, len(ratings) // c.batch)
    optimizer = torch.optim.AdamW(net.parameters(), lr=c.rate, weight_decay=c.decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, c.rate, total_steps=c.epochs * steps, pct_start=0.15
    )
    net.train()
    for epoch in range(c.epochs):
        moved = jittered(around, rng, c.place_noise, c.turn_noise)
        inputs = tensors(features(poses, moved.mirrored() if epoch % 2 else moved))
        order = torch.from_numpy(rng.permutation(len(ratings)))
        for rows in order[: steps * min(c.batch, len(order))].split(c.batch):
            given = net.by_raters(net([x[rows] for x in inputs]), raters[rows])
            spread = net.rater_scale.square().mean() + net.rater_shift.square().mean()
            loss = (given - target[rows]).square().mean() + c.rater_decay * spread
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            if schedule.last_epoch < schedule.total_steps:
                schedule.step()
    net.eval()
    return net


def rater_shares(ratings: Ratings) -> NDArray[np.float64]:
    """(RATERS,) share of every rater in the ratings; equal shares where nobody is named."""
    named = ratings.raters[ratings.raters >= 0]
    counts = np.bincount(named, minlength=RATERS).astype(float)
    return counts / counts.sum() if len(named) else np.full(RATERS, 1.0 / RATERS)


@torch.no_grad()
def predict(
    net: SetNet, around: Surroundings, shares: FloatArray, config: NetConfig | None = None
) -> FloatArray:
    """(R,) expected ratings of scenes seen from the origin, mean of both mirror images."""
    c = config or NetConfig()
    poses, part = np.zeros((len(around.people), 3)), nearest(around, c.people, c.ties)
    weights = torch.as_tensor(shares, dtype=torch.float32)
    both = [net.expected(net(tensors(features(poses, a))), weights) for a in (part, part.mirrored())]
    return np.asarray(torch.stack(both).mean(0).numpy(), dtype=float)


def weights_of(net: SetNet) -> dict[str, NDArray[np.float32]]:
    """Tensors as `trajectory.rating.model` reads them."""
    layers = {
        "people.0": net.people[0], "people.1": net.people[2], "ties.0": net.ties[0], "ties.1": net.ties[2],
        "head.0": net.head[0], "head.1": net.head[3], "head.2": net.head[6],
    }  # fmt: skip
    out = {}
    for name, layer in layers.items():
        out[f"{name}.weight"] = np.ascontiguousarray(layer.weight.detach().numpy().T)
        out[f"{name}.bias"] = layer.bias.detach().numpy().copy()
    return {**out, "mean": net.mean.numpy().copy(), "scale": net.scale.numpy().copy()}
