"""The robot's camera: its pose on the pan-tilt head, what moves in its view, and its noise."""

from __future__ import annotations

import numpy as np

from lifelong_nav.core.geometry import pose3
from lifelong_nav.core.types import FloatArray
from lifelong_nav.sim.camera import CameraNoise, noisy_depth, noisy_rgb
from lifelong_nav.sim.crowd.state import CrowdState
from lifelong_nav.sim.figures import GaitState
from lifelong_nav.sim.physics import World
from lifelong_nav.sim.readings import RgbdReading, SimConfig
from lifelong_nav.sim.render import RgbdFrame, make_renderer
from lifelong_nav.sim.robot import Robot
from lifelong_nav.sim.robot_shapes import robot_shapes
from lifelong_nav.sim.scene import Scene
from lifelong_nav.sim.seeds import stream
from lifelong_nav.sim.shapes import Shape, door_transform, movable_shapes


def all_movable_shapes(scene: Scene) -> list[Shape]:
    """Doors, loose objects, then the robot's parts: the shapes that `movable_transforms` poses."""
    return movable_shapes(scene) + [shape for _, shape in robot_shapes()]


def movable_transforms(world: World, robot: Robot, links: FloatArray | None = None) -> FloatArray:
    """(N, 4, 4) world transforms of the owners of `all_movable_shapes`; `links` where they are known."""
    links = robot.link_transforms() if links is None else links
    owners = [robot.links[name] + 1 for name, _ in robot_shapes()]
    angles = world.door_angles()
    doors = [door_transform(d, float(a)) for d, a in zip(world.scene.doors, angles, strict=True)]
    parts = [np.array(doors).reshape(-1, 4, 4), world.object_transforms(), links[owners]]
    return np.concatenate(parts)


class Eye:
    """The camera of a simulation.

    Args:
        scene: what there is to see.
        robot: who carries the camera.
        config: renderer, picture size, noise.
        seed: of the run.
    """

    def __init__(self, scene: Scene, robot: Robot, config: SimConfig, seed: int) -> None:
        self._renderer = make_renderer(
            config.renderer, scene, all_movable_shapes(scene), config.camera_width, config.camera_height,
            config.camera_fov, seed,
        )  # fmt: skip
        self._link = robot.links["camera_optical"] + 1
        self._scale = config.noise
        self._noise = CameraNoise()
        self._depth_rng, self._rgb_rng = stream(seed, "camera", "depth"), stream(seed, "camera", "rgb")

    def look(self, now: float, world: World, robot: Robot, crowd: CrowdState, gait: GaitState) -> RgbdReading:
        """Draw what the camera sees now."""
        links = robot.link_transforms()
        pose = pose3(links[self._link])
        frame = self._renderer.render(pose, movable_transforms(world, robot, links), crowd, gait, now)
        if self._scale > 0.0:
            rgb = noisy_rgb(frame.rgb, self._noise, self._rgb_rng)
            frame = RgbdFrame(rgb, noisy_depth(frame.depth, self._noise, self._depth_rng), frame.ids)
        return RgbdReading(now, frame, pose)

    def close(self) -> None:
        """Free the renderer."""
        self._renderer.close()
