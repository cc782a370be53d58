"""Trains and publishes the trajectory network and the learned selection: data, trunk, heads, scores, card.

    train(Path("models/trajectories"), Path("runs/trajectories"), progress=print)

The trunk learns from the privileged expert in simulation alone; the heads go on with real pedestrians.
Heads that never saw a scene ship beside (`heads_without/<scene>`), so that a benchmark on it can leave out
what was learned on it: with the trunk frozen before, that is all there is. Every stage leaves its result in
`work` and is skipped when that is whole; a run goes on where a kill left it.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lifelong_nav.core.checkpoints import load_checkpoint, save_checkpoint
from lifelong_nav.core.config import param
from lifelong_nav.core.errors import StorageError
from lifelong_nav.core.storage import atomic_write, atomic_write_json
from lifelong_nav.core.types import FloatArray
from lifelong_nav.training.trajectories_card import model_card
from lifelong_nav.training.trajectories_fit import FitConfig, Fitted, fit, fit_heads, queries
from lifelong_nav.training.trajectories_network import TrunkNet, export, parameters
from lifelong_nav.training.trajectories_real import SCENES, scene_file, scene_moments
from lifelong_nav.training.trajectories_scores import ablations, classical, head_scores, path_scores
from lifelong_nav.training.trajectories_selection import fit_selection, selection_scores
from lifelong_nav.training.trajectories_sim import SimData, load_cases, make_cases, sim_cases
from lifelong_nav.trajectory.generator import heads_torch
from lifelong_nav.trajectory.generator.heads import Heads
from lifelong_nav.trajectory.generator.moments import Moments, from_tensors, join
from lifelong_nav.trajectory.generator.network import HEADS, SELECTION, TRUNK, WITHOUT
from lifelong_nav.trajectory.lifelong.updater import HELD, MEMORY, REPLAY

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class TrainConfig:
    """What is trained on how much."""

    each: int = param(5, "", 1, 1000, "Cases of every family and human model of the training half.")
    data_seed: int = param(0, "", 0, 2**31 - 1, "Of the cases.")
    workers: int = param(2, "", 1, 256, "Processes that drive.")
    only_made: bool = param(False, doc="Take the cases there are; drive none.")
    head_epochs: int = param(8, "", 1, 1000, "Passes of the heads over simulation and real scenes.")
    selection_epochs: int = param(8, "", 1, 1000, "Passes of the learned selection.")
    replay: int = param(400, "", 10, 100_000, "Moments that ship for replay, and half as many to judge by.")


def train(
    out: Path,
    work: Path,
    *,
    seeds: Sequence[int] = (0,),
    config: TrainConfig | None = None,
    fit_config: FitConfig | None = None,
    space: str = "",
    recordings: Path | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Run all stages; what is already there is kept.

    Args:
        out: models/trajectories.
        work: folder for everything in between.
        seeds: one network each; the first ships, all are reported.
        config: sizes.
        fit_config: how the network is trained.
        space: caption space of the contexts ("" for that of the shipped SC-CLIP).
        recordings: folder of eth, zara01, students03; scenes that are absent are left out.
        progress: told of every stage.

    Returns:
        The scores, as written into `work`/scores.json and the model card.
    """
    config, fit_config = config or TrainConfig(), fit_config or FitConfig()
    tell = progress or (lambda stage, done, total: None)
    space = space or _shipped_space()
    cases = sim_cases(config.each, config.data_seed)
    if not config.only_made:
        make_cases(cases, work / "sim", config.workers, lambda a, b: tell("expert drives", a, b))
    sim = load_cases([c for c in cases if not c.held_out], work / "sim")
    val = load_cases([c for c in cases if c.held_out], work / "sim")
    real = _real(work / "real", recordings, tell)
    identity = _digest([dataclasses.asdict(fit_config), len(sim.moments), float(sim.moments.stamp.sum())])
    runs: list[dict[str, Any]] = []
    shipped: tuple[Fitted, dict[str, dict[str, FloatArray]]] | None = None
    for seed in seeds:
        fitted = _network(work / f"seed_{seed}", sim.moments, val.moments, fit_config, seed, identity, tell)
        heads = _heads(fitted, sim.moments, real, config, fit_config, seed, tell)
        runs.append({"seed": seed, **_scores(fitted.net, heads, val, real)})
        shipped = shipped or (fitted, heads)
    assert shipped is not None
    net, heads = shipped[0].net, shipped[1]
    chosen = [
        _selection(net, heads["all"], sim, val, config, seed, space, captions)
        for captions in (True, False)
        for seed in seeds
    ]
    best = chosen[0][0]
    scores = {
        "seeds": list(seeds), "runs": runs, "parameters": parameters(net), "space": space,
        "moments": {"simulation": len(sim.moments), "validation": len(val.moments)}
        | {name: len(part) for name, part in real.items()},
        "selection": {
            "captions": [s for _, s in chosen[: len(seeds)]],
            "without": [s for _, s in chosen[len(seeds) :]],
        },
        "config": dataclasses.asdict(config), "fit": dataclasses.asdict(fit_config),
    }  # fmt: skip
    atomic_write_json(work / "scores.json", scores)
    version = export(net, out / TRUNK, space, {"data": identity, "moments": len(sim.moments)})
    facts = {"trunk": version, "space": space}
    for name, params in heads.items():
        folder = out / HEADS if name == "all" else out / WITHOUT / name
        Heads(params, {**facts, "without": "" if name == "all" else name}).save(folder)
    best.save(out / SELECTION)
    _ship_memory(out / MEMORY, sim.moments, val.moments, real, config)
    atomic_write(out / "README.md", model_card(scores).encode())
    tell("published", 1, 1)
    return scores


def _real(folder: Path, root: Path | None, tell: Progress) -> dict[str, Moments]:
    """Moments of the real scenes there are, from disk if they were made."""
    found = {}
    for k, scene in enumerate(SCENES):
        path = folder / f"{scene}.safetensors"
        try:
            found[scene] = from_tensors(load_checkpoint(path)[0])
        except StorageError:
            if not scene_file(scene, root).is_file():
                continue
            found[scene] = scene_moments(scene, root)
            save_checkpoint(path, found[scene].tensors(), {"scene": scene})
        tell("real scenes", k + 1, len(SCENES))
    return found


def _network(
    work: Path, sim: Moments, val: Moments, config: FitConfig, seed: int, identity: str, tell: Progress
) -> Fitted:
    """Trunk and first heads of one seed, from disk if they were trained on just this."""
    path = work / "network.safetensors"
    try:
        tensors, facts = load_checkpoint(path)
        if facts.get("identity") == identity:
            net = TrunkNet(config.dropout)
            state = {n[6:]: torch.from_numpy(v.copy()) for n, v in tensors.items() if n.startswith("trunk.")}
            net.load_state_dict(state)
            heads = {n[6:]: v for n, v in tensors.items() if n.startswith("heads.")}
            return Fitted(net.eval(), heads, facts["scores"], int(facts["epoch"]))
    except StorageError:
        pass
    fitted = fit(sim, val, config, seed, work, identity, tell)
    tensors = {f"trunk.{n}": v.detach().numpy() for n, v in fitted.net.state_dict().items()}
    tensors |= {f"heads.{n}": v for n, v in fitted.heads.items()}
    save_checkpoint(path, tensors, {"identity": identity, "scores": fitted.scores, "epoch": fitted.epoch})
    return fitted


def _heads(
    fitted: Fitted, sim: Moments, real: dict[str, Moments], config: TrainConfig, fit_config: FitConfig,
    seed: int, tell: Progress,
) -> dict[str, dict[str, FloatArray]]:  # fmt: skip
    """Heads by what they never saw: "all" saw every scene, others all but the one of their name."""
    if not real:
        return {"all": fitted.heads}
    told = {name: _queries(fitted.net, part) for name, part in {"": sim, **real}.items()}
    parts = {"": sim, **real}
    out = {}
    names = ["all", *real]
    for k, left in enumerate(names):
        kept = [n for n in parts if n != left]
        # simulation is where the walls are: it counts as much as the real scenes together
        share = sum(len(parts[n]) for n in kept if n) / max(len(sim), 1)
        weighted = [
            dataclasses.replace(parts[n], weight=parts[n].weight * (1.0 if n else max(share, 1.0)))
            for n in kept
        ]
        out[left] = fit_heads(
            torch.cat([told[n] for n in kept]), join(weighted), fitted.heads, fit_config,
            config.head_epochs, seed,
        )  # fmt: skip
        tell(f"heads {seed}", k + 1, len(names))
    return out


def _scores(
    net: TrunkNet, heads: dict[str, dict[str, FloatArray]], val: SimData, real: dict[str, Moments]
) -> dict[str, Any]:
    """Simulation by held-out layouts, real scenes by heads that never saw them."""
    scores: dict[str, Any] = {"simulation": ablations(net, heads["all"], val.moments)}
    compared = val.moments[val.compared]
    scores["compared"] = head_scores(_queries(net, compared), heads["all"], compared)
    scores["classical"] = classical(compared, val.rivals)
    for name, part in real.items():
        some = part[:: max(len(part) // 800, 1)]
        scores[name] = {
            "left_out": head_scores(_queries(net, some), heads[name], some),
            "straight": path_scores(some),
        }
    return scores


def _selection(
    net: TrunkNet, heads: dict[str, FloatArray], sim: SimData, val: SimData, config: TrainConfig, seed: int,
    space: str, captions: bool,
) -> tuple[Any, dict[str, float]]:  # fmt: skip
    """The learned selection among rules, search and network, with its scores on held-out layouts."""
    sets = []
    for data in (sim, val):
        rows = data.moments[data.compared]
        sets.append((rows, np.concatenate([data.rivals, _learned(net, heads, rows)], axis=1)))
    network = fit_selection(*sets[0], config.selection_epochs, seed, space, captions)
    scores = selection_scores(network, *sets[1], captions=captions)
    return dataclasses.replace(network, facts={**network.facts, "scores": scores}), scores


def _learned(net: TrunkNet, heads: dict[str, FloatArray], moments: Moments) -> FloatArray:
    with torch.no_grad():
        v, w, speed = torch.from_numpy(moments.motion.astype(np.float32)).T
        found = heads_torch.motions(heads_torch.tensors(heads), _queries(net, moments), v, w, speed)
    return np.asarray(found.numpy())


def _queries(net: TrunkNet, moments: Moments) -> Any:
    with torch.no_grad():
        return torch.cat([queries(net, moments[i : i + 256]) for i in range(0, len(moments), 256)])


def _ship_memory(
    folder: Path, sim: Moments, val: Moments, real: dict[str, Moments], config: TrainConfig
) -> None:
    """Moments to replay and to judge by: most of simulation, some of the real scenes."""
    rng = np.random.default_rng(0)

    def some(moments: Moments, count: int) -> Moments:
        return moments[np.sort(rng.permutation(len(moments))[:count])]

    ends = {name: (part[: int(0.8 * len(part))], part[int(0.8 * len(part)) :]) for name, part in real.items()}
    share = 0.25 / max(len(real), 1) if real else 0.0
    for name, base, count, side in ((REPLAY, sim, config.replay, 0), (HELD, val, config.replay // 2, 1)):
        parts = [some(base, int(count * (0.75 if real else 1.0)))]
        parts += [some(pair[side], max(int(count * share), 1)) for pair in ends.values()]
        told = join(parts)
        note = "numbers of simulated scenes and of public recordings of pedestrians, no pictures"
        save_checkpoint(folder / name, told.tensors(), {"moments": len(told), "note": note})


def _shipped_space() -> str:
    from lifelong_nav.core.share import share_folder
    from lifelong_nav.perception.sc_clip.text_encoder import verified_manifest

    return str(verified_manifest(share_folder("models") / "sc_clip" / "text")["space"])


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]
