"""Weights from the expert: they bring the choice near to where it went, and only from the training half."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from lifelong_nav.sim import suite
from lifelong_nav.training import selector_weights as sw
from lifelong_nav.trajectory.terms import TermsConfig


def lesson(rng, weights, case, count=8):
    """Candidates whose distance to the expert is what `weights` make of their costs."""
    costs = rng.gamma(0.5, 1.0, (count, len(sw.FITTED))) * rng.integers(0, 2, (count, len(sw.FITTED)))
    lost = rng.uniform(0.0, 3.0, count)
    total = lost + costs @ weights
    return sw.Lesson(costs, lost, 0.2 * (total - total.min()), np.zeros(count, bool), case)


def test_it_finds_the_weights_the_expert_has():
    rng = np.random.default_rng(3)
    start = TermsConfig()
    before = np.array([getattr(start, n) for n in sw.FITTED])
    low = np.where([n in sw.MARGINS for n in sw.FITTED], 1.0, 0.25)
    true = before * np.where(rng.random(len(before)) < 0.5, low, 4.0)
    lessons = [lesson(rng, true, f"case {k // 8}") for k in range(320)]
    fit = sw.fitted(lessons, start, keep=0.001)
    assert fit.after_unseen < 0.4 * fit.before_unseen
    assert fit.best == pytest.approx(0.0, abs=1e-9)
    found = np.log(np.array(list(fit.weights.values())) / true)
    assert np.median(np.abs(found)) < 0.5
    assert all(v > 0.0 for v in fit.weights.values())


def test_margins_never_shrink():
    rng = np.random.default_rng(5)
    start = TermsConfig()
    careless = np.array([getattr(start, n) * (0.05 if n in sw.MARGINS else 1.0) for n in sw.FITTED])
    fit = sw.fitted([lesson(rng, careless, f"case {k}") for k in range(60)], start)
    assert all(fit.weights[n] >= getattr(start, n) - 1e-3 for n in sw.MARGINS)


def test_terms_that_never_differ_keep_their_weight():
    rng = np.random.default_rng(1)
    start = TermsConfig()
    column = sw.FITTED.index("queue")
    lessons = []
    for k in range(40):
        x = lesson(rng, np.ones(len(sw.FITTED)), f"case {k}")
        costs = x.costs.copy()
        costs[:, column] = 0.0
        lessons.append(dataclasses.replace(x, costs=costs))
    assert sw.fitted(lessons, start).weights["queue"] == pytest.approx(start.queue, rel=1e-3)


def test_lessons_along_a_run_of_the_expert():
    layout = suite.suite().layouts_of(suite.TRAIN)[0]
    what = sw.task("intersection_no_gesture", "social_force", layout, 0)
    lessons = list(sw.lessons_of(what, "case", 3.0, TermsConfig()))
    assert len(lessons) >= 2
    for x in lessons:
        count = len(x.away)
        assert x.costs.shape == (count, len(sw.FITTED))
        assert np.isfinite(x.costs).all()
        assert (x.costs >= -1e-6).all()
        assert count >= 6
    assert min(x.away.min() for x in lessons) < 0.3  # something proposed is what the expert does


def test_only_the_training_half_is_learned_from(monkeypatch):
    asked = []

    def note(what, case, *rest):
        asked.append(case.split("/")[0])
        return iter([lesson(np.random.default_rng(len(asked)), np.ones(len(sw.FITTED)), case)])

    layouts = []
    monkeypatch.setattr(sw, "lessons_of", note)
    monkeypatch.setattr(sw, "task", lambda family, human, layout, seed: layouts.append(layout))
    config, fit = sw.train(seeds=6, humans=("social_force",))
    s = suite.suite()
    assert set(asked) == set(s.families(suite.TRAIN))
    assert set(layouts) <= set(s.layouts_of(suite.TRAIN))
    assert config.progress == TermsConfig().progress
    assert fit.lessons == len(asked)
