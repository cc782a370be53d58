"""The gate rule by rule, with exact numbers; the random search is in test_gate_properties.py."""

import dataclasses
import math

import numpy as np
import pytest

from lifelong_nav.control.gate import (
    NOTHING,
    Gate,
    GateInputs,
    Level,
    Reason,
    Surroundings,
    approach,
    people_on_base,
    stopping_cap,
    surroundings,
)
from lifelong_nav.control.gate_config import GateConfig
from lifelong_nav.control.stopping import free_distance, scan_points, stopping_speed
from lifelong_nav.core.clock import ManualClock, Received
from lifelong_nav.core.config import specs
from lifelong_nav.core.types import LaserScan, Odometry, People, Pose2, TrackedPerson, Twist2

DT = 0.05
C = GateConfig()
NOW = Received(10.0, 10.0)


class Drive:
    """A gate with healthy inputs that can be changed, stepped at 20 Hz."""

    def __init__(self, config=C, **changes):
        self.gate, self.clock = Gate(config), ManualClock(10.0)
        self.changes = {"people": People(10.0, "odom")} | changes
        self.stale = set()
        self.decision = None

    def inputs(self):
        got = Received(self.clock.now(), self.clock.steady())
        fresh = {
            "command": Twist2(0.5),
            "scan": scan_at(),
            "odometry": Odometry(0.0, Pose2(), Twist2()),
            "people": People(0.0, "odom"),
            "heartbeats": {"controller": got},
        } | self.changes
        for name in ("command", "scan", "odometry", "people"):
            fresh.setdefault(f"{name}_received", None if name in self.stale else got)
        return GateInputs(**fresh)

    def step(self, n=1, **changes):
        self.changes |= changes
        for _ in range(n):
            self.decision = self.gate.step(self.inputs(), self.clock)
            self.clock.advance(DT)
        return self.decision

    def speeds(self, n, **changes):
        return [self.step(**changes).twist.vx for _ in range(n)]


def scan_at(*points, beams=360, **changes):
    """A scan that holds exactly the nearest beams to the points, +inf elsewhere."""
    ranges = np.full(beams, np.inf)
    for x, y in points:
        ranges[round((math.atan2(y, x) + math.pi) / (2 * math.pi) * beams) % beams] = math.hypot(x, y)
    return dataclasses.replace(
        LaserScan(0.0, "laser", -math.pi, 2 * math.pi / beams, 0.05, 10.0, ranges), **changes
    )


def people(*rows, frame="odom"):
    return People(0.0, frame, tuple(TrackedPerson(i, *row) for i, row in enumerate(rows)))


# ---- passing and limits --------------------------------------------------------------------------


def test_passes_what_is_fine():
    drive = Drive(command=Twist2(0.5, 0.0, 0.2))
    drive.step(20)
    assert drive.decision.twist == Twist2(0.5, 0.0, 0.2)
    assert drive.decision.level is Level.PASS
    assert drive.decision.reason is Reason.PASS
    assert not drive.decision.limited


def test_first_step_has_no_time_to_accelerate_in():
    assert Drive().step().twist == Twist2()


def test_ramps_up_and_down_at_the_stated_rates():
    drive = Drive(command=Twist2(0.5, 0.0, 1.0))
    drive.step()
    decision = drive.step()
    assert decision.twist.vx == pytest.approx(C.accel * DT)
    assert decision.twist.wz == pytest.approx(C.yaw_accel * DT)
    assert (decision.level, decision.reason, decision.limited) == (Level.LIMIT, Reason.ACCELERATION, True)
    drive.step(20)
    decision = drive.step(command=Twist2())
    assert decision.twist.vx == pytest.approx(0.5 - C.decel * DT)
    assert decision.twist.wz == pytest.approx(1.0 - C.yaw_accel * DT)


def test_reversing_goes_through_zero():
    drive = Drive(command=Twist2(0.05))
    drive.step(5)
    speeds = drive.speeds(4, command=Twist2(-0.2))
    assert speeds[0] == 0.0
    assert speeds[1] == pytest.approx(-C.accel * DT)


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        (Twist2(2.0, 0.0, 0.0), (0.8, 0.0)),
        (Twist2(-2.0, 0.0, 0.0), (-0.3, 0.0)),
        (Twist2(0.0, 0.0, 9.0), (0.0, 1.5)),
        (Twist2(0.0, 0.0, -9.0), (0.0, -1.5)),
        (Twist2(1.6, 0.0, 1.0), (0.8, 0.5)),  # the arc is kept
        (Twist2(0.4, 0.0, 3.0), (0.2, 1.5)),
        (Twist2(-0.6, 0.0, 1.0), (-0.3, 0.5)),
        (Twist2(1e308, 0.0, -1e308), (0.8, -0.8)),
    ],
)
def test_speed_limits_keep_the_arc(command, expected):
    decision = Drive(command=command).step(60)
    assert (decision.twist.vx, decision.twist.wz) == pytest.approx(expected)
    assert (decision.level, decision.reason) == (Level.LIMIT, Reason.SPEED_LIMIT)


def test_sideways_is_dropped_and_said():
    decision = Drive(command=Twist2(0.5, 0.2, 0.0)).step(20)
    assert decision.twist == Twist2(0.5, 0.0, 0.0)
    assert decision.limited


def test_long_pauses_give_no_leap():
    drive = Drive(command=Twist2(0.8))
    drive.step()
    drive.clock.advance(30.0)
    assert drive.step().twist.vx == pytest.approx(C.accel * C.longest_step)
    drive.clock.time -= 20.0  # time ran back: no time has passed
    assert drive.step().twist.vx == pytest.approx(C.accel * C.longest_step)


def test_approach_moves_by_bounded_steps():
    assert approach(0.0, 1.0, 0.1, 0.2) == pytest.approx(0.1)
    assert approach(0.0, -1.0, 0.1, 0.2) == pytest.approx(-0.1)
    assert approach(0.5, 1.0, 0.1, 0.2) == pytest.approx(0.6)
    assert approach(0.5, 0.55, 0.1, 0.2) == pytest.approx(0.55)
    assert approach(0.5, 0.0, 0.1, 0.2) == pytest.approx(0.3)
    assert approach(0.5, 0.45, 0.1, 0.2) == pytest.approx(0.45)
    assert approach(-0.5, -1.0, 0.1, 0.2) == pytest.approx(-0.6)
    assert approach(-0.5, 0.7, 0.1, 0.2) == pytest.approx(-0.3)
    assert approach(0.1, -1.0, 0.1, 0.2) == 0.0


# ---- faults --------------------------------------------------------------------------------------


FAULTS = [
    ({"emergency_stop": True}, Level.EMERGENCY, Reason.EMERGENCY_STOP, "emergency stop is pressed"),
    ({"scan": None}, Level.HARD, Reason.SCAN_STALE, "No current scan: empty"),
    ({"scan_received": None}, Level.HARD, Reason.SCAN_STALE, "never received"),
    ({"scan": scan_at(beams=10, ranges=np.full(10, np.nan))}, Level.HARD, Reason.SCAN_INVALID, "100 %"),
    ({"scan": scan_at(ranges=np.zeros(0))}, Level.HARD, Reason.SCAN_INVALID, "100 %"),
    ({"scan": scan_at(range_max=math.nan)}, Level.HARD, Reason.SCAN_INVALID, "100 %"),
    ({"odometry": None}, Level.SOFT, Reason.ODOM_STALE, "No current odometry: empty"),
    ({"odometry_received": None}, Level.SOFT, Reason.ODOM_STALE, "never received"),
    ({"odometry": Odometry(0, Pose2(math.nan), Twist2())}, Level.SOFT, Reason.ODOM_INVALID, "NaN"),
    ({"odometry": Odometry(0, Pose2(), Twist2(0, math.inf))}, Level.SOFT, Reason.ODOM_INVALID, "NaN"),
    ({"odometry": Odometry(0, Pose2(), Twist2(1.3))}, Level.SOFT, Reason.OVERSPEED, "1.30 m/s"),
    ({"odometry": Odometry(0, Pose2(), Twist2(-1.3))}, Level.SOFT, Reason.OVERSPEED, "1.30 m/s"),
    ({"heartbeats": {}}, Level.SOFT, Reason.HEARTBEAT, "'controller': never received"),
    ({"heartbeats": {"controller": Received(0, 0)}}, Level.SOFT, Reason.HEARTBEAT, "10.50 s old"),
    ({"command": Twist2(math.nan)}, Level.SOFT, Reason.COMMAND_NOT_FINITE, "NaN"),
    ({"command": Twist2(0, math.inf)}, Level.SOFT, Reason.COMMAND_NOT_FINITE, "NaN"),
    ({"command": Twist2(0, 0, -math.inf)}, Level.SOFT, Reason.COMMAND_NOT_FINITE, "NaN"),
    ({"command": None}, Level.SOFT, Reason.COMMAND_STALE, "No current command: empty"),
    ({"command_received": None}, Level.SOFT, Reason.COMMAND_STALE, "never received"),
]


@pytest.mark.parametrize(("change", "level", "reason", "text"), FAULTS)
def test_faults_stop_the_robot_and_are_named(change, level, reason, text):
    drive = Drive(command=Twist2(0.5, 0.0, 0.5))
    drive.step(10)
    before = drive.decision.twist
    decision = drive.step(**change)
    assert (decision.level, decision.reason) == (level, reason)
    assert text in decision.text
    assert decision.limited
    assert abs(decision.twist.vx) < before.vx
    assert abs(decision.twist.wz) < before.wz
    assert drive.step(20).twist == Twist2()


@pytest.mark.parametrize("offset", [-0.2, 0.31])  # from the future, or old
@pytest.mark.parametrize("name", ["command", "scan", "odometry"])
def test_staleness_on_both_sides_of_now(name, offset):
    drive = Drive()
    drive.step(10)
    at = drive.clock.now()
    fine = Received(at - 0.29, at - 0.29)
    assert drive.step(**{f"{name}_received": fine}).level <= Level.LIMIT
    at = drive.clock.now()
    assert drive.step(**{f"{name}_received": Received(at - offset, at)}).level >= Level.SOFT


@pytest.mark.parametrize("name", ["command", "scan", "odometry"])
def test_steady_receive_time_counts_too(name):
    drive = Drive()
    drive.step(10)
    at = drive.clock.now()  # a sender that repeats fresh stamps, but nothing arrives
    assert drive.step(**{f"{name}_received": Received(at, at - 0.31)}).level >= Level.SOFT


def test_timeouts_sit_where_the_config_says():
    late = Received(10.0 - 0.45, 10.0 - 0.45)
    assert Drive(heartbeats={"controller": late}).step().level <= Level.LIMIT
    assert Drive(heartbeats={"controller": Received(10 - 0.55, 10.0)}).step().reason is Reason.HEARTBEAT
    edge = Odometry(0, Pose2(), Twist2(1.19))
    assert Drive(odometry=edge).step().level <= Level.LIMIT
    half = np.full(100, np.inf)
    half[:50] = np.nan
    assert Drive(scan=scan_at(ranges=half)).step().level <= Level.LIMIT
    half[50] = np.nan
    assert Drive(scan=scan_at(ranges=half)).step().reason is Reason.SCAN_INVALID


def test_all_required_heartbeats_count_and_others_do_not():
    config = GateConfig(heartbeats=["controller", "perception"])
    assert "perception" in Drive(config).step().text
    assert Drive(GateConfig(heartbeats=[]), heartbeats={}).step().level <= Level.LIMIT


def test_the_strictest_fault_wins():
    everything = {"emergency_stop": True, "scan": None, "odometry": None, "heartbeats": {}, "command": None}
    order = [
        ("emergency_stop", False, Reason.EMERGENCY_STOP),
        ("scan", scan_at(), Reason.SCAN_STALE),
        ("odometry", Odometry(0.0, Pose2(), Twist2()), Reason.ODOM_STALE),
        ("heartbeats", {"controller": NOW}, Reason.HEARTBEAT),
        ("command", Twist2(), Reason.COMMAND_STALE),
    ]
    for name, healthy, reason in order:
        assert Drive(**everything).step().reason is reason
        everything[name] = healthy
    assert Drive(**everything).step().reason is Reason.PASS


# ---- how it stops --------------------------------------------------------------------------------


def test_soft_stop_builds_up_and_eases_out():
    c = GateConfig(jerk=4.0)
    drive = Drive(c, command=Twist2(0.8, 0.0, 0.4))
    drive.step(30)
    drive.stale.add("command")
    speeds = np.array([0.8, *drive.speeds(30)])
    rates = -np.diff(speeds) / DT
    assert rates[0] == pytest.approx(c.jerk * DT)
    assert rates[1] == pytest.approx(2 * c.jerk * DT)
    assert rates.max() == pytest.approx(c.decel)
    moving = speeds[:-1] > 0
    assert rates[moving][-2] < c.decel
    assert np.diff(rates).max() <= c.jerk * DT + 1e-9
    assert moving.sum() * DT < 0.8 / c.decel + 2 * c.decel / c.jerk + 0.2
    assert speeds[-1] == 0.0
    # Recovered: braking starts gently again next time.
    drive.stale.clear()
    drive.step(40)
    drive.stale.add("command")
    assert drive.step().twist.vx == pytest.approx(0.8 - c.jerk * DT * DT)


def test_small_speeds_end_in_time():
    drive = Drive(command=Twist2(0.02))
    drive.step(5)
    drive.stale.add("command")
    speeds = drive.speeds(6)
    assert speeds[-1] == 0.0


def test_blind_stop_is_hard_emergency_is_at_once():
    drive = Drive(command=Twist2(0.8, 0.0, 0.9))
    drive.step(30)
    decision = drive.step(scan=None)
    assert decision.twist.vx == pytest.approx(0.8 - C.hard_decel * DT)
    assert decision.twist.wz == pytest.approx(0.9 - C.hard_yaw_decel * DT)
    drive = Drive(command=Twist2(0.8, 0.0, 0.9))
    drive.step(30)
    assert drive.step(emergency_stop=True).twist == Twist2()


def test_shutdown_is_zero():
    drive = Drive()
    drive.step(10)
    decision = drive.gate.stop()
    assert (decision.twist, decision.level, decision.reason) == (Twist2(), Level.EMERGENCY, Reason.SHUTDOWN)
    assert "shutting down" in decision.text
    assert drive.step().twist.vx <= C.accel * DT + 1e-9


# ---- obstacles -----------------------------------------------------------------------------------


def test_stopping_speed_solves_the_stopping_distance():
    for free in (0.05, 0.3, 2.0):
        v = float(stopping_speed(np.array(free), 1.5, 0.2, 0.0))
        assert v * 0.2 + v * v / 3.0 == pytest.approx(free)
        c = 0.1
        v = float(stopping_speed(np.array(free), 1.5, 0.2, c))
        assert v * 0.2 + v * v / 3.0 + c * (0.2 + v / 1.5) == pytest.approx(free)
    assert float(stopping_speed(np.array(0.0), 1.5, 0.2, 0.0)) == 0.0
    assert float(stopping_speed(np.array(0.1), 1.5, 0.2, 1.0)) == 0.0
    assert float(stopping_speed(np.array(np.inf), 1.5, 0.2, 1.0)) == np.inf


def test_free_distance_straight():
    points = np.array([[1.0, 0.0], [1.0, 0.2], [1.0, 0.31], [-1.0, 0.0], [1.0, -0.2]])
    side = 1.0 - math.sqrt(0.09 - 0.04)
    assert free_distance(points, 0.5, 0.0, 0.3) == pytest.approx([0.7, side, np.inf, np.inf, side])
    assert free_distance(points, -0.5, 0.0, 0.3) == pytest.approx([np.inf, np.inf, np.inf, 0.7, np.inf])
    assert free_distance(points, 1e-7, 0.5, 0.3) == pytest.approx(np.full(5, np.inf))
    radii = np.array([0.3, 0.1, 0.5, 0.3, 0.3])
    expected = [0.7, np.inf, 1.0 - math.sqrt(0.25 - 0.31**2), np.inf, side]
    assert free_distance(points, 0.5, 0.0, radii) == pytest.approx(expected)


@pytest.mark.parametrize("v", [0.4, -0.4, 0.05])
@pytest.mark.parametrize("w", [0.9, -0.9, 0.05, -0.05, 3e-4, 0.0])
def test_free_distance_matches_driving_in_small_steps(v, w):
    rng = np.random.default_rng(3)
    points = rng.uniform(-2, 2, (400, 2))
    points = points[np.linalg.norm(points, axis=1) > 0.33]
    free = free_distance(points, v, w, 0.32)
    length = min(abs(2 * math.pi * v / w), 8.0) if w else 8.0
    s = np.linspace(0.0, length, 8001)
    t = s / abs(v)
    x, y = (v / w * np.sin(w * t), v / w * (1 - np.cos(w * t))) if w else (v * t, 0 * t)
    gaps = np.hypot(points[:, 0, None] - x, points[:, 1, None] - y)
    hit = gaps < 0.32
    true = np.where(hit.any(axis=1), s[hit.argmax(axis=1)], np.inf)
    graze = np.abs(gaps.min(axis=1) - 0.32) < 1e-4
    near = (free < length) | np.isfinite(true)
    keep = near & ~graze
    assert keep.sum() >= 2
    assert free[keep] == pytest.approx(true[keep], abs=2e-3)


def test_inside_the_margin_only_coming_nearer_is_barred():
    ahead, beside, behind = np.array([[0.3, 0.0]]), np.array([[0.0, 0.3]]), np.array([[-0.3, 0.02]])
    assert free_distance(ahead, 0.2, 0.0, 0.32)[0] == pytest.approx(0.0, abs=1e-5)
    assert free_distance(ahead, -0.2, 0.0, 0.32)[0] == np.inf
    assert free_distance(beside, 0.2, 0.0, 0.32)[0] == np.inf
    assert free_distance(behind, 0.2, 0.0, 0.32)[0] == np.inf
    assert free_distance(behind, -0.2, 0.0, 0.32)[0] == pytest.approx(0.0, abs=1e-5)
    skew = np.array([[0.15, 0.25]])
    assert free_distance(skew, 0.2, 0.5, 0.32)[0] == pytest.approx(0.0, abs=1e-5)
    assert free_distance(skew, -0.2, 0.0, 0.32)[0] == np.inf
    # Backing off on an arc it comes round again, and is met where the distance is the same as now.
    assert 0.5 < free_distance(skew, -0.2, 0.5, 0.32)[0] < 0.4 * 2 * math.pi


def test_slows_and_stops_before_a_wall_and_says_why():
    drive, x = Drive(command=Twist2(0.8)), 0.0
    reasons = set()
    for _ in range(120):
        decision = drive.step(scan=scan_at((2.0 - x, 0.0)))
        x += decision.twist.vx * DT
        reasons.add(decision.reason)
    assert 1.55 < x <= 2.0 - C.radius - C.margin + 1e-5  # near, and not nearer than the margin
    assert Reason.OBSTACLE in reasons
    assert "0." in decision.text
    assert "ahead" in decision.text
    assert drive.step(command=Twist2(0.0, 0.0, 1.0), n=20).twist.wz == pytest.approx(1.0)  # it may turn
    decision = drive.step(command=Twist2(-0.2), n=20)  # and back away
    assert decision.twist.vx == pytest.approx(-0.2)


def test_turning_goes_on_when_driving_must_not():
    drive = Drive(command=Twist2(0.3, 0.0, 0.8), scan=scan_at((0.3205, 0.0)))
    decision = drive.step(20)
    assert decision.twist.vx < 0.02
    assert decision.twist.wz == pytest.approx(0.8)
    assert decision.reason is Reason.OBSTACLE


def test_something_sudden_is_braked_for_as_hard_as_possible_on_the_same_arc():
    drive = Drive(command=Twist2(0.8, 0.0, 0.4))
    drive.step(30)
    decision = drive.step(scan=scan_at((0.4, 0.0)))
    assert decision.twist.vx == pytest.approx(0.8 - C.hard_decel * DT)
    assert decision.twist.wz / decision.twist.vx == pytest.approx(0.5)
    assert decision.twist.vy == 0.0
    assert decision.reason is Reason.OBSTACLE
    crawl = float(stopping_speed(np.array(0.08), C.decel, C.reaction, 0.0))
    assert drive.step(4).twist.vx == pytest.approx(crawl, abs=0.01)


def test_slowing_with_the_turn_kept_is_checked_again():
    """Slower at the same yaw rate is a tighter arc, which may meet something else."""
    rng = np.random.default_rng(0)
    lower = 0
    for _ in range(600):
        bearing, away = rng.uniform(-np.pi, np.pi, 12), 0.3201 + rng.exponential(0.15, 12)
        points = np.stack([away * np.cos(bearing), away * np.sin(bearing)], axis=-1)
        around = dataclasses.replace(NOTHING, obstacles=points)
        wish = Twist2(float(rng.uniform(-0.8, 0.8)), 0.0, float(rng.uniform(-1.5, 1.5)))
        out, finding = Gate()._keep_clear(wish, around, DT)
        assert (out.vy, out.wz) == (0.0, wish.wz)
        assert abs(out.vx) <= min(abs(wish.vx), stopping_cap(out, around, C)[0] + 1e-9)
        first = stopping_cap(wish, around, C)[0]
        assert (finding is None) == (abs(wish.vx) <= first)
        lower += 1e-6 < abs(out.vx) < first - 1e-6
    assert lower > 30


def test_grazing_at_the_distance_kept_is_free():
    assert free_distance(np.array([[1e-5, 0.3]]), 0.2, 0.0, 0.32)[0] == np.inf


def test_limited_says_when_either_part_differs():
    wall = scan_at((0.3205, 0.0))
    drive = Drive(command=Twist2(0.3, 0.0, 0.5), scan=wall)
    assert drive.step(20).limited  # v only
    drive = Drive(command=Twist2(0.0, 0.0, 0.6))
    drive.step(2)
    assert drive.decision.limited  # w only
    assert drive.decision.reason is Reason.ACCELERATION
    assert drive.step(20).limited is False


@pytest.mark.parametrize("jerk", [1.0, 4.0])
def test_easing_follows_its_formula_to_the_end(jerk):
    c = GateConfig(jerk=jerk)
    drive = Drive(c, command=Twist2(0.12))
    drive.step(10)
    drive.stale.add("command")
    v, braking = 0.12, 0.0
    for got in drive.speeds(15):
        braking = min(c.decel, braking + jerk * DT, max(math.sqrt(2 * jerk * v), 0.2 * c.decel))
        v = max(v - braking * DT, 0.0)
        assert got == pytest.approx(v, abs=1e-9)


def test_walls_beside_do_not_slow():
    wall = scan_at(*((x, 0.36) for x in np.linspace(-2, 2, 200)))
    assert Drive(command=Twist2(0.8), scan=wall).step(30).twist.vx == pytest.approx(0.8)


def test_scan_points_values():
    ranges = np.array([1.0, np.inf, -np.inf, np.nan, -1.0, 0.01, 20.0, 0.1])
    scan = LaserScan(0.0, "laser", 0.0, math.pi / 2, 0.05, 10.0, ranges)
    points, invalid = scan_points(scan, Pose2(0.2, 0.0, 0.0), 0.0)
    assert points == pytest.approx(np.array([[1.2, 0], [0.15, 0.0], [0.2, -0.1]]), abs=1e-9)
    assert invalid == pytest.approx(3 / 8)
    points, _ = scan_points(scan, Pose2(0.2, 0.0, 0.0), 0.2)
    assert points == pytest.approx(np.array([[1.2, 0], [0.2, -0.1]]), abs=1e-9)
    none, invalid = scan_points(dataclasses.replace(scan, range_min=math.nan), Pose2(), 0.0)
    assert (none.shape, invalid) == ((0, 2), 1.0)
    turned, _ = scan_points(scan, Pose2(0.0, 0.0, math.pi / 2), 0.5)
    assert turned == pytest.approx(np.array([[0.0, 1.0]]), abs=1e-9)


def test_scanner_mount_is_used():
    drive = Drive(command=Twist2(0.8), scan=scan_at((1.0, 0.0)))
    centred = drive.step(40).twist.vx
    behind = Drive(command=Twist2(0.8), scan=scan_at((1.0, 0.0)), sensor=Pose2(-0.4)).step(40).twist.vx
    assert behind < centred - 0.1


# ---- people --------------------------------------------------------------------------------------


def test_people_are_given_more_room_and_their_approach_counts():
    still = Surroundings(np.zeros((0, 2)), np.array([[1.5, 0.0]]), np.array([0.62]), np.zeros(1))
    cap, finding = stopping_cap(Twist2(0.8), still, C)
    assert cap == pytest.approx(float(stopping_speed(np.array(0.88), 1.5, 0.2, 0.0)))
    assert finding.reason is Reason.PERSON
    coming = dataclasses.replace(still, closing=np.array([1.0]))
    slower, finding = stopping_cap(Twist2(0.8), coming, C)
    assert slower == pytest.approx(float(stopping_speed(np.array(0.88), 1.5, 0.2, 1.0)))
    assert slower < 0.7 * cap
    assert "0.88 m ahead" in finding.text
    assert "1.0 m/s" in finding.text
    wall = dataclasses.replace(coming, obstacles=np.array([[0.4, 0.0]]))
    assert stopping_cap(Twist2(0.8), wall, C)[1].reason is Reason.OBSTACLE
    far_wall = dataclasses.replace(coming, obstacles=np.array([[3.0, 0.0]]))
    assert stopping_cap(Twist2(0.8), far_wall, C) == (slower, finding)
    two = Surroundings(
        np.zeros((0, 2)), np.array([[3.0, 0.0], [1.5, 0.0]]), np.array([0.62, 0.62]), np.array([0.0, 1.0])
    )
    assert stopping_cap(Twist2(0.8), two, C) == (slower, finding)


def test_what_is_known_about_people_around():
    rows = [(0.8, 0.0, -1.0, 0.0), (0.0, 2.0, 0.0, -3.0), (2.0, 0.0, 1.0, 0.0), (0.0, 3.0, 0.5, 0.0)]
    radii = (0.25, 0.01, 7.0, 0.25)
    crowd = People(0.0, "base_link", tuple(
        TrackedPerson(i, *row, radius=r) for i, (row, r) in enumerate(zip(rows, radii, strict=True))
    ))  # fmt: skip
    drive = Drive(people=crowd)
    around, blind = surroundings(drive.inputs(), drive.clock, C)
    assert blind is None
    assert around.closing == pytest.approx([1.0, C.fastest_person, 0.0, 0.0])
    base = C.radius + C.person_margin
    assert around.reach == pytest.approx([base + 0.25, base + 0.1, base + 1.0, base + 0.25])
    assert around.people == pytest.approx(np.array(rows)[:, :2])


def test_one_broken_velocity_does_not_hide_the_others():
    both = people((3.0, 3.0, math.nan, 0.0), (0.63, 0.0, 0.0, 0.0))
    assert Drive(command=Twist2(0.8), people=both).step(40).twist.vx < 0.1


def test_stops_for_a_person_ahead_but_not_for_one_behind():
    assert Drive(people=people((0.7, 0.0, -1.0, 0.0))).step(20).twist.vx == 0.0
    assert Drive(people=people((0.7, 0.0, -1.0, 0.0))).step(20).reason is Reason.PERSON
    assert Drive(people=people((-1.2, 0.0, 1.0, 0.0))).step(20).twist.vx == pytest.approx(0.5)


def test_people_are_turned_into_the_base_frame():
    odometry = Odometry(0.0, Pose2(1.0, 2.0, math.pi / 2), Twist2())
    at, velocity = people_on_base(people((1.0, 4.0, 0.0, -1.0)), odometry)
    assert at == pytest.approx(np.array([[2.0, 0.0]]))
    assert velocity == pytest.approx(np.array([[-1.0, 0.0]]))
    at, velocity = people_on_base(people((1.0, 4.0, 0.0, -1.0), frame="base_link"), odometry)
    assert at == pytest.approx(np.array([[1.0, 4.0]]))
    assert people_on_base(people((1, 4, 0, 0), frame="map"), odometry) is None
    assert people_on_base(people(), None) is None
    broken = Odometry(0.0, Pose2(math.nan), Twist2())
    assert people_on_base(people(), broken) is None


def test_near_people_it_is_slow():
    drive = Drive(command=Twist2(0.8), people=people((0.3, 0.85, 0.0, 0.0)))
    decision = drive.step(40)
    assert decision.twist.vx == pytest.approx(C.person_speed)
    assert decision.reason is Reason.PERSON_NEAR
    assert "near" in decision.text
    assert Drive(command=Twist2(0.8), people=people((0.3, 0.95, 0, 0))).step(40).twist.vx == pytest.approx(
        0.8
    )
    assert Drive(command=Twist2(0.8), people=people((-0.5, 0.6, 0, 0))).step(40).twist.vx == pytest.approx(
        0.8
    )
    beside = Drive(command=Twist2(0.8), people=people((-0.2, 0.7, 0, 0))).step(40)
    assert beside.twist.vx == pytest.approx(C.person_speed)
    # Backing away from somebody in front is not "towards".
    back = Drive(GateConfig(person_speed=0.1), command=Twist2(-0.3), people=people((0.8, 0.0, 0, 0)))
    assert back.step(40).twist.vx == pytest.approx(-0.3)


@pytest.mark.parametrize(
    "change",
    [
        {"people_received": None},
        {"people": None},
        {"people": people((5.0, 0.0), frame="map")},
        {"people": people((math.nan, 0.0))},
        {"people": people((5.0, 0.0, math.inf, 0.0))},
        {"people_received": Received(10.0, 10.0)},
    ],
)
def test_unknown_people_mean_slow_not_stop(change):
    decision = Drive(command=Twist2(0.8), **change).step(40)
    assert decision.twist.vx == pytest.approx(C.blind_speed)
    assert (decision.level, decision.reason) == (Level.LIMIT, Reason.PEOPLE_STALE)
    assert "People are not known" in decision.text
    free = Drive(GateConfig(people_expected=False), command=Twist2(0.8), **change).step(40)
    assert free.twist.vx == pytest.approx(0.8)


def test_one_broken_person_does_not_hide_the_others():
    both = people((math.nan, 0.0), (0.63, 0.0))
    decision = Drive(command=Twist2(0.8), people=both).step(40)
    assert decision.twist.vx < 0.1


# ---- shape of the config -------------------------------------------------------------------------


def test_every_limit_is_fixed_while_running_and_described():
    for spec in specs(GateConfig):
        assert spec.read_only, spec.name
        assert spec.doc.endswith("."), spec.name
