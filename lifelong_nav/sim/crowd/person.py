"""What one person is and wants, as data: the input of every model that decides for itself."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lifelong_nav.core.errors import ConfigError
from lifelong_nav.core.types import FloatArray
from lifelong_nav.sim.crowd.state import REACTIONS

Point = tuple[float, float]

BEHAVIOURS = ("walk", "stand", "queue", "follow")
"""walk: through `goals`; stand: hold the place, facing `heading`; queue: line up; follow: keep `offset`
to the robot or to another person."""

ENDINGS = ("loop", "stand", "leave")
"""What a walker does after the last goal: start over, stay there, or vanish."""

GESTURES = ("", "wait", "proceed")
"""What a person tells the robot by hand: `wait` walks on first, `proceed` lets the robot pass first."""

ROBOT = -1
"""`PersonSpec.target` of a person who follows the robot."""


@dataclass(frozen=True)
class PersonSpec:
    """One person. Positions [m] and headings [rad] in the world frame, speeds [m/s], times [s].

    `group` >= 0 joins people who belong together. A walker sets off `depart_after` seconds into the
    run and, where `depart_within` > 0, once the robot has been nearer than that. `dwell` is the
    range from which the stay at each goal is drawn. `target` (follow) is `ROBOT` or the index of a
    person, `offset` the place to keep in the target's frame of motion. `patience` is how long a
    person who gestures `proceed` lets the robot go first. `model` names the motion model in mixed crowds.
    """

    start: Point
    goals: tuple[Point, ...] = ()
    speed: float = 1.2
    radius: float = 0.25
    heading: float | None = None
    behaviour: str = "walk"
    reaction: str = "regular"
    group: int = -1
    at_end: str = "loop"
    depart_after: float = 0.0
    depart_within: float = 0.0
    dwell: tuple[float, float] = (0.0, 0.0)
    target: int = ROBOT
    offset: Point = (-1.2, 0.0)
    queue: int = 0
    gesture: str = ""
    patience: float = 12.0
    model: str = ""

    def __post_init__(self) -> None:
        for name, value, known in (
            ("behaviour", self.behaviour, BEHAVIOURS),
            ("reaction", self.reaction, REACTIONS),
            ("at_end", self.at_end, ENDINGS),
            ("gesture", self.gesture, GESTURES),
        ):
            if value not in known:
                raise ConfigError(
                    f"A person's {name} is '{value}'.",
                    f"Choose from: {', '.join(w or '(none)' for w in known)}.",
                )
        if not 0.0 <= self.speed <= 3.0 or not 0.1 <= self.radius <= 1.0:
            raise ConfigError(
                f"A person walks at {self.speed} m/s with radius {self.radius} m.",
                "Give a speed in [0, 3] m/s and a radius in [0.1, 1] m.",
            )


@dataclass(frozen=True)
class Queue:
    """A line of people: the first stands at `head`, the others behind along `direction` (unit).

    `service` is the range [s] from which each person's time at the counter is drawn.
    """

    name: str
    head: Point
    direction: Point
    spacing: float = 0.9
    service: tuple[float, float] = (6.0, 14.0)

    def slots(self, n: int) -> FloatArray:
        """(n, 2) places in the line [m], the served one first."""
        return np.array(self.head) + self.spacing * np.arange(n)[:, None] * np.array(self.direction)


def conversation(
    centre: Point, size: int, group: int, turn: float = 0.0, **common: object
) -> list[PersonSpec]:
    """People who stand and talk, around an o-space that others should not cross (Kendon 1990).

    Args:
        centre: middle of the o-space [m].
        size: how many people, 2 or more.
        group: their group number.
        turn: where on the circle the first stands [rad].
        common: further fields of every `PersonSpec`.
    """
    # 0.9 m between neighbours on the circle, and never less than an arm's length to the middle
    radius = max(0.6, 0.45 / np.sin(np.pi / max(size, 2)))
    people = []
    for i in range(size):
        angle = turn + 2.0 * np.pi * i / size
        start = (centre[0] + radius * float(np.cos(angle)), centre[1] + radius * float(np.sin(angle)))
        people.append(
            PersonSpec(start, heading=angle + np.pi, behaviour="stand", group=group, **common)  # type: ignore[arg-type]
        )
    return people
