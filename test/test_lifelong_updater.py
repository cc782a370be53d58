import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from lifelong_support import BASE, DIM, NEW, SENTENCES, SPACE, World, blank_head, encode

from lifelong_nav.core.config import override
from lifelong_nav.perception.lifelong.asking import AskConfig
from lifelong_nav.perception.lifelong.guard import embed, scenario_accuracy
from lifelong_nav.perception.lifelong.learner_parts import Configs, Shipped
from lifelong_nav.perception.lifelong.replay_memory import ReplayMemory
from lifelong_nav.perception.lifelong.update import update
from lifelong_nav.perception.lifelong.update_config import UpdateConfig
from lifelong_nav.perception.lifelong.updater import Updater
from lifelong_nav.perception.sc_clip.database import CaptionDatabase
from lifelong_nav.perception.sc_clip.novelty import NoveltyConfig
from lifelong_nav.perception.social_scene import SocialScene

WORLD = World()
VECTORS = dict(zip(SENTENCES, encode(list(SENTENCES.values())), strict=True))
CONFIGS = Configs(
    update=UpdateConfig(iterations=60, rank=8, rate=4e-3, batch_new=32, batch_replay=96, smoothing=0.8),
    ask=AskConfig(share=0.05, burst=4.0, reach=1.0),
    novelty=NoveltyConfig(frames=4, votes=3, image_dims=8, facts_dims=8, embedding_dims=6, bank=300),
)


def scene(name: str) -> SocialScene:
    return SocialScene(name, "room", "sparse", "individuals")


def shipped() -> Shipped:
    samples = WORLD.samples(BASE, range(14))
    memory = ReplayMemory()
    memory.add(samples)
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
    head = update(blank_head(train), train, None, None, {n: VECTORS[n] for n in BASE}, fit).head
    return Shipped(head, captions(), samples)


def captions() -> CaptionDatabase:
    db = CaptionDatabase(SPACE, DIM)
    for name in BASE:
        db.name_scenario(name, SENTENCES[name], VECTORS[name])
    return db


@pytest.fixture(scope="module")
def start():
    return shipped()


def fresh(start, folder, configs=CONFIGS) -> Updater:
    """A learner of its own: nothing of `start` is shared that changes."""
    learner, _ = Updater.open(folder, encode, Shipped(start.head, captions(), start.samples), configs)
    return learner


def live(learner: Updater, stays: list[tuple[str, int]], at: float = 1e6, teacher=None) -> tuple[float, int]:
    """Drive through stays; the teacher answers at once. Returns the time and how many were asked."""
    asked = 0
    for name, number in stays:
        for moment in WORLD.moments(name, number, start=at):
            learner.observe(moment)
            question = learner.maybe_ask(moment.stamp)
            if question is not None:
                asked += 1
                said = name if teacher is None else teacher(name)
                learner.answer(question.number, scene(said) if said else None, moment.stamp)
        at += 10.0
    return at, asked


def mixed(episodes: range) -> list[tuple[str, int]]:
    return [(n, 100 * e + k) for e in episodes for k, n in enumerate((*BASE, NEW))]


def test_a_new_scenario_is_asked_about_named_learned_and_promoted(start, tmp_path):
    learner = fresh(start, tmp_path)
    at, asked = live(learner, mixed(range(20, 30)))
    events = []
    while (event := learner.step(at + 10.0)) is not None:
        events.append(event)
    kinds = [e.kind for e in events]
    assert kinds[:2] == ["named", "promoted"], [e.text for e in events]
    assert learner.generation == 2
    assert NEW in learner.learned
    state = learner.state()
    assert state["asked_share"] <= 0.05
    assert 1 <= asked <= 0.05 * state["seen"] + 1
    test = WORLD.samples((*BASE, NEW), range(300, 306))
    accuracy = scenario_accuracy(learner.head, test, learner.sentences())
    before = scenario_accuracy(start.head, test, learner.sentences())
    assert accuracy[NEW] > before[NEW] + 0.3
    assert np.mean([before[n] - accuracy[n] for n in BASE]) <= 0.02
    # once learned, it is no longer new
    _, again = live(learner, [(NEW, k) for k in range(400, 406)], at + 100.0)
    assert again <= 2


def test_named_at_once_before_any_update(start, tmp_path):
    learner = fresh(start, tmp_path)
    live(learner, [(NEW, k) for k in range(20, 23)])
    assert NEW in learner.captions.scenarios
    assert learner.captions.probabilities(VECTORS[NEW])[NEW] > 0.3
    assert learner.generation == 1


def test_a_silent_teacher_costs_nothing(start, tmp_path):
    learner = fresh(start, tmp_path)
    at, asked = live(learner, mixed(range(20, 24)), teacher=lambda name: "")
    assert learner.step(at + 100.0) is None
    assert learner.state()["waiting"] == []
    assert asked <= 0.05 * learner.state()["seen"] + 1


def test_false_alarms_are_counted_and_move_the_threshold(start, tmp_path):
    learner = fresh(start, tmp_path)
    level = learner.gate.level
    live(learner, [(NEW, k) for k in range(20, 32)], teacher=lambda name: "queue")
    assert learner.gate.refuted >= 1
    assert learner.gate.false_alarm_rate > 0.02
    assert learner.gate.level < level


def test_a_known_name_for_what_does_not_look_like_it_is_not_believed(start, tmp_path):
    """Lies about a few scenes that lie near other known ones leave the memory as it was."""
    learner = fresh(start, tmp_path)
    before = learner.memory.counts()["queue"]
    for number in range(700, 704):
        moments = WORLD.moments("crowd", number)
        learner.teach(moments, [scene("queue")] * len(moments))
    assert learner.memory.counts()["queue"] == before


def test_no_camera_and_no_facts(start, tmp_path):
    from lifelong_nav.perception.lifelong.asking import Moment

    learner = fresh(start, tmp_path)
    one = WORLD.moments("queue", 900)[0]
    assert learner.observe(Moment(1.0, None, one.facts)).view == "facts"
    assert learner.observe(Moment(1.5, one.image, None)).view == "image"
    unknown = learner.observe(Moment(2.0, None, None))
    assert np.isnan(unknown.novelty)
    assert not unknown.novel
    assert learner.maybe_ask(2.0) is None


def test_taught_offline_without_a_teacher(start, tmp_path):
    learner = fresh(start, tmp_path)
    at = 2e6
    for number in range(20, 30):
        moments = WORLD.moments(NEW, number, start=at)
        learner.teach(moments, [scene(NEW)] * len(moments))
        at += 20.0
    kinds = [e.kind for e in iter(lambda: learner.step(at + 10.0), None)]
    assert "promoted" in kinds


def test_resumes_where_it_was(start, tmp_path):
    learner = fresh(start, tmp_path)
    at, _ = live(learner, mixed(range(20, 30)))
    learner.step(at)
    learner.save()
    again = fresh(start, tmp_path)
    assert again.memory.counts() == learner.memory.counts()
    assert again.captions.scenarios == learner.captions.scenarios
    assert again.state()["asked"] == learner.state()["asked"]
    kinds = [e.kind for e in iter(lambda: again.step(at + 10.0), None)]
    assert kinds[-1] == "promoted"
    third = fresh(start, tmp_path)
    assert third.generation == 2
    assert NEW in third.learned
    assert third.gate.model.scenarios == again.gate.model.scenarios


def test_damage_falls_back_and_is_told(start, tmp_path):
    learner = fresh(start, tmp_path)
    at, _ = live(learner, mixed(range(20, 30)))
    while learner.step(at + 10.0):
        pass
    (tmp_path / "generations" / "000002" / "head.safetensors").write_bytes(b"gone")
    (tmp_path / "learner.json").write_text("{")
    back, trouble = Updater.open(tmp_path, encode, Shipped(start.head, captions(), start.samples), CONFIGS)
    assert back.generation == 1
    assert len(trouble) == 2
    assert NEW not in back.learned
    assert NEW in back.memory.scenarios  # what was labelled is not lost, and is learned again


def test_rolls_back(start, tmp_path):
    learner = fresh(start, tmp_path)
    at, _ = live(learner, mixed(range(20, 30)))
    while learner.step(at + 10.0):
        pass
    learner.roll_back(1)
    assert learner.generation == 1
    np.testing.assert_array_equal(learner.head.params["facts.w1"], start.head.params["facts.w1"])
    assert fresh(start, tmp_path).generation == 1


_CHILD = """
import sys
from pathlib import Path
from test_lifelong_updater import *
start = shipped()
learner = fresh(start, Path(sys.argv[1]))
print("ready", flush=True)
at = 1e6
for e in range(20, 2000):
    at, _ = live(learner, [(NEW, e), ("queue", e)], at)
    learner.step(at + 10.0)
    learner.save()
"""


def test_killed_at_any_moment_it_resumes(start, tmp_path):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])}
    generation = 0
    for wait in (0.2, 1.5):
        child = subprocess.Popen(
            [sys.executable, "-c", _CHILD, str(tmp_path)], stdout=subprocess.PIPE, env=environment
        )
        assert child.stdout is not None
        assert child.stdout.readline().strip() == b"ready"
        time.sleep(wait)
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
        back, trouble = Updater.open(
            tmp_path, encode, Shipped(start.head, captions(), start.samples), CONFIGS
        )
        assert trouble == []
        assert back.generation >= max(generation, 1)
        generation = back.generation
        assert set(BASE) <= set(back.memory.scenarios)


def test_consumers_of_the_embedding_are_shielded(start, tmp_path):
    """A ridge regressor trained on generation k still tells the action on generation k + 6."""
    world = World(seed=0)
    names = (*BASE, NEW)
    memory = ReplayMemory()
    memory.add(start.samples)
    head, held, replay = start.head, memory.held_out(), memory.training()
    test = world.samples(BASE, range(500, 512))
    onehot = np.eye(len(BASE))
    label = [BASE.index(str(s)) for s in replay.scenario]
    x = embed(head, replay)
    ridge = np.linalg.solve(x.T @ x + 0.1 * np.eye(DIM), x.T @ onehot[label])

    def told(h) -> float:
        found = (embed(h, test) @ ridge).argmax(axis=1)
        return float(np.mean([BASE[i] == s for i, s in zip(found, test.scenario, strict=True)]))

    first, config = told(head), override(CONFIGS.update, iterations=30)
    for k in range(6):
        new = world.samples((NEW,), range(600 + 5 * k, 605 + 5 * k))
        head = update(head, new, replay, held, {n: VECTORS[n] for n in names}, config, seed=k).head
    assert head.space == start.head.space
    assert first > 0.9
    assert told(head) >= first - 0.02
