"""Run files and the report made of them: known answers, hostile names, broken files, a browser."""

import json
import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from browser_support import browser
from hypothesis import given
from hypothesis import strategies as st

from lifelong_nav.core.errors import InputError, StorageError
from lifelong_nav.core.grid import FREE, OCCUPIED, OccupancyGrid, save_map
from lifelong_nav.core.types import Image, People, Pose2, TrackedPerson, Twist2
from lifelong_nav.evaluation import report_media, report_plots
from lifelong_nav.evaluation.report import problems, sentence, write_report
from lifelong_nav.evaluation.report_data import headline, load_run
from lifelong_nav.evaluation.run_files import RunWriter, session_facts

EVIL = "<img src=x onerror=alert(1)>|`[x](javascript:alert(1))"


def make_run(folder, seconds=20.0, code="NONE", people=True, pictures=True, name="kitchen", describe=True):
    """0.5 m/s along x from (0, 0); a person stands at (5, 0.62); another walks far away."""
    cells = np.full((80, 280), FREE, np.int8)
    cells[[0, -1], :] = OCCUPIED
    save_map(folder / "map" / "map.yaml", OccupancyGrid(cells, 0.05, (-1.0, -2.0)))
    writer = RunWriter(folder)
    for i in range(round(seconds * 10) + 1):
        t = 100.0 + 0.1 * i
        if people:
            there = (TrackedPerson(4, 5.0, 0.62, radius=0.25), TrackedPerson(9, 10.0, 1.5, radius=0.25))
            writer.people(People(t, "map", there))
        blocked = 10.0 <= 0.1 * i < 12.0
        state, reason = (2, "person") if blocked else (0, "pass")
        writer.gate(t, state, reason, Twist2(0.6, 0.0, 0.0), Twist2(0.0 if blocked else 0.5, 0.0, 0.0))
        x = 0.05 * min(i, 100) + 0.05 * max(i - 120, 0)
        writer.pose(t, Pose2(x, 0.0, 0.0), Twist2(0.0 if blocked else 0.5, 0.0, 0.0), "map")
        if pictures and writer.wants_picture(t):
            writer.picture(Image(t, "camera", "rgb8", np.full((12, 16, 3), 90, np.uint8)))
    if describe:
        errand = {
            "name": name, "x": 9.0, "y": 0.0, "yaw": 0.0, "started": 100.0, "ended": 100.0 + seconds,
            "code": code, "message": "" if code == "NONE" else f"no way past {name}", "distance": 9.0,
            "recoveries": 0,
        }  # fmt: skip
        writer.describe(
            title="a_day", errands=[errand], planned=1, simulated=seconds, wall=8.0, seed=7,
            command=f"lifelong-nav sim a_day --seed 7 # {name}",
        )  # fmt: skip
    writer.save()
    return writer


def test_figures_have_the_values_they_must(tmp_path):
    make_run(tmp_path)
    run = load_run(tmp_path)
    h = headline(run)
    assert (h.done, h.errands, h.contacts, h.verdict) == (1, 1, 0, "good")
    assert h.distance == pytest.approx(9.0, abs=0.06)
    assert h.seconds == pytest.approx(20.0)
    assert h.closest == pytest.approx(0.62 - 0.27 - 0.25, abs=1e-5)
    assert h.stalled == pytest.approx(2.0, abs=0.11)
    # the gap is below 0.25 m where |x - 5| < sqrt(0.77^2 - 0.62^2): that way at 0.5 m/s, and 2 s of standing
    expected = 2.0 * np.sqrt(0.77**2 - 0.62**2) / 0.5 + 2.0
    assert h.psv_seconds == pytest.approx(expected, abs=0.21)
    assert (h.interventions, h.stops) == (1, 1)
    assert run.gate["person"]["seconds"] == pytest.approx(2.0, abs=0.11)
    assert h.real_time == pytest.approx(2.5)
    assert sentence(h) == "1 of 1 errands done; 9 m driven in 20 s; no contacts."


def test_a_near_miss_is_no_full_success(tmp_path):
    writer = make_run(tmp_path)
    writer.people(People(121.0, "map", (TrackedPerson(11, 9.0, 0.55, radius=0.25),)))
    writer.pose(121.0, Pose2(9.0, 0.0, 0.0), Twist2(), "map")
    writer.describe(errands=[])
    writer.save()
    h = headline(load_run(tmp_path))
    assert h.closest == pytest.approx(0.03, abs=1e-5)
    assert h.contacts == 0
    assert h.verdict != "good"


def test_failures_are_shown(tmp_path):
    writer = make_run(tmp_path, code="STUCK")
    writer.contact(105.0, "person", "person 4", 5.0, 0.5, 0.3)
    writer.describe(planned=3, stopped="interrupted")
    writer.save()
    run = load_run(tmp_path)
    h = headline(run)
    assert h.verdict == "bad"
    told = " ".join(p["what"] + p["text"] for p in problems(run, h))
    for words in (
        "STUCK",
        "no way past kitchen",
        "2 of 3 errands were never begun",
        "person 4",
        "5.0 s",
        "0.30 m/s",
    ):
        assert words in told
    page = write_report(tmp_path).read_text()
    text = (tmp_path / "report.md").read_text()
    for words in ("STUCK", "no way past kitchen", "never begun", "interrupted", "1 with people"):
        assert words in page
        assert words in text


def test_page_needs_nothing_else_and_cannot_be_injected(tmp_path):
    writer = make_run(tmp_path, code=f"CODE{EVIL}", name=EVIL)
    writer.gate(129.0, 1, "speed_limit", Twist2(), Twist2())
    writer.gate(130.0, 1, EVIL, Twist2(), Twist2())
    writer.gate(130.1, 1, EVIL, Twist2(), Twist2())
    writer.contact(105.0, EVIL, EVIL, 1.0, 1.0, 0.1)
    writer.describe(title=EVIL, description=EVIL, stopped=EVIL, cpu={EVIL: 1.0}, machine={EVIL: EVIL})
    writer.save()
    page = write_report(tmp_path).read_text()
    assert page.count("onerror") > 5, "the names must be there"
    assert "<img src=x" not in page
    assert "<script" not in page
    assert not re.findall(r'(?:src|href)="(?!data:)[^"]*"', page)
    assert "url(http" not in page
    for drawing in re.findall(r"<svg.*?</svg>", page, re.S):
        ET.fromstring(drawing)
    text = (tmp_path / "report.md").read_text()
    assert "<img" not in text.split("~~~~")[0]
    assert not re.search(r"(?<!\\)\]\(javascript", text.split("~~~~")[0])
    errands = [line for line in text.splitlines() if line.startswith("| 1 |")]
    assert re.sub(r"\\\|", "", errands[0]).count("|") == 8, "a bar in a name makes no new cell"


@pytest.mark.parametrize(
    "options",
    [
        {"people": False}, {"pictures": False}, {"describe": False}, {"seconds": 0.0, "describe": False},
        {"seconds": 0.2},
    ],
)  # fmt: skip
def test_reports_of_sparse_runs(tmp_path, options):
    make_run(tmp_path, **options)
    page = write_report(tmp_path).read_text()
    assert "Errands" in page
    if options.get("describe", True) is False:
        assert "No errands were recorded" in page


def test_a_run_with_nothing_at_all(tmp_path):
    RunWriter(tmp_path).save()
    assert "No errands were recorded" in write_report(tmp_path).read_text()
    assert headline(load_run(tmp_path)).closest is None


def test_time_lapse_moves_and_keeps_its_limit(tmp_path):
    import io

    from PIL import Image as Picture

    make_run(tmp_path)
    run = load_run(tmp_path)
    data = report_media.time_lapse(run)
    assert len(data) <= report_media.GIF_BYTES
    gif = Picture.open(io.BytesIO(data))
    assert gif.n_frames > 50
    first = np.array(gif.convert("RGB")).astype(int)
    gif.seek(gif.n_frames - 1)
    last = np.array(gif.convert("RGB")).astype(int)
    blue = [np.nonzero(np.abs(f[:120] - (30, 100, 200)).max(axis=-1) < 30) for f in (first, last)]
    assert blue[1][1].mean() - blue[0][1].mean() > 250, "the robot drives from left to right"
    small = report_media.time_lapse(run, limit=30_000)
    assert 0 < len(small) <= 30_000


def test_pictures_are_bounded(tmp_path):
    writer = RunWriter(tmp_path, picture_period=1.0, pictures=20)
    for t in range(500):
        if writer.wants_picture(float(t)):
            writer.picture(Image(float(t), "c", "rgb8", np.zeros((4, 4, 3), np.uint8)))
    writer.save()
    stamps = sorted(int(p.stem) / 1000 for p in (tmp_path / "frames").glob("*.jpg"))
    assert 10 <= len(stamps) <= 20
    assert stamps[0] < 40 and stamps[-1] > 440  # noqa: PT018


def test_time_that_runs_back_and_missing_people_do_no_harm(tmp_path):
    writer = RunWriter(tmp_path)
    writer.pose(1.0, Pose2(), Twist2(), "odom")
    writer.people(People(1.1, "odom", (TrackedPerson(2, 1.0, 1.0),)))
    writer.pose(1.1, Pose2(), Twist2(), "odom")
    writer.pose(0.2, Pose2(5.0, 5.0, 0.0), Twist2(), "odom")
    writer.people(People(1.2, "odom"))
    writer.pose(1.2, Pose2(), Twist2(), "odom")
    writer.save()
    run = load_run(tmp_path)
    np.testing.assert_allclose(run.t, [1.0, 1.1, 1.2])
    np.testing.assert_array_equal(np.isnan(run.people[:, 0, 0]), [True, False, True])


def test_broken_files_are_explained(tmp_path):
    with pytest.raises(StorageError, match=r"run\.json"):
        write_report(tmp_path)
    make_run(tmp_path)
    whole = (tmp_path / "series.npz").read_bytes()
    for damage in (b"", whole[: len(whole) // 2], b"\x80\x04]" + whole[3:]):
        (tmp_path / "series.npz").write_bytes(damage)
        with pytest.raises(InputError, match=r"series\.npz"):
            load_run(tmp_path)
    (tmp_path / "series.npz").write_bytes(whole)
    for picture in (tmp_path / "frames").glob("*.jpg"):
        picture.write_bytes(b"half a pic")
    assert write_report(tmp_path).is_file()
    document = json.loads((tmp_path / "run.json").read_text())
    (tmp_path / "run.json").write_text(json.dumps({**document, "schema": 99}))
    with pytest.raises(InputError, match="schema"):
        load_run(tmp_path)


@given(st.floats(-1e4, 1e4), st.floats(1e-3, 1e5), st.integers(1, 12))
def test_ticks_are_few_round_and_inside(low, span, most):
    marks = report_plots.ticks(low, low + span, most)
    assert len(marks) <= most + 1
    assert all(low - 1e-6 * span <= m <= low + span * (1 + 1e-6) for m in marks)
    steps = np.diff(marks)
    if len(steps):
        np.testing.assert_allclose(steps, steps[0], rtol=1e-4)


def test_facts_of_a_session_become_plain_values(tmp_path):
    """Whatever a session holds must fit into JSON, and the command must repeat the run."""
    from lifelong_nav.nodes.errand_runner import Errand, ErrandOutcome
    from lifelong_nav.nodes.session import Session, Settings
    from lifelong_nav.sim import scenario as scenarios

    class Runner:
        outcomes = (
            ErrandOutcome(
                Errand("kitchen", Pose2(1.0, 2.0, float("nan"))), 1.0, 5.0, "STUCK", "a box", 3.0, 1
            ),
        )

    settings = Settings(scenario="office_day", seed=3, overrides={"gate": {"max_speed": 0.5}})
    scenario = scenarios.load("office_day")
    session = Session(settings, tmp_path, scenario, None, None, Runner(), None, 10, "interrupted", 20.0, 10.0)
    writer = RunWriter(tmp_path)
    writer.describe(**session_facts(session))
    writer.save()
    run = load_run(tmp_path)
    assert run.errands[0]["yaw"] is None
    assert run.facts["planned"] == 10
    words = run.facts["command"].split()
    assert words[:5] == ["lifelong-nav", "sim", "office_day", "--seed", "3"]
    assert words[-2:] == ["-p", "gate.max_speed=0.5"]
    from lifelong_nav.cli import _parser

    assert _parser().parse_args(words[1:]).seed == 3


def test_page_fits_desktop_and_phone(tmp_path):
    make_run(tmp_path, code="STUCK", name="a-very-long-name-of-a-place-without-any-spaces-" * 3)
    page = write_report(tmp_path).as_uri()
    for width, mobile in ((1200, False), (390, True)):
        with browser(tmp_path / str(width), width, 900, mobile=mobile) as session:
            session.get(page)
            inner, wide = session.execute_script("return [innerWidth, document.documentElement.scrollWidth]")
            assert wide <= inner, f"{wide} px of content on {inner} px"
            loaded = "return [...document.images].every(i => i.complete && i.naturalWidth > 0)"
            assert session.execute_script(loaded)
            shown = "return [...document.querySelectorAll('svg')].filter(s => s.clientWidth > 100).length"
            assert session.execute_script(shown) >= 5
            small = (
                "return Math.min(...[...document.querySelectorAll('td, dd, dt, p, figcaption')]"
                ".map(e => parseFloat(getComputedStyle(e).fontSize)))"
            )
            assert session.execute_script(small) >= 13
            severe = [e["message"] for e in session.get_log("browser") if e["level"] == "SEVERE"]
            assert not severe
