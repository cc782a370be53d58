"""People who decide for themselves: goals, routes, queues, groups, courtesy, reactions to the robot.

What they want is decided five times a second; how they move is a `MotionModel` (social force, ORCA)
stepped at 20 Hz. Deterministic given the seed and what the robot does.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lifelong_nav.core.geometry import wrap
from lifelong_nav.core.types import FloatArray
from lifelong_nav.sim.crowd import forces
from lifelong_nav.sim.crowd.doorways import Courtesy, Doorway, doorways_of
from lifelong_nav.sim.crowd.lines import Lines
from lifelong_nav.sim.crowd.motion import Bodies, MotionModel, keep_out, spread_overlaps, stop_at_robot
from lifelong_nav.sim.crowd.person import ROBOT, PersonSpec, Queue
from lifelong_nav.sim.crowd.reactions import Reactions
from lifelong_nav.sim.crowd.routes import Router
from lifelong_nav.sim.crowd.social_force import SocialForce
from lifelong_nav.sim.crowd.state import CrowdState, RobotDisc
from lifelong_nav.sim.scene import Scene

STEP = 0.05
"""Longest step of the motion [s]."""
DECIDE = 0.2
"""Time between decisions [s]."""
_ARRIVED = 0.5
_APPROACH = 1.5  # speed per distance left, for those who stop at the aim [1/s]
_TURN_RATE = 3.5  # [rad/s]
_SIGHT = 8.0  # the robot is noticed within [m]
_NEAR_WALL = 1.6  # segments farther than this from everyone are left out between decisions [m]


class Walkers:
    """A crowd with wills of its own; follows `state.Crowd`.

    Args:
        people: who they are; starts on blocked floor are moved to the nearest free spot.
        segments: (M, 4) walls and furniture [m], without door leaves (people open doors).
        bounds: x_min, y_min, x_max, y_max of the floor [m].
        seed: of all chance in this crowd.
        model: how they move; the social force model when None.
        doorways: where they yield to each other.
        queues: lines that `PersonSpec.queue` points to.
    """

    def __init__(
        self,
        people: Sequence[PersonSpec],
        segments: FloatArray,
        bounds: tuple[float, float, float, float],
        seed: int | np.random.SeedSequence,
        *,
        model: MotionModel | None = None,
        doorways: Sequence[Doorway] = (),
        queues: Sequence[Queue] = (),
        router: Router | None = None,
    ) -> None:
        self.people = tuple(people)
        self.segments = np.asarray(segments, dtype=float).reshape(-1, 4)
        self.bounds = bounds
        self.router = router or Router(self.segments, bounds)
        self.rng = np.random.default_rng(seed)
        self.model: MotionModel = model or SocialForce()
        n = len(self.people)
        starts = [self._free_start(np.array(p.start, dtype=float)) for p in self.people]
        self.groups = np.array([p.group for p in self.people], dtype=np.int64)
        self.bodies = Bodies(
            np.array(starts).reshape(n, 2), np.zeros((n, 2)), self._first_headings(starts),
            np.array([p.radius for p in self.people]), np.ones(n, dtype=bool),
            forces.group_matrix(self.groups), np.ones(n),
        )  # fmt: skip
        self.reactions = Reactions(self.people, self.router)
        self.bodies.heed[:] = self.reactions.heed
        self.bodies.heed[[i for i, p in enumerate(self.people) if p.gesture == "wait"]] *= 0.3
        self.lines = Lines(queues, self.people, self.rng)
        self.courtesy = Courtesy(doorways, n)
        self.time = 0.0
        self.leg = np.zeros(n, dtype=int)  # index of the goal walked to
        self.idle_until = np.array([p.depart_after for p in self.people], dtype=float)
        self.departed = np.array([p.depart_within <= 0.0 for p in self.people])
        self.held = np.zeros(n)  # time spent letting the robot go first
        self.leaders = [self._leader(i) for i in range(n)]
        self.aims = self.bodies.positions.copy()
        self.pace = np.zeros(n)
        self.stopping = np.zeros(n, dtype=bool)
        self.face = np.full(n, np.nan)
        self.anchors = self.bodies.positions.copy()
        self._marks = self.bodies.positions.copy()  # where everyone was at the last check for being stuck
        self._marked = 0.0
        self._stuck = np.zeros(n, dtype=int)
        self._detour_until = np.zeros(n)
        self._detours = np.zeros((n, 2))
        self._decide_at = 0.0
        self._robot_heading = 0.0
        self._near: np.ndarray = np.arange(len(self.segments))

    # -- the protocol -------------------------------------------------------------------------------

    def state(self) -> CrowdState:
        """People now; arrays are copies."""
        b = self.bodies
        return CrowdState(
            np.arange(len(self.people), dtype=np.int64), b.positions.copy(), b.velocities.copy(),
            b.headings.copy(), b.radii.copy(), self.groups.copy(), b.present.copy(),
        )  # fmt: skip

    def step(self, dt: float, robot: RobotDisc | None, segments: FloatArray | None = None) -> None:
        """Move everyone by dt [s]; longer steps than `STEP` are divided. See `state.Crowd.step`."""
        if not self.people:
            return
        now = self.segments if segments is None else segments
        parts = max(1, int(np.ceil(dt / STEP - 1e-9)))
        if robot is not None and np.hypot(*robot.velocity) > 0.05:
            self._robot_heading = float(np.arctan2(robot.velocity[1], robot.velocity[0]))
        for _ in range(parts):
            if self.time >= self._decide_at - 1e-9:
                self._decide(robot, now)
                self._decide_at = self.time + DECIDE
            self._move(dt / parts, robot, now)
            self.time += dt / parts

    def set_obstacles(self, segments: FloatArray) -> None:
        """Plan routes around other walls and furniture from now on (costs about 50 ms for a building)."""
        self.segments = np.asarray(segments, dtype=float).reshape(-1, 4)
        self.router = Router(self.segments, self.bounds)
        self.reactions.router = self.router
        self._decide_at = self.time

    def set_present(self, person: int, present: bool) -> None:
        """Let a person come or go (crowd size changing over a day)."""
        self.bodies.present[person] = present
        self.bodies.velocities[person] = 0.0

    # -- what they want -----------------------------------------------------------------------------

    def _decide(self, robot: RobotDisc | None, segments: FloatArray) -> None:
        b = self.bodies
        goals, pace, face = self.anchors.copy(), np.zeros(len(self.people)), np.full(len(self.people), np.nan)
        self.stopping[:] = True
        in_line = {i for line in self.lines.members for i in line}
        for i in self.lines.update(self.time, b.positions, goals, face):
            in_line.discard(i)
            self.leg[i] = 0
            if not self.people[i].goals:
                b.present[i] = False
        for i, person in enumerate(self.people):
            if not b.present[i]:
                continue
            if i in in_line:
                pace[i] = person.speed
            elif person.behaviour == "stand":
                pace[i] = min(person.speed, 0.6)
                face[i] = b.headings[i] if person.heading is None else person.heading
            elif person.behaviour == "follow":
                self._follow(i, robot, goals, pace)
            else:
                self._walk(i, robot, goals, pace)
        aims = self.router.aims(b.positions, goals)
        self.stopping &= (aims == goals).all(axis=1)
        self._unstick(pace)
        detour = self.time < self._detour_until
        aims[detour] = self._detours[detour]
        self.courtesy.update(DECIDE, b, robot, aims, pace)
        self.stopping |= self.courtesy.waiting
        if robot is not None:
            seen = self._see(robot, segments)
            self._let_pass(robot, seen, pace, face)
            self.reactions.update(self.time, b, robot, self._robot_heading, seen, aims, pace, face)
            self.stopping |= self.reactions.active
        self.aims, self.pace, self.face = aims, pace, face
        dx, dy = forces.segment_offsets(b.positions, segments)
        self._near = np.flatnonzero((dx * dx + dy * dy).min(axis=0) < _NEAR_WALL**2)

    def _walk(self, i: int, robot: RobotDisc | None, goals: FloatArray, pace: FloatArray) -> None:
        person, leader = self.people[i], self.leaders[i]
        if not self.departed[leader]:
            limit = self.people[leader].depart_within
            near = robot is not None and np.hypot(*(robot.position - self.bodies.positions[leader])) < limit
            self.departed[leader] = near
        if leader != i:
            boss = self.people[leader]
            goals[i] = boss.goals[self.leg[leader]] if boss.goals else self.bodies.positions[leader]
            if self.time >= self.idle_until[leader] and self.departed[leader]:
                pace[i] = min(person.speed, boss.speed * 1.1)
                self.stopping[i] = False
            else:
                goals[i] = self.anchors[i]
                pace[i] = 0.5
            if not self.bodies.present[leader]:
                self.bodies.present[i] = False
            self._rest(i, pace)
            return
        if not person.goals or self.time < self.idle_until[i] or not self.departed[i]:
            self._rest(i, pace)
            pace[i] = 0.5
            return
        goal = np.array(person.goals[self.leg[i]])
        if np.hypot(*(goal - self.bodies.positions[i])) < _ARRIVED or self._stuck[i] >= 4:
            self._stuck[i] = 0
            self._arrive(i)
            goal = np.array(person.goals[self.leg[i]])
        if self.time < self.idle_until[i] or not self.bodies.present[i] or self.lines.waiting(i):
            self._rest(i, pace)
            return
        goals[i] = goal
        pace[i] = person.speed
        self.stopping[i] = person.dwell[1] > 0.0 or (
            person.at_end == "stand" and self.leg[i] == len(person.goals) - 1
        )
        mates = np.flatnonzero(self.bodies.same[i])
        if len(mates):
            spread = np.linalg.norm(self.bodies.positions[mates] - self.bodies.positions[i], axis=1).max()
            pace[i] *= 0.3 if spread > 3.0 else 1.0

    def _rest(self, i: int, pace: FloatArray) -> None:
        """Keep the place where a walker pauses as the anchor to come back to when pushed."""
        if pace[i] == 0.0:
            pace[i] = 0.5
        if self.pace[i] > 0.6 or np.hypot(*(self.anchors[i] - self.bodies.positions[i])) > 0.8:
            self.anchors[i] = self.bodies.positions[i]

    def _arrive(self, i: int) -> None:
        person = self.people[i]
        if self.leg[i] + 1 < len(person.goals):
            self.leg[i] += 1
        elif person.behaviour == "queue" and person.at_end == "loop":
            self.lines.join(i, person.queue)
        elif person.at_end == "loop":
            self.leg[i] = 0
        elif person.at_end == "leave":
            self.bodies.present[i] = False
            self.bodies.velocities[i] = 0.0
        else:
            self.idle_until[i] = np.inf
            self.anchors[i] = self.bodies.positions[i]
            return
        self.anchors[i] = self.bodies.positions[i]
        if person.dwell[1] > 0.0:
            self.idle_until[i] = self.time + self.rng.uniform(*person.dwell)

    def _follow(self, i: int, robot: RobotDisc | None, goals: FloatArray, pace: FloatArray) -> None:
        person = self.people[i]
        if person.target == ROBOT:
            if robot is None:
                return
            position, velocity, heading = robot.position, robot.velocity, self._robot_heading
        else:
            position = self.bodies.positions[person.target]
            velocity = self.bodies.velocities[person.target]
            heading = float(self.bodies.headings[person.target])
        c, s = np.cos(heading), np.sin(heading)
        x, y = person.offset
        # where the place will be when the slowdown before it has run its course
        goal = position + np.array([c * x - s * y, s * x + c * y]) + velocity / _APPROACH
        # a place beside or behind may lie in a wall: then keep behind on the line of sight
        if not self.router.visible(position[None], goal[None])[0]:
            back = self.bodies.positions[i] - position
            goal = position + back / max(float(np.hypot(*back)), 1e-6) * float(np.hypot(x, y))
        if not self.router.visible(self.bodies.positions[i][None], goal[None])[0]:
            goal = np.round(goal)
        goals[i] = goal
        gap = float(np.hypot(*(goal - self.bodies.positions[i])))
        pace[i] = person.speed * (1.3 if gap > 1.0 else 1.0)
        self.anchors[i] = self.bodies.positions[i]

    def _let_pass(self, robot: RobotDisc, seen: np.ndarray, pace: FloatArray, face: FloatArray) -> None:
        """Those who wave the robot through stand still while it comes."""
        for i, person in enumerate(self.people):
            if person.gesture != "proceed" or not seen[i] or self.held[i] > person.patience:
                continue
            to = robot.position - self.bodies.positions[i]
            leaving = float(to @ robot.velocity) > 0.05
            if np.hypot(*to) < 5.0 and not leaving:
                pace[i] = 0.0
                face[i] = float(np.arctan2(to[1], to[0]))
                self.held[i] += DECIDE

    def _see(self, robot: RobotDisc, segments: FloatArray) -> np.ndarray:
        """(N,) who has the robot before their eyes (within 110 degrees to either side, or within a step)."""
        b = self.bodies
        to = robot.position - b.positions
        distance = np.hypot(to[:, 0], to[:, 1])
        angle = np.abs(wrap(np.arctan2(to[:, 1], to[:, 0]) - b.headings))
        seen = b.present & (distance < _SIGHT) & ((angle < 1.92) | (distance < 0.9))
        some = np.flatnonzero(seen)
        seen[some] = forces.lines_of_sight(b.positions[some], robot.position, segments)
        return seen

    def _unstick(self, pace: FloatArray) -> None:
        """Whoever wants to walk and has not moved for 3 s takes a step to a random side."""
        if self.time - self._marked < 3.0:
            return
        b = self.bodies
        moved = np.hypot(*(b.positions - self._marks).T)
        free = (
            b.present & (self.pace > 0.3) & ~self.stopping & ~self.courtesy.waiting & ~self.reactions.active
        )
        stuck = free & (moved < 0.35)
        self._stuck = np.where(stuck, self._stuck + 1, np.where(moved > 1.0, 0, self._stuck))
        for i in np.flatnonzero(stuck):
            angle = self.rng.uniform(-np.pi, np.pi, 8)
            spots = b.positions[i] + 1.2 * np.stack([np.cos(angle), np.sin(angle)], axis=-1)
            open_ = np.flatnonzero(self.router.visible(np.broadcast_to(b.positions[i], spots.shape), spots))
            if len(open_):
                self._detours[i] = spots[open_[0]]
                self._detour_until[i] = self.time + 1.2
        self._marks[:] = b.positions
        self._marked = self.time

    # -- how they move ------------------------------------------------------------------------------

    def _move(self, dt: float, robot: RobotDisc | None, segments: FloatArray) -> None:
        b = self.bodies
        to = self.aims - b.positions
        distance = np.sqrt((to * to).sum(axis=1)) + 1e-9
        speed = np.where(self.stopping, np.minimum(self.pace, _APPROACH * distance), self.pace)
        wanted = to * ((speed * b.present) / distance)[:, None]
        near = segments[self._near] if len(self._near) and self._near[-1] < len(segments) else segments[:0]
        velocities = self.model.velocities(b, wanted, robot, near, dt)
        velocities *= b.present[:, None]
        if robot is not None:
            velocities = stop_at_robot(b, velocities, robot, dt)
        new = spread_overlaps(b, b.positions + dt * velocities)
        new = keep_out(b.positions, new, b.radii, near)
        new[~b.present] = b.positions[~b.present]
        b.velocities[:] = (new - b.positions) / dt
        b.positions[:] = new
        moving = np.hypot(b.velocities[:, 0], b.velocities[:, 1]) > 0.2
        course = np.where(moving, np.arctan2(b.velocities[:, 1], b.velocities[:, 0]), b.headings)
        walking_freely = moving & (np.isnan(self.face) | (distance > 0.5) & ~self.reactions.active)
        target = np.where(walking_freely | np.isnan(self.face), course, self.face)
        b.headings += np.clip(wrap(target - b.headings), -_TURN_RATE * dt, _TURN_RATE * dt)
        b.headings[:] = wrap(b.headings)

    # -- beginnings ---------------------------------------------------------------------------------

    def _free_start(self, start: FloatArray) -> FloatArray:
        cell = int(self.router.cells(start))
        clear = self.router.clearance.flat[cell] >= self.router.margin
        return start if clear else self.router.centres(np.array(self.router.nearest_free(start)))

    def _first_headings(self, starts: Sequence[FloatArray]) -> FloatArray:
        headings = []
        for person, start in zip(self.people, starts, strict=True):
            if person.heading is not None:
                headings.append(person.heading)
            elif person.goals:
                dx, dy = np.array(person.goals[0]) - start
                headings.append(float(np.arctan2(dy, dx)))
            else:
                headings.append(float(self.rng.uniform(-np.pi, np.pi)))
        return np.array(headings, dtype=float)

    def _leader(self, i: int) -> int:
        """The first walker of a person's group, else the person."""
        person = self.people[i]
        if person.group < 0 or person.behaviour != "walk":
            return i
        mates = (k for k, p in enumerate(self.people) if p.group == person.group and p.behaviour == "walk")
        return next(mates)


def walkers_in(
    scene: Scene,
    people: Sequence[PersonSpec],
    seed: int | np.random.SeedSequence,
    *,
    model: MotionModel | None = None,
    queues: Sequence[Queue] = (),
    router: Router | None = None,
) -> Walkers:
    """A crowd in a scene: walls, furniture, doorways and bounds taken from there."""
    router = router or Router(scene.segments(), scene.bounds())
    doorways = doorways_of(scene.regions, router)
    return Walkers(
        people, scene.segments(), scene.bounds(), seed,
        model=model, doorways=doorways, queues=queues, router=router,
    )  # fmt: skip
