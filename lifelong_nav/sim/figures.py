"""How people walk: gait phase, legs and the pose of all fourteen links, vectorised over people.

The phase advances with the distance walked, so a standing foot stays where it is. The engine owns
the `GaitState` and hands it to lidar (`leg_positions`) and camera alike: both see the same legs.

Body frame: origin on the floor between the feet, x where the person faces, y left, z up.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lifelong_nav.core.types import FloatArray
from lifelong_nav.sim.crowd.state import CrowdState
from lifelong_nav.sim.figure_looks import Looks, looks

LINKS = (
    "pelvis", "torso", "head", "hair", "upper_arm_left", "upper_arm_right", "forearm_left", "forearm_right",
    "thigh_left", "thigh_right", "shin_left", "shin_right", "foot_left", "foot_right",
)  # fmt: skip
LEG_RADIUS = 0.07
"""Radius [m] of a leg as the lidar sees it."""

_STANCE = 0.58  # share of the stride a foot stands on the floor (Perry & Burnfield, Gait Analysis)
_STRIDE = 1.15  # stride [m] at 1 m/s; it grows with the root of the speed, and so does the cadence
_STRIDE_LAG = 0.3  # s, how fast the stride follows the speed
_FASTEST = 2.0  # strides per second
_UP = np.array([0.0, 0.0, 1.0])
_LEG_SIDES = np.array([1.0, -1.0])  # left, right


@dataclass(frozen=True)
class GaitState:
    """Where everyone is in their stride.

    `ids` (N,), `phase` (N,) in [0, 1): 0 when the left foot touches down, `stride` (N,) [m] the
    distance walked per turn of the phase, 0 standing, `course` (N,) [rad] direction of walking in
    the world.
    """

    ids: NDArray[np.int64]
    phase: FloatArray
    stride: FloatArray
    course: FloatArray


def new_gait(state: CrowdState, seed: int = 0) -> GaitState:
    """Gait of a crowd seen for the first time: random phases per id, strides that fit the speeds."""
    speed = np.linalg.norm(state.velocities, axis=1)
    phase = (np.asarray(state.ids) * 0.618034 + seed * 0.754878) % 1.0
    return GaitState(np.array(state.ids), phase, _stride_at(speed), _course(state, state.headings))


def advance(gait: GaitState | None, state: CrowdState, dt: float) -> GaitState:
    """The gait after everyone walked at their velocity for `dt` [s].

    Args:
        gait: the gait before; None or unknown ids start afresh.
        state: the crowd at the end of the step; people may come and go.
        dt: step length [s].
    """
    fresh = new_gait(state)
    if gait is None:
        return fresh
    phase, stride, course = _matched(gait, fresh)
    speed = np.linalg.norm(state.velocities, axis=1)
    stride = stride + (_stride_at(speed) - stride) * (1.0 - np.exp(-dt / _STRIDE_LAG))
    rate = np.minimum(speed / np.maximum(stride, 1e-3), _FASTEST)
    return GaitState(fresh.ids, (phase + rate * dt) % 1.0, stride, _course(state, course))


def leg_positions(state: CrowdState, gait: GaitState, seed: int = 0, height: float = 0.25) -> FloatArray:
    """Where a horizontal plane cuts the legs.

    Args:
        state: the crowd.
        gait: its gait.
        seed: the same as the renderer's (body heights).
        height: of the plane above the floor [m].

    Returns:
        (N, 2, 2) world x, y [m] of the left and the right leg; also for absent people.
    """
    phase, stride, course = _matched(gait, new_gait(state))
    joints = _legs(phase, stride, course - state.headings, looks(state.ids, seed))
    knee, ankle = joints[1], joints[2]
    z = np.clip(height, ankle[..., 2], knee[..., 2])
    share = ((z - ankle[..., 2]) / np.maximum(knee[..., 2] - ankle[..., 2], 1e-6))[..., None]
    local = ankle[..., :2] + share * (knee[..., :2] - ankle[..., :2])
    c, s = np.cos(state.headings)[:, None], np.sin(state.headings)[:, None]
    turned = np.stack([c * local[..., 0] - s * local[..., 1], s * local[..., 0] + c * local[..., 1]], axis=-1)
    return turned + np.asarray(state.positions)[:, None, :]


def figure_transforms(
    state: CrowdState, gait: GaitState | None = None, time: float = 0.0, seed: int = 0
) -> FloatArray:
    """(N, 14, 4, 4) world transforms of `LINKS`: origin at the middle of a link, z along its bone.

    Args:
        state: the crowd; absent people are posed too.
        gait: its gait, None for standing still.
        time: simulated time [s], for breathing, looking around and gestures.
        seed: looks of the people.
    """
    body = looks(state.ids, seed)
    fresh = new_gait(state)
    if gait is None:
        fresh = GaitState(fresh.ids, fresh.phase, np.zeros_like(fresh.stride), fresh.course)
    phase, stride, course = _matched(gait, fresh) if gait else (fresh.phase, fresh.stride, fresh.course)
    starts, ends, aheads = _bones(phase, stride, course - state.headings, state, body, time)
    links = _between(starts, ends, aheads)
    return np.matmul(_world(state)[:, None], links)


def _stride_at(speed: FloatArray) -> FloatArray:
    return _STRIDE * np.sqrt(np.minimum(speed, 2.5))


def _course(state: CrowdState, before: FloatArray) -> FloatArray:
    velocity = np.asarray(state.velocities)
    moving = np.linalg.norm(velocity, axis=1) > 0.05
    return np.where(moving, np.arctan2(velocity[:, 1], velocity[:, 0]), before)


def _matched(gait: GaitState, fresh: GaitState) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Phase, stride and course in the order of `fresh.ids`; newcomers keep the fresh values."""
    if np.array_equal(gait.ids, fresh.ids):
        return gait.phase, gait.stride, gait.course
    order = np.argsort(gait.ids)
    if len(order) == 0:
        return fresh.phase, fresh.stride, fresh.course
    slot = order[np.clip(np.searchsorted(gait.ids[order], fresh.ids), 0, len(order) - 1)]
    known = gait.ids[slot] == fresh.ids
    phase = np.where(known, gait.phase[slot], fresh.phase)
    stride = np.where(known, gait.stride[slot], fresh.stride)
    return phase, stride, np.where(known, gait.course[slot], fresh.course)


def _legs(
    phase: FloatArray, stride: FloatArray, bearing: FloatArray, body: Looks
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Hip, knee, ankle and ball of the foot, each (N, 2 legs, 3) in the body frame."""
    n, tall = len(phase), body.height[:, None]
    p = (phase[:, None] + np.array([0.0, 0.5])) % 1.0
    vigour = np.clip(stride, 0.0, 1.2)[:, None] / 1.2
    swing = np.clip((p - _STANCE) / (1.0 - _STANCE), 0.0, 1.0)
    reach = _STANCE * stride[:, None]
    eased = swing - np.sin(2.0 * np.pi * swing) / (2.0 * np.pi)
    along = np.where(p < _STANCE, reach / 2.0 - p * stride[:, None], reach * (eased - 0.5))
    along = along - 0.05 * vigour + 0.075 * tall  # the ball is ahead of the ankle
    pitch = _foot_pitch(p, swing) * vigour
    ball = np.empty((n, 2, 3))
    # Walking narrows the stance; sideways steps must not cross the legs.
    apart = body.hip * (1.0 - 0.35 * vigour[:, 0] * np.abs(np.cos(bearing)))
    step = along - 0.075 * tall
    ball[..., 0] = step * np.cos(bearing)[:, None] + 0.075 * tall
    ball[..., 1] = step * np.sin(bearing)[:, None] + apart[:, None] * _LEG_SIDES
    ball[..., 2] = 0.07 * vigour * np.sin(np.pi * swing) + 0.10 * tall * np.maximum(-np.sin(pitch), 0.0)
    ankle = ball.copy()
    ankle[..., 0] += tall * (-0.075 * np.cos(pitch) + 0.042 * np.sin(pitch))
    ankle[..., 2] += tall * (0.075 * np.sin(pitch) + 0.042 * np.cos(pitch))
    hip = np.zeros((n, 2, 3))
    hip[..., 1] = body.hip[:, None] * _LEG_SIDES
    bob = 0.024 * np.cos(4.0 * np.pi * (phase - 0.04))  # lowest when both feet are down
    hip[..., 2] = (body.height * (0.5205 - 0.014 * vigour[:, 0]) - bob * vigour[:, 0])[:, None]
    return hip, _knee(hip, ankle, 0.245 * tall, 0.235 * tall), ankle, ball


def _foot_pitch(p: FloatArray, swing: FloatArray) -> FloatArray:
    """Pitch [rad, toes down positive]: heel strike, flat, heel off, and back in the air."""
    strike = -0.35 * np.clip(1.0 - p / 0.1, 0.0, 1.0)
    off = 0.75 * np.clip((p / _STANCE - 0.55) / 0.45, 0.0, 1.0) ** 1.5
    air = 0.2 + 0.55 * np.cos(np.pi * swing)
    return np.where(p < _STANCE, strike + off, air)


def _knee(hip: FloatArray, ankle: FloatArray, thigh: FloatArray, shin: FloatArray) -> FloatArray:
    """Knee by the law of cosines, bent towards +x."""
    line = ankle - hip
    length = np.linalg.norm(line, axis=-1)
    unit = line / length[..., None]
    length = np.clip(length, 0.4 * (thigh + shin), 0.999 * (thigh + shin))
    a = (thigh**2 - shin**2 + length**2) / (2.0 * length)
    b = np.sqrt(np.maximum(thigh**2 - a**2, 0.0))
    front = np.array([1.0, 0.0, 0.0]) - unit * unit[..., :1]
    front /= np.maximum(np.linalg.norm(front, axis=-1, keepdims=True), 1e-9)
    return hip + unit * a[..., None] + front * b[..., None]


def _bones(
    phase: FloatArray, stride: FloatArray, bearing: FloatArray, state: CrowdState, body: Looks, time: float
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Start and end of all links and the way their x axis looks, each (N, 14, 3), body frame."""
    n, tall = len(phase), body.height
    vigour = np.clip(stride, 0.0, 1.2) / 1.2
    rest = 1.0 - np.clip(stride / 0.4, 0.0, 1.0)
    hip, knee, ankle, ball = _legs(phase, stride, bearing, body)
    start, end = np.zeros((n, 14, 3)), np.zeros((n, 14, 3))
    ahead = np.broadcast_to([1.0, 0.0, 0.0], (n, 14, 3)).copy()

    beat = 2.0 * np.pi * (0.13 + 0.05 * body.temper) * time + 7.0 * body.temper
    sway = 0.012 * rest * np.sin(beat) + 0.018 * vigour * np.sin(2.0 * np.pi * phase)
    lean = 0.02 + 0.05 * vigour
    waist = hip.mean(axis=1)
    chest = waist + np.stack([tall * 0.30 * np.sin(lean), sway, tall * 0.30 * np.cos(lean)], axis=1)
    start[:, 0], end[:, 0] = waist + 0.09 * _UP, waist - 0.03 * _UP
    start[:, 1], end[:, 1] = chest, waist + 0.06 * _UP
    twist = (
        0.16 * vigour * np.cos(2.0 * np.pi * phase)
    )  # the left shoulder goes back with the left foot ahead
    ahead[:, 1] = np.stack([np.cos(twist), -np.sin(twist), 0.0 * twist], axis=1)

    gaze = 0.55 * rest * np.sin(0.37 * beat + 3.0 * body.temper) + 0.08 * np.sin(0.7 * beat)
    nod = 0.10 + body.phone * 0.35 * rest
    neck = chest + np.stack([0.0 * sway, 0.0 * sway, 0.012 * tall], axis=1)
    crown = neck + np.stack(
        [tall * 0.135 * np.sin(nod * 0.5), 0.0 * sway, tall * 0.135 * np.cos(nod * 0.5)], axis=1
    )
    for link in (2, 3):
        start[:, link], end[:, link] = crown, neck
        ahead[:, link] = np.stack([np.cos(gaze) * np.cos(nod), np.sin(gaze), -np.sin(nod)], axis=1)

    _arms(start, end, ahead, phase, vigour, rest, chest, twist, state, body, beat)
    start[:, 8:10], end[:, 8:10] = hip, knee
    start[:, 10:12], end[:, 10:12] = knee, ankle
    start[:, 12:14] = ball + 0.45 * (ball - ankle) * [1.0, 1.0, 0.0]
    end[:, 12:14] = ankle
    return start, end, ahead


def _arms(
    start: FloatArray, end: FloatArray, ahead: FloatArray, phase: FloatArray, vigour: FloatArray,
    rest: FloatArray, chest: FloatArray, twist: FloatArray, state: CrowdState, body: Looks, beat: FloatArray,
) -> None:  # fmt: skip
    """Fill in the arms: swinging against the legs, or a phone or gestures when standing."""
    tall = body.height
    talking = rest * (np.asarray(state.groups) >= 0)
    for side, upper, lower in ((1.0, 4, 6), (-1.0, 5, 7)):
        swing = -side * 0.45 * vigour * np.cos(2.0 * np.pi * phase)
        gesture = (
            talking * (0.5 + 0.5 * np.sin(3.1 * beat + side)) * (body.temper if side > 0 else 1 - body.temper)
        )
        holds = body.phone * rest if side < 0 else 0.0 * rest
        raise_ = swing + 0.35 * gesture + 0.55 * holds
        bend = 0.25 + 0.35 * vigour + 1.1 * gesture + 1.45 * holds
        inward = 0.15 * gesture + 0.35 * holds
        shoulder = chest + np.stack(
            [-np.sin(twist) * side * body.shoulder, np.cos(twist) * side * body.shoulder, -0.035 * tall],
            axis=1,
        )
        out = side * 0.14 * (1.0 - holds)
        elbow = shoulder + _limb(0.175 * tall, raise_ - 0.06, out)
        hand = elbow + _limb(0.165 * tall, raise_ + bend - 0.06, side * (0.04 - inward))
        start[:, upper], end[:, upper] = shoulder, elbow
        start[:, lower], end[:, lower] = elbow, hand
        ahead[:, lower] = ahead[:, upper] = np.array([1.0, 0.0, 0.05])


def _limb(length: FloatArray, angle: FloatArray, out: FloatArray) -> FloatArray:
    """(N, 3) vector hanging down, raised forward by `angle` and sideways by `out` [rad]."""
    flat = np.cos(out)
    return length[:, None] * np.stack([np.sin(angle) * flat, np.sin(out), -np.cos(angle) * flat], axis=1)


def _between(start: FloatArray, end: FloatArray, ahead: FloatArray) -> FloatArray:
    """(..., 4, 4) frames in the middle of segments, z from end to start, x as near `ahead` as can be."""
    z = start - end
    z = z / np.maximum(np.linalg.norm(z, axis=-1, keepdims=True), 1e-9)
    y = np.cross(z, ahead)
    y = y / np.maximum(np.linalg.norm(y, axis=-1, keepdims=True), 1e-9)
    out = np.zeros((*start.shape[:-1], 4, 4))
    out[..., :3, 0], out[..., :3, 1], out[..., :3, 2] = np.cross(y, z), y, z
    out[..., :3, 3] = (start + end) / 2.0
    out[..., 3, 3] = 1.0
    return out


def _world(state: CrowdState) -> FloatArray:
    """(N, 4, 4) body frames in the world."""
    out = np.zeros((len(state.ids), 4, 4))
    c, s = np.cos(state.headings), np.sin(state.headings)
    out[:, 0, 0], out[:, 0, 1], out[:, 1, 0], out[:, 1, 1] = c, -s, s, c
    out[:, 2, 2] = out[:, 3, 3] = 1.0
    out[:, :2, 3] = state.positions
    return out
