"""Whose credential something is: asked of the subject that issues its kind."""

from typing import Annotated

from litestar import Controller, post
from msgspec import Meta, Struct

from pairing.connections.domain.agents import CONNECT_TOKEN_PREFIX, KEY_PREFIX
from pairing.connections.usecases.keys import AgentKeys
from pairing.dashboard.usecases.pairings import Pairings
from shoal.http.auth import require_permitted_service
from shoal.identity import Principal


class Credentials:
    """Telemetry tokens, agent keys and connect tokens."""

    def __init__(self, *, pairings: Pairings, agent_keys: AgentKeys) -> None:
        self._pairings = pairings
        self._agent_keys = agent_keys

    async def resolve(self, credential: str) -> Principal:
        """Tell whose credential this is.

        Raises:
            NotFoundError: Nobody's.
        """
        if credential.startswith((KEY_PREFIX, CONNECT_TOKEN_PREFIX)):
            return await self._agent_keys.resolve(credential)
        return await self._pairings.resolve(credential)


class ResolveCredential(Struct, frozen=True):
    """Body of `POST /internal/principal`."""

    credential: Annotated[str, Meta(min_length=1, max_length=256)]


class CredentialController(Controller):
    """What other services may ask."""

    path = "/internal"
    guards = (require_permitted_service,)
    include_in_schema = False

    @post("/principal", operation_id="resolveCredential", status_code=200)
    async def resolve(self, data: ResolveCredential, credentials: Credentials) -> Principal:
        """Tell whose credential this is."""
        return await credentials.resolve(data.credential)
