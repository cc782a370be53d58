"""From shapes and people to the rows the GL renderer draws: placed, culled, sorted. Plain numpy.

A row is 21 float32: the three upper rows of the (4, 4) transform, x, y, z factors and half length
(`meshes.size_row`), red, green, blue, texture layer, and the id.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from lifelong_nav.core.types import FloatArray
from lifelong_nav.sim.crowd.state import CrowdState
from lifelong_nav.sim.figure_looks import PARTS, looks, part_sizes, part_transforms
from lifelong_nav.sim.figures import GaitState, figure_transforms
from lifelong_nav.sim.meshes import LEVELS, size_row
from lifelong_nav.sim.shapes import MAX_ID, PERSON_ID, Shape
from lifelong_nav.sim.textures import layer

WIDTH = 21
ROUND = ("cylinder", "sphere", "capsule")
BOX_GROUP = 0
_TALL = 2.1  # m, height of the sphere that holds a person
_LEVEL_PIXELS = (320.0, 110.0, 34.0)  # a person this tall in the picture gets level 0, 1, 2


def group_of(kind: str, level: int) -> int:
    """Draw group of a solid: 0 boxes, then the round solids by fineness; meshes follow `MESH_GROUP`."""
    return BOX_GROUP if kind == "box" else 1 + ROUND.index(kind) * LEVELS + level


MESH_GROUP = 1 + len(ROUND) * LEVELS


def shape_rows(shapes: Sequence[Shape]) -> NDArray[np.float32]:
    """(N, 21) rows of shapes, placed by their own pose."""
    rows = np.zeros((len(shapes), WIDTH), dtype=np.float32)
    for row, shape in zip(rows, shapes, strict=True):
        row[:12] = shape.pose[:3].ravel()
        row[12:16] = size_row(shape.kind, np.array(shape.size))
        row[16:19] = shape.colour
        name, _, pick = shape.texture.partition("/")
        row[19] = layer(name, int(pick or 0)) if shape.kind == "box" else 0
        row[20] = shape.body
    return rows


def shape_radius(shape: Shape) -> float:
    """Radius [m] of the sphere about a shape's origin that holds it."""
    if shape.vertices is not None:
        return float(np.linalg.norm(np.asarray(shape.vertices) * shape.size, axis=1).max())
    return float(np.linalg.norm(shape.size)) / 2.0


class PeopleRows:
    """Rows of the figures; sizes and colours are kept while the same people are present."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._ids: NDArray[np.int64] = np.zeros(0, dtype=np.int64)
        self._fixed = np.zeros((0, len(PARTS.kinds), WIDTH), dtype=np.float32)

    def rows(self, people: CrowdState, gait: GaitState | None, time: float) -> NDArray[np.float32]:
        """(N, K, 21) rows of the people given, all of them present."""
        body = looks(people.ids, self._seed)
        if not np.array_equal(people.ids, self._ids):
            self._ids = np.array(people.ids)
            self._fixed = np.zeros((len(people.ids), len(PARTS.kinds), WIDTH), dtype=np.float32)
            sizes = part_sizes(body)
            for k, kind in enumerate(PARTS.kinds):
                self._fixed[:, k, 12:16] = size_row(kind, sizes[:, k])
            self._fixed[:, :, 16:19] = body.colours[:, PARTS.colours]
            self._fixed[:, :, 20] = person_ids(people.ids)[:, None]
        links = figure_transforms(people, gait, time, self._seed)
        placed = part_transforms(links, body)[:, :, :3]
        self._fixed[:, :, :12] = placed.reshape(*placed.shape[:2], 12)
        return self._fixed


def person_ids(ids: NDArray[np.int64]) -> NDArray[np.int64]:
    """Numbers of people in the id image (N,); ids too large for it share the last number."""
    return np.clip(PERSON_ID + np.asarray(ids), PERSON_ID, MAX_ID)


def chosen(state: CrowdState, keep: NDArray[np.bool_]) -> CrowdState:
    """The people marked in `keep` (N,)."""
    fields = (getattr(state, f) for f in CrowdState.__dataclass_fields__)
    return CrowdState(*(np.asarray(v)[keep] for v in fields))


def frustum(view: FloatArray, tan_x: float, tan_y: float) -> FloatArray:
    """(5, 4) inward planes of the view volume in the world: near side (z = 0), left, right, top, bottom.

    Args:
        view: (4, 4) world to optical frame.
        tan_x: tangent of half the horizontal field of view.
        tan_y: tangent of half the vertical field of view.
    """
    planes = np.array(
        [(0, 0, 1.0), (1.0, 0, tan_x), (-1.0, 0, tan_x), (0, 1.0, tan_y), (0, -1.0, tan_y)], dtype=float
    )
    planes /= np.linalg.norm(planes, axis=1, keepdims=True)
    return np.hstack([planes @ view[:3, :3], (planes @ view[:3, 3])[:, None]])


def visible(planes: FloatArray, centres: FloatArray, radii: FloatArray) -> NDArray[np.bool_]:
    """(N,) True where a sphere touches the view volume."""
    distance = centres @ planes[:, :3].T + planes[:, 3]
    return np.all(distance > -np.asarray(radii)[:, None], axis=1)


def hidden(eye: FloatArray, points: FloatArray, radius: float, walls: FloatArray) -> NDArray[np.bool_]:
    """(N,) True where one wall covers the whole disc at a point, as seen from the eye, in the plane.

    Exact and on the safe side: a straight wall that cuts both tangents to a disc, before they reach
    it, cuts all lines of sight between them.

    Args:
        eye: (2,) viewpoint.
        points: (N, 2) centres of discs.
        radius: of the discs [m].
        walls: (M, 4) x1, y1, x2, y2 of full-height walls.
    """
    if len(walls) == 0 or len(points) == 0:
        return np.zeros(len(points), dtype=bool)
    line = points - eye
    reach = np.linalg.norm(line, axis=1)
    far = reach > 1.5 * radius
    unit = line / np.maximum(reach, 1e-9)[:, None]
    side = radius / np.sqrt(np.maximum(1.0 - (radius / np.maximum(reach, 1.5 * radius)) ** 2, 0.1))
    near = points - unit * radius
    normal = np.stack([-unit[:, 1], unit[:, 0]], axis=1) * side[:, None]
    cut = _crosses(eye, near + normal, walls) & _crosses(eye, near - normal, walls)
    return far & cut.any(axis=1)


def _crosses(eye: FloatArray, ends: FloatArray, walls: FloatArray) -> NDArray[np.bool_]:
    """(N, M) True where the segment eye - end cuts a wall."""
    a, b = walls[:, :2], walls[:, 2:]
    ray, edge = ends - eye, b - a
    to_a = a - eye
    area = ray[:, None, 0] * edge[None, :, 1] - ray[:, None, 1] * edge[None, :, 0]
    along = (to_a[:, 0] * edge[:, 1] - to_a[:, 1] * edge[:, 0])[None, :]
    across = to_a[None, :, 0] * ray[:, None, 1] - to_a[None, :, 1] * ray[:, None, 0]
    with np.errstate(divide="ignore", invalid="ignore"):
        t, u = along / area, across / area
    return (t > 0.0) & (t < 1.0) & (u > 0.0) & (u < 1.0)


def person_level(distance: FloatArray, focal: float) -> NDArray[np.int64]:
    """(N,) fineness of figures at a distance [m] for a focal length [px]."""
    tall = focal * _TALL / np.maximum(distance, 0.3)
    return np.searchsorted(-np.array(_LEVEL_PIXELS), -tall).astype(np.int64)


PART_GROUPS = np.array([[group_of(kind, level) for kind in PARTS.kinds] for level in range(LEVELS)])
"""(4, K) draw group of every part of a figure by fineness."""
PERSON_SPHERE = _TALL / 2.0
