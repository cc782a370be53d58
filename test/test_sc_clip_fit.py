import dataclasses

import numpy as np
import pytest

from lifelong_nav.core.errors import InputError
from lifelong_nav.perception.sc_clip.fit import FitConfig, FitData, fit_head, new_head
from lifelong_nav.perception.sc_clip.head import ContextHead

torch = pytest.importorskip("torch")
DIM, WIDTH, CLASSES = 12, 40, 4
QUICK = FitConfig(hidden=16, epochs=12, batch=32, components=4, directions=20, rate=0.01)


def unit(x):
    return (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32)


def make_data(n=240, seed=0):
    """The picture tells the class's first bit, the facts its second: only both together name it."""
    rng = np.random.default_rng(seed)
    fixed = np.random.default_rng(99)
    captions, eyes, words = (unit(fixed.normal(size=(k, w))) for k, w in ((4, DIM), (2, WIDTH), (2, 3 * DIM)))
    label = rng.integers(0, CLASSES, n)
    features = 4.0 * eyes[label // 2] + rng.normal(size=(n, WIDTH))
    facts = 4.0 * words[label % 2] + 0.3 * rng.normal(size=(n, 3 * DIM))
    long = unit(captions[label] + 0.05 * rng.normal(size=(n, DIM)))
    return FitData(
        features.astype(np.float32), facts.astype(np.float32), long, captions[label],
        {"scenario": captions}, {"scenario": label},
    )  # fmt: skip


def accuracy(head, data, image=True, facts=True):
    x = head.embed(data.features if image else None, data.facts if facts else None).fused
    return ((x @ data.prompts["scenario"].T).argmax(1) == data.labels["scenario"]).mean()


@pytest.fixture(scope="module")
def trained():
    return fit_head(make_data(), QUICK, trunk="eye", space="words")


def test_two_voices_know_what_neither_knows_alone(trained):
    test = make_data(seed=5)
    assert accuracy(trained, test) > 0.9
    assert accuracy(trained, test, facts=False) < 0.7 > accuracy(trained, test, image=False)
    assert (trained.trunk, trained.space) == ("eye", "words")


def test_the_same_seed_gives_the_same_weights(trained):
    again = fit_head(make_data(), QUICK, trunk="eye", space="words")
    other = fit_head(make_data(), dataclasses.replace(QUICK, epochs=1), seed=1)
    for name, value in trained.params.items():
        np.testing.assert_array_equal(value, again.params[name])
    assert not np.allclose(other.params["image.w1"], again.params["image.w1"])


def test_training_does_not_touch_the_callers_thread_count():
    before = torch.get_num_threads()
    fit_head(make_data(40), dataclasses.replace(QUICK, epochs=1))
    assert torch.get_num_threads() == before


def test_adapters_change_by_no_more_than_their_rank_and_learn(trained):
    data = make_data(seed=7)
    swapped = dataclasses.replace(  # classes 0 and 1 change names
        data, long=data.long, labels={"scenario": np.array([1, 0, 2, 3])[data.labels["scenario"]]}
    )
    swapped = dataclasses.replace(swapped, long=swapped.prompts["scenario"][swapped.labels["scenario"]])
    swapped = dataclasses.replace(swapped, short=swapped.long)
    head = fit_head(swapped, dataclasses.replace(QUICK, rank=3, epochs=30), init=trained)
    assert accuracy(head, swapped) > accuracy(trained, swapped) + 0.2
    for name in ("image.w1", "facts.w2"):
        change = head.params[name] - trained.params[name]
        assert 1 <= np.linalg.matrix_rank(change, tol=1e-4) <= 3
    for name in ("image.mean", "facts.scale"):
        np.testing.assert_array_equal(head.params[name], trained.params[name])


def test_a_new_head_repeats_its_inputs():
    data = make_data(50)
    head = new_head(data, QUICK, skip_start=WIDTH - DIM)
    image, facts = head.parts(data.features, data.facts)
    np.testing.assert_allclose(image, data.features[:, WIDTH - DIM :], atol=1e-5)
    np.testing.assert_allclose(facts, data.facts.reshape(50, 3, DIM).mean(1), atol=1e-5)


def test_rows_without_a_voice_are_learned_from_by_the_other():
    data = make_data()
    features = data.features.copy()
    features[::2] = np.nan
    head = fit_head(dataclasses.replace(data, features=features), QUICK)
    assert all(np.isfinite(v).all() for v in head.params.values())
    assert accuracy(head, make_data(seed=3)) > 0.8


def test_a_column_that_never_varies_is_never_read():
    data = make_data()
    features = data.features.copy()
    features[:, 3] = 0.25
    head = fit_head(dataclasses.replace(data, features=features), dataclasses.replace(QUICK, epochs=1))
    strange = features.copy()
    strange[:, 3] = 1e4
    np.testing.assert_allclose(head.embed(strange).fused, head.embed(features).fused, atol=1e-4)


def test_arrays_that_do_not_fit_are_refused(trained):
    data = make_data(40)
    with pytest.raises(InputError):
        fit_head(dataclasses.replace(data, facts=data.facts[:10]), QUICK)
    with pytest.raises(InputError):
        fit_head(dataclasses.replace(data, features=data.features[:, :5]), QUICK, init=trained)


def test_the_trained_head_survives_the_disk(trained, tmp_path):
    trained.save(tmp_path)
    data = make_data(20)
    again = ContextHead.load(tmp_path)
    np.testing.assert_array_equal(
        again.embed(data.features, data.facts).fused, trained.embed(data.features, data.facts).fused
    )
