"""Trains and publishes SC-CLIP's image half: data, trunk, vectors, heads, scores, model card.

    train(Path("models/sc_clip"), Path("runs/sc_clip"), progress=print)

Every stage leaves its result in `work` and is skipped when that is whole and of the same ingredients, so a
run goes on where a kill left it. The shipped files are replaced one by one, each atomically, the head last.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from lifelong_nav.core.config import param
from lifelong_nav.core.errors import LifelongNavError, StorageError
from lifelong_nav.core.storage import atomic_write, atomic_write_json, read_json, sha256
from lifelong_nav.perception.sc_clip.attributes import Encoder
from lifelong_nav.perception.sc_clip.fit import FitConfig, fit_head
from lifelong_nav.perception.sc_clip.head import ContextHead
from lifelong_nav.perception.sc_clip.image_trunk import ImageTrunk, RgbImage
from lifelong_nav.training import sc_clip_scores as scoring
from lifelong_nav.training.sc_clip_card import model_card
from lifelong_nav.training.sc_clip_data import SceneSet, load_scene_set
from lifelong_nav.training.scene_data import SceneDataConfig, generate, iter_images

Progress = Callable[[str, int, int], None]
"""Called with the stage, what is done of it and its whole."""


class SpacedEncoder(Encoder, Protocol):
    """A text tower that names its caption space."""

    space: str


@dataclass(frozen=True)
class TrainConfig:
    """What is trained on how much."""

    train: int = param(9000, "", 0, 10_000_000, "Pictures for training.")
    val: int = param(1000, "", 0, 10_000_000, "Pictures for choosing and calibrating.")
    test: int = param(2000, "", 0, 10_000_000, "Pictures for the figures.")
    data_seed: int = param(0, "", 0, 2**31 - 1, "Of the dataset.")
    workers: int = param(1, "", 1, 256, "Processes that render.")
    calibration: int = param(240, "", 16, 10_000, "Pictures that set the ranges of the int8 trunk.")
    baselines: bool = param(True, doc="Train and score what the head has to beat as well.")


def train(
    out: Path,
    work: Path,
    encoder: SpacedEncoder,
    *,
    data_root: Path | None = None,
    seeds: Sequence[int] = (0, 1, 2),
    config: TrainConfig | None = None,
    fit: FitConfig | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Run all stages; what is already there is kept.

    Args:
        out: models/sc_clip: `trunk/`, `head/`, `open_clip/` and `README.md` are written there.
        work: folder for everything in between.
        encoder: the text tower (`TextEncoder`), whose space the head maps into.
        data_root: dataset; None for `work`/data. An existing one is completed and used as it is.
        seeds: one head each; the best on the validation split ships, all are reported.
        config: sizes.
        fit: how heads are trained.
        progress: told of every stage.

    Returns:
        The scores, as written into `work`/scores.json and the model card.
    """
    config, fit = config or TrainConfig(), fit or FitConfig()
    tell = progress or (lambda stage, done, total: None)
    root = _data(data_root or work / "data", config, tell)
    trunk = _trunk(work / "trunk", root, encoder, config, tell)
    scenes = load_scene_set(root, work / "cache", trunk, encoder, encoder.space, tell)
    splits = {name: scenes.rows(scenes.where("split", [name])) for name in ("train", "val", "test")}
    new = {"trunk": trunk.version, "space": encoder.space, "skip_start": trunk.parts[-1].start}
    identity = _digest({"fit": dataclasses.asdict(fit), "new": new, "data": _data_digest(root)})
    heads = [_head(work / "heads" / f"seed_{s}", splits, fit, new, s, identity, tell) for s in seeds]
    chosen = int(np.argmax([h.facts["validation"] for h in heads]))
    reports = []
    for i, seed in enumerate(seeds):
        reports.append(
            _scores(work / "heads" / f"seed_{seed}", heads[i], splits, fit, new, trunk, config, seed)
        )
        tell("scores", i + 1, len(seeds))
    scores = {"seeds": list(seeds), "shipped_seed": seeds[chosen], "runs": reports} | _facts(
        root, trunk, encoder, fit, splits
    )
    atomic_write_json(work / "scores.json", scores)
    publish(out, work, heads[chosen], encoder, scores)
    tell("published", 1, 1)
    return scores


def publish(out: Path, work: Path, head: ContextHead, encoder: SpacedEncoder, scores: dict[str, Any]) -> None:
    """Ship trunk, open_clip's image tower, card and, last, the head."""
    from lifelong_nav.perception.sc_clip import open_clip_bundle as bundle

    card = read_json(work / "trunk" / "trunk.json")
    shipped = {card["precision"]: card["files"][card["precision"]]}  # fp32 is written again in a minute
    for file in shipped.values():
        atomic_write(out / "trunk" / file["name"], (work / "trunk" / file["name"]).read_bytes())
    atomic_write_json(out / "trunk" / "trunk.json", {**card, "files": shipped})
    facts = {"space": encoder.space, "trunk": head.trunk}
    bundle.write_image_tower(out / "open_clip", _torch_trunk(encoder), head, facts)
    atomic_write(out / "README.md", model_card(scores).encode())
    head.save(out / "head")


def _data(root: Path, config: TrainConfig, tell: Progress) -> Path:
    manifest = root / "manifest.json"
    sizes: dict[str, Any] = {k: getattr(config, k) for k in ("train", "val", "test")}
    data = SceneDataConfig(seed=config.data_seed, **sizes)
    if manifest.is_file():  # a dataset that was begun is finished in its own numbers
        data = SceneDataConfig(**read_json(manifest)["config"])
    generate(
        root, train=data.train, val=data.val, test=data.test, seed=data.seed, config=data,
        workers=config.workers, progress=lambda done, total: tell("pictures", done, total),
    )  # fmt: skip
    return root


def _torch_trunk(encoder: SpacedEncoder) -> Any:
    from lifelong_nav.perception.sc_clip import trunk_model

    vectors = encoder.encode(trunk_model.imagenet_sentences())
    return trunk_model.build_trunk(trunk_model.find_backbone(), vectors)


def _trunk(
    folder: Path, root: Path, encoder: SpacedEncoder, config: TrainConfig, tell: Progress
) -> ImageTrunk:
    """Export the trunk unless this space's is there."""
    from lifelong_nav.perception.sc_clip import image_export, photo_check, trunk_model

    identity = _digest({"space": encoder.space, "weights": sha256(trunk_model.find_backbone())})
    try:
        trunk = ImageTrunk.load(folder)
        if trunk.card["facts"].get("identity") == identity:
            return trunk
    except StorageError:
        pass
    tell("trunk", 0, 1)
    pictures = _some_pictures(root, 2 * config.calibration)
    try:
        photos = list(photo_check.load_photos().values())
    except LifelongNavError:
        photos = []  # scikit-image is not needed; its photographs widen the int8 ranges a little
    model = _torch_trunk(encoder)
    facts = {"identity": identity, "space": encoder.space, "calibration": config.calibration}
    image_export.export_trunk(model, folder, [*pictures[::2], *photos], facts)
    exact, small = (ImageTrunk.load(folder, p) for p in ("fp32", "int8"))
    a, b = exact.features(pictures[1::2]), small.features(pictures[1::2])
    card = read_json(folder / "trunk.json")
    card["facts"] = facts | {
        f"agreement_{p.name}": image_export.agreement(a[:, p.slice], b[:, p.slice]) for p in exact.parts
    }
    atomic_write_json(folder / "trunk.json", card)
    tell("trunk", 1, 1)
    return ImageTrunk.load(folder)


def _some_pictures(root: Path, count: int) -> list[RgbImage]:
    """About `count` pictures spread over the training split (the first of the dataset's shards)."""
    total = json.loads((root / "manifest.json").read_text())["config"]["train"]
    step = max(1, total // count)
    out: list[RgbImage] = []
    for i, picture in enumerate(iter_images(root)):
        if i % step == 0:
            out.append(picture)
        if len(out) >= count:
            break
    return out


def _head(
    folder: Path, splits: dict[str, SceneSet], fit: FitConfig, new: dict[str, Any], seed: int,
    identity: str, tell: Progress,
) -> ContextHead:  # fmt: skip
    """The head of one seed, from disk if it was trained on just this."""
    try:
        head = ContextHead.load(folder, new["trunk"], new["space"])
        if head.facts.get("identity") == identity:
            return head
    except StorageError:
        pass
    head = fit_head(
        splits["train"].fit_data(), fit, seed=seed,
        progress=lambda step, steps, loss: tell(f"head {seed}", step, steps), **new,
    )  # fmt: skip
    val = splits["val"]
    top1 = scoring.retrieval_scores(head, val)["fused"]["scenario"]
    facts = {
        "identity": identity, "seed": seed, "validation": top1,
        "temperatures": scoring.calibrate(head, val),
    }  # fmt: skip
    head = dataclasses.replace(head, facts=head.facts | facts)
    head.save(folder)
    return head


def _scores(
    folder: Path, head: ContextHead, splits: dict[str, SceneSet], fit: FitConfig, new: dict[str, Any],
    trunk: ImageTrunk, config: TrainConfig, seed: int,
) -> dict[str, Any]:  # fmt: skip
    """Test scores of one seed's head with its baselines, from disk if they are there."""
    path = folder / "scores.json"
    try:
        kept = read_json(path)
        if kept["identity"] == head.facts["identity"] and ("baselines" in kept or not config.baselines):
            return dict(kept)
    except (StorageError, KeyError, TypeError):
        pass
    train, val, test = (splits[k] for k in ("train", "val", "test"))
    out: dict[str, Any] = {"seed": seed, "identity": head.facts["identity"]}
    out["retrieval"] = scoring.retrieval_scores(head, test)
    if config.baselines:
        pooled = next(p.slice for p in trunk.parts if p.name == "pooled")
        out["combinations"] = scoring.unseen_combinations(train, val, test, fit, new, seed)
        out["baselines"] = scoring.baselines(train, test, fit, new, pooled, seed)
    atomic_write_json(path, out)
    return out


def _facts(
    root: Path, trunk: ImageTrunk, encoder: SpacedEncoder, fit: FitConfig, splits: dict[str, SceneSet]
) -> dict[str, Any]:
    return {
        "trunk": trunk.card | {"files": sorted(trunk.card["files"])},
        "space": encoder.space,
        "fit": dataclasses.asdict(fit),
        "data": read_json(root / "manifest.json"),
        "data_sha256": _data_digest(root),
        "pictures": {name: len(s) for name, s in splits.items()},
    }


def _data_digest(root: Path) -> str:
    """One digest of all labels; pictures follow from the same seeds."""
    digest = hashlib.sha256()
    for path in sorted(root.glob("shard_*.jsonl")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]
