"""How often somebody may guess.

Attempts are counted before the password is looked at, so guesses made at once are all counted, and while a door is
closed no password is looked at. Two doors: one per username, which never closes for longer than half a minute and
stands open for addresses that the user signed in from lately, so a stranger cannot lock anybody out; and one per
address, which closes for up to a quarter of an hour.
"""

import ipaddress
from datetime import timedelta

from msgspec import Struct

from gateway.logins.errors import TooManyAttemptsError
from shoal.database import Database

FORGOTTEN_AFTER = timedelta(hours=1)


class Door(Struct, frozen=True):
    """How one kind of door closes: after `free` failures for 1 s, 2 s, 4 s … up to `longest`."""

    free: int
    longest: timedelta


ACCOUNT = Door(free=5, longest=timedelta(seconds=30))
ADDRESS = Door(free=20, longest=timedelta(minutes=15))


class Throttle:
    """Counts attempts to sign in."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def attempt(self, username: str, source: str, *, is_known: bool) -> None:
        """Count an attempt as failed until it has succeeded.

        Args:
            username: As it was given.
            source: The caller's address.
            is_known: Whether the user signed in from this address lately.

        Raises:
            TooManyAttemptsError: A door is closed; says for how long.
        """
        await self._pass(_address_key(source), ADDRESS)
        if not is_known:
            await self._pass(_account_key(username), ACCOUNT)

    async def succeed(self, username: str, source: str) -> None:
        """Forget the failures of a username, and take back the one counted for the address."""
        async with self._database.transaction() as tx:
            await tx.execute("delete from login_attempt where key = $1", _account_key(username))
            await tx.execute(
                """
                update login_attempt
                   set failures = greatest(failures - 1, 0), closed_until = null
                 where key = $1
                """,
                _address_key(source),
            )

    async def forget_old(self) -> None:
        """Delete what no longer counts."""
        async with self._database.transaction() as tx:
            await tx.execute("delete from login_attempt where tried_at < now() - $1::interval", FORGOTTEN_AFTER)

    async def _pass(self, key: str, door: Door) -> None:
        async with self._database.transaction() as tx:
            counted = await tx.value(
                """
                insert into login_attempt as tried (key, failures)
                values ($1, 1)
                    on conflict (key) do update
                   set failures = case when tried.tried_at < now() - $4::interval then 1 else tried.failures + 1 end,
                       closed_until = case
                           when tried.tried_at < now() - $4::interval or tried.failures < $2 then null
                           else now() + least($3::interval, interval '1 s' * power(2, least(tried.failures - $2, 20)))
                       end,
                       tried_at = now()
                 where tried.closed_until is null or tried.closed_until <= now()
                returning failures
                """,
                key,
                door.free,
                door.longest,
                FORGOTTEN_AFTER,
            )
            if counted is not None:
                return
            closed_s = await tx.value(
                "select extract(epoch from closed_until - now())::float from login_attempt where key = $1", key
            )
        raise TooManyAttemptsError(retry_after_s=closed_s or 1)


def _account_key(username: str) -> str:
    return f"user {username.lower()[:128]}"


def _address_key(source: str) -> str:
    """Name an address; the addresses of one IPv6 network are one."""
    try:
        address = ipaddress.ip_address(source)
    except ValueError:
        return f"from {source[:64]}"
    if address.version == 6:  # noqa: PLR2004 - a customer has a /64 at least
        return f"from {ipaddress.ip_network((address, 64), strict=False)}"
    return f"from {address}"
