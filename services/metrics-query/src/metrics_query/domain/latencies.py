"""Response times as a histogram of log buckets, base 2^(1/32), which is OpenTelemetry's scale 5.

Bucket `i` holds what lies in (b^i, b^(i+1)] milliseconds, b = 2^(1/32); a value of `v` ms falls into
`ceil(32 log2 v) - 1`. Its estimate, `2 b^(i+1) / (b + 1)`, is at most 1.08 % away from any value in the
bucket. Buckets are added, never moved, so merging is exact and does not depend on order.
"""

import math
from collections.abc import Iterable, Mapping

from msgspec import Struct

from metrics_query.domain.measures import bounded

SCALE = 32
BASE = 2 ** (1 / SCALE)
LEAST_MS, MAX_MS = 2.0**-10, 2.0**30


class Latency(Struct, frozen=True, gc=False):
    """A histogram: parallel bucket indices (ascending) and counts; sum and bounds in microseconds."""

    idx: tuple[int, ...] = ()
    cnt: tuple[int, ...] = ()
    total: int = 0
    low: int | None = None
    high: int | None = None

    @property
    def n(self) -> int:
        """How many response times it holds."""
        return sum(self.cnt)

    @classmethod
    def of(cls, values_ms: Iterable[float]) -> "Latency":
        """Gather response times in milliseconds; negative ones and what is no number are left out."""
        buckets: dict[int, int] = {}
        total, low, high = 0, None, None
        for value in values_ms:
            if not math.isfinite(value) or value < 0:
                continue
            bounded = min(max(value, LEAST_MS), MAX_MS)
            index = index_of(bounded)
            buckets[index] = buckets.get(index, 0) + 1
            us = round(bounded * 1000)
            total += us
            low = us if low is None else min(low, us)
            high = us if high is None else max(high, us)
        return _sorted(buckets, total, low, high) if buckets else NO_RESPONSES

    def merge(self, other: "Latency") -> "Latency":
        """Add the other's buckets."""
        if not self.idx:
            return other
        return merged((self, other)) if other.idx else self

    def weighed(self, weight: int) -> "Latency":
        """Let the same distribution stand for `weight` response times.

        The cumulative counts are scaled and rounded down, so the counts stay whole, add up to `weight`
        exactly, and no rank moves by one or more.
        """
        n = self.n
        if not n or weight == n:
            return self
        counts, upto, given = [], 0, 0
        for count in self.cnt:
            upto += count
            counts.append(upto * weight // n - given)
            given += counts[-1]
        kept = [(index, count) for index, count in zip(self.idx, counts, strict=True) if count]
        return Latency(
            tuple(index for index, _ in kept),
            tuple(count for _, count in kept),
            bounded(self.total * weight // n),
            self.low,
            self.high,
        )

    def quantile(self, share: float) -> float | None:
        """Estimate in milliseconds what a share of all do not exceed (nearest rank); None when empty."""
        if self.low is None or self.high is None:
            return None
        rank, upto = max(1, math.ceil(share * self.n)), 0
        for index, count in zip(self.idx, self.cnt, strict=True):
            upto += count
            if upto >= rank:
                return min(max(estimate(index), self.low / 1000), self.high / 1000)
        return self.high / 1000

    @property
    def mean(self) -> float | None:
        """The mean in milliseconds; None when empty."""
        return self.total / self.n / 1000 if self.cnt else None


NO_RESPONSES = Latency()


def merged(parts: Iterable[Latency]) -> Latency:
    """Add the buckets of many histograms."""
    filled = [part for part in parts if part.cnt]
    if len(filled) <= 1:
        return filled[0] if filled else NO_RESPONSES
    buckets = dict(zip(filled[0].idx, filled[0].cnt, strict=True))
    for part in filled[1:]:
        for index, count in zip(part.idx, part.cnt, strict=True):
            buckets[index] = buckets.get(index, 0) + count
    low = min(part.low for part in filled if part.low is not None)
    high = max(part.high for part in filled if part.high is not None)
    return _sorted(buckets, bounded(sum(part.total for part in filled)), low, high)


def index_of(value_ms: float) -> int:
    """Tell which bucket a positive response time falls into."""
    return math.ceil(math.log2(value_ms) * SCALE) - 1


def estimate(index: int) -> float:
    """Tell the value in milliseconds that stands for a bucket."""
    return float(2 * BASE ** (index + 1) / (BASE + 1))


def _sorted(buckets: Mapping[int, int], total: int, low: int | None, high: int | None) -> Latency:
    order = sorted(buckets)
    return Latency(tuple(order), tuple([buckets[index] for index in order]), total, low, high)
