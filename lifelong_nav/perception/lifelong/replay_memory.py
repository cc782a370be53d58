"""A bounded memory of every scenario ever met, part of which is never trained on.

Each scenario is a cell of its own with an equal share of the budget. Which moments of a cell stay is
decided by weighted reservoir sampling (Efraimidis and Spirakis 2006): a moment's key is u^(1/w), with
w = 1/k for the k-th moment of its episode, so that a long stay does not push out many short ones; keys
decide as well when shares shrink because a scenario was added. Every fourth episode of a scenario,
beginning with its second, is held out.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lifelong_nav.core.checkpoints import load_checkpoint, save_checkpoint
from lifelong_nav.core.errors import InputError, StorageError
from lifelong_nav.perception.lifelong.samples import Samples, from_tensors, join, to_tensors

SCHEMA = 1
HELD_EVERY, HELD_FIRST = 4, 1
EPISODES_KNOWN = 256
"""Episodes per scenario whose side (trained on or held out) is remembered by number."""


@dataclass
class _Cell:
    """One scenario: its moments, their reservoir keys and sides, and which episode was the how-manieth."""

    rows: Samples
    keys: NDArray[np.float64]
    held: NDArray[np.bool_]
    order: dict[int, int] = field(default_factory=dict)  # episode -> its place among the scenario's
    frames: dict[int, int] = field(default_factory=dict)  # episode -> moments seen of it
    episodes: int = 0
    dirty: bool = True


class ReplayMemory:
    """Labelled moments of all scenarios within `budget` bytes.

    Args:
        budget: bytes of arrays kept at most.
        floor: moments a scenario keeps at least (the budget gives way to it last of all).
        held_share: share of a cell kept for its held-out part.
        seed: of the reservoir.
    """

    def __init__(
        self, budget: int = 48 << 20, floor: int = 24, held_share: float = 0.3, seed: int = 0
    ) -> None:
        if budget <= 0 or floor < 4 or not 0.0 < held_share < 1.0:
            raise InputError(
                f"Replay memory of {budget} bytes, floor {floor}, held-out share {held_share}.",
                "Use a positive budget, a floor of at least 4 and a share between 0 and 1.",
            )
        self.budget, self.floor, self.held_share = budget, floor, held_share
        self._rng = np.random.default_rng(seed)
        self._cells: dict[str, _Cell] = {}

    def __len__(self) -> int:
        return sum(len(c.rows) for c in self._cells.values())

    @property
    def scenarios(self) -> tuple[str, ...]:
        """Scenarios with at least one moment, in the order they were met."""
        return tuple(self._cells)

    @property
    def bytes(self) -> int:
        """Size of all arrays."""
        return sum(c.rows.bytes for c in self._cells.values())

    def counts(self) -> dict[str, tuple[int, int, int, int]]:
        """Per scenario: moments to train on, moments held out, episodes to train on, episodes held out."""
        out = {}
        for name, c in self._cells.items():
            sides = (len(np.unique(c.rows.episode[~c.held])), len(np.unique(c.rows.episode[c.held])))
            out[name] = (int((~c.held).sum()), int(c.held.sum()), *sides)
        return out

    def add(self, samples: Samples, held_out: bool | None = None) -> None:
        """Take moments in, each under its scenario; what does not fit falls out.

        `held_out` puts all of them on one side (data that came split); None decides episode by episode.

        A moment that is there already (same episode and stamp) is passed over, so that work repeated
        after a kill does no harm.
        """
        for name in samples.scenarios:
            rows = samples.of(name)
            cell = self._cells.get(name)
            if cell is None:
                empty = rows[:0]
                cell = _Cell(empty, np.zeros(0), np.zeros(0, dtype=bool))
                self._cells[name] = cell
            known = set(zip(cell.rows.episode.tolist(), cell.rows.stamp.tolist(), strict=True))
            pairs = zip(rows.episode.tolist(), rows.stamp.tolist(), strict=True)
            rows = rows[np.array([pair not in known for pair in pairs], dtype=bool)]
            keys, held = np.empty(len(rows)), np.empty(len(rows), dtype=bool)
            for i, episode in enumerate(rows.episode.tolist()):
                if episode not in cell.order:
                    cell.order[episode] = cell.episodes
                    cell.episodes += 1
                cell.frames[episode] = cell.frames.get(episode, 0) + 1
                side = cell.order[episode] % HELD_EVERY == HELD_FIRST
                held[i] = side if held_out is None else held_out
                keys[i] = np.log(self._rng.random()) * cell.frames[episode]  # log of u^(1/w), w = 1/k
            cell.rows = join([cell.rows, rows]) if len(cell.rows) else rows
            cell.keys = np.concatenate([cell.keys, keys])
            cell.held = np.concatenate([cell.held, held])
            cell.dirty = True
            _forget_episodes(cell)
        self._shrink()

    def drop(self, scenario: str) -> None:
        """Forget a scenario altogether (its file goes with the next `save`)."""
        self._cells.pop(scenario, None)

    def training(self) -> Samples | None:
        """Every moment that may be trained on; None when there is none."""
        return self._side(False)

    def held_out(self) -> Samples | None:
        """Every moment that is never trained on; None when there is none."""
        return self._side(True)

    def save(self, folder: Path) -> int:
        """Write the cells that changed, one file each, atomically; return how many were written."""
        folder.mkdir(parents=True, exist_ok=True)
        written = 0
        for name, cell in self._cells.items():
            if not cell.dirty:
                continue
            tensors: dict[str, NDArray[Any]] = {
                **to_tensors(cell.rows),
                "keys": cell.keys,
                "held": cell.held.astype(np.uint8),
                "order": np.array(list(cell.order.items()), dtype=np.int64).reshape(-1, 2),
                "frames": np.array(list(cell.frames.items()), dtype=np.int64).reshape(-1, 2),
                "episodes": np.array([cell.episodes], dtype=np.int64),
            }
            facts = {"schema": SCHEMA, "scenario": name, "moments": len(cell.rows)}
            save_checkpoint(folder / f"{_stem(name)}.safetensors", tensors, facts)
            cell.dirty = False
            written += 1
        known = {_stem(name) for name in self._cells}
        for stray in folder.glob("*.safetensors"):
            if stray.stem not in known:
                stray.unlink(missing_ok=True)
                stray.with_suffix(".json").unlink(missing_ok=True)
        return written

    def load(self, folder: Path) -> list[str]:
        """Take in every whole cell of `folder`; return one sentence for each that is damaged.

        A damaged cell costs its scenario's memory, not the rest; its file is overwritten by the next `save`.
        """
        trouble = []
        for path in sorted(folder.glob("*.safetensors")):
            try:
                tensors, _ = load_checkpoint(path)
                rows = from_tensors(tensors)
                order, frames = (dict(map(tuple, tensors[k].tolist())) for k in ("order", "frames"))
                cell = _Cell(
                    rows, tensors["keys"].copy(), tensors["held"].astype(bool), order, frames,
                    int(tensors["episodes"][0]), dirty=False,
                )  # fmt: skip
                names = rows.scenarios
                if len(names) != 1 or len(cell.keys) != len(rows) or len(cell.held) != len(rows):
                    raise InputError(f"{path.name} does not hold one scenario.", "Delete it.")
                self._cells[names[0]] = cell
            except (StorageError, InputError, KeyError, ValueError, IndexError) as error:
                what = getattr(error, "what", repr(error))
                trouble.append(f"replay memory {path.name} is left out: {what}")
        first = {n: float(c.rows.stamp.min(initial=np.inf)) for n, c in self._cells.items()}
        self._cells = {n: self._cells[n] for n in sorted(self._cells, key=lambda n: (first[n], n))}
        return trouble

    def _side(self, held: bool) -> Samples | None:
        parts = [c.rows[c.held == held] for c in self._cells.values() if (c.held == held).any()]
        return join(parts) if parts else None

    def _shrink(self) -> None:
        """Bring every cell to its share: most of it to train on, `held_share` of it held out."""
        if self.bytes <= self.budget:
            return
        each = self.bytes / max(len(self), 1)
        quota = max(int(self.budget / each / len(self._cells)), self.floor)
        spare = sum(max(quota - len(c.rows), 0) for c in self._cells.values())
        full = sum(len(c.rows) > quota for c in self._cells.values())
        if full:
            quota += spare // full  # what small cells leave unused is lent to the full ones
        for cell in self._cells.values():
            if len(cell.rows) <= quota:
                continue
            held = min(int(cell.held.sum()), max(int(quota * self.held_share), 1))
            stay = np.concatenate([_largest(cell, cell.held, held), _largest(cell, ~cell.held, quota - held)])
            stay.sort()
            cell.rows, cell.keys, cell.held = cell.rows[stay], cell.keys[stay], cell.held[stay]
            cell.dirty = True


def _largest(cell: _Cell, side: NDArray[np.bool_], count: int) -> NDArray[np.intp]:
    rows = np.flatnonzero(side)
    return rows[np.argsort(-cell.keys[rows], kind="stable")[: max(count, 0)]]


def _forget_episodes(cell: _Cell) -> None:
    """Drop the numbers of the oldest episodes, so that the books stay bounded."""
    for books in (cell.order, cell.frames):
        for episode in list(books)[: max(len(books) - EPISODES_KNOWN, 0)]:
            del books[episode]


def _stem(name: str) -> str:
    """A file name for a scenario, whatever the teacher called it."""
    plain = "".join(c for c in name if c.isalnum() or c == "_")[:40]
    return f"{plain}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"
