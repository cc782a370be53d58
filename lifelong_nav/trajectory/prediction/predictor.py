"""Where people may go in the next seconds: the one entry for planning and control."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lifelong_nav.core.distance import DistanceField
from lifelong_nav.core.errors import LifelongNavError
from lifelong_nav.core.share import share_folder
from lifelong_nav.core.types import FloatArray, PeopleForecast, Pose2, Twist2
from lifelong_nav.trajectory.prediction.constant_velocity import (
    MAX_SPEED,
    STANDING,
    constant_velocity,
    walking_velocity,
)
from lifelong_nav.trajectory.prediction.flow_map import FlowMap
from lifelong_nav.trajectory.prediction.flow_prior import with_flows
from lifelong_nav.trajectory.prediction.history import LENGTH, PeopleHistory, Window
from lifelong_nav.trajectory.prediction.network import PredictionNetwork, predict
from lifelong_nav.trajectory.prediction.times import resample_spread, resample_tracks
from lifelong_nav.trajectory.prediction.walls import around_walls
from lifelong_nav.trajectory.situation import TIMES

MODES = 5
"""At most so many modes per person; the first is the single best guess."""
SCENES = ("eth", "zara01", "students03")
"""What the network for all scenes was trained on."""
LEAST_SEEN = 3
"""Fewer samples of 0.4 s than this tell the network too little."""
NEIGHBOURS, REACH = 12, 8.0
_ANCHORED = 0.25  # who has not left this circle over the whole track, and is slow, stands [m]
_FAR = 1e4  # beyond this, coordinates are nonsense [m]
_log = logging.getLogger(__name__)


class Predictor:
    """Forecasts people; never raises on odd input, always finite.

    Attributes:
        network: None where there is only constant velocity.
        problem: why, in a sentence; empty when all is well.
    """

    def __init__(self, network: PredictionNetwork | None = None, problem: str = "") -> None:
        self.network, self.problem = network, problem

    @classmethod
    def load(cls, folder: Path | None = None, scene_left_out: str | None = None, seed: int = 0) -> Predictor:
        """With the network of `folder` (None: as shipped).

        Args:
            folder: holds `all.safetensors`, `without_<scene>_<seed>.safetensors`.
            scene_left_out: take weights that have not seen this scene; of scenes that are not in `SCENES`
                no weights have seen anything.
            seed: which of the weights that left a scene out; those for all scenes exist once.

        Returns:
            A predictor; constant velocity where the weights are missing or damaged, `problem` says why.
        """
        seen = scene_left_out in SCENES
        name = f"without_{scene_left_out}_{seed}" if seen else "all"
        try:
            folder = folder if folder is not None else share_folder("models") / "prediction"
            return cls(PredictionNetwork.load(Path(folder) / f"{name}.safetensors"))
        except LifelongNavError as error:
            _log.warning("people are predicted by constant velocity: %s", error)
            return cls(None, str(error))

    def predict(
        self,
        history: PeopleHistory,
        now: float | None = None,
        times: FloatArray = TIMES,
        robot_pose: Pose2 | None = None,
        robot_twist: Twist2 | None = None,
        field: DistanceField | None = None,
        flow: FlowMap | None = None,
        flow_pose: Pose2 | None = None,
    ) -> PeopleForecast:
        """Forecast everyone of the newest message in `history`.

        Args:
            history: tracks, in a fixed frame.
            now: stamp of the forecast [s]; None for that of the newest people.
            times: (T,) seconds from `now`, increasing, > 0; `TIMES` where they are not.
            robot_pose: in the frame of the people; the robot is one more neighbour.
            robot_twist: of the robot, body frame.
            field: distance to walls and furniture, in the same frame.
            flow: the usual flows here.
            flow_pose: of the people's frame in the flows' frame; None where they are the same.

        Returns:
            Modes for everyone, the first the single best guess; one only by constant velocity.
        """
        times = _good_times(times)
        window = history.window(now)
        forecast = constant_velocity(window, times)
        if len(window) == 0:
            return forecast
        positions, weights, spread = forecast.positions, forecast.weights, forecast.spread
        fit = self._fit(window, forecast.velocity)
        if self.network is not None and fit.any():
            positions, weights, spread = self._network(window, fit, forecast, robot_pose, robot_twist)
        with np.errstate(all="ignore"):
            if flow is not None and len(flow):
                positions, weights, spread = with_flows(
                    forecast.start, forecast.velocity, positions, weights, spread, times, flow,
                    window.stamp, flow_pose,
                )  # fmt: skip
            if field is not None and min(field.distance.shape) > 2:
                positions, weights = around_walls(forecast.start, positions, weights, field)
        flat = (a.reshape(len(window), -1) for a in (positions, spread, weights))
        good = np.isfinite(np.concatenate(list(flat), axis=1)).all(axis=1)
        if not good.all():  # whatever it was: those go on as they walk
            k = positions.shape[1]
            positions = np.where(good[:, None, None, None], positions, _repeat(forecast.positions, k))
            spread = np.where(good[:, None, None], spread, _repeat(forecast.spread, k))
            weights = np.where(good[:, None], weights, np.eye(k)[:1])
        return PeopleForecast(
            forecast.stamp, forecast.frame_id, forecast.ids, times, forecast.start, forecast.velocity,
            positions, weights, spread, forecast.radii, forecast.groups,
        )  # fmt: skip

    def _fit(self, window: Window, velocity: FloatArray) -> NDArray[np.bool_]:
        """(N,) whose track is long and sane enough for the network."""
        if window.positions.shape[1] != LENGTH:
            return np.zeros(len(window), dtype=bool)
        steps = np.linalg.norm(np.diff(window.positions, axis=1), axis=-1)
        sane = (steps < 1.4 * MAX_SPEED * 0.4).all(1) & (np.abs(window.positions) < _FAR).all((1, 2))
        return np.asarray((window.valid.sum(1) >= LEAST_SEEN) & sane)

    def _network(
        self,
        window: Window,
        fit: NDArray[np.bool_],
        forecast: PeopleForecast,
        robot_pose: Pose2 | None,
        robot_twist: Twist2 | None,
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Positions, weights and spreads; constant velocity in the first mode of those who do not fit."""
        assert self.network is not None
        k, times = min(self.network.modes, MODES), forecast.times
        positions, spread = _repeat(forecast.positions, k), _repeat(forecast.spread, k)
        weights = np.repeat(np.eye(k)[:1], len(window), axis=0)
        rows = np.flatnonzero(fit)
        past = window.positions[rows] - window.positions[rows, -1:]
        still = np.hypot(*forecast.velocity[rows].T) < STANDING
        still &= np.linalg.norm(past[:, -4:], axis=-1).max(axis=1) < _ANCHORED
        # what a tracker's noise looks like is no walk: who stands has stood still
        past[still, -4:] = 0.0
        past[still & (np.linalg.norm(past, axis=-1).max(axis=1) < _ANCHORED)] = 0.0
        near, there = _neighbours(window, rows, robot_pose, robot_twist)
        tracks, share, wide = predict(self.network, past, window.valid[rows], near, there)
        tracks[still, 0] = 0.0  # the best guess of someone who stands is to stand; other modes set off
        positions[rows] = window.positions[rows, -1][:, None, None] + resample_tracks(tracks, times)
        weights[rows], spread[rows] = share, resample_spread(wide, window.sigma[rows], times)
        return positions, weights, spread


def _neighbours(
    window: Window, rows: NDArray[np.intp], robot_pose: Pose2 | None, robot_twist: Twist2 | None
) -> tuple[FloatArray, NDArray[np.bool_]]:
    """(B, J, 4) and (B, J): the nearest others with the robot among them, nearest first."""
    at, velocity = window.positions[:, -1], walking_velocity(window)
    if robot_pose is not None and np.isfinite(robot_pose.array()).all():
        twist = robot_twist if robot_twist is not None else Twist2()
        c, s = np.cos(robot_pose.yaw), np.sin(robot_pose.yaw)
        v = np.array([c * twist.vx - s * twist.vy, s * twist.vx + c * twist.vy])
        at = np.vstack([at, robot_pose.xy])
        velocity = np.vstack([velocity, np.where(np.isfinite(v), v, 0.0)])
    rel = at[None] - window.positions[rows, -1][:, None]
    far = np.linalg.norm(rel, axis=-1)
    far[np.arange(len(rows)), rows] = np.inf
    order = np.argsort(far, axis=1, kind="stable")[:, :NEIGHBOURS]
    line = np.arange(len(rows))[:, None]
    there = far[line, order] < REACH
    near = np.concatenate([rel[line, order], velocity[order]], axis=-1)
    return np.where(there[..., None], near, 0.0), there


def _good_times(times: FloatArray) -> FloatArray:
    times = np.asarray(times, dtype=float).ravel()
    good = len(times) > 0 and np.isfinite(times).all() and times[0] > 0 and (np.diff(times) > 0).all()
    return times if good else TIMES


def _repeat(values: FloatArray, modes: int) -> FloatArray:
    """(N, 1, ...) the same in every mode."""
    return np.repeat(values[:, :1], modes, axis=1)
