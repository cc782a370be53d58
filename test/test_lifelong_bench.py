import numpy as np
import pytest

from lifelong_nav.evaluation.lifelong_bench import auroc, tell_apart
from lifelong_nav.evaluation.lifelong_stream import NEW, make_field, shipped, stream_rows
from lifelong_nav.perception.sc_clip.attributes import Prompts
from lifelong_nav.perception.sc_clip.head import ContextHead
from lifelong_nav.perception.sc_clip.novelty import NoveltyConfig, fit_gate
from lifelong_nav.perception.scene_json import scene_to_dict
from lifelong_nav.perception.social_scene import SCENARIOS, SocialScene
from lifelong_nav.training.sc_clip_data import SceneSet

D, F = 12, 20
FAMILIES = (*NEW, "crowd", "following", "free_passage")


def encode(texts):
    rows = [np.random.default_rng(sum(map(ord, t))).normal(size=D) for t in texts]
    return np.array([r / np.linalg.norm(r) for r in rows], dtype=np.float32)


@pytest.fixture(scope="module")
def scenes() -> SceneSet:
    rng, records, features, facts = np.random.default_rng(0), [], [], []
    centre = {n: 3.0 * rng.normal(size=F) for n in FAMILIES}
    for split, episodes in (("train", 10), ("val", 4), ("test", 4)):
        for name in FAMILIES:
            scene = scene_to_dict(SocialScene(name, "hall", "sparse", "individuals"))
            for e in range(episodes):
                for k in range(5):
                    records.append(
                        {"scene": scene, "episode": f"{split}-{name}-{e}", "split": split, "time": 0.5 * k,
                         "source": "scenario", "family": name, "combo": "hall/sparse/individuals"}
                    )  # fmt: skip
                    features.append(centre[name] + rng.normal(size=F))
                    facts.append(np.tile(encode([SCENARIOS[name]])[0], 3) + 0.1 * rng.normal(size=3 * D))
    long = encode([SCENARIOS[r["family"]] for r in records])
    words = tuple(SCENARIOS)
    prompts = {"scenario": Prompts("scenario", words, encode(list(SCENARIOS.values())))}
    labels = {"scenario": prompts["scenario"].labels(r["family"] for r in records)}
    to32 = np.float32
    return SceneSet(
        tuple(records), np.array(features, to32), np.array(facts, to32), long, long, labels, prompts
    )


def head() -> ContextHead:
    params = {}
    for voice, width in (("image", F), ("facts", 3 * D)):
        params |= {
            f"{voice}.mean": np.zeros(width), f"{voice}.scale": np.ones(width),
            f"{voice}.w1": np.zeros((4, width)), f"{voice}.b1": np.zeros(4),
            f"{voice}.w2": np.zeros((D, 4)), f"{voice}.b2": np.zeros(D),
            f"{voice}.skip": np.full(1 if voice == "image" else 3, 1.0 / 3.0),
        }  # fmt: skip
    return ContextHead({k: v.astype(np.float32) for k, v in params.items()}, "t", "s")


def test_the_base_never_sees_new_families_nor_what_is_driven_past(scenes):
    data = make_field(scenes, encode)
    fit = data.part == "fit"
    assert not np.isin(data.name[fit], NEW).any()
    assert set(data.known) == set(FAMILIES) - set(NEW)
    parts = {p: set(data.stay[data.part == p].tolist()) for p in ("fit", "drive", "val", "test")}
    for one, other in (("fit", "drive"), ("fit", "val"), ("fit", "test"), ("drive", "test")):
        assert not parts[one] & parts[other]
    assert len(data.episodes(data.known, "drive")) == 3 * 2
    start = shipped(data, head())
    assert not set(start.samples.scenario) & set(NEW)
    assert set(start.held_out.scenario) == set(data.known)


def test_a_stream_brings_every_episode_once_in_order_of_time(scenes):
    data = make_field(scenes, encode)
    stays = stream_rows(data, "queue", np.random.default_rng(0))
    assert len(stays) == 10 + 6
    rows = np.concatenate(stays)
    assert len(set(rows.tolist())) == len(rows)
    assert all((np.diff(data.time[r]) > 0).all() for r in stays)
    assert set(data.name[rows]) == {"queue", *data.known}


def test_novelty_of_a_far_family_is_seen(scenes):
    data, h = make_field(scenes, encode), head()
    rows = np.flatnonzero(np.isin(data.part, ("fit", "val")) & np.isin(data.name, data.known))
    gate = fit_gate(
        scenes.features[rows], scenes.facts[rows], lambda x, y: h.embed(x, y).fused, data.name[rows],
        data.stay[rows], data.part[rows] == "val",
        NoveltyConfig(image_dims=6, facts_dims=6, embedding_dims=4, bank=200),
    )  # fmt: skip
    found = tell_apart(data, gate, h, "queue", ())
    assert found.window_auroc > 0.95
    assert found.found > 0.8
    assert found.false_alarms < 0.3


def test_auroc():
    assert auroc(np.array([1.0, 2.0]), np.array([3.0, 4.0])) == 1.0
    assert auroc(np.array([3.0, 4.0]), np.array([1.0, 2.0])) == 0.0
    assert auroc(np.array([1.0, 1.0]), np.array([1.0, 1.0])) == 0.5
