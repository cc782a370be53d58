"""A pedestrian's place taken in a small recording written here: cases, drivers, figures, own planners."""

import numpy as np
import pytest

from lifelong_nav.core.errors import ConfigError
from lifelong_nav.core.types import Twist2
from lifelong_nav.evaluation.social import real, real_summary
from lifelong_nav.evaluation.social.case import RealCase
from lifelong_nav.evaluation.social.figures import against_expert, figures
from lifelong_nav.evaluation.social.planner import PLANNERS, make_planner


class Still:
    """A planner of a user: never moves, remembers the scene it was told."""

    def reset(self, goal, speed, seed):
        pass

    def command(self, observation):
        assert observation.scene in ("tiny", "plain")
        assert observation.scan is None
        return Twist2()


def rows():
    """1 walks 12 m; 2 walks with 1 (annotated), 3 at 1's side (not annotated); 4 comes head-on; 5 stands
    about; 6 stands where 4 begins."""
    out = []
    for k in range(26):
        x = 0.48 * k
        out += [
            (k, 1, x, 0.0), (k, 2, x, 0.7), (k, 3, x - 0.3, -0.8), (k, 4, 12.0 - x, 0.15),
            (k, 5, 6.0 + 0.05 * (k % 2), 5.0), (k, 6, 12.3, 0.5),
        ]  # fmt: skip
    return out


@pytest.fixture
def folder(tmp_path):
    """The same people as obsmat.txt with groups, and as a plain file without."""
    place = tmp_path / "crowds"
    (place / "tiny").mkdir(parents=True)
    text = "\n".join(f"{10 * k} {i} {x} 0 {y} 0 0 0" for k, i, x, y in rows())
    (place / "tiny" / "obsmat.txt").write_text(text)
    (place / "tiny" / "groups.txt").write_text("1 2\n")
    (place / "plain.txt").write_text("\n".join(f"{10 * k} {i} {x} {y}" for k, i, x, y in rows()))
    return place


def case(folder, track=0, scene="tiny"):
    return RealCase(str(folder), scene, track)


def test_cases_are_those_who_walk_to_a_goal_and_start_free(folder):
    found, crowded = real.cases(folder, "tiny", 60)
    tracks = real.recording(str(folder), "tiny")
    assert [tracks[c.track].id for c in found] == [1, 2, 3]
    assert crowded == 1  # 4, who begins on the toes of 6
    assert real.cases(folder, "tiny", 2) == real.cases(folder, "tiny", 2)
    plain, _ = real.cases(folder, "plain", 60)
    assert [c.track for c in plain] == [c.track for c in found]


def test_companions_are_left_out(folder):
    human, crowd = real.surroundings(case(folder))
    assert human.id == 1
    assert crowd.track_ids.tolist() == [4, 5, 6]


def test_the_human_row_by_hand(folder):
    record = real.drive(case(folder), real.HUMAN)
    values = figures(record)
    assert against_expert(record, record)["mse"] == 0.0
    assert values["time_ratio"] == pytest.approx(1.0)
    assert values["contact"] == 1.0  # 4 comes past at 0.15 m
    # closing at 2.4 m/s, the gap is below 0.25 m while the distance is below 0.75 m: 2 * 0.735 / 2.4 s,
    # and at the end 6 stands 0.58 m off
    assert values["psv"] == pytest.approx(0.61 + 0.2, abs=0.21)


def test_drivers(folder):
    goal_only = real.drive(case(folder), "goal_only")
    assert goal_only.reached
    assert figures(goal_only)["contact"] == 1.0
    assert goal_only.touches[0].person == 0
    first, again = (real.drive(case(folder), "social_force") for _ in range(2))
    assert first.reached
    np.testing.assert_array_equal(first.path, again.path)


def test_whole_run_with_a_planner_of_ones_own(folder, tmp_path):
    mine = f"{__name__}:Still"
    result = real_summary.run(
        ("tiny", "plain"), folder, planners=("goal_only", mine), most=2, workers=1, out=tmp_path, quiet=True
    )
    text = result.text()
    assert mine in text
    assert "human" in text
    assert (tmp_path / "report.html").stat().st_size > 10_000
    assert result.document(True, 1.0)["name"] == "social-real"
    table = {row[0]: row[1:] for row in result.tables[0][2]}
    assert table[mine][0] == 0.0  # never arrives


def test_what_is_missing_is_said(folder, tmp_path, monkeypatch):
    with pytest.raises(ConfigError, match=r"no recording .moon.*tiny"):
        real.recording_file(folder, "moon")
    monkeypatch.setenv("LIFELONG_NAV_DATA", str(tmp_path / "none"))
    with pytest.raises(ConfigError, match="LIFELONG_NAV_DATA"):
        real.data_folder()


def test_planners_by_name():
    assert {"lifelong_nav", "goal_only", "orca"} <= set(PLANNERS)
    with pytest.raises(ConfigError, match="no planner 'magic'"):
        make_planner("magic")
    with pytest.raises(ConfigError, match="no planner"):
        make_planner(f"{__name__}:Missing")
