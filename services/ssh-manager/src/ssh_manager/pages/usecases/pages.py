"""Entering and seeing an instance's pages."""

from collections.abc import Iterator
from contextlib import contextmanager

from shoal.http.asgi import Receive, Scope, Send
from shoal.identity import Principal
from ssh_manager.entrance import Entrance
from ssh_manager.errors import NotConnectedError
from ssh_manager.pages.clients.http import HttpPages
from ssh_manager.pages.clients.sockets import SocketPages
from ssh_manager.pages.domain import Grant, Place, Stay
from ssh_manager.pages.usecases.stays import Stays
from ssh_manager.pages.usecases.tickets import Tickets
from ssh_manager.ports import Tunnels, TunnelState


class Pages:
    """Show what instances serve."""

    def __init__(
        self,
        *,
        entrance: Entrance,
        tunnels: Tunnels,
        tickets: Tickets,
        stays: Stays,
        http: HttpPages,
        sockets: SocketPages,
    ) -> None:
        self._entrance = entrance
        self._tunnels = tunnels
        self._tickets = tickets
        self._stays = stays
        self._http = http
        self._sockets = sockets

    async def enter(self, place: Place, *, by: Principal) -> str:
        """Let a user in; returns where the page is for as long as it is looked at.

        Raises:
            UnauthorizedError, InvalidInstanceIdError, InstanceNotFoundError, InstanceForbiddenError,
                AddressRestrictedError: As for `Entrance`.
        """
        instance = await self._entrance.admit(by, place.instance_id)
        return place.with_ticket(await self._tickets.give(instance, to=by))

    async def show(self, place: Place, scope: Scope, receive: Receive, send: Send, *, source: str) -> None:
        """Answer a request with what the instance answers.

        Raises:
            TicketSpentError, AddressRestrictedError: As for `Tickets.honour`.
            NotConnectedError: There is no way to the instance now.
            PageBusyError: Too much of it is being looked at.
            PageUnreachableError, PageTimeoutError: The instance does not answer.
        """
        grant = await self._tickets.honour(place.ticket or "", place.instance_id, source=source)
        with self._opened(place, grant) as (stay, tunnel):
            await self._http.carry(place, tunnel, scope, receive, send, stay=stay)

    async def converse(self, place: Place, scope: Scope, receive: Receive, send: Send, *, by: Principal) -> None:
        """Connect a socket with one of the instance's: by ticket, or as the user who asks.

        Raises:
            TicketSpentError, AddressRestrictedError: As for `Tickets.honour`.
            UnauthorizedError, InvalidInstanceIdError, InstanceNotFoundError, InstanceForbiddenError: As for `Entrance`.
            NotConnectedError, PageBusyError, PageUnreachableError, PageTimeoutError: As for `show`.
        """
        if place.ticket is not None:
            grant = await self._tickets.honour(place.ticket, place.instance_id, source=by.source)
        else:
            instance = await self._entrance.admit(by, place.instance_id)
            grant = Grant(instance.id, by)
        with self._opened(place, grant) as (stay, tunnel):
            await self._sockets.carry(place, tunnel, scope, receive, send, stay=stay)

    @contextmanager
    def _opened(self, place: Place, grant: Grant) -> Iterator[tuple[Stay, TunnelState]]:
        tunnels = (state for state in self._tunnels.states(grant.instance_id) if state.service is place.service)
        tunnel = next(tunnels, None)
        if tunnel is None or not tunnel.is_open:
            raise NotConnectedError(retry_after_s=2)
        with self._stays.held(grant) as stay:
            yield stay, tunnel
