"""Scenes as YAML files: `sim/scenes/*.yaml`, and any file of the same form.

    kind: office        # a building from a seed ...
    seed: 3
    size: {rooms: 4}
    floors: [{name: wet, x: 4, y: 1.2, length: 2, width: 2, friction: 0.1}]    # ... with additions

or every part by hand, as `scene_file` describes.
"""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import yaml

from lifelong_nav.core.config import load_yaml
from lifelong_nav.core.errors import ConfigError
from lifelong_nav.core.storage import atomic_write
from lifelong_nav.sim.building import generate
from lifelong_nav.sim.fields import Fields
from lifelong_nav.sim.scene import Scene, Wall
from lifelong_nav.sim.scene_file import scene_from

_GENERATED = ("kind", "seed", "size", "friction", "textures_seed")


def load_scene(path: Path | str) -> Scene:
    """Read a scene.

    Args:
        path: a YAML file.

    Raises:
        ConfigError: the file cannot be read, or a field is missing, unknown or out of range; the
            message names it.
    """
    path = Path(path)
    data = load_yaml(path)
    try:
        return _scene(data, path.stem)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error.what}", error.fix) from error


def save_scene(path: Path | str, scene: Scene) -> None:
    """Write a scene so that `load_scene` reads back the same parts.

    Raises:
        ConfigError: a wall is not of the standard height and thickness, which the file form fixes.
        StorageError: the file cannot be written.
    """
    standard = Wall((0.0, 0.0), (1.0, 0.0))
    if any((w.height, w.thickness) != (standard.height, standard.thickness) for w in scene.walls):
        raise ConfigError(f"Scene '{scene.name}' has walls of several kinds.", "Use walls of standard size.")
    data: dict[str, Any] = {"friction": scene.friction, "textures_seed": scene.textures_seed}
    data["walls"] = [[*w.a, *w.b] for w in scene.walls]
    data["regions"] = {
        r.name: {"kind": r.kind, "low": list(r.low), "high": list(r.high)} for r in scene.regions
    }
    data["boxes"] = [_plain(box) for box in scene.boxes]
    data["doors"] = [_plain(door) for door in scene.doors]
    data["floors"] = [{k: v for k, v in _plain(patch).items() if k != "colour"} for patch in scene.floors]
    atomic_write(Path(path), yaml.safe_dump(data, sort_keys=False, default_flow_style=None).encode())


def _scene(data: dict[str, Any], name: str) -> Scene:
    if "kind" not in data:
        return scene_from(data, name)
    f = Fields({k: v for k, v in data.items() if k in _GENERATED}, name)
    size = f.sub("size")
    measures = {key: size.number(key) for key in size.data}
    base = generate(f.text("kind"), f.whole("seed", 0, 0, 2**31 - 1), **measures)
    extra = scene_from({k: v for k, v in data.items() if k not in _GENERATED}, name)
    return replace(
        base,
        name=name,
        walls=base.walls + extra.walls,
        boxes=base.boxes + extra.boxes,
        doors=base.doors + extra.doors,
        floors=base.floors + extra.floors,
        regions=base.regions + extra.regions,
        friction=f.number("friction", base.friction, 0.0, 2.0),
        textures_seed=f.whole("textures_seed", base.textures_seed),
    )


def _plain(part: Any) -> dict[str, Any]:
    """Fields of a part as YAML values."""
    values = {f.name: getattr(part, f.name) for f in fields(part)}
    return {k: list(v) if isinstance(v, tuple) else v for k, v in values.items()}
