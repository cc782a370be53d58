"""Chooses how to go on, several times a second: candidates, their named costs, the one to follow.

Reads the planner's route, the scan, people and the social context; offers `candidates` (all of them with
their costs), `trajectory` (the chosen one, stamped in time) and `people_forecast` (what it believed of the
people), which the controller tracks. Without it the controller follows the route.
"""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import Any, ClassVar

import numpy as np

from lifelong_nav.control.local_field import LocalFieldConfig
from lifelong_nav.core.clock import is_fresh
from lifelong_nav.core.config import param
from lifelong_nav.core.geometry import flatten, transform_points2
from lifelong_nav.core.transforms import TransformError
from lifelong_nav.core.types import FloatArray, Pose2
from lifelong_nav.nodes import convert, convert_trajectory
from lifelong_nav.nodes.base import StackNode
from lifelong_nav.nodes.flows import Flows, with_flows
from lifelong_nav.nodes.parts import flat_config, part
from lifelong_nav.nodes.surroundings import SensingConfig, Surroundings, learned_folder
from lifelong_nav.trajectory.assembly import Parts, assemble
from lifelong_nav.trajectory.candidates import CandidatesConfig
from lifelong_nav.trajectory.caption_selection import ContextConfig
from lifelong_nav.trajectory.lifelong.updater import newest_heads
from lifelong_nav.trajectory.local_planner import LocalPlanner, LocalPlannerConfig
from lifelong_nav.trajectory.proxemics import ProxemicsConfig
from lifelong_nav.trajectory.search_costs import SearchConfig
from lifelong_nav.trajectory.selector import SelectorConfig
from lifelong_nav.trajectory.situation import Choice, Situation
from lifelong_nav.trajectory.terms.config import TermsConfig

TUNABLE: dict[str, type] = {
    "terms": TermsConfig,
    "selector": SelectorConfig,
    "context": ContextConfig,
    "proxemics": ProxemicsConfig,
    "candidates": CandidatesConfig,
    "search": SearchConfig,
    "local_planner": LocalPlannerConfig,
}
"""What `trajectory.assembly.assemble` takes parameters for, by section."""
PARTS: dict[str, type] = {"": SensingConfig, **TUNABLE, "field": LocalFieldConfig}
_OWN = (
    ("rate", float, param(5.0, "Hz", 1.0, 20.0, "Choices per second.", read_only=True)),
    ("use_network", bool, param(True, doc="Let the network propose, too.", read_only=True)),
    ("use_search", bool, param(True, doc="Let the search in space and time propose, too.", read_only=True)),
    ("use_flows", bool, param(True, doc="Learn the building's usual flows by hour.", read_only=True)),
    ("building", str, param("", doc="Name of the building whose flows these are.", read_only=True)),
    ("plan_timeout", float, param(4.0, "s", 0.5, 60.0, "Age at which the planner's route is stale.")),
)

TrajectoryConfig = flat_config(
    "TrajectoryConfig", _OWN, PARTS,
    "Parameters of the node `trajectory`; those of its parts carry a prefix.",
)  # fmt: skip


class TrajectoryNode(StackNode):
    """See the module's docstring."""

    NAME: ClassVar[str] = "trajectory"
    CONFIG: ClassVar[type] = TrajectoryConfig

    def setup(self) -> None:
        """Load the models and connect."""
        c = self.config
        self._around = Surroundings(self, part(c, PARTS, "field"))
        self._route: tuple[str, FloatArray] | None = None
        self._silent, self._generation = True, -1
        self._flows = Flows(self, self._around) if c.use_flows else None
        self.planner = self._assemble()
        self._candidates, self._out = self.offer("candidates"), self.offer("trajectory")
        self._forecasts = self.offer("people_forecast")
        self.listen("plan", self._on_plan)
        self.listen("trajectory_learner", self._on_learner)
        self.every(1.0 / c.rate, self._tick)

    def retune(self) -> None:
        """New weights hold from the next choice on."""
        self.planner = self._assemble()

    def stop(self) -> None:
        """Nothing is chosen any more."""
        self._say_nothing()

    def time_jumped(self) -> None:
        """Forget everything seen and chosen."""
        self._around.forget()
        self.planner.reset()
        self._route = None

    # ---- what comes in -----------------------------------------------------------------------------

    def _on_plan(self, message: Any) -> None:
        self._route = None
        self._route = (message.header.frame_id, convert.path_from(message)[:, :2])

    def _on_learner(self, message: Any) -> None:
        if int(message.generation) == self._generation:
            return
        first, self._generation = self._generation < 0, int(message.generation)
        if not first:
            self.planner = self._assemble()
            self.get_logger().info(f"trajectories: generation {self._generation} is in use")

    # ---- the choice --------------------------------------------------------------------------------

    def _tick(self) -> None:
        situation = self._situation()
        if situation is None:
            self._say_nothing()
            return
        started = time.perf_counter()
        choice = self.planner.step(situation, self._around.history)
        spent = time.perf_counter() - started
        self._say(choice, spent)
        report = self.planner.report
        self.degraded("parts", "; ".join(report.problems) or None)
        self.stats |= {
            "chosen": choice.chosen.name, "why": choice.reason, "candidates": float(len(choice.candidates)),
            "choice [ms]": 1e3 * spent, "waited [s]": report.waited,
            **{f"{name} [ms]": 1e3 * seconds for name, seconds in report.seconds.items()},
            **{f"cost {name}": float(cost[choice.index]) for name, cost in choice.terms.items()},
        }  # fmt: skip

    def _situation(self) -> Situation | None:
        """What to choose in; None, with the reason in the diagnostics, when something is missing."""
        route = self._local_route()
        now = self._around.situation()
        if route is None or now is None:
            return None
        return self._around.situation(ahead_of(route, now.pose))

    def _local_route(self) -> FloatArray | None:
        """The route in the odom frame, (M, 2) with M >= 2; None when there is none to follow."""
        if self._route is None or len(self._route[1]) < 2:
            self.degraded("plan", None)
            return None
        if not is_fresh(self.received("plan"), self.clock, self.config.plan_timeout):
            self.degraded("plan", "the planner's route is stale")
            return None
        frame, route = self._route
        try:
            shift = flatten(self._around.tf.lookup(self.config.odom_frame, frame))
        except TransformError as error:
            self.degraded("plan", str(error))
            return None
        self.degraded("plan", None)
        return transform_points2(shift, route)

    # ---- what goes out -----------------------------------------------------------------------------

    def _say(self, choice: Choice, spent: float) -> None:
        self._silent = False
        if choice.forecast is not None:
            self._forecasts.publish(convert_trajectory.forecast_to(choice.forecast))
        self._out.publish(convert_trajectory.trajectory_to(choice.chosen.trajectory))
        if self._candidates.get_subscription_count() > 0:
            self._candidates.publish(convert_trajectory.choice_to(choice, spent))

    def _say_nothing(self) -> None:
        """An empty trajectory, once: the controller follows the route, if there is one."""
        if not self._silent:
            self._silent = True
            self.planner.reset()
            empty = np.zeros((0, 3))
            self._out.publish(convert.path_to(empty, self.clock.now(), self.config.odom_frame))

    # ---- inside ------------------------------------------------------------------------------------

    def _assemble(self) -> LocalPlanner:
        c = self.config
        tuning = {name: asdict(part(c, PARTS, name)) for name in TUNABLE}
        parts = Parts(search=c.use_search, learned=c.use_network)
        planner = assemble(
            parts, context=self._around.context, clock=time.perf_counter, tuning=tuning,
            heads=newest_heads(learned_folder(c.state_dir)),
        )  # fmt: skip
        planner.predictor = with_flows(planner.predictor, self._flows)
        return planner


def ahead_of(route: FloatArray, pose: Pose2) -> FloatArray:
    """(M, 2) what is left of a route (N, 2) from the point nearest to the robot on; at least two points."""
    starts, steps = route[:-1], np.diff(route, axis=0)
    length = np.maximum((steps * steps).sum(axis=1), 1e-12)
    share = np.clip(((pose.xy - starts) * steps).sum(axis=1) / length, 0.0, 1.0)
    feet = starts + share[:, None] * steps
    k = int(np.argmin(np.linalg.norm(feet - pose.xy, axis=1)))
    return np.concatenate([feet[k : k + 1], route[k + 1 :]])
