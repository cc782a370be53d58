"""MPPI (Williams et al. 2017) as Nav2 drives it: people are obstacles where they are now."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from lifelong_nav.control.local_field import field_from_mask
from lifelong_nav.control.unicycle import integrate, rate_limit
from lifelong_nav.core.distance import DistanceField
from lifelong_nav.core.types import FloatArray, Twist2
from lifelong_nav.evaluation.social.baselines import mppi_critics as critics
from lifelong_nav.evaluation.social.baselines.nav2_replan import Replanner
from lifelong_nav.evaluation.social.baselines.obstacles import RESOLUTION, Walls, scan_points
from lifelong_nav.evaluation.social.baselines.route import (
    RouteFollower,
    resampled,
)
from lifelong_nav.evaluation.social.planner import BODY, PERIOD, Observation

_SMOOTH = np.array([-21, 14, 39, 54, 59, 54, 39, 14, -21]) / 231.0
"""Savitzky-Golay filter of order 2 over 9 controls, as in Nav2's optimizer."""


class Nav2MppiPlanner(RouteFollower):
    """Nav2's MPPI: parameters of nav2_bringup but for the body's limits and a path as long as the horizon.

    The local costmap holds the known walls, the scan, and tracked people as discs where they are now,
    inflated as Nav2 does. A route is planned anew every second with people in it. Where every rollout
    collides it stops, and backs off or turns as Nav2's recoveries would. Two updates for each command at
    10 Hz are as many as Nav2 makes at 20 Hz.

    Critics have Nav2's weights. `gamma` is a third of Nav2's: with its own, set for 0.5 m/s, the robot does
    not get beyond 0.5 m/s. Success .93 in 60 runs of the training half.
    """

    wants_scan = True
    steps, dt, batch, iterations = 56, 0.05, 1000, 2
    std_v, std_w = 0.2, 0.4
    temperature, gamma = 0.3, 0.005
    inflation, scaling = 0.7, 3.0
    accel, yaw_accel = 3.0, 3.5
    prune = 2.7
    size = 6.0
    replans = True
    history: NDArray[np.float32]
    sequence: NDArray[np.float32]

    def reset(self, goal: FloatArray, speed: float, seed: int) -> None:
        """See `Planner.reset`."""
        super().reset(goal, speed, seed)
        rng = np.random.default_rng(seed)
        self.walls = Walls()
        self.replanner = Replanner() if self.replans else None
        # as in Nav2 (regenerate_noises: false) one set of noise serves the whole run
        shape = (2, self.steps, self.batch)
        scale = np.array([self.std_v, self.std_w], np.float32)[:, None, None]
        self.noise = rng.standard_normal(shape, dtype=np.float32) * scale
        self._forget()

    def command(self, observation: Observation) -> Twist2:
        """See `Planner.command`."""
        o = observation
        if self.replanner is not None:
            route = self.replanner.route(o, self.goal, self.walls.field(o.walls))
            o = replace(o, route=np.append(route, self.goal[None], axis=0))
        self.aim(o)
        rest = resampled(self.carrot.rest(), 0.05)
        field = self._obstacles(o)
        costs = critics.inflated(field, o.robot_radius, self.inflation, self.scaling)
        for _ in range(self.iterations):
            for _ in range(2):
                controls, rollouts = self._sample(o)
                total, collides = self._score(o, controls, rollouts, rest, costs)
                if not collides.all():
                    break
                self._forget()
            else:
                return self._recover(o, field)
            self._update(o, controls, total)
        return self._send()

    def _sample(self, o: Observation) -> tuple[NDArray[np.float32], critics.Rollouts]:
        """Controls (2, T, K) around the last solution within the accelerations, and where they lead."""
        controls = self.sequence[:, :, None] + self.noise
        for axis, limit, start in ((0, self.accel, o.twist.vx), (1, self.yaw_accel, o.twist.wz)):
            rate_limit(controls[axis], start, limit * self.dt, controls[axis])
        x, y, yaw = integrate(controls, o.pose, self.dt)
        return controls, critics.Rollouts(x, y, yaw, controls[0], self.dt)

    def _score(
        self, o: Observation, controls: NDArray[np.float32], r: critics.Rollouts, rest: FloatArray,
        costs: DistanceField,
    ) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:  # fmt: skip
        ref = critics.reference(rest, self.goal, r, costs, self.prune)
        total, collides = critics.cost(r, costs, near_goal=ref.left < 1.0)
        total = total + critics.constraint(r, self.speed, -BODY.max_reverse)
        total = total + critics.goal(r, ref) + critics.path_align(r, ref) + critics.path_follow(r, ref)
        total = total + critics.path_angle(r, ref, o.pose) + critics.prefer_forward(r, ref)
        for axis, std in ((0, self.std_v), (1, self.std_w)):
            change = controls[axis] - self.sequence[axis][:, None]
            total = total + self.gamma / std**2 * (self.sequence[axis] @ change)
        return total, collides

    def _update(self, o: Observation, controls: NDArray[np.float32], total: NDArray[np.float32]) -> None:
        weights = np.exp((total.min() - total) / self.temperature).astype(np.float32)
        best = controls @ (weights / weights.sum())  # (2, T)
        self.sequence = self._smoothed(self._limited(best, o.twist))

    def _send(self) -> Twist2:
        v, w = (float(a[1]) for a in self.sequence)
        self.history = np.concatenate([self.history[:, 1:], self.sequence[:, 1:2]], axis=1)
        shift = round(PERIOD / self.dt)
        self.sequence = np.concatenate(
            [self.sequence[:, shift:], np.repeat(self.sequence[:, -1:], shift, axis=1)], axis=1
        )
        return Twist2(v, 0.0, w)

    def _limited(self, sequence: NDArray[np.float32], twist: Twist2) -> NDArray[np.float32]:
        out = np.empty_like(sequence)
        low, high = (-BODY.max_reverse, -BODY.max_yaw_rate), (self.speed, BODY.max_yaw_rate)
        for axis, limit, start in ((0, self.accel, twist.vx), (1, self.yaw_accel, twist.wz)):
            wanted = np.clip(sequence[axis], low[axis], high[axis])[:, None]
            rate_limit(wanted, start, limit * self.dt, out[axis][:, None])
        return out

    def _smoothed(self, sequence: NDArray[np.float32]) -> NDArray[np.float32]:
        padded = np.concatenate([self.history, sequence, np.repeat(sequence[:, -1:], 4, axis=1)], axis=1)
        rows = [np.convolve(row, _SMOOTH, mode="valid") for row in padded]
        return np.array(rows, dtype=np.float32)

    def _obstacles(self, o: Observation) -> DistanceField:
        """Distance to walls, scan points and people, on a square around the robot."""
        cells = round(self.size / RESOLUTION)
        low = np.floor((o.pose.xy - 0.5 * self.size) / RESOLUTION) * RESOLUTION
        mask = np.zeros((cells, cells), dtype=np.uint8)
        points = scan_points(o, 0.5 * self.size)
        column, row = ((points - low) / RESOLUTION).astype(np.intp).T
        inside = (column >= 0) & (column < cells) & (row >= 0) & (row < cells)
        mask[row[inside], column[inside]] = 1
        for p in o.people.people:
            centre = (round((p.x - low[0]) / RESOLUTION - 0.5), round((p.y - low[1]) / RESOLUTION - 0.5))
            cv2.circle(mask, centre, max(1, round(p.radius / RESOLUTION)), 1, thickness=-1)
        field = field_from_mask(mask.astype(bool), RESOLUTION, (float(low[0]), float(low[1])))
        middle = (np.arange(cells) + 0.5) * RESOLUTION
        x, y = np.meshgrid(low[0] + middle, low[1] + middle)
        walls = self.walls.field(o.walls).at(x, y)
        return DistanceField(np.minimum(field.distance, walls), RESOLUTION, field.origin, 0.0)

    def _recover(self, o: Observation, field: DistanceField) -> Twist2:
        """Back off or go on slowly where that leads away from obstacles, else turn towards the route."""
        ahead = 0.25 * np.array([np.cos(o.pose.yaw), np.sin(o.pose.yaw)])
        x, y = o.pose.xy[:, None] + ahead[:, None] * np.array([0.0, 1.0, -1.0])
        here, front, back = field.at_smooth(x, y)
        if max(front, back) > here + 0.02:
            return Twist2(0.3 * self.speed if front >= back else -BODY.max_reverse, 0.0, 0.0)
        to = self.aim(o) - o.pose.xy
        error = (np.arctan2(to[1], to[0]) - o.pose.yaw + np.pi) % (2.0 * np.pi) - np.pi
        return Twist2(0.0, 0.0, float(np.clip(error, -0.6, 0.6)))

    def _forget(self) -> None:
        self.sequence = np.zeros((2, self.steps), np.float32)
        self.history = np.zeros((2, 4), np.float32)
