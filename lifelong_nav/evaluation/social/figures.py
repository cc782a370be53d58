"""Figures of merit of one run, from its record."""

from __future__ import annotations

import numpy as np

from lifelong_nav.core.types import FloatArray
from lifelong_nav.evaluation import social_metrics as metrics
from lifelong_nav.evaluation.social.case import AnyCase, Case
from lifelong_nav.evaluation.social.planner import PERIOD
from lifelong_nav.evaluation.social.run import RunRecord
from lifelong_nav.sim.scenario import Success

LOW_TTC = 1.5
"""Times to collision below this [s] count as risky."""


def figures(record: RunRecord, rules: Success | None = None) -> dict[str, float]:
    """All figures of a run by name; NaN where one has no meaning (time ratio of a run that never arrived).

    success: goal reached in time, no more contacts with people than allowed, no wall touched, company kept.
    contact: any contact with a person; contact_robot: one in which the robot moved into the person. psv:
    seconds with less than 0.25 m to somebody other than the company the robot keeps. ttc: seconds with a
    collision less than 1.5 s ahead, all going on as they move. lost: seconds people lost, see `LostTime`.

    Args:
        record: the run.
        rules: what counts as success; the scenario's own when None.
    """
    if rules is None:
        rules = record.case.scenario.success if isinstance(record.case, Case) else Success()
    path, people, radii = record.path[:, :2], record.people, record.radii
    others = np.arange(people.shape[1]) != record.person
    strangers, sizes = people[:, others], radii[others]
    free = metrics.gaps(path, strangers, record.radius, sizes)
    hit = [t for t in record.touches if t.person >= 0]
    walls = sum(t.person < 0 for t in record.touches)
    kept = company_share(record, rules)
    with_them = rules.company is None or kept >= rules.company.share
    seconds = (len(path) - 1) * PERIOD
    done = record.reached and not record.error
    shortest = max(metrics.length(record.route) - record.tolerance, 0.0)
    ttc = metrics.times_to_collision(path, strangers, PERIOD, record.radius, sizes)
    return {
        "success": float(done and len(hit) <= rules.contacts and not walls and with_them),
        "reached": float(done),
        "contact": float(bool(hit)),
        "contact_robot": float(any(t.by_robot for t in hit)),
        "walls": float(walls),
        "company": kept,
        "psv": metrics.psv_seconds(free, PERIOD),
        "time": seconds,
        "time_ratio": metrics.time_ratio(seconds, record.free_seconds) if done else np.nan,
        "spl": metrics.spl(done, shortest, metrics.length(path)),
        "stalled": metrics.stalled_seconds(path, PERIOD),
        "jerk": metrics.jerk(path, PERIOD),
        "intrusion": intrusion_seconds(record),
        "ttc": float(PERIOD * np.count_nonzero(ttc < LOW_TTC)),
        "lost": record.lost,
        "min_gap": float(free.min(initial=np.inf)) if np.isfinite(free).any() else np.nan,
        "error": float(bool(record.error)),
    }


def against_expert(record: RunRecord, expert: RunRecord) -> dict[str, float]:
    """How far the run's path is from the expert's of the same case; the shorter one waits at its end."""
    a, b = record.path[:, :2], expert.path[:, :2]
    return {"mse": metrics.mse(a, b), "hausdorff": metrics.hausdorff(a, b), "ade": metrics.ade(a, b)}


def company_share(record: RunRecord, rules: Success) -> float:
    """Share of the run in which the robot kept the company asked for; NaN when none is."""
    keep = rules.company
    if keep is None:
        return float("nan")
    apart = np.linalg.norm(record.people[:, keep.person] - record.path[:, :2], axis=1)
    with np.errstate(invalid="ignore"):
        return float(((apart >= keep.near) & (apart <= keep.far)).mean())


def intrusion_seconds(record: RunRecord) -> float:
    """Seconds within the spaces of groups, only worked out where the robot is near one (see metrics)."""
    path, people, groups = record.path[:, :2], record.people, record.groups
    near = np.zeros(len(path), dtype=bool)
    for group in np.unique(groups[groups >= 0]):
        members = people[:, groups == group]
        centre = np.nanmean(_filled(members), axis=1)
        reach = np.nanmax(np.linalg.norm(_filled(members) - centre[:, None], axis=-1), axis=1)
        near |= np.linalg.norm(path - centre, axis=1) <= reach + metrics.O_SPACE_MARGIN
    if not near.any():
        return 0.0
    return metrics.group_intrusion_seconds(path[near], people[near], groups, PERIOD)


def _filled(members: FloatArray) -> FloatArray:
    """The positions, far away where nobody is there, so that no mean is of nothing."""
    absent = np.isnan(members).all(axis=(1, 2))
    out = members.copy()
    out[absent] = 1e6
    return out


def failed_why(record: RunRecord, values: dict[str, float]) -> str:
    """In a few words what made a run fail; empty for one that did not."""
    if values["success"]:
        return ""
    if record.error:
        return record.error
    parts = []
    hit = [t for t in record.touches if t.person >= 0]
    if hit:
        who = "robot into person" if hit[0].by_robot else "person into robot"
        parts.append(f"contact at {hit[0].stamp:.1f} s ({who})")
    wall = [t for t in record.touches if t.person < 0]
    if wall:
        parts.append(f"wall at {wall[0].stamp:.1f} s")
    if not values["reached"]:
        parts.append("too late")
    if not parts:
        parts.append(f"company kept {100.0 * values['company']:.0f} % of the time")
    return ", ".join(parts)


def label(case: AnyCase) -> str:
    """A case in words."""
    if isinstance(case, Case):
        return f"{case.family} {case.human} layout {case.layout} seed {case.seed}"
    return f"{case.scene} track {case.track}"
