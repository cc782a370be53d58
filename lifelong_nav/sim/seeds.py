"""One tree of random streams: every sensor and subsystem draws from its own, found by name.

A stream depends on the seed and its name alone, so that adding a sensor shifts no other.
"""

from __future__ import annotations

import zlib

import numpy as np


def stream(seed: int, *path: str) -> np.random.Generator:
    """Random numbers of the subsystem at `path` ("imu", "gyro") under the run's `seed` >= 0."""
    key = tuple(zlib.crc32(name.encode()) for name in path)
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=key)))
