"""The real-crowd benchmark on a small recording written here: cases, drivers, figures, own planners."""

import numpy as np
import pytest

from lifelong_nav.core.errors import ConfigError
from lifelong_nav.core.types import Pose2, Twist2
from lifelong_nav.evaluation import crowd_bench as bench
from lifelong_nav.evaluation.baseline_planners import BODY, PLANNERS, make_planner


class Still:
    """A planner of a user: never moves."""

    def reset(self, goal, speed, seed):
        pass

    def command(self, observation):
        return Twist2()


@pytest.fixture
def recording(tmp_path, monkeypatch):
    """Person 1 walks 12 m; 2 walks with 1 (annotated), 3 at 1's side (not annotated); 4 comes head-on;
    5 stands about."""
    rows = []
    for k in range(26):
        x = 0.48 * k
        rows += [
            (k, 1, x, 0.0), (k, 2, x, 0.7), (k, 3, x - 0.3, -0.8), (k, 4, 12.0 - x, 0.15),
            (k, 5, 6.0 + 0.05 * (k % 2), 5.0),
        ]  # fmt: skip
    text = "\n".join(f"{10 * k} {i} {x} 0 {y} 0 0 0" for k, i, x, y in rows)
    folder = tmp_path / "eth_ucy" / "tiny"
    folder.mkdir(parents=True)
    (folder / "obsmat.txt").write_text(text)
    (folder / "groups.txt").write_text("1 2\n")
    monkeypatch.setenv("LIFELONG_NAV_DATA", str(tmp_path))
    bench.recording.cache_clear()
    yield "tiny"
    bench.recording.cache_clear()


def test_cases_are_those_who_walk_to_a_goal(recording):
    found = bench.cases(recording, 60)
    assert [bench.recording(recording)[c.track].id for c in found] == [1, 2, 3, 4]
    assert bench.cases(recording, 2) == bench.cases(recording, 2)
    assert len(bench.cases(recording, 2)) == 2


def test_companions_are_left_out(recording):
    human, crowd = bench.surroundings(bench.Case(recording, 0))
    assert human.id == 1
    assert crowd.track_ids.tolist() == [4, 5]


def test_the_human_row_by_hand(recording):
    outcome = bench.drive(bench.Case(recording, 0), bench.HUMAN)
    figures = outcome.figures()
    assert figures["mse"] == 0.0
    assert figures["time_ratio"] == 1.0
    assert figures["contact"] == 1.0  # 4 comes past at 0.15 m
    # closing at 2.4 m/s, the gap is below 0.25 m while the distance is below 0.75 m: 2 * 0.735 / 2.4 s
    assert figures["psv"] == pytest.approx(0.61, abs=0.1)


def test_drivers(recording):
    case = bench.Case(recording, 0)
    goal_only = bench.drive(case, "goal_only")
    assert goal_only.reached
    assert (goal_only.free < 0).any()
    ours = bench.drive(case, "lifelong_nav")
    assert ours.figures()["success"] == 1.0
    assert bench.drive(case, "social_force").reached
    again = bench.drive(case, "lifelong_nav")
    np.testing.assert_array_equal(ours.path, again.path)


def test_whole_run_with_a_planner_of_ones_own(recording):
    pytest.importorskip("pyrvo")
    name = f"{__name__}:Still"
    result = bench.run(scenes=[recording], most=1, workers=1, planners=[name], quiet=True)
    text = result.text()
    assert name in text
    assert "lifelong_nav" in text
    assert {t.name for t in result.targets} >= {"success rate", "runs with contact"}
    assert all("orca" in t.baselines and bench.HUMAN in t.baselines for t in result.targets)
    assert result.document(True, 1.0)["targets"][0]["holds"] in (True, False)


def test_body_keeps_its_limits():
    pose, twist = Pose2(), Twist2()
    for _ in range(50):
        before = twist
        pose, twist = BODY.follow(pose, twist, Twist2(9.0, 0.0, -9.0), 1.2, 0.1)
        assert twist.vx - before.vx <= BODY.accel * 0.1 + 1e-9
        assert before.wz - twist.wz <= BODY.yaw_accel * 0.1 + 1e-9
    assert (twist.vx, twist.wz) == (1.2, -BODY.max_yaw_rate)
    _, twist = BODY.follow(pose, Twist2(), Twist2(-9.0), 1.2, 10.0)
    assert twist.vx == -BODY.max_reverse


def test_planners_by_name():
    assert set(PLANNERS) == set(bench.DRIVERS)
    with pytest.raises(ConfigError, match="no planner 'magic'"):
        make_planner("magic")
    with pytest.raises(ConfigError, match="no planner"):
        make_planner(f"{__name__}:Missing")


def test_absent_data_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setenv("LIFELONG_NAV_DATA", str(tmp_path / "none"))
    with pytest.raises(ConfigError, match="LIFELONG_NAV_DATA"):
        bench.data_folder()
