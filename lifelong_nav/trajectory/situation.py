"""What a choice of trajectory starts from, and what comes out of it: the values all its parts share."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from lifelong_nav.core.distance import DistanceField
from lifelong_nav.core.social_context import SocialContext
from lifelong_nav.core.types import (
    FloatArray,
    LaserScan,
    People,
    PeopleForecast,
    Pose2,
    Trajectory,
    Twist2,
)

STEP, HORIZON = 0.2, 6.0
"""Candidates are compared on a common grid of times [s]."""
TIMES = np.arange(1, round(HORIZON / STEP) + 1) * STEP
"""(30,) seconds from the situation's stamp at which every candidate says where the robot is."""

CLASSICAL, SEARCH, LEARNED = "classical", "search", "learned"
"""Where a candidate comes from: a rule, a search in space and time, the network."""


@dataclass(frozen=True)
class Situation:
    """Everything known at `stamp` [s], in one frame (`frame_id`, usually odom).

    `route` (M, 2) x, y [m]: the way to the goal from about the robot on, at least two points; `goal` its end,
    NaN yaw for any heading; `speed` [m/s] the speed to travel at; `people` as tracked; `forecast` where they
    may go (None: not predicted yet); `field` distance to the nearest obstacle that is no person; `scan` with
    `sensor`, the scanner's pose when it was taken; `context` of what is going on, None when unknown;
    `robot_radius` [m].
    """

    stamp: float
    pose: Pose2
    twist: Twist2
    route: FloatArray
    goal: Pose2
    speed: float
    people: People
    forecast: PeopleForecast | None = None
    field: DistanceField | None = None
    scan: LaserScan | None = None
    sensor: Pose2 | None = None
    context: SocialContext | None = None
    robot_radius: float = 0.27
    frame_id: str = "odom"


@dataclass(frozen=True, slots=True)
class Candidate:
    """One way to go on: `name` says what it does ("yield", "pass left"), `source` who proposes it.

    The trajectory is sampled at `TIMES` from the situation's stamp, in the situation's frame.
    """

    name: str
    source: str
    trajectory: Trajectory


@dataclass(frozen=True)
class Choice:
    """What was chosen among `candidates` and why.

    `terms`: name -> (C,) costs, already weighted, that sum to `totals` (C,); `index` of the chosen one;
    `reason` one sentence for people; `forecast` is what the choice believed of the people.
    """

    stamp: float
    candidates: tuple[Candidate, ...]
    index: int
    totals: FloatArray
    terms: dict[str, FloatArray] = field(default_factory=dict)
    reason: str = ""
    forecast: PeopleForecast | None = None

    @property
    def chosen(self) -> Candidate:
        """The candidate to follow."""
        return self.candidates[self.index]
