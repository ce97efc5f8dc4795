"""Keeping what was said."""

from collections.abc import Sequence

from agent_runtime.ports import Agents, Message, SessionPlace, Turns
from agent_runtime.sessions.domain import Session, Transcript
from agent_runtime.sessions.errors import SessionTakenError
from agent_runtime.sessions.repositories import SessionRepository
from shoal.database import Database, Transaction
from shoal.ids import new_id
from shoal.outbox import Outbox
from shoal_events import SessionCreated, SessionDeleted

MAX_LISTED = 500
_ROUNDS = 3
"""How often what runs in a session is cancelled before it is deleted under whatever does not end."""


class Sessions:
    """Chats with agents. Messages are written by turns, inside the transactions that begin and end them."""

    def __init__(self, *, database: Database, outbox: Outbox) -> None:
        self._database = database
        self._outbox = outbox

    async def list(self, account_id: str, *, agent_id: str = "", limit: int = MAX_LISTED) -> Sequence[Session]:
        """List the account's sessions, or those with one agent, the latest first."""
        async with self._database.reading() as database:
            return await SessionRepository(database).list(account_id, agent_id=agent_id, limit=limit)

    async def show(self, account_id: str, key: str) -> Transcript:
        """Show a session with all of its messages.

        Raises:
            SessionNotFoundError: The account has none of this key.
        """
        async with self._database.reading() as database:
            repository = SessionRepository(database)
            session = await repository.get(account_id, key)
            return Transcript(session, await repository.messages(session.id))

    async def agent_of(self, account_id: str, session_key: str) -> str:
        """Tell whose session it is.

        Raises:
            SessionNotFoundError: The account has none of this key.
        """
        async with self._database.reading() as database:
            return (await SessionRepository(database).get(account_id, session_key)).agent_id

    async def recent(self, account_id: str, session_key: str, limit: int) -> Sequence[Message]:
        """List the last messages, oldest first.

        Raises:
            SessionNotFoundError: The account has none of this key.
        """
        async with self._database.reading() as database:
            repository = SessionRepository(database)
            session = await repository.get(account_id, session_key)
            return await repository.messages(session.id, limit=limit)

    async def count(self, account_id: str, agent_id: str) -> int:
        """Count an agent's sessions."""
        async with self._database.reading() as database:
            return await SessionRepository(database).count(account_id, agent_id)

    async def count_all(self) -> int:
        """Count the sessions of all accounts."""
        async with self._database.reading() as database:
            return await SessionRepository(database).count_all()

    async def find(self, tx: Transaction, account_id: str, session_key: str) -> SessionPlace:
        """Find a session, and hold nothing.

        Raises:
            SessionNotFoundError: The account has none of this key.
        """
        session = await SessionRepository(tx).get(account_id, session_key)
        return SessionPlace(session.id, account_id, session.key, session.agent_id)

    # inside the transactions of turns

    async def enter(self, tx: Transaction, account_id: str, session_key: str) -> SessionPlace:
        """Find a session and hold its row until the commit.

        Raises:
            SessionNotFoundError: The account has none of this key.
        """
        return await SessionRepository(tx).lock(account_id, session_key)

    async def make(self, tx: Transaction, account_id: str, session_key: str, agent_id: str) -> SessionPlace:
        """Make a session, or find it when another has just made it, and hold its row until the commit."""
        repository = SessionRepository(tx)
        session_id = new_id("sess")
        if await repository.insert(session_id, account_id=account_id, key=session_key, agent_id=agent_id):
            await self._tell_created(tx, SessionPlace(session_id, account_id, session_key, agent_id))
        return await repository.lock(account_id, session_key)

    async def say(self, tx: Transaction, session_id: str, message: Message, *, earlier: int = 0) -> Sequence[Message]:
        """Append a message; one of the same run and role that stands already is not said twice.

        Returns up to so many earlier messages, oldest first.
        """
        return await SessionRepository(tx).append(session_id, message, earlier=earlier)

    async def said(self, tx: Transaction, session_id: str, limit: int) -> Sequence[Message]:
        """List a session's last messages, oldest first."""
        return await SessionRepository(tx).messages(session_id, limit=limit)

    async def answer(self, tx: Transaction, run_id: str) -> Message | None:
        """Find what the agent said at the end of a run."""
        return await SessionRepository(tx).answer(run_id)

    # beginnings and ends

    async def create(self, account_id: str, *, agent_id: str, key: str) -> Session:
        """Begin a session with an agent that is known to exist.

        Raises:
            SessionTakenError: The account has one of this key.
        """
        session_id = f"sess-{new_id('').lstrip('_')}"
        async with self._database.transaction() as tx:
            repository = SessionRepository(tx)
            place = SessionPlace(session_id, account_id, key or session_id, agent_id)
            if not await repository.insert(place.id, account_id=account_id, key=place.key, agent_id=agent_id):
                raise SessionTakenError
            await self._tell_created(tx, place)
            return await repository.get(account_id, place.key)

    async def remove(self, tx: Transaction, account_id: str, key: str) -> None:
        """Delete a session with its messages and runs.

        Raises:
            SessionNotFoundError: The account has none of this key.
        """
        session = await SessionRepository(tx).delete(account_id, key)
        await self._outbox.append(
            tx, SessionDeleted(session_id=session.id, account_id=account_id, key=session.key, version=session.version)
        )

    async def erase(self, tx: Transaction, account_id: str) -> None:
        """Erase the sessions of an account that is no more."""
        await SessionRepository(tx).erase(account_id)

    async def _tell_created(self, tx: Transaction, place: SessionPlace) -> None:
        await self._outbox.append(
            tx,
            SessionCreated(
                session_id=place.id, account_id=place.account_id, key=place.key, agent_id=place.agent_id, version=1
            ),
        )


class SessionLifecycle:
    """Beginning and ending sessions, where agents and turns have a say."""

    def __init__(self, *, database: Database, sessions: Sessions, agents: Agents, turns: Turns) -> None:
        self._database = database
        self._sessions = sessions
        self._agents = agents
        self._turns = turns

    async def begin(self, account_id: str, *, agent_id: str, key: str) -> Session:
        """Begin a session; with the account's oldest agent for an empty id.

        Raises:
            AgentNotFoundError: There is no such agent.
            SessionTakenError: The account has a session of this key.
        """
        agent = await self._agents.get(account_id, agent_id)
        return await self._sessions.create(account_id, agent_id=agent.id, key=key)

    async def end(self, account_id: str, key: str) -> None:
        """Cancel whatever runs or waits in a session, also what is asked for meanwhile, and delete it.

        Raises:
            SessionNotFoundError: The account has none of this key.
        """
        for rounds_left in reversed(range(_ROUNDS)):
            await self._turns.cancel_session(account_id, key)
            if await self._remove(account_id, key, if_busy=rounds_left == 0):
                return

    async def _remove(self, account_id: str, key: str, *, if_busy: bool) -> bool:
        async with self._database.transaction() as tx:
            place = await self._sessions.enter(tx, account_id, key)  # from here on nothing begins there
            if await self._turns.is_busy(tx, place.id) and not if_busy:
                return False
            await self._sessions.remove(tx, account_id, key)
            return True
