"""Episodes of pictures: a drawn layout is run, and the instants at which its scenario is on are kept.

    episode = sample("queue", seed=7, unlike=False, config=SampleConfig())

An episode is a short stream: pictures at 2 Hz with truth, noisy facts and time.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lifelong_nav.core.config import param
from lifelong_nav.core.errors import ConfigError
from lifelong_nav.core.geometry import matrix
from lifelong_nav.core.types import LaserScan, People, Pose2, Twist2
from lifelong_nav.perception.captions import scene_to_dict
from lifelong_nav.perception.scene_facts import scene_facts
from lifelong_nav.perception.social_scene import SocialScene
from lifelong_nav.perception.teachers.privileged import REACH, density_of, privileged_scene
from lifelong_nav.sim.crowd.state import CrowdState
from lifelong_nav.sim.figure_looks import looks
from lifelong_nav.sim.figures import GaitState
from lifelong_nav.sim.readings import truth_people
from lifelong_nav.sim.render import Renderer, make_renderer
from lifelong_nav.sim.scenario_build import build
from lifelong_nav.sim.scene import Scene
from lifelong_nav.sim.seeds import stream
from lifelong_nav.sim.shapes import movable_shapes, start_transforms
from lifelong_nav.training import scene_looks, scene_phases
from lifelong_nav.training.scene_families import plan
from lifelong_nav.training.scene_looks import Looks
from lifelong_nav.training.scene_phases import Site
from lifelong_nav.training.scene_plan import Plan
from lifelong_nav.training.scene_stage import STEP, Stage, View

_KINDS = {
    "doorway": "door", "corner": "corner", "intersection": "crossing", "elevator": "lift",
}  # fmt: skip


@dataclass(frozen=True)
class SampleConfig:
    """One episode."""

    pictures: int = param(6, "", 1, 64, "Most pictures of an episode.")
    rate: float = param(2.0, "Hz", 0.2, 10.0, "Pictures per second.")
    width: int = param(320, "px", 16, 1280, "Columns.")
    height: int = param(240, "px", 16, 960, "Rows.")
    warm_up: float = param(0.8, "s", 0.0, 10.0, "Time before the first picture: tracks begin late.")
    renderer: str = param("auto", doc="Who draws.", choices=("auto", "gl", "tiny"))


@dataclass(frozen=True)
class Sample:
    """One picture: JPEG bytes (N,) and its record without the numbers of the dataset."""

    jpeg: NDArray[np.uint8]
    record: dict[str, Any]
    matches: tuple[str, ...] = ()


def sample(family: str, seed: int, unlike: bool, config: SampleConfig) -> list[Sample]:
    """The pictures of one episode of a family; empty where the draw does not come off.

    Args:
        family: of `social_scene.SCENARIOS`.
        seed: of layout, looks, people and sensors.
        unlike: build the layout and draw the looks as the test split has them.
        config: of the episode.
    """
    rng = stream(seed, "scene_data", family)
    drawn = plan(family, rng, unlike)
    lens = scene_looks.draw(rng, unlike)
    body = photographer(seed) if family == "photo_session" else seed
    try:
        run = build(drawn.scenario, seed)
    except ConfigError:  # no free floor or no way there: another draw will do
        return []
    scene = dataclasses.replace(run.scene, textures_seed=seed)
    stage = Stage(scene, run.crowd, run.start, run.goals, drawn.drive, body, lens.fov)
    eye = Camera(scene, lens, body, config)
    try:
        return record_run(drawn, stage, eye, rng, config)
    finally:
        eye.close()


def photographer(seed: int) -> int:
    """The first seed of people from `seed` on with which person 0 holds up a phone."""
    return next(s for s in range(seed, seed + 1000) if _phones([0], s))


def _phones(ids: list[int], seed: int) -> bool:
    """True where all these people hold a phone while they stand."""
    return bool((looks(np.array(ids), seed).phone > 0.0).all())


@dataclass(frozen=True)
class _Instant:
    """What a picture and its record are made from later."""

    view: View
    state: CrowdState
    gait: GaitState
    scene: SocialScene
    senses: tuple[People, LaserScan]
    certain: bool
    matches: tuple[str, ...]


Naming = Callable[[Plan, View, Site], tuple[str, bool]]
"""Family of an instant ("" for none) and whether that is certain."""


def _own_family(drawn: Plan, view: View, site: Site) -> tuple[str, bool]:
    """The layout's own family while it is on."""
    if not scene_phases.on(drawn.family, view, site):
        return "", False
    alone = scene_phases.matching(view, site) == (drawn.family,)  # what is two things at once is left out
    return (drawn.family if alone else ""), alone


def record_run(
    drawn: Plan, stage: Stage, eye: Camera, rng: np.random.Generator, config: SampleConfig,
    naming: Naming = _own_family, combo: str = "",
) -> list[Sample]:  # fmt: skip
    """Run to the end, then draw a stretch of the instants that have a name.

    Args:
        drawn: the layout.
        stage: at its beginning.
        eye: draws the pictures.
        rng: picks the stretch.
        config: of the episode.
        naming: says which family an instant is of.
        combo: only instants of this combination; "" for any.
    """
    every = max(1, round(1.0 / (config.rate * STEP)))
    found: list[_Instant] = []
    for tick in range(round(drawn.seconds / STEP)):
        view = stage.step()
        if stage.time < config.warm_up or tick % every:
            continue
        site = site_of(drawn, stage, view)
        name, certain = naming(drawn, view, site)
        if name:
            scene = taught(name, stage, view, site)
            if scene.scenario == name and (not combo or (_combo(scene) == combo and _pictured(scene, view))):
                senses = (stage.tracks(), stage.scan())
                matches = scene_phases.matching(view, site)
                found.append(_Instant(view, stage.state, stage.gait, scene, senses, certain, matches))
        if (stage.arrived and found) or len(found) >= 3 * config.pictures:
            break
    return [_sample(eye, i) for i in _stretch(found, rng, config.pictures)]


def _sample(eye: Camera, i: _Instant) -> Sample:
    picture = eye.take(i.view.pose, i.state, i.gait, i.view.time)
    return Sample(picture, {**record(i.scene, i.view, *i.senses), "certain": i.certain}, i.matches)


def _combo(scene: SocialScene) -> str:
    return f"{scene.environment}/{scene.density}/{scene.grouping}"


def _pictured(scene: SocialScene, view: View) -> bool:
    """True where the camera alone shows as many people as the label says."""
    return density_of(int((view.camera & (view.distance < REACH)).sum())) == scene.density


def _stretch(found: list[_Instant], rng: np.random.Generator, most: int) -> list[_Instant]:
    """At most `most` instants in a row, the stretch drawn at random."""
    if len(found) <= most:
        return found
    first = int(rng.integers(0, len(found) - most + 1))
    return found[first : first + most]


def site_of(drawn: Plan, stage: Stage, view: View) -> Site:
    """Where the robot is now."""
    kind = _KINDS.get(drawn.environment, "middle" if drawn.family == "circular_crossing" else "")
    crowd_lines = getattr(stage.crowd, "lines", None)
    waits = {i for line in crowd_lines.members for i in line} if crowd_lines is not None else set()
    poses = drawn.cast if drawn.family == "photo_session" else ()
    return Site(
        drawn.environment, stage.width(), drawn.mark, kind, tuple(sorted(waits)), poses,
        inside(stage.scene, view.pose),
    )  # fmt: skip


def inside(scene: Scene, pose: Pose2) -> str:
    """Name of the region the robot is in, "" for none."""
    for region in scene.regions:
        if region.kind == "doorway":
            continue
        (x0, y0), (x1, y1) = region.low, region.high
        if x0 - 0.25 <= pose.x <= x1 + 0.25 and y0 - 0.25 <= pose.y <= y1 + 0.25:
            return region.name
    return ""


def taught(scenario: str, stage: Stage, view: View, site: Site) -> SocialScene:
    """What the privileged teacher says now."""
    situation: dict[str, str | float] = {
        "scenario": scenario,
        "environment": site.environment,
        "width": site.width,
    }
    return privileged_scene(
        view.pose, Twist2(view.speed, 0.0, view.turn), truth_people(stage.time, stage.state), situation,
        route=stage.goal.xy[None], walls=stage.eye_walls, queue=site.waits,
    )  # fmt: skip


def record(scene: SocialScene, view: View, people: People, scan: LaserScan) -> dict[str, Any]:
    """The record of a picture but for its place in the dataset."""
    goal = float(np.arctan2(view.goal[1], view.goal[0]))
    facts = scene_facts(people, scan, speed=view.speed, turn_rate=view.turn, goal_bearing=goal)
    return {
        "scene": scene_to_dict(scene), "clauses": list(facts.clauses()), "family": scene.scenario,
        "environment": scene.environment, "density": scene.density, "grouping": scene.grouping,
        "combo": _combo(scene), "time": round(view.time, 2),
    }  # fmt: skip


class Camera:
    """Draws what a stage's robot sees through `looks`."""

    def __init__(self, scene: Scene, looks: Looks, seed: int, config: SampleConfig) -> None:
        self.looks = looks
        self._renderer: Renderer = make_renderer(
            config.renderer, scene, movable_shapes(scene), config.width, config.height, looks.fov, seed
        )
        self._still = start_transforms(scene)
        self._rng = stream(seed, "scene_data", "grain")

    def take(self, robot: Pose2, people: CrowdState, gait: GaitState, time: float) -> NDArray[np.uint8]:
        """(N,) bytes of a JPEG of what is before a robot at `robot`."""
        pose = scene_looks.camera_pose(robot, self.looks)
        frame = self._renderer.render(pose, self._still, people, gait, time)
        picture = scene_looks.developed(frame, matrix(pose), self.looks, self._rng)
        return scene_looks.jpeg(picture, self.looks.quality)

    def close(self) -> None:
        """Free the renderer."""
        self._renderer.close()
