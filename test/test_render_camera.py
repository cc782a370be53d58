"""Intrinsics, viewpoints and the noise of the RGB-D camera; shapes of a scene."""

import numpy as np
import pytest

from lifelong_nav.core.config import build
from lifelong_nav.core.geometry import matrix, rpy_to_xyzw
from lifelong_nav.core.types import Pose2, Pose3
from lifelong_nav.sim import decor, shapes, textures
from lifelong_nav.sim.camera import (
    CameraNoise,
    Intrinsics,
    chase_camera,
    depth_edges,
    look_at,
    noisy_depth,
    noisy_rgb,
    optical,
    overview_camera,
)  # fmt: skip
from lifelong_nav.sim.scene import Door, FloorPatch, Scene, Wall


def test_intrinsics_hold_the_field_of_view():
    lens = Intrinsics(320, 240, 70.0)
    edge = np.arctan((320 / 2.0) / lens.k[0, 0])
    assert np.degrees(2 * edge) == pytest.approx(70.0)
    assert lens.k[0, 2] == 159.5
    assert lens.p.shape == (3, 4)


def test_depth_noise_grows_with_the_square_of_the_distance():
    noise = build(CameraNoise, {"holes": 0.0, "edge_holes": 0.0})
    rng = np.random.default_rng(1)
    sigma = [np.std(noisy_depth(np.full((200, 200), z, np.float32), noise, rng) - z) for z in (1.0, 2.0, 4.0)]
    assert sigma == pytest.approx([0.0031, 0.0088, 0.0316], rel=0.05)


def test_depth_noise_makes_holes_and_limits():
    noise = build(CameraNoise, {"holes": 0.1, "depth_max": 5.0})
    depth = np.full((100, 100), 2.0, np.float32)
    depth[:, 50:] = 6.0
    depth[:10] = np.nan
    out = noisy_depth(depth, noise, np.random.default_rng(2))
    assert out.dtype == np.float32
    assert np.isnan(out[:, 50:]).all()
    assert np.isnan(out[:10]).all()
    assert np.isnan(out[20:, :48]).mean() == pytest.approx(0.1, abs=0.02)
    assert depth_edges(depth)[50, 49]
    assert not depth_edges(depth)[50, 20]
    same = [noisy_depth(depth, noise, np.random.default_rng(7)) for _ in range(2)]
    np.testing.assert_array_equal(*same)


def test_depth_steps():
    noise = build(CameraNoise, {"depth_step": 0.01, "holes": 0.0})
    out = noisy_depth(np.full((20, 20), 3.0, np.float32), noise, np.random.default_rng(0))
    assert np.allclose(out * 100.0, np.round(out * 100.0), atol=1e-3)


def test_rgb_noise_stays_in_range_and_keeps_the_mean():
    rgb = np.full((100, 100, 3), 120, np.uint8)
    out = noisy_rgb(rgb, CameraNoise(rgb_gain=0.0), np.random.default_rng(0))
    assert out.dtype == np.uint8
    assert out.mean() == pytest.approx(120.0, abs=0.2)
    assert out.std() == pytest.approx(2.0, abs=0.2)
    bright = noisy_rgb(np.full((9, 9, 3), 255, np.uint8), CameraNoise(), np.random.default_rng(0))
    assert bright.min() > 200


def test_optical_frame_looks_ahead():
    turn = matrix(optical(Pose3(np.zeros(3), rpy_to_xyzw(0.0, 0.0, np.pi / 2.0))))[:3, :3]
    np.testing.assert_allclose(turn @ [0, 0, 1], [0, 1, 0], atol=1e-12)
    np.testing.assert_allclose(turn @ [1, 0, 0], [1, 0, 0], atol=1e-12)
    np.testing.assert_allclose(turn @ [0, 1, 0], [0, 0, -1], atol=1e-12)
    ahead = matrix(look_at((0, 0, 1.0), (5.0, 0, 1.0)))[:3, :3]
    np.testing.assert_allclose(ahead @ [1, 0, 0], [0, -1, 0], atol=1e-12)
    down = matrix(look_at((0, 0, 9.0), (0, 0, 0)))[:3, :3]
    np.testing.assert_allclose(down @ [0, 0, 1], [0, 0, -1], atol=1e-12)


def project(pose, points, lens):
    local = (np.asarray(points, float) - pose.position) @ matrix(pose)[:3, :3]
    pixel = local @ lens.k.T
    return pixel[:, :2] / pixel[:, 2:], local[:, 2]


@pytest.mark.parametrize("size", [(30.0, 8.0), (8.0, 30.0), (12.0, 12.0)])
@pytest.mark.parametrize("tilt", [0.0, 0.45])
def test_overview_holds_the_whole_plan(size, tilt):
    scene = Scene("s", (Wall((0, 0), size),))
    lens = Intrinsics(480, 360, 60.0)
    corners = [(x, y, 0.0) for x in (0, size[0]) for y in (0, size[1])]
    pixel, depth = project(overview_camera(scene, 60.0, 480 / 360, tilt), corners, lens)
    assert (depth > 0).all()
    assert (pixel > 0).all()
    assert (pixel < [480, 360]).all()


def test_chase_camera_has_the_robot_in_the_middle():
    lens = Intrinsics(480, 360, 70.0)
    pixel, depth = project(chase_camera(Pose2(3.0, 1.0, 2.0)), [(3.0, 1.0, 0.5)], lens)
    assert depth[0] > 2.0
    assert abs(pixel[0, 0] - 239.5) < 1.0
    assert 180 < pixel[0, 1] < 340


def test_ramp_starts_level_and_climbs():
    ramp = FloorPatch("r", 2.0, 3.0, 2.0, 1.0, yaw=0.5, slope=0.1)
    shape = shapes.patch_shape(ramp, 0)
    for side, height in ((-1.0, 0.0), (1.0, 2.0 * np.tan(0.1))):
        end = shape.pose @ [side * shape.size[0] / 2.0, 0.0, shape.size[2] / 2.0, 1.0]
        assert end[2] == pytest.approx(height, abs=1e-9)
        expected = np.array([2.0, 3.0]) + side * np.array([np.cos(0.5), np.sin(0.5)])
        np.testing.assert_allclose(end[:2], expected, atol=1e-9)


def test_doors_hang_on_their_hinges():
    door = Door("d", 1.0, 2.0, 0.3, swing=-1, angle=0.4)
    leaf = shapes.door_transform(door) @ shapes.door_shape(door, 0).pose
    tip = leaf @ [door.width / 2.0, 0.0, 0.0, 1.0]
    turn = 0.3 - 0.4
    np.testing.assert_allclose(tip[:2], [1.0 + 0.9 * np.cos(turn), 2.0 + 0.9 * np.sin(turn)])


def test_walls_close_corners_but_do_not_cover_each_other():
    corner = shapes.wall_shapes((Wall((0, 0), (4, 0)), Wall((4, 0), (4, 3))))
    assert corner[0].size[0] == pytest.approx(4.0 + 0.056)
    line = shapes.wall_shapes((Wall((0, 0), (4, 0)), Wall((4, 0), (7, 0))))
    assert line[0].size[0] == pytest.approx(4.0)
    np.testing.assert_allclose(line[1].pose[:2, 3], [5.5, 0.0])


def test_decor_depends_on_the_seed_alone():
    walls = (Wall((0, 0), (9, 0)), Wall((9, 0), (9, 5)))
    one, two, other = (decor.world_shapes(Scene("s", walls, textures_seed=s)) for s in (1, 1, 2))
    assert [s.texture for s in one] == [s.texture for s in two]
    assert [s.colour for s in one] != [s.colour for s in other]
    pictures, lie = textures.pictures(1)
    assert pictures.shape == (textures.COUNT, textures.SIZE, textures.SIZE, 3)
    assert lie.shape == (textures.COUNT, 4)
    assert textures.layer("bookshelf") == textures.layer("books")
    assert textures.layer("wall", 0) != textures.layer("wall", 1)
