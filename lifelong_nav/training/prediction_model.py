"""The network of people prediction in torch: what `trajectory.prediction.network` runs in numpy."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lifelong_nav.trajectory.prediction.features import NEIGHBOUR_FEATURES, PERIOD
from lifelong_nav.trajectory.prediction.network import HEADS, OWN, SCHEMA, STEPS, PredictionNetwork


class PredictionModel(nn.Module):
    """Own track and attention over neighbours in; K tracks with weights and spreads out, in the own frame.

    A learned mean of the last velocities gives the track that the heads correct, by more the faster the
    person is. Mode 0 is the single best guess; the others are trained to cover what else may happen.
    """

    def __init__(
        self, modes: int = 5, width: int = 96, social: int = 48, drop: float = 0.1, pace: float = 0.15
    ) -> None:
        """`width` of the person's state, `social` of a neighbour's, `pace` [m/s] where corrections begin."""
        super().__init__()
        self.modes, self.width, self.social, self.pace = modes, width, social, pace
        self.own1, self.own2 = nn.Linear(OWN, width), nn.Linear(width, width)
        self.near1, self.near2 = nn.Linear(NEIGHBOUR_FEATURES + width // 4, social), nn.Linear(social, social)
        self.slim = nn.Linear(width, width // 4)
        self.score = nn.Linear(social, HEADS)
        self.mix1, self.mix2 = nn.Linear(width + HEADS * social, 2 * width), nn.Linear(2 * width, width)
        self.tracks = nn.Linear(width, modes * STEPS * 2)
        self.logits = nn.Linear(width, modes)
        self.wide = nn.Linear(width, modes * STEPS)
        self.mean = nn.Parameter(torch.log(torch.tensor([0.01, 0.01, 0.02, 0.03, 0.06, 0.2, 0.67])))
        self.drop = nn.Dropout(drop)
        with torch.no_grad():
            self.tracks.weight.mul_(0.3)
            self.wide.weight.mul_(0.1)

    def forward(
        self, past: Tensor, seen: Tensor, near: Tensor, there: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Tracks (B, K, 12, 2) [m], logits (B, K), log of the spreads (B, K, 12) [m].

        Args:
            past: (B, 8, 2) in the own frame.
            seen: (B, 8) which are known.
            near: (B, J, 4) place and velocity of neighbours in the own frame.
            there: (B, J) which exist.
        """
        v = (past[:, 1:] - past[:, :-1]) / PERIOD
        known = (seen[:, 1:] & seen[:, :-1]).to(past.dtype)
        speed = v[:, -2:].mean(1).norm(dim=-1, keepdim=True)
        h = torch.relu(self.own1(torch.cat([v.flatten(1), known, speed], dim=1)))
        h = torch.relu(self.own2(h))
        slim = torch.relu(self.slim(h))[:, None].expand(-1, near.shape[1], -1)
        n = torch.relu(self.near1(torch.cat([_near(past, near), slim], dim=-1)))
        n = torch.relu(self.near2(n))
        score = self.score(n).masked_fill(~there[..., None], -1e4)
        # one more score of zero: nobody, so that attention may be empty
        score = torch.cat([score, torch.zeros_like(score[:, :1])], dim=1)
        pooled = torch.einsum("bjh,bjc->bhc", torch.softmax(score, dim=1)[:, :-1], n).flatten(1)
        z = self.drop(torch.relu(self.mix1(torch.cat([h, pooled], dim=1))))
        z = torch.relu(self.mix2(z))
        base = torch.einsum("t,btc->bc", torch.softmax(self.mean, dim=0), v)
        t = PERIOD * torch.arange(1, STEPS + 1, dtype=past.dtype)
        relative = (self.pace + speed) / (self.pace + 1.0)
        change = self.tracks(z).view(-1, self.modes, STEPS, 2) * relative.clamp(max=3.0)[..., None, None]
        tracks = base[:, None, None] * t[:, None] + change * (t[:, None] / t[-1])
        wide = self.wide(z).view(-1, self.modes, STEPS) + torch.log(0.03 + 0.12 * t**1.3)
        return tracks, self.logits(z), (wide + torch.log(relative)[..., None]).clamp(-4.6, 1.4)


def export(
    model: PredictionModel, facts: dict[str, Any] | None = None, half: bool = False
) -> PredictionNetwork:
    """The same function in numpy; `half` rounds the weights to 16 bits, as they are shipped."""
    tensors = {k: v.detach().numpy().astype(np.float32) for k, v in model.state_dict().items()}
    if half:
        tensors = {k: v.astype(np.float16) for k, v in tensors.items()}
    own = {
        "schema": SCHEMA, "modes": model.modes, "width": model.width, "social": model.social,
        "pace": float(model.pace),
    }  # fmt: skip
    return PredictionNetwork(tensors, {**(facts or {}), **own})


def _near(past: Tensor, near: Tensor) -> Tensor:
    """`features.neighbour_features` in torch."""
    own = (past[:, -1] - past[:, -3]) / (2.0 * PERIOD)
    place, velocity = near[..., :2], near[..., 2:]
    rel = velocity - own[:, None]
    far = ((place**2).sum(-1, keepdim=True) + 1e-6).sqrt()
    closing = (rel**2).sum(-1, keepdim=True)
    soonest = (-(place * rel).sum(-1, keepdim=True) / (closing + 0.01)).clamp(0.0, 6.0)
    gap = (((place + soonest * rel) ** 2).sum(-1, keepdim=True) + 1e-6).sqrt()
    return torch.cat(
        [0.3 * place, velocity, rel, torch.exp(-0.5 * far), 0.3 * soonest, torch.exp(-gap)], dim=-1
    )
