"""Revocations: sockets end when the credential that opened them does, within seconds, in every process.

The copy of pairings is shared by all processes and says who may come in; what is heard here is each process' own and
says who must go.
"""

from datetime import datetime

from nats.aio.msg import Msg

from shoal.listening import Acts
from shoal_events import (
    AccountDeleted,
    ApiKeyRevoked,
    LoginEnded,
    PairingConfirmed,
    PairingDeleted,
    PairingTokenReissued,
    UserDeleted,
    UserUpdated,
)
from telemetry_ingest.usecases.rosters import Rosters
from telemetry_ingest.usecases.sockets import Sockets


class Revocations:
    """End sockets whose credential ended, and note who is paired meanwhile."""

    def __init__(self, sockets: Sockets, rosters: Rosters) -> None:
        self._sockets = sockets
        self._rosters = rosters

    def acts(self) -> Acts:
        """List what is done about each kind of fact."""
        sockets = self._sockets
        return {
            PairingConfirmed: self._on_confirmed,
            PairingDeleted: self._on_deleted,
            PairingTokenReissued: self._on_reissued,
            ApiKeyRevoked: lambda event, _: sockets.end_credential(event.key_id),
            LoginEnded: lambda event, _: sockets.end_credential(event.login_id),
            UserDeleted: lambda event, _: sockets.end_user(event.user_id),
            UserUpdated: lambda event, _: sockets.revalidate_user(event.user_id),
            AccountDeleted: lambda event, _: sockets.end_account(event.account_id),
        }

    def _on_confirmed(self, event: PairingConfirmed, _: Msg) -> None:
        if not self._sockets.has_ended(event.pairing_id):
            self._rosters.add(event.account_id, event.agent_id, event.pairing_id)

    def _on_deleted(self, event: PairingDeleted, _: Msg) -> None:
        self._sockets.end_pairing(event.pairing_id)
        self._rosters.remove(event.account_id, event.pairing_id)

    def _on_reissued(self, event: PairingTokenReissued, message: Msg) -> None:
        at = _recorded_at(message)
        self._sockets.replace_token(event.pairing_id, bytes.fromhex(event.telemetry_token_sha256), at)


def _recorded_at(message: Msg) -> float:
    """Read when a fact was written; when that is not told, when the stream took it."""
    try:
        return datetime.fromisoformat((message.headers or {})["ce-time"]).timestamp()
    except (KeyError, ValueError):
        return float(message.metadata.timestamp.timestamp())
