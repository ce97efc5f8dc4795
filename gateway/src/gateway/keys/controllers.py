"""HTTP: API keys, once in each contract's spelling."""

from litestar import Controller, delete, get, post

from gateway.keys.domain import Kind
from gateway.keys.schemas import CreateKey, KeyCreatedView, KeyRevokedView, KeysView
from gateway.keys.usecases.keys import Keys
from shoal.http.auth import require_user
from shoal.identity import Principal


class KeyController(Controller):
    """API keys of every kind; new ones begin with `cn_`."""

    path = "/api/v1/api-keys"
    tags = ("api keys",)
    guards = (require_user,)

    @post("/", operation_id="createKey", summary="Create an API key", status_code=201)
    async def create(self, data: CreateKey, keys: Keys, principal: Principal) -> KeyCreatedView:
        """Make a key; its secret is shown this once."""
        return KeyCreatedView.from_domain(await keys.create(Kind.CLAWDNET, data.name, by=principal))

    @get("/", operation_id="listKeys", summary="List API keys")
    async def list_all(self, keys: Keys, principal: Principal) -> KeysView:
        """List the caller's keys; for admins, the account's."""
        return KeysView.from_domain(await keys.list_for(principal))

    @delete("/{key_id:str}", operation_id="revokeKey", summary="Revoke an API key", status_code=200)
    async def revoke(self, key_id: str, keys: Keys, principal: Principal) -> KeyRevokedView:
        """Revoke a key; whatever came in with it is cut off within five seconds."""
        await keys.revoke(key_id, by=principal)
        return KeyRevokedView(key_id, revoked=True)


class AccountKeyController(Controller):
    """Account keys of AgentDrop; they begin with `agd_live_`."""

    path = "/v1/api-keys"
    tags = ("api keys",)
    guards = (require_user,)

    @post("/", operation_id="createAccountKey", summary="Create an account key", status_code=201)
    async def create(self, data: CreateKey, keys: Keys, principal: Principal) -> KeyCreatedView:
        """Make a key; its secret is shown this once."""
        return KeyCreatedView.from_domain(await keys.create(Kind.AGENTDROP, data.name, by=principal))

    @get("/", operation_id="listAccountKeys", summary="List account keys")
    async def list_all(self, keys: Keys, principal: Principal) -> KeysView:
        """List the caller's account keys; for admins, the account's."""
        return KeysView.from_domain(await keys.list_for(principal, kinds=[Kind.AGENTDROP]))

    @delete("/{key_id:str}", operation_id="revokeAccountKey", summary="Revoke an account key", status_code=200)
    async def revoke(self, key_id: str, keys: Keys, principal: Principal) -> KeyRevokedView:
        """Revoke a key; whatever came in with it is cut off within five seconds."""
        await keys.revoke(key_id, by=principal)
        return KeyRevokedView(key_id, revoked=True)
