"""Surface patterns made from a seed: walls, floors, furniture and posters as a stack of pictures.

Walls of a real building differ; an image encoder trained in flat grey rooms learns nothing. The
pictures multiply the colour of the shape that carries them.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np

from lifelong_nav.core.types import FloatArray

SIZE = 128
METRES, FIT, UPRIGHT = 0.0, 1.0, 2.0
"""How a picture lies on a face: repeated in local metres, stretched over it, or level with the floor."""

_y, _x = np.mgrid[0:SIZE, 0:SIZE] / SIZE  # v upwards, u to the right
Painter = Callable[[np.random.Generator], FloatArray]


def noise(rng: np.random.Generator, cells: int, aspect: int = 1) -> FloatArray:
    """(S, S) smooth tileable noise in 0..1 with `cells` bumps per side, `aspect` times as many in v."""
    grid = rng.random((cells * aspect, cells))
    u, v = _x * cells, _y * cells * aspect
    i, j = v.astype(int), u.astype(int)
    fu, fv = (u - j) ** 2 * (3 - 2 * (u - j)), (v - i) ** 2 * (3 - 2 * (v - i))
    i1, j1 = (i + 1) % (cells * aspect), (j + 1) % cells
    low = grid[i, j] * (1 - fu) + grid[i, j1] * fu
    return low * (1 - fv) + (grid[i1, j] * (1 - fu) + grid[i1, j1] * fu) * fv


def _grey(shade: FloatArray) -> FloatArray:
    return np.repeat(shade[..., None], 3, axis=2)


def _plaster(rng: np.random.Generator) -> FloatArray:
    shade = 0.9 + 0.06 * noise(rng, 6) + 0.06 * noise(rng, 64)
    return _skirting(_grey(shade), rng)


def _wainscot(rng: np.random.Generator) -> FloatArray:
    out = _grey(0.92 + 0.08 * noise(rng, 48))
    low = _y < rng.uniform(0.33, 0.45)
    out[low] *= np.clip(rng.uniform(0.45, 0.85) * rng.uniform(0.85, 1.15, 3), 0.2, 1.0)
    return _skirting(out, rng)


def _stripes(rng: np.random.Generator) -> FloatArray:
    count = int(rng.integers(6, 16))
    wave = (np.sin(2 * np.pi * count * _x) > 0) * 0.10
    return _skirting(_grey(0.86 + wave + 0.04 * noise(rng, 32)), rng)


def _bricks(rng: np.random.Generator) -> FloatArray:
    rows, columns = 28, 10
    v = _y * rows
    u = _x * columns + 0.5 * (v.astype(int) % 2)
    tint = rng.uniform(0.72, 1.0, (rows, columns))[v.astype(int), u.astype(int) % columns]
    mortar = ((u % 1) < 0.06) | ((v % 1) < 0.14)
    out = _grey(np.where(mortar, 0.9, tint))
    out[~mortar] *= (0.85, 0.62, 0.52)
    return out


def _panels(rng: np.random.Generator) -> FloatArray:
    count = int(rng.integers(2, 5))
    seam = ((_x * count) % 1 < 0.02) | (np.abs(_y - 0.55) < 0.006)
    tint = rng.uniform(0.86, 1.0, count)[(_x * count).astype(int)]
    return _skirting(_grey(np.where(seam, 0.6, tint * (0.95 + 0.05 * noise(rng, 40)))), rng)


def _band(rng: np.random.Generator) -> FloatArray:
    out = _grey(0.93 + 0.07 * noise(rng, 40))
    at, colour = rng.uniform(0.3, 0.5), rng.uniform(0.3, 0.95, 3)
    out[np.abs(_y - at) < 0.035] = colour
    return _skirting(out, rng)


def _skirting(out: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Skirting board below, a soft shadow above it and under the ceiling."""
    shade = np.minimum(1.0, 0.80 + 1.6 * _y) * np.minimum(1.0, 0.88 + 2.0 * (1.0 - _y))
    out = out * shade[..., None]
    out[_y < 0.035] = rng.uniform(0.25, 0.6)
    return out


def _planks(rng: np.random.Generator) -> FloatArray:
    rows = 8
    v = _y * rows
    u = (_x * 2 + rng.random(rows)[v.astype(int)]) % 2
    tint = rng.uniform(0.72, 1.0, (rows, 2))[v.astype(int), u.astype(int)]
    grain = 0.9 + 0.16 * noise(rng, 4, 24)
    shade = np.where(((v % 1) < 0.05) | ((u % 1) < 0.012), 0.55, tint * grain)
    return _grey(shade) * (1.0, 0.80, 0.58)


def _tiles(rng: np.random.Generator) -> FloatArray:
    tint = rng.uniform(0.9, 1.0, (4, 4))[(_y * 4).astype(int), (_x * 4).astype(int)]
    joint = ((_x * 4) % 1 < 0.035) | ((_y * 4) % 1 < 0.035)
    return _grey(np.where(joint, 0.62, tint * (0.93 + 0.07 * noise(rng, 12))))


def _checker(rng: np.random.Generator) -> FloatArray:
    odd = ((_x * 4).astype(int) + (_y * 4).astype(int)) % 2
    return _grey(np.where(odd > 0, 1.0, rng.uniform(0.6, 0.85)) * (0.94 + 0.06 * noise(rng, 16)))


def _carpet(rng: np.random.Generator) -> FloatArray:
    shade = 0.55 + 0.2 * noise(rng, 64) + 0.12 * noise(rng, 8)
    return _grey(shade) * np.clip(rng.uniform(0.7, 1.25, 3), 0, 1.3)


def _terrazzo(rng: np.random.Generator) -> FloatArray:
    spots = noise(rng, 40)
    shade = np.where(spots > 0.78, 0.7, np.where(spots < 0.2, 1.0, 0.88))
    return _grey(shade)


def _ceiling(rng: np.random.Generator) -> FloatArray:
    """A 2.4 m square of 4 x 4 tiles, one pair a lamp."""
    out = _grey(0.84 + 0.06 * noise(rng, 48))
    out[((_x * 4) % 1 < 0.03) | ((_y * 4) % 1 < 0.03)] = 0.66
    lamp = (np.abs(_x - 0.5) < 0.22) & (np.abs(_y - 0.625) < 0.09)
    out[lamp] = (1.35, 1.35, 1.28)
    return out


def _wood(rng: np.random.Generator) -> FloatArray:
    rings = np.sin(2 * np.pi * (6 * _y + 1.3 * noise(rng, 3, 1)))
    return _grey(0.84 + 0.07 * rings + 0.09 * noise(rng, 6, 16))


def _books(rng: np.random.Generator) -> FloatArray:
    """Five boards with spines between."""
    out = np.zeros((SIZE, SIZE, 3))
    for row in range(5):
        low, high = row * SIZE // 5, (row + 1) * SIZE // 5
        x = 0
        while x < SIZE:
            wide = int(rng.integers(3, 8))
            top = high - int(rng.integers(4, 11))
            out[low:high, x : x + wide] = 0.16
            out[low:top, x : x + wide] = rng.uniform(0.25, 1.1) * rng.uniform(0.5, 1.0, 3)
            out[low:top, x] *= 0.5
            x += wide
        out[low : low + 2] = (0.9, 0.8, 0.62)
    return np.clip(out, 0, 1)


def _drawers(rng: np.random.Generator) -> FloatArray:
    rows = int(rng.integers(2, 5))
    v = (_y * rows) % 1
    seam = (v < 0.03) | (v > 0.97) | (_x < 0.03) | (_x > 0.97)
    handle = (np.abs(_x - 0.5) < 0.12) & (np.abs(v - 0.72) < 0.035)
    return _grey(np.where(handle, 0.35, np.where(seam, 0.6, 0.95 + 0.05 * noise(rng, 20))))


def _fabric(rng: np.random.Generator) -> FloatArray:
    weave = 0.5 + 0.25 * np.sin(2 * np.pi * 32 * _x) * np.sin(2 * np.pi * 32 * _y)
    return _grey(0.78 + 0.14 * weave + 0.08 * noise(rng, 12))


def _carton(rng: np.random.Generator) -> FloatArray:
    out = _grey(0.9 + 0.1 * noise(rng, 8, 6))
    out[np.abs(_x - 0.5) < 0.06] *= (1.05, 0.98, 0.85)
    mark = (np.abs(_x - 0.2) < 0.1) & (np.abs(_y - 0.25) < 0.08)
    out[mark] *= 0.45
    return out


def _leaf(rng: np.random.Generator) -> FloatArray:
    """Door leaf: two panels and a handle at both edges' height."""
    out = _wood(rng) * 1.05
    for low, high in ((0.08, 0.42), (0.52, 0.93)):
        edge = (np.abs(_x - 0.5) < 0.36) & (_y > low) & (_y < high)
        inner = (np.abs(_x - 0.5) < 0.33) & (_y > low + 0.015) & (_y < high - 0.015)
        out[edge & ~inner] *= 0.7
    out[(np.abs(np.abs(_x - 0.5) - 0.42) < 0.035) & (np.abs(_y - 0.48) < 0.012)] = 0.35
    return out


def _poster(rng: np.random.Generator) -> FloatArray:
    """A framed picture of coloured discs, bars or hills."""
    out = np.ones((SIZE, SIZE, 3)) * rng.uniform(0.55, 1.0, 3)
    for _ in range(int(rng.integers(3, 8))):
        colour = rng.uniform(0.05, 1.0, 3)
        cx, cy, r = rng.uniform(0.15, 0.85), rng.uniform(0.15, 0.85), rng.uniform(0.06, 0.3)
        form = rng.integers(3)
        if form == 0:
            out[(_x - cx) ** 2 + (_y - cy) ** 2 < r * r] = colour
        elif form == 1:
            out[(np.abs(_x - cx) < r) & (np.abs(_y - cy) < 0.05)] = colour
        else:
            out[_y < 0.35 * cy + 0.12 * np.sin(2 * np.pi * (_x + cx))] = colour
    out[(np.abs(_x - 0.5) > 0.465) | (np.abs(_y - 0.5) > 0.465)] = rng.choice([0.12, 0.3, 0.95])
    return out


def _board(rng: np.random.Generator) -> FloatArray:
    """Whiteboard with writing, or cork board with notes."""
    if rng.random() < 0.5:
        out = np.full((SIZE, SIZE, 3), 0.97)
        for row in np.arange(0.25, 0.85, 0.13):
            end = rng.uniform(0.4, 0.9)
            line = (np.abs(_y - row - 0.01 * np.sin(60 * _x)) < 0.015) & (_x > 0.1) & (_x < end)
            out[line & (noise(rng, 24) > 0.3)] = rng.choice([0.1, 0.5]) * rng.uniform(0.1, 1.0, 3)
    else:
        out = _grey(0.75 + 0.2 * noise(rng, 64)) * (0.85, 0.64, 0.42)
        for _ in range(9):
            cx, cy = rng.uniform(0.12, 0.88), rng.uniform(0.15, 0.85)
            out[(np.abs(_x - cx) < 0.05) & (np.abs(_y - cy) < 0.09)] = rng.uniform(0.6, 1.0, 3)
    out[(np.abs(_x - 0.5) > 0.48) | (np.abs(_y - 0.5) > 0.47)] = 0.55
    return out


def _speckle(rng: np.random.Generator) -> FloatArray:
    return _grey(0.86 + 0.14 * noise(rng, 32))


def _plain(rng: np.random.Generator) -> FloatArray:
    del rng
    return np.ones((SIZE, SIZE, 3))


_WALLS = (_plaster, _wainscot, _stripes, _bricks, _panels, _band, _plaster)
_FLOORS = ((_planks, 1.6), (_tiles, 1.6), (_carpet, 1.5), (_terrazzo, 1.2), (_checker, 2.0), (_planks, 1.2))

# Name, painter, metres per repeat (u, v), how it lies. Names repeat for variants.
_TABLE: tuple[tuple[str, Painter, float, float, float], ...] = (
    ("", _plain, 1.0, 1.0, METRES),
    *(("wall", p, 2.5, 2.5, UPRIGHT) for p in _WALLS),
    *(("floor", p, s, s, METRES) for p, s in _FLOORS),
    ("ceiling", _ceiling, 2.4, 2.4, METRES),
    ("patch", _speckle, 0.6, 0.6, METRES),
    ("wood", _wood, 1.2, 0.8, METRES), ("wood", _wood, 0.9, 0.9, METRES),
    ("books", _books, 1.0, 1.0, FIT), ("books", _books, 1.0, 1.0, FIT),
    ("drawers", _drawers, 1.0, 1.0, FIT), ("drawers", _drawers, 1.0, 1.0, FIT),
    ("fabric", _fabric, 0.4, 0.4, METRES),
    ("carton", _carton, 1.0, 1.0, FIT),
    ("door", _leaf, 1.0, 1.0, FIT),
    *(("poster", _poster, 1.0, 1.0, FIT) for _ in range(5)),
    *(("board", _board, 1.0, 1.0, FIT) for _ in range(2)),
    ("speckle", _speckle, 0.5, 0.5, METRES),
)  # fmt: skip
COUNT = len(_TABLE)

_FURNITURE = (
    ("wood", ("table", "desk", "counter", "bench", "bed")),
    ("books", ("shelf", "bookcase", "rack")),
    ("drawers", ("cabinet", "drawer", "locker", "fridge", "wardrobe")),
    ("fabric", ("chair", "sofa", "couch", "armchair")),
    ("carton", ("box", "carton", "crate", "parcel", "package")),
)


@lru_cache(maxsize=4)
def pictures(seed: int) -> tuple[FloatArray, FloatArray]:
    """The stack of patterns of a seed.

    Returns:
        (COUNT, S, S, 3) uint8, 200 stands for "the shape's own colour", rows upwards; and
        (COUNT, 4) float32: repeats per metre in u and v, how it lies, 0.
    """
    rng = np.random.default_rng([abs(seed), 4242])
    stack = np.stack([paint(child) for (_, paint, *_), child in zip(_TABLE, rng.spawn(COUNT), strict=True)])
    lie = np.array([(1.0 / u, 1.0 / v, how, 0.0) for _, _, u, v, how in _TABLE], dtype=np.float32)
    return np.clip(stack * 200.0, 0, 255).astype(np.uint8), lie


def layer(name: str, pick: int = 0) -> int:
    """Number of a pattern; `pick` chooses among its variants, unknown names are taken as furniture."""
    wanted = name
    if not any(row[0] == name for row in _TABLE):
        wanted = next((to for to, words in _FURNITURE if any(w in name.lower() for w in words)), "speckle")
    rows = [i for i, row in enumerate(_TABLE) if row[0] == wanted]
    return rows[pick % len(rows)]
