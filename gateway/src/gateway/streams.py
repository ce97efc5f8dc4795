"""What stays open: sockets and streamed answers, cut off when the credential that opened them is revoked.

The service behind a socket is told of the revocation too and closes it in its contract's own words; what is still
open after `GRACE_S` is cut here.
"""

import asyncio
import contextlib
from collections.abc import Callable, Iterator

from shoal.identity import Principal

GRACE_S = 3.0


class Stream:
    """Something open, and the task that keeps it so."""

    __slots__ = ("_task", "is_cut", "principal")

    def __init__(self, principal: Principal) -> None:
        self.principal = principal
        self.is_cut = False
        self._task = asyncio.current_task()

    def cut(self) -> None:
        """End it."""
        if self._task is not None and not self._task.done():
            self.is_cut = True
            self._task.cancel()

    def was_cut(self) -> bool:
        """Tell, once, whether the task's cancellation was `cut`'s alone."""
        return self.is_cut and self._task is not None and self._task.uncancel() == 0


class Streams:
    """Everything open in this process."""

    def __init__(self) -> None:
        self._open: set[Stream] = set()

    @contextlib.contextmanager
    def opened(self, principal: Principal) -> Iterator[Stream]:
        """Keep a stream in sight while the block runs."""
        stream = Stream(principal)
        self._open.add(stream)
        try:
            yield stream
        finally:
            self._open.discard(stream)

    def principals(self) -> set[Principal]:
        """Tell who has something open."""
        return {stream.principal for stream in self._open}

    def cut(self, applies: Callable[[Principal], bool]) -> None:
        """Cut off, in a moment, everybody to whom something applies."""
        for stream in self._open:
            if applies(stream.principal):
                asyncio.get_running_loop().call_later(GRACE_S, self._cut_one, stream)

    def _cut_one(self, stream: Stream) -> None:
        if stream in self._open:
            stream.cut()
