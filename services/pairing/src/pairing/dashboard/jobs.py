"""What the clock asks for."""

from collections.abc import Awaitable, Callable

from pairing.dashboard.usecases.pairings import Pairings


def expire_pairings(pairings: Callable[[], Pairings]) -> Callable[[], Awaitable[None]]:
    """End pairings whose token was never redeemed."""

    async def act() -> None:
        await pairings().expire()

    return act
