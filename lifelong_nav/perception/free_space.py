"""Memory of what the lidar saw through: tells what has always stood there from what has just come.

A rolling occupancy memory kept as visibility tables instead of cells: past scans, resampled to fixed
bearings, with the sensor's pose. Asking "was this spot free, occupied or hidden then?" is one table
look-up per spot and scan, so the answer costs microseconds where ray-casting a grid costs
milliseconds, and it has no cell borders.
"""

from __future__ import annotations

from collections import deque

import numpy as np
from numpy.typing import NDArray

from lifelong_nav.core.geometry import wrap
from lifelong_nav.core.types import FloatArray, Pose2

BINS = 1024
_STEP = 2.0 * np.pi / BINS
_BIN_ANGLES = -np.pi + (np.arange(BINS) + 0.5) * _STEP


def bin_angles() -> FloatArray:
    """(BINS,) bearing [rad] of every table entry."""
    return _BIN_ANGLES


class VisibilityTable:
    """One scan by bearing, for look-ups from any place.

    Args:
        pose: sensor pose in the fixed frame.
        ranges: (N,) [m] as from `check_scan`: +inf far, NaN unknown.
        angle_min: bearing of the first beam [rad].
        angle_increment: between beams [rad], either sign.
        range_max: what +inf stands for [m].
    """

    __slots__ = ("high", "low", "mid", "pose", "reach")

    def __init__(
        self, pose: Pose2, ranges: FloatArray, angle_min: float, angle_increment: float, range_max: float
    ) -> None:
        self.pose = pose
        n = len(ranges)
        turn = wrap(_BIN_ANGLES - angle_min) % (2.0 * np.pi)
        beam = np.rint(
            turn / angle_increment if angle_increment > 0 else (turn - 2 * np.pi) / angle_increment
        )
        if abs(angle_increment) * (n + 1) > 2.0 * np.pi:
            beam %= n  # full circle: the seam belongs to the first beam
        known = beam < n
        beam = np.where(known, beam, 0).astype(np.int64)
        capped = np.minimum(ranges, range_max)  # keeps NaN
        table = np.where(known, capped[beam], np.nan)
        reach = max(1, round(abs(angle_increment) / _STEP))
        sides = np.stack([table, np.roll(table, reach), np.roll(table, -reach)])
        self.mid, self.reach = table, reach  # NaN where unknown; how many entries one beam spans
        # low: nothing nearer than this around the bearing (0 where unknown); high: farthest return
        self.low = np.where(np.isnan(sides), 0.0, sides).min(axis=0)
        self.high = np.where(np.isnan(sides), 0.0, sides).max(axis=0)

    def polar(self, points: FloatArray) -> tuple[FloatArray, NDArray[np.int64]]:
        """Distance [m] and table index of points (P, 2) of the fixed frame."""
        rel = points - (self.pose.x, self.pose.y)
        bearing = np.arctan2(rel[:, 1], rel[:, 0]) - self.pose.yaw
        return np.hypot(rel[:, 0], rel[:, 1]), (((bearing + np.pi) % (2.0 * np.pi)) / _STEP).astype(
            int
        ) % BINS


class FreeSpaceMemory:
    """The last seconds of scans, thinned.

    Args:
        every: seconds between remembered scans.
        depth: how many are remembered.
    """

    def __init__(self, every: float = 0.25, depth: int = 24) -> None:
        self._every = every
        self._stamps: deque[float] = deque(maxlen=depth)
        self._tables: deque[VisibilityTable] = deque(maxlen=depth)

    def clear(self) -> None:
        """Forget everything."""
        self._stamps.clear()
        self._tables.clear()

    def add(self, stamp: float, table: VisibilityTable) -> None:
        """Remember a scan, unless the last one remembered is newer than `every` seconds ago."""
        if not self._stamps or stamp - self._stamps[-1] >= self._every - 1e-3:
            self._stamps.append(stamp)
            self._tables.append(table)

    def look(
        self, points: FloatArray, margin: FloatArray, before: FloatArray
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """In how many remembered scans each spot was free, and in how many occupied.

        Args:
            points: (P, 2) [m] in the fixed frame.
            margin: (P,) [m] how far a return may lie from the spot and still be on it.
            before: (P,) only scans up to this stamp [s] count.

        Returns:
            free, occupied: (P,) counts; a spot that was hidden or out of view counts in neither.
        """
        if not self._tables or len(points) == 0:
            none = np.zeros(len(points), dtype=np.int64)
            return none, none
        poses = np.array([(t.pose.x, t.pose.y, t.pose.yaw) for t in self._tables])
        low = np.stack([t.low for t in self._tables])
        high = np.stack([t.high for t in self._tables])
        dx = points[None, :, 0] - poses[:, :1]
        dy = points[None, :, 1] - poses[:, 1:2]
        distance = np.hypot(dx, dy)
        bearing = (np.arctan2(dy, dx) - poses[:, 2:] + np.pi) % (2.0 * np.pi)
        index = (bearing / _STEP).astype(np.int64) % BINS
        row = np.arange(len(poses))[:, None]
        near, far = low[row, index] - distance, high[row, index] - distance
        counts = np.array(self._stamps)[:, None] <= before[None, :]
        free = counts & (near > margin)
        occupied = counts & ((np.abs(near) <= margin) | (np.abs(far) <= margin))
        return free.sum(axis=0), occupied.sum(axis=0)
