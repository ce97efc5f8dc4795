"""The clock: fires jobs wherever its lease is."""

import asyncio
import contextlib

import asyncpg
import structlog

from agent_runtime.cron.usecases.firings import Firings
from agent_runtime.cron.usecases.jobs import CHANNEL
from shoal.database import Database, DatabaseUnavailableError
from shoal.leases import Lease, LeaseLostError, Leases

LEASE = "cron"
_MAX_PAUSE_S, _LEAST_PAUSE_S = 5.0, 0.02
_LOOK_S = 0.3
"""How often turns under way are asked whether they are over."""


class Scheduler:
    """Claims what is due, starts its turns and notes their ends, for ever; one replica at a time.

    It wakes when the next job is due, when a job changes (LISTEN), and every few seconds in case both were missed.
    """

    name = "cron"

    def __init__(self, *, database: Database, leases: Leases, firings: Firings) -> None:
        self._database = database
        self._leases = leases
        self._firings = firings

    def problem(self) -> str | None:
        """Requests are answered whether or not jobs fire here."""
        return None

    async def run(self) -> None:
        """Fire jobs wherever the lease is."""
        await self._leases.act_alone(LEASE, self._fire)

    async def _fire(self, lease: Lease) -> None:
        woken = asyncio.Event()
        connection = await self._database.listen(CHANNEL, woken.set)
        try:
            while not connection.is_closed():
                woken.clear()
                pause_s = await self._pass(lease)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(pause_s):
                        await woken.wait()
        finally:
            try:
                await connection.close(timeout=1)
            except (OSError, TimeoutError, DatabaseUnavailableError, asyncpg.PostgresError, asyncpg.InterfaceError):
                connection.terminate()

    async def _pass(self, lease: Lease) -> float:
        """Do what is to be done now; returns for how many seconds nothing is."""
        try:
            while await self._firings.claim_due(lease):
                pass
            left = await self._firings.advance()
            due_s = await self._firings.seconds_until_due()
        except LeaseLostError:
            raise
        except DatabaseUnavailableError:
            return 1.0
        except Exception as error:  # noqa: BLE001 - one pass that fails must not end the next ones
            structlog.get_logger().error("cron_failed", error=repr(error), exc_info=error)
            return 1.0
        max_s = _LOOK_S if left else _MAX_PAUSE_S
        return max_s if due_s is None else min(max(due_s, _LEAST_PAUSE_S), max_s)
