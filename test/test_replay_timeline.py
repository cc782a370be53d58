"""Playback times, loops, pauses and lock-step against a manual clock."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lifelong_nav.core.clock import ManualClock
from lifelong_nav.core.errors import ConfigError
from lifelong_nav.replay.timeline import Item, Tick, Timeline, TimelineConfig

S = 1_000_000_000
START = 1000 * S


def items(count=20, period=0.1):
    return [Item(START + round(i * period * S), "/scan" if i % 2 == 0 else "/odom", i) for i in range(count)]


def timeline(what=None, lockstep="", start=START, **config):
    what = items() if what is None else what
    return Timeline(lambda: iter(what), start, TimelineConfig(**config), lockstep)


def play(line, clock, seconds, step=0.01, acks=None):
    """(time, event) pairs of `seconds` of wall time in steps."""
    out = []
    for _ in range(round(seconds / step)):
        while events := line.due(clock.steady()):
            out += [(clock.steady(), e) for e in events]
        if acks:
            acks(line, out)
        clock.advance(step)
    return out


def messages(events):
    return [(t, e) for t, e in events if isinstance(e, Item)]


@pytest.mark.parametrize("rate", [0.5, 1.0, 4.0])
def test_messages_come_at_their_time(rate):
    line, clock = timeline(rate=rate), ManualClock(7.0)
    got = messages(play(line, clock, 5.0))
    assert [e for _, e in got] == items()
    for at, item in got:
        assert at - 7.0 == pytest.approx((item.stamp - START) / S / rate, abs=0.011)
    assert line.done


@settings(max_examples=60, deadline=None)
@given(
    st.floats(0.1, 10),
    st.integers(1, 4),
    st.lists(st.integers(0, 300), min_size=1, max_size=30),
    st.randoms(),
)
def test_properties(rate, loops, gaps, random):
    """Every message once per loop and in order; /clock monotone within a loop and never behind a message."""
    stamps = START + np.cumsum(gaps) * 10_000_000
    what = [Item(int(s), random.choice(["/a", "/scan"]), i) for i, s in enumerate(stamps)]
    line, clock = timeline(what, rate=rate, loop=loops), ManualClock()
    events = []
    for _ in range(5000):
        events += line.due(clock.steady())
        if line.done:
            break
        clock.advance(random.choice([0.0, 0.003, 0.2]))
    assert line.done
    assert [e for e in events if isinstance(e, Item)] == what * loops
    ticks = [e.stamp for e in events if isinstance(e, Tick)]
    assert sum(b <= a for a, b in pairwise(ticks)) == loops - 1
    now = None
    for event in events:
        if isinstance(event, Tick):
            now = event.stamp
        else:
            assert now is not None
            assert event.stamp - 20_000_000 < now <= event.stamp + 2 * S * rate


def test_clock_ticks_fill_silence():
    line = timeline([Item(START, "/a", 0), Item(START + 2 * S, "/a", 1)], clock_rate=50.0)
    ticks = [e.stamp for _, e in play(line, ManualClock(), 3.0) if isinstance(e, Tick)]
    assert len(ticks) == pytest.approx(100, abs=3)
    assert max(np.diff(ticks)) <= 0.031 * S


def test_wait_is_exact():
    line = timeline([Item(START + S, "/a", 0)], rate=2.0, clock_rate=1.0)
    assert line.due(0.0) == [Tick(START)]
    assert line.wait(0.0) == pytest.approx(0.5)
    assert line.wait(0.4) == pytest.approx(0.1)
    assert line.due(0.499) == []
    assert line.due(0.5)[-1] == Item(START + S, "/a", 0)


def test_pause_and_rate_change_do_not_jump():
    line, clock = timeline(), ManualClock()
    play(line, clock, 0.55)
    line.pause(clock.steady())
    assert line.wait(clock.steady()) is None
    assert play(line, clock, 10.0) == []
    line.resume(clock.steady())
    before = line.position(clock.steady())
    line.set_rate(clock.steady(), 10.0)
    assert line.position(clock.steady()) == before
    got = messages(play(line, clock, 0.2))
    assert [e.payload for _, e in got] == list(range(6, 20))
    with pytest.raises(ConfigError):
        line.set_rate(0.0, float("nan"))


def test_loop_runs_the_clock_back():
    line = timeline(loop=3)
    events = play(line, ManualClock(), 10.0)
    assert [e for _, e in messages(events)] == items() * 3
    ticks = [e.stamp for _, e in events if isinstance(e, Tick)]
    assert sum(np.diff(ticks) < -S) == 2


def test_endless_loop_of_nothing_ends():
    line = timeline([], loop=0)
    play(line, ManualClock(), 0.1)
    assert line.done


def test_long_silence_is_shortened():
    what = [Item(START, "/a", 0), Item(START + 3600 * S, "/a", 1)]
    got = messages(play(timeline(what, max_gap=0.5), ManualClock(), 1.0))
    assert [e.payload for _, e in got] == [0, 1]


@pytest.mark.parametrize("rate", [0.0, 1.0, 50.0])
def test_lockstep_never_has_more_than_the_window_in_flight(rate):
    line, clock = timeline(rate=rate, lockstep="/scan", window=2), ManualClock()
    seen = []

    def slow(line, out):
        assert line.in_flight <= 2
        if len(out) % 3 == 0 or line.blocked:
            scans = [e.stamp for _, e in messages(out) if e.topic == "/scan"]
            if line.in_flight:
                line.ack(scans[-line.in_flight])
                seen.append(1)

    got = messages(play(line, clock, 8.0, acks=slow))
    assert [e for _, e in got] == items()
    line.give_up()
    line.due(clock.steady())
    assert line.done


def test_rate_zero_runs_at_hold_rate_while_an_answer_is_awaited():
    line, clock = timeline(rate=0.0, lockstep="/scan", window=5, hold_rate=2.0), ManualClock(3.0)
    got = line.due(clock.steady())
    assert [e.payload for e in got if isinstance(e, Item)] == [0], "at once up to the first scan"
    assert line.wait(clock.steady()) == pytest.approx(0.01)
    got = messages(play(line, clock, 0.06))
    assert [e.payload for _, e in got] == [1], "0.1 s of the bag in 0.05 s"
    line.ack(START)
    assert line.wait(clock.steady()) == 0.0
    got = line.due(clock.steady())
    assert [e.payload for e in got if isinstance(e, Item)] == [2], "answered: at once up to the next"


def test_the_last_answers_are_awaited():
    line, clock = timeline(rate=0.0, lockstep="/scan", window=20, loop=2), ManualClock()
    assert len(messages(play(line, clock, 2.0))) == 20
    assert line.blocked
    assert line.wait(clock.steady()) > 0.0
    line.ack(items()[-1].stamp)
    assert len(messages(play(line, clock, 2.0))) == 20
    assert not line.done
    assert line.give_up() == 10
    line.due(clock.steady())
    assert line.done


def test_lockstep_waits_and_time_stands_still():
    line, clock = timeline(rate=1.0, lockstep="/scan", window=1), ManualClock()
    got = messages(play(line, clock, 5.0))
    assert [e.payload for _, e in got] == [0, 1], "scan 2 waits for the answer to scan 0"
    assert line.blocked
    assert line.wait(clock.steady()) is None
    assert line.position(clock.steady()) == START + 0.2 * S
    line.ack(START)
    got = messages(play(line, clock, 0.3))
    assert [e.payload for _, e in got] == [2, 3], "no rush to catch up the five seconds"
    clock.advance(5.0)
    line.ack(START + round(0.2 * S))
    assert line.due(clock.steady())[-1] == items()[4]
    assert line.due(clock.steady()) == [], "nor the time since the last call"
    assert line.give_up() == 1
    assert line.in_flight == 0


def test_rate_zero_without_lockstep_is_immediate():
    line = timeline(rate=0.0)
    out = []
    while not line.done:
        out += line.due(0.0)
    assert [e for e in out if isinstance(e, Item)] == items()


def test_late_start_offset_keeps_latched_items_first():
    what = [Item(START - 50 * S, "/tf_static", 0), *items()]
    got = play(timeline(what), ManualClock(), 3.0)
    assert got[0][1] == Tick(START)
    assert got[1][1].topic == "/tf_static"
    ticks = [e.stamp for _, e in got if isinstance(e, Tick)]
    assert ticks == sorted(ticks)
