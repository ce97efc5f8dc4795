"""How often somebody may guess.

Attempts are counted before the password is looked at, so guesses made at once are all counted, and while a door is
closed no password is looked at. Strangers pass two doors: one per username, which never closes for longer than half a
minute, and one per address, which closes for up to a quarter of an hour. Whoever names a user who signed in from that
address lately passes one door of that user there instead: what others guess locks nobody out, nor do many who sign in
at once.
"""

import ipaddress
from datetime import timedelta

from msgspec import Struct

from gateway.logins.errors import TooManyAttemptsError
from gateway.logins.repositories.attempts import AttemptRepository
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
        if is_known:
            await self._pass(_known_key(username, source), ADDRESS)
            return
        await self._pass(_address_key(source), ADDRESS)
        await self._pass(_account_key(username), ACCOUNT)

    async def succeed(self, username: str, source: str, *, is_known: bool) -> None:
        """Forget the failures of a username, and take back the one counted for the address."""
        async with self._database.transaction() as tx:
            attempts = AttemptRepository(tx)
            await attempts.delete(_known_key(username, source))
            if not is_known:
                await attempts.delete(_account_key(username))
                await attempts.take_back(_address_key(source))

    async def forget_old(self) -> None:
        """Delete what no longer counts."""
        async with self._database.transaction() as tx:
            await AttemptRepository(tx).delete_old(FORGOTTEN_AFTER)

    async def _pass(self, key: str, door: Door) -> None:
        async with self._database.transaction() as tx:
            attempts = AttemptRepository(tx)
            if await attempts.count(key, free=door.free, longest=door.longest, forgotten_after=FORGOTTEN_AFTER):
                return
            closed_s = await attempts.closed_for(key)
        raise TooManyAttemptsError(retry_after_s=closed_s or 1)


def _account_key(username: str) -> str:
    return f"user {username.lower()[:128]}"


def _known_key(username: str, source: str) -> str:
    return f"{_account_key(username)} {_address_key(source)}"


def _address_key(source: str) -> str:
    """Name an address; the addresses of one IPv6 network are one."""
    try:
        address = ipaddress.ip_address(source)
    except ValueError:
        return f"from {source[:64]}"
    if address.version == 6:  # noqa: PLR2004 - a customer has a /64 at least
        return f"from {ipaddress.ip_network((address, 64), strict=False)}"
    return f"from {address}"
