"""`lifelong-nav train MODEL`: stages with progress, resumable after a kill; weights and card at the end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tqdm import tqdm

from lifelong_nav.core.errors import require_package
from lifelong_nav.core.share import share_folder


class StageBars:
    """A progress bar per stage."""

    def __init__(self) -> None:
        self._bar: tqdm | None = None
        self._stage = ""

    def __call__(self, stage: str, done: int, total: int) -> None:
        """`done` of `total` of a stage."""
        if stage != self._stage or self._bar is None:
            self.close()
            self._stage, self._bar = stage, tqdm(total=total, desc=stage, unit="", dynamic_ncols=True)
        self._bar.total = total
        self._bar.update(done - self._bar.n)

    def close(self) -> None:
        """End the bar."""
        if self._bar is not None:
            self._bar.close()


def run(model: str, out: Path | None, data: Path, pictures: int, seed: int, workers: int) -> int:
    """Train a model.

    Args:
        model: "sc-clip" or "text-tower".
        out: folder to write; None for the shipped one.
        data: folder for data and what is cached; a run goes on where it was interrupted.
        pictures: for training; 0 for as many as the shipped model saw.
        seed: of data and weights.
        workers: processes that draw pictures.
    """
    require_package("torch", "learn")
    folder = out or share_folder("models") / "sc_clip"
    bars = StageBars()
    try:
        if model == "text-tower":
            train_text_tower(folder, data, seed, bars)
        else:
            train_sc_clip(folder, data, pictures, seed, workers, bars)
    finally:
        bars.close()
    print(f"written: {folder}")
    return 0


def train_sc_clip(
    folder: Path, data: Path, pictures: int, seed: int, workers: int, progress: StageBars
) -> None:
    """Data, trunk, heads of three seeds, scores, card; then what the learner starts from."""
    from lifelong_nav.perception.sc_clip.head import ContextHead
    from lifelong_nav.perception.sc_clip.image_trunk import ImageTrunk
    from lifelong_nav.perception.sc_clip.text_encoder import TextEncoder
    from lifelong_nav.training.sc_clip import TrainConfig, train
    from lifelong_nav.training.sc_clip_data import load_scene_set
    from lifelong_nav.training.sc_clip_ship import ship

    encoder = TextEncoder.load(folder / "text")
    sizes: dict[str, Any] = (
        {} if not pictures else {"train": pictures, "val": max(84, pictures // 6), "test": pictures // 3}
    )
    config = TrainConfig(data_seed=seed, workers=workers, **sizes)
    train(
        folder, data, encoder, data_root=data / "data", seeds=(seed, seed + 1, seed + 2), config=config,
        progress=progress,
    )  # fmt: skip
    trunk = ImageTrunk.load(folder / "trunk")
    scenes = load_scene_set(data / "data", data / "cache", trunk, encoder, encoder.space, progress)
    ship(folder, scenes, ContextHead.load(folder / "head"), encoder, encoder.space, seed)


def train_text_tower(folder: Path, data: Path, seed: int, progress: StageBars) -> None:
    """Distil MiniLM into the text tower and publish it; heads must be trained anew afterwards."""
    from lifelong_nav.training.text_publish import publish
    from lifelong_nav.training.text_tower import DistilConfig, distil

    work = data / "text"
    distil(work, config=DistilConfig(seed=seed), progress=progress)
    publish(work, folder)
    print("the caption space is new: train sc-clip again before using this model")
