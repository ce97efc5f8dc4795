"""What the clock asks for."""

import asyncio

import structlog

from ssh_manager.pages.clients.http import HttpPages
from ssh_manager.pages.usecases.stays import Stays

LOOK_S = 1.0


class StayChecks:
    """Ends what must not be open any more, within seconds of the news."""

    name = "pages"

    def __init__(self, stays: Stays, http: HttpPages) -> None:
        self._stays = stays
        self._http = http

    def problem(self) -> str | None:
        """Nothing here keeps the service from answering."""
        return None

    async def run(self) -> None:
        """Look for ever; at the end, end everything."""
        try:
            while True:
                await asyncio.sleep(LOOK_S)
                try:
                    await self._stays.look()
                except Exception as error:  # noqa: BLE001 - one look that fails must not end the next ones
                    structlog.get_logger().error("stay_check_failed", error=repr(error), exc_info=error)
        finally:
            self._stays.end_all()
            await self._http.close()
