"""The camera's side of the perception node: picture, depth, intrinsics and TF become views of people."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from lifelong_nav.core.config import param
from lifelong_nav.core.errors import DependencyError, LifelongNavError
from lifelong_nav.core.transforms import TransformError
from lifelong_nav.core.types import FloatArray, Image
from lifelong_nav.nodes import convert
from lifelong_nav.nodes.base import StackNode
from lifelong_nav.nodes.tf import TfSource
from lifelong_nav.perception.box_geometry import Camera
from lifelong_nav.perception.camera_people import CameraConfig, CameraPeople, CameraView
from lifelong_nav.perception.person_detector import DetectorConfig, PersonDetector

_DEPTH_APART = 0.06


@dataclass(frozen=True)
class CameraInputConfig(DetectorConfig, CameraConfig):
    """People from the camera, as the node uses it."""

    camera: bool = param(
        True, doc="Look for people in pictures where detector weights are found.", read_only=True
    )
    camera_rate: float = param(5.0, "Hz", 0.1, 30.0, "Most pictures a second that are searched.")


class CameraInput:
    """Keeps the newest picture, depth and intrinsics; makes a view when they fit together.

    Args:
        node: whose topics and diagnostics are used.
        config: parameters.
        tf: where the camera is.
        fixed_frame: of the tracks.
    """

    def __init__(self, node: StackNode, config: CameraInputConfig, tf: TfSource, fixed_frame: str) -> None:
        self._node, self._config, self._tf, self._fixed = node, config, tf, fixed_frame
        self._people: CameraPeople | None = None
        self._info: Camera | None = None
        self._image: Image | None = None
        self._depth: Image | None = None
        self._looked = -math.inf
        detector = self._load()
        if detector is None:
            return
        self._people = CameraPeople(detector, config)
        node.listen("camera/color/camera_info", self._on_info)
        node.listen("camera/depth/image_raw", self._on_depth)
        node.listen("camera/color/image_raw", self._on_image)

    def forget(self) -> None:
        """Time ran back."""
        self._image = self._depth = None
        self._looked = -math.inf

    def view(self, returns: FloatArray | None) -> CameraView | None:
        """The people in the newest picture, once; None when nothing new can be used yet.

        Args:
            returns: (M, 2) lidar returns in the fixed frame, None without.
        """
        image, info = self._image, self._info
        if self._people is None or image is None or info is None:
            return None
        if not self._tf.ready(self._fixed, image.frame_id, image.stamp):
            return None
        self._image, self._looked = None, image.stamp
        depth = self._depth
        near = depth is not None and abs(depth.stamp - image.stamp) < _DEPTH_APART
        rgb = np.asarray(image.data, dtype=np.uint8)
        if rgb.ndim == 2:
            rgb = np.repeat(rgb[..., None], 3, axis=2)
        try:
            pose = self._tf.lookup(self._fixed, image.frame_id, image.stamp)
        except TransformError as error:
            self._node.degraded("camera", error.what)
            return None
        ranges = np.asarray(depth.data, dtype=np.float32) if near and depth is not None else None
        seen = self._people.look(image.stamp, rgb, info, pose, ranges, returns)
        self._node.degraded("camera", None)
        self._node.stats["people in the picture"] = len(seen.boxes)
        return seen

    def _load(self) -> PersonDetector | None:
        """The detector; without weights or onnxruntime the lidar works alone, and says so."""
        if not self._config.camera:
            return None
        try:
            detector, status = PersonDetector.load_or_none(self._config)
        except DependencyError as error:
            detector, status = None, str(error)
        except LifelongNavError as error:  # weights that are named but wrong are a fault, not a choice
            self._node.degraded("camera", str(error))
            detector, status = None, error.what
        self._node.stats["camera"] = status
        self._node.get_logger().info(status)
        return detector

    def _on_info(self, message: Any) -> None:
        k = np.asarray(message.k, dtype=float).reshape(3, 3)
        self._info = Camera(k, int(message.width), int(message.height), np.asarray(message.d, dtype=float))

    def _on_depth(self, message: Any) -> None:
        self._depth = convert.image_from(message)

    def _on_image(self, message: Any) -> None:
        stamp = convert.to_seconds(message.header.stamp)
        if stamp - self._looked >= 0.9 / self._config.camera_rate:
            self._image = convert.image_from(message)
