"""Logins and keys, which the gateway owns."""

from msgspec import Struct

from shoal.identity import GATEWAY
from shoal.peers import Peers


class _Credential(Struct, frozen=True):
    account_id: str
    credential_id: str


class CredentialClient:
    """Asks the gateway which credentials there are."""

    def __init__(self, peers: Peers) -> None:
        self._peers = peers

    async def exists(self, account_id: str, credential_id: str) -> bool:
        """Tell whether an account has a login or a key of this id that is good.

        Raises:
            UnavailableError: That cannot be told right now.
        """
        asked = _Credential(account_id, credential_id)
        return await self._peers.find(GATEWAY, "/internal/credential", asked, _Credential) is not None
