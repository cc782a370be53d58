"""People prediction: histories, forecasts on odd input, symmetry, walls, export, real windows left out."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lifelong_nav.core.checkpoints import save_checkpoint
from lifelong_nav.core.distance import DistanceField
from lifelong_nav.core.types import People, Pose2, TrackedPerson, Twist2
from lifelong_nav.trajectory.prediction.constant_velocity import STANDING, constant_velocity
from lifelong_nav.trajectory.prediction.history import PeopleHistory
from lifelong_nav.trajectory.prediction.network import SCHEMA, PredictionNetwork, predict, shapes
from lifelong_nav.trajectory.prediction.predictor import MODES, Predictor
from lifelong_nav.trajectory.situation import TIMES


def random_network(seed=0, modes=5, width=32, social=16):
    rng = np.random.default_rng(seed)
    tensors = {
        k: (0.3 * rng.standard_normal(s) / np.sqrt(s[-1])).astype(np.float32)
        for k, s in shapes(modes, width, social).items()
    }
    facts = {"schema": SCHEMA, "modes": modes, "width": width, "social": social, "pace": 0.3}
    return PredictionNetwork(tensors, facts)


def walked(paths, step=0.1, frame="odom"):
    """History of people on (T, 2) paths."""
    history = PeopleHistory()
    for k in range(len(paths[0])):
        people = []
        for i, path in enumerate(paths):
            v = (path[k] - path[k - 1]) / step if k else (path[1] - path[0]) / step
            people.append(TrackedPerson(i, *map(float, path[k]), *map(float, v)))
        history.add(People(k * step, frame, tuple(people)))
    return history


def straight(start, velocity, seconds=4.0, step=0.1):
    t = np.arange(0.0, seconds, step)[:, None]
    return np.array(start) + t * np.array(velocity)


def sane(forecast, n, times=TIMES):
    m = forecast.weights.shape[1]
    assert forecast.positions.shape == (n, m, len(times), 2)
    assert forecast.spread.shape == (n, m, len(times))
    assert 1 <= m <= MODES
    for values in (forecast.positions, forecast.spread, forecast.weights, forecast.start):
        assert np.isfinite(values).all()
    assert (forecast.spread > 0).all()
    assert (forecast.weights >= 0).all()
    assert np.allclose(forecast.weights.sum(axis=1), 1.0)


def test_history_resamples_at_even_steps_and_bridges_missing_frames():
    path = straight((1.0, 2.0), (1.0, 0.5), 5.0)
    history = PeopleHistory()
    for k, p in enumerate(path):
        seen = () if 20 <= k < 27 else (TrackedPerson(4, *p, 1.0, 0.5),)
        history.add(People(0.1 * k, "odom", seen))
    window = history.window()
    assert window.ids.tolist() == [4]
    assert window.valid.all()
    expected = path[-1] - np.arange(7, -1, -1)[:, None] * 0.4 * np.array([1.0, 0.5])
    assert np.allclose(window.positions[0], expected, atol=1e-9)
    ahead = history.window(window.stamp + 0.3).positions[0, -1]
    assert np.allclose(ahead, path[-1] + 0.3 * np.array([1.0, 0.5]))


def test_a_new_id_goes_on_with_the_track_it_replaces():
    history = PeopleHistory()
    for k, p in enumerate(straight((0.0, 0.0), (1.2, 0.0))):
        history.add(People(0.1 * k, "odom", (TrackedPerson(1 if k < 30 else 9, *p, 1.2, 0.0),)))
    window = history.window()
    assert window.ids.tolist() == [9]
    assert window.valid.all()


def test_an_id_that_jumps_and_a_clock_that_goes_back_start_anew():
    history = walked([straight((0.0, 0.0), (1.0, 0.0))])
    history.add(People(4.0, "odom", (TrackedPerson(0, 30.0, 0.0),)))
    assert history.window().valid.sum() == 1
    history = walked([straight((0.0, 0.0), (1.0, 0.0))])
    history.add(People(1.0, "odom", (TrackedPerson(0, 4.0, 0.0),)))
    assert history.window().stamp == 1.0
    assert history.window().valid.sum() == 1


def test_those_who_stand_stay_and_the_spread_grows():
    rng = np.random.default_rng(0)
    still = np.array([3.0, 0.0]) + 0.01 * rng.standard_normal((40, 2)).cumsum(0) * 0.1
    history = walked([still, straight((0.0, 0.0), (1.3, 0.0))])
    forecast = constant_velocity(history.window(), TIMES)
    assert np.linalg.norm(forecast.velocity[0]) < STANDING
    assert np.allclose(forecast.positions[0, 0], forecast.start[0])
    assert np.allclose(forecast.positions[1, 0, -1] - forecast.start[1], [7.8, 0.0], atol=0.05)
    assert (np.diff(forecast.spread, axis=-1) > 0).all()
    assert forecast.spread[0, 0, -1] < forecast.spread[1, 0, -1]


odd_number = st.floats(width=32) | st.floats(-20, 20)


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_any_history_gives_a_finite_forecast(data):
    """Frames lost, ids swapped, coordinates absurd, clocks that jump: always finite, never raises."""
    history = PeopleHistory()
    stamp = data.draw(st.sampled_from([0.0, 1.7e9]))
    for _ in range(data.draw(st.integers(0, 12))):
        stamp += data.draw(st.sampled_from([0.1, 0.1, 0.4, 0.4, 3.0, -0.05, -10.0]))
        people = data.draw(
            st.lists(
                st.builds(TrackedPerson, st.integers(0, 4), odd_number, odd_number, odd_number, odd_number),
                max_size=5,
            )
        )
        history.add(People(data.draw(st.sampled_from([stamp, stamp, np.nan])), "odom", tuple(people)))
    field = DistanceField(np.full((20, 20), 0.1, np.float32), 0.5, (-5.0, -5.0), 5.0)
    for network in (None, random_network()):
        forecast = Predictor(network).predict(
            history, data.draw(st.sampled_from([None, stamp, stamp + 0.2, np.nan, np.inf])),
            robot_pose=Pose2(data.draw(odd_number), 0.0, 0.3), robot_twist=Twist2(0.5, 0.0, 0.1),
            field=data.draw(st.sampled_from([None, field])),
        )  # fmt: skip
        sane(forecast, len(history.window()))


@pytest.mark.parametrize("times", [[], [np.nan], [0.2, 0.1], [-1.0, 1.0]])
def test_times_that_make_no_sense_become_the_usual_ones(times):
    history = walked([straight((0.0, 0.0), (1.0, 0.0))])
    sane(Predictor(random_network()).predict(history, times=np.array(times)), 1)


def test_turning_and_shifting_the_world_turns_and_shifts_the_forecast():
    paths = [straight((0, 0), (1.2, 0.1)), straight((4, 0.5), (-1.0, 0)), straight((2, -2), (0.3, 0.9))]
    angle, shift = 1.1, np.array([30.0, -7.0])
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    predictor = Predictor(random_network())
    a = predictor.predict(walked(paths), robot_pose=Pose2(1.0, 1.0, 0.2), robot_twist=Twist2(0.6))
    place = turn @ np.array([1.0, 1.0]) + shift
    b = predictor.predict(
        walked([p @ turn.T + shift for p in paths]), robot_pose=Pose2(*place, 0.2 + angle),
        robot_twist=Twist2(0.6),
    )  # fmt: skip
    assert np.allclose(a.positions @ turn.T + shift, b.positions, atol=2e-3)
    assert np.allclose(a.weights, b.weights, atol=1e-3)


def test_the_robot_is_a_neighbour_and_unknown_people_far_away_are_not():
    paths = [straight((0, 0), (1.0, 0.0))]
    predictor = Predictor(random_network())
    alone = predictor.predict(walked(paths)).positions
    met = predictor.predict(
        walked(paths), robot_pose=Pose2(6.0, 0.3, np.pi), robot_twist=Twist2(0.8)
    ).positions
    away = predictor.predict(walked(paths), robot_pose=Pose2(60.0, 0.3, np.pi)).positions
    assert np.abs(alone - met).max() > 1e-4
    assert np.allclose(alone, away, atol=1e-9)


def wall_field(x=6.0, size=240, resolution=0.05):
    """Free for x below a wall of 0.2 m."""
    centres = (np.arange(size) + 0.5) * resolution
    d = np.maximum(np.abs(centres - x - 0.1) - 0.1, 0.0).astype(np.float32)
    return DistanceField(np.tile(d, (size, 1)), resolution, (0.0, 0.0), 10.0)


def test_nobody_walks_through_a_wall():
    field = wall_field()
    history = walked([straight((0.5, 6.0), (1.2, 0.3)), straight((0.5, 2.0), (0.0, 1.0))])
    for network in (None, random_network()):
        free = Predictor(network).predict(history)
        bent = Predictor(network).predict(history, field=field)
        sane(bent, 2)
        if network is None:
            assert free.positions[0, 0, -1, 0] > 8.0
        assert (bent.positions[..., 0] < 6.0).all()
    # along the wall one may go on
    assert bent.positions[0, :, -1, 1].max() > 6.5


def test_without_weights_or_with_damaged_ones_people_go_on_by_constant_velocity(tmp_path):
    history = walked([straight((0.0, 0.0), (1.0, 0.0))])
    missing = Predictor.load(tmp_path)
    assert missing.problem
    sane(missing.predict(history), 1)
    network = random_network()
    save_checkpoint(tmp_path / "all.safetensors", network.tensors, network.facts)
    assert Predictor.load(tmp_path).problem == ""
    assert Predictor.load(tmp_path, "hotel").problem == ""
    assert Predictor.load(tmp_path, "eth").network is None  # weights that have seen eth are no substitute
    data = (tmp_path / "all.safetensors").read_bytes()
    (tmp_path / "all.safetensors").write_bytes(data[: len(data) // 2])
    damaged = Predictor.load(tmp_path)
    assert damaged.problem
    assert damaged.predict(history).positions.shape == (1, 1, 30, 2)


def test_numpy_network_equals_torch():
    torch = pytest.importorskip("torch")
    from lifelong_nav.training.prediction_model import PredictionModel, export

    torch.manual_seed(0)
    model = PredictionModel().eval()
    with torch.no_grad():
        for p in model.parameters():
            p.add_(0.05 * torch.randn_like(p))
    rng = np.random.default_rng(0)
    past = np.cumsum(rng.normal(0.3, 0.2, (6, 8, 2)), axis=1)
    past -= past[:, -1:]
    seen, there = rng.random((6, 8)) > 0.2, rng.random((6, 12)) > 0.4
    near = rng.normal(0.0, 2.0, (6, 12, 4))
    network = export(model)
    ours = network.forward(past, seen, near, there)
    arrays = [torch.tensor(a, dtype=torch.float32) for a in (past, near)]
    with torch.no_grad():
        theirs = model(arrays[0], torch.tensor(seen), arrays[1], torch.tensor(there))
    for a, b in zip(ours, theirs, strict=True):
        assert np.allclose(a, b.numpy(), atol=1e-4)
    assert predict(network, past, seen, near, there)[0].shape == (6, 5, 12, 2)


def left_out(scene):
    """Windows of a recorded scene and the shipped network that has not seen it."""
    from lifelong_nav.core.share import recordings
    from lifelong_nav.training.prediction_data import FILES, plain_grid, samples

    path = recordings("eth_ucy") / FILES[scene]
    if not path.is_file():
        pytest.skip(f"recordings are absent: {path}")
    predictor = Predictor.load(scene_left_out=scene)
    assert predictor.network is not None, predictor.problem
    test = samples(plain_grid(path, scene))
    return test.take(test.company >= 2), predictor.network


@pytest.mark.parametrize("scene", ["eth", "students03"])
def test_on_a_scene_left_out_it_beats_constant_velocity(scene):
    from lifelong_nav.evaluation.prediction_bench import constant, figures_of

    test, network = left_out(scene)
    test = test.take(np.arange(0, len(test), max(1, len(test) // 300)))
    ours = figures_of(predict(network, test.past, test.seen, test.near, test.there), test.future)
    plain = figures_of(constant(test), test.future)
    assert ours["ade"] < 0.995 * plain["ade"]
    assert ours["fde"] < 0.98 * plain["fde"]
    assert ours["ade5"] < 0.7 * plain["ade"]
    assert ours["fde5"] < 0.65 * plain["fde"]
    assert 0.55 < ours["one"] < 0.85
    assert 0.88 < ours["two"] < 0.99


def test_the_protocol_is_the_usual_one():
    """Published figures of constant velocity: eth .995 / 2.234, zara01 .431 / .960."""
    from lifelong_nav.evaluation.prediction_bench import constant, figures_of

    for scene, ade, fde in (("eth", 0.995, 2.234), ("zara01", 0.431, 0.960)):
        test, _ = left_out(scene)
        found = figures_of(constant(test), test.future)
        assert found["ade"] == pytest.approx(ade, abs=0.001)
        assert found["fde"] == pytest.approx(fde, abs=0.001)


def test_training_goes_on_where_it_was_killed(tmp_path):
    pytest.importorskip("torch")
    from lifelong_nav.training.prediction import train
    from lifelong_nav.training.prediction_fit import FitConfig

    rng = np.random.default_rng(0)
    (tmp_path / "eth_ucy").mkdir()
    for file in ("biwi_eth.txt", "crowds_zara01.txt", "students003.txt"):
        rows = []
        for person in range(4):
            start, v = rng.uniform(0, 5, 2), rng.normal(0.0, 0.4, 2)
            rows += [(10 * f, person, *(start + f * v)) for f in range(25)]
        np.savetxt(tmp_path / "eth_ucy" / file, np.array(rows))
    config = FitConfig(steps=2, batch=8, width=16, social=8)
    out = tmp_path / "models"
    seen = []
    train(out, tmp_path, seeds=(0,), config=config, scenes=("eth",))
    first = (out / "without_eth_0.safetensors").read_bytes()
    (out / "all.safetensors").unlink()
    config20 = FitConfig(steps=20, batch=8, width=16, social=8)
    train(out, tmp_path, (0,), config, lambda name, done, total: seen.append(name), ("eth",))
    assert (out / "without_eth_0.safetensors").read_bytes() == first
    assert Predictor.load(out).problem == ""
    train(out, tmp_path, (0,), config20, lambda name, done, total: seen.append(name), ("eth",))
    assert set(seen) == {"without_eth_0", "all"}
    assert (out / "without_eth_0.safetensors").read_bytes() != first
