import importlib.util
import json
import shutil
import subprocess
import sys
import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lifelong_nav.core.errors import CheckpointError, ConfigError, InputError
from lifelong_nav.core.share import share_folder
from lifelong_nav.perception.sc_clip.text_encoder import SPACE, TextEncoder, verified_manifest
from lifelong_nav.perception.sc_clip.text_tokens import TextTokens, clean, read_merges
from lifelong_nav.perception.social_scene import SCENARIOS

FOLDER = share_folder("models") / "sc_clip" / "text"
SENTENCES = [
    "crowded hospital corridor",
    "a red mug is on the table",
    "",
    "nobody is about; the way is free.",
]


@pytest.fixture(scope="module")
def encoder():
    return TextEncoder.load(FOLDER)


@pytest.fixture(scope="module")
def tokens():
    return TextTokens.load(FOLDER / "tokenizer.json", 128)


@pytest.fixture(scope="module")
def open_clip():
    if not all(importlib.util.find_spec(name) for name in ("torch", "torchvision", "timm", "open_clip")):
        pytest.skip("needs the extra 'learn'")
    from lifelong_nav.perception.sc_clip import open_clip_models

    return open_clip_models.register()


@pytest.fixture(scope="module")
def simple(open_clip):
    return open_clip.get_tokenizer("sc-clip-lite0")


@pytest.fixture(scope="module")
def model(open_clip):
    import torch

    from lifelong_nav.core.checkpoints import load_checkpoint

    model = open_clip.create_model("sc-clip-lite0", load_weights=False).eval()
    tensors, _ = load_checkpoint(FOLDER.parent / "open_clip" / "text.safetensors")
    state = {k.removeprefix("text."): torch.from_numpy(v).float() for k, v in tensors.items()}
    model.text.load_state_dict(state)  # strict: our keys are those of the full model
    return model


WORLD = st.characters(min_codepoint=0x20, max_codepoint=0x17F) | st.sampled_from(
    "αβγЖщ中文한あ€–…“”‘’ﬁＡ\u3000\t\n"
)


@settings(max_examples=300, deadline=None)
@given(text=st.text(WORLD, max_size=60))
def test_ids_are_those_of_open_clip_wherever_ftfy_repairs_nothing(tokens, simple, text):
    import ftfy

    keeps = ftfy.TextFixerConfig(fix_encoding=False, unescape_html=False, fix_c1_controls=False)
    if ftfy.fix_text(text) == ftfy.fix_text(text, keeps):  # no guess at a broken encoding
        full = [simple.sot_token_id, *simple.encode(text)[:126], simple.eot_token_id]
        assert tokens.ids([text])[0] == full


@settings(max_examples=200, deadline=None)
@given(text=st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=300))
def test_ids_of_ascii_are_always_those_of_open_clip(tokens, simple, text):
    row = simple(text)[0].tolist()
    own = tokens.ids([text])[0]
    assert own + [0] * (128 - len(own)) == row


def test_every_caption_sentence_fits_and_matches(tokens, simple):
    for text in SCENARIOS.values():
        row = simple(text)[0].tolist()
        own = tokens.ids([text])[0]
        assert own == row[: len(own)]
        assert len(own) < 30


@pytest.mark.parametrize("name", ["<end_of_text>", "<start_of_text>", "<END_OF_TEXT>"])
def test_names_of_special_tokens_are_plain_text(tokens, name):
    (row,) = tokens.ids([f"a wall says {name} and more"])
    assert row.count(tokens.end) == 1
    assert row.count(tokens.start) == 1


def test_clean_survives_what_no_tokenizer_should_see(tokens):
    assert clean("\ud800 a\x00b  \n C&amp;amp;D") == "? ab c&d"
    assert len(tokens.ids(["\ud800\udfff" * 10])[0]) >= 2


def test_vectors_are_unit_and_of_the_space(encoder):
    out = encoder.encode(SENTENCES)
    assert out.shape == (4, 384)
    assert out.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(out, axis=1), 1.0, atol=1e-5)
    assert encoder.space.startswith(SPACE)
    assert encoder.encode([]).shape == (0, 384)


def test_a_vector_does_not_depend_on_its_company(encoder):
    fresh = TextEncoder.load(FOLDER)
    together = encoder.encode([*SENTENCES, SENTENCES[0]])
    for i, text in enumerate(SENTENCES):
        assert (fresh.encode([text])[0] == together[i]).all()
    assert (together[-1] == together[0]).all()


def test_long_texts_are_cut_to_the_context(encoder):
    long = "a person waits " * 200_000
    assert (encoder.encode([long]) == encoder.encode(["a person waits " * 100])).all()


def test_cache_is_bounded_and_true():
    small = TextEncoder.load(FOLDER, cache=3)
    first = small.encode([f"room {i}" for i in range(8)])
    assert len(small._cache) == 3
    assert (small.encode([f"room {i}" for i in range(8)]) == first).all()
    first[:] = 0.0  # callers may write into what they got
    assert np.linalg.norm(small.encode(["room 7"])) == pytest.approx(1.0, abs=1e-5)


def test_threads_share_an_encoder(encoder):
    texts = [f"{n} people stand at {n} m" for n in range(40)]
    truth = TextEncoder.load(FOLDER).encode(texts)
    results = {}
    workers = [
        threading.Thread(
            target=lambda k=k: results.update({k: encoder.encode(texts[::-1] if k % 2 else texts)})
        )
        for k in range(4)
    ]
    for w in workers:
        w.start()
    for w in workers:
        w.join()
    for k, out in results.items():
        assert (out == (truth[::-1] if k % 2 else truth)).all()
    assert len(results) == 4


@pytest.mark.parametrize("bad", ["one string", [1], [None], ["a", b"b"]])
def test_what_is_no_list_of_strings_is_refused(encoder, bad):
    with pytest.raises(InputError):
        encoder.encode(bad)


@pytest.fixture
def copy(tmp_path):
    shutil.copytree(FOLDER, tmp_path / "text")
    return tmp_path / "text"


@pytest.mark.parametrize("name", ["text.int8.onnx", "tokenizer.json", "bpe_16k.txt.gz"])
@pytest.mark.parametrize("harm", ["missing", "cut", "flipped"])
def test_damaged_files_are_named(copy, name, harm):
    path = copy / name
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.unlink() if harm == "missing" else path.write_bytes(data[: 100 if harm == "cut" else None])
    with pytest.raises(CheckpointError, match=name):
        TextEncoder.load(copy)


def test_bad_manifests_are_refused(copy):
    path = copy / "manifest.json"
    good = json.loads(path.read_text())
    bad = [[], {}, good | {"schema": 99}, good | {"files": {"../text/tokenizer.json": "0"}}]
    bad += [good | {"model": "other.onnx"}, {k: v for k, v in good.items() if k != "context"}]
    for facts in bad:
        path.write_text(json.dumps(facts))
        with pytest.raises(CheckpointError):
            TextEncoder.load(copy)
    path.write_text("{")
    with pytest.raises(CheckpointError):
        TextEncoder.load(copy)
    path.unlink()
    with pytest.raises(CheckpointError):
        TextEncoder.load(copy)


def test_a_model_that_does_not_run_is_a_checkpoint_error(copy):
    from lifelong_nav.core.storage import sha256

    (copy / "text.int8.onnx").write_bytes(b"not onnx")
    facts = json.loads((copy / "manifest.json").read_text())
    facts["files"]["text.int8.onnx"] = sha256(copy / "text.int8.onnx")
    (copy / "manifest.json").write_text(json.dumps(facts))
    with pytest.raises(CheckpointError, match="no text tower"):
        TextEncoder.load(copy)


def test_the_robot_needs_no_torch():
    code = (
        "import sys; from pathlib import Path;"
        "from lifelong_nav.perception.sc_clip.text_encoder import TextEncoder;"
        f"TextEncoder.load(Path({str(FOLDER)!r})).encode(['a door']);"
        "print([m for m in ('torch', 'open_clip', 'timm', 'ftfy', 'transformers') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_paraphrases_are_nearest(encoder):
    from lifelong_nav.training.text_publish import PAIRS

    out = encoder.encode([s for pair in PAIRS for s in pair])
    like = out @ out.T
    np.fill_diagonal(like, -1.0)
    right = like.argmax(1) == (np.arange(len(out)) ^ 1)
    assert right.mean() >= 0.7  # the teacher itself: 0.9
    assert (
        like[0, 1] > like[0, 2:].max() + 0.1
    )  # "crowded hospital corridor" and "many people in busy hallway"


def test_the_scenarios_are_told_apart(encoder):
    out = encoder.encode(list(SCENARIOS.values()))
    like = out @ out.T
    np.fill_diagonal(like, -1.0)
    assert like.max() < 0.97


def test_shipped_size_and_scores():
    assert (FOLDER / "text.int8.onnx").stat().st_size <= 10 << 20
    assert (FOLDER.parent / "open_clip" / "text.safetensors").stat().st_size <= 16 << 20
    scores = verified_manifest(FOLDER)["scores"]
    assert scores["held_out"]["scene"]["cosine"] >= 0.93
    assert scores["held_out"]["written"]["cosine"] >= 0.85
    assert scores["int8_to_torch_cosine"]["least"] >= 0.985


def test_int8_agrees_with_the_open_clip_model(encoder, model, simple):
    import torch

    texts = [*SCENARIOS.values(), *SENTENCES]
    with torch.inference_mode():
        truth = model.encode_text(simple(texts), normalize=True).numpy()
    assert (truth * encoder.encode(texts)).sum(1).min() >= 0.985


def test_short_forward_equals_open_clips(model, tokens, simple):
    import torch

    from lifelong_nav.perception.sc_clip.text_forward import pad_ids, text_features

    texts = [*SENTENCES, "people " * 200]
    with torch.inference_mode():
        full = model.text(simple(texts))
        short = text_features(model.text, pad_ids(tokens.ids(texts)))
    torch.testing.assert_close(short, full, atol=2e-5, rtol=1e-4)


def test_fp32_export_equals_torch_at_every_length(model, tokens, tmp_path):
    import onnxruntime as ort
    import torch
    from torch.nn.functional import normalize

    from lifelong_nav.perception.sc_clip.text_export import export_fp32, timings
    from lifelong_nav.perception.sc_clip.text_forward import pad_ids, text_features

    export_fp32(model.text, tmp_path / "t.onnx")
    session = ort.InferenceSession(str(tmp_path / "t.onnx"), providers=["CPUExecutionProvider"])
    for text in ["", "a", "two people talk near the door", "people " * 200]:
        rows = tokens.ids([text, text])
        (out,) = session.run(None, {"ids": np.asarray(rows)})
        with torch.inference_mode():
            truth = normalize(text_features(model.text, pad_ids(rows)), dim=-1).numpy()
        np.testing.assert_allclose(out, truth, atol=1e-4)
    spent = timings(model.text, tokens, {"fp32": session}, ["a door"], rounds=1)
    assert set(spent) == {"eager", "eager short", "fp32"}


def test_configurations_name_what_is_missing(tmp_path):
    from lifelong_nav.perception.sc_clip.open_clip_models import config_folder, read_config

    with pytest.raises(ConfigError):
        read_config("no-such-model")
    shutil.copy(config_folder() / "sc-clip-lite0.json", tmp_path)
    with pytest.raises(CheckpointError, match="bpe_16k"):
        read_config("sc-clip-lite0", tmp_path)


def test_merges_that_are_none_are_refused(tmp_path):
    for data in (b"", b"plain", __import__("gzip").compress(b"#version\na b c\n")):
        (tmp_path / "x.gz").write_bytes(data)
        with pytest.raises(CheckpointError):
            read_merges(tmp_path / "x.gz")
