"""Slots: how many sockets a user and an account hold, over all processes.

A row per signed-in socket counts while its process beats; a process that was taken for lost counts its sockets again.
Slots are given back from a task of its own, so that a socket's end never waits for the database; what could not be
given back goes with the process.
"""

import asyncio
import contextlib
from collections.abc import Callable
from datetime import timedelta

from agent_runtime.sockets.domain.slots import Slot
from agent_runtime.sockets.repositories import SlotRepository
from agent_runtime.sockets.usecases.sockets import Sockets
from shoal.database import Database
from shoal.errors import UnavailableError
from shoal.identity import Principal

PARTING_S = 2.0


class Slots:
    """Takes, gives back and counts.

    Args:
        sockets: Those of this process.
        process: This process.
        sockets_per_user: How many a user may hold.
        beat: How often this process proves that it lives.
        silent_for: After how long without a beat a process' sockets count no more.
        on_change: Told the account whose sockets became more or fewer; must not wait.
    """

    name = "socket slots"

    def __init__(
        self,
        database: Database,
        sockets: Sockets,
        *,
        process: str,
        sockets_per_user: int,
        beat: timedelta,
        silent_for: timedelta,
        on_change: Callable[[str], None],
    ) -> None:
        self._database = database
        self._sockets = sockets
        self._process = process
        self._max_slots = sockets_per_user
        self._beat_s = beat.total_seconds()
        self._silent_for = silent_for
        self._on_change = on_change
        self._due: dict[str, str] = {}

    def problem(self) -> str | None:
        """Nothing here makes the service unable to answer."""
        return None

    async def claim(self, socket_id: str, principal: Principal) -> bool:
        """Take a slot; False when the user has none left.

        Raises:
            UnavailableError: That cannot be told right now.
        """
        async with self._database.transaction() as tx:
            slots = SlotRepository(tx)
            await slots.queue(principal.user_id)
            is_free = await slots.claim(
                Slot(socket_id, principal.account_id, principal.user_id),
                process=self._process,
                held=self._sockets.of_user(principal.user_id),  # now: others may have come in while this one waited
                max_slots=self._max_slots,
                silent_for=self._silent_for,
            )
        if is_free:
            self._on_change(principal.account_id)
        return is_free

    def free(self, socket_id: str, account_id: str) -> None:
        """Give a slot back with the next beat; never waits."""
        self._due[socket_id] = account_id

    async def count(self, account_id: str) -> int:
        """Count an account's open sockets, over all processes.

        Raises:
            UnavailableError: That cannot be told right now.
        """
        async with self._database.reading() as database:
            return await SlotRepository(database).count(account_id, silent_for=self._silent_for)

    async def run(self) -> None:
        """Beat and give back for ever; at the end, give back everything."""
        try:
            while True:
                with contextlib.suppress(UnavailableError):
                    await self._turn()
                await asyncio.sleep(self._beat_s)
        finally:
            with contextlib.suppress(UnavailableError, TimeoutError):
                async with asyncio.timeout(PARTING_S), self._database.transaction() as tx:
                    await SlotRepository(tx).end(self._process)

    async def _turn(self) -> None:
        due = dict(self._due)
        async with self._database.transaction() as tx:
            slots = SlotRepository(tx)
            if await slots.beat(self._process):
                await slots.restore(self._process, self._sockets.held())
            if due:
                await slots.free(list(due))
            lost = await slots.forget_silent(self._silent_for)
        for socket_id in due:
            self._due.pop(socket_id, None)
        for account_id in {*due.values(), *lost}:
            self._on_change(account_id)
