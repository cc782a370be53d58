"""The usual flows of a building by hour: where people who come this way here go on to.

Per cell of the floor, hour of the day and direction of arrival a histogram of the directions they leave in a
few steps later, with their speeds; learned online from tracks, forgetting slowly, in bounded memory. In the
spirit of maps of dynamics (Kucner et al. 2017, CLiFF-map), with the arrival added: at a crossing it matters
where one comes from.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as save_tensors

from lifelong_nav.core.config import param
from lifelong_nav.core.errors import CheckpointError
from lifelong_nav.core.storage import atomic_write
from lifelong_nav.core.types import FloatArray, People

DIRECTIONS = 8
ANY_HOUR = 24
"""Row of the histograms that holds all hours together."""
_SCHEMA = 1
_OTHER_HOURS = 3.0


@dataclass(frozen=True)
class FlowConfig:
    """Parameters of the flow map."""

    cell: float = param(0.75, "m", 0.2, 5.0, "Side of a cell.")
    ahead: float = param(1.0, "s", 0.2, 3.0, "Between arriving in a cell and the direction of leaving it.")
    most: int = param(20000, "", 100, 1000000, "Cells and hours held at most; the least used go first.")
    half_life: float = param(14.0, "d", 0.1, 1000.0, "After which an observation counts half.")
    utc_offset: float = param(0.0, "h", -14.0, 14.0, "Local time minus that of the stamps.")
    least_speed: float = param(0.3, "m/s", 0.05, 2.0, "Slower people tell nothing of a flow.")


class FlowMap:
    """Learns with `observe`, answers with `onward`; `save` and `load` survive a kill at any moment."""

    def __init__(self, config: FlowConfig | None = None, frame_id: str = "map") -> None:
        self.config, self.frame_id = config or FlowConfig(), frame_id
        self._rows: dict[tuple[int, int, int], int] = {}
        self._counts = np.zeros((64, DIRECTIONS, DIRECTIONS), dtype=np.float32)
        self._speed = np.zeros((64, DIRECTIONS), dtype=np.float32)
        self._stamp = np.zeros(64)
        self._free: list[int] = list(range(63, -1, -1))
        self._recent: dict[int, list[tuple[float, float, float]]] = {}
        self.observations = 0

    def __len__(self) -> int:
        """Cells and hours held."""
        return len(self._rows)

    def hour(self, stamp: float) -> int:
        """Hour of the day, 0 to 23."""
        return int((stamp / 3600.0 + self.config.utc_offset) % 24.0)

    def observe(self, people: People) -> None:
        """Learn from one message of tracks; call it some times a second. Other frames are passed over."""
        if people.frame_id != self.frame_id or not np.isfinite(people.stamp):
            return
        ahead = self.config.ahead
        # who is not in this message may be back in the next
        recent = {i: t for i, t in self._recent.items() if 0.0 <= people.stamp - t[-1][0] <= 1.0}
        for p in people.people:
            if not np.isfinite((p.x, p.y)).all():
                continue
            trail = self._recent.get(p.id, [])
            if trail and not 0.0 <= people.stamp - trail[-1][0] <= 1.0:
                trail = []
            if not trail or people.stamp - trail[-1][0] >= 0.2 - 1e-6:
                trail = [*trail, (people.stamp, p.x, p.y)]
                self._learn(trail)
            recent[p.id] = [s for s in trail if s[0] >= people.stamp - 2.0 * ahead - 0.3]
        self._recent = recent

    def observe_track(self, times: FloatArray, points: FloatArray) -> None:
        """Learn from a whole track: times (T,) [s], points (T, 2) [m]."""
        for k in range(1, len(times)):
            lo = np.searchsorted(times, times[k] - 2.0 * self.config.ahead - 0.3)
            self._learn(
                [(float(times[i]), float(points[i, 0]), float(points[i, 1])) for i in range(lo, k + 1)]
            )

    def onward(
        self, places: FloatArray, headings: FloatArray, stamp: float, smooth: bool = True
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """How people usually go on.

        Args:
            places: (B, 2) where they are [m].
            headings: (B,) where they walk to [rad].
            stamp: when [s]; the hour counts.
            smooth: between the middles of four cells, not the nearest alone.

        Returns:
            (B, 8) shares of the eighths around 0, 45, ... degrees, (B,) how many people say so
            (0: nothing known, shares even), (B,) their mean speed [m/s].
        """
        n, hour, octant = len(places), self.hour(stamp), _octant(np.nan_to_num(headings))
        at = np.nan_to_num(np.asarray(places, dtype=float), nan=1e9) / self.config.cell - 0.5
        at = np.clip(at, -1e8, 1e8)
        low = np.floor(at) if smooth else np.round(at)
        share = at - low
        corners = ((0, 0), (1, 0), (0, 1), (1, 1)) if smooth else ((0, 0),)
        side = np.ones((1, n))
        if smooth:
            across = np.stack([1.0 - share[:, 0], share[:, 0]]), np.stack([1.0 - share[:, 1], share[:, 1]])
            side = np.stack([across[0][right] * across[1][up] for right, up in corners])
        get, cells = self._rows.get, low.astype(int).tolist()
        rows = [
            get((x + right, y + up, key), -1)
            for key in (hour, ANY_HOUR) for right, up in corners for x, y in cells
        ]  # fmt: skip
        found, speed = self._histogram(rows, np.tile(octant, 2 * len(corners)), stamp)
        mine, whole = found.reshape(2, len(corners), n, DIRECTIONS) * side[None, :, :, None]
        pace = (whole.sum(axis=-1) * speed.reshape(2, len(corners), n)[1]).sum(axis=0)
        mine, whole = mine.sum(axis=0), whole.sum(axis=0)
        seen = whole.sum(axis=1)
        # what other hours say is worth a few people of this hour
        counts = mine + whole * (_OTHER_HOURS / (_OTHER_HOURS + seen))[:, None]
        people = counts.sum(axis=1)
        shares = (counts + 0.02) / (people + 0.02 * DIRECTIONS)[:, None]
        return shares, people, pace / np.maximum(seen, 1e-9)

    def _histogram(
        self, rows: list[int], octant: NDArray[np.intp], stamp: float
    ) -> tuple[FloatArray, FloatArray]:
        """(B, 8) how many left where of those who came in an octant (or beside it), and their mean speed."""
        r = np.array(rows, dtype=int)
        own = self._counts[r, octant]
        beside = self._counts[r, octant - 1] + self._counts[r, (octant + 1) % DIRECTIONS]
        fade = 0.5 ** (np.maximum(stamp - self._stamp[r], 0.0) / 86400.0 / self.config.half_life)
        fade = np.where(r < 0, 0.0, fade)
        pace = self._speed[r, octant] / np.maximum(own.sum(axis=1), 1e-6)
        return (own + 0.3 * beside) * fade[:, None], np.where(r < 0, 0.0, pace)

    def save(self, path: Path) -> None:
        """Write one file, whole or not at all (`StorageError` when the disk does not let it)."""
        keys = np.array(list(self._rows), dtype=np.int32).reshape(-1, 3)
        rows = np.fromiter(self._rows.values(), dtype=np.int64, count=len(self._rows))
        tensors = {
            "schema": np.array([_SCHEMA], dtype=np.int64),
            "cell": np.array([self.config.cell]),
            "observations": np.array([self.observations], dtype=np.int64),
            "keys": keys,
            "counts": self._counts[rows],
            "speed": self._speed[rows],
            "stamp": self._stamp[rows],
        }
        atomic_write(path, save_tensors(tensors, {"frame_id": self.frame_id}))

    @classmethod
    def load(cls, path: Path, config: FlowConfig | None = None, frame_id: str = "map") -> FlowMap:
        """Read back what `save` wrote; an absent file is an empty map.

        Raises:
            CheckpointError: damaged, of another schema or another size of cells.
        """
        flow = cls(config, frame_id)
        fix = "Delete it; the flows are learned again."
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            return flow
        except OSError as error:
            raise CheckpointError(f"Cannot read {path}: {error.strerror}.", fix) from error
        try:
            t = load_tensors(data)
            keys, counts, speed, stamp = (t[k] for k in ("keys", "counts", "speed", "stamp"))
            schema, cell = int(t["schema"][0]), float(t["cell"][0])
            flow.observations = int(t["observations"][0])
        except (SafetensorError, ValueError, KeyError, TypeError, IndexError) as error:
            raise CheckpointError(f"{path} is no flow map ({error}).", fix) from error
        n = len(keys)
        shapes = counts.shape == (n, DIRECTIONS, DIRECTIONS) and speed.shape == (n, DIRECTIONS)
        finite = all(np.isfinite(a).all() and (a >= 0).all() for a in (counts, speed))
        whole = (
            shapes and finite and keys.shape == (n, 3) and stamp.shape == (n,) and np.isfinite(stamp).all()
        )
        if schema != _SCHEMA or not whole or cell != flow.config.cell:
            raise CheckpointError(f"{path} is a flow map of another kind.", fix)
        keep = np.argsort(-counts.sum((1, 2)), kind="stable")[: flow.config.most]
        size = max(64, len(keep))
        flow._counts = np.zeros((size, DIRECTIONS, DIRECTIONS), dtype=np.float32)
        flow._speed, flow._stamp = np.zeros((size, DIRECTIONS), dtype=np.float32), np.zeros(size)
        flow._counts[: len(keep)], flow._speed[: len(keep)] = counts[keep], speed[keep]
        flow._stamp[: len(keep)] = stamp[keep]
        flow._rows = {(int(k[0]), int(k[1]), int(k[2])): i for i, k in enumerate(keys[keep])}
        flow._free = list(range(size - 1, len(keep) - 1, -1))
        return flow

    def _learn(self, trail: list[tuple[float, float, float]]) -> None:
        """The middle of a trail is where someone arrived, its end says where they left to."""
        now, ahead = trail[-1][0], self.config.ahead
        times = np.array([s[0] for s in trail])
        middle = int(np.argmin(np.abs(times - (now - ahead))))
        first = int(np.argmin(np.abs(times - (now - 2.0 * ahead))))
        if abs(times[middle] - (now - ahead)) > 0.3 or times[middle] - times[first] < 0.5 * ahead:
            return
        xy = np.array([s[1:] for s in trail])
        # leaving is the last part of the way only: a turn within the cell is over by then
        late = int(np.argmin(np.abs(times - (now - 0.5 * ahead))))
        came = (xy[middle] - xy[first]) / (times[middle] - times[first])
        left = (xy[-1] - xy[late]) / max(now - times[late], 1e-3)
        pace = float(np.hypot(*left))
        if min(pace, float(np.hypot(*came))) < self.config.least_speed or pace > 4.0:
            return
        k, j = (int(_octant(np.arctan2(v[1], v[0]))) for v in (came, left))
        x, y = (int(c) for c in np.floor(xy[middle] / self.config.cell))
        self.observations += 1
        for hour in (self.hour(now), ANY_HOUR):
            row = self._row((x, y, hour), now)
            fade = self._faded(row, now)
            self._counts[row] *= fade
            self._speed[row] *= fade
            self._stamp[row] = max(self._stamp[row], now)
            self._counts[row, k, j] += 1.0
            self._speed[row, k] += pace

    def _faded(self, row: int, now: float) -> float:
        days = max(now - float(self._stamp[row]), 0.0) / 86400.0
        return float(0.5 ** (days / self.config.half_life))

    def _row(self, key: tuple[int, int, int], now: float) -> int:
        row = self._rows.get(key)
        if row is not None:
            return row
        if len(self._rows) >= self.config.most:
            self._evict(now)
        if not self._free:
            size = len(self._stamp)
            grow = min(size, max(self.config.most - size, 1))
            self._counts = np.concatenate(
                [self._counts, np.zeros((grow, DIRECTIONS, DIRECTIONS), np.float32)]
            )
            self._speed = np.concatenate([self._speed, np.zeros((grow, DIRECTIONS), np.float32)])
            self._stamp = np.concatenate([self._stamp, np.zeros(grow)])
            self._free = list(range(size + grow - 1, size - 1, -1))
        row = self._free.pop()
        self._rows[key], self._stamp[row] = row, now
        self._counts[row], self._speed[row] = 0.0, 0.0
        return row

    def _evict(self, now: float) -> None:
        """Drop the tenth that is used least."""
        keys = list(self._rows)
        rows = np.array([self._rows[k] for k in keys])
        use = self._counts[rows].sum((1, 2)) * 0.5 ** (
            np.maximum(now - self._stamp[rows], 0.0) / 86400.0 / self.config.half_life
        )
        for i in np.argsort(use, kind="stable")[: max(1, len(keys) // 10)]:
            self._free.append(self._rows.pop(keys[i]))


def _octant(angle: FloatArray) -> NDArray[np.intp]:
    """Which eighth of the circle, 0 around the x axis."""
    return np.asarray(np.round(np.asarray(angle) / (np.pi / 4.0)).astype(np.intp) % DIRECTIONS)
