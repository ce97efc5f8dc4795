"""Which samples of one epoch have been counted: sequence numbers as disjoint, ascending, half-open ranges."""

from bisect import bisect_right
from collections.abc import Iterable

Ranges = tuple[tuple[int, int], ...]


def holds(ranges: Ranges, seq: int) -> bool:
    """Tell whether a sequence number has been counted."""
    at = bisect_right(ranges, (seq, 2**63))
    return at > 0 and seq < ranges[at - 1][1]


def extended(ranges: Ranges, seqs: Iterable[int]) -> Ranges:
    """Add sequence numbers; ranges that touch become one."""
    result: list[tuple[int, int]] = []
    for low, high in sorted([*ranges, *((seq, seq + 1) for seq in seqs)]):
        if result and low <= result[-1][1]:
            result[-1] = (result[-1][0], max(high, result[-1][1]))
        else:
            result.append((low, high))
    return tuple(result)
