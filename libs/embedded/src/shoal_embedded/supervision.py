"""Services in processes of their own are kept running: one that ends by itself is started again.

A loss is told with its cause, then waited on for a while that doubles with each loss in a row. A process that ran for
a minute starts a new row. After too many in a row the service is given up, which ends the suite.
"""

import asyncio
import signal
from collections.abc import Callable

from shoal_embedded.services import ServiceProcess

FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 15.0
STEADY_AFTER_S = 60.0
MAX_LOSSES = 6

Say = Callable[[str, str], None]
"""Hears what happened, and what comes of it or can be done."""


async def keep_running(
    process: ServiceProcess, say: Say, *, first_pause_s: float = FIRST_PAUSE_S, max_losses: int = MAX_LOSSES
) -> None:
    """Start a service again whenever it ends by itself.

    Args:
        process: The service, started.
        say: Is told of every loss.
        first_pause_s: How long to wait before the first start in a row; each further one waits twice as long.
        max_losses: How many in a row are too many.

    Raises:
        ServerError: It was lost too often in a row, or cannot be started; with its log and the log's last lines.
    """
    loop = asyncio.get_running_loop()
    losses = 0
    while True:
        started = loop.time()
        how = ending(await process.wait())
        losses = 1 if loop.time() - started > STEADY_AFTER_S else losses + 1
        if losses >= max_losses:
            raise process.failure(f"{how}, {losses} times in a row")
        pause_s = min(first_pause_s * 2 ** (losses - 1), LONGEST_PAUSE_S)
        say(f"{process.name} {how}", f"it is started again in {pause_s:g} s; its log: {process.log}")
        await asyncio.sleep(pause_s)
        await process.start()


def ending(status: int) -> str:
    """Say how a process ended, by its exit status as asyncio tells it: negative for a signal."""
    if status >= 0:
        return f"ended by itself with status {status}"
    try:
        return f"was ended by {signal.Signals(-status).name}"
    except ValueError:
        return f"was ended by signal {-status}"
