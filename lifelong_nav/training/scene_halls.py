"""Recipes of the scenarios in company and among many people, most of them in halls."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from lifelong_nav.sim.scenario import Line, People
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
    strollers,
    uniform,
    walker,
)
from lifelong_nav.training.scene_stage import Drive

# -- company ---------------------------------------------------------------------------------------


def _company_place(rng: Rng, unlike: bool) -> tuple[layouts.Mapping, str, list[Point]]:
    """A hall or a wide corridor, and a way of three points through it."""
    if rng.random() < 0.35:
        length, wide = drawn_size(rng, 14.0, 19.0, unlike), uniform(rng, 3.0, 4.0)
        y = wide / 2.0
        return (
            layouts.corridor(rng, length, wide, unlike),
            "corridor",
            [(3.2, y), (length / 2, y), (length - 1.0, y)],
        )
    size = hall_size(rng, unlike)
    way = [(3.2, size[1] * uniform(rng, 0.35, 0.65)), (size[0] * 0.5, size[1] * uniform(rng, 0.3, 0.7)),
           (size[0] - 1.2, size[1] * uniform(rng, 0.3, 0.7))]  # fmt: skip
    lanes = [(*way[0], *way[1]), (*way[1], *way[2])]
    return drawn_hall(rng, unlike, way, lanes, size), "hall", way


def _turned(way: list[Point]) -> float:
    return float(np.arctan2(way[1][1] - way[0][1], way[1][0] - way[0][0]))


def _following(rng: Rng, unlike: bool) -> Plan:
    scene, place, way = _company_place(rng, unlike)
    people = [walker(way[0], way[1], way[2], speed=uniform(rng, 0.55, 0.9))]
    if place == "hall":
        people += strollers(rng, 2)
    start = (way[0][0] - 1.7, way[0][1], _turned(way))
    scenario = drawn_scenario("following", scene, start, [way[2]], people, jitter=0.1)
    drive = Drive(1.0, 0, (-uniform(rng, 1.0, 1.45), uniform(rng, -0.2, 0.2)))
    return Plan("following", scenario, place, drive, (0,))


def _leading(rng: Rng, unlike: bool) -> Plan:
    scene, place, way = _company_place(rng, unlike)
    back = -uniform(rng, 1.1, 1.7)
    people = [
        People(
            place=(way[0][0] - 1.6, way[0][1]),
            behaviour="follow",
            offset=(back, uniform(rng, -0.2, 0.2)),
            speed=1.0,
        )
    ]
    if place == "hall":
        people += strollers(rng, 2)
    scenario = drawn_scenario("leading", scene, (*way[0], _turned(way)), [way[1], way[2]], people, jitter=0.1)
    return Plan("leading", scenario, place, drive(rng, 0.5, 0.85), (0,))


def _accompanying(rng: Rng, unlike: bool) -> Plan:
    scene, place, way = _company_place(rng, unlike)
    side = float(rng.choice([-1.0, 1.0])) * uniform(rng, 0.9, 1.25)
    people = [People(place=(way[0][0] + 0.2, way[0][1] + side), behaviour="follow",
                     offset=(uniform(rng, 0.1, 0.5), side), speed=1.0)]  # fmt: skip
    if place == "hall":
        people += strollers(rng, 2)
    start = (way[0][0], way[0][1] - (0.3 * side if place == "corridor" else 0.0), _turned(way))
    goals = [way[1], way[2]] if place == "hall" else [(way[2][0], start[1])]
    scenario = drawn_scenario("accompanying", scene, start, goals, people, jitter=0.1)
    return Plan("accompanying", scenario, place, drive(rng, 0.5, 0.85), (0,))


# -- halls -----------------------------------------------------------------------------------------


def _join_group(rng: Rng, unlike: bool) -> Plan:
    size = hall_size(rng, unlike)
    centre = (size[0] * uniform(rng, 0.5, 0.7), size[1] * uniform(rng, 0.35, 0.65))
    start = (uniform(rng, 1.2, 3.0), size[1] * uniform(rng, 0.2, 0.8))
    yaw = float(np.arctan2(centre[1] - start[1], centre[0] - start[0]))
    count = int(rng.integers(3, 6))
    rim = 1.25 + 0.1 * count
    goal = (centre[0] - rim * np.cos(yaw), centre[1] - rim * np.sin(yaw), yaw)
    scene = drawn_hall(rng, unlike, [centre, start], [(*start, *centre)], size)
    people = [People(centre=centre, count=count)]
    scenario = drawn_scenario("join_group", scene, (*start, yaw), [goal], people, jitter=0.1)
    return Plan(
        "join_group", scenario, "hall", Drive(uniform(rng, 0.4, 0.7), polite=0.7), tuple(range(count)), centre
    )


def _leave_group(rng: Rng, unlike: bool) -> Plan:
    size = hall_size(rng, unlike)
    centre = (size[0] * uniform(rng, 0.4, 0.6), size[1] * uniform(rng, 0.4, 0.6))
    count, angle = int(rng.integers(3, 6)), uniform(rng, -np.pi, np.pi)
    rim = 1.3 + 0.1 * count
    start = (centre[0] + rim * np.cos(angle), centre[1] + rim * np.sin(angle))
    away = angle + uniform(rng, -0.9, 0.9)
    goal = np.clip(
        np.array(centre) + 7.0 * np.array([np.cos(away), np.sin(away)]), (0.8, 0.8), np.array(size) - 0.8
    )
    scene = drawn_hall(rng, unlike, [centre, start, tuple(goal)], [(*start, *goal)], size)
    people = [People(centre=centre, count=count)]
    scenario = drawn_scenario(
        "leave_group",
        scene,
        (*start, angle + np.pi + uniform(rng, -0.4, 0.4)),
        [tuple(goal)],
        people,
        jitter=0.1,
    )
    drive = Drive(uniform(rng, 0.3, 0.6), wait=uniform(rng, 2.0, 3.5), polite=0.5)
    return Plan("leave_group", scenario, "hall", drive, tuple(range(count)), centre, seconds=10.0)


def _crowd(rng: Rng, unlike: bool) -> Plan:
    size = hall_size(rng, unlike)
    y = size[1] / 2.0
    scene = drawn_hall(rng, unlike, [(1.2, y)], [(0, y, size[0], y)], size)
    people = [
        People(
            place="floor",
            goals=("side", "middle"),
            wander=8,
            count=int(rng.integers(16, 26)),
            speed=pace(rng),
        )
    ]
    if rng.random() < 0.6:
        people.append(People(place="floor", goals=("side",), wander=8, count=4, group_size=2, speed=1.0))
    scenario = drawn_scenario(
        "crowd", scene, (size[0] * uniform(rng, 0.1, 0.35), y, 0.0), [(size[0] - 1.2, y)], people
    )
    return Plan("crowd", scenario, "hall", drive(rng), (), seconds=12.0)


def _perpendicular_traffic(rng: Rng, unlike: bool) -> Plan:
    size = hall_size(rng, unlike)
    y, people = size[1] / 2.0 + uniform(rng, -1.0, 1.0), []
    both = rng.random() < 0.6
    way = bool(rng.random() < 0.5)
    low, high = size[0] * 0.3, size[0] * 0.3 + uniform(rng, 4.0, 6.5)
    for _ in range(int(rng.integers(7, 12))):
        x = uniform(rng, low, min(high, size[0] - 1.0))
        north = rng.random() < 0.5 if both else way
        first = uniform(rng, 0.8, size[1] - 0.8)
        ends = ((x, size[1] - 0.8), (x, 0.8))
        people.append(
            People(place=(x, first), goals=ends if north else ends[::-1], speed=uniform(rng, 0.8, 1.2))
        )
    scene = drawn_hall(
        rng, unlike, [], [(0, y, size[0], y), (low, 0, low, size[1]), (high, 0, high, size[1])], size
    )
    scenario = drawn_scenario("perpendicular_traffic", scene, (1.2, y, 0.0), [(size[0] - 1.2, y)], people)
    return Plan(
        "perpendicular_traffic",
        scenario,
        "hall",
        drive(rng, 0.4, 0.7),
        tuple(range(len(people))),
        seconds=12.0,
    )


def _circular_crossing(rng: Rng, unlike: bool) -> Plan:
    size = hall_size(rng, unlike)
    middle = np.array([size[0] / 2.0, size[1] / 2.0])
    radius = min(size[1] / 2.0 - 0.9, uniform(rng, 4.2, 5.5))
    count, people = int(rng.integers(5, 9)), []
    first = uniform(rng, -0.2, 0.2)
    for k in range(1, count + 1):
        angle = np.pi + first + 2.0 * np.pi * k / (count + 1)
        away = radius * np.array([np.cos(angle), np.sin(angle)])
        end = middle - away * uniform(rng, 0.85, 1.0) + rng.uniform(-0.4, 0.4, 2)
        people.append(walker(tuple(middle + away), tuple(end), speed=uniform(rng, 0.7, 1.0)))
    reach = np.array([radius, 0.0])
    start, far = middle - reach, middle + reach
    lanes = [(*p.place[:2], *p.goals[0]) for p in people] + [(*start, *far)]
    scene = drawn_hall(rng, unlike, [tuple(middle)], lanes, size)
    scenario = drawn_scenario("circular_crossing", scene, (*start, 0.0), [tuple(far)], people)
    return Plan(
        "circular_crossing", scenario, "hall", drive(rng, 0.5, 0.8), tuple(range(count)), tuple(middle), 10.0
    )


def _robot_crowding(rng: Rng, unlike: bool) -> Plan:
    size = hall_size(rng, unlike)
    x, y = size[0] * uniform(rng, 0.3, 0.5), size[1] * uniform(rng, 0.4, 0.6)
    scene = drawn_hall(rng, unlike, [(x, y)], [(0, y, size[0], y)], size)
    people = []
    for k in range(int(rng.integers(4, 8))):
        angle, far = uniform(rng, -2.2, 2.2) if k else 0.2, uniform(rng, 2.0, 4.0)
        at = np.clip((x + far * np.cos(angle), y + far * np.sin(angle)), (0.8, 0.8), np.array(size) - 0.8)
        people.append(
            People(
                place=(float(at[0]), float(at[1])),
                goals=((x, y),),
                speed=uniform(rng, 0.8, 1.1),
                reactions=("curious",),
                at_end="stand",
            )
        )
    scenario = drawn_scenario(
        "robot_crowding", scene, (x - 0.8, y, uniform(rng, -0.3, 0.3)), [(size[0] - 1.2, y)], people
    )
    return Plan(
        "robot_crowding", scenario, "hall", drive(rng, 0.3, 0.6), tuple(range(len(people))), seconds=9.0
    )


def _queue(rng: Rng, unlike: bool) -> Plan:
    size = hall_size(rng, unlike)
    count, spacing = int(rng.integers(4, 8)), uniform(rng, 0.75, 0.95)
    x, north = size[0] * uniform(rng, 0.45, 0.65), bool(rng.random() < 0.5)
    head = (x, size[1] - 1.4 if north else 1.4)
    direction = (-np.pi / 2.0 if north else np.pi / 2.0) + uniform(rng, -0.25, 0.25)
    tail = spacing * (count - 1) * np.array([np.cos(direction), np.sin(direction)]) + head
    y = head[1] + (tail[1] - head[1]) * uniform(rng, 0.5, 1.0)
    scene = drawn_hall(rng, unlike, [head, tuple(tail)], [(*head, *tail), (0, y, size[0], y)], size)
    desk = (x, size[1] - 0.5 if north else 0.5)
    scene["boxes"] = [b for b in scene["boxes"] if abs(b["x"] - x) > 2.2 or abs(b["y"] - desk[1]) > 1.6]
    scene["boxes"].append(
        {
            "name": "desk",
            "kind": "counter",
            "x": desk[0],
            "y": desk[1],
            "size": [uniform(rng, 1.4, 2.4), 0.6, 1.1],
            "colour": [uniform(rng, 0.4, 0.9) for _ in range(3)],
        }
    )
    people = [People(queue="counter", count=count, goals=((3.0, size[1] / 2.0),), at_end="stand")]
    line = Line(head, float(direction), spacing, (8.0, 20.0))
    scenario = drawn_scenario(
        "queue", scene, (1.5, y, 0.0), [(size[0] - 1.2, y)], people, {"counter": line}, jitter=0.1
    )
    return Plan("queue", scenario, "hall", drive(rng), tuple(range(count)), head, seconds=14.0)


def _photo_session(rng: Rng, unlike: bool) -> Plan:
    size = hall_size(rng, unlike)
    x, y = size[0] * uniform(rng, 0.45, 0.6), size[1] * uniform(rng, 0.4, 0.6)
    gap, count, up = uniform(rng, 2.4, 3.6), int(rng.integers(2, 4)), float(rng.choice([-1.0, 1.0]))
    people = [stander((x, y - up * gap / 2.0), up * np.pi / 2.0, group=0)]
    for k in range(count):
        at = (x + 0.65 * (k - (count - 1) / 2.0), y + up * gap / 2.0)
        people.append(stander(at, -up * np.pi / 2.0 + uniform(rng, -0.15, 0.15), group=0))
    scene = drawn_hall(rng, unlike, [(x, y - gap / 2), (x, y + gap / 2)], [(0, y, size[0], y)], size)
    scenario = drawn_scenario(
        "photo_session",
        scene,
        (1.5, y + uniform(rng, -0.8, 0.8), 0.0),
        [(size[0] - 1.2, y)],
        people,
        jitter=0.1,
    )
    return Plan("photo_session", scenario, "hall", drive(rng), tuple(range(count + 1)), (x, y))


def _static_groups(rng: Rng, unlike: bool) -> Plan:
    size = hall_size(rng, unlike)
    y, people, keep = size[1] / 2.0, [], []
    spots = [
        (size[0] * uniform(rng, 0.35, 0.45), y + uniform(rng, 0.3, 1.6)),
        (size[0] * uniform(rng, 0.5, 0.7), y - uniform(rng, 0.3, 1.8)),
    ]
    if rng.random() < 0.4:
        spots.append((size[0] * uniform(rng, 0.55, 0.8), y + uniform(rng, 1.8, 2.8)))
    if rng.random() < 0.5:
        spots = [(a, 2 * y - b) for a, b in spots]
    for spot in spots:
        people.append(People(centre=spot, count=int(rng.integers(3, 5))))
        keep.append(spot)
    cast = sum(p.count for p in people)
    people += strollers(rng, 1)
    scene = drawn_hall(rng, unlike, keep, [(0, y, size[0], y)], size)
    scenario = drawn_scenario("static_groups", scene, (1.2, y, 0.0), [(size[0] - 1.2, y)], people)
    return Plan("static_groups", scenario, "hall", drive(rng), tuple(range(cast)))


def _moving_groups(rng: Rng, unlike: bool) -> Plan:
    if rng.random() < 0.3:
        length, wide = drawn_size(rng, 14.0, 19.0, unlike), uniform(rng, 3.2, 4.2)
        scene, place, y = layouts.corridor(rng, length, wide, unlike), "corridor", wide / 2.0
    else:
        length, wide = hall_size(rng, unlike)
        y, place = wide / 2.0, "hall"
        scene = drawn_hall(rng, unlike, [], [(0, y, length, y)], (length, wide))
    people, speed = [], uniform(rng, 0.7, 1.0)
    for g in range(int(rng.integers(1, 3)) if place == "hall" else 1):
        x, middle = (
            length - 2.5 - 2.2 * g - uniform(rng, 0.0, 2.0),
            y + (0.0 if place == "corridor" else uniform(rng, -0.8, 0.8) + 1.6 * g),
        )
        for k in range(
            int(rng.integers(2, 4))
            if g
            else int(rng.integers(2, 5))
            if place == "hall"
            else int(rng.integers(2, 4))
        ):
            side = 0.7 * (k - 1)
            people.append(
                walker(
                    (x + uniform(rng, -0.1, 0.1), middle + side), (0.9, middle + side), speed=speed, group=g
                )
            )
    scenario = drawn_scenario("moving_groups", scene, (1.2, y, 0.0), [(length - 1.2, y)], people, jitter=0.05)
    return Plan("moving_groups", scenario, place, drive(rng), tuple(range(len(people))))


RECIPES: dict[str, Callable[[Rng, bool], Plan]] = {
    "following": _following,
    "leading": _leading,
    "accompanying": _accompanying,
    "join_group": _join_group,
    "leave_group": _leave_group,
    "crowd": _crowd,
    "perpendicular_traffic": _perpendicular_traffic,
    "circular_crossing": _circular_crossing,
    "robot_crowding": _robot_crowding,
    "queue": _queue,
    "photo_session": _photo_session,
    "static_groups": _static_groups,
    "moving_groups": _moving_groups,
}
"""Recipes by family."""
