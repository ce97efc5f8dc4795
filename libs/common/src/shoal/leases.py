"""Leases: who may act alone, until when.

The table's protocol: a row per key holds an owner, an epoch and an expiry by the database's clock. Taking a lease
that is free or expired raises its epoch; only the holder of the newest epoch may renew. A holder that must not act
after losing the lease checks the epoch in the statement that writes (`held` below), so a paused process that wakes up
changes nothing. No row lock is held while the holder works.
"""

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable
from datetime import timedelta

import structlog
from msgspec import Struct

from shoal.database import Database, DatabaseUnavailableError, Transaction
from shoal.tasks import end

_PARTING_S = 2.0

HELD = "exists (select from lease where key = $1 and epoch = $2 and expires_at > now() for share)"
"""A condition for the holder's own writes: `$1` the key, `$2` the epoch."""


class Lease(Struct, frozen=True):
    """A right to act alone, good while its epoch is the newest."""

    key: str
    epoch: int


class LeaseLostError(Exception):
    """Someone else holds the lease now; what was being done must stop."""


class Leases:
    """Take, keep and give up leases in this service's schema."""

    def __init__(self, database: Database, *, owner: str, ttl: timedelta = timedelta(seconds=10)) -> None:
        self._database = database
        self._owner = owner
        self._ttl = ttl

    async def take(self, key: str) -> Lease | None:
        """Take a lease if it is free, expired or this owner's already; None when another holds it.

        Taking again what this owner holds raises the epoch as well: what was begun under the old one ends.
        """
        async with self._database.transaction() as tx:
            epoch = await tx.value(
                """
                insert into lease as held (key, owner, epoch, expires_at)
                values ($1, $2, 1, now() + $3)
                    on conflict (key) do update
                   set owner = excluded.owner, epoch = held.epoch + 1, expires_at = excluded.expires_at
                 where held.expires_at < now() or held.owner = excluded.owner
                returning epoch
                """,
                *(key, self._owner, self._ttl),
            )
        return None if epoch is None else Lease(key, epoch)

    async def renew(self, lease: Lease) -> None:
        """Hold on for another term.

        Raises:
            LeaseLostError: Someone else holds it, or it ran out.
        """
        async with self._database.transaction() as tx:
            kept = await tx.execute(
                "update lease set expires_at = now() + $3 where key = $1 and epoch = $2 and expires_at > now()",
                *(lease.key, lease.epoch, self._ttl),
            )
        if not kept:
            raise LeaseLostError(lease.key)

    async def give_up(self, lease: Lease) -> None:
        """Let the next one in at once."""
        async with self._database.transaction() as tx:
            await tx.execute(
                "update lease set expires_at = '-infinity' where key = $1 and epoch = $2",
                *(lease.key, lease.epoch),
            )

    async def held(self, tx: Transaction, lease: Lease) -> None:
        """Prove inside a transaction that the lease still stands, and keep it standing until the commit.

        Raises:
            LeaseLostError: It does not.
        """
        if not await tx.value(f"select {HELD}", lease.key, lease.epoch):
            raise LeaseLostError(lease.key)

    async def act_alone(self, key: str, act: Callable[[Lease], Awaitable[None]]) -> None:
        """Run something for ever wherever the lease is, and nowhere else; returns only by cancellation.

        `act` is cancelled when the lease is lost and started again once it is won back. Its own failures are logged and
        it is started again after a pause.
        """
        ttl_s = self._ttl.total_seconds()
        while True:
            asked = asyncio.get_running_loop().time()
            with contextlib.suppress(DatabaseUnavailableError):
                lease = await self.take(key)
                if lease is not None:
                    await self._act_while_held(lease, act, held_until=asked + ttl_s)
            await asyncio.sleep(ttl_s * random.uniform(0.1, 0.3))  # noqa: S311 - spreads takers

    async def _act_while_held(
        self, lease: Lease, act: Callable[[Lease], Awaitable[None]], *, held_until: float
    ) -> None:
        tasks = [asyncio.ensure_future(act(lease)), asyncio.ensure_future(self._keep(lease, held_until))]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            await end(tasks)
            for task in tasks:
                error = None if task.cancelled() else task.exception()
                if error is not None:
                    structlog.get_logger().warning("lease_ended", key=lease.key, error=repr(error))
            with contextlib.suppress(DatabaseUnavailableError, TimeoutError):
                async with asyncio.timeout(_PARTING_S):
                    await self.give_up(lease)

    async def _keep(self, lease: Lease, held_until: float) -> None:
        """Renew for ever; raises when the lease is lost, or may be by the time that was asked for."""
        loop, ttl_s = asyncio.get_running_loop(), self._ttl.total_seconds()
        while True:
            await asyncio.sleep(ttl_s / 3)
            asked = loop.time()
            try:
                async with asyncio.timeout_at(held_until):
                    await self.renew(lease)
                held_until = asked + ttl_s
            except TimeoutError:
                raise LeaseLostError(lease.key) from None
            except DatabaseUnavailableError:
                if loop.time() >= held_until:
                    raise
