"""Tracking in a simulated office: recall, false tracks, standing people, sparse beams."""

from __future__ import annotations

import numpy as np
import pytest
from people_scans import Walker, film
from scipy.optimize import linear_sum_assignment

from lifelong_nav.core.types import Pose2
from lifelong_nav.perception.people import PeoplePerception

CROWD = [
    Walker((-6, -1), (6, -1.5), 1.2),
    Walker((-2, -4), (-2, 3), 1.0, 0.3),
    Walker((5, 3.8), (-3, 1.5), 0.8, 0.6),
    Walker((3, -4), (3.2, 4), 1.4, 0.2),
    Walker((-6, 3), (-3, -2), 1.1, 0.8),
]


def stand(t):
    return Pose2(0.0, 0.0, 0.1)


def drive(t):
    return Pose2(4 * np.sin(0.15 * t), 2 * np.sin(0.11 * t), 0.4 * np.sin(0.2 * t))


def play(walkers, robot, seconds, rate=10.0, beams=360, after=2.0, reach=6.0, **world):
    """Run the component; counts of hits, misses, false reports, id switches; squared errors; false ids."""
    perception = PeoplePerception()
    found = missed = false = switches = scans = 0
    names, squares, false_ids = {}, [], []
    for scan, pose, truth, seen in film(walkers, robot, seconds, rate, beams, **world):
        people = perception.update(scan, pose)
        if scan.stamp < after:
            continue
        scans += 1
        places = people.positions()
        gap = np.linalg.norm(truth[:, None] - places[None], axis=2)
        rows, columns = linear_sum_assignment(np.where(gap < 0.5, gap, 1e3))
        pairs = [(r, c) for r, c in zip(rows, columns, strict=True) if gap[r, c] < 0.5]
        wanted = (np.linalg.norm(truth - pose.xy, axis=1) < reach) & (seen > 0)
        matched = {r for r, _ in pairs}
        found += sum(bool(wanted[r]) for r in matched)
        missed += sum(1 for r in np.flatnonzero(wanted) if r not in matched)
        false_ids += [p.id for k, p in enumerate(people.people) if k not in {c for _, c in pairs}]
        for r, c in pairs:
            switches += names.get(r, people.people[c].id) != people.people[c].id
            names[r] = people.people[c].id
            squares.append(gap[r, c] ** 2)
    false = len(false_ids)
    return {
        "recall": found / max(found + missed, 1),
        "precision": found / max(found + false, 1),
        "false_per_scan": false / scans,
        "switches": switches,
        "rmse": float(np.sqrt(np.mean(squares))) if squares else 0.0,
        "false_ids": false_ids,
    }


@pytest.mark.parametrize("robot", [stand, drive])
@pytest.mark.parametrize(("rate", "beams"), [(10.0, 360), (20.0, 360), (10.0, 720)])
def test_walkers_in_an_office_are_tracked(robot, rate, beams):
    score = play(CROWD, robot, 25.0, rate, beams)
    assert score["recall"] >= 0.9
    assert score["precision"] >= 0.85
    assert score["rmse"] < 0.15
    assert score["switches"] <= 16  # 5 people, 2 person-minutes, crossing behind each other and a pillar


def test_furniture_alone_is_hardly_ever_taken_for_people():
    score = play([], drive, 40.0)
    assert score["false_per_scan"] < 0.3
    assert all(score["false_ids"].count(i) <= 80 for i in set(score["false_ids"]))


@pytest.mark.parametrize("robot", [stand, drive])
def test_someone_who_walked_in_and_stands_for_a_minute_does_not_vanish(robot):
    guest = Walker((-4, -1), (2, -1), 1.2, waits=(4.0, 66.0))
    score = play([guest], robot, 70.0)
    assert score["recall"] > 0.95
    assert score["switches"] == 0


def test_two_abreast_are_two_people_with_steady_ids():
    pair = [Walker((-5, -0.9), (5, -0.9), 1.1), Walker((-5, -1.5), (5, -1.5), 1.1)]
    score = play(pair, lambda t: Pose2(0.0, -4.0, 1.2), 9.0, beams=720, reach=5.0)
    assert score["recall"] > 0.7
    assert score["switches"] <= 2


def test_velocity_is_that_of_the_person_not_of_the_robot():
    perception = PeoplePerception()
    walker = Walker((-6, 2), (6, 2), 1.2)
    errors = []
    for scan, pose, _, _ in film([walker], lambda t: Pose2(-3.0 + 0.8 * t, 0.0, 0.0), 8.0):
        people = perception.update(scan, pose)
        if scan.stamp > 2.0:
            errors += [np.hypot(p.vx - 1.2, p.vy) for p in people.people if abs(p.y - 2.0) < 0.5]
    assert len(errors) > 40
    assert np.median(errors) < 0.3
