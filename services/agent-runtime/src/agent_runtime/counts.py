"""How much there is, for the summary of the suite's health."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from shoal.database import DatabaseUnavailableError
from shoal.http.health import Health

EVERY_S = 10.0


class Counts:
    """The component that counts from time to time, so that whoever asks for health need not wait."""

    name = "counts"

    def __init__(self, health: Health, counters: Mapping[str, Callable[[], Awaitable[int]]]) -> None:
        self._counters = counters
        self._counted = dict.fromkeys(counters, 0)
        for name in counters:
            health.add_detail(name, self._teller(name))

    def problem(self) -> str | None:
        """Counts that are old make nothing impossible."""
        return None

    async def run(self) -> None:
        """Count every ten seconds; while the database is away, the old counts stand."""
        while True:
            try:
                for name, count in self._counters.items():
                    self._counted[name] = await count()
                await asyncio.sleep(EVERY_S)
            except DatabaseUnavailableError:
                await asyncio.sleep(1)

    def _teller(self, name: str) -> Callable[[], int]:
        return lambda: self._counted[name]
