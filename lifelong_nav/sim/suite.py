"""The social suite: scenario families, variants of their layouts, kinds of people, and the frozen split.

`sim/suite/social.yaml` says what is for training and what is held out; nothing may be tuned on the
held-out half. `draw` makes one run.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from lifelong_nav.core.config import load_yaml
from lifelong_nav.core.errors import ConfigError
from lifelong_nav.core.share import share_folder
from lifelong_nav.core.types import FloatArray
from lifelong_nav.sim.crowd.doorways import Courtesy
from lifelong_nav.sim.crowd.motion import Bodies
from lifelong_nav.sim.crowd.state import RobotDisc
from lifelong_nav.sim.crowd.walkers import Walkers
from lifelong_nav.sim.scenario import Scenario, load
from lifelong_nav.sim.scenario_build import Run, build
from lifelong_nav.sim.suite_layout import Layout, laid_out

TRAIN, HELD_OUT = "train", "held_out"
HALVES = (TRAIN, HELD_OUT)
OLIVIA = (
    "olivia_blind_corner", "olivia_moving_groups", "olivia_narrow_hallway", "olivia_static_groups",
)  # fmt: skip
"""OLiVia-Nav's four scenarios (2409.13675), all held out."""


@dataclass(frozen=True)
class Humans:
    """A human model: `crowd` (a motion model, or `both` by turns) and `reactions`, () for the scenario's."""

    crowd: str
    reactions: tuple[str, ...] = ()


@dataclass(frozen=True)
class Suite:
    """What `social.yaml` says: `kinds` family -> kind, `half_of` family -> half, layouts, human models."""

    kinds: Mapping[str, str]
    half_of: Mapping[str, str]
    layouts: Mapping[int, Layout]
    layout_half: Mapping[int, str]
    least: Mapping[str, tuple[float, float]]
    humans: Mapping[str, Humans]

    def families(self, half: str) -> tuple[str, ...]:
        """Families of a half, in the order of the file."""
        return tuple(f for f, h in self.half_of.items() if h == _known(half, HALVES, "half"))

    def layouts_of(self, half: str) -> tuple[int, ...]:
        """Numbers of a half's layouts."""
        return tuple(n for n, h in self.layout_half.items() if h == _known(half, HALVES, "half"))


@lru_cache(maxsize=1)
def suite() -> Suite:
    """The suite that comes along.

    Raises:
        ConfigError: `sim/suite/social.yaml` is not installed or was altered beyond what is understood.
    """
    data = load_yaml(share_folder("sim") / "suite" / "social.yaml")
    kinds = {f: kind for half in HALVES for kind, names in data[half].items() for f in names}
    halves = {f: half for half in HALVES for names in data[half].values() for f in names}
    layouts = {int(n): Layout(_mirror(d), *_stretch(d)) for n, d in data["layouts"].items()}
    return Suite(
        kinds, halves, layouts, {int(n): str(d["half"]) for n, d in data["layouts"].items()},
        {f: (float(v[0]), float(v[1])) for f, v in data["least"].items()},
        {n: Humans(d["crowd"], tuple(d.get("reactions", ()))) for n, d in data["humans"].items()},
    )  # fmt: skip


def draw(family: str, human: str, layout: int, seed: int) -> Run:
    """One run of the suite; equal arguments give equal runs.

    Args:
        family: a scenario of `suite().half_of`.
        human: a human model of `suite().humans`.
        layout: a number of `suite().layouts`.
        seed: of starts, speeds, people's chance, >= 0.

    Raises:
        ConfigError: one of them is not in the suite.
    """
    run = build(scenario(family, human, layout), seed)
    if human == "impassive" and isinstance(run.crowd, Walkers):
        run.crowd.courtesy = _AmongThemselves(run.crowd.courtesy.doorways, len(run.crowd.people))
    return run


@lru_cache(maxsize=512)
def scenario(family: str, human: str, layout: int) -> Scenario:
    """The scenario of `draw`: laid out anew, its people taking the robot as the human model says."""
    s = suite()
    _known(family, tuple(s.half_of), "family")
    people = s.humans[_known(human, tuple(s.humans), "human model")]
    if layout not in s.layouts:
        raise ConfigError(f"There is no layout {layout}.", f"Choose from 0 to {max(s.layouts)}.")
    low = s.least.get(family, (0.0, 0.0))
    chosen = s.layouts[layout]
    chosen = dataclasses.replace(chosen, length=max(chosen.length, low[0]), width=max(chosen.width, low[1]))
    base = laid_out(load(family), chosen)
    crowd = "social_force" if people.crowd == "both" else people.crowd
    entries = []
    for k, entry in enumerate(base.people):
        if people.reactions and not entry.gesture:
            entry = dataclasses.replace(entry, reactions=people.reactions)
        if people.crowd == "both" and not entry.model:
            entry = dataclasses.replace(entry, model=("social_force", "orca")[(k + layout) % 2])
        entries.append(entry)
    return dataclasses.replace(base, crowd=crowd, people=tuple(entries))


class _AmongThemselves(Courtesy):
    """Courtesy at doors between people only: nobody waits for the robot."""

    def update(
        self, dt: float, bodies: Bodies, robot: RobotDisc | None, aims: FloatArray, pace: FloatArray
    ) -> None:
        """See `Courtesy.update`; the robot counts for nobody."""
        super().update(dt, bodies, None, aims, pace)


def _known(word: str, words: Sequence[str], what: str) -> str:
    if word not in words:
        raise ConfigError(f"The suite has no {what} '{word}'.", f"Choose from: {', '.join(words)}.")
    return word


def _mirror(data: Mapping[str, Any]) -> str:
    return _known(str(data.get("mirror", "")), ("", "x", "y", "xy"), "mirror")


def _stretch(data: Mapping[str, Any]) -> tuple[float, float]:
    length, width = np.asarray(data.get("stretch", (1.0, 1.0)), dtype=float)
    return float(length), float(width)
