"""Ending tasks for certain."""

import asyncio
from collections.abc import Iterable
from typing import Any

_PATIENCE_S = 1.0


async def end(tasks: Iterable["asyncio.Future[Any]"]) -> None:
    """Cancel tasks and wait until they have ended, whatever they end with.

    A library may lose a cancellation that arrives together with the answer it waits for (`asyncio.wait_for` of Python
    3.11 does), so a task that goes on is cancelled again.
    """
    left = set(tasks)
    while left:
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=_PATIENCE_S)
