"""A selector with everything learned that ships: the model of human ratings and the selection by caption."""

from __future__ import annotations

from pathlib import Path

from lifelong_nav.core.errors import LifelongNavError
from lifelong_nav.core.share import share_folder
from lifelong_nav.trajectory.caption_selection import ContextConfig
from lifelong_nav.trajectory.generator.selection_network import SelectionNetwork
from lifelong_nav.trajectory.proxemics import ProxemicsConfig
from lifelong_nav.trajectory.rating.model import load as load_rating
from lifelong_nav.trajectory.selector import Selector, SelectorConfig
from lifelong_nav.trajectory.terms import TermsConfig
from lifelong_nav.trajectory.terms.rated import RatedTerm


def shipped_selector(
    config: SelectorConfig | None = None,
    terms: TermsConfig | None = None,
    context: ContextConfig | None = None,
    proxemics: ProxemicsConfig | None = None,
    models: Path | None = None,
    rating: bool = True,
    caption: bool = True,
) -> tuple[Selector, tuple[str, ...]]:
    """A selector with the shipped models, and what kept any of them out.

    Args:
        config: hard rules.
        terms: weights; a term of weight zero loads no model.
        context: what the social context changes.
        proxemics: shapes of people's spaces.
        models: folder of all models; None for the shipped ones.
        rating: with the model of human ratings.
        caption: with the learned selection by caption.
    """
    terms = terms or TermsConfig()
    problems: list[str] = []
    judge = network = None
    try:
        folder = models or share_folder("models")
        if rating and terms.rating > 0.0:
            judge = RatedTerm(load_rating(folder / "social_rating"))
    except LifelongNavError as error:
        problems.append(f"No ratings: {error}")
    try:
        folder = models or share_folder("models")
        if caption and terms.context > 0.0:
            network = SelectionNetwork.load(folder / "trajectories" / "selection")
    except LifelongNavError as error:
        problems.append(f"No selection by caption: {error}")
    return Selector(config, terms, context, proxemics, judge, network), tuple(problems)
