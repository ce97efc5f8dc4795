"""Jobs: what the clock asks for, done by one process at a time."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta

import structlog
from msgspec import Struct

from shoal import inbox, outbox
from shoal.database import Database
from shoal.leases import Lease, Leases
from shoal.telemetry import Metrics


class Job(Struct, frozen=True):
    """Something to do every so often.

    Args:
        name: For the log, the metrics and the lease.
        every: From the end of one turn to the start of the next.
        act: One turn; idempotent, since a lease can change hands in the middle.
    """

    name: str
    every: timedelta
    act: Callable[[], Awaitable[None]]


class JobRunner:
    """Runs one job wherever its lease is."""

    def __init__(self, job: Job, *, leases: Leases, metrics: Metrics) -> None:
        self.name = f"job {job.name}"
        self._job = job
        self._leases = leases
        self._metrics = metrics

    def problem(self) -> str | None:
        """A job that fails does not make the service unable to answer."""
        return None

    async def run(self) -> None:
        """Take turns for ever."""
        await self._leases.act_alone(f"job:{self._job.name}", self._take_turns)

    async def _take_turns(self, _: Lease) -> None:
        while True:
            started = time.monotonic()
            outcome = "done"
            try:
                await self._job.act()
            except Exception as error:  # noqa: BLE001 - one turn that fails must not end the next ones
                outcome = "failed"
                structlog.get_logger().error("job_failed", job=self._job.name, error=repr(error), exc_info=error)
            self._metrics.jobs.labels(self._job.name, outcome).observe(time.monotonic() - started)
            await asyncio.sleep(self._job.every.total_seconds())


def housekeeping(database: Database) -> Job:
    """Make the job that every service has: forget published facts and old receipts."""

    async def act() -> None:
        for forget, piece in ((outbox.forget_published, outbox.PIECE), (inbox.forget_old, inbox.PIECE)):
            forgotten = piece
            while forgotten == piece:
                async with database.transaction() as tx:
                    forgotten = await forget(tx)

    return Job("housekeeping", timedelta(minutes=10), act)
