"""Named costs of candidates, all candidates at once: what a choice of trajectory weighs and shows.

A term is a plain function of a `Batch` and a `TermsConfig` that returns (C,) costs, zero for nothing
wrong; its weight is the parameter of the same name. Zero switches it off: it is not even computed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from lifelong_nav.core.types import FloatArray
from lifelong_nav.trajectory.terms.batch import Batch, make_batch, sampled
from lifelong_nav.trajectory.terms.config import TermsConfig
from lifelong_nav.trajectory.terms.customs import right_of_way
from lifelong_nav.trajectory.terms.motion import comfort, consistency, dynamics_risk, obstacle, progress
from lifelong_nav.trajectory.terms.people import contact, group, people_effect, personal_space, queue
from lifelong_nav.trajectory.terms.places import blind_corner, doorway

Term = Callable[[Batch, TermsConfig], FloatArray]

TERMS: dict[str, Term] = {
    "progress": progress,
    "personal_space": personal_space,
    "contact": contact,
    "group": group,
    "queue": queue,
    "blind_corner": blind_corner,
    "doorway": doorway,
    "right_of_way": right_of_way,
    "people_effect": people_effect,
    "obstacle": obstacle,
    "comfort": comfort,
    "dynamics_risk": dynamics_risk,
}
"""The terms that need nothing but the situation and the candidates."""

NAMES = (*TERMS, "rating", "context", "consistency")
"""All terms by the name of their weight."""


def evaluate(
    batch: Batch, config: TermsConfig, extra: Mapping[str, FloatArray], factors: Mapping[str, float]
) -> tuple[dict[str, FloatArray], list[str]]:
    """Weighted costs (C,) of every term with a weight, and notes on those that failed.

    Args:
        batch: candidates.
        config: weights and shapes.
        extra: raw costs (C,) of terms that need more: rating, context, consistency.
        factors: by term name, multiplied with its weight; 1 where absent.
    """
    costs: dict[str, FloatArray] = {}
    notes: list[str] = []
    for name in NAMES:
        weight = float(getattr(config, name)) * float(factors.get(name, 1.0))
        if weight == 0.0 or (name not in TERMS and name not in extra):
            continue
        try:
            raw = TERMS[name](batch, config) if name in TERMS else np.asarray(extra[name], dtype=float)
        except (ValueError, IndexError, ArithmeticError, TypeError) as error:  # one term must not end driving
            notes.append(f"term {name} failed ({type(error).__name__}: {error})")
            continue
        if raw.shape != (len(batch),) or not np.isfinite(raw).all():
            notes.append(f"term {name} is not finite")
            continue
        costs[name] = weight * raw
    return costs, notes


__all__ = [
    "NAMES",
    "TERMS",
    "Batch",
    "Term",
    "TermsConfig",
    "consistency",
    "evaluate",
    "make_batch",
    "sampled",
]
