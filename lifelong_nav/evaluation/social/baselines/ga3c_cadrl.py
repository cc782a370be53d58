"""GA3C-CADRL (Everett et al., IROS 2018): a policy trained by deep reinforcement learning, as published."""

from __future__ import annotations

import numpy as np

from lifelong_nav.core.geometry import angle_difference
from lifelong_nav.core.types import FloatArray, Twist2
from lifelong_nav.evaluation.social.baselines.ga3c_network import ACTIONS, Ga3cNetwork
from lifelong_nav.evaluation.social.baselines.route import (
    RouteFollower,
    walls_within,
)
from lifelong_nav.evaluation.social.planner import BODY, Observation
from lifelong_nav.sim.crowd.forces import segment_distance


class Ga3cCadrlPlanner(RouteFollower):
    """The trained network among people; the route gives its goal's direction and distance.

    It was trained without walls: actions that would lead into one within `look` [s] are not open to it. Its
    change of heading is taken up within `turn_time` [s]; `margin` [m] is added to people's radii.

    Tuned on 90 runs of the training half: margins of 0.1, 0.2, 0.3 m, turn times of 0.2, 0.35 s, looks of
    0.6, 0.9 s; this gave the most successes (.89).
    """

    turn_time = 0.35
    margin = 0.2
    look = 0.9
    wall_margin = 0.04

    def __init__(self) -> None:
        self.network = Ga3cNetwork()

    def command(self, observation: Observation) -> Twist2:
        """See `Planner.command`."""
        pose, radius = observation.pose, observation.robot_radius
        to = self.aim(observation) - pose.xy
        rest = self.carrot.rest()
        left = float(np.hypot(*np.diff(rest, axis=0).T).sum()) if len(rest) > 1 else 0.0
        left = max(left, float(np.hypot(*(self.goal - pose.xy))))
        towards = float(np.arctan2(to[1], to[0]))
        heading = float(angle_difference(pose.yaw, towards))
        host = np.array([left, heading, self.speed, radius])
        logits, _ = self.network.evaluate(host, others(observation, towards, self.margin))
        logits = np.where(self._free(observation), logits, -np.inf)
        if np.isneginf(logits).all():
            return Twist2(0.0, 0.0, float(np.clip(-2.5 * heading, -BODY.max_yaw_rate, BODY.max_yaw_rate)))
        share, change = ACTIONS[int(np.argmax(logits))]
        turn = float(np.clip(change / self.turn_time, -BODY.max_yaw_rate, BODY.max_yaw_rate))
        return Twist2(float(share) * self.speed, 0.0, turn)

    def _free(self, observation: Observation) -> np.ndarray:
        """(11,) True for the actions that keep off the walls; turning on the spot always does."""
        pose, radius = observation.pose, observation.robot_radius
        walls = walls_within(observation.walls, pose.xy, 2.0)
        if len(walls) == 0:
            return np.ones(len(ACTIONS), dtype=bool)
        times = np.linspace(0.15, self.look, 6)
        fast = np.minimum(ACTIONS[:, :1] * self.speed, observation.twist.vx + BODY.accel * times)
        turned = np.clip(ACTIONS[:, 1:] / self.turn_time, -BODY.max_yaw_rate, BODY.max_yaw_rate)
        # the turn lasts as long as it takes to take up the change of heading
        yaw = pose.yaw + turned * np.minimum(times, self.turn_time)
        step = times[1] - times[0]
        x = pose.x + np.cumsum(fast * np.cos(yaw), axis=1) * step
        y = pose.y + np.cumsum(fast * np.sin(yaw), axis=1) * step
        points = np.stack([x, y], axis=-1)
        gap = segment_distance(points.reshape(-1, 2), walls).reshape(x.shape).min(axis=1)
        room = min(radius + self.wall_margin, float(segment_distance(pose.xy[None], walls)[0]) - 1e-6)
        return np.asarray((gap >= room) | (ACTIONS[:, 0] == 0.0))


def others(observation: Observation, towards: float, margin: float) -> FloatArray:
    """(N, 7) people as the network wants them, the nearest last; x axis along `towards` [rad]."""
    people, radius = observation.people, observation.robot_radius
    if len(people) == 0:
        return np.zeros((0, 7))
    c, s = np.cos(towards), np.sin(towards)
    turn = np.array([[c, -s], [s, c]])
    offset = people.positions() - observation.pose.xy
    place, velocity, radii = offset @ turn, people.velocities() @ turn, people.radii() + margin
    gap = np.hypot(offset[:, 0], offset[:, 1]) - radius - radii
    rows = np.column_stack([place, velocity, radii, radii + radius, gap])
    order = np.lexsort((place[:, 1], -np.round(gap, 2)))
    return rows[order]
