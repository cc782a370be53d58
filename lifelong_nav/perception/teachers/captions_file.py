"""A file of labels as a teacher, for people who label offline.

JSONL (one object per line) or CSV (with a header). Every row says which picture it is about, by `stamp`
[s] or `image` (file name), and what the scene is: the fields of `SocialScene`. A new scenario needs a
`description`; a free `caption` may stand for it, and then also for the name. What a row leaves out of
environment, density, grouping and action is read from its caption or from the scene facts of the moment,
where they say it.
"""

from __future__ import annotations

import csv
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np

from lifelong_nav.core.errors import InputError
from lifelong_nav.perception.captions import scene_from_dict
from lifelong_nav.perception.social_scene import (
    ACTIONS,
    DENSITIES,
    ENVIRONMENTS,
    GROUPINGS,
    MAX_DESCRIPTION,
    SCENARIOS,
    SocialScene,
)
from lifelong_nav.perception.teachers.base import TeacherAnswer, TeacherError, TeacherRequest

COLUMNS = (
    "stamp", "image", "caption", "scenario", "environment", "density", "grouping", "action", "description",
    "entities",
)  # fmt: skip
MAX_BYTES = 64 * 1024 * 1024
_WORDS = {"environment": ENVIRONMENTS, "density": DENSITIES, "grouping": GROUPINGS, "action": ACTIONS}
_FIX = f"Columns: {', '.join(COLUMNS)}."


@dataclass(frozen=True, slots=True)
class Label:
    """One row: what it is about, what it says, and where it stands."""

    stamp: float
    image: str
    fields: Mapping[str, Any]
    line: int


class CaptionsFile:
    """Answers with the label of the picture's name, else with the nearest one in time.

    Args:
        path: .jsonl or .csv, UTF-8.
        tolerance: how far a label's stamp may be away [s].

    Raises:
        InputError: unreadable, or a row is wrong; the message names the line.
    """

    def __init__(self, path: Path | str, tolerance: float = 0.5) -> None:
        self.path, self.tolerance = Path(path), tolerance
        self.labels = read_labels(self.path)
        timed = sorted((w for w in self.labels if math.isfinite(w.stamp)), key=lambda w: w.stamp)
        self._timed, self._stamps = timed, np.array([w.stamp for w in timed])
        self._named = {w.image: w for w in self.labels if w.image}

    def describe(self, request: TeacherRequest) -> TeacherAnswer:
        """The label of this picture.

        Raises:
            TeacherError: "unknown" for no label near enough, "schema" where the label leaves a field open
                that the facts do not say either.
        """
        label = self._named.get(Path(request.image_name).name) if request.image_name else None
        label = label or self._nearest(request.stamp)
        if label is None:
            raise TeacherError("unknown", f"No label near {request.stamp:.3f} s.", f"Label {self.path.name}.")
        try:
            scene = label_scene(label.fields, request.facts)
        except InputError as error:
            raise TeacherError("schema", f"{self.path.name}:{label.line}: {error.what}", error.fix) from error
        return TeacherAnswer(scene, f"file:{self.path.name}:{label.line}")

    def _nearest(self, stamp: float) -> Label | None:
        if not len(self._stamps) or not math.isfinite(stamp):
            return None
        after = int(np.searchsorted(self._stamps, stamp))
        near = range(max(after - 1, 0), min(after + 1, len(self._stamps)))
        best = min(near, key=lambda i: abs(self._stamps[i] - stamp))
        return self._timed[best] if abs(self._stamps[best] - stamp) <= self.tolerance else None


def read_labels(path: Path) -> tuple[Label, ...]:
    """All rows of a file, checked.

    Raises:
        InputError: see `CaptionsFile`.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise InputError(f"{path.name} is larger than {MAX_BYTES >> 20} MiB.", "Split it.")
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"Labels {path.name} cannot be read ({error}).", "Give a UTF-8 file.") from error
    if path.suffix.lower() not in (".jsonl", ".csv"):
        raise InputError(f"Labels {path.name} are of unknown kind.", "Use .jsonl or .csv.")
    rows = _csv_rows(text) if path.suffix.lower() == ".csv" else _json_rows(text)
    labels: list[Label] = []
    seen: dict[str, int] = {}
    for line, row in rows:
        try:
            label = _label(row, line)
        except InputError as error:
            raise InputError(f"{path.name}:{line}: {error.what}", error.fix) from error
        if label.image and label.image in seen:
            raise InputError(
                f"{path.name}:{line}: {label.image} has a label in line {seen[label.image]} already.",
                "Keep one of them.",
            )
        seen[label.image] = line
        labels.append(label)
    return tuple(labels)


def label_scene(fields: Mapping[str, Any], facts: str = "") -> SocialScene:
    """The scene of a row; open fields are read from its caption, then from the facts.

    Raises:
        InputError: a field is neither given nor to be read.
    """
    row = {k: v for k, v in fields.items() if k not in ("stamp", "image", "caption")}
    caption = str(fields.get("caption", "")).strip()
    if "scenario" not in row:
        row["scenario"] = _known_scenario(caption) or _name_of(caption)
    if row["scenario"] not in SCENARIOS and not row.get("description"):
        row["description"] = caption[:MAX_DESCRIPTION]
    for field, words in _WORDS.items():
        if field not in row:
            found = _said(words, caption) or _said(words, facts)
            if not found and field != "action":
                raise InputError(f"{field} is missing and no caption says it.", f"One of {', '.join(words)}.")
            row[field] = found or "continue"
    return scene_from_dict(row)


def _label(row: Mapping[str, Any], line: int) -> Label:
    unknown = [str(k)[:40] for k in row if k not in COLUMNS]
    if unknown:
        raise InputError(f"Unknown columns {unknown[:5]}.", _FIX)
    stamp, image = row.get("stamp", math.nan), row.get("image", "")
    if isinstance(stamp, bool) or not isinstance(stamp, (int, float)) or math.isinf(stamp):
        raise InputError(f"stamp {str(stamp)[:40]!r} is not a number.", "Give seconds.")
    if not isinstance(image, str) or (math.isnan(stamp) and not image):
        raise InputError("The row names neither stamp nor image.", "Give one of them.")
    caption = row.get("caption", "")
    if not isinstance(caption, str) or not (caption.strip() or row.get("scenario")):
        raise InputError("The row says neither scenario nor caption.", "Give one of them.")
    everything = " ".join([*DENSITIES.values(), ENVIRONMENTS["hall"], *GROUPINGS.values()])
    label_scene(row, everything)  # whatever is said must be right; what is left open is judged when asked
    return Label(float(stamp), Path(image).name, dict(row), line)


def _json_rows(text: str) -> list[tuple[int, dict[str, Any]]]:
    rows = []
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise InputError(f"Line {number} is not JSON ({error}).", "One object per line.") from error
        if not isinstance(row, dict):
            raise InputError(f"Line {number} is no object.", "One object per line.")
        rows.append((number, row))
    return rows


def _csv_rows(text: str) -> list[tuple[int, dict[str, Any]]]:
    reader = csv.DictReader(StringIO(text), strict=True)
    rows = []
    try:
        for raw in reader:
            if None in raw or None in raw.values():
                raise InputError(f"Line {reader.line_num} has too many or too few cells.", "Quote commas.")
            row: dict[str, Any] = {k.strip(): v.strip() for k, v in raw.items() if v.strip()}
            if not row:
                continue
            try:
                if "stamp" in row:
                    row["stamp"] = float(row["stamp"])
                if "entities" in row:
                    row["entities"] = json.loads(row["entities"])
            except (ValueError, RecursionError) as error:
                raise InputError(f"Line {reader.line_num}: {error}.", _FIX) from error
            rows.append((reader.line_num, row))
    except csv.Error as error:
        raise InputError(f"Line {reader.line_num + 1} is not CSV ({error}).", "Check its quotes.") from error
    return rows


def _said(words: Mapping[str, str], text: str) -> str:
    """The word whose phrase or name stands in the text; "" for none."""
    low = text.lower()
    for word, phrase in sorted(words.items(), key=lambda item: -len(item[1])):
        bare = re.sub(r"^(a|an) ", "", phrase)
        if re.search(rf"\b({re.escape(bare)}|{word.replace('_', ' ')})\b", low):
            return word
    return ""


def _known_scenario(caption: str) -> str:
    low = caption.lower().rstrip(". ")
    return next((n for n, s in SCENARIOS.items() if low in (n, s.lower().rstrip("."))), "")


def _name_of(caption: str) -> str:
    """A name made of the caption's words: 'A cleaner mops the floor' is a_cleaner_mops_the_floor."""
    name = re.sub(r"[^a-z0-9]+", "_", caption.lower()).strip("_").lstrip("0123456789_")
    return name[:40].rstrip("_") or "x"
