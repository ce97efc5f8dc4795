"""What the clock asks of the audit log."""

from collections.abc import Awaitable, Callable

from ssh_manager.audit.usecases.log import AuditLog


def keep_audit(log: AuditLog) -> Callable[[], Awaitable[None]]:
    """Make the turn that cuts off what is too old, and tells where each chain ends."""

    async def act() -> None:
        await log.until_open()
        await log.purge_all()
        await log.anchor()

    return act
