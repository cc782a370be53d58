"""Why a candidate was chosen, in one sentence for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from lifelong_nav.core.types import FloatArray
from lifelong_nav.trajectory.situation import Candidate
from lifelong_nav.trajectory.terms import Batch

_DEEDS = (
    ("stop", "stops"),
    ("yield", "gives way"),
    ("give way", "gives way"),
    ("keep left", "keeps left"),
    ("keep right", "keeps right"),
    ("wait", "waits"),
    ("pass left", "passes on the left"),
    ("pass right", "passes on the right"),
    ("fall in", "falls in behind"),
    ("behind", "follows behind"),
    ("follow", "follows the route"),
    ("search", "takes the way found between the people"),
    ("slow", "slows down"),
    ("back", "backs off"),
)
_PEOPLE = ("personal_space", "contact", "people_effect", "dynamics_risk", "rating")
_WHY = {
    "group": "{other} would drive between people who belong together",
    "queue": "{other} would cut through the waiting line",
    "blind_corner": "somebody may come around the corner",
    "doorway": "somebody has the narrow place",
    "right_of_way": "{other} would take the way of somebody who has it",
    "obstacle": "{other} would come too near to an obstacle",
    "dynamics_risk": "{other} would be too fast for what is near",
    "comfort": "it is smoother than {other}",
    "consistency": "it goes on with what it began",
    "context": "it suits the scene better than {other}",
    "rating": "people would find {other} more disturbing",
    "progress": "it loses less time than {other}",
}
_SIDES = ("ahead", "ahead on the left", "on the left", "behind", "on the right", "ahead on the right")


def reason(
    batch: Batch, candidates: Sequence[Candidate], index: int, terms: Mapping[str, FloatArray], forced: bool
) -> str:
    """The chosen deed, and what the most obvious other one would have cost.

    The other is the one that loses the least time; where that is the chosen one, whether anybody is near.

    Args:
        batch: of the candidates.
        candidates: all.
        index: the chosen one.
        terms: weighted costs (C,) by name.
        forced: all candidates break a hard rule.
    """
    deed = _deed(candidates[index].name)
    if forced:
        return f"{deed}: every way is blocked or too close to somebody, this one the least"
    time = terms.get("progress", np.zeros(len(candidates)))
    other = int(np.argmin(time))
    if other == index or time[index] - time[other] < 0.15:
        return f"{deed}: {_free(batch, index)}"
    more = {name: float(c[other] - c[index]) for name, c in terms.items() if name != "progress"}
    worst = max(more, key=lambda n: more[n], default="")
    if not worst or more[worst] <= 0.0:
        return f"{deed}: it costs the least of all in sum"
    told = _obvious(candidates[other].name)
    if worst in _PEOPLE and len(batch.people):
        gap, where = nearest_person(batch, other)
        if gap < 1.5:
            near = f"come within {max(gap, 0.0):.1f} m of" if gap > 0.05 else "run into"
            return f"{deed}: {told} would {near} the person {where}"
    return f"{deed}: {_WHY.get(worst, worst).format(other=told)}"


def nearest_person(batch: Batch, index: int) -> tuple[float, str]:
    """Least expected gap [m] of a candidate to anybody, and where that person is now, seen by the robot."""
    likely = np.array(
        [
            int(first + np.argmax(batch.people.weights[first:last]))
            for first, last in zip(
                batch.first_rows, np.append(batch.first_rows[1:], len(batch.people)), strict=True
            )
        ]
    )
    gaps = batch.gap[likely, index].min(axis=1)
    who = likely[int(gaps.argmin())]
    rest = batch.start[who] - batch.situation.pose.xy
    bearing = float(np.arctan2(rest[1], rest[0]) - batch.situation.pose.yaw)
    sector = round(((bearing + np.pi) % (2.0 * np.pi) - np.pi) / (np.pi / 3.0)) % 6
    return float(gaps.min()), _SIDES[sector]


def _free(batch: Batch, index: int) -> str:
    if len(batch.people) == 0:
        return "nobody is near"
    gap, where = nearest_person(batch, index)
    return f"it keeps {gap:.1f} m from the person {where}" if gap < 2.0 else "nobody is in the way"


def _deed(name: str) -> str:
    for word, deed in _DEEDS:
        if name.startswith(word) or f" {word}" in name:
            return deed
    return f"takes '{name}'"


def _obvious(name: str) -> str:
    return "going on" if name.startswith(("follow route", "route")) else f"'{name}'"
