import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lifelong_support import BASE, NEW, World

from lifelong_nav.core.errors import InputError
from lifelong_nav.perception.lifelong.replay_memory import ReplayMemory
from lifelong_nav.perception.lifelong.samples import from_tensors, make_samples, to_tensors


def test_held_out_episodes_are_never_trained_on():
    memory = ReplayMemory()
    memory.add(World().samples(BASE, range(9)))
    train, held = memory.training(), memory.held_out()
    assert not set(train.episode) & set(held.episode)
    assert set(train.scenario) == set(held.scenario) == set(BASE)
    assert len(train) + len(held) == len(memory)


def test_a_second_part_of_an_episode_stays_on_its_side():
    memory, world = ReplayMemory(), World()
    samples = world.samples((NEW,), range(8))
    first = np.arange(len(samples)) % 2 == 0
    memory.add(samples[first])
    memory.add(samples[~first])
    assert not set(memory.training().episode) & set(memory.held_out().episode)


def test_bounded_and_no_scenario_is_crowded_out():
    world = World()
    memory = ReplayMemory(budget=300_000, floor=8)
    memory.add(world.samples(BASE[:1], range(4)))
    for start in range(0, 60, 10):
        memory.add(world.samples(BASE[1:2], range(start, start + 10)))
        assert memory.bytes <= 300_000
    counts = memory.counts()
    assert sum(counts[BASE[0]][:2]) == 32  # the small one keeps everything
    assert counts[BASE[1]][1] > 0
    assert counts[BASE[1]][2] > 10  # many episodes, a few moments each


def test_the_same_moment_counts_once():
    memory, samples = ReplayMemory(), World().samples(BASE, range(3))
    memory.add(samples)
    before = len(memory)
    memory.add(samples)
    assert len(memory) == before


def test_missing_voices_survive_the_disk():
    world = World()
    image, facts, stamps = world.episode(NEW, 1)
    image[2:4] = np.nan
    samples = make_samples(image, facts, np.ones((8, 4)) / 2, [NEW] * 8, [1] * 8, stamp=stamps)
    back = from_tensors(to_tensors(samples))
    assert np.isnan(back.image[2:4]).all()
    assert np.isfinite(back.image[4:]).all()
    assert back.scenario.tolist() == [NEW] * 8


def test_unequal_lengths_are_refused():
    with pytest.raises(InputError):
        make_samples(np.ones((3, 2)), np.ones((2, 2)), np.ones((3, 4)), ["a"] * 3, [1] * 3)


def test_saved_by_cell_and_a_damaged_cell_costs_only_itself(tmp_path):
    memory = ReplayMemory()
    memory.add(World().samples(BASE, range(6)))
    assert memory.save(tmp_path) == len(BASE)
    assert memory.save(tmp_path) == 0
    memory.add(World().samples((NEW,), range(50, 53)))
    assert memory.save(tmp_path) == 1
    victim = next(tmp_path.glob("queue-*.safetensors"))
    data = bytearray(victim.read_bytes())
    data[len(data) // 3] ^= 0xFF
    victim.write_bytes(bytes(data[:-7]))
    back = ReplayMemory()
    trouble = back.load(tmp_path)
    assert len(trouble) == 1
    assert set(back.scenarios) == {*BASE, NEW} - {"queue"}
    assert back.counts()["crowd"] == memory.counts()["crowd"]


def test_a_resumed_memory_keeps_sides(tmp_path):
    world, memory = World(), ReplayMemory()
    samples = world.samples((NEW,), range(6))
    memory.add(samples[:28])  # in the middle of an episode
    memory.save(tmp_path)
    back = ReplayMemory()
    assert back.load(tmp_path) == []
    back.add(samples)
    assert not set(back.training().episode) & set(back.held_out().episode)


_WRITER = """
import sys
from pathlib import Path
from lifelong_support import BASE, World
from lifelong_nav.perception.lifelong.replay_memory import ReplayMemory
memory, world, folder = ReplayMemory(), World(), Path(sys.argv[1])
memory.add(world.samples(BASE, range(4)))
memory.save(folder)
print("ready", flush=True)
for start in range(4, 4000):
    memory.add(world.samples(BASE, range(start, start + 1)))
    memory.save(folder)
"""


def test_killed_while_writing_at_any_moment_it_loads(tmp_path):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])}
    for wait in (0.0, 0.05):
        child = subprocess.Popen(
            [sys.executable, "-c", _WRITER, str(tmp_path)], stdout=subprocess.PIPE, env=environment
        )
        assert child.stdout is not None
        assert child.stdout.readline().strip() == b"ready"
        time.sleep(wait)
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
        back = ReplayMemory()
        assert back.load(tmp_path) == []
        assert set(back.scenarios) == set(BASE)
        assert all(sum(c[:2]) >= 32 for c in back.counts().values())


@settings(max_examples=12, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(BASE), st.integers(0, 40), st.integers(1, 12)), max_size=25),
    st.integers(20_000, 200_000),
)
def test_sides_and_size_hold_whatever_comes(stays, budget):
    memory, world = ReplayMemory(budget=budget, floor=4), World()
    for name, number, frames in stays:
        image, facts, stamps = world.episode(name, number, frames)
        target = np.ones((frames, 4)) / 2
        memory.add(make_samples(image, facts, target, [name] * frames, [number] * frames, stamp=stamps))
    train, held = memory.training(), memory.held_out()
    for name in memory.scenarios:
        sides = [set() if s is None else set(s.of(name).episode) for s in (train, held)]
        assert not sides[0] & sides[1]
    room = max(budget, 5 * 5 * 1200 * len(memory.scenarios))  # the floor outweighs the budget
    assert memory.bytes <= room
