"""Streams of new scenario families for the lifelong benchmark: what is driven past, and who learns."""

from __future__ import annotations

import dataclasses
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lifelong_nav.core.types import FloatArray
from lifelong_nav.perception.captions import scene_from_dict
from lifelong_nav.perception.lifelong.asking import Moment
from lifelong_nav.perception.lifelong.learner_parts import Configs, Encode, Shipped
from lifelong_nav.perception.lifelong.samples import Samples, make_samples
from lifelong_nav.perception.lifelong.update import UpdateResult
from lifelong_nav.perception.lifelong.updater import Updater
from lifelong_nav.perception.sc_clip.database import CaptionDatabase
from lifelong_nav.perception.sc_clip.fit import FitConfig, FitData, fit_head
from lifelong_nav.perception.sc_clip.head import ContextHead
from lifelong_nav.perception.sc_clip.novelty import NoveltyGate
from lifelong_nav.perception.social_scene import SCENARIOS, SocialScene
from lifelong_nav.training.sc_clip_data import SceneSet

NEW = (
    "queue", "narrow_doorway", "exiting_elevator", "robot_crowding", "photo_session", "perpendicular_traffic",
)  # fmt: skip
"""Families that the base head never sees, chosen before any result was looked at: six places and crowds."""
RESERVED = 5
"""Every so many-th training episode of a known family is kept from the base head and driven past instead."""
Score = Callable[[ContextHead], dict[str, float]]
"""Held-out accuracy of a head by scenario."""
GAP = 30.0
"""Time [s] between two episodes of a stream."""


@dataclass(frozen=True)
class Field:
    """All pictures of one benchmark run as vectors, with what one seed makes of them.

    `name` (N,) scenario, `stay` (N,) episode number, `part` (N,) "fit", "drive", "val" or "test".
    """

    scenes: SceneSet
    name: NDArray[np.str_]
    stay: NDArray[np.int64]
    time: FloatArray
    part: NDArray[np.str_]
    sentences: dict[str, FloatArray]
    encode: Encode

    def samples(self, rows: NDArray[Any]) -> Samples:
        """Rows as labelled moments with their long captions."""
        s = self.scenes
        return make_samples(
            s.features[rows], s.facts[rows], s.long[rows], self.name[rows], self.stay[rows],
            None, self.stay[rows] * 1000.0 + self.time[rows],
        )  # fmt: skip

    def test(self, names: tuple[str, ...]) -> Samples:
        """Held-out pictures of some families."""
        return self.samples(np.flatnonzero((self.part == "test") & np.isin(self.name, names)))

    @property
    def known(self) -> tuple[str, ...]:
        """Families the base head is trained on."""
        return tuple(n for n in self.sentences if n not in NEW and (self.name == n).any())

    def episodes(self, names: tuple[str, ...], part: str) -> list[NDArray[np.intp]]:
        """Rows of every episode of some families, in order of time."""
        wanted = (self.part == part) & np.isin(self.name, names)
        out = [np.flatnonzero(wanted & (self.stay == e)) for e in np.unique(self.stay[wanted])]
        return [rows[np.argsort(self.time[rows], kind="stable")] for rows in out]

    def scene(self, row: int) -> SocialScene:
        """What the privileged teacher says of a picture."""
        return scene_from_dict(self.scenes.records[row]["scene"])


@dataclass
class Trace:
    """What one way of learning did over a stream of families, one entry per family.

    `accuracy` scenario to held-out accuracy before the first and after every update; `asked` questions and
    `seen` moments in all; `seconds` of CPU per update; `results` the updates; `events` what happened.
    """

    accuracy: list[dict[str, float]] = field(default_factory=list)
    asked: int = 0
    seen: int = 0
    seconds: list[float] = field(default_factory=list)
    results: list[UpdateResult] = field(default_factory=list)
    events: list[str] = field(default_factory=list)
    gates: list[NoveltyGate] = field(default_factory=list)
    heads: list[ContextHead] = field(default_factory=list)
    carried: list[float] = field(default_factory=list)


def make_field(scenes: SceneSet, encode: Encode) -> Field:
    """Sort a dataset into what the base head is fitted on, what is driven past, and what is held out."""
    records = scenes.records
    name = np.array([r["scene"]["scenario"] for r in records], dtype=np.str_)
    places = {e: i for i, e in enumerate(dict.fromkeys(r["episode"] for r in records))}
    stay = np.array([places[r["episode"]] for r in records], dtype=np.int64)
    split = np.array([r["split"] for r in records], dtype=np.str_)
    family = np.array([r["source"] == "scenario" for r in records])
    part = np.where(split == "train", "fit", split).astype("U8")
    for scenario in np.unique(name):
        rows = (split == "train") & (name == scenario) & family
        stays = np.unique(stay[rows])
        driven = stays if scenario in NEW else stays[::RESERVED]
        part[rows & np.isin(stay, driven)] = "drive"
    part[~family & (np.isin(name, NEW) | (split != "train"))] = "unused"
    vectors = encode(list(SCENARIOS.values()))
    times = np.array([float(r["time"]) for r in records])
    return Field(scenes, name, stay, times, part, dict(zip(SCENARIOS, vectors, strict=True)), encode)


def base_head(
    field_: Field, trunk: str, space: str, skip_start: int, seed: int, config: FitConfig
) -> ContextHead:
    """A head that never met the new families, nor their sentences."""
    rows = np.flatnonzero((field_.part == "fit") & ~np.isin(field_.name, NEW))
    data = field_.scenes.rows(rows).fit_data()
    known = [i for i, n in enumerate(field_.scenes.prompts["scenario"].words) if n not in NEW]
    place = np.full(len(field_.scenes.prompts["scenario"].words) + 1, -1)
    place[known] = np.arange(len(known))
    data = dataclasses.replace(
        data,
        prompts={**data.prompts, "scenario": data.prompts["scenario"][known]},
        labels={**data.labels, "scenario": place[data.labels["scenario"]]},
    )
    return fit_head(data, config, trunk=trunk, space=space, skip_start=skip_start, seed=seed)


def shipped(field_: Field, head: ContextHead) -> Shipped:
    """The base head with its captions and memory; held-out moments are of the validation split."""
    captions = CaptionDatabase(head.space, head.dim)
    for name in field_.known:
        captions.name_scenario(name, SCENARIOS[name], field_.sentences[name])
    known = np.isin(field_.name, field_.known)
    sides = [np.flatnonzero((field_.part == part) & known) for part in ("fit", "val")]
    return Shipped(head, captions, field_.samples(sides[0]), field_.samples(sides[1]))


def stream_rows(field_: Field, family: str, rng: np.random.Generator) -> list[NDArray[np.intp]]:
    """Episodes of a new family among those of known ones, in random order."""
    stays = [*field_.episodes((family,), "drive"), *field_.episodes(field_.known, "drive")]
    return [stays[i] for i in rng.permutation(len(stays))]


def moment(field_: Field, row: int, stamp: float) -> Moment:
    """One picture as the robot perceives it."""
    return Moment(stamp, field_.scenes.features[row], field_.scenes.facts[row])


def learn_ours(
    field_: Field, start: Shipped, order: tuple[str, ...], seed: int, score: Score,
    configs: Configs, everything: bool = False, lies: float = 0.0,
) -> Trace:  # fmt: skip
    """The learner as the robot runs it: gate, questions, carried labels, update, guard.

    Args:
        field_: data.
        start: base head, captions, memory; captions are copied.
        order: families, one stream each.
        seed: of streams and updates.
        score: accuracy per scenario of a head.
        configs: of the learner.
        everything: ask on every frame instead.
        lies: share of the answers that name another scenario.
    """
    rng, trace = np.random.default_rng([seed, 5]), Trace()
    with tempfile.TemporaryDirectory() as folder:
        captions = CaptionDatabase(start.captions.space, start.captions.dim)
        for name, sentence in start.captions.scenarios.items():
            captions.name_scenario(name, sentence, field_.sentences[name])
        own = dataclasses.replace(start, captions=captions)
        learner, _ = Updater.open(Path(folder), field_.encode, own, configs, seed)
        trace.accuracy.append(score(learner.head))
        trace.heads.append(learner.head)
        at = 1e6
        for k, family in enumerate(order):
            trace.gates.append(learner.gate)
            told: list[tuple[Moment, SocialScene]] = []
            for rows in stream_rows(field_, family, rng):
                stamps = at + field_.time[rows] - field_.time[rows[0]]
                moments = [moment(field_, r, float(t)) for r, t in zip(rows, stamps, strict=True)]
                if not everything:
                    _drive(field_, learner, moments, rows, rng, lies)
                elif k == 0 or field_.name[rows[0]] == family:  # known episodes come again: told once
                    told += zip(moments, [field_.scene(r) for r in rows], strict=True)
                trace.seen += len(rows)
                at = float(stamps[-1]) + GAP
            if told:
                learner.teach([m for m, _ in told], [s for _, s in told], "every frame")
            at += 600.0
            mine = learner.memory.counts().get(family)
            before = time.process_time()
            event = learner.step(at)
            while event is not None and event.kind == "named":
                event = learner.step(at)
            trace.seconds.append(time.process_time() - before)
            while event is not None:
                trace.events.append(f"{family}: {event.text} ({mine} kept)")
                if isinstance(event.result, UpdateResult):
                    trace.results.append(event.result)
                event = learner.step(at)
            trace.accuracy.append(score(learner.head))
            trace.heads.append(learner.head)
            trace.carried.append(_purity(field_, learner, family))
        trace.asked = trace.seen if everything else learner.asking.asked
    return trace


def learn_olivia(
    field_: Field, head: ContextHead, order: tuple[str, ...], seed: int,
    score: Score, config: FitConfig,
) -> Trace:  # fmt: skip
    """Fine-tuning as in OLiVia-Nav: teacher on every frame, no replay, symmetric loss, all weights."""
    rng, trace = np.random.default_rng([seed, 5]), Trace(accuracy=[score(head)], heads=[head])
    for family in order:
        rows = np.concatenate(stream_rows(field_, family, rng))
        s = field_.scenes
        data = FitData(s.features[rows], s.facts[rows], s.long[rows], s.short[rows])
        before = time.process_time()
        head = fit_head(data, config, init=head, seed=seed)
        trace.seconds.append(time.process_time() - before)
        trace.asked += len(rows)
        trace.seen += len(rows)
        trace.accuracy.append(score(head))
        trace.heads.append(head)
    return trace


def _drive(
    field_: Field, learner: Updater, moments: list[Moment], rows: NDArray[np.intp], rng: np.random.Generator,
    lies: float,
) -> None:  # fmt: skip
    for one, row in zip(moments, rows, strict=True):
        learner.observe(one)
        question = learner.maybe_ask(one.stamp)
        if question is not None:
            said = field_.scene(row)
            if rng.random() < lies:
                other = str(rng.choice([n for n in SCENARIOS if n != said.scenario]))
                said = dataclasses.replace(said, scenario=other)
            learner.answer(question.number, said, one.stamp)


def _purity(field_: Field, learner: Updater, family: str) -> float:
    """Share of the moments remembered as `family` that truly are; told by their features."""
    parts = [s.of(family) for s in (learner.memory.training(), learner.memory.held_out()) if s is not None]
    rows = np.concatenate([p.facts for p in parts]) if parts else np.zeros((0, 0))
    if not len(rows):
        return float("nan")
    drive = np.flatnonzero(field_.part == "drive")
    truth = {field_.scenes.facts[r].astype(np.float16).tobytes(): field_.name[r] for r in drive}
    return float(np.mean([truth.get(r.tobytes(), family) == family for r in rows]))
