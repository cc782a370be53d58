"""Messages of forecasts and choices: there and back, and broken ones refused."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

pytest.importorskip("rclpy")

from lifelong_nav.core.errors import InputError
from lifelong_nav.core.types import PeopleForecast, Trajectory
from lifelong_nav.nodes import convert_trajectory as convert
from lifelong_nav.trajectory.situation import LEARNED, TIMES, Candidate, Choice


def _forecast(n: int = 3, m: int = 2, t: int = 5) -> PeopleForecast:
    rng = np.random.default_rng(0)
    weights = rng.uniform(0.1, 1.0, (n, m))
    return PeopleForecast(
        12.5, "odom", np.arange(n), np.arange(1, t + 1) * 0.4, rng.normal(size=(n, 2)),
        rng.normal(size=(n, 2)), rng.normal(size=(n, m, t, 2)), weights / weights.sum(axis=1, keepdims=True),
        rng.uniform(0.1, 1.0, (n, m, t)), np.full(n, 0.25), np.full(n, -1),
    )  # fmt: skip


@pytest.mark.parametrize("n", [0, 3])
def test_a_forecast_survives_the_wire(n: int) -> None:
    forecast = _forecast(n)
    found = convert.forecast_from(convert.forecast_to(forecast))
    for field in dataclasses.fields(PeopleForecast):
        a, b = getattr(forecast, field.name), getattr(found, field.name)
        if isinstance(a, np.ndarray):
            assert b.size == a.size, field.name
            assert np.allclose(a.ravel(), b.ravel(), atol=1e-6), field.name
        else:
            assert a == b


def test_broken_forecasts_are_refused() -> None:
    for change in (
        {"weights": [0.9] * 6}, {"positions": [0.0] * 7}, {"times": [0.4, 0.4, 0.8, 1.2, 1.6]},
        {"spread": [-1.0] * 30}, {"start": [float("nan")] * 6}, {"modes": 0},
    ):  # fmt: skip
        message = convert.forecast_to(_forecast())
        for name, value in change.items():
            setattr(message, name, value)
        with pytest.raises(InputError):
            convert.forecast_from(message)


def _choice() -> Choice:
    rng = np.random.default_rng(1)
    candidates = tuple(
        Candidate(
            f"way {i}",
            LEARNED,
            Trajectory(3.0, "odom", TIMES, rng.normal(size=(30, 3)), rng.normal(size=(30, 2))),
        )
        for i in range(4)
    )
    terms = {"progress": rng.uniform(size=4), "personal_space": rng.uniform(size=4)}
    return Choice(3.0, candidates, 2, sum(terms.values()), terms, "because")  # type: ignore[arg-type]


def test_a_choice_survives_the_wire_with_its_terms() -> None:
    choice = _choice()
    found = convert.choice_from(convert.choice_to(choice, 0.01))
    assert found.index == 2
    assert found.reason == "because"
    assert found.chosen.name == "way 2"
    assert np.allclose(found.chosen.trajectory.poses, choice.chosen.trajectory.poses, atol=1e-6)
    assert np.allclose(sum(found.terms.values()), found.totals, atol=1e-5)
    assert list(found.terms) == list(choice.terms)


def test_a_choice_of_nobody_is_refused() -> None:
    message = convert.choice_to(_choice())
    message.chosen = 4
    with pytest.raises(InputError, match="names no candidate"):
        convert.choice_from(message)


def test_a_trajectory_keeps_its_times_and_speeds() -> None:
    yaw = 0.5 * TIMES
    poses = np.stack([np.sin(yaw) / 0.5 * 0.6, (1 - np.cos(yaw)) / 0.5 * 0.6, yaw], axis=-1)
    path = convert.trajectory_to(Trajectory(7.0, "odom", TIMES, poses, np.zeros((30, 2))))
    found = convert.trajectory_from(path)
    assert found is not None
    assert np.allclose(found.times, TIMES, atol=1e-6)
    assert np.allclose(found.twists, [0.6, 0.5], atol=2e-3)
    assert convert.trajectory_from(type(path)()) is None
    path.poses[3].header.stamp = path.poses[2].header.stamp
    with pytest.raises(InputError, match="increasing"):
        convert.trajectory_from(path)
