"""Revocations: sockets end when the credential that opened them does, within seconds, in every process.

A feed of each process' own. It begins some minutes before the process did: what the gateway vouched for a moment ago
may have ended since.
"""

import asyncio
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

import structlog
from nats.aio.msg import Msg

from agent_runtime.sockets.usecases.sockets import Sockets
from shoal.clock import Clock
from shoal.messaging import Bus, Feed, FeedBrokenError
from shoal_events import AccountDeleted, ApiKeyRevoked, Event, LoginEnded, UserDeleted, UserUpdated

LOOK_BACK = timedelta(minutes=5)
PAUSE_S = 0.3


class Revocations:
    """Hears what ends credentials, and ends sockets."""

    name = "revocations"

    def __init__(self, bus: Bus, clock: Clock, sockets: Sockets) -> None:
        self._acts: Mapping[type[Event], Callable[[Any], None]] = {
            ApiKeyRevoked: lambda event: sockets.end_credential(event.key_id),
            LoginEnded: lambda event: sockets.end_credential(event.login_id),
            UserDeleted: lambda event: sockets.end_user(event.user_id),
            UserUpdated: lambda event: sockets.revalidate_user(event.user_id),
            AccountDeleted: lambda event: sockets.end_account(event.account_id),
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
            self._acts[event_class](event_class.from_json(message.data))
        except (KeyError, ValueError, RecursionError) as error:
            structlog.get_logger().warning("revocation_unreadable", subject=message.subject, error=repr(error))
