"""Run records as files: one small .npz for each, written whole or not at all."""

from __future__ import annotations

import io
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from lifelong_nav.core.errors import InputError
from lifelong_nav.core.storage import atomic_write
from lifelong_nav.evaluation.social.case import Case, RealCase
from lifelong_nav.evaluation.social.run import RunRecord
from lifelong_nav.sim.flat import Touch

_ARRAYS = ("path", "twists", "people", "radii", "groups", "route", "walls")
_PLAIN = (
    "planner", "reached", "radius", "speed", "tolerance", "free_seconds", "lost", "person", "error", "scene",
)  # fmt: skip


def save(path: Path, record: RunRecord) -> None:
    """Write a record; positions are kept to a tenth of a millimetre or better.

    Raises:
        StorageError: it cannot be written.
    """
    facts: dict[str, Any] = {name: getattr(record, name) for name in _PLAIN}
    facts |= {
        "case": asdict(record.case),
        "real": isinstance(record.case, RealCase),
        "touches": [asdict(t) for t in record.touches],
    }
    arrays: dict[str, Any] = {name: _small(getattr(record, name)) for name in _ARRAYS}
    arrays |= {f"term:{name}": _small(values) for name, values in record.terms.items()}
    buffer = io.BytesIO()
    np.savez_compressed(buffer, facts=np.array(json.dumps(facts)), **arrays)
    atomic_write(path, buffer.getvalue())


def load(path: Path) -> RunRecord:
    """Read a record.

    Raises:
        InputError: the file is no record.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            facts = json.loads(str(file["facts"]))
            arrays: dict[str, Any] = {name: _wide(file[name]) for name in _ARRAYS}
            terms = {n.removeprefix("term:"): _wide(file[n]) for n in file.files if n.startswith("term:")}
        case = (RealCase if facts.pop("real") else Case)(**facts.pop("case"))
        return RunRecord(
            case=case, touches=tuple(Touch(**t) for t in facts.pop("touches")),
            terms=terms, **arrays, **facts,
        )  # fmt: skip
    except (OSError, ValueError, KeyError, TypeError, EOFError) as error:
        raise InputError(f"{path} is no run record: {error}.", "Delete it; it is made anew.") from error
    except Exception as error:  # zipfile and zlib have errors of their own
        if type(error).__module__ not in ("zipfile", "zlib"):
            raise
        raise InputError(f"{path} is damaged: {error}.", "Delete it; it is made anew.") from error


def _small(values: np.ndarray) -> np.ndarray:
    values = np.asarray(values)
    return values.astype(np.float32) if values.dtype.kind == "f" else values


def _wide(values: np.ndarray) -> np.ndarray:
    return values.astype(float) if values.dtype.kind == "f" else values
