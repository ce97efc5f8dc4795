"""Is the server frozen, or is this only slow? A frozen server keeps its connections open and answers nothing.

Whoever has waited for a while without an answer is in doubt. Then the server is asked for one more connection: if it
gives one, or refuses, it is alive, and those in doubt go on waiting; if it does neither, they all give up.
"""

import asyncio
import contextlib
from collections.abc import Callable, Iterator

import asyncpg
import structlog

PATIENCE_S = 1.0
ANSWER_S = 1.5

GiveUp = Callable[[], object]


class Doubts:
    """Watches over who waits for one server.

    Args:
        url: How to ask it for a connection.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._waiting: dict[int, GiveUp] = {}
        self._count = 0
        self._asking: asyncio.Task[None] | None = None

    @contextlib.contextmanager
    def watch(self, give_up: GiveUp) -> Iterator[None]:
        """Call `give_up` if the server turns out to be frozen while the block runs."""
        self._count += 1
        number = self._count
        alarm = asyncio.get_running_loop().call_later(PATIENCE_S, self._doubt, number, give_up)
        try:
            yield
        finally:
            alarm.cancel()
            self._waiting.pop(number, None)

    async def close(self) -> None:
        """Stop asking."""
        if self._asking is not None:
            self._asking.cancel()
            await asyncio.gather(self._asking, return_exceptions=True)

    def _doubt(self, number: int, give_up: GiveUp) -> None:
        self._waiting[number] = give_up
        if self._asking is None:
            self._asking = asyncio.ensure_future(self._ask())

    async def _ask(self) -> None:
        try:
            while self._waiting:
                if not await self._answers():
                    structlog.get_logger().warning("database_frozen", waiting=len(self._waiting))
                    for give_up in list(self._waiting.values()):
                        give_up()
                    return
                await asyncio.sleep(PATIENCE_S)
        finally:
            self._asking = None

    async def _answers(self) -> bool:
        try:
            connection: asyncpg.Connection[asyncpg.Record] = await asyncpg.connect(self._url, timeout=ANSWER_S)
        except TimeoutError:
            return False
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):  # those who wait will hear as much
            return True
        connection.terminate()
        return True
