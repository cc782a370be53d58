"""One run of a scenario, drawn from a seed: scene, crowd, robot's start and goals, events."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import NamedTuple

import numpy as np

from lifelong_nav.core.errors import ConfigError
from lifelong_nav.core.share import recordings
from lifelong_nav.core.types import FloatArray, Pose2
from lifelong_nav.sim.crowd.doorways import doorways_of
from lifelong_nav.sim.crowd.mixed import motion_model
from lifelong_nav.sim.crowd.person import PersonSpec, Queue, conversation
from lifelong_nav.sim.crowd.replay import ReplayCrowd, scene_around
from lifelong_nav.sim.crowd.routes import Router
from lifelong_nav.sim.crowd.state import Crowd
from lifelong_nav.sim.crowd.tracks import between, load_tracks
from lifelong_nav.sim.crowd.walkers import Walkers
from lifelong_nav.sim.scenario import Event, People, Place, Scenario
from lifelong_nav.sim.scene import Region, Scene
from lifelong_nav.sim.scene_file import scene_from
from lifelong_nav.sim.seeds import stream

ROBOT_MARGIN = 0.36
"""Distance from walls that the robot's starts and goals keep [m]."""

ROOMS = ("office", "meeting", "kitchen", "storage", "lab")
"""Kinds of regions that the word `room` stands for."""

HEAVY = 3.0
"""Loose things on the floor from this mass [kg] on are walked around, lighter ones are kicked aside."""


class Run(NamedTuple):
    """What `build` draws. `events` are ordered by time."""

    scene: Scene
    crowd: Crowd
    start: Pose2
    goals: list[Pose2]
    events: tuple[Event, ...]


def build(scenario: Scenario, seed: int) -> Run:
    """Draw one run; equal seeds give equal runs.

    Raises:
        ConfigError: a place names no region, or no free floor is there; a recording is absent.
    """
    tracks = None
    if scenario.replay is not None:
        tracks = load_tracks(data_folder() / scenario.replay.file)
    if tracks is not None and scenario.replay is not None and not scenario.scene:
        r = scenario.replay
        scene = scene_around(between(tracks, r.start, r.start + r.duration), scenario.name, Pose2(*r.frame))
    else:
        scene = scene_from(scenario.scene, scenario.name, seed)
    places = Places(scene, scenario.name)
    start, goals = _errands(scenario, places, stream(seed, "scenario", "robot"))
    if tracks is not None and scenario.replay is not None:
        r = scenario.replay
        crowd: Crowd = ReplayCrowd(
            tracks, start=r.start, duration=r.duration, pose=Pose2(*r.frame), loop=True
        )
    else:
        crowd = _walkers(scenario, places, start, stream(seed, "scenario", "people"), seed)
    rng = stream(seed, "scenario", "events")
    events = tuple(
        dataclasses.replace(
            e, at=max(0.0, e.at + float(rng.uniform(-1, 1)) * min(scenario.jitter.time, e.at))
        )
        for e in scenario.events
    )
    for event in events:
        if event.at == 0.0 and event.kind == "crowd_size" and isinstance(crowd, Walkers):
            set_crowd_size(crowd, int(event.value[0]))
    return Run(scene, crowd, start, goals, tuple(sorted(events, key=lambda e: e.at)))


def obstacles(scene: Scene) -> FloatArray:
    """(M, 4) what people walk around: walls, furniture, and heavy loose things where they stand at first."""
    boxes = tuple(
        dataclasses.replace(b, mass=0.0)
        for b in scene.boxes
        if b.mass == 0.0 or (b.mass >= HEAVY and b.z < 0.3)
    )
    return dataclasses.replace(scene, boxes=boxes).segments()


def set_crowd_size(crowd: Walkers, size: int) -> None:
    """Let the first `size` people be about, and nobody else."""
    for i in range(len(crowd.people)):
        crowd.set_present(i, i < size)


def data_folder() -> Path:
    """Folder of recordings: LIFELONG_NAV_DATA, default ../shared/data beside the checkout."""
    path = recordings()
    if not path.is_dir():
        raise ConfigError(f"The data folder {path} does not exist.", "Set LIFELONG_NAV_DATA.")
    return path


class Places:
    """Free spots of a scene by region name, kind or coordinates."""

    def __init__(self, scene: Scene, where: str) -> None:
        self.scene = scene
        self.where = where
        self.segments = obstacles(scene)
        self.people = Router(self.segments, scene.bounds())
        self.robot = Router(self.segments, scene.bounds(), margin=ROBOT_MARGIN)

    def regions(self, word: str) -> list[Region]:
        """Regions of that name, else of that kind; `room` stands for every kind in `ROOMS`."""
        found = [r for r in self.scene.regions if r.name == word]
        found = found or [r for r in self.scene.regions if r.kind == word]
        if word == "room" and not found:
            found = [r for r in self.scene.regions if r.kind in ROOMS]
        if not found:
            known = sorted({r.name for r in self.scene.regions} | {r.kind for r in self.scene.regions})
            raise ConfigError(
                f"{self.where}: no region '{word}'.", f"Known names and kinds: {', '.join(known)}."
            )
        return found

    def spots(
        self, where: Place, rng: np.random.Generator, n: int, jitter: float, robot: bool = False,
        part: int = 0, spread: float = 0.0,
    ) -> FloatArray:  # fmt: skip
        """(n, 2) free spots [m] in a region drawn by name or kind, or near given numbers.

        Args:
            where: the place.
            rng: source of chance.
            n: how many.
            jitter: half-width around numbers [m].
            robot: keep the robot's distance from walls instead of a person's.
            part: connected part of the floor to stay on, 0 for any.
            spread: radius over which several people stand around numbers [m].
        """
        router = self.robot if robot else self.people
        if isinstance(where, str):
            region = self.regions(where)[int(rng.integers(len(self.regions(where))))]
            low, high = np.array(region.low), np.array(region.high)
            found = router.sample(rng, low, high, n, part, gap=0.7)
            if len(found) == 0:
                raise ConfigError(
                    f"{self.where}: region '{region.name}' has no free floor.",
                    "Move furniture or the region.",
                )
            return found
        centre = np.array(where[:2]) + rng.uniform(-1, 1, 2) * jitter
        if n > 1:
            reach = max(spread, 0.45 * np.sqrt(n) + 0.3)
            return router.sample(rng, centre - reach, centre + reach, n, part, gap=0.7)
        return self.snapped(centre, np.array(where[:2]), router)[None]

    @staticmethod
    def snapped(point: FloatArray, wish: FloatArray, router: Router) -> FloatArray:
        """The point (2,), or where that is blocked the wished one, or the free cell nearest to it."""
        for candidate in (point, wish):
            if router.free.flat[int(router.cells(candidate))]:
                return candidate
        return router.centres(np.array(router.nearest_free(wish)))


def _errands(scenario: Scenario, places: Places, rng: np.random.Generator) -> tuple[Pose2, list[Pose2]]:
    j = scenario.jitter
    spot = places.spots(scenario.start, rng, 1, j.robot, robot=True)[0]
    part = int(places.robot.parts.flat[int(places.robot.cells(spot))])
    goals: list[Pose2] = []
    if scenario.errands:
        pool = [r for word in scenario.goals for r in places.regions(str(word))]
        last = None
        while len(goals) < scenario.errands:
            choice = [r for r in pool if r is not last] or pool
            last = choice[int(rng.integers(len(choice)))]
            x, y = places.spots(last.name, rng, 1, 0.0, robot=True, part=part)[0]
            goals.append(_facing(goals[-1].xy if goals else spot, x, y))
    else:
        for wish in scenario.goals:
            x, y = places.spots(wish, rng, 1, 0.5 * j.robot, robot=True, part=part)[0]
            arriving = _facing(goals[-1].xy if goals else spot, x, y)
            goals.append(Pose2(arriving.x, arriving.y, _yaw(wish, arriving.yaw)))
    for goal in goals:
        if not places.robot.connected(spot, goal.xy):
            ends = f"{spot.round(2).tolist()} to {goal.xy.round(2).tolist()}"
            raise ConfigError(
                f"{scenario.name}: no way for the robot from {ends}.",
                "Widen the passage or move start and goal.",
            )
    ahead = goals[0].xy - spot
    yaw = _yaw(scenario.start, float(np.arctan2(ahead[1], ahead[0])))
    return Pose2(float(spot[0]), float(spot[1]), yaw + float(rng.uniform(-1, 1)) * j.yaw), goals


def _facing(origin: FloatArray, x: float, y: float) -> Pose2:
    """A goal at x, y that faces away from where one comes from."""
    return Pose2(float(x), float(y), float(np.arctan2(y - origin[1], x - origin[0])))


def _yaw(where: Place, otherwise: float) -> float:
    return float(where[2]) if not isinstance(where, str) and len(where) == 3 else otherwise


def _walkers(
    scenario: Scenario, places: Places, robot: Pose2, rng: np.random.Generator, seed: int
) -> Walkers:
    queues = [
        Queue(
            name,
            line.head,
            (float(np.cos(line.direction)), float(np.sin(line.direction))),
            line.spacing,
            line.service,
        )
        for name, line in scenario.lines.items()
    ]
    people: list[PersonSpec] = []
    group = 1 + max([p.group for p in scenario.people], default=-1)
    for entry in scenario.people:
        made, group = _people(scenario, entry, places, rng, group, queues, robot)
        people += made
    model = motion_model(scenario.crowd, people)
    crowd_seed = np.random.SeedSequence(seed, spawn_key=(0xC20D,))
    return Walkers(
        people, places.segments, places.scene.bounds(), crowd_seed, model=model, queues=queues,
        doorways=doorways_of(places.scene.regions, places.people), router=places.people,
    )  # fmt: skip


def _people(
    scenario: Scenario, entry: People, places: Places, rng: np.random.Generator, group: int,
    queues: list[Queue], robot: Pose2,
) -> tuple[list[PersonSpec], int]:  # fmt: skip
    """The people of one entry, and the next free group number."""
    j = scenario.jitter
    common = {
        "behaviour": entry.behaviour, "at_end": entry.at_end, "depart_within": entry.depart_within,
        "dwell": entry.dwell, "target": entry.target, "offset": entry.offset, "gesture": entry.gesture,
        "patience": entry.patience, "model": entry.model,
    }  # fmt: skip
    if entry.centre is not None:
        centre = np.array(entry.centre) + rng.uniform(-1, 1, 2) * j.people
        ring = conversation(
            (float(centre[0]), float(centre[1])), max(entry.count, 2), group,
            float(rng.uniform(-np.pi, np.pi)), speed=0.6,
            **{k: v for k, v in common.items() if k != "behaviour"},
        )  # fmt: skip
        return [dataclasses.replace(p, reaction=str(rng.choice(entry.reactions))) for p in ring], group + 1
    if entry.queue:
        names = [q.name for q in queues]
        if entry.queue not in names:
            raise ConfigError(
                f"{scenario.name}: no queue '{entry.queue}'.", f"Known queues: {', '.join(names)}."
            )
        which = names.index(entry.queue)
        starts: FloatArray = queues[which].slots(entry.count) + rng.uniform(-0.1, 0.1, (entry.count, 2))
        common |= {"behaviour": "queue", "queue": which}
    else:
        starts = _starts(entry, places, rng, j.people, robot)
    part = int(places.people.parts.flat[int(places.people.cells(starts[0]))])
    people = []
    for i, start in enumerate(starts):
        if entry.group_size > 1 and i % entry.group_size == 0:
            group += 1
        number = group - 1 if entry.group_size > 1 else entry.group
        goals = _goals(entry, places, rng, j.people, part)
        people.append(
            PersonSpec(
                (float(start[0]), float(start[1])), goals,
                speed=entry.speed * (1.0 + j.speed * float(rng.uniform(-1, 1))),
                heading=entry.heading, reaction=str(rng.choice(entry.reactions)), group=number,
                depart_after=entry.depart_after * float(rng.uniform(0.7, 1.3)), **common,  # type: ignore[arg-type]
            )
        )  # fmt: skip
    return people, group + 1


def _starts(
    entry: People, places: Places, rng: np.random.Generator, jitter: float, robot: Pose2
) -> FloatArray:
    """Where the people of an entry begin, not on top of the robot."""
    if not isinstance(entry.place, str):
        return places.spots(entry.place, rng, entry.count, jitter)
    rows: list[FloatArray] = []
    size = max(1, entry.group_size)
    while len(rows) < entry.count:
        batch = places.spots(entry.place, rng, size, jitter)
        for _ in range(5):
            if np.hypot(*(batch - robot.xy).T).min() > 1.5 and all(
                np.hypot(*(batch - other).T).min() > 0.6 for other in rows
            ):
                break
            batch = places.spots(entry.place, rng, size, jitter)
        rows += list(batch)
    return np.array(rows[: entry.count])


def _goals(
    entry: People, places: Places, rng: np.random.Generator, jitter: float, part: int
) -> tuple[tuple[float, float], ...]:
    wishes = list(entry.goals)
    if entry.wander and wishes:
        wishes = [wishes[int(rng.integers(len(wishes)))] for _ in range(entry.wander)]
    goals = [places.spots(wish, rng, 1, jitter, part=part)[0] for wish in wishes]
    return tuple((float(x), float(y)) for x, y in goals)
