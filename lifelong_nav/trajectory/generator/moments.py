"""What the network learns from: moments as it saw them, each with where an expert then went."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lifelong_nav.core.errors import InputError
from lifelong_nav.core.types import FloatArray
from lifelong_nav.trajectory.generator.features import SHAPES, WAY, Features
from lifelong_nav.trajectory.generator.heads import KNOTS

Index = NDArray[Any] | slice
_V, _W, _SPEED = WAY - 4, WAY - 3, WAY - 2  # where `features.way_features` puts the robot's motion


@dataclass(frozen=True)
class Moments:
    """N moments: inputs as in `features.Features` (half precision), and the expert.

    `expert` (N, KNOTS, 3) x, y, yaw in the robot's frame at the knots, `valid` (N, KNOTS) where it is known;
    `episode` (N,) int64, moments of one drive share it; `stamp` (N,) [s]; `weight` (N,).
    """

    lidar: NDArray[np.float16]
    way: NDArray[np.float32]
    people: NDArray[np.float16]
    mask: NDArray[np.uint8]
    context: NDArray[np.float16]
    known: NDArray[np.uint8]
    expert: NDArray[np.float32]
    valid: NDArray[np.uint8]
    episode: NDArray[np.int64]
    stamp: NDArray[np.float64]
    weight: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.stamp)

    def __getitem__(self, rows: Index) -> Moments:
        return Moments(**{f.name: getattr(self, f.name)[rows] for f in fields(self)})

    @property
    def bytes(self) -> int:
        """Size of all arrays."""
        return sum(getattr(self, f.name).nbytes for f in fields(self))

    @property
    def motion(self) -> FloatArray:
        """(N, 3) forward speed [m/s], yaw rate [rad/s] and speed to travel at [m/s]."""
        return np.stack([self.way[:, _V], self.way[:, _W] * 1.5, self.way[:, _SPEED]], axis=-1)

    def inputs(self) -> dict[str, FloatArray]:
        """Inputs of the trunk by name, float32."""
        return {name: getattr(self, name).astype(np.float32) for name in SHAPES}

    def tensors(self) -> dict[str, NDArray[Any]]:
        """Arrays by name, for a file."""
        return {f.name: getattr(self, f.name) for f in fields(self)}


def moment(
    seen: Features, expert: FloatArray, valid: FloatArray, episode: int, stamp: float, weight: float = 1.0
) -> Moments:
    """One moment as `Moments` of length one."""
    return Moments(
        seen.lidar[None].astype(np.float16), seen.way[None].astype(np.float32),
        seen.people[None].astype(np.float16), seen.mask[None].astype(np.uint8),
        seen.context[None].astype(np.float16), seen.known[None].astype(np.uint8),
        np.asarray(expert, dtype=np.float32)[None], np.asarray(valid).astype(np.uint8)[None],
        np.array([episode], dtype=np.int64), np.array([stamp], dtype=np.float64),
        np.array([weight], dtype=np.float32),
    )  # fmt: skip


def join(parts: Sequence[Moments]) -> Moments:
    """All moments in order; at least one part."""
    if not parts:
        raise InputError("There are no moments.", "Record or generate some.")
    return Moments(**{f.name: np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(Moments)})


def from_tensors(tensors: Mapping[str, NDArray[Any]]) -> Moments:
    """The inverse of `Moments.tensors`; other names are passed over.

    Raises:
        InputError: an array is missing, of another shape or length, or not finite.
    """
    shapes: dict[str, tuple[int, ...]] = {
        **SHAPES, "expert": (KNOTS, 3), "valid": (KNOTS,), "episode": (), "stamp": (), "weight": (),
    }  # fmt: skip
    fix = "Delete the file; it is made again."
    try:
        arrays = {name: tensors[name] for name in shapes}
    except KeyError as error:
        raise InputError(f"The moments lack {error}.", fix) from error
    count = len(arrays["stamp"])
    for name, shape in shapes.items():
        if arrays[name].shape != (count, *shape):
            raise InputError(f"The moments hold '{name}' of shape {arrays[name].shape}.", fix)
        if not np.isfinite(arrays[name]).all():
            raise InputError(f"The moments hold '{name}' that is not finite.", fix)
    kinds = {
        "lidar": np.float16, "people": np.float16, "context": np.float16, "mask": np.uint8, "known": np.uint8,
        "valid": np.uint8, "episode": np.int64, "stamp": np.float64,
    }  # fmt: skip
    return Moments(**{n: a.astype(kinds.get(n, np.float32)) for n, a in arrays.items()})


def mirrored(moments: Moments) -> Moments:
    """Left and right exchanged; the social context, which may speak of sides, becomes unknown."""
    lidar = np.ascontiguousarray(moments.lidar[:, :, ::-1])
    way = moments.way.copy()
    way[:, 1:8:2] *= -1.0  # y of the points along the route
    way[:, [9, 13, _W]] *= -1.0  # y of the goal's direction, sine of its heading, yaw rate
    people = moments.people.copy()
    people[:, :, [1, 3]] *= -1.0
    expert = moments.expert.copy()
    expert[:, :, 1:] *= -1.0
    changed = dict(moments.tensors())
    changed |= {
        "lidar": lidar, "way": way, "people": people, "expert": expert,
        "context": np.zeros_like(moments.context), "known": np.zeros_like(moments.known),
    }  # fmt: skip
    return Moments(**changed)


def expert_ahead(
    times: FloatArray, poses: FloatArray, at: float, knots: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Where a driven path lies seen from one of its moments.

    Args:
        times: (T,) [s], increasing.
        poses: (T, 3) x, y, yaw in any fixed frame.
        at: the moment [s], within `times`.
        knots: (S,) [s] after the moment.

    Returns:
        (S, 3) poses in the robot's frame at the moment, and (S,) 1 where the path reaches that far.
    """
    yaw = np.unwrap(poses[:, 2])
    wanted = np.concatenate([[at], at + np.asarray(knots)])
    x, y, turn = (np.interp(wanted, times, c) for c in (poses[:, 0], poses[:, 1], yaw))
    c, s = np.cos(turn[0]), np.sin(turn[0])
    dx, dy = x[1:] - x[0], y[1:] - y[0]
    ahead = np.stack([c * dx + s * dy, -s * dx + c * dy, turn[1:] - turn[0]], axis=-1)
    return ahead, (wanted[1:] <= times[-1] + 1e-6).astype(float)
