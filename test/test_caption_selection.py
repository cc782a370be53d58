"""What the social context changes in a choice: bounded, believed, and silent when it is not known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from selection_world import detour, drive, person, situation

from lifelong_nav.core.config import build
from lifelong_nav.core.errors import ConfigError
from lifelong_nav.core.social_context import FACTS, FULL, UNKNOWN, CaptionMatch, SocialContext
from lifelong_nav.core.types import Pose2
from lifelong_nav.perception import social_scene
from lifelong_nav.trajectory.caption_selection import (
    ContextConfig,
    beliefs,
    caption_cost,
    factors,
    table,
    usable,
)
from lifelong_nav.trajectory.selector import Selector
from lifelong_nav.trajectory.terms import NAMES, TermsConfig

SPACE = "minilm/1"


def context(stamp=0.0, state=FULL, novel=False, captions=(), **probabilities):
    return SocialContext(
        stamp, state, space=SPACE, embedding=np.eye(384)[0], probabilities=probabilities,
        captions=tuple(CaptionMatch(t, "x", s, s, 0.0) for t, s in captions), novel=novel,
    )  # fmt: skip


def test_words_are_perceptions_own():
    lines = table(tuple(ContextConfig().table))
    assert set(lines) <= set(social_scene.SCENARIOS) | set(social_scene.ACTIONS)
    assert {t for entry in lines.values() for t in entry} <= set(NAMES)
    told = dict(line.split(" = ") for line in ContextConfig().actions)
    assert told == social_scene.ACTIONS


def test_a_queue_makes_lines_weigh_more():
    sure, _ = factors(context(queue=1.0), 0.0, ContextConfig())
    half, _ = factors(context(queue=0.5, crowd=0.5), 0.0, ContextConfig())
    assert sure["queue"] == pytest.approx(2.0)
    assert 1.0 < half["queue"] < sure["queue"]


def test_actions_of_the_nearest_captions_are_heard():
    wait = "At an elevator. Next the robot should wait and leave room for those who come out."
    found = beliefs(context(captions=[(wait, 0.8), ("Nobody is about.", 0.3)]), ContextConfig())
    assert found["wait_turn"] > 0.9
    assert factors(context(captions=[(wait, 0.8)]), 0.0, ContextConfig())[0]["doorway"] > 1.5


@pytest.mark.parametrize(
    "given_context",
    [
        None,
        context(state=UNKNOWN, queue=1.0),
        context(stamp=-9.0, queue=1.0),
        context(stamp=np.nan, queue=1.0),
    ],
)
def test_unknown_and_stale_contexts_change_nothing(given_context):
    assert factors(given_context, 0.0, ContextConfig()) == ({}, {})
    assert not usable(given_context, 0.0, ContextConfig())


def test_it_can_be_switched_off():
    assert factors(context(queue=1.0), 0.0, build(ContextConfig, {"enabled": False})) == ({}, {})


def test_a_novel_scene_is_believed_half():
    known, _ = factors(context(queue=1.0), 0.0, ContextConfig())
    novel, _ = factors(context(queue=1.0, novel=True), 0.0, ContextConfig())
    assert novel["queue"] == pytest.approx(np.sqrt(known["queue"]))


@given(st.dictionaries(st.sampled_from(sorted(social_scene.SCENARIOS)), st.floats(0, 1), max_size=28))
@settings(max_examples=60, deadline=None)
def test_factors_stay_within_the_bound(probabilities):
    config = ContextConfig()
    found, _ = factors(context(**probabilities), 0.0, config)
    assert all(1.0 / config.bound - 1e-9 <= f <= config.bound + 1e-9 for f in found.values())


@pytest.mark.parametrize("line", ["queue: queue", "queue: queue two", "queue: queue -1", "queue: queue 1 2"])
def test_bad_tables_are_refused(line):
    with pytest.raises(ConfigError, match="Context table"):
        factors(context(queue=1.0), 0.0, build(ContextConfig, {"table": [line]}))


class PrefersLeft:
    """Scores by how far left a trajectory ends."""

    space = SPACE

    def __init__(self):
        self.seen = None

    def score(self, embedding, trajectories):
        assert embedding.shape == (384,)
        self.seen = trajectories
        return trajectories[:, :, 1].max(axis=1)


def test_learned_selection_sees_the_robots_frame_and_decides_between_equals():
    s = situation([person(3.0, 0.0)])
    s = type(s)(**{**s.__dict__, "context": context(state=FACTS)})
    left, right = drive("pass left", detour(1.3, 3)), drive("pass right", detour(-1.3, 3))
    terms = build(TermsConfig, {"right_of_way": 0.0, "context": 3.0})
    scorer = PrefersLeft()
    choice = Selector(terms=terms, caption=scorer).choose(s, [left, right])
    assert choice.chosen.name == "pass left"
    assert choice.terms["context"][0] < choice.terms["context"][1]
    poses = np.zeros((2, 30, 3))
    poses[:, :, 0], poses[1, :, 1] = 5.0, 2.0
    caption_cost(scorer, context(), 0.0, poses, Pose2(5.0, 0.0, np.pi / 2), ContextConfig())
    assert np.allclose(scorer.seen[1, 0], [2.0, 0.0, -np.pi / 2])


def test_another_space_of_captions_is_not_scored():
    scorer = PrefersLeft()
    scorer.space = "other/2"
    poses = np.zeros((2, 30, 3))
    assert (caption_cost(scorer, context(), 0.0, poses, Pose2(), ContextConfig()) == 0.0).all()
    assert scorer.seen is None


def test_a_broken_score_counts_nothing():
    class Broken:
        def score(self, embedding, trajectories):
            return np.full(len(trajectories), np.nan)

    assert (caption_cost(Broken(), context(), 0.0, np.zeros((2, 30, 3)), Pose2(), ContextConfig()) == 0).all()


def test_context_changes_the_costs_of_a_choice():
    line = [person(3.0, y) for y in (1.6, 0.8, 0.0, -0.8)]
    s = situation(line)
    told = type(s)(**{**s.__dict__, "context": context(queue=1.0)})
    cut = drive("cut", ((0, 0), (3, 0.4), (6, 0.4)))
    plain, aware = Selector().choose(s, [cut]), Selector().choose(told, [cut])
    assert aware.terms["queue"][0] == pytest.approx(2.0 * plain.terms["queue"][0])
