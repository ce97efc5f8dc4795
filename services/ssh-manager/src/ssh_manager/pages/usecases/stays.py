"""What is open right now: requests and sockets under way, ended when what let them in does no longer hold."""

import contextlib
from collections import Counter
from collections.abc import Iterator

from ssh_manager.entrance import STOPPING
from ssh_manager.pages.domain import Grant, Stay
from ssh_manager.pages.errors import PageBusyError
from ssh_manager.pages.usecases.tickets import Tickets

MAX_STAYS = 200
"""Requests and sockets at once for one instance."""


class Stays:
    """Everything that is open in this process."""

    def __init__(self, tickets: Tickets) -> None:
        self._tickets = tickets
        self._open: set[Stay] = set()
        self._counts: Counter[int] = Counter()

    @contextlib.contextmanager
    def held(self, grant: Grant) -> Iterator[Stay]:
        """Note that something is open while the block runs.

        Raises:
            PageBusyError: Too much is, of this instance.
        """
        if self._counts[grant.instance_id] >= MAX_STAYS:
            raise PageBusyError(retry_after_s=1)
        stay = Stay(grant)
        self._open.add(stay)
        self._counts[grant.instance_id] += 1
        try:
            yield stay
        finally:
            self._open.discard(stay)
            self._counts[grant.instance_id] -= 1
            if not self._counts[grant.instance_id]:
                del self._counts[grant.instance_id]

    async def look(self) -> None:
        """End what must not be open any more."""
        for grant in {stay.grant for stay in self._open}:
            if (reason := await self._tickets.reason_to_leave(grant)) is not None:
                for stay in tuple(self._open):
                    if stay.grant == grant:
                        stay.end(reason)

    def end_all(self) -> None:
        """End everything."""
        for stay in tuple(self._open):
            stay.end(STOPPING)
