"""People around the robot from the 2-D lidar and the camera, either or both: the assembled component."""

from __future__ import annotations

import numpy as np

from lifelong_nav.core.errors import InputError
from lifelong_nav.core.geometry import inverse2, rotation2, transform_points2
from lifelong_nav.core.types import FloatArray, LaserScan, People, Pose2, TrackedPerson
from lifelong_nav.perception.camera_fusion import Sighting
from lifelong_nav.perception.camera_people import CameraView
from lifelong_nav.perception.free_space import FreeSpaceMemory, VisibilityTable
from lifelong_nav.perception.groups import GroupTracker
from lifelong_nav.perception.leg_detector import leg_centres, person_score
from lifelong_nav.perception.motion_compensation import MotionCompensation
from lifelong_nav.perception.people_config import PeopleConfig
from lifelong_nav.perception.person_tracker import Detections, PersonTracker
from lifelong_nav.perception.scan_features import check_scan, describe, segment

_JUMP_BACK = 1.0
_LONG_GAP = 2.0


class PeoplePerception:
    """Detects, tracks and groups people; one instance per lidar.

    Args:
        config: parameters.
        frame_id: name of the fixed frame the sensor poses are given in.
    """

    def __init__(self, config: PeopleConfig | None = None, frame_id: str = "odom") -> None:
        self._config = config or PeopleConfig()
        self._frame_id = frame_id
        self.reset()

    def reset(self) -> None:
        """Back to the state after construction: same input then gives the same output, ids included."""
        c = self._config
        self._tracker = PersonTracker(c)
        self._memory = FreeSpaceMemory(c.memory_every, c.memory_depth)
        self._groups = GroupTracker()
        self._motion = MotionCompensation()
        self._last = People(-np.inf, self._frame_id)
        self._scanned = self._pictured = -np.inf

    def update(self, scan: LaserScan, odom_pose: Pose2) -> People:
        """People after one scan.

        Time that jumps back by more than 1 s (a bag played again) resets; a scan that is older than
        the last one by less is late and changes nothing; a gap of more than 2 s forgets the tracks.

        Args:
            scan: the newest scan.
            odom_pose: pose of the laser in the fixed frame when the scan was taken.

        Returns:
            All confirmed people in the fixed frame, at the stamp of the scan.

        Raises:
            SensorFault: the scan is unusable (see `check_scan`); state is unchanged.
            InputError: the pose is not finite.
        """
        c = self._config
        ranges = check_scan(scan)
        if not np.isfinite(odom_pose.array()).all():
            raise InputError(f"Laser pose {odom_pose} is not finite.", "Mend the odometry.")
        dt = scan.stamp - self._last.stamp
        if dt < -_JUMP_BACK:
            self.reset()
        elif dt <= 0.0:
            self._scanned = max(self._scanned, scan.stamp)  # scans come: the camera no longer leads
            return self._last
        elif dt > _LONG_GAP:
            self._tracker.clear()
            self._memory.clear()
            self._groups.reset()
            self._motion.clear()
        dt = min(dt, _LONG_GAP) if np.isfinite(self._last.stamp) else 0.1

        angles = scan.angles()
        pose = odom_pose
        if c.compensate:
            pose = self._motion.align(odom_pose, _points(ranges, angles))
        found = self._detect(scan.stamp, ranges, angles, pose)
        table = VisibilityTable(pose, ranges, scan.angle_min, scan.angle_increment, scan.range_max)
        self._tracker.predict(dt)
        self._tracker.update(
            scan.stamp, dt, found, lambda spots: _reached(table, spots, c.max_range), self._taken_before
        )
        if c.use_memory:
            self._memory.add(scan.stamp, table)
        self._motion.remember(table, scan.range_max, scan.stamp)
        self._scanned = scan.stamp
        self._last = People(scan.stamp, self._frame_id, self._people(scan.stamp, dt))
        return self._last

    def update_camera(self, view: CameraView) -> People:
        """People after one picture; call it beside `update`, or alone where there is no lidar.

        While scans come, the tracks stay at the time of the newest scan and the picture, a little older
        or newer, is used for what it says about its own time; when they do not, pictures carry time
        forward. A picture older than the newest one, or than the newest scan by `camera_delay`, changes
        nothing; camera time that jumps back by more than 1 s without a lidar resets.

        Args:
            view: from `CameraPeople.look`, in the fixed frame of the poses given to `update`.

        Returns:
            All confirmed people in the fixed frame, at the time the tracks stand at.
        """
        c = self._config
        alive = view.stamp - self._scanned <= c.camera_lead
        if view.stamp < self._last.stamp - _JUMP_BACK and self._last.stamp != self._scanned:
            self.reset()
            alive = False
        if view.stamp <= self._pictured or view.stamp < self._last.stamp - c.camera_delay:
            return self._last
        period = min(view.stamp - self._pictured, 0.5) if np.isfinite(self._pictured) else 0.1
        now, dt = self._last.stamp, 1e-3
        if not alive and view.stamp > now:  # time goes on without scans
            dt = min(view.stamp - now, _LONG_GAP) if np.isfinite(now) else 0.1
            if dt >= _LONG_GAP:
                self._tracker.clear()
                self._groups.reset()
            self._tracker.predict(dt)
            now = view.stamp
        here = self._motion.to_odom()  # the tracks live in the frame in which walls stand still
        there, turn = inverse2(here), rotation2(-here.yaw)
        sighting = Sighting(
            view.stamp,
            period,
            transform_points2(there, view.places.xy),
            turn @ view.places.covariance @ turn.T,
            view.places.confidence,
            lambda spots: view.doubt(transform_points2(here, spots)),
        )
        self._tracker.sight(sighting, now, alive)
        self._pictured = view.stamp
        self._last = People(now, self._frame_id, self._people(now, dt))
        return self._last

    def _detect(self, stamp: float, ranges: FloatArray, angles: FloatArray, pose: Pose2) -> Detections:
        c = self._config
        clusters = describe(ranges, angles, *segment(ranges, angles, c.jump_distance))
        clusters = clusters.select((clusters.width < c.max_width) & (clusters.distance < c.max_range))
        xy = transform_points2(pose, leg_centres(clusters))
        before = np.full(len(xy), stamp - 0.2)
        free, occupied = self._memory.look(xy, c.margin + 0.01 * clusters.distance, before)
        return Detections(
            xy, clusters.width, person_score(clusters), free, occupied, clusters.distance, clusters.spacing
        )

    def _taken_before(self, spots: FloatArray, stamps: FloatArray) -> np.ndarray:
        free, occupied = self._memory.look(spots, np.full(len(spots), self._config.margin), stamps)
        return (occupied >= 2) & (occupied > free)

    def _people(self, stamp: float, dt: float) -> tuple[TrackedPerson, ...]:
        t = self._tracker.tracks
        shown = self._tracker.reported(stamp)
        groups = self._groups.update(t.id[shown], t.state[shown, :2], t.state[shown, 2:], dt)
        back = self._motion.to_odom()
        turn = np.kron(np.eye(2), rotation2(back.yaw))
        states = t.state[shown] @ turn.T + (back.x, back.y, 0.0, 0.0)
        covariances = turn @ t.cov[shown] @ turn.T
        out = []
        for row, (k, group) in enumerate(zip(shown, groups, strict=True)):
            x, y, vx, vy = (float(v) for v in states[row])
            out.append(
                TrackedPerson(
                    id=int(t.id[k]), x=x, y=y, vx=vx, vy=vy, covariance=covariances[row], group_id=int(group),
                    confidence=float(1.0 / (1.0 + np.exp(-t.life[k]))), age=float(stamp - t.born[k]),
                )
            )  # fmt: skip
        return tuple(out)


def _points(ranges: FloatArray, angles: FloatArray) -> FloatArray:
    """(M, 2) finite returns in the sensor frame."""
    there = np.isfinite(ranges)
    r, a = ranges[there], angles[there]
    return np.stack([r * np.cos(a), r * np.sin(a)], axis=1)


def _reached(table: VisibilityTable, spots: FloatArray, max_range: float) -> np.ndarray:
    """(T,) True where the scan looks at or past a spot, at its middle or 0.15 m beside it."""
    rel = spots - (table.pose.x, table.pose.y)
    distance = np.maximum(np.hypot(rel[:, 0], rel[:, 1]), 0.2)
    sideways = np.stack([-rel[:, 1], rel[:, 0]], axis=1) / distance[:, None] * 0.15
    reached = np.zeros(len(spots), dtype=bool)
    for side in (-1.0, 0.0, 1.0):
        _, index = table.polar(spots + side * sideways)
        reached |= table.high[index] > distance - 0.2
    return reached & (distance < max_range)
