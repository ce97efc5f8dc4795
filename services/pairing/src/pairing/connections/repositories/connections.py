"""Connections, invites and blocks."""

from uuid import UUID, uuid4

from pairing.connections.domain.connections import Connection, ConnectionEnd, ListedConnection, Shown
from pairing.connections.errors import InvitePendingError, NoSuchConnectionError
from shoal.database import Transaction, violation_as


class ConnectionRepository:
    """Rows of `connection`, and of `invite`, which counts what an account sends."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx

    async def insert(self, *, inviter: str, invitee: str | None, email: str, message: str | None) -> Connection:
        """Add an invite.

        Raises:
            InvitePendingError: There is one already.
        """
        with violation_as(connection_accounts_key=InvitePendingError, connection_invited_email_key=InvitePendingError):
            connection = await self._tx.find(
                Connection,
                """
                insert into connection (id, inviter_account_id, invitee_account_id, invited_email, message)
                values ($1, $2, $3, $4, $5)
                returning id, inviter_account_id, invitee_account_id, invited_email, message, status, version,
                          created_at, accepted_at
                """,
                *(uuid4(), inviter, invitee, email, message),
            )
        if connection is None:
            raise InvitePendingError
        await self._tx.execute("insert into invite (account_id) values ($1)", inviter)
        return connection

    async def list_of(
        self, account_id: str, *, shown: Shown = Shown.ALL, connection_id: UUID | None = None
    ) -> list[ListedConnection]:
        """List an account's connections that have not ended, newest first; or one of them, even if it has."""
        return await self._tx.all(
            ListedConnection,
            """
            select c.id, c.inviter_account_id, c.invitee_account_id, c.invited_email, c.message, c.status, c.version,
                   c.created_at, c.accepted_at, other.id as other_account_id, account.name as other_name,
                   contact.email as other_email, counted.pairing_count, counted.pending_pairing_count
              from connection as c
             cross join lateral (select case when c.inviter_account_id = $1 then c.invitee_account_id
                                             else c.inviter_account_id end as id) as other
              left join account on account.id = other.id
              left join lateral (select person.email
                                   from person
                                  where person.account_id = other.id
                                    and person.role = 'admin'
                                    and not person.is_deleted
                                  order by person.heard
                                  limit 1) as contact on true
             cross join lateral (select count(*) filter (where p.status = 'active') as pairing_count,
                                        count(*) filter (where p.status = 'pending') as pending_pairing_count
                                   from agent_pairing as p
                                  where p.connection_id = c.id) as counted
             where (c.inviter_account_id = $1 or c.invitee_account_id = $1)
               and case when $3::uuid is null then c.status <> 'revoked' else c.id = $3 end
               and ($2 = 'all' or c.status = $2)
             order by c.created_at desc, c.id
            """,
            *(account_id, shown, connection_id),
        )

    async def get(self, connection_id: UUID, *, account_id: str) -> ListedConnection:
        """Read one of an account's connections.

        Raises:
            NoSuchConnectionError: The account has none of this id.
        """
        found = await self.list_of(account_id, connection_id=connection_id)
        if not found:
            raise NoSuchConnectionError
        return found[0]

    async def lock(self, connection_id: UUID, *, account_id: str) -> Connection:
        """Read one of an account's connections and hold its row.

        Raises:
            NoSuchConnectionError: The account has none of this id.
        """
        connection = await self._tx.find(
            Connection,
            """
            select id, inviter_account_id, invitee_account_id, invited_email, message, status, version, created_at,
                   accepted_at
              from connection
             where id = $1
               and (inviter_account_id = $2 or invitee_account_id = $2)
               for update
            """,
            *(connection_id, account_id),
        )
        if connection is None:
            raise NoSuchConnectionError
        return connection

    async def lock_all(self, account_id: str) -> list[Connection]:
        """Read an account's connections that have not ended and hold their rows."""
        return await self._tx.all(
            Connection,
            """
            select id, inviter_account_id, invitee_account_id, invited_email, message, status, version, created_at,
                   accepted_at
              from connection
             where (inviter_account_id = $1 or invitee_account_id = $1)
               and status <> 'revoked'
             order by id
               for update
            """,
            account_id,
        )

    async def lock_between(self, one: str, other: str) -> list[Connection]:
        """Read what has not ended between two accounts (one connection at most) and hold its row."""
        return await self._tx.all(
            Connection,
            """
            select id, inviter_account_id, invitee_account_id, invited_email, message, status, version, created_at,
                   accepted_at
              from connection
             where status <> 'revoked'
               and invitee_account_id is not null
               and least(inviter_account_id, invitee_account_id) = least($1::text, $2::text)
               and greatest(inviter_account_id, invitee_account_id) = greatest($1::text, $2::text)
               for update
            """,
            *(one, other),
        )

    async def list_waiting(self, email: str) -> list[Connection]:
        """List the invites that wait for whoever has an address, in the order in which they were sent."""
        return await self._tx.all(
            Connection,
            """
            select id, inviter_account_id, invitee_account_id, invited_email, message, status, version, created_at,
                   accepted_at
              from connection
             where lower(invited_email) = lower($1)
               and status = 'pending'
               and invitee_account_id is null
             order by created_at, id
            """,
            email,
        )

    async def lock_waiting(self, connection_id: UUID) -> Connection | None:
        """Read an invite that still waits and hold its row."""
        return await self._tx.find(
            Connection,
            """
            select id, inviter_account_id, invitee_account_id, invited_email, message, status, version, created_at,
                   accepted_at
              from connection
             where id = $1
               and status = 'pending'
               and invitee_account_id is null
               for update
            """,
            connection_id,
        )

    async def has_waiting(self, account_id: str, email: str) -> bool:
        """Tell whether an account's invite to an address waits for somebody to have it."""
        return any(waiting.inviter_account_id == account_id for waiting in await self.list_waiting(email))

    async def count(self, account_id: str) -> int:
        """Count an account's active connections and the invites that it sent."""
        count: int = await self._tx.value(
            """
            select count(*)
              from connection
             where (inviter_account_id = $1 and status <> 'revoked')
                or (invitee_account_id = $1 and status = 'active')
            """,
            account_id,
        )
        return count

    async def next_invite_after(self, account_id: str, *, limit: int) -> float | None:
        """Tell after how many seconds an account may send an invite that has sent as many as an hour allows."""
        await self._tx.execute(
            "delete from invite where account_id = $1 and sent_at <= now() - interval '1 hour'", account_id
        )
        seconds: float | None = await self._tx.value(
            """
            select extract(epoch from sent_at + interval '1 hour' - now())::float8
              from invite
             where account_id = $1
             order by sent_at desc
            offset $2
             limit 1
            """,
            *(account_id, max(limit - 1, 0)),
        )
        return seconds

    async def update(self, connection: Connection) -> None:
        """Store what became of an invite or a connection."""
        await self._tx.execute(
            """
            update connection
               set invitee_account_id = $2, status = $3, accepted_at = $4, version = $5
             where id = $1
            """,
            *(connection.id, connection.invitee_account_id, connection.status),
            *(connection.accepted_at, connection.version),
        )

    async def end(self, connection: Connection, reason: ConnectionEnd) -> None:
        """Store that a connection ended, and why."""
        await self.update(connection)
        await self._tx.execute(
            "update connection set revoked_at = now(), revoked_reason = $2 where id = $1", connection.id, reason
        )

    async def delete(self, connection_id: UUID) -> None:
        """Delete an invite that was never accepted."""
        await self._tx.execute("delete from connection where id = $1", connection_id)
