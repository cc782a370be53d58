"""One shape for every benchmark: a table for people, `targets` as JSON for machines.

A benchmark is a function `run(quick: bool) -> BenchResult` in a module named in `BENCHMARKS`; it is
imported only when asked for. `lifelong-nav bench NAME [--quick] [--json FILE]` runs it.
"""

from __future__ import annotations

import importlib
import inspect
import math
import operator
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from lifelong_nav.core.errors import ConfigError
from lifelong_nav.core.storage import atomic_write_json

BENCHMARKS: dict[str, tuple[str, str]] = {
    "sim": ("lifelong_nav.evaluation.bench_sim", "Simulator speed: simulated seconds per CPU second."),
    "people": ("lifelong_nav.evaluation.people_bench", "People tracking on recorded robot bags."),
    "social": (
        "lifelong_nav.evaluation.social.social_bench",
        "Driving among people: the social suite, or with --real in a pedestrian's place.",
    ),
    "prediction": (
        "lifelong_nav.evaluation.prediction_bench",
        "Where people go: displacement errors on real scenes left out of training.",
    ),
    "ratings": (
        "lifelong_nav.evaluation.ratings_bench",
        "How disturbing people rate a robot's place: the shipped model against baselines.",
    ),
    "context": (
        "lifelong_nav.evaluation.context_agreement",
        "How often the social context names the scene that the simulator drives.",
    ),
    "perception": (
        "lifelong_nav.evaluation.perception_bench",
        "Social context: retrieval, lifelong learning, cost; people from camera and lidar.",
    ),
    "cycle": (
        "lifelong_nav.evaluation.cycle_bench",
        "Choice and control together, while a learner runs beside them.",
    ),
    "stack": ("lifelong_nav.evaluation.stack_bench", "The whole stack in lockstep: speed and driving."),
}
"""Name -> (module with `run`, one sentence)."""

_OPERATORS: dict[str, Callable[[float, float], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
}


@dataclass(frozen=True)
class Target:
    """One figure with its goal: does `value op goal` hold? `baselines` were measured in the same run."""

    name: str
    value: float
    goal: float
    op: str
    baselines: Mapping[str, float] = field(default_factory=dict)

    @property
    def holds(self) -> bool:
        """True when the goal is reached."""
        return bool(_OPERATORS[self.op](self.value, self.goal))


@dataclass(frozen=True)
class BenchResult:
    """What a benchmark found.

    `tables`: (title, header, rows of printable cells); `targets`: figures with goals; `notes`:
    sentences on what fell short or must be known to read the tables.
    """

    name: str
    tables: Sequence[tuple[str, Sequence[str], Sequence[Sequence[Any]]]]
    targets: Sequence[Target] = ()
    notes: Sequence[str] = ()

    def text(self) -> str:
        """The result as plain text."""
        blocks = [_table(title, header, rows) for title, header, rows in self.tables]
        if self.targets:
            rows = [
                (t.name, _cell(t.value), f"{t.op} {_cell(t.goal)}", "yes" if t.holds else "NO",
                 ", ".join(f"{k} {_cell(v)}" for k, v in t.baselines.items()))
                for t in self.targets
            ]  # fmt: skip
            blocks.append(_table("Targets", ("figure", "value", "goal", "holds", "baselines"), rows))
        if self.notes:
            blocks.append("\n".join(f"- {note}" for note in self.notes))
        return "\n\n".join(blocks)

    def document(self, quick: bool, seconds: float) -> dict[str, Any]:
        """The result as a JSON document."""
        return {
            "name": self.name,
            "quick": quick,
            "wall_seconds": round(seconds, 1),
            "python": platform.python_version(),
            "targets": [_finite({**asdict(t), "holds": t.holds}) for t in self.targets],
            "tables": [
                {"title": title, "header": list(header), "rows": [[_plain(c) for c in r] for r in rows]}
                for title, header, rows in self.tables
            ],
            "notes": list(self.notes),
        }


def run_bench(name: str, quick: bool = False, json_file: Path | None = None, **options: Any) -> BenchResult:
    """Run one benchmark by name, write its JSON where asked, and return the result."""
    if name not in BENCHMARKS:
        raise ConfigError(f"There is no benchmark '{name}'.", f"Choose from: {', '.join(BENCHMARKS)}.")
    module = importlib.import_module(BENCHMARKS[name][0])
    known = inspect.signature(module.run).parameters
    for option in options:
        if option not in known:
            raise ConfigError(f"bench {name} has no option --{option}.", f"It has: {', '.join(known)}.")
    started = time.monotonic()
    result: BenchResult = module.run(quick=quick, **options)
    if json_file is not None:
        atomic_write_json(json_file, result.document(quick, time.monotonic() - started))
    return result


def _cell(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _plain(value: Any) -> Any:
    return _finite(value.item() if hasattr(value, "item") else value)


def _finite(value: Any) -> Any:
    """The same with None for what no JSON number can say: a figure that has no meaning here."""
    if isinstance(value, Mapping):
        return {k: _finite(v) for k, v in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _table(title: str, header: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    cells = [[str(h) for h in header], *[[_cell(c) for c in row] for row in rows]]
    widths = [max(len(row[i]) for row in cells) for i in range(len(header))]
    lines = ["  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in cells]
    lines.insert(1, "  ".join("-" * w for w in widths))
    return "\n".join([title, *lines])
