"""The social benchmark: runs that survive a kill, figures of runs made by hand, a small whole run."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest

from lifelong_nav.core.errors import ConfigError, InputError
from lifelong_nav.core.types import Twist2
from lifelong_nav.evaluation.social import record_file, runner, social_bench, summary
from lifelong_nav.evaluation.social.case import Case, cases
from lifelong_nav.evaluation.social.driving import drive_any
from lifelong_nav.evaluation.social.figures import against_expert, failed_why, figures
from lifelong_nav.evaluation.social.run import RunRecord, drive
from lifelong_nav.evaluation.social.summary import Row, ratio, stratified
from lifelong_nav.sim import suite
from lifelong_nav.sim.flat import Touch
from lifelong_nav.sim.scenario import Company, Success


class Broken:
    """A planner that fails after a while."""

    def reset(self, goal, speed, seed):
        self.calls = 0

    def command(self, observation):
        self.calls += 1
        if self.calls > 5:
            raise ZeroDivisionError("oh")
        self.terms = {"haste": float(self.calls)}
        return Twist2(0.8)


def record(people=None, touches=(), reached=True, groups=(-1,), person=-1, seconds=5.0, free=4.0, **more):
    """A run along x at 1 m/s with one person standing at (2.5, 0.9)."""
    steps = round(seconds / 0.1) + 1
    path = np.zeros((steps, 3))
    path[:, 0] = 0.1 * np.arange(steps)
    if people is None:
        people = np.full((steps, 1, 2), (2.5, 0.9))
    n = people.shape[1]
    return RunRecord(
        Case("crowd", "orca", 0, 0), "x", reached, path, np.zeros((steps, 2)), people, np.full(n, 0.25),
        np.array(groups), path[::5, :2], np.zeros((0, 4)), 0.27, 1.0, 0.4, free, tuple(touches), 0.0, person,
        **more,
    )  # fmt: skip


def test_figures_of_a_run_made_by_hand():
    values = figures(record())
    assert values["success"] == 1.0
    assert values["time_ratio"] == pytest.approx(1.25)
    # 0.9 m abreast, radii 0.52: gap below 0.25 where the distance is below 0.77, nowhere
    assert values["psv"] == 0.0
    assert values["min_gap"] == pytest.approx(0.38)
    near = figures(record(np.full((51, 1, 2), (2.5, 0.6))))
    assert near["psv"] == pytest.approx(2 * np.sqrt(0.77**2 - 0.6**2), abs=0.1)
    assert near["stalled"] == 0.0
    assert near["spl"] == pytest.approx(4.6 / 5.0)


def test_success_needs_no_contact_no_wall_and_the_company():
    hit = figures(record(touches=[Touch(1.0, 0, robot=0.1, other=0.5)]))
    assert (hit["success"], hit["contact"], hit["contact_robot"]) == (0.0, 1.0, 0.0)
    assert figures(record(touches=[Touch(1.0, 0, 0.5, 0.1)]))["contact_robot"] == 1.0
    wall = record(touches=[Touch(1.0, -1, 0.5)])
    assert figures(wall)["success"] == 0.0
    assert figures(wall)["contact"] == 0.0
    late = figures(record(reached=False))
    assert late["success"] == 0.0
    assert np.isnan(late["time_ratio"])
    rules = Success(company=Company(0, 0.5, 1.5, 0.6))
    beside = np.stack([0.1 * np.arange(51), np.full(51, 1.0)], axis=-1)[:, None]
    kept = record(beside, person=0)
    assert figures(kept, rules)["success"] == 1.0
    assert figures(kept, rules)["company"] == 1.0
    left = figures(record(person=0), rules)
    assert left["success"] == 0.0
    assert "company" in failed_why(record(person=0), left)


def test_company_is_no_stranger_but_others_are():
    close = np.full((51, 2, 2), (2.5, 0.6))
    both = figures(record(close, groups=(-1, -1)), Success())
    assert figures(record(close, groups=(-1, -1), person=0), Success())["psv"] == both["psv"]
    alone = figures(record(close[:, :1], person=0), Success())
    assert alone["psv"] == 0.0
    assert both["psv"] > 0.0


def test_group_intrusion_by_hand():
    # two who talk across the way: their hull, widened by 0.3 m, is crossed in 0.6 s at 1 m/s
    pair = np.broadcast_to(np.array([[2.5, 0.7], [2.5, -0.7]]), (51, 2, 2))
    assert figures(record(pair, groups=(3, 3)))["intrusion"] == pytest.approx(0.6, abs=0.11)
    assert figures(record(pair, groups=(3, 4)))["intrusion"] == 0.0


def test_distance_to_the_expert_by_hand():
    mine, expert = record(), record()
    expert.path[:, 1] += 0.5
    apart = against_expert(mine, expert)
    assert apart["mse"] == pytest.approx(0.25)
    assert apart["hausdorff"] == pytest.approx(0.5)
    assert apart["ade"] == pytest.approx(0.5)


def rows(planner, family, values, seeds=None):
    return [
        Row(Case(family, "orca", 0, s), planner, {"mse": v, "success": 1.0}, "", Path("x"))
        for s, v in zip(seeds or range(len(values)), values, strict=True)
    ]


def test_ratio_is_the_geometric_mean_over_families_of_the_best_rival():
    found = rows("me", "a", [1, 1]) + rows("x", "a", [2, 2]) + rows("y", "a", [9, 9])
    found += rows("me", "b", [8, 8]) + rows("x", "b", [9, 9]) + rows("y", "b", [4, 4])
    r = ratio(found, "mse", "me", ["x", "y"], ["a", "b"])
    assert r.rivals == ("x", "y")
    assert r.mean == pytest.approx(1.0, abs=1e-3)
    # a rival is compared on the cases both drove
    unfair = [*rows("me", "a", [1, 1]), *rows("x", "a", [2], seeds=[0])]
    unfair[1].values["mse"] = 100.0
    assert ratio(unfair, "mse", "me", ["x"], ["a"]).mean == pytest.approx(0.5, abs=1e-3)


def test_intervals_keep_the_strata():
    rng = np.random.default_rng(0)
    parts = [np.zeros(40), np.ones(40)]
    kept = stratified(parts)
    assert (kept.low, kept.mean, kept.high) == (0.5, 0.5, 0.5)
    noisy = stratified([rng.normal(0, 1, 100), rng.normal(5, 1, 100)])
    assert noisy.high - noisy.low == pytest.approx(2 * 1.96 / np.sqrt(200), rel=0.25)


def test_a_broken_planner_fails_its_run_only():
    r = drive(Case("frontal_approach", "social_force", 0, 0), Broken())
    assert r.error == "ZeroDivisionError: oh"
    assert not r.reached
    assert r.terms["haste"].tolist() == [1, 2, 3, 4, 5]
    assert figures(r)["success"] == 0.0


def test_records_come_back_as_they_were(tmp_path):
    r = drive(Case("join_group", "orca", 1, 3), "goal_only")
    record_file.save(tmp_path / "a.npz", r)
    back = record_file.load(tmp_path / "a.npz")
    assert back.case == r.case
    assert back.touches == r.touches
    np.testing.assert_allclose(back.path, r.path, atol=1e-4)
    np.testing.assert_allclose(back.people, r.people, atol=1e-4)
    data = (tmp_path / "a.npz").read_bytes()
    for cut in (0, 10, len(data) // 2, len(data) - 5):
        (tmp_path / "b.npz").write_bytes(data[:cut])
        with pytest.raises(InputError):
            record_file.load(tmp_path / "b.npz")


SCRIPT = """
import sys, time
from pathlib import Path
from lifelong_nav.core.types import Twist2
from lifelong_nav.evaluation.social import runner
from lifelong_nav.evaluation.social.case import cases
from lifelong_nav.evaluation.social.run import drive
from lifelong_nav.evaluation.social.driving import drive_any

def slow(case, planner):
    time.sleep(0.3)
    return drive_any(case, planner)

if __name__ == "__main__":
    jobs = [(c, "goal_only") for c in cases("train", ["social_force"], 6, ["join_group"])]
    runner.run_all(jobs, Path(sys.argv[1]), slow, workers=int(sys.argv[2]), quiet=True)
"""


def test_a_killed_benchmark_goes_on_where_it_was(tmp_path):
    script, work = tmp_path / "bench_script.py", tmp_path / "work"
    script.write_text(textwrap.dedent(SCRIPT))
    process = subprocess.Popen(
        [sys.executable, str(script), str(work), "1"], start_new_session=True, cwd=Path(__file__).parents[1],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
    )  # fmt: skip
    end = time.monotonic() + 60.0
    while len(list(work.glob("*.npz"))) < 2 and time.monotonic() < end:
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    kept = {p: p.stat().st_mtime_ns for p in work.glob("*.npz")}
    assert 2 <= len(kept) < 6
    for path in kept:
        record_file.load(path)  # whole, every one
    jobs = [(c, "goal_only") for c in cases("train", ["social_force"], 6, ["join_group"])]
    damaged = next(iter(kept))
    damaged.write_bytes(damaged.read_bytes()[:100])
    files = runner.run_all(jobs, work, drive_any, workers=1, quiet=True)
    assert len(files) == 6
    assert all(path.is_file() for path in files.values())
    assert set(kept) <= set(files.values())
    untouched = [p for p in kept if p != damaged]
    assert all(p.stat().st_mtime_ns == kept[p] for p in untouched)
    assert damaged.stat().st_mtime_ns != kept[damaged]


def test_a_changed_planner_is_driven_anew(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    module = tmp_path / "planner_of_a_user.py"
    case, name = Case("join_group", "orca", 1, 0), "planner_of_a_user:Mine"
    module.write_text("a = 1")
    runner.fingerprint.cache_clear()
    first = runner.key(case, name)
    assert runner.key(case, name) == first
    assert runner.key(Case("join_group", "orca", 1, 1), name) != first
    module.write_text("a = 2")
    runner.fingerprint.cache_clear()
    assert runner.key(case, name) != first


def test_a_small_whole_run_in_two_processes(tmp_path):
    options = {
        "planners": ("goal_only", "social_force"), "scenarios": ("olivia_narrow_hallway", "leave_group"),
        "humans": ("social_force",), "seeds": 1, "workers": 2, "out": tmp_path, "quiet": True,
    }  # fmt: skip
    result = social_bench.run(**options)
    text = result.text()
    assert "goal_only" in text
    assert "OLiVia-Nav's four, MSE m2" in text
    near = next(rows for title, _, rows in result.tables if "Hausdorff" in title)
    assert [row[0] for row in near] == ["olivia_narrow_hallway"]
    assert all(np.isfinite(value) for row in near for value in row[1:])
    assert (tmp_path / "report.html").is_file()
    stamps = {p: p.stat().st_mtime_ns for p in (tmp_path / "runs").glob("*.npz")}
    assert len(stamps) == 2 * 2 + 1
    again = social_bench.run(**options)
    assert again.text() == text
    assert {p: p.stat().st_mtime_ns for p in (tmp_path / "runs").glob("*.npz")} == stamps


def test_what_is_not_held_out_is_refused():
    with pytest.raises(ConfigError, match="not held out"):
        social_bench.planned(True, ("goal_only",), ("blind_corner",), ("orca",), 1)
    plan = social_bench.planned(False, ("goal_only",), (), ("orca", "mixed"), 2)
    s = suite.suite()
    assert {c.family for c, _ in plan.jobs} == set(s.families("held_out"))
    assert {c.layout for c, _ in plan.jobs} <= set(s.layouts_of("held_out"))
    assert {c.family for c, p in plan.jobs if p == summary.EXPERT} == set(suite.OLIVIA)


def test_everyone_drives_the_same_cases_but_for_those_that_take_long():
    plan = social_bench.planned(False, (), (), ("social_force", "mixed"), 0)
    driven = {p: {c for c, q in plan.jobs if q == p} for p in (*plan.planners, summary.EXPERT)}
    assert len(driven["lifelong_nav"]) == 15 * 2 * 20
    assert driven["lifelong_nav"] == driven["goal_only"] == driven["social_force"]
    assert all(cases <= driven["lifelong_nav"] for cases in driven.values())
    assert len(driven[summary.EXPERT]) == 4 * 2 * 10
    assert len(driven["lifelong_nav-no_captions"]) == 15 * 2
    asked = social_bench.planned(False, ("lifelong_nav-no_captions",), (), ("mixed",), 4)
    assert len(asked.jobs) == 15 * 4 + 4 * 4


def test_an_interval_of_few_runs_is_not_a_point():
    few = stratified([np.array([1.0]), np.array([0.0]), np.array([1.0])])
    assert few.low < few.mean < few.high


def test_targets_and_failures_are_told():
    def row(planner, family, **values):
        base = {name: 0.0 for name, _ in social_bench.COLUMNS} | {"reached": 1.0, "error": 0.0}
        return Row(Case(family, "mixed", 0, 0), planner, base | values, "contact at 1.0 s", Path("x"))

    found = []
    for family in suite.OLIVIA:
        found.append(row("lifelong_nav", family, success=1.0, time_ratio=1.2, mse=1.0, hausdorff=0.3))
        found.append(row("orca", family, success=0.0, time_ratio=1.5, mse=4.0, hausdorff=0.5, intrusion=1.0))
        found.append(row("goal_only", family, success=0.0, time_ratio=1.0, mse=0.5, hausdorff=0.9))
        found.append(row("expert", family, success=1.0))
    found[0].values["success"] = 0.0
    result = social_bench.judged(found, social_bench.Plan(("lifelong_nav", "orca", "goal_only"), ()))
    by_name = {t.name: t for t in result.targets}
    near = by_name["OLiVia's four, MSE to the expert, ratio to the best baseline"]
    assert near.value == pytest.approx(2.0, rel=0.01)
    assert not near.holds
    assert by_name["suite, success"].value == 0.75
    assert by_name["suite, seconds in groups"].goal == 0.5
    assert any("without goal_only: mse 0.25" in note for note in result.notes)
    assert any(
        "1 of 1 runs of lifelong_nav fail" in note and "contact at 1.0 s" in note for note in result.notes
    )
