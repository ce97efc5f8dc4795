"""HTTP: what other services may ask about credentials."""

from typing import Annotated

from litestar import Controller, post
from msgspec import Meta, Struct

from gateway.authentication import Authentication
from gateway.errors import CredentialUnknownError
from shoal.http.auth import require_permitted_service
from shoal.identity import Principal


class ResolveCredential(Struct, frozen=True):
    """Body of `POST /internal/principal`."""

    credential: Annotated[str, Meta(min_length=1, max_length=256)]


class PrincipalController(Controller):
    """Whose a login or a key is."""

    path = "/internal"
    guards = (require_permitted_service,)
    include_in_schema = False

    @post("/principal", operation_id="resolveCredential", status_code=200)
    async def resolve(self, data: ResolveCredential, authentication: Authentication) -> Principal:
        """Tell who comes with this credential."""
        principal = await authentication.resolve_own(data.credential)
        if principal is None:
            raise CredentialUnknownError
        return principal
