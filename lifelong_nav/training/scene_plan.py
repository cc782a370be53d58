"""What a drawn layout is, and the helpers its recipes are written with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lifelong_nav.sim.scenario import Jitter, Line, People, Scenario
from lifelong_nav.training import scene_layouts as layouts
from lifelong_nav.training.scene_stage import Drive

Rng = np.random.Generator
Point = tuple[float, float]


@dataclass(frozen=True)
class Plan:
    """One layout of a family.

    `environment` names where this happens, `cast` the people it is about (rows of the crowd), `mark` a
    point [m] of the place that phases are judged by (door, corner, crossing, middle), `seconds` the
    longest run.
    """

    family: str
    scenario: Scenario
    environment: str
    drive: Drive
    cast: tuple[int, ...] = ()
    mark: Point = (0.0, 0.0)
    seconds: float = 18.0


# -- helpers ---------------------------------------------------------------------------------------


def uniform(rng: Rng, low: float, high: float) -> float:
    """A number in [low, high]."""
    return float(rng.uniform(low, high))


def drawn_size(rng: Rng, low: float, high: float, unlike: bool) -> float:
    """A measure: the middle of the range in training, its ends (a quarter beyond each) in the test split."""
    if not unlike:
        return uniform(rng, low, high)
    wide = 0.25 * (high - low)
    return uniform(rng, low - wide, low) if rng.random() < 0.5 else uniform(rng, high, high + wide)


def drawn_hall(rng: Rng, unlike: bool, keep: list[Point], lanes: list[tuple[float, float, float, float]],
          size: tuple[float, float]) -> layouts.Mapping:  # fmt: skip
    """A hall of `size` [m] with free points, lanes free of pillars; see `scene_layouts.hall`."""
    return layouts.hall(
        rng,
        *size,
        np.array(keep, dtype=float).reshape(-1, 2),
        np.array(lanes, dtype=float).reshape(-1, 4),
        unlike,
    )


def hall_size(rng: Rng, unlike: bool) -> tuple[float, float]:
    """Length and width [m] of a hall."""
    return drawn_size(rng, 13.0, 18.0, unlike), drawn_size(rng, 9.0, 13.0, unlike)


def drawn_scenario(
    family: str, scene: layouts.Mapping, start: tuple[float, ...], goals: Sequence[tuple[float, ...]],
    people: list[People], lines: dict[str, Line] | None = None, jitter: float = 0.2,
    crowd: str = "social_force",
) -> Scenario:  # fmt: skip
    """A scenario of these parts, with small jitter on starts and speeds."""
    return Scenario(
        f"{family}_drawn", "extra", family, scene, tuple(float(v) for v in start),
        tuple(tuple(float(v) for v in g) for g in goals), people=tuple(people), lines=lines or {},
        jitter=Jitter(0.1, 0.08, jitter, 0.1, 0.5), crowd=crowd,
    )  # fmt: skip


def walker(start: Point, *goals: Point, speed: float, **more: object) -> People:
    """Somebody who walks to the goals and stays at the last."""
    return People(place=tuple(map(float, start)), goals=tuple(tuple(map(float, g)) for g in goals),
                  speed=speed, at_end="stand", **more)  # type: ignore[arg-type]  # fmt: skip


def stander(at: Point, heading: float, **more: object) -> People:
    """Somebody who stands, facing `heading` [rad]."""
    return People(place=tuple(map(float, at)), behaviour="stand", heading=float(heading), **more)  # type: ignore[arg-type]


def pace(rng: Rng) -> float:
    """A usual walking speed [m/s]."""
    return uniform(rng, 0.9, 1.45)


def drive(rng: Rng, low: float = 0.5, high: float = 0.9) -> Drive:
    """A drive at a speed in [low, high] m/s."""
    return Drive(uniform(rng, low, high))


def strollers(rng: Rng, most: int) -> list[People]:
    """A few others who wander at the sides of a hall."""
    n = int(rng.integers(0, most + 1))
    return [People(place="side", goals=("side",), wander=4, count=n, speed=pace(rng))] if n else []


def straight(
    family: str, rng: Rng, unlike: bool, width: tuple[float, float]
) -> tuple[layouts.Mapping, float, float]:
    """A straight corridor of a width in the range: its mapping, length and width [m]."""
    length = drawn_size(rng, 12.0, 18.0, unlike)
    wide = uniform(rng, *width)
    return layouts.corridor(rng, length, wide, unlike), length, wide


def drive_at(rng: Rng, family: str) -> Drive:
    """A drive at the speed that fits a family of the scenario files."""
    if family == "robot_overtaking":
        return drive(rng, 0.85, 1.1)
    if family == "exiting_elevator":
        return Drive(uniform(rng, 0.3, 0.5), wait=uniform(rng, 1.5, 3.0))
    return drive(rng, 0.5, 0.8)
