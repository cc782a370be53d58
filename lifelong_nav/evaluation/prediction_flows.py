"""What usual flows are worth: a simulated crossing where people turn by habit, another way in the evening."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lifelong_nav.core.types import FloatArray, People, TrackedPerson
from lifelong_nav.trajectory.prediction.flow_map import FlowMap
from lifelong_nav.trajectory.prediction.history import PeopleHistory
from lifelong_nav.trajectory.prediction.predictor import Predictor

STEP = 0.2
_HABIT = 0.8  # so many turn the usual way of the hour, the rest go straight on
_CORNER = 7.0


def walk(rng: np.random.Generator, hour: int) -> tuple[FloatArray, FloatArray]:
    """Times (T,) [s] and places (T, 2) [m] of one person who comes from the west: left in the morning."""
    times = np.arange(0.0, 12.0, STEP)
    way = float(rng.choice([1.0, 0.0], p=[_HABIT, 1.0 - _HABIT])) * (1.0 if hour < 12 else -1.0)
    gone = rng.uniform(0.9, 1.5) * times
    bend = way * np.pi / 2.0 * np.clip((gone - _CORNER - rng.normal(0.0, 0.25)) / 1.0, 0.0, 1.0)
    step = np.diff(gone)[:, None] * np.stack([np.cos(bend), np.sin(bend)], axis=-1)[:-1]
    path = np.array([0.0, rng.normal(0.0, 0.2)]) + np.concatenate([np.zeros((1, 2)), np.cumsum(step, axis=0)])
    return times, path + rng.normal(0.0, 0.02, path.shape)


def flow_gain(people: int, seeds: Sequence[int] = (10, 11, 12)) -> tuple[list[list[object]], float]:
    """Errors over the 4.8 s around the corner, and the ratio of FDE with and without flows.

    Args:
        people: held-out people per hour of two, after thirty of each hour have been seen.
        seeds: of everybody, one world each.
    """
    predictor, found = Predictor.load(), []
    ahead = np.arange(1, 13) * 0.4
    for rng in map(np.random.default_rng, seeds):
        flow = FlowMap()
        for hour in (9, 17):
            for k in range(30):
                times, path = walk(rng, hour)
                flow.observe_track(3600.0 * hour + 60.0 * k + times, path)
        for k in range(2 * people):
            hour = 9 if k < people else 17
            times, path = walk(rng, hour)
            for now in range(16, 27, 2):
                history = _history(times, path, now, 3600.0 * hour + 2000.0 + 10.0 * k)
                truth = path[now + 2 * np.arange(1, 13)]
                for name, known in (("network", None), ("network and usual flows", flow)):
                    forecast = predictor.predict(history, times=ahead, flow=known)
                    far = np.linalg.norm(forecast.positions[0] - truth, axis=-1)
                    found.append((name, far[0].mean(), far[0, -1], far[:, -1].min()))
    rows: list[list[object]] = []
    for name in ("network", "network and usual flows"):
        mean = np.mean([f[1:] for f in found if f[0] == name], axis=0)
        rows.append([name, *map(float, mean)])
    return rows, float(rows[1][2]) / float(rows[0][2])  # type: ignore[arg-type]


def _history(times: FloatArray, path: FloatArray, now: int, start: float) -> PeopleHistory:
    """What a tracker has seen of one person up to sample `now`."""
    history = PeopleHistory()
    for i in range(now + 1):
        v = (path[i] - path[max(i - 2, 0)]) / (STEP * max(min(i, 2), 1))
        person = TrackedPerson(0, float(path[i, 0]), float(path[i, 1]), float(v[0]), float(v[1]))
        history.add(People(start + float(times[i]), "map", (person,)))
    return history
