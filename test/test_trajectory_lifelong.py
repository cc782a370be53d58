"""Learning from demonstrations: what is recorded, what is learned, what is refused, and what a kill costs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from trajectory_support import SPACE, drive, make_model, shown

from lifelong_nav.core.types import People, Pose2, TrackedPerson
from lifelong_nav.trajectory.generator.network import TrajectoryNetwork
from lifelong_nav.trajectory.lifelong.config import Configs, LearnerConfig, UpdateConfig
from lifelong_nav.trajectory.lifelong.guard import figures, judge
from lifelong_nav.trajectory.lifelong.recorder import DemonstrationRecorder, simplified
from lifelong_nav.trajectory.lifelong.store import PAGE, DemonstrationStore
from lifelong_nav.trajectory.lifelong.updater import TrajectoryUpdater, known, learn_from_bag, newest_heads

pytest.importorskip("torch")

CONFIGS = Configs(
    update=UpdateConfig(iterations=60, evaluate_every=30, rate=3e-3, batch_new=16, batch_replay=32),
    learner=LearnerConfig(min_moments=30, min_held=6),
)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return make_model(tmp_path_factory.mktemp("trajectories"), steps=30)


def test_a_swerve_around_somebody_is_learned_and_not_the_way_there():
    told = shown([drive(0.7, 1, 0.0)])
    assert len(told) >= 10
    assert np.abs(told.expert[:, :, 1]).max() > 0.4
    # points along the route stay near the straight line, whatever the robot did around people
    turned = told.way[:, 1:8:2] * 4.0
    assert np.abs(turned).mean() < 0.5
    assert told.valid.min() in (0, 1)
    assert (told.valid.sum(axis=1) >= 6).all()


def test_what_is_no_demonstration_is_left_out():
    run = drive(0.7, 1, 0.0)
    k = len(run) // 2
    for name, spoiled in {
        "jump": replace(run[k], pose=Pose2(run[k].pose.x + 3.0, run[k].pose.y, run[k].pose.yaw)),
        "not finite": replace(run[k], pose=Pose2(float("nan"), 0.0, 0.0)),
        "contact": replace(
            run[k], people=People(run[k].stamp, "odom", (TrackedPerson(9, run[k].pose.x, run[k].pose.y),))
        ),
    }.items():
        recorder = DemonstrationRecorder(SPACE)
        for now in [*run[:k], spoiled, *run[k + 1 :]]:
            recorder.observe(now)
        assert recorder.refused.counts.get(name, 0) >= 1, name
    recorder = DemonstrationRecorder(SPACE)
    made = [m for now in run for m in recorder.observe(now, localised=False)]
    assert not made
    assert not recorder.finish()
    still = [replace(now, pose=run[0].pose, twist=replace(now.twist, vx=0.0, wz=0.0)) for now in run]
    recorder = DemonstrationRecorder(SPACE)
    assert not [m for now in still for m in recorder.observe(now)] + recorder.finish()
    assert not [m for now in run for m in recorder.observe(now, demonstrating=False)]


def test_nothing_that_led_into_a_contact_is_kept():
    run = drive(0.7, 1, 0.0)
    hit = replace(
        run[-1], people=People(run[-1].stamp, "odom", (TrackedPerson(9, run[-1].pose.x, run[-1].pose.y),))
    )
    recorder = DemonstrationRecorder(SPACE)
    made = [m for now in [*run[:-1], hit] for m in recorder.observe(now)]
    last = max((float(m.stamp[0] + 0.6 * m.valid.sum()) for m in made), default=0.0)
    assert made
    assert last <= run[-1].stamp - 4.0 + 1e-6  # hindsight less the horizon


def test_simplified_keeps_corners_and_drops_swerves():
    swerve = np.stack([np.linspace(0, 6, 31), 0.5 * np.exp(-((np.linspace(0, 6, 31) - 3) ** 2))], axis=-1)
    assert len(simplified(swerve, 0.8)) == 2
    corner = np.concatenate([np.stack([np.linspace(0, 4, 9), np.zeros(9)], -1),
                             np.stack([np.full(9, 4.0), np.linspace(0, 4, 9)], -1)])  # fmt: skip
    assert [4.0, 0.0] in simplified(corner, 0.8).tolist()


def test_the_store_is_bounded_and_survives_damage(tmp_path):
    told = shown([drive(0.8, k, 100.0 * k) for k in range(3)])
    store = DemonstrationStore(tmp_path, budget=2 * PAGE)
    for k in range(40):
        store.add(replace(told, episode=told.episode + 7 * k, stamp=told.stamp + 1e4 * k))
    assert len(store) <= 2 * PAGE + len(told)
    sides = [set(s.episode.tolist()) for s in (store.training(), store.held_out())]
    assert sides[0]
    assert sides[1]
    assert not sides[0] & sides[1]
    again = store.training()
    assert store.add(again[:5]) == 0  # the same twice is once
    store.save()
    count = len(store)
    fresh = DemonstrationStore(tmp_path, budget=2 * PAGE)
    assert fresh.load() == []
    assert len(fresh) == count
    page = sorted(tmp_path.glob("page_*.safetensors"))[0]
    page.write_bytes(page.read_bytes()[:200])
    damaged = DemonstrationStore(tmp_path, budget=2 * PAGE)
    assert len(damaged.load()) == 1
    assert 0 < len(damaged) < count


def test_a_habit_is_learned_and_what_was_known_stays(model, tmp_path):
    learner, trouble = TrajectoryUpdater.open(tmp_path, model, CONFIGS)
    assert trouble == []
    before = learner.heads.params
    events = learn_from_bag(learner, [s for k in range(6) for s in drive(0.8, 300 + k, 1e4 + 100.0 * k)])
    assert [e.kind for e in events] == ["promoted"], events
    fresh = known(shown([drive(0.8, 400 + k, 1e6 + 100.0 * k) for k in range(2)]), learner.trunk)
    after = figures(learner.heads.params, fresh)
    assert after.score < 0.95 * figures(before, fresh).score
    base = learner._held
    assert figures(learner.heads.params, base).best_ade < 1.05 * figures(before, base).best_ade
    # the planner picks it up, and another start goes on from it
    network = TrajectoryNetwork.load(model, newest_heads(tmp_path))
    assert network.ready
    np.testing.assert_array_equal(network.heads.params["out.w"], learner.heads.params["out.w"])
    again, trouble = TrajectoryUpdater.open(tmp_path, model, CONFIGS)
    assert (trouble, again.generation) == ([], learner.generation)
    assert again.step(1e9) is None
    again.roll_back(1)
    np.testing.assert_array_equal(again.heads.params["out.w"], before["out.w"])


def test_noise_and_poison_are_not_learned(model, tmp_path):
    rng = np.random.default_rng(0)
    told = shown([drive(0.8, 300 + k, 1e4 + 100.0 * k) for k in range(6)])
    wild = told.expert + np.cumsum(rng.normal(0, [0.6, 0.6, 0.4], told.expert.shape), axis=1)
    for name, poison in {
        "noise": replace(told, expert=wild.astype(np.float32)),
        "backwards": replace(told, expert=-3.0 * told.expert),
        "spinning": replace(told, expert=np.cumsum(0 * told.expert + 1.0, axis=1) * np.array([0, 0, 2.0])),
    }.items():  # fmt: skip
        learner, _ = TrajectoryUpdater.open(tmp_path / name, model, CONFIGS)
        learner.remember([replace(poison, expert=poison.expert.astype(np.float32))])
        event = learner.step(1e9)
        assert event is not None, name
        assert event.kind in ("refused", "rejected"), (name, event)
        assert learner.generation == 1
        assert learner.step(1e9) is None, "it does not try the same again"


def test_the_guard_refuses_contacts_and_what_is_not_finite(model, tmp_path):
    learner, _ = TrajectoryUpdater.open(tmp_path, model, CONFIGS)
    params, held = learner.heads.params, learner._held
    broken = {**params, "out.b": np.full_like(params["out.b"], np.nan)}
    assert judge(params, broken, held, held).reasons == ("weights are not finite",)
    same = judge(params, params, held, held)
    assert not same.accepted
    ahead = {
        **params,
        "out.w": 0.0 * params["out.w"],
        "out.b": np.tile([6.0, 0.0], (6, 1)).astype(np.float32),
    }
    verdict = judge(params, ahead, held, held)
    assert not verdict.accepted
    assert any("farther" in r or "contacts" in r for r in verdict.reasons)


_CHILD = """
import sys
sys.path.insert(0, {test!r})
from pathlib import Path
from test_trajectory_lifelong import CONFIGS
from trajectory_support import drive
from lifelong_nav.trajectory.lifelong.updater import TrajectoryUpdater, _promote, GENERATIONS
folder = Path({folder!r})
learner, _ = TrajectoryUpdater.open(folder, Path({model!r}), CONFIGS)
print("ready", flush=True)
for k in range(10000):
    for now in drive(0.8, k, 100.0 * k, seconds=13.0):
        learner.observe(now, True)
    learner.recorder.finish()
    learner._unsaved = True
    learner.save()
    _promote(folder / GENERATIONS, learner.heads, {{"kind": "update"}}, 3)
    print(k, len(learner.store), flush=True)
"""


def test_a_kill_costs_at_most_what_was_not_written(model, tmp_path):
    here = Path(__file__).resolve().parent
    code = _CHILD.format(test=str(here), folder=str(tmp_path), model=str(model))
    child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, cwd=here.parent)
    kept = 0
    assert child.stdout is not None
    for _ in range(5):
        line = child.stdout.readline()
        kept = int(line.split()[-1]) if line and line.split()[-1].isdigit() else kept
    time.sleep(0.03)
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    learner, trouble = TrajectoryUpdater.open(tmp_path, model, CONFIGS)
    assert trouble == []
    assert len(learner.store) >= kept > 0
    assert newest_heads(tmp_path) is not None


@pytest.mark.data
def test_a_real_bag_shows_how_somebody_drove(model, tmp_path):
    from lifelong_nav.core.share import recordings
    from lifelong_nav.training.demonstrations import bag_situations, learn_bags

    bag = recordings("robot_bags") / "olin_rosbag2" / "bags" / "macfirst_floor_take_2"
    if not bag.is_dir():
        pytest.skip(f"no recording at {bag}")
    seen = list(bag_situations(bag))
    assert len(seen) > 300
    assert max(abs(s.twist.vx) for s in seen) > 0.2
    configs = replace(CONFIGS, learner=LearnerConfig(min_moments=1000))
    learner, _ = TrajectoryUpdater.open(tmp_path, model, configs)
    assert learn_bags(learner, [bag]) == []
    count = len(learner.store)
    assert count > 20
    learn_bags(learner, [bag])  # the same bag again shows nothing new
    assert len(learner.store) == count
