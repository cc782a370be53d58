"""How a picture comes out: light of the place, lens, mounting and sensor, drawn per episode.

Light is put on with the depth image: pools under lamps, lamps that are off, fall-off with distance. The
test split draws from other ranges, so that no look of it occurs in training.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lifelong_nav.core.geometry import pose3
from lifelong_nav.core.types import FloatArray, Pose2, Pose3
from lifelong_nav.sim.camera import Intrinsics
from lifelong_nav.sim.render import RgbdFrame


@dataclass(frozen=True)
class Looks:
    """One camera in one light.

    `fov` [deg], `height` [m], `pitch` and `roll` [rad] of the camera; `gain`, `gamma`, `warmth` (red over
    blue), `contrast` of the light; `dim` share of light lost between lamps, `lamp` their spacing [m] and
    `phase`; `fog` fall-off [1/m]; `vignette`, `blur` [px], `noise` (of 255) and `quality` of the camera.
    """

    fov: float = 70.0
    height: float = 1.25
    pitch: float = 0.0
    roll: float = 0.0
    gain: float = 1.0
    gamma: float = 1.0
    warmth: float = 1.0
    contrast: float = 1.0
    dim: float = 0.0
    lamp: float = 3.0
    phase: tuple[float, float] = (0.0, 0.0)
    fog: float = 0.0
    vignette: float = 0.0
    blur: float = 0.0
    noise: float = 2.0
    quality: int = 90


def draw(rng: np.random.Generator, unlike: bool = False) -> Looks:
    """Random looks; `unlike` draws from the test split's ranges, which go beyond those of training."""
    w = 1.25 if unlike else 1.0

    def u(low: float, high: float) -> float:
        middle, half = (low + high) / 2.0, w * (high - low) / 2.0
        return float(rng.uniform(middle - half, middle + half))

    dark = rng.random() < 0.15  # some places are badly lit
    return Looks(
        fov=float(np.clip(u(62.0, 88.0), 60.0, 90.0)),
        height=u(1.05, 1.4),
        pitch=u(-0.09, 0.09),
        roll=float(rng.normal(0.0, 0.012 * w)),
        gain=u(0.5, 0.8) if dark else u(0.85, 1.25),
        gamma=u(0.8, 1.3),
        warmth=u(0.86, 1.18),
        contrast=u(0.82, 1.15),
        dim=u(0.4, 0.75) if rng.random() < 0.3 else u(0.02, 0.25),
        lamp=u(2.2, 4.5),
        phase=(float(rng.uniform(0, 10)), float(rng.uniform(0, 10))),
        fog=u(0.0, 0.03),
        vignette=u(0.02, 0.4),
        blur=max(0.0, u(-0.6, 0.9)),
        noise=u(1.5, 6.0) if not dark else u(3.0, 9.0),
    )


def camera_pose(robot: Pose2, looks: Looks) -> Pose3:
    """Optical pose (z ahead, x right, y down) of the camera on a robot; pitch up and roll to the right."""
    c, s = np.cos(robot.yaw), np.sin(robot.yaw)
    ahead, left, up = np.array([c, s, 0.0]), np.array([-s, c, 0.0]), np.array([0.0, 0.0, 1.0])
    z = np.cos(looks.pitch) * ahead + np.sin(looks.pitch) * up
    above = np.cos(looks.pitch) * up - np.sin(looks.pitch) * ahead
    x = -np.cos(looks.roll) * left + np.sin(looks.roll) * above
    transform = np.eye(4)
    transform[:3, :3] = np.stack([x, np.cross(z, x), z], axis=1)
    # the mast stands behind the robot's middle
    transform[:3, 3] = np.array([robot.x, robot.y, looks.height]) - 0.14 * ahead
    return pose3(transform)


def developed(
    frame: RgbdFrame, pose: FloatArray, looks: Looks, rng: np.random.Generator
) -> NDArray[np.uint8]:
    """The picture (H, W, 3) as this camera gives it in this light.

    Args:
        frame: as rendered.
        pose: (4, 4) of the camera's optical frame in the world.
        looks: light, lens, sensor.
        rng: of the grain; the draws do not depend on the picture.
    """
    import cv2

    height, width = frame.rgb.shape[:2]
    u, v = _rays(width, height, looks.fov)
    depth = np.nan_to_num(frame.depth, nan=12.0)
    x = depth * (pose[0, 0] * u + pose[0, 1] * v + pose[0, 2]) + pose[0, 3]
    y = depth * (pose[1, 0] * u + pose[1, 1] * v + pose[1, 2]) + pose[1, 3]
    wave = 2.0 * np.pi / looks.lamp
    pools = 0.25 * (1.0 + np.cos(wave * (x + looks.phase[0]))) * (1.0 + np.cos(wave * (y + looks.phase[1])))
    light = (1.0 - looks.dim * (1.0 - pools)) / (1.0 - 0.6 * looks.dim) * np.exp(-looks.fog * depth)
    light *= 1.0 - looks.vignette * (u * u + v * v) / float(u.max() ** 2 + v.max() ** 2)
    picture = (frame.rgb.astype(np.float32) / 255.0) ** np.float32(looks.gamma)
    tint = np.array([looks.warmth, 1.0, 1.0 / looks.warmth], dtype=np.float32) * np.float32(looks.gain)
    picture = picture * light[..., None].astype(np.float32) * tint
    picture = (picture - 0.5) * np.float32(looks.contrast) + 0.5
    if looks.blur > 0.25:
        picture = cv2.GaussianBlur(picture, (0, 0), looks.blur)
    picture = 255.0 * picture + np.float32(looks.noise) * rng.standard_normal(picture.shape, dtype=np.float32)
    return np.clip(picture, 0, 255).astype(np.uint8)


def jpeg(rgb: NDArray[np.uint8], quality: int = 90) -> NDArray[np.uint8]:
    """(N,) bytes of a picture (H, W, 3) as JPEG."""
    import cv2

    ok, data = cv2.imencode(".jpg", rgb[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    assert ok
    return np.asarray(data, dtype=np.uint8).reshape(-1)


def _rays(width: int, height: int, fov: float) -> tuple[FloatArray, FloatArray]:
    """(W,) and (H, 1) slopes of the pixels' rays."""
    focal = Intrinsics(width, height, fov).focal
    u = (np.arange(width) - (width - 1) / 2.0) / focal
    v = (np.arange(height) - (height - 1) / 2.0)[:, None] / focal
    return u[None].astype(np.float32), v.astype(np.float32)
