"""The pairing service, as far as instances need it."""

from datetime import datetime

from msgspec import Struct

from instance_orchestrator.domain.plans import Offer
from shoal.peers import Peers


class _OpenFor(Struct, frozen=True):
    pairing_id: str
    account_id: str
    user_id: str
    name: str


class _Opened(Struct, frozen=True):
    pairing_id: str
    status: str
    token: str | None = None
    expires_at: datetime | None = None


class PairingClient:
    """Asks for places on dashboards."""

    def __init__(self, peers: Peers) -> None:
        self._peers = peers

    async def hold_open(self, pairing_id: str, *, account_id: str, user_id: str, name: str) -> Offer | None:
        """Have a pairing held open under an id of our choice, with a new token; None when it has ended.

        Raises:
            PeerUnavailableError: Pairing does not answer.
        """
        body = _OpenFor(pairing_id, account_id, user_id, name)
        opened = await self._peers.find("pairing", "/internal/pairings", body, _Opened)
        if opened is None:
            return None
        return Offer(opened.pairing_id, opened.status, opened.token, opened.expires_at)
