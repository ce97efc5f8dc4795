"""Revocations: whatever ends a credential is heard here, in every replica, and acted upon at once.

An ordered consumer from now on, no history: whenever it begins anew, everything known is forgotten and everything
open is looked at again, so nothing that happened in between matters.
"""

import asyncio
import contextlib
from collections.abc import Callable

import structlog
from nats.errors import Error as NatsError
from nats.js.api import ConsumerConfig, DeliverPolicy

from gateway.authentication import Authentication
from gateway.keys.usecases.keys import Keys
from gateway.logins.usecases.logins import Logins
from gateway.streams import Streams
from shoal.errors import UnavailableError
from shoal.identity import Principal
from shoal.messaging import EVENTS, Bus
from shoal_events import (
    AccountDeleted,
    ApiKeyRevoked,
    Event,
    LoginEnded,
    PairingDeleted,
    PairingTokenReissued,
    UserDeleted,
    UserUpdated,
)
from shoal_events.catalogue import BY_TYPE

HEARD: tuple[type[Event], ...] = (
    AccountDeleted, ApiKeyRevoked, LoginEnded, PairingDeleted, PairingTokenReissued, UserDeleted, UserUpdated,
)  # fmt: skip
LOOK_AGAIN_S = 30.0
PROVE_S = 5.0


class Revocations:
    """Hears revocations, of this process's own and of others'."""

    name = "revocations"

    def __init__(
        self, *, bus: Bus, authentication: Authentication, streams: Streams, logins: Logins, keys: Keys
    ) -> None:
        self._bus = bus
        self._authentication = authentication
        self._streams = streams
        self._logins = logins
        self._keys = keys

    def problem(self) -> str | None:
        """Without hearing, credentials are known for two seconds only; that is slower, not wrong."""
        return None

    def hear(self, event: Event) -> None:
        """Forget whom an event concerns, and cut off what they have open."""
        match event:
            case LoginEnded(login_id=ended) | ApiKeyRevoked(key_id=ended):
                self._end(ended)
            case PairingDeleted(pairing_id=ended) | PairingTokenReissued(pairing_id=ended):
                self._end(ended)
            case UserUpdated(user_id=user_id):
                self._authentication.forget(lambda principal: principal.user_id == user_id)
            case UserDeleted(user_id=user_id):
                self._end_all(lambda principal: principal.user_id == user_id)
            case AccountDeleted(account_id=account_id):
                self._end_all(lambda principal: principal.account_id == account_id)
            case _:
                pass

    async def run(self) -> None:
        """Hear for ever; returns when the connection was lost, to begin anew."""
        if self._bus.problem() is not None:  # it is made again in half a second
            return
        client = self._bus.client
        subscription = await client.jetstream().subscribe(
            "",
            stream=EVENTS,
            ordered_consumer=True,
            deliver_policy=DeliverPolicy.NEW,
            config=ConsumerConfig(filter_subjects=[f"{event.subject_prefix}.*" for event in HEARD]),
        )
        reconnects = client.stats["reconnects"]
        looked_at = proven_at = 0.0
        loop = asyncio.get_running_loop()
        try:
            self._authentication.forget(lambda _: True)
            self._authentication.is_hearing = True
            while client.is_connected and client.stats["reconnects"] == reconnects:
                with contextlib.suppress(TimeoutError):
                    message = await subscription.next_msg(timeout=1)
                    self._take((message.headers or {}).get("ce-type", ""), message.data)
                if loop.time() - proven_at > PROVE_S:
                    await subscription.consumer_info()  # raises when the server has forgotten it
                    proven_at = loop.time()
                if loop.time() - looked_at > LOOK_AGAIN_S:
                    await self._look_again()
                    looked_at = loop.time()
        finally:
            self._authentication.is_hearing = False
            self._authentication.forget(lambda _: True)
            with contextlib.suppress(NatsError, OSError):
                await subscription.unsubscribe()

    def _end(self, credential_id: str) -> None:
        self._authentication.forget_credential(credential_id)
        self._streams.cut(credential_id)

    def _end_all(self, applies: Callable[[Principal], bool]) -> None:
        self._authentication.forget(applies)
        self._streams.cut(applies)

    def _take(self, event_type: str, body: bytes) -> None:
        try:
            self.hear(BY_TYPE[event_type].from_json(body))
        except (KeyError, ValueError) as error:
            structlog.get_logger().error("revocation_unreadable", type=event_type, error=repr(error))

    async def _look_again(self) -> None:
        """Cut off whatever was opened with a credential that is no longer good."""
        ids = sorted({principal.credential_id for principal in self._streams.principals() if principal.is_user})
        if not ids:
            return
        try:
            good = {*await self._logins.list_good(ids), *await self._keys.list_good(ids)}
        except UnavailableError:
            return
        for ended in set(ids) - good:  # only those that were asked about: others have come since
            self._streams.cut(ended)
