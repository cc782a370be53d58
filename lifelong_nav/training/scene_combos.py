"""Combinations of place, density and grouping, balanced, so that they can be told apart from each other.

People are put where the robot can see them. Few of these instants are one of the scenario families to the
letter: `certain` in the record says whether exactly one family's test holds; else the family is the
nearest one by rule.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from lifelong_nav.core.errors import ConfigError
from lifelong_nav.core.geometry import wrap
from lifelong_nav.core.types import FloatArray, Pose2
from lifelong_nav.perception.social_scene import ENVIRONMENTS
from lifelong_nav.sim.crowd.forces import lines_of_sight
from lifelong_nav.sim.crowd.person import PersonSpec, Queue, conversation
from lifelong_nav.sim.crowd.routes import Router
from lifelong_nav.sim.crowd.walkers import walkers_in
from lifelong_nav.sim.scenario_build import build
from lifelong_nav.sim.scene import Scene
from lifelong_nav.sim.seeds import stream
from lifelong_nav.training import scene_layouts as layouts
from lifelong_nav.training import scene_looks, scene_phases
from lifelong_nav.training.scene_phases import Site
from lifelong_nav.training.scene_plan import Plan, drawn_hall, drawn_scenario, drawn_size, hall_size
from lifelong_nav.training.scene_sampling import Camera, Sample, SampleConfig, record_run
from lifelong_nav.training.scene_stage import Drive, Stage, View

_GROUPINGS = {
    "empty": ("nobody",),
    "sparse": ("individuals", "walking_group", "standing_group"),
    "moderate": ("individuals", "walking_group", "standing_group", "queue"),
    "crowded": ("individuals", "walking_group", "standing_group", "queue"),
}
_COUNTS = {"empty": (0, 1), "sparse": (1, 3), "moderate": (3, 6), "crowded": (6, 10)}
_REACH = 7.3  # people are put nearer than this [m]

Rng = np.random.Generator


def combinations() -> tuple[str, ...]:
    """All combinations that can be, as "environment/density/grouping"."""
    return tuple(f"{e}/{d}/{g}" for e in ENVIRONMENTS for d, gs in _GROUPINGS.items() for g in gs)


def sample(combo: str, seed: int, unlike: bool, config: SampleConfig) -> list[Sample]:
    """The pictures of one episode of a combination; empty where the draw does not come off.

    Args:
        combo: of `combinations`.
        seed: of layout, looks, people and sensors.
        unlike: build the layout and draw the looks as the test split has them.
        config: of the episode.
    """
    environment, density, grouping = combo.split("/")
    rng = stream(seed, "scene_data", combo)
    drawn = _place(environment, rng, unlike)
    lens = scene_looks.draw(rng, unlike)
    try:
        run = build(drawn.scenario, seed)
    except ConfigError:  # no free floor or no way there: another draw will do
        return []
    scene = dataclasses.replace(run.scene, textures_seed=seed)
    router = Router(scene.segments(), scene.bounds())
    spots = _in_sight(scene, router, run.start)
    people, queues = _people(density, grouping, spots, run.start, rng)
    if people is None:
        return []
    crowd = walkers_in(scene, people, seed, queues=queues, router=router)
    stage = Stage(scene, crowd, run.start, run.goals, drawn.drive, seed, lens.fov)
    eye = Camera(scene, lens, seed, config)
    try:
        shots = record_run(drawn, stage, eye, rng, config, _named, combo)
    finally:
        eye.close()
    return shots


def _named(drawn: Plan, view: View, site: Site) -> tuple[str, bool]:
    """Family of an instant, and whether exactly one test says so."""
    matches = scene_phases.matching(view, site)
    if len(matches) == 1:
        return matches[0], True
    return scene_phases.nearest(view, site), False


def _place(environment: str, rng: Rng, unlike: bool) -> Plan:
    """A place of that kind with the robot in it, and nobody else."""

    def u(low: float, high: float) -> float:
        return float(rng.uniform(low, high))

    mark, start, goal = (0.0, 0.0), (1.0, 0.0, 0.0), (2.0, 0.0)
    if environment == "corridor":
        length, wide = drawn_size(rng, 12.0, 18.0, unlike), u(1.7, 3.8)
        scene = layouts.corridor(rng, length, wide, unlike)
        start, goal = (u(1.0, length - 9.0), wide / 2.0, 0.0), (length - 1.0, wide / 2.0)
    elif environment == "corner":
        arms = drawn_size(rng, 6.5, 9.0, unlike), drawn_size(rng, 6.0, 8.0, unlike)
        widths = u(1.8, 2.8), u(1.8, 2.8)
        scene = layouts.corner(rng, arms, widths, unlike)
        start = (-u(3.5, min(5.5, arms[0] - 0.8)), -widths[0] / 2.0, 0.0)
        goal = (widths[1] / 2.0, arms[1] - 1.0)
    elif environment == "intersection":
        arms4 = [drawn_size(rng, 6.0, 8.0, unlike) for _ in range(4)]
        scene = layouts.crossing(rng, arms4, (u(2.0, 3.2), u(2.0, 3.2)), unlike)
        start, goal = (-u(2.8, 5.0), 0.0, 0.0), (arms4[1] - 0.8, 0.0)
    elif environment == "doorway":
        deep, width = (
            (drawn_size(rng, 4.5, 6.5, unlike), drawn_size(rng, 4.5, 6.5, unlike)),
            drawn_size(rng, 4.5, 8.0, unlike),
        )
        scene = layouts.two_rooms(rng, deep, width, u(1.0, 1.25), width * u(0.35, 0.65))
        start, goal = (-u(2.4, 3.8), u(-0.6, 0.6), 0.0), (deep[1] - 1.0, 0.0)
    elif environment == "elevator":
        lobby, cab = (
            (drawn_size(rng, 5.0, 8.0, unlike), drawn_size(rng, 4.5, 7.0, unlike)),
            (u(2.0, 2.6), u(1.9, 2.5)),
        )
        scene = layouts.elevator(rng, lobby, cab, u(1.1, 1.35))
        start, goal = (-u(3.0, min(4.6, lobby[0] - 0.8)), u(-0.5, 0.5), 0.0), (0.9, 0.0)
    elif environment in ("room", "kitchen"):
        size = drawn_size(rng, 6.0, 8.5, unlike), drawn_size(rng, 5.0, 7.0, unlike)
        scene = layouts.room(rng, *size, kitchen=environment == "kitchen")
        start, goal = (u(0.7, 1.0), size[1] / 2.0, 0.0), (size[0] - 0.9, size[1] / 2.0)
    elif environment == "aisle":
        length = drawn_size(rng, 8.0, 12.0, unlike)
        scene = layouts.aisle(rng, length, u(1.7, 2.6), unlike)
        start, goal = (u(2.0, 3.5), 0.0, 0.0), (length + 3.0, 0.0)
    else:
        size = hall_size(rng, unlike)
        y = size[1] * u(0.35, 0.65)
        start, goal = (u(1.2, size[0] - 9.0), y, 0.0), (size[0] - 1.2, y)
        scene = drawn_hall(rng, unlike, [start[:2]], [(0.0, y, size[0], y)], size)
    scenario = drawn_scenario("free_passage", scene, start, [goal], [])
    drive = Drive(u(0.2, 0.6), wait=u(0.0, 2.0))
    return Plan("combo", scenario, environment, drive, (), mark, 5.0)


def _in_sight(scene: Scene, router: Router, robot: Pose2) -> FloatArray:
    """(N, 2) free spots before the robot that it can see."""
    spots = router.centres(np.flatnonzero(router.free.ravel()))
    rel = spots - robot.xy
    ahead = rel @ np.array([np.cos(robot.yaw), np.sin(robot.yaw)])
    far = np.hypot(*rel.T)
    spots = spots[(ahead > 1.4) & (far < _REACH) & (far > 1.5)]
    return spots[lines_of_sight(spots, robot.xy, scene.segments())]


def _people(
    density: str, grouping: str, spots: FloatArray, robot: Pose2, rng: Rng
) -> tuple[list[PersonSpec] | None, list[Queue]]:
    """People of that density and grouping on `spots`; None where there is no room for them."""
    low, high = _COUNTS[density]
    count = int(rng.integers(low, high))
    if grouping in ("walking_group", "standing_group"):
        count = max(count, 2)
    if count == 0:
        return [], []
    if len(spots) == 0:
        return None, []
    people: list[PersonSpec] = []
    queues: list[Queue] = []
    taken: list[FloatArray] = []
    if grouping == "queue":
        line = _line(spots, min(count, int(rng.integers(3, 7))), rng)
        if line is None:
            return None, []
        queues.append(line[0])
        taken += list(line[1])
        people += [PersonSpec(tuple(p), behaviour="queue", queue=0, speed=0.8) for p in line[1]]
    group = 0
    while grouping in ("walking_group", "standing_group") and len(people) < count:
        left = count - len(people)
        size = min(left, int(rng.integers(2, 5)))
        centre = _spot(spots, taken, 1.5, rng)
        if size < 2 or centre is None or (group and rng.random() < 0.4):
            break
        members = (
            _talking(centre, size, group, rng)
            if grouping == "standing_group"
            else _walking(centre, size, group, robot, rng)
        )
        if any(np.hypot(*(spots - m.start).T).min() > 0.25 for m in members):
            if group or len(taken) > 40:
                break
            taken.append(centre)
            continue
        people += members
        taken += [np.array(m.start) for m in members]
        group += 1
    if grouping in ("walking_group", "standing_group") and group == 0:
        return None, []
    while len(people) < count:
        at = _spot(spots, taken, 1.15 if count < 6 else 0.85, rng)
        if at is None:
            return None, []
        taken.append(at)
        people.append(_alone(at, spots, robot, rng, grouping))
    return people, queues


def _spot(spots: FloatArray, taken: list[FloatArray], gap: float, rng: Rng) -> FloatArray | None:
    for _ in range(60):
        at = spots[int(rng.integers(len(spots)))]
        if all(np.hypot(*(at - t)) > gap for t in taken):
            return at
    return None


def _alone(at: FloatArray, spots: FloatArray, robot: Pose2, rng: Rng, grouping: str) -> PersonSpec:
    """Somebody on their own: stands, or walks anywhere in sight."""
    start = (float(at[0]), float(at[1]))
    if rng.random() < 0.35:
        return PersonSpec(start, heading=float(rng.uniform(-np.pi, np.pi)), behaviour="stand")
    far = spots[np.hypot(*(spots - at).T) > 2.0]
    goal = far[int(rng.integers(len(far)))] if len(far) else at
    return PersonSpec(
        start, ((float(goal[0]), float(goal[1])),), speed=float(rng.uniform(0.5, 1.2)), at_end="stand"
    )


def _talking(centre: FloatArray, size: int, group: int, rng: Rng) -> list[PersonSpec]:
    return conversation(
        (float(centre[0]), float(centre[1])), size, group, float(rng.uniform(-np.pi, np.pi)), speed=0.6
    )


def _walking(centre: FloatArray, size: int, group: int, robot: Pose2, rng: Rng) -> list[PersonSpec]:
    """A group side by side that comes, goes or crosses, slowly enough to stay in sight."""
    to = float(np.arctan2(*(robot.xy - centre)[::-1]))
    course = to + float(rng.choice([0.0, 0.0, np.pi, np.pi / 2, -np.pi / 2])) + float(rng.uniform(-0.2, 0.2))
    ahead, left = np.array([np.cos(course), np.sin(course)]), np.array([-np.sin(course), np.cos(course)])
    speed, out = float(rng.uniform(0.5, 0.9)), []
    for k in range(size):
        at = centre + 0.62 * (k - (size - 1) / 2.0) * left + rng.uniform(-0.08, 0.08) * ahead
        end = at + 5.0 * ahead
        out.append(PersonSpec((float(at[0]), float(at[1])), ((float(end[0]), float(end[1])),), speed=speed,
                              heading=float(wrap(course)), group=group, at_end="stand"))  # fmt: skip
    return out


def _line(spots: FloatArray, count: int, rng: Rng) -> tuple[Queue, FloatArray] | None:
    """A line of people that fits on the spots, and its places (count, 2)."""
    for _ in range(60):
        head, turn = spots[int(rng.integers(len(spots)))], float(rng.uniform(-np.pi, np.pi))
        way = (float(np.cos(turn)), float(np.sin(turn)))
        queue = Queue(
            "line", (float(head[0]), float(head[1])), way, float(rng.uniform(0.7, 0.9)), (30.0, 60.0)
        )
        slots = queue.slots(count)
        if (np.hypot(*(slots[:, None] - spots[None]).transpose(2, 0, 1)).min(axis=1) < 0.2).all():
            return queue, slots + rng.uniform(-0.06, 0.06, slots.shape)
    return None
