"""When to publish what: playback as pure logic. It is told the time and hands out what is due.

The player asks `due` often, publishes what it gets, sleeps for `wait`. Rate, pause, loops, /clock and
lock-step live here, and nothing here sleeps, reads a clock or knows ROS.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from lifelong_nav.core.config import param
from lifelong_nav.core.errors import ConfigError

_BATCH = 64


class Item(NamedTuple):
    """One message to play: bag time [ns], topic, what the player publishes."""

    stamp: int
    topic: str
    payload: Any


class Tick(NamedTuple):
    """/clock reaches `stamp` [ns]; less than the last one when the bag begins again."""

    stamp: int


@dataclass(frozen=True)
class TimelineConfig:
    """How a bag is played."""

    rate: float = param(1.0, "", 0.0, 100.0, "Times real time; 0: as fast as the consumers keep up.")
    loop: int = param(1, "", 0, 1_000_000, "How many times the bag is played; 0 without end.")
    clock_rate: float = param(50.0, "Hz", 1.0, 1000.0, "Ticks of /clock per second of bag time.")
    max_gap: float = param(0.0, "s", 0.0, 1e6, "Longer silences are shortened to this; 0 keeps them.")
    window: int = param(
        8, "", 1, 100, "Messages on the lock-step topic that may be unanswered before playback waits."
    )
    hold_rate: float = param(
        2.0,
        "",
        0.1,
        100.0,
        "Times real time while an answer is awaited at rate 0: what it needs may follow it.",
    )


class Timeline:
    """Plays passes of items against a monotonic clock.

    Args:
        passes: gives a fresh iterator over the items in order of time, once per loop.
        start: bag time [ns] at which every pass begins.
        config: rate, loops, clock, window.
        lockstep: topic whose messages wait for `ack`; "" for none.
    """

    def __init__(
        self,
        passes: Callable[[], Iterator[Item]],
        start: int,
        config: TimelineConfig | None = None,
        lockstep: str = "",
    ) -> None:
        self.config = config or TimelineConfig()
        self.lockstep = lockstep
        self.rate = self.config.rate
        self.done = False
        self.paused = False
        self.loops = 0
        self._passes, self._start = passes, start
        self._items = passes()
        self._next: Item | None = next(self._items, None)
        self._anchor: tuple[float, int] | None = None  # (steady [s], bag time [ns]) that belong together
        self._last_tick: int | None = None
        self._flight: deque[int] = deque()
        self._blocked = False

    # ---- what the player asks ----------------------------------------------------------------------

    def due(self, steady: float) -> list[Item | Tick]:
        """What must be published now, in order; at most a few hundred, so ask again.

        Args:
            steady: monotonic clock [s].
        """
        out: list[Item | Tick] = []
        if self._anchor is None:
            self._anchor = (steady, self._start)
            self._tick(self._start, out)
        while len(out) < _BATCH and not self.done and not self.paused:
            if self._next is None:
                if self._flight:  # the last answers belong to this pass; time goes on for their sake
                    self._tick_if_old(self.position(steady), out)
                    break
                self._restart(steady, out)
                continue
            item = self._next
            free = self.rate == 0.0 and not self._flight
            now = max(item.stamp, self.position(steady)) if free else self.position(steady)
            if item.stamp > now:
                self._shorten(steady, item.stamp, now)
                self._tick_if_old(now, out)
                break
            # Time reaches the message first, also one that has to wait: consumers act on /clock.
            self._tick_if_old(max(item.stamp, self._last_tick or 0), out)
            if item.topic == self.lockstep and len(self._flight) >= self.config.window:
                self._blocked, self._anchor = True, (steady, item.stamp)
                break
            if self._blocked or free:
                self._blocked, self._anchor = False, (steady, now)
            if item.topic == self.lockstep:
                self._flight.append(item.stamp)
            out.append(item)
            self._next = next(self._items, None)
        return out

    def wait(self, steady: float) -> float | None:
        """Seconds until something is due; None when only `ack`, `resume` or nothing will change that."""
        if self.done or self.paused or self._blocked:
            return None
        if self._next is None and self._flight:
            return self._period * 1e-9 / self._speed
        if self._next is None or self._anchor is None or self._speed == 0.0:
            return 0.0
        target = self._next.stamp
        if self._last_tick is not None:
            target = min(target, self._last_tick + self._period)
        return max(0.0, (target - self.position(steady)) * 1e-9 / self._speed)

    def position(self, steady: float) -> int:
        """Bag time [ns] that corresponds to `steady` [s]."""
        if self._anchor is None:
            return self._start
        since, at = self._anchor
        if self.paused or self._blocked:
            return at
        return at + round((steady - since) * 1e9 * self._speed)

    @property
    def in_flight(self) -> int:
        """Messages on the lock-step topic that are not answered yet."""
        return len(self._flight)

    @property
    def blocked(self) -> bool:
        """True while playback waits for an answer."""
        return self._blocked or (self._next is None and bool(self._flight))

    # ---- what the player tells ---------------------------------------------------------------------

    def ack(self, stamp: int | None = None) -> None:
        """A consumer has dealt with lock-step messages.

        Args:
            stamp: bag time [ns] of the message answered, which answers all before it; None for the oldest.
        """
        if stamp is None and self._flight:
            self._flight.popleft()
        while stamp is not None and self._flight and self._flight[0] <= stamp:
            self._flight.popleft()

    def give_up(self) -> int:
        """Wait no longer for the messages in flight; how many were never answered."""
        lost = len(self._flight)
        self._flight.clear()
        return lost

    def pause(self, steady: float) -> None:
        """Stop time."""
        if not self.paused:
            self._anchor = (steady, self.position(steady))
            self.paused = True

    def resume(self, steady: float) -> None:
        """Let time run on from where it stopped."""
        if self.paused and self._anchor is not None:
            self._anchor = (steady, self._anchor[1])
        self.paused = False

    def set_rate(self, steady: float, rate: float) -> None:
        """Change the speed without a jump.

        Raises:
            ConfigError: negative or not finite.
        """
        if not 0.0 <= rate < float("inf"):
            raise ConfigError(f"Rate {rate} is not possible.", "Give 0 (as fast as possible) or more.")
        if self._anchor is not None:
            self._anchor = (steady, self.position(steady))
        self.rate = rate

    # ---- inside ------------------------------------------------------------------------------------

    @property
    def _speed(self) -> float:
        """Bag seconds per second now; 0 when the next message need not wait at all."""
        if self.rate > 0.0:
            return self.rate
        return self.config.hold_rate if self._flight else 0.0

    @property
    def _period(self) -> int:
        return round(1e9 / self.config.clock_rate)

    def _tick(self, stamp: int, out: list[Item | Tick]) -> None:
        self._last_tick = stamp
        out.append(Tick(stamp))

    def _tick_if_old(self, stamp: int, out: list[Item | Tick]) -> None:
        if self._last_tick is None or stamp - self._last_tick >= self._period:
            self._tick(stamp, out)

    def _shorten(self, steady: float, stamp: int, now: int) -> None:
        gap = round(self.config.max_gap * 1e9)
        if gap and stamp - now > gap:
            self._anchor = (steady, stamp - gap)

    def _restart(self, steady: float, out: list[Item | Tick]) -> None:
        self.loops += 1
        if self.config.loop and self.loops >= self.config.loop:
            self.done, self._blocked = True, False
            return
        self._items = self._passes()
        self._next = next(self._items, None)
        if self._next is None:
            self.done = True
            return
        self._blocked = False
        self._anchor = (steady, self._start)
        self._tick(self._start, out)
