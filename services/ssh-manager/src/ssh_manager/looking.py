"""Looking, again and again, at what must not stay as it is.

No job by lease: what is looked at goes through connections, and is where they are, in one process.
"""

import asyncio
from collections.abc import Awaitable, Callable

import structlog


async def look_for_ever(look: Callable[[], Awaitable[None]], *, every_s: float, failure: str) -> None:
    """Look every so often; returns only by cancellation.

    Args:
        look: One look; idempotent.
        every_s: From the end of one look to the start of the next.
        failure: What the log calls a look that fails; the next one comes nevertheless.
    """
    while True:
        await asyncio.sleep(every_s)
        try:
            await look()
        except Exception as error:  # noqa: BLE001 - one look that fails must not end the next ones
            structlog.get_logger().error(failure, error=repr(error), exc_info=error)
