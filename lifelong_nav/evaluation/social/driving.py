"""Which function drives a job: a planner in the suite, a planner among real people, the expert, the human."""

from __future__ import annotations

from lifelong_nav.evaluation.social.case import AnyCase, RealCase
from lifelong_nav.evaluation.social.run import RunRecord, drive


def drive_any(case: AnyCase, planner: str) -> RunRecord:
    """Drive a case with a planner by name, `expert` and `human` included."""
    if isinstance(case, RealCase):
        from lifelong_nav.evaluation.social import real

        return real.drive(case, planner)
    if planner == "expert":
        from lifelong_nav.evaluation.social.expert import drive_expert

        return drive_expert(case)
    return drive(case, planner)
