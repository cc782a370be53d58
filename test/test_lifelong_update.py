import dataclasses

import numpy as np
import pytest
from lifelong_support import BASE, NEW, SENTENCES, World, blank_head, encode

from lifelong_nav.core.config import override
from lifelong_nav.core.errors import InputError, StorageError
from lifelong_nav.perception.lifelong.guard import GuardConfig, HeadStore, embed, judge, scenario_accuracy
from lifelong_nav.perception.lifelong.head_torch import TorchHead, to_batch
from lifelong_nav.perception.lifelong.replay_memory import ReplayMemory
from lifelong_nav.perception.lifelong.samples import join
from lifelong_nav.perception.lifelong.screening import Screener, screen
from lifelong_nav.perception.lifelong.update import update
from lifelong_nav.perception.lifelong.update_config import UpdateConfig

VECTORS = dict(zip(SENTENCES, encode(list(SENTENCES.values())), strict=True))
WORLD = World()
FAST = UpdateConfig(iterations=80, rank=8, rate=4e-3, batch_new=32, batch_replay=96, smoothing=0.8)


@pytest.fixture(scope="module")
def base():
    """A head that knows BASE, and its memory."""
    memory = ReplayMemory()
    memory.add(WORLD.samples(BASE, range(14)))
    train = memory.training()
    fit = UpdateConfig(
        rank=0,
        iterations=120,
        rate=4e-3,
        batch_new=128,
        batch_replay=0,
        distill_weight=0.0,
        layers="all",
        smoothing=0.5,
    )
    known = {n: VECTORS[n] for n in BASE}
    head = update(blank_head(train), train, None, None, known, fit).head
    assert np.mean(list(scenario_accuracy(head, memory.held_out(), known).values())) > 0.9
    return head, memory


def with_new(episodes=range(60, 70), names=(NEW,)):
    both = ReplayMemory()
    both.add(WORLD.samples(BASE, range(14)))  # the same sides as in `memory`
    both.add(WORLD.samples(names, episodes))
    train, held = both.training(), both.held_out()
    fresh = np.isin(train.scenario, names)
    return train[fresh], train[~fresh], held


def test_torch_and_numpy_heads_agree(base):
    head, memory = base
    held = memory.held_out()
    image = held.image.copy()
    image[::3] = np.nan
    held = dataclasses.replace(held, image=image)
    np.testing.assert_allclose(
        TorchHead(head, 0).embed(to_batch(held, BASE)).detach().numpy(), embed(head, held), atol=1e-5
    )


def test_learns_the_new_one_and_keeps_the_old(base):
    head, _ = base
    new, replay, held = with_new()
    result = update(head, new, replay, held, VECTORS, FAST)
    old = np.mean([result.before[n] - result.after[n] for n in result.old])
    assert result.after[NEW] - result.before[NEW] > 0.3
    assert old <= 0.02
    assert result.stability_gap <= 0.1
    assert len(result.iterations) == len(result.curve[NEW]) == 9
    verdict = judge(head, result.head, held, (NEW,), VECTORS, replay)
    assert verdict.accepted, verdict.reasons


def test_without_replay_the_guard_sees_what_is_lost(base):
    head, _ = base
    new, _, held = with_new()
    plain = override(FAST, rank=0, rate=5e-3, iterations=150, layers="all")
    forgetful = update(head, new, None, None, VECTORS, plain).head
    verdict = judge(head, forgetful, held, (NEW,), VECTORS)
    assert not verdict.accepted
    assert verdict.loss > 0.02
    assert any("lose" in r for r in verdict.reasons)


def test_old_weights_are_never_changed(base):
    head, _ = base
    before = {n: v.copy() for n, v in head.params.items()}
    new, replay, held = with_new()
    update(head, new, replay, held, VECTORS, override(FAST, iterations=12))
    assert all(np.array_equal(before[n], v) for n, v in head.params.items())


def test_same_seed_same_weights(base):
    head, _ = base
    new, replay, held = with_new()
    short = override(FAST, iterations=12)
    one, two = (update(head, new, replay, held, VECTORS, short, seed=3).head for _ in range(2))
    assert all(np.array_equal(one.params[n], two.params[n]) for n in one.params)


def test_non_finite_steps_are_skipped_then_rolled_back(base, monkeypatch):
    import lifelong_nav.perception.lifelong.update as module

    head, _ = base
    new, replay, held = with_new()
    real, calls = module._loss, []

    def poisoned(*args):
        calls.append(1)
        loss = real(*args)
        return loss * float("nan") if len(calls) in bad else loss

    monkeypatch.setattr(module, "_loss", poisoned)
    bad = {5}
    result = update(head, new, replay, held, VECTORS, FAST)
    assert result.skipped == 1
    assert result.share > 0
    calls.clear()
    bad = set(range(20, 100))
    result = update(head, new, replay, held, VECTORS, FAST)
    assert result.share == 0.0
    assert result.head is head
    assert "non-finite" in result.reason
    assert len(calls) == 22


def test_stops_when_told(base):
    head, _ = base
    new, replay, held = with_new()
    left = iter([True] * 7 + [False])
    result = update(head, new, replay, held, VECTORS, FAST, keep_going=lambda: next(left))
    assert "stopped" in result.reason


def test_unnamed_scenarios_are_refused(base):
    head, _ = base
    new, replay, held = with_new()
    with pytest.raises(InputError, match=NEW):
        update(head, new, replay, held, {n: VECTORS[n] for n in BASE}, FAST)
    with pytest.raises(InputError):
        update(head, new[:0], replay, held, VECTORS, FAST)


@pytest.mark.parametrize("seed", range(3))
def test_a_fifth_of_wrong_captions_does_no_harm(base, seed):
    head, _ = base
    new, replay, held = with_new()
    rng = np.random.default_rng(seed)
    others = WORLD.samples(BASE, range(80, 82))
    wrong = rng.permutation(len(others))[: len(new) // 4]  # 20 % of what is told: known scenes called new
    lies = dataclasses.replace(
        others[wrong], scenario=np.full(len(wrong), NEW), target=new.target[: len(wrong)]
    )
    told = join([new, lies])
    screened = screen(told, replay, Screener(head.params))
    assert screened.accepted
    assert screened.kept[: len(new)].mean() > 0.9
    assert screened.kept[len(new) :].mean() < 0.2
    result = update(head, told[screened.kept], replay, held, VECTORS, FAST, seed)
    if judge(head, result.head, held, (NEW,), VECTORS, replay).accepted:
        test = WORLD.samples((*BASE, NEW), range(200, 206))
        before, after = (scenario_accuracy(h, test, VECTORS) for h in (head, result.head))
        assert after[NEW] >= before[NEW]
        assert np.mean([before[n] - after[n] for n in BASE]) <= 0.02


def test_a_batch_that_contradicts_itself_is_refused(base):
    head, memory = base
    others = WORLD.samples(BASE, range(80, 84))
    lies = dataclasses.replace(others, scenario=np.full(len(others), NEW))
    assert not screen(lies, memory.training(), Screener(head.params)).accepted


def test_the_guard_names_every_reason(base):
    head, memory = base
    held = memory.held_out()
    wild = dataclasses.replace(head, params={n: v * 4.0 for n, v in head.params.items()})
    verdict = judge(head, wild, held, (NEW,), VECTORS, config=GuardConfig())
    assert not verdict.accepted
    assert any("weights" in r for r in verdict.reasons)
    assert any("held-out" in r for r in verdict.reasons)
    broken = dataclasses.replace(head, params={**head.params, "image.b2": head.params["image.b2"] * np.nan})
    assert not judge(head, broken, held, (), VECTORS).accepted
    assert judge(head, head, held, (), VECTORS).accepted


def test_store_promotes_rolls_back_and_survives_damage(base, tmp_path):
    head, _ = base
    store = HeadStore(tmp_path, keep=3)
    with pytest.raises(StorageError):
        store.newest()
    heads = [
        dataclasses.replace(head, params={n: v * (1 + k / 10) for n, v in head.params.items()})
        for k in range(5)
    ]
    numbers = [store.promote(h, {"k": k}) for k, h in enumerate(heads)]
    assert numbers == [1, 2, 3, 4, 5]
    assert sorted(p.name for p in tmp_path.iterdir() if p.is_dir()) == ["000003", "000004", "000005"]
    store.roll_back(4)
    found, generation, _ = store.newest()
    assert generation.number == 4
    np.testing.assert_array_equal(found.params["facts.w1"], heads[3].params["facts.w1"])
    (tmp_path / "000004" / "head.safetensors").write_bytes(b"\x80junk")
    _, generation, skipped = store.newest()
    assert generation.number == 3
    assert len(skipped) == 1
    with pytest.raises(StorageError):
        store.roll_back(1)
