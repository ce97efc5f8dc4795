"""How the relay hears that facts wait."""

import asyncio


class Bell:
    """Wakes the relay: that of this process directly, that of another one by NOTIFY on a channel.

    NOTIFY lets the commits of a whole database pass one by one, each with its write to disk; and mostly facts are
    recorded where the relay is. Who rings while it moves to another process is heard at its next look, a second later
    at most.
    """

    def __init__(self, channel: str) -> None:
        self.channel = channel
        self.is_attended = False
        """Whether a relay of this process waits for it."""
        self._rung = asyncio.Event()

    def ring(self) -> None:
        """Wake the relay of this process."""
        self._rung.set()

    def forget(self) -> None:
        """Forget what was rung so far: all of it is looked after now."""
        self._rung.clear()

    async def wait(self) -> None:
        """Wait until it is rung."""
        await self._rung.wait()
