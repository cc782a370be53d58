"""The building's usual flows by hour, learned from tracks while driving and kept on disk."""

from __future__ import annotations

from pathlib import Path

from lifelong_nav.core.distance import DistanceField
from lifelong_nav.core.errors import LifelongNavError
from lifelong_nav.core.geometry import flatten
from lifelong_nav.core.transforms import TransformError
from lifelong_nav.core.types import FloatArray, PeopleForecast, Pose2, Twist2
from lifelong_nav.nodes.base import StackNode
from lifelong_nav.nodes.surroundings import Surroundings, learned_folder
from lifelong_nav.trajectory.local_planner import Predicts
from lifelong_nav.trajectory.prediction.flow_map import FlowMap
from lifelong_nav.trajectory.prediction.history import PeopleHistory
from lifelong_nav.trajectory.prediction.predictor import Predictor
from lifelong_nav.trajectory.situation import TIMES
from lifelong_nav.trajectory.social_layer import people_in_frame

MAP = "map"
_PERIOD, _SAVE = 0.4, 60.0  # s between observations, and between writes


class Flows:
    """Learns from a node's people while the robot is localised; a damaged file is left for a new one.

    Args:
        node: whose config has `state_dir`, `building` and `odom_frame`.
        around: what it hears.
    """

    def __init__(self, node: StackNode, around: Surroundings) -> None:
        self.node, self._around = node, around
        c = node.config
        name = f"flows_{c.building}.safetensors" if c.building else "flows.safetensors"
        self.path: Path = learned_folder(c.state_dir) / name
        self.map = FlowMap()
        if self.path.exists():
            try:
                self.map = FlowMap.load(self.path)
            except LifelongNavError as error:
                node.get_logger().warning(f"usual flows are learned anew: {error}")
        self._saved = node.clock.steady()
        node.every(_PERIOD, self._learn)
        node.on_cleanup_do(self.save)

    def pose(self) -> Pose2 | None:
        """The odometry's frame in the map's; None while nobody knows."""
        try:
            return flatten(self._around.tf.lookup(MAP, self.node.config.odom_frame))
        except TransformError:
            return None

    def save(self) -> None:
        """Write what was learned; a full disk costs only that."""
        if len(self.map) == 0:
            return
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.map.save(self.path)
        except (LifelongNavError, OSError) as error:
            self.node.get_logger().warning(f"usual flows are not kept: {error}")

    def _learn(self) -> None:
        people, shift = self._around.people(), self.pose()
        if people is not None and shift is not None:
            self.map.observe(people_in_frame(people, shift, MAP))
        self.node.stats["flows, cells"] = float(len(self.map))
        if self.node.clock.steady() - self._saved > _SAVE:
            self._saved = self.node.clock.steady()
            self.save()


class FlowingPredictor:
    """A predictor that knows the building's flows."""

    def __init__(self, predictor: Predictor, flows: Flows) -> None:
        self._predictor, self._flows = predictor, flows

    def predict(
        self, history: PeopleHistory, now: float | None = None, times: FloatArray = TIMES,
        robot_pose: Pose2 | None = None, robot_twist: Twist2 | None = None,
        field: DistanceField | None = None,
    ) -> PeopleForecast:  # fmt: skip
        """See `Predictor.predict`."""
        pose = self._flows.pose()
        flow = self._flows.map if pose is not None else None
        return self._predictor.predict(history, now, times, robot_pose, robot_twist, field, flow, pose)


def with_flows(predictor: Predicts | None, flows: Flows | None) -> Predicts | None:
    """The predictor with the building's flows, where both are there."""
    if flows is None or not isinstance(predictor, Predictor):
        return predictor
    return FlowingPredictor(predictor, flows)
