"""One way to draw the simulated world, two engines behind it: OpenGL and PyBullet's TinyRenderer.

renderer = make_renderer("auto", scene, shapes, 320, 240, fov_deg=70.0, seed=1)
frame = renderer.render(camera_pose, transforms, people, gait, time)
renderer.close()
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from lifelong_nav.core.errors import DependencyError, InputError, SimError
from lifelong_nav.core.types import FloatArray, Pose3
from lifelong_nav.sim.crowd.state import CrowdState
from lifelong_nav.sim.figures import GaitState
from lifelong_nav.sim.scene import Scene
from lifelong_nav.sim.shapes import Shape

KINDS = ("auto", "gl", "tiny")
NEAR, FAR = 0.05, 60.0
"""Clipping distances along the optical axis [m]; what lies outside is NaN in the depth image."""


@dataclass(frozen=True)
class RgbdFrame:
    """One picture. Rows from top to bottom.

    `rgb` (H, W, 3) uint8; `depth` (H, W) float32 [m] along the optical axis, NaN where nothing is
    seen (REP-118); `ids` (H, W) int32, the `body` of the shape seen, -1 for nothing (see shapes.py).
    """

    rgb: NDArray[np.uint8]
    depth: NDArray[np.float32]
    ids: NDArray[np.int32]


class Renderer(Protocol):
    """A camera in a world; not thread safe, `close` it in the thread that made it."""

    name: str
    width: int
    height: int
    fov_deg: float

    def render(
        self,
        camera: Pose3,
        movable: FloatArray,
        people: CrowdState | None = None,
        gait: GaitState | None = None,
        time: float = 0.0,
    ) -> RgbdFrame:
        """Draw one frame.

        Args:
            camera: pose in the world of the ROS optical frame (z forward, x right, y down).
            movable: (N, 4, 4) world transforms of the owners of the movable shapes, in their order.
            people: who stands where, None for nobody; absent people are left out.
            gait: their legs, kept by the engine (`figures.advance`); None makes them stand.
            time: simulated time [s], drives small movements of standing people.

        Raises:
            InputError: a shape or a value of the input is wrong.
        """
        ...

    def close(self) -> None:
        """Free the context; the renderer is of no use afterwards. Calling it twice does no harm."""
        ...


def make_renderer(
    kind: str,
    scene: Scene,
    movable_shapes: Sequence[Shape],
    width: int,
    height: int,
    fov_deg: float = 70.0,
    seed: int = 0,
) -> Renderer:
    """Make a renderer for a scene.

    The scene's static parts are drawn without being asked for. Doors and loose objects are not:
    put `shapes.movable_shapes(scene)` into `movable_shapes` together with the robot's links.

    Args:
        kind: "gl" (moderngl on EGL), "tiny" (PyBullet, no GL needed), "auto": gl where it works.
        scene: the building; `scene.textures_seed` picks its colours and patterns.
        movable_shapes: what moves, each posed in its owner's frame.
        width: columns [px].
        height: rows [px].
        fov_deg: horizontal field of view [deg]; pixels are square.
        seed: looks of the people (height, clothes).

    Raises:
        InputError: unknown kind or impossible picture size.
        DependencyError: the package of the wanted kind is missing.
        SimError: "gl" was asked for and no GL context can be made.
    """
    if kind not in KINDS:
        raise InputError(f"Renderer '{kind}' is unknown.", f"Use one of {', '.join(KINDS)}.")
    if not (1 <= width <= 4096 and 1 <= height <= 4096 and 1.0 < fov_deg < 170.0):
        raise InputError(
            f"Camera {width}x{height} px with {fov_deg} deg is impossible.",
            "Use 1 to 4096 pixels and a field of view between 1 and 170 deg.",
        )
    if kind in ("auto", "gl"):
        try:
            from lifelong_nav.sim.render_gl import GlRenderer

            return GlRenderer(scene, movable_shapes, width, height, fov_deg, seed)
        except (SimError, DependencyError):
            if kind == "gl":
                raise
    from lifelong_nav.sim.render_tiny import TinyRenderer

    return TinyRenderer(scene, movable_shapes, width, height, fov_deg, seed)


def checked_movable(movable: FloatArray, count: int) -> FloatArray:
    """The transforms as (count, 4, 4) float64, or `InputError`."""
    array = np.asarray(movable, dtype=float)
    if array.size == 0 and count == 0:
        return np.zeros((0, 4, 4))
    if array.shape != (count, 4, 4) or not np.isfinite(array).all():
        raise InputError(
            f"Movable transforms have shape {array.shape} or are not finite.",
            f"Hand over ({count}, 4, 4) finite numbers, one per movable shape.",
        )
    return array
