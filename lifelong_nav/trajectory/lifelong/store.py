"""What was demonstrated, on disk and bounded: pages of moments, older ones thinned, some held out for good.

Every third episode is never trained on. A page is one file, replaced atomically; a kill costs what was not
yet written. When the store is full the two oldest pages become one with every second moment of both, so the
past fades and does not vanish.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lifelong_nav.core.checkpoints import load_checkpoint, save_checkpoint
from lifelong_nav.core.errors import InputError, StorageError
from lifelong_nav.trajectory.generator.moments import Moments, from_tensors, join

SCHEMA = "trajectories.demonstrations/1"
PAGE = 256
HELD_EVERY, HELD_FIRST = 3, 1
"""Of episodes as they come: the second, fifth, ... are held out."""


@dataclass
class _Page:
    number: int
    rows: Moments
    held: NDArray[np.bool_]
    dirty: bool = True


@dataclass
class DemonstrationStore:
    """Pages of demonstrated moments; `load` before use when the folder may hold some."""

    folder: Path
    budget: int = 6000
    pages: list[_Page] = field(default_factory=list)
    episodes: dict[int, bool] = field(default_factory=dict)
    """Episodes met, and whether each is held out."""
    doomed: list[int] = field(default_factory=list)

    def __len__(self) -> int:
        return sum(len(p.rows) for p in self.pages)

    def add(self, moments: Moments) -> int:
        """Take in moments not there yet; returns how many."""
        known = {
            pair
            for p in self.pages
            for pair in zip(p.rows.episode.tolist(), p.rows.stamp.tolist(), strict=True)
        }
        pairs = zip(moments.episode.tolist(), moments.stamp.tolist(), strict=True)
        moments = moments[np.array([pair not in known for pair in pairs], dtype=bool)]
        added = len(moments)
        held = np.array([self._is_held(int(e)) for e in moments.episode], dtype=bool)
        while len(moments):
            if not self.pages or len(self.pages[-1].rows) >= PAGE:
                number = max([p.number for p in self.pages] + self.doomed, default=0) + 1
                self.pages.append(_Page(number, moments[:0], held[:0]))
            page = self.pages[-1]
            room = PAGE - len(page.rows)
            page.rows = join([page.rows, moments[:room]])
            page.held = np.concatenate([page.held, held[:room]])
            page.dirty = True
            moments, held = moments[room:], held[room:]
        self._shrink()
        return added

    def drop(self, episodes: NDArray[np.int64]) -> None:
        """Forget episodes (those found to be poison)."""
        for page in self.pages:
            keep = ~np.isin(page.rows.episode, episodes)
            if not keep.all():
                page.rows, page.held, page.dirty = page.rows[keep], page.held[keep], True

    def training(self) -> Moments | None:
        """Moments that may be trained on; None when there are none."""
        return self._side(False)

    def held_out(self) -> Moments | None:
        """Moments that are never trained on; None when there are none."""
        return self._side(True)

    def save(self) -> None:
        """Write pages that changed, then delete those merged away."""
        for page in self.pages:
            if page.dirty:
                tensors = {**page.rows.tensors(), "held": page.held.astype(np.uint8)}
                save_checkpoint(
                    self._path(page.number), tensors, {"schema": SCHEMA, "moments": len(page.rows)}
                )
                page.dirty = False
        for number in self.doomed:
            self._path(number).unlink(missing_ok=True)
            self._path(number).with_suffix(".json").unlink(missing_ok=True)
        self.doomed = []

    def load(self) -> list[str]:
        """Take in every whole page of the folder; a sentence for each that is damaged."""
        trouble: list[str] = []
        seen: set[tuple[int, float]] = set()
        for path in sorted(self.folder.glob("page_*.safetensors"), reverse=True):
            try:
                tensors, facts = load_checkpoint(path)
                if facts.get("schema") != SCHEMA:
                    raise InputError(f"{path.name} is of another schema.", "Delete it.")
                rows, held = from_tensors(tensors), tensors["held"].astype(bool)
                if len(held) != len(rows):
                    raise InputError(f"{path.name} is not whole.", "Delete it.")
                number = int(path.stem.split("_")[1])
            except (StorageError, InputError, KeyError, ValueError) as error:
                trouble.append(f"demonstrations {path.name} are left out: {getattr(error, 'what', error)}")
                continue
            pairs = list(zip(rows.episode.tolist(), rows.stamp.tolist(), strict=True))
            fresh = np.array([pair not in seen for pair in pairs], dtype=bool)  # a kill while merging
            seen |= set(pairs)
            self.pages.insert(0, _Page(number, rows[fresh], held[fresh], dirty=not fresh.all()))
        for page in self.pages:
            for episode, side in zip(page.rows.episode.tolist(), page.held.tolist(), strict=True):
                self.episodes.setdefault(int(episode), bool(side))
        return trouble

    def _is_held(self, episode: int) -> bool:
        if episode not in self.episodes:
            self.episodes[episode] = len(self.episodes) % HELD_EVERY == HELD_FIRST
        return self.episodes[episode]

    def _side(self, held: bool) -> Moments | None:
        parts = [p.rows[p.held == held] for p in self.pages if (p.held == held).any()]
        return join(parts) if parts else None

    def _shrink(self) -> None:
        while len(self) > self.budget and len(self.pages) > 2:
            old, newer = self.pages[0], self.pages[1]
            rows = join([old.rows[::2], newer.rows[::2]])
            held = np.concatenate([old.held[::2], newer.held[::2]])
            self.doomed.append(old.number)
            self.pages[:2] = [_Page(newer.number, rows, held)]

    def _path(self, number: int) -> Path:
        return self.folder / f"page_{number:06d}.safetensors"
