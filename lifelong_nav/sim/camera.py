"""Camera numbers (pinhole), sensor noise, and the viewpoints used for videos."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lifelong_nav.core.config import param
from lifelong_nav.core.geometry import matrix, pose3
from lifelong_nav.core.types import FloatArray, Pose2, Pose3
from lifelong_nav.sim.scene import Scene


@dataclass(frozen=True)
class Intrinsics:
    """Pinhole camera without distortion, square pixels, principal point in the middle."""

    width: int
    height: int
    fov_deg: float

    @property
    def focal(self) -> float:
        """Focal length [px]."""
        return self.width / 2.0 / float(np.tan(np.radians(self.fov_deg) / 2.0))

    @property
    def k(self) -> FloatArray:
        """(3, 3) intrinsic matrix; pixel centres at whole numbers (OpenCV's and ROS's convention)."""
        f = self.focal
        return np.array(
            [[f, 0.0, (self.width - 1) / 2.0], [0.0, f, (self.height - 1) / 2.0], [0.0, 0.0, 1.0]]
        )

    @property
    def p(self) -> FloatArray:
        """(3, 4) projection matrix of sensor_msgs/CameraInfo."""
        return np.hstack([self.k, np.zeros((3, 1))])

    @property
    def d(self) -> FloatArray:
        """(5,) plumb_bob distortion: none."""
        return np.zeros(5)


@dataclass(frozen=True)
class CameraNoise:
    """Noise of an RGB-D camera.

    The axial error grows with the square of the distance, sigma = base + growth * z^2, as measured
    on structured light (Nguyen, Izadi, Lovell 2012) and stereo; `holes` and edges return nothing.
    """

    depth_base: float = param(0.0012, "m", 0.0, 0.1, "Axial depth error at the lens.")
    depth_growth: float = param(0.0019, "1/m", 0.0, 0.1, "Axial depth error per squared metre.")
    depth_step: float = param(0.0, "m", 0.0, 0.1, "Rounding of depth values; 0 for none.")
    depth_min: float = param(0.15, "m", 0.0, 5.0, "Nearer surfaces return nothing.")
    depth_max: float = param(8.0, "m", 0.1, 100.0, "Farther surfaces return nothing.")
    holes: float = param(0.002, "", 0.0, 1.0, "Share of pixels that return nothing.")
    edge_holes: float = param(0.5, "", 0.0, 1.0, "Share of pixels at depth edges that return nothing.")
    rgb_sigma: float = param(2.0, "", 0.0, 100.0, "Read noise of the colours, in steps of 255.")
    rgb_gain: float = param(0.02, "", 0.0, 1.0, "Sigma of the exposure from frame to frame.")


def noisy_depth(
    depth: NDArray[np.float32], noise: CameraNoise, rng: np.random.Generator
) -> NDArray[np.float32]:
    """A depth image as a sensor would give it.

    Args:
        depth: (H, W) metres, NaN for nothing.
        noise: the sensor's model.
        rng: source of randomness; the draws do not depend on what is seen.

    Returns:
        (H, W) float32 metres, NaN for nothing.
    """
    z = depth.astype(np.float32, copy=True)
    sigma = np.float32(noise.depth_base) + np.float32(noise.depth_growth) * z * z
    out = z + sigma * rng.standard_normal(z.shape, dtype=np.float32)
    if noise.depth_step > 0.0:
        out = np.round(out / np.float32(noise.depth_step)) * np.float32(noise.depth_step)
    lost = rng.random(z.shape, dtype=np.float32)
    with np.errstate(invalid="ignore"):
        gone = (lost < noise.holes) | ~((z >= noise.depth_min) & (z <= noise.depth_max))
        gone |= depth_edges(z) & (lost < noise.edge_holes)
    out[gone] = np.nan
    return out


def depth_edges(depth: NDArray[np.float32], jump: float = 0.1) -> NDArray[np.bool_]:
    """(H, W) True where a neighbour's depth differs by more than `jump` times the depth."""
    z = np.where(np.isfinite(depth), depth, np.float32(1e3))
    edge = np.zeros(z.shape, dtype=bool)
    vertical = np.abs(z[1:] - z[:-1]) > jump * np.minimum(z[1:], z[:-1])
    level = np.abs(z[:, 1:] - z[:, :-1]) > jump * np.minimum(z[:, 1:], z[:, :-1])
    edge[1:] |= vertical
    edge[:-1] |= vertical
    edge[:, 1:] |= level
    edge[:, :-1] |= level
    return edge


def noisy_rgb(rgb: NDArray[np.uint8], noise: CameraNoise, rng: np.random.Generator) -> NDArray[np.uint8]:
    """A colour image (H, W, 3) uint8 with exposure and read noise."""
    gain = np.float32(1.0 + noise.rgb_gain * rng.standard_normal())
    grain = rng.standard_normal(rgb.shape, dtype=np.float32) * np.float32(noise.rgb_sigma)
    return np.clip(rgb * gain + grain + np.float32(0.5), 0, 255).astype(np.uint8)


def look_at(eye: FloatArray, target: FloatArray) -> Pose3:
    """Optical-frame pose at `eye` (3,) whose z axis points to `target` (3,), horizon level."""
    eye, target = np.asarray(eye, dtype=float), np.asarray(target, dtype=float)
    z = (target - eye) / np.linalg.norm(target - eye)
    side = np.cross(z, (0.0, 0.0, 1.0))
    if np.linalg.norm(side) < 1e-6:  # straight up or down: north is up in the picture
        side = np.array([1.0, 0.0, 0.0])
    x = side / np.linalg.norm(side)
    transform = np.eye(4)
    transform[:3, :3] = np.stack([x, np.cross(z, x), z], axis=1)
    transform[:3, 3] = eye
    return pose3(transform)


def optical(body: Pose3) -> Pose3:
    """Optical frame (z forward, x right, y down) of a camera given as x forward, y left, z up."""
    turn = np.array([[0.0, 0.0, 1.0, 0.0], [-1.0, 0.0, 0.0, 0.0], [0.0, -1.0, 0.0, 0.0], [0, 0, 0, 1.0]])
    return pose3(matrix(body) @ turn)


def overview_camera(
    scene: Scene, fov_deg: float = 60.0, aspect: float = 4.0 / 3.0, tilt: float = 0.5, margin: float = 0.04
) -> Pose3:
    """Viewpoint from the south, above the ceiling, that frames the whole plan as closely as can be.

    Args:
        scene: what to look at.
        fov_deg: horizontal field of view [deg].
        aspect: width over height of the picture.
        tilt: angle [rad] away from straight down; 0 is a plan view.
        margin: share of the picture left free on each side.
    """
    x0, y0, x1, y1 = scene.bounds(0.1)
    top = max((w.height for w in scene.walls), default=0.0)
    corners = np.array([(x, y, z) for x in (x0, x1) for y in (y0, y1) for z in (0.0, top)])
    turn = matrix(look_at(np.zeros(3), np.array([0.0, np.sin(tilt), -np.cos(tilt)])))[:3, :3]
    seen = corners @ turn
    across = np.tan(np.radians(fov_deg) / 2.0) * (1.0 - 2.0 * margin)
    # A corner is in the picture when |x - ex| <= across (z - ez), likewise for y: two pairs of bounds
    # on the eye (ex, ey, ez), each tightest at one corner.
    eye, back = np.zeros(3), []
    for axis, slope in ((0, across), (1, across / aspect)):
        high = float((seen[:, axis] - slope * seen[:, 2]).max())
        low = float((-seen[:, axis] - slope * seen[:, 2]).max())
        eye[axis] = (high - low) / 2.0
        back.append(-(high + low) / (2.0 * slope))
    eye[2] = min(back)
    place = np.eye(4)
    place[:3, :3], place[:3, 3] = turn, turn @ eye
    return pose3(place)


def chase_camera(robot: Pose2, distance: float = 3.2, height: float = 3.4, ahead: float = 1.2) -> Pose3:
    """Viewpoint behind and above the robot, over the walls, so that none hides it.

    Args:
        robot: its pose in the world.
        distance: how far behind [m].
        height: above the floor [m]; above the ceiling (2.5 m) the ceiling is not drawn.
        ahead: the point looked at lies this far before the robot [m].
    """
    forward = np.array([np.cos(robot.yaw), np.sin(robot.yaw)])
    eye = np.append(robot.xy - distance * forward, height)
    return look_at(eye, np.append(robot.xy + ahead * forward, 0.4))
