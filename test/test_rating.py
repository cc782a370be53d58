"""The rating model foretells what people said, and its term is about the people on the way."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lifelong_nav.core.checkpoints import load_checkpoint, save_checkpoint
from lifelong_nav.core.errors import CheckpointError, InputError
from lifelong_nav.core.share import recordings, share_folder
from lifelong_nav.core.types import People, Pose2, TrackedPerson, Twist2
from lifelong_nav.training.ratings_baselines import classical, fit_classical
from lifelong_nav.training.ratings_data import gather, read
from lifelong_nav.training.ratings_data import load as load_ratings
from lifelong_nav.trajectory.rating import model as models
from lifelong_nav.trajectory.rating.around import nobody, surroundings
from lifelong_nav.trajectory.rating.features import features
from lifelong_nav.trajectory.rating.term import discomfort
from lifelong_nav.trajectory.situation import TIMES, Situation

SHIPPED = models.load()
PAIR = {
    "identifier": "1 A", "score": 40, "rater": "g", "robot": {"id": 0}, "objects": [],
    "humans": [
        {"id": 1, "xPos": -100, "yPos": -200, "orientation": 90},
        {"id": 2, "xPos": 100, "yPos": -200, "orientation": -90},
    ],
    "links": [[1, 2, "interact"], [2, 1, "interact"]],
    "room": [[-300, -300], [300, -300], [300, 150], [-300, 150], [-300, -300]],
}  # fmt: skip


def at(x, y, yaw=0.0):
    return np.array([[x, y, yaw]])


def rate(poses, people, velocities=None, groups=None, wall=3.0):
    """Ratings of poses (P, 3) among people (N, 2) at one instant."""
    people = np.array(people, dtype=float)[None]
    velocities = np.zeros_like(people) if velocities is None else np.array(velocities, dtype=float)[None]
    groups = np.full(people.shape[1], -1) if groups is None else np.array(groups)
    poses = np.asarray(poses, dtype=float)[:, None]
    walls = np.full(poses.shape[:2], wall)
    return SHIPPED.rate(poses, surroundings(poses, people, velocities, groups, walls))[:, 0]


def test_reading_puts_the_scene_into_the_robots_frame():
    around = gather([PAIR]).around
    np.testing.assert_allclose(around.people[0], [[2.0, 1.0], [2.0, -1.0]], atol=1e-6)
    # They look at each other: one to the right (-y), the other to the left.
    np.testing.assert_allclose(np.sin(around.facing[0]), [-1.0, 1.0], atol=1e-6)
    assert around.tied.sum() == 1
    assert around.wall[0] == pytest.approx(1.5)


def test_what_is_no_scene_is_refused(tmp_path):
    with pytest.raises(InputError, match="Cannot read"):
        read(tmp_path / "none.jsonl")
    (tmp_path / "odd.jsonl").write_text('{"score": 3}\n')
    with pytest.raises(InputError, match="not SocNav1"):
        read(tmp_path / "odd.jsonl")


def test_nearer_is_worse_and_in_front_worse_than_behind():
    near, far = rate(np.concatenate([at(0.5, 0.0), at(2.5, 0.0)]), [[0.0, 0.0]])
    assert near < 0.4
    assert far > near + 0.3
    front, back = rate(np.concatenate([at(1.0, 0.0), at(-1.0, 0.0)]), [[0.0, 0.0]], [[0.6, 0.0]])
    assert front < back - 0.1


def test_between_two_who_talk_is_worse_than_between_strangers():
    people = [[-0.9, 0.0], [0.9, 0.0]]
    middle = np.concatenate([at(0.0, 0.0), at(0.0, 1.6)])
    talking = rate(middle, people, groups=[4, 4])
    strangers = rate(middle, people)
    assert talking[0] < strangers[0] - 0.1
    assert talking[0] < talking[1] - 0.3


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.tuples(st.floats(-4, 4), st.floats(-4, 4)), min_size=1, max_size=9),
    st.floats(-3.0, 3.0), st.floats(-2, 2), st.floats(-2, 2),
)  # fmt: skip
def test_ratings_do_not_depend_on_the_frame(people, turn, x, y):
    velocities = np.array(people)[:, ::-1] * 0.3
    before = rate(at(0.3, 0.2, 0.5), people, velocities)
    cos, sin = np.cos(turn), np.sin(turn)
    matrix = np.array([[cos, -sin], [sin, cos]])
    moved = np.array(people) @ matrix.T + (x, y)
    place = matrix @ (0.3, 0.2) + (x, y)
    after = rate(at(*place, 0.5 + turn), moved, velocities @ matrix.T)
    np.testing.assert_allclose(after, before, atol=2e-3)
    assert 0.0 <= before[0] <= 1.0


def test_the_order_of_people_and_padding_do_not_matter():
    people = np.array([[1.0, 0.3], [0.2, -0.8], [2.0, 2.0]])
    np.testing.assert_allclose(rate(at(0, 0), people), rate(at(0, 0), people[::-1]), atol=1e-5)
    one = gather([PAIR]).around
    both = gather([PAIR, {**PAIR, "humans": [*PAIR["humans"], {**PAIR["humans"][0], "id": 9}]}]).around
    poses = np.zeros((1, 3))
    padded = SHIPPED.rate(np.zeros((2, 3)), both)
    assert padded[0] == pytest.approx(SHIPPED.rate(poses, one)[0], abs=1e-5)


def test_many_poses_at_once_are_as_one_by_one():
    rng = np.random.default_rng(0)
    poses, people = rng.normal(size=(4, 3, 3)), rng.normal(size=(3, 5, 2))
    velocities, groups, wall = rng.normal(size=(3, 5, 2)), np.array([1, 1, 1, -1, 2]), np.full((4, 3), 1.0)
    whole = SHIPPED.rate(poses, surroundings(poses, people, velocities, groups, wall))
    for c in range(4):
        for t in range(3):
            single = poses[c : c + 1, t : t + 1]
            part = surroundings(single, people[t : t + 1], velocities[t : t + 1], groups, wall[:1, :1])
            assert SHIPPED.rate(single, part)[0, 0] == pytest.approx(whole[c, t], abs=1e-4)


def test_mirrored_scenes_have_mirrored_features():
    around = gather([PAIR]).around
    poses = np.zeros((1, 3))
    plain, mirror = features(poses, around), features(poses, around.mirrored())
    np.testing.assert_allclose(plain.scene, mirror.scene, atol=1e-5)
    np.testing.assert_allclose(plain.people[..., 1], -mirror.people[..., 1], atol=1e-6)


def situation(people):
    route = np.array([[0.0, 0.0], [4.0, 0.0]])
    return Situation(0.0, Pose2(), Twist2(0.5), route, Pose2(4.0), 0.5, People(0.0, "odom", people))


def straight(offset):
    return np.stack([0.5 * TIMES, np.full(30, offset), np.zeros(30)], axis=-1)


def test_the_term_prefers_the_wider_berth_and_is_silent_when_alone():
    poses = np.stack([straight(0.0), straight(1.5)])
    np.testing.assert_array_equal(discomfort(SHIPPED, situation(()), poses), np.zeros((2, 30)))
    cost = discomfort(SHIPPED, situation((TrackedPerson(1, 2.0, 0.1),)), poses)
    assert cost.shape == (2, 30)
    assert cost.min() >= 0.0
    assert cost.max() <= 1.0
    assert cost[0].mean() > cost[1].mean() + 0.05
    assert abs(float(TIMES[cost[0].argmax()]) - 4.0) < 0.7  # it is there at 4 s
    away = discomfort(SHIPPED, situation((TrackedPerson(1, 30.0, 0.0),)), poses)
    assert away.max() == 0.0


def test_who_walks_on_is_met_where_they_will_be():
    leaving = TrackedPerson(1, 2.0, 0.0, 0.0, 1.0)
    cost = discomfort(SHIPPED, situation((leaving,)), straight(0.0)[None])
    staying = discomfort(SHIPPED, situation((TrackedPerson(1, 2.0, 0.0),)), straight(0.0)[None])
    assert cost.mean() < 0.5 * staying.mean()


def test_alone_is_rated_well():
    assert SHIPPED.rate(np.zeros((1, 3)), nobody(np.full(1, 3.0)))[0] > 0.85


def test_weights_of_another_shape_are_refused(tmp_path):
    tensors, facts = load_checkpoint(share_folder("models") / "social_rating" / models.FILE)
    save_checkpoint(tmp_path / models.FILE, tensors, {**facts, "schema": "social-rating/0"})
    with pytest.raises(CheckpointError, match="schema"):
        models.load(tmp_path)
    save_checkpoint(tmp_path / models.FILE, {k: v for k, v in tensors.items() if k != "mean"}, facts)
    with pytest.raises(CheckpointError, match="mean"):
        models.load(tmp_path)


def test_numpy_and_torch_agree():
    torch = pytest.importorskip("torch")
    from lifelong_nav.training.ratings_net import NetConfig, fit, tensors, weights_of

    ratings = gather([PAIR, {**PAIR, "score": 90, "humans": [], "links": []}] * 8)
    net = fit(ratings, 0, NetConfig(epochs=2, batch=8))
    inputs = features(np.zeros((len(ratings), 3)), ratings.around)
    with torch.no_grad():
        expected = torch.sigmoid(net(tensors(inputs))).numpy()
    light = models.from_tensors(weights_of(net), {})
    np.testing.assert_allclose(light.rate_features(inputs), expected, atol=1e-5)


def test_classical_costs_are_found_again_from_ratings_made_with_them():
    rng = np.random.default_rng(3)
    scenes = []
    for k in range(400):
        x, y = rng.uniform(-200, 200, 2)
        human = {"id": 1, "xPos": x, "yPos": y, "orientation": rng.uniform(-180, 180)}
        scenes.append({**PAIR, "identifier": str(k), "humans": [human], "links": []})
    ratings = gather(scenes)
    true = np.array([0.9, 2.0, 0.9, 0.5, 0.4, 0.0, 0.5, 0.0, 0.5])
    ratings = dataclasses.replace(ratings, scores=classical(true, ratings.around))
    np.testing.assert_allclose(fit_classical(ratings)[:5], true[:5], rtol=0.02)


@pytest.mark.data
def test_the_shipped_model_foretells_ratings_of_scenes_left_out():
    folder = recordings("socnav1")
    if not folder.is_dir():
        pytest.skip(f"no SocNav1 at {folder}")
    train, held_out = load_ratings(folder)
    assert not set(train.scenes) & set(held_out.scenes)
    rated = SHIPPED.rate(np.zeros((len(held_out), 3)), held_out.around)
    error = np.square(rated - held_out.scores).mean()
    assert error <= 0.018
    assert error < 0.75 * np.square(classical(fit_classical(train), held_out.around) - held_out.scores).mean()
