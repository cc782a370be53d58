"""What a node hears of the robot's surroundings, put together as a `Situation` in the odometry's frame."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lifelong_nav.control.local_field import LocalField, LocalFieldConfig
from lifelong_nav.core.clock import is_fresh
from lifelong_nav.core.config import param
from lifelong_nav.core.distance import DistanceField
from lifelong_nav.core.errors import InputError
from lifelong_nav.core.geometry import flatten
from lifelong_nav.core.share import state_folder
from lifelong_nav.core.social_context import SocialContext
from lifelong_nav.core.types import FloatArray, LaserScan, Odometry, People, Pose2
from lifelong_nav.nodes import convert, convert_context
from lifelong_nav.nodes.base import StackNode
from lifelong_nav.nodes.tf import make_tf
from lifelong_nav.trajectory.prediction.history import PeopleHistory
from lifelong_nav.trajectory.situation import Situation

_NO_ROUTE = np.zeros((0, 2))


@dataclass(frozen=True)
class SensingConfig:
    """What nodes that choose trajectories, and that learn them, have in common."""

    speed: float = param(0.8, "m/s", 0.05, 3.0, "Speed to travel at; as the controller's.")
    robot_radius: float = param(0.27, "m", 0.05, 1.0, "Radius of the base.")
    odom_frame: str = param("odom", doc="Frame to plan in.", read_only=True)
    input_timeout: float = param(0.5, "s", 0.1, 5.0, "Age at which odometry or scan is stale.")
    people_timeout: float = param(1.0, "s", 0.1, 5.0, "Age at which people are forgotten.")
    context_timeout: float = param(2.0, "s", 0.1, 30.0, "Age at which the social context is unknown.")
    state_dir: str = param(
        "", doc="Folder of what is learned; empty: below $LIFELONG_NAV_STATE or ~/.lifelong_nav.",
        read_only=True,
    )  # fmt: skip


def learned_folder(state_dir: str) -> Path:
    """Where this robot keeps the trajectories it learned; may be absent."""
    return Path(state_dir).expanduser() if state_dir else state_folder("trajectories")


class Surroundings:
    """Listens on behalf of a node whose config holds `SensingConfig`.

    Args:
        node: being set up.
        field: makes a distance field of the scans; None for none.
    """

    def __init__(self, node: StackNode, field: LocalFieldConfig | None = None) -> None:
        self.node = node
        self.history = PeopleHistory()
        self._field = LocalField(field) if field is not None else None
        self.tf = make_tf(node)
        node.on_cleanup_do(self.tf.close)
        self.forget()
        for topic, callback in (
            ("odom", self._on_odometry), ("scan", self._on_scan), ("people", self._on_people),
            ("social_context", self._on_context),
        ):  # fmt: skip
            node.listen(topic, callback)

    def forget(self) -> None:
        """Everything seen is of another time."""
        self._distance: DistanceField | None = None
        self._scan: tuple[LaserScan, Pose2] | None = None
        self._odometry: Odometry | None = None
        self._people: People | None = None
        self._social: SocialContext | None = None
        self.history.clear()
        self.tf.clear()
        if self._field is not None:
            self._field.reset()

    def people(self) -> People | None:
        """Tracked people, None when they are stale."""
        return self._people if self._fresh("people", self.node.config.people_timeout) else None

    def context(self) -> SocialContext | None:
        """What is going on socially, None when unknown."""
        return self._social if self._fresh("social_context", self.node.config.context_timeout) else None

    def situation(self, route: FloatArray = _NO_ROUTE) -> Situation | None:
        """Now; None, with the reason in the diagnostics, when odometry or scan is missing.

        Args:
            route: (M, 2) the way from the robot on, in the odometry's frame; empty when nobody knows it.
        """
        c, timeout = self.node.config, self.node.config.input_timeout
        odom = self._odometry is not None and self._fresh("odom", timeout)
        scan = self._scan is not None and self._fresh("scan", timeout)
        self.node.degraded("odom", None if odom else "no current odometry")
        self.node.degraded("scan", None if scan else "no current scan with a known pose")
        if not (odom and scan) or self._odometry is None or self._scan is None:
            return None
        here = self._odometry
        end = route[-1] if len(route) else (np.nan, np.nan)
        return Situation(
            here.stamp, here.pose, here.twist, route, Pose2(float(end[0]), float(end[1]), float("nan")),
            c.speed, self.people() or People(here.stamp, c.odom_frame), None, self._distance, *self._scan,
            self.context(), c.robot_radius, c.odom_frame,
        )  # fmt: skip

    def _fresh(self, topic: str, timeout: float) -> bool:
        return is_fresh(self.node.received(topic), self.node.clock, timeout)

    def _on_odometry(self, message: Any) -> None:
        self._odometry = None
        self._odometry = self._in_odom(convert.odometry_from(message), "Odometry")

    def _on_people(self, message: Any) -> None:
        self._people = None
        self._people = self._in_odom(convert.people_from(message), "People")
        self.history.add(self._people)

    def _on_scan(self, message: Any) -> None:
        self._scan = self._distance = None
        scan = convert.scan_from(message)
        sensor = flatten(self.tf.lookup(self.node.config.odom_frame, scan.frame_id, scan.stamp))
        if self._field is not None:
            self._distance = self._field.update(scan, sensor, self.people())
        self._scan = scan, sensor

    def _on_context(self, message: Any) -> None:
        self._social = None
        self._social = convert_context.context_from(message)

    def _in_odom(self, value: Any, what: str) -> Any:
        frame = self.node.config.odom_frame
        if value.frame_id != frame:
            raise InputError(
                f"{what} is in frame '{value.frame_id}', not '{frame}'.",
                "Set the parameter odom_frame, or let perception use the odometry's frame.",
            )
        return value
