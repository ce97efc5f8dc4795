"""Credentials: who stands behind the token of a first frame."""

from agent_runtime.sockets.domain.credentials import Credential
from agent_runtime.sockets.errors import CredentialUnknownError
from shoal.config import Secret
from shoal.errors import UnavailableError
from shoal.identity import GATEWAY, Principal
from shoal.peers import Peers


class Credentials:
    """Asks the gateway, which owns whatever users sign in with."""

    def __init__(self, peers: Peers) -> None:
        self._peers = peers

    async def resolve(self, token: str) -> Credential:
        """Tell who stands behind a token.

        Raises:
            CredentialUnknownError: No user, or no user any more.
            UnavailableError: That cannot be told right now.
        """
        principal = await self._peers.find(GATEWAY, "/internal/principal", {"credential": token}, Principal)
        if principal is None or not principal.is_user:
            raise CredentialUnknownError
        return Credential(principal=principal, secret=Secret(token))

    async def is_revoked(self, credential: Credential) -> bool:
        """Ask again about a token that came in a frame; when its owner cannot be asked, it stands.

        What the gateway vouched for, the gateway looks after itself: it cuts the socket.
        """
        if credential.secret is None:
            return False
        try:
            again = await self.resolve(credential.secret.reveal())
        except CredentialUnknownError:
            return True
        except UnavailableError:
            return False
        return again.principal.user_id != credential.principal.user_id
