"""SQL of logins."""

from datetime import datetime, timedelta

from msgspec import Struct

from gateway.logins.domain import EndedLogin, EndReason, Kind, Login, Terms
from gateway.logins.errors import LoginNotFoundError
from shoal.database import Transaction
from shoal.identity import Role


class LoginOwner(Struct, frozen=True):
    """Whose a secret is, and for how long it is good as things stand."""

    login_id: str
    kind: Kind
    user_id: str
    account_id: str
    username: str
    role: Role
    expires_in_s: float
    is_stale: bool
    """Whether the last noted use is more than a minute ago."""


class LoginRepository:
    """Rows of `login`, ended ones for a month."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx

    async def insert(
        self,
        login_id: str,
        *,
        user_id: str,
        kind: Kind,
        secret_hash: bytes,
        source: str,
        terms: Terms,
        opened_by: str | None,
    ) -> Login:
        """Add a login that lasts by the database's clock; what a token opened, the token's session opened."""
        inserted = await self._tx.find(
            Login,
            """
            insert into login (id, person_id, kind, secret_hash, source, expires_at, ends_at, opened_by)
            values ($1, $2, $3, $4, $5, now() + least($6::interval, $7::interval), now() + $7::interval,
                    coalesce((select opened_by from login where id = $8), $8))
            returning id, kind, source, created_at, last_used_at, expires_at
            """,
            *(login_id, user_id, kind, secret_hash, source, terms.idle, terms.total, opened_by),
        )
        if inserted is None:
            raise LoginNotFoundError
        return inserted

    async def find_owner(self, secret_hash: bytes) -> LoginOwner | None:
        """Find whose secret this is, if its login is still good."""
        return await self._tx.find(
            LoginOwner,
            """
            select l.id as login_id, l.kind, p.id as user_id, p.account_id, p.username, p.role,
                   extract(epoch from l.expires_at - now())::float as expires_in_s,
                   l.last_used_at < now() - interval '1 minute' as is_stale
              from login as l
              join person as p on p.id = l.person_id
             where l.secret_hash = $1
               and l.ended_at is null
               and l.expires_at > now()
               and p.deleted_at is null
            """,
            secret_hash,
        )

    async def touch(self, login_id: str, *, idle: timedelta) -> None:
        """Note that a login is used, which lets it last longer."""
        await self._tx.execute(
            """
            update login
               set last_used_at = now(), expires_at = least(now() + $2::interval, ends_at)
             where id = $1
               and ended_at is null
               and expires_at > now()
            """,
            *(login_id, idle),
        )

    async def find_id(self, secret_hash: bytes) -> str | None:
        """Find which login has this secret."""
        found: str | None = await self._tx.value(
            "select id from login where secret_hash = $1 and ended_at is null", secret_hash
        )
        return found

    async def find_expiry(self, login_id: str) -> datetime | None:
        """Tell when a login ends if it is not used."""
        found: datetime | None = await self._tx.value(
            "select expires_at from login where id = $1 and ended_at is null", login_id
        )
        return found

    async def is_known_at(self, username: str, source: str) -> bool:
        """Tell whether a user signed in from an address within a month."""
        return bool(
            await self._tx.value(
                """
                select exists (select from login as l
                                 join person as p on p.id = l.person_id
                                where lower(p.username) = lower($1)
                                  and p.deleted_at is null
                                  and l.source = $2)
                """,
                *(username, source),
            )
        )

    async def list_of(self, user_id: str) -> list[Login]:
        """List a user's logins that are good, newest first."""
        return await self._tx.all(
            Login,
            """
            select id, kind, source, created_at, last_used_at, expires_at
              from login
             where person_id = $1
               and ended_at is null
               and expires_at > now()
             order by created_at desc, id
            """,
            user_id,
        )

    async def list_good(self, login_ids: list[str]) -> list[str]:
        """Choose the logins that are good."""
        rows = await self._tx.connection.fetch(
            "select id from login where id = any($1::text[]) and ended_at is null and expires_at > now()", login_ids
        )
        return [row["id"] for row in rows]

    async def is_good(self, account_id: str, login_id: str) -> bool:
        """Tell whether an account has a login of this id that is good."""
        return bool(
            await self._tx.value(
                """
                select true
                  from login as l
                  join person as p on p.id = l.person_id
                 where p.account_id = $1
                   and l.id = $2
                   and l.ended_at is null
                   and l.expires_at > now()
                """,
                *(account_id, login_id),
            )
        )

    async def end(self, login_id: str, reason: EndReason, *, user_id: str) -> list[EndedLogin]:
        """End a login of a user and the tokens that it opened; tells which were there to end."""
        return await self._tx.all(
            EndedLogin,
            """
            update login as l
               set ended_at = now(), end_reason = $2
              from person as p
             where (l.id = $1 or l.opened_by = $1)
               and p.id = l.person_id
               and p.id = $3
               and l.ended_at is null
            returning l.id, l.person_id as user_id, p.account_id, l.end_reason
            """,
            *(login_id, reason, user_id),
        )

    async def end_all(self, user_id: str, reason: EndReason, *, but: str = "") -> list[EndedLogin]:
        """End a user's logins, but for one."""
        return await self._tx.all(
            EndedLogin,
            """
            update login as l
               set ended_at = now(), end_reason = $2
              from person as p
             where p.id = $1
               and l.person_id = p.id
               and l.id <> $3
               and l.ended_at is null
            returning l.id, l.person_id as user_id, p.account_id, l.end_reason
            """,
            *(user_id, reason, but),
        )

    async def end_expired(self) -> list[EndedLogin]:
        """End up to 500 logins whose time is over."""
        return await self._tx.all(
            EndedLogin,
            """
            update login as l
               set ended_at = now(), end_reason = 'expired'
              from person as p
             where p.id = l.person_id
               and l.id in (select id
                              from login
                             where ended_at is null
                               and expires_at <= now()
                             order by expires_at
                             limit 500
                               for update skip locked)
            returning l.id, l.person_id as user_id, p.account_id, l.end_reason
            """,
        )

    async def delete_old(self) -> None:
        """Delete logins that ended more than a month ago."""
        await self._tx.execute("delete from login where ended_at < now() - interval '30 days'")
