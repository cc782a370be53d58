"""Counting how often social context names the family of the suite."""

import numpy as np

from lifelong_nav.core.social_context import SocialContext
from lifelong_nav.evaluation.context_agreement import _CALLED, Tally
from lifelong_nav.perception.social_scene import SCENARIOS
from lifelong_nav.sim import suite


def context(*names):
    return SocialContext(0.0, probabilities={n: 1.0 / (k + 1) for k, n in enumerate(names)})


def test_every_training_family_has_a_name_that_context_can_say():
    for family in suite.suite().families(suite.TRAIN):
        assert _CALLED.get(family, family) in SCENARIOS


def test_looks_are_counted_all_and_near_somebody():
    tally = Tally()
    tally.add(context("crowd", "queue"), "crowd", near=True)
    tally.add(context("queue", "free_passage", "crowd"), "crowd", near=True)
    tally.add(context("free_passage"), "crowd", near=False)
    np.testing.assert_allclose(tally.shares(), (1 / 3, 1 / 2, 1.0))


def test_crossings_go_by_one_name_and_nothing_seen_is_no_share():
    tally = Tally()
    tally.add(context("intersection"), "intersection_no_gesture", near=False)
    first, near, third = tally.shares()
    assert first == 1.0
    assert np.isnan(near)
    assert np.isnan(third)
