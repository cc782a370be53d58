"""The view node: what the stack says, drawn in the browser and as RViz markers. It commands nothing."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from builtin_interfaces.msg import Duration
from geometry_msgs.msg import Point, Vector3
from std_msgs.msg import ColorRGBA
from visualization_msgs.msg import Marker, MarkerArray

from lifelong_nav.core.config import param
from lifelong_nav.core.errors import DependencyError, InputError
from lifelong_nav.core.geometry import flatten
from lifelong_nav.core.transforms import TransformError
from lifelong_nav.core.types import FloatArray, People, Pose2
from lifelong_nav.nodes import convert, convert_context, convert_trajectory
from lifelong_nav.nodes.base import StackNode
from lifelong_nav.nodes.ros_clock import to_seconds
from lifelong_nav.nodes.tf import make_tf
from lifelong_nav.viz.choice_text import choice_text
from lifelong_nav.viz.context_text import context_text
from lifelong_nav.viz.live import LiveConfig, LiveView
from lifelong_nav.viz.markers import LIFETIME, Shape, people_shapes

_KINDS = {
    "cylinder": Marker.CYLINDER, "sphere": Marker.SPHERE, "arrow": Marker.ARROW,
    "line": Marker.LINE_STRIP, "text": Marker.TEXT_VIEW_FACING,
}  # fmt: skip
_LEVELS = ("INFO", "WARN", "ERROR", "ERROR")
_LIKELY = 0.1
"""Modes of people's forecasts less probable than this are not drawn."""
_SLOW = 1.0
"""Rate [Hz] of what changes slowly: maps, plans, diagnostics."""


@dataclass(frozen=True)
class ViewConfig(LiveConfig):
    """Parameters of the node `view`: those of the live view, and how often to draw."""

    live: bool = param(True, doc="Serve the live view; false publishes only the markers.", read_only=True)
    rate: float = param(10.0, "Hz", 0.5, 60.0, "Most drawings a second of each moving thing, by wall clock.")
    image_rate: float = param(5.0, "Hz", 0.0, 60.0, "Most camera pictures a second; 0 draws none.")
    marker_rate: float = param(5.0, "Hz", 0.5, 30.0, "Most marker messages a second.")
    horizon: float = param(2.0, "s", 0.0, 10.0, "How far ahead people's straight paths are drawn; 0: not.")
    map_frame: str = param("map", doc="Name of the map's frame.")
    odom_frame: str = param("odom", doc="Name of the odometry's frame.")


class ViewNode(StackNode):
    """See the module's docstring. Works with what is there: a missing topic is a missing drawing."""

    NAME: ClassVar[str] = "view"
    CONFIG: ClassVar[type] = ViewConfig

    def setup(self) -> None:
        """Serve the view and connect it."""
        self._due: dict[str, float] = {}
        self._health: dict[str, tuple[int, str]] = {}
        self._learned: dict[str, str] = {}
        self._forecast_at = -np.inf
        self._markers = self.offer("people_markers")
        self._view: Any = self._make_view() if self.config.live else None
        self.listen("people", self._on_people)
        if self._view is None:
            return
        self.on_cleanup_do(self._view.close)
        self._tf = make_tf(self)
        self.on_cleanup_do(self._tf.close)
        for topic, callback in (
            ("scan", self._on_scan), ("odom", self._on_odometry), ("plan", self._on_plan),
            ("predicted_path", self._on_predicted), ("gate_state", self._on_gate), ("map", self._on_map),
            ("costmap", self._on_costmap), ("sim/people", self._on_true_people),
            ("sim/contacts", self._on_contact), ("/diagnostics", self._on_diagnostics),
            ("social_context", self._on_context), ("context_learner", self._on_learner),
            ("candidates", self._on_choice), ("people_forecast", self._on_forecast),
            ("trajectory_learner", self._on_learner),
        ):  # fmt: skip
            self.listen(topic, callback)
        if self.config.image_rate > 0.0:
            self.listen("camera/color/image_raw", self._on_image)

    def time_jumped(self) -> None:
        """A new run or loop."""
        if self._view is not None:
            self._view.restart_time()
            self._tf.clear()

    @property
    def url(self) -> str:
        """Where the live view is; empty when it is not."""
        return "" if self._view is None else self._view.url

    # ---- inside ------------------------------------------------------------------------------------

    def _make_view(self) -> LiveView | None:
        """The live view, on another port when the wished one is taken; None without rerun-sdk."""
        try:
            try:
                view = LiveView(self.config)
            except InputError as error:
                if "Port" not in error.what:
                    raise
                view = LiveView(replace(self.config, port=0, data_port=0))
                self.get_logger().warning(f"{error.what} The live view is at {view.url} instead.")
        except DependencyError as error:
            self.degraded("live view", str(error))
            self.get_logger().warning(f"no live view: {error}")
            return None
        self.stats["live view"] = view.url
        self.get_logger().info(f"live view: {view.url}")
        return view

    def _is_due(self, what: str, rate: float) -> bool:
        """At most `rate` times a second of wall time, so that a fast simulation costs no more."""
        now = time.monotonic()
        if now < self._due.get(what, 0.0):
            return False
        self._due[what] = now + 0.9 / rate  # a little early, or half of a 10 Hz topic would be lost at 10 Hz
        return True

    def _frame(self, name: str) -> str:
        """`map` or `odom`, as the live view calls them."""
        known = {self.config.map_frame: "map", self.config.odom_frame: "odom"}
        if name not in known:
            raise InputError(f"Frame '{name}' is not drawn.", f"Publish in one of {list(known)}.")
        return known[name]

    def _on_people(self, message: Any) -> None:
        markers = self._is_due("markers", self.config.marker_rate)
        draw = self._view is not None and self._is_due("people", self.config.rate)
        if not (markers or draw):
            return
        people = convert.people_from(message)
        if markers:
            self._markers.publish(marker_array(people_shapes(people), message.header))
        if self._view is not None and draw:
            frame = self._frame(people.frame_id)
            self._view.log_people(replace(people, frame_id=frame))
            forecast = self.clock.steady() - self._forecast_at < 1.0
            if self.config.horizon > 0.0 and not forecast:
                self._view.log_people_prediction(people.stamp, _straight(people, self.config.horizon), frame)

    def _on_true_people(self, message: Any) -> None:
        if self._is_due("true people", self.config.rate):
            people = convert.people_from(message)
            self._view.log_people(replace(people, frame_id=self._frame(people.frame_id)), true=True)

    def _on_scan(self, message: Any) -> None:
        if self._is_due("scan", self.config.rate):
            scan = convert.scan_from(message)
            try:
                sensor = self._tf.lookup(self.config.odom_frame, scan.frame_id, scan.stamp)
            except TransformError:
                sensor = self._tf.lookup(self.config.odom_frame, scan.frame_id)
            self._view.log_scan(scan, flatten(sensor))

    def _on_odometry(self, message: Any) -> None:
        if not self._is_due("odom", self.config.rate):
            return
        odometry = convert.odometry_from(message)
        try:
            origin = flatten(self._tf.lookup(self.config.map_frame, self.config.odom_frame))
        except TransformError:
            origin = Pose2()  # nothing localises the robot: odometry is all there is
        self._view.log_frame(odometry.stamp, origin)
        self._view.log_robot_pose(odometry.stamp, odometry.pose, self._frame(odometry.frame_id))

    def _on_plan(self, message: Any) -> None:
        if self._is_due("plan", 4.0 * _SLOW) or not message.poses:
            frame, stamp = self._frame(message.header.frame_id), to_seconds(message.header.stamp)
            points = _points(message)
            self._view.log_plan(stamp, points, frame)
            goal = None
            if len(points):
                end = flatten(convert.pose_from(message.poses[-1].pose))
                goal = Pose2(round(end.x, 3), round(end.y, 3), round(end.yaw, 3))
            self._view.log_goal(stamp, goal, frame)

    def _on_predicted(self, message: Any) -> None:
        if self._is_due("predicted", self.config.rate):
            stamp, frame = to_seconds(message.header.stamp), self._frame(message.header.frame_id)
            self._view.log_predicted(stamp, _points(message), frame)

    def _on_gate(self, message: Any) -> None:
        stamp = to_seconds(message.header.stamp)
        if message.state > 2:
            raise InputError(f"Gate state {message.state} is unknown.", "Use GateState's constants.")
        self._view.log_gate(stamp, int(message.state), message.reason, message.text)
        if self._is_due("command", self.config.rate):
            requested, sent = convert.twist_from(message.requested), convert.twist_from(message.sent)
            self._view.log_command(stamp, requested, sent)

    def _on_map(self, message: Any) -> None:
        if self._is_due("map", _SLOW):
            self._view.log_map(self.clock.now(), convert.grid_from(message))

    def _on_costmap(self, message: Any) -> None:
        if self._is_due("costmap", _SLOW):
            self._view.log_costmap(self.clock.now(), convert.grid_from(message))

    def _on_image(self, message: Any) -> None:
        if self._is_due("image", max(self.config.image_rate, 0.1)):
            self._view.log_image(convert.image_from(message))

    def _on_context(self, message: Any) -> None:
        if self._is_due("situation", _SLOW * 4.0):
            context = convert_context.context_from(message)
            self._view.log_text(
                context.stamp, "situation", context_text(context, self._learned.get("context", ""))
            )

    def _on_learner(self, message: Any) -> None:
        if message.event and message.event != self._learned.get(message.learner):
            self._view.log_event(self.clock.now(), f"learner of {message.learner}: {message.event}"[:200])
        self._learned[message.learner] = message.event

    def _on_choice(self, message: Any) -> None:
        if not self._is_due("choice", self.config.rate):
            return
        choice = convert_trajectory.choice_from(message)
        frame = self._frame(message.header.frame_id)
        paths = np.stack([c.trajectory.poses[:, :2] for c in choice.candidates])
        text = choice_text(
            message.names, message.sources, choice.totals, choice.terms, choice.index, choice.reason,
            self._learned.get("trajectories", ""),
        )  # fmt: skip
        self._view.log_choice(choice.stamp, paths, choice.index, text, frame)

    def _on_forecast(self, message: Any) -> None:
        if self._is_due("forecast", self.config.rate):
            forecast = convert_trajectory.forecast_from(message)
            self._forecast_at = self.clock.steady()
            likely = forecast.weights > _LIKELY
            first = np.broadcast_to(forecast.start[:, None, None], (*forecast.positions.shape[:2], 1, 2))
            ways = np.concatenate([first, forecast.positions], axis=2)[likely]
            frame = self._frame(message.header.frame_id)
            self._view.log_people_prediction(forecast.stamp, ways, frame)

    def _on_contact(self, message: Any) -> None:
        stamp, frame = to_seconds(message.header.stamp), self._frame(message.header.frame_id)
        p = message.position
        if not np.isfinite((p.x, p.y)).all():
            raise InputError("Contact without a finite position.", "Mend its publisher.")
        self._view.log_contact(stamp, p.x, p.y, message.name, frame)

    def _on_diagnostics(self, message: Any) -> None:
        for status in message.status:
            level = (
                int.from_bytes(status.level, "little") if isinstance(status.level, bytes) else status.level
            )
            now = (level, status.message if level else "")
            before = self._health.get(status.name)
            self._health[status.name] = now
            if now != before and (level or before is not None):
                text = f"{status.name}: {status.message or 'ok'}"
                self._view.log_event(self.clock.now(), text[:200], _LEVELS[min(level, 3)])


def marker_array(shapes: list[Shape], header: Any) -> MarkerArray:
    """visualization_msgs/MarkerArray of shapes in the frame of `header`."""
    return MarkerArray(markers=[_marker(shape, header) for shape in shapes])


def _marker(shape: Shape, header: Any) -> Marker:
    seconds = int(LIFETIME)
    out = Marker(
        header=header, ns=shape.namespace, id=int(shape.id) & 0x7FFFFFFF, type=_KINDS[shape.kind],
        scale=Vector3(x=float(shape.scale[0]), y=float(shape.scale[1]), z=float(shape.scale[2])),
        color=ColorRGBA(**dict(zip("rgba", map(float, shape.colour), strict=True))), text=shape.text,
        lifetime=Duration(sec=seconds, nanosec=int((LIFETIME - seconds) * 1e9)),
    )  # fmt: skip
    out.pose.position = Point(**dict(zip("xyz", map(float, shape.position), strict=True)))
    out.pose.orientation.w = 1.0
    if shape.points is not None:
        out.points = [Point(x=float(x), y=float(y), z=float(z)) for x, y, z in shape.points]
    return out


def _points(message: Any) -> FloatArray:
    """(T, 2) positions of a nav_msgs/Path, finite."""
    rows = [(p.pose.position.x, p.pose.position.y) for p in message.poses]
    points = np.array(rows, dtype=float).reshape(-1, 2)
    if not np.isfinite(points).all():
        raise InputError("Path with non-finite positions.", "Mend its publisher.")
    return points


def _straight(people: People, horizon: float) -> FloatArray:
    """(N, 2, 2) where people are and where they would be if they walked on."""
    xy = people.positions()
    return np.stack([xy, xy + horizon * people.velocities()], axis=1)
