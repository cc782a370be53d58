"""Teachers: the one that knows the truth, the breaker, the budget, blurring, the factory."""

import json
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from lifelong_nav.core.clock import ManualClock
from lifelong_nav.core.errors import ConfigError, InputError
from lifelong_nav.core.types import People, Pose2, TrackedPerson, Twist2
from lifelong_nav.perception.captions import long_caption
from lifelong_nav.perception.social_scene import (
    ACTIONS,
    DENSITIES,
    ENVIRONMENTS,
    GROUPINGS,
    SCENARIOS,
)
from lifelong_nav.perception.teachers import TeacherRequest, make_teacher
from lifelong_nav.perception.teachers.breaker import CircuitBreaker
from lifelong_nav.perception.teachers.budget import DAY, HOUR, Budget
from lifelong_nav.perception.teachers.picture import HEAD_SHARE, blur_boxes, encode_jpeg
from lifelong_nav.perception.teachers.privileged import privileged_scene

HERE = Pose2()


def people(*rows, groups=None):
    groups = groups or [-1] * len(rows)
    zipped = enumerate(zip(rows, groups, strict=True))
    return People(0.0, "map", tuple(TrackedPerson(i, *r, group_id=g) for i, (r, g) in zipped))


def truth(crowd, scenario="crowd", environment="hall", pose=HERE, **how):
    return privileged_scene(
        pose, Twist2(0.6), crowd, {"scenario": scenario, "environment": environment}, **how
    )


# ---------------------------------------------------------------- privileged


def test_the_truth_is_told_in_the_robots_frame():
    crowd = people((3.0, 5.0, 0.0, -1.0))
    scene = truth(crowd, "frontal_approach", pose=Pose2(3.0, 1.0, np.pi / 2))
    (entity,) = scene.entities
    assert (entity.side, entity.distance, entity.motion) == ("ahead", 4.0, "approaching")
    assert (scene.density, scene.grouping, scene.scenario) == ("sparse", "individuals", "frontal_approach")


def test_walls_hide_people_and_a_scenario_without_them_is_free_passage():
    crowd, wall = people((4.0, 0.0, -1.0, 0.0)), np.array([[2.0, -1.0, 2.0, 1.0]])
    assert truth(crowd, "frontal_approach", walls=wall).scenario == "free_passage"
    assert truth(crowd, "blind_corner", walls=wall).scenario == "blind_corner"
    assert truth(crowd, "frontal_approach", walls=wall).density == "empty"
    assert truth(people((8.5, 0.0)), "frontal_approach").entities == ()


@pytest.mark.parametrize(("count", "word"), [(0, "empty"), (1, "sparse"), (2, "sparse"), (3, "moderate"),
                                             (5, "moderate"), (6, "crowded"), (20, "crowded")])  # fmt: skip
def test_density_is_of_those_ahead(count, word):
    rows = [(2.0 + 0.2 * i, (-1) ** i * 0.2 * i) for i in range(count)]
    assert truth(people(*rows, (-1.0, 0.0), (-2.0, 0.5))).density == word


def test_the_most_constraining_grouping_wins_and_groups_are_one_entity():
    walkers = [(4.0, 2.0, 1.0, 0.0), (4.0, 2.8, 1.0, 0.0)]
    talkers = [(3.0, -1.0, 0.0, 0.0), (3.0, -1.9, 0.0, 0.0), (3.7, -1.4, 0.0, 0.0)]
    alone = [(6.0, 0.0, 0.0, 1.0)]
    scene = truth(people(*walkers, *talkers, *alone, groups=[1, 1, 2, 2, 2, -1]))
    assert scene.grouping == "standing_group"
    assert [(e.kind, e.count) for e in scene.entities] == [("group", 3), ("group", 2), ("person", 1)]
    assert truth(people(*walkers, *alone, groups=[1, 1, -1])).grouping == "walking_group"
    assert truth(people(*alone)).grouping == "individuals"
    assert truth(people()).grouping == "nobody"
    scene = truth(people(*walkers, *talkers, groups=[1, 1, 2, 2, 2]), queue={2, 3, 4})
    assert scene.grouping == "queue"
    assert scene.entities[0].kind == "queue"
    assert (
        truth(people(walkers[0], alone[0], groups=[7, -1])).grouping == "individuals"
    )  # the other is not seen


def test_actions_follow_the_geometry():
    def act(row, scenario, **how):
        return truth(people(row), scenario, **how).action

    assert act((4.0, 0.3, -1.0, 0.0), "frontal_approach") == "keep_right"
    assert act((4.0, -0.8, -1.0, 0.0), "frontal_approach") == "keep_left"
    assert act((2.0, 1.0, 0.0, -1.0), "intersection") == "yield"
    assert act((7.5, 1.0, 0.0, -1.0), "intersection") == "slow_down"
    assert act((-1.5, 0.0, 0.6, 0.0), "leading") == "continue"
    assert act((-4.0, 0.0, 0.6, 0.0), "leading") == "slow_down"
    narrow = {"scenario": "narrow_hallway", "environment": "corridor", "width": 1.4}
    crowd = people((3.0, 0.0, -1.0, 0.0))
    assert privileged_scene(Pose2(), Twist2(), crowd, narrow).action == "yield"
    assert privileged_scene(Pose2(), Twist2(), crowd, narrow | {"width": 2.4}).action == "keep_right"
    assert privileged_scene(Pose2(), Twist2(), crowd, narrow | {"action": "retreat"}).action == "retreat"
    left = np.array([[0.5, 4.0]])  # the way turns left, so who stands ahead is on its right
    assert act((2.0, 2.0, 0.0, 0.0), "pedestrian_obstruction", route=left) == "keep_left"


def test_regions_of_plans_and_new_scenarios_are_understood_and_nonsense_is_not():
    assert truth(people(), environment="meeting").environment == "room"
    new = {"scenario": "floor_cleaning", "environment": "hall", "description": "A cleaner mops the floor."}
    scene = privileged_scene(Pose2(), Twist2(), people((2.0, 0.0)), new)
    assert scene.sentence == "A cleaner mops the floor."
    for bad in ({}, {"scenario": "crowd"}, {"scenario": "crowd", "environment": "moon"},
                {"scenario": "brand_new", "environment": "hall"}):  # fmt: skip
        with pytest.raises(InputError):
            privileged_scene(Pose2(), Twist2(), people(), bad)


@given(
    st.integers(0, 2**32 - 1),
    st.integers(0, 40),
    st.sampled_from(list(SCENARIOS)),
    st.sampled_from(list(ENVIRONMENTS)),
)
def test_any_crowd_in_any_scenario_gives_a_scene(seed, count, scenario, environment):
    rng = np.random.default_rng(seed)
    rows = np.c_[rng.uniform(-9, 9, (count, 2)), rng.normal(0, 1, (count, 2))].tolist()
    groups = rng.integers(-2, 4, count).tolist()
    scene = truth(
        people(*rows, groups=groups), scenario, environment, Pose2(*rng.uniform(-3, 3, 3)),
        walls=rng.uniform(-9, 9, (6, 4)), queue=set(range(0, count, 5)), route=rng.uniform(-9, 9, (3, 2)),
        things=[("door", *rng.uniform(-9, 9, 2))],
    )  # fmt: skip
    assert [e.distance for e in scene.entities] == sorted(e.distance for e in scene.entities)
    assert (scene.density == "empty") == (scene.grouping == "nobody")
    assert long_caption(scene)


# ---------------------------------------------------------------- breaker, budget, picture, factory


class BreakerModel(RuleBasedStateMachine):
    """The breaker never lets more than one question through while it rests, and always recovers."""

    def __init__(self):
        super().__init__()
        self.now, self.row, self.breaker, self.out = 0.0, 0, CircuitBreaker(3, 10.0, 40.0), 0

    @rule(seconds=st.floats(0.0, 50.0))
    def time_passes(self, seconds):
        self.now += seconds

    @rule(good=st.booleans())
    def ask(self, good):
        state = self.breaker.state(self.now)
        assert self.breaker.allow(self.now) == (state != "open")
        if state == "open":
            assert 0.0 < self.breaker.wait(self.now) <= 40.0
        elif good:
            self.breaker.succeeded()
            self.row = 0
            assert self.breaker.state(self.now) == "closed"
        else:
            if state == "half-open":
                assert not self.breaker.allow(self.now)
            self.breaker.failed(self.now)
            self.row += 1
            assert self.breaker.state(self.now) == ("open" if self.row >= 3 else "closed")

    @invariant()
    def recovers(self):
        assert self.breaker.state(self.now + 40.0) != "open"
        assert self.breaker.state(-1.0) != "open"


TestBreaker = BreakerModel.TestCase


@given(st.lists(st.floats(0.0, 3 * DAY), max_size=60), st.integers(1, 5), st.integers(1, 12))
def test_budgets_hold_in_every_window(times, per_hour, per_day):
    budget, asked = Budget(per_hour, per_day, 10**9), []
    for now in sorted(times):
        if not budget.exhausted(now):
            budget.ask(now)
            asked.append(now)
    asked = np.array(asked)
    for t in asked:
        assert ((asked <= t) & (t - asked < HOUR)).sum() <= per_hour
        assert ((asked <= t) & (t - asked < DAY)).sum() <= per_day
    assert len(asked) >= min(len(times), 1)


def test_heads_are_gone_and_the_rest_is_untouched():
    image = np.random.default_rng(1).integers(0, 255, (100, 80, 3), dtype=np.uint8)
    out = blur_boxes(image, np.array([[20.0, 10.0, 60.0, 90.0]]))
    head = slice(10, 10 + int(80 * HEAD_SHARE))
    assert len(np.unique(out[head, 20:60].reshape(-1, 3), axis=0)) <= 25
    assert (out[40:] == image[40:]).all()
    assert (out[:6] == image[:6]).all()
    assert (image != out).any()


@given(st.lists(st.tuples(*[st.floats(-500, 500) | st.just(np.nan) | st.just(np.inf)] * 4), max_size=4))
def test_any_boxes_can_be_blurred_and_broken_ones_hide_everything(boxes):
    image = np.random.default_rng(2).integers(0, 255, (40, 60, 3), dtype=np.uint8)
    out = blur_boxes(image, np.array(boxes).reshape(-1, 4))
    assert out.shape == image.shape
    if any(not np.isfinite(b).all() for b in boxes):
        assert len(np.unique(out.reshape(-1, 3), axis=0)) <= 25


def test_pictures_are_sent_small_and_only_pictures():
    data = encode_jpeg(np.zeros((480, 640, 3), np.uint8), longest=128)
    import cv2

    assert cv2.imdecode(np.frombuffer(data, np.uint8), 1).shape == (96, 128, 3)
    for wrong in (np.zeros((4, 4), np.uint8), np.zeros((0, 4, 3), np.uint8), np.zeros((4, 4, 3))):
        with pytest.raises(InputError):
            encode_jpeg(wrong)


def test_the_factory_knows_its_kinds_and_none_is_none(tmp_path):
    how = {"clock": ManualClock(), "wait": print}
    assert make_teacher("none", **how) is None
    path = tmp_path / "l.jsonl"
    row = {"scenario": "queue", "environment": "hall", "density": "crowded", "grouping": "queue"}
    path.write_text(json.dumps({"stamp": 1, "action": "go_around", **row}), encoding="utf-8")
    assert make_teacher("file", file=path, **how).describe(TeacherRequest(1.0)).scene.action == "go_around"
    for kind in ("oracle", "file", ""):
        with pytest.raises(ConfigError):
            make_teacher(kind, **how)


def test_no_teacher_needs_no_network_library():
    code = (
        "import sys; import lifelong_nav.perception.teachers.privileged, lifelong_nav.perception.scene_facts;"
        "sys.exit(any(m in sys.modules for m in ('httpx', 'cv2', 'torch', 'onnxruntime', 'open_clip')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_lists_of_words_are_what_the_schema_says():
    assert set(DENSITIES) == {"empty", "sparse", "moderate", "crowded"}
    assert "go_around" in ACTIONS
    assert "queue" in GROUPINGS
