"""The people benchmark on the recorded bag, and its scoring on a made-up one."""

from __future__ import annotations

import numpy as np
import pytest

from lifelong_nav.core.errors import InputError
from lifelong_nav.core.types import LaserScan, Pose2
from lifelong_nav.evaluation.people_bench import run
from lifelong_nav.evaluation.people_recording import Recording, data_folder
from lifelong_nav.evaluation.people_scores import Run, score


def test_score_counts_hits_misses_false_reports_switches_and_unmarked_people():
    scans = tuple(LaserScan(0.1 * k, "laser", 0.0, 0.1, 0.1, 9.0, np.ones(3)) for k in range(3))
    here = np.array([(1.0, 0.0), (3.0, 0.0)])
    annotated = {0: (np.array([7, 8]), here), 1: (np.array([7]), here[:1]), 2: (np.array([7, 8]), here)}
    recording = Recording("made up", scans, (Pose2(),) * 3, annotated, 3, 0.2)
    reports = [
        (np.array([1, 2]), np.array([(1.1, 0.0), (3.0, 0.3)])),
        (np.array([1, 2]), np.array([(1.0, 0.0), (3.0, 0.0)])),  # 2 follows person 8, who is not marked here
        (np.array([5, 6]), np.array([(1.0, 0.0), (8.0, 0.0)])),  # 7 changed its number, 8 is lost
    ]
    found = score(recording, Run(reports, 1.0, 3))
    assert (found.hits, found.misses, found.false, found.forgiven, found.switches) == (4, 1, 2, 1, 1)
    assert found.recall == pytest.approx(0.8)
    assert found.precision == pytest.approx(4 / 6)
    assert found.precision_forgiving == pytest.approx(0.8)
    assert found.rmse == pytest.approx(np.sqrt((0.01 + 0.09) / 4))
    assert found.mota == pytest.approx(1 - 4 / 5)


def test_missing_data_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv("LIFELONG_NAV_DATA", str(tmp_path / "nowhere"))
    with pytest.raises(InputError, match="LIFELONG_NAV_DATA"):
        data_folder()


@pytest.mark.data
def test_the_recorded_crowd_is_tracked_far_better_than_by_clusters(data_folder):
    figures = {t.name: t for t in run(quick=True, data=data_folder).targets}
    assert figures["recall within 0.5 m"].value >= 0.72
    assert figures["F1, goal twice the baseline"].value >= 0.4
    assert figures["F1, goal twice the baseline"].holds
    assert figures["share of scans consumed"].value == 1.0
