"""Recipes of the scenarios at doors and elevators."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from lifelong_nav.training import scene_layouts as layouts
from lifelong_nav.training.scene_plan import (
    Plan,
    Rng,
    drawn_scenario,
    drawn_size,
    drive,
    pace,
    stander,
    uniform,
    walker,
)
from lifelong_nav.training.scene_stage import Drive

# -- doors and elevators ---------------------------------------------------------------------------


def _narrow_doorway(rng: Rng, unlike: bool) -> Plan:
    deep = drawn_size(rng, 4.5, 6.5, unlike), drawn_size(rng, 4.5, 6.5, unlike)
    width = drawn_size(rng, 4.5, 8.0, unlike)
    scene = layouts.two_rooms(rng, deep, width, uniform(rng, 1.0, 1.25), width * uniform(rng, 0.35, 0.65))
    end = (-deep[0] + 1.0, uniform(rng, -1.2, 1.2))
    people = [
        walker(
            (uniform(rng, 1.6, 3.2), uniform(rng, -0.5, 0.5)),
            (-0.8, 0.0),
            end,
            speed=uniform(rng, 0.7, 1.2),
            depart_within=uniform(rng, 4.0, 6.5),
        )
    ]
    scenario = drawn_scenario(
        "narrow_doorway",
        scene,
        (-deep[0] + 0.8, uniform(rng, -0.5, 0.5), 0.0),
        [(deep[1] - 1.0, 0.0)],
        people,
    )
    return Plan("narrow_doorway", scenario, "doorway", drive(rng), (0,))


def _room_and_corridor(rng: Rng, unlike: bool) -> tuple[layouts.Mapping, float, float, tuple[float, float]]:
    length, width = drawn_size(rng, 5.0, 8.0, unlike), uniform(rng, 1.9, 2.8)
    inner = drawn_size(rng, 4.5, 6.5, unlike), drawn_size(rng, 4.0, 6.5, unlike)
    return (
        layouts.corridor_and_room(rng, length, width, inner, uniform(rng, 1.0, 1.2), unlike),
        length,
        width,
        inner,
    )


def _entering_room(rng: Rng, unlike: bool) -> Plan:
    scene, length, _, inner = _room_and_corridor(rng, unlike)
    start = (uniform(rng, 1.8, inner[0] - 1.2), uniform(rng, -0.6, 0.6))
    people = [
        walker(start, (0.6, 0.0), (-length + 0.6, 0.3), speed=pace(rng), depart_within=uniform(rng, 4.0, 6.0))
    ]
    if rng.random() < 0.3:
        people.append(stander((inner[0] - 1.0, uniform(rng, -0.8, 0.8)), uniform(rng, -np.pi, np.pi)))
    scenario = drawn_scenario(
        "entering_room", scene, (-length + 1.0, 0.0, 0.0), [(inner[0] - 1.2, 0.0)], people
    )
    return Plan("entering_room", scenario, "doorway", drive(rng), (0,))


def _exiting_room(rng: Rng, unlike: bool) -> Plan:
    scene, length, width, inner = _room_and_corridor(rng, unlike)
    start = (-uniform(rng, 2.5, length - 0.8), uniform(rng, -0.3, 0.3) * width)
    people = [
        walker(
            start, (-0.6, 0.0), (inner[0] - 0.8, 0.4), speed=pace(rng), depart_within=uniform(rng, 4.5, 7.0)
        )
    ]
    scenario = drawn_scenario(
        "exiting_room", scene, (inner[0] - 0.9, 0.0, np.pi), [(-length + 1.0, 0.0)], people
    )
    return Plan("exiting_room", scenario, "doorway", drive(rng), (0,))


def _lift(rng: Rng, unlike: bool) -> tuple[layouts.Mapping, tuple[float, float], tuple[float, float]]:
    lobby = drawn_size(rng, 5.0, 8.0, unlike), drawn_size(rng, 4.5, 7.0, unlike)
    cab = uniform(rng, 2.0, 2.6), uniform(rng, 1.9, 2.5)
    return layouts.elevator(rng, lobby, cab, uniform(rng, 1.1, 1.35)), lobby, cab


def _entering_elevator(rng: Rng, unlike: bool) -> Plan:
    scene, lobby, cab = _lift(rng, unlike)
    people, side = [], cab[1] / 2.0 - 0.4
    if rng.random() < 0.6:
        people.append(
            walker(
                (cab[0] - 0.6, uniform(rng, -side, side)),
                (-0.7, 0.0),
                (-lobby[0] + 0.8, uniform(rng, -1.5, 1.5)),
                speed=pace(rng),
                depart_within=uniform(rng, 3.0, 5.5),
            )
        )
    for _ in range(int(rng.integers(1, 3))):
        people.append(
            stander(
                (uniform(rng, 0.7, cab[0] - 0.4), uniform(rng, -side, side)), np.pi + uniform(rng, -0.5, 0.5)
            )
        )
    start = (-lobby[0] + 0.9, uniform(rng, -0.5, 0.5), 0.0)
    scenario = drawn_scenario("entering_elevator", scene, start, [(0.9, 0.0)], people, jitter=0.1)
    return Plan("entering_elevator", scenario, "elevator", drive(rng, 0.4, 0.7), tuple(range(len(people))))


def _exiting_elevator(rng: Rng, unlike: bool) -> Plan:
    scene, lobby, cab = _lift(rng, unlike)
    people = []
    for k in range(int(rng.integers(1, 4))):
        y = (-1.0 if k % 2 else 1.0) * uniform(rng, 0.5, 1.4)
        at = (-uniform(rng, 1.0, 2.6), y)
        people.append(walker(at, (0.8, y * 0.3), speed=pace(rng), depart_after=uniform(rng, 9.0, 14.0)))
    start = (cab[0] - uniform(rng, 0.7, 1.0), uniform(rng, -0.2, 0.2), np.pi)
    scenario = drawn_scenario("exiting_elevator", scene, start, [(-lobby[0] + 0.9, 0.0)], people, jitter=0.15)
    drive = Drive(uniform(rng, 0.3, 0.5), wait=uniform(rng, 1.5, 3.0))
    return Plan("exiting_elevator", scenario, "elevator", drive, tuple(range(len(people))))


RECIPES: dict[str, Callable[[Rng, bool], Plan]] = {
    "narrow_doorway": _narrow_doorway,
    "entering_room": _entering_room,
    "exiting_room": _exiting_room,
    "entering_elevator": _entering_elevator,
    "exiting_elevator": _exiting_elevator,
}
"""Recipes by family."""
