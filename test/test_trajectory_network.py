"""The trajectory network: what it sees, what it says, and that it falls silent rather than fail."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from trajectory_support import SPACE, make_model, situation

from lifelong_nav.core.geometry import compose2, transform_points2
from lifelong_nav.core.social_context import SocialContext
from lifelong_nav.core.types import People, Pose2
from lifelong_nav.trajectory.generator import heads as numpy_heads
from lifelong_nav.trajectory.generator.features import SHAPES, features
from lifelong_nav.trajectory.generator.moments import expert_ahead, from_tensors, join, mirrored, moment
from lifelong_nav.trajectory.generator.network import NetworkConfig, TrajectoryNetwork
from lifelong_nav.trajectory.generator.selection_network import SHAPES as SELECTION_SHAPES
from lifelong_nav.trajectory.generator.selection_network import SelectionNetwork
from lifelong_nav.trajectory.situation import LEARNED, TIMES

torch = pytest.importorskip("torch")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return make_model(tmp_path_factory.mktemp("trajectories"), steps=1)


def moved(s, by: Pose2):
    """The same situation in another frame."""
    turn = Pose2(0.0, 0.0, by.yaw)
    people = tuple(
        replace(
            p, x=float(xy[0]), y=float(xy[1]), vx=float(v[0]), vy=float(v[1])
        )
        for p, xy, v in zip(
            s.people.people, transform_points2(by, s.people.positions()),
            transform_points2(turn, s.people.velocities()), strict=True,
        )
    )  # fmt: skip
    goal = transform_points2(by, s.goal.xy)
    return replace(
        s, pose=compose2(by, s.pose), sensor=compose2(by, s.sensor), route=transform_points2(by, s.route),
        goal=Pose2(float(goal[0]), float(goal[1]), s.goal.yaw), people=People(s.people.stamp, "odom", people),
    )  # fmt: skip


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.floats(-20, 20), st.floats(-20, 20), st.floats(-3, 3))
def test_what_is_seen_does_not_depend_on_the_frame(seed, x, y, yaw):
    s = situation(seed, people=5)
    a, b = features(s), features(moved(s, Pose2(x, y, yaw)))
    for name in ("way", "people", "mask", "context", "known"):
        np.testing.assert_allclose(getattr(a, name), getattr(b, name), atol=1e-4, err_msg=name)
    # a beam on the edge between two sectors may fall to either side
    assert (np.abs(a.lidar - b.lidar).max(axis=0) > 1e-4).mean() < 0.05


def test_unknown_is_not_mistaken_for_measured():
    s = situation(1)
    blind = features(replace(s, scan=None))
    assert blind.lidar[1].sum() == 0
    assert (blind.lidar[0] == 1).all()
    assert features(s).lidar[1].mean() > 0.9
    told = SocialContext(10.0, "full", space=SPACE, embedding=np.ones(384, np.float32))
    assert features(replace(s, context=told), SPACE).known[0] == 1
    assert features(replace(s, context=told), "another space").known[0] == 0
    assert features(replace(s, context=replace(told, stamp=-100.0)), SPACE).known[0] == 0


def test_mirroring_twice_is_nothing():
    s = situation(3)
    told = moment(features(s), np.arange(30.0).reshape(10, 3), np.ones(10), 1, 0.0)
    twice = mirrored(mirrored(told))
    for name in ("lidar", "way", "people", "expert"):
        np.testing.assert_array_equal(getattr(told, name), getattr(twice, name))
    again = from_tensors(join([told, told]).tensors())
    assert len(again) == 2


def test_numpy_and_torch_heads_agree():
    from lifelong_nav.trajectory.generator import heads_torch

    weights = heads_torch.fresh_weights(3)
    query = torch.randn(2, 6, 128, generator=torch.Generator().manual_seed(0))
    v, w, speed = torch.tensor([0.3, 0.0]), torch.tensor([0.2, -1.0]), torch.tensor([0.8, 1.4])
    wanted = heads_torch.motions(weights, query, v, w, speed).numpy()
    logits = torch.softmax(heads_torch.chances(weights, query), dim=1).numpy()
    for i in range(2):
        poses, _, chances = numpy_heads.motions(
            heads_torch.arrays(weights), query[i].numpy(), float(v[i]), float(w[i]), float(speed[i])
        )
        np.testing.assert_allclose(poses[:, 2::3], wanted[i], atol=1e-5)
        np.testing.assert_allclose(chances, logits[i], atol=1e-5)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1000), st.floats(0, 1.2), st.floats(-1.4, 1.4), st.floats(0.2, 1.5), st.floats(1, 40))
def test_whatever_was_learned_can_be_driven(seed, v, w, speed, wild):
    from lifelong_nav.trajectory.generator import heads_torch

    params = {n: wild * p for n, p in heads_torch.arrays(heads_torch.fresh_weights(seed)).items()}
    query = np.random.default_rng(seed).normal(size=(6, 128))
    v = min(v, speed)
    poses, twists, chances = numpy_heads.motions(params, query, v, w, speed)
    known = np.concatenate([np.broadcast_to([v, w], (6, 1, 2)), twists], axis=1)
    change = np.abs(np.diff(known, axis=1)) / 0.2
    assert change[..., 0].max() <= 1.0 + 1e-6
    assert change[..., 1].max() <= 3.0 + 1e-6
    assert twists[..., 0].min() >= -1e-6
    assert twists[..., 0].max() <= speed + 1e-6
    assert np.abs(twists[..., 1]).max() <= 1.5 + 1e-6
    np.testing.assert_allclose(chances.sum(), 1.0, atol=1e-6)
    step = np.diff(np.concatenate([np.zeros((6, 1, 3)), poses], axis=1), axis=1)
    np.testing.assert_allclose(np.hypot(step[..., 0], step[..., 1]), np.abs(twists[..., 0]) * 0.2, atol=1e-6)


def test_the_winner_takes_all():
    from lifelong_nav.trajectory.generator import heads_torch

    poses = torch.zeros(1, 6, 10, 3)
    poses[0, :, :, 1] = torch.arange(6.0)[:, None]
    poses.requires_grad_(True)
    expert = torch.zeros(1, 10, 3)
    expert[..., 1] = 2.2
    distance = heads_torch.distances(poses, expert, torch.ones(1, 10))
    assert int(distance.argmin()) == 2
    heads_torch.winner_loss(distance, torch.zeros(1, 6), 1, 0.0).sum().backward()
    moved_modes = poses.grad.abs().sum(dim=(0, 2, 3))
    assert moved_modes[2] > 0
    assert moved_modes.sum() == moved_modes[2]
    far = expert.clone()
    far[:, 5:] = 1e3  # unknown future counts for nothing
    valid = torch.ones(1, 10)
    valid[:, 5:] = 0
    np.testing.assert_allclose(
        heads_torch.distances(poses, far, valid).detach(), distance.detach(), rtol=1e-5
    )


def test_proposals_are_in_the_frame_of_the_situation(model):
    network = TrajectoryNetwork.load(model)
    assert network.ready, network.note
    s = situation(5)
    found = network.propose(s)
    assert found
    assert all(c.source == LEARNED for c in found)
    assert len({c.name for c in found}) == len(found)
    by = Pose2(3.0, -2.0, 1.0)
    # sectors may differ by a beam on an edge, so the comparison is without the scan
    blind = replace(s, scan=None)
    for a, b in zip(network.propose(blind), network.propose(moved(blind, by)), strict=True):
        assert len(a.trajectory.times) == len(TIMES)
        np.testing.assert_allclose(
            transform_points2(by, a.trajectory.poses[:, :2]), b.trajectory.poses[:, :2], atol=1e-3
        )


def test_switched_off_parts_are_not_heard(model):
    s = replace(situation(6), context=SocialContext(10.0, "full", space=SPACE, embedding=np.ones(384) / 20))
    for name, changed in (
        ("context", replace(s, context=None)), ("lidar", replace(s, scan=None)),
        ("people", replace(s, people=People(10.0, "odom"))),
    ):  # fmt: skip
        network = TrajectoryNetwork.load(model, config=NetworkConfig(**{name: False}))
        a, b = network.seen(s), network.seen(changed)
        for part in SHAPES:
            np.testing.assert_array_equal(getattr(a, part), getattr(b, part))


def test_a_damaged_model_is_silent(model, tmp_path):
    import shutil

    assert TrajectoryNetwork.load(tmp_path / "nowhere").propose(situation()) == []
    assert TrajectoryNetwork.load(tmp_path / "nowhere").note
    for name in ("trunk/trunk.onnx", "trunk/trunk.json", "heads/heads.safetensors", "heads/heads.json"):
        broken = tmp_path / name.replace("/", "_")
        shutil.copytree(model, broken)
        (broken / name).write_bytes((broken / name).read_bytes()[:-40])
        network = TrajectoryNetwork.load(broken)
        assert network.propose(situation()) == [], name
        assert network.note, name
    learned = TrajectoryNetwork.load(model, heads=tmp_path / "nowhere")
    assert learned.ready
    assert "shipped heads" in learned.note


def test_what_is_not_finite_is_not_proposed(model):
    network = TrajectoryNetwork.load(model)
    assert network.propose(replace(situation(), speed=float("nan"))) == []
    assert network.note


def test_selection_in_numpy_equals_torch_and_survives_the_disk(tmp_path):
    from lifelong_nav.training.trajectories_selection import scores
    from lifelong_nav.trajectory.generator.selection_network import at_knots, point_features

    rng = np.random.default_rng(0)
    params = {n: rng.normal(size=s).astype(np.float32) * 0.2 for n, s in SELECTION_SHAPES.items()}
    network = SelectionNetwork(params, {"space": SPACE})
    embedding, ways = rng.normal(size=384), rng.normal(size=(7, 30, 3))
    points = torch.from_numpy(point_features(at_knots(ways)).astype(np.float32))[None]
    wanted = scores(
        {n: torch.from_numpy(p) for n, p in params.items()},
        torch.from_numpy(embedding.astype(np.float32))[None], points,
    )  # fmt: skip
    np.testing.assert_allclose(network.score(embedding, ways), wanted[0].numpy(), atol=1e-3)
    network.save(tmp_path)
    np.testing.assert_array_equal(
        SelectionNetwork.load(tmp_path).score(embedding, ways), network.score(embedding, ways)
    )
    assert network.score(embedding, ways[:0]).shape == (0,)


def test_the_future_is_seen_from_the_moment():
    times = np.arange(0.0, 10.0, 0.1)
    poses = np.stack([times, np.zeros_like(times), np.full_like(times, np.pi / 2)], axis=-1)
    ahead, valid = expert_ahead(times, poses, 6.0, np.array([1.0, 3.0, 5.0]))
    np.testing.assert_allclose(ahead[:2, :2], [[0.0, -1.0], [0.0, -3.0]], atol=1e-9)
    assert valid.tolist() == [1, 1, 0]


def test_the_shipped_model_is_whole_and_small():
    from lifelong_nav.core.share import share_folder
    from lifelong_nav.trajectory.generator.network import SELECTION, heads_for

    folder = share_folder("models") / "trajectories"
    network = TrajectoryNetwork.load(folder)
    assert network.ready, network.note
    found = network.propose(situation(2))
    assert found, network.note
    assert network.chances.sum() <= 1.0 + 1e-6
    assert np.isfinite([c.trajectory.poses for c in found]).all()
    assert sum(p.stat().st_size for p in folder.rglob("*") if p.is_file()) < 8 << 20
    for scene in ("eth", "zara01", "students03"):
        without = heads_for(folder, scene)
        assert without is not None
        other = TrajectoryNetwork.load(folder, without)
        assert not other.note
        assert (other.heads.params["out.w"] != network.heads.params["out.w"]).any()
    assert heads_for(folder, "") is None
    selection = SelectionNetwork.load(folder / SELECTION)
    assert selection.space == network.trunk.space
    ways = np.stack([c.trajectory.poses for c in found])
    assert np.isfinite(selection.score(np.ones(384) / 20, ways)).all()


def test_the_shipped_model_can_go_on_learning(tmp_path):
    from lifelong_nav.core.share import share_folder
    from lifelong_nav.trajectory.lifelong.updater import TrajectoryUpdater

    learner, trouble = TrajectoryUpdater.open(tmp_path, share_folder("models") / "trajectories")
    assert trouble == []
    assert len(learner._replay) >= 100
    assert len(learner._held) >= 50
    assert learner.state()["generation"] == 1
