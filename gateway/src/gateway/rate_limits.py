"""How many requests somebody may make.

A token bucket per caller in this process's memory: it fills at the rate and holds two seconds' worth. N replicas
therefore let up to N times the rate through; docs/http.md says so.
"""

import time
from math import ceil

from gateway.errors import TooManyRequestsError

BURST_S = 2.0
MAX_BUCKETS = 100_000


class RateLimit:
    """One policy: so many requests per second for each key.

    Args:
        name: What the policy is called in headers.
        rate: Requests per second; 0 for no limit.
    """

    def __init__(self, name: str, rate: int) -> None:
        self._rate = rate
        self._burst = rate * BURST_S
        self._buckets: dict[str, tuple[float, float]] = {}
        self._named = f'"{name}";r='.encode()
        self._policy = (b"ratelimit-policy", f'"{name}";q={self._burst:.0f};w={BURST_S:.0f}'.encode())

    def take(self, key: str) -> tuple[tuple[bytes, bytes], ...]:
        """Take one request; returns headers that say what is left.

        Raises:
            TooManyRequestsError: Nothing is left; says when there will be.
        """
        if not self._rate:
            return ()
        now = time.monotonic()
        left, at = self._buckets.get(key) or (self._burst, now)
        left = min(self._burst, left + (now - at) * self._rate)
        if left < 1:
            raise TooManyRequestsError(retry_after_s=(1 - left) / self._rate)
        if len(self._buckets) >= MAX_BUCKETS:
            self._forget_full(now)
        self._buckets[key] = (left - 1, now)
        return (self._policy, (b"ratelimit", self._named + b"%d;t=%d" % (left - 1, self._full_in(left - 1))))

    def _full_in(self, left: float) -> int:
        """Tell in how many seconds a bucket is full again if nobody takes from it."""
        return ceil((self._burst - left) / self._rate)

    def _forget_full(self, now: float) -> None:
        """Forget whoever has not asked for so long that nothing is held against them; everybody, if need be."""
        self._buckets = {key: bucket for key, bucket in self._buckets.items() if now - bucket[1] < BURST_S}
        if len(self._buckets) >= MAX_BUCKETS:
            self._buckets.clear()
