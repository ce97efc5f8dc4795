"""What the clock asks for."""

from collections.abc import Awaitable, Callable

from telemetry_ingest.usecases.pairings import Pairings
from telemetry_ingest.usecases.presences import Presences


def forget_ended(presences: Presences, pairings: Pairings) -> Callable[[], Awaitable[None]]:
    """Forget presences and pairings that ended long ago."""

    async def act() -> None:
        await presences.forget_ended()
        await pairings.forget_ended()

    return act
