"""Facts from tracks and scans: what is said is so, nothing breaks them."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lifelong_nav.core.types import LaserScan, People, Pose2, TrackedPerson
from lifelong_nav.perception.people_patterns import PATTERNS
from lifelong_nav.perception.people_relations import DISTANCES, RELATIONS, sectors
from lifelong_nav.perception.place_geometry import read_place
from lifelong_nav.perception.relative_motion import in_sight, motion_words
from lifelong_nav.perception.scene_facts import NO_PEOPLE, UNKNOWN_GROUPS, UNKNOWN_PEOPLE, scene_facts
from lifelong_nav.perception.social_scene import DENSITIES, MOTIONS, SIDES, side_of

ANY = st.floats(width=32) | st.floats(-10.0, 10.0)


def people(*rows, groups=None):
    """Rows of x, y, vx, vy in the robot's frame."""
    groups = groups or [-1] * len(rows)
    return People(
        0.0,
        "base_link",
        tuple(TrackedPerson(i, *r, group_id=g) for i, (r, g) in enumerate(zip(rows, groups, strict=True))),
    )


def scan_of(walls, pose=(0.0, 0.0, 0.0), beams=360, reach=12.0):
    """A clean scan among wall segments (M, 4), from a pose x, y, yaw."""
    walls = np.asarray(walls, dtype=float)
    angle = -np.pi + np.arange(beams) * 2.0 * np.pi / beams
    ray = np.stack([np.cos(angle + pose[2]), np.sin(angle + pose[2])], axis=-1)[:, None]
    a, d = walls[None, :, :2] - np.array(pose[:2]), walls[None, :, 2:] - walls[None, :, :2]
    cross = ray[..., 0] * d[..., 1] - ray[..., 1] * d[..., 0]
    with np.errstate(divide="ignore", invalid="ignore"):
        t = (a[..., 0] * d[..., 1] - a[..., 1] * d[..., 0]) / cross
        u = (a[..., 0] * ray[..., 1] - a[..., 1] * ray[..., 0]) / cross
    hit = np.where((t > 0.0) & (u >= 0.0) & (u <= 1.0), t, np.inf).min(axis=1)
    hit = np.where(hit < reach, hit, np.inf)
    return LaserScan(0.0, "laser", -np.pi, 2.0 * np.pi / beams, 0.05, reach, hit)


def box(x0, y0, x1, y1):
    return [(x0, y0, x1, y0), (x1, y0, x1, y1), (x1, y1, x0, y1), (x0, y1, x0, y0)]


def relation(row, **how):
    return str(scene_facts(people(row), **how).people.relation[0])


@pytest.mark.parametrize(
    ("row", "speed", "word"),
    [
        ((4.0, 0.2, -1.0, 0.0), 0.6, "meets"),
        ((4.0, 1.8, -1.0, 0.0), 0.6, "passes"),
        ((3.0, 0.1, 0.0, 0.0), 0.6, "blocks"),
        ((3.0, 2.5, 0.0, 0.0), 0.6, "stands"),
        ((0.1, 1.0, 0.6, 0.0), 0.6, "beside"),
        ((-1.5, 0.2, 0.6, 0.0), 0.6, "follows"),
        ((-2.5, 0.3, 1.4, 0.0), 0.6, "overtakes"),
        ((2.0, 0.1, 0.6, 0.0), 0.6, "leads"),
        ((2.0, 0.1, 0.35, 0.0), 0.9, "caught"),
        ((2.0, 0.1, 1.4, 0.0), 0.6, "departs"),
        ((3.0, 2.0, 0.0, -1.1), 0.6, "cuts"),
        ((3.0, -2.0, 0.0, 1.1), 0.6, "cuts"),
        ((0.0, 2.0, 0.0, -1.0), 0.0, "joins"),
        ((-3.0, 0.0, -1.0, 0.0), 0.6, "leaves"),
    ],
)
def test_who_does_what_to_the_robot(row, speed, word):
    assert relation(row, speed=speed) == word


def test_standing_in_the_way_depends_on_where_the_way_goes():
    row = (2.0, 2.0, 0.0, 0.0)
    assert relation(row) == "stands"
    assert relation(row, goal_bearing=np.pi / 4) == "blocks"


@pytest.mark.parametrize(
    ("rows", "groups", "pattern"),
    [
        ([(1.2, 0.2, 0, 0), (-0.5, 1.2, 0, 0), (-0.4, -1.3, 0, 0)], None, "gathering"),
        ([(4, -2, 0, 0), (4, -1.1, 0, 0), (4, -0.2, 0, 0), (4, 0.7, 0, 0)], None, "queue"),
        ([(3, 1.5, 0, 0), (3.2, -1.6, 0, 0)], None, "gap"),
        ([(3, 0.5, 0, 0), (3.2, -0.6, 0, 0)], [4, 4], "standing_group"),
        ([(4, 0.5, -1, 0), (4, -0.5, -1, 0)], [4, 4], "walking_group"),
        ([(4, -3, 0, 1), (5, -1, 0, 1.1), (6, 1, 0, 0.9), (3, 3, 0, 1)], None, "cross_stream"),
        ([(2, -3, 0.9, 0), (4, -1, 1, 0), (6, 1, 1, 0.1), (3, 3, 1, 0)], None, "with_stream"),
        ([(2, -3, -0.9, 0), (4, -1, -1, 0), (6, 1, -1, 0.1), (3, 3, -1, 0)], None, "against_stream"),
        ([(2, -3, -0.9, 0), (4, -1, 1, 0), (6, 1, -1, 0.1), (3, 3, 1, 0)], None, "two_streams"),
        ([(6, 0, -1, 0), (4, 2, 0, -1), (4, -2, 0, 1), (2, 0, 1, 0)], None, "circle"),
        ([(1, 0, 0, 0)], None, "individuals"),
        ([], None, "nobody"),
    ],
)  # fmt: skip
def test_patterns_of_many(rows, groups, pattern):
    facts = scene_facts(people(*rows, groups=groups), speed=0.5)
    assert pattern in facts.patterns
    assert PATTERNS[pattern].capitalize()[:40] in facts.clauses()[1] or pattern not in facts.patterns[:2]


def test_time_to_contact_is_that_of_the_courses():
    assert scene_facts(people((4.75, 0.0, -1.0, 0.0)), speed=1.0).contact == pytest.approx(2.0)
    assert scene_facts(people((4.75, 3.0, -1.0, 0.0)), speed=1.0).contact == np.inf
    assert scene_facts(people((0.5, 0.0, 0.0, 0.0))).contact == 0.0
    assert scene_facts(people()).contact == np.inf


def test_silence_of_a_sensor_is_said_and_is_not_the_same_as_nobody():
    nothing = scene_facts(None)
    assert nothing.clauses()[:2] == (UNKNOWN_PEOPLE, UNKNOWN_GROUPS)
    assert "unknown" in nothing.clauses()[2]
    assert scene_facts(people()).clauses()[0] == NO_PEOPLE
    assert nothing.nearest == scene_facts(people()).nearest == np.inf


def test_density_counts_those_ahead_within_eight_metres():
    rows = [(1.0 + 0.9 * i, 2.0, 0.0, 0.0) for i in range(6)]
    for n, word in (
        (0, "empty"),
        (1, "sparse"),
        (2, "sparse"),
        (3, "moderate"),
        (5, "moderate"),
        (6, "crowded"),
    ):
        assert scene_facts(people(*rows[:n], (-2.0, 0.0, 0.0, 0.0), (9.0, 0.0, 0.0, 0.0))).density == word


def test_the_pose_of_the_robot_turns_everything():
    rows = [(3.0, 1.0, -0.5, 0.3), (-2.0, 0.5, 1.0, 0.0)]
    here = scene_facts(people(*rows), speed=0.5)
    yaw, c, s = 2.1, np.cos(2.1), np.sin(2.1)
    moved = [(4 + c * x - s * y, -7 + s * x + c * y, c * u - s * v, s * u + c * v) for x, y, u, v in rows]
    assert scene_facts(people(*moved), pose=Pose2(4.0, -7.0, yaw), speed=0.5).clauses() == here.clauses()


CORRIDOR = [(-10, 1, 12, 1), (-10, -1, 12, -1)]


def test_a_corridor_and_its_width():
    place = read_place(scan_of(CORRIDOR, (0.0, 0.3, 0.1)))
    assert place.kind == "corridor"
    assert place.width == pytest.approx(2.0, abs=0.1)
    assert place.left == pytest.approx(0.7, abs=0.1)
    assert place.heading == pytest.approx(-0.1, abs=0.03)
    assert not place.dead_end
    assert not place.opens_left
    assert read_place(scan_of([(-9, 0.7, 9, 0.7), (-9, -0.7, 9, -0.7)])).narrow


def test_people_in_a_corridor_do_not_change_it():
    bare = scan_of(CORRIDOR)
    r = bare.ranges.copy()
    r[175:186] = 2.0
    crowded = LaserScan(0.0, "laser", bare.angle_min, bare.angle_increment, 0.05, 12.0, r)
    assert read_place(crowded).clear < 2.1
    assert read_place(crowded, ignore=np.array([[2.0, 0.0]])).clear > 5.0


def test_a_dead_end_a_crossing_and_a_corner():
    assert read_place(scan_of([*CORRIDOR, (2.5, -1, 2.5, 1)])).dead_end
    crossing = [(-9, 1, 2, 1), (2, 1, 2, 9), (4.2, 9, 4.2, 1), (4.2, 1, 12, 1)]
    place = read_place(scan_of(crossing + [(a, -b, c, -d) for a, b, c, d in crossing]))
    assert place.kind == "corridor"
    assert place.opens_left
    assert place.opens_right
    corner = [(-9, -1, 3.5, -1), (3.5, -1, 3.5, 9), (-9, 1, 1.5, 1), (1.5, 1, 1.5, 9)]
    place = read_place(scan_of(corner))
    assert place.opens_left
    assert not place.opens_right
    assert not place.dead_end


def test_a_door_ahead_is_found_where_it_is_and_a_closed_wall_has_none():
    room = [
        *box(-4, -4, 3, 4)[0:1],
        *box(-4, -4, 3, 4)[2:],
        (3, -4, 3, -0.45),
        (3, 0.45, 3, 4),
        *box(3, -3, 9, 3)[2:3],
    ]
    room += [(9, -3, 9, 3), (3, -3, 9, -3)]
    door = read_place(scan_of(room)).door_ahead()
    assert door is not None
    assert door.width == pytest.approx(0.9, abs=0.15)
    assert door.distance == pytest.approx(3.0, abs=0.1)
    assert abs(door.bearing) < 0.05
    assert read_place(scan_of(box(-4, -4, 3, 4))).doors == ()


def test_boxes_halls_and_emptiness():
    assert read_place(scan_of(box(-0.9, -0.9, 1.0, 0.8))).kind == "box"
    assert read_place(scan_of(box(-8, -6, 8, 6))).kind == "open"
    assert read_place(scan_of([(90, 0, 91, 0)])).kind == "open"
    scan = scan_of(CORRIDOR)
    for broken in (np.nan, -1.0, 0.0):
        r = np.full(360, broken)
        assert (
            read_place(LaserScan(0.0, "l", scan.angle_min, scan.angle_increment, 0.05, 12.0, r)).kind
            == "unknown"
        )


@pytest.mark.parametrize("flip", [False, True])
def test_left_and_right_mirror(flip):
    rows = [(2.0, 1.5, 0.0, -0.9), (1.0, -1.9, 0.0, 0.0), (4.0, -3.0, 0.7, 0.0)]
    crossing = [(-9, 1, 2, 1), (2, 1, 2, 9), (4.2, 9, 4.2, 1), (4.2, 1, 12, 1), (-9, -1, 12, -1)]
    left = scene_facts(people(*rows), scan_of(crossing), speed=0.4, goal_bearing=0.5).sentence()
    mirror = [(x, -y, u, -v) for x, y, u, v in rows], [(a, -b, c, -d) for a, b, c, d in crossing]
    right = scene_facts(people(*mirror[0]), scan_of(mirror[1]), speed=0.4, goal_bearing=-0.5).sentence()
    swap = {"left": "right", "right": "left"}
    assert re.sub(r"\b(left|right)\b", lambda m: swap[m[1]], left) == right
    assert "left" in left


@given(
    st.lists(st.tuples(ANY, ANY, ANY, ANY), max_size=12),
    st.lists(st.integers(-3, 3), min_size=12, max_size=12),
    ANY, ANY, st.none() | ANY, st.lists(ANY, max_size=40), ANY, ANY,
)  # fmt: skip
@settings(max_examples=150, deadline=None)
def test_nothing_breaks_the_facts(rows, groups, speed, turn, goal, ranges, first, step):
    scan = LaserScan(0.0, "l", first, step, 0.05, 12.0, np.array(ranges))
    with np.errstate(over="ignore", invalid="ignore"):
        facts = scene_facts(
            people(*rows, groups=groups[: len(rows)]), scan, speed=speed, turn_rate=turn, goal_bearing=goal
        )
    check_clauses(facts)


@given(st.integers(0, 2**32 - 1), st.integers(0, 14), st.integers(8, 400))
@settings(max_examples=60, deadline=None)
def test_random_rooms_and_crowds_give_sentences_of_the_closed_vocabulary(seed, count, beams):
    rng = np.random.default_rng(seed)
    rows = np.c_[rng.uniform(-6, 6, (count, 2)), rng.normal(0, 0.8, (count, 2))]
    walls = np.concatenate([box(-5, -4, 6, 5), rng.uniform(-5, 5, (6, 4))])
    facts = scene_facts(
        people(*rows.tolist()), scan_of(walls, beams=beams), speed=rng.uniform(0, 1), goal_bearing=0.3
    )
    check_clauses(facts)
    r = facts.people
    assert sum(facts.sectors) == len(r)
    assert [side_of(b) for b in np.arctan2(r.at[:, 1], r.at[:, 0])] == [SIDES[i] for i in r.sector]
    assert (np.diff(r.distance) >= 0.0).all()
    assert (r.contact >= 0.0).all()
    assert facts.place.kind != "unknown" or beams < 30


def check_clauses(facts):
    assert len(facts.clauses()) == 3
    for clause in facts.clauses():
        assert clause[0].isupper()
        assert clause.endswith(".")
        assert "nan" not in clause
        assert len(clause) < 420
    assert facts.sentence() == " ".join(facts.clauses())
    assert facts.density in DENSITIES
    assert set(facts.patterns) <= set(PATTERNS)
    assert facts.patterns
    r = facts.people
    assert set(r.relation) <= {*RELATIONS, "unknown"}
    assert set(r.motion) <= set(MOTIONS)
    assert ((r.zone >= 0) & (r.zone < len(DISTANCES))).all()


def test_sectors_are_those_of_the_schema():
    bearing = np.radians(np.arange(-179.5, 180.0, 1.0))
    at = np.stack([np.cos(bearing), np.sin(bearing)], axis=-1)
    assert [SIDES[i] for i in sectors(at)] == [side_of(b) for b in bearing]


def test_motion_words():
    rows = np.array([
        [4, 0, -1, 0], [4, 0, 1, 0], [4, 0, 0, 1], [4, 0, 0, -1], [4, 0, 0.1, 0], [0.2, 1, 0.6, 0],
        [-3, 0, 1, 0], [4, 0, np.nan, 0],
    ])  # fmt: skip
    words = motion_words(rows[:, :2], rows[:, 2:], 0.6).tolist()
    assert words == [
        "approaching", "moving_away", "crossing_left", "crossing_right", "standing", "alongside",
        "approaching", "unknown",
    ]  # fmt: skip


def test_walls_hide_and_their_ends_do_not():
    walls = np.array([[2.0, -1.0, 2.0, 1.0]])
    ends = np.array([[4.0, 0.0], [4.0, 3.0], [1.0, 0.0], [2.0, 5.0], [-4.0, 0.0]])
    assert in_sight(np.zeros(2), ends, walls).tolist() == [False, True, True, True, True]
    assert in_sight(np.zeros(2), ends, None).all()
    assert in_sight(np.zeros(2), ends[:0], walls).tolist() == []
