"""Admissions: who may hold a socket, what that gives them, and what is given back when they leave."""

from collections.abc import Collection
from datetime import timedelta
from typing import Protocol

from shoal.database import Database
from telemetry_ingest.domain.closings import TOO_MANY, TRY_AGAIN, Closing, Gone
from telemetry_ingest.domain.credentials import Credential
from telemetry_ingest.repositories.slots import SlotRepository
from telemetry_ingest.usecases.audiences import Audiences, Viewer
from telemetry_ingest.usecases.presences import Presences
from telemetry_ingest.usecases.rosters import Rosters
from telemetry_ingest.usecases.sockets import Sockets, WatchedSocket


class NotAdmittedError(Exception):
    """A socket may not come in; says why, and by which code it is closed."""

    def __init__(self, closing: Closing) -> None:
        self.closing = closing
        super().__init__(closing.reason)


class Visitor(WatchedSocket, Viewer, Protocol):
    """A socket that wants to be let in."""


class Admissions:
    """Lets sockets in and out.

    Args:
        process: This process, as leases know it.
        sockets_per_user: How many sockets a user's credentials may hold, over all processes.
        silent_for: After how long without a beat another process' sockets count no more.
    """

    def __init__(
        self,
        database: Database,
        sockets: Sockets,
        presences: Presences,
        audiences: Audiences,
        rosters: Rosters,
        *,
        process: str,
        sockets_per_user: int,
        silent_for: timedelta,
    ) -> None:
        self._database = database
        self._sockets = sockets
        self._presences = presences
        self._audiences = audiences
        self._rosters = rosters
        self._process = process
        self._sockets_per_user = sockets_per_user
        self._silent_for = silent_for

    def open(self, visitor: Visitor) -> None:
        """Note a socket of which nobody knows yet whose it is."""
        self._sockets.open(visitor)

    async def admit(self, visitor: Visitor, credential: Credential) -> Collection[str]:
        """Let a socket in; returns the agents that it may speak for, which may grow and shrink.

        Raises:
            NotAdmittedError: It may not come in.
            UnavailableError: Whether it may cannot be told right now.
        """
        closing = self._sockets.admit(visitor, credential)
        if closing is not None:
            raise NotAdmittedError(closing)
        principal = credential.principal
        if credential.is_agent:
            self._presences.begin(
                principal.account_id, principal.agent_id, pairing_id=principal.pairing_id, socket_id=visitor.id
            )
            return frozenset({principal.agent_id})
        await self._claim_slot(visitor, principal.user_id)
        roster = await self._rosters.join(principal.account_id, visitor.id)
        await self._audiences.join(principal.account_id, visitor)
        if visitor.ended_at is not None:
            raise NotAdmittedError(TRY_AGAIN)  # it ended while it was let in; the first reason stands
        return roster

    def speak_for(self, visitor: Visitor, credential: Credential, agent_id: str) -> None:
        """Note that an agent is heard over a user's socket."""
        if not credential.is_agent:
            account_id = credential.principal.account_id
            self._presences.begin(account_id, agent_id, pairing_id=None, socket_id=visitor.id)

    async def watch(self, visitor: Visitor, credential: Credential) -> None:
        """Let a socket see its account's frames.

        Raises:
            UnavailableError: That cannot be had right now.
        """
        await self._audiences.join(credential.principal.account_id, visitor)

    async def refresh(self, credential: Credential) -> None:
        """Read again which agents a user may speak for.

        Raises:
            UnavailableError: They cannot be read right now.
        """
        if not credential.is_agent:
            await self._rosters.refresh(credential.principal.account_id)

    async def leave(self, visitor: Visitor, gone: Gone) -> None:
        """Take back everything that a socket was given."""
        self._sockets.close(visitor)
        if visitor.credential is None:
            return
        principal = visitor.credential.principal
        self._presences.end(visitor.id, gone)
        if not visitor.credential.is_agent:
            self._presences.free(visitor.id)
            self._rosters.leave(principal.account_id, visitor.id)
        await self._audiences.leave(principal.account_id, visitor)

    async def _claim_slot(self, visitor: Visitor, user_id: str) -> None:
        async with self._database.transaction() as tx:
            is_free = await SlotRepository(tx).claim(
                user_id,
                process=self._process,
                socket_id=visitor.id,
                held=self._sockets.of_user(user_id),
                max_slots=self._sockets_per_user,
                silent_for=self._silent_for,
            )
        if not is_free:
            raise NotAdmittedError(TOO_MANY)
