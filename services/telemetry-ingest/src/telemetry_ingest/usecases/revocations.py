"""Revocations: sockets end when the credential that opened them does, within seconds, in every process.

The copy of pairings is shared by all processes and says who may come in; this feed is each process' own and says who
must go. It begins some minutes before the process did: what the gateway vouched for a moment ago may have ended
since.
"""

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

import structlog
from nats.aio.msg import Msg

from shoal.clock import Clock
from shoal.messaging import Bus, Feed, FeedBrokenError
from shoal_events import (
    AccountDeleted,
    ApiKeyRevoked,
    Event,
    LoginEnded,
    PairingConfirmed,
    PairingDeleted,
    PairingTokenReissued,
    UserDeleted,
    UserUpdated,
)
from telemetry_ingest.usecases.rosters import Rosters
from telemetry_ingest.usecases.sockets import Sockets

LOOK_BACK = timedelta(minutes=5)
PAUSE_S = 0.3


class Revocations:
    """Hears what ends credentials, and ends sockets."""

    name = "revocations"

    def __init__(self, bus: Bus, clock: Clock, sockets: Sockets, rosters: Rosters) -> None:
        self._sockets = sockets
        self._rosters = rosters
        self._acts: Mapping[type[Event], Callable[[Any, Msg], None]] = {
            PairingConfirmed: self._on_confirmed,
            PairingDeleted: self._on_deleted,
            PairingTokenReissued: self._on_reissued,
            ApiKeyRevoked: lambda event, _: sockets.end_credential(event.key_id),
            LoginEnded: lambda event, _: sockets.end_credential(event.login_id),
            UserDeleted: lambda event, _: sockets.end_user(event.user_id),
            UserUpdated: lambda event, _: sockets.revalidate_user(event.user_id),
            AccountDeleted: lambda event, _: sockets.end_account(event.account_id),
        }
        self._by_type = {event.event_type: event for event in self._acts}
        subjects = [f"{event.subject_prefix}.*" for event in self._acts]
        self._feed = Feed(bus, clock, subjects=subjects, look_back=LOOK_BACK)

    def problem(self) -> str | None:
        """Say that revocations are not heard, or None."""
        return None if self._feed.is_attached else "revocations are not heard"

    async def run(self) -> None:
        """Listen for ever."""
        while True:
            try:
                async for message in self._feed.facts():
                    self._act(message)
            except FeedBrokenError:
                await asyncio.sleep(PAUSE_S)

    def _act(self, message: Msg) -> None:
        try:
            event_class = self._by_type[(message.headers or {})["ce-type"]]
            self._acts[event_class](event_class.from_json(message.data), message)
        except (KeyError, ValueError, RecursionError) as error:
            structlog.get_logger().warning("revocation_unreadable", subject=message.subject, error=repr(error))

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
