"""One navigation errand as a pure state machine: is it done, is it stuck, what to try, why it failed.

The caller plans, publishes and tells the errand what came of it; `update` answers with what to do
next. No clock, no ROS: time, pose and velocity are handed in.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

import numpy as np

from lifelong_nav.core.config import param
from lifelong_nav.core.geometry import angle_difference
from lifelong_nav.core.types import Pose2, Twist2
from lifelong_nav.trajectory.route import RouteError, RouteFailure


class ErrandCode(enum.IntEnum):
    """How an errand ended; the numbers are those of the `Navigate` action."""

    NONE = 0
    NO_ROUTE = 101
    GOAL_OCCUPIED = 102
    OUT_OF_MAP = 103
    STUCK = 104
    TIMEOUT = 105
    CANCELLED = 106
    NO_POSE = 107
    PREEMPTED = 108
    BAD_GOAL = 109
    INTERNAL = 199


class Phase(enum.Enum):
    """What the errand is doing; the value is what a user reads."""

    PLANNING = "looking for a route"
    DRIVING = "driving"
    WAITING = "waiting for the way to become free"
    CLEARING = "looking again with a fresh costmap"
    ESCAPING = "backing off to an open place"
    HELD = "waiting for the robot's pose"
    ENDED = "ended"


@dataclass(frozen=True)
class ErrandConfig:
    """Parameters of `Errand`."""

    xy_tolerance: float = param(0.25, "m", 0.02, 5.0, "Distance to the goal that counts as there.")
    yaw_tolerance: float = param(
        0.25, "rad", 0.02, 3.2, "Deviation from the goal's yaw that counts as there."
    )
    progress_distance: float = param(0.3, "m", 0.05, 5.0, "Moving (or turning 0.6 rad) less than this ...")
    progress_time: float = param(10.0, "s", 1.0, 120.0, "... in this time means stuck.")
    gain_time: float = param(60.0, "s", 5.0, 600.0, "Coming no nearer to the goal for so long means stuck.")
    people_patience: float = param(15.0, "s", 0.0, 600.0, "Time granted to people in the way.")
    retry_time: float = param(3.0, "s", 0.5, 60.0, "Wait between attempts when there is no route.")
    escape_time: float = param(8.0, "s", 1.0, 60.0, "Longest time spent backing off.")
    recoveries: int = param(6, "", 0, 100, "Recoveries in a row before giving up.")
    pose_patience: float = param(20.0, "s", 0.5, 600.0, "Time granted to a missing pose.")


@dataclass(frozen=True, slots=True)
class Goal:
    """Where to: `pose` in the planner's frame; `yaw_tolerance` None: any heading; `timeout` 0: none."""

    pose: Pose2
    xy_tolerance: float
    yaw_tolerance: float | None
    timeout: float = 0.0


@dataclass(frozen=True, slots=True)
class ErrandResult:
    """How it ended: `message` is empty only on plain success. Duration [s], distance driven [m]."""

    code: ErrandCode
    message: str
    duration: float
    distance: float
    recoveries: int


@dataclass(frozen=True, slots=True)
class ErrandFeedback:
    """How it goes: remaining [m] along the route (NaN without one), eta [s], recoveries, status in words."""

    remaining: float
    eta: float
    recoveries: int
    status: str


@dataclass(frozen=True, slots=True)
class Advice:
    """What the caller should do now.

    `hold`: stand still (publish an empty plan); `replan`: plan at once; `clear`: empty the costmap
    first; `escape`: drive to an open place near by instead of the goal.
    """

    hold: bool = False
    replan: bool = False
    clear: bool = False
    escape: bool = False


class Errand:
    """A drive to one goal.

    Args:
        goal: where to.
        config: parameters.
        now: [s], the clock of all later calls.
    """

    def __init__(self, goal: Goal, config: ErrandConfig, now: float) -> None:
        self.goal, self.config = goal, config
        self.phase = Phase.PLANNING
        self.result: ErrandResult | None = None
        self.distance = 0.0
        self.recoveries = 0
        self._in_a_row = 0
        self._started = now
        self._since = now  # the phase began
        self._pose: Pose2 | None = None
        self._pose_seen = now
        self._speed = 0.0
        self._anchor: Pose2 | None = None
        self._moved_at = now
        self._remaining = float("nan")
        self._nearest = float("inf")
        self._gained_at = now
        self._people_since: float | None = None
        self._failure: RouteError | None = None
        self._end: Pose2 | None = None
        self._updated = now

    # ---- told by the caller ------------------------------------------------------------------------

    def end(self, now: float, code: ErrandCode, message: str) -> None:
        """End at once: cancelled, preempted, or for a reason the caller knows. The first end stands."""
        if self.result is None:
            text = message or ("" if code is ErrandCode.NONE else code.name.lower().replace("_", " "))
            duration = max(0.0, now - self._started)
            self.result = ErrandResult(code, text, duration, self.distance, self.recoveries)
            self._enter(Phase.ENDED, now)

    def route_found(self, now: float, remaining: float, end: Pose2) -> None:
        """A route exists: its length [m], and where it ends (the goal or the nearest free place)."""
        self._failure = None
        self._end = end
        self._remaining = remaining
        if remaining < self._nearest - self.config.progress_distance:
            self._nearest, self._gained_at = remaining, now
        if self.phase in (Phase.PLANNING, Phase.WAITING, Phase.CLEARING):
            if self.phase is Phase.PLANNING:
                self._restart_watch(now)
            self._enter(Phase.DRIVING, now)

    def route_failed(self, now: float, error: RouteError) -> None:
        """There is no route at the moment."""
        self._remaining = float("nan")
        if error.code is RouteFailure.OUT_OF_MAP:
            self.end(now, ErrandCode.OUT_OF_MAP, str(error))
            return
        self._failure = error
        if self.phase in (Phase.PLANNING, Phase.DRIVING, Phase.CLEARING):
            self._enter(Phase.WAITING, now)

    def escaped(self, now: float) -> None:
        """The open place is reached, or there is none."""
        if self.phase is Phase.ESCAPING:
            self._restart_watch(now)
            self._enter(Phase.PLANNING, now)

    # ---- the machine -------------------------------------------------------------------------------

    def update(self, now: float, pose: Pose2 | None, twist: Twist2, people_near: bool = False) -> Advice:
        """Take in where the robot is and say what to do next.

        Args:
            now: [s]; a step back restarts the watches.
            pose: robot in the goal's frame, None when it is not known.
            twist: of the robot.
            people_near: tracked people stand in the way or next to the robot.
        """
        if self.result is not None:
            return Advice(hold=True)
        elapsed = now - self._updated
        self._updated = now
        if elapsed < 0.0:
            self._started += elapsed
            self._pose_seen = self._since = now
            self._restart_watch(now)
        if self.goal.timeout > 0.0 and now - self._started > self.goal.timeout:
            self.end(now, ErrandCode.TIMEOUT, f"The goal was not reached in {self.goal.timeout:.0f} s.")
            return Advice(hold=True)
        if pose is None:
            return self._without_pose(now)
        if self.phase is Phase.HELD:
            self._restart_watch(now)
            self._enter(Phase.PLANNING, now)
        self._pose_seen = now
        self._follow(now, pose, twist, max(elapsed, 0.0))
        self._people_since = (self._people_since or now) if people_near else None
        if self._arrived(pose, twist):
            moved = self._moved_goal()
            note = f"Ended {moved:.2f} m from the goal, which is occupied." if moved > 0.05 else ""
            self.end(now, ErrandCode.NONE, note)
            return Advice(hold=True)
        return self._drive(now)

    def feedback(self) -> ErrandFeedback:
        """How it goes."""
        eta = self._remaining / max(self._speed, 0.2)
        return ErrandFeedback(self._remaining, eta, self.recoveries, self.phase.value)

    # ---- inside ------------------------------------------------------------------------------------

    def _without_pose(self, now: float) -> Advice:
        if self.phase is not Phase.HELD:
            self._enter(Phase.HELD, now)
        missing = now - self._pose_seen
        if missing > self.config.pose_patience:
            self.end(now, ErrandCode.NO_POSE, f"The robot's pose has been unknown for {missing:.0f} s.")
        self._pose = None
        return Advice(hold=True)

    def _follow(self, now: float, pose: Pose2, twist: Twist2, elapsed: float) -> None:
        if self._pose is not None:
            step = float(np.hypot(pose.x - self._pose.x, pose.y - self._pose.y))
            # Localisation may leap; what counts as driven is what the wheels can have done.
            step = min(step, (abs(twist.vx) + abs(twist.vy) + 0.2) * elapsed)
            self.distance += step
            if self.phase is Phase.DRIVING and np.isfinite(self._remaining):
                self._remaining = max(0.0, self._remaining - step)
        blend = 1.0 - np.exp(-elapsed / 3.0)
        self._speed += blend * (float(np.hypot(twist.vx, twist.vy)) - self._speed)
        self._pose = pose
        if self._anchor is None:
            self._anchor, self._moved_at = pose, now
        away = float(np.hypot(pose.x - self._anchor.x, pose.y - self._anchor.y))
        turned = abs(float(angle_difference(pose.yaw, self._anchor.yaw)))
        if away >= self.config.progress_distance or turned >= 0.6:
            self._anchor, self._moved_at = pose, now
        if self.phase is Phase.DRIVING and now - self._since > 2.0 and away >= self.config.progress_distance:
            self._in_a_row = 0

    def _arrived(self, pose: Pose2, twist: Twist2) -> bool:
        g = self.goal
        end = self._end if self._end is not None and self._failure is None else g.pose
        near = float(np.hypot(pose.x - end.x, pose.y - end.y)) <= g.xy_tolerance
        off = abs(float(angle_difference(pose.yaw, g.pose.yaw)))
        aligned = g.yaw_tolerance is None or off <= g.yaw_tolerance
        return near and aligned and abs(twist.vx) < 0.1 and abs(twist.wz) < 0.2

    def _moved_goal(self) -> float:
        if self._end is None:
            return 0.0
        return float(np.hypot(self._end.x - self.goal.pose.x, self._end.y - self.goal.pose.y))

    def _drive(self, now: float) -> Advice:
        c = self.config
        if self.phase is Phase.ESCAPING:
            if now - self._since > c.escape_time:
                self.escaped(now)
                return Advice(replan=True)
            return Advice(escape=True)
        waited = 0.0 if self._people_since is None else now - self._people_since
        patient = self._people_since is not None and waited < c.people_patience
        if self.phase is Phase.WAITING:
            if now - self._since < c.retry_time or patient:
                # Look again now and then; a route that appears ends the waiting.
                return Advice(hold=self._failure is not None, replan=True)
            return self._recover(now)
        stalled = now - self._moved_at > c.progress_time
        circling = now - self._gained_at > c.gain_time
        if self.phase is Phase.DRIVING and (stalled or circling) and not patient:
            return self._recover(now)
        return Advice(replan=self.phase in (Phase.PLANNING, Phase.CLEARING))

    def _recover(self, now: float) -> Advice:
        """The next rung: fresh costmap, then an open place, in turn; give up after so many."""
        if self._in_a_row >= self.config.recoveries:
            self._give_up(now)
            return Advice(hold=True)
        self._in_a_row += 1
        self.recoveries += 1
        self._restart_watch(now)
        if self._in_a_row % 2 == 1 or self._failure is not None:
            self._enter(Phase.CLEARING, now)
            return Advice(hold=self._failure is not None, replan=True, clear=True)
        self._enter(Phase.ESCAPING, now)
        return Advice(escape=True)

    def _give_up(self, now: float) -> None:
        tried = f" after {self.recoveries} recoveries"
        if self._failure is None:
            self.end(now, ErrandCode.STUCK, f"The robot makes no progress{tried}. Clear its way.")
            return
        occupied = self._failure.code is RouteFailure.GOAL_OCCUPIED
        blocked = self._failure.code is RouteFailure.START_BLOCKED
        code = ErrandCode.GOAL_OCCUPIED if occupied else ErrandCode.STUCK if blocked else ErrandCode.NO_ROUTE
        self.end(now, code, f"{self._failure} Given up{tried}.")

    def _restart_watch(self, now: float) -> None:
        self._anchor = self._pose
        self._moved_at = self._gained_at = now
        self._nearest = float("inf")

    def _enter(self, phase: Phase, now: float) -> None:
        self.phase, self._since = phase, now
