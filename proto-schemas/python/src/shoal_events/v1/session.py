# Generated from shoal/events/v1/session.proto by `python -m generate`; do not edit.
"""Session: the messages of `shoal/events/v1/session.proto`."""

from typing import ClassVar

from shoal_events.message import Event
from shoal_events.types import NonEmpty, Positive


class SessionCreated(Event, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """Somebody began to talk with an agent of the runtime."""

    event_type: ClassVar[str] = "session.created.v1"
    source: ClassVar[str] = "/shoal/agent-runtime"
    producer: ClassVar[str] = "agent-runtime"
    subject_prefix: ClassVar[str] = "shoal.events.session.created.v1"
    entity: ClassVar[str] = "session_id"

    session_id: NonEmpty
    """The session."""

    account_id: NonEmpty
    """The account that it belongs to."""

    key: NonEmpty
    """What callers name it by, unique within the account."""

    agent_id: NonEmpty
    """The agent that is talked with."""

    version: Positive
    """Version of the session's row; a copy takes an event only if its version is newer."""


class SessionDeleted(Event, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """A session is no more, nor what was said in it."""

    event_type: ClassVar[str] = "session.deleted.v1"
    source: ClassVar[str] = "/shoal/agent-runtime"
    producer: ClassVar[str] = "agent-runtime"
    subject_prefix: ClassVar[str] = "shoal.events.session.deleted.v1"
    entity: ClassVar[str] = "session_id"

    session_id: NonEmpty
    """The session."""

    account_id: NonEmpty
    """The account that it belonged to."""

    key: NonEmpty
    """What callers named it by."""

    version: Positive
    """Version of the session's row; the last one."""
