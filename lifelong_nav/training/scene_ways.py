"""Recipes of the scenarios in corridors, at corners and crossings, and of the free way."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from lifelong_nav.training import scene_layouts as layouts
from lifelong_nav.training.scene_plan import (
    Plan,
    Point,
    Rng,
    drawn_hall,
    drawn_scenario,
    drawn_size,
    drive,
    hall_size,
    pace,
    stander,
    straight,
    uniform,
    walker,
)
from lifelong_nav.training.scene_stage import Drive

# -- corridors -------------------------------------------------------------------------------------


def _frontal_approach(rng: Rng, unlike: bool) -> Plan:
    if rng.random() < 0.35:  # in the open as well
        size = hall_size(rng, unlike)
        y = size[1] / 2.0 + uniform(rng, -1.5, 1.5)
        scene = drawn_hall(rng, unlike, [], [(0, y, size[0], y)], size)
        length, place = size[0], "hall"
    else:
        scene, length, wide = straight("frontal_approach", rng, unlike, (2.75, 3.8))
        y, place = wide / 2.0 + uniform(rng, -0.3, 0.3), "corridor"
    person = walker((length - 2.0, y + uniform(rng, -0.3, 0.3)), (0.8, y), speed=pace(rng))
    people = [person]
    scenario = drawn_scenario("frontal_approach", scene, (1.2, y, 0.0), [(length - 1.0, y)], people)
    return Plan("frontal_approach", scenario, place, drive(rng), (0,))


def _narrow_hallway(rng: Rng, unlike: bool) -> Plan:
    scene, length, wide = straight("narrow_hallway", rng, unlike, (1.5, 1.95))
    y, two = wide / 2.0, rng.random() < 0.35
    people = [walker((length - 2.0, y + (0.25 if two else 0.0)), (0.7, y), speed=pace(rng))]
    if two:
        people.append(walker((length - 1.2, y - 0.3), (0.7, y - 0.1), speed=pace(rng)))
    scenario = drawn_scenario("narrow_hallway", scene, (1.0, y, 0.0), [(length - 1.0, y)], people, jitter=0.1)
    return Plan("narrow_hallway", scenario, "corridor", drive(rng), tuple(range(len(people))))


def _pedestrian_obstruction(rng: Rng, unlike: bool) -> Plan:
    draw = rng.random()
    if draw < 0.25:
        length, wide = drawn_size(rng, 7.0, 11.0, unlike), uniform(rng, 1.7, 2.4)
        scene, place = layouts.aisle(rng, length, wide, unlike), "aisle"
        y, length = 0.0, length + 4.0
    elif draw < 0.45:
        size = hall_size(rng, unlike)
        y = size[1] / 2.0 + uniform(rng, -1.5, 1.5)
        scene, length, wide = drawn_hall(rng, unlike, [], [(0, y, size[0], y)], size), size[0], 3.0
        place = "hall"
    else:
        scene, length, wide = straight("pedestrian_obstruction", rng, unlike, (2.2, 3.2))
        y, place = wide / 2.0, "corridor"
    off = uniform(rng, -0.35, 0.35)
    x = length * uniform(rng, 0.45, 0.65)
    people = [stander((x, y + off), uniform(rng, -np.pi, np.pi))]
    scenario = drawn_scenario(
        "pedestrian_obstruction", scene, (1.2, y, 0.0), [(length - 1.2, y)], people, jitter=0.1
    )
    return Plan("pedestrian_obstruction", scenario, place, drive(rng), (0,))


def _along(family: str, rng: Rng, unlike: bool) -> tuple[layouts.Mapping, float, float, float, str]:
    """A wide corridor, or a hall now and then: mapping, length, lane of the robot, other lane, place."""
    if rng.random() < 0.25:
        size = hall_size(rng, unlike)
        y = size[1] / 2.0 + uniform(rng, -1.5, 1.5)
        other = y + float(rng.choice([-1.0, 1.0])) * uniform(rng, 0.8, 1.2)
        return drawn_hall(rng, unlike, [], [(0, y, size[0], y)], size), size[0], y, other, "hall"
    scene, length, wide = straight(family, rng, unlike, (2.7, 3.8))
    length_lane = (0.3 if rng.random() < 0.5 else 0.7) * wide
    return scene, length, length_lane, wide - length_lane, "corridor"


def _pedestrian_overtaking(rng: Rng, unlike: bool) -> Plan:
    scene, length, y, other, place = _along("pedestrian_overtaking", rng, unlike)
    people = [
        walker(
            (1.0, other),
            (length - 0.8, other),
            speed=uniform(rng, 1.3, 1.7),
            depart_after=uniform(rng, 0.5, 1.5),
        )
    ]
    scenario = drawn_scenario(
        "pedestrian_overtaking", scene, (uniform(rng, 2.2, 4.0), y, 0.0), [(length - 1.0, y)], people
    )
    return Plan("pedestrian_overtaking", scenario, place, drive(rng, 0.45, 0.75), (0,))


def _robot_overtaking(rng: Rng, unlike: bool) -> Plan:
    scene, length, y, other, place = _along("robot_overtaking", rng, unlike)
    lane = y + uniform(rng, 0.3, 1.0) * (other - y) * 0.8
    people = [walker((uniform(rng, 4.5, 6.5), lane), (length - 0.8, lane), speed=uniform(rng, 0.3, 0.42))]
    scenario = drawn_scenario(
        "robot_overtaking", scene, (1.0, y, 0.0), [(length - 1.0, y)], people, jitter=0.1
    )
    return Plan("robot_overtaking", scenario, place, drive(rng, 0.85, 1.1), (0,))


def _down_path(rng: Rng, unlike: bool) -> Plan:
    scene, length, y, other, place = _along("down_path", rng, unlike)
    speed = uniform(rng, 0.6, 0.95)
    lane = y + uniform(rng, 0.0, 0.9) * (other - y)
    people = [walker((1.0 + uniform(rng, 3.0, 5.5), lane), (length - 0.8, lane), speed=speed)]
    scenario = drawn_scenario("down_path", scene, (1.0, y, 0.0), [(length - 1.0, y)], people, jitter=0.1)
    return Plan("down_path", scenario, place, Drive(speed + uniform(rng, -0.05, 0.05)), (0,))


def _parallel_traffic(rng: Rng, unlike: bool) -> Plan:
    if rng.random() < 0.7:
        length, wide = drawn_size(rng, 16.0, 22.0, unlike), drawn_size(rng, 4.2, 5.5, unlike)
        scene, place = layouts.corridor(rng, length, wide, unlike), "corridor"
    else:
        length, wide = hall_size(rng, unlike)
        scene, place = (
            drawn_hall(
                rng, unlike, [], [(0, y, length, y) for y in (wide / 2 - 1, wide / 2 + 1)], (length, wide)
            ),
            "hall",
        )
    middle, half = wide / 2.0, min(wide / 2.0 - 0.5, 2.2)
    both, people = rng.random() < 0.6, []
    for k in range(int(rng.integers(8, 13))):
        y = middle + uniform(rng, -half, half)
        east = rng.random() < 0.5 if both else True
        x = uniform(rng, 3.0, length - 1.0) if not east else uniform(rng, 0.8, length - 4.0)
        speed = uniform(rng, 0.8, 1.2)
        people.append(walker((x, y), (length - 0.8 if east else 0.8, y), speed=speed))
        del k
    scenario = drawn_scenario("parallel_traffic", scene, (1.2, middle, 0.0), [(length - 1.2, middle)], people)
    return Plan("parallel_traffic", scenario, place, drive(rng), tuple(range(len(people))), seconds=12.0)


def _blind_corner(rng: Rng, unlike: bool) -> Plan:
    arms = drawn_size(rng, 6.5, 9.0, unlike), drawn_size(rng, 6.0, 8.0, unlike)
    widths = uniform(rng, 1.6, 2.3), uniform(rng, 1.6, 2.3)
    scene = layouts.corner(rng, arms, widths, unlike)
    y, x = -widths[0] / 2.0, widths[1] / 2.0
    people = []
    if rng.random() < 0.75:
        people = [walker((x, arms[1] - 1.0), (x, y), (-arms[0] + 0.8, y), speed=pace(rng),
                        depart_within=uniform(rng, 5.0, 9.0))]  # fmt: skip
    scenario = drawn_scenario(
        "blind_corner", scene, (-arms[0] + 1.0, y, 0.0), [(x, arms[1] - 1.0)], people, jitter=0.1
    )
    return Plan("blind_corner", scenario, "corner", drive(rng), tuple(range(len(people))), (0.0, 0.0))


def _intersection(rng: Rng, unlike: bool) -> Plan:
    arms = [drawn_size(rng, 6.0, 8.0, unlike) for _ in range(4)]
    if rng.random() < 0.3:
        arms[int(rng.choice([1, 3]))] = 0.0  # a T
    widths = uniform(rng, 2.0, 2.8), uniform(rng, 2.0, 2.8)
    scene = layouts.crossing(rng, arms, widths, unlike)
    goal: Point = (arms[1] - 0.8, 0.0) if arms[1] else (0.0, -arms[2] + 0.8)
    if arms[3] == 0.0 or (arms[1] > 0.0 and rng.random() < 0.5):
        start, end = (
            (0.0, -uniform(rng, 3.0, arms[2] - 0.6)),
            ((0.0, arms[3] - 0.8) if arms[3] else (arms[1] - 0.8, 0.0)),
        )
    else:
        start, end = (0.0, uniform(rng, 3.0, arms[3] - 0.6)), (0.0, -arms[2] + 0.8)
    gesture = str(rng.choice(["", "", "wait", "proceed"]))
    people = [walker(start, end, speed=pace(rng), depart_within=uniform(rng, 4.0, 7.0), gesture=gesture)]
    if rng.random() < 0.25:
        people.append(
            walker(
                (start[0] + 0.5, start[1] * 0.9), end, speed=pace(rng), depart_within=uniform(rng, 4.0, 8.0)
            )
        )
    scenario = drawn_scenario("intersection", scene, (-arms[0] + 1.0, 0.0, 0.0), [goal], people, jitter=0.15)
    return Plan("intersection", scenario, "intersection", drive(rng), tuple(range(len(people))))


def _free_passage(rng: Rng, unlike: bool) -> Plan:
    place = str(
        rng.choice(["corridor", "hall", "room", "kitchen", "aisle", "intersection", "doorway", "narrow"])
    )
    start: tuple[float, ...]
    if place in ("corridor", "narrow"):
        scene, length, wide = straight(
            "free_passage", rng, unlike, (1.6, 2.1) if place == "narrow" else (2.4, 3.8)
        )
        start, goal, place = (1.0, wide / 2.0, 0.0), (length - 1.0, wide / 2.0), "corridor"
    elif place == "hall":
        size = hall_size(rng, unlike)
        y = size[1] * uniform(rng, 0.3, 0.7)
        goal = (size[0] - 1.2, size[1] * uniform(rng, 0.3, 0.7))
        scene, start = drawn_hall(rng, unlike, [(1.5, y)], [(1.5, y, *goal)], size), (1.5, y, 0.0)
    elif place in ("room", "kitchen"):
        size = drawn_size(rng, 5.5, 8.0, unlike), drawn_size(rng, 4.5, 6.5, unlike)
        scene = layouts.room(rng, *size, kitchen=place == "kitchen")
        start, goal = (0.8, size[1] / 2.0, 0.0), (size[0] - 0.9, size[1] / 2.0)
    elif place == "aisle":
        length = drawn_size(rng, 7.0, 11.0, unlike)
        scene = layouts.aisle(rng, length, uniform(rng, 1.5, 2.4), unlike)
        start, goal = (1.0, 0.0, 0.0), (length + 3.0, 0.0)
    elif place == "intersection":
        arms = [drawn_size(rng, 6.0, 8.0, unlike) for _ in range(4)]
        scene = layouts.crossing(rng, arms, (uniform(rng, 2.0, 2.8), uniform(rng, 2.0, 2.8)), unlike)
        start, goal = (-arms[0] + 1.0, 0.0, 0.0), (arms[1] - 0.8, 0.0)
    else:
        deep, width = (
            (drawn_size(rng, 4.5, 6.5, unlike), drawn_size(rng, 4.5, 6.5, unlike)),
            drawn_size(rng, 4.5, 8.0, unlike),
        )
        scene = layouts.two_rooms(rng, deep, width, uniform(rng, 1.0, 1.25), width * uniform(rng, 0.35, 0.65))
        start, goal = (-deep[0] + 0.8, 0.0, 0.0), (deep[1] - 1.0, 0.0)
    scenario = drawn_scenario("free_passage", scene, start, [goal], [])
    return Plan("free_passage", scenario, place, drive(rng), (), seconds=14.0)


RECIPES: dict[str, Callable[[Rng, bool], Plan]] = {
    "frontal_approach": _frontal_approach,
    "narrow_hallway": _narrow_hallway,
    "pedestrian_obstruction": _pedestrian_obstruction,
    "pedestrian_overtaking": _pedestrian_overtaking,
    "robot_overtaking": _robot_overtaking,
    "down_path": _down_path,
    "parallel_traffic": _parallel_traffic,
    "blind_corner": _blind_corner,
    "intersection": _intersection,
    "free_passage": _free_passage,
}
"""Recipes by family."""
