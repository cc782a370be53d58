"""Usual flows: learned from tracks, by hour; bounded; survive a kill; make habitual turns predictable."""

import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

from lifelong_nav.core.errors import CheckpointError
from lifelong_nav.core.types import People, TrackedPerson
from lifelong_nav.trajectory.prediction.flow_map import FlowConfig, FlowMap
from lifelong_nav.trajectory.prediction.history import PeopleHistory
from lifelong_nav.trajectory.prediction.predictor import Predictor

HOUR = 3600.0


def turning(rng, left=True, corner=6.0, speed=1.2, seconds=11.0, step=0.2):
    """(T, 2) path along x that turns at about `corner`."""
    t = np.arange(0.0, seconds, step)
    at = corner + rng.normal(0.0, 0.2)
    y0, s = rng.normal(0.0, 0.15), speed * rng.uniform(0.85, 1.15) * t
    bend = np.pi / 2.0 * np.clip((s - at) / 1.2, 0.0, 1.0) * (1.0 if left else -1.0)
    way = np.stack([np.cos(bend), np.sin(bend)], axis=-1)
    return t, np.array([0.0, y0]) + np.concatenate([[[0, 0]], np.cumsum(way[:-1] * np.diff(s)[:, None], 0)])


def learned(n=40, hour=9.0, left=True, seed=0, flow=None):
    rng, flow = np.random.default_rng(seed), flow or FlowMap()
    for k in range(n):
        t, xy = turning(rng, left)
        flow.observe_track(hour * HOUR + 30.0 * k + t, xy)
    return flow


def test_it_learns_which_way_people_turn_at_which_hour():
    flow = learned(flow=learned(hour=17.0, left=False), hour=9.0, left=True)
    place, east = np.array([[6.5, 0.1]]), np.zeros(1)
    morning, seen, speed = flow.onward(place, east, 9.2 * HOUR)
    evening, _, _ = flow.onward(place, east, 17.2 * HOUR)
    assert morning[0, 1:4].sum() > 0.6 > 0.3 > morning[0, 5:8].sum()
    assert evening[0, 5:8].sum() > 0.6
    assert seen[0] > 10
    assert 0.9 < speed[0] < 1.5
    nowhere, none, _ = flow.onward(np.array([[50.0, 50.0]]), east, 9.2 * HOUR)
    assert none[0] == 0
    assert np.allclose(nowhere, 1.0 / 8.0)


def test_online_it_learns_the_same_as_from_whole_tracks():
    rng = np.random.default_rng(1)
    online, whole = FlowMap(), FlowMap()
    t, xy = turning(rng)
    whole.observe_track(t, xy)
    for s, p in zip(t, xy, strict=True):
        online.observe(People(float(s), "map", (TrackedPerson(3, *map(float, p)),)))
        online.observe(People(float(s), "odom", (TrackedPerson(3, 0.0, 0.0),)))
        online.observe(People(float(s) + 0.05, "map", (TrackedPerson(3, np.nan, 0.0),)))
    assert whole.observations > 20
    assert online.observations == whole.observations


def test_memory_is_bounded_and_old_flows_fade():
    flow = FlowMap(FlowConfig(most=100))
    rng = np.random.default_rng(0)
    for k in range(60):
        t, xy = turning(rng)
        flow.observe_track(k * 600.0 + t, xy + rng.uniform(-30, 30, 2))
    assert len(flow) <= 100
    flow = learned()
    place, east = np.array([[6.5, 0.1]]), np.zeros(1)
    fresh = flow.onward(place, east, 9.5 * HOUR)[1][0]
    later = flow.onward(place, east, 9.5 * HOUR + 28 * 86400.0)[1][0]
    assert 0.2 * fresh < later < 0.35 * fresh  # two half-lives


def test_saved_flows_come_back_and_damaged_files_are_refused(tmp_path):
    flow, path = learned(), tmp_path / "flows.safetensors"
    assert len(FlowMap.load(path)) == 0
    flow.save(path)
    back = FlowMap.load(path)
    place, east = np.array([[6.5, 0.1], [3.0, 0.0]]), np.zeros(2)
    for a, b in zip(flow.onward(place, east, 9.2 * HOUR), back.onward(place, east, 9.2 * HOUR), strict=True):
        assert np.allclose(a, b)
    learned(5, flow=back)
    assert back.observations > flow.observations
    data = path.read_bytes()
    for bad in (b"", data[: len(data) // 2], b"\x80\x04pickle"):
        path.write_bytes(bad)
        with pytest.raises(CheckpointError):
            FlowMap.load(path)


def test_a_kill_while_saving_leaves_a_whole_map(tmp_path):
    path = tmp_path / "flows.safetensors"
    code = textwrap.dedent(
        f"""
        import sys; sys.path.insert(0, {str(Path(__file__).resolve().parent)!r})
        from pathlib import Path
        from test_flow_map import learned
        flow = learned(3); flow.save(Path({str(path)!r})); print("saved", flush=True)
        while True:
            flow.save(Path({str(path)!r}))
        """
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert process.stdout.readline().strip() == b"saved"
    for _ in range(3):
        assert len(FlowMap.load(path)) > 10
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    assert len(FlowMap.load(path)) > 10


def test_flows_make_a_habitual_turn_predictable():
    flow, rng, gain = learned(), np.random.default_rng(7), []
    predictor = Predictor()
    for _ in range(15):
        t, xy = turning(rng)
        now = 22  # 4.4 s: about a metre before the corner
        history = PeopleHistory()
        for k in range(now + 1):
            v = (xy[k] - xy[max(k - 1, 0)]) / 0.2
            stamp = 9 * HOUR + float(t[k])
            history.add(People(stamp, "map", (TrackedPerson(0, *map(float, xy[k]), *map(float, v)),)))
        times, truth = t[now + 1 : now + 26] - t[now], xy[now + 1 : now + 26]
        errors = []
        for known in (None, flow):
            forecast = predictor.predict(history, times=times, flow=known)
            far = np.linalg.norm(forecast.positions[0] - truth, axis=-1)
            errors.append(far[0].mean())
            assert np.allclose(forecast.weights.sum(axis=1), 1.0)
        gain.append(errors)
    plain, with_flow = np.mean(gain, axis=0)
    assert with_flow < 0.6 * plain
