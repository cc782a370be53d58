"""`lifelong-nav bench cycle`: how long planner and controller take together while the robot learns.

At 20 Hz: every tick the controller plans and the gate looks, every fourth tick a trajectory is chosen
before, as the nodes do. Twelve people walk about a hall, and a learner trains in a process of its own
without pause: the heads of the trajectory network, by the arithmetic of the robot's own learning. Both
share two cores. All drivers see the same: what the robot sensed while our stack drove it.
"""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.synchronize import Event
from typing import Any

import numpy as np

from lifelong_nav.core.types import FloatArray, LaserScan, People, Pose2, TrackedPerson, Twist2
from lifelong_nav.evaluation.bench import BenchResult, Target
from lifelong_nav.evaluation.social.ours import ControlOnly, LifelongNav
from lifelong_nav.evaluation.social.planner import BODY, Observation, Planner, make_planner
from lifelong_nav.sim.lidar import fast_ranges

RATE = 20.0
"""Cycles per second."""
PEOPLE, CORES, GOAL = 12, 2, 80.0
"""People in the hall; cores shared with the learner; the target, p99 of a cycle [ms]."""
_HALL = np.array([14.0, 8.0])
_BEAMS, _RANGE, _SPEED = 360, 12.0, 0.8
_PILLARS = np.array([(4.0, 2.5, 0.25), (9.0, 5.5, 0.25), (6.5, 6.8, 0.3)])
_WARM_UP = 20  # cycles at the beginning that do not count: libraries load, caches fill


class Hall:
    """People who walk to and fro in a hall with pillars, four of them in pairs; what a robot senses there."""

    def __init__(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self.at = rng.uniform([1.0, 1.0], _HALL - 1.0, (PEOPLE, 2))
        heading, pace = rng.uniform(-np.pi, np.pi, PEOPLE), rng.uniform(0.5, 1.3, PEOPLE)
        pace[-2:] = 0.0  # two stand
        self.velocity = pace[:, None] * np.stack([np.cos(heading), np.sin(heading)], axis=-1)
        for k in (0, 2):
            self.at[k + 1], self.velocity[k + 1] = self.at[k] + (0.0, 0.7), self.velocity[k]
        self.groups = np.array([0, 0, 1, 1] + [-1] * (PEOPLE - 4))
        x, y = _HALL
        self.walls = np.array([(0, 0, x, 0), (x, 0, x, y), (x, y, 0, y), (0, y, 0, 0)], dtype=float)
        self.rng, self.time = rng, 0.0

    def step(self, dt: float) -> None:
        """Everyone walks on; at a wall they turn back."""
        self.at += dt * self.velocity
        out = (self.at < 0.5) | (self.at > _HALL - 0.5)
        inwards = np.where(self.at < 0.5, 1.0, -1.0)
        self.velocity = np.where(out, inwards * np.abs(self.velocity), self.velocity)
        self.time += dt

    def observe(self, pose: Pose2, twist: Twist2, goal: FloatArray) -> Observation:
        """What the robot senses now."""
        seen = self.at + self.rng.normal(0.0, 0.03, self.at.shape)
        small = np.diag([1e-3, 1e-3, 1e-2, 1e-2])
        people = tuple(
            TrackedPerson(i, float(p[0]), float(p[1]), float(v[0]), float(v[1]), small, int(g))
            for i, (p, v, g) in enumerate(zip(seen, self.velocity, self.groups, strict=True))
        )
        step = 2.0 * np.pi / _BEAMS
        legs = np.column_stack([self.at, np.full(PEOPLE, 0.12)])
        ranges = fast_ranges(
            pose.xy, pose.yaw - np.pi, step, _BEAMS, self.walls, np.concatenate([_PILLARS, legs]), _RANGE
        )
        scan = LaserScan(self.time, "laser", -np.pi, step, 0.05, _RANGE, ranges)
        route = np.linspace(pose.xy, goal, max(2, int(np.hypot(*(goal - pose.xy)) / 0.1)))
        return Observation(
            self.time, pose, twist, People(self.time, "map", people), scan, pose, route,
            Pose2(float(goal[0]), float(goal[1]), float("nan")), self.walls, _SPEED,
        )  # fmt: skip


class _AtRate(LifelongNav):
    choose_every = round(RATE / 5.0)


class _ControlAtRate(ControlOnly):
    choose_every = round(RATE / 5.0)


def sensed(cycles: int, seed: int) -> list[tuple[FloatArray, Observation]]:
    """Goals and observations of a drive to and fro through the hall with our stack, every 1 / `RATE`."""
    hall, planner = Hall(seed), _AtRate()
    ends = (np.array([12.5, 4.0]), np.array([1.5, 4.0]))
    pose, twist, leg = Pose2(1.5, 4.0, 0.0), Twist2(), 0
    planner.reset(ends[0], _SPEED, seed)
    seen = []
    for _ in range(cycles):
        goal = ends[leg % 2]
        observation = hall.observe(pose, twist, goal)
        seen.append((goal, observation))
        command = planner.command(observation)
        pose, twist = BODY.follow(pose, twist, command, _SPEED, 1.0 / RATE)
        hall.step(1.0 / RATE)
        if np.hypot(*(pose.xy - goal)) < 0.4:
            leg += 1
            planner.reset(ends[leg % 2], _SPEED, seed)
    return seen


def timed(planner: Planner, seen: Sequence[tuple[FloatArray, Observation]], seed: int = 0) -> FloatArray:
    """(N, 2) wall and CPU time of every cycle [ms], at `RATE` in real time; the first ones left out."""
    spent, goal = [], np.full(2, np.nan)
    due = time.perf_counter()
    for wanted, observation in seen:
        if not np.array_equal(wanted, goal):
            goal = wanted
            planner.reset(goal, _SPEED, seed)
        due = max(due + 1.0 / RATE, time.perf_counter())
        time.sleep(max(due - time.perf_counter(), 0.0))
        wall, cpu = time.perf_counter(), time.process_time()
        planner.command(observation)
        spent.append((time.perf_counter() - wall, time.process_time() - cpu))
    return 1e3 * np.array(spent[_WARM_UP:])


@contextmanager
def learning(on: bool = True) -> Iterator[None]:
    """A learner trains beside what is done within; both keep to the same `CORES` cores."""
    known = os.sched_getaffinity(0)
    os.sched_setaffinity(0, set(sorted(known)[:CORES]))
    context = multiprocessing.get_context("spawn")
    begun, stop = context.Event(), context.Event()
    process = context.Process(target=_learn, args=(begun, stop), daemon=True)
    try:
        if on:
            process.start()
            begun.wait(120.0)
        yield
    finally:
        if on:
            stop.set()
            process.join(30.0)
        os.sched_setaffinity(0, known)


def _learn(begun: Event, stop: Event) -> None:
    """Train heads on made-up queries, without pause, until told to stop."""
    import torch

    from lifelong_nav.trajectory.generator import heads_torch
    from lifelong_nav.trajectory.generator.heads import KNOTS, MODES, QUERY

    torch.set_num_threads(1)
    torch.manual_seed(0)
    weights = {n: w.requires_grad_() for n, w in heads_torch.fresh_weights(0).items()}
    optimizer = torch.optim.AdamW(list(weights.values()), lr=1e-3)
    count = 128
    query, expert = torch.randn(count, MODES, QUERY), torch.randn(count, KNOTS, 3)
    now = torch.full((count,), 0.4)
    while not stop.is_set():
        poses = heads_torch.motions(weights, query, now, torch.zeros(count), 2.0 * now)
        distance = heads_torch.distances(poses, expert, torch.ones(count, KNOTS))
        loss = heads_torch.winner_loss(distance, heads_torch.chances(weights, query)).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        begun.set()


def run(quick: bool = False) -> BenchResult:
    """Time all drivers, with a learner beside them and without."""
    seen = sensed((8 if quick else 40) * int(RATE), seed=0)
    drivers: list[tuple[str, Any]] = [
        ("lifelong_nav: choice and control", _AtRate),
        ("control along the route only", _ControlAtRate),
        ("Nav2-like MPPI", lambda: make_planner("nav2_mppi")),
    ]
    rows, found = [], {}
    for on in (True, False):
        with learning(on):
            for name, make in drivers:
                wall, cpu = timed(make(), seen).T
                p50, p99 = np.percentile(wall, [50, 99])
                late = float((wall > 1e3 / RATE).mean())
                cpu50, cpu99 = np.percentile(cpu, [50, 99])
                beside = "yes" if on else "no"
                rows.append((name, beside, *(float(v) for v in (p50, p99, wall.max(), cpu50, cpu99, late))))
                found[name, on] = float(p99)
    ours = drivers[0][0]
    baselines = {name: found[name, True] for name, _ in drivers[1:]}
    header = ("driver", "learning", "p50 ms", "p99 ms", "worst ms", "CPU p50", "CPU p99", "late")
    title = f"Cycles at {RATE:.0f} Hz on {CORES} cores, {PEOPLE} people, {len(seen) / RATE:.0f} s each"
    return BenchResult(
        "cycle",
        [(title, header, rows)],
        [
            Target(
                "planner and controller while learning, p99 ms", found[ours, True], GOAL, "<=",
                {**baselines, "not learning": found[ours, False]},
            )
        ],
        [f"{os.getloadavg()[0]:.1f} processes were waiting for the machine's {os.cpu_count()} cores."],
    )  # fmt: skip
