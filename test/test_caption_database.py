import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lifelong_support import DIM, SENTENCES, encode

from lifelong_nav.core.errors import CheckpointError, InputError
from lifelong_nav.perception.sc_clip.database import CaptionDatabase


def filled(**options) -> CaptionDatabase:
    db = CaptionDatabase(space="s", dim=DIM, **options)
    for name, sentence in SENTENCES.items():
        db.name_scenario(name, sentence, encode([sentence])[0])
    return db


def test_retrieves_the_caption_that_means_the_same():
    db = filled()
    for text, scenario in (
        ("two people wait in a line", "queue"),
        ("a narrow doorway is ahead", "narrow_doorway"),
    ):
        db.add(text, scenario, encode([text])[0])
    found = db.retrieve(encode(["people in a line wait"])[0], k=2)
    assert found[0].caption.scenario == "queue"
    assert found[0].score > found[1].score
    np.testing.assert_allclose(np.linalg.norm(found[0].vector), 1.0, atol=1e-2)


def test_new_scenario_is_found_at_once_without_training():
    db = filled()
    query = encode(["curious children gather around"])[0]
    assert "robot_crowding" not in db.probabilities(query)
    sentence = "Curious children gather around the robot."
    assert db.name_scenario("robot_crowding", sentence, encode([sentence])[0])
    assert next(iter(db.probabilities(query))) == "robot_crowding"
    assert not db.name_scenario("robot_crowding", sentence, encode([sentence])[0])


def test_probabilities_add_up_and_sharpen_with_temperature():
    db, query = filled(), encode([SENTENCES["queue"]])[0]
    warm, cold = db.probabilities(query, 1.0), db.probabilities(query, 0.02)
    assert sum(warm.values()) == pytest.approx(1.0)
    assert cold["queue"] > warm["queue"]
    assert list(cold) == sorted(cold, key=lambda n: -cold[n])


def test_near_duplicates_are_counted_not_kept():
    db = filled()
    vector = encode(["a line of people"])[0]
    first = db.add("a line of people", "queue", vector, stamp=1.0)
    again = db.add("a line of people!", "queue", vector * 3.0, stamp=5.0)
    other = db.add("a line of people", "crowd", vector)
    assert first == again != other
    assert (db.captions[first].count, db.captions[first].stamp) == (2, 5.0)


def test_bounded_and_rare_scenarios_survive():
    db = filled(capacity=10, merge_above=0.9999)
    rng = np.random.default_rng(0)
    db.add("the only doorway", "narrow_doorway", rng.normal(size=DIM))
    for i in range(40):
        db.add(f"crowd {i}", "crowd", rng.normal(size=DIM), stamp=float(i))
    texts = [c.text for c in db.captions]
    assert len(db) == 10
    assert "the only doorway" in texts
    assert "crowd 39" in texts


def test_saved_whole_and_readable(tmp_path):
    db = filled()
    db.add("two people wait", "queue", encode(["two people wait"])[0], source="file", stamp=3.0)
    db.save(tmp_path)
    assert json.loads((tmp_path / "captions.json").read_text())["captions"][0]["text"] == "two people wait"
    back = CaptionDatabase.load(tmp_path, "s")
    assert back.captions == db.captions
    assert back.scenarios == db.scenarios
    query = encode(["wait"])[0]
    assert back.probabilities(query) == db.probabilities(query)


def test_refuses_another_space_and_half_files(tmp_path):
    db = filled()
    db.save(tmp_path)
    with pytest.raises(CheckpointError, match="space"):
        CaptionDatabase.load(tmp_path, "another")
    (tmp_path / "captions.json").write_text("{}")  # a kill between the two files: the tensors hold all
    assert CaptionDatabase.load(tmp_path, "s").scenarios == db.scenarios
    data = bytearray((tmp_path / "captions.safetensors").read_bytes())
    (tmp_path / "captions.safetensors").write_bytes(bytes(data[: len(data) // 2]))
    with pytest.raises(CheckpointError):
        CaptionDatabase.load(tmp_path)


@pytest.mark.parametrize("vector", [np.zeros(DIM), np.full(DIM, np.nan), np.ones(DIM + 1)])
def test_bad_vectors_are_refused(vector):
    with pytest.raises(InputError):
        filled().add("text", "queue", vector)


def test_unknown_scenarios_and_empty_texts_are_refused():
    db = filled()
    for text, scenario in (("text", "nowhere"), ("  ", "queue"), ("x" * 5000, "queue")):
        with pytest.raises(InputError):
            db.add(text, scenario, np.ones(DIM))


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(sorted(SENTENCES)), st.integers(0, 30)), max_size=60))
def test_never_beyond_capacity_and_never_unnamed(items):
    db = filled(capacity=12)
    for name, number in items:
        db.add(f"caption {number}", name, np.random.default_rng(number).normal(size=DIM))
    assert len(db) <= 12
    assert all(c.scenario in db.scenarios for c in db.captions)
    assert len(db.retrieve(np.ones(DIM), k=50)) == len(db)
