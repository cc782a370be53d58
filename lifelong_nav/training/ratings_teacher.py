"""The heavy model of ratings, an ensemble of networks and boosted trees, and its light student.

The student learns on more scenes than people rated: the robot is put elsewhere in the rated scenes, and the
ensemble says how people would have rated that (distillation; Hinton et al. 2015, arXiv 1503.02531).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from lifelong_nav.core.config import param
from lifelong_nav.core.errors import require_package
from lifelong_nav.core.types import FloatArray
from lifelong_nav.training.ratings_data import Ratings, rows_of
from lifelong_nav.training.ratings_net import (
    NetConfig,
    SetNet,
    fit,
    jittered,
    nearest,
    predict,
    rater_shares,
    tensors,
)
from lifelong_nav.trajectory.rating.features import Surroundings, features

TREES = {
    "objective": "l2", "learning_rate": 0.03, "num_leaves": 15, "min_child_samples": 20,
    "feature_fraction": 0.4, "bagging_fraction": 0.7, "bagging_freq": 1, "lambda_l2": 2.0, "verbose": -1,
    "num_threads": 1, "deterministic": True,
}  # fmt: skip
ROUNDS = 600
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class TeacherConfig:
    """Sizes of ensemble and distillation."""

    nets: int = param(4, "", 1, 50, "Networks of different seeds.")
    forests: int = param(3, "", 0, 50, "Boosted forests of different seeds.")
    tree_share: float = param(0.5, "", 0.0, 1.0, "Weight of the forests in the ensemble.")
    student_epochs: int = param(30, "", 1, 1000, "Passes of the student; every pass has new scenes.")
    student_rate: float = param(3e-3, "", 1e-6, 1.0, "Its highest learning rate.")
    made_up: float = param(3.0, "", 0.0, 20.0, "Made-up scenes per rated one in a pass.")
    displacement: float = param(1.0, "m", 0.0, 5.0, "Standard deviation of how far the robot is moved.")
    rated_share: float = param(0.3, "", 0.0, 1.0, "Weight of people's ratings against the ensemble's.")


@dataclass
class Teacher:
    """Networks and forests that vote."""

    nets: list[SetNet]
    forests: list[Any]
    shares: FloatArray
    tree_share: float
    net_config: NetConfig = field(default_factory=NetConfig)

    def rate(self, around: Surroundings) -> FloatArray:
        """(R,) ratings of scenes seen from the origin."""
        votes = np.mean([predict(n, around, self.shares, self.net_config) for n in self.nets], axis=0)
        if self.forests:
            trees = np.mean([forest_rate(f, around) for f in self.forests], axis=0)
            votes = (1.0 - self.tree_share) * votes + self.tree_share * trees
        return np.clip(votes, 0.0, 1.0)


def fit_forest(ratings: Ratings, seed: int) -> Any:
    """Boosted trees (LightGBM) on the summary figures, each scene and its mirror image alike."""
    lightgbm = require_package("lightgbm", "learn")
    inputs = features(np.zeros((len(ratings), 3)), ratings.around).scene
    return lightgbm.train({**TREES, "seed": seed}, lightgbm.Dataset(inputs, ratings.scores), ROUNDS)


def forest_rate(forest: Any, around: Surroundings) -> FloatArray:
    """(R,) ratings by boosted trees."""
    rows = features(np.zeros((len(around.people), 3)), around).scene
    return np.clip(np.asarray(forest.predict(rows, num_threads=1)), 0.0, 1.0)


def fit_teacher(
    ratings: Ratings, seed: int, config: TeacherConfig | None = None, net: NetConfig | None = None,
    progress: Progress | None = None,
) -> Teacher:  # fmt: skip
    """Train the ensemble."""
    c, n = config or TeacherConfig(), net or NetConfig()
    nets = []
    for k in range(c.nets):
        nets.append(fit(ratings, seed + k, n))
        if progress is not None:
            progress("networks", k + 1, c.nets)
    forests = [fit_forest(ratings, seed + k) for k in range(c.forests)]
    return Teacher(nets, forests, rater_shares(ratings), c.tree_share, n)


def elsewhere(around: Surroundings, rng: np.random.Generator, spread: float) -> Surroundings:
    """The same scenes seen from a robot that stands elsewhere and is turned anyhow.

    People near the robot decide, so half of the moves are small.
    """
    count = len(around.people)
    size = spread * np.where(rng.random(count) < 0.5, 0.3, 1.0)
    shift = rng.normal(0.0, 1.0, (count, 2)) * size[:, None]
    turn = rng.uniform(-np.pi, np.pi, count)
    cos, sin = np.cos(turn)[:, None], np.sin(turn)[:, None]

    def moved(xy: FloatArray) -> FloatArray:
        x, y = xy[..., 0] - shift[:, None, 0], xy[..., 1] - shift[:, None, 1]
        return np.stack([x * cos + y * sin, y * cos - x * sin], axis=-1)

    return Surroundings(
        moved(around.people), around.facing - turn[:, None], around.there, around.engaged,
        np.concatenate([moved(around.ties[..., :2]), moved(around.ties[..., 2:])], axis=-1),
        around.to_object, around.tied, np.abs(around.wall + rng.normal(0.0, 0.5, count)),
    )  # fmt: skip


def fit_student(
    teacher: Teacher, ratings: Ratings, seed: int, config: TeacherConfig | None = None,
    net: NetConfig | None = None, progress: Progress | None = None,
) -> SetNet:  # fmt: skip
    """Train a network that rates like the ensemble, in rated scenes and elsewhere in them.

    Its raters' parameters stay zero: the ensemble has averaged them out, and its weights are the runtime's.
    """
    c, n = config or TeacherConfig(), net or NetConfig(dropout=0.0, decay=0.01)
    rng = np.random.default_rng(seed)
    pool = nearest(ratings.around, n.people, n.ties)
    rows = rng.integers(len(ratings), size=round(c.made_up * len(ratings)))
    plain = features(np.zeros((len(ratings), 3)), pool).scene
    torch.manual_seed(seed)
    student = SetNet(n, plain.mean(axis=0), plain.std(axis=0) + 1e-3)
    said = teacher.rate(ratings.around)
    # The mean of what people and ensemble say: people's ratings keep the ensemble's errors from being copied.
    wanted = c.rated_share * ratings.scores + (1.0 - c.rated_share) * said
    batch = 2 * n.batch
    total = len(ratings) + len(rows)
    steps = total // batch
    optimizer = torch.optim.AdamW(student.parameters(), lr=c.student_rate, weight_decay=n.decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, c.student_rate, total_steps=c.student_epochs * steps + 1, pct_start=0.15
    )
    student.train()
    made: Surroundings | None = None
    labels = said
    for epoch in range(c.student_epochs):
        if made is None or epoch % 5 == 0:  # the ensemble is slow: its words serve several passes
            rows = rng.integers(len(ratings), size=len(rows))
            made = elsewhere(rows_of(pool, rows), rng, c.displacement)
            made = jittered(made, rng, 0.1, 0.3)
            labels = teacher.rate(made) if len(rows) else np.zeros(0)
        flip = bool(epoch % 2)
        inputs = [
            torch.cat(pair) for pair in zip(*(tensors(_seen(a, flip)) for a in (pool, made)), strict=True)
        ]
        target = torch.as_tensor(np.concatenate([wanted, labels]), dtype=torch.float32)
        order = torch.from_numpy(rng.permutation(total)[: steps * batch])
        for part in order.split(batch):
            given = torch.sigmoid(student([x[part] for x in inputs]))
            loss = (given - target[part]).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
        if progress is not None:
            progress("student", epoch + 1, c.student_epochs)
    student.eval()
    return student


def _seen(around: Surroundings, flip: bool) -> Any:
    return features(np.zeros((len(around.people), 3)), around.mirrored() if flip else around)
