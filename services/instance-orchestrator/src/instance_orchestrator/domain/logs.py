"""Lines of logs as events of a stream."""

import re
from collections.abc import Iterable

MAX_LINE = 8192
DEFAULT_TAIL, MAX_TAIL = 100, 10_000
HEARTBEAT = b": ping\n\n"

_BREAKS = re.compile(r"[\r\n\x00\u2028\u2029]+")


def to_events(lines: Iterable[str]) -> bytes:
    """Write each line as one frame; nothing that it holds can end the frame or begin another field."""
    return b"".join(b"data: " + _clean(line) + b"\n\n" for line in lines)


def tail_of(text: str) -> int:
    """Read how many lines are asked for; what is no number is the default, as in the contract's implementations."""
    return min(int(text), MAX_TAIL) if text.isascii() and text.isdigit() and len(text) < MAX_LINE else DEFAULT_TAIL


def _clean(line: str) -> bytes:
    return _BREAKS.sub(" ", line[:MAX_LINE]).encode("utf-8", "replace")
