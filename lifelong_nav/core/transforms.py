"""A transform buffer: what tf2 does, for machines where tf2 has no package.

Keeps the last seconds of every parent -> child transform and answers where one frame was in another
at a given time, interpolating between samples (linear for position, slerp for rotation).
"""

from __future__ import annotations

import bisect
from dataclasses import dataclass, field

import numpy as np

from lifelong_nav.core import geometry
from lifelong_nav.core.errors import InputError
from lifelong_nav.core.types import FloatArray, Pose3


class TransformError(InputError):
    """A transform is not known, or not known at that time."""


@dataclass
class _Edge:
    parent: str
    static: bool
    stamps: list[float] = field(default_factory=list)
    poses: list[Pose3] = field(default_factory=list)


class TransformBuffer:
    """Transforms by child frame.

    Args:
        keep: seconds of history.
    """

    def __init__(self, keep: float = 10.0) -> None:
        self._keep = keep
        self._edges: dict[str, _Edge] = {}

    def clear(self) -> None:
        """Forget all that moves; static mounts stay."""
        self._edges = {child: edge for child, edge in self._edges.items() if edge.static}

    def insert(self, parent: str, child: str, pose: Pose3, stamp: float, static: bool = False) -> None:
        """Add where `child` is in `parent` at `stamp` [s]. A jump back by > 1 s clears the child's past.

        Raises:
            InputError: the pose is not finite, the rotation not a unit quaternion, or the frames equal.
        """
        if not np.isfinite(pose.position).all():
            raise InputError(f"Transform {parent} -> {child} is not finite.", "Mend its publisher.")
        pose = Pose3(pose.position, geometry.checked_quaternion(pose.quaternion))
        if parent == child or not parent or not child:
            raise InputError(f"Transform '{parent}' -> '{child}' has bad frames.", "Name two frames.")
        edge = self._edges.get(child)
        if edge is None or edge.parent != parent or edge.static != static:
            edge = self._edges[child] = _Edge(parent, static)
        if static or (edge.stamps and stamp < edge.stamps[-1] - 1.0):
            edge.stamps.clear()
            edge.poses.clear()
        index = bisect.bisect_left(edge.stamps, stamp)
        if index < len(edge.stamps) and edge.stamps[index] == stamp:
            edge.poses[index] = pose
            return
        edge.stamps.insert(index, stamp)
        edge.poses.insert(index, pose)
        stale = bisect.bisect_left(edge.stamps, edge.stamps[-1] - self._keep)
        del edge.stamps[:stale], edge.poses[:stale]

    def lookup(self, target: str, source: str, stamp: float | None = None, slack: float = 0.2) -> Pose3:
        """Pose of frame `source` in frame `target`.

        Args:
            target: frame to express in.
            source: frame asked about.
            stamp: time [s]; None for the newest.
            slack: how far beyond the newest or oldest sample [s] the nearest one still serves.

        Raises:
            TransformError: the frames are not connected or not known at that time.
        """
        up_target = self._chain(target)
        up_source = self._chain(source)
        common = next((f for f in up_source if f in up_target), None)
        if common is None:
            raise TransformError(
                f"No transform connects '{source}' to '{target}' (known: {self.frames()}).",
                "Check that its publisher runs (TF).",
            )
        a = self._climb(target, common, stamp, slack)
        b = self._climb(source, common, stamp, slack)
        return geometry.pose3(np.linalg.inv(a) @ b)

    def newest(self, child: str) -> float | None:
        """Stamp of the newest sample of a moving frame; None for unknown or static ones."""
        edge = self._edges.get(child)
        return None if edge is None or edge.static else edge.stamps[-1]

    def frames(self) -> list[str]:
        """All frames heard of, sorted."""
        return sorted({*self._edges, *(e.parent for e in self._edges.values())})

    def _chain(self, frame: str) -> list[str]:
        out = [frame]
        while frame in self._edges and len(out) <= len(self._edges):
            frame = self._edges[frame].parent
            out.append(frame)
        return out

    def _climb(self, frame: str, top: str, stamp: float | None, slack: float) -> FloatArray:
        transform = np.eye(4)
        while frame != top:
            edge = self._edges[frame]
            transform = geometry.matrix(_sample(edge, frame, stamp, slack)) @ transform
            frame = edge.parent
        return transform


def _sample(edge: _Edge, child: str, stamp: float | None, slack: float) -> Pose3:
    if edge.static or stamp is None:
        return edge.poses[-1]
    index = bisect.bisect_left(edge.stamps, stamp)
    if index == 0 or index == len(edge.stamps):
        nearest = 0 if index == 0 else -1
        gap = abs(stamp - edge.stamps[nearest])
        if gap > slack:
            raise TransformError(
                f"Transform '{edge.parent}' -> '{child}' is {gap:.2f} s away from the time asked for.",
                "Check clocks and the rate of its publisher.",
            )
        return edge.poses[nearest]
    t0, t1 = edge.stamps[index - 1], edge.stamps[index]
    return interpolate(edge.poses[index - 1], edge.poses[index], (stamp - t0) / (t1 - t0))


def interpolate(a: Pose3, b: Pose3, fraction: float) -> Pose3:
    """Pose between a (0) and b (1): linear in position, spherical in rotation."""
    dot = float(np.dot(a.quaternion, b.quaternion))
    qb = b.quaternion if dot >= 0.0 else -b.quaternion
    angle = np.arccos(min(abs(dot), 1.0))
    if angle < 1e-4:
        q = (1 - fraction) * a.quaternion + fraction * qb
    else:
        q = np.sin((1 - fraction) * angle) * a.quaternion + np.sin(fraction * angle) * qb
    return Pose3((1 - fraction) * a.position + fraction * b.position, q / np.linalg.norm(q))
