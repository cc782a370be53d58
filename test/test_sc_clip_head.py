import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lifelong_nav.core.errors import CheckpointError, InputError
from lifelong_nav.perception.sc_clip.head import ADAPTED, ContextHead

DIM, WIDTH, HIDDEN, CLAUSES = 6, 15, 8, 3
SKIP = WIDTH - DIM


def make_head(seed=0, skip=SKIP, trunk="eye", space="words"):
    rng = np.random.default_rng(seed)
    params = {}
    for name, width in (("image", WIDTH), ("facts", CLAUSES * DIM)):
        params |= {
            f"{name}.mean": rng.normal(size=width),
            f"{name}.scale": rng.uniform(0.5, 2.0, size=width),
            f"{name}.w1": rng.normal(size=(HIDDEN, width)),
            f"{name}.b1": rng.normal(size=HIDDEN),
            f"{name}.w2": rng.normal(size=(DIM, HIDDEN)),
            f"{name}.b2": rng.normal(size=DIM),
        }
    params["image.skip"] = rng.normal(size=1)
    params["facts.skip"] = rng.normal(size=CLAUSES)
    return ContextHead({k: v.astype(np.float32) for k, v in params.items()}, trunk, space, skip)


def inputs(n=5, seed=1):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, WIDTH)).astype(np.float32), rng.normal(size=(n, CLAUSES * DIM)).astype(
        np.float32
    )


@given(st.integers(0, 10_000))
@settings(max_examples=25, deadline=None)
def test_shares_of_a_score_sum_to_it(seed):
    x, y = inputs(seed=seed)
    captions = np.random.default_rng(seed).normal(size=(7, DIM))
    e = make_head(seed).embed(x, y)
    image, facts = e.shares(captions)
    np.testing.assert_allclose(image + facts, e.fused @ captions.T, atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(e.fused, axis=1), 1.0, atol=1e-5)


def test_a_missing_voice_gives_nothing_and_the_other_speaks_alone():
    x, y = inputs()
    head = make_head()
    image_part, facts_part = head.parts(x, y)
    for e, part, silent in (
        (head.embed(x, None), image_part, "facts"),
        (head.embed(None, y), facts_part, "image"),
    ):
        np.testing.assert_allclose(e.fused, part / np.linalg.norm(part, axis=1, keepdims=True), atol=1e-5)
        assert not getattr(e, silent).any()


def test_the_skip_carries_the_open_vocabulary_columns():
    head = make_head()
    silent = dataclasses.replace(
        head,
        params={**head.params, "image.w2": np.zeros((DIM, HIDDEN), np.float32), "image.b2": np.zeros(DIM)},
    )
    x, _ = inputs()
    part, _ = silent.parts(x, None)
    np.testing.assert_allclose(part, head.params["image.skip"][0] * x[:, SKIP:], atol=1e-6)


def test_an_adapter_is_the_low_rank_change_and_leaves_the_head_alone():
    head = make_head()
    rng = np.random.default_rng(3)
    adapter = {}
    for name in ADAPTED:
        out, width = head.params[name].shape
        adapter[f"{name}.a"] = rng.normal(size=(2, width)).astype(np.float32)
        adapter[f"{name}.b"] = rng.normal(size=(out, 2)).astype(np.float32)
    before = {k: v.copy() for k, v in head.params.items()}
    merged = head.merge_adapter(adapter)
    for name in ADAPTED:
        change = merged.params[name] - before[name]
        assert np.linalg.matrix_rank(change, tol=1e-3) == 2
        np.testing.assert_allclose(change, adapter[f"{name}.b"] @ adapter[f"{name}.a"], atol=1e-4)
    for name, value in before.items():
        np.testing.assert_array_equal(head.params[name], value)
    zero = {k: np.zeros_like(v) for k, v in adapter.items()}
    x, y = inputs()
    np.testing.assert_array_equal(head.merge_adapter(zero).embed(x, y).fused, head.embed(x, y).fused)


@pytest.mark.parametrize(
    "adapter",
    [
        {"image.b1.a": np.zeros((2, 3)), "image.b1.b": np.zeros((3, 2))},
        {"image.w1.a": np.zeros((2, WIDTH))},
        {"image.w1.a": np.zeros((2, WIDTH)), "image.w1.b": np.zeros((HIDDEN + 1, 2))},
        {"image.w1.a": np.zeros((2, WIDTH)), "image.w1.b": np.zeros((HIDDEN, 3))},
    ],
)
def test_adapters_that_do_not_fit_are_refused(adapter):
    with pytest.raises(InputError):
        make_head().merge_adapter(adapter)


def test_saved_and_loaded_is_the_same(tmp_path):
    head = make_head()
    head = dataclasses.replace(head, facts={"temperatures": {"density": 0.1}})
    head.save(tmp_path)
    again = ContextHead.load(tmp_path, "eye", "words")
    assert (again.trunk, again.space, again.skip_start, again.facts) == ("eye", "words", SKIP, head.facts)
    x, y = inputs()
    np.testing.assert_array_equal(again.embed(x, y).fused, head.embed(x, y).fused)


def test_a_head_of_another_trunk_or_space_is_refused(tmp_path):
    make_head().save(tmp_path)
    with pytest.raises(CheckpointError, match="trunk"):
        ContextHead.load(tmp_path, trunk="another")
    with pytest.raises(CheckpointError, match="space"):
        ContextHead.load(tmp_path, space="another")


def test_a_head_with_a_wrong_shape_or_a_hole_is_refused(tmp_path):
    head = make_head()
    dataclasses.replace(head, params={**head.params, "facts.b1": np.zeros(3, np.float32)}).save(tmp_path)
    with pytest.raises(CheckpointError, match=r"facts\.b1"):
        ContextHead.load(tmp_path)
    with pytest.raises(CheckpointError, match=r"image\.skip"):
        ContextHead({k: v for k, v in head.params.items() if k != "image.skip"}, "eye", "words")


@pytest.mark.parametrize("bad", ["none", "width", "rows", "nan"])
def test_bad_inputs_are_refused(bad):
    x, y = inputs()
    arguments = {
        "none": (None, None),
        "width": (x[:, 1:], y),
        "rows": (x, y[1:]),
        "nan": (np.full_like(x, np.nan), y),
    }[bad]
    with pytest.raises(InputError):
        make_head().embed(*arguments)
