"""The learner of trajectories: what a person shows by driving becomes new heads of the network.

A process of its own. It watches while `demonstrating` is true (a person teleoperates, or a bag of that is
replayed), and tells on `trajectory_learner` when a new generation is in use.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lifelong_nav.core.config import param
from lifelong_nav.core.errors import require_package
from lifelong_nav.core.share import share_folder
from lifelong_nav.nodes.learner import LearnerConfig, LearnerNode
from lifelong_nav.nodes.surroundings import SensingConfig, Surroundings, learned_folder
from lifelong_nav.trajectory.lifelong.updater import TrajectoryUpdater

_PERIOD = 0.2
"""Situations are this far apart [s]."""


@dataclass(frozen=True)
class TrajectoryLearnerConfig(SensingConfig, LearnerConfig):
    """Parameters of the node `trajectory_learner`."""

    model_dir: str = param("", doc="Folder of the network; empty: the one that is shipped.")


class TrajectoryLearnerNode(LearnerNode):
    """See the module's docstring."""

    NAME, CONFIG = "trajectory_learner", TrajectoryLearnerConfig
    TOPIC, LEARNER = "trajectory_learner", "trajectories"

    def open(self) -> None:
        """Open what was learned before."""
        require_package("onnxruntime", "vision")
        require_package("torch", "learn")
        c: TrajectoryLearnerConfig = self.config
        models = Path(c.model_dir).expanduser() if c.model_dir else share_folder("models") / "trajectories"
        self._updater, trouble = TrajectoryUpdater.open(learned_folder(c.state_dir), models, seed=c.seed)
        for sentence in trouble:
            self.get_logger().warning(f"learner: {sentence}")
        self._demonstrating, self._now = False, 0.0
        self._figures: Mapping[str, Any] = self._updater.state()
        self.say("waiting", f"generation {self._updater.generation}")

    def connect(self) -> None:
        """Hear the surroundings, and when somebody demonstrates."""
        self._around = Surroundings(self)
        self.listen("demonstrating", self._on_demonstrating)
        self.every(_PERIOD, self._watch)

    def close(self) -> None:
        """Keep what was shown."""
        self._updater.close()

    def time_jumped(self) -> None:
        """What was seen is of another time; the recorder cuts by itself."""
        if hasattr(self, "_around"):
            self._around.forget()

    def generation(self) -> int:
        """See `LearnerNode`."""
        return int(self._updater.generation)

    def counts(self) -> tuple[int, int, int]:
        """See `LearnerNode`: nobody is asked."""
        return int(self._figures["demonstrated"]), 0, 0

    def scores(self) -> Mapping[str, float]:
        """See `LearnerNode`."""
        names = ("held_out", "new", "recording", "waiting_for")
        refused = {f"refused: {k}": float(v) for k, v in self._figures["refused"].items()}
        return {**{name: float(self._figures[name]) for name in names}, **refused}

    # ---- what comes in -----------------------------------------------------------------------------

    def _on_demonstrating(self, message: Any) -> None:
        self._demonstrating = bool(message.data)

    def _watch(self) -> None:
        """While somebody demonstrates, and once after, so that the recorder ends the demonstration."""
        situation = self._around.situation() if self._demonstrating or self._figures["recording"] else None
        if situation is not None:
            self.put((situation, self._demonstrating))

    # ---- the thread that learns --------------------------------------------------------------------

    def turn(self, item: Any) -> None:
        """Watch; learn when nothing else is to do."""
        if item is not None:
            situation, shown = item
            self._updater.observe(situation, shown)
            self._now = situation.stamp
            self._figures = self._updater.state()
        elif not self.may_learn():
            self.state = "paused"
        else:
            now = max(self._now, self.clock.now())
            self.state = "updating" if self._updater.due(now) else "waiting"
            event = self._updater.step(now, self.may_learn)
            self.state, self._figures = "waiting", self._updater.state()
            if event is not None:
                self.say("waiting", event.text)
                self.get_logger().info(f"learner: {event.text}")
