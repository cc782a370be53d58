"""Numbered, immutable folders of model files: `000007/` with a manifest of sha256 sums.

A generation appears by one rename and is never changed. `load_newest` walks back from the newest to
the first one whose files are all intact, so a damaged disk costs one generation, not the model.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from lifelong_nav.core.errors import StorageError
from lifelong_nav.core.storage import atomic_write, atomic_write_json, read_json, sha256, staged_folder

MANIFEST = "manifest.json"
CURRENT = "current"
SCHEMA = 1

T = TypeVar("T")


@dataclass(frozen=True)
class Generation:
    """One stored generation: its number, folder and what its manifest says of it."""

    number: int
    folder: Path
    meta: Mapping[str, Any]


def write_generation(
    root: Path, write: Callable[[Path], None], meta: Mapping[str, Any] | None = None
) -> Generation:
    """Store the next generation under `root`.

    Args:
        root: folder of all generations of one model.
        write: puts the files into the folder it is given.
        meta: JSON facts to keep with it (training data range, scores, parent).
    """
    number = max(_numbers(root), default=0) + 1
    target = root / f"{number:06d}"
    with staged_folder(target) as staging:
        write(staging)
        files = sorted(p for p in staging.rglob("*") if p.is_file())
        manifest = {
            "schema": SCHEMA,
            "number": number,
            "created": time.time(),
            "files": {str(p.relative_to(staging)): sha256(p) for p in files},
            "meta": dict(meta or {}),
        }
        atomic_write_json(staging / MANIFEST, manifest)
    return Generation(number, target, dict(meta or {}))


def promote(root: Path, number: int) -> None:
    """Make `number` the generation in use, by one atomic write; also the way to roll back."""
    verify(root / f"{number:06d}")
    atomic_write(root / CURRENT, f"{number}\n".encode())


def verify(folder: Path) -> Generation:
    """Check every file of a generation against its manifest; raise `StorageError` on any difference."""
    manifest = read_json(folder / MANIFEST)
    fix = "Delete the folder or restore it; an older generation is used meanwhile."
    if not isinstance(manifest, dict) or manifest.get("schema") != SCHEMA:
        raise StorageError(f"{folder / MANIFEST} has an unknown schema.", fix)
    try:
        files, number, meta = manifest["files"], int(manifest["number"]), dict(manifest["meta"])
        expected = {folder / name: str(digest) for name, digest in files.items()}
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise StorageError(f"{folder / MANIFEST} is incomplete ({error}).", fix) from error
    for path, digest in expected.items():
        if folder.resolve() not in path.resolve().parents:
            raise StorageError(f"{folder / MANIFEST} names a file outside its folder: {path}.", fix)
        if not path.is_file() or sha256(path) != digest:
            raise StorageError(f"{path} is missing or does not match its sha256.", fix)
    return Generation(number, folder, meta)


def current(root: Path) -> int | None:
    """Number promoted last, None when nothing was (or the pointer is unreadable)."""
    try:
        return int((root / CURRENT).read_text())
    except (OSError, ValueError):
        return None


def load_newest(root: Path, load: Callable[[Generation], T]) -> tuple[T, list[str]]:
    """Load the generation in use, or the newest older one that is whole.

    Returns:
        What `load` made of it, and one sentence for each generation passed over on the way.

    Raises:
        StorageError: no generation under `root` can be loaded.
    """
    numbers = sorted(_numbers(root), reverse=True)
    pointed = current(root)
    if pointed is not None:
        numbers = [n for n in numbers if n <= pointed]
    skipped: list[str] = []
    for number in numbers:
        try:
            return load(verify(root / f"{number:06d}")), skipped
        except StorageError as error:
            skipped.append(f"generation {number}: {error.what}")
    raise StorageError(
        f"No usable generation under {root} ({'; '.join(skipped) or 'the folder is empty'}).",
        "Restore one, or start again from the shipped model.",
    )


def prune(root: Path, keep: int) -> int:
    """Delete the oldest generations beyond `keep`, never the one in use or newer; count them."""
    numbers = sorted(_numbers(root))
    in_use = current(root)
    doomed = [n for n in numbers[: max(len(numbers) - keep, 0)] if in_use is None or n < in_use]
    for number in doomed:
        shutil.rmtree(root / f"{number:06d}", ignore_errors=True)
    return len(doomed)


def _numbers(root: Path) -> list[int]:
    if not root.is_dir():
        return []
    return [int(p.name) for p in root.iterdir() if p.is_dir() and p.name.isdigit()]
