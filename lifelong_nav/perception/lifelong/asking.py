"""When to ask the teacher: once per cluster of new scenes, within a budget.

Moments of windows that the novelty gate calls new are gathered into clusters, by likeness in the gate's
whitened space and by following one another without a gap. A cluster is asked about once; what the teacher
says holds for all of it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from lifelong_nav.core.config import param
from lifelong_nav.core.types import FloatArray
from lifelong_nav.perception.sc_clip.novelty import Novelty
from lifelong_nav.perception.sc_clip.novelty_model import NoveltyModel, stack

WAITING, ASKED, NAMED, REFUTED, GIVEN_UP = "waiting", "asked", "named", "refuted", "given up"


@dataclass(frozen=True)
class AskConfig:
    """How sparingly the teacher is asked."""

    share: float = param(0.05, "", 0.0, 1.0, "Share of all moments on which the teacher may be asked.")
    burst: float = param(3.0, "", 1.0, 100.0, "Questions that may be saved up.")
    reach: float = param(
        0.5, "", 0.0, 10.0, "A cluster's radius, in typical distances between known moments."
    )
    clusters: int = param(32, "", 1, 1000, "Clusters kept; the longest unmet goes first.")
    moments: int = param(64, "", 4, 1000, "Moments kept of a cluster that waits for an answer.")
    patience: float = param(60.0, "s", 0.1, 3600.0, "An answer that takes longer counts as none.")
    tries: int = param(2, "", 1, 10, "Questions without an answer before a cluster is given up.")


@dataclass(frozen=True, slots=True)
class Moment:
    """What the robot perceives at `stamp` [s]: frozen features (F,) or None, facts vector (3 D,) or None."""

    stamp: float
    image: FloatArray | None
    facts: FloatArray | None


@dataclass(frozen=True, slots=True)
class Question:
    """Ask the teacher about the picture of `stamp`; `nearest` is the known scenario most like it."""

    number: int
    stamp: float
    novelty: float
    nearest: str


@dataclass
class Cluster:
    """Scenes alike: centre in the gate's space, moments with the number of their stay, what became of it."""

    number: int
    centre: FloatArray
    view: str
    weight: int = 1
    moments: list[tuple[Moment, int]] = field(default_factory=list)
    status: str = WAITING
    scenario: str = ""
    asked: float = 0.0
    asked_stay: int = -1
    tries: int = 0
    met: float = 0.0

    def take(self, moment: Moment, stay: int, point: FloatArray, most: int) -> None:
        """Add a moment; the centre follows the mean of what was met."""
        self.weight += 1
        self.centre = self.centre + (point - self.centre) / min(self.weight, 50)
        self.met = moment.stamp
        self.moments.append((moment, stay))
        del self.moments[: max(len(self.moments) - most, 0)]


class Asking:
    """Clusters of new scenes and the budget of questions.

    Args:
        config: parameters.
    """

    def __init__(self, config: AskConfig | None = None) -> None:
        self.config = config or AskConfig()
        self.clusters: dict[int, Cluster] = {}
        self.seen = self.asked = 0
        self._tokens = 1.0
        self._next = 1
        self._here: Cluster | None = None
        self._question: tuple[int, int] | None = None  # its number, the cluster's

    def observe(
        self, moment: Moment, reading: Novelty, recent: list[Moment], stay: int, typical: float
    ) -> Cluster | None:
        """Count a moment; put it (and the window before it) into a cluster when it is new.

        Args:
            moment: what is perceived now.
            reading: of the gate.
            recent: earlier moments of the window that are in no cluster yet.
            stay: number of the present stay without a gap.
            typical: distance between a known moment and its neighbours in the view's space.

        Returns:
            The cluster, None when the moment is not new.
        """
        self.seen += 1
        self._tokens = min(self._tokens + self.config.share, self.config.burst)
        if not reading.novel:
            return None
        here = self._here
        if (
            here is None
            or here.moments[-1:] == []
            or here.moments[-1][1] != stay
            or here.view != reading.view
        ):
            here = self._nearest(reading, typical) or self._open(reading)
        for one in recent:
            here.take(one, stay, reading.point, self.config.moments)
        here.take(moment, stay, reading.point, self.config.moments)
        self._here = here
        return here

    def question(self, now: float, reading: Novelty, stay: int) -> Question | None:
        """What to ask about this moment, if anything: its cluster is new, a token is left, none is out."""
        here = self._here
        self._expire(now)
        ready = here is not None and reading.novel and here.status == WAITING and self._question is None
        if here is None or not ready or self._tokens < 1.0:
            return None
        self._tokens -= 1.0
        self.asked += 1
        here.status, here.asked, here.asked_stay = ASKED, now, stay
        here.tries += 1
        self._question = (self.asked, here.number)
        return Question(self.asked, reading.stamp, reading.novelty, reading.nearest)

    def settle(self, number: int, scenario: str, known: bool) -> Cluster | None:
        """The answer to a question: "" for none. Returns the cluster it was about, None if it expired."""
        if self._question is None or self._question[0] != number:
            return None
        cluster = self.clusters.get(self._question[1])
        self._question = None
        if cluster is None:
            return None
        if not scenario:
            cluster.status = WAITING if cluster.tries < self.config.tries else GIVEN_UP
            return cluster
        cluster.status, cluster.scenario = (REFUTED if known else NAMED), scenario
        return cluster

    def rebase(self, model: NoveltyModel, embed: Callable[[Moment], FloatArray | None]) -> None:
        """Move all centres into the space of a gate fitted anew.

        Clusters that were answered go: what is still new beside a gate that knows them is something else.
        """
        kept = {}
        for number, cluster in self.clusters.items():
            if cluster.status in (NAMED, REFUTED):
                continue
            rows = [m for m, _ in cluster.moments if model.view_of(m.image, m.facts) == cluster.view]
            if rows:
                view, seen = model.views[cluster.view], [(m, embed(m)) for m in rows]
                points = [view.points(stack(m.image, m.facts, e))[0] for m, e in seen if e is not None]
                cluster.centre = np.mean(points, axis=0)
                kept[number] = cluster
        self.clusters = kept
        if self._here is not None and self._here.number not in kept:
            self._here = None

    @property
    def waiting(self) -> bool:
        """A question is out."""
        return self._question is not None

    def _nearest(self, reading: Novelty, typical: float) -> Cluster | None:
        alike = [c for c in self.clusters.values() if c.view == reading.view]
        if not alike:
            return None
        gaps = [float(np.linalg.norm(c.centre - reading.point)) for c in alike]
        best = int(np.argmin(gaps))
        return alike[best] if gaps[best] <= self.config.reach * typical else None

    def _open(self, reading: Novelty) -> Cluster:
        cluster = Cluster(self._next, reading.point, reading.view)
        self._next += 1
        self.clusters[cluster.number] = cluster
        while len(self.clusters) > self.config.clusters:
            busy = self._question[1] if self._question else -1
            oldest = min(
                (c for c in self.clusters.values() if c.number not in (busy, cluster.number)),
                key=lambda c: c.met,
            )
            del self.clusters[oldest.number]
        return cluster

    def _expire(self, now: float) -> None:
        if self._question is None:
            return
        cluster = self.clusters.get(self._question[1])
        if cluster is None or not 0.0 <= now - cluster.asked <= self.config.patience:
            self.settle(self._question[0], "", False)
