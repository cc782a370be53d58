"""100,000 gate steps in random scenes under random faults, held against an independent simulation."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lifelong_nav.control.gate import Gate, GateInputs, Level
from lifelong_nav.control.gate_config import GateConfig
from lifelong_nav.core.clock import ManualClock, Received
from lifelong_nav.core.types import LaserScan, Odometry, People, Pose2, TrackedPerson, Twist2

DT = 0.05
BEAMS = 120
STEPS = 50
RUNS = 2000
LATEST = {"command": 6, "scan": 6, "odom": 6, "beat": 10, "people": 10**9}  # steps, from the timeouts
BAD = np.array([np.nan, np.inf, -np.inf, 1e300, -1e300, 5e-324, -0.0])


def cast(circles: np.ndarray, pose: np.ndarray, far: float = 4.0) -> np.ndarray:
    """Exact ranges of BEAMS beams to circles (N, 3) x, y, radius; +inf beyond `far`."""
    angles = pose[2] - np.pi + np.arange(BEAMS) * (2 * np.pi / BEAMS)
    to = circles[:, :2] - pose[:2]
    along = np.cos(angles)[:, None] * to[:, 0] + np.sin(angles)[:, None] * to[:, 1]
    rest = circles[:, 2] ** 2 - ((to**2).sum(axis=1) - along**2)
    hit = np.where((rest >= 0) & (along > 0), along - np.sqrt(np.maximum(rest, 0)), np.inf).min(axis=1)
    return np.where(hit <= far, hit, np.inf)


def arc(pose: np.ndarray, v: float, w: float, t: np.ndarray) -> np.ndarray:
    """Poses (T, 3) after driving v, w for times t: by fine midpoint steps, not by the gate's formulas."""
    yaw = pose[2] + w * t
    middle = yaw[:-1] + 0.5 * np.diff(yaw)
    step = v * np.diff(t)
    x = pose[0] + np.concatenate([[0], np.cumsum(step * np.cos(middle))])
    y = pose[1] + np.concatenate([[0], np.cumsum(step * np.sin(middle))])
    return np.stack([x, y, yaw], axis=-1)


def brakes_in_time(points: np.ndarray, out: Twist2, c: GateConfig, radius: np.ndarray) -> bool:
    """Drive `out` for the reaction time, brake on the same arc, and look whether anything comes nearer."""
    if out.vx == 0.0 or len(points) == 0:
        return True
    length = abs(out.vx) * c.reaction + out.vx**2 / (2 * c.decel)
    times = np.linspace(0.0, length / abs(out.vx), 60)
    way = arc(np.zeros(3), out.vx, out.wz, times)[:, :2]
    gaps = np.linalg.norm(points[None] - way[:, None], axis=2)
    allowed = np.minimum(radius, gaps[0]) - 2e-3
    return bool((gaps >= allowed).all())


def sequence(seed: int, config: GateConfig) -> dict[str, int]:
    """One run of STEPS steps; asserts the properties and counts what occurred."""
    rng = np.random.default_rng(seed)
    c, gate, clock = config, Gate(config), ManualClock(100.0)
    count = rng.integers(0, 6)
    bearing, size = rng.uniform(-np.pi, np.pi, count), rng.uniform(0.15, 0.6, count)
    away = rng.uniform(0.36, 2.5, count) + size
    circles = np.stack([away * np.cos(bearing), away * np.sin(bearing), size], axis=-1)
    people = tuple(
        TrackedPerson(i, *rng.uniform(-3, 3, 2), *(rng.normal(0, 0.8, 2) * rng.integers(0, 2)))
        for i in range(rng.integers(0, 3))
    )
    pose, last, pushing = np.zeros(3), Twist2(), rng.random() < 0.4
    wish = rng.uniform([-0.5, -1.0], [1.2, 1.0])
    silent = dict.fromkeys(("command", "scan", "odom", "people", "beat"), 10**9)
    if rng.random() < 0.5:  # one or two sources die on the way
        for name in rng.choice(list(silent), rng.integers(1, 3), replace=False):
            silent[name] = int(rng.integers(0, STEPS))
    stamps = dict.fromkeys(silent, None)
    counts = {"moved": 0, "stopped": 0, "obstacle": 0, "bad": 0}
    inputs = GateInputs()
    down_since = None
    for n in range(STEPS):
        for name, last_step in silent.items():
            if n <= last_step:
                stamps[name] = Received(clock.now(), clock.steady())
        if not pushing and rng.random() < 0.15:
            wish = rng.uniform([-1.0, -3.0], [1.5, 3.0])
        command = Twist2(float(wish[0]), 0.0, float(wish[1]))
        bad = rng.random() < 0.03
        if bad:
            command = Twist2(*(float(v) for v in rng.choice(BAD, 3)))
            bad = not np.isfinite(command.array()).all()
        if n <= silent["scan"]:
            ranges = cast(circles, pose) if count else np.full(BEAMS, np.inf)
            if rng.random() < 0.1:
                ranges[rng.random(BEAMS) < rng.random()] = np.nan
            inputs = replace(
                inputs,
                scan=LaserScan(clock.now(), "laser", -np.pi, 2 * np.pi / BEAMS, 0.05, 10.0, ranges),
            )
        inputs = replace(
            inputs,
            command=command,
            odometry=Odometry(clock.now(), Pose2(*pose), last),
            people=People(clock.now(), "odom", people),
            command_received=stamps["command"],
            scan_received=stamps["scan"],
            odometry_received=stamps["odom"],
            people_received=stamps["people"],
            heartbeats={} if stamps["beat"] is None else {"controller": stamps["beat"]},
            emergency_stop=bool(rng.random() < 0.005),
        )
        decision = gate.step(inputs, clock)
        out = decision.twist
        # Finite and inside the limits, whatever came in.
        assert np.isfinite([out.vx, out.vy, out.wz]).all()
        assert out.vy == 0.0
        assert -c.max_reverse - 1e-9 <= out.vx <= c.max_speed + 1e-9
        assert abs(out.wz) <= c.max_yaw_rate + 1e-9
        # Accelerations: growth always bounded; only an emergency stop may drop to zero at once.
        dt = DT if n else 0.0
        emergency = decision.level is Level.EMERGENCY
        assert abs(out.vx) - abs(last.vx) <= c.accel * dt + 1e-9
        assert out.vx * last.vx >= 0.0
        assert abs(out.wz) - abs(last.wz) <= c.yaw_accel * dt + 1e-9
        if emergency:
            assert out == Twist2()
        else:
            assert abs(last.vx) - abs(out.vx) <= c.hard_decel * dt + 1e-9
        # Nothing dead or broken may drive for long.
        dead = bad or any(n - last_step > LATEST[k] for k, last_step in silent.items())
        down_since = (n if down_since is None else down_since) if dead else None
        if dead:
            assert decision.level >= Level.SOFT
            assert abs(out.vx) <= abs(last.vx) + 1e-9
            assert abs(out.wz) <= abs(last.wz) + 1e-9
        if down_since is not None and (n - down_since) * DT > 0.8 / c.decel + 2 * c.decel / c.jerk + 0.4:
            assert out == Twist2()
        # The robot can stop in time, or brakes as hard as it can on the arc it was on.
        if decision.level < Level.HARD and n <= silent["scan"]:
            seen = inputs.scan.points()
            clear = brakes_in_time(seen, out, c, np.full(len(seen), c.radius + c.margin))
            hardest = abs(out.vx) <= max(abs(last.vx) - c.hard_decel * dt, 0.0) + 1e-9
            assert clear or hardest, (seed, n, out, last)
        pose = arc(pose, out.vx, out.wz, np.linspace(0, DT, 4))[-1]
        if count:
            gap = np.linalg.norm(circles[:, :2] - pose[:2], axis=1) - circles[:, 2]
            assert gap.min() > c.radius, (seed, n, gap.min())
        counts["moved"] += abs(out.vx) > 0.02
        counts["stopped"] += decision.level >= Level.SOFT
        counts["obstacle"] += decision.reason.value == "obstacle"
        counts["bad"] += bad
        last = out
        clock.advance(DT)
    return counts


@pytest.mark.parametrize("part", range(4))
def test_hundred_thousand_steps(part):
    configs = (
        GateConfig(),
        GateConfig(max_speed=1.5, max_reverse=0.6, hard_decel=6.0, decel=1.0, reaction=0.15),
    )
    total: dict[str, int] = {}
    for seed in range(part * RUNS // 4, (part + 1) * RUNS // 4):
        for name, value in sequence(seed, configs[seed % 2]).items():
            total[name] = total.get(name, 0) + value
    # The scenes must exercise what they are for.
    assert total["moved"] > 0.2 * RUNS / 4 * STEPS
    assert min(total["stopped"], total["obstacle"], total["bad"]) > 300


numbers = st.floats(allow_nan=True, allow_infinity=True, width=64)


@settings(max_examples=150, deadline=None)
@given(
    ranges=st.lists(numbers, max_size=40),
    geometry=st.tuples(numbers, numbers, numbers, numbers),
    command=st.tuples(numbers, numbers, numbers),
    odometry=st.tuples(numbers, numbers, numbers, numbers, numbers),
    people=st.lists(st.tuples(numbers, numbers, numbers, numbers, numbers), max_size=3),
    stamps=st.lists(numbers, min_size=5, max_size=5),
    frame=st.sampled_from(["odom", "base_link", "map", ""]),
)
def test_nothing_that_comes_in_makes_it_unsafe(ranges, geometry, command, odometry, people, stamps, frame):
    clock, gate = ManualClock(10.0), Gate()
    got = [Received(s, 10.0) for s in stamps]
    inputs = GateInputs(
        Twist2(*command), got[0],
        LaserScan(10.0, "laser", *geometry, np.array(ranges)), got[1], Pose2(),
        Odometry(10.0, Pose2(*odometry[:3]), Twist2(odometry[3], 0.0, odometry[4])), got[2],
        People(10.0, frame, tuple(TrackedPerson(0, *p[:4], radius=p[4]) for p in people)), got[3],
        {"controller": got[4]},
    )  # fmt: skip
    fresh = [Received(10.0, 10.0)] * 5
    for k in range(6):
        if k == 3:  # then the same data, all fresh
            inputs = replace(
                inputs, command_received=fresh[0], scan_received=fresh[1], odometry_received=fresh[2],
                people_received=fresh[3], heartbeats={"controller": fresh[4]},
            )  # fmt: skip
        with np.errstate(all="ignore"):
            out = gate.step(inputs, clock).twist
        assert np.isfinite(out.array()).all()
        assert abs(out.vx) <= 0.8
        assert abs(out.wz) <= 1.5
        clock.advance(0.04)
