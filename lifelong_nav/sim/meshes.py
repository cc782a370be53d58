"""Triangles of the unit solids in several finenesses, and vertex normals for loaded meshes.

A vertex is placed by `local = position * size + (0, 0, cap * half_length)`: only capsules use
`cap` (+1 upper, -1 lower end), so that their round ends keep their shape at any length.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from lifelong_nav.core.types import FloatArray
from lifelong_nav.sim.shapes import Shape

LEVELS = 4
"""Finenesses of round solids, 0 the finest."""

_SIDES = (24, 12, 8, 5)  # around
_RINGS = (6, 3, 2, 1)  # from pole to equator
_CREASE = np.cos(np.radians(40.0))


@dataclass(frozen=True, eq=False)
class Mesh:
    """`positions` (V, 3), `normals` (V, 3) unit, `caps` (V,), `faces` (F, 3) counter-clockwise."""

    positions: FloatArray
    normals: FloatArray
    caps: FloatArray
    faces: NDArray[np.int64]


@lru_cache(maxsize=32)
def solid(kind: str, level: int) -> Mesh:
    """Unit solid of extent 1 (box, cylinder, sphere, capsule) in fineness `level` < `LEVELS`."""
    if kind == "box":
        return _box()
    if kind == "cylinder":
        return _cylinder(max(_SIDES[level], 6))
    return _round(_SIDES[level], _RINGS[level], kind == "capsule")


def size_row(kind: str, size: FloatArray) -> FloatArray:
    """(..., 4) factors x, y, z and half length for sizes (..., 3) as in `Shape`."""
    size = np.asarray(size, dtype=float)
    row = np.concatenate([size, np.zeros((*size.shape[:-1], 1))], axis=-1)
    if kind == "capsule":
        cap = np.minimum(np.minimum(size[..., 0], size[..., 1]), size[..., 2])
        row[..., 2], row[..., 3] = cap, (size[..., 2] - cap) / 2.0
    return row


def shape_mesh(shape: Shape, level: int) -> Mesh:
    """Mesh of a shape before scaling: its own triangles or the unit solid."""
    if shape.kind == "mesh":
        assert shape.vertices is not None
        assert shape.faces is not None
        return with_normals(np.asarray(shape.vertices, dtype=float), np.asarray(shape.faces))
    return solid(shape.kind, level)


def scaled(mesh: Mesh, row: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Vertices and normals (V, 3) of a mesh at the factors (4,) of `size_row`."""
    vertices = mesh.positions * row[:3]
    vertices[:, 2] += mesh.caps * row[3]
    normals = mesh.normals / row[:3]
    return vertices, normals / np.linalg.norm(normals, axis=1, keepdims=True)


def with_normals(vertices: FloatArray, faces: NDArray[np.integer]) -> Mesh:
    """Mesh with vertex normals that are smooth across edges flatter than 40 deg, sharp elsewhere."""
    points, weld = np.unique(np.round(vertices, 6), axis=0, return_inverse=True)
    faces = weld.reshape(-1)[np.asarray(faces, dtype=np.int64)]
    area = np.cross(points[faces[:, 1]] - points[faces[:, 0]], points[faces[:, 2]] - points[faces[:, 0]])
    norm = np.linalg.norm(area, axis=1)
    faces, area, norm = faces[norm > 1e-14], area[norm > 1e-14], norm[norm > 1e-14]
    unit = area / norm[:, None]
    corners = faces.reshape(-1)
    owner = np.repeat(np.arange(len(faces)), 3)
    order = np.argsort(corners, kind="stable")
    first = np.searchsorted(corners[order], corners)
    count = np.searchsorted(corners[order], corners, side="right") - first
    rows = np.repeat(np.arange(len(corners)), count)  # every corner against all corners at its vertex
    step = np.arange(len(rows)) - np.repeat(np.cumsum(count) - count, count)
    other = owner[order[first[rows] + step]]
    flat = np.einsum("ij,ij->i", unit[owner[rows]], unit[other]) > _CREASE
    normals = np.zeros((len(corners), 3))
    np.add.at(normals, rows[flat], area[other[flat]])
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    keyed = np.round(np.hstack([points[corners], normals]), 5)
    unique, index = np.unique(keyed, axis=0, return_inverse=True)
    return Mesh(unique[:, :3], unique[:, 3:], np.zeros(len(unique)), index.reshape(-1, 3))


def _box() -> Mesh:
    positions: list[FloatArray] = []
    normals: list[FloatArray] = []
    faces: list[tuple[int, int, int]] = []
    for axis in range(3):
        for sign in (-1.0, 1.0):
            normal = np.eye(3)[axis] * sign
            u = np.eye(3)[(axis + 1) % 3]
            v = np.cross(normal, u)
            base = len(positions)
            positions += [(normal + a * u + b * v) / 2.0 for a, b in ((-1, -1), (1, -1), (1, 1), (-1, 1))]
            normals += [normal] * 4
            faces += [(base, base + 1, base + 2), (base, base + 2, base + 3)]
    return Mesh(np.array(positions), np.array(normals), np.zeros(24), np.array(faces))


def _cylinder(sides: int) -> Mesh:
    angle = 2.0 * np.pi * np.arange(sides) / sides
    ring = np.stack([np.cos(angle), np.sin(angle), np.zeros(sides)], axis=1)
    low, top = ring / 2.0 - [0, 0, 0.5], ring / 2.0 + [0, 0, 0.5]
    down, up = np.tile([0.0, 0.0, -1.0], (sides, 1)), np.tile([0.0, 0.0, 1.0], (sides, 1))
    i, j = np.arange(sides), (np.arange(sides) + 1) % sides
    side = [np.stack([i, j, j + sides], 1), np.stack([i, j + sides, i + sides], 1)]
    fan = np.stack([np.zeros(sides - 2, dtype=int), np.arange(1, sides - 1), np.arange(2, sides)], 1)
    faces = np.vstack([*side, fan[:, ::-1] + 2 * sides, fan + 3 * sides])
    positions = np.vstack([low, top, low, top])
    return Mesh(positions, np.vstack([ring, ring, down, up]), np.zeros(len(positions)), faces)


def _round(sides: int, rings: int, capsule: bool) -> Mesh:
    """Sphere, or capsule whose equator is doubled."""
    tilt = np.pi / 2.0 * np.arange(1, rings + 1) / rings  # from the pole; the last is the equator
    upper = [(t, 1.0) for t in tilt]
    lower = [(np.pi - t, -1.0) for t in tilt[::-1]]
    rows = upper + (lower if capsule else lower[1:])
    angle = 2.0 * np.pi * np.arange(sides) / sides
    points, caps = [np.array([[0.0, 0.0, 1.0]])], [np.array([1.0])]
    for t, cap in rows:
        flat = np.full(sides, np.cos(t))
        points.append(np.stack([np.sin(t) * np.cos(angle), np.sin(t) * np.sin(angle), flat], axis=1))
        caps.append(np.full(sides, cap))
    points.append(np.array([[0.0, 0.0, -1.0]]))
    caps.append(np.array([-1.0]))
    normals = np.vstack(points)
    i, j = np.arange(sides), (np.arange(sides) + 1) % sides
    faces = [np.stack([np.zeros(sides, dtype=int), 1 + i, 1 + j], axis=1)]
    for row in range(len(rows) - 1):
        a, b = 1 + row * sides, 1 + (row + 1) * sides
        faces += [np.stack([a + i, b + i, b + j], axis=1), np.stack([a + i, b + j, a + j], axis=1)]
    last, end = 1 + (len(rows) - 1) * sides, len(normals) - 1
    faces.append(np.stack([last + i, np.full(sides, end), last + j], axis=1))
    flat_caps = np.concatenate(caps) if capsule else np.zeros(len(normals))
    return Mesh(normals / 2.0, normals, flat_caps, np.vstack(faces))
