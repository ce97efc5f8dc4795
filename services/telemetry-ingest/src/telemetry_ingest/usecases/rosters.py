"""Rosters: the agents of accounts whose users have sockets here."""

from collections.abc import Callable

from shoal.database import Database
from telemetry_ingest.repositories.pairings import PairingRepository


class Roster(dict[str, set[str]]):
    """An account's agents, each with the pairings that make it one."""


class Rosters:
    """Rosters in use, read once and then kept up to date by facts as they arrive."""

    def __init__(self, database: Database, *, has_ended: Callable[[str], bool]) -> None:
        self._database = database
        self._has_ended = has_ended
        self._rosters: dict[str, tuple[Roster, set[str]]] = {}

    async def join(self, account_id: str, socket_id: str) -> Roster:
        """Read an account's roster, and keep it while the socket is here.

        Raises:
            DatabaseUnavailableError: It cannot be read.
        """
        if account_id not in self._rosters:
            fresh = Roster()
            await self._read(account_id, fresh)
            self._rosters.setdefault(account_id, (fresh, set()))
        roster, sockets = self._rosters[account_id]
        sockets.add(socket_id)
        return roster

    def leave(self, account_id: str, socket_id: str) -> None:
        """Need a roster no more for a socket; with the last one it is forgotten."""
        _, sockets = self._rosters.get(account_id, (None, set[str]()))
        sockets.discard(socket_id)
        if not sockets:
            self._rosters.pop(account_id, None)

    async def refresh(self, account_id: str) -> None:
        """Read a roster again: an agent may have been paired a moment ago.

        Raises:
            DatabaseUnavailableError: It cannot be read.
        """
        if account_id in self._rosters:
            await self._read(account_id, self._rosters[account_id][0])

    async def agents_of(self, account_id: str) -> Roster:
        """Read an account's agents as they are now.

        Raises:
            DatabaseUnavailableError: They cannot be read.
        """
        roster = Roster()
        await self._read(account_id, roster)
        return roster

    def add(self, account_id: str, agent_id: str, pairing_id: str) -> None:
        """Hear that an agent was paired."""
        if account_id in self._rosters:
            self._rosters[account_id][0].setdefault(agent_id, set()).add(pairing_id)

    def remove(self, account_id: str, pairing_id: str) -> None:
        """Hear that a pairing ended."""
        roster, _ = self._rosters.get(account_id, (Roster(), None))
        for agent_id, pairings in list(roster.items()):
            pairings.discard(pairing_id)
            if not pairings:
                del roster[agent_id]

    async def _read(self, account_id: str, roster: Roster) -> None:
        async with self._database.reading() as database:
            known = await PairingRepository(database).list_of(account_id)
        for pairing in known:
            if not self._has_ended(pairing.id):
                roster.setdefault(pairing.agent_id, set()).add(pairing.id)
