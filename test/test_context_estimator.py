"""The social context estimate with the shipped model: what is fresh speaks, what is old does not; `look`."""

import json
import shutil

import numpy as np
import pytest
from conftest import ROOT

from lifelong_nav import cli
from lifelong_nav.core.errors import LifelongNavError, StorageError
from lifelong_nav.core.social_context import FACTS, FULL, IMAGE, UNKNOWN
from lifelong_nav.perception.context import ContextConfig, ContextEstimator, sentence
from lifelong_nav.perception.context_files import ModelFiles, load_parts, load_shipped, model_folder
from lifelong_nav.perception.lifelong.guard import HeadStore
from lifelong_nav.perception.social_scene import SCENARIOS

cv2 = pytest.importorskip("cv2")
FACTS_NOW = (
    "One person is close ahead and walks straight towards the robot.",
    "Everybody is on their own.",
    "The robot is in a narrow corridor; the robot drives and its goal is ahead.",
)


@pytest.fixture(scope="module")
def parts():
    return load_parts(ModelFiles(), learned=False)


@pytest.fixture
def picture():
    return np.random.default_rng(1).integers(0, 255, (48, 64, 3), dtype=np.uint8)


def test_the_state_follows_what_is_fresh(parts, picture):
    estimator = ContextEstimator(parts, ContextConfig(image_timeout=0.5, facts_timeout=1.0))
    assert estimator.estimate(0.0).state == UNKNOWN
    estimator.see(10.0, picture)
    assert estimator.estimate(10.1).state == IMAGE
    estimator.sense(10.2, FACTS_NOW)
    full = estimator.estimate(10.3)
    assert full.state == FULL
    assert full.facts == " ".join(FACTS_NOW)
    alone = estimator.estimate(10.8)
    assert alone.state == FACTS
    assert alone.facts_share == pytest.approx(1.0, abs=1e-4)
    gone = estimator.estimate(11.6)
    assert gone.state == UNKNOWN
    assert (gone.embedding.size, gone.probabilities, gone.captions, gone.scenario) == (0, {}, (), "")
    assert np.isnan(gone.novelty)
    estimator.see(20.0, picture)
    estimator.forget()
    assert estimator.estimate(20.0).state == UNKNOWN


def test_facts_alone_tell_a_plain_scene(parts):
    estimator = ContextEstimator(parts)
    estimator.sense(0.0, FACTS_NOW)
    context = estimator.estimate(0.0)
    assert context.scenario in ("narrow_hallway", "frontal_approach")
    assert context.captions[0].score > 0.3
    assert [c.score for c in context.captions] == sorted((c.score for c in context.captions), reverse=True)


def test_the_same_input_gives_the_same_answer_and_the_other_voice_changes_it(parts, picture):
    def embed(see, sense):
        estimator = ContextEstimator(parts)
        if see:
            estimator.see(0.0, picture)
        if sense:
            estimator.sense(0.0, FACTS_NOW)
        return estimator.estimate(0.0).embedding

    assert np.array_equal(embed(True, True), embed(True, True))
    assert embed(True, False) @ embed(True, True) < 0.999
    assert embed(False, True) @ embed(True, True) < 0.999


def test_doubt_and_novelty_are_said():
    sure = sentence({"queue": 0.9, "crowd": 0.1}, FULL, False, SCENARIOS)
    unsure = sentence({"queue": 0.3, "crowd": 0.28}, FULL, False, SCENARIOS)
    new = sentence({"queue": 0.9, "crowd": 0.1}, FULL, True, SCENARIOS)
    assert len({sure, unsure, new}) == 3
    assert "new" in new
    assert "not sure" in unsure
    assert "unknown" in sentence({"queue": 0.9}, FACTS, False, SCENARIOS)
    assert sentence({}, UNKNOWN, False, SCENARIOS) == "I cannot tell what is going on."


def test_what_was_learned_wins_unless_it_is_broken_or_of_another_model(parts, tmp_path):
    files = ModelFiles(state_dir=str(tmp_path))
    shipped = load_shipped(model_folder(files))
    assert len(shipped.samples) > 100
    store = HeadStore(tmp_path / "generations")
    number = store.promote(shipped.head, {"learned": []}, parts.gate.save)
    assert load_parts(files).generation == number
    (tmp_path / "generations" / f"{number:06d}" / "head.safetensors").write_bytes(b"broken")
    fallen_back = load_parts(files)
    assert fallen_back.generation == 0
    assert fallen_back.notes


def test_a_damaged_model_is_refused_with_a_sentence(tmp_path):
    shutil.copytree(ROOT / "models" / "sc_clip", tmp_path / "model")
    (tmp_path / "model" / "text" / "text.int8.onnx").write_bytes(b"\x00" * 1000)
    with pytest.raises(StorageError, match="sha256"):
        load_parts(ModelFiles(model_dir=str(tmp_path / "model")))
    with pytest.raises(LifelongNavError):
        load_parts(ModelFiles(model_dir=str(tmp_path / "nothing")))


def test_look_reads_pictures_and_captions(tmp_path, capsys, picture):
    cv2.imwrite(str(tmp_path / "a.png"), picture)
    (tmp_path / "mine.txt").write_text("A cat on a sofa.\n\nNoise on a screen.\n")
    assert cli.main(["look", str(tmp_path / "a.png"), "--captions", str(tmp_path / "mine.txt")]) == 0
    said = capsys.readouterr().out
    assert "A cat on a sofa." in said
    assert "%" in said
    assert "novelty" in said


@pytest.mark.parametrize(("name", "content"), [("none.png", None), ("text.png", b"no picture")])
def test_look_says_what_is_wrong_with_a_picture(tmp_path, capsys, name, content):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    assert cli.main(["look", str(tmp_path / name)]) != 0
    assert name in capsys.readouterr().err


def test_the_shipped_model_says_what_it_is():
    folder = ROOT / "models" / "sc_clip"
    card = (folder / "README.md").read_text()
    for word in ("EfficientNet", "Apache-2.0", "held", "limit"):
        assert word.lower() in card.lower()
    manifest = json.loads((folder / "text" / "manifest.json").read_text())
    head = json.loads((folder / "head" / "head.json").read_text())
    assert head["space"] == manifest["space"]
    assert sum(p.stat().st_size for p in folder.rglob("*") if p.is_file()) < 80e6


def test_what_is_always_strange_here_is_not_new_for_long(parts, picture):
    """A building unlike the training's: everything is strange at first, then only what is stranger still."""
    estimator = ContextEstimator(parts, ContextConfig(image_timeout=1.0))
    rng = np.random.default_rng(2)
    said = []
    for k in range(140):
        noisy = np.clip(picture.astype(int) + rng.integers(-20, 20, picture.shape), 0, 255).astype(np.uint8)
        estimator.see(0.5 * k, noisy)
        said.append(estimator.estimate(0.5 * k).novel)
    assert all(said[10:50])  # noise is like no scene
    assert np.mean(said[80:]) < 0.1
