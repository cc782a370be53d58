"""`lifelong-nav train MODEL`: stages with progress, resumable after a kill; weights and card at the end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from lifelong_nav.core.errors import ConfigError, require_package
from lifelong_nav.core.share import share_folder, state_folder
from lifelong_nav.core.storage import atomic_write


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


@dataclass(frozen=True)
class Order:
    """What to train, and how.

    Args:
        model: a name in `_TRAINERS`.
        out: folder to write; None for the shipped one (selector: a parameter file).
        data: folder for data and what is cached, a run goes on where it was interrupted; None for one below
            `runs`. Of prediction and ratings: the recordings.
        pictures: of sc-clip, for training; 0 for as many as the shipped model saw.
        seed: of data and weights.
        workers: processes that make data.
        demonstrations: bags of somebody driving; trajectories only: learn from them on top of what is in use.
    """

    model: str
    out: Path | None = None
    data: Path | None = None
    pictures: int = 0
    seed: int = 0
    workers: int = 1
    demonstrations: tuple[Path, ...] = ()


def run(order: Order) -> int:
    """Train a model; 0 when it is written.

    Raises:
        ConfigError: demonstrations for a model that does not learn from them.
    """
    require_package("torch", "learn")
    if order.demonstrations:
        return learn_demonstrations(order)
    bars = StageBars()
    try:
        folder = _TRAINERS[order.model](order, bars)
    finally:
        bars.close()
    print(f"written: {folder}")
    return 0


def learn_demonstrations(order: Order) -> int:
    """Learn trajectories from bags, as the robot would while driving; says what became of each."""
    from lifelong_nav.training.demonstrations import learn_bags
    from lifelong_nav.trajectory.lifelong.updater import TrajectoryUpdater

    if order.model != "trajectories":
        raise ConfigError(f"{order.model} does not learn from bags.", "Use: train trajectories.")
    folder = order.out or state_folder("trajectories")
    learner, trouble = TrajectoryUpdater.open(folder, _shipped("trajectories"), seed=order.seed)
    for sentence in trouble:
        print(sentence)
    for bag in order.demonstrations:
        before = len(learner.store)
        events = learn_bags(learner, [bag])
        print(f"{bag}: {len(learner.store) - before} moments")
        for event in events:
            print(f"  {event.text}")
    state = learner.state()
    refused = ", ".join(f"{reason} {count}" for reason, count in state["refused"].items()) or "nothing"
    print(f"{state['demonstrated']} moments kept in {folder}, refused: {refused}")
    print(f"generation {state['generation']} is in use")
    return 0


def _shipped(name: str) -> Path:
    return share_folder("models") / name


def _sc_clip(order: Order, bars: StageBars) -> Path:
    folder = order.out or _shipped("sc_clip")
    data = order.data or Path("runs/sc-clip-data")
    train_sc_clip(folder, data, order.pictures, order.seed, order.workers, bars)
    return folder


def _text_tower(order: Order, bars: StageBars) -> Path:
    folder = order.out or _shipped("sc_clip")
    train_text_tower(folder, order.data or Path("runs/sc-clip-data"), order.seed, bars)
    return folder


def _prediction(order: Order, bars: StageBars) -> Path:
    from lifelong_nav.training import prediction

    folder = order.out or _shipped("prediction")
    seeds = tuple(order.seed + k for k in range(len(prediction.SEEDS)))
    prediction.train(folder, order.data, seeds, progress=bars)
    return folder


def _ratings(order: Order, bars: StageBars) -> Path:
    from lifelong_nav.training.ratings import train_ratings

    folder = order.out or _shipped("social_rating")
    train_ratings(folder, order.data, order.seed, progress=bars)
    return folder


def _trajectories(order: Order, bars: StageBars) -> Path:
    from lifelong_nav.training import trajectories

    folder, config = order.out or _shipped("trajectories"), trajectories.TrainConfig(workers=order.workers)
    work = order.data or Path("runs/trajectories-data")
    trajectories.train(folder, work, seeds=(order.seed, order.seed + 1), config=config, progress=bars)
    return folder


def _selector(order: Order, bars: StageBars) -> Path:
    """Weights of the selector's terms, as parameters of the node `trajectory`."""
    from lifelong_nav.training import selector_weights

    config, fit = selector_weights.train(progress=print)
    path = order.out or Path("runs/selector.yaml")
    rows = [f"    terms_{name}: {getattr(config, name):.4g}\n" for name in fit.weights]
    path.parent.mkdir(parents=True, exist_ok=True)
    head = "# weights fitted to the privileged expert; pass as params_file\n"
    text = head + "/**/trajectory:\n  ros__parameters:\n"
    atomic_write(path, (text + "".join(rows)).encode())
    print(fit)
    return path


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


_TRAINERS: dict[str, Callable[[Order, StageBars], Path]] = {
    "sc-clip": _sc_clip,
    "text-tower": _text_tower,
    "prediction": _prediction,
    "ratings": _ratings,
    "trajectories": _trajectories,
    "selector": _selector,
}
