"""The dataset of social scenes: labels that follow from what is sensed, files that survive a kill."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lifelong_nav.core.errors import ConfigError
from lifelong_nav.core.types import Pose2
from lifelong_nav.perception.captions import scene_from_dict
from lifelong_nav.perception.social_scene import SCENARIOS
from lifelong_nav.sim.render import RgbdFrame
from lifelong_nav.sim.scenario import load
from lifelong_nav.sim.scenario_build import build
from lifelong_nav.training import scene_combos, scene_data, scene_files, scene_looks, scene_phases
from lifelong_nav.training.scene_data import SceneDataConfig
from lifelong_nav.training.scene_families import families, plan
from lifelong_nav.training.scene_phases import Site
from lifelong_nav.training.scene_sampling import SampleConfig, sample
from lifelong_nav.training.scene_stage import Drive, Stage, View

SMALL = SampleConfig(pictures=2, width=64, height=48)
TINY = SceneDataConfig(width=64, height=48, pictures=2, shard=6, combos=0.4)


def view(people: list[tuple[float, float, float, float]], **more: object) -> View:
    """People as x, y, vx, vy [m, m/s] before a robot at the origin, all in sight."""
    rows = np.array(people, dtype=float).reshape(-1, 4)
    n, sure = len(rows), np.ones(len(rows), dtype=bool)
    values: dict[str, object] = {
        "time": 1.0, "pose": Pose2(), "speed": 0.7, "turn": 0.0, "goal": np.array([8.0, 0.0]),
        "ids": np.arange(n), "groups": np.full(n, -1), "xy": rows[:, :2], "velocity": rows[:, 2:],
        "facing": np.arctan2(rows[:, 3], rows[:, 2]), "lidar": sure, "camera": sure,
    }  # fmt: skip
    return View(**{**values, **more})  # type: ignore[arg-type]


HALL, CORRIDOR, NARROW = Site("hall", 9.0), Site("corridor", 3.0), Site("corridor", 1.8)


@pytest.mark.parametrize(
    ("people", "site", "name"),
    [
        ([], CORRIDOR, "free_passage"),
        ([], Site("corner", 2.0, (3.0, 0.9), "corner"), "blind_corner"),
        ([(5, 0.2, -1, 0)], CORRIDOR, "frontal_approach"),
        ([(5, 0.2, -1, 0)], NARROW, "narrow_hallway"),
        ([(3, 0.1, 0, 0)], CORRIDOR, "pedestrian_obstruction"),
        ([(-2, 0.9, 1.5, 0)], CORRIDOR, "pedestrian_overtaking"),
        ([(2.5, 0.4, 0.3, 0)], CORRIDOR, "robot_overtaking"),
        ([(4, 0.5, 0.7, 0)], CORRIDOR, "down_path"),
        ([(1.6, 0, 0.7, 0)], HALL, "following"),
        ([(-1.4, 0, 0.7, 0)], HALL, "leading"),
        ([(0.2, 1.1, 0.7, 0)], HALL, "accompanying"),
        ([(4, 1, 0, -1)], Site("intersection", 2.4, (4.0, 0.0), "crossing"), "intersection"),
    ],
)
def test_phases_name_what_is_sensed(
    people: list[tuple[float, float, float, float]], site: Site, name: str
) -> None:
    assert scene_phases.matching(view(people), site) == (name,)


@given(st.integers(0, 10_000))
@settings(max_examples=60, deadline=None)
def test_people_out_of_sight_change_no_phase(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 7))
    rows = np.column_stack([rng.uniform(-6, 7, (n, 2)), rng.uniform(-1.3, 1.3, (n, 2))])
    none = np.zeros(n, dtype=bool)
    hidden = view([tuple(r) for r in rows], lidar=none, camera=none)
    for site in (HALL, CORRIDOR, Site("doorway", 5.0, (3.0, 0.0), "door", inside="left")):
        assert scene_phases.matching(hidden, site) == scene_phases.matching(view([]), site)


def test_every_scenario_has_a_recipe_and_comes_off() -> None:
    assert sorted(families()) == sorted(SCENARIOS)
    for name in ("queue", "entering_elevator", "leading", "free_passage"):
        shots = next(s for s in (sample(name, seed, False, SMALL) for seed in range(30)) if s)
        for shot in shots:
            assert shot.matches == (name,) == (shot.record["family"],)
            assert scene_from_dict(shot.record["scene"]).scenario == name
            assert len(shot.record["clauses"]) == 3


def test_recipes_build_and_test_layouts_differ() -> None:
    built = 0
    for i, name in enumerate(families()):
        for unlike in (False, True):
            scenario = plan(name, np.random.default_rng(i), unlike).scenario
            try:
                built += len(build(scenario, i).goals) > 0
            except ConfigError:
                continue
    assert built >= 0.85 * 2 * len(families())
    for other in (False, True):
        draws = [plan("leave_group", np.random.default_rng(k), other) for k in range(20)]
        walls = [d.scenario.scene["walls"] for d in draws]
        lengths = [max(w[2] for w in rows) for rows in walls]
        assert any(len(rows) > 4 for rows in walls) == other  # stub walls
        assert all((13.0 <= v <= 18.0) != other for v in lengths)


def test_files_are_mirrored_as_a_whole() -> None:
    plain, mirrored = load("queue"), scene_files.stretched(load("queue"), -1.0, 1.0)
    a, b = build(plain, 3), build(mirrored, 3)
    assert np.allclose(sorted(s[0] for s in a.scene.segments()), sorted(-s[0] for s in b.scene.segments()))
    assert mirrored.lines["counter"].head == (-8.0, 1.2)
    assert np.isclose(mirrored.lines["counter"].direction, plain.lines["counter"].direction)
    assert np.cos(mirrored.start[2]) == -1.0


def test_tracks_are_late_noisy_and_blind_behind_walls() -> None:
    from lifelong_nav.sim.crowd.person import PersonSpec
    from lifelong_nav.sim.crowd.walkers import walkers_in
    from lifelong_nav.sim.scene import Scene, Wall

    ring = [(0, 0), (12, 0), (12, 6), (0, 6)]
    walls = [Wall(ring[i], ring[(i + 1) % 4]) for i in range(4)] + [Wall((6, 0), (6, 4))]
    scene = Scene("s", tuple(walls))
    people = [PersonSpec((4.0, 2.0), behaviour="stand"), PersonSpec((8.0, 2.0), behaviour="stand")]
    stage = Stage(scene, walkers_in(scene, people, 0), Pose2(1, 2, 0), [Pose2(1, 2, 0)], Drive(0.0), 1)
    assert len(stage.tracks()) == 0
    errors = []
    for _ in range(120):
        now = stage.step()
        assert list(now.lidar) == [True, False]
        for p in stage.tracks().people:
            assert p.id == 0
            errors.append(np.array([p.x, p.y]) - now.xy[0])
    spread = np.array(errors).std(axis=0)
    assert 80 < len(errors) <= 120
    assert (spread > 0.03).all()
    assert (spread < 0.1).all()


def test_light_lens_and_pitch_do_what_they_say() -> None:
    rng = np.random.default_rng(0)
    frame = RgbdFrame(
        np.full((48, 64, 3), 128, np.uint8), np.full((48, 64), 3.0, np.float32), np.zeros((48, 64), np.int32)
    )
    flat = scene_looks.Looks(noise=0.0)
    shot = scene_looks.developed(frame, np.eye(4), flat, rng)
    assert abs(int(shot.mean()) - 128) <= 1
    warm = scene_looks.developed(frame, np.eye(4), scene_looks.Looks(noise=0.0, warmth=1.2), rng)
    assert warm[..., 0].mean() > 150 > 110 > warm[..., 2].mean()
    dark = scene_looks.developed(frame, np.eye(4), scene_looks.Looks(noise=0.0, vignette=0.4), rng)
    assert dark[24, 32].mean() > dark[0, 0].mean() + 20
    from lifelong_nav.core.geometry import matrix

    pose = matrix(scene_looks.camera_pose(Pose2(1, 2, np.pi / 2), scene_looks.Looks(pitch=0.1)))
    assert np.allclose(pose[:3, 2], [0, np.cos(0.1), np.sin(0.1)], atol=1e-9)
    assert np.allclose(pose[:3, 0], [1, 0, 0], atol=1e-9)
    assert np.isclose(np.linalg.det(pose[:3, :3]), 1.0)


def test_combinations_are_what_they_are_called() -> None:
    assert len(scene_combos.combinations()) == 108
    for combo in ("kitchen/moderate/standing_group", "aisle/sparse/individuals", "hall/crowded/queue"):
        draws = (scene_combos.sample(combo, seed, False, SMALL) for seed in range(30))
        for shot in next(s for s in draws if s):
            assert shot.record["combo"] == combo


def test_plan_is_balanced_and_seeds_of_splits_never_meet() -> None:
    c = SceneDataConfig()
    slots = [s for shard in scene_data.plan_shards(c) for s in shard]
    for split, count in (("train", 9000), ("val", 1500), ("test", 3000)):
        mine = [s for s in slots if s.split == split]
        assert sum(s.pictures for s in mine) == count
        per = [sum(s.pictures for s in mine if s.name == f and s.source == "scenario") for f in SCENARIOS]
        assert max(per) - min(per) <= 1
    ranges = {s: [scene_data._seed(0, x, 0) for x in slots if x.split == s] for s in scene_data.SPLITS}
    assert max(ranges["train"]) < min(ranges["val"])
    assert max(ranges["val"]) < min(ranges["test"])


def test_same_seed_same_bytes_and_a_kill_loses_one_shard(tmp_path: Path) -> None:
    a, b = tmp_path / "a", tmp_path / "b"
    sizes: dict[str, Any] = {"train": 4, "val": 2, "test": 2, "seed": 5}
    told: list[tuple[int, int]] = []
    made = scene_data.generate(a, **sizes, config=TINY, progress=lambda n, m: told.append((n, m)))
    assert told[0] == (0, 8)
    assert told[-1] == (8, 8)
    assert made >= 3
    program = (
        "from lifelong_nav.training import scene_data as d; import sys;"
        f"c = d.SceneDataConfig(**{ {'width': 64, 'height': 48, 'pictures': 2, 'shard': 6, 'combos': 0.4} });"
        f"d.generate(sys.argv[1], **{sizes}, config=c)"
    )
    child = subprocess.Popen([sys.executable, "-c", program, str(b)], env={**os.environ})
    deadline = time.monotonic() + 60.0
    while not list(b.glob("*.jsonl")) and child.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    child.send_signal(signal.SIGKILL)
    child.wait()
    whole = {p.name: p.read_bytes() for p in b.glob("shard_*.jsonl")}
    assert whole
    (b / "shard_00099.npz").write_bytes(b"torn")  # what a kill between the two files leaves
    again = scene_data.generate(b, **sizes, config=TINY)
    assert again <= made - len(whole)
    assert all((b / n).read_bytes() == v for n, v in whole.items())
    (b / "shard_00099.npz").unlink()
    for path in sorted(a.glob("shard_*.*")):
        assert path.read_bytes() == (b / path.name).read_bytes()
    with pytest.raises(ConfigError):
        scene_data.generate(a, **{**sizes, "train": 5}, config=TINY)
    records = scene_data.load_records(a)
    pictures = list(scene_data.iter_images(a))
    assert len(records) == len(pictures) == 8
    assert pictures[0].shape == (48, 64, 3)
    layouts = {s: {r["layout"] for r in records if r["split"] == s} for s in scene_data.SPLITS}
    assert not layouts["train"] & layouts["test"]
    assert not layouts["val"] & layouts["test"]
    assert json.loads((a / "manifest.json").read_text())["config"]["seed"] == 5
