"""The lifelong learner as one object: watch, ask, remember, learn, promote; all of it survives a kill.

    learner = Updater.open(folder, encode, shipped)
    reading = learner.observe(moment)          # every moment
    question = learner.maybe_ask(now)          # sometimes one
    learner.answer(question.number, scene, now)
    event = learner.step(now)                  # when there is time; trains when something is due

It never touches the head in use: `step` trains a candidate, the guard judges it, and a promotion is one
rename on disk that perception picks up. What it needs to go on lies in `folder`: generations (head, novelty
gate), replay memory by scenario, captions, and a page of books. Clusters not yet answered are not kept.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lifelong_nav.core.config import override
from lifelong_nav.core.errors import CheckpointError, StorageError
from lifelong_nav.core.storage import atomic_write_json
from lifelong_nav.core.types import FloatArray
from lifelong_nav.perception.captions import long_caption
from lifelong_nav.perception.lifelong.asking import NAMED, Asking, Cluster, Moment, Question
from lifelong_nav.perception.lifelong.guard import HeadStore, Verdict, judge
from lifelong_nav.perception.lifelong.learner_parts import (
    BOOKS,
    SCHEMA,
    Configs,
    Encode,
    Event,
    Shipped,
    fit_memory_gate,
    or_nan,
    read_books,
)
from lifelong_nav.perception.lifelong.replay_memory import ReplayMemory
from lifelong_nav.perception.lifelong.samples import make_samples
from lifelong_nav.perception.lifelong.screening import Screener, screen
from lifelong_nav.perception.sc_clip.database import CaptionDatabase
from lifelong_nav.perception.sc_clip.head import ContextHead
from lifelong_nav.perception.sc_clip.novelty import Novelty, NoveltyGate
from lifelong_nav.perception.social_scene import SocialScene


class Updater:
    """State machine of the learner; use `open`. Times are handed in; nothing in here looks at a clock."""

    def __init__(
        self, folder: Path, encode: Encode, head: ContextHead, gate: NoveltyGate, captions: CaptionDatabase,
        memory: ReplayMemory, generation: int, learned: set[str], configs: Configs, seed: int,
    ) -> None:  # fmt: skip
        self.folder, self.encode, self.configs = folder, encode, configs
        self.head, self.gate, self.captions, self.memory = head, gate, captions, memory
        self.generation, self.learned = generation, learned
        self.asking = Asking(configs.ask)
        self.store = HeadStore(folder / "generations", configs.guard.keep)
        self.since_consolidation = 0
        self._seed, self._stay, self._last = seed, 0, float("-inf")
        self._recent: deque[Moment] = deque(maxlen=configs.novelty.frames - 1)
        self._reading: Novelty | None = None
        self._labelled = float("-inf")
        self._wait_for: dict[str, int] = {}
        self._events: deque[Event] = deque()
        self._unsaved = False

    @classmethod
    def open(
        cls, folder: Path, encode: Encode, shipped: Shipped, configs: Configs | None = None, seed: int = 0
    ) -> tuple[Updater, list[str]]:
        """Resume from `folder`, or start there from what is shipped.

        Returns:
            The learner, and a sentence for everything damaged that had to be left behind.
        """
        configs = configs or Configs()
        trouble: list[str] = []
        memory = ReplayMemory(configs.learner.memory, configs.learner.floor, seed=seed)
        trouble += memory.load(folder / "memory")
        side = None if shipped.held_out is None else False
        known = memory.scenarios
        for rows, held in ((shipped.samples, side), (shipped.held_out, True)):
            if rows is not None:
                memory.add(rows[~np.isin(rows.scenario, known)], held)
        store = HeadStore(folder / "generations", configs.guard.keep)
        books = read_books(folder, trouble)
        try:
            head, found, skipped = store.newest()
            trouble += skipped
            if (head.trunk, head.space) != (shipped.head.trunk, shipped.head.space):
                raise StorageError("The stored head hears another trunk or speaks in another space.", "")
            learned = set(found.meta.get("learned", ()))
            gate = NoveltyGate.load(found.folder, configs.novelty)
            number = found.number
        except StorageError as error:
            if (folder / "generations").is_dir():
                trouble.append(f"starting again from the shipped head: {error.what}")
            head, learned = shipped.head, set(shipped.samples.scenarios)
            gate = fit_memory_gate(memory, head, learned, configs, seed)
            meta = {"learned": sorted(learned), "space": head.space, "kind": "shipped"}
            number = store.promote(head, meta, gate.save)
        captions = shipped.captions
        try:
            if (folder / "captions").is_dir():
                captions = CaptionDatabase.load(folder / "captions", head.space)
        except CheckpointError as error:
            trouble.append(error.what)
        learner = cls(folder, encode, head, gate, captions, memory, number, learned, configs, seed + number)
        learner._resume(books)
        for name in memory.scenarios:  # a kill between the answer's two files must not lose the sentence
            if name not in captions.scenarios:
                memory.drop(name)
                trouble.append(f"scenario '{name}' lost its sentence and is forgotten")
        learner._unsaved = True
        learner.save()
        return learner, trouble

    def observe(self, moment: Moment) -> Novelty:
        """Take in a moment; scenes alike a named cluster are remembered under its name."""
        gap = moment.stamp - self._last
        if not 0.0 <= gap <= self.configs.novelty.max_gap:
            self._stay = int(moment.stamp * 1000.0)
            self._recent.clear()
        self._last = moment.stamp
        reading = self.gate.judge(moment.stamp, moment.image, moment.facts, self.embed(moment))
        typical = float(self.gate.model.views[reading.view].units[1]) if reading.view else 1.0
        cluster = self.asking.observe(moment, reading, list(self._recent), self._stay, typical)
        self._recent.append(moment)
        if cluster is not None:
            self._recent.clear()
            if cluster.status == NAMED:
                self._keep(cluster)
        self._reading = reading
        return reading

    def embed(self, moment: Moment) -> FloatArray | None:
        """(D,) fused embedding of a moment by the head in use, None where no voice spoke."""
        if moment.image is None and moment.facts is None:
            return None
        return self.head.embed(moment.image, moment.facts).fused[0]

    def maybe_ask(self, now: float) -> Question | None:
        """A question about the moment observed last, when one is worth asking."""
        return None if self._reading is None else self.asking.question(now, self._reading, self._stay)

    def answer(self, number: int, scene: SocialScene | None, now: float) -> None:
        """What the teacher said to a question; None when it said nothing.

        A known scenario is a false alarm and moves the gate's threshold; a new one is named at once in the
        captions (zero-shot) and its moments are remembered.
        """
        scenario = scene.scenario if scene is not None else ""
        known = scenario in self.learned
        cluster = self.asking.settle(number, scenario, known)
        if cluster is None or scene is None:
            return
        self.gate.feedback(known)
        self._name(scene, now, "teacher")
        self._keep(cluster, scene)
        self._labelled = now

    def teach(self, moments: Sequence[Moment], scenes: Sequence[SocialScene], source: str = "file") -> None:
        """Moments with their scenes from elsewhere: labels made offline, a teacher asked on every frame."""
        stays, stay, last = [], 0, float("-inf")
        for moment, scene in zip(moments, scenes, strict=True):
            if not 0.0 <= moment.stamp - last <= self.configs.novelty.max_gap:
                stay = int(moment.stamp * 1000.0)
            last = moment.stamp
            stays.append(stay)
            self._name(scene, moment.stamp, source)
        if moments:
            captions = [long_caption(s) for s in scenes]
            names = [s.scenario for s in scenes]
            self._remember(list(zip(moments, stays, strict=True)), names, captions, [1.0] * len(moments))
            self._labelled = max(self._labelled, last)

    def due(self, now: float) -> tuple[str, ...]:
        """New scenarios with enough labelled moments to be learned now."""
        if now - self._labelled < self.configs.learner.settle:
            return ()
        config, ready = self.configs.learner, []
        for name, (train, held, episodes, held_episodes) in self.memory.counts().items():
            if name in self.learned or held == 0 or train + held < self._wait_for.get(name, 0):
                continue
            if train >= config.min_moments and episodes + held_episodes >= config.min_episodes:
                ready.append(name)
        return tuple(ready)

    def step(self, now: float, keep_going: Callable[[], bool] = lambda: True) -> Event | None:
        """Do the next piece of work: tell an event, save, learn what is due, or consolidate."""
        if self._events:
            return self._events.popleft()
        self.save()
        ready = self.due(now)
        if ready:
            return self._learn(ready, keep_going)
        if self.since_consolidation >= self.configs.learner.consolidate_after:
            self.since_consolidation = 0
            return self._learn((), keep_going)
        return None

    def sentences(self) -> dict[str, FloatArray]:
        """Known scenarios with their unit vectors."""
        return dict(zip(self.captions.scenarios, self.captions.sentence_vectors, strict=True))

    def roll_back(self, number: int) -> None:
        """Put an earlier generation back in use; what it did not know is learned again once there is more.

        Raises:
            StorageError: it is gone or damaged.
        """
        self.store.roll_back(number)
        head, found, _ = self.store.newest()
        self._adopt(head, NoveltyGate.load(found.folder, self.configs.novelty), found.number)
        self.learned = set(found.meta.get("learned", ()))
        self._wait(tuple(n for n in self.memory.scenarios if n not in self.learned))
        self._unsaved = True
        self.save()

    def save(self) -> None:
        """Write what changed: memory cells, captions, books; each file atomically."""
        if not self._unsaved:
            return
        self.captions.save(self.folder / "captions")  # first: a remembered scenario needs its sentence
        self.memory.save(self.folder / "memory")
        atomic_write_json(self.folder / BOOKS, self._page())
        self._unsaved = False

    def state(self) -> dict[str, Any]:
        """What diagnostics tell: counts, rates, what is waiting."""
        asking = self.asking
        return {
            "generation": self.generation,
            "space": self.head.space,
            "scenarios": len(self.captions.scenarios),
            "learned": len(self.learned),
            "waiting": sorted(set(self.memory.scenarios) - self.learned),
            "moments": len(self.memory),
            "memory_bytes": self.memory.bytes,
            "seen": asking.seen,
            "asked": asking.asked,
            "asked_share": asking.asked / max(asking.seen, 1),
            "clusters": len(asking.clusters),
            "question_out": asking.waiting,
            "false_alarm_rate": self.gate.false_alarm_rate,
        }

    def _learn(self, new: tuple[str, ...], keep_going: Callable[[], bool]) -> Event:
        from lifelong_nav.perception.lifelong.update import update  # torch, here only

        training, held = self.memory.training(), self.memory.held_out()
        assert training is not None
        doubt = ""
        if new:
            fresh = np.isin(training.scenario, new)
            told, rest = training[fresh], training[~fresh]
            verdict = screen(told, rest, Screener(self.head.params))
            self._wait(new)
            if not verdict.accepted:
                return Event("refused", f"Not learned: {verdict.reason}.", self.generation, new)
            told, doubt = told[verdict.kept], verdict.reason
            config = self.configs.update
        else:
            told = rest = training
            config = override(self.configs.update, rank=0, rate=self.configs.update.rate / 4.0)
        result = update(
            self.head, told, rest, held, self.sentences(), config, self._seed + self.generation, keep_going,
            fresh=new,
        )  # fmt: skip
        judged = judge(self.head, result.head, held, new, self.sentences(), rest, self.configs.guard)
        if not judged.accepted or not result.share:
            why = "; ".join(judged.reasons) or result.reason
            return Event("rejected", f"Candidate rejected: {why}.", self.generation, new, result)
        return self._promote(result, judged, new, doubt)

    def _promote(self, result: Any, judged: Verdict, new: tuple[str, ...], doubt: str) -> Event:
        learned = self.learned | set(new)
        gate = fit_memory_gate(self.memory, result.head, learned, self.configs, self._seed)
        gate.resume(self.gate.state())
        meta = {
            "learned": sorted(learned), "new": list(new), "space": self.head.space,
            "parent": self.generation, "kind": "update" if new else "consolidation", "share": result.share,
            "stability_gap": result.stability_gap, "guard": judged.figures(), "screening": doubt,
            "moments": self.memory.counts(),
        }  # fmt: skip
        number = self.store.promote(result.head, meta, gate.save)
        self.learned = learned
        self._adopt(result.head, gate, number)
        self.since_consolidation += int(bool(new))
        self._unsaved = True
        self.save()
        what = f"Learned {', '.join(new)}" if new else "Consolidated"
        text = f"{what}: new {judged.gain:+.1%}, older {-judged.loss:+.1%}, {result.reason}."
        return Event("promoted" if new else "consolidated", text, number, new, result)

    def _wait(self, names: tuple[str, ...]) -> None:
        """Do not try these again before they have grown."""
        counts, more = self.memory.counts(), self.configs.learner.more
        self._wait_for |= {n: int(sum(counts[n][:2]) * more) for n in names}

    def _adopt(self, head: ContextHead, gate: NoveltyGate, number: int) -> None:
        self.head, self.gate, self.generation = head, gate, number
        self.asking.rebase(gate.model, self.embed)

    def _name(self, scene: SocialScene, now: float, source: str) -> None:
        texts = [scene.sentence, long_caption(scene)]
        vectors = self.encode(texts)
        if self.captions.name_scenario(scene.scenario, scene.sentence, vectors[0]):
            self._events.append(
                Event("named", f"New scenario: {scene.sentence}", self.generation, (scene.scenario,))
            )
        self.captions.add(texts[1], scene.scenario, vectors[1], source, now)
        self._unsaved = True

    def _keep(self, cluster: Cluster, scene: SocialScene | None = None) -> None:
        """Move a named cluster's moments into the memory; the one asked about carries the full caption."""
        rows, cluster.moments = cluster.moments, cluster.moments[-1:]
        sentence = self.captions.scenarios[cluster.scenario]
        captions, weights = [], []
        for moment, _ in rows:
            told = scene is not None and moment.stamp == self._last
            captions.append(long_caption(scene) if told and scene is not None else sentence)
            weights.append(1.0 if told else self.configs.learner.carried_weight)
        self._remember(rows, [cluster.scenario] * len(rows), captions, weights)
        self._labelled = max(self._labelled, cluster.met)

    def _remember(
        self, rows: Sequence[tuple[Moment, int]], names: list[str], captions: list[str], weights: list[float]
    ) -> None:
        image = np.stack([or_nan(m.image, self.head.image_dim) for m, _ in rows])
        facts = np.stack([or_nan(m.facts, self.head.facts_dim) for m, _ in rows])
        unique = sorted(set(captions))
        vectors = dict(zip(unique, self.encode(unique), strict=True))
        stamps = [m.stamp for m, _ in rows]
        told = make_samples(
            image, facts, np.stack([vectors[c] for c in captions]), names, [s for _, s in rows], captions,
            stamps, weights,
        )  # fmt: skip
        old = np.isin(told.scenario, sorted(self.learned))
        if old.any():  # a known scenario told anew must look like what is known of it, or it may be poison
            training = self.memory.training()
            doubtful = screen(told[old], training, Screener(self.head.params))
            keep = np.ones(len(told), dtype=bool)
            keep[old] = doubtful.kept
            told = told[keep]
        if len(told):
            self.memory.add(told)
        self._unsaved = True

    def _page(self) -> dict[str, Any]:
        return {
            "schema": SCHEMA,
            "since_consolidation": self.since_consolidation,
            "wait_for": self._wait_for,
            "labelled": self._labelled if np.isfinite(self._labelled) else None,
            "gate": self.gate.state(),
            "seen": self.asking.seen,
            "asked": self.asking.asked,
        }

    def _resume(self, books: dict[str, Any]) -> None:
        if not books:
            return
        self.since_consolidation = int(books["since_consolidation"])
        self._wait_for = {str(k): int(v) for k, v in books["wait_for"].items()}
        self._labelled = float(books["labelled"]) if books["labelled"] is not None else float("-inf")
        self.gate.resume(books["gate"])
        self.asking.seen, self.asking.asked = int(books["seen"]), int(books["asked"])
