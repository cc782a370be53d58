"""Model-predictive path integral control among people that move.

MPPI (Williams et al., "Information-theoretic MPC", ICRA 2017) with the informed samples of Biased-MPPI
(Trevisan & Alonso-Mora, RA-L 2024): besides noise around the last plan, every call also tries standing
still, turning on the spot and pure pursuits that differ in side, speed and waiting time, and noise
around those. Where a trajectory was chosen, it is tracked in time, and its own commands and those that
close the gap to it are tried too. The average is taken within the best sample's neighbourhood, since the
mean of "left of her" and "right of her" is neither.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from lifelong_nav.control.approach import Approach, ApproachConfig
from lifelong_nav.control.costs import (
    CostConfig,
    Motion,
    effort_terms,
    obstacle_terms,
    path_terms,
    people_terms,
    people_times,
    track_terms,
)
from lifelong_nav.control.path import PathWindow, window
from lifelong_nav.control.pursuit import Limits, follow
from lifelong_nav.control.reference import Reference, ReferenceConfig, reference_at, track_commands
from lifelong_nav.control.social import Forecast, SocialConfig, forecast
from lifelong_nav.control.unicycle import MotionModel, MotionState, Unicycle
from lifelong_nav.core.config import param
from lifelong_nav.core.distance import DistanceField
from lifelong_nav.core.errors import InputError
from lifelong_nav.core.types import FloatArray, People, PeopleForecast, Pose2, Trajectory, Twist2

_OFFSETS = np.array([0, 0, 0, 0.45, -0.45, 0.9, -0.9, 1.4, -1.4, 2.0, -2.0, 0.6, -0.6, 0, 0, 0])
_SCALES = np.array([1, 0.6, 0.3, 1, 1, 1, 1, 1, 1, 1, 1, 0.5, 0.5, 1, 1, 1])
_WAITS = np.array([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0.6, 1.2, 2.0])


@dataclass(frozen=True)
class MppiConfig:
    """Parameters of `Mppi`."""

    samples: int = param(448, "", 64, 10000, "Command sequences tried per plan.")
    samples_tracking: int = param(320, "", 64, 10000, "The same where a reference shows the way.")
    steps: int = param(30, "", 5, 200, "Steps of the horizon.")
    dt: float = param(0.1, "s", 0.02, 0.5, "Length of one step.")
    stride: int = param(2, "", 1, 10, "People are looked at every so many steps.")
    knots: int = param(7, "", 2, 50, "Noise is drawn at so many times and interpolated between.")
    noise_v: float = param(0.25, "m/s", 0.0, 2.0, "Standard deviation of the speed noise.")
    noise_w: float = param(0.55, "rad/s", 0.0, 5.0, "Standard deviation of the yaw rate noise.")
    informed: float = param(0.4, "", 0.0, 0.9, "Share of noisy samples drawn around the pursuits.")
    elite: float = param(0.04, "", 0.001, 0.5, "Share of samples that the temperature lets count.")
    mode_width: float = param(0.35, "m", 0.01, 10.0, "Samples that end this near the best are averaged.")
    radius: float = param(0.27, "m", 0.05, 1.0, "Radius of the base.")
    margin: float = param(0.06, "m", 0.0, 0.5, "Added to the radius against obstacles.")
    max_speed: float = param(0.8, "m/s", 0.05, 3.0, "Fastest forward speed planned.")
    max_reverse: float = param(0.15, "m/s", 0.0, 1.0, "Fastest backward speed planned.")
    max_yaw_rate: float = param(1.5, "rad/s", 0.1, 5.0, "Fastest turn planned.")
    accel: float = param(1.0, "m/s^2", 0.05, 10.0, "Acceleration that the pursuits count on.")


@dataclass(frozen=True)
class Problem:
    """What one plan starts from; everything in one frame (`frame_id`, usually odom).

    `path` (M, 2 or more) x, y [m]; a single point asks for the straight way. `goal` is where to stop, with
    NaN yaw for "any"; None when the path goes on beyond its end. `speed` [m/s] is the speed to travel at.
    `reference` is the chosen trajectory, tracked in time while it is fresh; the path's costs recede for it.
    `forecast` says in which ways people may go on; whom it does not know walks on as tracked.
    """

    stamp: float
    pose: Pose2
    twist: Twist2
    path: FloatArray
    goal: Pose2 | None = None
    people: People | None = None
    field: DistanceField | None = None
    speed: float = 0.8
    frame_id: str = "odom"
    reference: Trajectory | None = None
    forecast: PeopleForecast | None = None


@dataclass(frozen=True)
class Plan:
    """What to do now and what is expected to follow.

    `costs` by term for the plan chosen; `feasible` False when even the best plan hits something (the
    command then brakes); `reached` when the robot stands at the goal; `effective` is the effective
    number of samples averaged.
    """

    command: Twist2
    trajectory: Trajectory
    costs: dict[str, float] = field(default_factory=dict)
    feasible: bool = True
    reached: bool = False
    effective: float = 0.0


@dataclass(frozen=True, slots=True)
class _Scene:
    """A problem made ready: the way, the people and the reference relative to the robot, and the speed."""

    problem: Problem
    way: PathWindow
    people: Forecast | None
    reference: Reference | None
    speed: float


class Mppi:
    """The controller. Deterministic given its seed and the problems it was handed, in order."""

    def __init__(
        self,
        config: MppiConfig | None = None,
        costs: CostConfig | None = None,
        social: SocialConfig | None = None,
        approach: ApproachConfig | None = None,
        model: MotionModel | None = None,
        seed: int = 0,
        reference: ReferenceConfig | None = None,
    ) -> None:
        self.config = config or MppiConfig()
        self.costs = costs or CostConfig()
        self.social = social or SocialConfig()
        self.model: MotionModel = model or Unicycle()
        self.reference = reference or ReferenceConfig()
        self._approach = Approach(approach)
        self._seed = seed
        c = self.config
        self._times = (np.arange(1, c.steps + 1) * c.dt).astype(np.float32)
        self._spread = _interpolation(c.steps, c.knots)
        self.reset()

    def reset(self) -> None:
        """Start afresh: no warm start, the seed's first noise."""
        self._rng = np.random.Generator(np.random.SFC64(self._seed))
        self._nominal = np.zeros((self.config.steps, 2), np.float32)
        self._stamp: float | None = None
        self._sent = Twist2()

    def plan(self, problem: Problem) -> Plan:
        """Plan from `problem`.

        Raises:
            InputError: path, pose or twist is not finite or misshapen.
        """
        _check(problem)
        c = self.config
        self._shift(problem.stamp)
        if problem.goal is not None:
            ending, reached = self._approach.step(problem.pose, problem.twist, problem.goal)
            if ending is not None:
                return self._finish(problem, ending, reached)
        speed = float(np.clip(problem.speed, 0.05, c.max_speed))
        origin = problem.pose.xy
        way = window(problem.path, origin, ahead=speed * c.steps * c.dt + 2.0)
        if problem.goal is None and way.final:
            way = _open_ended(way)
        ref = reference_at(problem.reference, problem.stamp, problem.pose, self._times, self.reference)
        scene = _Scene(problem, way, self._forecast(problem, speed), ref, speed)
        state = MotionState(Pose2(0.0, 0.0, problem.pose.yaw), problem.twist, self._sent)
        commands = self._sample(scene)
        motion = self._roll(state, commands)
        terms, _, _ = self._evaluate(motion, commands, scene)
        total = np.sum(list(terms.values()), axis=0)
        total[~np.isfinite(total)] = np.float32(1e12)
        best = int(np.argmin(total))
        weights = self._weights(total, motion, best)
        mean = np.einsum("k,itk->it", weights, commands)
        # The average of good plans is usually better still, but not always: look before choosing it.
        pair = np.stack([mean, commands[:, :, best]], axis=-1)
        motion2 = self._roll(state, pair)
        terms2, gap2, soon2 = self._evaluate(motion2, pair, scene)
        sums = np.sum(list(terms2.values()), axis=0)
        k = int(np.argmin(sums))
        feasible = bool(gap2[k] >= c.radius and not soon2[k])
        self._nominal = pair[:, :, k].T.astype(np.float32)
        command = Twist2(float(pair[0, 0, k]), 0.0, float(pair[1, 0, k]))
        if gap2[k] < c.radius:
            command = Twist2(0.0, 0.0, 0.0)
            self._nominal[:] = 0.0
        self._sent = command
        return Plan(
            command,
            _trajectory(problem, motion2, k),
            {name: float(value[k]) for name, value in terms2.items()},
            feasible,
            False,
            float(1.0 / np.square(weights).sum()),
        )

    def sent(self, command: Twist2) -> None:
        """Tell the controller what was really sent last, where that differs from its plan."""
        self._sent = command

    def _shift(self, stamp: float) -> None:
        """Move the last plan up by the time gone since it was made."""
        if self._stamp is not None:
            gone = stamp - self._stamp
            if gone < 0.0 or gone > self.config.dt * self.config.steps:
                self._nominal[:] = 0.0
            else:
                grid = np.arange(self.config.steps)
                for axis in range(2):
                    now = np.interp(grid + gone / self.config.dt, grid, self._nominal[:, axis])
                    self._nominal[:, axis] = now
        self._stamp = stamp

    def _forecast(self, problem: Problem, speed: float) -> Forecast | None:
        c, modes = self.config, problem.forecast
        modes_age = problem.stamp - modes.stamp if modes is not None else 0.0
        if not 0.0 <= modes_age <= 1.0:
            modes = None  # older than this, walking straight on is the better guess
        if not (problem.people or modes):
            return None
        age = problem.stamp - problem.people.stamp if problem.people is not None else 0.0
        times = people_times(self._times, c.stride, speed)
        found = forecast(
            problem.people, problem.pose.xy, float(np.clip(age, 0.0, 1.0)), times, speed * c.steps * c.dt,
            self.social, modes, modes_age,
        )  # fmt: skip
        return found if len(found.radii) else None

    def _sample(self, scene: _Scene) -> FloatArray:
        """(2, T, K) commands: fixed candidates first, then noise around the last plan and the informed."""
        c, problem, speed = self.config, scene.problem, scene.speed
        limits = Limits(c.max_speed, c.max_yaw_rate, c.accel)
        chase = follow(
            scene.way, problem.pose.yaw, speed, _OFFSETS, _SCALES, _WAITS, limits,
            np.arange(0, c.steps, 2) * c.dt, problem.twist.vx,
        )  # fmt: skip
        chase = np.repeat(chase, 2, axis=1)[:, : c.steps].transpose(2, 1, 0)
        informed, samples = chase, c.samples
        if scene.reference is not None:
            tracks, samples = self._tracks(scene.reference, problem), c.samples_tracking
            chase = np.concatenate([tracks, chase], axis=2)
            informed = np.concatenate([tracks, tracks, tracks, chase[:, :, 2:4]], axis=2)
        turns = np.zeros((2, c.steps, 4), np.float32)
        turns[1] = np.array([0.5, -0.5, 1.0, -1.0], np.float32) * c.max_yaw_rate * 0.7
        nominal = self._nominal.T[:, :, None]
        stop = np.zeros((2, c.steps, 1), np.float32)
        back = stop + np.array([-c.max_reverse, 0.0], np.float32)[:, None, None]
        fixed = np.concatenate([nominal, stop, chase, turns, back], axis=2)
        count = max(samples - fixed.shape[2], 1)
        around = int(count * c.informed)
        noise = self._rng.standard_normal((c.knots, 2 * count), dtype=np.float32)
        drawn = (self._spread @ noise).reshape(c.steps, 2, count).transpose(1, 0, 2)
        drawn = drawn * np.array([c.noise_v, c.noise_w], np.float32)[:, None, None]
        drawn[:, :, around:] += nominal
        drawn[:, :, :around] *= np.float32(0.6)
        drawn[:, :, :around] += informed[:, :, np.arange(around) % informed.shape[2]]
        commands = np.concatenate([fixed, drawn], axis=2)
        np.clip(commands[0], -c.max_reverse, speed, out=commands[0])
        np.clip(commands[1], -c.max_yaw_rate, c.max_yaw_rate, out=commands[1])
        return commands

    def _tracks(self, ref: Reference, problem: Problem) -> FloatArray:
        """(2, T, 2) commands: the reference's own, and those that close the gap to it."""
        c, fastest = self.config, min(problem.speed, self.config.max_speed)
        limits = (fastest, c.max_reverse, c.max_yaw_rate, c.accel, self.reference.yaw_accel)
        twist = (problem.twist.vx, problem.twist.wz)
        close = track_commands(ref, problem.pose.yaw, twist, limits, c.dt, self.reference.look)
        return np.stack([np.stack([ref.v, ref.w]), close.T], axis=2)

    def _roll(self, state: MotionState, commands: FloatArray) -> Motion:
        poses, twists = self.model.rollout(state, commands.transpose(2, 1, 0), self.config.dt)
        x, y, yaw = poses.transpose(2, 1, 0)
        v, w = twists.transpose(2, 1, 0)
        return Motion(x, y, yaw, v, w, self._times)

    def _evaluate(
        self, motion: Motion, commands: FloatArray, scene: _Scene
    ) -> tuple[dict[str, FloatArray], FloatArray, FloatArray]:
        """Cost terms (K,), least obstacle distance (K,) and contact soon (K,)."""
        c, count, problem, people = self.config, motion.x.shape[1], scene.problem, scene.people
        terms = path_terms(motion, scene.way, scene.speed, 5, self.costs)
        if scene.reference is not None:
            recede = 1.0 - (1.0 - self.costs.path_share) * scene.reference.share
            terms = {name: value if name == "goal" else recede * value for name, value in terms.items()}
            terms |= track_terms(motion, scene.reference, 2, self.costs)
        sent = np.array([self._sent.vx, self._sent.wz])
        terms |= effort_terms(motion, commands, sent, self.costs)
        gap, soon = np.full(count, np.inf, np.float32), np.zeros(count, bool)
        if problem.field is not None:
            more, gap = obstacle_terms(
                motion, problem.field, problem.pose.xy, c.radius + c.margin, self.costs
            )
            gap = gap - c.margin
            terms |= more
        if people is not None:
            more, soon = people_terms(
                motion, people, scene.way, c.stride, c.radius, scene.speed, self.social, self.costs
            )
            if scene.reference is not None:  # the reference looks farther than this does
                more["beyond"] *= 1.0 - scene.reference.share
            terms |= more
        return terms, gap, soon

    def _weights(self, total: FloatArray, motion: Motion, best: int) -> FloatArray:
        """(K,) importance weights, sum 1: softmin at an adaptive temperature, within the best's mode."""
        c = self.config
        rank = max(2, int(c.elite * len(total)))
        elite = float(np.partition(total, rank)[rank])
        low = float(total[best])
        temperature = float(np.clip(0.5 * (elite - low), 0.02, 1.0))
        weights = np.exp((low - total) / temperature)
        away = np.zeros(len(total), np.float32)
        for t in (len(motion.times) // 2, len(motion.times) - 1):
            away += np.square(motion.x[t] - motion.x[t, best]) + np.square(motion.y[t] - motion.y[t, best])
        weights *= np.exp(away / np.float32(-2.0 * c.mode_width**2))
        return (weights / weights.sum()).astype(np.float32)

    def _finish(self, problem: Problem, command: Twist2, reached: bool) -> Plan:
        """The plan while turning or standing at the goal."""
        self._nominal[:] = 0.0
        commands = np.zeros((2, self.config.steps, 1), np.float32)
        commands[1] = command.wz
        state = MotionState(Pose2(0.0, 0.0, problem.pose.yaw), problem.twist, self._sent)
        trajectory = _trajectory(problem, self._roll(state, commands), 0)
        self._sent = command
        return Plan(command, trajectory, {}, True, reached)


def _trajectory(problem: Problem, motion: Motion, k: int) -> Trajectory:
    poses = np.stack([motion.x[:, k], motion.y[:, k], motion.yaw[:, k]], axis=-1).astype(float)
    poses[:, :2] += problem.pose.xy
    twists = np.stack([motion.v[:, k], motion.w[:, k]], axis=-1).astype(float)
    return Trajectory(problem.stamp, problem.frame_id, motion.times.astype(float), poses, twists)


def _interpolation(steps: int, knots: int) -> FloatArray:
    """(steps, knots) linear interpolation whose rows keep unit variance."""
    at = np.linspace(0.0, knots - 1.0, steps)
    share = np.maximum(0.0, 1.0 - np.abs(at[:, None] - np.arange(knots)[None, :]))
    return (share / np.linalg.norm(share, axis=1, keepdims=True)).astype(np.float32)


def _open_ended(way: PathWindow) -> PathWindow:
    """The same window taken as going straight on beyond its end."""
    count = 40
    tail = way.points[-1] + way.tangents[-1] * (np.arange(1, count + 1) * way.spacing)[:, None]
    points = np.concatenate([way.points, tail]).astype(np.float32)
    tangents = np.concatenate([way.tangents, np.repeat(way.tangents[-1:], count, axis=0)])
    return PathWindow(points, tangents, way.spacing, way.start, way.end + count * way.spacing, False)


def _check(problem: Problem) -> None:
    values = np.concatenate([problem.pose.array(), problem.twist.array(), [problem.stamp, problem.speed]])
    if not np.isfinite(values).all():
        raise InputError("Pose, twist, stamp or speed is not finite.", "Check the odometry.")
    if problem.goal is not None and not np.isfinite(problem.goal.xy).all():
        raise InputError("The goal's position is not finite.", "Send a goal with finite x and y.")
