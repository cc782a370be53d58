"""`lifelong-nav bench social`: our stack, its ablations and the usual baselines over the social suite.

The held-out half of the families and layouts, several human models, the same body, limits, senses, routes
and seeds for everyone. Runs go through several processes and are kept in a work folder, so that a
benchmark cut off is continued by the same command.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lifelong_nav.core.errors import ConfigError, DependencyError, require_package
from lifelong_nav.evaluation.bench import BenchResult, Target
from lifelong_nav.evaluation.social import summary
from lifelong_nav.evaluation.social.case import Case, cases
from lifelong_nav.evaluation.social.driving import drive_any
from lifelong_nav.evaluation.social.figures import label
from lifelong_nav.evaluation.social.planner import PLANNERS, make_planner
from lifelong_nav.evaluation.social.runner import Job, run_all
from lifelong_nav.evaluation.social.summary import EXPERT, Row
from lifelong_nav.sim import suite

OURS = "lifelong_nav"
ABLATIONS = tuple(name for name in PLANNERS if name.startswith(f"{OURS}-"))
BASELINES = tuple(name for name in PLANNERS if not name.startswith(OURS))
HUMANS = ("social_force", "mixed")
SEEDS, QUICK_SEEDS = 20, 1
FEW = {"nav2_mppi": 5, EXPERT: 10, **dict.fromkeys(ABLATIONS, 2)}
"""Seeds of those that take long, unless asked for by name, so that the whole takes about 45 minutes on two
cores. The expert drives OLiVia-Nav's four only, ablations the last human model only."""
WORK = Path("runs/bench-social")
"""Where runs are kept when no folder is named."""

COLUMNS = (
    ("success", "success"), ("contact", "contact"), ("contact_robot", "robot into person"),
    ("walls", "walls"), ("psv", "PSV 0.25 s"), ("intrusion", "in groups s"), ("time_ratio", "T/T_free"),
    ("spl", "SPL"), ("stalled", "stalled s"), ("ttc", "TTC<1.5 s"), ("jerk", "jerk m/s3"),
    ("lost", "people lose s"),
)  # fmt: skip
RATIOS = (
    ("mse", "MSE to the expert", 0.50), ("hausdorff", "Hausdorff to the expert", 0.65),
    ("psv", "personal space violated", 0.45),
)  # fmt: skip
"""Reach 1 of the issue: figure, title, ratio to the best baseline per scenario."""
NEAR_EXPERT = (("mse", "MSE m2"), ("hausdorff", "Hausdorff m"), ("ade", "ADE m"), ("psv", "PSV 0.25 s"))


@dataclass(frozen=True)
class Plan:
    """What a benchmark drives: planners and jobs."""

    planners: tuple[str, ...]
    jobs: tuple[Job, ...]
    notes: tuple[str, ...] = ()


def run(
    quick: bool = False, planners: Sequence[str] = (), scenarios: Sequence[str] = (),
    humans: Sequence[str] = (), seeds: int = 0, workers: int = 0, out: Path | None = None,
    real: Sequence[str] = (), data: Path | None = None, quiet: bool = False,
) -> BenchResult:  # fmt: skip
    """Drive the suite, or with `real` recorded crowds, and compare.

    Args:
        quick: one seed, no ablations.
        planners: names or `package.module:ClassName`; all of ours and the baselines when empty.
        scenarios: families of the held-out half; all when empty.
        humans: human models; `HUMANS` when empty.
        seeds: runs per scenario and human model; 20, or 1 with `quick`, when 0.
        workers: processes; one per core when 0.
        out: folder for runs and report.html; `WORK` when None.
        real: recordings in which the robot takes a person's place, instead of the suite.
        data: folder of recordings, with `real`.
        quiet: no progress bar.

    Raises:
        ConfigError: an unknown planner, scenario or human model.
    """
    for package in ("jinja2", "PIL"):  # of the report: said before an hour of driving, not after it
        require_package(package, "sim")
    if real:
        from lifelong_nav.evaluation.social import real_summary
        from lifelong_nav.evaluation.social.real import data_folder

        return real_summary.run(
            real, data_folder(data), planners=planners, quick=quick, most=seeds, workers=workers, out=out,
            quiet=quiet,
        )  # fmt: skip
    plan = planned(quick, planners, scenarios, humans or HUMANS, seeds)
    folder, processes = out or WORK, workers or cores()
    files = run_all(plan.jobs, folder / "runs", drive_any, processes, quiet)
    found = summary.rows(files, EXPERT, processes)
    result = judged(found, plan)
    write_report(folder, result, found)
    return result


def cores() -> int:
    """Cores this process may use."""
    return len(os.sched_getaffinity(0))


def planned(
    quick: bool, planners: Sequence[str], scenarios: Sequence[str], humans: Sequence[str], seeds: int
) -> Plan:
    """Which planner drives which cases; the expert and ablations drive fewer."""
    count = seeds or (QUICK_SEEDS if quick else SEEDS)
    known = suite.suite().families(suite.HELD_OUT)
    for name in scenarios:
        if name not in known:
            raise ConfigError(f"'{name}' is not held out.", f"Choose from: {', '.join(known)}.")
    wanted = tuple(planners) or (OURS, *(() if quick else ABLATIONS), *BASELINES)
    usable, notes = available(wanted, asked=bool(planners))
    every = cases(suite.HELD_OUT, humans, count, scenarios)
    jobs: list[Job] = []
    for name in usable:
        some = every if planners else [c for c in every if c.seed < FEW.get(name, count)]
        if name in ABLATIONS and not planners:
            some = [c for c in some if c.human == humans[-1]]
        jobs += [(case, name) for case in some]
    olivia = [c for c in every if c.family in suite.OLIVIA and c.seed < FEW[EXPERT]]
    jobs += [(case, EXPERT) for case in olivia]
    # case by case, so that a run that was stopped has all planners in some cases
    jobs.sort(key=lambda job: (job[0].seed, job[0].family, job[0].human))
    return Plan(usable, tuple(jobs), tuple(notes))


def available(names: Sequence[str], asked: bool) -> tuple[tuple[str, ...], list[str]]:
    """The planners whose packages are installed, and a note on each left out.

    Raises:
        ConfigError: unknown.
        DependencyError: a package is missing of a planner that was asked for by name.
    """
    usable, notes = [], []
    for name in names:
        try:
            make_planner(name)  # a misspelt name shows here, not after minutes
            usable.append(name)
        except DependencyError as error:
            if asked:
                raise
            notes.append(f"{name} is left out: {error}")
    return tuple(usable), notes


def judged(found: Sequence[Row], plan: Plan) -> BenchResult:
    """Tables, targets and notes."""
    drivers = plan.planners
    count = len({r.case for r in found if r.planner != EXPERT})
    tables: list[tuple[str, Sequence[str], Sequence[Sequence[Any]]]] = [
        (
            f"Held-out half, {count} cases (mean [95 % interval])",
            ("planner", *(t for _, t in COLUMNS)),
            summary.table(found, drivers, COLUMNS),
        )
    ]
    for human in dict.fromkeys(r.case.human for r in found):
        some = [r for r in found if r.case.human == human]
        tables.append(
            (f"People: {human}", ("planner", *(t for _, t in COLUMNS[:7])),
             summary.table(some, drivers, COLUMNS[:7]))
        )  # fmt: skip
    for name, title in COLUMNS[:2]:
        tables.append(
            (f"{title} by scenario", ("scenario", *drivers), summary.by_family(found, drivers, name))
        )
    olivia = [r for r in found if r.case.family in suite.OLIVIA]
    if olivia:
        tables += _near_expert(olivia, drivers)
    return BenchResult(
        "social", tables, targets(found, drivers), [*plan.notes, *_seeing(found, drivers), *notes(found)]
    )


def _seeing(found: Sequence[Row], drivers: Sequence[str]) -> list[str]:
    """The ratios against those only who evade people: driving straight through them is near a path, too."""
    rivals = [d for d in drivers if not d.startswith(OURS) and d != "goal_only"]
    families = [f for f in suite.OLIVIA if any(r.case.family == f for r in found)]
    if OURS not in drivers or not rivals or not families:
        return []
    parts = [f"{name} {summary.ratio(found, name, OURS, rivals, families).mean:.3g}" for name, _, _ in RATIOS]
    return [f"Ratios to the best baseline in OLiVia-Nav's four without goal_only: {', '.join(parts)}."]


def _near_expert(
    olivia: Sequence[Row], drivers: Sequence[str]
) -> list[tuple[str, Sequence[str], Sequence[Sequence[Any]]]]:
    header = ("scenario", *drivers)
    return [
        (f"OLiVia-Nav's four, {title}", header, summary.by_family(olivia, drivers, name))
        for name, title in NEAR_EXPERT
    ]


def targets(found: Sequence[Row], drivers: Sequence[str]) -> list[Target]:
    """Issue's reach: ratios to the best baseline in OLiVia-Nav's four, and the whole suite."""
    rivals = [d for d in drivers if not d.startswith(OURS)]
    if OURS not in drivers:
        return []
    out = []
    families = [f for f in suite.OLIVIA if any(r.case.family == f for r in found)]
    if families and rivals and any(r.planner == EXPERT for r in found):
        for name, title, goal in RATIOS:
            r = summary.ratio(found, name, OURS, rivals, families)
            best = {f"{f}: {who}": value for f, who, value in zip(r.families, r.rivals, r.best, strict=True)}
            out.append(
                Target(f"OLiVia's four, {title}, ratio to the best baseline", r.mean, goal, "<=", best)
            )

    def mean(name: str, planner: str) -> float:
        return summary.interval(found, name, planner).mean

    for name, title, op, goal in (
        ("success", "success", ">=", 0.93), ("contact", "runs with contact", "<=", 0.010),
        ("time_ratio", "T/T_free of runs that arrived", "<=", 1.25),
    ):  # fmt: skip
        others = {p: mean(name, p) for p in rivals}
        out.append(Target(f"suite, {title}", mean(name, OURS), goal, op, others))
    if "orca" in rivals:
        base = {p: mean("intrusion", p) for p in rivals}
        out.append(
            Target("suite, seconds in groups", mean("intrusion", OURS), 0.5 * base["orca"], "<=", base)
        )
    return out


def notes(found: Sequence[Row]) -> list[str]:
    """Where we fail, and whether anybody did better there."""
    ours = [r for r in found if r.planner == OURS]
    failed = [r for r in ours if not r.values["success"]]
    out = []
    if failed:
        baselines = {p for p in {r.planner for r in found} if not p.startswith(OURS) and p != EXPERT}
        won = {(r.case, r.planner) for r in found if r.values["success"]}
        families = dict.fromkeys(r.case.family for r in failed)
        for family in families:
            here = [r for r in failed if r.case.family == family]
            total = sum(r.case.family == family for r in ours)
            nobody = sum(all((r.case, p) not in won for p in baselines) for r in here)
            some = "; ".join(f"{_place(r.case)}: {r.why}" for r in here[:3])
            everyone = f"{nobody} of them with every baseline, too ({some})"
            out.append(f"{family}: {len(here)} of {total} runs of {OURS} fail, {everyone}.")
    lost = [r for r in found if r.planner == EXPERT and not r.values["reached"]]
    if lost:
        out.append(
            f"The expert does not arrive in {len(lost)} cases, which are not compared with it: "
            + "; ".join(f"{label(r.case)} ({r.why})" for r in lost[:5])
        )
    crashed = [r for r in found if r.values["error"]]
    out += [f"{r.planner} raised in {label(r.case)}: {r.why}" for r in crashed[:5]]
    return out


def _place(case: object) -> str:
    return f"{case.human} seed {case.seed}" if isinstance(case, Case) else str(case)


def write_report(out: Path, result: BenchResult, found: Sequence[Row]) -> None:
    """One HTML page of it all in `out`."""
    from lifelong_nav.evaluation.social.report import write

    write(out / "report.html", result, found)
