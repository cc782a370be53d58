import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lifelong_nav.core.errors import InputError
from lifelong_nav.perception.captions import attribute_prompts
from lifelong_nav.perception.sc_clip.attributes import (
    Prompts,
    best_temperature,
    combination_scores,
    contrasted,
    make_prompts,
    softmax,
    top_accuracy,
)

ATTRIBUTES = {
    "environment": ("hall", "room"),
    "density": ("empty", "crowded"),
    "grouping": ("queue", "nobody"),
}


class Letters:
    def encode(self, texts):
        rows = np.stack([np.random.default_rng(list(t.encode())).normal(size=16) for t in texts])
        return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def axis_prompts():
    """Word k of attribute a lies on its own axis."""
    eye = np.eye(6)
    return {
        name: Prompts(name, words, eye[2 * i : 2 * i + 2])
        for i, (name, words) in enumerate(ATTRIBUTES.items())
    }


def test_every_word_of_every_attribute_gets_a_sentence():
    prompts = make_prompts(attribute_prompts(), Letters(), {"density": 0.2})
    assert set(prompts) == {"scenario", "environment", "density", "grouping", "action"}
    assert prompts["density"].temperature == 0.2
    assert prompts["density"].labels(["crowded", "never heard of"]).tolist() == [3, -1]
    best = prompts["scenario"].probabilities(prompts["scenario"].vectors).argmax(1)
    assert best.tolist() == list(range(len(prompts["scenario"].words)))


def test_an_unseen_combination_wins_when_each_of_its_attributes_does():
    x = np.zeros((1, 6))
    x[0, [1, 3, 4]] = 1 / np.sqrt(3)  # room, crowded, queue
    combos = [("hall", "crowded", "queue"), ("room", "empty", "queue"), ("room", "crowded", "queue")]
    scores = combination_scores(axis_prompts(), x, combos)
    assert scores.argmax() == 2


@given(st.integers(0, 1000))
@settings(max_examples=20, deadline=None)
def test_probabilities_are_a_distribution(seed):
    x = np.random.default_rng(seed).normal(size=(4, 9)) * 1e3
    p = softmax(x)
    assert np.isfinite(p).all()
    np.testing.assert_allclose(p.sum(1), 1.0)


def test_the_temperature_matches_how_often_it_is_right():
    rng = np.random.default_rng(0)
    scores = rng.normal(size=(4000, 5))
    truth = 0.37
    labels = np.array([rng.choice(5, p=row) for row in softmax(scores / truth)])
    assert best_temperature(scores, labels) == pytest.approx(truth, rel=0.1)
    with pytest.raises(InputError):
        best_temperature(scores[:0], labels[:0])


def test_contrast_takes_the_common_direction_away():
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(6, 30)) + 5.0
    apart = contrasted(vectors)
    assert np.abs(apart.sum(0)).max() < 0.2 * np.abs(vectors.sum(0)).max()
    raw = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    assert (raw @ raw.T).min() > 0.9 > (apart @ apart.T - np.eye(6)).max()


def test_top_accuracy_counts_the_best_k():
    scores = np.array([[3.0, 2.0, 1.0], [3.0, 2.0, 1.0]])
    assert top_accuracy(scores, np.array([0, 1])) == 0.5
    assert top_accuracy(scores, np.array([0, 1]), 2) == 1.0
