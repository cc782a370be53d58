"""Replayed tracks: they come and go as recorded, at any step length."""

import os
from pathlib import Path

import numpy as np
import pytest

from lifelong_nav.core.errors import InputError
from lifelong_nav.core.types import Pose2
from lifelong_nav.sim.crowd.replay import ReplayCrowd, scene_around
from lifelong_nav.sim.crowd.tracks import load_groups, load_tracks

DATA = Path(os.environ.get("LIFELONG_NAV_DATA", Path(__file__).parents[1] / "../shared/data")) / "eth_ucy"

PLAIN = """0 1 0.0 0.0
10 1 0.4 0.0
20 1 0.8 0.0
10 2 5.0 1.0
20 2 5.0 1.4
30 2 5.0 1.8
200 2 9.0 9.0
"""


@pytest.fixture
def plain(tmp_path):
    path = tmp_path / "plain.txt"
    path.write_text(PLAIN)
    return path


def test_plain_file(plain):
    tracks = load_tracks(plain)
    assert [t.id for t in tracks] == [1, 2, 2]  # the long gap splits person 2
    assert tracks[0].duration == pytest.approx(0.8)
    assert tracks[0].length == pytest.approx(0.8)
    np.testing.assert_allclose(tracks[0].velocities, [[1.0, 0.0]] * 3)
    np.testing.assert_allclose(tracks[0].at([0.1, 0.2, 0.6]), [[0.1, 0], [0.2, 0], [0.6, 0]], atol=1e-12)


def test_appear_and_leave(plain):
    crowd = ReplayCrowd(load_tracks(plain))
    assert crowd.state().present.tolist() == [True, False, False]
    for _ in range(6):
        crowd.step(0.1, None)
    state = crowd.state()
    assert state.present.tolist() == [True, True, False]
    np.testing.assert_allclose(state.positions[0], [0.6, 0.0], atol=1e-12)
    np.testing.assert_allclose(state.velocities[1], [0.0, 1.0], atol=1e-9)
    assert state.headings[1] == pytest.approx(np.pi / 2)
    crowd.step(2.0, None)
    assert not crowd.state().present.any()


def test_start_exclude_window_and_pose(plain):
    tracks = load_tracks(plain)
    crowd = ReplayCrowd(tracks, start=0.4, duration=1.0, exclude=[1], pose=Pose2(1.0, 0.0, np.pi / 2))
    assert crowd.track_ids.tolist() == [2]
    np.testing.assert_allclose(crowd.state().positions, [[0.0, 5.0]], atol=1e-12)
    np.testing.assert_allclose(crowd.state().velocities, [[-1.0, 0.0]], atol=1e-12)


def test_loop(plain):
    crowd = ReplayCrowd(load_tracks(plain), duration=0.8, loop=True)
    for _ in range(9):
        crowd.step(0.1, None)
    np.testing.assert_allclose(crowd.state().positions[0], [0.1, 0.0], atol=1e-9)
    with pytest.raises(InputError, match="duration"):
        ReplayCrowd(load_tracks(plain), loop=True)


@pytest.mark.parametrize(
    ("text", "message"),
    [("1 2 3\n", "3 columns"), ("a b c d\n", "not a table"), ("0 1 nan 2\n", "row 1"), ("", "0 rows")],
)
def test_bad_files(tmp_path, text, message):
    path = tmp_path / "bad.txt"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        load_tracks(path)


def test_missing_file(tmp_path):
    with pytest.raises(InputError, match="Cannot read"):
        load_tracks(tmp_path / "none.txt")


def test_groups(tmp_path):
    path = tmp_path / "groups.txt"
    path.write_text("2\n 5 4\n\n6 7 8\n")
    assert load_groups(path) == ((5, 4), (6, 7, 8))
    path.write_text("x y\n")
    with pytest.raises(InputError, match="group file"):
        load_groups(path)


@pytest.mark.data
@pytest.mark.parametrize(("name", "people"), [("eth", 360), ("zara01", 148), ("students03", 428)])
def test_real_recordings(name, people):
    path = DATA / name / "obsmat.txt"
    if not path.is_file():
        pytest.skip(f"{path} is not there (set LIFELONG_NAV_DATA)")
    tracks = load_tracks(path)
    assert len({t.id for t in tracks}) == people
    assert any(t.group >= 0 for t in tracks)
    speeds = np.concatenate([np.linalg.norm(t.velocities, axis=1) for t in tracks])
    assert 0.8 < np.median(speeds[speeds > 0.5]) < 1.7  # walking pace: the frame step was read right
    crowd = ReplayCrowd(tracks, start=60.0, duration=20.0)
    x0, y0, x1, y1 = scene_around(tracks).bounds()
    seen = 0
    last = crowd.state()
    for _ in range(200):
        crowd.step(0.1, None)
        state = crowd.state()
        seen = max(seen, int(state.present.sum()))
        stayed = state.present & last.present
        assert np.linalg.norm(state.positions - last.positions, axis=1)[stayed].max(initial=0.0) < 0.45
        assert ((state.positions > (x0, y0)) & (state.positions < (x1, y1))).all()
        last = state
    assert seen >= 3
