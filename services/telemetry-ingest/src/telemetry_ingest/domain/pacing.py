"""How fast one sender may be."""


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
        return self._full_at - now - 1.0 if self._full_at - now > 1.0 else 0.0
