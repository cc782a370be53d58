"""`lifelong-nav train prediction`: networks that leave one scene out, one that has seen all, and a card."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from lifelong_nav.core.checkpoints import load_checkpoint, save_checkpoint
from lifelong_nav.core.errors import CheckpointError, ConfigError
from lifelong_nav.core.share import recordings, share_folder
from lifelong_nav.core.storage import atomic_write
from lifelong_nav.core.types import FloatArray
from lifelong_nav.training.prediction_data import (
    FILES,
    Grid,
    Samples,
    backwards,
    citr_grids,
    hermes_grids,
    join,
    own_frame,
    plain_grid,
    samples,
)
from lifelong_nav.training.prediction_fit import FitConfig, fit
from lifelong_nav.training.prediction_model import export

Progress = Callable[[str, int, int], None]
SEEDS = (0, 1, 2)
_LEAST = (3, 6)  # samples of past and of future that a training sample has


def train(
    folder: Path | None = None, data: Path | None = None, seeds: Sequence[int] = SEEDS,
    config: FitConfig | None = None, progress: Progress | None = None, scenes: Sequence[str] = tuple(FILES),
) -> Path:  # fmt: skip
    """Train what `Predictor.load` reads; what a killed run has finished is kept.

    Args:
        folder: to write; None for the shipped `models/prediction`.
        data: holds eth_ucy, and hermes and citr where they are to help; None for the usual place.
        seeds: of the networks that leave a scene out; the one on all scenes takes the first.
        config: of every run.
        progress: told the stage, steps done and steps in all.
        scenes: to leave out in turn.

    Returns:
        The folder.

    Raises:
        ConfigError: the recordings are not there.
    """
    import torch

    torch.set_num_threads(1)
    config = config or FitConfig()
    folder = folder or share_folder("models") / "prediction"
    grids, extra = _recordings(data)
    jobs = [(f"without_{s}_{seed}", s, seed) for s in scenes for seed in seeds] + [("all", "", seeds[0])]
    for name, scene, seed in jobs:
        facts: dict[str, Any] = {"name": name, "left_out": scene, "seed": seed, "config": asdict(config)}
        facts["recipe"] = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]
        target = folder / f"{name}.safetensors"
        if _is_done(target, facts["recipe"]):
            continue
        chosen, odds = training_set([g for g in grids if g.name != scene], extra, config.extra)

        def say(done: int, total: int, name: str = name) -> None:
            if progress is not None:
                progress(name, done, total)

        model = fit(chosen, odds, seed, config, say)
        network = export(model, {**facts, "samples": len(chosen)}, half=True)
        save_checkpoint(target, network.tensors, network.facts)
        write_card(folder, "Figures of these weights: `lifelong-nav bench prediction`.")
    return folder


def training_set(
    grids: Sequence[Grid], extra: Sequence[Sequence[Grid]], weight: float
) -> tuple[Samples, FloatArray]:
    """Samples in their own frames and the odds of drawing each.

    Every scene counts the same however long it is, walked backwards half; eth, which is small, a little less.
    """
    parts, odds = [], []

    def put(found: Samples, share: float) -> None:
        parts.append(own_frame(found))
        odds.append(np.full(len(found), share / len(found)))

    for grid in grids:
        share = 0.6 if grid.name == "eth" else 1.0
        put(samples(grid, *_LEAST), share)
        put(samples(backwards(grid), *_LEAST), 0.5 * share)
    for source in extra:
        usable = [g for g in source if (np.isfinite(g.points[..., 0]).sum(0) >= 12).any()]
        if usable and weight > 0.0:
            put(join([samples(g, 4, 8) for g in usable]), weight)
    return join(parts), np.concatenate(odds)


def write_card(folder: Path, table: str) -> None:
    """README.md beside the weights; `table` are the figures of `bench prediction`."""
    atomic_write(folder / "README.md", (_CARD.strip() + "\n\n" + table.strip() + "\n").encode())


def _recordings(data: Path | None) -> tuple[list[Grid], list[list[Grid]]]:
    root = data if data is not None else recordings()
    grids = []
    for name, file in FILES.items():
        path = root / "eth_ucy" / file
        if not path.is_file():
            raise ConfigError(f"There is no {path}.", "Set LIFELONG_NAV_DATA to the folder with eth_ucy.")
        grids.append(plain_grid(path, name))
    extra = [hermes_grids(root / "hermes" / "Corridor-2D"), citr_grids(root / "citr")]
    return grids, extra


def _is_done(target: Path, recipe: str) -> bool:
    try:
        return bool(load_checkpoint(target)[1].get("recipe") == recipe)
    except CheckpointError:
        return False


_CARD = """
# People prediction

Written by `lifelong-nav train prediction`; figures by `lifelong-nav bench prediction`.

## What it is
`all.safetensors` runs on the robot; `without_<scene>_<seed>.safetensors` have not seen that scene and are for
benchmarks. Each has about 110 000 weights (16 bits on disk, 32 at work, numpy only): a person's last eight
positions at 0.4 s in the person's own frame, attention over the twelve nearest others (the robot is one of
them), five tracks of 4.8 s with weights and spreads. The first track is the single best guess.

## Data
ETH (Pellegrini 2009), UCY zara01 and students003 (Lerner 2007), at small weight the Juelich corridor (HERMES)
and the CITR crowds. Mirrored, scaled, walked backwards, with noise and cut histories. Fast walkers are made
to slow down in part of the samples. No data come along with the weights.

## Limits
* The recipe was chosen by leaving these three scenes out in turn, and that last rule was added after the
  errors on eth had been looked at. Without it (one seed) the ratios to constant velocity are .934/.918 single
  and .646/.620 best of five: best of five on eth rests on it (FDE 1.48 without), zara01 and students03 do not
  need it (single there .89 and 1.28 without). Scenes never looked at (`bench prediction --data FOLDER`) are
  the honest test.
* Weights tell modes apart little (-log w 1.5 to 1.6, even would be 1.61): read the modes as about equal
  shares of what may happen. Spreads are too wide on zara01 (.86 within one sigma), elsewhere narrow (.63).
* Learned from adults who walk outdoors and in a corridor. It does not know doors, lifts or goals; walls
  (`DistanceField`) and usual flows (`FlowMap`) are added at run time.
* Nobody in the data met a robot but the CITR cart.
"""
