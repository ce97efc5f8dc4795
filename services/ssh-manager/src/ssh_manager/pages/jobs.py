"""What the clock asks for."""

from ssh_manager.looking import look_for_ever
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
            await look_for_ever(self._stays.look, every_s=LOOK_S, failure="stay_check_failed")
        finally:
            self._stays.end_all()
            await self._http.close()
