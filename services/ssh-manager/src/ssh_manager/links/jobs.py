"""What the clock asks of the history."""

from collections.abc import Awaitable, Callable
from datetime import timedelta

from ssh_manager.links.usecases.history import History


def forget_history(history: History, *, age: timedelta) -> Callable[[], Awaitable[None]]:
    """Make the turn that deletes what happened longer ago."""

    async def act() -> None:
        await history.forget_old(age)

    return act
