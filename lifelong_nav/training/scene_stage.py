"""A stage for pictures: crowd, a robot that drives a route, its lidar and noisy tracks; no physics engine.

The robot is a unicycle with the simulator's acceleration limits that pursues the crowd's own routes;
people see and avoid it. Everything is a function of the seed; a step costs about half a millisecond.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from lifelong_nav.core.geometry import rotation2, wrap
from lifelong_nav.core.types import FloatArray, LaserScan, People, Pose2, TrackedPerson
from lifelong_nav.perception.groups import GroupTracker
from lifelong_nav.sim import figures
from lifelong_nav.sim.crowd.forces import lines_of_sight
from lifelong_nav.sim.crowd.routes import Router
from lifelong_nav.sim.crowd.state import Crowd, CrowdState, RobotDisc
from lifelong_nav.sim.lidar import LidarConfig, door_slice, fast_ranges, noisy_ranges, static_slice
from lifelong_nav.sim.robot_urdf import BASE_RADIUS, LIDAR_HEIGHT
from lifelong_nav.sim.scene import Scene
from lifelong_nav.sim.seeds import stream

STEP = 0.1
"""Step of a stage [s]."""
SIGHT = 8.0
"""Range of people as the lidar's tracker has them [m]."""
_CAMERA_SIGHT = 12.0
_EYE_HEIGHT = 1.25  # lower furniture does not hide people from the camera [m]
_BODY = 0.2  # radius at which one person hides another [m]


@dataclass(frozen=True)
class Drive:
    """How the robot drives: its speed [m/s], a person it goes with (`target`, -1 none) and where it keeps.

    `place` [m] is in the person's frame of motion; `wait` [s] it stands at first.
    """

    speed: float = 0.7
    target: int = -1
    place: tuple[float, float] = (-1.6, 0.0)
    wait: float = 0.0
    polite: float = 0.8


@dataclass(frozen=True)
class View:
    """One instant as it truly is, in the robot's frame (x ahead, y left), for those present.

    `ids`, `groups`, `xy`, `velocity` (of the ground frame, turned), `facing` (N,) [rad]; `lidar`, `camera`,
    `seen` (N,) who is sensed; `goal` (2,) [m]; `speed` and `turn` of the robot.
    """

    time: float
    pose: Pose2
    speed: float
    turn: float
    goal: FloatArray
    ids: NDArray[np.int64]
    groups: NDArray[np.int64]
    xy: FloatArray
    velocity: FloatArray
    facing: FloatArray
    lidar: NDArray[np.bool_]
    camera: NDArray[np.bool_]

    @property
    def seen(self) -> NDArray[np.bool_]:
        """(N,) sensed by either."""
        return self.lidar | self.camera

    @property
    def distance(self) -> FloatArray:
        """(N,) [m]."""
        return np.hypot(self.xy[:, 0], self.xy[:, 1])

    @property
    def bearing(self) -> FloatArray:
        """(N,) [rad], left positive."""
        return np.arctan2(self.xy[:, 1], self.xy[:, 0])

    @property
    def pace(self) -> FloatArray:
        """(N,) walking speed [m/s]."""
        return np.hypot(self.velocity[:, 0], self.velocity[:, 1])

    @property
    def closing(self) -> FloatArray:
        """(N,) speed [m/s] at which a person walks towards where the robot is."""
        return -(self.velocity * self.xy).sum(axis=1) / np.maximum(self.distance, 1e-6)


@dataclass
class _Track:
    """One noisy track while a stage runs."""

    seen_for: float = 0.0
    lost_for: float = 0.0
    offset: FloatArray = field(default_factory=lambda: np.zeros(2))
    slip: FloatArray = field(default_factory=lambda: np.zeros(2))
    at: FloatArray = field(default_factory=lambda: np.zeros(2))
    velocity: FloatArray = field(default_factory=lambda: np.zeros(2))


class Stage:
    """A running scene; `step` advances by `STEP`.

    Args:
        scene: the building.
        crowd: who walks in it; owned by the stage from now on.
        start: of the robot.
        goals: of the robot, in order.
        drive: how it drives.
        seed: of sensors, looks of legs and the robot's small deviations.
        fov: of the camera [deg], for who is in the picture.
    """

    def __init__(
        self, scene: Scene, crowd: Crowd, start: Pose2, goals: list[Pose2], drive: Drive, seed: int,
        fov: float = 70.0,
    ) -> None:  # fmt: skip
        self.scene, self.crowd, self.drive, self.seed = scene, crowd, drive, seed
        self.state: CrowdState = crowd.state()
        self.gait = figures.new_gait(self.state, seed)
        self.pose, self.speed, self.turn, self.time = start, 0.0, 0.0, 0.0
        self._goals, self._leg, self._fov = goals, 0, float(np.radians(fov))
        low, circles = static_slice(scene, LIDAR_HEIGHT)
        doors = door_slice(scene, np.array([d.angle for d in scene.doors]))
        self.lidar_walls, self._circles = np.concatenate([low, doors]), circles
        self.eye_walls = np.concatenate([static_slice(scene, _EYE_HEIGHT)[0], doors])
        still = self.state.positions[[p.behaviour == "stand" for p in getattr(crowd, "people", ())] or []]
        self._router = Router(
            np.concatenate([scene.segments(), doors, _posts(still)]), scene.bounds(), margin=0.33
        )
        self._config, self._rng = LidarConfig(mode="fast"), stream(seed, "stage", "scan")
        self._track_rng = stream(seed, "stage", "tracks")
        self._groups, self._tracks = GroupTracker(), dict[int, _Track]()
        self._people, self._steps, self._group_of = People(0.0, "base_link"), 0, dict[int, int]()
        self._watch(self.view())

    @property
    def goal(self) -> Pose2:
        """Where the robot goes now."""
        return self._goals[self._leg]

    @property
    def arrived(self) -> bool:
        """True once the robot stands at its last goal."""
        last = self._goals[-1]
        return self.drive.target < 0 and float(np.hypot(*(last.xy - self.pose.xy))) < 0.6

    def step(self) -> View:
        """Advance people, then the robot, then the tracks; return what is true now."""
        forward = np.array([np.cos(self.pose.yaw), np.sin(self.pose.yaw)])
        self.crowd.step(STEP, RobotDisc(self.pose.xy, self.speed * forward, BASE_RADIUS))
        self.state = self.crowd.state()
        self.gait = figures.advance(self.gait, self.state, STEP)
        self._move(*self._command())
        self.time += STEP
        view = self.view()
        self._watch(view)
        return view

    def view(self) -> View:
        """What is true now, seen from the robot."""
        state, pose = self.state, self.pose
        here = np.flatnonzero(state.present)
        turn = rotation2(-pose.yaw)
        xy = (state.positions[here] - pose.xy) @ turn.T
        lidar = self._visible(here, self.lidar_walls) & (np.hypot(*xy.T) < SIGHT)
        camera = self._visible(here, self.eye_walls, 0.12) & (np.hypot(*xy.T) < _CAMERA_SIGHT)
        camera &= np.abs(np.arctan2(xy[:, 1], xy[:, 0])) < self._fov / 2.0
        return View(
            self.time, pose, self.speed, self.turn, turn @ (self.goal.xy - pose.xy), state.ids[here],
            state.groups[here], xy, state.velocities[here] @ turn.T, wrap(state.headings[here] - pose.yaw),
            lidar, camera,
        )  # fmt: skip

    def scan(self) -> LaserScan:
        """The lidar's scan from here, with its noise."""
        config, state = self._config, self.state
        legs = figures.leg_positions(state, self.gait, self.seed, LIDAR_HEIGHT)[state.present].reshape(-1, 2)
        circles = np.column_stack([legs, np.full(len(legs), figures.LEG_RADIUS)])
        ranges = fast_ranges(
            self.pose.xy, config.angle_min + self.pose.yaw, config.increment, config.beams,
            self.lidar_walls, np.concatenate([self._circles, circles]), config.range_max,
        )  # fmt: skip
        ranges = noisy_ranges(ranges, config, 1.0, self._rng)
        return LaserScan(
            self.time, "laser", config.angle_min, config.increment, config.range_min, config.range_max, ranges
        )

    def width(self) -> float:
        """Free width [m] across the robot's heading between walls and furniture, at most 10."""
        ranges = fast_ranges(
            self.pose.xy, self.pose.yaw - np.pi / 2.0, np.pi, 2, self.lidar_walls, self._circles, 5.0
        )
        return float(np.minimum(ranges, 5.0).sum())

    def tracks(self) -> People:
        """People as the robot's tracker would have them now: noisy, late, with misses, in `base_link`."""
        return self._people

    def _command(self) -> tuple[float, float]:
        """Speed and turn rate wanted."""
        drive, pose = self.drive, self.pose
        if self.time < drive.wait:
            return 0.0, 0.0
        goal, limit = self.goal.xy, drive.speed
        if drive.target >= 0 and self.state.present[drive.target]:
            at, velocity = self.state.positions[drive.target], self.state.velocities[drive.target]
            course = float(self.state.headings[drive.target])
            goal = at + rotation2(course) @ np.array(drive.place) + 0.5 * velocity
            limit = min(1.1, float(np.hypot(*velocity)) + 0.7 * float(np.hypot(*(goal - pose.xy))))
        gap = float(np.hypot(*(goal - pose.xy)))
        if drive.target < 0 and gap < 0.5:
            if self._leg + 1 < len(self._goals):
                self._leg += 1
            else:
                return 0.0, 0.0
        aim = self._router.aims(pose.xy[None], goal[None])[0]
        off = float(wrap(np.arctan2(*(aim - pose.xy)[::-1]) - pose.yaw))
        if gap < 0.25:
            off = 0.0
        speed = min(limit, np.sqrt(1.2 * gap)) * max(0.0, 1.0 - abs(off) / 0.9)
        return min(speed, self._gap_speed()), float(np.clip(2.0 * off, -1.5, 1.5))

    def _gap_speed(self) -> float:
        """Speed that keeps a polite gap to whoever is ahead."""
        here = self.state.present
        xy = (self.state.positions[here] - self.pose.xy) @ rotation2(-self.pose.yaw).T
        ahead = xy[(xy[:, 0] > 0.0) & (np.abs(xy[:, 1]) < 0.5)]
        if len(ahead) == 0:
            return np.inf
        return max(0.0, 1.2 * (float(ahead[:, 0].min()) - self.drive.polite))

    def _move(self, speed: float, turn: float) -> None:
        self.speed += float(np.clip(speed - self.speed, -2.0 * STEP, 1.2 * STEP))
        self.turn += float(np.clip(turn - self.turn, -3.0 * STEP, 3.0 * STEP))
        middle = self.pose.yaw + 0.5 * STEP * self.turn
        x = self.pose.x + STEP * self.speed * float(np.cos(middle))
        y = self.pose.y + STEP * self.speed * float(np.sin(middle))
        self.pose = Pose2(x, y, float(wrap(self.pose.yaw + STEP * self.turn)))

    def _visible(self, rows: NDArray[np.int64], walls: FloatArray, body: float = _BODY) -> NDArray[np.bool_]:
        """(n,) True where neither wall nor another person hides the middle of a person."""
        at = self.state.positions[rows]
        clear = lines_of_sight(at, self.pose.xy, walls)
        if len(rows) > 1:
            to = at - self.pose.xy
            far = np.maximum(np.hypot(to[:, 0], to[:, 1]), 1e-6)
            along = to @ (to / far[:, None]).T  # [i, j] how far i lies along the ray to j
            across = np.abs(to[:, 0:1] * to[None, :, 1] - to[:, 1:2] * to[None, :, 0]) / far[None]
            hides = (along > 0.2) & (along < far[None] - 0.3) & (across < body)
            np.fill_diagonal(hides, False)
            clear &= ~hides.any(axis=0)
        return clear

    def _watch(self, view: View) -> None:
        """Advance the noisy tracks by one step."""
        rng = self._track_rng
        draws = rng.standard_normal((64, 4)), rng.random(64)
        for k, i in enumerate(view.ids[:64]):
            track = self._tracks.setdefault(int(i), _Track(offset=0.06 * draws[0][k, :2]))
            missed = draws[1][k] < 0.02 + 0.2 * (view.distance[k] / SIGHT) ** 2
            # noise of a filter is slow: an AR(1) of 6 cm and 0.1 m/s
            track.offset = 0.8 * track.offset + 0.6 * 0.06 * draws[0][k, :2]
            track.slip = 0.8 * track.slip + 0.6 * 0.1 * draws[0][k, 2:]
            if view.lidar[k] and not missed:
                track.seen_for, track.lost_for = track.seen_for + STEP, 0.0
                at = self.state.positions[self.state.ids == i][0]
                track.at, track.velocity = at.copy(), self.state.velocities[self.state.ids == i][0].copy()
            else:
                track.lost_for += STEP
                track.at = track.at + STEP * track.velocity
                if track.lost_for > 0.7:
                    track.seen_for = 0.0
        live = [(i, t) for i, t in self._tracks.items() if t.seen_for >= 0.35]
        ids = np.array([i for i, _ in live], dtype=np.int64)
        places = np.array([t.at + t.offset for _, t in live]).reshape(-1, 2)
        paces = np.array([t.velocity + t.slip for _, t in live]).reshape(-1, 2)
        if self._steps % 3 == 0:  # who belongs together changes slowly
            numbers = self._groups.update(ids, places, paces, 3.0 * STEP)
            self._group_of = {int(i): int(g) for i, g in zip(ids, numbers, strict=True)}
        self._steps += 1
        turn = rotation2(-self.pose.yaw).T
        local, ways = (places - self.pose.xy) @ turn, paces @ turn
        people = tuple(
            TrackedPerson(
                int(i), float(p[0]), float(p[1]), float(v[0]), float(v[1]),
                group_id=self._group_of.get(int(i), -1), age=t.seen_for,
                confidence=float(np.exp(-t.lost_for)),
            )
            for (i, t), p, v in zip(live, local, ways, strict=True)
        )  # fmt: skip
        self._people = People(self.time, "base_link", people)


def _posts(points: FloatArray, half: float = 0.3) -> FloatArray:
    """(4 N, 4) squares around points, which routes keep clear of."""
    if len(points) == 0:
        return np.zeros((0, 4))
    corner = half * np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)])
    ring = points[:, None] + corner[None]
    return np.concatenate([ring, np.roll(ring, -1, axis=1)], axis=-1).reshape(-1, 4)
