"""The planar lidar: exact and fast agree, geometry is right, noise is as declared."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sim_support import Marchers, config, drive

from lifelong_nav.core.types import Pose2
from lifelong_nav.sim.building import generate
from lifelong_nav.sim.engine import Simulation
from lifelong_nav.sim.lidar import LidarConfig, fast_ranges, noisy_ranges
from lifelong_nav.sim.plan_map import scene_map
from lifelong_nav.sim.scene import Scene
from lifelong_nav.sim.seeds import stream


def scans(scene: Scene, pose: Pose2, people) -> tuple:
    out = []
    for mode in ("exact", "fast"):
        crowd = Marchers(people, np.zeros((len(people), 2))) if len(people) else None
        with Simulation(scene, crowd, config(scan_rate=20.0, lidar_mode=mode), 0, pose) as sim:
            out.append(drive(sim, 0.1)[-1].scan)
    return tuple(out)


@pytest.mark.parametrize(("kind", "seed"), [("office", 0), ("office", 7), ("hall", 1), ("warehouse", 0)])
def test_exact_and_fast_agree(kind, seed):
    scene = generate(kind, seed)
    free = [r for r in scene.regions if r.kind != "doorway"]
    rng = np.random.default_rng(seed)
    for region in (free[0], free[-1]):
        x, y = region.centre
        people = np.array([(x, y)]) + rng.uniform(0.8, 1.6, (3, 2)) * rng.choice([-1, 1], (3, 2))
        a, b = scans(scene, Pose2(x, y, float(rng.uniform(-3, 3))), people)
        both = np.isfinite(a.ranges) & np.isfinite(b.ranges)
        error = np.abs(a.ranges[both] - b.ranges[both])
        # the few that differ graze an edge
        assert np.mean(np.isfinite(a.ranges) == np.isfinite(b.ranges)) > 0.99
        assert np.mean(error < 0.01) > 0.98
        assert np.median(error) < 1e-3


def brute(origin, angles, segments, circles, reach):
    out = np.full(len(angles), np.inf)
    for i, a in enumerate(angles):
        u = np.array([np.cos(a), np.sin(a)])
        for x1, y1, x2, y2 in segments:
            p, d = np.array([x1, y1]) - origin, np.array([x2 - x1, y2 - y1])
            cross = u[0] * d[1] - u[1] * d[0]
            if abs(cross) < 1e-12:
                continue
            t, s = (p[0] * d[1] - p[1] * d[0]) / cross, (p[0] * u[1] - p[1] * u[0]) / cross
            if t > 0 and -1e-9 <= s <= 1 + 1e-9:
                out[i] = min(out[i], t)
        for x, y, r in circles:
            c = np.array([x, y]) - origin
            along = c @ u
            root = r * r - (c @ c - along * along)
            if np.hypot(*c) > r and root >= 0 and along > 0:
                out[i] = min(out[i], along - np.sqrt(root))
    out[out > reach] = np.inf
    return out


coordinate = st.floats(-6, 6).map(lambda v: round(v, 3))


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(coordinate, coordinate, coordinate, coordinate), max_size=6),
    st.lists(st.tuples(coordinate, coordinate, st.floats(0.05, 1.0)), max_size=4),
    st.floats(-4, 4), st.integers(8, 90), st.floats(30, 360),
)  # fmt: skip
def test_fast_ranges_equal_brute_force(segments, circles, start, beams, fan):
    segments = np.array([s for s in segments if np.hypot(s[2] - s[0], s[3] - s[1]) > 0.01]).reshape(-1, 4)
    circles = np.array(circles).reshape(-1, 3)
    full = fan > 355.0
    increment = 2 * np.pi / beams if full else np.radians(fan) / (beams - 1)
    origin = np.array([0.0137, -0.0271])
    got = fast_ranges(origin, start, increment, beams, segments, circles, 8.0)
    want = brute(origin, start + increment * np.arange(beams), segments, circles, 8.0)
    same = np.isclose(got, want, atol=1e-6) | (np.isinf(got) & np.isinf(want))
    # a beam through an end point may fall on either side of it
    ends = np.concatenate([segments[:, :2], segments[:, 2:]]) - origin if len(segments) else np.zeros((0, 2))
    bearings = np.arctan2(ends[:, 1], ends[:, 0])
    angles = start + increment * np.arange(beams)
    gap = np.abs((angles[:, None] - bearings + np.pi) % (2 * np.pi) - np.pi)
    graze = (gap < 1e-6).any(axis=1) if len(ends) else np.zeros(beams, bool)
    assert (same | graze).all()


def test_room_distances():
    square = np.array([(-2, -1, 3, -1), (3, -1, 3, 4), (3, 4, -2, 4), (-2, 4, -2, -1)], dtype=float)
    ranges = fast_ranges(np.zeros(2), 0.0, np.pi / 2, 4, square, np.zeros((0, 3)), 12.0)
    assert np.allclose(ranges, (3, 4, 2, 1))
    with_post = fast_ranges(np.zeros(2), 0.0, np.pi / 2, 4, square, np.array([(0.0, 2.0, 0.5)]), 12.0)
    assert np.allclose(with_post, (3, 1.5, 2, 1))
    assert np.isinf(fast_ranges(np.zeros(2), 0.0, np.pi / 2, 4, square, np.zeros((0, 3)), 0.5)).all()


def test_noise_is_as_declared():
    c = LidarConfig(beams=4000, mixed=0.0)
    true = np.full(4000, 5.0)
    got = noisy_ranges(true, c, 1.0, stream(0, "lidar"))
    lost = np.isinf(got)
    assert 0.0005 < lost.mean() < 0.01
    assert np.std(got[~lost]) == pytest.approx(c.sigma, rel=0.1)
    assert np.array_equal(noisy_ranges(true, c, 0.0, stream(0, "lidar")), true)
    far = noisy_ranges(np.array([np.inf, 13.0, 0.05, 4.0] * 2), LidarConfig(beams=8), 0.0, stream(0, "x"))
    assert np.isinf(far[[0, 1, 2]]).all()
    assert far[3] == 4.0


def test_mixed_pixels_lie_between_their_neighbours():
    true = np.tile([3.0, 3.0, 3.6, 3.6], 500)
    got = noisy_ranges(
        true, LidarConfig(beams=2000, mixed=1.0, sigma=0.0, dropout=0.0), 1.0, stream(1, "lidar")
    )
    moved = np.abs(got - true) > 1e-6
    assert moved.sum() > 900
    assert (got[moved] > 3.0).all()
    assert (got[moved] < 3.6).all()


def test_scan_matches_the_scenes_map():
    scene = generate("office", 2)
    grid = scene_map(scene)
    region = next(r for r in scene.regions if r.kind == "corridor")
    pose = Pose2(*region.centre, 0.3)
    (scan, _) = scans(scene, pose, np.zeros((0, 2)))
    points = scan.points()
    c, s = np.cos(pose.yaw), np.sin(pose.yaw)
    world = points @ np.array([[c, s], [-s, c]]) + (pose.x, pose.y)
    cells = grid.to_cells(world)
    near = [
        (grid.data[max(r - 1, 0) : r + 2, max(k - 1, 0) : k + 2] == 100).any()
        for r, k in cells[grid.inside(cells)]
    ]
    assert np.mean(near) > 0.9  # the rest are doors and chairs, which no map holds
