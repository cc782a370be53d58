"""Where the people in boxes stand: bearing from the pinhole, range from depth, lidar or size.

Each range comes with the spread it deserves, so that the filter weighs a depth camera's 10 cm and a
guess from the height of a box rightly. Frames: `optical` is z forward, x right, y down (REP-103); the
tracking frame has its z axis up and its floor at z = 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from lifelong_nav.core.config import param
from lifelong_nav.core.errors import InputError
from lifelong_nav.core.types import FloatArray
from lifelong_nav.perception.detector_decode import Boxes

Depth = tuple[float, float, float]
_EDGE = 3.0  # boxes that end this near [px] to the rim of the picture are cut off by it


@dataclass(frozen=True)
class GeometryConfig:
    """From boxes to places on the floor."""

    body_depth: float = param(0.13, "m", 0.0, 0.4, "From the chest that depth measures to the body's axis.")
    height: float = param(1.68, "m", 1.0, 2.2, "Assumed height of people where nothing measures the range.")
    height_spread: float = param(0.10, "m", 0.01, 0.5, "Standard deviation of that height.")
    tilt_spread: float = param(0.01, "rad", 0.0, 0.2, "How well the camera's tilt is known.")
    least_height: float = param(0.7, "m", 0.0, 1.5, "Whole boxes lower than this are pictures or toys.")
    most_height: float = param(2.4, "m", 1.8, 4.0, "Whole boxes taller than this are no people.")
    max_range: float = param(10.0, "m", 1.0, 50.0, "People farther away are left out.")


@dataclass(frozen=True, slots=True)
class Camera:
    """A pinhole camera as in sensor_msgs/CameraInfo.

    `k` (3, 3) intrinsic matrix for pictures of `width` x `height` [px]; `d` distortion (plumb_bob,
    rational), empty or zero for none.
    """

    k: FloatArray
    width: int
    height: int
    d: FloatArray = field(default_factory=lambda: np.zeros(0))

    def __post_init__(self) -> None:
        k = np.asarray(self.k, dtype=float)
        if k.shape != (3, 3) or not np.isfinite(k).all() or k[0, 0] <= 0.0 or k[1, 1] <= 0.0:
            raise InputError(
                f"Camera matrix {k.tolist()} is no pinhole.", "Calibrate the camera (camera_info)."
            )

    def rays(self, pixels: FloatArray) -> FloatArray:
        """(N, 3) directions with z = 1 in the optical frame, for pixels (N, 2)."""
        if len(pixels) and np.any(self.d):
            import cv2

            flat = cv2.undistortPoints(np.asarray(pixels, dtype=float)[:, None], self.k, np.asarray(self.d))
            return np.column_stack([flat[:, 0], np.ones(len(pixels))])
        x = (pixels[:, 0] - self.k[0, 2]) / self.k[0, 0]
        y = (pixels[:, 1] - self.k[1, 2]) / self.k[1, 1]
        return np.column_stack([x, y, np.ones(len(pixels))])

    def pixels(self, points: FloatArray) -> FloatArray:
        """(N, 2) where points (N, 3) before the camera (optical frame, z > 0) appear, without distortion."""
        return (points[:, :2] / points[:, 2:]) * (self.k[0, 0], self.k[1, 1]) + (self.k[0, 2], self.k[1, 2])


@dataclass(frozen=True, slots=True)
class Places:
    """N people on the floor, in the tracking frame.

    `xy` (N, 2) [m], `covariance` (N, 2, 2), `confidence` (N,) the boxes' scores, `source` what measured
    the range ("depth", "lidar" or "size"), `box` (N,) index of the box.
    """

    xy: FloatArray
    covariance: FloatArray
    confidence: FloatArray
    source: tuple[str, ...]
    box: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.confidence)


def place_people(
    boxes: Boxes,
    camera: Camera,
    transform: FloatArray,
    depth: NDArray[np.floating] | None = None,
    returns: FloatArray | None = None,
    config: GeometryConfig | None = None,
) -> Places:
    """People in boxes as places on the floor with their uncertainty.

    Args:
        boxes: from the detector, in the pixels of `camera`.
        camera: its numbers.
        transform: (4, 4) optical frame -> tracking frame.
        depth: (H, W) [m] along the optical axis, registered to the picture; NaN or 0 for nothing.
        returns: (M, 2) [m] where the lidar saw something, tracking frame.
        config: parameters.

    Returns:
        At most one place per box; boxes of impossible size and second boxes of one person are left out.
    """
    c = config or GeometryConfig()
    depths = [None] * len(boxes) if depth is None else depths_of_boxes(boxes, depth)
    found = [
        _place(box, boxes, camera, transform, measured, returns, c)
        for box, measured in zip(boxes.xyxy, depths, strict=True)
    ]
    index = np.array([k for k, place in enumerate(found) if place is not None], dtype=np.int64)
    places = [place for place in found if place is not None]
    xy = np.array([p[0] for p in places]).reshape(-1, 2)
    keep = _first_of_each(xy, boxes.xyxy[index])
    return Places(
        xy[keep],
        np.array([p[1] for p in places]).reshape(-1, 2, 2)[keep],
        boxes.scores[index][keep],
        tuple(places[k][2] for k in keep),
        index[keep],
    )


def _place(
    box: FloatArray, boxes: Boxes, camera: Camera, transform: FloatArray, measured: Depth | None,
    returns: FloatArray | None, c: GeometryConfig,
) -> tuple[FloatArray, FloatArray, str] | None:  # fmt: skip
    """Place (2,), covariance (2, 2) and source of the range for one box; None if that is no person."""
    if measured is not None and measured[2] == 0.0:
        return None
    eye = transform[:3, 3]
    middle, top, bottom = _directions(box, camera, transform)
    cut_above, cut_below = box[1] < _EDGE, box[3] > boxes.height - _EDGE
    reach, sigma = _range_by_size(box, cut_above, cut_below, top, bottom, float(eye[2]), camera, c)
    source, offset = "size", 0.0
    row = box[1] + (0.45 if cut_below else 0.35) * (box[3] - box[1])
    if measured is not None:
        z, column, share = measured
        middle = transform[:2, :3] @ (camera.rays(np.array([[column, row]]))[0] * z)
        reach, source = float(np.hypot(*middle)) + c.body_depth, "depth"
        sigma = float(np.hypot(0.09, 0.004 * reach**2)) / float(np.sqrt(share))
        offset = abs(column - 0.5 * (box[0] + box[2]))
    elif returns is not None:
        near = _range_by_lidar(box, row, camera, transform, returns, reach, sigma)
        if near is not None:
            reach, sigma, source = near, 0.15, "lidar"
    if not np.isfinite(reach) or not 0.2 < reach < c.max_range:
        return None
    whole = not (cut_above or cut_below)
    if source != "size" and whole and not c.least_height < reach * (top - bottom) < c.most_height:
        return None
    ahead = middle / max(float(np.hypot(*middle)), 1e-9)
    blur = 1.0 + 0.04 * (box[2] - box[0]) + 0.5 * offset  # [px] of the bearing
    aside = float(np.hypot(0.06, blur / camera.k[0, 0] * reach))
    turn = np.array([[ahead[0], -ahead[1]], [ahead[1], ahead[0]]])
    return eye[:2] + ahead * reach, turn @ np.diag([sigma**2, aside**2]) @ turn.T, source


def _directions(box: FloatArray, camera: Camera, transform: FloatArray) -> tuple[FloatArray, float, float]:
    """Level direction (2,) of the box's middle, and rise per metre of its top and bottom edge."""
    x, y = 0.5 * (box[0] + box[2]), 0.5 * (box[1] + box[3])
    rays = camera.rays(np.array([[x, y], [x, box[1]], [x, box[3]]])) @ transform[:3, :3].T
    level = np.maximum(np.hypot(rays[:, 0], rays[:, 1]), 1e-6)
    return rays[0, :2], float(rays[1, 2] / level[1]), float(rays[2, 2] / level[2])


def _range_by_size(
    box: FloatArray, cut_above: bool, cut_below: bool, top: float, bottom: float, eye: float, camera: Camera,
    c: GeometryConfig,
) -> tuple[float, float]:  # fmt: skip
    """Range [m] and its standard deviation from where the feet are and how tall the box is."""
    blur = max(2.0, 0.03 * (box[3] - box[1])) / camera.k[1, 1]  # slope error of an edge
    guesses = []
    if not cut_below and bottom < -0.02 and eye > 0.1:
        feet = eye / -bottom
        guesses.append((feet, 0.1 + feet**2 / eye * float(np.hypot(blur, c.tilt_spread))))
    if not cut_below and not cut_above and top - bottom > 0.02:
        size = c.height / (top - bottom)
        guesses.append(
            (size, 0.1 + size * float(np.hypot(c.height_spread / c.height, 1.4 * blur / (top - bottom))))
        )
    if not guesses:  # shoulders half a metre wide, arms or not
        wide = 0.5 * camera.k[0, 0] / max(box[2] - box[0], 1.0)
        guesses.append((wide, 0.1 + 0.35 * wide))
    weights = np.array([1.0 / sigma**2 for _, sigma in guesses])
    mean = float(np.dot(weights, [g for g, _ in guesses]) / weights.sum())
    spread = float(np.sqrt(1.0 / weights.sum()))
    if len(guesses) == 2:  # hidden feet make them disagree
        spread = float(np.hypot(spread, 0.5 * (guesses[0][0] - guesses[1][0])))
    return mean, max(spread, 0.1 * mean)


def depths_of_boxes(boxes: Boxes, depth: NDArray[np.floating]) -> list[Depth | None]:
    """`depth_of_box` of every box, from the nearest on (lowest in the picture), so that others are known."""
    out: list[Depth | None] = [None] * len(boxes)
    nearer: list[tuple[FloatArray, float]] = []
    for k in np.argsort(-boxes.xyxy[:, 3], kind="stable"):
        box = boxes.xyxy[k]
        cut_below = bool(box[3] > boxes.height - _EDGE)
        out[k] = measured = depth_of_box(box, depth, cut_below, nearer)
        if measured is not None and measured[2] > 0.0:
            nearer.append((box, measured[0]))
    return out


def depth_of_box(
    box: FloatArray,
    depth: NDArray[np.floating],
    cut_below: bool = False,
    nearer: Sequence[tuple[FloatArray, float]] = (),
) -> Depth | None:
    """Depth of the person in a box.

    A low quantile over the torso finds the person before the background, and before few enough pixels
    of others in front; the median of what lies within 0.3 m of it is the depth.

    Args:
        box: (4,) left, top, right, bottom [px].
        depth: (H, W) [m], NaN or 0 for nothing.
        cut_below: the box ends at the rim of the picture, so more of it is torso.
        nearer: boxes and depths [m] of people found already: their pixels are not this person's.

    Returns:
        Depth along the optical axis [m], column [px] of its middle, share of the measured torso it was seen
        on, 0 where others hide it all (or it is the same person twice). None where too little was measured.
    """
    x0, y0, x1, y1 = box
    wide, high = x1 - x0, y1 - y0
    upper, lower = round(y0 + 0.15 * high), round(y0 + (0.75 if cut_below else 0.55) * high) + 1
    others = [(b, z) for b, z in nearer if b[0] < x1 and b[2] > x0 and b[1] < lower and b[3] > upper]
    rim = 0.08 if others else 0.2  # beside somebody, what shows may be a shoulder
    left, right = round(x0 + rim * wide), round(x1 - rim * wide) + 1
    upper, left = max(upper, 0), max(left, 0)
    step = max(1, int((right - left) * (lower - upper) / 1500) // 2)  # close up every few pixels will do
    torso = depth[upper:lower:step, left:right:step]
    with np.errstate(invalid="ignore"):
        there = torso > 0.1
        before = int(there.sum())
        for b, z in others:
            rows = slice(*(max(0, int(np.ceil((e - upper) / step))) for e in (b[1], b[3])))
            columns = slice(*(max(0, int(np.ceil((e - left) / step))) for e in (b[0], b[2])))
            there[rows, columns] &= np.abs(torso[rows, columns] - z) > 0.35
        seen = int(there.sum())
        if others and before >= 4 and seen < 0.12 * before:
            return 0.0, 0.0, 0.0
        if torso.size == 0 or seen < 4 or seen < 0.1 * torso.size:
            return None
        near = float(np.quantile(torso[there], 0.35, method="lower"))  # a depth that was measured
        body = there & (np.abs(torso - near) < 0.3)
    middle = left + step * float(np.nonzero(body)[1].mean())
    return float(np.median(torso[body])), middle, float(body.sum() / seen)


def _range_by_lidar(
    box: FloatArray, row: float, camera: Camera, transform: FloatArray, returns: FloatArray, prior: float,
    sigma: float,
) -> float | None:  # fmt: skip
    """Range [m] of the nearest returns within the box's bearings that agree with its size; None if none."""
    edges = np.array([[box[0] + 0.1 * (box[2] - box[0]), row], [box[2] - 0.1 * (box[2] - box[0]), row]])
    rays = camera.rays(edges) @ transform[:3, :3].T
    rel = returns - transform[:2, 3]
    left, right = rays[0, :2], rays[1, :2]
    inside = (left[0] * rel[:, 1] - left[1] * rel[:, 0] <= 0.0) & (
        right[0] * rel[:, 1] - right[1] * rel[:, 0] >= 0.0
    )
    distance = np.hypot(rel[:, 0], rel[:, 1])
    distance = distance[
        inside & (rel @ (left + right) > 0.0) & (np.abs(distance - prior) < 2.0 * sigma + 0.2)
    ]
    if len(distance) == 0:
        return None
    nearest = distance.min()
    return float(np.median(distance[distance < nearest + 0.4])) + 0.05


def _first_of_each(xy: FloatArray, boxes: FloatArray) -> NDArray[np.int64]:
    """Indices left when of overlapping boxes less than 0.3 m apart only the first (best) stays."""
    kept: list[int] = []
    for k in range(len(xy)):
        low = np.maximum(boxes[kept, :2], boxes[k, :2])
        high = np.minimum(boxes[kept, 2:], boxes[k, 2:])
        meet = (high > low).all(axis=1)
        if not (meet & (np.hypot(*(xy[kept] - xy[k]).T) < 0.3)).any():
            kept.append(k)
    return np.array(kept, dtype=np.int64)
