"""A recorded bag made ready for scoring people perception: scans, sensor poses, annotated people."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lifelong_nav.core.errors import InputError
from lifelong_nav.core.geometry import compose2, flatten
from lifelong_nav.core.share import recordings
from lifelong_nav.core.types import FloatArray, LaserScan, Pose2
from lifelong_nav.replay.reader import open_bag
from lifelong_nav.replay.values import annotated_people, odometry_table, pose_at, scans, transforms

ANNOTATIONS = "/ground_truth_people_tracks"


@dataclass(frozen=True)
class Recording:
    """Scans with the sensor's pose in the odometry frame at their stamps.

    `annotated`: scan index -> ids (N,) and places (N, 2) [m] in the sensor frame. `total` counts the
    scans in the bag, readable or not. `seconds` from first to last scan.
    """

    name: str
    scans: tuple[LaserScan, ...]
    poses: tuple[Pose2, ...]
    annotated: Mapping[int, tuple[FloatArray, FloatArray]]
    total: int
    seconds: float


def data_folder() -> Path:
    """Where the recorded data lie: LIFELONG_NAV_DATA, else ../shared/data beside the repository.

    Raises:
        InputError: there is no such folder.
    """
    folder = recordings()
    if not folder.is_dir():
        raise InputError(f"There is no recorded data at {folder}.", "Set LIFELONG_NAV_DATA to its folder.")
    return folder


def load_recording(path: Path, base: str = "base_link") -> Recording:
    """Read /scan, /odom and the lidar's mount from a bag; annotations too where it has them."""
    with open_bag(path) as bag:
        total = bag.topics["/scan"].count if "/scan" in bag.topics else 0
        found = tuple(scans(bag))
        if not found:
            raise InputError(f"{path} has no readable /scan.", "Choose a bag with a 2-D lidar.")
        if "/odom" in bag.topics:
            stamps, states = odometry_table(bag)
            mount = flatten(transforms(bag).lookup(base, found[0].frame_id.strip("/")))
            poses = tuple(compose2(pose_at(stamps, states, s.stamp), mount) for s in found)
        else:
            poses = (Pose2(),) * len(found)
        annotated: dict[int, tuple[FloatArray, FloatArray]] = {}
        if ANNOTATIONS in bag.topics:
            marks = list(annotated_people(bag))
            scan_stamps = np.array([s.stamp for s in found])
            nearest = np.array([int(np.abs(scan_stamps - m.stamp).argmin()) for m in marks])
            lag = min((0, 1), key=lambda k: _distance_to_returns(found, marks, nearest - k))
            for mark, index in zip(marks, nearest - lag, strict=True):
                ids, places = annotated.get(int(index), (np.zeros(0, dtype=int), np.zeros((0, 2))))
                ids = np.append(ids, [p.id for p in mark.people])
                annotated[int(index)] = (ids, np.concatenate([places, mark.positions()]))
    return Recording(path.stem, found, poses, annotated, total, found[-1].stamp - found[0].stamp)


def _distance_to_returns(found: tuple[LaserScan, ...], marks: list, index: np.ndarray) -> float:
    """Mean distance [m] of annotated people to the nearest return of the scan they are taken to be of.

    The annotations carry no header; in the published bag they were written one scan period late.
    """
    gaps = []
    for mark, i in zip(marks, index, strict=True):
        points = found[max(int(i), 0)].points()
        for place in mark.positions():
            gaps.append(float(np.hypot(*(points - place).T).min()))
    return float(np.mean(gaps))
