"""What a bag may cost: caps on records, chunks and unpacked files, and decompression within them.

A bag comes from outside. Every size it declares is compared with a cap and with what the file can hold
before memory is taken, and decompressors are stopped at the declared size, so a few kilobytes cannot
unfold into gigabytes.
"""

from __future__ import annotations

import bz2
import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import lz4.frame  # type: ignore[import-untyped]
import zstandard

from lifelong_nav.core.config import param
from lifelong_nav.core.errors import BagError

MIB = 1 << 20
RATIO_FLOOR = 8 * MIB
"""Unpacked sizes below this are harmless at any ratio (a chunk of empty maps packs 1:1000)."""
ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
MAX_WINDOW = 128 * MIB


class Damage(Exception):
    """One piece of a bag cannot be used; the text says why. What is whole around it still can."""


@dataclass(frozen=True)
class BagLimits:
    """Caps that keep reading a hostile or broken bag within a machine's memory and disk."""

    max_record_bytes: int = param(
        64 * MIB, "B", 4096, 1 << 32, "Largest message or chunk that is read, packed or unpacked."
    )
    max_ratio: float = param(
        1000.0, "", 10.0, 1e6, "Largest unpacked:packed ratio of a chunk, message or file above 8 MiB."
    )
    max_buffer_bytes: int = param(
        256 * MIB, "B", 4096, 1 << 36, "Memory for chunks that overlap in time and are merged."
    )
    max_definition_bytes: int = param(
        16 * MIB, "B", 4096, 1 << 30, "All message definitions and topic records of a bag together."
    )
    max_unpacked_bytes: int = param(
        32 << 30, "B", 4096, 1 << 42, "Disk space for a bag unpacked from .zip or .zstd."
    )
    max_blocks: int = param(2_000_000, "", 16, 1 << 28, "Most chunks of one file.")


def check_size(what: str, packed: int, unpacked: int, limits: BagLimits) -> None:
    """Raise `Damage` when `unpacked` bytes are over the cap or out of proportion to `packed`."""
    if max(packed, unpacked) > limits.max_record_bytes:
        raise Damage(
            f"{what} of {max(packed, unpacked)} bytes exceeds the limit max_record_bytes = "
            f"{limits.max_record_bytes}"
        )
    if unpacked > RATIO_FLOOR and unpacked > limits.max_ratio * max(packed, 1):
        raise Damage(f"{what} would unfold from {packed} to {unpacked} bytes (a decompression bomb)")


def decompress(kind: str, data: bytes, size: int, limits: BagLimits) -> bytes:
    """Unpack `data` to exactly `size` bytes.

    Args:
        kind: "" or "none", "zstd", "lz4" (frame format), "bz2".
        data: packed bytes.
        size: the size the file declares.
        limits: caps.

    Raises:
        Damage: unknown kind, over a cap, corrupt, or of another size than declared.
    """
    check_size("a chunk", len(data), size, limits)
    try:
        out = _unpack(kind, data, size)
    except (zstandard.ZstdError, RuntimeError, OSError, EOFError, ValueError, MemoryError) as error:
        raise Damage(f"a chunk cannot be decompressed ({error})") from error
    if len(out) != size:
        raise Damage(f"a chunk unpacks to another size than the {size} bytes it declares")
    return out


def _unpack(kind: str, data: bytes, size: int) -> bytes:
    if kind in ("", "none"):
        return data
    if kind == "zstd":
        # zstandard allocates what the frame header says, whatever max_output_size is.
        if data and zstandard.frame_content_size(data) not in (-1, size):
            raise ValueError("the frame declares another size")
        return zstandard.ZstdDecompressor().decompress(data, max_output_size=size) if size else b""
    if kind == "lz4":
        return lz4.frame.LZ4FrameDecompressor().decompress(data, max_length=size + 1)
    if kind == "bz2":
        return bz2.BZ2Decompressor().decompress(data, max_length=size + 1)
    raise ValueError(f"unknown compression {kind!r}")


def decompress_cut(kind: str, data: bytes, size: int, limits: BagLimits) -> bytes:
    """As many leading bytes as a cut-off chunk still yields, never more than `size`; no errors."""
    try:
        check_size("a chunk", len(data), size, limits)
        if kind == "zstd":
            # The window allocation is capped; `read` returns what whole blocks give, then stops.
            reader = zstandard.ZstdDecompressor(max_window_size=MAX_WINDOW).stream_reader(data)
            out = bytearray()
            with contextlib.suppress(zstandard.ZstdError):
                while len(out) < size and (part := reader.read(min(size - len(out), 1 << 16))):
                    out += part
            return bytes(out)
        return _unpack(kind, data, size)[:size]
    except (Damage, zstandard.ZstdError, RuntimeError, OSError, EOFError, ValueError, MemoryError):
        return b""


def decompress_message(data: bytes, limits: BagLimits) -> bytes:
    """One message of a bag recorded with message compression (a zstd frame).

    Raises:
        Damage: over a cap or corrupt.
    """
    try:
        size = zstandard.frame_content_size(data)
        if size >= 0:
            check_size("a message", len(data), size, limits)
            return zstandard.ZstdDecompressor().decompress(data, max_output_size=max(size, 1))
        reader = zstandard.ZstdDecompressor(max_window_size=MAX_WINDOW).stream_reader(data)
        out = reader.read(limits.max_record_bytes + 1)
        check_size("a message", len(data), len(out), limits)
        return out
    except (zstandard.ZstdError, ValueError, MemoryError) as error:
        raise Damage(f"a message cannot be decompressed ({error})") from error


def copy_bounded(source: Any, target: BinaryIO, packed: int, limits: BagLimits, name: str) -> int:
    """Copy an unpacking stream to a file, stopping with an error at the caps; the bytes written.

    Args:
        source: anything with `read(n)` that yields unpacked bytes.
        target: file opened for writing.
        packed: size of the packed file [B], for the ratio.
        limits: caps.
        name: what the error calls it.

    Raises:
        BagError: over the caps, or the disk is full.
    """
    total = 0
    try:
        while block := source.read(MIB):
            total += len(block)
            if total > limits.max_unpacked_bytes:
                raise BagError(
                    f"{name} unpacks to more than {limits.max_unpacked_bytes} bytes.",
                    "If you trust it, raise max_unpacked_bytes; otherwise delete it.",
                )
            if total > RATIO_FLOOR and total > limits.max_ratio * max(packed, 1):
                raise BagError(
                    f"{name} unfolds to more than {limits.max_ratio:g} times its size (a zip bomb).",
                    "If you trust it, unpack it by hand and open the result.",
                )
            target.write(block)
    except OSError as error:
        raise BagError(
            f"Cannot unpack {name}: {error.strerror or error}.", "Free disk space or set TMPDIR."
        ) from error
    return total


def read_range(file: BinaryIO, offset: int, length: int) -> bytes:
    """`length` bytes at `offset`, or fewer at the end of the file."""
    file.seek(offset)
    return file.read(length)


def file_size(path: Path) -> int:
    """Size [B] of a file that must exist and not be empty.

    Raises:
        BagError: missing, empty or unreadable.
    """
    try:
        size = path.stat().st_size
    except OSError as error:
        raise BagError(f"Cannot open {path}: {error.strerror}.", "Check the path.") from error
    if size == 0:
        raise BagError(f"{path} is empty.", "The recording never wrote anything; record again.")
    return size
