"""How disturbing people would find each candidate: the model of human ratings as one term."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from lifelong_nav.core.types import FloatArray
from lifelong_nav.trajectory.rating.model import RatingModel
from lifelong_nav.trajectory.rating.term import RatingConfig, discomfort
from lifelong_nav.trajectory.situation import STEP
from lifelong_nav.trajectory.terms.batch import Batch


@dataclass(frozen=True)
class RatedTerm:
    """The rating model as what `Selector` asks for: `costs` (C,) seconds of full discomfort."""

    model: RatingModel
    config: RatingConfig = field(default_factory=RatingConfig)

    def costs(self, batch: Batch) -> FloatArray:
        """(C,) the higher the more disturbing; the ratings are of robots at rest, so nothing is scaled."""
        poses = np.concatenate([batch.xy, batch.yaw[..., None]], axis=-1).astype(float)
        bad = discomfort(self.model, batch.situation, poses, self.config)
        return np.asarray(bad.sum(axis=1) * STEP)
