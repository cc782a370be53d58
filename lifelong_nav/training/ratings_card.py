"""The card of the rating model, for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_WHAT = {
    "constant": "the mean rating",
    "round Gaussian": "one round Gaussian per person, fitted",
    "classical costs": "asymmetric Gaussian, spaces of groups and of things looked at, fitted",
    "boosted trees": "LightGBM on the 52 summary figures",
    "ensemble": "four set networks and three forests of boosted trees: the teacher",
    "shipped": "one set network in numpy: what the robot runs",
}


def _figure(value: float | None) -> str:
    return "not measured" if value is None else f"{value:.4f}"


def card(facts: Mapping[str, Any]) -> str:
    """Markdown from the facts that `ratings.train_ratings` wrote."""
    held, crossed = facts["mse"], facts["cross_validated_mse"]
    table = "\n".join(
        f"| {name} | {held[name]:.4f} | {_figure(crossed.get(name))} | {what} |"
        for name, what in _WHAT.items()
    )
    figures = "\n".join(
        f"| {name.replace('_', ' ')} | {value:.3f} | {interval} |"
        for name, (value, interval) in facts["calibration"].items()
    )
    return f"""# How people rate a robot that is there

Written by `lifelong-nav train ratings`.

## What it is
`rating.safetensors`: one small network for every person, one for every interaction, sums and maxima of
both and 52 summary figures into a head; evaluated in numpy (`trajectory/rating/`). It says which mean
rating, 0 to 1, people would give a robot that stands at a pose among these people. In choosing a
trajectory it is one term among others (`rating.term.discomfort`); the raw terms stay beside it.

## Data
SocNav1 (Manso, Nunez, Calderita, Faria, Bachiller 2020, Data 5(1):7; CC BY 4.0): still pictures of a
robot among people in rooms, rated 0 to 100 by twelve people. {facts["ratings"]} ratings of
{facts["scenes"]} scenes for training; the {facts["held_out_ratings"]} ratings of `{facts["held_out"]}`
were held out with all other ratings of their scenes. A few settings (size, epochs, weights of the votes) were
compared on two of the five folds, with scores on the held-out file in view for some of them: both columns
below are a little flattering. Each rater's scale and shift are learned as a nuisance and averaged out; scenes
are mirrored and jittered. The student was distilled from the ensemble on rated scenes and on made-up
ones (the robot put elsewhere in them).

## Mean squared error (ratings from 0 to 1)
| model | held out | 5 folds by scene | what it is |
|---|---|---|---|
{table}

Two people who rate the same scene differ: about {facts["noise_floor"]:.4f} of error remain for any model
(half the mean squared difference, estimated on the scenes that were rated more than once).
`lifelong-nav bench ratings` measures again, baselines included.

## Classical costs, calibrated on the same ratings
rating = base * exp(-(weight * sum of Gaussians around people + group weight * sum over pairs who interact
of exp(-d^2 / 2 spread^2), d to the line between them, + the same for a person and the thing looked at)).
Distances between centres [m]; intervals: 95 %, bootstrap over scenes.

| parameter | value | 95 % interval |
|---|---|---|
{figures}

## Limits
* People in the pictures stand still; nobody rated motion. Along a trajectory each instant is judged as if
  the robot stood there, so hurry and surprise are for other terms to judge.
* Rated was an office-like room drawn from above, by few people, most ratings by two of them. Other places
  and cultures may want other distances.
* On the robot it is not known what people look at, and who stands alone is taken from the side, since
  standing people's facing is not tracked.
* Not a safety function: nothing that stops the robot may depend on it.
"""
