"""What all baselines share: the wish to follow the global route, and a unicycle that takes up a velocity."""

from __future__ import annotations

import numpy as np

from lifelong_nav.core.geometry import angle_difference
from lifelong_nav.core.types import FloatArray, Pose2, Twist2
from lifelong_nav.evaluation.social.planner import BODY, Observation
from lifelong_nav.sim.crowd.forces import segment_distance, segment_offsets


def resampled(route: FloatArray, spacing: float) -> FloatArray:
    """(K, 2) points every `spacing` [m] along a route (M, 2), its end included."""
    route = np.asarray(route, dtype=float).reshape(-1, 2)
    lengths = np.hypot(*np.diff(route, axis=0).T) if len(route) > 1 else np.zeros(0)
    along = np.concatenate([[0.0], np.cumsum(lengths)])
    if along[-1] < 1e-9:
        return route[-1:]
    at = np.append(np.arange(0.0, along[-1] - 1e-9, spacing), along[-1])
    return np.stack([np.interp(at, along, route[:, 0]), np.interp(at, along, route[:, 1])], axis=-1)


def walls_within(walls: FloatArray, xy: FloatArray, reach: float) -> FloatArray:
    """(K, 4) the walls nearer than `reach` [m] to a point (2,)."""
    walls = np.asarray(walls, dtype=float).reshape(-1, 4)
    if len(walls) == 0:
        return walls
    dx, dy = segment_offsets(np.asarray(xy, dtype=float)[None], walls)
    return walls[np.hypot(dx[0], dy[0]) < reach]


class Carrot:
    """The point to steer for: as far ahead on the route as the robot can drive straight to.

    It only ever moves on along one route, so that a route that comes near itself is not cut short.
    """

    spacing = 0.1

    def __init__(self, reach: float = 1.8, margin: float = 0.03) -> None:
        self.reach, self.margin = reach, margin
        self._route: FloatArray | None = None
        self._points: FloatArray = np.zeros((0, 2))
        self._at = 0

    def ahead(self, position: FloatArray, route: FloatArray, walls: FloatArray, radius: float) -> FloatArray:
        """(2,) point on the route, at most `reach` [m] along it from where the robot is."""
        self._take(route)
        points = self._points
        low, high = max(self._at - 10, 0), self._at + 40  # 1 m back, 4 m on
        near = points[low:high] - position
        self._at = low + int(np.argmin(np.hypot(near[:, 0], near[:, 1])))
        last = min(self._at + round(self.reach / self.spacing), len(points) - 1)
        walls = walls_within(walls, position, self.reach + 1.0)
        if len(walls) == 0:
            return points[last]
        room = min(radius + self.margin, float(segment_distance(position[None], walls)[0]) - 1e-6)
        for k in range(last, self._at + 2, -2):
            steps = max(2, int(np.hypot(*(points[k] - position)) / 0.1))
            line = position + np.linspace(0.0, 1.0, steps + 1)[1:, None] * (points[k] - position)
            if segment_distance(line, walls).min() >= room:
                return points[k]
        return points[min(self._at + 3, len(points) - 1)]

    def rest(self) -> FloatArray:
        """(K, 2) the route from the robot on, every `spacing` [m], as of the last call of `ahead`."""
        return self._points[self._at :]

    def _take(self, route: FloatArray) -> None:
        route = np.asarray(route, dtype=float)
        if self._route is not None and self._route.shape == route.shape and (self._route == route).all():
            return
        self._route, self._points, self._at = route.copy(), resampled(route, self.spacing), 0


class RouteFollower:
    """Base of the baselines: knows the goal, follows the route with a carrot; most need no scan."""

    wants_scan = False
    reach = 1.8

    def reset(self, goal: FloatArray, speed: float, seed: int) -> None:
        """See `Planner.reset`."""
        self.goal = np.asarray(goal, dtype=float)[:2]
        self.speed, self.seed = float(speed), int(seed)
        self.carrot = Carrot(self.reach)

    def aim(self, observation: Observation) -> FloatArray:
        """(2,) the point on the route to steer for now."""
        o = observation
        return self.carrot.ahead(o.pose.xy, o.route, o.walls, o.robot_radius)

    def wish(self, observation: Observation) -> FloatArray:
        """(2,) velocity along the route, slower in the last stretch [m/s]."""
        to = self.aim(observation) - observation.pose.xy
        left = float(np.hypot(*(self.goal - observation.pose.xy)))
        pace = min(self.speed, max(1.5 * left, 0.1))
        return np.asarray(to / max(float(np.hypot(*to)), 1e-6) * pace)


def track_velocity(wish: FloatArray, pose: Pose2, speed: float) -> Twist2:
    """Unicycle command that takes up a wished velocity (2,): turn towards it, slow while turned away."""
    size = float(np.hypot(*wish))
    if size < 1e-3:
        return Twist2()
    error = float(angle_difference(np.arctan2(wish[1], wish[0]), pose.yaw))
    turn = float(np.clip(2.5 * error, -BODY.max_yaw_rate, BODY.max_yaw_rate))
    return Twist2(min(size, speed) * max(0.0, float(np.cos(error))), 0.0, turn)


def velocity_of(observation: Observation) -> FloatArray:
    """(2,) the robot's velocity in the frame of the observation [m/s]."""
    pose = observation.pose
    return observation.twist.vx * np.array([np.cos(pose.yaw), np.sin(pose.yaw)])
