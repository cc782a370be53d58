"""The flat world's eyes really look: what they say depends on who is there, and on the picture."""

import dataclasses

import numpy as np
import pytest

from lifelong_nav.core.types import Twist2
from lifelong_nav.sim.flat import FlatWorld
from lifelong_nav.sim.scenario import load
from lifelong_nav.sim.scenario_build import build
from lifelong_nav.training.flat_eyes import FlatEyes


def looks(family, seed=0, steps=12, **options):
    run = build(load(family), seed)
    world = FlatWorld(run, seed)
    out = []
    with FlatEyes(world, seed, **options) as eyes:
        for _ in range(steps):
            out.append(eyes.context(world.sense(), run.goals[-1].xy))
            world.command(Twist2(0.4, 0.0, 0.0))
            world.step()
    return out


@pytest.fixture(scope="module")
def groups():
    return looks("olivia_static_groups")


def test_a_look_is_made_once_a_second_and_held_in_between(groups):
    stamps = [c.stamp for c in groups]
    assert stamps[:10] == [0.0] * 10
    assert stamps[10:] == pytest.approx([1.0, 1.0])
    assert groups[0] is groups[9]


def test_both_voices_speak_and_the_context_fits_the_scene(groups):
    context = groups[-1]
    assert context.state == "full"
    assert sum(p for s, p in context.probabilities.items() if "group" in s) > 0.5
    assert np.linalg.norm(context.embedding) == pytest.approx(1.0, abs=1e-4)
    assert context.image_share > 0.05
    assert context.facts_share > 0.05


def test_the_same_seed_sees_the_same_and_another_scene_something_else(groups):
    again = looks("olivia_static_groups", steps=1)[0]
    np.testing.assert_array_equal(again.embedding, groups[0].embedding)
    hallway = looks("narrow_hallway", steps=1)[0]
    assert float(hallway.embedding @ again.embedding) < 0.8


def test_without_the_picture_only_facts_speak(groups):
    blind = looks("olivia_static_groups", steps=1, image=False)[0]
    assert blind.state == "facts"
    assert float(blind.embedding @ groups[0].embedding) < 0.999


def test_the_picture_shows_people_where_they_are():
    run = build(load("olivia_static_groups"), 0)
    world = FlatWorld(run, 0)
    with FlatEyes(world, 0) as eyes:
        sensed = world.sense()
        before = eyes.picture(sensed).astype(int)
        gone = FlatWorld(build(load("olivia_static_groups"), 0), 0).sense()
        nobody = gone.truth.present & False
        empty = dataclasses.replace(gone, truth=dataclasses.replace(gone.truth, present=nobody))
        after = eyes.picture(empty).astype(int)
    changed = np.abs(before - after).max(axis=-1) > 60
    assert before.shape == (240, 320, 3)
    assert 0.003 < changed.mean() < 0.6
