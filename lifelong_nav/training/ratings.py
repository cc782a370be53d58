"""`lifelong-nav train ratings`: the rating model from SocNav1, with its scores and calibration in a card."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from lifelong_nav.core.checkpoints import save_checkpoint
from lifelong_nav.core.share import recordings, share_folder
from lifelong_nav.core.storage import atomic_write
from lifelong_nav.core.types import FloatArray
from lifelong_nav.training.ratings_baselines import calibrate, classical, fit_classical
from lifelong_nav.training.ratings_card import card
from lifelong_nav.training.ratings_data import DEV_FILE, Ratings, load
from lifelong_nav.training.ratings_teacher import (
    Teacher,
    TeacherConfig,
    fit_forest,
    fit_student,
    fit_teacher,
    forest_rate,
)
from lifelong_nav.trajectory.rating.model import FILE, SCHEMA, RatingModel, from_tensors

Progress = Callable[[str, int, int], None]
Scores = dict[str, float]


def train_ratings(
    folder: Path | None = None, data: Path | None = None, seed: int = 0, folds: int = 5,
    config: TeacherConfig | None = None, progress: Progress | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Fit the ensemble and its student, score them, write weights and card.

    Args:
        folder: to write; None for the shipped model's.
        data: with SocNav1's files; None for `socnav1` below LIFELONG_NAV_DATA.
        seed: of everything.
        folds: parts of the cross-validation by scene over the training ratings; below 2 for none.
        config: sizes.
        progress: told stage, done, total.

    Returns:
        The facts that were written beside the weights.
    """
    import torch

    torch.set_num_threads(1)
    folder = folder or share_folder("models") / "social_rating"
    train, held_out = load(data or recordings("socnav1"))
    crossed = cross_validate(train, seed, folds, config, progress)
    teacher, student = fit_both(train, seed, config, progress)
    scores = {**baseline_scores(train, held_out, seed), **model_scores(teacher, student, held_out)}
    calibration = calibrate(train)
    facts = {
        "schema": SCHEMA, "seed": seed, "ratings": len(train), "scenes": len(np.unique(train.scenes)),
        "held_out": DEV_FILE, "held_out_ratings": len(held_out), "mse": scores,
        "cross_validated_mse": crossed,
        "calibration": {n: [v, text] for n, v, text in calibration.rows()},
        "noise_floor": noise_floor(train),
    }  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    save_checkpoint(folder / FILE, tensors_of(student), facts)
    atomic_write(folder / "README.md", card(facts).encode())
    return facts


def fit_both(
    ratings: Ratings, seed: int, config: TeacherConfig | None = None, progress: Progress | None = None
) -> tuple[Teacher, RatingModel]:
    """The ensemble, and its student as it runs on the robot."""
    from lifelong_nav.training.ratings_net import weights_of

    teacher = fit_teacher(ratings, seed, config, progress=progress)
    return teacher, from_tensors(
        weights_of(fit_student(teacher, ratings, seed, config, progress=progress)), {}
    )


def tensors_of(model: RatingModel) -> dict[str, Any]:
    """The model's arrays by name."""
    layers = {f"{name}.weight": w for name, w in model.weights.items()}
    layers |= {f"{name}.bias": b for name, b in model.biases.items()}
    return {**layers, "mean": model.mean, "scale": model.scale}


def light(model: RatingModel, ratings: Ratings) -> FloatArray:
    """(R,) ratings by the model that ships, one look each."""
    return model.rate(np.zeros((len(ratings), 3)), ratings.around)


def model_scores(teacher: Teacher, student: RatingModel, ratings: Ratings) -> Scores:
    """Mean squared errors of ensemble and student."""
    return {
        "ensemble": mse(teacher.rate(ratings.around), ratings),
        "shipped": mse(light(student, ratings), ratings),
    }


def baseline_scores(train: Ratings, ratings: Ratings, seed: int = 0) -> Scores:
    """Mean squared errors of what a learned rating must beat, fitted to `train`."""
    return {
        "constant": mse(np.full(len(ratings), train.scores.mean()), ratings),
        "round Gaussian": mse(classical(fit_classical(train, groups=False), ratings.around), ratings),
        "classical costs": mse(classical(fit_classical(train), ratings.around), ratings),
        "boosted trees": mse(forest_rate(fit_forest(train, seed), ratings.around), ratings),
    }


def cross_validate(
    ratings: Ratings, seed: int, folds: int, config: TeacherConfig | None = None,
    progress: Progress | None = None,
) -> Scores:  # fmt: skip
    """Mean of the folds' errors; all ratings of a scene are in one fold."""
    if folds < 2:
        return {}
    names, scene = np.unique(ratings.scenes, return_inverse=True)
    part = np.random.default_rng(seed).integers(folds, size=len(names))[scene]
    out: list[Scores] = []
    for k in range(folds):
        train, test = ratings.take(part != k), ratings.take(part == k)
        both = fit_both(train, seed, config)
        out.append({**baseline_scores(train, test, seed), **model_scores(*both, test)})
        if progress is not None:
            progress("folds", k + 1, folds)
    return {name: float(np.mean([scores[name] for scores in out])) for name in out[0]}


def mse(rated: FloatArray, ratings: Ratings) -> float:
    """Mean squared error on the scale 0 to 1."""
    return float(np.square(np.clip(rated, 0.0, 1.0) - ratings.scores).mean())


def noise_floor(ratings: Ratings) -> float:
    """Half the mean squared difference of two people's ratings of one scene: no model gets below."""
    order = np.argsort(ratings.scenes, kind="stable")
    scenes, raters, scores = ratings.scenes[order], ratings.raters[order], ratings.scores[order]
    square = [
        (scores[i] - scores[j]) ** 2
        for step in (1, 2)
        for i in range(len(scores) - step)
        for j in (i + step,)
        if scenes[i] == scenes[j] and raters[i] != raters[j]
    ]
    return float(0.5 * np.mean(square)) if square else float("nan")
