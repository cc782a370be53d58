"""`lifelong-nav bench ratings`: how well the shipped model foretells people's ratings, and what it costs.

Held-out scenes are those of one file of SocNav1; everything that is fitted here is fitted to the training
ratings of other scenes. Baselines are fitted in the same run; `quick` leaves out repeated seeds and the
ensemble.
"""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
from scipy.stats import spearmanr

from lifelong_nav.core.share import recordings
from lifelong_nav.core.types import FloatArray
from lifelong_nav.evaluation.bench import BenchResult, Target
from lifelong_nav.evaluation.social_metrics import bootstrap
from lifelong_nav.training.ratings import fit_both, light, noise_floor
from lifelong_nav.training.ratings_baselines import classical, fit_classical
from lifelong_nav.training.ratings_data import DEV_FILE, TRAIN_FILE, Ratings, read
from lifelong_nav.training.ratings_teacher import fit_forest, forest_rate
from lifelong_nav.trajectory.rating.around import surroundings
from lifelong_nav.trajectory.rating.model import RatingModel, load

_NOTES = (
    "Held-out ratings are single people's: half the mean squared difference of two people who rate the same "
    "scene (the noise floor) remains for any model that does not know who rates.",
    "The shipped model has not seen the scenes of socnav_dev.json; on another file its scenes may be in its "
    "training data, and the table says how many are.",
)
SEEDS = (0, 1, 2)


def run(quick: bool = False, data: Path | None = None, scenes: Path | None = None) -> BenchResult:
    """Rate held-out scenes.

    Args:
        quick: one seed of the trees, no ensemble.
        data: folder with SocNav1; None for `socnav1` below LIFELONG_NAV_DATA.
        scenes: file of held-out scenes as JSON lines; None for socnav_dev.json in `data`.
    """
    folder = data or recordings("socnav1")
    held_out = read(scenes or folder / DEV_FILE)
    everything = read(folder / TRAIN_FILE)
    known = np.isin(everything.scenes, held_out.scenes)
    train = everything.take(~known)
    shipped = load()
    rated: dict[str, list[FloatArray]] = {
        "constant": [np.full(len(held_out), train.scores.mean())],
        "round Gaussian": [classical(fit_classical(train, groups=False), held_out.around)],
        "classical costs": [classical(fit_classical(train), held_out.around)],
        "boosted trees": [
            forest_rate(fit_forest(train, seed), held_out.around) for seed in (SEEDS[:1] if quick else SEEDS)
        ],
        "shipped": [light(shipped, held_out)],
    }
    if not quick:
        again = [fit_both(train, seed) for seed in SEEDS]
        rated["trained again: ensemble"] = [teacher.rate(held_out.around) for teacher, _ in again]
        rated["trained again: light"] = [light(student, held_out) for _, student in again]
    errors = {name: [_mse(p, held_out) for p in each] for name, each in rated.items()}
    table = [
        (
            name, float(np.mean(errors[name])), _spread(errors[name]),
            str(bootstrap(np.square(each[0] - held_out.scores))), _rank(each, held_out),
        )
        for name, each in rated.items()
    ]  # fmt: skip
    floor = noise_floor(everything)
    cost = milliseconds(shipped)
    baselines = {n: float(np.mean(errors[n])) for n in ("constant", "round Gaussian", "boosted trees")}
    return BenchResult(
        "ratings",
        [
            (
                f"{len(held_out)} held-out ratings; {int(known.sum())} ratings of their scenes left out",
                ("model", "MSE", "seeds", "MSE with 95 % interval, first seed", "rank correlation"), table,
            ),
            ("What there is to reach", ("figure", "value"), [("noise floor (MSE)", floor)]),
            ("CPU time", ("200 poses, 8 people, 4 pairs", "ms"), [("features and network", cost)]),
        ],
        [
            Target("MSE of the shipped model", errors["shipped"][0], 0.018, "<=", baselines),
            Target("ms for 200 poses among 8 people", cost, 2.0, "<="),
        ],
        _NOTES,
    )  # fmt: skip


def milliseconds(model: RatingModel, repeats: int = 40) -> float:
    """CPU milliseconds (median) for 20 candidates at 10 times among eight people in four pairs."""
    rng = np.random.default_rng(0)
    poses = np.concatenate([rng.normal(0.0, 2.0, (20, 10, 2)), rng.uniform(-3, 3, (20, 10, 1))], axis=-1)
    people = np.broadcast_to(rng.normal(0.0, 2.0, (8, 2)), (10, 8, 2))
    groups, still = np.repeat(np.arange(4), 2), np.zeros((10, 8, 2))
    spent = []
    for _ in range(repeats):
        start = time.process_time()
        model.rate(poses, surroundings(poses, people, still, groups, np.full((20, 10), 2.0)))
        spent.append(time.process_time() - start)
    return float(1e3 * np.median(spent))


def _mse(rated: FloatArray, ratings: Ratings) -> float:
    return float(np.square(np.clip(rated, 0.0, 1.0) - ratings.scores).mean())


def _spread(errors: list[float]) -> str:
    return f"{len(errors)}: {min(errors):.4f} - {max(errors):.4f}" if len(errors) > 1 else "1"


def _rank(each: list[FloatArray], ratings: Ratings) -> float:
    if np.ptp(each[0]) == 0.0:
        return 0.0
    return float(np.mean([spearmanr(p, ratings.scores).statistic for p in each]))
