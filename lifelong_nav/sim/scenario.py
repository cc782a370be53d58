"""Scenarios as data: where, who, what for, what changes on the way, and when it counts as success.

A scenario is a YAML file (`sim/scenarios/*.yaml`); `load` reads it with errors that name the field,
`scenario_build.build` draws one run of it from a seed.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lifelong_nav.core.config import load_yaml
from lifelong_nav.core.errors import ConfigError
from lifelong_nav.core.share import share_folder
from lifelong_nav.sim.crowd.person import BEHAVIOURS, ENDINGS, GESTURES, Point
from lifelong_nav.sim.crowd.state import REACTIONS
from lifelong_nav.sim.fields import Fields, number, numbers

FAMILIES = ("francis", "olivia", "extra", "lifelong")
"""Where a scenario comes from: Francis et al. 2023 (2306.16740), OLiVia-Nav (2409.13675), own."""

EVENTS = ("friction", "payload", "wheel_wear", "crowd_size", "move_box", "door")
"""What may change during a run; `Event` says what `target` and `value` mean for each."""

Place = str | tuple[float, ...]
"""A region's name or kind, or numbers x, y [m] (and yaw [rad])."""


@dataclass(frozen=True)
class Event:
    """Something that happens `at` seconds into the run.

    friction: floor patch `target` ('' for the whole floor) gets friction `value[0]`. payload: `value[0]`
    kilograms on the robot. wheel_wear: radius of wheel `target` (left, right, '' both) becomes
    `value[0]` times what it was built with. crowd_size: `value[0]` people are about. move_box:
    furniture `target` stands at `value` x, y, yaw. door: `target` is set to `value[0]` [rad].
    """

    at: float
    kind: str
    target: str = ""
    value: tuple[float, ...] = ()


@dataclass(frozen=True)
class People:
    """One entry of the list of people: a person, several alike, a conversation or a line.

    `place` is where they start (region, kind or numbers), `goals` where they go; a `count` above 1 with
    numbers as place spreads them nearby. `wander` draws that many goals among the regions named by
    `goals` instead. `centre` makes a conversation, `queue` a line at the counter of that name.
    """

    place: Place = ""
    goals: tuple[Place, ...] = ()
    count: int = 1
    wander: int = 0
    speed: float = 1.2
    behaviour: str = "walk"
    reactions: tuple[str, ...] = ("regular",)
    group: int = -1
    group_size: int = 0
    at_end: str = "loop"
    depart_after: float = 0.0
    depart_within: float = 0.0
    dwell: tuple[float, float] = (0.0, 0.0)
    heading: float | None = None
    target: int = -1
    offset: Point = (-1.2, 0.0)
    gesture: str = ""
    patience: float = 12.0
    centre: Point | None = None
    queue: str = ""
    model: str = ""


@dataclass(frozen=True)
class Line:
    """A counter at `head`; people line up along `direction` [rad], `spacing` [m] apart."""

    head: Point
    direction: float
    spacing: float = 0.9
    service: tuple[float, float] = (6.0, 14.0)


@dataclass(frozen=True)
class Replay:
    """People from a recording below the data folder: file, start [s], duration [s], frame (x, y, yaw)."""

    file: str
    start: float = 0.0
    duration: float = 60.0
    frame: tuple[float, float, float] = (0.0, 0.0, 0.0)


@dataclass(frozen=True)
class Jitter:
    """Half-widths of what a seed changes: robot [m], its yaw [rad], people [m], speeds (share), times [s]."""

    robot: float = 0.15
    yaw: float = 0.15
    people: float = 0.2
    speed: float = 0.12
    time: float = 0.5


@dataclass(frozen=True)
class Company:
    """Keep between `near` and `far` [m] of person `person` for at least `share` of the time."""

    person: int
    near: float = 0.6
    far: float = 2.5
    share: float = 0.7


@dataclass(frozen=True)
class Success:
    """All goals within `tolerance` [m] before the timeout, at most `contacts` touches, and `company` kept."""

    tolerance: float = 0.4
    contacts: int = 0
    company: Company | None = None


@dataclass(frozen=True)
class Scenario:
    """A family of runs; `scenario_build.build(scenario, seed)` draws one.

    `scene` is the mapping of the file (see `scene_file.scene_from`): a generator's kind or explicit
    walls. `start` and `goals` of the robot are places; `errands` > 0 draws that many goals among the
    regions named by `goals`. `timeout` [s] is for each goal.
    """

    name: str
    family: str
    description: str
    scene: Mapping[str, Any]
    start: Place
    goals: tuple[Place, ...]
    errands: int = 0
    people: tuple[People, ...] = ()
    lines: Mapping[str, Line] = field(default_factory=dict)
    replay: Replay | None = None
    crowd: str = "social_force"
    timeout: float = 60.0
    jitter: Jitter = field(default_factory=Jitter)
    events: tuple[Event, ...] = ()
    success: Success = field(default_factory=Success)


def folder() -> Path:
    """Where the scenario files are: below LIFELONG_NAV_SIM, else in the checkout or the installation."""
    named = os.environ.get("LIFELONG_NAV_SIM")
    if not named:
        return share_folder("sim") / "scenarios"
    if not (Path(named) / "scenarios").is_dir():
        raise ConfigError(
            f"LIFELONG_NAV_SIM names {named}, which holds no folder 'scenarios'.",
            "Unset it, or name the folder that holds `scenarios` and `scenes`.",
        )
    return Path(named) / "scenarios"


def names(family: str = "") -> list[str]:
    """Names of the scenarios that come along, sorted; of one family where given."""
    found = sorted(path.stem for path in folder().glob("*.yaml"))
    return [n for n in found if not family or load(n).family == family]


def load(source: str | Path) -> Scenario:
    """Read a scenario by name (of `names`) or from a file.

    Raises:
        ConfigError: no such scenario, or a field is missing, unknown, mistyped or out of range.
    """
    path = Path(source)
    if path.suffix not in (".yaml", ".yml"):
        path = folder() / f"{source}.yaml"
        if not path.is_file():
            raise ConfigError(f"There is no scenario '{source}'.", f"Choose from: {', '.join(names())}.")
    return parse(load_yaml(path), path.stem)


def parse(data: Mapping[str, Any], name: str) -> Scenario:
    """A scenario from the mapping of its file; `name` stands in messages and where the file has none."""
    f = Fields(data, name)
    robot = f.sub("robot")
    replay = f.sub("replay") if "replay" in f else None
    scenario = Scenario(
        name=f.text("name", name),
        family=f.text("family", choices=FAMILIES),
        description=f.text("description"),
        scene=f.sub("scene").data,
        start=place(robot.raw("start"), f"{robot.where}.start"),
        goals=tuple(place(v, w) for v, w in robot.rows("goals")),
        errands=robot.whole("errands", 0),
        people=tuple(_people(Fields(v, w)) for v, w in f.rows("people")),
        lines={k: _line(Fields(v, f"{name}.queues.{k}")) for k, v in f.sub("queues").data.items()},
        replay=_replay(replay) if replay else None,
        crowd=f.text("crowd", "social_force", ("social_force", "orca")),
        timeout=f.number("timeout", 60.0, 1.0, 1e5),
        jitter=_jitter(f.sub("jitter")),
        events=tuple(sorted((_event(Fields(v, w)) for v, w in f.rows("events")), key=lambda e: e.at)),
        success=_success(f.sub("success")),
    )
    robot.done()
    f.done()
    if not scenario.goals:
        raise ConfigError(f"{name}.robot.goals is empty.", "Name at least one region or point x, y.")
    return scenario


def place(value: Any, where: str) -> Place:
    """A region's name or [x, y] or [x, y, yaw]."""
    if isinstance(value, str) and value:
        return value
    return numbers(value, where, (2, 3))


def _people(f: Fields) -> People:
    reactions = f.raw("reaction", "regular")
    reactions = tuple(reactions) if isinstance(reactions, list) else (reactions,)
    for word in reactions:
        if word not in REACTIONS:
            raise ConfigError(f"{f.where}.reaction is {word!r}.", f"Choose from: {', '.join(REACTIONS)}.")
    heading, centre = f.raw("heading"), f.raw("centre")
    start = f.raw("start", "")
    people = People(
        place=place(start, f"{f.where}.start") if start != "" else "",
        goals=tuple(place(v, w) for v, w in f.rows("goals")),
        count=f.whole("count", 1, 1, 500),
        wander=f.whole("wander", 0, 0, 100),
        speed=f.number("speed", 1.2, 0.0, 3.0),
        behaviour=f.text("behaviour", "walk", BEHAVIOURS),
        reactions=reactions,
        group=f.whole("group", -1, -1),
        group_size=f.whole("group_size", 0, 0, 8),
        at_end=f.text("at_end", "loop", ENDINGS),
        depart_after=f.number("depart_after", 0.0, 0.0),
        depart_within=f.number("depart_within", 0.0, 0.0),
        dwell=_pair(f.numbers("dwell", (2,), (0.0, 0.0))),
        heading=None if heading is None else number(heading, f"{f.where}.heading"),
        target=f.whole("target", -1, -1),
        offset=_pair(f.numbers("offset", (2,), (-1.2, 0.0))),
        gesture=f.text("gesture", "", GESTURES) if "gesture" in f else "",
        patience=f.number("patience", 12.0, 0.0),
        centre=None if centre is None else _pair(numbers(centre, f"{f.where}.centre", (2,))),
        queue=f.text("queue", ""),
        model=f.text("model", ""),
    )
    f.done()
    if not people.place and people.centre is None and not people.queue:
        raise ConfigError(
            f"{f.where} says nowhere to start.", "Give start, centre (a conversation) or queue."
        )
    return people


def _line(f: Fields) -> Line:
    line = Line(
        _pair(f.numbers("head", (2,))), f.number("direction"), f.number("spacing", 0.9, 0.5, 3.0),
        _pair(f.numbers("service", (2,), (6.0, 14.0))),
    )  # fmt: skip
    f.done()
    return line


def _replay(f: Fields) -> Replay:
    x, y, yaw = f.numbers("frame", (3,), (0.0, 0.0, 0.0))
    replay = Replay(f.text("file"), f.number("start", 0.0, 0.0), f.number("duration", 60.0, 1.0), (x, y, yaw))
    f.done()
    return replay


def _jitter(f: Fields) -> Jitter:
    base = Jitter()
    jitter = Jitter(
        f.number("robot", base.robot, 0.0, 5.0), f.number("yaw", base.yaw, 0.0, 3.2),
        f.number("people", base.people, 0.0, 5.0), f.number("speed", base.speed, 0.0, 0.9),
        f.number("time", base.time, 0.0, 60.0),
    )  # fmt: skip
    f.done()
    return jitter


_EVENT_VALUES = {
    "friction": (1,),
    "payload": (1,),
    "wheel_wear": (1,),
    "crowd_size": (1,),
    "move_box": (3,),
    "door": (1,),
}


def _event(f: Fields) -> Event:
    kind = f.text("kind", choices=EVENTS)
    value = f.raw("value")
    value = value if isinstance(value, list) else [value]
    event = Event(
        f.number("at", low=0.0),
        kind,
        f.text("target", ""),
        numbers(value, f"{f.where}.value", _EVENT_VALUES[kind]),
    )
    f.done()
    return event


def _success(f: Fields) -> Success:
    company = f.sub("company") if "company" in f else None
    keep = None
    if company is not None:
        keep = Company(
            company.whole("person"), company.number("near", 0.6, 0.0), company.number("far", 2.5, 0.0),
            company.number("share", 0.7, 0.0, 1.0),
        )  # fmt: skip
        company.done()
    success = Success(f.number("tolerance", 0.4, 0.05, 5.0), f.whole("contacts", 0), keep)
    f.done()
    return success


def _pair(values: tuple[float, ...]) -> Point:
    return values[0], values[1]
