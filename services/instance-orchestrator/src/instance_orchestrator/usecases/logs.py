"""Logs of instances, followed for as long as the reader may."""

import contextlib
from collections.abc import AsyncGenerator, AsyncIterator

import structlog

from instance_orchestrator.clients.backend import Backend, BackendUnavailableError
from instance_orchestrator.domain.logs import HEARTBEAT, to_events
from instance_orchestrator.domain.plans import InstanceRef
from instance_orchestrator.usecases.access import accessible
from shoal.clock import Clock
from shoal.database import Database, DatabaseUnavailableError
from shoal.errors import AppError, UnavailableError
from shoal.identity import Principal

HEARTBEAT_S = 15.0
LOOK_S = 2.0
"""How often it is checked that the reader may still read."""


class LogUnavailableError(UnavailableError):
    """The log cannot be read right now; try again."""

    code = "log_unavailable"


class Logs:
    """Read logs as a stream of server-sent events."""

    def __init__(self, *, database: Database, backend: Backend, clock: Clock) -> None:
        self._database = database
        self._backend = backend
        self._clock = clock

    async def read(self, instance_id: str, *, tail: int, is_following: bool, by: Principal) -> AsyncIterator[bytes]:
        """Open an instance's log: its last lines, and what comes as long as the instance is there and the reader may.

        Raises:
            InvalidInstanceIdError, InstanceNotFoundError, InstanceForbiddenError: As for `accessible`.
            LogUnavailableError: The backend cannot be reached, or does not let us read it.
        """
        async with self._database.reading() as database:
            instance = await accessible(database, instance_id, by=by)
        batches = self._backend.logs(InstanceRef(instance.id, instance.name), tail=tail, is_following=is_following)
        try:
            first: list[str] = await anext(batches, [])
        except BackendUnavailableError as error:
            structlog.get_logger().warning("log_unavailable", instance=instance.name, reason=str(error))
            raise LogUnavailableError from error
        return self._stream(batches, first, instance_id, by)

    async def _stream(
        self, batches: AsyncGenerator[list[str], None], first: list[str], instance_id: str, by: Principal
    ) -> AsyncIterator[bytes]:
        said = looked = self._clock.monotonic()
        async with contextlib.aclosing(batches):
            yield to_events(first)
            with contextlib.suppress(BackendUnavailableError):
                async for lines in batches:
                    now = self._clock.monotonic()
                    if now - looked >= LOOK_S:
                        looked = now
                        if not await self._may_read(instance_id, by):
                            return
                    if lines or now - said >= HEARTBEAT_S:
                        said = now
                        yield to_events(lines) or HEARTBEAT

    async def _may_read(self, instance_id: str, by: Principal) -> bool:
        try:
            async with self._database.reading() as database:
                await accessible(database, instance_id, by=by)
        except DatabaseUnavailableError:
            return True
        except AppError:
            return False
        return True
