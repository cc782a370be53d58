"""The social situation as a few lines of Markdown for the live view: what the robot thinks, and why."""

from __future__ import annotations

import math

from lifelong_nav.core.social_context import FACTS, FULL, IMAGE, UNKNOWN, SocialContext

_SOURCES = {
    UNKNOWN: "nothing to go by",
    FACTS: "tracks and scan, no picture",
    IMAGE: "picture only",
    FULL: "picture and scene facts",
}
_BAR = 12
_ROWS = 3


def context_text(context: SocialContext, learner: str = "") -> str:
    """Markdown of a context.

    Args:
        context: what perception says.
        learner: what the learner did last, in words; empty for nothing.
    """
    lines = [f"### {context.text}", ""]
    for name, p in list(context.probabilities.items())[:_ROWS]:
        filled = round(_BAR * p)
        lines.append(f"`{'█' * filled}{'░' * (_BAR - filled)}` {100 * p:.0f} % {name.replace('_', ' ')}  ")
    lines += ["", f"**From** {_SOURCES[context.state]}" + _shares(context)]
    if context.facts:
        lines += ["", f"**Facts** {context.facts}"]
    if context.captions:
        lines += ["", f"**Caption** {context.captions[0].text} ({context.captions[0].score:.2f})"]
    if math.isfinite(context.novelty):
        word = "new to me" if context.novel else "known"
        lines += ["", f"**Novelty** {context.novelty:.2f}, {word} · model generation {context.generation}"]
    if learner:
        lines += ["", f"**Learning** {learner}"]
    return "\n".join(lines)


def _shares(context: SocialContext) -> str:
    if context.state != FULL:
        return ""
    return f" ({100 * context.image_share:.0f} % / {100 * context.facts_share:.0f} %)"
