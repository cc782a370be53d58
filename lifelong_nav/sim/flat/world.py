"""Robot, walls and people in the plane, advanced by tenths of a second."""

from __future__ import annotations

import copy
from dataclasses import dataclass

import numpy as np

from lifelong_nav.core.types import FloatArray, LaserScan, People, Pose2, Twist2
from lifelong_nav.sim import figures
from lifelong_nav.sim.crowd.state import CrowdState, RobotDisc
from lifelong_nav.sim.flat.body import Body, as_far, kept_off, wall_gap
from lifelong_nav.sim.flat.config import FlatConfig
from lifelong_nav.sim.flat.sensing import Tracker
from lifelong_nav.sim.lidar import LidarConfig, door_slice, fast_ranges, noisy_ranges, static_slice
from lifelong_nav.sim.robot_urdf import LIDAR_HEIGHT
from lifelong_nav.sim.scenario_build import Run
from lifelong_nav.sim.scene import Scene
from lifelong_nav.sim.seeds import stream

STEP = 0.1
"""Time between commands, and of a step [s]."""
_PRESS = 0.02  # the bumper stops the robot once it presses so far into a person [m]
_APART = 0.05  # a contact is over once the gap is wider [m]
_EYE_HEIGHT = 1.25  # lower furniture does not hide people [m]


@dataclass(frozen=True)
class Touch:
    """A contact as it begins, at `stamp` [s]: with person `person` (row of the crowd), -1 for a wall.

    `robot` and `other` [m/s]: how fast each moved towards the other; `by_robot` says whose doing it was.
    """

    stamp: float
    person: int
    robot: float = 0.0
    other: float = 0.0

    @property
    def by_robot(self) -> bool:
        """True when the robot moved into the person (or wall) rather than the person into the robot."""
        return self.robot >= self.other


@dataclass(frozen=True)
class FlatSensed:
    """What the robot senses at `stamp` [s], in the world frame (the scan in the sensor's, at `pose`).

    `people` as a tracker would give them; `scan` is None where the world's config leaves it out;
    `truth` is for experts and figures only.
    """

    stamp: float
    pose: Pose2
    twist: Twist2
    people: People
    scan: LaserScan | None
    truth: CrowdState


class FlatWorld:
    """A run of a scenario without a physics engine; equal seeds and commands give equal runs.

    Doors stay at the angle they have in the plan for the robot, people open them; events of the run
    that concern physics (friction, payload) have no meaning here.

    Args:
        run: scene, crowd and start, from `scenario_build.build` or `suite.draw`; the crowd is owned by
            the world from now on.
        seed: of sensors and looks.
        config: body and sensors.
    """

    def __init__(self, run: Run, seed: int, config: FlatConfig | None = None) -> None:
        self.config = config or FlatConfig()
        self.run, self.seed, self.crowd = run, seed, run.crowd
        self.body = Body(radius=self.config.radius)
        self.walls = solid_walls(run.scene, LIDAR_HEIGHT)
        """(M, 4) faces of walls, fixed furniture and door leaves: what stops the robot and the lidar [m]."""
        self.pose, self.twist, self.time = run.start, Twist2(), 0.0
        self.state: CrowdState = run.crowd.state()
        self.touches: list[Touch] = []
        """All contacts as they began, in order of time."""
        self._opaque = solid_walls(run.scene, _EYE_HEIGHT)
        self._command = Twist2()
        self._touching: set[int] = set()
        self._lidar = LidarConfig(mode="fast", beams=self.config.beams, range_max=self.config.scan_range)
        self._rng = stream(seed, "flat", "scan")
        self._gait = figures.new_gait(self.state, seed)
        self._tracker = Tracker(len(self.state.ids), self.config, stream(seed, "flat", "tracks"))
        self._tracker.update(self.state, self.pose.xy, self._opaque, 0.0)
        self._sensed: FlatSensed | None = None

    def sense(self) -> FlatSensed:
        """What the robot senses now; asking twice gives the same."""
        if self._sensed is None:
            scan = self._scan() if self.config.scan else None
            people = self._tracker.people(self.state, self.time)
            self._sensed = FlatSensed(self.time, self.pose, self.twist, people, scan, self.state)
        return self._sensed

    def command(self, twist: Twist2) -> None:
        """Drive so from the next step on; the body's limits apply. Not finite means stop."""
        finite = bool(np.isfinite(twist.vx) and np.isfinite(twist.wz))
        self._command = twist if finite else Twist2()

    def step(self) -> None:
        """Advance people and robot by `STEP`."""
        ahead = np.array([np.cos(self.pose.yaw), np.sin(self.pose.yaw)])
        before = self.pose
        self.crowd.step(STEP, RobotDisc(before.xy, self.twist.vx * ahead, self.config.radius))
        self.state = self.crowd.state()
        wished, twist = self.body.follow(before, self.twist, self._command, self.config.speed, STEP)
        pose, hit = kept_off(before, wished, self.walls, self.config.radius)
        pose = self._bumper(before, pose)
        if pose.x != wished.x or pose.y != wished.y:  # held by something
            twist = Twist2(0.0, 0.0, twist.wz)
        self.pose, self.twist = pose, twist
        self.time = round(self.time + STEP, 9)
        self._note_touches((wished.xy - before.xy) / STEP, hit)
        if self.config.scan:
            self._gait = figures.advance(self._gait, self.state, STEP)
        self._tracker.update(self.state, pose.xy, self._opaque, STEP)
        self._sensed = None

    def gaps(self) -> FloatArray:
        """(N,) true free distance [m] to each person; inf for those absent."""
        to = self.state.positions - self.pose.xy
        free = np.sqrt((to * to).sum(axis=1)) - self.state.radii - self.config.radius
        return np.where(self.state.present, free, np.inf)

    def fork(self) -> FlatWorld:
        """An independent copy that goes on from here; walls, routes and motion models are shared."""
        names = ("router", "model", "people", "segments", "tracks")
        parts = [getattr(self.crowd, name, None) for name in names]
        shared: tuple[object, ...] = (
            self.run.scene, self.walls, self._opaque, self.config, self._lidar, *parts,
        )  # fmt: skip
        return copy.deepcopy(self, {id(value): value for value in shared if value is not None})

    def _bumper(self, before: Pose2, after: Pose2) -> Pose2:
        """Nobody is driven over: a step that would press deeper into a person is left out."""
        present = self.state.present
        reach = self.state.radii[present] + self.config.radius - _PRESS
        spots = self.state.positions[present]

        def free(pose: Pose2) -> bool:
            now = np.square(spots - pose.xy).sum(axis=1)
            return not ((now < reach**2) & (now < was)).any()

        was = np.square(spots - before.xy).sum(axis=1)
        return after if free(after) else as_far(before, after, free)

    def _note_touches(self, pushed: FloatArray, hit_wall: bool) -> None:
        """Write down contacts that begin; `pushed` (2,) is the velocity the robot had but for them [m/s]."""
        gaps = self.gaps()
        for i in np.flatnonzero(gaps < 0.0).tolist():
            if i not in self._touching:
                to = self.state.positions[i] - self.pose.xy
                to = to / max(float(np.hypot(*to)), 1e-9)
                other = -float(self.state.velocities[i] @ to)
                self.touches.append(Touch(self.time, i, float(pushed @ to), other))
                self._touching.add(i)
        if hit_wall and -1 not in self._touching:
            self.touches.append(Touch(self.time, -1, float(np.hypot(*pushed))))
            self._touching.add(-1)
        over = {i for i in self._touching if i >= 0 and gaps[i] > _APART}
        if -1 in self._touching and wall_gap(self.pose.xy, self.walls, self.config.radius) > _APART:
            over.add(-1)
        self._touching -= over

    def _scan(self) -> LaserScan:
        c, state, here = self._lidar, self.state, self.state.present
        legs = figures.leg_positions(state, self._gait, self.seed, LIDAR_HEIGHT)[here].reshape(-1, 2)
        circles = np.column_stack([legs, np.full(len(legs), figures.LEG_RADIUS)])
        ranges = fast_ranges(
            self.pose.xy, c.angle_min + self.pose.yaw, c.increment, c.beams, self.walls, circles, c.range_max
        )
        ranges = noisy_ranges(ranges, c, self.config.noise, self._rng)
        return LaserScan(
            self.time, "laser", c.angle_min, c.increment, c.range_min, c.range_max, ranges
        )  # fmt: skip


def solid_walls(scene: Scene, height: float) -> FloatArray:
    """(M, 4) faces [m] of walls, fixed furniture and door leaves cut at `height`; round ones as 12-gons."""
    rows, circles = static_slice(scene, height)
    doors = door_slice(scene, np.array([d.angle for d in scene.doors]))
    angle = 2.0 * np.pi * np.arange(13) / 12.0
    ring = np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    corners = circles[:, None, :2] + circles[:, None, 2:] * ring
    round_ = np.concatenate([corners[:, :-1], corners[:, 1:]], axis=-1).reshape(-1, 4)
    return np.concatenate([rows, doors, round_])
