"""What stands in the way besides people: the known walls on a grid, and what the scan shows beyond them."""

from __future__ import annotations

import numpy as np

from lifelong_nav.control.local_field import field_from_mask
from lifelong_nav.core.distance import DistanceField
from lifelong_nav.core.geometry import transform_points2
from lifelong_nav.core.types import FloatArray
from lifelong_nav.evaluation.social.planner import Observation

RESOLUTION = 0.05
BEYOND = 5.0


def wall_field(walls: FloatArray, resolution: float = RESOLUTION) -> DistanceField:
    """Distance to the nearest wall (M, 4) on a grid that reaches a little beyond them all."""
    walls = np.asarray(walls, dtype=float).reshape(-1, 4)
    if len(walls) == 0:
        return DistanceField(np.full((2, 2), BEYOND, np.float32), resolution, (0.0, 0.0), BEYOND)
    ends = walls.reshape(-1, 2)
    low = np.floor((ends.min(axis=0) - 1.0) / resolution) * resolution
    columns, rows = (np.ceil((ends.max(axis=0) + 1.0 - low) / resolution)).astype(int)
    mask = np.zeros((rows, columns), dtype=bool)
    for a, b in zip(walls[:, :2], walls[:, 2:], strict=True):
        count = max(2, int(np.hypot(*(b - a)) / (0.5 * resolution)) + 1)
        cell = ((a + np.linspace(0.0, 1.0, count)[:, None] * (b - a) - low) / resolution).astype(int)
        mask[cell[:, 1], cell[:, 0]] = True
    return field_from_mask(mask, resolution, (float(low[0]), float(low[1])))


class Walls:
    """The field of an observation's walls, made anew only when they change."""

    def __init__(self) -> None:
        self._walls: FloatArray | None = None
        self._field: DistanceField | None = None

    def field(self, walls: FloatArray) -> DistanceField:
        """Distance to the nearest wall."""
        known = self._walls
        if self._field is None or known is None or not np.array_equal(known, walls):
            self._walls, self._field = np.array(walls, dtype=float), wall_field(walls)
        return self._field


def scan_points(observation: Observation, reach: float) -> FloatArray:
    """(K, 2) end points of the scan's beams within `reach` [m] of the robot, in the observation's frame."""
    scan, sensor = observation.scan, observation.sensor
    if scan is None or sensor is None:
        return np.zeros((0, 2))
    points = transform_points2(sensor, scan.points())
    offset = points - observation.pose.xy
    return points[np.hypot(offset[:, 0], offset[:, 1]) < reach]


def unknown_points(
    observation: Observation, walls: DistanceField, reach: float, most: int = 60
) -> FloatArray:
    """(K, 2) scan points that belong neither to a wall nor to a tracked person, at most `most` of them."""
    points = scan_points(observation, reach)
    points = points[walls.at(points[:, 0], points[:, 1]) > 0.2]
    people = observation.people
    if len(people) and len(points):
        gap = np.linalg.norm(points[:, None] - people.positions(), axis=-1) - people.radii()
        points = points[gap.min(axis=1) > 0.2]
    return points[:: max(1, -(-len(points) // most))]
