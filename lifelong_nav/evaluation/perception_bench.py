"""`lifelong-nav bench perception`: what SC-CLIP understands, how it keeps learning, what it costs.

Four parts: retrieval of scenarios on held-out scenes; a stream of new scenarios; encoder cost; people from
camera and lidar. Heads are trained here, on the training pictures of `lifelong-nav train sc-clip` (drawn
where they are not there yet); the test pictures are drawn from a seed of their own that no setting of the
model was chosen by.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from lifelong_nav.core.errors import LifelongNavError
from lifelong_nav.evaluation import camera_people_bench, context_bench, encoder_bench, lifelong_bench
from lifelong_nav.evaluation.bench import BenchResult
from lifelong_nav.perception.context_files import ModelFiles, load_parts, load_trunk, model_folder
from lifelong_nav.perception.sc_clip.photo_check import photo_check
from lifelong_nav.perception.sc_clip.text_encoder import TextEncoder
from lifelong_nav.training.sc_clip import TrainConfig
from lifelong_nav.training.sc_clip_data import SceneSet, joined, load_scene_set
from lifelong_nav.training.scene_data import SceneDataConfig, generate, iter_images

SEEDS = (0, 1, 2)
FRESH_SEED = 1000
"""Of the test pictures."""
QUICK = {"train": 840, "val": 168, "test": 0}
TESTS = 1800
_FRAMES = 300


def run(quick: bool = False) -> BenchResult:
    """All four parts.

    Args:
        quick: fewer pictures, one seed.
    """
    folder = Path("runs") / ("bench-perception-quick" if quick else "sc-clip-data")
    files = ModelFiles()
    encoder = TextEncoder.load(model_folder(files) / "text")
    trunk = load_trunk(files, model_folder(files))
    full = TrainConfig()
    sizes = QUICK if quick else {"train": full.train, "val": full.val, "test": full.test}
    root = draw(folder / "data", sizes, 0)
    fresh = draw(folder / "fresh", {"train": 0, "val": 0, "test": TESTS // (5 if quick else 1)}, FRESH_SEED)
    with tqdm(desc="reading", unit="") as bar:
        known, tests = (
            load_scene_set(r, folder / c, trunk, encoder, encoder.space, _to(bar))
            for r, c in ((root, "cache"), (fresh, "cache-fresh"))
        )
    scenes = joined(known.rows(known.where("split", ["train", "val"])), tests)
    seeds = SEEDS[:1] if quick else SEEDS
    with tqdm(desc="retrieval", unit="") as bar:
        found = context_bench.measure(scenes, trunk, encoder.space, seeds, say=bar.set_postfix_str)
    with tqdm(desc="lifelong", unit="") as bar:
        stream = lifelong_bench.run(scenes, trunk, encoder, quick, bar.set_postfix_str)
    costs = encoder_bench.measure(*_inputs(root, scenes), _FRAMES // (5 if quick else 1))
    people = camera_people_bench.run(quick)
    photographs = _photographs(files)
    return BenchResult(
        "perception",
        [
            *context_bench.tables(found),
            *stream.tables,
            encoder_bench.table(costs),
            *photographs,
            *people.tables,
        ],
        [*context_bench.targets(found), *stream.targets, *encoder_bench.targets(costs), *people.targets],
        [*_notes(scenes, quick), *stream.notes, *people.notes],
    )


def draw(root: Path, sizes: dict[str, int], seed: int) -> Path:
    """A dataset; what is there already is kept."""
    with tqdm(total=sum(sizes.values()), desc="drawing scenes", unit=" pictures") as bar:
        generate(
            root, **sizes, seed=seed, workers=max(1, (os.cpu_count() or 1)), progress=_count(bar),
            config=SceneDataConfig(),
        )  # fmt: skip
    return root


def _photographs(files: ModelFiles) -> list[tuple[str, Sequence[str], Sequence[Sequence[Any]]]]:
    """Captions retrieved for real photographs, where scikit-image is installed."""
    parts = load_parts(files, learned=False)
    try:
        alone, whole = (photo_check(parts.trunk, head, parts.text) for head in (None, parts.head))
    except LifelongNavError:
        return []
    rows = [
        [name, float(np.mean([r.rank == 1 for r in found])), float(np.mean([r.rank <= 3 for r in found]))]
        for name, found in (("pretrained part alone", alone), ("with the trained head", whole))
    ]
    rows.append(["chance", 1.0 / len(alone), 3.0 / len(alone)])
    title = f"Free captions for {len(alone)} photographs (the pretrained part's settings were picked on them)"
    return [(title, ("picture voice", "top-1", "top-3"), rows)]


def _inputs(root: Path, scenes: SceneSet) -> tuple[list[Any], list[list[str]]]:
    pictures = [picture for picture, _ in zip(iter_images(root), range(60), strict=False)]
    return pictures, [list(r["clauses"]) for r in scenes.records[:300]]


def _notes(scenes: SceneSet, quick: bool) -> list[str]:
    counts = {s: int(scenes.where("split", [s]).sum()) for s in ("train", "val", "test")}
    return [
        f"Pictures: {counts['train']} for training, {counts['val']} for choosing, {counts['test']} held out; "
        "layouts, looks and people of the splits never meet, and no setting was chosen by the test pictures; "
        "figures are means over "
        f"{1 if quick else len(SEEDS)} seed(s). All pictures are rendered: they rank methods, they promise "
        "no figure for a real building.",
    ]


def _to(bar: tqdm) -> Callable[[str, int, int], None]:
    def tell(stage: str, done: int, total: int) -> None:
        bar.set_description(stage)
        _count(bar)(done, total)

    return tell


def _count(bar: tqdm) -> Callable[[int, int], None]:
    def tell(done: int, total: int) -> None:
        bar.total = total
        bar.update(done - bar.n)

    return tell
