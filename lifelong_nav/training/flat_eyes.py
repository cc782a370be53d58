"""Real social context in the flat world: pictures are drawn, facts are read, the shipped model looks at both.

    eyes = FlatEyes(world, seed=3)
    context = eyes.context(world.sense(), goal)

Everything is as on the robot but for the camera's rate: SC-CLIP's trunk, head and captions, scene facts from
noisy tracks and the scan. Models are loaded once per process; a world's renderer is made at its first look.
"""

from __future__ import annotations

import dataclasses
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from lifelong_nav.core.geometry import matrix, rotation2
from lifelong_nav.core.social_context import SocialContext
from lifelong_nav.core.types import FloatArray
from lifelong_nav.perception.context import ContextEstimator, ContextParts
from lifelong_nav.perception.context_files import load_parts
from lifelong_nav.perception.scene_facts import scene_facts
from lifelong_nav.sim import figures
from lifelong_nav.sim.crowd.state import CrowdState
from lifelong_nav.sim.flat.world import FlatSensed, FlatWorld
from lifelong_nav.sim.render import Renderer, make_renderer
from lifelong_nav.sim.seeds import stream
from lifelong_nav.sim.shapes import movable_shapes, start_transforms
from lifelong_nav.training import scene_looks

WIDTH, HEIGHT = 320, 240
"""Of the pictures [px], as in the data that the model was trained on."""


@lru_cache(maxsize=1)
def shipped_parts() -> ContextParts:
    """The shipped model without what a robot learned and without the novelty gate (it keeps state)."""
    return dataclasses.replace(load_parts(learned=False), gate=None)


class FlatEyes:
    """What the robot of a flat world makes of the social situation; equal seeds and runs give equal contexts.

    Args:
        world: to look at; only its scene, seed and radius are used, so a fork is seen with the same eyes.
        seed: of the camera: lens, light, grain, and of walls' looks.
        rate: looks per second [Hz]; in between the last context holds.
        image: False leaves the picture out: facts alone.
        parts: another model; None for the shipped one.
        renderer: "auto", "gl" or "tiny" (see `sim.render.make_renderer`).
    """

    def __init__(
        self, world: FlatWorld, seed: int, rate: float = 1.0, image: bool = True,
        parts: ContextParts | None = None, renderer: str = "auto",
    ) -> None:  # fmt: skip
        self.seed, self.period, self.image = seed, 1.0 / rate, image
        self.lens = scene_looks.draw(stream(seed, "flat_eyes", "lens"))
        self._people_seed = world.seed  # the legs that the lidar sees belong to the figures in the picture
        self._scene = dataclasses.replace(world.run.scene, textures_seed=seed)
        self._kind = renderer
        self._renderer: Renderer | None = None
        self._still = start_transforms(self._scene)
        self._grain = stream(seed, "flat_eyes", "grain")
        self._estimator = ContextEstimator(parts or shipped_parts())
        self._gait: figures.GaitState | None = None
        self._gait_stamp = 0.0
        self._last: SocialContext | None = None
        self._looked = -np.inf

    def context(self, sensed: FlatSensed, goal: FloatArray) -> SocialContext:
        """The situation; a new look when the last one is `1 / rate` old, else what was seen then.

        Args:
            sensed: of the world now; without a scan the place is unknown.
            goal: (2,) or (3,) x, y [m] in the world frame: where the robot goes.
        """
        now = sensed.stamp
        self._walk(sensed.truth, now)
        if self._last is None or now < self._looked or now - self._looked >= self.period - 1e-6:
            self._last, self._looked = self._look(sensed, np.asarray(goal, dtype=float)[:2]), now
        return self._last

    def picture(self, sensed: FlatSensed) -> NDArray[np.uint8]:
        """(240, 320, 3) uint8 RGB: what is before the robot now."""
        if self._renderer is None:
            self._renderer = make_renderer(
                self._kind, self._scene, movable_shapes(self._scene), WIDTH, HEIGHT, self.lens.fov,
                self._people_seed,
            )  # fmt: skip
        pose = scene_looks.camera_pose(sensed.pose, self.lens)
        self._walk(sensed.truth, sensed.stamp)
        frame = self._renderer.render(pose, self._still, sensed.truth, self._gait, sensed.stamp)
        return scene_looks.developed(frame, matrix(pose), self.lens, self._grain)

    def close(self) -> None:
        """Free the renderer; it is made again when needed."""
        if self._renderer is not None:
            self._renderer.close()
            self._renderer = None

    def __enter__(self) -> FlatEyes:
        """Closes at the end of a `with` block."""
        return self

    def __exit__(self, *_: object) -> None:
        """Frees the renderer."""
        self.close()

    def _look(self, sensed: FlatSensed, goal: FloatArray) -> SocialContext:
        way = rotation2(-sensed.pose.yaw) @ (goal - sensed.pose.xy)
        facts = scene_facts(
            sensed.people, sensed.scan, pose=sensed.pose, speed=sensed.twist.vx, turn_rate=sensed.twist.wz,
            goal_bearing=float(np.arctan2(way[1], way[0])),
        )  # fmt: skip
        if sensed.stamp < self._looked:
            self._estimator.forget()
        self._estimator.sense(sensed.stamp, facts.clauses())
        if self.image:
            self._estimator.see(sensed.stamp, self.picture(sensed))
        return self._estimator.estimate(sensed.stamp)

    def _walk(self, state: CrowdState, now: float) -> None:
        """Legs move on with those who walk."""
        if self._gait is None or now < self._gait_stamp:
            self._gait = figures.new_gait(state, self._people_seed)
        elif now > self._gait_stamp:
            self._gait = figures.advance(self._gait, state, now - self._gait_stamp)
        self._gait_stamp = now
