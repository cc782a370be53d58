"""Time as a dependency: algorithms are handed a clock, they never look for one.

`now` is the stamp clock (ROS time, simulated or not); `steady` never jumps and measures how long ago
something arrived here. Freshness asks both, because either alone can be fooled: stamps by a clock
that steps or a bag that loops, arrival times by a sender that repeats old data.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Protocol

FUTURE_TOLERANCE = 0.1
"""Seconds a stamp may lie ahead of now before it counts as wrong."""


class Clock(Protocol):
    """What a component may ask about time."""

    def now(self) -> float:
        """Seconds of the stamp clock."""
        ...

    def steady(self) -> float:
        """Seconds of a clock that only moves forward, at the stamp clock's rate or wall rate."""
        ...


class SystemClock:
    """Wall time for stamps, the monotonic clock for intervals."""

    def now(self) -> float:
        """Seconds since the Unix epoch."""
        return time.time()

    def steady(self) -> float:
        """Monotonic seconds."""
        return time.monotonic()


@dataclass
class ManualClock:
    """A clock that moves when told: simulations, replays and tests."""

    time: float = 0.0

    def now(self) -> float:
        """The time last set."""
        return self.time

    def steady(self) -> float:
        """Same as `now`: a manual clock has one time."""
        return self.time

    def advance(self, seconds: float) -> None:
        """Move forward by `seconds` >= 0."""
        if seconds < 0.0:
            raise ValueError(f"a manual clock cannot run back ({seconds} s)")
        self.time += seconds


@dataclass(frozen=True)
class Received:
    """When a message says it was made (`stamp`) and when it came in here (`arrival`, steady)."""

    stamp: float
    arrival: float


def staleness(received: Received | None, clock: Clock, timeout: float) -> str | None:
    """Why data is not fresh, or None when it is: |now - stamp| and time since arrival within bounds.

    Args:
        received: stamps of the newest message, None when there was none yet.
        clock: the clock of the consumer.
        timeout: greatest age [s], for the stamp and for the arrival alike.
    """
    if received is None:
        return "never received"
    age = clock.now() - received.stamp
    if age != age:
        return "stamp is not a number"
    if age < -FUTURE_TOLERANCE:
        return f"stamp lies {-age:.2f} s in the future"
    if age > timeout:
        return f"stamp is {age:.2f} s old"
    waited = clock.steady() - received.arrival
    if waited > timeout:
        return f"nothing received for {waited:.2f} s"
    return None


def is_fresh(received: Received | None, clock: Clock, timeout: float) -> bool:
    """True when `staleness` finds nothing wrong."""
    return staleness(received, clock, timeout) is None
