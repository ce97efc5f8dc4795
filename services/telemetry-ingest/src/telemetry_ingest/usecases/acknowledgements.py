"""Acknowledgements: the newest number up to which everything is stored, said often enough and not more often."""

import asyncio
from collections.abc import Callable

from telemetry_ingest.domain.frames import Ack
from telemetry_ingest.usecases.outgoing import Outgoing

EVERY_S = 0.05


class Acknowledgements:
    """Cumulative acknowledgements of one epoch over one socket."""

    def __init__(self, outgoing: Outgoing, *, give_up: Callable[[], None]) -> None:
        self._outgoing = outgoing
        self._give_up = give_up
        self._stored = 0
        self._told = 0
        self._told_at = float("-inf")
        self._timer: asyncio.TimerHandle | None = None
        self._is_over = False

    def acknowledge(self, seq: int) -> None:
        """Note that everything up to a number is stored."""
        self._stored = max(self._stored, seq)
        if self._timer is None and not self._is_over:
            loop = asyncio.get_running_loop()
            due = self._told_at + EVERY_S
            if loop.time() >= due:
                self.tell()
            else:
                self._timer = loop.call_at(due, self.tell)

    def give_up(self) -> None:
        """Note that something will never be stored."""
        self._give_up()

    def tell(self) -> None:
        """Say the newest number now, if it is news."""
        self._timer = None
        if self._stored > self._told and not self._is_over:
            self._told, self._told_at = self._stored, asyncio.get_running_loop().time()
            self._outgoing.answer(Ack(self._told))

    def stop(self) -> None:
        """Say nothing more: another epoch began, or the socket ended."""
        self._is_over = True
        if self._timer is not None:
            self._timer.cancel()
