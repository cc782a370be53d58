"""The dataset of SC-CLIP: pictures of simulated social scenes, typed labels, and what the robot would sense.

    generate(root, train=9000, val=1500, test=3000, seed=0)
    records, pictures = load_records(root), iter_images(root)

On disk: `shard_00000.npz` (`jpeg` uint8, `offsets` int64 (N+1,)) and `shard_00000.jsonl`, one record per
picture; `manifest.json` holds the plan. A shard exists when its jsonl does: a kill loses the one at work.
Shards are independent of each other, so several processes may fill one folder.
"""

from __future__ import annotations

import dataclasses
import io
import itertools
import json
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lifelong_nav.core.config import param
from lifelong_nav.core.errors import ConfigError, SimError, StorageError
from lifelong_nav.core.storage import (
    atomic_write,
    atomic_write_json,
    exclusive_lock,
    read_json,
    remove_stale_staging,
)
from lifelong_nav.perception.social_scene import SCENARIOS

SPLITS = ("train", "val", "test")
VERSION = 1
Progress = Callable[[int, int], None]
Record = dict[str, Any]


@dataclass(frozen=True)
class SceneDataConfig:
    """What a dataset is made of."""

    train: int = param(9000, "", 0, 10_000_000, "Pictures for training.")
    val: int = param(1500, "", 0, 10_000_000, "Pictures for choosing.")
    test: int = param(3000, "", 0, 10_000_000, "Pictures for the final figures.")
    seed: int = param(0, "", 0, 2**31 - 1, "Of everything.")
    combos: float = param(0.25, "", 0.0, 1.0, "Share of pictures of place x density x grouping.")
    pictures: int = param(6, "", 1, 64, "Pictures per episode at most.")
    rate: float = param(2.0, "Hz", 0.2, 10.0, "Pictures per second of an episode.")
    shard: int = param(180, "", 6, 10_000, "Pictures per shard, about.")
    width: int = param(320, "px", 16, 1280, "Columns.")
    height: int = param(240, "px", 16, 960, "Rows.")
    renderer: str = param("auto", doc="Who draws.", choices=("auto", "gl", "tiny"))


class Slot(NamedTuple):
    """So many pictures of one thing: a scenario family or a combination."""

    split: str
    source: str
    name: str
    number: int
    pictures: int


def generate(
    root: Path | str, *, train: int = 9000, val: int = 1500, test: int = 3000, seed: int = 0,
    workers: int = 1, progress: Progress | None = None, config: SceneDataConfig | None = None,
) -> int:  # fmt: skip
    """Make the dataset, or what is missing of it; the same seed gives the same bytes.

    Args:
        root: folder; what another call with the same numbers left there is kept.
        train: pictures of the training split; likewise `val` and `test`.
        val: pictures of the validation split.
        test: pictures of the test split.
        seed: of everything.
        workers: processes; further calls on the same folder help as well.
        progress: called with pictures made and pictures in all.
        config: the other numbers; its sizes and seed are replaced by those above.

    Returns:
        Shards that this call made.

    Raises:
        ConfigError: the folder holds a dataset of other numbers.
    """
    c = dataclasses.replace(config or SceneDataConfig(), train=train, val=val, test=test, seed=seed)
    root = Path(root)
    root.mkdir(parents=True, exist_ok=True)
    remove_stale_staging(root)
    _check_manifest(root, c)
    shards = plan_shards(c)
    total = sum(s.pictures for shard in shards for s in shard)
    sizes = [sum(s.pictures for s in shard) for shard in shards]
    made = 0

    def tell() -> None:
        if progress is not None:
            progress(sum(n for k, n in enumerate(sizes) if _shard_path(root, k, "jsonl").exists()), total)

    tell()
    missing = [k for k in range(len(shards)) if not _shard_path(root, k, "jsonl").exists()]
    if workers <= 1:
        for k in missing:
            made += make_shard(root, k, c)
            tell()
        return made
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        for done in pool.map(make_shard, [root] * len(missing), missing, [c] * len(missing)):
            made += done
            tell()
    return made


def plan_shards(c: SceneDataConfig) -> list[list[Slot]]:
    """The work of every shard: equal shares of all families and of all combinations in each split."""
    from lifelong_nav.training.scene_combos import combinations

    shards: list[tuple[float, list[Slot]]] = []
    for split in SPLITS:
        count = int(getattr(c, split))
        combo = round(count * c.combos)
        slots = _slots(split, "scenario", tuple(SCENARIOS), count - combo, c.pictures)
        slots += _slots(split, "combo", combinations(), combo, min(4, c.pictures))
        # every shard holds a bit of everything, so that a part of a dataset is balanced too
        order = np.random.default_rng([c.seed, zlib.crc32(split.encode())]).permutation(len(slots))
        per_shard = max(1, c.shard // c.pictures)
        shuffled = [slots[i] for i in order]
        parts = [shuffled[i : i + per_shard] for i in range(0, len(shuffled), per_shard)]
        shards += [((k + 0.5) / len(parts), part) for k, part in enumerate(parts)]
    return [part for _, part in sorted(shards, key=lambda s: s[0])]  # the splits grow side by side


def _slots(split: str, source: str, names: tuple[str, ...], count: int, size: int) -> list[Slot]:
    """Slots of at most `size` pictures, `count` in all, shared out evenly over the names."""
    out: list[Slot] = []
    for k, name in enumerate(names):
        share = count * (k + 1) // len(names) - count * k // len(names)
        parts = -(-share // size)
        out += [
            Slot(split, source, name, i, share * (i + 1) // parts - share * i // parts) for i in range(parts)
        ]
    return out


def make_shard(root: Path | str, number: int, c: SceneDataConfig) -> int:
    """Make one shard unless it exists or another process is at it; returns how many were made (0 or 1)."""
    root = Path(root)
    target = _shard_path(root, number, "jsonl")
    try:
        with exclusive_lock(root / f".shard_{number:05d}.lock"):
            if target.exists():
                return 0
            pictures: list[NDArray[np.uint8]] = []
            records: list[Record] = []
            for slot in plan_shards(c)[number]:
                for jpeg, record in fill(slot, c):
                    pictures.append(jpeg)
                    records.append(record)
            offsets = np.concatenate([[0], np.cumsum([len(p) for p in pictures])]).astype(np.int64)
            data = io.BytesIO()
            stacked = np.concatenate(pictures) if pictures else np.zeros(0, dtype=np.uint8)
            np.savez(data, jpeg=stacked, offsets=offsets)
            atomic_write(_shard_path(root, number, "npz"), data.getvalue())
            lines = "".join(json.dumps(r, sort_keys=True, allow_nan=False) + "\n" for r in records)
            atomic_write(target, lines.encode())
            return 1
    except StorageError as error:
        if "held by process" in str(error):
            return 0
        raise


def fill(slot: Slot, c: SceneDataConfig) -> list[tuple[NDArray[np.uint8], Record]]:
    """The pictures of one slot: episodes are drawn until it is full, for at most 30 draws."""
    from lifelong_nav.training import scene_combos, scene_sampling

    sampling = scene_sampling.SampleConfig(c.pictures, c.rate, c.width, c.height, renderer=c.renderer)
    draw = scene_sampling.sample if slot.source == "scenario" else scene_combos.sample
    out: list[tuple[NDArray[np.uint8], Record]] = []
    for attempt in range(30):
        seed = _seed(c.seed, slot, attempt)
        name = f"{slot.split}-{slot.name}-{slot.number}-{attempt}"
        for shot in draw(slot.name, seed, slot.split == "test", sampling)[: slot.pictures - len(out)]:
            shot.record.update(episode=name, layout=name, looks=seed, split=slot.split, source=slot.source)
            out.append((shot.jpeg, shot.record))
        if len(out) >= slot.pictures:
            break
    if not out:
        raise SimError(
            f"No picture of '{slot.name}' came off in 30 draws.", "Report it; its recipe is broken."
        )
    return out


def load_records(root: Path | str) -> list[Record]:
    """All records in the order of `iter_images`; `shard` and `row` say where the picture lies."""
    out = []
    for path in sorted(Path(root).glob("shard_*.jsonl")):
        number = int(path.stem.split("_")[1])
        for row, line in enumerate(path.read_text().splitlines()):
            out.append({**json.loads(line), "shard": number, "row": row})
    return out


def iter_images(root: Path | str) -> Iterator[NDArray[np.uint8]]:
    """All pictures, (H, W, 3) uint8 RGB, in the order of `load_records`."""
    import cv2

    for data in iter_jpegs(root):
        picture = np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), dtype=np.uint8)
        yield np.ascontiguousarray(picture[..., ::-1])


def iter_jpegs(root: Path | str) -> Iterator[NDArray[np.uint8]]:
    """The JPEG bytes (N,) of all pictures, in the order of `load_records`."""
    for path in sorted(Path(root).glob("shard_*.jsonl")):
        with np.load(path.with_suffix(".npz"), allow_pickle=False) as shard:
            jpeg, offsets = shard["jpeg"], shard["offsets"]
        for a, b in itertools.pairwise(offsets):
            yield jpeg[a:b]


def _seed(seed: int, slot: Slot, attempt: int) -> int:
    """Seed of an episode; the splits take theirs from ranges that do not meet."""
    text = f"{seed}/{slot.source}/{slot.name}/{slot.number}/{attempt}"
    return SPLITS.index(slot.split) * 400_000_000 + zlib.crc32(text.encode()) % 400_000_000


def _shard_path(root: Path, number: int, ending: str) -> Path:
    return root / f"shard_{number:05d}.{ending}"


def _check_manifest(root: Path, c: SceneDataConfig) -> None:
    path = root / "manifest.json"
    wanted = {"version": VERSION, "config": dataclasses.asdict(c)}
    if not path.exists():
        atomic_write_json(path, wanted)
    elif read_json(path) != wanted:
        raise ConfigError(
            f"{root} holds a dataset of other numbers.", "Use another folder, or delete this one."
        )
