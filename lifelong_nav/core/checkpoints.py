"""Weights as safetensors plus a JSON header of facts; pickle is refused before it is parsed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as save_tensors

from lifelong_nav.core.errors import CheckpointError
from lifelong_nav.core.storage import atomic_write, atomic_write_json, read_json

MAX_BYTES = 2 << 30
_PICKLE_STARTS = (b"\x80", b"PK\x03\x04", b"\x93NUMPY", b"(lp", b"cos\n")


def save_checkpoint(path: Path, tensors: Mapping[str, NDArray[Any]], facts: Mapping[str, Any]) -> None:
    """Write `path` (.safetensors) and `path` with suffix .json beside it.

    Args:
        path: file to write, replaced atomically.
        tensors: named arrays; all numbers must be finite.
        facts: JSON description (schema, architecture, training range, scores).
    """
    arrays = {name: np.ascontiguousarray(a) for name, a in tensors.items()}
    for name, array in arrays.items():
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise CheckpointError(
                f"Tensor '{name}' holds non-finite numbers.", "Roll the training step back."
            )
    atomic_write(path, save_tensors(arrays))
    atomic_write_json(path.with_suffix(".json"), dict(facts))


def _has_header(data: bytes) -> bool:
    """Begins like safetensors: a length that fits, then JSON; lengths may begin like a pickle."""
    return len(data) > 9 and data[8:9] == b"{" and int.from_bytes(data[:8], "little") <= len(data) - 8


def load_checkpoint(path: Path) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """Read back what `save_checkpoint` wrote.

    Raises:
        CheckpointError: missing, corrupt, oversized, non-finite, or not safetensors at all.
    """
    fix = "Restore the file, or fall back to the previous generation or the shipped model."
    try:
        if path.stat().st_size > MAX_BYTES:
            raise CheckpointError(f"{path} is larger than {MAX_BYTES >> 20} MiB.", fix)
        data = path.read_bytes()
    except OSError as error:
        raise CheckpointError(f"Cannot read {path}: {error.strerror}.", fix) from error
    if not _has_header(data) and data.startswith(_PICKLE_STARTS):
        raise CheckpointError(
            f"{path} is a pickle, zip or npy file, which can run code when loaded.",
            "Convert it to safetensors where it came from.",
        )
    try:
        tensors = load_tensors(data)
    except (SafetensorError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"{path} is not valid safetensors ({error}).", fix) from error
    for name, array in tensors.items():
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise CheckpointError(f"{path}: tensor '{name}' holds non-finite numbers.", fix)
    facts = read_json(path.with_suffix(".json"))
    if not isinstance(facts, dict):
        raise CheckpointError(f"{path.with_suffix('.json')} does not hold an object.", fix)
    return tensors, facts
