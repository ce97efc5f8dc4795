# Generated from shoal/events/v1/api_key.proto by `python -m generate`; do not edit.
"""Api key: the messages of `shoal/events/v1/api_key.proto`."""

from typing import ClassVar

from shoal_events.message import Event
from shoal_events.types import NonEmpty


class ApiKeyRevoked(Event, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """An API key is no longer good. Whoever holds a socket or a stream that was opened with it closes it."""

    event_type: ClassVar[str] = "api_key.revoked.v1"
    source: ClassVar[str] = "/shoal/gateway"
    producer: ClassVar[str] = "gateway"
    subject_prefix: ClassVar[str] = "shoal.events.api_key.revoked.v1"
    entity: ClassVar[str] = "key_id"

    key_id: NonEmpty
    """The key; never its secret."""

    account_id: NonEmpty
    """The account of the key's owner."""

    user_id: NonEmpty
    """The user who owned the key."""
