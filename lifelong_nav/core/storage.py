"""Files that survive a kill or a power cut: whole old content or whole new content, never half.

`atomic_write` is the five steps of openpilot's Params::put: temporary file, write, fsync, rename,
fsync of the folder.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lifelong_nav.core.errors import StorageError


def fsync_folder(folder: Path) -> None:
    """Make a rename in `folder` durable."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def atomic_write(path: Path, data: bytes) -> None:
    """Replace the content of `path` with `data`; readers see the old or the new, never a mix.

    Raises:
        StorageError: the disk is full, read-only or the folder is missing; the old file stands.
    """
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        fd, temporary = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
        with os.fdopen(fd, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
        temporary = None
        fsync_folder(path.parent)
    except OSError as error:
        raise StorageError(
            f"Cannot write {path}: {error.strerror}.", "Free disk space or mend its permissions."
        ) from error
    finally:
        if temporary is not None:
            with contextlib.suppress(OSError):
                Path(temporary).unlink()


def atomic_write_json(path: Path, value: Any) -> None:
    """`atomic_write` of a JSON document; non-finite numbers are refused."""
    text = json.dumps(value, indent=2, sort_keys=True, allow_nan=False)
    atomic_write(path, (text + "\n").encode())


def read_json(path: Path) -> Any:
    """Parse a JSON file or raise `StorageError` saying what is wrong with it."""
    try:
        return json.loads(path.read_bytes())
    except OSError as error:
        raise StorageError(f"Cannot read {path}: {error.strerror}.", "Check the path.") from error
    except ValueError as error:
        raise StorageError(f"{path} is not valid JSON: {error}.", "Restore or delete it.") from error


def sha256(path: Path) -> str:
    """Hex digest of a file's content."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


@contextlib.contextmanager
def staged_folder(target: Path) -> Iterator[Path]:
    """Yield an empty folder that becomes `target` when the block ends well and vanishes otherwise.

    Every file in it is fsynced before the rename, so `target` is complete whenever it exists.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(prefix=f".{target.name}.", suffix=".tmp", dir=target.parent))
    try:
        yield staging
        for file in sorted(p for p in staging.rglob("*") if p.is_file()):
            with file.open("rb") as handle:
                os.fsync(handle.fileno())
        for folder in [staging, *(p for p in staging.rglob("*") if p.is_dir())]:
            fsync_folder(folder)
        staging.rename(target)
        fsync_folder(target.parent)
    except OSError as error:
        raise StorageError(
            f"Cannot complete {target}: {error.strerror}.",
            "Free disk space, mend permissions, or remove what stands there.",
        ) from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def remove_stale_staging(parent: Path, min_age: float = 3600.0) -> int:
    """Delete temporary files and folders older than `min_age` [s], left by a kill; count them."""
    removed = 0
    for entry in parent.glob(".*.tmp"):
        with contextlib.suppress(OSError):
            if time.time() - entry.stat().st_mtime < min_age:
                continue
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
            removed += 1
    return removed


@contextlib.contextmanager
def exclusive_lock(path: Path) -> Iterator[None]:
    """Hold `path` as the one writer; a second process gets `StorageError` with the holder's pid."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.pread(fd, 32, 0).decode(errors="replace").strip() or "unknown"
            raise StorageError(
                f"{path} is held by process {holder}.", "Stop that process or use another folder."
            ) from error
        os.ftruncate(fd, 0)
        os.pwrite(fd, str(os.getpid()).encode(), 0)
        yield
    finally:
        os.close(fd)
