"""Credentials: who stands behind the token of a first frame."""

from collections.abc import Sequence

from shoal.config import Secret
from shoal.database import Database
from shoal.errors import UnavailableError
from shoal.identity import GATEWAY, Principal, Via
from shoal.ids import fingerprint
from shoal.peers import Peers
from telemetry_ingest.domain.credentials import Credential
from telemetry_ingest.domain.pairings import Pairing
from telemetry_ingest.errors import CredentialUnknownError
from telemetry_ingest.repositories.pairings import PairingRepository

TELEMETRY_TOKEN_PREFIX = "telem_"  # noqa: S105 - how tokens begin, not one
OWNER = "pairing"
MAX_TOKEN = 256


class Credentials:
    """Looks credentials up: telemetry tokens in our copy of pairings, then at their owner; others at the gateway."""

    def __init__(self, database: Database, peers: Peers) -> None:
        self._database = database
        self._peers = peers

    async def resolve(self, token: str) -> Credential:
        """Tell who stands behind a token.

        Raises:
            CredentialUnknownError: Nobody, or nobody any more.
            UnavailableError: That cannot be told right now.
        """
        if not 0 < len(token) <= MAX_TOKEN:
            raise CredentialUnknownError
        if not token.startswith(TELEMETRY_TOKEN_PREFIX):
            return await self._ask(GATEWAY, token, Secret(token))
        token_hash = fingerprint(token)
        async with self._database.reading() as database:
            pairing = await PairingRepository(database).find_by_token(token_hash)
        if pairing is None:
            return await self._ask(OWNER, token, None)
        if pairing.is_ended:
            raise CredentialUnknownError
        return Credential(principal=_principal(pairing), token_hash=token_hash)

    async def check(self, principal: Principal) -> None:
        """Look whether what the handshake said still holds, as far as our copy knows.

        Raises:
            CredentialUnknownError: The pairing has ended.
            UnavailableError: That cannot be told right now.
        """
        if principal.via is Via.TELEMETRY_TOKEN:
            known = await self.pairings([principal.pairing_id])
            if any(pairing.is_ended for pairing in known.values()):
                raise CredentialUnknownError

    async def pairings(self, pairing_ids: Sequence[str]) -> dict[str, Pairing]:
        """Look up pairings in our copy.

        Raises:
            UnavailableError: That cannot be told right now.
        """
        async with self._database.reading() as database:
            known = await PairingRepository(database).list_by_id(pairing_ids)
        return {pairing.id: pairing for pairing in known}

    async def is_revoked(self, credential: Credential) -> bool:
        """Ask a user's credential's owner again; when it cannot be asked, the credential stands."""
        if credential.secret is None:
            return False
        try:
            again = await self._ask(GATEWAY, credential.secret.reveal(), credential.secret)
        except CredentialUnknownError:
            return True
        except UnavailableError:
            return False
        return again.principal.user_id != credential.principal.user_id

    async def _ask(self, owner: str, token: str, secret: Secret | None) -> Credential:
        principal = await self._peers.find(owner, "/internal/principal", {"credential": token}, Principal)
        if principal is None:
            raise CredentialUnknownError
        found = Credential(
            principal=principal, token_hash=fingerprint(token) if secret is None else None, secret=secret
        )
        if not found.is_good or found.is_agent is not (secret is None):
            raise CredentialUnknownError
        return found


def _principal(pairing: Pairing) -> Principal:
    return Principal(
        via=Via.TELEMETRY_TOKEN,
        account_id=pairing.account_id,
        user_id=pairing.user_id,
        agent_id=pairing.agent_id,
        pairing_id=pairing.id,
        credential_id=pairing.id,
    )
