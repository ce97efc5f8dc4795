"""Knowing which agents there are, as pairing tells."""

from collections.abc import Sequence
from datetime import timedelta

from metrics_query.repositories.agents import RUNTIME, AgentRepository
from metrics_query.repositories.erasure import ErasureRepository
from shoal.database import Database, Transaction
from shoal_events import (
    AccountDeleted,
    PairingConfirmed,
    PairingDeleted,
    PairingRenamed,
    RuntimeAgentCreated,
    RuntimeAgentDeleted,
    RuntimeAgentUpdated,
)


class Agents:
    """Keeps the copy of pairings, and erases what belonged to accounts that are gone."""

    def __init__(self, *, database: Database) -> None:
        self._database = database

    async def confirmed(self, tx: Transaction, event: PairingConfirmed) -> None:
        """Answer for a paired agent from now on."""
        await AgentRepository(tx).confirm(
            event.pairing_id,
            account_id=event.account_id,
            agent_id=event.agent_id,
            name=event.name,
            version=event.version,
        )

    async def renamed(self, tx: Transaction, event: PairingRenamed) -> None:
        """Take a pairing's new name."""
        await AgentRepository(tx).rename(
            event.pairing_id, account_id=event.account_id, name=event.name, version=event.version
        )

    async def deleted(self, tx: Transaction, event: PairingDeleted) -> None:
        """Answer for this pairing's agent no longer; its history waits for it to be paired again."""
        await AgentRepository(tx).end(event.pairing_id, account_id=event.account_id, version=event.version)

    async def known(self, tx: Transaction) -> Sequence[str]:
        """List the pairings whose agents are answered for."""
        return await AgentRepository(tx).list_known(is_runtime=False)

    async def known_running(self, tx: Transaction) -> Sequence[str]:
        """List the places of agents of the runtime that are answered for."""
        return await AgentRepository(tx).list_known(is_runtime=True)

    async def vanished(self, tx: Transaction, pairing_id: str) -> None:
        """Answer no longer for the agent of a pairing, or of a place, that its owner does not know."""
        await AgentRepository(tx).delete(pairing_id)

    async def runs(self, tx: Transaction, event: RuntimeAgentCreated | RuntimeAgentUpdated) -> None:
        """Know an agent of the runtime, which is on its account's dashboard without being paired."""
        await AgentRepository(tx).confirm(
            place_of(event),
            account_id=event.account_id,
            agent_id=event.agent_id,
            name=event.name,
            version=event.version,
        )

    async def runs_no_more(self, tx: Transaction, event: RuntimeAgentDeleted) -> None:
        """Answer for an agent of the runtime no longer."""
        await AgentRepository(tx).end(place_of(event), account_id=event.account_id, version=event.version)

    async def account_deleted(self, tx: Transaction, event: AccountDeleted) -> None:
        """Answer for an account no longer; `erase` does the rest."""
        await AgentRepository(tx).close_account(event.account_id)

    async def erase(self, *, tombstones_kept: timedelta) -> None:
        """Erase the rows of closed accounts, those of samples that came late included, and old tombstones."""
        is_done = False
        while not is_done:
            async with self._database.transaction() as tx:
                source = await ErasureRepository(tx).lock_next()
                is_done = source is None
                if source is not None:
                    await ErasureRepository(tx).erase_some(source)
        async with self._database.transaction() as tx:
            await AgentRepository(tx).forget_tombstones(tombstones_kept)


def place_of(event: RuntimeAgentCreated | RuntimeAgentUpdated | RuntimeAgentDeleted) -> str:
    """Name the place on a dashboard that an agent of the runtime has."""
    return f"{RUNTIME}{event.account_id}/{event.agent_id}"
