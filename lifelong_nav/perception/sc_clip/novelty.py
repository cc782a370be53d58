"""The novelty gate: is what goes on unlike everything known?

    gate = fit_gate(features, facts, head_embed, scenario, episode, held_out)
    reading = gate.judge(stamp, features, facts, embedding)   # .novel, .novelty, .nearest

The unit of a decision is a window: the last `frames` moments without a gap. A window's score is the
`votes`-th largest strangeness in it, so that it passes a threshold exactly when `votes` of `frames` do; the
threshold is the conformal quantile (Vovk 2005) of windows of known episodes that the model was not fitted
on. What a teacher then says of an alarm ("that is known") runs into a false-alarm rate, which moves the
quantile (adaptive conformal inference, Gibbs and Candes 2106.00170).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lifelong_nav.core.checkpoints import load_checkpoint, save_checkpoint
from lifelong_nav.core.config import param
from lifelong_nav.core.errors import CheckpointError, InputError
from lifelong_nav.core.types import FloatArray
from lifelong_nav.perception.sc_clip.novelty_model import (
    Embed,
    NoveltyModel,
    fit_model,
    model_from_tensors,
    model_tensors,
)

SCHEMA = 1
FILE = "novelty.safetensors"
MEMORY = 2000.0
"""Known windows that the false-alarm rate looks back on."""


@dataclass(frozen=True)
class NoveltyConfig:
    """When a scene counts as new."""

    frames: int = param(4, "", 1, 100, "Moments a decision looks back on.")
    votes: int = param(3, "", 1, 100, "Of these, how many must be strange.")
    max_gap: float = param(1.5, "s", 0.05, 60.0, "A longer gap between moments starts a new window.")
    false_alarms: float = param(0.02, "", 0.0005, 0.5, "Share of known windows that may count as new.")
    adapt: float = param(0.3, "", 0.0, 1.0, "How fast false alarms found by the teacher move the threshold.")
    neighbours: int = param(5, "", 1, 100, "Neighbour whose distance counts.")
    knn_share: float = param(0.25, "", 0.0, 1.0, "Weight of the kNN against the Mahalanobis distance.")
    image_dims: int = param(96, "", 2, 1024, "Principal components of the picture features.")
    facts_dims: int = param(96, "", 2, 1024, "Principal components of the facts.")
    embedding_dims: int = param(48, "", 2, 1024, "Principal components of the head's embedding.")
    image_emphasis: float = param(1.0, "", 0.0, 10.0, "Length of the picture block against the others.")
    bank: int = param(3000, "", 50, 100000, "Known moments kept for the kNN distance.")


@dataclass(frozen=True, slots=True)
class Novelty:
    """One reading.

    `novelty` share of known windows that are less strange, NaN when unknown; `novel` the decision;
    `nearest` known scenario and `strangeness` of this moment alone (about 1 for known moments, NaN when
    unknown); `view` "both", "image", "facts" or "" for unknown; `moments` in the window; `point` (Q,) the
    moment in the space of the view, empty when unknown.
    """

    stamp: float
    novelty: float
    novel: bool
    nearest: str
    strangeness: float
    view: str
    moments: int
    point: FloatArray


class NoveltyGate:
    """Windows, threshold and false-alarm rate over a `NoveltyModel`.

    Args:
        model: yardsticks.
        calibration: view to sorted (C,) scores of known windows.
        config: parameters.
    """

    def __init__(
        self, model: NoveltyModel, calibration: Mapping[str, FloatArray], config: NoveltyConfig | None = None
    ) -> None:
        self.model, self.config = model, config or NoveltyConfig()
        if not 1 <= self.config.votes <= self.config.frames:
            raise InputError(f"{self.config.votes} votes of {self.config.frames}.", "At most all of them.")
        self.calibration = {name: np.sort(np.asarray(c, dtype=float)) for name, c in calibration.items()}
        self.level = self.config.false_alarms
        self.alarms, self.refuted = 0, 0
        self._known, self._false, self._pending = MEMORY * self.level, MEMORY * self.level**2, 0
        self._window: deque[float] = deque(maxlen=self.config.frames)
        self._view, self._last = "", float("-inf")

    def judge(
        self, stamp: float, image: FloatArray | None, facts: FloatArray | None, embedding: FloatArray | None
    ) -> Novelty:
        """Take in the next moment.

        Args:
            stamp: its time [s]; going back or a gap starts a new window.
            image: (F,) frozen features, None when the camera is missing.
            facts: (3 D,) embedded clauses, None when missing.
            embedding: (D,) fused embedding of the voices at hand by the head this gate belongs to.
        """
        view = self.model.view_of(image, facts)
        if not view or view not in self.calibration or embedding is None:
            self._window.clear()
            return Novelty(stamp, float("nan"), False, "", float("nan"), "", 0, np.zeros(0))
        if view != self._view or not 0.0 <= stamp - self._last <= self.config.max_gap:
            self._window.clear()
        self._view, self._last = view, stamp
        score, nearest, points = self.model.strangeness(image, facts, embedding)
        self._window.append(float(score[0]))
        votes = np.sort(self._window)[::-1]
        window = float(votes[self.config.votes - 1]) if len(votes) >= self.config.votes else float(votes[-1])
        known = self.calibration[view]
        enough = len(votes) >= self.config.votes
        novel = enough and window > self.threshold(view)
        if novel:
            self._pending += 1
        elif enough:
            self._count(1.0, 0.0)
        return Novelty(
            stamp, float(np.searchsorted(known, window) / len(known)), novel,
            self.model.scenarios[int(nearest[0])], float(score[0]), view, len(votes), points[0],
        )  # fmt: skip

    def threshold(self, view: str = "both") -> float:
        """Window score above which a scene is new: the conformal quantile at the present level."""
        known = self.calibration[view]
        rank = int(np.ceil((len(known) + 1) * (1.0 - self.level)))
        return float(known[rank - 1]) if rank <= len(known) else float(known[-1])

    @property
    def false_alarm_rate(self) -> float:
        """Share of known windows that were called new, over about the last `MEMORY` of them."""
        return float(self._false / max(self._known, 1e-9))

    def feedback(self, known: bool) -> None:
        """The teacher's word on the windows called new since the last word: settle them, move the threshold.

        The level never rises above the rate asked for: few false alarms are no reason for more.

        Args:
            known: the scene was a known one: they were false alarms.
        """
        self.alarms += 1
        self.refuted += int(known)
        if known:
            self._count(float(self._pending), float(self._pending))
        self._pending = 0
        target = self.config.false_alarms
        moved = self.level + self.config.adapt * (target - self.false_alarm_rate)
        self.level = float(np.clip(moved, target / 8.0, target))

    def state(self) -> dict[str, float]:
        """Threshold and counts, for a restart."""
        return {
            "level": self.level, "known": self._known, "false": self._false,
            "alarms": self.alarms, "refuted": self.refuted,
        }  # fmt: skip

    def resume(self, state: Mapping[str, Any]) -> None:
        """Take over what `state` of a gate before this one gave."""
        self.level, self._known, self._false = (float(state[k]) for k in ("level", "known", "false"))
        self.alarms, self.refuted = int(state["alarms"]), int(state["refuted"])

    def reset(self) -> None:
        """Forget the window (time jumped, the robot was carried)."""
        self._window.clear()
        self._last = float("-inf")

    def _count(self, known: float, false: float) -> None:
        fade = (1.0 - 1.0 / MEMORY) ** known
        self._known, self._false = fade * self._known + known, fade * self._false + false

    def save(self, folder: Path) -> None:
        """Write `novelty.safetensors` and its facts into `folder`."""
        tensors, facts = model_tensors(self.model)
        tensors |= {f"calibration.{n}": c for n, c in self.calibration.items()}
        save_checkpoint(folder / FILE, tensors, {"schema": SCHEMA, **facts, "state": self.state()})

    @classmethod
    def load(cls, folder: Path, config: NoveltyConfig | None = None) -> NoveltyGate:
        """Read back what `save` wrote.

        Raises:
            CheckpointError: damaged or of another schema.
        """
        tensors, facts = load_checkpoint(folder / FILE)
        try:
            if facts["schema"] != SCHEMA:
                raise ValueError(f"schema {facts['schema']}")
            model = model_from_tensors(tensors, facts)
            calibration = {k.split(".", 1)[1]: v for k, v in tensors.items() if k.startswith("calibration.")}
            gate = cls(model, calibration, config)
            gate.resume(facts["state"])
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise CheckpointError(
                f"{folder / FILE} is no novelty gate ({error!r}).", "Fit it again from the replay memory."
            ) from error
        return gate


def fit_gate(
    image: FloatArray, facts: FloatArray, embed: Embed, scenario: NDArray[np.str_],
    episode: NDArray[np.int64], held: NDArray[np.bool_], config: NoveltyConfig | None = None, seed: int = 0,
) -> NoveltyGate:  # fmt: skip
    """A gate from known moments.

    Args:
        image: (N, F), rows of NaN where there was no camera.
        facts: (N, 3 D), likewise.
        embed: the head the gate belongs to.
        scenario: (N,) names.
        episode: (N,) numbers; rows of one episode are in order of time.
        held: (N,) moments to calibrate on; the others fit the model.
        config: parameters.
        seed: of the choice of the kNN bank.
    """
    config = config or NoveltyConfig()
    fit = ~held
    model = fit_model(
        image[fit], facts[fit], embed, scenario[fit],
        (config.image_dims, config.facts_dims, config.embedding_dims), (config.image_emphasis, 1.0, 1.0),
        config.neighbours, config.knn_share, config.bank, seed,
    )  # fmt: skip
    calibration = {}
    for view in model.views:
        rows = np.flatnonzero(held & np.isfinite(stack_of(view, image, facts)).all(axis=1))
        if len(rows):
            x = image[rows] if view != "facts" else None
            y = facts[rows] if view != "image" else None
            score = model.strangeness(x, y, embed(x, y))[0]
            calibration[view] = window_scores(score, episode[rows], config)[0]
    if not any(len(c) for c in calibration.values()):
        raise InputError("No known episodes to calibrate novelty on.", "Hold some episodes out.")
    return NoveltyGate(model, {n: c for n, c in calibration.items() if len(c)}, config)


def window_scores(
    strangeness: FloatArray, episode: NDArray[np.int64], config: NoveltyConfig
) -> tuple[FloatArray, NDArray[np.int64]]:
    """Scores of every window of every episode, and the episode of each.

    Args:
        strangeness: (N,) of moments, in order of time within an episode.
        episode: (N,).
        config: window.
    """
    scores, owners = [], []
    for number in np.unique(episode):
        rows = strangeness[episode == number]
        for end in range(min(config.votes, len(rows)), len(rows) + 1):
            window = np.sort(rows[max(end - config.frames, 0) : end])[::-1]
            scores.append(window[min(config.votes, len(window)) - 1])
            owners.append(number)
    return np.array(scores), np.array(owners, dtype=np.int64)


def stack_of(view: str, image: FloatArray, facts: FloatArray) -> FloatArray:
    """(N, W) the columns a view needs."""
    if view == "image":
        return image
    return facts if view == "facts" else np.concatenate([image, facts], axis=1)
