"""Dynamic window approach (Fox et al. 1997) with people going on at constant velocity."""

from __future__ import annotations

import numpy as np

from lifelong_nav.core.types import FloatArray, Pose2, Twist2
from lifelong_nav.evaluation.social.baselines.obstacles import Walls, unknown_points
from lifelong_nav.evaluation.social.baselines.route import (
    RouteFollower,
)
from lifelong_nav.evaluation.social.planner import BODY, Observation


class DwaPlanner(RouteFollower):
    """Samples speeds and yaw rates, rolls them out within the body's limits, takes the cheapest.

    Costs: distance left to the carrot at the end, nearness to walls and to people at the time they are met,
    slowness, change of yaw rate. What leads into contact costs more the sooner it does.

    Tuned on 90 runs of the training half: horizons of 2 and 2.8 s, weights of people 1.5 and 3, their margin
    0.1 and 0.2 m and reach 0.6 and 1 m, weight of walls 0.6 and 1.5. All succeeded in .86 to .93; this one
    (.91) had half the contacts of the best and took the least time.
    """

    wants_scan = True
    horizon, step = 2.0, 0.2
    window = 0.6
    person_margin, person_reach, person_weight = 0.1, 0.6, 1.5
    wall_margin, wall_reach, wall_weight = 0.04, 0.35, 0.6
    goal_weight, slow_weight, turn_weight = 1.0, 0.3, 0.05

    def reset(self, goal: FloatArray, speed: float, seed: int) -> None:
        """See `Planner.reset`."""
        super().reset(goal, speed, seed)
        self.walls = Walls()

    def command(self, observation: Observation) -> Twist2:
        """See `Planner.command`."""
        o, aim = observation, self.aim(observation)
        commands = self._window(o.twist)
        times = np.arange(1, round(self.horizon / self.step) + 1) * self.step
        x, y = rollout(o.pose, o.twist, commands, times)
        left = np.hypot(x - aim[0], y - aim[1]).min(axis=1) + 0.3 * np.hypot(
            x[:, -1] - aim[0], y[:, -1] - aim[1]
        )
        cost = self.goal_weight * left
        cost += self.slow_weight * (self.speed - commands[:, 0])
        cost += self.turn_weight * np.abs(commands[:, 1] - o.twist.wz)
        cost += self._walls_cost(o, x, y) + self._people_cost(o, x, y, times)
        v, w = commands[int(np.argmin(cost))]
        near = float(np.hypot(*(self.goal - o.pose.xy)))
        return Twist2(float(min(v, max(1.5 * near, 0.1))), 0.0, float(w))

    def _window(self, twist: Twist2) -> FloatArray:
        """(K, 2) commands that can be reached within the window, standing still among them."""
        dv, dw = BODY.accel * self.window, BODY.yaw_accel * self.window
        v = np.linspace(max(twist.vx - dv, -BODY.max_reverse), min(twist.vx + dv, self.speed), 9)
        w = np.linspace(max(twist.wz - dw, -BODY.max_yaw_rate), min(twist.wz + dw, BODY.max_yaw_rate), 21)
        grid = np.stack(np.meshgrid(np.append(v, 0.0), np.append(w, 0.0), indexing="ij"), axis=-1)
        return grid.reshape(-1, 2)

    def _walls_cost(self, o: Observation, x: FloatArray, y: FloatArray) -> FloatArray:
        field = self.walls.field(o.walls)
        gap = field.at_smooth(x, y)
        points = unknown_points(o, field, 3.0)
        if len(points):
            away = np.hypot(x[..., None] - points[:, 0], y[..., None] - points[:, 1]).min(axis=-1)
            gap = np.minimum(gap, away)
        room = float(field.at_smooth(np.array(o.pose.x), np.array(o.pose.y))) - o.robot_radius
        return self.wall_weight * _cost(
            gap - o.robot_radius, min(self.wall_margin, room - 0.01), self.wall_reach
        )

    def _people_cost(self, o: Observation, x: FloatArray, y: FloatArray, times: FloatArray) -> FloatArray:
        if len(o.people) == 0:
            return np.zeros(len(x))
        at = o.people.positions() + times[:, None, None] * o.people.velocities()  # (T, N, 2)
        gap = np.hypot(x[..., None] - at[..., 0], y[..., None] - at[..., 1]) - o.people.radii()
        return self.person_weight * _cost(
            gap.min(axis=-1) - o.robot_radius, self.person_margin, self.person_reach
        )


def rollout(
    pose: Pose2, twist: Twist2, commands: FloatArray, times: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """x, y (K, T) of the body that takes up the commands (K, 2) within its limits."""
    step = float(times[0])
    v = np.clip(commands[:, :1], twist.vx - BODY.accel * times, twist.vx + BODY.accel * times)
    w = np.clip(commands[:, 1:], twist.wz - BODY.yaw_accel * times, twist.wz + BODY.yaw_accel * times)
    yaw = pose.yaw + np.cumsum(w, axis=1) * step - 0.5 * w * step
    return (
        pose.x + np.cumsum(v * np.cos(yaw), axis=1) * step,
        pose.y + np.cumsum(v * np.sin(yaw), axis=1) * step,
    )


def _cost(gap: FloatArray, margin: float, reach: float) -> FloatArray:
    """(K,) cost of gaps (K, T): up to 1 for nearness, from 50 on for contact, more the sooner."""
    near = np.clip((reach - gap.min(axis=1)) / max(reach - margin, 1e-6), 0.0, 1.0)
    hit = gap < margin
    share = np.argmax(hit, axis=1) / hit.shape[1]
    return np.asarray(near * near + np.where(hit.any(axis=1), 50.0 * (2.0 - share), 0.0))
