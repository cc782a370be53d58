"""Pages written from the code: `docs/topics.md`, `docs/parameters.md`, `config/lifelong_nav.yaml`."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

import yaml

from lifelong_nav.core import config as cfg
from lifelong_nav.core.errors import ConfigError
from lifelong_nav.core.storage import atomic_write
from lifelong_nav.nodes.run import load
from lifelong_nav.nodes.topics import FRAMES, TOPICS
from lifelong_nav.stack import ALL_NODES

_ROOT = Path(__file__).resolve().parents[2]
_MADE = "Written by `lifelong-nav docs` from the code; edit there.\n"


def topics_page() -> str:
    """The topic table as Markdown."""
    rows = [
        f"| `{t.name}` | {t.type.replace('/msg/', '/')} | {t.qos} | {t.rate or 'on change'} "
        f"| {t.frame or '-'} | {t.source} | {t.doc} |"
        for t in TOPICS.values()
    ]
    frames = [f"| `{name}` | {text} |" for name, text in FRAMES.items()]
    return "\n".join(
        ["# Topics and frames", "", _MADE,
         "Names are relative to the namespace. Rates are nominal, in Hz.", "",
         "| topic | type | QoS | rate | frame | from | meaning |", "|---|---|---|---|---|---|---|", *rows, "",
         "QoS: sensor = best effort, depth 5 (REP-2003); reliable = reliable, depth 10; latched = reliable, "
         "transient local, depth 1.", "",
         "| frame | where |", "|---|---|", *frames, ""]
    )  # fmt: skip


def parameters_page() -> str:
    """Every parameter of every node as Markdown."""
    lines = ["# Parameters", "", _MADE]
    for name, cls in _configs():
        lines += [
            f"## {name}",
            "",
            "| parameter | default | unit | range | meaning |",
            "|---|---|---|---|---|",
        ]
        for s in cfg.specs(cls):
            fixed = " Read-only once configured." if s.read_only else ""
            lines.append(f"| `{s.name}` | {s.default!r} | {s.unit or '-'} | {_range(s)} | {s.doc}{fixed} |")
        lines.append("")
    return "\n".join(lines)


def parameter_file() -> str:
    """The default parameter file, every value with its unit, range and sentence."""
    lines = [
        "# Default parameters of every node. Written by `lifelong-nav docs` from the code: copy this file,",
        "# change your copy, and pass it as params_file:=... (launch) or --params-file (lifelong-nav).",
    ]
    for name, cls in _configs():
        lines += [f"/**/{name}:", "  ros__parameters:"]
        for s in cfg.specs(cls):
            if s.default == []:
                continue  # an empty list has no ROS type; the node's own default is the same
            value = yaml.safe_dump(s.default, default_flow_style=True).replace("\n...", "").strip()
            unit = f" [{s.unit}]" if s.unit else ""
            lines += [f"    # {s.doc}{unit} {_range(s, '')}".rstrip(), f"    {s.name}: {value}"]
    return "\n".join(lines) + "\n"


def write(check: bool = False, root: Path = _ROOT) -> int:
    """Write the pages, or with `check` only say which are out of date (exit code 1 then)."""
    if not (root / "package.xml").is_file():
        raise ConfigError(f"{root} is not a source checkout.", "Run this in one.")
    pages = {
        root / "docs" / "topics.md": topics_page(),
        root / "docs" / "parameters.md": parameters_page(),
        root / "config" / "lifelong_nav.yaml": parameter_file(),
    }
    stale = [p for p, text in pages.items() if not p.is_file() or p.read_text(encoding="utf-8") != text]
    for path in stale:
        if check:
            print(f"{path.relative_to(root)} is out of date: run 'make docs'", file=sys.stderr)
        else:
            atomic_write(path, pages[path].encode())
            print(f"wrote {path.relative_to(root)}")
    return 1 if check and stale else 0


def _configs() -> Iterable[tuple[str, type]]:
    for name, spec in ALL_NODES.items():
        yield name, load(spec.target).CONFIG


def _range(spec: cfg.ParamSpec, nothing: str = "-") -> str:
    if spec.choices:
        return "one of " + ", ".join(spec.choices)
    if spec.low is None and spec.high is None:
        return nothing
    low = "" if spec.low is None else f"{spec.low:g}"
    high = "" if spec.high is None else f"{spec.high:g}"
    return f"{low} .. {high}"
