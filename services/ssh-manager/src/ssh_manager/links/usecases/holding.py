"""Being the one process that holds connections.

Unlike other work by lease this goes on while the database is away: nobody else can take the lease then either, and a
database that restarts is no reason to cut off terminals. Once it is back the lease is renewed, or taken again if it ran
out and nobody took it; only when another process did, the work ends.
"""

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable
from datetime import timedelta

import structlog

from shoal.database import DatabaseUnavailableError
from shoal.leases import Lease, LeaseLostError, Leases
from shoal.tasks import end

PARTING_S = 1.0


async def hold(leases: Leases, key: str, act: Callable[[], Awaitable[None]], *, ttl: timedelta) -> None:
    """Act for ever wherever the lease is, and nowhere else; returns only by cancellation."""
    while True:
        with contextlib.suppress(DatabaseUnavailableError):
            if (lease := await leases.take(key)) is not None:
                await _act(leases, lease, act, ttl.total_seconds())
        await asyncio.sleep(ttl.total_seconds() * random.uniform(0.1, 0.3))  # noqa: S311 - spreads takers


async def _act(leases: Leases, lease: Lease, act: Callable[[], Awaitable[None]], ttl_s: float) -> None:
    keeping = asyncio.ensure_future(_keep(leases, lease, ttl_s))
    acting = asyncio.ensure_future(act())
    try:
        await asyncio.wait({keeping, acting}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        await end([acting, keeping])
        error = None if acting.cancelled() else acting.exception()
        if error is not None:
            structlog.get_logger().error("links_broke", error=repr(error), exc_info=error)
        with contextlib.suppress(DatabaseUnavailableError, TimeoutError):
            async with asyncio.timeout(PARTING_S):
                if (ours := await leases.take(lease.key)) is not None:
                    await leases.give_up(ours)


async def _keep(leases: Leases, lease: Lease, ttl_s: float) -> None:
    """Renew until another process has it."""
    held: Lease | None = lease
    while held is not None:
        await asyncio.sleep(ttl_s / 3)
        with contextlib.suppress(DatabaseUnavailableError):
            try:
                await leases.renew(held)
            except LeaseLostError:
                held = await leases.take(lease.key)
