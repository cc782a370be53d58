"""Captions of scenes, and scenes from JSON: strict, whole, told apart."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifelong_nav.core.errors import InputError
from lifelong_nav.perception import captions
from lifelong_nav.perception.social_scene import (
    ACTIONS,
    DENSITIES,
    ENVIRONMENTS,
    GROUPINGS,
    KINDS,
    MAX_ENTITIES,
    MOTIONS,
    SCENARIOS,
    SIDES,
    Entity,
    SocialScene,
    side_of,
)

ENTITIES = st.builds(
    Entity,
    st.sampled_from(KINDS), st.sampled_from(SIDES), st.floats(0.0, 99.9), st.sampled_from(MOTIONS),
    st.integers(1, 99),
)  # fmt: skip
SENTENCES = st.text(
    st.characters(min_codepoint=33, max_codepoint=0x17F, categories=("L", "N", "P")), min_size=1
)


@st.composite
def scenes(draw):
    known = draw(st.booleans())
    name = draw(
        st.sampled_from(list(SCENARIOS)) if known else st.from_regex(r"[a-z][a-z0-9_]{1,30}", fullmatch=True)
    )
    return SocialScene(
        name, draw(st.sampled_from(list(ENVIRONMENTS))), draw(st.sampled_from(list(DENSITIES))),
        draw(st.sampled_from(list(GROUPINGS))), tuple(draw(st.lists(ENTITIES, max_size=MAX_ENTITIES))),
        draw(st.sampled_from(list(ACTIONS))), "" if name in SCENARIOS else draw(SENTENCES)[:200],
    )  # fmt: skip


@given(scenes())
def test_every_scene_survives_dict_and_json(scene):
    assert captions.scene_from_dict(captions.scene_to_dict(scene)) == scene
    assert captions.scene_from_json(json.dumps(captions.scene_to_dict(scene))) == scene


@given(scenes(), st.integers(0, 2**32 - 1))
def test_captions_are_whole_sentences_and_repeat(scene, seed):
    for make in (captions.short_caption, captions.long_caption):
        text = make(scene)
        assert make(scene) == text
        assert text.strip() == text
        assert text.endswith((".", "!", "?"))
        varied = make(scene, np.random.default_rng(seed))
        assert varied == make(scene, np.random.default_rng(seed))
        assert ENVIRONMENTS[scene.environment] in varied
        assert DENSITIES[scene.density] in varied
    assert ACTIONS[scene.action] in captions.long_caption(scene, np.random.default_rng(seed))
    assert set(captions.attribute_sentences(scene)) == set(captions.ATTRIBUTES)


@given(scenes(), scenes())
def test_different_scenes_have_different_long_captions(a, b):
    told = [
        (s.sentence.rstrip(".!? "), s.environment, s.density, s.grouping, s.action, _said(s.entities))
        for s in (a, b)
    ]
    assert (captions.long_caption(a) == captions.long_caption(b)) == (told[0] == told[1])


def _said(entities):
    return [captions.entity_phrase(e) for e in entities]


def test_every_word_of_every_attribute_has_a_sentence_of_its_own():
    scene = SocialScene("free_passage", "hall", "empty", "nobody")
    words = {"environment": ENVIRONMENTS, "density": DENSITIES, "grouping": GROUPINGS, "action": ACTIONS}
    prompts = captions.attribute_prompts()
    for name, known in words.items():
        sentences = {w: captions.attribute_sentences(replace(scene, **{name: w}))[name] for w in known}
        assert sentences == prompts[name]
        assert len(set(sentences.values())) == len(known)
    assert prompts["scenario"] == SCENARIOS
    assert len({captions.short_caption(replace(scene, scenario=s)) for s in SCENARIOS}) == len(SCENARIOS)
    every = [t for group in prompts.values() for t in group.values()]
    assert len(set(every)) == len(every)


def test_a_long_caption_reads_like_this():
    scene = SocialScene(
        "narrow_doorway", "doorway", "sparse", "individuals",
        (Entity("person", "ahead", 2.14, "approaching"), Entity("group", "left", 3.0, "standing", 3),
         Entity("door", "ahead", 1.5)), "yield",
    )  # fmt: skip
    assert captions.long_caption(scene) == (
        "A person and the robot both want through the same door frame. The robot is in a doorway and one "
        "or two people are about. Everybody is on their own. A person approaches straight ahead at 2.1 m; "
        "three people in a group stand on the left at 3.0 m; a door is straight ahead at 1.5 m. The "
        "robot should stop and let the people go first."
    )


@pytest.mark.parametrize(
    "change",
    [
        {"scenario": "Bad Name"}, {"scenario": ""}, {"scenario": None}, {"scenario": "new_thing"},
        {"environment": "moon"}, {"environment": ["hall"]}, {"density": 3}, {"grouping": ""},
        {"action": "fly"},
        {"entities": None}, {"entities": "[]"}, {"entities": {}}, {"entities": [None]}, {"entities": [[]]},
        {"entities": [{}]}, {"extra": 1}, {"description": 5}, {"description": "two\nlines"},
        {"description": "x" * 201}, {"entities": [{"kind": "person", "side": "up", "distance": 1.0}]},
    ],
)  # fmt: skip
def test_wrong_fields_are_refused(change):
    good = captions.scene_to_dict(SocialScene("queue", "hall", "empty", "queue"))
    with pytest.raises(InputError):
        captions.scene_from_dict(good | change)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -1.0, 100.0, 10**400, "2", True, None, [1]])
@pytest.mark.parametrize("field", ["distance", "count"])
def test_impossible_numbers_are_refused(field, value):
    row = {"kind": "person", "side": "left", "distance": 1.0, "count": 1, field: value}
    good = captions.scene_to_dict(SocialScene("queue", "hall", "empty", "queue"))
    with pytest.raises(InputError):
        captions.scene_from_dict(good | {"entities": [row]})


@given(st.text(max_size=200) | st.binary(max_size=100).map(repr) | st.floats().map(str))
def test_any_text_gives_a_scene_or_an_input_error(text):
    with pytest.raises(InputError):
        captions.scene_from_json(text)


@pytest.mark.parametrize(
    "text", ["[" * 15000, "9" * 19000, " " * 30000, '{"a":1,"a":1}', "NaN", "null", "[]", "{}"]
)
def test_nasty_texts_are_refused(text):
    with pytest.raises(InputError):
        captions.scene_from_json(text)


def test_the_schema_names_every_field_and_nothing_else():
    schema = captions.json_schema()
    row = captions.scene_to_dict(
        SocialScene("queue", "hall", "empty", "queue", (Entity("person", "left", 1.0),))
    )
    assert set(schema["properties"]) == set(schema["required"]) == set(row)
    entity = schema["properties"]["entities"]["items"]
    assert set(entity["properties"]) == set(entity["required"]) == set(row["entities"][0])
    assert schema["additionalProperties"] is entity["additionalProperties"] is False
    assert schema["properties"]["action"]["enum"] == list(ACTIONS)
    json.dumps(schema)


def test_the_robot_speaks_as_sure_as_it_is():
    one, two = SCENARIOS["queue"], SCENARIOS["crowd"]
    said = [captions.spoken(one, p, two) for p in (0.9, 0.5, 0.2)]
    assert said[0] == "I see this: a queue of waiting customers stands in line at a counter."
    assert said[1].startswith("It looks as if a queue")
    assert "perhaps" in said[2]
    assert "crowd" in said[2]
    assert "new to me" in captions.spoken(one, 0.9, novel=True)
    for nothing in (("", 0.9), (one, float("nan"))):
        assert captions.spoken(*nothing) == "I cannot tell what is going on."


@given(st.floats(-np.pi, np.pi))
def test_sides_cover_every_bearing_and_mirror(bearing):
    side, other = side_of(bearing), side_of(-bearing)
    swapped = {"left": "right", "right": "left", "ahead_left": "ahead_right", "ahead_right": "ahead_left"}
    assert side in SIDES
    if bearing != 0.0:
        assert other == swapped.get(side, side)
