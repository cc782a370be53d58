"""The social suite: the split stays as it was frozen, variants keep what makes a scenario."""

import hashlib

import numpy as np
import pytest

from lifelong_nav.core.errors import ConfigError
from lifelong_nav.core.share import share_folder
from lifelong_nav.evaluation.social.case import Case, cases
from lifelong_nav.evaluation.social.run import open_world
from lifelong_nav.sim import suite
from lifelong_nav.sim.crowd.orca import Orca
from lifelong_nav.sim.scenario import load, names
from lifelong_nav.sim.suite_layout import Layout, laid_out

FROZEN = "77324744ba351c1ebe26e098853a453484127d7adb463c883e97d7016ef6430a"


def test_the_split_is_frozen():
    data = (share_folder("sim") / "suite" / "social.yaml").read_bytes()
    assert hashlib.sha256(data).hexdigest() == FROZEN


def test_both_halves_hold_every_kind_and_olivia_is_held_out():
    s = suite.suite()
    train, held_out = s.families("train"), s.families("held_out")
    assert set(train) | set(held_out) == set(names()) - {"office_day", "lifelong_day", "leading"}
    assert not set(train) & set(held_out)
    assert len(train) == len(held_out)
    assert set(suite.OLIVIA) <= set(held_out)
    assert {s.kinds[f] for f in train} == {s.kinds[f] for f in held_out}
    assert not set(s.layouts_of("train")) & set(s.layouts_of("held_out"))
    assert len(s.layouts_of("train")) == len(s.layouts_of("held_out"))


@pytest.mark.parametrize("family", sorted(suite.suite().half_of))
def test_every_variant_can_be_drawn_and_driven(family):
    s = suite.suite()
    number = sorted(s.half_of).index(family)
    for layout in s.layouts_of(s.half_of[family])[:: 2 if number % 2 else 3]:
        human = list(s.humans)[(layout + number) % 4]
        world, setting = open_world(Case(family, human, layout, layout))
        assert world.gaps().min(initial=9.0) > 0.0
        assert np.hypot(*(setting.route[-1] - setting.goal.xy)) < 0.3
        assert np.hypot(*(setting.route[0] - world.pose.xy)) < 0.3


def test_mirrored_twice_is_the_plan_again():
    s = load("queue")
    again = laid_out(laid_out(s, Layout("y")), Layout("y"))
    assert again.start == pytest.approx(s.start)
    assert again.goals[0] == pytest.approx(s.goals[0])
    assert again.lines["counter"].head == pytest.approx(s.lines["counter"].head)
    assert again.lines["counter"].direction == pytest.approx(s.lines["counter"].direction)
    assert again.scene["regions"]["east"]["low"] == pytest.approx(s.scene["regions"]["east"]["low"])


def test_mirrored_companions_walk_on_the_other_side():
    beside = load("accompanying").people[0]
    mirrored = laid_out(load("accompanying"), Layout("y")).people[0]
    assert mirrored.offset == (beside.offset[0], -beside.offset[1])
    assert mirrored.place == pytest.approx((beside.place[0], -beside.place[1]))


def test_human_models():
    assert {p.reaction for p in suite.draw("crowd", "impassive", 0, 1).crowd.people} == {"impassive"}
    assert len({p.reaction for p in suite.draw("crowd", "mixed", 0, 1).crowd.people}) >= 4
    assert isinstance(suite.draw("crowd", "orca", 0, 1).crowd.model, Orca)
    waving = suite.draw("intersection_gesture_proceed", "mixed", 1, 0).crowd.people[0]
    assert waving.gesture == "proceed"


def test_what_is_not_in_the_suite_is_said():
    with pytest.raises(ConfigError, match="no family 'office_day'"):
        suite.draw("office_day", "orca", 0, 0)
    with pytest.raises(ConfigError, match="no human model 'robots'"):
        suite.draw("crowd", "robots", 0, 0)
    with pytest.raises(ConfigError, match="no layout 99"):
        suite.draw("crowd", "orca", 99, 0)


def test_seeds_take_turns_through_the_layouts_of_their_half():
    s = suite.suite()
    made = cases("held_out", ["orca"], 12, ["crowd"])
    assert {c.layout for c in made} == set(s.layouts_of("held_out"))
    assert len(made) == 12
