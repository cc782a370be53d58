"""A client that sends the robot on one errand after another through the `navigate` action."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from action_msgs.msg import GoalStatus
from lifelong_nav_interfaces.action import Navigate
from rclpy.action import ActionClient
from rclpy.node import Node

from lifelong_nav.core.types import Pose2
from lifelong_nav.nodes import convert

_RETRY = 0.5
_CODES = {
    value: name for name, value in vars(Navigate.Result).items()
    if name.isupper() and isinstance(value, int)
}  # fmt: skip


@dataclass(frozen=True)
class Errand:
    """A named place to drive to, in the map frame; NaN yaw means any heading."""

    name: str
    pose: Pose2


@dataclass
class ErrandOutcome:
    """How an errand went. Times are seconds of ROS time; `code` is a word of Navigate.Result."""

    errand: Errand
    started: float
    ended: float = 0.0
    code: str = "RUNNING"
    message: str = ""
    distance: float = 0.0
    recoveries: int = 0

    @property
    def success(self) -> bool:
        """True when the robot got there."""
        return self.code == "NONE"


@dataclass
class Progress:
    """The newest feedback."""

    remaining: float = float("nan")
    eta: float = float("nan")
    status: str = "waiting for the stack"


class ErrandRunner(Node):
    """Sends each errand when the one before has ended; `done` when all have.

    Args:
        errands: what to do, in order.
        timeout: ROS seconds per errand before the planner gives up, 0 for none.
        kwargs: of rclpy's Node.
    """

    def __init__(self, errands: Sequence[Errand], timeout: float = 0.0, **kwargs: Any) -> None:
        super().__init__("errand_runner", **kwargs)
        self._errands = list(errands)
        self._timeout = timeout
        self._client = ActionClient(self, Navigate, "navigate")
        self._handle: Any = None
        self._busy = False
        self._not_before = 0.0
        self.outcomes: list[ErrandOutcome] = []
        self.progress = Progress()

    @property
    def done(self) -> bool:
        """True when every errand has ended."""
        return len(self.outcomes) == len(self._errands) and not self._busy

    def tick(self) -> None:
        """Send the next errand when it is time; call it often."""
        if self.done or self._busy or time.monotonic() < self._not_before:
            return
        if not self._client.server_is_ready():
            return
        errand = self._errands[len(self.outcomes)]
        stamp = self.get_clock().now().nanoseconds * 1e-9
        if stamp <= 0.0:
            return  # no simulated time yet
        goal = Navigate.Goal(timeout=float(self._timeout))
        any_heading = errand.pose.yaw != errand.pose.yaw
        goal.yaw_tolerance = -1.0 if any_heading else 0.0
        yaw = 0.0 if any_heading else errand.pose.yaw
        goal.pose = convert.pose_stamped(Pose2(errand.pose.x, errand.pose.y, yaw), stamp, "map")
        self._busy = True
        self.outcomes.append(ErrandOutcome(errand, stamp))
        future = self._client.send_goal_async(goal, feedback_callback=self._on_feedback)
        future.add_done_callback(self._on_answer)

    def cancel(self) -> None:
        """Ask the planner to drop the running errand."""
        if self._handle is not None:
            self._handle.cancel_goal_async()

    def finish(self) -> None:
        """Release the action client."""
        self._client.destroy()
        self.destroy_node()

    def _on_feedback(self, message: Any) -> None:
        f = message.feedback
        self.progress = Progress(float(f.distance_remaining), float(f.eta), f.status)

    def _on_answer(self, future: Any) -> None:
        handle = future.result()
        if handle is None or not handle.accepted:  # the planner is not active yet: ask again
            self.outcomes.pop()
            self._busy = False
            self._not_before = time.monotonic() + _RETRY
            return
        self._handle = handle
        handle.get_result_async().add_done_callback(self._on_result)

    def _on_result(self, future: Any) -> None:
        answer, outcome = future.result(), self.outcomes[-1]
        outcome.ended = self.get_clock().now().nanoseconds * 1e-9
        result = answer.result
        outcome.code = _CODES.get(int(result.error_code), str(result.error_code))
        if answer.status != GoalStatus.STATUS_SUCCEEDED and outcome.code == "NONE":
            outcome.code = "INTERNAL"  # the server went away under us
        outcome.message = result.error_msg or ("" if outcome.success else "the planner gave no reason")
        outcome.distance, outcome.recoveries = float(result.distance), int(result.recoveries)
        self._busy, self._handle = False, None
        self.progress = Progress()
