"""Generated buildings and scene files: passable, named, repeatable, well-formed."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from lifelong_nav.core.errors import ConfigError
from lifelong_nav.core.grid import FREE, OCCUPIED, load_map, save_map
from lifelong_nav.sim.building import KINDS, generate
from lifelong_nav.sim.plan import Opening, wall_line
from lifelong_nav.sim.plan_map import scene_map
from lifelong_nav.sim.scene import Box, Scene
from lifelong_nav.sim.scene_io import load_scene, save_scene

SCENES = sorted((Path(__file__).parent.parent / "sim" / "scenes").glob("*.yaml"))


def unreachable(scene: Scene, radius: float = 0.32) -> list[str]:
    """Regions whose centre a round robot cannot reach from the first one."""
    boxes = [b for b in scene.boxes if b.z < 0.1]  # loose things block as well
    solid = tuple(replace(b, z=0.0, mass=0.0, size=(*b.size[:2], 1.0)) for b in boxes)
    fixed = replace(scene, boxes=solid)
    grid = scene_map(fixed)
    n = int(np.ceil(radius / grid.resolution))
    yy, xx = np.mgrid[-n : n + 1, -n : n + 1]
    blocked = ndimage.binary_dilation(grid.data != FREE, np.hypot(xx, yy) * grid.resolution <= radius)
    labels, _ = ndimage.label(~blocked)
    cells = grid.to_cells(np.array([r.centre for r in scene.regions]))
    found = labels[cells[:, 0], cells[:, 1]]
    return [r.name for r, label in zip(scene.regions, found, strict=True) if label == 0 or label != found[0]]


@pytest.mark.parametrize("kind", KINDS)
def test_every_region_can_be_reached(kind):
    for seed in range(60 if kind == "office" else 4):
        assert unreachable(generate(kind, seed)) == [], seed


def test_offices_are_offices():
    for seed in range(10):
        scene = generate("office", seed)
        rooms = [r for r in scene.regions if r.kind in ("office", "kitchen", "meeting", "storage", "lab")]
        names = {r.name for r in scene.regions}
        assert len(rooms) == 10
        assert {"corridor", "kitchen", "office_1", "office_1_door"} <= names
        doorways = [r for r in scene.regions if r.kind == "doorway"]
        assert min(r.high[0] - r.low[0] for r in doorways) >= 1.0
        assert len({b.name for b in scene.boxes}) == len(scene.boxes)
        assert sum(b.mass == 0 for b in scene.boxes) > 15
        assert sum(b.mass > 0 for b in scene.boxes) > 5


def test_same_seed_same_building_and_other_seed_another():
    assert generate("office", 4) == generate("office", 4)
    assert generate("office", 4).boxes != generate("office", 5).boxes
    assert len(generate("office", 4, rooms=3).regions) < len(generate("office", 4).regions)


def test_wrong_requests_say_what_is_possible():
    with pytest.raises(ConfigError, match=r"castle.*corridor, office"):
        generate("castle")
    with pytest.raises(ConfigError, match=r"measure 'towers'"):
        generate("hall", towers=3)
    with pytest.raises(ConfigError, match=r"gap = 0\.2"):
        generate("doorway", gap=0.2)
    with pytest.raises(ConfigError, match="negative"):
        generate("hall", -1)


def test_openings_leave_their_width():
    walls = wall_line((0, 0), (10, 0), [Opening(7.0, 1.2), Opening(2.0, 1.0)])
    assert [x for w in walls for x in (w.a[0], w.b[0])] == pytest.approx([0, 1.5, 2.5, 6.4, 7.6, 10])


@pytest.mark.parametrize("path", SCENES, ids=[p.stem for p in SCENES])
def test_shipped_scenes_load_and_come_back(path, tmp_path):
    scene = load_scene(path)
    assert unreachable(scene) == []
    save_scene(tmp_path / "copy.yaml", scene)
    copy = load_scene(tmp_path / "copy.yaml")
    assert (copy.walls, copy.boxes, copy.doors, copy.regions) == (
        scene.walls, scene.boxes, scene.doors, scene.regions,
    )  # fmt: skip
    assert [f.name for f in copy.floors] == [f.name for f in scene.floors]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("kind: office\nseeds: 3", "seeds"),
        ("kind: office\nsize: {rooms: many}", "many"),
        ("walls: [[0, 0, 1]]", "4 numbers"),
        ("outline: [0, 0, 5, 5]\nboxes: [{name: a, x: 1}]", "y"),
        ("outline: [0, 0, 5, .nan]", "outline"),
        ("- 1", "mapping"),
        ("walls: [", "YAML"),
    ],
)
def test_wrong_scene_files_name_the_fault(text, message, tmp_path):
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=message) as caught:
        load_scene(path)
    assert "bad" in caught.value.what


def test_map_holds_walls_at_lidar_height_and_survives_a_file(tmp_path):
    scene = Scene(
        "s", generate("doorway", 0).walls, (
            Box("low", "rug", 2.0, 2.0, size=(1.0, 1.0, 0.1)),
            Box("top", "table", 9.0, 2.0, z=0.7, size=(1, 1, 0.05)),
            Box("solid", "cabinet", 2.0, 4.5, size=(1.0, 0.5, 0.8)),
            Box("loose", "chair", 9.0, 4.0, mass=4.0),
        ), regions=generate("doorway", 0).regions,
    )  # fmt: skip
    grid = scene_map(scene)

    def at(x, y):
        row, column = grid.to_cells(np.array([x, y]))
        return grid.data[row, column]

    assert at(2.0, 4.5) == OCCUPIED
    assert at(0.0, 3.0) == OCCUPIED
    assert [at(2.0, 2.0), at(9.0, 2.0), at(9.0, 4.0)] == [FREE, FREE, FREE]
    assert at(-0.3, 3.0) == -1
    save_map(tmp_path / "m.yaml", grid)
    assert np.array_equal(load_map(tmp_path / "m.yaml").data, grid.data)
