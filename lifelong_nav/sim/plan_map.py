"""The map a SLAM run would make of a scene: what stands fixed at the lidar's height, doors open."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lifelong_nav.core.grid import FREE, OCCUPIED, UNKNOWN, OccupancyGrid
from lifelong_nav.sim.robot_urdf import LIDAR_HEIGHT
from lifelong_nav.sim.scene import Scene
from lifelong_nav.sim.shapes import wall_shapes


def scene_map(scene: Scene, resolution: float = 0.05, height: float = LIDAR_HEIGHT) -> OccupancyGrid:
    """Occupancy of a scene in frame `map`.

    Args:
        scene: the building.
        resolution: cell size [m].
        height: of the scanning plane [m].

    Returns:
        Grid over the scene's bounds: walls and fixed furniture occupied, floor connected to any region
        free, the rest unknown (what no scan reaches: outdoors, insides of solids).
    """
    x0, y0, x1, y1 = scene.bounds(0.5)
    shape = (int(np.ceil((y1 - y0) / resolution)), int(np.ceil((x1 - x0) / resolution)))
    solid = np.zeros(shape, dtype=bool)
    origin = (x0, y0)
    for wall in wall_shapes(scene.walls):
        if wall.size[2] > height:
            yaw = float(np.arctan2(wall.pose[1, 0], wall.pose[0, 0]))
            _stamp(solid, origin, resolution, wall.pose[0, 3], wall.pose[1, 3], yaw, wall.size[:2], False)
    for box in scene.boxes:
        if box.mass == 0.0 and box.z < height < box.z + box.size[2]:
            round_one = box.shape == "cylinder"
            _stamp(solid, origin, resolution, box.x, box.y, box.yaw, box.size[:2], round_one)
    data = np.where(solid, OCCUPIED, UNKNOWN).astype(np.int8)
    data[_seen(scene, solid, origin, resolution)] = FREE
    return OccupancyGrid(data, resolution, origin)


def _seen(
    scene: Scene, solid: NDArray[np.bool_], origin: tuple[float, float], resolution: float
) -> NDArray[np.bool_]:
    """Free cells connected to a region; all free cells where a scene has none."""
    from scipy import ndimage

    labels, _ = ndimage.label(~solid)
    if not scene.regions:
        return ~solid
    wanted = set()
    for region in scene.regions:
        low = np.floor((np.array(region.low) - origin) / resolution).astype(int)
        high = np.ceil((np.array(region.high) - origin) / resolution).astype(int)
        wanted |= set(np.unique(labels[max(low[1], 0) : high[1], max(low[0], 0) : high[0]]).tolist())
    return np.isin(labels, sorted(wanted - {0}))


def _stamp(
    solid: NDArray[np.bool_], origin: tuple[float, float], resolution: float, x: float, y: float, yaw: float,
    size: tuple[float, ...], round_one: bool,
) -> None:  # fmt: skip
    """Fill the cells a rectangle or disc covers; thin walls fill at least the cells of their middle."""
    half = np.maximum(np.array(size[:2]) / 2.0, resolution * 0.5)
    reach = float(np.hypot(*half)) + resolution
    height, width = solid.shape
    c0, c1 = (int(np.clip((x + d - origin[0]) / resolution, 0, width)) for d in (-reach, reach + resolution))
    r0, r1 = (int(np.clip((y + d - origin[1]) / resolution, 0, height)) for d in (-reach, reach + resolution))
    dx = origin[0] + (np.arange(c0, c1) + 0.5) * resolution - x
    dy = (origin[1] + (np.arange(r0, r1) + 0.5) * resolution - y)[:, None]
    if round_one:
        solid[r0:r1, c0:c1] |= np.hypot(dx, dy) <= half[0]
        return
    u, v = np.cos(yaw) * dx + np.sin(yaw) * dy, -np.sin(yaw) * dx + np.cos(yaw) * dy
    solid[r0:r1, c0:c1] |= (np.abs(u) <= half[0]) & (np.abs(v) <= half[1])
