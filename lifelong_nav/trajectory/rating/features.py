"""A social situation as seen from robot poses: tokens per person and per interaction, and summary figures.

Everything broadcasts over leading axes, so one set of people serves many poses, and people who move serve
candidate trajectories: poses (C, T, 3) against people (T, N, 2). What goes in is what a robot knows while it
drives: positions, facing, who stands together with whom, the distance to the nearest wall.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from lifelong_nav.core.types import FloatArray

FAR = 8.0
"""Nobody and nothing farther than this [m] matters; what is not there counts as this far away."""
NEAREST = 3
"""So many people, nearest first, and two interactions enter the summary one by one."""
SPREADS = np.array([0.3, 0.45, 0.6, 0.9, 1.3, 2.0], dtype=np.float32)
"""Standard deviations [m] of the summary's soft counts of people."""
PERSON_WIDTH, TIE_WIDTH, SCENE_WIDTH = 15, 13, 52
"""Numbers per person, per interaction, and in the summary."""


@dataclass(frozen=True)
class Surroundings:
    """Who and what is around, in the frame of the poses; leading axes broadcast against those of the poses.

    `people` (..., N, 2) [m]; `facing` (..., N) [rad]; `there` (..., N) False for padding; `engaged` (..., N)
    True for whoever takes part in an interaction. `ties` (..., L, 4): the line of sight of an interaction,
    from a person x, y to the other one, or to the object used; `to_object` (..., L) True for the latter;
    `tied` (..., L) False for padding. `wall` (...): distance of each pose to the nearest wall [m].
    """

    people: FloatArray
    facing: FloatArray
    there: NDArray[np.bool_]
    engaged: NDArray[np.bool_]
    ties: FloatArray
    to_object: NDArray[np.bool_]
    tied: NDArray[np.bool_]
    wall: FloatArray

    def mirrored(self) -> Surroundings:
        """Left and right exchanged: y and facing change sign."""
        people, ties = self.people * (1.0, -1.0), self.ties * (1.0, -1.0, 1.0, -1.0)
        return replace(self, people=people, facing=-self.facing, ties=ties)


@dataclass(frozen=True)
class Features:
    """Float32 inputs of a rating model.

    `people` (..., N, 15) with `there` (..., N), `ties` (..., L, 13) with `tied` (..., L), `scene` (..., 52).
    """

    people: NDArray[np.float32]
    there: NDArray[np.bool_]
    ties: NDArray[np.float32]
    tied: NDArray[np.bool_]
    scene: NDArray[np.float32]


def features(poses: FloatArray, around: Surroundings) -> Features:
    """Describe `around` as seen from `poses` (..., 3) x, y [m], yaw [rad]. N and L must be at least 1."""
    poses = np.asarray(poses, dtype=np.float32)
    lead = np.broadcast_shapes(poses.shape[:-1], around.people.shape[:-2], around.ties.shape[:-2])
    people, plain = _people(poses, around)
    ties = _ties(poses, around)
    there = np.broadcast_to(around.there, people.shape[:-1])
    tied = np.broadcast_to(around.tied, ties.shape[:-1])
    scene = np.concatenate(
        [
            _nearest_people(plain, there, lead),
            _counts(plain, there, lead),
            _nearest_ties(ties, tied, around.to_object, lead),
            np.broadcast_to(np.minimum(around.wall, 3.0), lead)[..., None],
        ],
        axis=-1,
        dtype=np.float32,
    )
    return Features(people, there, ties, tied, scene)


def _people(poses: FloatArray, around: Surroundings) -> tuple[NDArray[np.float32], dict[str, FloatArray]]:
    """Tokens (..., N, 15), and the quantities the summary needs again."""
    yaw = poses[..., None, 2]
    cos, sin = np.cos(yaw), np.sin(yaw)
    dx = around.people[..., 0].astype(np.float32) - poses[..., None, 0]
    dy = around.people[..., 1].astype(np.float32) - poses[..., None, 1]
    px, py = dx * cos + dy * sin, dy * cos - dx * sin
    turn = around.facing.astype(np.float32) - yaw
    tc, ts = np.cos(turn), np.sin(turn)
    # The robot in the person's frame: in front of it is fx > 0.
    fx, fy = -(px * tc + py * ts), px * ts - py * tc
    d = np.hypot(px, py)
    inverse = 1.0 / np.maximum(d, 0.05)
    ahead = fx * inverse
    near, wide = np.exp(-0.5 * (d / 0.45) ** 2), np.exp(-0.5 * (d / 1.0) ** 2)
    personal = np.exp(-0.5 * ((fx / np.where(fx > 0.0, 1.2, 0.6)) ** 2 + (fy / 0.8) ** 2))
    engaged = np.broadcast_to(around.engaged, d.shape).astype(np.float32)
    tokens = np.stack(
        [
            px / 3.0, py / 3.0, d / 3.0, px * inverse, py * inverse, fx / 3.0, fy / 3.0, ahead,
            fy * inverse, tc, ts, near, wide, personal, engaged,
        ],
        axis=-1,
    )  # fmt: skip
    tokens = np.clip(tokens, -3.0, 3.0).astype(np.float32)
    plain = {"d": d, "fx": fx, "fy": np.abs(fy), "px": px, "py": np.abs(py), "ahead": ahead}
    return tokens, {**plain, "engaged": engaged, "personal": personal}


def _nearest_people(
    plain: dict[str, FloatArray], there: NDArray[np.bool_], lead: tuple[int, ...]
) -> FloatArray:
    """(..., 21): seven figures of each of the three nearest people."""
    d = np.where(there, np.minimum(plain["d"], FAR), FAR)
    count = min(NEAREST, d.shape[-1])
    order = np.argsort(d, axis=-1)[..., :count]
    gone = np.take_along_axis(d, order, axis=-1) >= FAR
    missing = {"d": FAR, "fx": 0.0, "fy": FAR, "px": 0.0, "py": FAR, "ahead": 0.0, "engaged": 0.0}
    rows = [
        np.where(gone, value, np.take_along_axis(plain[name], order, axis=-1))
        for name, value in missing.items()
    ]
    out = np.stack(rows, axis=-1)
    if count < NEAREST:
        none = np.broadcast_to(list(missing.values()), (*out.shape[:-2], NEAREST - count, len(missing)))
        out = np.concatenate([out, none], axis=-2)
    out = np.clip(out, -FAR, FAR).reshape(*out.shape[:-2], NEAREST * len(missing))
    return np.broadcast_to(out, (*lead, out.shape[-1]))


def _counts(plain: dict[str, FloatArray], there: NDArray[np.bool_], lead: tuple[int, ...]) -> FloatArray:
    """(..., 16): soft counts of people by distance, plain and by how they face the robot, and hard ones."""
    d = plain["d"]
    soft = np.exp(-0.5 * (d[..., None, :] / SPREADS[:, None]) ** 2) * there[..., None, :]
    faced = (soft[..., 1:5, :] * plain["ahead"][..., None, :]).sum(axis=-1)
    personal = plain["personal"] * there
    hard = [((d < limit) & there).sum(axis=-1) for limit in (1.0, 2.0, 3.0)]
    rest = np.stack([personal.sum(axis=-1), personal.max(axis=-1), *hard, there.sum(axis=-1)], axis=-1)
    out = np.concatenate([soft.sum(axis=-1), faced, rest], axis=-1)
    return np.broadcast_to(out, (*lead, out.shape[-1]))


def _ties(poses: FloatArray, around: Surroundings) -> NDArray[np.float32]:
    """(..., L, 13) tokens of interactions: where the robot is relative to a line of sight."""
    at = poses[..., None, :]
    ties = around.ties.astype(np.float32)
    a, b = ties[..., :2] - at[..., :2], ties[..., 2:] - at[..., :2]
    line = b - a
    length = np.maximum(np.hypot(line[..., 0], line[..., 1]), 1e-3)
    share = np.clip(-(a * line).sum(axis=-1) / length**2, 0.0, 1.0)
    off = a + share[..., None] * line
    t = np.hypot(off[..., 0], off[..., 1])
    first, second = np.hypot(a[..., 0], a[..., 1]), np.hypot(b[..., 0], b[..., 1])
    middle = 0.5 * (a + b)
    cos, sin = np.cos(at[..., 2]), np.sin(at[..., 2])
    mx = middle[..., 0] * cos + middle[..., 1] * sin
    my = middle[..., 1] * cos - middle[..., 0] * sin
    object_ = np.broadcast_to(around.to_object, t.shape)
    # Two people who look at each other are alike; a person and a thing are not.
    share = np.where(object_, share, np.minimum(share, 1.0 - share))
    ends = np.stack([first, second], axis=-1)
    ends = np.where(object_[..., None], ends, np.sort(ends, axis=-1))
    excess = first + second - length
    tokens = np.stack(
        [
            t / 2.0, share, np.hypot(mx, my) / 3.0, length / 3.0, excess / 2.0, mx / 3.0, my / 3.0,
            ends[..., 0] / 3.0, ends[..., 1] / 3.0, np.exp(-0.5 * (t / 0.4) ** 2),
            np.exp(-0.5 * (excess / 0.4) ** 2), np.exp(-0.5 * (t / 0.9) ** 2), object_,
        ],
        axis=-1,
    )  # fmt: skip
    return np.clip(tokens, -4.0, 4.0).astype(np.float32)


def _nearest_ties(
    tokens: NDArray[np.float32], tied: NDArray[np.bool_], to_object: NDArray[np.bool_], lead: tuple[int, ...]
) -> FloatArray:
    """(..., 14): five figures of the nearest interaction of each kind, the second distance and soft count."""
    columns = [0, 1, 3, 4, 8]
    out = []
    for kind in (False, True):
        mine = tied & (np.broadcast_to(to_object, tied.shape) == kind)
        t = np.where(mine, tokens[..., 0], 4.0)
        order = np.argsort(t, axis=-1)
        best = np.take_along_axis(tokens[..., columns], order[..., :1, None], axis=-2)[..., 0, :]
        sorted_t = np.take_along_axis(t, order, axis=-1)
        best = np.where(sorted_t[..., :1] >= 4.0, np.array([4.0, 0.0, 0.0, 4.0, 4.0], dtype=np.float32), best)
        second = sorted_t[..., 1:2] if t.shape[-1] > 1 else np.full_like(sorted_t[..., :1], 4.0)
        soft = (tokens[..., 9] * mine).sum(axis=-1, keepdims=True)
        out.append(np.concatenate([best, second, soft], axis=-1))
    rows = np.concatenate(out, axis=-1)
    return np.broadcast_to(rows, (*lead, rows.shape[-1]))
