"""Cuts what a person demonstrates into moments whose expert is what the robot then really did.

Goal and route are taken from the situation where it has them. A person who steers tells neither: then the
goal is where the robot was some seconds later, and the route the way there without its smaller bends, so
that bends around people are what is left to learn.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, replace

import numpy as np

from lifelong_nav.core.geometry import wrap
from lifelong_nav.core.types import FloatArray, Pose2
from lifelong_nav.trajectory.generator.features import features
from lifelong_nav.trajectory.generator.heads import KNOT, KNOTS
from lifelong_nav.trajectory.generator.moments import Moments, expert_ahead, moment
from lifelong_nav.trajectory.lifelong.config import RecorderConfig
from lifelong_nav.trajectory.situation import HORIZON, Situation


@dataclass(frozen=True)
class Refusals:
    """How often a demonstration was cut short or left out, by reason."""

    counts: dict[str, int]

    def add(self, reason: str) -> None:
        """One more."""
        self.counts[reason] = self.counts.get(reason, 0) + 1


class DemonstrationRecorder:
    """Collects situations while somebody demonstrates; hands out moments once their future is known.

    Args:
        space: caption space of the network; contexts of another one count as unknown.
        config: parameters.
    """

    def __init__(self, space: str | None = None, config: RecorderConfig | None = None) -> None:
        self.space, self.config = space, config or RecorderConfig()
        self.refused = Refusals({})
        self._run: list[Situation] = []
        self._next = 0.0  # stamp of the next moment to cut
        self._begun = 0.0  # when the present episode began
        self._where = ""  # where it began: stamps of simulators and bags repeat

    @property
    def active(self) -> bool:
        """Is a demonstration being recorded?"""
        return bool(self._run)

    def observe(
        self, situation: Situation, demonstrating: bool = True, localised: bool = True
    ) -> list[Moments]:
        """Take in the situation as it is now.

        Args:
            situation: `route` may be empty and `goal` not finite, when nobody knows them.
            demonstrating: is a person steering (or a bag of that being replayed)?
            localised: can the pose be trusted?

        Returns:
            Moments that are complete, each of length one.
        """
        if not demonstrating:
            return self.finish()
        reason = self._fault(situation, localised)
        if reason == "contact":  # nothing that led to it is worth learning
            self.refused.add(reason)
            keep = [s for s in self._run if s.stamp < situation.stamp - HORIZON]
            self._run = keep
            return self.finish(cut=situation.stamp - HORIZON)
        if reason:
            self.refused.add(reason)
            done = self.finish()
            if reason in ("not localised", "not finite", "speed"):
                return done
            self._start(situation)
            return done
        if not self._run:
            self._start(situation)
            return []
        if situation.stamp - self._run[-1].stamp < self.config.period - 1e-6:
            return []
        self._run.append(situation)
        return self._cut(situation.stamp - self.config.hindsight)

    def finish(self, cut: float = np.inf) -> list[Moments]:
        """End the demonstration: moments before `cut` [s] whose future is known well enough."""
        done = self._cut(cut) if self._run else []
        self._run = []
        return done

    def _start(self, situation: Situation) -> None:
        self._run = [situation]
        self._next = self._begun = situation.stamp
        self._where = f"{situation.pose.x:.3f} {situation.pose.y:.3f}"

    def _fault(self, situation: Situation, localised: bool) -> str:
        """Why the demonstration cannot go on with this situation, empty when it can."""
        c, pose, twist = self.config, situation.pose, situation.twist
        values = (situation.stamp, *pose.array(), *twist.array())
        people = situation.people
        if not np.isfinite(values).all() or not np.isfinite(people.positions()).all():
            return "not finite"
        if not localised:
            return "not localised"
        if abs(twist.vx) > c.max_speed or abs(twist.wz) > c.max_yaw_rate:
            return "speed"
        if len(people):
            gap = np.hypot(*(people.positions() - pose.xy).T) - people.radii() - situation.robot_radius
            if gap.min() < c.contact:
                return "contact"
        if not self._run:
            return ""
        last = self._run[-1]
        dt = situation.stamp - last.stamp
        if not 0.0 < dt <= c.max_gap:
            return "gap" if dt > 0.0 else "time went back"
        moved = float(np.hypot(pose.x - last.pose.x, pose.y - last.pose.y))
        turned = abs(float(wrap(pose.yaw - last.pose.yaw)))
        fastest = max(abs(twist.vx), abs(last.twist.vx))
        turning = max(abs(twist.wz), abs(last.twist.wz))
        if moved > fastest * dt + c.jump or turned > turning * dt + 2.0 * c.jump:
            return "jump"
        return ""

    def _cut(self, until: float) -> list[Moments]:
        """Moments up to a stamp; situations no longer needed are dropped."""
        times = np.array([s.stamp for s in self._run])
        poses = np.array([s.pose.array() for s in self._run])
        done: list[Moments] = []
        for k, situation in enumerate(self._run):
            if situation.stamp > until or situation.stamp < self._next - 1e-6:
                continue
            self._next = situation.stamp + self.config.stride
            if situation.stamp - self._begun > self.config.episode:  # a pause keeps episodes apart
                self._begun = situation.stamp + 0.5 * HORIZON
            if situation.stamp < self._begun:
                continue
            made = self._moment(k, times, poses)
            if made is not None:
                done.append(made)
        self._run = [s for s in self._run if s.stamp >= min(until, times[-1])] or self._run[-1:]
        return done

    def _moment(self, k: int, times: FloatArray, poses: FloatArray) -> Moments | None:
        c, situation = self.config, self._run[k]
        ahead, valid = expert_ahead(times, poses, float(times[k]), KNOT * np.arange(1, KNOTS + 1))
        if valid.sum() * KNOT < c.least_future - 1e-6:
            self.refused.add("too short")
            return None
        known = ahead[valid > 0]
        if float(np.hypot(known[:, 0], known[:, 1]).max()) < c.least_way:
            self.refused.add("hardly moves")
            return None
        told = with_way(situation, times[k:], poses[k:], c)
        episode = zlib.crc32(f"{self._begun:.3f} {self._where}".encode())
        return moment(features(told, self.space), ahead, valid, episode, situation.stamp)


def with_way(situation: Situation, times: FloatArray, poses: FloatArray, config: RecorderConfig) -> Situation:
    """The situation with a route and goal: its own, or in hindsight those of the way driven then.

    Args:
        situation: a moment of the drive.
        times: (T,) from the moment on [s].
        poses: (T, 3) at these times.
        config: parameters.
    """
    speed = situation.speed if np.isfinite(situation.speed) and situation.speed > 0.0 else config.speed
    route = np.asarray(situation.route, dtype=float).reshape(-1, 2)
    if len(route) >= 2 and np.isfinite(route).all() and np.isfinite(situation.goal.xy).all():
        return replace(situation, speed=speed)
    rows = times <= times[0] + config.hindsight + 1e-6
    points = simplified(poses[rows, :2], config.simplify)
    if len(points) < 2 or np.hypot(*(points[-1] - points[0])) < 1e-3:
        points = np.stack([poses[0, :2], poses[0, :2] + 1e-3])
    end = points[-1]
    return replace(
        situation, route=points, goal=Pose2(float(end[0]), float(end[1]), float("nan")), speed=speed
    )


def simplified(points: FloatArray, tolerance: float) -> FloatArray:
    """A polyline (M, 2) with fewer corners, nowhere farther than `tolerance` [m] away (Douglas-Peucker)."""
    if len(points) <= 2:
        return points
    a, b = points[0], points[-1]
    along = b - a
    length = float(np.hypot(*along))
    rest = points - a
    if length < 1e-9:
        off = np.hypot(rest[:, 0], rest[:, 1])
    else:
        share = np.clip(rest @ along / length**2, 0.0, 1.0)
        off = np.hypot(*(rest - share[:, None] * along).T)
    k = int(off.argmax())
    if off[k] <= tolerance:
        return np.stack([a, b])
    return np.concatenate([simplified(points[: k + 1], tolerance)[:-1], simplified(points[k:], tolerance)])
