"""What the clock asks of the audit log, and the key that it needs first."""

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from shoal.crypto import EnvelopeError
from shoal.database import DatabaseUnavailableError
from ssh_manager.audit.usecases.log import AuditLog

AGAIN_S = 1.0


class KeyOpener:
    """Opens the key of the audit log; without it, or with the wrong key-encryption key, the service is not ready."""

    name = "encryption key"

    def __init__(self, log: AuditLog) -> None:
        self._log = log
        self._problem: str | None = "the key has not been checked yet"

    def problem(self) -> str | None:
        """Say that secrets cannot be opened, or None."""
        return self._problem

    async def run(self) -> None:
        """Try until it is open, then stand by."""
        while self._problem is not None:
            try:
                await self._log.open()
                self._problem = None
            except EnvelopeError:
                self._problem = "SSH_MANAGER_ENCRYPTION_KEY is not the key that sealed what is stored"
                structlog.get_logger().error("encryption_key_wrong")
            except DatabaseUnavailableError as error:
                structlog.get_logger().info("encryption_key_waits", reason=str(error))
            await asyncio.sleep(AGAIN_S if self._problem else 0)
        await asyncio.Event().wait()


def keep_audit(log: AuditLog, *, days: int) -> Callable[[], Awaitable[None]]:
    """Make the turn that cuts off what is too old, and tells where each chain ends."""

    async def act() -> None:
        await log.until_open()
        await log.purge_all(days=days)
        await log.anchor()

    return act
