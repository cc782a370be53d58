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
    "keep_right": "pass by on the right",
    "keep_left": "swerve over to the left-hand side",
    "yield": "stop and let the people go first",
    "follow": "follow behind and keep the distance",
    "overtake": "overtake with a wide gap",
    "go_around": "go around the group, never through it",
    "accompany": "walk side by side with the companion",
    "join": "approach slowly and stop at a polite distance",
    "wait_turn": "wait and leave room for those who come out",
    "retreat": "freeze on the spot until the onlookers step back",
}
"""What a polite robot does next."""

SCENARIOS: dict[str, str] = {
    "free_passage": "The way is free and nobody is near the robot.",
    "frontal_approach": "A person walks straight towards the robot in the open.",
    "pedestrian_obstruction": "A motionless person is an obstacle and blocks the passage.",
    "pedestrian_overtaking": "A fast walker comes up from behind and passes the robot.",
    "robot_overtaking": "The robot is faster than a slow stroller ahead and goes past.",
    "down_path": "Somebody happens to walk ahead in the same direction at equal speed.",
    "intersection": "At an intersection of corridors a person crosses from a side branch.",
    "blind_corner": "The view ends at a blind corner; somebody hidden may come around it.",
    "narrow_hallway": "In a tight hallway between close walls a person comes the other way.",
    "narrow_doorway": "A person and the robot both want through the same door frame.",
    "entering_room": "From the corridor the robot wants in through the door, and a person inside comes out.",
    "exiting_room": "The robot leaves the room for the hallway, where a visitor waits to be let in.",
    "entering_elevator": "The robot is about to enter an elevator with people in it.",
    "exiting_elevator": "Inside the cab, the robot wants to get off the lift past people in the lobby.",
    "following": "The robot follows its guide, whose back is close in front.",
    "leading": "A visitor trails after the robot, which goes first.",
    "accompanying": "Side by side, shoulder to shoulder, the robot accompanies a companion.",
    "join_group": "The robot comes up to join a conversation circle of talking people.",
    "leave_group": "The robot says goodbye, turns its back on the talking circle and drives off.",
    "crowd": "A dense crowd mills about in all directions around the robot.",
    "parallel_traffic": "Pedestrians stream lengthwise in lanes, with the robot or against it.",
    "perpendicular_traffic": "Cross traffic: many walkers cut across from the side.",
    "circular_crossing": "People from all around a circle swap places through its centre.",
    "robot_crowding": "Curious onlookers gather around the robot and hem it in.",
    "queue": "A queue of waiting customers stands in line at a counter.",
    "photo_session": "A photographer takes a picture of posing people; the camera's view must stay free.",
    "static_groups": "Several chatting clusters of standing people are scattered over the floor.",
    "moving_groups": "Families and friends walk abreast in groups and come towards the robot.",
}
"""The scenarios known from the start, each with the sentence it is retrieved by (Francis et al. 2306.16740,
OLiVia-Nav 2409.13675, own). Worded for contrast: in MiniLM's space the mean cosine between two of them is
.35, the greatest .78; "a person follows the robot" and "the robot follows a person" would be at .93."""

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
