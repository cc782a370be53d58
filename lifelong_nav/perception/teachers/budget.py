"""How much a teacher may cost: questions per hour and day, tokens per day, over sliding windows."""

from __future__ import annotations

from collections import deque

HOUR, DAY = 3600.0, 86400.0


class Budget:
    """Counts what was spent; the caller brings the clock.

    Args:
        per_hour: questions in any hour.
        per_day: questions in any day.
        tokens: in any day.
    """

    def __init__(self, per_hour: int, per_day: int, tokens: int) -> None:
        self._hour, self._day, self._tokens = per_hour, per_day, tokens
        self._asked: deque[float] = deque()
        self._spent: deque[tuple[float, int]] = deque()

    def exhausted(self, now: float) -> str:
        """What is used up at `now` [s], in words; "" when another question may be asked."""
        self._forget(now)
        if sum(now - t < HOUR for t in self._asked) >= self._hour:
            return f"{self._hour} questions in an hour"
        if len(self._asked) >= self._day:
            return f"{self._day} questions in a day"
        return f"{self._tokens} tokens in a day" if self.tokens(now) >= self._tokens else ""

    def tokens(self, now: float) -> int:
        """Spent in the last day."""
        self._forget(now)
        return sum(n for _, n in self._spent)

    def ask(self, now: float) -> None:
        """One question goes out."""
        self._asked.append(now)

    def spend(self, now: float, tokens: int) -> None:
        """It cost so much."""
        self._spent.append((now, max(0, tokens)))

    def _forget(self, now: float) -> None:
        while self._asked and now - self._asked[0] >= DAY:
            self._asked.popleft()
        while self._spent and now - self._spent[0][0] >= DAY:
            self._spent.popleft()
