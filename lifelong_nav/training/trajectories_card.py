"""The model card of the trajectory network, written from the measured scores."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np


def model_card(scores: dict[str, Any]) -> str:
    """Markdown of what `trajectories.train` returns."""
    runs, moments = scores["runs"], scores["moments"]
    rows = [
        ("network", _of(runs, "compared")),
        ("rules and search (best of all; top: follow the route)", _of(runs, "classical")),
    ]
    lines = [_row(name, figures) for name, figures in rows]
    parts = [_row(name, _of(runs, "simulation", name)) for name in runs[0]["simulation"]]
    scenes = [s for s in ("eth", "zara01", "students03") if s in runs[0]]
    real = [_row(f"{s}, never seen by these heads", _of(runs, s, "left_out")) for s in scenes]
    real += [_row(f"{s}, straight to the goal", _of(runs, s, "straight")) for s in scenes]
    told, mute = (list(scores["selection"][k]) for k in ("captions", "without"))
    head = "| | best ADE | best FDE | likeliest ADE | likeliest FDE |\n|---|---|---|---|---|"
    new = "\n"
    return f"""# Trajectory network and learned selection

Written by `lifelong-nav train trajectories`; means over {len(runs)} seed(s), spread in brackets where more.

## What it is
* `trunk/`: {scores["parameters"]} parameters as ONNX, frozen once trained: six learned queries through
  cross-attention to social context, lidar, way and tracked people (after TPN of OLiVia-Nav, 2409.13675).
* `heads/`: six GRU heads, 10 knots over 6 s each, kept within the limits of the base by their arithmetic.
  They may go on learning from demonstrations. `heads_without/<scene>` never saw that real scene.
* `selection/`: scores candidates against the caption embedding (after TSM).
* `memory/`: moments that learning on site replays and is judged by.

Caption space: `{scores["space"]}`.

## Data
Expert: a planner that knows the futures, on the training half of the social suite
({moments["simulation"]} moments; {moments["validation"]} of a layout held out for these).
Real pedestrians as experts for the heads:
{", ".join(f"{s} ({moments[s]})" for s in scenes) or "none"}. The held-out half of the suite was never driven.
The social context is what the shipped SC-CLIP says of rendered pictures and facts, not the truth.

## Distance to the expert [m], simulation, held-out layout
On the same moments (best: nearest of all proposals; network 6, rules and search 24):

{head}
{new.join(lines)}

Left out at run time, all held-out moments:

{head}
{new.join(parts)}

## Real pedestrians, leave one scene out
{head}
{new.join(real)}

## Learned selection, held-out layout
| | picks the nearest | distance of what it picks [m] | of the nearest | of all |
|---|---|---|---|---|
{_pick("with captions", told)}
{_pick("trained without captions", mute)}

{_verdict(told, mute)} Its number of passes was chosen on this layout.

## Limits
* It proposes and does not decide: rules and search stand beside it, costs choose, a gate has the last word.
* Distances to the best of several proposals fall with their number; compare the columns with that in mind.
* Trained for a disc of about .27 m at .45 to 1.1 m/s (heads: also at walking speed).
* Real recordings have no walls and no scan; how it does among real people and walls at once is not measured.
"""


def _verdict(told: list[dict[str, float]], mute: list[dict[str, float]]) -> str:
    gain = float(np.mean([s["ade"] for s in mute]) - np.mean([s["ade"] for s in told]))
    if gain > 0.02:
        return f"Hearing the caption brings what is picked {gain:.3f} m nearer."
    return "On this much data hearing the caption brings nothing: what it has learned is the shape of ways."


def _of(runs: Sequence[dict[str, Any]], *path: str) -> list[dict[str, float]]:
    found = []
    for run in runs:
        value: Any = run
        for key in path:
            value = value[key]
        found.append(value)
    return found


def _row(name: str, figures: list[dict[str, float]]) -> str:
    keys = ("best_ade", "best_fde", "top_ade", "top_fde")
    return f"| {name} | " + " | ".join(_value(figures, k) for k in keys) + " |"


def _pick(name: str, figures: list[dict[str, float]]) -> str:
    keys = ("right", "ade", "nearest_ade", "mean_ade")
    return f"| {name} | " + " | ".join(_value(figures, k) for k in keys) + " |"


def _value(figures: list[dict[str, float]], key: str) -> str:
    values = [f[key] for f in figures]
    spread = f" ({np.std(values):.3f})" if len(values) > 1 else ""
    return f"{np.mean(values):.3f}{spread}"
