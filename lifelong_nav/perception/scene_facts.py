"""Facts of a social scene from tracks and a scan, said in three short sentences of closed vocabulary.

    facts = scene_facts(people, scan, pose=pose, speed=0.6, goal_bearing=0.1)
    people, groups, place = facts.clauses()

The sentences are embedded as text: a voice of their own beside the pixels. Rule-based readers of tracks
beat large vision-language models at such questions (SocialNav-SUB, arXiv 2509.08757).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lifelong_nav.core.config import param
from lifelong_nav.core.types import LaserScan, People, Pose2
from lifelong_nav.perception.captions import number_word
from lifelong_nav.perception.people_patterns import PATTERNS, join_groups, patterns
from lifelong_nav.perception.people_relations import DISTANCES, RELATIONS, Relations, relate, sectors
from lifelong_nav.perception.place_geometry import Place, PlaceConfig, read_place
from lifelong_nav.perception.relative_motion import in_robot_frame
from lifelong_nav.perception.social_scene import DENSITIES, SIDES

UNKNOWN_PEOPLE = "It is unknown who is about."
NO_PEOPLE = "Nobody is tracked."
UNKNOWN_GROUPS = "Groups are unknown."
UNKNOWN_PLACE = "The surroundings are unknown"
_SIDE_TEXT = ("ahead", "ahead on the left", "ahead on the right", "on the left", "on the right", "behind")
_WHERE = {
    "corridor": "in a corridor",
    "doorway": "in a doorway",
    "box": "in a small enclosed box",
    "open": "in an open hall",
    "room": "in a room",
}


@dataclass(frozen=True)
class FactsConfig:
    """What counts as near, and what is said."""

    reach: float = param(8.0, "m", 1.0, 30.0, "People farther away are not told of.")
    clauses: int = param(3, "", 1, 8, "How many kinds of people one sentence tells of.")
    soon: float = param(3.0, "s", 0.5, 20.0, "A meeting within this time is said to be soon.")
    drive: float = param(0.08, "m/s", 0.0, 1.0, "A slower robot stands.")
    turn: float = param(0.35, "rad/s", 0.05, 3.0, "A robot that turns faster is said to turn.")


@dataclass(frozen=True, slots=True)
class SceneFacts:
    """What tracks and scan say of one moment.

    `people` is None when nobody tracks; `sectors` counts people by `SIDES`; `density` is a word of
    `DENSITIES` for those ahead; `contact` is the shortest time until courses meet [s], inf for never;
    `patterns` are words of `PATTERNS`; `drive` is "stands", "turns left", "turns right" or "drives";
    `goal` is a word of `SIDES` or "" for none.
    """

    people: Relations | None
    density: str
    sectors: tuple[int, ...]
    contact: float
    patterns: tuple[str, ...]
    place: Place
    drive: str
    goal: str
    config: FactsConfig

    @property
    def nearest(self) -> float:
        """Distance of the nearest person [m], inf for nobody."""
        return float(self.people.distance[0]) if self.people is not None and len(self.people) else np.inf

    def clauses(self) -> tuple[str, str, str]:
        """Three sentences: people, groups, place."""
        return _people_clause(self), _group_clause(self), _place_clause(self)

    def sentence(self) -> str:
        """All of it."""
        return " ".join(self.clauses())


def scene_facts(
    people: People | None,
    scan: LaserScan | None = None,
    *,
    pose: Pose2 | None = None,
    speed: float = 0.0,
    turn_rate: float = 0.0,
    goal_bearing: float | None = None,
    sensor: Pose2 | None = None,
    config: FactsConfig | None = None,
    place: PlaceConfig | None = None,
) -> SceneFacts:
    """Read one moment.

    Args:
        people: tracks; None when there is no tracking.
        scan: None when there is none.
        pose: of the robot in the frame of `people`; None when they are in the robot's frame.
        speed: forward speed of the robot [m/s].
        turn_rate: [rad/s].
        goal_bearing: of the goal or of the way ahead, in the robot's frame [rad]; None for none.
        sensor: pose of the lidar on the robot.
        config: what is said.
        place: how places are read.
    """
    c = config or FactsConfig()
    speed = speed if np.isfinite(speed) else 0.0
    bearing = None if goal_bearing is None or not np.isfinite(goal_bearing) else float(goal_bearing)
    way = bearing if bearing is not None and abs(bearing) < np.pi / 3.0 else 0.0
    relations: Relations | None = None
    words: tuple[str, ...] = ()
    ignore = None
    if people is not None:
        at, velocity = in_robot_frame(people, pose or Pose2())
        good = np.isfinite(at).all(axis=1) & np.isfinite(velocity).all(axis=1)
        at, velocity = at[good], velocity[good]
        told = np.array([p.group_id for p in people.people], dtype=np.int64)[good]
        relations = relate(at, velocity, join_groups(at, velocity, told), speed, way, c.reach)
        words, ignore = tuple(patterns(relations, way, speed)), at
    seen = Place() if scan is None else read_place(scan, sensor, ignore, place)
    none = relations is None or len(relations) == 0
    count = 0 if relations is None else int((relations.at[:, 0] >= 0.0).sum())
    density = "empty" if count == 0 else "sparse" if count < 3 else "moderate" if count < 6 else "crowded"
    by_side = np.zeros(6, dtype=int) if relations is None else np.bincount(relations.sector, minlength=6)
    return SceneFacts(
        relations,
        density,
        tuple(int(n) for n in by_side),
        np.inf if none or relations is None else float(relations.contact.min()),
        words,
        seen,
        _drive(speed, turn_rate, c),
        "" if bearing is None else SIDES[int(sectors(np.array([[np.cos(bearing), np.sin(bearing)]]))[0])],
        c,
    )


def _drive(speed: float, turn_rate: float, c: FactsConfig) -> str:
    if np.isfinite(turn_rate) and abs(turn_rate) > c.turn:
        return "turns left" if turn_rate > 0.0 else "turns right"
    if speed < -c.drive:
        return "drives back"
    return "drives" if speed > c.drive else "stands"


def _people_clause(f: SceneFacts) -> str:
    r = f.people
    if r is None:
        return UNKNOWN_PEOPLE
    if len(r) == 0:
        return NO_PEOPLE
    parts = []
    for word in [w for w in RELATIONS if (r.relation == w).any()][: f.config.clauses]:
        who = np.flatnonzero(r.relation == word)
        one, many = RELATIONS[word]
        first = int(who[0])  # nearest comes first
        verb = f"one person {one}" if len(who) == 1 else f"{_count(len(who))} people {many}"
        if word == "cuts":
            verb += " to the left" if r.velocity[first, 1] > 0.0 else " to the right"
        soon = " and meets soon" if word in ("meets", "cuts") and r.contact[first] < f.config.soon else ""
        parts.append(f"{verb}, {DISTANCES[r.zone[first]]} {_SIDE_TEXT[r.sector[first]]}{soon}")
    head = "Nobody is ahead" if f.density == "empty" else DENSITIES[f.density].capitalize()
    return f"{head}: {'; '.join(parts) or 'their motion is unknown'}."


def _count(n: int) -> str:
    return number_word(n) if n <= 3 else "several" if n <= 5 else "many"


def _group_clause(f: SceneFacts) -> str:
    if f.people is None:
        return UNKNOWN_GROUPS
    parts = []
    for word in f.patterns[:3]:
        text = PATTERNS[word]
        if word in ("standing_group", "walking_group"):
            text = f"{text}, {_group_text(f.people, word)}"
        parts.append(text)
    text = "; ".join(parts)
    return f"{text[0].upper()}{text[1:]}."


def _group_text(r: Relations, word: str) -> str:
    """Size and place of the nearest group of that kind: 'three of them, near ahead'."""
    standing = np.isin(r.motion, ("standing", "unknown"))
    who = (r.group >= 0) & (standing if word == "standing_group" else ~standing)
    first = int(np.flatnonzero(who)[0])
    member = r.group == r.group[first]
    size, n = int(member.sum()), len(np.unique(r.group[who]))
    text = f"{number_word(size)} of them, {DISTANCES[r.zone[first]]} {_SIDE_TEXT[r.sector[first]]}"
    if word == "walking_group":
        text += f", {_WALKS.get(str(r.relation[first]), 'past the robot')}"
    return text if n < 2 else f"in {number_word(n)} groups, {text}"


_WALKS = {
    "meets": "towards the robot", "passes": "towards the robot", "joins": "towards the robot",
    "cuts": "across the robot's way", "leads": "ahead of the robot", "caught": "ahead of the robot",
    "departs": "away from the robot", "leaves": "away from the robot", "beside": "beside the robot",
    "follows": "behind the robot", "overtakes": "up from behind",
}  # fmt: skip


def _place_clause(f: SceneFacts) -> str:
    p = f.place
    text = UNKNOWN_PLACE if p.kind == "unknown" else f"The robot is {_WHERE[p.kind]}"
    if p.kind == "corridor":
        width = "narrow" if p.narrow else "wide" if p.width > 2.6 else ""
        text = text.replace("a corridor", f"a {width} corridor") if width else text
    parts = []
    door = p.door_ahead()
    if door is not None:
        behind = "a small box" if door.depth < 2.9 else "a room" if door.depth < 5.6 else "a long passage"
        where = "right" if door.distance < 1.6 else "near" if door.distance < 3.2 else "far"
        parts.append(f"a door {where} ahead and {behind} behind it")
    elif p.corner:
        parts.append(f"a corner to the {p.corner}")
    elif p.opens_left and p.opens_right:
        parts.append("a crossing ahead")
    elif p.opens_left or p.opens_right:
        parts.append(f"an opening on the {'left' if p.opens_left else 'right'}")
    if p.clear < 2.5 and door is None:
        parts.append("a wall ahead")
    tail = f" with {' and '.join(parts)}" if parts else ""
    goal = f" and its goal is {_SIDE_TEXT[SIDES.index(f.goal)]}" if f.goal else ""
    return f"{text}{tail}; the robot {f.drive}{goal}."
