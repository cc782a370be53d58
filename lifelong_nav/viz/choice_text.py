"""The choice of a trajectory as a few lines of Markdown for the live view: what, why, and what it costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from lifelong_nav.core.types import FloatArray

_WAYS = 4
_TERMS = 7


def choice_text(
    names: Sequence[str], sources: Sequence[str], totals: FloatArray, terms: Mapping[str, FloatArray],
    chosen: int, reason: str, learner: str = "",
) -> str:  # fmt: skip
    """Markdown of a choice.

    Args:
        names: (C,) what each candidate does.
        sources: (C,) who proposes it.
        totals: (C,) cost of each.
        terms: name -> (C,) costs that sum to the totals.
        chosen: index of the one followed.
        reason: one sentence.
        learner: what the learner of trajectories did last; empty for nothing.
    """
    lines = [f"### {names[chosen]}", "", reason, ""]
    order = [int(i) for i in np.argsort(np.nan_to_num(totals, nan=np.inf), kind="stable")]
    rival = next((i for i in order if i != chosen), None)
    if terms:
        lines += ["| cost | chosen |" + (f" {names[rival]} |" if rival is not None else "")]
        lines += ["|---|--:|" + ("--:|" if rival is not None else "")]
        weight = {name: float(np.nanmax(np.abs(c[[chosen, rival or chosen]]))) for name, c in terms.items()}
        for name in sorted(terms, key=lambda n: -weight[n])[:_TERMS]:
            if weight[name] < 1e-3:
                continue
            row = f"| {name.replace('_', ' ')} | {terms[name][chosen]:.2f} |"
            lines.append(row + (f" {terms[name][rival]:.2f} |" if rival is not None else ""))
    lines += ["", "**Candidates** " + " · ".join(_way(names, sources, totals, i) for i in order[:_WAYS])]
    if len(names) > _WAYS:
        lines[-1] += f" · {len(names) - _WAYS} more"
    if learner:
        lines += ["", f"**Learning** {learner}"]
    return "\n".join(lines)


def _way(names: Sequence[str], sources: Sequence[str], totals: FloatArray, i: int) -> str:
    return f"{names[i]} ({sources[i]}) {totals[i]:.2f}"
