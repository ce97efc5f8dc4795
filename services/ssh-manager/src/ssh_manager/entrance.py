"""Who may come in to what instances serve and offer, and why somebody who is in must leave."""

from collections.abc import Awaitable
from typing import Final

from msgspec import Struct

from shoal.errors import AppError, UnauthorizedError, UnavailableError
from shoal.identity import Principal
from ssh_manager.errors import AddressRestrictedError
from ssh_manager.ports import Access, AllowedAddresses, Instance


class Close(Struct, frozen=True):
    """Why a socket is closed: a code of WebSocket's and words."""

    code: int
    reason: str


STOPPING: Final = Close(1001, "shutting down")
REVOKED: Final = Close(4401, "what let you in was taken back")
RESTRICTED: Final = Close(4403, "your address is no longer allowed to reach this instance")


class Entrance:
    """Lets users in to instances: every page, socket and terminal asks here first, and again while it is open."""

    def __init__(self, *, access: Access, addresses: AllowedAddresses) -> None:
        self._access = access
        self._addresses = addresses

    async def admit(self, principal: Principal, instance_id: str) -> Instance:
        """Let a user in to an instance.

        Raises:
            UnauthorizedError: No user asks.
            InvalidInstanceIdError, InstanceNotFoundError, InstanceForbiddenError: As for `Access`.
            AddressRestrictedError: The instance may not be reached from there.
            AuditUnavailableError: That refusal cannot be written down.
        """
        if not principal.is_user:
            raise UnauthorizedError
        instance = await self._access.instance(principal, instance_id)
        await self._addresses.check(principal, instance)
        return instance


async def reason_to_leave(asking: Awaitable[object]) -> Close | None:
    """Ask again for somebody who is in; None while they may stay, and while that cannot be found out."""
    try:
        await asking
    except UnavailableError:
        return None
    except AddressRestrictedError:
        return RESTRICTED
    except AppError:
        return REVOKED
    return None
