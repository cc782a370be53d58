"""Puts a local planner together: on the robot, and in benchmarks that leave parts of it out."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from lifelong_nav.core.config import override
from lifelong_nav.core.errors import LifelongNavError
from lifelong_nav.core.share import share_folder
from lifelong_nav.core.social_context import SocialContext
from lifelong_nav.trajectory.candidates import CandidatesConfig, propose
from lifelong_nav.trajectory.caption_selection import ContextConfig
from lifelong_nav.trajectory.generator.selection_network import SelectionNetwork
from lifelong_nav.trajectory.local_planner import Generator, LocalPlanner, LocalPlannerConfig
from lifelong_nav.trajectory.prediction.predictor import Predictor
from lifelong_nav.trajectory.proxemics import ProxemicsConfig
from lifelong_nav.trajectory.rating import model as rating_model
from lifelong_nav.trajectory.search_costs import SearchConfig
from lifelong_nav.trajectory.selector import Selector, SelectorConfig
from lifelong_nav.trajectory.situation import Candidate, Situation
from lifelong_nav.trajectory.terms import TermsConfig
from lifelong_nav.trajectory.terms.rated import RatedTerm

_log = logging.getLogger(__name__)
Config = TypeVar("Config")
Tuning = Mapping[str, Mapping[str, Any]]
"""Parameters by section and name."""
NO_TUNING: Tuning = {}


@dataclass(frozen=True)
class Parts:
    """Which parts are in.

    `choice` of trajectories at all (else the controller follows the route); `prediction` by the network (else
    constant velocity); `rules` and `search` the classical candidates and those found in space-time;
    `learned` the network's; `rating` people's ratings as a term; `image` the context for the network;
    `captions` the context for the selection; `lidar` the scan for planning (control and gate keep it);
    `lifelong` what was learned after shipping; `gate` the safety gate.
    """

    choice: bool = True
    prediction: bool = True
    rules: bool = True
    search: bool = True
    learned: bool = True
    rating: bool = True
    image: bool = True
    captions: bool = True
    lidar: bool = True
    lifelong: bool = True
    gate: bool = True


def assemble(
    parts: Parts, scene: str = "", context: Callable[[], SocialContext | None] = lambda: None,
    clock: Callable[[], float] | None = None, tuning: Tuning = NO_TUNING, heads: Path | None = None,
) -> LocalPlanner:  # fmt: skip
    """A local planner of these parts.

    Args:
        parts: which are in.
        scene: a recording whose own weights are left out, "" for none.
        context: what is socially going on, asked at every proposal of the network.
        clock: for timing, None for none.
        tuning: parameters that differ from their defaults, by section: terms, selector, proxemics,
            context, candidates, search, local_planner.
        heads: folder of the network's heads that were learned on this robot, None for the shipped ones.
    """
    models = share_folder("models")
    predictor = Predictor.load(models / "prediction", scene or None) if parts.prediction else None
    generators: dict[str, Generator] = {}
    if parts.rules:
        generators["rules"] = _rules(parts.search, tuning)
    if parts.learned:
        generators |= _learned(parts, models, scene, context, heads)
    selector = Selector(
        tuned(SelectorConfig(), "selector", tuning), tuned(TermsConfig(), "terms", tuning),
        tuned(ContextConfig(), "context", tuning), tuned(ProxemicsConfig(), "proxemics", tuning),
        _rating(models) if parts.rating else None, _caption(models) if parts.captions else None,
    )  # fmt: skip
    config = tuned(LocalPlannerConfig(), "local_planner", tuning)
    return LocalPlanner(config, predictor, generators, selector, clock)


def tuned(config: Config, section: str, tuning: Tuning) -> Config:
    """A config with the parameters that `tuning` gives for its section."""
    return override(config, **tuning.get(section, {}))


def _rating(models: Path) -> RatedTerm | None:
    """People's ratings as a term; None where the weights are missing or damaged: the other terms stay."""
    try:
        return RatedTerm(rating_model.load(models / "social_rating"))
    except (LifelongNavError, OSError) as error:
        _log.warning("trajectories are chosen without people's ratings: %s", error)
        return None


def _caption(models: Path) -> SelectionNetwork | None:
    """The learned selection by caption; None likewise."""
    try:
        return SelectionNetwork.load(models / "trajectories" / "selection")
    except (LifelongNavError, OSError) as error:
        _log.warning("trajectories are chosen without the learned selection by caption: %s", error)
        return None


def _rules(search: bool, tuning: Tuning) -> Generator:
    config = tuned(CandidatesConfig(), "candidates", tuning)
    config = config if search else override(config, searched=0)
    searching = tuned(SearchConfig(), "search", tuning)
    social = tuned(ProxemicsConfig(), "proxemics", tuning)

    def suggest(situation: Situation) -> Sequence[Candidate]:
        return propose(situation, config, searching, social)

    return suggest


def _learned(
    parts: Parts,
    models: Path,
    scene: str,
    context: Callable[[], SocialContext | None],
    heads: Path | None,
) -> dict[str, Generator]:
    """The trajectory network, without this scene's share where such weights ship."""
    from lifelong_nav.trajectory.generator.network import NetworkConfig, TrajectoryNetwork, heads_for

    config = NetworkConfig(context=parts.image, lidar=parts.lidar)
    folder = models / "trajectories"
    heads = heads_for(folder, scene) if scene else heads if parts.lifelong else None
    network = TrajectoryNetwork.load(folder, heads, config)
    if not network.ready:
        return {}

    def propose(situation: Situation) -> list[Candidate]:
        return network.propose(replace(situation, context=context()))

    return {"learned": propose}
