"""Where the robot is on the building's map: map file, scans and odometry in; `map`, map -> odom, `pose` out.

While the robot is lost no transform is sent, so that whoever plans on the map sees the pose go stale.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from geometry_msgs.msg import PoseWithCovariance, PoseWithCovarianceStamped
from sensor_msgs.msg import LaserScan as ScanMsg
from std_srvs.srv import Empty
from tf2_msgs.msg import TFMessage

from lifelong_nav.core import geometry
from lifelong_nav.core.clock import is_fresh
from lifelong_nav.core.config import param
from lifelong_nav.core.errors import ConfigError, InputError
from lifelong_nav.core.grid import OccupancyGrid, load_map
from lifelong_nav.core.transforms import TransformError
from lifelong_nav.core.types import LaserScan, Pose2
from lifelong_nav.nodes import convert
from lifelong_nav.nodes.base import StackNode
from lifelong_nav.nodes.tf import make_tf, stamped
from lifelong_nav.perception.localization import (
    LocalizationConfig,
    LocalizationEstimate,
    LocalizationState,
    Localizer,
)

_PENDING = 4


@dataclass(frozen=True)
class LocalizationNodeConfig(LocalizationConfig):
    """Localisation plus what the node needs."""

    map_file: str = param("", doc="map_server YAML to load and publish; empty: wait for the topic `map`.")
    odom_frame: str = param("odom", doc="Frame of wheel odometry (REP-105).")
    base_frame: str = param("base_link", doc="Frame of the base.")
    initial_pose: list[float] = param([], doc="x [m], y [m], yaw [rad] on the map; empty: search or wait.")
    search_at_start: bool = param(True, doc="Without an initial pose, search the whole map.")
    scan_delay: float = param(0.0, "s", -0.5, 0.5, "How much later than its middle a scan is stamped.")
    tf_patience: float = param(0.1, "s", 0.0, 1.0, "How long a scan waits for the odometry of its time.")
    scan_timeout: float = param(1.0, "s", 0.1, 10.0, "Age of the newest scan beyond which nothing is sent.")


class LocalizationNode(StackNode):
    """See the module's docstring."""

    NAME, CONFIG = "localization", LocalizationNodeConfig

    def setup(self) -> None:
        """Load the map and connect."""
        c = self.config
        if len(c.initial_pose) not in (0, 3):
            raise ConfigError("Parameter 'initial_pose' needs three numbers.", "Give x, y and yaw.")
        self._localizer: Localizer | None = None
        self._estimate: LocalizationEstimate | None = None
        self._wanted: tuple[Pose2, Any] | None = None
        self._waiting: deque[tuple[float, LaserScan]] = deque(maxlen=_PENDING)
        self._tf = make_tf(self)
        self.on_cleanup_do(self._tf.close)
        self._grid = load_map(Path(c.map_file)) if c.map_file else None
        if self._grid is None:
            self.listen("map", self._on_map)
        else:
            self._map_out = self.offer("map")
        self._pose_out = self.offer("pose")
        self._tf_out = self.offer("/tf")
        self.listen("scan", self._on_scan)
        self.listen("initialpose", self._on_initial_pose)
        service = self.create_service(Empty, "global_localization", self._on_search)
        self.on_cleanup_do(lambda: self.destroy_service(service))
        self.every(0.02, self._process)
        self.every(0.1, self._send_transform)
        self.every(0.5, self._watch)

    def start(self) -> None:
        """Publish the map and begin."""
        if self._grid is not None:
            if self._localizer is None:
                self._begin(self._grid)
            self._map_out.publish(convert.grid_to(self._grid, self.clock.now()))

    def retune(self) -> None:
        """Matching takes new parameters at once, the pose is kept."""
        if self._localizer is not None:
            self._localizer.config = self.config

    def time_jumped(self) -> None:
        """Odometry of another time says nothing; the pose on the map is still the best guess."""
        self._waiting.clear()
        self._tf.clear()
        self._estimate = None
        if self._localizer is not None:
            self._localizer.reset_time()

    def _begin(self, grid: OccupancyGrid) -> None:
        self._localizer = Localizer(grid, self.config)
        if self._wanted is not None:
            self._localizer.set_pose(*self._wanted)
        elif self.config.initial_pose:
            self._localizer.set_pose(Pose2(*self.config.initial_pose))
        elif self.config.search_at_start:
            self._localizer.search()

    def _on_map(self, message: Any) -> None:
        self._begin(convert.grid_from(message))

    def _on_initial_pose(self, message: Any) -> None:
        if message.header.frame_id != "map":
            raise InputError(
                f"The initial pose is in frame '{message.header.frame_id}'.", "Give it in frame 'map'."
            )
        pose = geometry.flatten(convert.pose_from(message.pose.pose))
        full = np.asarray(message.pose.covariance, dtype=float).reshape(6, 6)
        covariance = full[np.ix_((0, 1, 5), (0, 1, 5))]
        self._wanted = (pose, covariance if covariance.any() else None)
        self._estimate = None
        if self._localizer is not None:
            self._localizer.set_pose(*self._wanted)
        self.get_logger().info(f"told to be at x {pose.x:.2f}, y {pose.y:.2f}, yaw {pose.yaw:.2f}")

    def _on_search(self, request: Any, response: Any) -> Any:
        if self._localizer is not None:
            self._localizer.search()
        return response

    def _on_scan(self, message: ScanMsg) -> None:
        self._waiting.append((self.clock.steady(), convert.scan_from(message)))
        self._process()

    def _process(self) -> None:
        c = self.config
        while self._waiting:
            arrived, scan = self._waiting[0]
            stamp = scan.stamp - c.scan_delay
            late = self.clock.steady() - arrived > c.tf_patience or len(self._waiting) == _PENDING
            if not (late or self._tf.ready(c.odom_frame, c.base_frame, stamp)):
                return
            self._waiting.popleft()
            if self._localizer is None:
                continue
            try:
                odom = geometry.flatten(self._tf.lookup(c.odom_frame, c.base_frame, stamp))
                mount = geometry.flatten(self._tf.lookup(c.base_frame, scan.frame_id))
            except TransformError as error:
                self.degraded("tf", error.what)
                raise
            self.degraded("tf", None)
            self._take(self._localizer.update(scan, odom, mount))

    def _take(self, estimate: LocalizationEstimate | None) -> None:
        if estimate is None:
            self.degraded("pose", "unknown: give an initial pose (RViz: 2D Pose Estimate)")
            return
        before = self._estimate.state if self._estimate is not None else LocalizationState.UNKNOWN
        if estimate.state is not before:
            self.get_logger().info(
                f"{estimate.state.value} at x {estimate.pose.x:.2f}, y {estimate.pose.y:.2f} "
                f"(quality {estimate.quality:.2f}, {estimate.hypotheses} places possible)"
            )
        self._estimate = estimate
        self.degraded("pose", None if estimate.localised else f"the robot is {estimate.state.value}")
        spread = np.sqrt(np.diag(estimate.covariance))
        self.stats |= {
            "state": estimate.state.value, "quality": estimate.quality, "beams explained": estimate.good,
            "beams short": estimate.short, "beams through walls": estimate.through,
            "places possible": float(estimate.hypotheses), "spread xy [m]": float(spread[:2].max()),
            "spread yaw [rad]": float(spread[2]), "odometer scale error": estimate.errors[0],
            "turning scale error": estimate.errors[1], "drift [rad/m]": estimate.errors[2],
        }  # fmt: skip
        if self._localizer is not None:
            self.stats["map searches"] = float(self._localizer.searches)
        self._pose_out.publish(
            PoseWithCovarianceStamped(
                header=convert.header(estimate.stamp, "map"),
                pose=PoseWithCovariance(
                    pose=convert.pose_to(estimate.pose),
                    covariance=convert.planar_covariance(estimate.covariance),
                ),
            )
        )
        self._send_transform()

    def _send_transform(self) -> None:
        """Send map -> odom as of now, unless it is not to be relied upon."""
        e = self._estimate
        if e is None or e.state is LocalizationState.LOST or (e.hypotheses > 1 and not e.localised):
            return
        if not is_fresh(self.received("scan"), self.clock, self.config.scan_timeout):
            return
        now = max(self.clock.now(), e.stamp)
        transform = stamped(e.map_to_odom, "map", self.config.odom_frame, now)
        self._tf_out.publish(TFMessage(transforms=[transform]))

    def _watch(self) -> None:
        fresh = is_fresh(self.received("scan"), self.clock, self.config.scan_timeout)
        self.degraded("scan", None if fresh else "no current scan")
        self.degraded("map", None if self._localizer is not None else "no map yet")
