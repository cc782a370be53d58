"""Demonstrations out of bags: somebody drove, the bag has odometry and scans; the learner watches.

    learner, trouble = TrajectoryUpdater.open(folder, models / "trajectories")
    events = learn_bags(learner, [Path("walk.mcap")])

People are tracked from the scans as on the robot. Goal and route are taken in hindsight, as nobody tells
them. What a bag showed before is known by its stamps and adds nothing the second time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from lifelong_nav.core.errors import InputError
from lifelong_nav.core.geometry import compose2, flatten
from lifelong_nav.core.types import Pose2, Twist2
from lifelong_nav.perception.people import PeoplePerception
from lifelong_nav.replay.reader import open_bag
from lifelong_nav.replay.values import odometry_table, pose_at, scans, transforms
from lifelong_nav.trajectory.lifelong.updater import Event, TrajectoryUpdater, learn_from_bag
from lifelong_nav.trajectory.situation import Situation

_NOWHERE = Pose2(float("nan"), float("nan"), float("nan"))
_HALF = 0.15  # s; speeds are those over twice this around a moment


def bag_situations(
    path: Path, base: str = "base_link", radius: float = 0.27, speed: float = float("nan")
) -> Iterator[Situation]:
    """What the robot knew at every scan of a bag, in the odometry frame; route and goal unknown.

    Args:
        path: any bag `open_bag` reads, with /scan and /odom.
        base: the robot's frame.
        radius: of the robot [m].
        speed: to travel at [m/s]; NaN when nobody knows.

    Raises:
        BagError: the bag cannot be read.
        InputError: it has no scans or no odometry.
    """
    with open_bag(path) as bag:
        for topic in ("/scan", "/odom"):
            if topic not in bag.topics:
                raise InputError(f"{path} has no {topic}.", "Demonstrations need a 2-D lidar and odometry.")
        found = list(scans(bag))
        stamps, states = odometry_table(bag)
        if not found or len(stamps) < 2:
            raise InputError(f"{path} has no readable scan or odometry.", "Choose another bag.")
        mount = flatten(transforms(bag).lookup(base, found[0].frame_id.strip("/")))
    perception = PeoplePerception()
    for scan in found:
        if not stamps[0] + _HALF <= scan.stamp <= stamps[-1] - _HALF:
            continue
        pose = pose_at(stamps, states, scan.stamp)
        sensor = compose2(pose, mount)
        before, after = (pose_at(stamps, states, scan.stamp + dt) for dt in (-_HALF, _HALF))
        people = perception.update(scan, sensor)
        yield Situation(
            scan.stamp, pose, _twist(before, after), np.zeros((0, 2)), _NOWHERE, speed, people, scan=scan,
            sensor=sensor, robot_radius=radius,
        )  # fmt: skip


def learn_bags(
    learner: TrajectoryUpdater,
    paths: Sequence[Path],
    base: str = "base_link",
    radius: float = 0.27,
    keep_going: Callable[[], bool] = lambda: True,
) -> list[Event]:
    """Watch bags of somebody driving, one after the other; learn what is due after each.

    Args:
        learner: is saved at the end.
        paths: bags.
        base: the robot's frame.
        radius: of the robot [m].
        keep_going: asked before every scan and step.
    """
    events: list[Event] = []
    for path in paths:
        events += learn_from_bag(learner, bag_situations(path, base, radius), keep_going)
    return events


def _twist(before: Pose2, after: Pose2) -> Twist2:
    """Body velocity between two poses `2 * _HALF` apart."""
    dx, dy = after.x - before.x, after.y - before.y
    turn = float((after.yaw - before.yaw + np.pi) % (2.0 * np.pi) - np.pi)
    yaw = before.yaw + 0.5 * turn
    return Twist2(float(dx * np.cos(yaw) + dy * np.sin(yaw)) / (2 * _HALF), 0.0, turn / (2 * _HALF))
