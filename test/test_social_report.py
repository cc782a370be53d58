"""The social report: one page that needs nothing else, where no failure is left out."""

import re

import numpy as np
import pytest
from browser_support import browser

from lifelong_nav.evaluation.bench import BenchResult, Target
from lifelong_nav.evaluation.social import record_file, report, summary
from lifelong_nav.evaluation.social import report_tables as tables
from lifelong_nav.evaluation.social.case import Case
from lifelong_nav.evaluation.social.run import RunRecord
from lifelong_nav.sim.flat import Touch

EVIL = "package:<script>alert(1)</script>"


def record(case, planner, side=0.0, hit=False, late=False):
    """A straight drive along a corridor past one who stands and one who walks."""
    n = 81
    x = np.linspace(0.0, 4.0 if late else 6.0, n)
    path = np.column_stack([x, side * np.sin(np.pi * x / 6.0), np.zeros(n)])
    people = np.stack([np.full((n, 2), (3.0, -0.9)), np.column_stack([7.0 - x, np.full(n, 0.9)])], axis=1)
    people[:10, 1] = np.nan
    walls = np.array([[-1.0, -1.5, 8.0, -1.5], [-1.0, 1.5, 8.0, 1.5]])
    touches = (Touch(4.0, 0, 0.5, 0.0),) if hit else ()
    return RunRecord(
        case=case, planner=planner, reached=not late, path=path, twists=np.zeros((n, 2)), people=people,
        radii=np.full(2, 0.25), groups=np.array([-1, 1]), route=np.column_stack([x, 0 * x]), walls=walls,
        radius=0.27, speed=0.8, tolerance=0.3, free_seconds=7.5, touches=touches, lost=0.5,
    )  # fmt: skip


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    folder, files = tmp_path_factory.mktemp("runs"), {}
    for family in ("narrow_hallway", "intersection_no_gesture"):
        for seed in range(3):
            case = Case(family, "social_force", 1, seed)
            fails = family == "narrow_hallway" and seed == 1
            made = {
                "lifelong_nav": record(case, "lifelong_nav", 0.4, hit=fails),
                "lifelong_nav-no_lidar": record(case, "lifelong_nav-no_lidar", 0.4, hit=True),
                "goal_only": record(case, "goal_only", 0.0, hit=True),
                "orca": record(case, "orca", 0.6, late=seed == 0),
                "expert": record(case, "expert", 0.3),
                EVIL: record(case, EVIL, 0.1, late=True),
            }
            for name, run in made.items():
                files[case, name] = folder / f"{family}-{seed}-{len(files)}.npz"
                record_file.save(files[case, name], run)
    return summary.rows(files)


@pytest.fixture(scope="module")
def page(rows, tmp_path_factory):
    held = Target("suite, success", 0.95, 0.93, ">=", {"orca": 0.8})
    missed = Target("suite, <b>contact</b>", 0.02, 0.01, "<=")
    result = BenchResult("social", [], [held, missed], ["A note that must be read."])
    path = tmp_path_factory.mktemp("report") / "report.html"
    return report.write(path, result, rows, {"command": "lifelong-nav bench social"})


def test_the_page_needs_nothing_else_and_runs_nothing(page):
    text = page.read_text()
    assert not re.search(r"<script|<link|@import|url\(|src=\"(?!data:)", text)
    assert "&lt;script&gt;" in text
    assert "suite, &lt;b&gt;contact&lt;/b&gt;" in text
    assert page.stat().st_size < 15_000_000


def test_targets_say_whether_they_hold(page):
    text = page.read_text()
    assert "1 of 2 targets hold" in text
    assert text.count("✓ holds") == 1
    assert text.count("✗ missed") == 1
    assert "A note that must be read." in text


def test_the_failing_scenario_shows_its_first_failing_seed(page, rows):
    text = page.read_text()
    article = text[text.index('<article id="s-narrow_hallway"') :].split("</article>")[0]
    assert "ours fails 1 of 3" in article
    assert "seed 1, layout 1" in article
    assert "contact at 4.0 s (robot into person)" in article
    assert 'class="hit"' in article
    assert "data:image/gif;base64," in article
    other = text[text.index('<article id="s-intersection_no_gesture"') :].split("</article>")[0]
    assert "ours succeeds in all 3" in other
    assert "seed 0" in other
    (failure,) = tables.failures(rows)
    assert (failure.case.seed, failure.others, failure.of) == (1, 1, 3)


def test_the_best_baseline_succeeds_most_and_the_expert_is_no_rival(rows):
    assert tables.best_baseline(rows) == "orca"
    metrics = tables.metrics_of(rows, ("success", "mse"))
    lines = {x.planner: x for x in tables.compared(rows, metrics)}
    assert lines["lifelong_nav"].cells[0].best
    assert not lines["expert"].cells[0].best
    assert lines["expert"].cells[0].value == 1.0
    assert lines["lifelong_nav"].cells[0].value == pytest.approx(5 / 6)
    assert lines["lifelong_nav"].cells[1].value < lines["orca"].cells[1].value


def test_ablations_are_compared_case_by_case(rows):
    ((name, cases, (success, intrusion)),) = tables.ablations(
        rows, tables.metrics_of(rows, ("success", "intrusion"))
    )
    assert (name, cases) == ("lifelong_nav-no_lidar", 6)
    assert success.text == "−83.3 pp"
    assert success.clear
    assert success.worse
    assert not intrusion.clear


def test_where_all_are_equal_nobody_is_best(rows):
    lines = tables.compared(rows, tables.metrics_of(rows, ("intrusion",)))
    assert not any(x.cells[0].best for x in lines)


def test_a_report_without_ours_still_comes_out(rows, tmp_path):
    some = [r for r in rows if r.planner == "orca"]
    text = report.write(tmp_path / "r.html", BenchResult("social", []), some).read_text()
    assert "best baseline: orca" in text
    assert "Our failures" not in text


def test_seeds_are_named_in_spans():
    assert report._spans([0, 1, 2, 5, 7, 8]) == "0–2, 5, 7–8"
    assert report._spans(range(0, 40, 2)) == "20 between 0 and 38"


def test_a_browser_shows_it_whole(page, tmp_path):
    with browser(tmp_path) as session:
        session.get(page.as_uri())
        broken = session.execute_script(
            "document.querySelectorAll('img').forEach(i => i.loading = 'eager');"
            "return Promise.all([...document.images].map(i => i.decode().then(() => 0, () => 1)))"
        )
        assert len(broken) == 2
        assert sum(broken) == 0
        wide = session.execute_script("return document.documentElement.scrollWidth <= window.innerWidth")
        assert wide
        shown = "return [...document.querySelectorAll('.pane')].map(p => getComputedStyle(p).display)"
        assert session.execute_script(shown)[:2] == ["block", "none"]
        session.execute_script("document.querySelector('label[for=h2]').click()")
        assert session.execute_script(shown)[:2] == ["none", "block"]
        assert not [e for e in session.get_log("browser") if e["level"] == "SEVERE"]
