"""The live view: core values in, drawings in the browser out.

Everything lies under `map`, as TF does: `map/odom` is moved by `log_frame`, what is given in `odom` is drawn
below it. Whatever must still be there for a browser that comes late is drawn again now and then, because the
server forgets the oldest data when its memory is full.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lifelong_nav.core.config import param
from lifelong_nav.core.errors import require_package
from lifelong_nav.core.geometry import transform_points2, yaw_to_xyzw
from lifelong_nav.core.grid import OccupancyGrid
from lifelong_nav.core.types import FloatArray, Image, LaserScan, People, Pose2, Twist2
from lifelong_nav.viz import colours
from lifelong_nav.viz.layout import APPLICATION, TIMELINE, layout
from lifelong_nav.viz.pictures import COST_SHADES, MAP_SHADES, jpeg, shrink
from lifelong_nav.viz.server import ViewerServer
from lifelong_nav.viz.strokes import CIRCLE, arrows, known_bounds, path, raised, ring

GATE_STATES = ("pass", "limited", "stopped")
"""By the numbers of GateState.msg."""

SHAPING = ("acceleration", "speed_limit")
"""Reasons for which the gate limits a command all day without anything being wrong."""

_LEVELS = ("INFO", "WARN", "ERROR")
_FRAMES = {"map": "map", "odom": "map/odom"}
_PAWN = 0.12
"""Half the height [m] of figures: low, so that they do not lean outwards when seen from above."""
_STRIPS = (
    ("plan", colours.PLAN, 0.05),
    ("predicted_path", colours.PREDICTED, 0.07),
    ("candidates", (190, 200, 225), 0.015),
    ("trajectory", colours.CHOSEN, 0.05),
    ("people_prediction", (170, 175, 190), 0.02),
    ("true_people", (60, 60, 60), 0.015),
    ("goal", colours.GOAL, 0.06),
    ("trail", (150, 185, 235), 0.03),
)
_BATCH = 0.2
"""Seconds of drawings that are sent together: fewer, larger parcels are cheaper for both ends."""
_TRAIL_STEP, _TRAIL_LENGTH = 0.15, 600


@dataclass(frozen=True)
class LiveConfig:
    """How the live view is served and how much it draws."""

    port: int = param(9090, "", 0, 65535, "HTTP port of the page; 0 takes a free one.")
    data_port: int = param(9876, "", 0, 65535, "Port that the data goes through; 0 takes a free one.")
    bind: str = param(
        "127.0.0.1",
        doc="Address to serve on; there is no password, so 0.0.0.0 shows the camera to the network.",
    )
    memory: int = param(64, "MB", 8, 4096, "Data kept for browsers that come late; the oldest is dropped.")
    image_width: int = param(320, "px", 32, 4096, "Wider camera pictures are shrunk to this.")
    image_quality: int = param(75, "", 10, 100, "JPEG quality of the camera.")
    map_cells: int = param(600, "", 50, 4000, "Maps with more cells a side are drawn coarser.")
    repeat: float = param(20.0, "s", 1.0, 600.0, "Maps and goals are drawn again this often.")


class LiveView:
    """Draws on a recording that a viewer shows, or that is kept in a file.

    Args:
        config: ports, address, limits.
        file: write an .rrd recording there instead of serving it.

    Raises:
        DependencyError, InputError: as `ViewerServer`.
    """

    def __init__(self, config: LiveConfig | None = None, file: Path | None = None) -> None:
        self.config = config or LiveConfig()
        self._rr: Any = require_package("rerun", "viz")
        self.server: ViewerServer | None = None
        batches = self._rr.ChunkBatcherConfig.DEFAULT()
        batches.flush_tick = timedelta(seconds=_BATCH)
        self._record: Any = self._rr.RecordingStream(
            APPLICATION, send_properties=False, batcher_config=batches
        )
        self._record.set_log_time_enabled(False)
        self._record.set_log_tick_enabled(False)
        if file is not None:
            self._record.save(str(file), default_blueprint=layout())
        else:
            c = self.config
            self.server = ViewerServer(c.port, c.data_port, c.bind, c.memory)
            self._record.connect_grpc(self.server.data_url, default_blueprint=layout())
        self._now = 0.0
        self._repeats: dict[str, tuple[float, Any]] = {}
        self._bounds: tuple[float, float, float, float] | None = None
        self._gate: tuple[int, str] | None = None
        self._trail: deque[tuple[float, float]] = deque(maxlen=_TRAIL_LENGTH)
        self._frame_pose: Pose2 | None = None
        self._robot_root = ""
        self._draw_fixed()

    @property
    def url(self) -> str:
        """What to open in a browser on this machine; empty when writing to a file."""
        return self.server.short_url if self.server else ""

    def close(self) -> None:
        """Send what is left and stop serving."""
        self._record.flush()
        self._record.disconnect()
        if self.server is not None:
            self.server.close()

    # ---- where things are --------------------------------------------------------------------------

    def log_frame(self, stamp: float, odom_in_map: Pose2) -> None:
        """Where the odom frame lies in the map; drawn only when it changed."""
        if odom_in_map != self._frame_pose:
            self._frame_pose = odom_in_map
            self._log(stamp, "map/odom", self._transform(odom_in_map), repeat=True)

    def log_robot_pose(self, stamp: float, pose: Pose2, frame: str = "odom") -> None:
        """The robot, and the trail of where it was."""
        root = _FRAMES[frame]
        if self._robot_root != root:
            self._robot_root = root
            self._draw_robot(root)
        self._log(stamp, f"{root}/robot", self._transform(pose))
        if (
            not self._trail
            or np.hypot(pose.x - self._trail[-1][0], pose.y - self._trail[-1][1]) > _TRAIL_STEP
        ):
            self._trail.append((pose.x, pose.y))
            self._lines(stamp, f"{root}/trail", [raised(np.array(self._trail), 0.01)])

    def log_map(self, stamp: float, grid: OccupancyGrid) -> None:
        """The building map; the first one also sets the eye above it."""
        grid = shrink(grid, self.config.map_cells)
        self._log(stamp, "map/floor", self._grid(grid, MAP_SHADES, 1.0, 0.0), repeat=True)
        bounds = known_bounds(grid)
        if self._bounds is None and bounds is not None:
            self._bounds = bounds
            self._record.send_blueprint(layout(bounds))

    def log_costmap(self, stamp: float, grid: OccupancyGrid) -> None:
        """The planner's costs, hidden until switched on in the viewer."""
        grid = shrink(grid, self.config.map_cells)
        self._log(stamp, "map/costmap", self._grid(grid, COST_SHADES, 0.6, 0.005))

    # ---- what is seen ------------------------------------------------------------------------------

    def log_scan(self, scan: LaserScan, sensor: Pose2, frame: str = "odom") -> None:
        """Lidar returns.

        Args:
            scan: ranges in the sensor's frame.
            sensor: pose of the sensor in `frame` at the scan's stamp.
            frame: map or odom.
        """
        points = raised(transform_points2(sensor, scan.points()), 0.25)
        self._log(scan.stamp, f"{_FRAMES[frame]}/scan", self._rr.Points3D.from_fields(positions=points))

    def log_people(self, people: People, true: bool = False) -> None:
        """People as figures with velocity arrows, coloured and tied together by group, named by id.

        Args:
            people: in map or odom.
            true: the simulator's truth, drawn as thin rings.
        """
        root = _FRAMES[people.frame_id]
        xy, radii = people.positions(), people.radii()
        if true:
            rings = xy[:, None] + radii[:, None, None] * CIRCLE
            self._lines(people.stamp, f"{root}/true_people", raised(rings, 0.02))
            return
        groups = np.array([p.group_id for p in people.people], dtype=np.int64)
        rgba = colours.person_colours(groups, np.array([p.confidence for p in people.people]))
        packed = np.ascontiguousarray(rgba[:, ::-1]).view("<u4").ravel()
        names = [f"{p.id}" if p.group_id < 0 else f"{p.id} · g{p.group_id}" for p in people.people]
        bodies = self._rr.Ellipsoids3D.from_fields(
            half_sizes=np.column_stack([radii, radii, np.full(len(radii), _PAWN)]),
            centers=raised(xy, _PAWN), colors=packed,
        )  # fmt: skip
        self._log(people.stamp, f"{root}/people", bodies)
        below = raised(xy - np.column_stack([0.0 * radii, radii + 0.12]), _PAWN)
        tags = self._rr.Points3D.from_fields(positions=below, labels=names)
        self._log(people.stamp, f"{root}/people/names", tags)
        velocities = people.velocities()
        moving = np.hypot(*velocities.T) > 0.05
        speeds = raised(arrows(xy[moving], velocities[moving]), 2.2 * _PAWN)
        drawing = self._rr.LineStrips3D.from_fields(strips=speeds, colors=packed[moving])
        self._log(people.stamp, f"{root}/people/velocity", drawing)
        self._groups(people.stamp, f"{root}/people/groups", xy, groups)

    def log_people_prediction(self, stamp: float, paths: FloatArray, frame: str = "odom") -> None:
        """Where people are expected: (N, T, 2) [m]."""
        lines = raised(np.asarray(paths, dtype=float), 0.05)
        self._lines(stamp, f"{_FRAMES[frame]}/people_prediction", lines)

    def log_image(self, image: Image) -> None:
        """The camera picture, as a small JPEG; depth is shown by distance."""
        data = jpeg(image.data, self.config.image_width, self.config.image_quality)
        self._log(image.stamp, "camera", self._rr.EncodedImage(contents=data, media_type="image/jpeg"))

    # ---- what is meant and done --------------------------------------------------------------------

    def log_goal(self, stamp: float, goal: Pose2 | None, frame: str = "map") -> None:
        """Where the robot is sent; None takes it away."""
        there = np.zeros((0, 3)) if goal is None else goal.array()[None]
        ahead = 0.6 * np.stack([np.cos(there[:, 2]), np.sin(there[:, 2])], axis=-1)
        drawing = self._rr.LineStrips3D.from_fields(
            strips=raised(arrows(there[:, :2], ahead), 0.08), labels=["goal"] * len(there)
        )
        self._log(stamp, f"{_FRAMES[frame]}/goal", drawing, repeat=True)

    def log_plan(self, stamp: float, poses: FloatArray, frame: str = "map") -> None:
        """The route: (T, 2 or 3) x, y, (yaw); empty takes it away."""
        self._lines(stamp, f"{_FRAMES[frame]}/plan", path(poses, 0.03))

    def log_predicted(self, stamp: float, poses: FloatArray, frame: str = "odom") -> None:
        """Where the controller expects to be: (T, 2 or 3) x, y, (yaw)."""
        self._lines(stamp, f"{_FRAMES[frame]}/predicted_path", path(poses, 0.06))

    def log_choice(
        self, stamp: float, paths: FloatArray, chosen: int, text: str, frame: str = "odom"
    ) -> None:
        """Candidate ways (C, T, 2) [m], the chosen one bold, and why as Markdown; no paths: none."""
        root = _FRAMES[frame]
        self._lines(stamp, f"{root}/candidates", raised(np.asarray(paths, dtype=float), 0.04))
        bold = [raised(np.asarray(paths[chosen], dtype=float), 0.08)] if len(paths) else []
        self._lines(stamp, f"{root}/trajectory", bold)
        self.log_text(stamp, "choice", text)

    def log_command(self, stamp: float, raw: Twist2, sent: Twist2) -> None:
        """What the controller asked for and what the gate let through."""
        self._log(stamp, "command/speed", self._rr.Scalars(np.array([raw.vx, sent.vx])))
        self._log(stamp, "command/turn", self._rr.Scalars(np.array([raw.wz, sent.wz])))

    def log_gate(self, stamp: float, state: int, reason: str = "", text: str = "") -> None:
        """The gate's verdict, drawn when it changes; what is routine (`SHAPING`) stays out of the log.

        Args:
            stamp: time [s].
            state: as in GateState.msg.
            reason: machine-readable word.
            text: the reason as a sentence.
        """
        if self._gate == (state, reason):
            return
        before, self._gate = self._gate, (state, reason)
        routine = state == 0 or reason in SHAPING
        word = "trimmed" if routine and state else GATE_STATES[state]
        self._log(stamp, "gate/state", self._rr.StateChange(state=[word]))
        if routine and before is not None and (before[0] == 0 or before[1] in SHAPING):
            return  # trimming comes and goes many times a second: the lane shows it, the log need not
        message = ": ".join(part for part in (word, text or reason) if part)
        level = "INFO" if routine else _LEVELS[state]
        self._log(stamp, "gate/log", self._rr.TextLog(message, level=level))

    def log_event(self, stamp: float, text: str, level: str = "INFO") -> None:
        """A line in the log: INFO, WARN or ERROR."""
        self._log(stamp, "events", self._rr.TextLog(text, level=level))

    def log_text(self, stamp: float, panel: str, text: str) -> None:
        """Markdown in a panel: `situation` (what is going on) or `choice` (what the robot does, and why)."""
        document = self._rr.TextDocument(text, media_type=self._rr.MediaType.MARKDOWN)
        self._log(stamp, panel, document)

    def log_contact(self, stamp: float, x: float, y: float, what: str, frame: str = "map") -> None:
        """The robot touched something."""
        mark = self._rr.Points3D([(x, y, 0.4)], colors=[colours.CONTACT], radii=[0.2], labels=[what])
        self._log(stamp, f"{_FRAMES[frame]}/contact", mark)
        self.log_event(stamp, f"contact: {what}", "ERROR")

    def restart_time(self) -> None:
        """Time ran back: forget the trail and what was said."""
        self._trail.clear()
        self._gate = None
        self._frame_pose = None
        self._repeats = {path: (-np.inf, drawing) for path, (_, drawing) in self._repeats.items()}

    # ---- inside ------------------------------------------------------------------------------------

    def _log(self, stamp: float, path: str, drawing: Any, repeat: bool = False) -> None:
        self._now = stamp
        self._record.set_time(TIMELINE, duration=stamp)
        self._record.log(path, drawing)
        if repeat:
            self._repeats[path] = (stamp, drawing)
        for other, (last, old) in self._repeats.items():
            if stamp - last > self.config.repeat:
                self._repeats[other] = (stamp, old)
                self._record.log(other, old)

    def _draw_fixed(self) -> None:
        """What never changes: styles, the robot's body, names of the series."""
        rr = self._rr

        def fix(path: str, drawing: Any) -> None:
            self._record.log(path, drawing, static=True)

        fix("map", rr.ViewCoordinates.RIGHT_HAND_Z_UP)
        for root in _FRAMES.values():
            for name, colour, radius in _STRIPS:
                fix(f"{root}/{name}", rr.LineStrips3D.from_fields(colors=[colour], radii=[radius]))
            fix(f"{root}/scan", rr.Points3D.from_fields(colors=[colours.SCAN], radii=[0.03]))
            fix(f"{root}/people", rr.Ellipsoids3D.from_fields(fill_mode="solid"))
            tags = rr.Points3D.from_fields(colors=[(40, 44, 52)], radii=[0.0], show_labels=True)
            fix(f"{root}/people/names", tags)
            fix(f"{root}/people/velocity", rr.LineStrips3D.from_fields(radii=[0.035]))
            fix(f"{root}/people/groups", rr.LineStrips3D.from_fields(radii=[0.04]))
        series = rr.SeriesLines(
            names=["asked for", "sent"], colors=[colours.RAW, colours.SENT], widths=[1.5, 2.0]
        )
        fix("command/speed", series)
        fix("command/turn", series)
        palette = [colours.PASS, colours.TRIMMED, colours.LIMITED, colours.STOPPED]
        words = ["pass", "trimmed", "limited", "stopped"]
        fix("gate/state", rr.StateConfiguration(values=words, colors=palette))

    def _draw_robot(self, root: str) -> None:
        rr = self._rr
        body = rr.Cylinders3D(
            lengths=[2.0 * _PAWN], radii=[0.27], centers=[(0.0, 0.0, _PAWN)], colors=[colours.ROBOT],
            fill_mode="solid",
        )  # fmt: skip
        nose = raised(arrows(np.array([[-0.15, 0.0]]), np.array([[0.38, 0.0]])), 2.2 * _PAWN)
        self._record.log(f"{root}/robot/body", body, static=True)
        strip = rr.LineStrips3D(nose, colors=[(255, 255, 255)], radii=[0.04])
        self._record.log(f"{root}/robot/nose", strip, static=True)

    def _transform(self, pose: Pose2) -> Any:
        return self._rr.Transform3D(translation=[pose.x, pose.y, 0.0], quaternion=yaw_to_xyzw(pose.yaw))

    def _lines(self, stamp: float, path: str, lines: Any) -> None:
        self._log(stamp, path, self._rr.LineStrips3D.from_fields(strips=lines))

    def _grid(self, grid: OccupancyGrid, shades: NDArray[np.uint8], opacity: float, z: float) -> Any:
        height, width = grid.shape
        return self._rr.GridMap(
            data=shades[np.ascontiguousarray(grid.data).view(np.uint8)].tobytes(),
            format=self._rr.components.ImageFormat(
                width=width, height=height, color_model="L" if shades.ndim == 1 else "RGBA",
                channel_datatype="U8",
            ),
            cell_size=grid.resolution, translation=[*grid.origin, z], opacity=opacity,
            colormap="Grayscale" if shades.ndim == 1 else None,
        )  # fmt: skip

    def _groups(self, stamp: float, path: str, xy: FloatArray, groups: NDArray[np.int64]) -> None:
        lines: list[FloatArray] = []
        shades: list[colours.Rgb] = []
        for group in np.unique(groups[groups >= 0]):
            members = xy[groups == group]
            if len(members) > 1:
                lines.append(raised(ring(members), 0.02))
                shades.append(colours.GROUPS[group % len(colours.GROUPS)])
        self._log(stamp, path, self._rr.LineStrips3D.from_fields(strips=lines, colors=shades))
