import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from lifelong_support import BASE, CLAUSES, DIM, NEW, World

from lifelong_nav.core.config import override
from lifelong_nav.core.errors import CheckpointError, InputError
from lifelong_nav.perception.sc_clip.novelty import NoveltyConfig, NoveltyGate, fit_gate, window_scores
from lifelong_nav.perception.sc_clip.novelty_model import fit_model, ledoit_wolf, principal

WORLD = World()
CONFIG = NoveltyConfig(frames=4, votes=3, image_dims=8, facts_dims=8, embedding_dims=6, bank=400)


def embed(image, facts):
    """Stands for a head: the facts' middle clause, or a part of the picture."""
    return facts[:, DIM : 2 * DIM] if facts is not None else image[:, :DIM]


def known(episodes=range(20), config=CONFIG) -> NoveltyGate:
    s = WORLD.samples(BASE, episodes)
    held = s.episode % 4 == 1
    image, facts = s.image.astype(np.float32), s.facts.astype(np.float32)
    return fit_gate(image, facts, embed, s.scenario, s.episode, held, config)


def judged(gate, name, number, image=True, facts=True):
    x, y, t = WORLD.episode(name, number)
    out = []
    for i, f, stamp in zip(x, y, t, strict=True):
        voices = (i if image else None, f if facts else None)
        seen = embed(None if voices[0] is None else i[None], None if voices[1] is None else f[None])[0]
        out.append(gate.judge(stamp, *voices, seen))
    return out


def test_new_scenes_are_told_from_known_ones_and_the_nearest_is_named():
    gate = known()
    new = [judged(gate, NEW, n)[-1] for n in range(500, 530)]
    old = {name: [judged(gate, name, n)[-1] for n in range(500, 530)] for name in BASE}
    assert np.mean([r.novel for r in new]) > 0.8
    assert np.mean([r.novel for rows in old.values() for r in rows]) < 0.08
    assert all(0.0 <= r.novelty <= 1.0 for r in new)
    right = [r.nearest == name for name, rows in old.items() for r in rows]
    assert np.mean(right) > 0.9


def test_a_single_voice_is_judged_by_its_own_yardstick():
    gate = known()
    for image, facts, view in ((True, False, "image"), (False, True, "facts")):
        new = [judged(gate, NEW, n, image, facts)[-1] for n in range(500, 520)]
        old = [judged(gate, "queue", n, image, facts)[-1] for n in range(500, 520)]
        assert {r.view for r in new} == {view}
        assert np.mean([r.novelty for r in new]) > np.mean([r.novelty for r in old]) + 0.2


def test_silence_is_unknown_and_never_new():
    gate = known()
    judged(gate, NEW, 500)
    reading = gate.judge(1e9, None, None, None)
    assert np.isnan(reading.novelty)
    assert not reading.novel
    assert reading.view == ""
    assert judged(gate, NEW, 501)[0].moments == 1  # the window began anew


def test_votes_of_frames_decide_and_a_gap_begins_anew():
    gate = known()
    readings = judged(gate, NEW, 500)
    assert [r.moments for r in readings] == [1, 2, 3, 4, 4, 4, 4, 4]
    assert not any(r.novel for r in readings[:2])  # fewer moments than votes
    x, y, _ = WORLD.episode(NEW, 500)
    gate.judge(1e6, x[0], y[0], embed(None, y[:1])[0])
    assert gate.judge(1e6 + 60.0, x[1], y[1], embed(None, y[:1])[0]).moments == 1
    assert gate.judge(1e6 - 5.0, x[2], y[2], embed(None, y[:1])[0]).moments == 1


def test_the_threshold_is_the_conformal_quantile():
    gate = known()
    gate.calibration["both"] = np.arange(1.0, 101.0)
    gate.level = 0.1
    assert gate.threshold() == 91.0  # ceil(101 * .9)
    gate.level = 0.002
    assert gate.threshold() == 100.0


def test_false_alarms_raise_the_threshold_and_confirmed_ones_lower_it():
    gate = known()
    judged(gate, NEW, 500)
    level, rate = gate.level, gate.false_alarm_rate
    gate.feedback(known=True)
    assert gate.false_alarm_rate > rate
    assert gate.level < level
    for number in range(40):
        judged(gate, "queue", 600 + number)
    judged(gate, NEW, 501)
    level, rate = gate.level, gate.false_alarm_rate
    gate.feedback(known=False)
    assert gate.false_alarm_rate <= rate
    assert (gate.alarms, gate.refuted) == (2, 1)


def test_saved_and_loaded_it_says_the_same(tmp_path):
    gate = known()
    gate.save(tmp_path)
    back = NoveltyGate.load(tmp_path, CONFIG)
    for one, two in zip(judged(gate, NEW, 500), judged(back, NEW, 500), strict=True):
        assert one.novelty == two.novelty
        assert one.nearest == two.nearest
    (tmp_path / "novelty.json").write_text('{"schema": 99}')
    with pytest.raises(CheckpointError):
        NoveltyGate.load(tmp_path)


def test_shrinkage_is_strong_for_few_rows_and_weak_for_many():
    rng = np.random.default_rng(0)
    spread = np.diag([4.0, 1.0, 0.25])
    few, strong = ledoit_wolf(rng.normal(size=(6, 3)) @ spread)
    many, weak = ledoit_wolf(rng.normal(size=(20000, 3)) @ spread)
    assert 0.0 <= weak < 0.01 < strong <= 1.0
    np.testing.assert_allclose(np.diag(many), [16.0, 1.0, 0.0625], rtol=0.1)
    assert np.linalg.eigvalsh(few).min() > 0.0


def test_principal_directions_match_the_full_decomposition():
    rng = np.random.default_rng(1)
    rows = rng.normal(size=(300, 40)) * np.geomspace(5.0, 0.1, 40)
    rows -= rows.mean(axis=0)
    basis, variances = principal(rows, 5)
    np.testing.assert_allclose(variances, np.linalg.eigvalsh(rows.T @ rows / 300)[::-1][:5], rtol=1e-3)
    np.testing.assert_allclose(basis.T @ basis, np.eye(5), atol=1e-4)


def test_windows_never_reach_over_episodes():
    scores, owners = window_scores(
        np.array([9.0, 9.0, 9.0, 0.0, 0.0, 0.0]), np.array([1, 1, 1, 2, 2, 2]), CONFIG
    )
    assert dict(zip(owners.tolist(), scores.tolist(), strict=True)) == {1: 9.0, 2: 0.0}


def test_too_little_and_bad_settings_are_refused():
    s = WORLD.samples(BASE[:1], range(1), frames=2)
    with pytest.raises(InputError):
        fit_model(s.image.astype(float), s.facts.astype(float), embed, s.scenario)
    with pytest.raises(InputError):
        known(config=override(CONFIG, votes=5))


@settings(max_examples=30, deadline=None)
@given(arrays(np.float32, CLAUSES * DIM, elements=st.floats(-50, 50, width=32)))
def test_any_finite_input_gives_a_finite_reading(facts):
    gate = _GATE
    reading = gate.judge(1.0, None, facts, embed(None, facts[None])[0])
    assert np.isfinite(reading.strangeness)
    assert 0.0 <= reading.novelty <= 1.0


_GATE = known(range(8))
