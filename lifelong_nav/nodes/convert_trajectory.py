"""Chosen trajectories and people's forecasts: ROS messages to core values and back."""

from __future__ import annotations

import math

import numpy as np
from lifelong_nav_interfaces.msg import PeopleForecast as ForecastMsg
from lifelong_nav_interfaces.msg import TrajectoryChoice
from nav_msgs.msg import Path

from lifelong_nav.core.errors import InputError
from lifelong_nav.core.geometry import wrap
from lifelong_nav.core.types import FloatArray, PeopleForecast, Trajectory
from lifelong_nav.nodes.convert import header, path_from, path_to
from lifelong_nav.nodes.convert_context import floats
from lifelong_nav.nodes.ros_clock import to_seconds
from lifelong_nav.trajectory.situation import Candidate, Choice

_FIX = "Mend its publisher, or rebuild the messages."


def forecast_to(forecast: PeopleForecast) -> ForecastMsg:
    """lifelong_nav_interfaces/PeopleForecast."""
    return ForecastMsg(
        header=header(forecast.stamp, forecast.frame_id),
        ids=[int(i) for i in forecast.ids],
        groups=[int(g) for g in forecast.groups],
        radii=floats(forecast.radii),
        start=floats(forecast.start),
        velocity=floats(forecast.velocity),
        modes=forecast.positions.shape[1] if len(forecast) else 1,
        times=floats(forecast.times),
        positions=floats(forecast.positions),
        weights=floats(forecast.weights),
        spread=floats(forecast.spread),
    )


def forecast_from(message: ForecastMsg) -> PeopleForecast:
    """The forecast of a message.

    Raises:
        InputError: lengths that do not fit, times that do not increase, values that are not finite,
            weights that are no probabilities.
    """
    n, m, t = len(message.ids), int(message.modes), len(message.times)
    wanted = {
        "radii": (n,), "groups": (n,), "start": (n, 2), "velocity": (n, 2), "positions": (n, m, t, 2),
        "weights": (n, m), "spread": (n, m, t),
    }  # fmt: skip
    arrays = {name: _shaped(message, name, shape) for name, shape in wanted.items()}
    times = np.asarray(message.times, dtype=float)
    if m < 1 or t < 1 or not (np.diff(times, prepend=0.0) > 0.0).all():
        raise InputError("A forecast of people has no modes or no increasing times.", _FIX)
    weights = arrays["weights"]
    if (weights < 0.0).any() or (n and np.abs(weights.sum(axis=1) - 1.0).max() > 1e-3):
        raise InputError("The weights of a forecast of people are no probabilities.", _FIX)
    if (arrays["spread"] < 0.0).any() or (arrays["radii"] < 0.0).any():
        raise InputError("A forecast of people has a negative spread or radius.", _FIX)
    return PeopleForecast(
        stamp=to_seconds(message.header.stamp),
        frame_id=message.header.frame_id,
        ids=np.asarray(message.ids, dtype=np.int64),
        times=times,
        start=arrays["start"],
        velocity=arrays["velocity"],
        positions=arrays["positions"],
        weights=weights,
        spread=arrays["spread"],
        radii=arrays["radii"],
        groups=arrays["groups"].astype(np.int64),
    )


def choice_to(choice: Choice, elapsed: float = math.nan) -> TrajectoryChoice:
    """lifelong_nav_interfaces/TrajectoryChoice; `elapsed` [s] as measured by the caller."""
    trajectories = [c.trajectory for c in choice.candidates]
    terms = list(choice.terms)
    costs = np.stack([choice.terms[name] for name in terms], axis=-1) if terms else np.zeros(0)
    return TrajectoryChoice(
        header=header(choice.stamp, trajectories[0].frame_id),
        names=[c.name for c in choice.candidates],
        sources=[c.source for c in choice.candidates],
        chosen=int(choice.index),
        reason=choice.reason,
        terms=terms,
        costs=floats(costs),
        totals=floats(choice.totals),
        times=floats(trajectories[0].times),
        poses=floats(np.stack([t.poses for t in trajectories])),
        twists=floats(np.stack([t.twists for t in trajectories])),
        elapsed=float(elapsed),
    )


def choice_from(message: TrajectoryChoice) -> Choice:
    """The choice of a message, without its forecast.

    Raises:
        InputError: no candidate, or lengths that do not fit.
    """
    c, t, terms = len(message.names), len(message.times), len(message.terms)
    poses = _shaped(message, "poses", (c, t, 3))
    twists = _shaped(message, "twists", (c, t, 2))
    costs = _shaped(message, "costs", (c, terms), finite=False)
    totals = _shaped(message, "totals", (c,), finite=False)
    if not 0 <= message.chosen < c or len(message.sources) != c:
        raise InputError("A choice of trajectory names no candidate.", _FIX)
    stamp, frame = to_seconds(message.header.stamp), message.header.frame_id
    times = np.asarray(message.times, dtype=float)
    candidates = tuple(
        Candidate(name, source, Trajectory(stamp, frame, times, poses[i], twists[i]))
        for i, (name, source) in enumerate(zip(message.names, message.sources, strict=True))
    )
    named = {name: costs[:, k] for k, name in enumerate(message.terms)}
    return Choice(stamp, candidates, int(message.chosen), totals, named, message.reason)


def trajectory_to(trajectory: Trajectory) -> Path:
    """nav_msgs/Path whose poses are stamped in time."""
    return path_to(trajectory.poses, trajectory.stamp, trajectory.frame_id, trajectory.times)


def trajectory_from(message: Path) -> Trajectory | None:
    """The trajectory of a path stamped in time, twists taken from its poses; None when it is empty.

    Raises:
        InputError: stamps that do not increase after the header's, or poses that are not finite.
    """
    if not message.poses:
        return None
    poses = path_from(message)
    stamp = to_seconds(message.header.stamp)
    times = np.array([to_seconds(p.header.stamp) for p in message.poses]) - stamp
    steps = np.diff(times, prepend=0.0)
    if not (steps[1:] > 0.0).all() or times[0] < 0.0:
        raise InputError("A trajectory's poses are not stamped in increasing time.", _FIX)
    return Trajectory(stamp, message.header.frame_id, times, poses, _twists(poses, times))


def _twists(poses: FloatArray, times: FloatArray) -> FloatArray:
    """(T, 2) v and w that lead to each pose; the first takes the second's."""
    if len(poses) < 2:
        return np.zeros((len(poses), 2))
    dt = np.diff(times)
    step = np.diff(poses[:, :2], axis=0)
    turn = wrap(np.diff(poses[:, 2]))
    middle = poses[:-1, 2] + 0.5 * turn
    ahead = step[:, 0] * np.cos(middle) + step[:, 1] * np.sin(middle)
    twists = np.stack([ahead / dt, turn / dt], axis=-1)
    return np.concatenate([twists[:1], twists])


def _shaped(message: object, name: str, shape: tuple[int, ...], finite: bool = True) -> FloatArray:
    """A flat field of a message as float64 of `shape`."""
    values = np.asarray(getattr(message, name), dtype=float)
    if values.size != math.prod(shape):
        raise InputError(f"{type(message).__name__}.{name} has {values.size} values, not {shape}.", _FIX)
    if finite and not np.isfinite(values).all():
        raise InputError(f"{type(message).__name__}.{name} is not finite.", _FIX)
    return values.reshape(shape)
