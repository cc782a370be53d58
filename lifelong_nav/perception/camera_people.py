"""People from the camera: picture (and depth, and lidar) in, places on the floor out.

What leaves here is a `CameraView`: boxes, places with their uncertainty, and a coarse map of distances
that tells where a person would have been seen. It holds no colours, and nothing here keeps a picture.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lifelong_nav.core.config import param
from lifelong_nav.core.errors import InputError
from lifelong_nav.core.geometry import matrix
from lifelong_nav.core.types import FloatArray, Pose3
from lifelong_nav.perception.box_geometry import Camera, GeometryConfig, Places, place_people
from lifelong_nav.perception.detector_decode import Boxes
from lifelong_nav.perception.person_detector import PersonDetector

_COARSE = 4
_HEIGHTS = (0.65, 0.85, 1.05)
_SIDES = (-0.12, 0.0, 0.12)


@dataclass(frozen=True)
class CameraConfig(GeometryConfig):
    """People from the camera."""

    doubt_range: float = param(
        7.5, "m", 0.5, 20.0, "Up to here a person the detector does not see speaks against a track."
    )
    unsure: float = param(
        0.6, "", 0.0, 1.0, "Weight of not seeing a person where something else, or no depth, was measured."
    )


@dataclass(frozen=True, slots=True)
class CameraView:
    """What one picture says about people; in the tracking frame, at `stamp`.

    `places` of the people in `boxes`; `sight` (H/4, W/4) [m] coarse depth, None without a depth camera.
    """

    stamp: float
    boxes: Boxes
    places: Places
    camera: Camera
    transform: FloatArray
    sight: NDArray[np.float32] | None
    config: CameraConfig

    def doubt(self, spots: FloatArray) -> FloatArray:
        """How surely a person at each spot (T, 2) would have been found: (T,) in [0, 1].

        1 where the camera looks through the spot at chest height, `unsure` where something is measured
        there (a detector misses people now and then) or no depth is known, 0 where the view is blocked,
        too near, too far or cut off by the rim.
        """
        t, c = len(spots), self.config
        if t == 0:
            return np.zeros(0)
        eye = self.transform[:3, 3]
        rel = spots - eye[:2]
        away = np.hypot(rel[:, 0], rel[:, 1])
        aside = np.stack([-rel[:, 1], rel[:, 0]], axis=1) / np.maximum(away, 1e-6)[:, None]
        body = self._optical(spots, aside, (*_HEIGHTS, 1.45), (-0.2, 0.2))
        in_view = self._inside(body).reshape(t, -1).all(axis=1) & (away > 0.8) & (away < c.doubt_range)
        if self.sight is None:
            return np.where(in_view & ~self._behind_somebody(spots, away), c.unsure, 0.0)
        chest = self._optical(spots, aside, _HEIGHTS, _SIDES)
        chest[:, 2] = np.maximum(chest[:, 2], 1e-3)
        pixel = np.clip(np.rint(self.camera.pixels(chest) / _COARSE), 0, 1e6).astype(int)
        rows, columns = self.sight.shape
        depth = self.sight[np.minimum(pixel[:, 1], rows - 1), np.minimum(pixel[:, 0], columns - 1)]
        depth, expected = depth.reshape(t, -1), chest[:, 2].reshape(t, -1)
        known = np.isfinite(depth) & (depth > 0.1)
        count = np.maximum(known.sum(axis=1), 1)
        slack = 0.45 + 0.01 * expected**2
        through = (known & (depth > expected + slack)).sum(axis=1) / count
        blocked = (known & (depth < expected - slack)).sum(axis=1) / count
        enough = known.sum(axis=1) >= 4
        weight = np.where(enough & (through > 0.85), 1.0, np.where(enough & (blocked < 0.35), c.unsure, 0.0))
        return np.where(in_view, weight, 0.0)

    def _optical(
        self, spots: FloatArray, aside: FloatArray, heights: tuple[float, ...], sides: tuple[float, ...]
    ) -> FloatArray:
        """(T * heights * sides, 3) points of upright bodies, in the optical frame."""
        flat = spots[:, None, None] + aside[:, None, None] * np.array(sides)[None, None, :, None]
        flat = np.broadcast_to(flat, (len(spots), len(heights), len(sides), 2))
        up = np.broadcast_to(np.array(heights)[None, :, None, None], (*flat.shape[:3], 1))
        points = np.concatenate([flat, up], axis=3).reshape(-1, 3)
        return (points - self.transform[:3, 3]) @ self.transform[:3, :3]

    def _inside(self, points: FloatArray) -> NDArray[np.bool_]:
        ahead = points[:, 2] > 0.2
        pixel = self.camera.pixels(np.where(ahead[:, None], points, 1.0))
        within = (pixel > 2.0) & (pixel < (self.camera.width - 3.0, self.camera.height - 3.0))
        return ahead & within.all(axis=1)

    def _behind_somebody(self, spots: FloatArray, away: FloatArray) -> NDArray[np.bool_]:
        """(T,) True where a nearer person who was found stands in the line of sight."""
        if len(self.places) == 0:
            return np.zeros(len(spots), dtype=bool)
        eye = self.transform[:2, 3]
        others, rel = self.places.xy - eye, spots - eye
        cross = rel[:, None, 0] * others[None, :, 1] - rel[:, None, 1] * others[None, :, 0]
        apart = np.abs(cross) / np.maximum(away, 1e-6)[:, None]
        nearer = np.hypot(others[:, 0], others[:, 1])[None] < away[:, None] - 0.3
        return (nearer & (apart < 0.45) & ((rel[:, None] * others[None]).sum(axis=2) > 0.0)).any(axis=1)


class CameraPeople:
    """From pictures to views; one instance per camera.

    Args:
        detector: finds people in pictures.
        config: parameters.
    """

    def __init__(self, detector: PersonDetector, config: CameraConfig | None = None) -> None:
        self._detector = detector
        self._config = config or CameraConfig()

    def look(
        self,
        stamp: float,
        rgb: NDArray[np.uint8],
        camera: Camera,
        pose: Pose3,
        depth: NDArray[np.floating] | None = None,
        returns: FloatArray | None = None,
    ) -> CameraView:
        """Find the people in one picture.

        Args:
            stamp: when it was taken [s].
            rgb: (H, W, 3) uint8.
            camera: its numbers, for pictures of this size.
            pose: of the camera's optical frame in the tracking frame at `stamp` (TF).
            depth: (H, W) [m] registered to the picture, NaN or 0 for nothing; None without a depth camera.
            returns: (M, 2) [m] lidar returns in the tracking frame; used for range where depth has none.

        Raises:
            InputError: sizes that do not belong together, or a pose that is not finite.
        """
        if rgb.shape[:2] != (camera.height, camera.width):
            raise InputError(
                f"The picture is {rgb.shape[1]} x {rgb.shape[0]}, "
                f"camera_info says {camera.width} x {camera.height}.",
                "Send the camera_info that belongs to the picture.",
            )
        if depth is not None and depth.shape != rgb.shape[:2]:
            raise InputError(
                f"The depth image is {depth.shape}, the picture {rgb.shape[:2]}.",
                "Register depth to the picture (depth_image_proc/register).",
            )
        return self.view(stamp, self._detector.detect(rgb), camera, pose, depth, returns)

    def view(
        self,
        stamp: float,
        boxes: Boxes,
        camera: Camera,
        pose: Pose3,
        depth: NDArray[np.floating] | None = None,
        returns: FloatArray | None = None,
    ) -> CameraView:
        """The same from boxes that are known already (another detector, vision_msgs)."""
        if not (
            np.isfinite(stamp) and np.isfinite(pose.position).all() and np.isfinite(pose.quaternion).all()
        ):
            raise InputError(f"Camera pose {pose} at {stamp} is not finite.", "Mend TF.")
        transform = matrix(pose)
        places = place_people(boxes, camera, transform, depth, returns, self._config)
        sight = None if depth is None else np.array(depth[::_COARSE, ::_COARSE], dtype=np.float32)
        return CameraView(stamp, boxes, places, camera, transform, sight, self._config)
