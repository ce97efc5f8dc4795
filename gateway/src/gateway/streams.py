"""What stays open: sockets and streamed answers, cut off when the credential that opened them is revoked.

The service behind a socket is told of the revocation too and closes it in its contract's own words; what is still
open after `GRACE_S` is cut here.
"""

import asyncio
from collections.abc import Callable
from typing import Self

from shoal.identity import Principal

GRACE_S = 3.0


Open = dict[str, "set[Stream]"]
"""What is open, by credential id."""


class Stream:
    """Something open, and the task that keeps it so; in sight while the block that opens it runs."""

    __slots__ = ("_open", "_task", "is_cut", "principal")

    def __init__(self, principal: Principal, among: "Open") -> None:
        self.principal = principal
        self.is_cut = False
        self._open = among
        self._task = asyncio.current_task()

    def __enter__(self) -> Self:
        self._open.setdefault(self.principal.credential_id, set()).add(self)
        return self

    def __exit__(self, *_: object) -> None:
        beside = self._open[self.principal.credential_id]
        beside.discard(self)
        if not beside:
            del self._open[self.principal.credential_id]

    def cut(self) -> None:
        """End it, unless it has ended."""
        is_open = self in self._open.get(self.principal.credential_id, ())
        if is_open and self._task is not None and not self._task.done():
            self.is_cut = True
            self._task.cancel()

    def was_cut(self) -> bool:
        """Tell, once, whether the task's cancellation was `cut`'s alone."""
        return self.is_cut and self._task is not None and self._task.uncancel() == 0


class Streams:
    """Everything open in this process."""

    def __init__(self) -> None:
        self._open: Open = {}

    def opened(self, principal: Principal) -> Stream:
        """Keep a stream in sight while the block runs."""
        return Stream(principal, self._open)

    def principals(self) -> set[Principal]:
        """Tell who has something open."""
        return {stream.principal for streams in self._open.values() for stream in streams}

    def cut_credential(self, credential_id: str) -> None:
        """Cut off, in a moment, whatever was opened with a credential."""
        for stream in self._open.get(credential_id, ()):
            asyncio.get_running_loop().call_later(GRACE_S, stream.cut)

    def cut(self, applies: Callable[[Principal], bool]) -> None:
        """Cut off, in a moment, everybody to whom something applies."""
        for principal in self.principals():
            if applies(principal):
                self.cut_credential(principal.credential_id)
