"""Rows of `session` and `message`."""

from collections.abc import Sequence

import msgspec

from agent_runtime.errors import SessionNotFoundError
from agent_runtime.ports import Message, SessionPlace
from agent_runtime.sessions.domain import Session
from shoal.database import Transaction


class SessionRepository:
    """Sessions and their messages."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx

    async def get(self, account_id: str, key: str) -> Session:
        """Read a session.

        Raises:
            SessionNotFoundError: The account has none of this key.
        """
        found = await self._tx.find(
            Session,
            """
            select id, account_id, key, agent_id, message_count, version, created_at, updated_at
              from session
             where account_id = $1 and key = $2
            """,
            *(account_id, key),
        )
        if found is None:
            raise SessionNotFoundError
        return found

    async def list(self, account_id: str, *, agent_id: str, limit: int) -> Sequence[Session]:
        """Read the account's sessions, or those with one agent, the latest first."""
        return await self._tx.all(
            Session,
            """
            select id, account_id, key, agent_id, message_count, version, created_at, updated_at
              from session
             where account_id = $1 and ($2 = '' or agent_id = $2)
             order by updated_at desc, id
             limit $3
            """,
            *(account_id, agent_id, limit),
        )

    async def count(self, account_id: str, agent_id: str) -> int:
        """Count an agent's sessions."""
        found: int = await self._tx.value(
            "select count(*) from session where account_id = $1 and agent_id = $2", account_id, agent_id
        )
        return found

    async def count_all(self) -> int:
        """Count the sessions of all accounts."""
        found: int = await self._tx.value("select count(*) from session")
        return found

    async def insert(self, session_id: str, *, account_id: str, key: str, agent_id: str) -> bool:
        """Write a new session; False when its key is taken."""
        return bool(
            await self._tx.execute(
                """
                insert into session (id, account_id, key, agent_id)
                values ($1, $2, $3, $4)
                    on conflict on constraint session_account_key_key do nothing
                """,
                *(session_id, account_id, key, agent_id),
            )
        )

    async def lock(self, account_id: str, key: str) -> SessionPlace:
        """Read a session and hold its row.

        Raises:
            SessionNotFoundError: The account has none of this key.
        """
        found = await self._tx.find(
            SessionPlace,
            "select id, account_id, key, agent_id from session where account_id = $1 and key = $2 for update",
            *(account_id, key),
        )
        if found is None:
            raise SessionNotFoundError
        return found

    async def delete(self, account_id: str, key: str) -> Session:
        """Delete a session, its messages and its runs.

        Raises:
            SessionNotFoundError: The account has none of this key.
        """
        found = await self._tx.find(
            Session,
            """
            delete from session
             where account_id = $1 and key = $2
            returning id, account_id, key, agent_id, message_count, version + 1 as version, created_at, updated_at
            """,
            *(account_id, key),
        )
        if found is None:
            raise SessionNotFoundError
        return found

    async def erase(self, account_id: str) -> None:
        """Delete an account's sessions with their messages and runs."""
        await self._tx.execute("delete from session where account_id = $1", account_id)

    # messages

    async def messages(self, session_id: str, *, limit: int | None = None) -> Sequence[Message]:
        """Read a session's messages, or the last of them, oldest first."""
        return await self._tx.all(
            Message,
            """
            select id, role, content, timestamp, run_id, tool_calls, steps, is_incomplete
              from (select seq, id, role, content, created_at as timestamp, run_id, tool_calls, steps, is_incomplete
                      from message
                     where session_id = $1
                     order by seq desc
                     limit $2) as latest
             order by seq
            """,
            *(session_id, limit),
        )

    async def answer(self, run_id: str) -> Message | None:
        """Read what the agent said at the end of a run."""
        return await self._tx.find(
            Message,
            """
            select id, role, content, created_at as timestamp, run_id, tool_calls, steps, is_incomplete
              from message
             where run_id = $1 and role = 'assistant' and run_id <> ''
            """,
            run_id,
        )

    async def append(self, session_id: str, message: Message, *, earlier: int) -> Sequence[Message]:
        """Write a session's next message, once; returns up to so many messages before it, oldest first.

        They are found by their numbers, which have no gaps: so a session's length costs nothing, however it is planned.
        """
        return await self._tx.all(
            Message,
            """
            with placed as (
                insert into message (session_id, seq, id, role, content, tool_calls, steps, run_id, is_incomplete,
                                     created_at)
                select id, message_count + 1, $2, $3, $4, $5, $6, $7, $8, $9
                  from session
                 where id = $1
                    on conflict (run_id, role) where run_id <> '' do nothing
                returning seq
            ), counted as (
                update session
                   set message_count = placed.seq, updated_at = now()
                  from placed
                 where id = $1
            )
            select id, role, content, timestamp, run_id, tool_calls, steps, is_incomplete
              from (select seq, id, role, content, created_at as timestamp, run_id, tool_calls, steps, is_incomplete
                      from message
                     where session_id = $1
                       and seq >= (select message_count - $10 from session where id = $1)
                       and not (run_id = $7 and role = $3)
                     order by seq desc
                     limit $10) as latest
             order by seq
            """,
            *(session_id, message.id, message.role, message.content),
            *(msgspec.to_builtins(message.tool_calls), msgspec.to_builtins(message.steps)),
            *(message.run_id, message.is_incomplete, message.timestamp, earlier),
        )
