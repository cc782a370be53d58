"""What people look like: height, build, clothes, and the solids a figure is made of."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from lifelong_nav.core.types import FloatArray
from lifelong_nav.sim.shapes import planar

_SKIN = ((0.96, 0.80, 0.69), (0.89, 0.67, 0.53), (0.76, 0.54, 0.40), (0.55, 0.37, 0.26), (0.36, 0.24, 0.17))
_HAIR = ((0.10, 0.08, 0.07), (0.25, 0.15, 0.08), (0.45, 0.28, 0.14), (0.72, 0.56, 0.32), (0.6, 0.6, 0.6))
_SHIRT = (
    (0.75, 0.17, 0.16), (0.16, 0.32, 0.60), (0.92, 0.92, 0.90), (0.18, 0.19, 0.21), (0.22, 0.48, 0.30),
    (0.90, 0.69, 0.22), (0.46, 0.29, 0.55), (0.50, 0.68, 0.80), (0.85, 0.47, 0.30), (0.55, 0.57, 0.58),
)  # fmt: skip
_TROUSERS = (
    (0.13, 0.18, 0.32),
    (0.15, 0.15, 0.16),
    (0.42, 0.36, 0.28),
    (0.33, 0.36, 0.40),
    (0.26, 0.38, 0.55),
)
_SHOES = ((0.10, 0.09, 0.09), (0.32, 0.20, 0.12), (0.88, 0.88, 0.88), (0.55, 0.12, 0.12))

SKIN, HAIR, SHIRT, TROUSERS, SHOES, SLEEVE, PHONE = range(7)


@dataclass(frozen=True)
class Looks:
    """Bodies of N people, fixed by id and seed.

    `height` (N,) [m], `build` (N,) width factor, `hip`, `shoulder` (N,) half distances of the
    joints [m], `colours` (N, 7, 3) by `SKIN`...`PHONE`, `temper` (N,) in [0, 1), `phone` (N,) 1 for
    people who look at a phone while they stand, `long_hair` (N,) 0 or 1.
    """

    height: FloatArray
    build: FloatArray
    hip: FloatArray
    shoulder: FloatArray
    colours: FloatArray
    temper: FloatArray
    phone: FloatArray
    long_hair: FloatArray


def looks(ids: NDArray[np.int64], seed: int = 0) -> Looks:
    """Bodies of the people with these ids (N,); the same for the same id and seed, any order."""
    return _cached(tuple(int(i) for i in ids), int(seed))


@lru_cache(maxsize=32)
def _cached(ids: tuple[int, ...], seed: int) -> Looks:
    rows = [_person(i, seed) for i in ids]
    scalars = np.array([r[0] for r in rows], dtype=float).reshape(-1, 5)
    height, build, temper, phone, long_hair = scalars.T
    colours = np.array([r[1] for r in rows], dtype=float).reshape(-1, 7, 3)
    hip, shoulder = 0.052 * height * build, 0.112 * height * build
    return Looks(height, build, hip, shoulder, colours, temper, phone, long_hair)


@lru_cache(maxsize=4096)
def _person(identity: int, seed: int) -> tuple[tuple[float, ...], tuple[tuple[float, ...], ...]]:
    rng = np.random.default_rng([abs(seed), identity & 0xFFFFFFFF, 77])
    height, build = rng.uniform(1.55, 1.9), rng.uniform(0.9, 1.12)
    skin, hair, shirt = (_pick(rng, p) for p in (_SKIN, _HAIR, _SHIRT))
    trousers, shoes = _pick(rng, _TROUSERS), _pick(rng, _SHOES)
    sleeve = skin if rng.random() < 0.35 else shirt
    traits = (height, build, rng.random(), float(rng.random() < 0.3), float(rng.random() < 0.45))
    return traits, (skin, hair, shirt, trousers, shoes, sleeve, (0.08, 0.08, 0.09))


def _pick(rng: np.random.Generator, palette: tuple[tuple[float, ...], ...]) -> tuple[float, ...]:
    colour = np.array(palette[rng.integers(len(palette))]) * rng.uniform(0.88, 1.1)
    return tuple(float(c) for c in np.clip(colour, 0.0, 1.0))


@dataclass(frozen=True)
class Parts:
    """The solids of a figure: K rows, sizes and places for a person of height 1 and build 1.

    `links` (K,) index into `figures.LINKS`, `kinds` (K,) names, `poses` (K, 4, 4) in the link's
    frame, `sizes` (K, 3), `colours` (K,) row of `Looks.colours`, `wide` (K,) True where the build
    widens x and y.
    """

    links: NDArray[np.int64]
    kinds: tuple[str, ...]
    poses: FloatArray
    sizes: FloatArray
    colours: NDArray[np.int64]
    wide: NDArray[np.bool_]


def _parts() -> Parts:
    up, lying = planar(0, 0, 0, 0), planar(0, 0, 0, 0)
    lying = np.array([[1, 0, 0, 0], [0, 0, -1, 0], [0, 1, 0, 0], [0, 0, 0, 1.0]])  # z to the left (y)

    def at(x: float, y: float, z: float, base: FloatArray = up) -> FloatArray:
        pose = base.copy()
        pose[:3, 3] = x, y, z
        return pose

    rows: list[tuple[int, str, FloatArray, tuple[float, float, float], int, bool]] = [
        (0, "capsule", at(0, 0, -0.01), (0.125, 0.185, 0.17), TROUSERS, True),
        (1, "capsule", at(0, 0, -0.015), (0.125, 0.190, 0.30), SHIRT, True),
        (1, "capsule", at(0, 0, 0.095, lying), (0.115, 0.105, 0.262), SHIRT, True),
        (2, "cylinder", at(-0.005, 0, -0.07), (0.062, 0.066, 0.08), SKIN, False),
        (2, "sphere", at(0.004, 0, 0.012), (0.112, 0.092, 0.135), SKIN, False),
        (2, "sphere", at(0.062, 0, 0.002), (0.022, 0.018, 0.026), SKIN, False),
        (3, "sphere", at(-0.012, 0, 0.034), (0.118, 0.106, 0.112), HAIR, False),
        (3, "sphere", at(-0.034, 0, -0.02), (0.075, 0.100, 0.150), HAIR, False),
    ]
    rows += [(2, "sphere", at(0.050, y, 0.016), (0.014, 0.013, 0.011), PHONE, False) for y in (-0.018, 0.018)]
    for upper, lower in ((4, 6), (5, 7)):
        rows += [
            (upper, "capsule", at(0, 0, 0), (0.058, 0.058, 0.205), SHIRT, True),
            (lower, "capsule", at(0, 0, 0), (0.046, 0.046, 0.185), SLEEVE, True),
            (lower, "sphere", at(0, 0, -0.095), (0.044, 0.030, 0.066), SKIN, False),
        ]
    for thigh, shin, foot in ((8, 10, 12), (9, 11, 13)):
        rows += [
            (thigh, "capsule", at(0, 0, 0), (0.088, 0.088, 0.300), TROUSERS, True),
            (shin, "capsule", at(0, 0, -0.002), (0.066, 0.066, 0.270), TROUSERS, True),
            (foot, "capsule", at(-0.006, 0, -0.008), (0.046, 0.054, 0.150), SHOES, False),
        ]
    rows.append((7, "box", at(0.012, 0, -0.13), (0.006, 0.042, 0.085), PHONE, False))
    links, kinds, poses, sizes, colours, wide = zip(*rows, strict=True)
    return Parts(np.array(links), kinds, np.stack(poses), np.array(sizes), np.array(colours), np.array(wide))


PARTS = _parts()


def part_sizes(body: Looks) -> FloatArray:
    """(N, K, 3) full sizes [m] of `PARTS` for each person."""
    sizes = PARTS.sizes[None] * body.height[:, None, None]
    sizes[:, :, :2] *= np.where(PARTS.wide[None], body.build[:, None], 1.0)[..., None]
    shown = np.ones(sizes.shape[:2])
    shown[:, 7] = 0.78 + 0.22 * body.long_hair  # short hair covers the back of the head
    shown[:, -1] = np.where(body.phone > 0.0, 1.0, 1e-3)
    return sizes * shown[..., None]


def part_transforms(links: FloatArray, body: Looks) -> FloatArray:
    """(N, K, 4, 4) world transforms of `PARTS` from those of the links (N, 14, 4, 4)."""
    poses = np.broadcast_to(PARTS.poses, (len(body.height), *PARTS.poses.shape)).copy()
    poses[:, :, :3, 3] *= body.height[:, None, None]
    return np.matmul(links[:, PARTS.links], poses)
