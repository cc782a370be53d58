"""What a social scene is, in one typed schema: teachers fill it in, captions are rendered from it.

    SocialScene(scenario="narrow_doorway", environment="doorway", density="sparse",
                grouping="individuals", entities=(Entity("person", "ahead", 2.1, "approaching"),),
                action="yield")

The words are closed lists: what a teacher says outside them is refused, never guessed at. New scenario
names may be added while driving (`Scenario` with its own sentence); the other lists are fixed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from lifelong_nav.core.errors import InputError

ENVIRONMENTS: dict[str, str] = {
    "corridor": "a corridor",
    "corner": "a corridor with a corner",
    "intersection": "a crossing of corridors",
    "doorway": "a doorway",
    "elevator": "an elevator",
    "room": "a room with furniture",
    "hall": "an open hall",
    "kitchen": "a kitchen",
    "aisle": "an aisle between shelves",
}
"""Where the robot is, by name; the text is how a caption says it."""

DENSITIES: dict[str, str] = {
    "empty": "nobody is about",
    "sparse": "one or two people are about",
    "moderate": "several people are about",
    "crowded": "it is crowded with people",
}
"""How many people can be seen within 8 m in the half plane ahead: 0, 1-2, 3-5, 6 and more."""

GROUPINGS: dict[str, str] = {
    "nobody": "there are no groups",
    "individuals": "everybody is on their own",
    "walking_group": "people walk together as a group",
    "standing_group": "people stand together and talk",
    "queue": "people stand in a line",
}
"""How the people who can be seen belong together; the most constraining one present."""

KINDS = ("person", "group", "queue", "door", "counter", "wall", "object")
SIDES = ("ahead", "ahead_left", "ahead_right", "left", "right", "behind")
"""Sectors around the robot: ahead within 15 deg of its heading, ahead_* to 60 deg, left and right to 120."""

MOTIONS = (
    "standing",
    "approaching",
    "moving_away",
    "crossing_left",
    "crossing_right",
    "alongside",
    "unknown",
)
"""Motion as the robot sees it; crossing_left goes from the robot's right to its left."""

ACTIONS: dict[str, str] = {
    "continue": "continue straight at normal speed",
    "slow_down": "slow down and keep watching",
    "keep_right": "keep to the right side and pass",
    "keep_left": "keep to the left side and pass",
    "yield": "stop and let the people pass first",
    "follow": "follow behind at the same speed",
    "overtake": "overtake on the free side with a wide gap",
    "go_around": "go around the group, never through it",
    "accompany": "stay beside the person at the same speed",
    "join": "approach slowly and stop at a polite distance",
    "wait_turn": "wait and leave room for those who come out",
    "retreat": "stand still and leave the people room",
}
"""What a polite robot does next."""

SCENARIOS: dict[str, str] = {
    "free_passage": "The way is free and nobody is near the robot.",
    "frontal_approach": "A person walks straight towards the robot in the open.",
    "pedestrian_obstruction": "A person stands in the robot's way and blocks it.",
    "pedestrian_overtaking": "A person comes from behind and overtakes the robot.",
    "robot_overtaking": "The robot comes up behind a slow walker and overtakes.",
    "down_path": "A person walks ahead of the robot in the same direction at the same speed.",
    "intersection": "A person crosses the robot's way at a crossing of corridors.",
    "blind_corner": "The robot nears a corner behind which a person may come.",
    "narrow_hallway": "A person comes towards the robot in a narrow hallway.",
    "narrow_doorway": "A person and the robot meet at a narrow doorway.",
    "entering_room": "The robot enters a room that a person is about to leave.",
    "exiting_room": "The robot leaves a room that a person is about to enter.",
    "entering_elevator": "The robot is about to enter an elevator with people in it.",
    "exiting_elevator": "The robot stands in an elevator and wants to get out past people who wait.",
    "following": "The robot follows a person who leads the way.",
    "leading": "The robot leads and a person follows behind it.",
    "accompanying": "The robot goes side by side with a person.",
    "join_group": "The robot comes up to a group of people who talk, to join them.",
    "leave_group": "The robot turns away from a group of people who talk, to leave them.",
    "crowd": "The robot moves through a dense crowd of people who walk in all directions.",
    "parallel_traffic": "A stream of people walks along the robot's way.",
    "perpendicular_traffic": "A stream of people walks across the robot's way.",
    "circular_crossing": "People cross from all around through the middle of a circle.",
    "robot_crowding": "Curious people gather around the robot and crowd it.",
    "queue": "A line of people waits at a counter across the robot's way.",
    "photo_session": "A person takes a photo of others and the robot must not pass between them.",
    "static_groups": "Groups of people stand and talk in the robot's way.",
    "moving_groups": "Groups of people walk towards the robot side by side.",
}
"""The scenarios known from the start, each with the sentence it is retrieved by (Francis et al. 2306.16740,
OLiVia-Nav 2409.13675, own)."""

_NAME = re.compile(r"[a-z][a-z0-9_]{1,47}")
MAX_ENTITIES = 12
MAX_DESCRIPTION = 200
"""Longest sentence of a new scenario [characters]."""


@dataclass(frozen=True, slots=True)
class Entity:
    """A person, group or thing beside the robot's way; `distance` [m] from the robot's centre."""

    kind: str
    side: str
    distance: float
    motion: str = "standing"
    count: int = 1


@dataclass(frozen=True, slots=True)
class SocialScene:
    """One moment as a teacher describes it: words of this module's lists, nearest entities first.

    `scenario` is a name ([a-z][a-z0-9_]*) of `SCENARIOS` or a new one; a new one needs `description`,
    the sentence it is retrieved by.

    Raises:
        InputError: a word that is not in its list, a bad name, a distance that is not finite.
    """

    scenario: str
    environment: str
    density: str
    grouping: str
    entities: tuple[Entity, ...] = ()
    action: str = "continue"
    description: str = ""

    def __post_init__(self) -> None:
        _one_of("environment", self.environment, ENVIRONMENTS)
        _one_of("density", self.density, DENSITIES)
        _one_of("grouping", self.grouping, GROUPINGS)
        _one_of("action", self.action, ACTIONS)
        if not _NAME.fullmatch(self.scenario):
            raise InputError(f"Scenario name {self.scenario[:60]!r} is no name.", "Use a-z, 0-9 and _.")
        if self.scenario not in SCENARIOS and not self.description.strip():
            raise InputError(
                f"Scenario '{self.scenario}' is new and has no description.",
                "Say in one sentence what happens in it.",
            )
        if len(self.description) > MAX_DESCRIPTION or not self.description.isprintable():
            raise InputError(
                f"The description of scenario '{self.scenario}' is too long or holds control characters.",
                f"One line of at most {MAX_DESCRIPTION} characters.",
            )
        if len(self.entities) > MAX_ENTITIES:
            raise InputError(f"{len(self.entities)} entities.", f"Keep the nearest {MAX_ENTITIES}.")
        for e in self.entities:
            _one_of("kind", e.kind, KINDS)
            _one_of("side", e.side, SIDES)
            _one_of("motion", e.motion, MOTIONS)
            if not 0.0 <= e.distance < 100.0 or not 1 <= e.count <= 99:
                raise InputError(f"Entity {e} is impossible.", "Distances 0 to 100 m, counts 1 to 99.")

    @property
    def sentence(self) -> str:
        """The sentence the scenario is retrieved by."""
        return self.description.strip() or SCENARIOS[self.scenario]


def side_of(bearing: float) -> str:
    """The sector of `SIDES` of a bearing [rad, left positive, wrapped to +-pi]."""
    degrees = abs(bearing) * 57.29577951308232
    hand = "left" if bearing > 0.0 else "right"
    if degrees <= 15.0:
        return "ahead"
    return f"ahead_{hand}" if degrees <= 60.0 else hand if degrees <= 120.0 else "behind"


def _one_of(field: str, value: str, words: dict[str, str] | tuple[str, ...]) -> None:
    if value not in words:
        raise InputError(f"{field} {str(value)[:60]!r} is unknown.", f"Use one of {', '.join(words)}.")
