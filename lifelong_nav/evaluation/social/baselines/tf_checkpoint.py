"""Reads float tensors from a TensorFlow checkpoint without TensorFlow.

A checkpoint is an index (`.index`: a LevelDB table, keys = names of variables, values = BundleEntryProto)
and the raw little-endian data (`.data-00000-of-00001`). Only what such files of one shard need is here:
tensors of float32, uncompressed blocks. Nothing in them is executed.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lifelong_nav.core.errors import CheckpointError

_MAGIC = bytes.fromhex("57fb808b247547db")
_FOOTER = 48
_FLOAT = 1
"""DT_FLOAT of TensorFlow's types.proto."""


def read_tensors(prefix: Path) -> dict[str, NDArray[np.float32]]:
    """All float32 tensors of the checkpoint `prefix` by name.

    Args:
        prefix: path without `.index`.

    Raises:
        CheckpointError: files are missing, or are no such checkpoint.
    """
    fix = "Install the package that holds it again."
    try:
        index = prefix.with_name(prefix.name + ".index").read_bytes()
        data = prefix.with_name(prefix.name + ".data-00000-of-00001").read_bytes()
    except OSError as error:
        raise CheckpointError(f"Cannot read the checkpoint {prefix}: {error.strerror}.", fix) from error
    try:
        return dict(_tensors(index, data))
    except (IndexError, ValueError, KeyError) as error:
        raise CheckpointError(f"{prefix} is not a TensorFlow checkpoint ({error}).", fix) from error


def _tensors(index: bytes, data: bytes) -> Iterator[tuple[str, NDArray[np.float32]]]:
    if index[-8:] != _MAGIC:
        raise ValueError("no table magic at the end of the index")
    footer = index[-_FOOTER:]
    _, _, at = _handle(footer, 0)
    offset, size, _ = _handle(footer, at)
    for _, handle in _block(index, offset, size):
        offset, size, _ = _handle(handle, 0)
        for key, value in _block(index, offset, size):
            if not key:
                continue  # the header of the bundle
            entry = dict(_fields(value))
            if entry.get(1) != _FLOAT or entry.get(3, 0) != 0:
                continue
            shape = [dict(_fields(d)).get(1, 0) for n, d in _fields(entry.get(2, b"")) if n == 2]
            start, length = entry.get(4, 0), entry[5]
            raw = np.frombuffer(data[start : start + length], dtype="<f4")
            yield key.decode(), raw.reshape(shape)


def _block(table: bytes, offset: int, size: int) -> Iterator[tuple[bytes, bytes]]:
    """Keys and values of a block; keys share a prefix with the one before."""
    if table[offset + size] != 0:
        raise ValueError("compressed block")
    block = table[offset : offset + size]
    restarts = int.from_bytes(block[-4:], "little")
    end, at, key = len(block) - 4 * (restarts + 1), 0, b""
    while at < end:
        shared, at = _varint(block, at)
        fresh, at = _varint(block, at)
        length, at = _varint(block, at)
        key = key[:shared] + block[at : at + fresh]
        at += fresh
        yield key, block[at : at + length]
        at += length


def _handle(data: bytes, at: int) -> tuple[int, int, int]:
    offset, at = _varint(data, at)
    size, at = _varint(data, at)
    return offset, size, at


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at += 1
        if byte < 0x80:
            return value, at
        shift += 7


def _fields(message: bytes) -> Iterator[tuple[int, Any]]:
    """Field numbers and values of a protocol-buffers message: integers, or bytes undecoded."""
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        kind = tag & 7
        if kind == 0:
            value, at = _varint(message, at)
            yield tag >> 3, value
            continue
        if kind == 2:
            length, at = _varint(message, at)
        elif kind in (1, 5):
            length = 8 if kind == 1 else 4
        else:
            raise ValueError(f"wire type {kind}")
        yield tag >> 3, message[at : at + length]
        at += length
