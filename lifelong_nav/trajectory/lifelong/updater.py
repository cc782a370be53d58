"""The learner of trajectories as one object: watch, remember, learn, promote; all of it survives a kill.

    learner, trouble = TrajectoryUpdater.open(folder, models / "trajectories")
    learner.observe(situation, demonstrating)   # at 5 Hz or more while somebody may be demonstrating
    event = learner.step(now)                   # when there is time; trains when enough was shown
    newest_heads(folder)                        # what the planner loads, None for the shipped heads

It never touches the heads in use: `step` trains candidate k + 1, the guard judges it on moments that were
never trained on, a promotion is one atomic write (core.generations) that the planner picks up.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lifelong_nav.core import generations
from lifelong_nav.core.checkpoints import load_checkpoint
from lifelong_nav.core.errors import StorageError
from lifelong_nav.core.storage import atomic_write_json, read_json
from lifelong_nav.trajectory.generator.heads import Heads
from lifelong_nav.trajectory.generator.moments import Moments, from_tensors, join
from lifelong_nav.trajectory.generator.network import HEADS, TRUNK
from lifelong_nav.trajectory.generator.trunk import Trunk
from lifelong_nav.trajectory.lifelong.config import Configs
from lifelong_nav.trajectory.lifelong.guard import Known, figures, judge, strangers
from lifelong_nav.trajectory.lifelong.recorder import DemonstrationRecorder
from lifelong_nav.trajectory.lifelong.store import DemonstrationStore
from lifelong_nav.trajectory.situation import Situation

SCHEMA = 1
BOOKS, GENERATIONS, DEMONSTRATIONS = "learner.json", "generations", "demonstrations"
MEMORY = "memory"
REPLAY, HELD = "replay.safetensors", "held_out.safetensors"
"""What ships below models/trajectories/memory: moments to replay, and to judge by."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something to tell: `kind` is promoted, rejected or refused; `text` a sentence."""

    kind: str
    text: str
    generation: int


class TrajectoryUpdater:
    """State machine of the learner; use `open`. Times are handed in; nothing in here looks at a clock."""

    def __init__(
        self, folder: Path, trunk: Trunk, heads: Heads, generation: int, replay: Known | None,
        held: Known | None, store: DemonstrationStore, configs: Configs, seed: int,
    ) -> None:  # fmt: skip
        self.folder, self.trunk, self.configs = folder, trunk, configs
        self.heads, self.generation = heads, generation
        self.store = store
        self.recorder = DemonstrationRecorder(trunk.space, configs.recorder)
        self.new = 0
        """Demonstrated moments since the last try to learn."""
        self._replay, self._held, self._seed = replay, held, seed
        self._wait_for, self._observed = 0, float("-inf")
        self._saved, self._unsaved = float("-inf"), False
        self._events: deque[Event] = deque()

    @classmethod
    def open(
        cls, folder: Path, models: Path, configs: Configs | None = None, seed: int = 0
    ) -> tuple[TrajectoryUpdater, list[str]]:
        """Resume from `folder`, or start there from what is shipped.

        Args:
            folder: of this learner alone.
            models: models/trajectories.
            configs: parameters.
            seed: of updates.

        Returns:
            The learner, and a sentence for everything damaged that had to be left behind.

        Raises:
            StorageError: the shipped model itself is missing or damaged.
        """
        configs = configs or Configs()
        trunk = Trunk.load(models / TRUNK)
        trouble: list[str] = []
        store = DemonstrationStore(folder / DEMONSTRATIONS, configs.learner.budget)
        trouble += store.load()
        root = folder / GENERATIONS
        try:
            found, skipped = generations.load_newest(root, lambda g: (Heads.load(g.folder, trunk.version), g))
            heads, number = found[0], found[1].number
            trouble += skipped
        except StorageError as error:
            if root.is_dir():
                trouble.append(f"starting again from the shipped heads: {error.what}")
            heads = Heads.load(models / HEADS, trunk.version)
            number = _promote(root, heads, {"kind": "shipped"}, configs.guard.keep)
        replay, held = (_memory(models / MEMORY / name, trunk, trouble) for name in (REPLAY, HELD))
        learner = cls(folder, trunk, heads, number, replay, held, store, configs, seed)
        learner._resume(trouble)
        return learner, trouble

    def observe(self, situation: Situation, demonstrating: bool, localised: bool = True) -> None:
        """Take in the situation as it is now; see `DemonstrationRecorder.observe`."""
        if demonstrating:
            self._observed = situation.stamp
        self.remember(self.recorder.observe(situation, demonstrating, localised))

    def remember(self, moments: list[Moments]) -> int:
        """Add demonstrated moments (also from bags); returns how many were new."""
        if not moments:
            return 0
        told = join(moments)
        added = self.store.add(told)
        if added:
            self.new += added
            self._unsaved = True
        return added

    def due(self, now: float) -> bool:
        """Is there enough new to learn from, and has it been quiet for a while?"""
        c = self.configs.learner
        held = self.store.held_out()
        quiet = not self.recorder.active or now - self._observed >= c.settle
        enough = self.new >= c.min_moments and len(self.store) >= self._wait_for
        return quiet and enough and held is not None and len(held) >= c.min_held

    def step(self, now: float, keep_going: Callable[[], bool] = lambda: True) -> Event | None:
        """Do the next piece of work: tell an event, save, or learn.

        Args:
            now: [s], of the situations' clock.
            keep_going: asked between steps of a training; False ends it early and safely.
        """
        if self._events:
            return self._events.popleft()
        if self._unsaved and not 0.0 <= now - self._saved < self.configs.learner.save_every:
            self.save()
            self._saved = now
        if self.due(now):
            self.save()
            return self._learn(keep_going)
        return None

    def save(self) -> None:
        """Write what changed, each file atomically."""
        if not self._unsaved:
            return
        self.store.save()
        page = {"schema": SCHEMA, "new": self.new, "wait_for": self._wait_for}
        atomic_write_json(self.folder / BOOKS, page)
        self._unsaved = False

    def close(self) -> None:
        """End the demonstration in progress and write everything."""
        self.remember(self.recorder.finish())
        self.save()

    def roll_back(self, number: int) -> None:
        """Put an earlier generation back in use; learning waits until there is more to learn from.

        Raises:
            StorageError: it is gone or damaged.
        """
        root = self.folder / GENERATIONS
        generations.promote(root, number)
        found, _ = generations.load_newest(root, lambda g: (Heads.load(g.folder, self.trunk.version), g))
        self.heads, self.generation = found[0], found[1].number
        self._wait()
        self.save()

    def state(self) -> dict[str, Any]:
        """What diagnostics tell."""
        held = self.store.held_out()
        return {
            "generation": self.generation,
            "demonstrated": len(self.store),
            "held_out": 0 if held is None else len(held),
            "new": self.new,
            "recording": self.recorder.active,
            "refused": dict(self.recorder.refused.counts),
            "waiting_for": max(self._wait_for - len(self.store), 0),
        }

    def _learn(self, keep_going: Callable[[], bool]) -> Event:
        from lifelong_nav.trajectory.lifelong.update import update  # torch, here only

        c = self.configs
        training, held = self.store.training(), self.store.held_out()
        if training is None or held is None:
            self._wait()
            return Event("refused", "Not learned: nothing to train on, or to judge by.", self.generation)
        shown, shown_held = known(training, self.trunk), known(held, self.trunk)
        params = self.heads.params
        if self._held is not None and len(self._held):
            usual = figures(params, self._held)
            odd = strangers(params, shown, usual, c.guard.quantile)
            odd_held = strangers(params, shown_held, usual, c.guard.quantile)
            share = float(np.concatenate([odd, odd_held]).mean())
            if share > c.guard.strange:
                self._wait()
                text = f"Not learned: {share:.0%} of what was shown is like no way known; noise, or poison."
                return Event("refused", text, self.generation)
            shown, shown_held = shown[~odd], shown_held[~odd_held]
        if len(shown) < 8 or len(shown_held) < 2:
            self._wait()
            return Event("refused", "Not learned: too little is left that can be trusted.", self.generation)
        result = update(
            params, shown, self._replay, shown_held, self._held, c.update, c.guard,
            self._seed + self.generation, keep_going,
        )  # fmt: skip
        self._wait()
        if not result.share:
            return Event("rejected", f"Candidate rejected: {result.reason}.", self.generation)
        verdict = judge(params, result.params, shown_held, self._held, c.guard)
        if not verdict.accepted:
            return Event("rejected", f"Candidate rejected: {'; '.join(verdict.reasons)}.", self.generation)
        facts = {**self.heads.facts, "parent": self.generation}
        heads = Heads(result.params, facts)
        meta = {
            "kind": "update", "parent": self.generation, "share": result.share, "gain": verdict.gain,
            "loss": verdict.loss, "figures": dict(verdict.figures), "demonstrated": len(self.store),
            "from": float(training.stamp.min()), "to": float(training.stamp.max()),
        }  # fmt: skip
        self.generation = _promote(self.folder / GENERATIONS, heads, meta, c.guard.keep)
        self.heads = heads
        text = (
            f"Learned from {len(shown)} demonstrated moments: {verdict.gain:+.1%} nearer, "
            f"older ones {-verdict.loss:+.1%}, {result.reason}."
        )
        return Event("promoted", text, self.generation)

    def _wait(self) -> None:
        """Do not try again before the store has grown; what is new so far has been seen."""
        self._wait_for = min(
            len(self.store) + max(self.new // 2, self.configs.learner.min_moments),
            int(self.configs.learner.budget * 0.8),
        )
        self.new = 0
        self._unsaved = True

    def _resume(self, trouble: list[str]) -> None:
        path = self.folder / BOOKS
        if not path.exists():
            self.new = len(self.store)  # the books are written after the pages: a kill may lose only them
            return
        try:
            books = read_json(path)
            if not isinstance(books, dict) or books.get("schema") != SCHEMA:
                raise StorageError(f"{path.name} has an unknown schema.", "It is written anew.")
            self.new, self._wait_for = int(books["new"]), int(books["wait_for"])
        except (StorageError, KeyError, TypeError, ValueError) as error:
            trouble.append(getattr(error, "what", repr(error)))
            self.new = len(self.store)


def learn_from_bag(
    learner: TrajectoryUpdater,
    situations: Iterable[Situation],
    keep_going: Callable[[], bool] = lambda: True,
) -> list[Event]:
    """Let the learner watch a whole recording, already decoded, of somebody driving; then learn what is due.

    Args:
        learner: is saved at the end.
        situations: in order of time, 5 Hz or more.
        keep_going: asked before every situation and step.
    """
    now = 0.0
    for situation in situations:
        if not keep_going():
            break
        now = situation.stamp
        learner.observe(situation, demonstrating=True)
    learner.close()
    events = []
    while (event := learner.step(now + learner.configs.learner.settle + 1.0, keep_going)) is not None:
        events.append(event)
    learner.save()
    return events


def newest_heads(folder: Path) -> Path | None:
    """Folder of the promoted heads of the learner at `folder`, None where there are none whole."""
    try:
        found, _ = generations.load_newest(folder / GENERATIONS, lambda g: (Heads.load(g.folder), g))
    except StorageError:
        return None
    return found[1].folder


def known(moments: Moments, trunk: Trunk) -> Known:
    """Moments with the trunk's queries, computed in parts that fit into little memory."""
    inputs = moments.inputs()
    parts = [
        trunk.queries({n: v[start : start + 64] for n, v in inputs.items()})
        for start in range(0, len(moments), 64)
    ]
    return Known(moments, np.concatenate(parts))


def _memory(path: Path, trunk: Trunk, trouble: list[str]) -> Known | None:
    try:
        tensors, _ = load_checkpoint(path)
        return known(from_tensors(tensors), trunk)
    except StorageError as error:
        trouble.append(f"the shipped memory {path.name} is left out: {error.what}")
        return None


def _promote(root: Path, heads: Heads, meta: dict[str, Any], keep: int) -> int:
    number = generations.write_generation(root, heads.save, meta).number
    generations.promote(root, number)
    generations.prune(root, keep)
    return number
