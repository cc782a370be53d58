"""Circuit breaker: after some failures in a row nobody is asked for a while, then one probe decides."""

from __future__ import annotations


class CircuitBreaker:
    """Closed, open or half-open (Nygard, "Release It!", 2007); the caller brings the clock.

    Args:
        failures: so many in a row open the circuit.
        rest: how long it stays open at first [s]; doubles with every failed probe.
        longest: longest rest [s].
    """

    def __init__(self, failures: int = 3, rest: float = 60.0, longest: float = 3600.0) -> None:
        self._limit, self._first, self._longest = failures, rest, longest
        self._failed, self._rest, self._opened = 0, rest, -1.0
        self._probing = False

    def state(self, now: float) -> str:
        """What the circuit is at `now` [s]: closed, open or half-open."""
        if self._opened < 0.0:
            return "closed"
        return "half-open" if self.wait(now) == 0.0 else "open"

    def wait(self, now: float) -> float:
        """Seconds until a question is allowed; 0 when it is. A clock that jumped back ends the rest."""
        if self._opened < 0.0 or now < self._opened:
            return 0.0
        return max(0.0, self._opened + self._rest - now)

    def allow(self, now: float) -> bool:
        """True when a question may be asked; a half-open circuit lets one through at a time."""
        state = self.state(now)
        if state == "half-open" and not self._probing:
            self._probing = True
            return True
        return state == "closed"

    def succeeded(self) -> None:
        """The question was answered: the circuit closes."""
        self._failed, self._rest, self._opened, self._probing = 0, self._first, -1.0, False

    def failed(self, now: float, fatal: bool = False) -> None:
        """The question failed; `fatal` opens the circuit at once (a refused key)."""
        self._failed += 1
        if self._probing:
            self._rest = min(2.0 * self._rest, self._longest)
        if self._probing or fatal or self._failed >= self._limit:
            self._opened, self._probing = now, False

    def withdrawn(self) -> None:
        """A question that was allowed was not asked after all."""
        self._probing = False
