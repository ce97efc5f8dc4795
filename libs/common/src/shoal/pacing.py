"""How fast one sender may be."""

BURST_S = 1.0
LEAST_PAUSE_S = 0.001
"""Shorter debts are carried on: sums of fractions are not exact, and timers not that fine."""


class TokenBucket:
    """Counts messages against a rate: a burst of one second's worth, then a debt that is slept off.

    Args:
        rate: Messages per second.
        now: Monotonic seconds.
    """

    __slots__ = ("_full_at", "_rate")

    def __init__(self, rate: float, now: float) -> None:
        self._rate = rate
        self._full_at = now

    def spend(self, count: int, now: float) -> float:
        """Count messages; returns for how many seconds no more should be read."""
        self._full_at = max(self._full_at, now) + count / self._rate
        debt = self._full_at - now - BURST_S
        return debt if debt >= LEAST_PAUSE_S else 0.0
