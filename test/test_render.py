"""Both renderers against geometry that can be worked out by hand, and against each other."""

import numpy as np
import pytest

from lifelong_nav.core.errors import InputError, SimError
from lifelong_nav.core.geometry import matrix
from lifelong_nav.sim import figures, shapes
from lifelong_nav.sim.camera import Intrinsics, depth_edges, look_at
from lifelong_nav.sim.crowd.state import CrowdState
from lifelong_nav.sim.render import make_renderer
from lifelong_nav.sim.scene import Box, Door, FloorPatch, Region, Scene, Wall

EYE = np.array([1.0, 2.0, 1.2])


def gl_works() -> bool:
    try:
        make_renderer("gl", Scene("none"), [], 4, 4).close()
    except SimError:
        return False
    return True


needs_gl = pytest.mark.skipif(not gl_works(), reason="no OpenGL 4.3 context through EGL on this machine")
both = pytest.mark.parametrize("kind", [pytest.param("gl", marks=needs_gl), "tiny"])


def room() -> Scene:
    walls = (
        Wall((0, 0), (3, 0)),
        Wall((3.9, 0), (10, 0)),
        Wall((10, 0), (10, 4)),
        Wall((10, 4), (0, 4)),
        Wall((0, 4), (0, 0)),
    )
    boxes = (
        Box("desk", "desk", 6.0, 3.0, 0.4, size=(1.2, 0.6, 0.7)),
        Box("bin", "bin", 5.0, 1.0, size=(0.4, 0.4, 0.6), shape="cylinder"),
        Box("carton", "carton", 4.0, 3.2, 0.2, size=(0.4, 0.3, 0.3), mass=2.0),
    )
    doors = (Door("door", 3.0, 0.0, 0.0, angle=0.7),)
    patches = (FloorPatch("ramp", 8.0, 1.2, 1.5, 1.0, slope=0.1), FloorPatch("wet", 6.5, 1.8, 1.0, 1.0))
    return Scene("room", walls, boxes, doors, patches, (Region("all", "room", (0, 0), (10, 4)),), 0.8, 3)


def crowd(positions, speed=1.2) -> CrowdState:
    n = len(positions)
    heading = np.linspace(0.0, 3.0, n)
    velocity = speed * np.column_stack([np.cos(heading), np.sin(heading)])
    groups = np.full(n, -1)
    ids = np.arange(n) + 5
    here = np.ones(n, bool)
    return CrowdState(ids, np.array(positions, float), velocity, heading, np.full(n, 0.25), groups, here)


PEOPLE = crowd([(4.0, 2.0), (6.0, 1.6), (7.5, 2.6), (3.4, 1.2)])


@pytest.fixture
def make():
    opened = []

    def build(kind, scene=None, width=160, height=120, extra=(), seed=1):
        scene = scene or room()
        moving = [*shapes.movable_shapes(scene), *extra]
        opened.append(make_renderer(kind, scene, moving, width, height, 80.0, seed))
        return opened[-1]

    yield build
    for renderer in opened:
        renderer.close()


def shoot(renderer, eye=EYE, target=(9.0, 2.0, 0.9), people=PEOPLE, scene=None):
    gait = figures.new_gait(people) if people is not None else None
    return renderer.render(look_at(eye, target), shapes.start_transforms(scene or room()), people, gait, 1.0)


@both
def test_wall_ahead_has_exact_depth_and_names(make, kind):
    frame = shoot(make(kind), target=(9.0, 2.0, 1.2), people=None)
    assert frame.rgb.shape == (120, 160, 3)
    assert frame.rgb.dtype == np.uint8
    assert frame.depth.dtype == np.float32
    assert frame.ids.dtype == np.int32
    assert frame.ids[55, 80] == shapes.WALL
    assert frame.depth[55, 80] == pytest.approx(10.0 - 0.06 - 1.0, abs=0.02)
    assert (frame.ids[-1] != shapes.WALL).any()
    assert frame.ids[0, 80] == shapes.CEILING


@both
def test_points_of_floor_lie_on_the_floor(make, kind):
    """Depth, intrinsics and the optical frame fit together: a picture back in 3-D is the room."""
    renderer = make(kind)
    camera = look_at(EYE, (6.0, 2.5, 0.4))
    frame = renderer.render(camera, shapes.start_transforms(room()))
    lens = Intrinsics(160, 120, 80.0)
    row, column = np.nonzero(frame.ids == shapes.FLOOR)
    z = frame.depth[row, column].astype(float)
    rays = np.linalg.inv(lens.k) @ np.stack([column, row, np.ones(len(row))])
    points = (matrix(camera)[:3, :3] @ (rays * z)).T + EYE
    assert len(points) > 500
    assert np.abs(points[:, 2]).max() < 0.005
    assert points[:, 0].max() < 10.0
    desk = frame.ids == shapes.BOX_ID
    assert desk.sum() > 20


@both
def test_nothing_is_nan_and_minus_one(make, kind):
    frame = shoot(make(kind, Scene("void")), people=None, target=(9.0, 2.0, 9.0), scene=Scene("void"))
    assert np.isnan(frame.depth).all()
    assert (frame.ids == shapes.NOTHING).all()


@both
def test_door_and_loose_box_follow_their_transforms(make, kind):
    renderer = make(kind)
    start = shapes.start_transforms(room())
    camera = look_at((1.0, 3.0, 1.2), (3.6, 0.6, 1.0))
    seen = renderer.render(camera, start).ids == shapes.DOOR_ID
    shut = start.copy()
    shut[0] = shapes.door_transform(room().doors[0], 0.0)
    closed = renderer.render(camera, shut).ids == shapes.DOOR_ID
    assert seen.sum() > 100
    assert closed.sum() > 100
    assert (seen != closed).mean() > 0.01
    away = start.copy()
    away[1, 2, 3] = -5.0
    carton = shapes.BOX_ID + 2
    low = look_at((2.5, 2.5, 1.0), (4.0, 3.2, 0.1))
    assert (renderer.render(low, start).ids == carton).sum() > 50
    assert not (renderer.render(low, away).ids == carton).any()


@both
def test_people_come_and_go_and_bad_transforms_are_refused(make, kind):
    renderer = make(kind)
    frame = shoot(renderer)
    assert set(np.unique(frame.ids[frame.ids >= shapes.PERSON_ID]) - shapes.PERSON_ID) == {5, 6, 7, 8}
    fields = {f: getattr(PEOPLE, f) for f in CrowdState.__dataclass_fields__}
    fewer = CrowdState(**{**fields, "present": np.array([True, False, True, False])})
    seen = np.unique(shoot(renderer, people=fewer).ids)
    assert set(seen[seen >= shapes.PERSON_ID] - shapes.PERSON_ID) == {5, 7}
    assert not (shoot(renderer, people=None).ids >= shapes.PERSON_ID).any()
    for wrong in (np.zeros((1, 4, 4)), np.full((2, 4, 4), np.nan)):
        with pytest.raises(InputError):
            renderer.render(look_at(EYE, (9, 2, 1)), wrong)


@both
def test_mesh_shapes_are_drawn_where_they_are(make, kind):
    box = np.array([(x, y, z) for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], dtype=float)
    faces = [(0, 1, 3), (0, 3, 2), (4, 6, 7), (4, 7, 5), (0, 4, 5), (0, 5, 1)]
    faces += [(2, 3, 7), (2, 7, 6), (0, 2, 6), (0, 6, 4), (1, 5, 7), (1, 7, 3)]
    size, number = (0.2, 0.2, 0.2), shapes.ROBOT_ID
    cube = shapes.Shape("mesh", size, (0, 1, 0), number, vertices=box, faces=np.array(faces))
    renderer = make(kind, Scene("void"), extra=[cube])
    where = shapes.planar(3.0, 2.0, 1.2, 0.0)[None]
    frame = renderer.render(look_at(EYE, (3.0, 2.0, 1.2)), where)
    assert frame.ids[60, 80] == shapes.ROBOT_ID
    assert frame.depth[60, 80] == pytest.approx(1.8, abs=1e-3)
    assert frame.rgb[60, 80, 1] > 100 + frame.rgb[60, 80, 0]


@needs_gl
@pytest.mark.parametrize("target", [(9.0, 2.0, 0.9), (6.0, 3.5, 0.5), (2.5, 0.2, 0.8)])
def test_renderers_agree(make, target):
    a, b = (shoot(make(kind, width=320, height=240), target=target) for kind in ("gl", "tiny"))
    assert (a.ids == b.ids).mean() > 0.99
    away = ~depth_edges(a.depth, 0.05)
    assert away.mean() > 0.5
    assert (np.abs(a.depth - b.depth)[away] < 0.01).mean() > 0.98


@needs_gl
def test_gl_repeats_itself_and_contexts_live_side_by_side(make):
    first, other = make("gl", seed=1), make("gl", seed=2)
    a, b, c = shoot(first), shoot(other), shoot(first)
    for name in ("rgb", "ids", "depth"):
        np.testing.assert_array_equal(getattr(a, name), getattr(c, name))
    assert (a.rgb != b.rgb).any()


@needs_gl
def test_gl_walls_are_not_flat_and_follow_the_texture_seed(make):
    view = [(1.0, 2.0, 1.2), (5.0, 4.0, 1.2)]
    pictures = []
    for seed in (1, 2):
        walls = room().walls
        frame = shoot(make("gl", Scene("w", walls, textures_seed=seed)), *view, None, Scene("w"))
        wall = frame.ids == shapes.WALL
        assert frame.rgb[wall].astype(float).std(axis=0).max() > 4.0
        pictures.append(frame.rgb.astype(float))
    assert np.abs(pictures[0] - pictures[1]).mean() > 5.0


@needs_gl
def test_people_behind_walls_are_left_out_without_changing_the_picture(make, monkeypatch):
    from lifelong_nav.sim import instances

    walls = (*room().walls, Wall((5, 0), (5, 1.4)), Wall((5, 2.6), (5, 4)))
    scene = Scene("two", walls)
    people = crowd([(5.5 + 0.4 * i, 0.3 + 0.4 * i) for i in range(10)])
    culled = shoot(make("gl", scene), people=people, scene=scene)
    gone = instances.hidden(EYE[:2], people.positions, 0.6, scene.segments())
    assert gone.any()
    assert not gone.all()
    monkeypatch.setattr(instances, "hidden", lambda e, p, r, w: np.zeros(len(p), bool))
    whole = shoot(make("gl", scene), people=people, scene=scene)
    np.testing.assert_array_equal(culled.ids, whole.ids)


@needs_gl
def test_twenty_renderers_leave_nothing_behind():
    psutil = pytest.importorskip("psutil")
    process = psutil.Process()
    for i in range(21):
        renderer = make_renderer("gl", room(), shapes.movable_shapes(room()), 64, 48)
        shoot(renderer)
        renderer.close()
        renderer.close()
        if i == 5:
            before, files = process.memory_info().rss, process.num_fds()
    assert process.memory_info().rss - before < 30e6
    assert process.num_fds() <= files + 1


@both
def test_a_closed_renderer_says_so(kind):
    renderer = make_renderer(kind, Scene("void"), [], 8, 8)
    renderer.close()
    with pytest.raises(SimError, match="closed"):
        renderer.render(look_at(EYE, (9, 2, 1)), np.zeros((0, 4, 4)))


def test_auto_falls_back_to_tiny_and_gl_says_what_is_missing(monkeypatch):
    from lifelong_nav.sim import render_gl

    def broken():
        raise SimError("No OpenGL 4.3 context can be made.", "Install the packages libegl1.")

    monkeypatch.setattr(render_gl, "_new_context", broken)
    renderer = make_renderer("auto", Scene("void"), [], 8, 8)
    assert renderer.name == "tiny"
    renderer.close()
    with pytest.raises(SimError, match="libegl1"):
        make_renderer("gl", Scene("void"), [], 8, 8)


def test_wrong_requests_are_refused():
    for bad in (("vulkan", 8, 8, 70.0), ("tiny", 0, 8, 70.0), ("tiny", 8, 9000, 70.0), ("tiny", 8, 8, 180.0)):
        with pytest.raises(InputError):
            make_renderer(bad[0], Scene("void"), [], *bad[1:])
    with pytest.raises(InputError):
        shapes.Shape("cone", (1, 1, 1), (0, 0, 0), 1)
    with pytest.raises(InputError):
        shapes.Shape("mesh", (1, 1, 1), (0, 0, 0), 1)
    with pytest.raises(InputError):
        shapes.Shape("box", (1, 0, 1), (0, 0, 0), 1)
    with pytest.raises(InputError):
        shapes.Shape("box", (1, 1, 1), (0, 0, 0), -1)
