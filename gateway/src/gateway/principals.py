"""HTTP: what other services may ask about credentials."""

from typing import Annotated

from litestar import Controller, post
from msgspec import Meta, Struct

from gateway.authentication import Authentication
from gateway.errors import CredentialUnknownError
from gateway.keys.usecases.keys import Keys
from gateway.logins.usecases.logins import Logins
from shoal.http.auth import require_permitted_service
from shoal.identity import Principal


class ResolveCredential(Struct, frozen=True):
    """Body of `POST /internal/principal`."""

    credential: Annotated[str, Meta(min_length=1, max_length=256)]


class FindCredential(Struct, frozen=True):
    """Body of `POST /internal/credential`."""

    account_id: Annotated[str, Meta(min_length=1, max_length=128)]
    credential_id: Annotated[str, Meta(min_length=1, max_length=128)]


class PrincipalController(Controller):
    """Whose a login or a key is, and which there are."""

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

    @post("/credential", operation_id="findCredential", status_code=200)
    async def find(self, data: FindCredential, logins: Logins, keys: Keys) -> FindCredential:
        """Tell whether an account has a login or a key of this id that is good."""
        if not (
            await keys.is_good(data.account_id, data.credential_id)
            or await logins.is_good(data.account_id, data.credential_id)
        ):
            raise CredentialUnknownError
        return data
